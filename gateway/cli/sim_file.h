// A tree to simulate, as a file in the config language: `treegate sim --topology FILE`.
// Leaves to others: reading the language (gateway/conf), running it (routing/sim).
#pragma once

#include <string>

#include "gateway/conf/value.h"
#include "routing/base/result.h"
#include "routing/sim/plan.h"

namespace gateway::cli {

/// The longest distance.  Source: ours; a link by satellite is 0.3 s.
inline constexpr base::Duration sim_delay_max = std::chrono::seconds(10);

/// Reads
///
///     gateways {
///       hub   { region: eu, durable: true }
///       paris { join: hub, region: eu, clients: 4 }
///       ship  { join: [hub, paris], listen: false }
///     }
///     distances: [ { between: [hub, ship], delay: 300ms } ]
///
/// Every key of a gateway may be missing.  Keys: join, region, tags, durable, listen, max_children, clients.
/// Errors: a sentence with file and line.
[[nodiscard]] base::Result<routing::sim::TreePlan, std::string> read_tree_plan(const conf::Document& document);

}  // namespace gateway::cli
