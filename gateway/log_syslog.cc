#include "gateway/log_syslog.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>
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

std::unique_ptr<LogSyslog> LogSyslog::local(std::string_view program) {
    std::unique_ptr<LogSyslog> syslog(new LogSyslog(program, -1));
    openlog(syslog->program_.c_str(), LOG_PID | LOG_NDELAY, LOG_DAEMON);
    return syslog;
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
    std::unique_ptr<LogSyslog> syslog(new LogSyslog(program, descriptor));
    std::array<char, 256> name{};
    if (gethostname(name.data(), name.size() - 1) == 0) syslog->host_ = name.data();
    if (syslog->host_.empty()) syslog->host_ = "localhost";
    return syslog;
}

LogSyslog::~LogSyslog() {
    if (descriptor_ >= 0) close(descriptor_);
}

void LogSyslog::write(LogLevel level, std::string_view text) {
    if (descriptor_ < 0) {
        line_ = text;
        syslog(priority(level), "%s", line_.c_str());
        return;
    }
    std::time_t now = std::time(nullptr);
    std::tm utc{};
    gmtime_r(&now, &utc);
    // Source: Go's log/syslog, which stock writes with; the facility is daemon, where stock has none.
    line_ = fmt::format("<{}>{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z {} {}[{}]: {}\n", LOG_DAEMON | priority(level),
                        utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, host_,
                        program_, getpid(), text);
    [[maybe_unused]] const ssize_t sent = send(descriptor_, line_.data(), line_.size(), MSG_NOSIGNAL);
}

}  // namespace gateway
