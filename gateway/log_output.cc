#include "gateway/log_output.h"

#include <cerrno>
#include <climits>
#include <string>

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace gateway {

LogOutput::LogOutput(int descriptor) : descriptor_(descriptor) {
    struct stat status {};
    if (fstat(descriptor, &status) == 0) may_be_full_ = !S_ISREG(status.st_mode);
}

bool LogOutput::has_room(int wait_ms) const {
    pollfd wanted{.fd = descriptor_, .events = POLLOUT, .revents = 0};
    int got = 0;
    do {
        got = poll(&wanted, 1, wait_ms);
    } while (got < 0 && errno == EINTR);
    return got > 0;  // also when it is broken: then the write says so
}

bool LogOutput::write(std::string_view line) {
    // So much goes into a pipe, a socket or a terminal that has room at all, so the write does not wait.
    const std::size_t piece_bytes = may_be_full_ ? PIPE_BUF : line.size();
    std::string after_torn;
    if (torn_) {
        after_torn.append("\n").append(line);
        line = after_torn;
    }
    bool begun = false;
    while (!line.empty()) {
        const bool room = !may_be_full_ || has_room(patient_ ? log_wait_ms_max : 0);
        if (!room) patient_ = false;
        const std::string_view piece = line.substr(0, piece_bytes);
        const ssize_t written = room ? ::write(descriptor_, piece.data(), piece.size()) : -1;
        if (room && written < 0 && errno == EINTR) continue;
        if (written < 0) {
            torn_ = torn_ || begun;
            return false;
        }
        line.remove_prefix(static_cast<std::size_t>(written));
        begun = true;
        torn_ = false;
    }
    patient_ = true;
    return true;
}

}  // namespace gateway
