// A log's file: appended to, begun anew above a size, old ones kept up to a number.
// Leaves to others: what a line looks like (log).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/log_output.h"
#include "routing/base/result.h"

namespace gateway {

/// Threads: one at a time.
class LogFile {
  public:
    /// `size_limit`: bytes; 0: it may grow.  Errors: a sentence that names the file.
    static base::Result<std::unique_ptr<LogFile>, std::string> open(const std::string& path, std::uint64_t size_limit);
    ~LogFile();
    LogFile(const LogFile&) = delete;
    LogFile& operator=(const LogFile&) = delete;

    /// False: it is lost.  A log that cannot be written is no reason to stop serving.
    bool write(std::string_view line);
    /// Whether the last line brought it above its limit.
    [[nodiscard]] bool is_full() const { return size_limit_ != 0 && size_ > size_limit_; }
    /// Opens the file of that name anew; if that fails, the old one goes on.
    void reopen();

    /// Renames the file to `<path>.2026.01.02.15.04.05.000000000` (local time) and begins a new one.  Returns the name.
    /// Errors: a sentence; the old one goes on, and its limit is doubled so that the next attempt is not the next line.
    /// Source: nats-server logger/log.go, fileLogger.Write.
    base::Result<std::string, std::string> rotate();
    /// Removes the oldest files that rotate() made until `files_max` are left, the current one counted.
    /// Returns the names of those that it removed, without their folder.
    [[nodiscard]] std::vector<std::string> purge(std::uint32_t files_max) const;

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::uint64_t size_limit() const { return size_limit_; }

  private:
    LogFile(std::string path, int descriptor, std::uint64_t size_limit);
    void take(int descriptor);

    std::string path_;
    int descriptor_ = -1;
    LogOutput output_{-1};
    std::uint64_t size_ = 0;
    std::uint64_t size_limit_;
    std::uint64_t size_limit_asked_;
};

}  // namespace gateway
