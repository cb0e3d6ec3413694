// One run of the simulator from the inside: its world, its cast, and its phases.  Of this room only.
//
//     set_up ─► quiet ─► storm ─► heal ─► quiet ─► moves ─► probe ─► durable ─► end
//      run.cc   checks.cc  run.cc          checks.cc .......................................
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "routing/base/prng.h"
#include "routing/queue/recovery.h"
#include "routing/sim/client.h"
#include "routing/sim/history.h"
#include "routing/sim/network.h"
#include "routing/sim/sim_gateway.h"
#include "routing/sim/simulation.h"
#include "routing/sim/wire_tap.h"
#include "routing/sim/world.h"

namespace routing::sim {

// Salts of the random streams, one per purpose, so that more faults do not mean other messages.
inline constexpr std::uint64_t salt_setup = 1;
inline constexpr std::uint64_t salt_actions = 2;
inline constexpr std::uint64_t salt_faults = 3;
inline constexpr std::uint64_t salt_probe = 4;

template <typename Container>
auto& one_of(Container& items, base::Prng& prng) {
    return items[prng.below(items.size())];
}

inline std::string number(base::Prng& prng, std::uint64_t below) {
    return std::to_string(prng.below(below));
}

/// Threads: one.
struct Run {
    explicit Run(const SimulationOptions& wanted);

    // --- run.cc ------------------------------------------------------------------------------------------------------

    void set_up();
    void storm();
    /// Everything that is broken is mended, everybody who is down comes up; returns when the last fault has ended.
    void heal();
    /// The quiet tree gets messages whose fate is certain.
    void probe();
    /// Errors: false if the steps are used up (a failure by then).
    bool run_until(base::Instant when);
    bool run_for(base::Duration time) { return run_until(world.now() + time); }

    // --- checks.cc ---------------------------------------------------------------------------------------------------

    /// Until all have been one tree with equal logs for three seconds.  Errors: false if they do not become it.
    bool wait_for_quiet(const char* after);
    void wait_for_moves();
    /// How the tree stands before the probe, and what must be true of it behind.
    void before_probe();
    void after_probe();
    void wait_for_durable();
    /// Every queue, table and buffer is within its bound, whatever goes on.
    void check_bounds();
    /// What a local log holds now, before its disk is lost.
    void note_applied(SimGateway& gateway);
    /// Judges what clients got, and what every store holds in the end.
    void judge();

    const SimulationOptions& options;
    World world;
    Network network;
    History history;
    WireTap tap;
    base::Prng actions;
    base::Prng faults;
    const bool durable;  ///< somebody has durable filters
    std::vector<std::unique_ptr<SimGateway>> gateways;
    std::vector<std::unique_ptr<Client>> clients;
    Client* wanderer = nullptr;
    std::uint32_t askers = 0;  ///< who answers on "ask.all"
    std::uint32_t late = 0;    ///< so many of the last gateways come in during the storm
    bool all_due = false;      ///< the late ones are to be there, too
    base::Instant last_fault;  ///< ends at this time, as far as known
    SimulationResult result;
    bool stuck = false;

  private:
    // run.cc
    void add_gateway(GatewaySetup setup);
    void draw_gateways(base::Prng& prng, std::uint32_t count);
    void add_clients(base::Prng& prng);
    void act();
    void break_something();
    void come_up(SimGateway& gateway);
    void move_wanderer(SimGateway& next);
    void restore_old_backup(SimGateway& gateway);
    void fault_until(base::Instant end) { last_fault = std::max(last_fault, end); }

    // checks.cc
    /// The gateway has not come in yet, and need not have.
    [[nodiscard]] bool absent(const SimGateway& gateway) const;
    [[nodiscard]] std::string split();
    [[nodiscard]] std::string unrest();
    [[nodiscard]] std::string backlog();
    [[nodiscard]] std::uint64_t lost_on_the_way();
    [[nodiscard]] std::vector<HostIndex> way_up(HostIndex host) const;
    [[nodiscard]] std::size_t factors(const Probe& probe) const;
    void check_quiet_bounds();
    void check_applied(SimGateway& gateway, const queue::RecoveredState& state);
    void note_tree();

    /// Who came late and has not seen the whole tree yet: it does not know what is durable, and for whom.
    std::set<HostIndex> newcomers_;
    std::map<HostIndex, base::Instant> down_until_;         ///< whose disk was lost
    std::map<HostIndex, std::set<MessageNumber>> applied_;  ///< by disks that were lost
    std::map<HostIndex, HostIndex> parents_;                ///< of the quiet tree, before the probe
    std::uint64_t lost_before_ = 0;                         ///< the probe
};

}  // namespace routing::sim
