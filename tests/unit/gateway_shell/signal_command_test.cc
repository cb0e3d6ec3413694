#include "gateway/signal_command.h"

#include <catch2/catch.hpp>
#include <csignal>

#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/gateway_shell/scratch_folder.h"

namespace gateway {

namespace {

/// A process that does nothing until a signal ends it.
class Sleeper {
  public:
    Sleeper() {
        // Without Catch's handlers, and no signal before they are gone.
        sigset_t all;
        sigset_t before;
        sigfillset(&all);
        sigprocmask(SIG_BLOCK, &all, &before);
        pid_ = fork();
        if (pid_ == 0) {
            for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2}) signal(number, SIG_DFL);
            sigprocmask(SIG_SETMASK, &before, nullptr);
            while (true) pause();
        }
        sigprocmask(SIG_SETMASK, &before, nullptr);
        REQUIRE(pid_ > 0);
    }
    ~Sleeper() {
        if (pid_ != 0) {
            kill(pid_, SIGKILL);
            waitpid(pid_, nullptr, 0);
        }
    }
    Sleeper(const Sleeper&) = delete;
    Sleeper& operator=(const Sleeper&) = delete;

    [[nodiscard]] pid_t pid() const { return pid_; }
    [[nodiscard]] std::string id() const { return std::to_string(pid_); }
    /// The signal that ended it.
    int end() {
        int status = 0;
        waitpid(pid_, &status, 0);
        pid_ = 0;
        return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    }

  private:
    pid_t pid_ = 0;
};

ProcessFinder finds(std::vector<pid_t> pids) {
    return [pids = std::move(pids)] { return base::Result<std::vector<pid_t>, std::string>(pids); };
}

const ProcessFinder never = []() -> base::Result<std::vector<pid_t>, std::string> {
    FAIL("nobody was to be looked for");
    return base::failure(std::string());
};

}  // namespace

TEST_CASE("each command is the signal that it is in nats-server", "[gateway]") {
    struct Row {
        const char* command;
        int signal;
    };
    const auto row = GENERATE(values<Row>({{"stop", SIGKILL},
                                           {"quit", SIGINT},
                                           {"term", SIGTERM},
                                           {"reopen", SIGUSR1},
                                           {"reload", SIGHUP},
                                           {"ldm", SIGUSR2}}));
    Sleeper sleeper;
    CHECK(send_signal(std::string(row.command) + "=" + sleeper.id(), never).empty());
    CHECK(sleeper.end() == row.signal);
}

TEST_CASE("a pid may stand in a file", "[gateway]") {
    const ScratchFolder folder;
    Sleeper sleeper;
    folder.write("pid", sleeper.id());
    CHECK(send_signal("quit=" + folder.file("pid"), never).empty());
    CHECK(sleeper.end() == SIGINT);
    folder.write("pid", "12x\n");
    CHECK(send_signal("quit=" + folder.file("pid"), never) == "invalid pid: 12x");
}

TEST_CASE("without a pid there must be exactly one process", "[gateway]") {
    Sleeper sleeper;
    CHECK(send_signal("term", finds({})) == "no treegate or nats-server processes running");
    CHECK(send_signal("term", finds({1, 2})) == "multiple treegate or nats-server processes running:\n1\n2");
    CHECK(send_signal("term", finds({sleeper.pid()})).empty());
    CHECK(sleeper.end() == SIGTERM);
}

TEST_CASE("a star takes all whose ids begin so, and no others", "[gateway]") {
    Sleeper one;
    Sleeper two;
    CHECK(send_signal("quit=" + one.id() + "*", finds({one.pid(), two.pid()})).empty());
    CHECK(one.end() == SIGINT);
    CHECK(kill(two.pid(), 0) == 0);
    CHECK(send_signal("term=*", finds({two.pid()})).empty());
    CHECK(two.end() == SIGTERM);
}

TEST_CASE("what is wrong with a signal is told in stock's words", "[gateway]") {
    CHECK(send_signal("foo=1", never) == "unknown signal \"foo\"");
    CHECK(send_signal("reload=zzz", never) == "invalid pid: zzz");
    CHECK(send_signal("reload=-1", never) == "invalid pid: -1");
    CHECK(send_signal("a=b=c", never) == "invalid signal parameters: [c]");
    CHECK(send_signal("reload=2147483647", never) == "\nsignal \"reload\" 2147483647: No such process");
    CHECK(send_signal("reload", [] {
              return base::Result<std::vector<pid_t>, std::string>(
                  base::failure(std::string("unable to resolve pid, try providing one")));
          }) == "unable to resolve pid, try providing one");
}

TEST_CASE("processes are found by name, without ourselves", "[gateway]") {
    const auto found = find_gateways();
    REQUIRE(found.ok());
    for (const pid_t pid : found.value()) CHECK(pid != getpid());
}

}  // namespace gateway
