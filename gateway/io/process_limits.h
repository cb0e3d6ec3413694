// What a process asks of the system once, at its start, about the limits that it is held to.
// Leaves to others: how many descriptors are enough (gateway/server).
#pragma once

#include <cstdint>

namespace gateway::io {

/// Makes a write to a closed socket, or to a file above the limit of file sizes (ulimit -f), an error instead of a
/// death by SIGPIPE or SIGXFSZ.  Once, at start.
void ignore_write_signals();

/// Raises the soft limit of open files to the hard one.  Returns what holds now.  Once, at start.
/// Source: Go's runtime does so for stock (os/rlimit.go); many systems start a process with 1024.
std::uint64_t raise_open_files_limit();

}  // namespace gateway::io
