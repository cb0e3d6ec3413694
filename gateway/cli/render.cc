#include "gateway/cli/render.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace gateway::cli {

namespace {

using Json = nlohmann::json;
using Rows = std::vector<std::vector<std::string>>;

std::size_t width(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

bool is_number(std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789.") == std::string_view::npos;
}

/// A member as text: "-" if it is missing or empty.
std::string text_of(const Json& object, const char* name) {
    const auto found = object.find(name);
    if (found == object.end() || found->is_null()) return "-";
    if (found->is_string()) return found->get<std::string>().empty() ? "-" : found->get<std::string>();
    if (found->is_boolean()) return found->get<bool>() ? "yes" : "no";
    return found->dump();
}

/// The first of these members that is there: older gateways called a gateway's name differently.
std::string name_of(const Json& object) {
    for (const char* member : {"name", "gateway"}) {
        if (object.contains(member)) return text_of(object, member);
    }
    return "-";
}

const Json& array_of(const Json& object, const char* name) {
    static const Json none = Json::array();
    const auto found = object.find(name);
    return found != object.end() && found->is_array() ? *found : none;
}

std::string list_of(const Json& object, const char* name) {
    std::string text;
    for (const Json& item : array_of(object, name)) {
        if (!text.empty()) text += ", ";
        text += item.is_string() ? item.get<std::string>() : item.is_object() ? name_of(item) : item.dump();
    }
    return text.empty() ? "-" : text;
}

bool flag_of(const Json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_boolean() && found->get<bool>();
}

std::string duration_of(const Json& object, const char* name, double units_per_second) {
    const auto found = object.find(name);
    if (found == object.end() || !found->is_number()) return "-";
    const double seconds = found->get<double>() / units_per_second;
    char text[32];
    if (seconds < 0.001) {
        std::snprintf(text, sizeof text, "%.0f us", seconds * 1e6);
    } else if (seconds < 1) {
        std::snprintf(text, sizeof text, "%.1f ms", seconds * 1e3);
    } else if (seconds < 120) {
        std::snprintf(text, sizeof text, "%.1f s", seconds);
    } else if (seconds < 7200) {
        std::snprintf(text, sizeof text, "%.0f min", seconds / 60);
    } else {
        std::snprintf(text, sizeof text, "%.1f h", seconds / 3600);
    }
    return text;
}

/// "name  value" lines.
std::string pairs(const Rows& rows) {
    std::size_t widest = 0;
    for (const auto& row : rows) widest = std::max(widest, width(row[0]));
    std::string text;
    for (const auto& row : rows) text += row[0] + std::string(widest - width(row[0]) + 2, ' ') + row[1] + "\n";
    return text;
}

/// Durable records that wait for another way; empty: none does.
std::string barred(const Json& answer) {
    Rows rows = {{"Barred record", "For", "By", "Subject", "Since"}};
    for (const Json& record : array_of(answer, "barred"))
        rows.push_back({text_of(record, "record"), name_of(record),
                        flag_of(record, "given_up") ? "given up" : text_of(record, "by"), text_of(record, "subject"),
                        duration_of(record, "since_ms", 1e3)});
    if (rows.size() == 1) return {};
    return "\n" + table(rows) +
           "Its Tree-Forbid names a gateway on the way: it waits, and with it all that follows for that gateway.\n"
           "It goes on when there is another way, or the name, region or tag that bars it is gone; 'treegate queue\n"
           "skip RECORD' gives up that record alone.\n";
}

// ---- tree -----------------------------------------------------------------------------------------------------------

std::string tree_status(const Json& answer) {
    std::string parent = text_of(answer, "parent");
    if (flag_of(answer, "root")) parent = "none: it is the root";
    std::string text = pairs({{"Gateway", text_of(answer, "name")},
                              {"Id", text_of(answer, "id")},
                              {"Tree", text_of(answer, "tree")},
                              {"Prime", text_of(answer, "prime")},
                              {"Parent", parent},
                              {"Children", list_of(answer, "children")},
                              {"Reachable", list_of(answer, "members")},
                              {"Synced", text_of(answer, "synced")},
                              {"Durable", list_of(answer, "durable_filters")},
                              {"Up", duration_of(answer, "uptime_ms", 1e3)}});

    Rows links = {{"Link", "Role", "Address", "Round trip", "Synced"}};
    for (const Json& link : array_of(answer, "links")) {
        links.push_back({name_of(link), text_of(link, "role"), text_of(link, "address"),
                         duration_of(link, "round_trip_us", 1e6), text_of(link, "synced")});
    }
    if (links.size() > 1) text += "\n" + table(links);
    text += barred(answer);

    Rows counters = {{"Counter", "Count"}};
    bool zeros = false;
    const auto add = [&](const Json& object) {
        for (const auto& [name, value] : object.items()) {
            if (!value.is_number() || name == "prime" || name == "uptime_ms") continue;
            if (value == 0) {
                zeros = true;
            } else {
                counters.push_back({name, value.dump()});
            }
        }
    };
    add(answer);
    if (const auto nested = answer.find("counters"); nested != answer.end() && nested->is_object()) add(*nested);
    if (counters.size() > 1) text += "\n" + table(counters) + (zeros ? "(the others are 0)\n" : "");
    return text;
}

/// Round trip and waiting bytes of the link between two gateways, as either end told it.
struct LinkFacts {
    std::string round_trip = "-";
    std::string unsent = "-";
};

LinkFacts facts_of(const Json& one, const Json& other) {
    LinkFacts facts;
    std::uint64_t unsent = 0;
    bool told = false;
    for (const auto& [from, to] : {std::pair(&one, &other), std::pair(&other, &one)}) {
        for (const Json& link : array_of(*from, "links")) {
            if (text_of(link, "id") != text_of(*to, "id") || !flag_of(link, "established")) continue;
            told = true;
            if (facts.round_trip == "-" && link.value("round_trip_us", 0L) > 0)
                facts.round_trip = duration_of(link, "round_trip_us", 1e6);
            for (const char* lane : {"volatile", "durable", "control"})
                if (const auto found = link.find(lane); found != link.end() && found->is_object())
                    unsent += found->value("unsent", std::uint64_t{0});
        }
    }
    if (told) facts.unsent = std::to_string(unsent) + " B";
    return facts;
}

/// The rows of `gateway` and of all below it, each gateway once.
void tree_rows(const std::vector<const Json*>& gateways, const Json& gateway, const Json* parent,
               const std::string& branch, const std::string& below, std::vector<const Json*>& shown, Rows& rows) {
    shown.push_back(&gateway);
    std::vector<const Json*> children;
    for (const Json& neighbour : array_of(gateway, "neighbours")) {
        for (const Json* known : gateways)
            if (known->is_object() && known->value("id", Json()) == neighbour &&
                std::find(shown.begin(), shown.end(), known) == shown.end())
                children.push_back(known);
    }
    std::sort(children.begin(), children.end(),
              [](const Json* a, const Json* b) { return text_of(*a, "name") < text_of(*b, "name"); });
    const LinkFacts facts = parent == nullptr ? LinkFacts{} : facts_of(gateway, *parent);
    std::string where = text_of(gateway, "region");
    if (const std::string tags = list_of(gateway, "tags"); tags != "-") where += " (" + tags + ")";
    rows.push_back({branch + text_of(gateway, "name"),
                    parent == nullptr  ? "root"
                    : children.empty() ? "leaf"
                                       : "inner",
                    text_of(gateway, "prime"), where, facts.round_trip, facts.unsent, text_of(gateway, "advertise")});
    for (std::size_t i = 0; i < children.size(); ++i) {
        const bool last = i + 1 == children.size();
        if (std::find(shown.begin(), shown.end(), children[i]) != shown.end()) continue;  // a circle, for a moment
        tree_rows(gateways, *children[i], &gateway, below + (last ? "└─ " : "├─ "), below + (last ? "   " : "│  "),
                  shown, rows);
    }
}

std::string tree_map(const Json& answer) {
    std::vector<const Json*> gateways;
    for (const Json& gateway : array_of(answer, "gateways")) gateways.push_back(&gateway);
    const auto with_id = [&](const std::string& id) -> const Json* {
        for (const Json* gateway : gateways)
            if (text_of(*gateway, "id") == id && flag_of(*gateway, "reachable")) return gateway;
        return nullptr;
    };
    const Json* root = with_id(text_of(answer, "root"));
    if (root == nullptr) root = with_id(text_of(answer, "id"));
    Rows rows = {{"Gateway", "Role", "Prime", "Region", "Round trip", "Unsent", "Address"}};
    std::vector<const Json*> shown;
    if (root != nullptr) tree_rows(gateways, *root, nullptr, "", "", shown, rows);
    Rows away = {{"Away", "Prime", "Region", "Last address", "Id"}};
    for (const Json* gateway : gateways) {
        if (std::find(shown.begin(), shown.end(), gateway) != shown.end()) continue;
        if (flag_of(*gateway, "reachable")) {  // known to be there, its links are not known yet
            rows.push_back({text_of(*gateway, "name"), "?", text_of(*gateway, "prime"), text_of(*gateway, "region"),
                            "-", "-", text_of(*gateway, "advertise")});
        } else {
            away.push_back({text_of(*gateway, "name"), text_of(*gateway, "prime"), text_of(*gateway, "region"),
                            text_of(*gateway, "advertise"), text_of(*gateway, "id")});
        }
    }
    std::string text =
        "Tree " + text_of(answer, "tree") + " as " + text_of(answer, "gateway") + " sees it\n\n" + table(rows);
    if (away.size() > 1) text += "\n" + table(away);
    return text;
}

std::string tree_forget(const Json& answer) {
    return text_of(answer, "forgotten") +
           " is forgotten: what waited for it is given up. Should it come back, it is told " + "what it lost.\n";
}

// ---- path -----------------------------------------------------------------------------------------------------------

std::string meaning_of(const Json& factor) {
    if (factor.contains("meaning")) return text_of(factor, "meaning");
    switch (factor.value("exponent", 0)) {
        case 1:
            return "passes through";
        case 2:
            return "delivers";
        case 3:
            return "hands over";
        default:
            return "-";
    }
}

std::string factors(const Json& answer) {
    Rows rows = {{"Prime", "Exponent", "Gateway", "What happens there"}};
    for (const Json& factor : array_of(answer, "factors")) {
        rows.push_back({text_of(factor, "prime"), text_of(factor, "exponent"), name_of(factor), meaning_of(factor)});
    }
    return rows.size() > 1 ? table(rows) : std::string();
}

/// "75 = 3·5²": the number and its factors, what is left over last.
std::string path_text(const Json& answer) {
    const std::string number = text_of(answer, "number");
    std::string product;
    const auto multiply = [&product](const std::string& factor) { product += (product.empty() ? "" : "·") + factor; };
    for (const Json& factor : array_of(answer, "factors")) {
        const std::string exponent = text_of(factor, "exponent");
        const std::string power = exponent == "1" ? "" : exponent == "2" ? "²" : exponent == "3" ? "³" : "^" + exponent;
        multiply(text_of(factor, "prime") + power);
    }
    if (const std::string rest = text_of(answer, "rest"); rest != "1" && rest != "-" && rest != number) multiply(rest);
    return product.empty() || product == number ? number : number + " = " + product;
}

std::string path_show(const Json& answer) {
    const bool leaves = !array_of(answer, "factors").empty();
    std::string text = pairs({{"Subject", text_of(answer, "subject")},
                              {"Class", text_of(answer, "class")},
                              {"Path", leaves ? path_text(answer) : "none: no plain subscriber at another gateway"},
                              {"Here", text_of(answer, "local")}});
    if (leaves) text += "\n" + factors(answer);
    Rows away = {{"Remembered, cannot be reached now"}};
    for (const Json& target : array_of(answer, "targets")) {
        if (!flag_of(target, "reachable")) away.push_back({name_of(target)});
    }
    if (away.size() > 1) text += "\n" + table(away);
    Rows groups = {{"Queue group", "Policy", "Members here", "Gateway", "Members", "Links away", "Reachable"}};
    for (const Json& group : array_of(answer, "groups")) {
        const auto& members = array_of(group, "members");
        if (members.empty())
            groups.push_back(
                {text_of(group, "queue"), text_of(group, "policy"), text_of(group, "local"), "-", "-", "-", "-"});
        for (const Json& member : members) {
            groups.push_back({text_of(group, "queue"), text_of(group, "policy"), text_of(group, "local"),
                              name_of(member), text_of(member, "weight"), text_of(member, "distance"),
                              text_of(member, "reachable")});
        }
    }
    if (groups.size() > 1)
        text += "\n" + table(groups) + "One member of each group is picked per message, by the group's policy.\n";
    return text;
}

std::string path_explain(const Json& answer) {
    std::string text = path_text(answer) + "\n";
    if (const std::string listed = factors(answer); !listed.empty()) text += "\n" + listed;
    if (const std::string rest = text_of(answer, "rest"); rest != "1" && rest != "-") {
        text += "\n" + rest + " is left: no gateway that this one knows has a prime of it.\n";
    }
    return text;
}

// ---- queue ----------------------------------------------------------------------------------------------------------

std::string queue_ls(const Json& answer) {
    std::string text = pairs({{"Gateway", text_of(answer, "gateway")},
                              {"Store", text_of(answer, "store")},
                              {"Filters", list_of(answer, "filters")}});
    Rows targets = {{"To", "Reachable", "Backlog", "Last", "Sent", "Accepted", "Synced", "Quiet"}};
    for (const Json& target : array_of(answer, "targets")) {
        targets.push_back({name_of(target), text_of(target, "reachable"), text_of(target, "backlog"),
                           text_of(target, "last"), text_of(target, "sent"), text_of(target, "accepted"),
                           text_of(target, "synced"), duration_of(target, "quiet_ms", 1e3)});
    }
    if (targets.size() > 1) text += "\n" + table(targets);
    text += barred(answer);
    Rows origins = {{"From", "Run", "Accepted", "Synced"}};
    for (const Json& origin : array_of(answer, "origins")) {
        origins.push_back(
            {name_of(origin), text_of(origin, "run"), text_of(origin, "accepted"), text_of(origin, "synced")});
    }
    if (origins.size() > 1) text += "\n" + table(origins);
    Rows readers = {{"Local queue", "Filters", "Group", "Members", "Cursor", "Backlog"}};
    for (const Json& reader : array_of(answer, "readers")) {
        readers.push_back({text_of(reader, "id"), list_of(reader, "filters"), text_of(reader, "queue"),
                           text_of(reader, "members"), text_of(reader, "cursor"), text_of(reader, "backlog")});
    }
    if (readers.size() > 1) text += "\n" + table(readers);
    return text;
}

std::string queue_where(const Json& answer) {
    Rows known = {{"Record", text_of(answer, "record")}, {"Asked", text_of(answer, "gateway")}};
    const std::pair<const char*, const char*> members[] = {
        {"role", "Role"}, {"known", "Known"}, {"run", "Run"}, {"passed", "Passed"}, {"synced", "Synced"}};
    for (const auto& [member, title] : members) {
        if (answer.contains(member)) known.push_back({title, text_of(answer, member)});
    }
    std::string text = pairs(known);
    Rows targets = {{"Gateway", "State"}};
    for (const Json& target : array_of(answer, "targets"))
        targets.push_back({name_of(target), text_of(target, "state")});
    if (targets.size() > 1) text += "\n" + table(targets);
    return text;
}

std::string queue_skip(const Json& answer) {
    return text_of(answer, "record") + " is given up for " + list_of(answer, "given_up") +
           ": told there as a loss. What follows it goes on.\n";
}

std::string queue_dump(const Json& answer) {
    std::string text;
    for (const Json& queue : array_of(answer, "queues")) {
        const Json& records = array_of(queue, "records");
        text += "Queue " + text_of(queue, "filter") + ": " + std::to_string(records.size()) + " records\n";
        Rows rows = {{"Origin", "Run", "Position"}};
        for (const Json& record : records) {
            rows.push_back(
                {text_of(record, "origin").substr(0, 16), text_of(record, "run"), text_of(record, "position")});
        }
        if (rows.size() > 1) text += table(rows, "  ");
    }
    return text.empty() ? "nothing was taken yet\n" : text;
}

}  // namespace

std::string table(const std::vector<std::vector<std::string>>& rows, std::string_view indent) {
    std::vector<std::size_t> widths;
    std::vector<bool> numbers;  // this column has some
    std::vector<bool> words;    // this column has some
    for (std::size_t r = 0; r < rows.size(); ++r) {
        for (std::size_t c = 0; c < rows[r].size(); ++c) {
            if (c == widths.size()) {
                widths.push_back(0);
                numbers.push_back(false);
                words.push_back(false);
            }
            widths[c] = std::max(widths[c], width(rows[r][c]));
            if (r == 0 || rows[r][c] == "-") continue;
            if (is_number(rows[r][c])) {
                numbers[c] = true;
            } else {
                words[c] = true;
            }
        }
    }
    std::string text;
    for (const auto& row : rows) {
        std::string line(indent);
        for (std::size_t c = 0; c < row.size(); ++c) {
            const std::string fill(widths[c] - width(row[c]), ' ');
            line += numbers[c] && !words[c] ? fill + row[c] : row[c] + fill;
            line += "  ";
        }
        line.resize(line.find_last_not_of(' ') + 1);
        text += line + "\n";
    }
    return text;
}

std::string render(std::string_view verb, const nlohmann::json& answer) {
    if (answer.is_object()) {
        try {
            if (verb == "tree.status") return tree_status(answer);
            if (verb == "tree.map") return tree_map(answer);
            if (verb == "tree.forget") return tree_forget(answer);
            if (verb == "path.show") return path_show(answer);
            if (verb == "path.explain") return path_explain(answer);
            if (verb == "queue.ls") return queue_ls(answer);
            if (verb == "queue.where") return queue_where(answer);
            if (verb == "queue.skip") return queue_skip(answer);
            if (verb == "queue.dump") return queue_dump(answer);
        } catch (const nlohmann::json::exception&) {
            // A member of another type than expected: the answer as it is says more than an error.
        }
    }
    return answer.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace gateway::cli
