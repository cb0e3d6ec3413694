// The log, in stock NATS's format, so that what greps its lines keeps working:
//
//     [4711] 2026/01/02 15:04:05.000000 [INF] Server is ready
//
// Leaves to others: the texts, what they count.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "routing/base/result.h"

namespace gateway {

enum class LogLevel : std::uint8_t { trace, debug, info, warning, error, fatal };

/// The longest line; what is longer is cut, so that no peer can fill a disk with one message.  Unit: bytes of text.
inline constexpr std::size_t log_line_bytes_max = 8 * 1024;

/// Writes each line with one system call, so lines of several processes in one file do not mix.
/// Threads: any.  Blocks as long as the file does.
/// A control character in a text (a client may choose its name) is written as \xHH, so nobody can forge a line.
class Log {
  public:
    Log() = default;  ///< to stderr
    ~Log();
    Log(const Log&) = delete;
    Log& operator=(const Log&) = delete;

    /// Appends to the file `path` from now on.  Errors: a sentence; the log stays where it was.
    base::Result<void, std::string> open(const std::string& path);
    /// Opens the same file anew, after it was moved away (SIGUSR1).  To stderr: does nothing.
    void reopen();
    /// Both are off at first; the other levels are always on.
    void set_levels(bool debug, bool trace);
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
    std::mutex mutex_;  // of the three below
    std::string path_;
    std::string line_;
    int descriptor_ = 2;
    std::atomic<bool> debug_ = false;
    std::atomic<bool> trace_ = false;
};

}  // namespace gateway
