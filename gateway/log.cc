#include "gateway/log.h"

#include <cerrno>
#include <cstring>
#include <ctime>
#include <iterator>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace gateway {

namespace {

constexpr int stderr_descriptor = 2;

/// Source: nats-server logger/log.go.
std::string_view label(LogLevel level) {
    switch (level) {
        case LogLevel::trace:
            return "TRC";
        case LogLevel::debug:
            return "DBG";
        case LogLevel::info:
            return "INF";
        case LogLevel::warning:
            return "WRN";
        case LogLevel::error:
            return "ERR";
        case LogLevel::fatal:
            return "FTL";
    }
    return "???";
}

void append_printable(std::string& out, std::string_view text) {
    for (const char c : text.substr(0, log_line_bytes_max)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) {
            fmt::format_to(std::back_inserter(out), "\\x{:02x}", byte);
        } else {
            out.push_back(c);
        }
    }
    if (text.size() > log_line_bytes_max) out += " ...";
}

int open_file(const std::string& path) {
    return open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

}  // namespace

Log::~Log() {
    if (descriptor_ != stderr_descriptor) close(descriptor_);
}

base::Result<void, std::string> Log::open(const std::string& path) {
    const int descriptor = open_file(path);
    if (descriptor < 0) return base::failure("cannot open the log file " + path + ": " + std::strerror(errno));
    const std::lock_guard lock(mutex_);
    if (descriptor_ != stderr_descriptor) close(descriptor_);
    descriptor_ = descriptor;
    path_ = path;
    return {};
}

void Log::reopen() {
    {
        const std::lock_guard lock(mutex_);
        if (path_.empty()) return;
        const int descriptor = open_file(path_);
        if (descriptor >= 0) {
            close(descriptor_);
            descriptor_ = descriptor;
        }  // else the old file is still better than none
    }
    info("File log re-opened");
}

void Log::set_levels(bool debug, bool trace) {
    debug_ = debug;
    trace_ = trace;
}

bool Log::writes(LogLevel level) const {
    if (level == LogLevel::trace) return trace_;
    if (level == LogLevel::debug) return debug_;
    return true;
}

void Log::write(LogLevel level, std::string_view text) {
    if (!writes(level)) return;
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    std::tm local{};
    localtime_r(&now.tv_sec, &local);
    const std::lock_guard lock(mutex_);
    line_.clear();
    fmt::format_to(std::back_inserter(line_), "[{}] {:04}/{:02}/{:02} {:02}:{:02}:{:02}.{:06} [{}] ", getpid(),
                   local.tm_year + 1900, local.tm_mon + 1, local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec,
                   now.tv_nsec / 1000, label(level));
    append_printable(line_, text);
    line_ += '\n';
    // A log that cannot be written is no reason to stop serving.
    [[maybe_unused]] const ssize_t written = ::write(descriptor_, line_.data(), line_.size());
}

}  // namespace gateway
