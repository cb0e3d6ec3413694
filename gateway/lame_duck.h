// When clients are closed before the end, so that they come back elsewhere one by one and not as a storm.
// Pure: time and randomness are arguments.  Leaves to others: closing them, and what they are told (gateway/server).
#pragma once

#include <cstdint>

#include "gateway/config.h"
#include "routing/base/prng.h"
#include "routing/base/time.h"

namespace gateway {

/// The longest wait between two closes.  Source: nats-server server/server.go lameDuckMode.
inline constexpr base::Duration lame_duck_gap_max = std::chrono::seconds(1);

/// A timetable: nothing during the grace period, then one client after the other within what is left of the duration,
/// each after a random wait of half a gap to a whole one, a gap being at most lame_duck_gap_max.
/// Source: nats-server server/server.go lameDuckMode.
class LameDuckClock {
  public:
    /// `clients` are those that are there now.
    LameDuckClock(base::Instant now, std::uint64_t clients, const LameDuckConfig& config);

    /// When the next client is to be closed; the first time is the end of the grace period.
    [[nodiscard]] base::Instant next() const { return next_; }
    /// How many are to be closed now; none before next().
    [[nodiscard]] std::uint64_t due(base::Instant now, base::Prng& prng);
    /// True once as many were due as there were at the beginning.
    [[nodiscard]] bool over() const { return left_ == 0; }

  private:
    base::Duration gap_;
    base::Instant next_;
    std::uint64_t left_;
};

}  // namespace gateway
