#include "routing/node/tree_requests.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "routing/node/json_writer.h"
#include "routing/node/node.h"
#include "routing/peer/path_engine.h"

namespace routing::node {

namespace {

constexpr std::string_view request_root = "$TREE.REQ.";
constexpr std::string_view ping_root = "$TREE.PING.";
constexpr std::string_view advisory_root = "$TREE.ADV.";

std::string error_answer(std::string_view text) {
    JsonWriter json;
    json.open_object().member("error", text).close_object();
    return json.text();
}

std::uint64_t milliseconds(base::Duration duration) {
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

std::string hex_64(std::uint64_t number) {
    base::Bytes bytes;
    base::append_big_endian_64(bytes, number);
    return base::to_hex(bytes);
}

constexpr std::string_view record_wanted = R"(the request needs a "record": <origin's name>:<position>)";

/// "a:17".  Position 0: it is none.
std::pair<std::string_view, queue::Position> read_record(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    queue::Position position = 0;
    if (colon != std::string_view::npos) std::from_chars(text.data() + colon + 1, text.data() + text.size(), position);
    return {text.substr(0, colon), position};
}

/// A gateway's name as one token of a subject: what would end it is replaced.
std::string name_token(std::string_view name) {
    std::string token(name);
    for (char& c : token)
        if (c == '.' || c == '*' || c == '>' || static_cast<unsigned char>(c) <= ' ') c = '_';
    return token;
}

}  // namespace

void TreeRequests::subscribe() {
    node_.router_.subscribe(account_global, std::string(request_root) + name_token(node_.name()) + ".>", "",
                            node_connection);
    // A client that knows INFO's server_id but not the name asks by id.
    node_.router_.subscribe(account_global,
                            std::string(request_root) + base::to_hex(node_.options_.tree.id.view()) + ".>", "",
                            node_connection);
    node_.router_.subscribe(account_global, std::string(ping_root) + ">", "", node_connection);
}

void TreeRequests::on_request(const MessageView& message, bool trusted) {
    if (message.reply.empty() || requests_.size() >= requests_waiting_max) return;
    requests_.push_back(Request{HeldMessage(message), trusted});
}

void TreeRequests::advise(std::string_view kind, std::string_view members) {
    if (replies_.size() >= requests_waiting_max) return;
    const auto wall = node_.wall_ + static_cast<base::WallMillis>(milliseconds(node_.now_ - node_.started_));
    JsonWriter json;
    json.open_object().member("kind", kind).member("gateway", node_.name());
    json.member("id", base::to_hex(node_.options_.tree.id.view())).member("time_ms", wall);
    std::string text = json.text();
    if (!members.empty()) text.append(",").append(members);
    replies_.push_back(Reply{account_global, std::string(advisory_root).append(kind), text + "}"});
}

void TreeRequests::reply(const HeldMessage& request, std::string body) {
    replies_.push_back(Reply{request.account, request.reply, std::move(body)});
}

bool TreeRequests::answer() {
    if (requests_.empty() && replies_.empty()) return false;
    for (const Request& request : std::exchange(requests_, {})) handle(request.message, request.trusted);
    const std::vector<Reply> replies = std::exchange(replies_, {});
    for (const Reply& one : replies) {
        MessageView message;
        message.account = one.account;
        message.subject = one.subject;
        message.body = one.body;
        node_.host_.publish(message);
    }
    return true;
}

void TreeRequests::handle(const HeldMessage& request, bool trusted) {
    std::string_view verb = request.subject;
    if (verb.starts_with(ping_root)) {
        verb.remove_prefix(ping_root.size());
    } else {
        verb.remove_prefix(std::min(verb.size(), request_root.size()));
        verb.remove_prefix(std::min(verb.size(), verb.find('.') + 1));  // the name
    }
    const std::string_view body = request.view().payload();
    if (verb == "tree.status") {
        reply(request, tree_status());
    } else if (verb == "tree.map") {
        reply(request, tree_map());
    } else if (verb == "tree.forget") {
        reply(request, tree_forget(json_string_member(body, "gateway"), trusted));
    } else if (verb == "path.show") {
        reply(request, path_show(json_string_member(body, "subject")));
    } else if (verb == "path.explain") {
        reply(request, path_explain(json_string_member(body, "number")));
    } else if (verb == "path.verify") {
        reply(request, path_verify(json_string_member(body, "path"), json_string_member(body, "hops")));
    } else if (verb == "queue.ls") {
        reply(request, queue_ls());
    } else if (verb == "queue.where") {
        reply(request, queue_where(json_string_member(body, "record")));
    } else if (verb == "queue.skip") {
        reply(request, queue_skip(json_string_member(body, "record"), trusted));
    } else if (verb == "queue.dump") {
        if (!node_.durable_) {
            reply(request, R"({"queues":[],"next":0})");
            return;
        }
        const std::string from_text = json_string_member(body, "from");
        queue::Position from = 0;
        std::from_chars(from_text.data(), from_text.data() + from_text.size(), from);
        if (dumps_.size() >= requests_waiting_max) dumps_.erase(dumps_.begin());
        dumps_.emplace(next_dump_, request);
        node_.durable_->dump(next_dump_++, from, node_.now_);
    } else {
        reply(request, error_answer("there is no verb '" + std::string(verb) +
                                    "'; there are tree.status, tree.map, tree.forget, path.show, path.explain, "
                                    "path.verify, queue.ls, queue.where, queue.skip, queue.dump"));
    }
}

void TreeRequests::write_barred(JsonWriter& json) const {
    json.key("barred").open_array();
    for (const auto& [target, record] : node_.barred_) {
        json.open_object().member("record", record_name(node_.name(), record.position));
        json.member("gateway", name_of(target)).member("by", name_of(record.by)).member("subject", record.subject);
        json.member("headers", record.lines).member("given_up", record.given_up);
        json.member("since_ms", milliseconds(node_.now_ - record.since)).close_object();
    }
    json.close_array();
}

std::string TreeRequests::name_of(GatewayIndex gateway) const {
    if (gateway == gateway_none) return {};
    if (gateway == gateway_self) return node_.name();
    if (const auto name = node_.tree_->name(gateway); !name.empty()) return std::string(name);
    return base::to_hex(node_.registry_.id(gateway).view());
}

// --- tree ------------------------------------------------------------------------------------------------------------

std::string TreeRequests::tree_status() const {
    const peer::TreeStatus status = node_.tree_->status();
    const auto& paths = node_.tree_->paths().counters();
    const NodeCounters& counters = node_.counters_;
    JsonWriter json;
    json.open_object().member("name", status.name).member("id", base::to_hex(status.id.view()));
    json.member("region", node_.tree_->region(gateway_self)).key("tags").open_array();
    for (const std::string_view tag : node_.tree_->tags(gateway_self)) json.string(tag);
    json.close_array();
    json.member("tree", status.tree).member("version", node_.options_.version).member("prime", status.prime);
    json.member("root", status.root).member("parent", name_of(status.parent)).key("children").open_array();
    for (const GatewayIndex child : status.children) json.string(name_of(child));
    json.close_array().key("members").open_array();
    for (const GatewayIndex member : status.members) json.string(name_of(member));
    json.close_array().member("synced", status.synced).member("advertise", status.advertise);
    json.member("uptime_ms", milliseconds(node_.now_ - node_.started_));
    json.member("matches", node_.host_.matches()).member("splits", paths.splits);
    json.member("transit_records", paths.transit_records).member("definitions_sent", paths.definitions_sent);
    json.member("dropped_factors", paths.dropped_factors).member("law_violations", paths.law_violations);
    json.member("digest", hex_64(status.digest)).key("durable_filters").open_array();
    for (const auto& filter : node_.durable_filters_) json.string(filter.filter);
    json.close_array();
    write_barred(json);
    json.key("links").open_array();
    for (const auto& link : status.links) {
        json.open_object().member("gateway", name_of(link.gateway));
        json.member(
            "id", link.gateway == gateway_none ? std::string() : base::to_hex(node_.registry_.id(link.gateway).view()));
        json.member("address", link.address);
        json.member("role", link.role).member("established", link.established).member("synced", link.synced);
        json.member("round_trip_us", link.round_trip.count() / 1000);
        for (std::size_t lane = 0; lane < peer::lanes; ++lane) {
            json.key(peer::lane_name(static_cast<peer::Lane>(lane))).open_object();
            json.member("bytes_in", link.bytes_in[lane]).member("bytes_out", link.bytes_out[lane]);
            json.member("unsent", link.unsent[lane]).close_object();
        }
        json.close_object();
    }
    json.close_array().key("counters").open_object();
    json.member("volatile_out", counters.volatile_out).member("volatile_in", counters.volatile_in);
    json.member("no_taker_here", counters.no_taker_here).member("bounced_back", counters.bounced_back);
    json.member("picked_again", counters.picked_again).member("bounce_dropped", counters.bounce_dropped);
    json.member("inbox_routed", counters.inbox_routed).member("inbox_forwarded", counters.inbox_forwarded);
    json.member("lookups_asked", counters.lookups_asked).member("lookups_answered", counters.lookups_answered);
    json.member("lookups_dropped", counters.lookups_dropped);
    json.member("durable_published", counters.durable_published).member("durable_held", counters.durable_held);
    json.member("durable_no_taker", counters.durable_no_taker);
    json.member("durable_barred", counters.durable_barred);
    json.member("targeting_malformed", counters.targeting_malformed);
    json.member("links_established", status.counters.links_established);
    json.member("links_lost", status.counters.links_lost).member("dials", status.counters.dials);
    json.member("dials_failed", status.counters.dials_failed);
    json.member("protocol_errors", status.counters.protocol_errors);
    json.member("records_refused", status.counters.records_refused);
    json.member("records_cut", status.counters.records_cut).member("repairs", status.counters.repairs);
    json.close_object().close_object();
    return json.text();
}

std::string TreeRequests::tree_map() const {
    const peer::TreeStatus status = node_.tree_->status();
    JsonWriter json;
    json.open_object().member("gateway", status.name).member("id", base::to_hex(status.id.view()));
    json.member("tree", status.tree).member("root", base::to_hex(status.root_id.view()));
    json.member("members", status.members.size()).key("gateways").open_array();
    for (const auto& gateway : status.gateways) {
        json.open_object().member("name", gateway.name).member("id", base::to_hex(gateway.id.view()));
        json.member("prime", gateway.prime).member("advertise", gateway.advertise);
        json.member("region", gateway.region).key("tags").open_array();
        for (const std::string& tag : gateway.tags) json.string(tag);
        json.close_array();
        json.member("reachable", gateway.reachable).member("distance", gateway.distance);
        json.member("next_hop", name_of(gateway.next_hop)).key("neighbours").open_array();
        for (const GatewayIndex neighbour : gateway.neighbours)
            json.string(base::to_hex(node_.registry_.id(neighbour).view()));
        json.close_array().member("incarnation", gateway.incarnation);
        json.member("version", gateway.version).member("digest", hex_64(gateway.digest));
        json.member("entries", gateway.entries).close_object();
    }
    json.close_array().close_object();
    return json.text();
}

std::string TreeRequests::tree_forget(std::string_view gateway, bool trusted) {
    if (!trusted)
        return error_answer(
            "tree.forget changes the tree: ask the gateway from a client on its own machine (127.0.0.1 or ::1)");
    if (gateway.empty()) return error_answer("the request needs a \"gateway\": a name or an id in hex");
    std::vector<GatewayIndex> found;
    for (GatewayIndex index = 0; index < node_.registry_.size(); ++index)
        if (name_of(index) == gateway || base::to_hex(node_.registry_.id(index).view()) == gateway)
            found.push_back(index);
    const std::string named = "'" + std::string(gateway) + "'";
    if (found.empty()) return error_answer("no gateway that this one knows is called " + named);
    if (found.size() > 1)
        return error_answer("more than one gateway is called " + named + ": name it by its id (tree map --json)");
    if (found[0] == gateway_self) return error_answer(named + " is this gateway: it cannot forget itself");
    if (node_.tree_->is_reachable(found[0]))
        return error_answer(named + " can be reached now: only a gateway that is away can be forgotten");
    if (!node_.tree_->forget(found[0], node_.now_)) return error_answer(named + " is forgotten already");
    JsonWriter json;
    json.open_object().member("gateway", node_.name()).member("forgotten", gateway);
    json.member("forgotten_id", base::to_hex(node_.registry_.id(found[0]).view())).close_object();
    return json.text();
}

// --- path ------------------------------------------------------------------------------------------------------------

std::string TreeRequests::path_show(std::string_view subject) {
    if (subject.empty()) return error_answer("the request needs a \"subject\"");
    const bool durable = node_.subject_class().is_durable(account_global, subject);
    const AccountId account = durable ? durable_account(account_global) : account_global;
    const Route& route = node_.router_.route(account, subject);
    TargetSet targets;
    std::vector<GatewayIndex> plain = route.gateways;
    plain.insert(plain.end(), route.remembered.begin(), route.remembered.end());
    std::sort(plain.begin(), plain.end());
    for (const GatewayIndex gateway : plain)
        if (gateway != gateway_self) targets.push_back(Target{gateway, true, {}});
    JsonWriter json;
    json.open_object().member("gateway", node_.name()).member("subject", subject);
    json.member("class", durable ? "durable" : "volatile");
    std::size_t local = route.plain.size() + route.shards.size();
    if (durable) local = std::count(route.gateways.begin(), route.gateways.end(), gateway_self) != 0 ? 1 : 0;
    json.member("local", local).key("targets").open_array();
    for (const GatewayIndex gateway : plain)
        json.open_object()
            .member("gateway", name_of(gateway))
            .member("reachable", node_.router_.reachable(gateway))
            .close_object();
    json.close_array().key("groups").open_array();
    for (const RouteGroup& group : route.groups) {
        json.open_object()
            .member("queue", group.queue)
            .member("policy", routing::name_of(node_.router_.queue_policies().of(subject)));
        json.member("local", group.local.size() + group.shard_weight).key("members").open_array();
        for (const RemoteMember& member : group.remote) {
            if (member.kind != RemoteMember::Kind::gateway) continue;
            json.open_object().member("gateway", name_of(member.index)).member("weight", member.weight);
            json.member("reachable", member.reachable)
                .member("distance", std::uint32_t{member.distance})
                .close_object();
        }
        json.close_array().close_object();
    }
    json.close_array();
    // The path of the plain targets; a group adds the member that is picked per message.
    const peer::Explanation path = node_.tree_->paths().explain(targets);
    json.member("number", path.number).key("factors").open_array();
    std::vector<peer::TraceHop> hops;
    for (const Factor& factor : path.factors) {
        json.open_object().member("prime", factor.prime).member("exponent", std::uint32_t{factor.exponent});
        json.member("gateway", name_of(factor.gateway)).close_object();
        hops.push_back(peer::TraceHop{{}, factor.prime, factor.exponent});
    }
    json.close_array().member("text", peer::path_text(hops)).close_object();
    return json.text();
}

std::string TreeRequests::path_explain(std::string_view number) const {
    std::vector<Prime> known;
    std::map<Prime, std::string> names;
    for (const auto& [prime, gateway] : node_.tree_->paths().known_primes()) {
        if (prime == 0 || !names.try_emplace(prime, name_of(gateway)).second) continue;
        known.push_back(prime);
    }
    const auto factored = factor_number(number, known);
    if (!factored) return error_answer("the request needs a \"number\" above 0, in digits");
    for (const PrimePower& power : factored->powers)
        if (power.exponent >= exponent_hand_over)
            return error_answer(std::string(number) + " has the factor " + std::to_string(power.prime) + "^" +
                                std::to_string(power.exponent) +
                                (power.exponent == exponent_hand_over
                                     ? ": exponent 3 hands over to a custodian, and this version has none"
                                     : ": no event path has an exponent above 3"));
    JsonWriter json;
    std::vector<peer::TraceHop> hops;
    json.open_object().member("gateway", node_.name()).member("number", number).key("factors").open_array();
    for (const PrimePower& power : factored->powers) {
        json.open_object().member("prime", power.prime).member("exponent", power.exponent);
        json.member("gateway", names[power.prime]);
        json.member("meaning", power.exponent == exponent_pass ? "passes through" : "delivers").close_object();
        hops.push_back(peer::TraceHop{{}, power.prime, static_cast<std::uint8_t>(std::min(power.exponent, 255u))});
    }
    json.close_array().member("rest", factored->rest);
    std::string text = peer::path_text(hops);
    if (factored->rest != "1")
        text = std::string(number) + " = (" + text + ")·" + factored->rest + " (not of this tree)";
    json.member("text", text).close_object();
    return json.text();
}

std::string TreeRequests::path_verify(std::string_view path, std::string_view hops) const {
    const std::string_view number = path.substr(0, path.find(' '));
    std::vector<PrimePower> powers;
    for (std::string_view rest = hops; !rest.empty();) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(rest.size(), line.size() + 1));
        const std::size_t last = line.rfind(' ');
        const std::size_t middle = last == std::string_view::npos ? last : line.rfind(' ', last - 1);
        PrimePower power;
        const auto parse = [](std::string_view text, auto& value) {
            const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
            return result.ec == std::errc() && result.ptr == text.data() + text.size();
        };
        if (middle == std::string_view::npos || middle == 0 ||
            !parse(line.substr(middle + 1, last - middle - 1), power.prime) ||
            !parse(line.substr(last + 1), power.exponent) || power.prime > prime_max || power.exponent > 3 ||
            powers.size() >= path_factors_max)
            return error_answer("a hop must be \"<name> <prime> <exponent>\"");
        if (power.exponent != 0) powers.push_back(power);
    }
    if (number.empty() || powers.empty()) return error_answer("the request needs a \"path\" and \"hops\"");
    const std::string product = multiply_out(powers);
    // A path with several targets is more than one message's hops: theirs must divide it.
    std::vector<Prime> primes;
    primes.reserve(primes.size() + powers.size());
    for (const PrimePower& power : powers) primes.push_back(power.prime);
    const auto factored = factor_number(number, primes);
    if (!factored) return error_answer("the request needs a \"path\" that begins with its number");
    bool divides = true;
    for (const PrimePower& power : powers) {
        const auto at = std::find_if(factored->powers.begin(), factored->powers.end(),
                                     [&](const PrimePower& one) { return one.prime == power.prime; });
        divides = divides && at != factored->powers.end() && at->exponent == power.exponent;
    }
    JsonWriter json;
    json.open_object().member("number", number).member("product", product).member("equal", product == number);
    json.member("rest", factored->rest).member("verified", divides).close_object();
    return json.text();
}

// --- queue -----------------------------------------------------------------------------------------------------------

std::string TreeRequests::queue_ls() const {
    JsonWriter json;
    json.open_object().member("gateway", node_.name());
    json.member("store", node_.store_ == Node::StoreState::open      ? "open"
                         : node_.store_ == Node::StoreState::opening ? "opening"
                         : node_.store_ == Node::StoreState::failed  ? "failed"
                                                                     : "closed");
    json.key("filters").open_array();
    for (const auto& filter : node_.durable_filters_) json.string(filter.filter);
    json.close_array().key("targets").open_array();
    if (node_.durable_)
        for (const auto& target : node_.durable_->targets(node_.now_)) {
            json.open_object().member("gateway", name_of(target.gateway)).member("reachable", target.reachable);
            json.member("open", target.open).member("last", target.last).member("floor", target.floor);
            json.member("sent", target.sent).member("accepted", target.accepted).member("synced", target.synced);
            json.member("backlog", target.backlog_records_max).member("in_flight_bytes", target.in_flight_bytes);
            json.member("quiet_ms", milliseconds(target.quiet)).member("barred", target.barred).close_object();
        }
    json.close_array();
    write_barred(json);
    json.key("origins").open_array();
    if (node_.durable_)
        for (const auto& origin : node_.durable_->origins()) {
            json.open_object().member("gateway", name_of(origin.gateway)).member("run", hex_64(origin.run));
            json.member("accepted", origin.accepted).member("synced", origin.synced).close_object();
        }
    json.close_array().key("readers").open_array();
    if (node_.durable_)
        for (const auto& reader : node_.durable_->readers()) {
            json.open_object().member("id", reader.id).member("account", reader.account).member("queue", reader.queue);
            json.key("filters").open_array();
            for (const auto& filter : reader.filters) json.string(filter);
            json.close_array().member("members", reader.members).member("cursor", reader.cursor);
            json.member("backlog", reader.backlog_positions_max).close_object();
        }
    json.close_array();
    if (node_.durable_) {
        const queue::DurableCounters& counters = node_.durable_->counters();
        json.key("counters").open_object().member("published", counters.published).member("commits", counters.commits);
        json.member("records_sent", counters.records_sent).member("records_resent", counters.records_resent);
        json.member("applied", counters.applied).member("repeats", counters.repeats).member("gaps", counters.gaps);
        json.member("applied_no_taker", counters.applied_no_taker).member("go_backs", counters.go_backs);
        json.member("delivered", counters.delivered).member("redelivered", counters.redelivered);
        json.member("losses", counters.losses).close_object();
    }
    json.close_object();
    return json.text();
}

void TreeRequests::on_dump(const queue::DumpChunk& chunk) {
    const auto found = dumps_.find(chunk.token);
    if (found == dumps_.end()) return;
    const HeldMessage request = std::move(found->second);
    dumps_.erase(found);
    const std::size_t count = std::min(chunk.rows.size(), dump_rows_max);
    std::string filters;
    for (const auto& filter : node_.durable_filters_) filters += (filters.empty() ? "" : " ") + filter.filter;
    JsonWriter json;
    json.open_object().member("gateway", node_.name()).key("queues").open_array().open_object();
    json.member("filter", filters).key("records").open_array();
    for (std::size_t i = 0; i < count; ++i) {
        const queue::DumpRow& row = chunk.rows[i];
        json.open_object().member("origin", base::to_hex(row.origin.view())).member("run", hex_64(row.run));
        json.member("position", row.position).member("local", row.local).close_object();
    }
    json.close_array().close_object().close_array();
    json.member("next", count < chunk.rows.size() ? chunk.rows[count].local : chunk.next).close_object();
    reply(request, json.text());
}

std::string TreeRequests::queue_where(std::string_view record) const {
    const auto [origin, position] = read_record(record);
    if (position == 0) return error_answer(record_wanted);
    JsonWriter json;
    json.open_object().member("gateway", node_.name()).member("record", record);
    if (!node_.durable_) {
        json.member("known", false).close_object();
        return json.text();
    }
    if (origin == node_.name() || origin == base::to_hex(node_.options_.tree.id.view())) {
        // This gateway is the origin: it knows who has reported it synced.  Who is no target of this very record is
        // listed as having it.
        json.member("role", "origin").key("targets").open_array();
        for (const auto& target : node_.durable_->targets(node_.now_)) {
            std::string state = "to get it";
            if (position <= target.synced || position > target.last) {
                state = "has it, or is no target of it";
            } else if (position <= target.floor) {
                state = "lost";
            } else if (const auto barred = node_.barred_.find(target.gateway); barred != node_.barred_.end()) {
                const BarredRecord& first = barred->second;
                if (position == first.position) {
                    state = "barred: its Tree-Forbid names " + name_of(first.by) + ", on the way there";
                } else if (position > first.position) {
                    state = "waits behind " + record_name(node_.name(), first.position) + ", which is barred by " +
                            name_of(first.by);
                }
            }
            json.open_object().member("gateway", name_of(target.gateway)).member("state", state).close_object();
        }
        json.close_array().close_object();
        return json.text();
    }
    json.member("role", "target");
    for (const auto& one : node_.durable_->origins())
        if (name_of(one.gateway) == origin || base::to_hex(node_.registry_.id(one.gateway).view()) == origin)
            json.member("run", hex_64(one.run))
                .member("passed", position <= one.accepted)
                .member("synced", position <= one.synced);
    json.close_object();
    return json.text();
}

std::string TreeRequests::queue_skip(std::string_view record, bool trusted) {
    if (!trusted)
        return error_answer(
            "queue.skip gives a message up: ask the gateway from a client on its own machine (127.0.0.1 or ::1)");
    const auto [origin, position] = read_record(record);
    if (position == 0) return error_answer(record_wanted);
    const std::string named = "'" + std::string(record) + "'";
    if (origin != node_.name() && origin != base::to_hex(node_.options_.tree.id.view()))
        return error_answer(named + " is not of this gateway: ask the one where it was published");
    std::vector<std::string> given_up;
    std::string error = named + " is barred for nobody: 'queue ls' shows what is";
    for (auto& [target, barred] : node_.barred_) {
        if (barred.position != position || barred.given_up) continue;
        if (!node_.durable_->skip_barred(target, position, node_.now_)) {
            error = node_.tree_->is_reachable(target)
                        ? "what comes before " + named + " is still on its way to " + name_of(target) + ": ask again"
                        : name_of(target) + " is away: whether " + named + " is barred shows when it is back";
            continue;
        }
        barred.given_up = true;
        given_up.push_back(name_of(target));
        node_.host_.log(peer::LogLevel::warning, "Durable record " + record_name(node_.name(), position) +
                                                     " is given up for " + given_up.back() + ", as an operator said");
    }
    if (given_up.empty()) return error_answer(error);
    JsonWriter json;
    json.open_object().member("gateway", node_.name()).member("record", record).key("given_up").open_array();
    for (const std::string& name : given_up) json.string(name);
    json.close_array().close_object();
    return json.text();
}

}  // namespace routing::node
