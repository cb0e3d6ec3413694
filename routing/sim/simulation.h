// Whole trees of gateways under a seed: what happens in one run, and a batch of runs for `treegate sim` and tests/sim.
// The gateways are the product's own machines (Node, Router, the durable engine); network, store, clients and faults
// are simulated.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "routing/base/time.h"
#include "routing/sim/network.h"
#include "routing/sim/plan.h"
#include "routing/sim/sabotage.h"

namespace routing::sim {

/// What no gateway may exceed, whatever goes on.
struct SimulationBounds {
    /// Of one link, on all lanes.  Unit: bytes not yet taken by the network.  Source: what lanes may hold at most
    /// (routing/peer/channel.h) is far above what so few clients can write.
    std::size_t unsent_bytes_max = std::size_t{4} * 1024 * 1024;
    /// The same when all is quiet and the last message has arrived: a heartbeat that has just been written.
    std::size_t unsent_bytes_quiet = 1024;
    /// Paths of one label table.  Source: routing/peer/labels.h label_slots.
    std::size_t labels_max = 16384;
    /// Bytes of the definitions in one label table.  Source: routing/peer/labels.h label_table_bytes_max.
    std::size_t definition_bytes_max = std::size_t{8} * 1024 * 1024;
    /// Entries of a gateway's log that are not interest of its clients: what it says of itself, and its links.
    std::size_t log_entries_of_gateway = 24;
    /// Pages of an origin's log when every target has everything.
    std::size_t origin_pages_quiet = 0;
};

/// One run.  Everything that is drawn comes from `seed`.
struct SimulationOptions {
    std::uint64_t seed = 1;
    std::uint32_t gateways = 0;      ///< 0: drawn, 3 to 8, in one of ten seeds up to 20
    const TreePlan* plan = nullptr;  ///< these gateways and distances instead of drawn ones; borrowed for the run
    std::uint32_t clients_per_gateway = 2;
    std::uint32_t actions = 300;                      ///< things that clients do while faults happen
    std::uint32_t faults = 12;                        ///< crashes, cuts, resets, pauses
    base::Duration storm = std::chrono::seconds(40);  ///< time over which actions and faults are spread
    bool durable = true;  ///< some gateways have durable filters and crash with unsynced stores
    bool backups = true;  ///< data directories are restored from old backups
    bool chain = false;   ///< gateway i joins i-1; else any one before it
    NetworkOptions network;
    SimulationBounds bounds;
    Sabotage sabotage = Sabotage::none;  ///< of every gateway
    /// Longest time after the last fault until there is one stable tree with equal logs.  Unit: virtual time.
    base::Duration tree_recovery_max = std::chrono::seconds(30);
    /// Longest time after the last fault until all is well again.  Unit: virtual time.
    base::Duration recovery_max = std::chrono::seconds(120);
    bool log_of_failures = false;  ///< a failed run's result holds what the gateways logged
    /// Events in one run; more is no progress.  At least as many as `gateways` of that number need.
    std::uint64_t steps_max = 20'000'000;
};

/// What a run did.
struct SimulationResult {
    std::vector<std::string> failures;  ///< sentences; none: all is well
    std::vector<std::string> log;       ///< see SimulationOptions::log_of_failures
    std::uint32_t gateways = 0;
    std::uint64_t steps = 0;
    std::uint64_t messages = 0;
    std::uint64_t deliveries = 0;
    std::uint64_t acknowledged = 0;  ///< durable messages
    std::uint64_t crashes = 0;
    std::uint64_t cuts = 0;
    std::uint64_t restores = 0;     ///< of old backups
    std::uint64_t sends = 0;        ///< numbered volatile messages, once per link
    std::vector<std::string> tree;  ///< who is whose child in the end: a line for each gateway, indented
    /// Of everything that clients got, in order: the same for every run with the same options.
    std::uint64_t fingerprint = 0;
    base::Duration recovered_after{};  ///< from the last fault to one stable tree
    [[nodiscard]] bool ok() const { return failures.empty(); }
};

[[nodiscard]] SimulationResult simulate(const SimulationOptions& options);

/// Several runs, ascending seeds.
struct SimulationBatch {
    std::uint64_t seed = 1;   ///< the first
    std::uint64_t seeds = 1;  ///< how many
    std::uint32_t gateways = 0;
    const TreePlan* plan = nullptr;  ///< borrowed
    std::string flags;               ///< what else the command that repeats a run needs
    bool verbose = false;            ///< one line per seed, and what the gateways logged in failed ones
    std::uint64_t steps_max = SimulationOptions{}.steps_max;
    [[nodiscard]] SimulationOptions options(std::uint64_t index) const;
};

/// What a batch came to.
struct SimulationSummary {
    std::uint64_t seeds = 0;
    std::uint64_t failed = 0;
    std::uint64_t messages = 0, deliveries = 0, acknowledged = 0, crashes = 0, cuts = 0, restores = 0, sends = 0;
    base::Duration recovered_longest{};
    void add(const SimulationResult& result);
    /// One line.
    [[nodiscard]] std::string text() const;
};

/// What there is to print of run `index` of the batch: nothing if all was well and the batch is not verbose, else what
/// happened, what was wrong, and the one command that repeats it.
[[nodiscard]] std::vector<std::string> report(const SimulationBatch& batch, std::uint64_t index,
                                              const SimulationResult& result);

}  // namespace routing::sim
