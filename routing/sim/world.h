// One thread, virtual time, one seed: everything that happens in a simulation is an event in this queue.
// Leaves to others: what the events do (network, gateways, clients).
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "routing/base/prng.h"
#include "routing/base/time.h"

namespace routing::sim {

/// Virtual time and the queue of what is to happen, ordered by (time, order of being scheduled): the same seed gives
/// the same run.  Time moves only from event to event. Threads: one.
class World {
  public:
    using Action = std::function<void()>;

    explicit World(std::uint64_t seed);

    [[nodiscard]] base::Instant now() const { return now_; }
    /// The wall clock: starts at a fixed date and moves with virtual time.
    [[nodiscard]] base::WallMillis wall() const;
    [[nodiscard]] std::uint64_t seed() const { return seed_; }

    /// A random stream of its own for one purpose.  The same `salt` always gives the same stream, so that the use of
    /// one stream does not shift another's.
    [[nodiscard]] base::Prng stream(std::uint64_t salt) const { return base::Prng(seed_ ^ base::mix_bits(salt)); }

    /// Runs `action` at `when` (now, if that is past), after everything that was scheduled for that time before.
    void at(base::Instant when, Action action);
    void after(base::Duration delay, Action action) { at(now_ + delay, std::move(action)); }

    /// Runs the next event.  Returns false if there is none.
    bool step();
    /// Runs all events up to `when` and moves time there.
    /// Errors: false if more than `steps_max` events ran (no progress in time: two machines that feed each other).
    [[nodiscard]] bool run_until(base::Instant when, std::uint64_t steps_max);

    /// Events that ran so far.
    [[nodiscard]] std::uint64_t steps() const { return steps_; }

  private:
    struct Event {
        base::Instant when;
        std::uint64_t sequence;
        Action action;
    };
    struct Later {
        bool operator()(const Event& a, const Event& b) const {
            return a.when != b.when ? a.when > b.when : a.sequence > b.sequence;
        }
    };

    std::uint64_t seed_;
    base::Instant now_{};
    std::uint64_t sequence_ = 0;
    std::uint64_t steps_ = 0;
    std::vector<Event> heap_;
};

}  // namespace routing::sim
