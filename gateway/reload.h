// What a changed config file would do to a gateway that runs: as a whole, or not at all.
// Pure.  Leaves to others: reading the file again (config), applying it (server).
#pragma once

#include <string>
#include <vector>

#include "gateway/config.h"

namespace gateway {

struct ReloadPlan {
    /// What cannot change while the gateway runs, a sentence each: "config reload not supported for Port: old=4222,
    /// new=4333".  Not empty: nothing may be applied.
    std::vector<std::string> errors;
    /// A line for the log each, in stock's words: "Reloaded: max_connections = 5".  Both empty: nothing changes.
    std::vector<std::string> changes;
};

/// Compares what a gateway runs with and what it is to run with.  A client port of 0 in `wanted` (any free one) is
/// no change; warnings, the file's name and its digest are none either.
/// Source: nats-server reload.go diffOptions: what may change there may here, and its names are the ones in errors.
[[nodiscard]] ReloadPlan plan_reload(const Config& running, const Config& wanted);

}  // namespace gateway
