// What must be true of a run: while it lasts, when all is quiet, and in the end.
#include <algorithm>
#include <tuple>
#include <utility>

#include "routing/peer/path_engine.h"
#include "routing/queue/page.h"
#include "routing/sim/run.h"

namespace routing::sim {

namespace {

/// How often the wait for quiet looks.
constexpr base::Duration look_interval = std::chrono::milliseconds(500);
/// For how many looks in a row all must be well.
constexpr int calm_looks = 6;

std::string in_seconds(base::Duration time) {
    return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(time).count()) + " s";
}

}  // namespace

// --- Quiet -----------------------------------------------------------------------------------------------------------

bool Run::absent(const SimGateway& gateway) const {
    return !all_due && gateway.starts() == 0 && gateway.host() + late >= gateways.size();
}

/// Why the gateways are not one stable tree with equal logs; empty if they are.
std::string Run::split() {
    std::size_t count = 0;
    for (auto& gateway : gateways) {
        if (absent(*gateway)) continue;
        if (!gateway->up()) return gateway->name() + " is down";
        ++count;
    }
    const peer::TreeStatus first = gateways[0]->node().tree().status();
    for (auto& gateway : gateways) {
        if (absent(*gateway)) continue;
        const peer::TreeStatus status = gateway->node().tree().status();
        if (status.members.size() != count)
            return gateway->name() + " reaches " + std::to_string(status.members.size()) + " of " +
                   std::to_string(count) + " gateways";
        if (!status.synced) return gateway->name() + " is still syncing";
        if (status.root_id != first.root_id) return gateway->name() + " has another root than " + gateways[0]->name();
        if (status.digest != first.digest) return gateway->name() + " has another digest than " + gateways[0]->name();
        if (gateway->node().registry().size() > gateways.size() || status.gateways.size() > gateways.size())
            return gateway->name() + " knows more gateways than there are";
    }
    return {};
}

/// What is not yet as it should be in a healthy tree; empty if all is.
std::string Run::unrest() {
    for (auto& client : clients)
        if (!client->connected() && !absent(client->gateway()))
            return "client " + std::to_string(client->id()) + " is not connected";
    if (std::string what = split(); !what.empty()) return what;
    for (auto& gateway : gateways)
        if (gateway->up() && gateway->held() != 0) return gateway->name() + " holds publishes";
    return {};
}

bool Run::wait_for_quiet(const char* after) {
    const base::Instant limit = last_fault + options.recovery_max;
    std::string what;
    int calm = 0;
    base::Instant one_tree = base::instant_max;  // since when
    while (calm < calm_looks) {
        if (world.now() >= limit || !run_for(look_interval)) {
            history.fail(std::string("no quiet after ") + after + ": " + what);
            return false;
        }
        check_bounds();
        what = split();
        if (!what.empty()) {
            one_tree = base::instant_max;
        } else if (one_tree == base::instant_max) {
            one_tree = world.now();
        }
        if (what.empty()) what = unrest();
        calm = what.empty() ? calm + 1 : 0;
    }
    result.recovered_after = one_tree - last_fault;
    if (result.recovered_after > options.tree_recovery_max)
        history.fail("one tree only " + in_seconds(result.recovered_after) + " after " + after);
    return true;
}

/// Who has too many children sends one on each minute, which may cost what is in flight: until none moves any more.
void Run::wait_for_moves() {
    const auto links_lost = [&] {
        std::uint64_t sum = 0;
        for (auto& gateway : gateways) sum += gateway->node().tree().counters().links_lost;
        return sum;
    };
    std::size_t limit = 0;
    for (auto& gateway : gateways) limit = std::max(limit, gateway->max_children());
    for (std::uint64_t calm = 0, rounds = 0; rounds < 60; ++rounds) {
        std::size_t most = 0;
        for (auto& gateway : gateways) most = std::max(most, gateway->node().tree().status().children.size());
        if (most <= limit || calm > most) return;
        const std::uint64_t before = links_lost();
        if (!run_for(std::chrono::seconds(65))) return;
        calm = links_lost() == before ? calm + 1 : 0;  // each child of the fullest was asked once
    }
    history.fail("children go on moving for an hour");
}

// --- The probe -------------------------------------------------------------------------------------------------------

std::uint64_t Run::lost_on_the_way() {
    std::uint64_t lost = 0;
    for (auto& gateway : gateways) {
        const auto& counters = gateway->node().tree().paths().counters();
        lost += counters.dropped_factors + counters.targets_missed + counters.records_refused + counters.astray_records;
        if (counters.law_violations != 0)
            history.fail(gateway->name() + " saw " + std::to_string(counters.law_violations) +
                         " definitions that break the split law");
    }
    return lost;
}

void Run::before_probe() {
    lost_before_ = lost_on_the_way();
    for (auto& gateway : gateways) {
        const auto status = gateway->node().tree().status();
        if (status.parent == gateway_none) continue;
        const GatewayId& parent = gateway->node().registry().id(status.parent);
        for (auto& other : gateways)
            if (other->id() == parent) parents_[gateway->host()] = other->host();
    }
    note_tree();
}

void Run::after_probe() {
    if (const std::uint64_t lost = lost_on_the_way() - lost_before_; lost != 0)
        history.fail(std::to_string(lost) + " factors or targets were dropped in a quiet tree");
    if (const std::string what = unrest(); !what.empty()) history.fail("after the probe: " + what);
    for (const Probe& probe : history.probes())
        if (const std::size_t most = factors(probe); probe.sends != most)
            history.fail("message " + std::to_string(probe.number) + " of client " + std::to_string(probe.publisher) +
                         " was sent over " + std::to_string(probe.sends) + " links; its path has " +
                         std::to_string(most) + " factors");
}

/// From a gateway to the root, both included.
std::vector<HostIndex> Run::way_up(HostIndex host) const {
    std::vector<HostIndex> way{host};
    while (way.size() <= gateways.size()) {
        const auto parent = parents_.find(way.back());
        if (parent == parents_.end()) break;
        way.push_back(parent->second);
    }
    return way;
}

/// How many gateways a message must visit, its ingress apart.
std::size_t Run::factors(const Probe& probe) const {
    const std::vector<HostIndex> from = way_up(probe.ingress);
    std::set<HostIndex> visited;
    for (const std::uint32_t taker : probe.takers) {
        std::vector<HostIndex> to = way_up(clients[taker]->gateway().host());
        std::vector<HostIndex> own = from;
        HostIndex meet = from.back();
        while (!to.empty() && !own.empty() && to.back() == own.back()) {
            meet = to.back();
            to.pop_back();
            own.pop_back();
        }
        visited.insert(to.begin(), to.end());
        visited.insert(own.begin(), own.end());
        visited.insert(meet);
    }
    visited.erase(probe.ingress);
    return visited.size();
}

/// Who is whose child, for people.
void Run::note_tree() {
    std::map<HostIndex, std::vector<HostIndex>> children;
    std::vector<std::pair<HostIndex, std::size_t>> open;  // with depth, the next one last
    for (auto& gateway : gateways) {
        const auto parent = parents_.find(gateway->host());
        if (parent == parents_.end())
            open.emplace_back(gateway->host(), 0);
        else
            children[parent->second].push_back(gateway->host());
    }
    while (!open.empty()) {
        const auto [host, depth] = open.back();
        open.pop_back();
        result.tree.push_back(std::string(2 * depth, ' ') + gateways[host]->name());
        const std::vector<HostIndex>& of = children[host];
        for (auto child = of.rbegin(); child != of.rend(); ++child) open.emplace_back(*child, depth + 1);
    }
}

// --- Bounds ----------------------------------------------------------------------------------------------------------

void Run::check_bounds() {
    const SimulationBounds& most = options.bounds;
    const auto check = [&](const SimGateway& gateway, const char* what, std::size_t is, std::size_t limit) {
        if (is > limit)
            history.fail(gateway.name() + " has " + std::to_string(is) + " " + what + ", at most " +
                         std::to_string(limit) + " are allowed");
    };
    const auto here = static_cast<std::size_t>(
        std::count_if(gateways.begin(), gateways.end(), [](const auto& gateway) { return gateway->starts() != 0; }));
    for (auto& gateway : gateways) {
        if (!gateway->up()) continue;
        peer::Tree& tree = gateway->node().tree();
        if (newcomers_.contains(gateway->host()) && tree.status().members.size() == here && !tree.syncing() &&
            (!durable || gateway->node().durable() != nullptr))
            newcomers_.erase(gateway->host());
        check(*gateway, "bytes waiting for one link", tree.unsent_most(), most.unsent_bytes_max);
        const auto use = tree.paths().fullest_tables();
        check(*gateway, "paths in a label table", use.labels, most.labels_max);
        check(*gateway, "bytes of definitions in a label table", use.bytes, most.definition_bytes_max);
        check(*gateway, "known gateways", gateway->node().registry().size(), gateways.size());
    }
}

/// When all has been quiet for a while: nothing waits, logs are as long as what their owners say, stores were trimmed.
void Run::check_quiet_bounds() {
    check_bounds();
    for (auto& gateway : gateways) {
        std::size_t wanted = options.bounds.log_entries_of_gateway + gateways.size();
        for (auto& client : clients)  // durable interest has an entry of its own beside the volatile one
            if (&client->gateway() == gateway.get()) wanted += 2 * history.live_subscriptions(client->id(), "_INBOX.");
        const peer::TreeStatus status = gateway->node().tree().status();
        for (const peer::GatewayStatus& known : status.gateways)
            if (known.index == gateway_self && known.entries > wanted)
                history.fail(gateway->name() + "'s log has " + std::to_string(known.entries) + " entries, not " +
                             std::to_string(wanted) + " at most");
        for (const peer::LinkStatus& link : status.links)
            if (link.unsent[0] + link.unsent[1] + link.unsent[2] > options.bounds.unsent_bytes_quiet)
                history.fail(gateway->name() + " has bytes for a link that do not go, though all is quiet");
        const auto& pages = gateway->disk().live().logs[static_cast<std::size_t>(queue::LogId::origin)];
        if (pages.size() > options.bounds.origin_pages_quiet)
            history.fail(gateway->name() + " keeps " + std::to_string(pages.size()) +
                         " pages of messages that all targets have");
    }
    // Three lanes for each edge, and sightings: one connection for a pair.
    const std::size_t count = gateways.size();
    if (const std::size_t most = 3 * (count - 1) + count * (count - 1) / 2; network.connections() > most)
        history.fail(std::to_string(network.connections()) + " connections are open, at most " + std::to_string(most) +
                     " are wanted");
}

// --- Durable ---------------------------------------------------------------------------------------------------------

std::string Run::backlog() {
    for (auto& gateway : gateways) {
        const queue::Durable* engine = gateway->node().durable();
        if (engine == nullptr) continue;
        for (const auto& target : engine->targets(world.now()))
            if (target.synced < target.last && target.gateway != gateway_self)
                return gateway->name() + " has " + std::to_string(target.backlog_records_max) + " records (sent " +
                       std::to_string(target.sent) + ", accepted " + std::to_string(target.accepted) + ", synced " +
                       std::to_string(target.synced) + " of " + std::to_string(target.last) + ") for " +
                       std::string(gateway->node().tree().name(target.gateway));
        if (!engine->settled()) return gateway->name() + " has not settled";
    }
    return {};
}

void Run::wait_for_durable() {
    const base::Instant limit = world.now() + options.recovery_max;
    for (std::string what = backlog(); !what.empty(); what = backlog()) {
        if (world.now() >= limit || !run_for(look_interval)) {
            history.fail("durable messages do not arrive: " + what);
            return;
        }
    }
    run_for(std::chrono::seconds(2));  // the last ones are handed to clients
}

void Run::note_applied(SimGateway& gateway) {
    for (const auto& [first, page] : gateway.disk().live().logs[static_cast<std::size_t>(queue::LogId::local)]) {
        queue::LocalPageReader reader;
        if (!reader.open(*page, true)) continue;
        for (queue::LocalRecord record; reader.next(record);)
            applied_[gateway.host()].insert(History::number_of(record.message.payload()));
    }
}

/// What a gateway's local log took: no record twice, each origin's in order.
void Run::check_applied(SimGateway& gateway, const queue::RecoveredState& state) {
    if (gateway.restores() == 0 && !state.losses.empty())
        history.fail(gateway.name() + " lost records although no disk was lost");
    std::set<std::tuple<GatewayId, queue::Run, queue::Position>> seen;
    // Where an origin's disk was lost, its next life gives the same positions again.
    std::map<std::pair<GatewayId, queue::Run>, queue::Position> newest;
    std::set<GatewayId> forked;
    for (auto& other : gateways)
        if (other->restores() != 0) forked.insert(other->id());
    const auto& pages = gateway.disk().live().logs[static_cast<std::size_t>(queue::LogId::local)];
    for (const auto& [first, page] : pages) {
        queue::LocalPageReader reader;
        if (!reader.open(*page, true)) {
            history.fail(gateway.name() + " holds a local page that cannot be read");
            continue;
        }
        for (queue::LocalRecord record; reader.next(record);) {
            const queue::PageSource& source = reader.sources()[record.source];
            const std::string name = "record " + base::to_hex(source.origin.view().substr(0, 4)) + ":" +
                                     std::to_string(record.position) + " at " + gateway.name();
            if (!seen.emplace(source.origin, source.run, record.position).second)
                history.fail(name + " was applied twice");
            const queue::Run life = forked.contains(source.origin) ? source.run : 0;
            queue::Position& last = newest[{source.origin, life}];
            if (record.position <= last) history.fail(name + " was applied after " + std::to_string(last));
            last = record.position;
        }
    }
}

void Run::judge() {
    std::map<HostIndex, queue::RecoveredState> states;
    for (auto& gateway : gateways) {
        if (gateway->node().durable() == nullptr) continue;
        queue::MemoryStore store(gateway->disk());
        auto state = queue::recover(store, gateway->id());
        if (!state.ok()) {
            history.fail(gateway->name() + "'s store does not open again");
            continue;
        }
        check_applied(*gateway, state.value());
        states.emplace(gateway->host(), std::move(state).value());
    }
    if (!stuck) check_quiet_bounds();
    for (auto& client : clients) client->finish();
    history.finish([&](MessageNumber message, std::uint32_t client, const Taken& taken) {
        const SimGateway& origin = *gateways[taken.origin];
        const SimGateway& target = clients[client]->gateway();
        const auto sent = states.find(origin.host());
        const auto got = states.find(target.host());
        if (sent == states.end() || got == states.end()) return false;
        // Gone with the disk that it was acknowledged on.
        if (origin.restores() != 0 && (taken.position >= sent->second.origin_next ||
                                       queue::run_of(sent->second.runs, taken.position) != taken.run))
            return true;
        // It was here, was lost with this disk, and the gateway says so.
        const auto applied = applied_.find(target.host());
        if (applied == applied_.end() || !applied->second.contains(message)) return false;
        const auto& losses = got->second.losses;
        return std::any_of(losses.begin(), losses.end(), [&](const queue::RecoveredLoss& loss) {
            return loss.origin == origin.id() && loss.after < taken.position && taken.position <= loss.up_to;
        });
    });
}

}  // namespace routing::sim
