// Several Trees on one virtual network: bytes arrive late and in pieces, connections break, gateways die and come back.
// One seed, one history.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "routing/base/hash.h"
#include "routing/base/prng.h"
#include "routing/gateway_registry.h"
#include "routing/peer/path_engine.h"
#include "routing/peer/tree.h"
#include "routing/target_sets.h"

namespace tree_world {

using namespace routing;
using namespace routing::peer;
using base::Instant;
using std::chrono::milliseconds;
using std::chrono::seconds;

class World;

/// Signs by a hash that everybody can compute: enough to see that the right text was signed for the right id.
class TestSigner final : public Signer {
  public:
    TestSigner(GatewayId id, std::string secret, std::uint64_t seed)
        : id_(id), secret_(std::move(secret)), prng_(seed) {}
    base::Bytes sign(base::ByteView text) override { return signature(id_, text); }
    bool verify(const GatewayId& id, base::ByteView text, base::ByteView given) override {
        return given == signature(id, text);
    }
    base::Bytes mac(base::ByteView text) override {
        if (secret_.empty()) return {};
        base::Bytes out;
        base::append_little_endian(out, base::hash_bytes(text, base::hash_bytes(secret_)));
        return out;
    }
    bool verify_mac(base::ByteView text, base::ByteView given) override { return given == mac(text); }
    base::Bytes random(std::size_t size) override {
        base::Bytes out;
        while (out.size() < size) out.push_back(static_cast<char>(prng_.next() & 0xff));
        return out;
    }

  private:
    static base::Bytes signature(const GatewayId& id, base::ByteView text) {
        base::Bytes out;
        base::append_little_endian(out, base::hash_bytes(text, base::hash_bytes(id.view())));
        return out;
    }
    GatewayId id_;
    std::string secret_;
    base::Prng prng_;
};

struct Received {
    GatewayId origin;
    std::string subject;
    std::string payload;
    bool operator==(const Received&) const = default;
};

/// One process: dies with its Tree.
class Gateway final : public TreeHost, public TreeEvents {
  public:
    Gateway(World& world, std::size_t place, TreeOptions options, std::string secret, Instant now,
            base::WallMillis clock_off = 0);

    TransportId dial(std::string_view address) override;
    void close_transport(TransportId transport, base::Bytes last_words) override;
    void pause_reading(TransportId transport) override { paused.insert(transport); }
    void resume_reading(TransportId transport) override;
    void output_waiting(TransportId transport) override { waiting.push_back(transport); }

    void remote_interest(GatewayIndex gateway, std::string_view account, std::string_view filter,
                         std::string_view queue, std::uint32_t weight) override {
        const auto key =
            std::make_tuple(registry.id(gateway), std::string(account), std::string(filter), std::string(queue));
        ++interest_events;
        if (weight == 0) {
            interest.erase(key);
        } else {
            interest[key] = weight;
        }
    }
    void durable_filters_changed() override { ++durable_events; }
    void reachable(GatewayIndex gateway, bool is, std::uint64_t boot) override {
        if (is) {
            up[registry.id(gateway)] = boot;
        } else {
            up.erase(registry.id(gateway));
        }
    }
    void syncing_changed(bool is) override { syncing = is; }
    void deliver(const VolatileDelivery& delivery) override {
        received.push_back({registry.id(delivery.origin), std::string(delivery.message.subject),
                            std::string(delivery.message.payload())});
        if (on_deliver) on_deliver(delivery);
    }
    void deliver_durable(const DurableDelivery& delivery) override {
        received_durable.push_back({registry.id(delivery.origin), std::string(delivery.message.subject),
                                    std::string(delivery.message.payload())});
    }
    void gateway_message(GatewayIndex from, std::uint8_t kind, base::ByteView body) override {
        gateway_messages.emplace_back(registry.id(from), kind, std::string(body));
    }
    void pause_publishers(bool pause) override {
        publishers_paused = pause;
        if (pause) ++publisher_pauses;
    }
    void identity_changed(std::uint64_t incarnation, Prime prime, base::WallMillis claimed_at) override {
        kept_incarnation = incarnation;
        kept_prime = prime;
        kept_claimed_at = claimed_at;
    }
    void log_changed(GatewayIndex gateway) override { changed_logs.insert(gateway); }
    void log(LogLevel level, std::string_view text) override;
    void members_known(const std::vector<KnownMember>& members) override { known_members = members; }
    void advisory(std::string_view kind, std::string_view json) override {
        advisories.emplace_back(std::string(kind), std::string(json));
    }

    [[nodiscard]] bool logged(std::string_view part) const {
        return std::any_of(lines.begin(), lines.end(),
                           [&](const auto& line) { return line.second.find(part) != std::string::npos; });
    }

    [[nodiscard]] bool logged(LogLevel level, std::string_view part) const {
        return std::any_of(lines.begin(), lines.end(), [&](const auto& line) {
            return line.first == level && line.second.find(part) != std::string::npos;
        });
    }

    World& world;
    std::size_t place;
    TreeOptions options;
    GatewayRegistry registry;
    TargetSets sets;
    TestSigner signer;
    std::set<TransportId> paused;
    std::vector<TransportId> waiting;
    std::map<std::tuple<GatewayId, std::string, std::string, std::string>, std::uint32_t> interest;
    std::map<GatewayId, std::uint64_t> up;
    std::vector<Received> received, received_durable;
    std::vector<std::tuple<GatewayId, std::uint8_t, std::string>> gateway_messages;
    std::vector<std::pair<LogLevel, std::string>> lines;
    std::vector<std::pair<std::string, std::string>> advisories;
    std::set<GatewayIndex> changed_logs;
    std::vector<KnownMember> known_members;
    std::function<void(const VolatileDelivery&)> on_deliver;
    int interest_events = 0, durable_events = 0, publisher_pauses = 0;
    bool syncing = false, publishers_paused = false;
    std::uint64_t kept_incarnation = 0;
    Prime kept_prime = 0;
    base::WallMillis kept_claimed_at = 0;
    std::unique_ptr<Tree> tree;  // last: its destructor may call back
};

/// Gateway `place` listens at address "g<place>".
class World {
  public:
    explicit World(std::uint64_t seed) : prng(seed) {}

    struct Setup {
        std::vector<std::string> join;
        std::string tree = "treegate";
        std::string secret;
        std::optional<std::uint8_t> id;            ///< its id's byte; none: place + 1
        std::optional<std::uint64_t> incarnation;  ///< none: counts the starts of its place
        Prime prime = 0;
        bool advertise = false;  ///< its address is in its log
        bool listens = true;     ///< else nobody can dial it
        /// Its machine.  It then listens at port 7000 + place of it as well and is not told its address.
        std::string host;
        bool loopback_only = false;  ///< ... and can be dialled from its machine alone
        std::size_t max_children = 10;
        std::string region;
        Compression compression = Compression::automatic;
        base::WallMillis clock_off = 0;  ///< of its wall clock; ms
    };

    static Setup joins(std::vector<std::string> addresses) {
        Setup setup;
        setup.join = std::move(addresses);
        return setup;
    }
    /// All that others need to find it by themselves.
    static Setup advertised(std::vector<std::string> join) {
        Setup setup;
        setup.join = std::move(join);
        setup.advertise = true;
        return setup;
    }

    static GatewayId id_of(std::size_t number) {
        GatewayId id;
        const std::uint64_t spread = base::mix_bits(number);
        for (std::size_t i = 0; i < 8; ++i) id.bytes[i] = static_cast<std::uint8_t>(spread >> (8 * i));
        id.bytes[31] = static_cast<std::uint8_t>(number);
        return id;
    }

    Gateway& start(std::size_t place, const Setup& setup) {
        if (gateways.size() <= place) gateways.resize(place + 1);
        starts[place] += 1;
        TreeOptions options;
        options.id = id_of(setup.id.value_or(static_cast<std::uint8_t>(place + 1)));
        options.name = "n" + std::to_string(place);
        options.tree = setup.tree;
        options.join = setup.join;
        options.boot = ++boots;
        options.incarnation = setup.incarnation.value_or(starts[place]);
        options.prime = setup.prime;
        options.seed = prng.next();
        options.max_children = setup.max_children;
        options.region = setup.region;
        options.compression = setup.compression;
        if (setup.advertise && setup.listens) options.advertise = "g" + std::to_string(place);
        options.known_members = kept_members[place];
        gateways[place] = std::make_unique<Gateway>(*this, place, options, setup.secret, now, setup.clock_off);
        setups[place] = setup;
        if (restore) restore(*gateways[place]->tree);
        if (!setup.host.empty() && !setup.advertise)
            gateways[place]->tree->set_listener(static_cast<std::uint16_t>(7000 + place), setup.loopback_only);
        gateways[place]->tree->start(now);
        pump(*gateways[place]);
        return *gateways[place];
    }

    /// The process dies; the other ends hear of it at once, or never (`silent`: its machine is gone).
    void kill(std::size_t place, bool silent = false) {
        kept_members[place] = gateways[place]->known_members;
        gateways[place].reset();
        for (auto& [key, pipe] : pipes) {
            if (!pipe.open || (pipe.ends[0].place != place && pipe.ends[1].place != place)) continue;
            pipe.open = false;
            const std::size_t other = pipe.ends[0].place == place ? 1 : 0;
            if (!silent) tell_closed(key, other);
        }
    }

    void restart(std::size_t place) {
        if (gateways[place]) kill(place);
        start(place, setups[place]);
    }

    /// Between the two nothing passes, and nobody is told.
    void cut(std::size_t a, std::size_t b) { cuts.insert(std::minmax(a, b)); }
    /// What was on its way goes on, as TCP would have it.
    void heal(std::size_t a, std::size_t b) {
        cuts.erase(std::minmax(a, b));
        for (auto& [key, pipe] : pipes)
            for (std::size_t side = 0; side < 2; ++side) schedule_delivery(key, side);
    }
    void reset_connections(std::size_t a, std::size_t b) {
        for (auto& [key, pipe] : pipes) {
            if (!pipe.open || std::minmax(pipe.ends[0].place, pipe.ends[1].place) != std::minmax(a, b)) continue;
            pipe.open = false;
            tell_closed(key, 0);
            tell_closed(key, 1);
        }
    }

    /// The open connections between two places, oldest first: control lane, then the other two.
    [[nodiscard]] std::vector<std::uint64_t> connections(std::size_t a, std::size_t b) const {
        std::vector<std::uint64_t> keys;
        for (const auto& [key, pipe] : pipes)
            if (pipe.open && std::minmax(pipe.ends[0].place, pipe.ends[1].place) == std::minmax(a, b))
                keys.push_back(key);
        return keys;
    }
    /// Which lane a data connection is: as its LANE frame said (1 volatile, 2 durable); 0: control.
    [[nodiscard]] std::size_t lane_of(std::uint64_t key) const {
        const auto found = lanes_seen.find(key);
        return found == lanes_seen.end() ? 0 : found->second;
    }
    /// One connection is reset; `half`: the listening end is never told.
    void reset_connection(std::uint64_t key, bool half = false) {
        pipes[key].open = false;
        tell_closed(key, 0);
        if (!half) tell_closed(key, 1);
    }

    void at(Instant time, std::function<void()> what) { events.emplace(std::make_pair(time, ++sequence), what); }

    void run(base::Duration duration) {
        const Instant end = now + duration;
        for (;;) {
            Instant next = events.empty() ? base::instant_max : events.begin()->first.first;
            for (const auto& gateway : gateways)
                if (gateway && !stopped.contains(gateway->place))
                    next = std::min(next, std::max(now, gateway->tree->next_deadline()));
            if (next > end) break;
            now = std::max(now, next);
            ++steps;
            if (steps > steps_max) {
                stuck = true;
                return;
            }
            if (!events.empty() && events.begin()->first.first <= now) {
                const auto what = std::move(events.begin()->second);
                events.erase(events.begin());
                what();
                continue;
            }
            for (const auto& gateway : gateways) {
                if (!gateway || stopped.contains(gateway->place) || gateway->tree->next_deadline() > now) continue;
                gateway->tree->tick(now);
                pump(*gateway);
            }
        }
        now = end;
    }

    /// Takes what `gateway` wants to write.  Call after any call into its tree from a test.
    void pump(Gateway& gateway) {
        for (int round = 0; round < 100 && !gateway.waiting.empty(); ++round) {
            for (const TransportId transport : std::exchange(gateway.waiting, {})) {
                base::Bytes out;
                gateway.tree->take_output(transport, out);
                if (!out.empty()) write(gateway, transport, std::move(out));
            }
        }
    }

    void interest(std::size_t place, const std::string& filter, const std::string& queue, std::uint32_t weight) {
        gateways[place]->tree->set_interest("$G", filter, queue, weight, now);
        pump(*gateways[place]);
    }

    /// Sends `payload` from one place to the plain subscribers of others.
    SendResult send(std::size_t from, const std::vector<std::size_t>& to, const std::string& subject,
                    const std::string& payload) {
        Gateway& gateway = *gateways[from];
        TargetSet set;
        for (const std::size_t place : to) {
            Target target;
            target.gateway = *gateway.registry.intern(gateways[place]->options.id);
            target.plain = true;
            set.push_back(target);
        }
        std::sort(set.begin(), set.end(), [](const Target& a, const Target& b) { return a.gateway < b.gateway; });
        MessageView message;
        message.subject = subject;
        message.body = payload;
        const SendResult result = gateway.tree->send_volatile(gateway.sets.intern(set), "$G", message, 0, now);
        pump(gateway);
        return result;
    }

    // --- what must be true ------------------------------------------------------------------------------------------

    [[nodiscard]] std::vector<Gateway*> living() const {
        std::vector<Gateway*> result;
        for (const auto& gateway : gateways)
            if (gateway) result.push_back(gateway.get());
        return result;
    }
    /// Why the living are not one quiet tree; empty: they are.
    [[nodiscard]] std::string why_not_one_tree() const {
        const std::vector<Gateway*> all = living();
        std::size_t roots = 0;
        std::set<Prime> primes;
        for (const Gateway* gateway : all) {
            const TreeStatus status = gateway->tree->status();
            if (status.root) ++roots;
            if (status.members.size() != all.size())
                return status.name + " sees " + std::to_string(status.members.size()) + " members of " +
                       std::to_string(all.size());
            if (gateway->up.size() + 1 != all.size()) return status.name + " was told of other members";
            if (status.digest != all.front()->tree->members_digest()) return status.name + " has another digest";
            if (!status.synced) return status.name + " is in sync with nobody";
            if (!primes.insert(status.prime).second) return status.name + " shares a prime";
        }
        return roots == 1 ? std::string() : std::to_string(roots) + " roots";
    }

    /// For CAPTURE-like output when a history failed.
    [[nodiscard]] std::string describe() const {
        std::string out;
        for (const Gateway* gateway : living()) {
            const TreeStatus status = gateway->tree->status();
            out += status.name + (status.root ? " root" : " ") + " members " + std::to_string(status.members.size());
            for (const LinkStatus& link : status.links)
                out += " [" + link.address + " " + link.role + (link.established ? " up" : "") + "]";
            for (const GatewayStatus& other : status.gateways)
                out += "\n    " + other.name + (other.reachable ? " up " : " -- ") + std::to_string(other.incarnation) +
                       "/" + std::to_string(other.boot) + "/" + std::to_string(other.version) + " digest " +
                       std::to_string(other.digest) + " entries " + std::to_string(other.entries);
            out += "\n";
        }
        return out;
    }

    base::Prng prng;
    Instant now = Instant{} + seconds(100);
    std::vector<std::unique_ptr<Gateway>> gateways;
    std::map<std::size_t, Setup> setups;
    std::map<std::size_t, std::vector<KnownMember>> kept_members;  ///< what a data dir keeps
    base::Duration delay_min = std::chrono::microseconds(50), delay_max = milliseconds(2);
    std::size_t chunk_max = 4096;
    std::set<std::pair<std::size_t, std::size_t>> cuts;
    bool dials_vanish = false;            ///< no dial is answered
    std::set<std::size_t> slow_readers;   ///< places that read nothing
    std::set<std::uint64_t> black_holes;  ///< pipes that swallow everything
    std::set<std::size_t> stopped;        ///< places whose process does nothing; its sockets take what comes
    std::function<void(std::size_t from, std::size_t to, base::Bytes&)> spoil;
    std::function<void(Tree&)> restore;  ///< called before each start
    std::uint64_t steps = 0, steps_max = 2'000'000;
    bool stuck = false;

    struct End {
        std::size_t place = 0;
        TransportId transport = 0;
        std::uint64_t boot = 0;
    };
    struct Pipe {
        End ends[2];
        base::Bytes bytes[2];  ///< on the way to ends[i]
        bool scheduled[2] = {false, false};
        bool closing[2] = {false, false};  ///< the other end closed after what is in bytes[i]
        bool open = true;
    };
    std::map<std::uint64_t, Pipe> pipes;
    std::map<std::pair<std::size_t, TransportId>, std::uint64_t> by_end;

    base::Duration delay() {
        return base::Duration(static_cast<std::int64_t>(prng.between(static_cast<std::uint64_t>(delay_min.count()),
                                                                     static_cast<std::uint64_t>(delay_max.count()))));
    }

    [[nodiscard]] Gateway* alive(const End& end) const {
        Gateway* gateway = end.place < gateways.size() ? gateways[end.place].get() : nullptr;
        return gateway && gateway->options.boot == end.boot ? gateway : nullptr;
    }

    TransportId dial(Gateway& from, const std::string& address) {
        const TransportId transport = ++transports;
        const End near{from.place, transport, from.options.boot};
        at(now + delay(), [this, near, address] {
            Gateway* gateway = alive(near);
            if (!gateway) return;
            const std::size_t colon = address.rfind(':');
            const std::size_t place =
                static_cast<std::size_t>(colon == std::string::npos ? std::stoul(address.substr(1))
                                                                    : std::stoul(address.substr(colon + 1)) - 7000);
            Gateway* listener = place < gateways.size() ? gateways[place].get() : nullptr;
            if (cuts.contains(std::minmax(near.place, place))) return;  // nobody answers
            if (dials_vanish) return;
            if (!listener || !setups[place].listens) {
                gateway->tree->on_dialed(near.transport, false, "connection refused", now);
                return pump(*gateway);
            }
            if (abandoned.contains(near.transport)) return;
            const TransportId far = ++transports;
            const std::uint64_t key = ++pipe_keys;
            Pipe& pipe = pipes[key];
            pipe.ends[0] = near;
            pipe.ends[1] = End{place, far, listener->options.boot};
            by_end[{near.place, near.transport}] = key;
            by_end[{place, far}] = key;
            const std::string& host = setups[near.place].host;
            listener->tree->on_accepted(far,
                                        host.empty()                  ? "from-g" + std::to_string(near.place)
                                        : address.starts_with("127.") ? "127.0.0.1:40000"
                                                                      : host + ":40000",
                                        now);
            pump(*listener);
            if (alive(near)) gateway->tree->on_dialed(near.transport, true, address, now);
            if (alive(near)) pump(*gateway);
        });
        return transport;
    }

    void write(Gateway& from, TransportId transport, base::Bytes bytes) {
        const auto found = by_end.find({from.place, transport});
        if (found == by_end.end()) return;
        Pipe& pipe = pipes[found->second];
        if (!pipe.open) return;
        const std::size_t other = pipe.ends[0].transport == transport ? 1 : 0;
        // The body of a LANE frame ends with its lane: 0 volatile, 1 durable.
        if (bytes.size() >= 37 && bytes[4] == 0x10) lanes_seen[found->second] = 1 + static_cast<std::size_t>(bytes[36]);
        if (spoil) spoil(from.place, pipe.ends[other].place, bytes);
        if (slow_readers.contains(pipe.ends[other].place)) {
            pipe.bytes[other] += bytes;  // the socket takes nothing
            return;
        }
        const std::size_t size = bytes.size();
        pipe.bytes[other] += bytes;
        from.tree->on_written(transport, size, now);
        schedule_delivery(found->second, other);
    }

    void close(Gateway& from, TransportId transport, base::Bytes last_words) {
        abandoned.insert(transport);
        const auto found = by_end.find({from.place, transport});
        if (found == by_end.end()) return;
        Pipe& pipe = pipes[found->second];
        if (!pipe.open) return;
        const std::size_t other = pipe.ends[0].transport == transport ? 1 : 0;
        pipe.bytes[other] += last_words;
        pipe.closing[other] = true;
        pipe.bytes[1 - other].clear();
        schedule_delivery(found->second, other);
    }

    void tell_closed(std::uint64_t key, std::size_t side) {
        const End end = pipes[key].ends[side];
        at(now + delay(), [this, end] {
            Gateway* gateway = alive(end);
            if (!gateway) return;
            gateway->tree->on_closed(end.transport, now);
            pump(*gateway);
        });
    }

    void schedule_delivery(std::uint64_t key, std::size_t side) {
        Pipe& pipe = pipes[key];
        if (pipe.scheduled[side] || !pipe.open) return;
        pipe.scheduled[side] = true;
        at(now + delay(), [this, key, side] { deliver(key, side); });
    }

    void deliver(std::uint64_t key, std::size_t side) {
        Pipe& pipe = pipes[key];
        pipe.scheduled[side] = false;
        const End end = pipe.ends[side];
        if (!pipe.open || cuts.contains(std::minmax(pipe.ends[0].place, pipe.ends[1].place))) return;
        Gateway* gateway = alive(end);
        if (!gateway || black_holes.contains(key)) return;
        if (gateway->paused.contains(end.transport) || slow_readers.contains(end.place) || stopped.contains(end.place))
            return;
        if (!pipe.bytes[side].empty()) {
            const std::size_t size = prng.between(1, std::min(chunk_max, pipe.bytes[side].size()));
            const base::Bytes chunk = pipe.bytes[side].substr(0, size);
            pipe.bytes[side].erase(0, size);
            gateway->tree->on_bytes(end.transport, chunk, now);
            pump(*gateway);
        }
        Pipe& again = pipes[key];
        if (!again.bytes[side].empty()) return schedule_delivery(key, side);
        if (again.closing[side] && again.open) {
            again.open = false;
            if (!abandoned.contains(end.transport)) {
                gateway->tree->on_closed(end.transport, now);
                pump(*gateway);
            }
        }
    }

    /// A stopped process goes on: it finds what came meanwhile.
    void go_on(std::size_t place) {
        stopped.erase(place);
        for (auto& [key, pipe] : pipes)
            for (std::size_t side = 0; side < 2; ++side)
                if (pipe.open && pipe.ends[side].place == place) schedule_delivery(key, side);
    }

    /// A slow reader reads again: what waited for it was taken by the sockets meanwhile.
    void read_again(std::size_t place) {
        slow_readers.erase(place);
        for (auto& [key, pipe] : pipes) {
            for (std::size_t side = 0; side < 2; ++side) {
                if (!pipe.open || pipe.ends[side].place != place || pipe.bytes[side].empty()) continue;
                if (Gateway* other = alive(pipe.ends[1 - side])) {
                    other->tree->on_written(pipe.ends[1 - side].transport, pipe.bytes[side].size(), now);
                    pump(*other);
                }
                schedule_delivery(key, side);
            }
        }
    }

    std::set<TransportId> abandoned;
    std::map<std::uint64_t, std::size_t> lanes_seen;

  private:
    std::map<std::pair<Instant, std::uint64_t>, std::function<void()>> events;
    std::map<std::size_t, std::uint64_t> starts;
    std::uint64_t sequence = 0, boots = 0, pipe_keys = 0;
    TransportId transports = 0;
};

inline Gateway::Gateway(World& the_world, std::size_t its_place, TreeOptions its_options, std::string secret,
                        Instant now, base::WallMillis clock_off)
    : world(the_world),
      place(its_place),
      options(std::move(its_options)),
      registry(options.id),
      signer(options.id, std::move(secret), options.seed ^ 0x5157) {
    const auto wall = clock_off + std::chrono::duration_cast<milliseconds>(now.time_since_epoch()).count();
    tree = std::make_unique<Tree>(options, registry, sets, *this, *this, signer, now, wall);
}

/// TREE_WORLD_VERBOSE=1 prints a history as it happens.
inline void Gateway::log(LogLevel level, std::string_view text) {
    static const bool verbose = std::getenv("TREE_WORLD_VERBOSE") != nullptr;
    if (verbose) {
        const auto ms = std::chrono::duration_cast<milliseconds>(world.now.time_since_epoch()).count();
        std::fprintf(stderr, "%8lld.%03lld %s: %.*s\n", static_cast<long long>(ms / 1000),
                     static_cast<long long>(ms % 1000), options.name.c_str(), static_cast<int>(text.size()),
                     text.data());
    }
    lines.emplace_back(level, std::string(text));
}

inline TransportId Gateway::dial(std::string_view address) {
    return world.dial(*this, std::string(address));
}

inline void Gateway::close_transport(TransportId transport, base::Bytes last_words) {
    paused.erase(transport);
    world.close(*this, transport, std::move(last_words));
}

inline void Gateway::resume_reading(TransportId transport) {
    paused.erase(transport);
    const auto found = world.by_end.find({place, transport});
    if (found == world.by_end.end()) return;
    const World::Pipe& pipe = world.pipes[found->second];
    world.schedule_delivery(found->second, pipe.ends[0].transport == transport ? 0 : 1);
}

}  // namespace tree_world
