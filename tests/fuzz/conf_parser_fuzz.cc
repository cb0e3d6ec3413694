// Config text, with itself as the file that it may include and as the environment: it is read or refused with a place,
// within the limits, always in the same way; what was read can be written as JSON, and that JSON is read again as the
// same.
//
//   input:  the text; what follows a line "----" is the file "other" and the variable $OTHER
#include <cstddef>
#include <cstdint>
#include <string>

#include "gateway/conf/digest.h"
#include "gateway/conf/duration.h"
#include "gateway/conf/parser.h"
#include "routing/base/check.h"

namespace {

using gateway::conf::Sources;

base::Result<gateway::conf::Document, std::string> parse(const std::string& text, const std::string& other) {
    Sources sources;
    sources.file = [&](const std::string& path, std::size_t) -> base::Result<std::string, std::string> {
        if (path == "main") return text;
        if (path == "other") return other;
        return base::failure("open " + path + ": no such file or directory");
    };
    sources.variable = [&](const std::string& name) -> std::optional<std::string> {
        if (name == "OTHER") return other;
        return std::nullopt;
    };
    return gateway::conf::parse_config("main", sources);
}

/// Floats are told apart from integers by their point alone, which JSON does not write; a key knows no escapes.
bool survives_json(const gateway::conf::Value& value) {
    using namespace gateway::conf;
    if (std::holds_alternative<double>(value.data)) return false;
    if (const auto* array = std::get_if<Array>(&value.data)) {
        for (const Value& each : *array) {
            if (!survives_json(each)) return false;
        }
    }
    if (const auto* map = std::get_if<Map>(&value.data)) {
        for (const auto& [key, each] : *map) {
            if (key.find_first_of("\"\\\n\r\t") != std::string::npos || !survives_json(each)) return false;
        }
    }
    return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string input(reinterpret_cast<const char*>(data), size);
    const std::size_t cut = input.find("\n----\n");
    const std::string text = input.substr(0, cut);
    const std::string other = cut == std::string::npos ? std::string() : input.substr(cut + 6);

    const auto read = parse(text, other);
    const auto again = parse(text, other);
    BASE_CHECK(read.ok() == again.ok());
    if (!read.ok()) {
        BASE_CHECK(!read.error().empty() && read.error() == again.error());
    } else {
        const std::string json = gateway::conf::digest_text(read.value().root);
        BASE_CHECK(json == gateway::conf::digest_text(again.value().root));
        // JSON writes \u where the config language has \x: only what needs none is read again.
        if (json.find("\\u") == std::string::npos && json.find("\\b") == std::string::npos &&
            json.find("\\f") == std::string::npos && survives_json({read.value().root, {}, false})) {
            const auto back = parse(json, {});
            BASE_CHECK(back.ok());
            BASE_CHECK(gateway::conf::digest_text(back.value().root) == json);
        }
    }
    if (const auto duration = gateway::conf::parse_duration(input)) {
        BASE_CHECK(gateway::conf::parse_duration(gateway::conf::duration_text(*duration)) == duration);
    }
    return 0;
}
