// Time as a value: pure code is told the time and never asks a clock.
#pragma once

#include <chrono>
#include <cstdint>

namespace base {

/// The monotonic clock of one process (or of the simulator).  Never compared between processes.
struct Monotonic {
    using rep = std::int64_t;
    using period = std::nano;
    using duration = std::chrono::nanoseconds;
    using time_point = std::chrono::time_point<Monotonic>;
    static constexpr bool is_steady = true;
};

using Duration = std::chrono::nanoseconds;
using Instant = Monotonic::time_point;

/// "Never", for deadlines.
inline constexpr Instant instant_max = Instant::max();

/// Wall-clock time.  Unit: milliseconds since 1970-01-01 UTC.  Used for claims and for display, never for order.
using WallMillis = std::int64_t;

}  // namespace base
