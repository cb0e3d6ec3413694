#include "routing/sim/world.h"

#include <algorithm>

namespace routing::sim {

namespace {

/// Where the simulated wall clock starts: 2026-01-01 UTC.  Any fixed date does.
constexpr base::WallMillis wall_start = 1'767'225'600'000;

}  // namespace

World::World(std::uint64_t seed) : seed_(seed) {
    // Not at zero: a machine that treats a default Instant as "long ago" must see one that is.
    now_ = base::Instant(std::chrono::hours(1));
}

base::WallMillis World::wall() const {
    return wall_start + std::chrono::duration_cast<std::chrono::milliseconds>(now_.time_since_epoch()).count();
}

void World::at(base::Instant when, Action action) {
    heap_.push_back(Event{std::max(when, now_), sequence_++, std::move(action)});
    std::push_heap(heap_.begin(), heap_.end(), Later{});
}

bool World::step() {
    if (heap_.empty()) return false;
    std::pop_heap(heap_.begin(), heap_.end(), Later{});
    const Event event = std::move(heap_.back());
    heap_.pop_back();
    now_ = event.when;
    ++steps_;
    event.action();
    return true;
}

bool World::run_until(base::Instant when, std::uint64_t steps_max) {
    const std::uint64_t limit = steps_ + steps_max;
    while (!heap_.empty() && heap_.front().when <= when) {
        if (steps_ >= limit) return false;
        step();
    }
    now_ = std::max(now_, when);
    return true;
}

}  // namespace routing::sim
