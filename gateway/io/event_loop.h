// One event loop: the world of one shard's thread.  Everything in gateway/io belongs to exactly one loop.
//
// A turn: timers -> turn end -> sleep until something happens -> sockets, mailboxes, signals -> turn end -> close
// callbacks.  The turn end runs on both sides of the sleep, so what any callback left to send goes out before the loop
// sleeps.
//
// Leaves to others: what happens in a turn (gateway/shard).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "routing/base/time.h"

namespace gateway::io {

namespace detail {
struct LoopState;
}

/// The buffer that all connections of a loop read into.  Unit: bytes.
/// Source: reference measurements, 64 KiB -> 1 MiB gives 1.4 to 1.7 times the rate from 1 KiB payloads on; half of it
/// stays in the second-level cache of most machines.
inline constexpr std::size_t read_bytes_max = 512 * 1024;

/// Owns a libuv loop.
/// Threads: made anywhere, then used by the thread that calls run() alone.  From other threads: Mailbox::wake only.
/// Destroy after everything that was made on it; the destructor waits for their close callbacks (it never sleeps).
class EventLoop {
  public:
    EventLoop();
    ~EventLoop();
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;

    /// Looks for work without sleeping for up to `spin` after each piece of work, but only while pieces come faster
    /// than that: sparse traffic would only heat a core.  0: never (the default).  Before run(); run_turn() never
    /// spins. Source: reference measurements, 50 us halve the latency of one request at a time for a third more CPU.
    void set_spin(base::Duration spin);
    /// How many turns were made while spinning.
    [[nodiscard]] std::uint64_t spins() const;

    /// Runs until stop(), or until nothing is left that could ever call back.
    void run();
    /// Runs one turn; sleeps in it unless something is ready.  Returns false if nothing is left that could call back.
    bool run_turn();
    /// Makes run() return after this turn.  From a callback of this loop only (other threads: wake a Mailbox).
    void stop();

    /// The monotonic time, read once per half turn (so a long callback does not see it move).
    [[nodiscard]] base::Instant now() const;
    /// The wall clock, read now.
    [[nodiscard]] static base::WallMillis wall_millis();

    /// `callback` runs twice a turn: before the loop sleeps and after what woke it was handled.  Here output is
    /// flushed. It must be cheap when there is nothing to do.
    void set_turn_end(std::function<void()> callback);

    /// For gateway/io alone.
    [[nodiscard]] detail::LoopState& state() { return *state_; }

  private:
    std::unique_ptr<detail::LoopState> state_;
};

}  // namespace gateway::io
