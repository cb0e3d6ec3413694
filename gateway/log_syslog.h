// A log's lines as syslog messages: of this machine by libc, of another as UDP datagrams.
// Leaves to others: the texts, which carry neither time nor level (log).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "routing/base/result.h"

namespace gateway {

enum class LogLevel : std::uint8_t { trace, debug, info, warning, error, fatal };

/// Threads: one at a time.
class LogSyslog {
  public:
    /// The syslog of this machine, facility daemon.  One at a time per process.
    static std::unique_ptr<LogSyslog> local(std::string_view program);
    /// `address`: "udp://host:port" (without a port: 514).  Resolves the host.  Errors: a sentence.
    static base::Result<std::unique_ptr<LogSyslog>, std::string> remote(const std::string& address,
                                                                        std::string_view program);
    ~LogSyslog();
    LogSyslog(const LogSyslog&) = delete;
    LogSyslog& operator=(const LogSyslog&) = delete;

    /// What cannot be sent is lost.
    void write(LogLevel level, std::string_view text);

  private:
    LogSyslog(std::string_view program, int descriptor) : program_(program), descriptor_(descriptor) {}

    std::string program_;  // libc keeps a pointer to it
    std::string host_;     // our own, in what goes to another machine
    std::string line_;
    int descriptor_;  // -1: libc's
};

}  // namespace gateway
