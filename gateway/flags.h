// Command lines as Go writes them, because those of stock nats-server are: one or two dashes, `-p 4222`, `--p=4222`,
// switches as `-D` or `-D=false`, `--` ends them.  Ours more: words may stand between flags, and `-` and `_` within a
// name are the same.
// Leaves to others: which flags there are (config.cc, cli/).
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gateway {

/// One flag: how it is written, what the help says, what it does.
struct Flag {
    std::vector<std::string_view> names;  ///< without dashes, the one that the help shows first
    std::string_view value;               ///< what its value is called in the help ("PORT"); empty: a switch
    std::string_view help;                ///< lines joined by \n; empty: not shown
    /// Takes the value ("true" or "false" for a switch).  Returns what is wrong with it, or nothing.
    std::function<std::string(std::string_view)> apply;
};

struct FlagGroup {
    std::string_view title;
    std::vector<Flag> flags;
};

struct FlagOutcome {
    std::vector<std::string> errors;      ///< a sentence each, in the order of the command line
    std::vector<std::string_view> words;  ///< what is neither a flag nor its value.  Borrows: the arguments.
};

/// Reads `arguments` and calls what they name.
[[nodiscard]] FlagOutcome read_flags(std::span<const char* const> arguments, std::span<const FlagGroup> groups);

/// The groups as text: names, value, help, aligned.
[[nodiscard]] std::string flags_text(std::span<const FlagGroup> groups);

/// Reads a decimal number between `low` and `high`.  Returns what is wrong with it, or nothing.
[[nodiscard]] std::string read_number(std::string_view text, long low, long high, long& number);

}  // namespace gateway
