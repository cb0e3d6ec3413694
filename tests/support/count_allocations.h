// Counts every allocation of the process.  A test program that links count_allocations.cc must do nothing else: it
// replaces operator new as a whole.
#pragma once

#include <cstddef>

namespace support {

/// Allocations of the process so far, of any size and kind.  Threads: any.
std::size_t allocations();
/// Bytes that they asked for, whatever was freed since.  Threads: any.
std::size_t allocated_bytes();

}  // namespace support
