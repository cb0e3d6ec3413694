// `treegate sim`: runs the simulator (routing/sim) over a range of seeds, as its failure reports ask for.
#pragma once

#include <iosfwd>
#include <span>

namespace gateway::cli {

/// Runs `sim [--seed S] [--seeds N] [--gateways G] [--verbose]`; `arguments` begin behind the word `sim`.
/// Writes one line per failed seed and a sum to `out`.  Returns the exit code: 0, or 1 if a seed failed or a flag is
/// wrong.
[[nodiscard]] int run_sim(std::span<const char* const> arguments, std::ostream& out, std::ostream& error);

}  // namespace gateway::cli
