// Several durable engines on one thread: a network that drops, repeats and reorders, stores that are slow, fail, forget
// what was not synced and are restored from old backups, clients that come and go.  One seed replays everything.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "routing/base/prng.h"
#include "routing/queue/durable.h"
#include "routing/queue/memory_store.h"

namespace flows {

/// All faults in one place.  Chances are per 1,000.
struct Faults {
    std::uint32_t drop = 50;
    std::uint32_t repeat = 50;
    std::uint32_t late = 100;  ///< a packet takes up to a second instead of milliseconds
    bool crashes = true;       ///< kill -9 and loss of power, at any moment
    bool store_failures = true;
    bool backups = true;  ///< old backups of either side are restored
    bool cuts = true;
    bool clients_leave = true;
};

struct Options {
    std::uint64_t seed = 1;
    Faults faults;
    std::uint32_t gateways = 3;
    std::uint32_t steps = 80;
};

/// Runs one history to its end.  Gives nothing if all that was promised held, else what did not.
[[nodiscard]] std::optional<std::string> run(const Options& options);

/// What a history went through; to see that the faults do happen.
struct Totals {
    std::uint64_t published = 0;
    std::uint64_t acknowledged = 0;
    std::uint64_t applied = 0;
    std::uint64_t crashes = 0;
    std::uint64_t restores = 0;
    std::uint64_t losses = 0;
    std::uint64_t lost_records = 0;
    std::uint64_t repeats = 0;
    std::uint64_t gaps = 0;
    std::uint64_t go_backs = 0;
    std::uint64_t resent = 0;
    std::uint64_t store_failures = 0;
    std::uint64_t delivered = 0;
    std::uint64_t delivered_again = 0;
    std::uint64_t trims = 0;
};
[[nodiscard]] Totals& totals();

}  // namespace flows
