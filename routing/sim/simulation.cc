#include "routing/sim/simulation.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <tuple>
#include <utility>

#include "routing/base/prng.h"
#include "routing/peer/path_engine.h"
#include "routing/queue/page.h"
#include "routing/sim/client.h"
#include "routing/sim/sim_gateway.h"
#include "routing/sim/world.h"

namespace routing::sim {

namespace {

// Salts of the random streams, one per purpose, so that more faults do not mean other messages.
constexpr std::uint64_t salt_setup = 1;
constexpr std::uint64_t salt_actions = 2;
constexpr std::uint64_t salt_faults = 3;
constexpr std::uint64_t salt_probe = 4;

/// How often the wait for quiet looks.
constexpr base::Duration look_interval = std::chrono::milliseconds(500);
/// How long the probes of the quiet tree may take to arrive: more than lookup_timeout and the slow service.
constexpr base::Duration probe_time = std::chrono::seconds(8);

struct Run {
    explicit Run(const SimulationOptions& wanted)
        : options(wanted),
          world(wanted.seed),
          network(world, wanted.network),
          actions(world.stream(salt_actions)),
          faults(world.stream(salt_faults)) {}

    const SimulationOptions& options;
    World world;
    Network network;
    History history;
    base::Prng actions;
    base::Prng faults;
    std::vector<std::unique_ptr<SimGateway>> gateways;
    std::vector<std::unique_ptr<Client>> clients;
    Client* wanderer = nullptr;
    std::uint32_t askers = 0;  ///< who answers on "ask.all"
    SimulationResult result;
    bool stuck = false;
    std::size_t max_children = 10;

    bool run_until(base::Instant when) {
        if (stuck) return false;
        // Logs of all go to all: twice the gateways are four times the work.
        const std::uint64_t size = std::max<std::uint64_t>(1, gateways.size() * gateways.size() / 1024);
        const std::uint64_t most = options.steps_max * size;
        const std::uint64_t left = most - std::min(most, world.steps());
        if (!world.run_until(when, left)) {
            history.fail("no progress: " + std::to_string(options.steps_max) + " steps were not enough");
            stuck = true;
        }
        return !stuck;
    }
    bool run_for(base::Duration time) { return run_until(world.now() + time); }

    void set_up();
    void storm();
    void act();
    void break_something();
    void heal();
    bool wait_for_quiet(const char* after);
    [[nodiscard]] std::string split();
    [[nodiscard]] std::string unrest();
    void wait_for_moves();
    void probe();
    void wait_for_durable();
    [[nodiscard]] std::string backlog();
    void check_applied();
    [[nodiscard]] std::uint64_t lost_on_the_way();
};

template <typename Container>
auto& one_of(Container& items, base::Prng& prng) {
    return items[prng.below(items.size())];
}

std::string number(base::Prng& prng, std::uint64_t below) {
    return std::to_string(prng.below(below));
}

void Run::set_up() {
    base::Prng prng = world.stream(salt_setup);
    const std::uint32_t most = prng.chance(1, 10) ? 20 : 8;
    const auto count = options.gateways != 0 ? options.gateways : static_cast<std::uint32_t>(prng.between(3, most));
    max_children = prng.chance(1, 4) ? prng.between(2, 4) : 10;
    result.gateways = count;
    std::vector<HostIndex> listening;
    for (HostIndex host = 0; host < count; ++host) {
        GatewaySetup setup;
        setup.host = host;
        setup.name = "g" + std::to_string(host);
        if (host != 0) {
            const HostIndex first = options.chain ? host - 1 : one_of(listening, prng);
            setup.join.push_back(Network::address_of(first));
            if (!options.chain && prng.chance(1, 3)) setup.join.push_back(Network::address_of(one_of(listening, prng)));
        }
        setup.max_children = max_children;
        setup.listens = options.chain || host == 0 || prng.chance(4, 5);
        if (options.durable && (host == 0 || prng.chance(1, 4))) setup.durable.push_back("orders.>");
        if (setup.listens) listening.push_back(host);
        gateways.push_back(std::make_unique<SimGateway>(world, network, std::move(setup)));
    }
    for (auto& gateway : gateways)
        world.after(base::Duration(std::chrono::milliseconds(prng.below(1500))), [&gateway] { gateway->start(); });

    // Some are far from some others.
    for (std::uint32_t i = 0; i < count && !options.chain && prng.chance(1, 3); ++i) {
        const auto a = static_cast<HostIndex>(prng.below(count));
        network.slow(a, static_cast<HostIndex>(prng.below(count)), std::chrono::milliseconds(prng.between(10, 150)));
    }

    for (std::uint32_t i = 0; i < count * options.clients_per_gateway; ++i) {
        clients.push_back(std::make_unique<Client>(world, history, *gateways[i % count], i));
        Client& client = *clients.back();
        if (prng.chance(1, 2)) client.subscribe("a." + number(prng, 3), "", false);
        if (prng.chance(1, 3)) client.subscribe("a.*", "", false);
        if (prng.chance(1, 4)) client.subscribe("*.1", "", false);
        if (prng.chance(1, 3)) client.subscribe("a.>", "q" + number(prng, 2), false);
        if (i == 0 || prng.chance(1, 4)) client.subscribe("svc.*", "svc", false);
        if (i == 1 || prng.chance(1, 5)) {
            client.subscribe("ask.*", "", false);
            ++askers;
        }
        if (i == 2) client.subscribe(std::string(slow_service), "slow", false);
        if (options.durable && (i == 1 || prng.chance(1, 5))) client.subscribe("orders.*", "", true);
        if (options.durable && (i == 0 || prng.chance(1, 5))) client.subscribe("orders.>", "workers", true);
    }
    // One client that has nothing durable and moves from gateway to gateway.
    clients.push_back(
        std::make_unique<Client>(world, history, *gateways[0], static_cast<std::uint32_t>(clients.size())));
    wanderer = clients.back().get();
}

void Run::act() {
    // Not the wanderer: who moves may get a message at both places, as with any NATS client.
    Client& client = *clients[actions.below(clients.size() - 1)];
    switch (actions.below(20)) {
        default:
            client.publish("a." + number(actions, 3), Expect::at_most_once);
            return;
        case 0:
        case 1:
        case 2:
        case 3:
        case 4:
            if (options.durable) client.publish("orders." + number(actions, 3), Expect::durable);
            return;
        case 5:
        case 6:
            client.request("svc." + number(actions, 2), false);
            return;
        case 7:
            client.ask("ask." + number(actions, 2), 0, false);
            return;
        case 8:
            client.subscribe("a." + number(actions, 4), "", false);
            return;
        case 9:
            client.subscribe("a.*", "q" + number(actions, 2), false);
            return;
        case 10:
        case 11: {
            // Only what the storm itself may take away: no service, nothing durable, no inbox.
            const auto& subscriptions = client.subscriptions();
            const std::size_t at = actions.below(subscriptions.size());
            if (subscriptions[at].filter.starts_with("a.")) client.unsubscribe(at);
            return;
        }
        case 12:
            wanderer->request("svc." + number(actions, 2), false);
            wanderer->move(*one_of(gateways, actions));
            return;
    }
}

void Run::break_something() {
    const auto milliseconds = [&](std::uint64_t low, std::uint64_t high) {
        return base::Duration(std::chrono::milliseconds(faults.between(low, high)));
    };
    const auto pair = [&] {
        const auto a = static_cast<HostIndex>(faults.below(gateways.size()));
        auto b = static_cast<HostIndex>(faults.below(gateways.size() - 1));
        if (b >= a) ++b;
        return std::pair(a, b);
    };
    switch (faults.below(7)) {
        case 0:
        case 1: {
            SimGateway& gateway = *one_of(gateways, faults);
            if (!gateway.up()) return;
            ++result.crashes;
            gateway.crash(faults.below(gateway.disk().unsynced() + 1));
            world.after(milliseconds(10, 6000), [&gateway] {
                if (!gateway.up()) gateway.start();
            });
            return;
        }
        case 2: {
            const auto [a, b] = pair();
            ++result.cuts;
            network.cut(a, b, faults.chance(1, 2) ? Cut::refuse : Cut::black_hole);
            world.after(milliseconds(50, 10000), [this, a = a, b = b] { network.heal(a, b); });
            return;
        }
        case 3: {
            std::vector<std::uint32_t> side;
            for (std::size_t i = 0; i < gateways.size(); ++i)
                side.push_back(static_cast<std::uint32_t>(faults.below(2)));
            ++result.cuts;
            network.partition(side, faults.chance(1, 2) ? Cut::refuse : Cut::black_hole);
            world.after(milliseconds(200, 8000), [this] { network.heal_all(); });
            return;
        }
        case 4: {
            const std::uint64_t draw = faults.next();
            for (std::size_t i = 0; i < gateways.size(); ++i) {
                const auto [a, b] = pair();
                network.reset_one(a, b, draw);
            }
            return;
        }
        case 5:
            one_of(gateways, faults)->pause(milliseconds(10, 4000));
            return;
        case 6:  // a commit fails; whether it reached the disk nobody knows
            one_of(gateways, faults)->disk().fail_after(faults.below(10), faults.chance(1, 2));
            return;
    }
}

void Run::storm() {
    const base::Instant start = world.now();
    const auto anywhere = [&](base::Prng& prng) {
        return start + base::Duration(prng.below(static_cast<std::uint64_t>(options.storm.count())));
    };
    history.excuse_order_in_groups(true);
    for (std::uint32_t i = 0; i < options.actions; ++i) world.at(anywhere(actions), [this] { act(); });
    for (std::uint32_t i = 0; i < options.faults; ++i) world.at(anywhere(faults), [this] { break_something(); });
    run_for(options.storm);
}

void Run::heal() {
    network.heal_all();
    network.stop_faults();
    run_for(std::chrono::seconds(11));  // faults that were to end by themselves have
    network.heal_all();
    for (auto& gateway : gateways)
        if (!gateway->up()) gateway->start();
}

/// Why the gateways are not one stable tree with equal logs; empty if they are.
std::string Run::split() {
    for (auto& gateway : gateways)
        if (!gateway->up()) return gateway->name() + " is down";
    const peer::TreeStatus first = gateways[0]->node().tree().status();
    for (auto& gateway : gateways) {
        const peer::TreeStatus status = gateway->node().tree().status();
        if (status.members.size() != gateways.size())
            return gateway->name() + " reaches " + std::to_string(status.members.size()) + " of " +
                   std::to_string(gateways.size()) + " gateways";
        if (!status.synced) return gateway->name() + " is still syncing";
        if (status.root_id != first.root_id) return gateway->name() + " has another root than g0";
        if (status.digest != first.digest) return gateway->name() + " has another digest than g0";
        if (gateway->node().registry().size() > gateways.size() || status.gateways.size() > gateways.size())
            return gateway->name() + " knows more gateways than there are";
    }
    return {};
}

/// What is not yet as it should be in a healthy tree; empty if all is.
std::string Run::unrest() {
    for (auto& client : clients)
        if (!client->connected()) return "client " + std::to_string(client->id()) + " is not connected";
    if (std::string what = split(); !what.empty()) return what;
    for (auto& gateway : gateways)
        if (gateway->held() != 0) return gateway->name() + " holds publishes";
    return {};
}

bool Run::wait_for_quiet(const char* after) {
    const base::Instant start = world.now();
    const base::Instant limit = start + options.recovery_max;
    std::string what;
    int calm = 0;
    base::Instant one_tree = base::instant_max;  // since when
    while (calm < 6) {                           // three seconds in a row
        if (world.now() >= limit || !run_for(look_interval)) {
            history.fail(std::string("no quiet after ") + after + ": " + what);
            return false;
        }
        what = split();
        if (!what.empty()) {
            one_tree = base::instant_max;
        } else if (one_tree == base::instant_max) {
            one_tree = world.now();
        }
        if (what.empty()) what = unrest();
        calm = what.empty() ? calm + 1 : 0;
    }
    result.recovered_after = one_tree - start;
    if (result.recovered_after > options.tree_recovery_max)
        history.fail(std::string("one tree only ") +
                     std::to_string(std::chrono::duration_cast<std::chrono::seconds>(result.recovered_after).count()) +
                     " s after " + after);
    return true;
}

/// Who has too many children sends one on each minute, which may cost what is in flight: until none moves any more.
void Run::wait_for_moves() {
    const auto links_lost = [&] {
        std::uint64_t sum = 0;
        for (auto& gateway : gateways) sum += gateway->node().tree().counters().links_lost;
        return sum;
    };
    for (std::uint64_t calm = 0, rounds = 0; rounds < 60; ++rounds) {
        std::size_t most = 0;
        for (auto& gateway : gateways) most = std::max(most, gateway->node().tree().status().children.size());
        if (most <= max_children || calm > most) return;
        const std::uint64_t before = links_lost();
        if (!run_for(std::chrono::seconds(65))) return;
        calm = links_lost() == before ? calm + 1 : 0;  // each child of the fullest was asked once
    }
    history.fail("children go on moving for an hour");
}

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

void Run::probe() {
    base::Prng prng = world.stream(salt_probe);
    history.excuse_order_in_groups(false);
    const std::uint64_t lost_before = lost_on_the_way();
    for (int round = 0; round < 3; ++round) {
        for (auto& client : clients) {
            for (int i = 0; i < 2; ++i) client->publish("a." + number(prng, 4), Expect::exactly_once);
            client->request("svc." + number(prng, 2), true);
            if (prng.chance(1, 3)) client->request("nobody.here", true, true);
            if (options.durable) client->publish("orders." + number(prng, 3), Expect::durable);
        }
        run_for(std::chrono::milliseconds(prng.between(1, 300)));
    }
    for (std::uint32_t i = 0; i < std::min<std::uint32_t>(4, result.gateways); ++i)
        // Not the wanderer, who moves before answers from afar are here.
        clients[prng.below(clients.size() - 1)]->ask("ask.all", askers, true);
    // The answer finds its requester where it has gone meanwhile.
    wanderer->request(slow_service, true);
    SimGateway& next = *one_of(gateways, prng);
    world.after(std::chrono::milliseconds(200), [this, &next] { wanderer->move(next); });
    run_for(probe_time);
    if (const std::uint64_t lost = lost_on_the_way() - lost_before; lost != 0)
        history.fail(std::to_string(lost) + " factors or targets were dropped in a quiet tree");
}

std::string Run::backlog() {
    for (auto& gateway : gateways) {
        const queue::Durable* durable = gateway->node().durable();
        if (durable == nullptr) continue;
        for (const auto& target : durable->targets(world.now()))
            if (target.synced < target.last && target.gateway != gateway_self)
                return gateway->name() + " has " + std::to_string(target.backlog_records_max) + " records (sent " +
                       std::to_string(target.sent) + ", accepted " + std::to_string(target.accepted) + ", synced " +
                       std::to_string(target.synced) + " of " + std::to_string(target.last) + ") for " +
                       std::string(gateway->node().tree().name(target.gateway));
        if (!durable->settled()) return gateway->name() + " has not settled";
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

/// What every gateway's local log took: no record twice, each origin's in order.
void Run::check_applied() {
    for (auto& gateway : gateways) {
        if (gateway->node().durable() == nullptr) continue;
        if (gateway->node().durable()->counters().losses != 0)
            history.fail(gateway->name() + " lost records although no disk was lost");
        std::set<std::tuple<GatewayId, queue::Run, queue::Position>> seen;
        std::map<GatewayId, queue::Position> newest;
        const auto& pages = gateway->disk().live().logs[static_cast<std::size_t>(queue::LogId::local)];
        for (const auto& [first, page] : pages) {
            queue::LocalPageReader reader;
            if (!reader.open(*page, true)) {
                history.fail(gateway->name() + " holds a local page that cannot be read");
                continue;
            }
            for (queue::LocalRecord record; reader.next(record);) {
                const queue::PageSource& source = reader.sources()[record.source];
                const std::string name = "record " + base::to_hex(source.origin.view().substr(0, 4)) + ":" +
                                         std::to_string(record.position) + " at " + gateway->name();
                if (!seen.emplace(source.origin, source.run, record.position).second)
                    history.fail(name + " was applied twice");
                queue::Position& last = newest[source.origin];
                if (record.position <= last) history.fail(name + " was applied after " + std::to_string(last));
                last = record.position;
            }
        }
    }
}

}  // namespace

SimulationResult simulate(const SimulationOptions& options) {
    Run run(options);
    run.set_up();
    if (run.wait_for_quiet("the start")) {
        run.storm();
        run.heal();
        if (run.wait_for_quiet("the storm")) {
            run.wait_for_moves();
            run.probe();
            if (options.durable) {
                run.wait_for_durable();
                if (!run.stuck) run.check_applied();
            }
            if (const std::string what = run.unrest(); !what.empty()) run.history.fail("after the probe: " + what);
            for (auto& client : run.clients) client->finish();
            run.history.finish();
        }
    }
    SimulationResult result = std::move(run.result);
    result.failures = run.history.failures();
    result.steps = run.world.steps();
    result.messages = run.history.messages();
    result.deliveries = run.history.deliveries();
    result.acknowledged = run.history.acknowledged_count();
    result.fingerprint = run.history.fingerprint();
    if (options.log_of_failures && !result.ok())
        for (auto& gateway : run.gateways)
            for (const auto& line : gateway->log_lines()) result.log.push_back(line);
    return result;
}

int run_simulation(const SimulationBatch& batch) {
    std::uint64_t failed = 0;
    SimulationResult total;
    for (std::uint64_t i = 0; i < batch.seeds; ++i) {
        SimulationOptions options;
        options.seed = batch.seed + i;
        options.gateways = batch.gateways;
        options.log_of_failures = batch.verbose;
        options.steps_max = batch.steps_max;
        const SimulationResult result = simulate(options);
        total.messages += result.messages;
        total.deliveries += result.deliveries;
        total.acknowledged += result.acknowledged;
        total.crashes += result.crashes;
        total.cuts += result.cuts;
        if (batch.verbose || !result.ok())
            batch.print(
                "seed " + std::to_string(options.seed) + ": " + std::to_string(result.gateways) + " gateways, " +
                std::to_string(result.messages) + " messages, " + std::to_string(result.deliveries) + " deliveries, " +
                std::to_string(result.acknowledged) + " acknowledged, " + std::to_string(result.crashes) +
                " crashes, " + std::to_string(result.cuts) + " cuts, one tree after " +
                std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(result.recovered_after).count()) +
                " ms" + (result.ok() ? "" : ": FAILED"));
        if (result.ok()) continue;
        ++failed;
        for (const auto& line : result.log) batch.print("  " + line);
        for (const auto& failure : result.failures) batch.print("  " + failure);
        batch.print("  again: treegate sim --seed " + std::to_string(options.seed) + " --seeds 1" +
                    (batch.gateways != 0 ? " --gateways " + std::to_string(batch.gateways) : ""));
    }
    batch.print(std::to_string(batch.seeds) + " seeds, " + std::to_string(failed) +
                " failed: " + std::to_string(total.messages) + " messages, " + std::to_string(total.deliveries) +
                " deliveries, " + std::to_string(total.acknowledged) + " acknowledged, " +
                std::to_string(total.crashes) + " crashes, " + std::to_string(total.cuts) + " cuts");
    return failed == 0 ? 0 : 1;
}

}  // namespace routing::sim
