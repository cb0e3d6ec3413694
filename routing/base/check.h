// Assertions that stay on in release: a broken invariant of ours ends the process before it can do harm.
// Never for what a peer, a user or the disk may do wrong: those are values (see result.h).
#pragma once

#include <cstdio>
#include <cstdlib>

namespace base {

[[noreturn]] inline void check_failed(const char* condition, const char* file, int line) {
    std::fprintf(stderr, "treegate: internal error: %s is false at %s:%d\n", condition, file, line);
    std::abort();
}

}  // namespace base

/// Ends the process with a message if `condition` is false.  Evaluated in every build.
#define BASE_CHECK(condition) \
    (static_cast<bool>(condition) ? static_cast<void>(0) : ::base::check_failed(#condition, __FILE__, __LINE__))
