// The log, in stock NATS's format, so that what greps its lines keeps working:
//
//     [4711] 2026/01/02 15:04:05.000000 [INF] Server is ready
//
// It goes to stderr, to a file (log_file), or to a syslog (log_syslog).
// Leaves to others: the texts, what they count.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include <unistd.h>

#include "gateway/config.h"
#include "gateway/log_file.h"
#include "gateway/log_output.h"
#include "gateway/log_syslog.h"
#include "routing/base/result.h"

namespace gateway {

/// The longest text of a line; what is longer is cut, so that no peer can fill a disk with one message.  Unit: bytes.
inline constexpr std::size_t log_line_bytes_max = 8 * 1024;

/// Writes each line with one system call, so lines of several processes in one file do not mix.
/// Threads: any.  Blocks as long as a disk does; for a pipe that nobody reads not longer than log_wait_ms_max, then
/// lines are lost, and how many is the next line that gets through. A control character in a text (a client may choose
/// its name) is written as \xHH, so nobody can forge a line.
class Log {
  public:
    Log() = default;  ///< to stderr, with the defaults of LogConfig
    ~Log() = default;
    Log(const Log&) = delete;
    Log& operator=(const Log&) = delete;

    /// Logs there and so from now on; at the start and after a reload.  A file takes precedence over a remote syslog,
    /// that over the local one, all over stderr, as in stock.  `program` names us in a syslog.
    /// Errors: a sentence; the log stays as it was.
    base::Result<void, std::string> configure(const LogConfig& config, std::string_view program);
    /// Opens the same file anew, after it was moved away (SIGUSR1).  Says so in the log; if it is none, that.
    void reopen();
    /// For a caller whose text is expensive to make.
    [[nodiscard]] bool writes(LogLevel level) const;

    void write(LogLevel level, std::string_view text);
    void trace(std::string_view text) { write(LogLevel::trace, text); }
    void debug(std::string_view text) { write(LogLevel::debug, text); }
    void info(std::string_view text) { write(LogLevel::info, text); }
    void warning(std::string_view text) { write(LogLevel::warning, text); }
    void error(std::string_view text) { write(LogLevel::error, text); }
    void fatal(std::string_view text) { write(LogLevel::fatal, text); }

  private:
    void format(LogLevel level, std::string_view text);
    void write_line(LogLevel level, std::string_view text);
    [[nodiscard]] bool put(std::string_view line);
    void rotate();

    std::mutex mutex_;  // of all but the two atomics
    std::string line_;
    std::unique_ptr<LogFile> file_;      // else
    std::unique_ptr<LogSyslog> syslog_;  // else stderr
    LogOutput stderr_{STDERR_FILENO};
    std::uint64_t lost_ = 0;  // lines since the last that got through
    std::uint32_t max_files_ = 0;
    bool time_ = true;
    bool time_utc_ = false;
    bool colors_ = false;
    std::atomic<bool> debug_ = false;
    std::atomic<bool> trace_ = false;
};

}  // namespace gateway
