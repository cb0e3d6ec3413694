// A tree that somebody wants to see under faults: who joins whom, from how far away.
// Leaves to others: where it is written (gateway/cli/sim_file), what happens in it (simulation).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "routing/base/time.h"

namespace routing::sim {

/// Most gateways of one run: what the tree is built for.  Source: DESIGN 4.4.
inline constexpr std::size_t plan_gateways_max = 256;
inline constexpr std::size_t plan_clients_max = 64;  ///< of one gateway
inline constexpr std::size_t plan_clients_min = 3;   ///< of all: the services need somebody

struct PlannedGateway {
    std::string name;
    std::vector<std::size_t> join;  ///< places in TreePlan::gateways
    std::string region;
    std::vector<std::string> tags;
    bool durable = false;  ///< orders.> is durable by its configuration; for all, if for one
    bool listens = true;   ///< others can dial it
    std::size_t max_children = 10;
    std::uint32_t clients = 2;
};

/// All between the two takes so much longer, each way.
struct PlannedDistance {
    std::size_t a = 0;
    std::size_t b = 0;
    base::Duration delay{};
};

struct TreePlan {
    std::vector<PlannedGateway> gateways;  ///< at least two
    std::vector<PlannedDistance> distances;
};

}  // namespace routing::sim
