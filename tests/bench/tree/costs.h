// What the tree's machines cost by themselves: no sockets, no other process, one thread.  Each part gives figures by
// the names that tests/bench/tables.py knows.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace bench {

struct CostOptions {
    std::uint32_t gateways = 10;  // in the tree
    std::uint32_t filters = 100;  // of each gateway
    bool small = false;           // few repetitions: the figures are rough
};

/// Something that must be so is not: the figures would mean nothing.
struct Broken : std::runtime_error {
    using std::runtime_error::runtime_error;
};

using Figures = std::vector<std::pair<std::string, double>>;

/// A record that passes through: one label of many, named by a path in a tree of that many gateways.
Figures transit_costs(const CostOptions& options);
/// The path to all gateways of a tree: its number, its definition, making it, passing it on.
Figures path_costs(const CostOptions& options);
/// All gateways as Trees on a simulated network: what each holds, and what a link carries when it stands again.
Figures sync_costs(const CostOptions& options);

/// CPU seconds of this thread so far.
double thread_seconds();

}  // namespace bench
