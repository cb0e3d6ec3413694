// `treegate sim`: runs the simulator (routing/sim) over a range of seeds, as its failure reports ask for.
#pragma once

#include <iosfwd>
#include <span>

namespace gateway::cli {

/// Runs `sim [--seed S] [--seeds N] [--gateways G | --topology FILE] [--jobs J] [--verbose] [--json]`; `arguments`
/// begin behind the word `sim`.  Writes what there is to say of each seed, ascending, and a sum to `out`; where seeds
/// take long, how far it has come to `error`.
/// Returns the exit code: 0, or 1 if a seed failed or a flag is wrong.
/// Threads: starts its own; `out` and `error` are used by the calling one alone.
[[nodiscard]] int run_sim(std::span<const char* const> arguments, std::ostream& out, std::ostream& error);

}  // namespace gateway::cli
