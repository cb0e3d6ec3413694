#include "gateway/flags.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace gateway {

namespace {

/// Where the help's second column begins.
constexpr std::size_t help_column = 34;

bool same_name(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return x == y || ((x == '-' || x == '_') && (y == '-' || y == '_')); });
}

const Flag* find_flag(std::span<const FlagGroup> groups, std::string_view name) {
    for (const FlagGroup& group : groups) {
        for (const Flag& flag : group.flags) {
            for (const std::string_view known : flag.names) {
                if (same_name(known, name)) return &flag;
            }
        }
    }
    return nullptr;
}

/// Source: Go's strconv.ParseBool, which its flag package uses.
std::optional<bool> read_bool(std::string_view text) {
    for (const std::string_view yes : {"1", "t", "T", "true", "TRUE", "True"}) {
        if (text == yes) return true;
    }
    for (const std::string_view no : {"0", "f", "F", "false", "FALSE", "False"}) {
        if (text == no) return false;
    }
    return std::nullopt;
}

std::string dashed(std::string_view name) {
    std::string text = name.size() <= 2 ? "-" : "--";
    text +=
        name;  // in two steps: with one, GCC 12 warns of a copy without end when it optimises the program as a whole
    return text;
}

}  // namespace

FlagOutcome read_flags(std::span<const char* const> arguments, std::span<const FlagGroup> groups) {
    FlagOutcome outcome;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string_view argument = arguments[i];
        if (argument.size() < 2 || argument[0] != '-') {
            outcome.words.push_back(argument);
            continue;
        }
        if (argument == "--") {
            outcome.words.insert(outcome.words.end(), arguments.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                                 arguments.end());
            break;
        }
        const std::string_view body = argument.substr(argument[1] == '-' ? 2 : 1);
        const std::size_t equals = body.find('=');
        const std::string_view name = body.substr(0, equals);
        std::optional<std::string_view> value;
        if (equals != std::string_view::npos) value = body.substr(equals + 1);

        const std::string shown(argument.substr(0, argument.find('=')));  // as it was written
        const Flag* flag = find_flag(groups, name);
        if (flag == nullptr) {
            outcome.errors.push_back(shown + ": there is no such flag");
            continue;
        }
        if (flag->value.empty()) {
            const std::optional<bool> on = value ? read_bool(*value) : true;
            if (!on) {
                outcome.errors.push_back(shown + ": '" + std::string(*value) + "' is neither true nor false");
                continue;
            }
            value = *on ? "true" : "false";
        } else if (!value) {
            if (i + 1 == arguments.size()) {
                outcome.errors.push_back(shown + ": needs a value (" + std::string(flag->value) + ")");
                continue;
            }
            value = arguments[++i];
        }
        if (const std::string wrong = flag->apply(*value); !wrong.empty())
            outcome.errors.push_back(shown + ": " + wrong);
    }
    return outcome;
}

std::string flags_text(std::span<const FlagGroup> groups) {
    std::string text;
    for (const FlagGroup& group : groups) {
        if (std::all_of(group.flags.begin(), group.flags.end(), [](const Flag& flag) { return flag.help.empty(); })) {
            continue;
        }
        text += "\n" + std::string(group.title) + "\n";
        for (const Flag& flag : group.flags) {
            if (flag.help.empty()) continue;
            std::string line = "  ";
            for (const std::string_view name : flag.names) {
                if (line.size() > 2) line += ", ";
                line += dashed(name);
            }
            if (!flag.value.empty()) line += " " + std::string(flag.value);
            std::string_view help = flag.help;
            while (true) {
                const std::size_t end = help.find('\n');
                if (line.size() + 2 > help_column) {
                    text += line + "\n";
                    line.clear();
                }
                line.resize(help_column, ' ');
                text += line + std::string(help.substr(0, end)) + "\n";
                line.clear();
                if (end == std::string_view::npos) break;
                help.remove_prefix(end + 1);
            }
        }
    }
    return text;
}

std::string read_number(std::string_view text, long low, long high, long& number) {
    long value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < low || value > high) {
        return "'" + std::string(text) + "' is not a number from " + std::to_string(low) + " to " +
               std::to_string(high);
    }
    number = value;
    return {};
}

}  // namespace gateway
