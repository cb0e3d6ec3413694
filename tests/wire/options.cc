#include "tests/wire/options.h"

#include <algorithm>
#include <chrono>
#include <sstream>

#include "routing/base/check.h"

namespace wire {

namespace {

constexpr std::string_view keys[] = {"max_payload",       "max_control_line", "max_subscriptions", "max_sub_tokens",
                                     "no_header_support", "ping_interval",    "ping_max",          "max_connections",
                                     "client_advertise",  "server_name"};

bool known(std::string_view key) {
    for (const std::string_view one : keys)
        if (one == key) return true;
    return false;
}

}  // namespace

std::optional<std::string> parse_option(std::string_view line, WireOptions& options) {
    std::istringstream words{std::string(line)};
    std::string key;
    std::string value;
    std::string more;
    if (!(words >> key >> value)) return "! key value expected";
    if (key != "mapping") {
        if (words >> more) return "! key value expected";
        if (!known(key)) return "an option that nobody knows: " + key;
        if (key == "ping_interval" &&
            value.substr(std::min(value.find_first_not_of("0123456789"), value.size())) != "ms")
            return "ping_interval: milliseconds expected, for instance 60ms";
        options.values[key] = value;
        return std::nullopt;
    }
    compat::Mapping mapping{value, {}};
    while (words >> value) {
        std::size_t digits = 0;
        while (digits < value.size() && value[digits] >= '0' && value[digits] <= '9') ++digits;
        if (digits == 0 || digits > 3 || value.substr(digits) != "%" || !(words >> more))
            return "! mapping source [weight% destination]... expected";
        mapping.destinations.push_back({more, static_cast<std::uint32_t>(std::stoul(value)), ""});
    }
    if (auto wrong = compat::SubjectMappings::error_of(mapping); !wrong.empty()) return wrong;
    options.mappings.push_back(std::move(mapping));
    return std::nullopt;
}

void apply_options(const WireOptions& options, compat::SessionSettings& settings) {
    for (const auto& [key, value] : options.values) {
        if (key == "no_header_support") {
            settings.info.headers = value != "true";
            continue;
        }
        if (key == "max_connections" || key == "client_advertise" || key == "server_name")
            continue;  // of a whole server
        const auto number = static_cast<std::uint32_t>(std::stoul(value));
        if (key == "ping_interval") settings.ping_interval = std::chrono::milliseconds(number);  // "60ms"
        if (key == "ping_max") settings.ping_out_max = number;
        if (key == "max_payload") settings.info.max_payload = number;
        if (key == "max_control_line") settings.control_line_bytes_max = number;
        if (key == "max_subscriptions") settings.subscriptions_max = number;
        if (key == "max_sub_tokens") settings.subscription_tokens_max = number;
    }
    auto compiled = compat::SubjectMappings::compile(options.mappings);
    BASE_CHECK(compiled.ok());
    settings.mappings = std::move(compiled).value();
}

std::string config_text(const WireOptions& options) {
    std::string text;
    for (const auto& [key, value] : options.values) text += key + ": " + value + "\n";
    if (options.mappings.empty()) return text;
    text += "mappings {\n";
    for (const compat::Mapping& mapping : options.mappings) {
        text += "  \"" + mapping.source + "\": [\n";
        for (const compat::MappingDestination& to : mapping.destinations)
            text += "    {destination: \"" + to.subject + "\", weight: " + std::to_string(to.weight) + "%}\n";
        text += "  ]\n";
    }
    return text + "}\n";
}

}  // namespace wire
