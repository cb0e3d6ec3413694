#include "gateway/ports_file.h"

#include <catch2/catch.hpp>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/gateway_shell/scratch_folder.h"

namespace gateway {

TEST_CASE("the ports file tells what can be dialled, and goes at the end; the pid file stays", "[gateway]") {
    const ScratchFolder folder;
    Log log;
    Config config;
    config.ports_file_dir = folder.path();
    config.pid_file = folder.file("pid");
    config.tree.emplace();
    config.tree->listen.host = "::1";
    const std::string name = "treegate_" + std::to_string(getpid()) + ".ports";
    {
        const PortsFile file(config, 40001, 40002, log);
        CHECK(file.path() == folder.file(name));
        CHECK(folder.read(name) == "{\"nats\":[\"nats://127.0.0.1:40001\"],\"tree\":[\"[::1]:40002\"]}\n");
        CHECK(folder.read("pid") == std::to_string(getpid()));
    }
    CHECK_FALSE(std::filesystem::exists(folder.file(name)));
    CHECK(std::filesystem::exists(folder.file("pid")));
}

TEST_CASE("a pid file that is no file of its own is written where it is", "[gateway]") {
    const ScratchFolder folder;
    Log log;
    Config config;
    const std::string pid = std::to_string(getpid());

    folder.write("target", "something longer than a process id");
    std::filesystem::create_symlink(folder.file("target"), folder.file("link"));
    config.pid_file = folder.file("link");
    { const PortsFile file(config, 1, 0, log); }
    CHECK(std::filesystem::is_symlink(folder.file("link")));
    CHECK(folder.read("target") == pid);

    // A stand-in for a device such as /dev/null, which must not become a file.
    const std::string pipe = folder.file("pipe");
    REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
    const int reader = open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    REQUIRE(reader >= 0);
    config.pid_file = pipe;
    { const PortsFile file(config, 1, 0, log); }
    CHECK(std::filesystem::is_fifo(pipe));
    std::string got(pid.size() + 1, ' ');
    CHECK(read(reader, got.data(), got.size()) == static_cast<ssize_t>(pid.size()));
    CHECK(got.starts_with(pid));
    close(reader);
}

TEST_CASE("a pid file is written although nothing may be made beside it", "[gateway]") {
    const ScratchFolder folder;
    Log log;
    Config config;
    config.pid_file = folder.file("pid");
    folder.write("pid", "old");
    std::filesystem::create_directory(folder.file("pid.new"));  // what is written first cannot be
    { const PortsFile file(config, 1, 0, log); }
    CHECK(folder.read("pid") == std::to_string(getpid()));
}

TEST_CASE("a ports file that cannot be written is a line in the log", "[gateway]") {
    const ScratchFolder folder;
    Log log;
    LogConfig log_config;
    log_config.file = folder.file("log");
    REQUIRE(log.configure(log_config, "treegate").ok());
    Config config;
    config.ports_file_dir = "/nonexistent";
    const PortsFile file(config, 1, 0, log);
    CHECK(file.path().empty());
    CHECK(folder.read("log").find("Could not write ports file") != std::string::npos);
}

}  // namespace gateway
