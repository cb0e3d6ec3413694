#include "gateway/conf/value.h"

#include <array>

namespace gateway::conf {

std::string_view Value::kind() const {
    constexpr std::array<std::string_view, 7> names{"a boolean", "an integer", "a float", "a string",
                                                    "a date",    "an array",   "a map"};
    return names.at(data.index());
}

std::string Document::at(const Place& place) const {
    return files.at(place.file) + ":" + std::to_string(place.line) + ":" + std::to_string(place.column);
}

}  // namespace gateway::conf
