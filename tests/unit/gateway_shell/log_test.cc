#include "gateway/log.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/gateway_shell/scratch_folder.h"

namespace gateway {

namespace {

/// A log into the file `log` of the folder.
void configure(Log& log, const ScratchFolder& folder, LogConfig config = {}) {
    config.file = folder.file("log");
    REQUIRE(log.configure(config, "treegate").ok());
}

/// With 0 for every digit, and without the pid.
std::string shape(std::string text) {
    const std::string pid = "[" + std::to_string(getpid()) + "] ";
    REQUIRE(text.starts_with(pid));
    text.erase(0, pid.size());
    for (char& c : text) {
        if (c >= '0' && c <= '9') c = '0';
    }
    return text;
}

std::vector<std::string> names_in(const ScratchFolder& folder) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
        names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
}

}  // namespace

TEST_CASE("a log line looks as in stock NATS", "[gateway]") {
    const ScratchFolder folder;
    Log log;
    configure(log, folder);
    log.info("Server is ready");
    CHECK(shape(folder.read("log")) == "0000/00/00 00:00:00.000000 [INF] Server is ready\n");
}

TEST_CASE("the time may be left out, or be UTC", "[gateway]") {
    const ScratchFolder folder;
    Log log;
    configure(log, folder, {.file = {}, .time = false, .remote_syslog = {}});
    log.info("no time");
    CHECK(shape(folder.read("log")) == "[INF] no time\n");

    setenv("TZ", "ABC-11", 1);  // 11 hours east of UTC
    tzset();
    const auto hour = [&](bool utc) {
        std::filesystem::remove(folder.file("log"));
        configure(log, folder, {.file = {}, .time_utc = utc, .remote_syslog = {}});
        log.info("x");
        const std::string text = folder.read("log");
        return std::stoi(text.substr(text.find(' ') + 12, 2));
    };
    const int local = hour(false);
    CHECK((local - hour(true) + 24) % 24 >= 11 - 1);  // the hour may turn between the two
    CHECK((local - hour(true) + 24) % 24 <= 11);
    unsetenv("TZ");
    tzset();
}

TEST_CASE("debug and trace are off until they are asked for", "[gateway]") {
    const ScratchFolder folder;
    Log log;
    configure(log, folder);
    log.debug("hidden");
    log.trace("hidden");
    CHECK(folder.read("log").empty());
    configure(log, folder, {.file = {}, .debug = true, .remote_syslog = {}});
    CHECK(log.writes(LogLevel::debug));
    CHECK_FALSE(log.writes(LogLevel::trace));
    log.debug("d");
    log.trace("hidden");
    configure(log, folder, {.file = {}, .trace = true, .remote_syslog = {}});
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
    configure(log, folder);
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
    configure(log, folder);
    log.info("one");
    std::filesystem::rename(folder.file("log"), folder.file("old"));
    log.info("two");
    log.reopen();
    log.info("three");
    CHECK(folder.read("old").find("two") != std::string::npos);
    CHECK(folder.read("log").find("[INF] File log re-opened\n") != std::string::npos);
    CHECK(folder.read("log").find("three") != std::string::npos);
    CHECK(folder.read("log").find("two") == std::string::npos);
}

TEST_CASE("a log file that cannot be opened is an error that names it, and the log stays", "[gateway]") {
    const ScratchFolder folder;
    Log log;
    configure(log, folder);
    const auto outcome = log.configure({.file = "/nonexistent/log", .remote_syslog = {}}, "treegate");
    REQUIRE_FALSE(outcome.ok());
    CHECK(outcome.error().find("/nonexistent/log") != std::string::npos);
    log.info("still here");
    CHECK(folder.read("log").find("still here") != std::string::npos);
}

TEST_CASE("a log goes on in another file after a reload", "[gateway]") {
    const ScratchFolder folder;
    Log log;
    configure(log, folder);
    log.info("one");
    REQUIRE(log.configure({.file = folder.file("other"), .remote_syslog = {}}, "treegate").ok());
    log.info("two");
    CHECK(folder.read("log").find("two") == std::string::npos);
    CHECK(folder.read("other").find("two") != std::string::npos);
}

// ---- rotation -------------------------------------------------------------------------------------------------------

TEST_CASE("a log above its size becomes a backup with a stamp in its name, and a new one begins", "[gateway]") {
    const ScratchFolder folder;
    Log log;
    configure(log, folder, {.file = {}, .time = false, .size_limit = 100, .remote_syslog = {}});
    log.info("one");
    CHECK(names_in(folder) == std::vector<std::string>{"log"});
    log.info(std::string(100, 'x'));  // the line that goes above it is still in the old one
    const auto names = names_in(folder);
    REQUIRE(names.size() == 2);
    CHECK(names[0] == "log");
    std::string stamp = names[1];
    for (char& c : stamp) {
        if (c >= '0' && c <= '9') c = '0';
    }
    CHECK(stamp == "log.0000.00.00.00.00.00.000000000");
    CHECK(folder.read(names[1]).ends_with("x\n"));
    CHECK(folder.read("log") ==
          "[" + std::to_string(getpid()) + "] [INF] Rotated log, backup saved as \"" + folder.file(names[1]) + "\"\n");
}

TEST_CASE("a log that is too long already is rotated at the start", "[gateway]") {
    const ScratchFolder folder;
    folder.write("log", std::string(101, 'x'));
    Log log;
    configure(log, folder, {.file = {}, .size_limit = 100, .remote_syslog = {}});
    CHECK(names_in(folder).size() == 2);
}

TEST_CASE("of the backups only so many are kept, the newest, and nothing else is touched", "[gateway]") {
    const ScratchFolder folder;
    folder.write("log.2001.01.01.00.00.00.000000000", "oldest");
    folder.write("log.2002.01.01.00.00.00.000000000", "older");
    folder.write("log.2003", "not ours");
    folder.write("log.2003.01.01.00.00.00.000000000.gz", "not ours");
    folder.write("logs.2003.01.01.00.00.00.000000000", "not ours");
    Log log;
    configure(log, folder, {.file = {}, .size_limit = 100, .max_files = 2, .remote_syslog = {}});
    log.info(std::string(100, 'x'));
    const auto names = names_in(folder);
    CHECK(names.size() == 5);  // the log, one backup, three others
    CHECK(std::none_of(names.begin(), names.end(), [](const std::string& name) {
        return name.starts_with("log.2001") || name.starts_with("log.2002");
    }));
    const std::string text = folder.read("log");
    CHECK(text.find("Purged log file \"log.2001.01.01.00.00.00.000000000\"\n") != std::string::npos);
    CHECK(text.find("Purged log file \"log.2002.01.01.00.00.00.000000000\"\n") != std::string::npos);
}

TEST_CASE("a rotation that fails leaves the log where it is, and tries again at twice the size", "[gateway]") {
    const ScratchFolder folder;
    auto opened = LogFile::open(folder.file("log"), 100);
    REQUIRE(opened.ok());
    LogFile& file = *opened.value();
    file.write(std::string(101, 'x'));
    REQUIRE(file.is_full());
    std::filesystem::remove(folder.file("log"));  // nothing to rename
    const auto rotated = file.rotate();
    REQUIRE_FALSE(rotated.ok());
    CHECK(rotated.error() ==
          "Unable to rename logfile for rotation (No such file or directory), will attempt next rotation at size 200");
    CHECK_FALSE(file.is_full());
    file.write(std::string(100, 'x'));
    CHECK(file.is_full());
}

// ---- syslog ---------------------------------------------------------------------------------------------------------

TEST_CASE("a remote syslog gets each text as a datagram with its severity", "[gateway]") {
    const int receiver = socket(AF_INET, SOCK_DGRAM, 0);
    REQUIRE(receiver >= 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(bind(receiver, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    socklen_t size = sizeof address;
    REQUIRE(getsockname(receiver, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    const timeval patience{.tv_sec = 10, .tv_usec = 0};
    REQUIRE(setsockopt(receiver, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);

    Log log;
    LogConfig config;
    config.remote_syslog = "udp://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    REQUIRE(log.configure(config, "nats-server").ok());
    const auto next = [receiver] {
        std::array<char, 4096> buffer{};
        const ssize_t got = recv(receiver, buffer.data(), buffer.size(), 0);
        REQUIRE(got > 0);
        return std::string(buffer.data(), static_cast<std::size_t>(got));
    };
    const std::string from = " nats-server[" + std::to_string(getpid()) + "]: ";
    log.info("Server is ready\x1b");
    const std::string first = next();
    CHECK(first.starts_with("<29>20"));
    CHECK(first.ends_with(from + "Server is ready\\x1b\n"));
    log.warning("w");
    CHECK(next().starts_with("<28>"));
    log.error("e");
    CHECK(next().starts_with("<27>"));
    log.fatal("f");
    CHECK(next().starts_with("<26>"));
    log.reopen();
    CHECK(next().ends_with("File log re-open ignored, not a file logger\n"));
    close(receiver);
}

TEST_CASE("this machine's syslog gets each text; if it rests, nobody waits, and it may begin anew", "[gateway]") {
    const ScratchFolder folder;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = folder.file("log");
    REQUIRE(path.size() < sizeof address.sun_path);
    path.copy(address.sun_path, path.size());
    const auto listen = [&] {
        const int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        REQUIRE(descriptor >= 0);
        REQUIRE(bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        return descriptor;
    };
    const auto next = [](int descriptor) {
        std::array<char, 1024> text{};
        const ssize_t size = recv(descriptor, text.data(), text.size(), MSG_DONTWAIT);
        return size < 0 ? std::string() : std::string(text.data(), static_cast<std::size_t>(size));
    };
    CHECK(LogSyslog::local("treegate", {path}).error() ==
          "error connecting to syslog: nobody takes messages at " + path);

    const int first = listen();
    const auto opened = LogSyslog::local("treegate", {folder.file("none"), path});
    REQUIRE(opened.ok());
    LogSyslog& log = *opened.value();
    log.write(LogLevel::error, "hello");
    const std::string line = next(first);
    CHECK(line.starts_with("<27>"));
    CHECK(line.ends_with(" treegate[" + std::to_string(getpid()) + "]: hello\n"));

    for (int i = 0; i < 10000; ++i) log.write(LogLevel::info, "nobody reads this");  // it returns at all
    close(first);
    std::filesystem::remove(path);
    const int second = listen();
    log.write(LogLevel::info, "back");
    CHECK(next(second).ends_with(": back\n"));
    close(second);
}

TEST_CASE("a syslog that cannot be reached by name is an error", "[gateway]") {
    Log log;
    CHECK_FALSE(log.configure({.file = {}, .remote_syslog = "udp://256.256.256.256:1"}, "treegate").ok());
    CHECK_FALSE(log.configure({.file = {}, .remote_syslog = "tcp://127.0.0.1:1"}, "treegate").ok());
}

TEST_CASE("a log file that is a pipe without a reader is an error, not a wait", "[gateway]") {
    const ScratchFolder folder;
    REQUIRE(mkfifo(folder.file("log").c_str(), 0600) == 0);
    Log log;
    LogConfig config;
    config.file = folder.file("log");
    const auto opened = log.configure(config, "treegate");
    REQUIRE_FALSE(opened.ok());
    CHECK(opened.error().find("cannot open the log file " + config.file) == 0);
}

TEST_CASE("a pipe that nobody reads stops nobody; how much was lost is told when somebody reads again", "[gateway]") {
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    REQUIRE(fcntl(ends[1], F_SETPIPE_SZ, 4096) > 0);
    const ScratchFolder folder;
    Log log;
    LogConfig config;
    config.file = "/proc/self/fd/" + std::to_string(ends[1]);
    config.time = false;
    REQUIRE(log.configure(config, "treegate").ok());

    // A write that waits for a reader would never come back.
    const std::string text(100, 'x');
    for (int i = 0; i < 1000; ++i) log.info(text);
    std::string got(1 << 20, ' ');
    const auto drain = [&] {
        const ssize_t size = read(ends[0], got.data(), got.size());
        REQUIRE(size > 0);
        return got.substr(0, static_cast<std::size_t>(size));
    };
    const std::string line = "[" + std::to_string(getpid()) + "] [INF] " + text + "\n";
    const std::string first = drain();
    const std::size_t whole = first.size() / line.size();
    REQUIRE(whole > 0);
    CHECK(first.substr(0, line.size()) == line);

    log.info("back");
    const std::string after = drain();
    CHECK(after.find(std::to_string(1000 - whole) + " lines of the log are lost") != std::string::npos);
    CHECK(after.ends_with("[INF] back\n"));
    log.info("again");
    CHECK(drain() == "[" + std::to_string(getpid()) + "] [INF] again\n");
    close(ends[0]);
    close(ends[1]);
}

TEST_CASE("a line that was cut when its reader rested ends before the next", "[gateway]") {
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    REQUIRE(fcntl(ends[1], F_SETPIPE_SZ, 4096) > 0);
    LogOutput output(ends[1]);
    CHECK_FALSE(output.write(std::string(10000, 'a') + "\n"));
    CHECK_FALSE(output.write("lost\n"));
    std::string got(1 << 20, ' ');
    const ssize_t size = read(ends[0], got.data(), got.size());
    REQUIRE(size > 0);
    CHECK(got.substr(0, static_cast<std::size_t>(size)) == std::string(static_cast<std::size_t>(size), 'a'));
    CHECK(output.write("next\n"));
    CHECK(read(ends[0], got.data(), got.size()) == 6);
    CHECK(got.starts_with("\nnext\n"));
    close(ends[0]);
    close(ends[1]);
}

}  // namespace gateway
