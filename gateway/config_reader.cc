#include "gateway/config_reader.h"

#include <chrono>

namespace gateway::file_keys {

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return out;
}

std::string quoted(std::string_view text) {
    return "\"" + std::string(text) + "\"";
}

/// In the order of the file, so that the later of two keys for one thing counts.
std::vector<std::pair<std::string_view, const Value*>> in_order(const conf::Map& map) {
    std::vector<std::pair<std::string_view, const Value*>> entries;
    entries.reserve(map.size());
    for (const auto& [key, value] : map) entries.emplace_back(key, &value);
    std::stable_sort(entries.begin(), entries.end(),
                     [](const auto& a, const auto& b) { return a.second->place < b.second->place; });
    return entries;
}

void Reader::span(const Value& value, std::string_view key, base::Duration& out, base::Duration zero) {
    base::Duration read{};
    if (const auto* seconds = std::get_if<std::int64_t>(&value.data)) {
        warnings.push_back({value.place, fmt::format("invalid use of field \"{0}\": {0} should be converted to a "
                                                     "duration",
                                                     key)});
        if (*seconds < 0 || *seconds > duration_most.count() / 1'000'000'000) {
            return error(value, fmt::format("{}: {} seconds are no span of time that can be waited", key, *seconds));
        }
        read = std::chrono::seconds(*seconds);
    } else {
        const auto* found = take<std::string>(value, key, "a duration, as \"10s\"");
        if (found == nullptr) return;
        if (const std::string wrong = read_duration(*found, duration_most, read); !wrong.empty()) {
            return error(value, fmt::format("error parsing {}: {}", key, wrong));
        }
    }
    out = read == base::Duration{} ? zero : read;
}

}  // namespace gateway::file_keys
