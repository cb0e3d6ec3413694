// Wakes a loop from another thread.  What is to be done waits in a queue of the owner's (gateway/shard_mail).
#pragma once

#include <functional>

#include "gateway/io/event_loop.h"

namespace gateway::io {

/// wake() from any thread makes `callback` run on the loop soon, at least once after the last wake().  Calls coalesce:
/// ten wakes may be one callback, so it must drain its queue until empty (put first, then wake).  What was written
/// before wake() is visible in the callback. Made, moved and destroyed on the loop's thread, after all threads that
/// wake it have ended or forgotten it.
class Mailbox {
  public:
    Mailbox() = default;
    Mailbox(EventLoop& loop, std::function<void()> callback);
    ~Mailbox();
    Mailbox(Mailbox&&) noexcept;
    Mailbox& operator=(Mailbox&&) noexcept;

    /// Threads: any.  Does not block.
    void wake();

    struct State;

  private:
    State* state_ = nullptr;  // freed in its close callback
};

}  // namespace gateway::io
