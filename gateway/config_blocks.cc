// The blocks of a config file that have keys of their own: mappings and tree.
#include <algorithm>
#include <array>
#include <charconv>

#include "gateway/config_reader.h"
#include "routing/base/subject.h"

namespace gateway::file_keys {

namespace {

/// Source: nats-server opts.go parseAccountMapDest.
bool read_destination(Reader& reader, const Value& value, compat::MappingDestination& destination) {
    const auto* map = std::get_if<conf::Map>(&value.data);
    if (map == nullptr) {
        reader.error(value, "Expected an entry for the mapping destination");
        return false;
    }
    const std::size_t errors = reader.errors.size();
    bool weighed = false;
    const auto weigh = [&](const Value& place, std::int64_t weight) {
        if (weight < 0 || weight > 100) {
            return reader.error(place, fmt::format("Invalid weight {} for mapping destination", weight));
        }
        destination.weight = static_cast<std::uint32_t>(weight);
        weighed = true;
    };
    for (const auto& [name, field] : in_order(*map)) {
        const std::string key = lower(name);
        if (key == "dest" || key == "destination") {
            reader.text(*field, key, destination.subject);
        } else if (key == "cluster") {
            reader.text(*field, key, destination.cluster);
        } else if (key != "weight") {
            reader.error(*field, "Unknown field " + quoted(name) + " for mapping destination");
        } else if (const auto* number = std::get_if<std::int64_t>(&field->data)) {
            weigh(*field, *number);
        } else if (const auto* text = reader.take<std::string>(*field, key, "a number or a percentage")) {
            std::string_view digits = *text;
            if (digits.ends_with('%')) digits.remove_suffix(1);
            std::int64_t weight = 0;
            const auto [end, wrong] = std::from_chars(digits.data(), digits.data() + digits.size(), weight);
            if (wrong != std::errc() || end != digits.data() + digits.size()) {
                reader.error(*field, "Invalid weight " + quoted(digits) + " for mapping destination");
            } else {
                weigh(*field, weight);
            }
        }
    }
    if (!weighed && reader.errors.size() == errors) {
        reader.error(value, "Missing weight for mapping destination " + quoted(destination.subject));
    }
    return reader.errors.size() == errors;
}

}  // namespace

/// Source: nats-server opts.go parseAccountMappings.
void read_mappings(Reader& reader, Name key, const Value& value) {
    const auto* map = reader.take<conf::Map>(value, key, "a map");
    if (map == nullptr) return;
    auto& mappings = reader.draft.config.mappings;
    mappings.clear();
    for (const auto& [source, target] : in_order(*map)) {
        if (!base::is_valid_filter(source)) {
            reader.error(*target, "Subject " + quoted(source) + " is not a valid subject");
            continue;
        }
        compat::Mapping mapping{.source = std::string(source), .destinations = {}};
        const std::size_t errors = reader.errors.size();
        std::string adding = "Error adding mapping for " + quoted(source);
        const auto add = [&](const Value& place) {
            compat::MappingDestination destination;
            if (read_destination(reader, place, destination)) mapping.destinations.push_back(std::move(destination));
        };
        if (const auto* subject = std::get_if<std::string>(&target->data)) {
            mapping.destinations.push_back({.subject = *subject, .cluster = {}});
            adding += " to " + quoted(*subject);
        } else if (const auto* list = std::get_if<conf::Array>(&target->data)) {
            for (const Value& each : *list) add(each);
        } else {
            add(*target);
        }
        if (reader.errors.size() != errors) continue;
        if (const std::string wrong = compat::SubjectMappings::error_of(mapping); !wrong.empty()) {
            reader.error(*target, adding + " : " + wrong);
        } else {
            mappings.push_back(std::move(mapping));
        }
    }
}

namespace {

/// [{subject: "jobs.>", policy: round_robin}, ..]
void read_queue_policies(Reader& reader, Name key, const Value& value) {
    const auto* list = reader.take<conf::Array>(value, key, "an array of maps");
    if (list == nullptr) return;
    auto& policies = reader.draft.tree.queue_policies;
    policies.by_subject.clear();
    for (const Value& each : *list) {
        const auto* map = reader.take<conf::Map>(each, key, "an array of maps");
        if (map == nullptr) continue;
        std::string subject;
        std::string policy;
        const std::size_t errors = reader.errors.size();
        for (const auto& [name, field] : in_order(*map)) {
            const std::string wanted = lower(name);
            if (wanted == "subject") {
                reader.text(*field, wanted, subject);
            } else if (wanted == "policy") {
                reader.text(*field, wanted, policy);
            } else {
                reader.error(*field, "unknown field " + quoted(name));
            }
        }
        if (reader.errors.size() != errors) continue;
        if (subject.empty() || policy.empty()) {
            reader.error(each, std::string(key) + ": each entry needs a subject and a policy");
        } else {
            reader.check(each, key, add_queue_policy(subject, policy, policies));
        }
    }
}

constexpr std::array<Key, 12> tree_keys{{
    {"name",
     [](Reader& reader, Name key, const Value& value) {
         reader.text(value, key, reader.draft.tree.name);
         if (reader.draft.tree.name.empty()) reader.error(value, "name: needs a value");
     }},
    {"listen",
     [](Reader& reader, Name key, const Value& value) {
         reader.draft.tree_listen_given = true;
         if (const auto* port = std::get_if<std::int64_t>(&value.data)) {
             return reader.check(value, key, read_tree_listen(":" + std::to_string(*port), reader.draft.tree.listen));
         }
         const auto* address = reader.take<std::string>(value, key, "a port or [host]:port");
         if (address != nullptr) reader.check(value, key, read_tree_listen(*address, reader.draft.tree.listen));
     }},
    {"join",
     [](Reader& reader, Name key, const Value& value) {
         reader.draft.tree.join.clear();
         reader.texts(value, key, [&](const std::string& address, const Value& place) {
             reader.check(place, key, add_join(address, reader.draft.tree.join));
         });
     }},
    {"advertise",
     [](Reader& reader, Name key, const Value& value) {
         reader.text(value, key, reader.draft.tree.advertise);
         if (reader.draft.tree.advertise.empty()) return;
         reader.check(value, key, check_advertise(reader.draft.tree.advertise));
     }},
    {"secret",
     [](Reader& reader, Name key, const Value& value) {
         reader.text(value, key, reader.draft.tree.secret);
         if (reader.draft.tree.secret.size() > secret_bytes_max) {
             reader.error(value, fmt::format("secret: longer than {} bytes", secret_bytes_max));
         }
     }},
    {"secret_file", [](Reader& reader, std::string_view key,
                       const Value& value) { reader.text(value, key, reader.draft.secret_file); }},
    {"region",
     [](Reader& reader, Name key, const Value& value) {
         reader.text(value, key, reader.draft.tree.region);
         reader.check(value, key, check_tag(reader.draft.tree.region));
     }},
    {"tags",
     [](Reader& reader, Name key, const Value& value) {
         reader.draft.tree.tags.clear();
         reader.texts(value, key, [&](const std::string& tag, const Value& place) {
             reader.check(place, key, add_tag(tag, reader.draft.tree.tags));
         });
     }},
    {"max_children",
     [](Reader& reader, Name key, const Value& value) {
         reader.number(value, key, reader.draft.tree.max_children, children_most, 1);
     }},
    {"compression",
     [](Reader& reader, Name key, const Value& value) {
         using routing::peer::Compression;
         if (const auto* on = std::get_if<bool>(&value.data)) {  // `off` is a boolean in this language
             reader.draft.tree.compression = *on ? Compression::on : Compression::off;
         } else if (const auto* mode = reader.take<std::string>(value, key, "auto, off or zstd")) {
             reader.check(value, key, read_compression(*mode, reader.draft.tree.compression));
         }
     }},
    {"queue_policy",
     [](Reader& reader, Name key, const Value& value) {
         if (const auto* policy = reader.text(value, key))
             reader.check(value, key, add_queue_policy({}, *policy, reader.draft.tree.queue_policies));
     }},
    {"queue_policies", read_queue_policies},
}};

}  // namespace

void read_tree(Reader& reader, Name key, const Value& value) {
    const auto* map = reader.take<conf::Map>(value, key, "a map");
    if (map == nullptr) return;
    reader.draft.tree_only.emplace_back(key);
    for (const auto& [name, field] : in_order(*map)) {
        const std::string wanted = lower(name);
        const auto* const known =
            std::find_if(tree_keys.begin(), tree_keys.end(), [&](const Key& each) { return each.name == wanted; });
        if (known != tree_keys.end()) {
            known->apply(reader, known->name, *field);
        } else if (!field->used) {
            reader.error(*field, "unknown field " + quoted(name));
        }
    }
}

}  // namespace gateway::file_keys
