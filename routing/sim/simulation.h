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

namespace routing::sim {

/// One run.  Everything that is drawn comes from `seed`.
struct SimulationOptions {
    std::uint64_t seed = 1;
    std::uint32_t gateways = 0;  ///< 0: drawn, 3 to 8, in one of ten seeds up to 20
    std::uint32_t clients_per_gateway = 2;
    std::uint32_t actions = 300;                      ///< things that clients do while faults happen
    std::uint32_t faults = 12;                        ///< crashes, cuts, resets, pauses
    base::Duration storm = std::chrono::seconds(40);  ///< time over which actions and faults are spread
    bool durable = true;  ///< some gateways have durable filters and crash with unsynced stores
    bool chain = false;   ///< gateway i joins i-1; else any one before it
    NetworkOptions network;
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
    /// Of everything that clients got, in order: the same for every run with the same options.
    std::uint64_t fingerprint = 0;
    base::Duration recovered_after{};  ///< from the last fault to one stable tree
    [[nodiscard]] bool ok() const { return failures.empty(); }
};

[[nodiscard]] SimulationResult simulate(const SimulationOptions& options);

/// `treegate sim --seed S --seeds N --gateways G`.
struct SimulationBatch {
    std::uint64_t seed = 1;   ///< the first
    std::uint64_t seeds = 1;  ///< how many, ascending
    std::uint32_t gateways = 0;
    bool verbose = false;  ///< one line per seed, and what the gateways logged in failed ones
    std::uint64_t steps_max = SimulationOptions{}.steps_max;
    std::function<void(std::string_view line)> print;  ///< gets lines without their end
};

/// Runs the batch.  A failure prints its sentences, the seed and the one command that repeats it.
/// Returns the exit code: 0 if all runs were well, else 1.
int run_simulation(const SimulationBatch& batch);

}  // namespace routing::sim
