#include "routing/node/targeting.h"

#include <algorithm>
#include <utility>

namespace routing::node {

namespace {

constexpr std::string_view any_header = "\r\nTree-";
constexpr std::string_view to_header = "Tree-To:";
constexpr std::string_view forbid_header = "Tree-Forbid:";

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

base::Result<GatewayTerm, std::string> read_term(std::string_view text) {
    constexpr std::pair<std::string_view, GatewayTerm::Kind> kinds[] = {{"gateway", GatewayTerm::Kind::gateway},
                                                                        {"region", GatewayTerm::Kind::region},
                                                                        {"tag", GatewayTerm::Kind::tag}};
    const std::size_t equals = text.find('=');
    const std::string_view word = text.substr(0, equals);
    for (const auto& [name, kind] : kinds)
        if (word == name && equals != std::string_view::npos && equals + 1 < text.size())
            return GatewayTerm{kind, std::string(text.substr(equals + 1))};
    return base::failure("'" + std::string(text) + "' is not gateway=<name>, region=<name> or tag=<name>");
}

}  // namespace

bool find_targeting(base::ByteView headers, std::string& lines) {
    lines.clear();
    for (std::size_t at = headers.find(any_header); at != base::ByteView::npos; at = headers.find(any_header)) {
        headers.remove_prefix(at + 2);
        const std::string_view line = headers.substr(0, headers.find("\r\n"));
        if (line.starts_with(to_header) || line.starts_with(forbid_header)) lines.append(line).push_back('\n');
    }
    return !lines.empty();
}

base::Result<Targeting, std::string> read_targeting(std::string_view lines) {
    if (lines.size() > targeting_bytes_max)
        return base::failure("Tree-To and Tree-Forbid are longer than " + std::to_string(targeting_bytes_max) +
                             " bytes");
    Targeting targeting;
    while (!lines.empty()) {
        std::string_view list = lines.substr(0, lines.find('\n'));
        lines.remove_prefix(list.size() + 1);
        const bool to = list.starts_with(to_header);
        list.remove_prefix(to ? to_header.size() : forbid_header.size());
        targeting.narrowed = targeting.narrowed || to;
        for (bool more = true; more;) {
            const std::size_t comma = list.find(',');
            more = comma != std::string_view::npos;
            auto term = read_term(trimmed(list.substr(0, comma)));
            if (!term.ok()) return base::failure((to ? "Tree-To: " : "Tree-Forbid: ") + term.error());
            (to ? targeting.to : targeting.forbid).push_back(std::move(term).value());
            if (more) list.remove_prefix(comma + 1);
        }
    }
    return targeting;
}

bool matches(const std::vector<GatewayTerm>& terms, const GatewayDescription& gateway) {
    return std::any_of(terms.begin(), terms.end(), [&](const GatewayTerm& term) {
        switch (term.kind) {
            case GatewayTerm::Kind::gateway:
                return term.value == gateway.name || term.value == gateway.id;
            case GatewayTerm::Kind::region:
                return term.value == gateway.region;
            case GatewayTerm::Kind::tag:
                return std::find(gateway.tags.begin(), gateway.tags.end(), term.value) != gateway.tags.end();
        }
        return false;
    });
}

}  // namespace routing::node
