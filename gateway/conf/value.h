// A config file as a tree of values that know where they stand.
// Leaves to others: reading the text (parser), what the keys mean (gateway/config_file).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace gateway::conf {

/// Where something stands.  Lines and columns count from 1, columns in bytes.
struct Place {
    std::uint32_t file = 0;  ///< in Document::files
    std::uint32_t line = 1;
    std::uint32_t column = 1;

    friend auto operator<=>(const Place&, const Place&) = default;
};

/// A moment, as it was written: "2016-05-04T18:53:41Z".
struct Date {
    std::string text;
};

struct Value;
using Array = std::vector<Value>;
/// A key that is given again replaces the earlier one.
using Map = std::map<std::string, Value, std::less<>>;

struct Value {
    std::variant<bool, std::int64_t, double, std::string, Date, Array, Map> data;
    Place place;        ///< of its key; in an array its own
    bool used = false;  ///< a variable named it, so it need not be a key that anybody knows

    /// What it is, for an error: "a number", "a map".
    [[nodiscard]] std::string_view kind() const;
};

struct Document {
    Map root;
    std::vector<std::string> files;  ///< the first is the one that was asked for; then those included, once per include

    /// "nats.conf:12:3".
    [[nodiscard]] std::string at(const Place& place) const;
};

}  // namespace gateway::conf
