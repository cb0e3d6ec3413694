#include "gateway/ports_file.h"

#include <catch2/catch.hpp>
#include <filesystem>

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
