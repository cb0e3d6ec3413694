#include "compat/subject_mappings.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "compat/nats_error.h"
#include "compat/subject_transform.h"
#include "routing/base/subject.h"

namespace compat {

namespace {

constexpr std::uint32_t weight_max = 100;

// "foo.*.*" -> "foo.$1.$2", which maps a source to itself.
std::string identity_of(std::string_view source) {
    std::string destination;
    std::string_view token;
    int wildcards = 0;
    for (base::Tokens tokens(source); tokens.next(token);) {
        if (token == "*") {
            destination.append("$").append(std::to_string(++wildcards));
        } else {
            destination.append(token);
        }
        destination.push_back('.');
    }
    destination.pop_back();
    return destination;
}

std::string quoted(std::string_view text) {
    std::string out;
    append_quoted(out, text);
    return out;
}

struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};

}  // namespace

// One mapping, ready to use.
struct SubjectMappings::Compiled {
    struct Destination {
        SubjectTransform transform;
        std::uint32_t up_to = 0;  // its weight and those of all before it
    };
    std::string source;
    bool has_wildcards = false;
    std::vector<Destination> destinations;

    static base::Result<Compiled, std::string> make(const Mapping& mapping);
};

struct SubjectMappings::Tables {
    std::vector<Compiled> all;                                                           // in the order of the config
    std::vector<std::uint32_t> filters;                                                  // those with wildcards
    std::unordered_map<std::string, std::uint32_t, TextHash, std::equal_to<>> literals;  // by source
};

base::Result<SubjectMappings::Compiled, std::string> SubjectMappings::Compiled::make(const Mapping& mapping) {
    if (!base::is_valid_filter(mapping.source)) return base::failure(std::string("invalid subject"));
    Compiled compiled{mapping.source, base::has_wildcard(mapping.source), {}};

    std::unordered_set<std::string_view> seen;
    std::unordered_map<std::string_view, std::uint32_t> totals = {{"", 0}};  // by cluster
    for (const MappingDestination& destination : mapping.destinations) {
        if (!seen.insert(destination.subject).second)
            return base::failure("duplicate entry for " + quoted(destination.subject));
        if (destination.weight > weight_max) return base::failure(std::string("individual weights need to be <= 100"));
        std::uint32_t& total = totals[destination.cluster];
        total += destination.weight;
        if (total > weight_max) return base::failure(std::string("total weight needs to be <= 100"));
        auto transform = SubjectTransform::make(mapping.source, destination.subject);
        if (!transform.ok()) return base::failure(transform.error());
        if (destination.cluster.empty())
            compiled.destinations.push_back({std::move(transform).value(), destination.weight});
    }

    // The remainder stays, unless the source is listed itself (whatever the cluster): then it is to be lost.
    const bool remains =
        std::any_of(totals.begin(), totals.end(), [](const auto& entry) { return entry.second != weight_max; });
    if (remains && seen.count(mapping.source) == 0) {
        auto identity = SubjectTransform::make(mapping.source, identity_of(mapping.source));
        if (!identity.ok()) return base::failure(identity.error());
        if (totals[""] != weight_max)
            compiled.destinations.push_back({std::move(identity).value(), weight_max - totals[""]});
    }
    std::stable_sort(compiled.destinations.begin(), compiled.destinations.end(),
                     [](const Destination& a, const Destination& b) { return a.up_to < b.up_to; });
    std::uint32_t sum = 0;
    for (Destination& destination : compiled.destinations) destination.up_to = sum += destination.up_to;
    return compiled;
}

std::string SubjectMappings::error_of(const Mapping& mapping) {
    const auto compiled = Compiled::make(mapping);
    return compiled.ok() ? std::string() : compiled.error();
}

base::Result<std::shared_ptr<const SubjectMappings>, std::string> SubjectMappings::compile(
    const std::vector<Mapping>& mappings) {
    std::shared_ptr<const SubjectMappings> none;
    if (mappings.empty()) return none;
    auto tables = std::make_unique<Tables>();
    std::unordered_map<std::string_view, std::size_t> places;  // of the sources
    for (const Mapping& mapping : mappings) {
        auto compiled = Compiled::make(mapping);
        if (!compiled.ok()) return base::failure("mapping " + quoted(mapping.source) + ": " + compiled.error());
        const auto [place, is_new] = places.try_emplace(mapping.source, tables->all.size());
        if (is_new) {
            tables->all.push_back(std::move(compiled).value());
        } else {
            tables->all[place->second] = std::move(compiled).value();
        }
    }
    for (std::uint32_t i = 0; i < tables->all.size(); ++i) {
        const Compiled& mapping = tables->all[i];
        // A token that begins with `*` takes any, see source_covers().
        const bool begins_with_star = ("." + mapping.source).find(".*") != std::string::npos;
        if (mapping.has_wildcards || begins_with_star) tables->filters.push_back(i);
        if (!mapping.has_wildcards) tables->literals.emplace(mapping.source, i);
    }
    std::shared_ptr<SubjectMappings> made(new SubjectMappings());
    made->tables_ = std::move(tables);
    return std::shared_ptr<const SubjectMappings>(std::move(made));
}

SubjectMappings::SubjectMappings() = default;
SubjectMappings::~SubjectMappings() = default;

Mapped SubjectMappings::apply(std::string_view subject, base::Prng& prng, base::Bytes& out) const {
    out.clear();
    const Compiled* mapping = nullptr;
    if (const auto literal = tables_->literals.find(subject); literal != tables_->literals.end()) {
        mapping = &tables_->all[literal->second];
    } else {
        for (const std::uint32_t i : tables_->filters) {
            if (!source_covers(tables_->all[i].source, subject)) continue;
            mapping = &tables_->all[i];
            break;
        }
    }
    if (mapping == nullptr) return Mapped::no;

    const auto& destinations = mapping->destinations;
    std::size_t at = 0;
    if (destinations.size() != 1 || destinations[0].up_to != weight_max) {
        const auto choice = static_cast<std::uint32_t>(prng.below(weight_max));
        while (at < destinations.size() && choice >= destinations[at].up_to) ++at;
        if (at == destinations.size()) return Mapped::dropped;
    }
    // Stock cuts a subject into tokens only when it has looked at more than one mapping, so with a single literal
    // source partition() hashes nothing.
    const bool uncut = tables_->all.size() == 1 && !mapping->has_wildcards && tables_->filters.empty();
    destinations[at].transform.apply(uncut ? std::string_view() : subject, prng, out);
    return Mapped::yes;
}

}  // namespace compat
