#include "gateway/log_syslog.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "gateway/io/socket.h"

namespace gateway {

namespace {

constexpr std::string_view udp_scheme = "udp://";
/// Source: RFC 3164.
constexpr std::string_view port_default = "514";

/// Source: nats-server logger/syslog.go; what it names notice is our info.
int priority(LogLevel level) {
    switch (level) {
        case LogLevel::debug:
            return LOG_DEBUG;
        case LogLevel::warning:
            return LOG_WARNING;
        case LogLevel::error:
            return LOG_ERR;
        case LogLevel::fatal:
            return LOG_CRIT;
        case LogLevel::trace:
        case LogLevel::info:
            break;
    }
    return LOG_NOTICE;
}

}  // namespace

base::Result<std::unique_ptr<LogSyslog>, std::string> LogSyslog::local(std::string_view program,
                                                                       std::vector<std::string> paths) {
    std::unique_ptr<LogSyslog> syslog(new LogSyslog(program));
    syslog->paths_ = std::move(paths);
    if (syslog->connect_local()) return syslog;
    std::string tried;
    for (const std::string& path : syslog->paths_) tried += (tried.empty() ? "" : ", ") + path;
    return base::failure("error connecting to syslog: nobody takes messages at " + tried);
}

bool LogSyslog::connect_local() {
    if (descriptor_ >= 0) close(std::exchange(descriptor_, -1));
    for (const std::string& path : paths_) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        if (path.size() >= sizeof address.sun_path) continue;
        path.copy(address.sun_path, path.size());
        for (const int type : {SOCK_DGRAM, SOCK_STREAM}) {
            descriptor_ = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
            if (descriptor_ < 0) return false;
            if (connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return true;
            close(std::exchange(descriptor_, -1));
        }
    }
    return false;
}

bool LogSyslog::send_line() const {
    return descriptor_ >= 0 && send(descriptor_, line_.data(), line_.size(), MSG_NOSIGNAL) >= 0;
}

base::Result<std::unique_ptr<LogSyslog>, std::string> LogSyslog::remote(const std::string& address,
                                                                        std::string_view program) {
    std::string_view host;
    std::string_view port;
    if (!address.starts_with(udp_scheme) ||
        !io::split_address(std::string_view(address).substr(udp_scheme.size()), host, port)) {
        return base::failure("'" + address + "' is not of the form udp://host:port");
    }
    addrinfo hints{};
    hints.ai_socktype = SOCK_DGRAM;
    addrinfo* found = nullptr;
    const std::string service(port.empty() ? port_default : port);
    if (const int wrong = getaddrinfo(std::string(host).c_str(), service.c_str(), &hints, &found); wrong != 0) {
        return base::failure("error connecting to syslog " + address + ": " + gai_strerror(wrong));
    }
    int descriptor = -1;
    for (const addrinfo* each = found; each != nullptr && descriptor < 0; each = each->ai_next) {
        descriptor = socket(each->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (descriptor < 0 || connect(descriptor, each->ai_addr, each->ai_addrlen) == 0) continue;
        close(descriptor);
        descriptor = -1;
    }
    const int wrong = errno;
    freeaddrinfo(found);
    if (descriptor < 0) return base::failure("error connecting to syslog " + address + ": " + std::strerror(wrong));
    std::unique_ptr<LogSyslog> syslog(new LogSyslog(program));
    syslog->descriptor_ = descriptor;
    std::array<char, 256> name{};
    if (gethostname(name.data(), name.size() - 1) == 0) syslog->host_ = name.data();
    if (syslog->host_.empty()) syslog->host_ = "localhost";
    return syslog;
}

LogSyslog::~LogSyslog() {
    if (descriptor_ >= 0) close(descriptor_);
}

void LogSyslog::write(LogLevel level, std::string_view text) {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    // Source: Go's log/syslog, which stock writes with; the facility is daemon, where stock has none.
    const int number = LOG_DAEMON | priority(level);
    if (!paths_.empty()) {
        localtime_r(&now, &parts);
        std::array<char, 32> stamp{};
        std::strftime(stamp.data(), stamp.size(), "%b %e %H:%M:%S", &parts);
        line_ = fmt::format("<{}>{} {}[{}]: {}\n", number, stamp.data(), program_, getpid(), text);
        // Who reads the socket may have begun anew.
        if (!send_line() && (descriptor_ < 0 || errno != EAGAIN) && connect_local()) (void)send_line();
        return;
    }
    gmtime_r(&now, &parts);
    line_ = fmt::format("<{}>{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z {} {}[{}]: {}\n", number, parts.tm_year + 1900,
                        parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, host_, program_,
                        getpid(), text);
    (void)send_line();
}

}  // namespace gateway
