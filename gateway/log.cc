#include "gateway/log.h"

#include <ctime>
#include <iterator>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

namespace gateway {

namespace {

/// Source: nats-server logger/log.go, for files and for terminals.
struct Label {
    std::string_view name;
    std::string_view color;
};
Label label(LogLevel level) {
    switch (level) {
        case LogLevel::trace:
            return {"TRC", "33"};
        case LogLevel::debug:
            return {"DBG", "36"};
        case LogLevel::info:
            return {"INF", "32"};
        case LogLevel::warning:
            return {"WRN", "0;93"};
        case LogLevel::error:
            return {"ERR", "31"};
        case LogLevel::fatal:
            return {"FTL", "31"};
    }
    return {"???", "31"};
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

}  // namespace

base::Result<void, std::string> Log::configure(const LogConfig& config, std::string_view program) {
    std::unique_ptr<LogFile> file;
    std::unique_ptr<LogSyslog> syslog;
    if (!config.file.empty()) {
        auto opened = LogFile::open(config.file, config.size_limit);
        if (!opened.ok()) return base::failure(opened.error());
        file = std::move(opened).value();
    } else if (!config.remote_syslog.empty()) {
        auto opened = LogSyslog::remote(config.remote_syslog, program);
        if (!opened.ok()) return base::failure(opened.error());
        syslog = std::move(opened).value();
    } else if (config.syslog) {
        auto opened = LogSyslog::local(program);
        if (!opened.ok()) return base::failure(opened.error());
        syslog = std::move(opened).value();
    }
    const std::lock_guard lock(mutex_);
    file_ = std::move(file);
    syslog_ = std::move(syslog);
    max_files_ = config.max_files;
    time_ = config.time;
    time_utc_ = config.time_utc;
    colors_ = file_ == nullptr && isatty(STDERR_FILENO) == 1;
    debug_ = config.debug;
    trace_ = config.trace;
    if (file_ && file_->is_full()) rotate();
    return {};
}

void Log::reopen() {
    bool is_file = false;
    {
        const std::lock_guard lock(mutex_);
        is_file = file_ != nullptr;
        if (is_file) file_->reopen();
    }
    info(is_file ? "File log re-opened" : "File log re-open ignored, not a file logger");
}

bool Log::writes(LogLevel level) const {
    if (level == LogLevel::trace) return trace_;
    if (level == LogLevel::debug) return debug_;
    return true;
}

void Log::write(LogLevel level, std::string_view text) {
    if (!writes(level)) return;
    const std::lock_guard lock(mutex_);
    write_line(level, text);
    if (file_ && file_->is_full()) rotate();
}

/// The whole line into line_.
void Log::format(LogLevel level, std::string_view text) {
    line_.clear();
    if (!syslog_) {
        fmt::format_to(std::back_inserter(line_), "[{}] ", getpid());
        if (time_) {
            timespec now{};
            clock_gettime(CLOCK_REALTIME, &now);
            std::tm parts{};
            if (time_utc_) {
                gmtime_r(&now.tv_sec, &parts);
            } else {
                localtime_r(&now.tv_sec, &parts);
            }
            fmt::format_to(std::back_inserter(line_), "{:04}/{:02}/{:02} {:02}:{:02}:{:02}.{:06} ",
                           parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min,
                           parts.tm_sec, now.tv_nsec / 1000);
        }
        const auto [name, color] = label(level);
        if (colors_) {
            fmt::format_to(std::back_inserter(line_), "[\x1b[{}m{}\x1b[0m] ", color, name);
        } else {
            fmt::format_to(std::back_inserter(line_), "[{}] ", name);
        }
    }
    append_printable(line_, text);
    if (!syslog_) line_ += '\n';
}

bool Log::put(std::string_view line) {
    return file_ ? file_->write(line) : stderr_.write(line);
}

void Log::write_line(LogLevel level, std::string_view text) {
    if (syslog_) {
        format(level, text);
        syslog_->write(level, line_);
        return;
    }
    if (lost_ != 0) {
        format(LogLevel::warning, fmt::format("{} lines of the log are lost: it could not be written", lost_));
        if (!put(line_)) {
            ++lost_;
            return;
        }
        lost_ = 0;
    }
    format(level, text);
    if (!put(line_)) ++lost_;
}

void Log::rotate() {
    const auto backup = file_->rotate();
    if (!backup.ok()) return write_line(LogLevel::error, backup.error());
    write_line(LogLevel::info, fmt::format("Rotated log, backup saved as \"{}\"", backup.value()));
    for (const std::string& name : file_->purge(max_files_)) {
        write_line(LogLevel::info, fmt::format("Purged log file \"{}\"", name));
    }
}

}  // namespace gateway
