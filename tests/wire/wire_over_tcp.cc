// Plays transcripts over TCP, against a server that runs already or one that is started for each.
//
//   wire_over_tcp HOST:PORT [--with 'KEY VALUE']... FILE...
//   wire_over_tcp --server PROGRAM [--give WORD]... FILE...
//
// --with says how the running server is configured (as the "!" lines of a transcript); a transcript that wants
// something else is skipped.  PROGRAM is started as `PROGRAM -a 127.0.0.1 -p -1 [-c FILE]`, which nats-server and
// treegate understand, with each WORD after it.
// Exit code: 0 all hold, 1 one does not, 2 usage, 77 nothing could be played.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/wire/tcp_target.h"
#include "tests/wire/transcript.h"

namespace {

using wire::Transcript;

constexpr int exit_skipped = 77;
constexpr std::chrono::milliseconds start_wait_max{20000};

// A server process, and a folder for its configuration; both gone at the end.
class Server {
  public:
    Server(const std::string& program, const std::vector<std::string>& given, const wire::WireOptions& options) {
        std::string pattern = (std::filesystem::temp_directory_path() / "wire-XXXXXX").string();
        int ends[2];
        if (::mkdtemp(pattern.data()) == nullptr || ::pipe2(ends, O_CLOEXEC) != 0) return;
        folder_ = pattern;
        std::vector<std::string> words = {program, "-a", "127.0.0.1", "-p", "-1"};
        if (const std::string config = wire::config_text(options); !config.empty()) {
            const std::string path = folder_ + "/wire.conf";
            std::ofstream(path) << config;
            words.insert(words.end(), {"-c", path});
        }
        words.insert(words.end(), given.begin(), given.end());
        std::vector<char*> arguments;
        for (std::string& word : words) arguments.push_back(word.data());
        arguments.push_back(nullptr);
        process_ = ::fork();
        if (process_ == 0) {
            if (::dup2(ends[1], 1) < 0 || ::dup2(ends[1], 2) < 0) ::_exit(126);
            ::execv(program.c_str(), arguments.data());
            ::_exit(127);
        }
        ::close(ends[1]);
        log_pipe_ = ends[0];
    }
    ~Server() {
        if (process_ > 0) {
            ::kill(process_, SIGTERM);
            ::waitpid(process_, nullptr, 0);
        }
        if (log_pipe_ >= 0) ::close(log_pipe_);
        std::error_code ignored;
        if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
    }
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    // Reads the log until the server says where it listens.  Nothing: it has not come up.
    std::optional<std::uint16_t> port() {
        constexpr std::string_view ready = "Server is ready";
        constexpr std::string_view listening = "Listening for client connections on 127.0.0.1:";
        std::string log;
        while (log.find(ready) == std::string::npos) {
            pollfd waiting{log_pipe_, POLLIN, 0};
            char bytes[4096];
            const bool more = ::poll(&waiting, 1, static_cast<int>(start_wait_max.count())) > 0;
            const ssize_t got = more ? ::read(log_pipe_, bytes, sizeof(bytes)) : 0;
            if (got <= 0) break;
            log.append(bytes, static_cast<std::size_t>(got));
        }
        const std::size_t at = log.find(listening);
        if (at != std::string::npos && log.find(ready) != std::string::npos)
            return static_cast<std::uint16_t>(std::strtoul(log.c_str() + at + listening.size(), nullptr, 10));
        std::cerr << log;
        return std::nullopt;
    }

  private:
    std::string folder_;
    pid_t process_ = -1;
    int log_pipe_ = -1;
};

int usage() {
    std::cerr << "usage: wire_over_tcp HOST:PORT [--with 'KEY VALUE']... FILE...\n"
                 "       wire_over_tcp --server PROGRAM [--give WORD]... FILE...\n";
    return 2;
}

// Plays one and prints how it went.  Returns whether it holds.
bool play(const Transcript& transcript, const std::string& host, std::uint16_t port) {
    wire::TcpTarget target(host, port);
    const auto wrong = wire::run_transcript(transcript, target);
    std::cout << (wrong ? "not ok  " : "ok      ") << transcript.name << "\n";
    if (wrong) std::cout << *wrong << "\n";
    return !wrong;
}

}  // namespace

int main(int argc, char** argv) {
    std::vector<std::string> words(argv + 1, argv + argc);
    if (words.size() < 2) return usage();
    std::string program;
    std::string host;
    std::uint16_t port = 0;
    std::size_t at = 1;
    std::vector<std::string> given;
    if (words[0] == "--server") {
        program = words[at++];
        for (; at + 1 < words.size() && words[at] == "--give"; at += 2) given.push_back(words[at + 1]);
    } else {
        const std::size_t colon = words[0].rfind(':');
        if (colon == std::string::npos) return usage();
        host = words[0].substr(0, colon);
        port = static_cast<std::uint16_t>(std::strtoul(words[0].c_str() + colon + 1, nullptr, 10));
        if (port == 0) return usage();
    }
    wire::WireOptions configured;
    for (; at + 1 < words.size() && words[at] == "--with"; at += 2) {
        if (wire::parse_option(words[at + 1], configured)) return usage();
    }
    if (at == words.size()) return usage();
    if (!program.empty() && ::access(program.c_str(), X_OK) != 0) {
        std::cout << "skipped: there is no " << program << "\n";
        return exit_skipped;
    }

    std::size_t played = 0;
    std::size_t failed = 0;
    for (; at < words.size(); ++at) {
        std::string error;
        const auto transcript = wire::load_transcript(words[at], error);
        if (!transcript) {
            std::cerr << error << "\n";
            return 2;
        }
        if (!program.empty()) {
            Server server(program, given, transcript->options);
            const auto listening = server.port();
            if (!listening) std::cerr << transcript->name << ": " << program << " has not come up\n";
            ++played;
            if (!listening || !play(*transcript, "127.0.0.1", *listening)) ++failed;
        } else if (transcript->options != configured) {
            std::cout << "skipped " << transcript->name << " (wants another configuration)\n";
        } else {
            ++played;
            if (!play(*transcript, host, port)) ++failed;
        }
    }
    std::cout << played << " played, " << failed << " failed\n";
    if (failed != 0) return 1;
    return played == 0 ? exit_skipped : 0;
}
