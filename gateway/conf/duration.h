// Spans of time as Go writes them: "10s", "1h30m", "1.5ms", because config files and logs of stock nats-server do.
// Pure.  Leaves to others: what a bare number means (gateway/conf/options).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "routing/base/time.h"

namespace gateway::conf {

/// Reads what Go's time.ParseDuration reads: an optional sign, then numbers with units ns, us (µs, μs), ms, s, m, h;
/// or a plain 0.  Nothing if it is none or does not fit.
[[nodiscard]] std::optional<base::Duration> parse_duration(std::string_view text);

/// Writes as Go's time.Duration does: "2m0s", "1.5s", "50µs", "0s".
[[nodiscard]] std::string duration_text(base::Duration duration);

}  // namespace gateway::conf
