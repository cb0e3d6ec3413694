#include "gateway/log.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>

#include <unistd.h>

#include "tests/unit/gateway_shell/scratch_folder.h"

namespace gateway {

TEST_CASE("a log line looks as in stock NATS", "[gateway]") {
    const ScratchFolder folder;
    Log log;
    REQUIRE(log.open(folder.file("log")).ok());
    log.info("Server is ready");
    std::string text = folder.read("log");
    CAPTURE(text);
    const std::string pid = "[" + std::to_string(getpid()) + "] ";
    REQUIRE(text.starts_with(pid));
    text.erase(0, pid.size());
    for (char& c : text) {
        if (c >= '0' && c <= '9') c = '0';
    }
    CHECK(text == "0000/00/00 00:00:00.000000 [INF] Server is ready\n");
}

TEST_CASE("debug and trace are off until they are asked for", "[gateway]") {
    const ScratchFolder folder;
    Log log;
    REQUIRE(log.open(folder.file("log")).ok());
    log.debug("hidden");
    log.trace("hidden");
    CHECK(folder.read("log").empty());
    log.set_levels(true, false);
    log.debug("d");
    log.trace("hidden");
    log.set_levels(false, true);
    log.trace("t");
    log.warning("w");
    log.error("e");
    log.fatal("f");
    const std::string text = folder.read("log");
    for (const char* part : {"[DBG] d\n", "[TRC] t\n", "[WRN] w\n", "[ERR] e\n", "[FTL] f\n"}) {
        CHECK(text.find(part) != std::string::npos);
    }
    CHECK(text.find("hidden") == std::string::npos);
}

TEST_CASE("nobody can forge a line or fill the log with one text", "[gateway]") {
    const ScratchFolder folder;
    Log log;
    REQUIRE(log.open(folder.file("log")).ok());
    log.info("name\n[1] 2026/01/01 00:00:00.000000 [INF] forged\x1b");
    std::string text = folder.read("log");
    CHECK(std::count(text.begin(), text.end(), '\n') == 1);
    CHECK(text.find("name\\x0a[1]") != std::string::npos);
    CHECK(text.find("forged\\x1b\n") != std::string::npos);
    log.info(std::string(log_line_bytes_max, 'x'));
    CHECK(folder.read("log").ends_with("x\n"));
    log.info(std::string(log_line_bytes_max + 1, 'y'));
    CHECK(folder.read("log").ends_with("y ...\n"));
}

TEST_CASE("a log file that was moved away is opened anew", "[gateway]") {
    const ScratchFolder folder;
    Log log;
    REQUIRE(log.open(folder.file("log")).ok());
    log.info("one");
    std::filesystem::rename(folder.file("log"), folder.file("old"));
    log.info("two");
    log.reopen();
    log.info("three");
    CHECK(folder.read("old").find("two") != std::string::npos);
    CHECK(folder.read("log").find("three") != std::string::npos);
    CHECK(folder.read("log").find("two") == std::string::npos);
}

TEST_CASE("a log file that cannot be opened is an error that names it", "[gateway]") {
    Log log;
    const auto outcome = log.open("/nonexistent/log");
    REQUIRE_FALSE(outcome.ok());
    CHECK(outcome.error().find("/nonexistent/log") != std::string::npos);
}

}  // namespace gateway
