#include "routing/sim/run.h"

#include <algorithm>
#include <utility>

namespace routing::sim {

namespace {

/// How long the probes of the quiet tree may take to arrive: more than lookup_timeout and the slow service.
constexpr base::Duration probe_time = std::chrono::seconds(8);
/// From the loss of a disk to the start with an old backup: an operator takes longer than any byte is under way, in a
/// black hole of 10 s included.
constexpr base::Duration restore_time = std::chrono::seconds(12);
/// How often bounds are looked at while the storm lasts.
constexpr base::Duration bounds_interval = std::chrono::seconds(2);

base::Duration milliseconds(base::Prng& prng, std::uint64_t low, std::uint64_t high) {
    return std::chrono::milliseconds(prng.between(low, high));
}

}  // namespace

Run::Run(const SimulationOptions& wanted)
    : options(wanted),
      world(wanted.seed),
      network(world, wanted.network),
      tap(history),
      actions(world.stream(salt_actions)),
      faults(world.stream(salt_faults)),
      durable(wanted.durable &&
              (wanted.plan == nullptr || std::any_of(wanted.plan->gateways.begin(), wanted.plan->gateways.end(),
                                                     [](const PlannedGateway& gateway) { return gateway.durable; }))),
      last_fault(world.now()) {}

bool Run::run_until(base::Instant when) {
    if (stuck) return false;
    // Logs of all go to all: twice the gateways are four times the work.
    const std::uint64_t size = std::max<std::uint64_t>(1, gateways.size() * gateways.size() / 1024);
    const std::uint64_t most = options.steps_max * size;
    const std::uint64_t left = most - std::min(most, world.steps());
    if (!world.run_until(when, left)) {
        history.fail("no progress: " + std::to_string(most) + " steps were not enough");
        stuck = true;
    }
    return !stuck;
}

// --- The cast --------------------------------------------------------------------------------------------------------

void Run::add_gateway(GatewaySetup setup) {
    setup.host = static_cast<HostIndex>(gateways.size());
    setup.sabotage = options.sabotage;
    setup.tap = &tap;
    gateways.push_back(std::make_unique<SimGateway>(world, network, std::move(setup)));
}

void Run::draw_gateways(base::Prng& prng, std::uint32_t count) {
    const std::size_t max_children = prng.chance(1, 4) ? prng.between(2, 4) : 10;
    // Who comes late is asked by nobody but who comes later.
    if (!options.chain && count > 4 && prng.chance(1, 3))
        late = static_cast<std::uint32_t>(prng.between(1, std::min(3U, count - 4)));
    std::vector<HostIndex> listening;
    for (HostIndex host = 0; host < count; ++host) {
        GatewaySetup setup;
        setup.name = "g" + std::to_string(host);
        if (host != 0) {
            const HostIndex first = options.chain ? host - 1 : one_of(listening, prng);
            setup.join.push_back(Network::address_of(first));
            if (!options.chain && prng.chance(1, 3)) setup.join.push_back(Network::address_of(one_of(listening, prng)));
        }
        setup.max_children = max_children;
        setup.listens = options.chain || host == 0 || prng.chance(4, 5);
        if (durable && (host == 0 || prng.chance(1, 4))) setup.durable.push_back("orders.>");
        if (setup.listens) listening.push_back(host);
        add_gateway(std::move(setup));
    }
    // Some are far from some others.
    for (std::uint32_t i = 0; i < count && !options.chain && prng.chance(1, 3); ++i) {
        const auto a = static_cast<HostIndex>(prng.below(count));
        network.slow(a, static_cast<HostIndex>(prng.below(count)), milliseconds(prng, 10, 150));
    }
}

void Run::add_clients(base::Prng& prng) {
    std::vector<SimGateway*> homes;
    if (options.plan == nullptr) {
        for (std::size_t i = 0; i < gateways.size() * options.clients_per_gateway; ++i)
            homes.push_back(gateways[i % gateways.size()].get());
    } else {
        for (std::size_t i = 0; i < gateways.size(); ++i)
            homes.insert(homes.end(), options.plan->gateways[i].clients, gateways[i].get());
    }
    for (std::uint32_t i = 0; i < homes.size(); ++i) {
        clients.push_back(std::make_unique<Client>(world, history, *homes[i], i));
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
        // What was published before a late one came is not for it.
        if (!durable || homes[i]->host() + late >= gateways.size()) continue;
        if (i == 1 || prng.chance(1, 5)) client.subscribe("orders.*", "", true);
        if (i == 0 || prng.chance(1, 5)) client.subscribe("orders.>", "workers", true);
    }
    // One client that has nothing durable and moves from gateway to gateway.
    clients.push_back(
        std::make_unique<Client>(world, history, *gateways[0], static_cast<std::uint32_t>(clients.size())));
    wanderer = clients.back().get();
}

void Run::set_up() {
    base::Prng prng = world.stream(salt_setup);
    const std::uint32_t most = prng.chance(1, 10) ? 20 : 8;
    const auto drawn = static_cast<std::uint32_t>(prng.between(3, most));
    if (options.plan != nullptr) {
        for (const PlannedGateway& planned : options.plan->gateways) {
            GatewaySetup setup;
            setup.name = planned.name;
            for (const std::size_t other : planned.join)
                setup.join.push_back(Network::address_of(static_cast<HostIndex>(other)));
            setup.region = planned.region;
            setup.tags = planned.tags;
            if (planned.durable) setup.durable.push_back("orders.>");
            setup.listens = planned.listens;
            setup.max_children = planned.max_children;
            add_gateway(std::move(setup));
        }
        for (const PlannedDistance& distance : options.plan->distances)
            network.slow(static_cast<HostIndex>(distance.a), static_cast<HostIndex>(distance.b), distance.delay);
    } else {
        draw_gateways(prng, options.gateways != 0 ? options.gateways : drawn);
    }
    result.gateways = static_cast<std::uint32_t>(gateways.size());
    for (std::size_t i = 0; i + late < gateways.size(); ++i)
        world.after(milliseconds(prng, 0, 1500), [gateway = gateways[i].get()] { gateway->start(); });
    add_clients(prng);
}

// --- The storm -------------------------------------------------------------------------------------------------------

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
            if (durable && !newcomers_.contains(client.gateway().host()))
                client.publish("orders." + number(actions, 3), Expect::durable);
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

void Run::come_up(SimGateway& gateway) {
    if (!gateway.up() && down_until_[gateway.host()] <= world.now()) gateway.start();
}

/// The gateway's disk is copied now, lost some time later, and what comes up in its place has the copy.
void Run::restore_old_backup(SimGateway& gateway) {
    // One copy in the life of a gateway: to restore an older one and then a newer one would be to mix two histories.
    if (!gateway.up() || gateway.node().durable() == nullptr || newcomers_.contains(gateway.host())) return;
    if (!gateway.has_backup()) gateway.back_up();
    const base::Duration when = milliseconds(faults, 100, 10'000);
    fault_until(world.now() + when + restore_time);
    world.after(when, [this, &gateway] {
        if (!gateway.up()) return;  // down already, and up again at its own time
        ++result.restores;
        note_applied(gateway);
        gateway.crash(0);
        gateway.restore_backup();
        down_until_[gateway.host()] = world.now() + restore_time;
        world.after(restore_time, [this, &gateway] { come_up(gateway); });
    });
}

void Run::break_something() {
    const auto pair = [&] {
        const auto a = static_cast<HostIndex>(faults.below(gateways.size()));
        auto b = static_cast<HostIndex>(faults.below(gateways.size() - 1));
        if (b >= a) ++b;
        return std::pair(a, b);
    };
    switch (faults.below(options.backups && durable ? 8 : 7)) {
        case 0:
        case 1: {
            SimGateway& gateway = *one_of(gateways, faults);
            if (!gateway.up()) return;
            ++result.crashes;
            gateway.crash(faults.below(gateway.disk().unsynced() + 1));
            const base::Duration down = milliseconds(faults, 10, 6000);
            fault_until(world.now() + down);
            world.after(down, [this, &gateway] { come_up(gateway); });
            return;
        }
        case 2: {
            const auto [a, b] = pair();
            ++result.cuts;
            network.cut(a, b, faults.chance(1, 2) ? Cut::refuse : Cut::black_hole);
            const base::Duration apart = milliseconds(faults, 50, 10'000);
            fault_until(world.now() + apart);
            world.after(apart, [this, a = a, b = b] { network.heal(a, b); });
            return;
        }
        case 3: {
            std::vector<std::uint32_t> side;
            for (std::size_t i = 0; i < gateways.size(); ++i)
                side.push_back(static_cast<std::uint32_t>(faults.below(2)));
            ++result.cuts;
            network.partition(side, faults.chance(1, 2) ? Cut::refuse : Cut::black_hole);
            const base::Duration apart = milliseconds(faults, 200, 8000);
            fault_until(world.now() + apart);
            world.after(apart, [this] { network.heal_all(); });
            return;
        }
        case 4: {
            const std::uint64_t draw = faults.next();
            for (std::size_t i = 0; i < gateways.size(); ++i) {
                const auto [a, b] = pair();
                network.reset_one(a, b, draw);
            }
            fault_until(world.now());
            return;
        }
        case 5: {
            const base::Duration stopped = milliseconds(faults, 10, 4000);
            fault_until(world.now() + stopped);
            one_of(gateways, faults)->pause(stopped);
            return;
        }
        case 6:  // a commit fails; whether it reached the disk nobody knows
            one_of(gateways, faults)->disk().fail_after(faults.below(10), faults.chance(1, 2));
            fault_until(world.now());
            return;
        case 7:
            restore_old_backup(*one_of(gateways, faults));
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
    for (std::size_t i = gateways.size() - late; i < gateways.size(); ++i) {
        const base::Instant when = anywhere(faults);
        fault_until(when);
        newcomers_.insert(static_cast<HostIndex>(i));
        world.at(when, [this, &gateway = *gateways[i]] { come_up(gateway); });
    }
    while (world.now() < start + options.storm) {
        if (!run_until(std::min(world.now() + bounds_interval, start + options.storm))) return;
        check_bounds();
    }
}

void Run::heal() {
    network.heal_all();
    network.stop_faults();
    all_due = true;
    // A disk's fault strikes with one of its next commits; those who are down or stopped come up when it was said.
    fault_until(world.now());
    run_until(last_fault);
    network.heal_all();
    for (auto& gateway : gateways) come_up(*gateway);
    last_fault = world.now();
}

/// Once its gateway has read all that it sent: what waits there for a store that is opened again would be lost.
void Run::move_wanderer(SimGateway& next) {
    if (wanderer->gateway().up() && wanderer->gateway().held() != 0)
        world.after(std::chrono::milliseconds(50), [this, &next] { move_wanderer(next); });
    else
        wanderer->move(next);
}

void Run::probe() {
    base::Prng prng = world.stream(salt_probe);
    history.excuse_order_in_groups(false);
    for (int round = 0; round < 3; ++round) {
        if (options.sabotage == Sabotage::cut_in_the_quiet && round == 1)
            for (HostIndex host = 1; host < gateways.size(); ++host) network.cut(0, host, Cut::refuse);
        for (auto& client : clients) {
            for (int i = 0; i < 2; ++i) client->publish("a." + number(prng, 4), Expect::exactly_once);
            client->request("svc." + number(prng, 2), true);
            if (prng.chance(1, 3)) client->request("nobody.here", true, true);
            if (durable) client->publish("orders." + number(prng, 3), Expect::durable);
        }
        run_for(milliseconds(prng, 1, 300));
    }
    for (std::uint32_t i = 0; i < std::min<std::uint32_t>(4, result.gateways); ++i)
        // Not the wanderer, who moves before answers from afar are here.
        clients[prng.below(clients.size() - 1)]->ask("ask.all", askers, true);
    // The answer finds its requester where it has gone meanwhile.
    wanderer->request(slow_service, true);
    SimGateway& next = *one_of(gateways, prng);
    world.after(std::chrono::milliseconds(200), [this, &next] { move_wanderer(next); });
    run_for(probe_time);
}

}  // namespace routing::sim
