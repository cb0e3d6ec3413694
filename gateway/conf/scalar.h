// Values without others in them: strings in their five forms, numbers, booleans, dates.
// Leaves to others: maps, arrays, include, what a variable stands for (parser).
#pragma once

#include <string>
#include <variant>

#include "gateway/conf/cursor.h"

namespace gateway::conf {

/// `$name`, still to be looked up.
struct Variable {
    std::string name;
};

/// What went wrong, and where.
struct Flaw {
    Place place;
    std::string text;
};

using Scalar = std::variant<bool, std::int64_t, double, std::string, Date, Variable, Flaw>;

/// Reads one at `cursor`, which looks neither at a blank nor at a map, an array or a line's end; goes behind it.
/// A number that is followed by what no number can be followed by is a string ("10s", "4222x").
/// Source: nats-server conf/lex.go; README.md lists where we are stricter or kinder.
[[nodiscard]] Scalar read_scalar(Cursor& cursor);

/// The text between two equal quotes, the first of which is here, without escapes.
[[nodiscard]] std::variant<std::string, Flaw> read_quoted(Cursor& cursor);

}  // namespace gateway::conf
