#include "gateway/log_file.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <limits>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace gateway {

namespace {

/// What a rotated file's name ends with; each 0 is a digit.  Source: nats-server logger/log.go.
constexpr std::string_view stamp_form = ".0000.00.00.00.00.00.000000000";

/// Does not wait for the reader of a pipe: then it is an error.
int open_file(const std::string& path) {
    return open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
}

bool is_stamp(std::string_view text) {
    return std::equal(text.begin(), text.end(), stamp_form.begin(), stamp_form.end(),
                      [](char c, char form) { return form == '0' ? c >= '0' && c <= '9' : c == form; });
}

std::string stamp_now() {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    std::tm local{};
    localtime_r(&now.tv_sec, &local);
    return fmt::format(".{:04}.{:02}.{:02}.{:02}.{:02}.{:02}.{:09}", local.tm_year + 1900, local.tm_mon + 1,
                       local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec, now.tv_nsec);
}

}  // namespace

base::Result<std::unique_ptr<LogFile>, std::string> LogFile::open(const std::string& path, std::uint64_t size_limit) {
    const int descriptor = open_file(path);
    if (descriptor < 0) return base::failure("cannot open the log file " + path + ": " + std::strerror(errno));
    return std::unique_ptr<LogFile>(new LogFile(path, descriptor, size_limit));
}

LogFile::LogFile(std::string path, int descriptor, std::uint64_t size_limit)
    : path_(std::move(path)), size_limit_(size_limit), size_limit_asked_(size_limit) {
    take(descriptor);
}

LogFile::~LogFile() {
    close(descriptor_);
}

void LogFile::take(int descriptor) {
    if (descriptor_ >= 0) close(descriptor_);
    descriptor_ = descriptor;
    output_ = LogOutput(descriptor);
    struct stat status {};
    size_ = fstat(descriptor, &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

bool LogFile::write(std::string_view line) {
    if (!output_.write(line)) return false;
    size_ += line.size();
    return true;
}

void LogFile::reopen() {
    if (const int descriptor = open_file(path_); descriptor >= 0) take(descriptor);
}

base::Result<std::string, std::string> LogFile::rotate() {
    std::string backup = path_ + stamp_now();
    const auto failed = [this](const char* what) {
        const int wrong = errno;
        constexpr auto most = std::numeric_limits<std::uint64_t>::max() / 2;
        size_limit_ = std::min(size_limit_, most) * 2;
        return base::failure(
            fmt::format("Unable to {} logfile for rotation ({}), will attempt next rotation at size {}", what,
                        std::strerror(wrong), size_limit_));
    };
    if (std::rename(path_.c_str(), backup.c_str()) != 0) return failed("rename");
    const int descriptor = open_file(path_);
    if (descriptor < 0) return failed("open");
    take(descriptor);
    size_limit_ = size_limit_asked_;
    return backup;
}

std::vector<std::string> LogFile::purge(std::uint32_t files_max) const {
    std::vector<std::string> removed;
    if (files_max == 0) return removed;
    const std::filesystem::path path(path_);
    const std::string name = path.filename().string();
    const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
    std::vector<std::string> backups;
    std::error_code wrong;
    for (auto entry = std::filesystem::directory_iterator(folder, wrong);
         !wrong && entry != std::filesystem::directory_iterator(); entry.increment(wrong)) {
        std::string other = entry->path().filename().string();
        if (other.starts_with(name) && is_stamp(std::string_view(other).substr(name.size()))) {
            backups.push_back(std::move(other));
        }
    }
    std::sort(backups.begin(), backups.end());  // the stamps sort by time
    for (std::size_t left = backups.size(); left > files_max - 1; --left) {
        std::string& oldest = backups[backups.size() - left];
        if (unlink((folder / oldest).c_str()) != 0) break;  // the next rotation tries again
        removed.push_back(std::move(oldest));
    }
    return removed;
}

}  // namespace gateway
