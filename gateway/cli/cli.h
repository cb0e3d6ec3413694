// `treegate tree|path|queue ...`: asks a running gateway over NATS and shows its answer, as a table or as JSON; and
// `treegate sim`, which asks nobody.
// Leaves to others: the answers (routing/node/tree_requests).
#pragma once

#include <iosfwd>
#include <span>

namespace gateway::cli {

/// True if the command line (without the program's name) begins with a word of ours: it is not a gateway's then.
[[nodiscard]] bool is_command(std::span<const char* const> arguments);

/// Runs it: reads standard input for `path verify` alone, writes the answer to standard output and what went wrong to
/// standard error.  Returns the exit code: 0, or 1 if there is no answer or the answer is "no".  Blocks.
[[nodiscard]] int run_command(std::span<const char* const> arguments);

/// The same with streams of a test's own.
[[nodiscard]] int run_command_for_test(std::span<const char* const> arguments, std::istream& in, std::ostream& out,
                                       std::ostream& error);

}  // namespace gateway::cli
