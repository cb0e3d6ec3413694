// How the values of a config file become the fields of a draft: each with its type, its range and its error.
// Internal to config_file and config_blocks.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "gateway/conf/value.h"
#include "gateway/config_draft.h"
#include "routing/base/time.h"

namespace gateway::file_keys {

inline constexpr base::Duration duration_most = base::Duration::max();
inline constexpr std::int64_t integer_most = std::numeric_limits<std::int64_t>::max();

[[nodiscard]] std::string lower(std::string_view text);
/// "text", in double quotes.
[[nodiscard]] std::string quoted(std::string_view text);

using Name = std::string_view;
using Value = conf::Value;

/// What is to be said of a place.
struct Remark {
    conf::Place place;
    std::string text;
};

/// The draft that is written, what is wrong so far, and values taken as what they should be.  Each function keeps
/// `out` as it was after an error.
struct Reader {
    Draft& draft;
    std::vector<Remark> errors;
    std::vector<Remark> warnings;

    [[nodiscard]] Config& config() const { return draft.config; }
    [[nodiscard]] LogConfig& log() const { return draft.config.log; }
    [[nodiscard]] LimitsConfig& limits() const { return draft.config.limits; }

    void error(const Value& value, std::string text) { errors.push_back({value.place, std::move(text)}); }
    void check(const Value& value, std::string_view key, const std::string& wrong) {
        if (!wrong.empty()) error(value, std::string(key) + ": " + wrong);
    }

    /// The value as a T; nothing (and an error) if it is none.
    template <typename T>
    const T* take(const Value& value, std::string_view key, std::string_view wanted) {
        const T* const found = std::get_if<T>(&value.data);
        if (found == nullptr) {
            error(value, std::string(key) + " must be " + std::string(wanted) + ", not " + std::string(value.kind()));
        }
        return found;
    }
    void boolean(const Value& value, std::string_view key, bool& out) {
        if (const auto* on = take<bool>(value, key, "true or false")) out = *on;
    }
    const std::string* text(const Value& value, std::string_view key) {
        return take<std::string>(value, key, "a string");
    }
    void text(const Value& value, std::string_view key, std::string& out) {
        if (const auto* found = text(value, key)) out = *found;
    }
    /// A number of `least` to `most`; `zero` is what 0 stands for.
    template <typename T>
    void number(const Value& value, std::string_view key, T& out, std::int64_t most = integer_most,
                std::int64_t least = 0, T zero = 0) {
        const auto* found = take<std::int64_t>(value, key, "an integer");
        if (found == nullptr) return;
        if (*found > most) return error(value, fmt::format("{} value is too big: {} is the most", key, most));
        if (*found < least) return error(value, fmt::format("{} value is too small: {} is the least", key, least));
        out = *found == 0 ? zero : static_cast<T>(*found);
    }
    /// A number where less than 0 is taken as 0, and what does not fit as the most that does.
    template <typename T>
    void size(const Value& value, std::string_view key, T& out) {
        const auto* found = take<std::int64_t>(value, key, "an integer");
        if (found == nullptr) return;
        constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<T>::max());
        out = static_cast<T>(std::min(static_cast<std::uint64_t>(std::max<std::int64_t>(*found, 0)), most));
    }
    /// A span of time, as text or (with a warning) as seconds; 0 stands for `zero`.
    void span(const Value& value, std::string_view key, base::Duration& out, base::Duration zero);
    /// A string, or an array of them.
    template <typename Add>
    void texts(const Value& value, std::string_view key, Add add) {
        if (const auto* one = std::get_if<std::string>(&value.data)) return add(*one, value);
        const auto* list = take<conf::Array>(value, key, "a string or an array of strings");
        if (list == nullptr) return;
        for (const Value& each : *list) {
            if (const auto* found = text(each, key)) add(*found, each);
        }
    }
};

using Apply = void (*)(Reader&, std::string_view key, const Value&);
struct Key {
    std::string_view name;
    Apply apply;
};

/// In the order of the file, so that the later of two keys for one thing counts.
[[nodiscard]] std::vector<std::pair<std::string_view, const Value*>> in_order(const conf::Map& map);

// Blocks with keys of their own; config_blocks.cc.

void read_mappings(Reader& reader, Name key, const Value& value);
void read_tree(Reader& reader, Name key, const Value& value);

}  // namespace gateway::file_keys
