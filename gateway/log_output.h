// Lines to a descriptor that may take nothing: stderr is often a pipe, and who reads it may rest (a stalled container
// runtime, a pager).  A gateway must go on then, so lines are lost rather than waited for.
// Leaves to others: what a line looks like, and to say how many were lost (log).
#pragma once

#include <string_view>

namespace gateway {

/// How long the first line that finds no room is waited for; those after it not at all, until one got through.
/// Unit: milliseconds.  Source: ours; a reader that is only slow empties a pipe in less.
inline constexpr int log_wait_ms_max = 100;

/// Threads: one at a time.  Borrows: the descriptor.
class LogOutput {
  public:
    explicit LogOutput(int descriptor);

    /// False: the line, or its end, is lost.
    [[nodiscard]] bool write(std::string_view line);

  private:
    [[nodiscard]] bool has_room(int wait_ms) const;

    int descriptor_;
    bool may_be_full_ = true;  // it is no plain file
    bool patient_ = true;
    bool torn_ = false;  // the last line stopped in its middle
};

}  // namespace gateway
