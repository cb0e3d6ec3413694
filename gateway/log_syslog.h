// A log's lines as syslog messages: to this machine's socket, or to another machine as UDP datagrams.
// Never waits; libc's syslog() does, for as long as the one who reads the socket rests.
// Leaves to others: the texts, which carry neither time nor level (log).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "routing/base/result.h"

namespace gateway {

enum class LogLevel : std::uint8_t { trace, debug, info, warning, error, fatal };

/// Threads: one at a time.
class LogSyslog {
  public:
    /// The syslog of this machine, facility daemon: the first of `paths` that takes a connection.  Errors: a sentence.
    /// Source: Go's log/syslog (its paths), which stock writes with.
    static base::Result<std::unique_ptr<LogSyslog>, std::string> local(
        std::string_view program, std::vector<std::string> paths = {"/dev/log", "/var/run/syslog", "/var/run/log"});
    /// `address`: "udp://host:port" (without a port: 514).  Resolves the host.  Errors: a sentence.
    static base::Result<std::unique_ptr<LogSyslog>, std::string> remote(const std::string& address,
                                                                        std::string_view program);
    ~LogSyslog();
    LogSyslog(const LogSyslog&) = delete;
    LogSyslog& operator=(const LogSyslog&) = delete;

    /// What cannot be sent is lost.
    void write(LogLevel level, std::string_view text);

  private:
    explicit LogSyslog(std::string_view program) : program_(program) {}
    bool connect_local();
    bool send_line() const;

    std::string program_;
    std::string host_;                // our own, in what goes to another machine
    std::vector<std::string> paths_;  // of this machine's syslog; empty: it goes to another machine
    std::string line_;
    int descriptor_ = -1;
};

}  // namespace gateway
