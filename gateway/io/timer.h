// Calls back once, at a time or after a while.
#pragma once

#include <functional>

#include "gateway/io/event_loop.h"
#include "routing/base/time.h"

namespace gateway::io {

/// One-shot; to repeat, set it again in the callback.  Never early; late by up to a millisecond and by what the loop is
/// busy with.  Threads: the loop's.  The callback may set, clear or destroy the timer.
class Timer {
  public:
    Timer() = default;
    Timer(EventLoop& loop, std::function<void()> callback);
    ~Timer();
    Timer(Timer&&) noexcept;
    Timer& operator=(Timer&&) noexcept;

    /// Replaces what was set before.  A time in the past: in the next turn.  base::instant_max: clears it.
    void set_at(base::Instant when);
    void set_after(base::Duration delay);
    void clear();
    [[nodiscard]] bool is_set() const;

    struct State;

  private:
    State* state_ = nullptr;  // freed in its close callback
};

}  // namespace gateway::io
