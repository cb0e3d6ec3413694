// Program text that only the start needed: let go, so that an idle process holds what it uses and no more.
#pragma once

#include <cstddef>

namespace gateway {

/// Unmaps the pages of all code and constants that are loaded, of the program and of its libraries.  They are unchanged
/// copies of files: what is needed after all comes back from the page cache, 64 KiB at a time, at a microsecond each.
/// Loading, relocating and initialising touch some 8 MB of which a process that waits for clients uses a fifth.
/// Threads: any, also while others run.  Cost: a system call per segment.
/// Returns how much address space that was; 0 under a debugger, whose breakpoints are in these pages.  Unit: bytes.
std::size_t drop_start_pages();

}  // namespace gateway
