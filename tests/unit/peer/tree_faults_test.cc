// What a neighbour, a stranger or the network can do wrong: each ends in one clear log line with the peer's name and
// the rule, the gateway lives, and no other link suffers.
#include <catch2/catch.hpp>

#include "routing/interest.h"
#include "routing/peer/pack.h"
#include "routing/peer/peer_codec.h"
#include "tree_world.h"

using namespace tree_world;

namespace {

/// n1 and n2 are children of n0.
void start_star(World& world) {
    world.start(0, {});
    world.run(seconds(1));
    for (const std::size_t place : {1, 2}) world.start(place, World::joins({"g0"}));
    world.run(seconds(3));
    REQUIRE(world.why_not_one_tree() == "");
}

base::Bytes frame_of(std::uint8_t kind, const base::Bytes& body, std::uint16_t count = 0) {
    base::Bytes frame;
    append_header(frame, FrameHeader{static_cast<std::uint32_t>(body.size()), kind, 0, count});
    return frame + body;
}

base::Bytes frame_of(FrameKind kind, const base::Bytes& body = {}) {
    return frame_of(static_cast<std::uint8_t>(kind), body);
}

template <typename Message>
base::Bytes encoded(const Message& message) {
    base::Bytes out;
    encode(out, message);
    return out;
}

/// Gateways 1 (n0, prime) and 2 (n1, prime) defined, then a path from n1 that delivers at `factors`.
base::Bytes path_frames(const World& world, const std::vector<std::uint32_t>& factors) {
    base::Bytes gateways;
    PackWriter names(gateways);
    names.array(2);
    for (const std::size_t place : {0, 1})
        names.array(3)
            .uint(place + 1)
            .bin(World::id_of(place + 1).view())
            .uint(world.gateways[place]->tree->status().prime);
    base::Bytes path;
    PackWriter body(path);
    body.array(5).uint(9).str("$G").uint(2).uint(0).array(factors.size());
    for (const std::uint32_t factor : factors) body.array(2).uint(factor).uint(1);
    return frame_of(0x40, gateways) + frame_of(0x41, path);
}

/// `bytes` come out of the connection of that lane, as if n1 had sent them to n0.
void inject(World& world, std::size_t lane, const base::Bytes& bytes) {
    // Dials of the two data lanes may arrive in either order: the tree's counters tell them apart.
    std::vector<std::uint64_t> keys = world.connections(0, 1);
    REQUIRE(keys.size() == 3);
    const World::Pipe& pipe = world.pipes[lane == 0 ? keys[0] : world.lane_of(keys[1]) == lane ? keys[1] : keys[2]];
    const World::End& end = pipe.ends[0].place == 0 ? pipe.ends[0] : pipe.ends[1];
    world.gateways[0]->tree->on_bytes(end.transport, bytes, world.now);
    world.pump(*world.gateways[0]);
}

}  // namespace

TEST_CASE("a neighbour that breaks a rule loses its link, by name and rule, and nobody else does", "[peer][faults]") {
    World world(1);
    start_star(world);
    struct Case {
        std::string what;
        std::size_t lane;  // 0 control, 1 volatile, 2 durable
        base::Bytes bytes;
        std::string line;
    };
    base::Bytes huge;
    append_header(huge, FrameHeader{control_body_bytes_max + 1, static_cast<std::uint8_t>(FrameKind::heartbeat), 0, 0});
    const base::Bytes half = encoded(Heartbeat{}).substr(0, frame_header_bytes + 4);
    base::Bytes record;  // label 77, size 1, flags 0
    base::append_varint(record, 77);
    base::append_varint(record, 1);
    record.push_back('\0');
    const std::vector<Case> cases = {
        {"second HELLO", 0, encoded(Hello{}), "on the wrong lane or before its time (kind 1,"},
        {"second PROOF", 0, encoded(Proof{}), "on the wrong lane or before its time (kind 2,"},
        {"WELCOME unasked", 0, encoded(Welcome{1, {}, {}}), "WELCOME: a frame came on the wrong lane"},
        {"LANE on the control lane", 0, encoded(LaneHello{}), "on the wrong lane or before its time (kind 16,"},
        {"SUMMARY on the control lane", 0, frame_of(FrameKind::summary), "wrong lane or before its time (kind 32,"},
        {"unknown kind", 0, frame_of(0x7f, "x"), "a frame of unknown kind (kind 127,"},
        {"too long", 0, huge, "a frame is longer than its kind may be (kind 7,"},
        {"truncated", 0, frame_of(FrameKind::heartbeat, half.substr(frame_header_bytes)), "HEARTBEAT: a frame ends"},
        {"no MessagePack", 0, frame_of(FrameKind::ancestors, "\xc1\xc1\xc1"), "ANCESTORS: a frame does not have"},
        {"HEARTBEAT on the volatile lane", 1, encoded(Heartbeat{}), "wrong lane or before its time (kind 7,"},
        {"LOG that is none", 1, frame_of(FrameKind::log, "nonsense"), "LOG: a frame does not have the layout"},
        {"SUMMARY that ends", 1, frame_of(FrameKind::summary, "\x91"), "SUMMARY: a frame ends within a value"},
        {"unknown label", 1, frame_of(0x43, record, 1), "a message names a label that was not defined on its lane"},
        {"unknown gateway", 1, path_frames(world, {7}).substr(path_frames(world, {7}).find('\x41') - 4),
         "a path names a gateway that was not defined on its lane"},
        {"law broken: not our factor", 1, path_frames(world, {2}), "a path breaks the split law"},
        {"law broken: twice", 1, path_frames(world, {1, 1}), "a path breaks the split law"},
        {"LOG on the durable lane", 2, frame_of(FrameKind::log), "wrong lane or before its time (kind 33,"},
        {"volatile records on the durable lane", 2, frame_of(0x43, record, 1), "wrong lane or before its time"},
        {"a count that lies", 1, frame_of(0x43, record, 2), "a message names a label"},
    };
    for (const Case& one : cases) {
        CAPTURE(one.what);
        const std::uint64_t lost = world.gateways[2]->tree->counters().links_lost;
        Gateway& hub = *world.gateways[0];
        hub.lines.clear();
        inject(world, one.lane, one.bytes);
        std::size_t named = 0;
        for (const auto& [level, line] : hub.lines) {
            CAPTURE(line);
            if (line.find("n1") == std::string::npos || line.find(one.line) == std::string::npos) continue;
            CHECK(level == LogLevel::warning);
            ++named;
        }
        INFO((hub.lines.empty() ? std::string("nothing was logged") : hub.lines.front().second));
        CHECK(named == 1);
        world.run(seconds(15));
        CHECK(world.why_not_one_tree() == "");
        CHECK(world.gateways[2]->tree->counters().links_lost == lost);
        CHECK(world.gateways[1]->logged("it says: "));
    }
    CHECK(world.gateways[0]->tree->counters().protocol_errors == cases.size());
}

TEST_CASE("a stranger that speaks another version is told so", "[peer][faults]") {
    World world(2);
    start_star(world);
    Gateway& hub = *world.gateways[0];
    hub.tree->on_accepted(1'000'000, "stranger", world.now);
    Hello hello;
    hello.version_min = protocol_version + 1;
    hello.version_max = protocol_version + 9;
    hello.name = "newcomer";
    hello.tree = "treegate";
    hub.tree->on_bytes(1'000'000, encoded(hello), world.now);
    world.pump(hub);
    CHECK(hub.logged("newcomer (stranger) ends: this gateway speaks versions 1 to"));
    CHECK(world.abandoned.contains(1'000'000));
    CHECK(world.why_not_one_tree() == "");
}

TEST_CASE("a refusal that comes again and again is a warning once a minute", "[peer][faults]") {
    World world(3);
    world.start(0, {});
    World::Setup other = World::joins({"g0"});
    other.tree = "elsewhere";
    world.start(1, other);
    world.run(seconds(50));
    const auto warnings = [](const Gateway& gateway) {
        return std::count_if(gateway.lines.begin(), gateway.lines.end(),
                             [](const auto& line) { return line.first == LogLevel::warning; });
    };
    CHECK(warnings(*world.gateways[0]) == 1);
    CHECK(warnings(*world.gateways[1]) == 1);
    // Nobody dials every second what only a person can mend.
    CHECK(world.gateways[1]->tree->counters().dials < 8);
}

TEST_CASE("connections that are reset at any moment of their life come back", "[peer][faults]") {
    for (int moment = 0; moment < 60; ++moment) {
        CAPTURE(moment);
        World world(static_cast<std::uint64_t>(moment));
        world.chunk_max = 30;
        world.start(0, {});
        world.start(1, World::joins({"g0"}));
        world.run(std::chrono::microseconds(400) * moment);
        const auto open = world.connections(0, 1);
        if (open.empty()) continue;
        if (moment % 3 == 0) {
            world.reset_connections(0, 1);
        } else {
            world.reset_connection(open[world.prng.below(open.size())], moment % 3 == 1);
        }
        world.run(seconds(20));
        INFO(world.describe());
        CHECK(world.why_not_one_tree() == "");
    }
}

TEST_CASE("connections that are reset after any byte come back, and no other link notices", "[peer][faults]") {
    int established = 0;
    for (std::size_t whole = 0; whole < 2600; whole += 19) {
        CAPTURE(whole);
        World world(whole);
        world.start(0, {});
        world.start(2, World::joins({"g0"}));
        world.run(seconds(3));
        REQUIRE(world.gateways[2]->up.size() == 1);
        // So many bytes of what n0 and n1 say to each other arrive, all lanes and both ways together, and nothing more.
        std::size_t left = whole;
        world.spoil = [&](std::size_t from, std::size_t to, base::Bytes& bytes) {
            if (from + to != 1) return;
            bytes.resize(std::min(bytes.size(), left));
            left -= bytes.size();
        };
        world.start(1, World::joins({"g0"}));
        world.run(milliseconds(700));
        world.reset_connections(0, 1);
        const bool was_link = world.gateways[0]->tree->counters().links_established > 1;
        world.spoil = nullptr;
        world.run(seconds(20));
        INFO(world.describe());
        CHECK(world.why_not_one_tree() == "");
        CHECK(world.gateways[2]->tree->counters().links_lost == 0);
        CHECK(world.gateways[0]->tree->counters().protocol_errors == 0);
        CHECK(world.gateways[1]->tree->counters().protocol_errors == 0);
        if (!was_link) continue;
        ++established;
        CHECK(world.gateways[0]->logged("n1"));
    }
    CHECK(established > 0);
}

TEST_CASE("who never reads loses its link, by name and rule, and others get everything", "[peer][faults]") {
    World world(9);
    start_star(world);
    Gateway& hub = *world.gateways[0];
    hub.lines.clear();
    world.slow_readers.insert(1);
    std::size_t sent = 0;
    for (; sent < 300 && hub.tree->counters().links_lost == 0; ++sent) {
        world.send(0, {1, 2}, "x", std::string(1000, 'p'));
        world.run(milliseconds(100));
    }
    CHECK(hub.tree->counters().links_lost == 1);
    // What came of it is one line that names it, with the rule.
    const auto names = std::count_if(hub.lines.begin(), hub.lines.end(), [](const auto& line) {
        return line.second.find("link to n1") != std::string::npos && line.second.find(" ends: ") != std::string::npos;
    });
    INFO((hub.lines.empty() ? std::string("nothing was logged") : hub.lines.back().second));
    CHECK(names == 1);
    CHECK(world.gateways[2]->received.size() == sent);
    CHECK(world.gateways[2]->tree->counters().links_lost == 0);
    world.read_again(1);
    world.run(seconds(15));
    CHECK(world.why_not_one_tree() == "");
}

TEST_CASE("who hears from its parent that it is above itself lets go of it, and says why", "[peer][faults]") {
    World world(10);
    world.start(0, {});
    world.start(1, World::joins({"g0"}));
    world.start(2, World::joins({"g1"}));
    world.run(seconds(5));
    REQUIRE(world.why_not_one_tree() == "");
    REQUIRE(world.gateways[1]->tree->status().parent != gateway_none);
    const World::Pipe& control = world.pipes[world.connections(0, 1)[0]];
    const World::End& end = control.ends[0].place == 1 ? control.ends[0] : control.ends[1];
    Ancestors circle;
    circle.position.root = Claim{1, World::id_of(9)};
    circle.position.ancestors = {World::id_of(2), World::id_of(9)};  // n1 itself
    world.gateways[1]->tree->on_bytes(end.transport, encoded(circle), world.now);
    world.pump(*world.gateways[1]);
    CHECK(world.gateways[1]->logged("letting go of n0"));
    CHECK(world.gateways[1]->logged("it has this gateway among its ancestors"));
    CHECK(world.gateways[1]->tree->status().root);
    CHECK(world.gateways[2]->tree->counters().links_lost == 0);
    world.run(seconds(20));
    CHECK(world.why_not_one_tree() == "");
}

TEST_CASE("all started at once, each joining the next in a ring, are one tree", "[peer][faults]") {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        CAPTURE(seed);
        World world(seed);
        const std::size_t size = 2 + seed % 7;
        for (std::size_t place = 0; place < size; ++place)
            world.start(place, World::joins({"g" + std::to_string((place + 1) % size)}));
        world.run(seconds(20));
        INFO(world.describe());
        CHECK(world.why_not_one_tree() == "");
    }
}

TEST_CASE("a machine that vanished without a word and starts again is let in once its old link is given up",
          "[peer][faults]") {
    World world(5);
    start_star(world);
    world.kill(1, true);
    world.start(1, world.setups[1]);
    world.run(milliseconds(500));
    CHECK(world.gateways[0]->logged("is in use by another live gateway"));
    world.run(seconds(10));
    CHECK(world.why_not_one_tree() == "");
    CHECK(world.gateways[2]->tree->counters().links_lost == 0);
    // It was its own former life, so nobody shall be sent to look for a copy.
    for (const std::size_t place : {0, 1})
        CHECK_FALSE(world.gateways[place]->logged(LogLevel::error, "is in use by another live gateway"));
}

TEST_CASE("two halves that meet with one id in both: one holder leaves, and both logs say why", "[peer][faults]") {
    for (std::uint64_t seed = 0; seed < 12; ++seed) {
        CAPTURE(seed);
        World world(seed);
        // g1 in the one half and g3 in the other have the same id.
        for (const std::size_t left : {0, 1})
            for (const std::size_t right : {2, 3, 4}) world.cut(left, right);
        world.start(0, World::advertised({}));
        World::Setup copied = World::advertised({"g0"});
        copied.id = 50;
        world.start(1, copied);
        world.start(2, World::advertised({"g0"}));
        copied.join = {"g2"};
        world.start(3, copied);
        world.start(4, World::advertised({"g2"}));
        world.run(seconds(20));
        for (const std::size_t left : {0, 1})
            for (const std::size_t right : {2, 3, 4}) world.heal(left, right);
        world.steps_max = 5'000'000;
        world.run(seconds(30));
        REQUIRE_FALSE(world.stuck);
        CHECK(world.gateways[1]->logged("is in use by another live gateway"));
        CHECK(world.gateways[3]->logged("is in use by another live gateway"));
        const bool first_left = world.gateways[1]->up.empty();
        CHECK(first_left != world.gateways[3]->up.empty());
        CHECK(world.gateways[0]->tree->status().members.size() == 4);
        // Nothing goes round and round.
        const std::uint64_t updates = world.gateways[0]->tree->counters().log_updates_in;
        world.run(seconds(20));
        CHECK(world.gateways[0]->tree->counters().log_updates_in - updates < 20);
        world.kill(first_left ? 1 : 3);
        world.run(seconds(20));
        CHECK(world.why_not_one_tree() == "");
    }
}

TEST_CASE("two halves that meet with one prime in both: messages arrive meanwhile, and the junior claims another",
          "[peer][faults]") {
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
        CAPTURE(seed);
        World world(seed);
        world.cut(0, 2);
        world.cut(0, 3);
        world.cut(1, 2);
        world.cut(1, 3);
        for (std::size_t place = 0; place < 4; ++place) {
            World::Setup setup = World::advertised({place == 0 ? "g2" : place == 1 ? "g0" : place == 2 ? "g0" : "g2"});
            setup.prime = place % 2 == 0 ? 11 : 13;
            world.start(place, setup);
        }
        world.run(seconds(10));
        world.heal(0, 2);
        world.heal(0, 3);
        world.heal(1, 2);
        world.heal(1, 3);
        std::size_t sent = 0;
        for (int ms = 0; ms < 20'000 && sent < 20; ++ms) {
            world.run(milliseconds(1));
            if (world.gateways[0]->up.size() < 3) continue;
            CHECK(world.send(0, {1, 3}, "m", std::to_string(sent)).targets_missed == 0);
            ++sent;
        }
        world.run(seconds(5));
        CHECK(sent == 20);
        CHECK(world.gateways[1]->received.size() == sent);
        CHECK(world.gateways[3]->received.size() == sent);
        CHECK(world.why_not_one_tree() == "");  // which also says that no two share a prime
        const auto lost = [&](std::size_t junior, std::size_t senior, int prime) {
            return world.gateways[junior]->logged("prime " + std::to_string(prime) + " belongs to n" +
                                                  std::to_string(senior) + ", which claimed it first: ");
        };
        CHECK(lost(0, 2, 11) != lost(2, 0, 11));
        CHECK(lost(1, 3, 13) != lost(3, 1, 13));
        for (const Gateway* gateway : world.living()) {
            CHECK(gateway->tree->counters().protocol_errors == 0);
            CHECK(gateway->tree->paths().counters().law_violations == 0);
        }
    }
}

TEST_CASE("so many gateways are believed to be given up, and no more", "[peer][faults]") {
    World world(1);
    world.restore = [](Tree& tree) {
        LogBook book(World::id_of(77));
        book.own().start(1, 1);
        for (std::size_t i = 0; i < forgotten_max + 100; ++i) {
            GatewayId id;
            for (std::size_t at = 0; at < 8; ++at) id.bytes[at] = static_cast<std::uint8_t>((i + 1000) >> (8 * at));
            REQUIRE(book.own().set(forgotten_key(id), number_value(5)));
        }
        std::vector<LogUpdate> updates;
        book.own().diff(std::nullopt, false, updates);
        base::Bytes snapshot;
        for (const LogUpdate& update : updates) encode(snapshot, update);
        REQUIRE(tree.restore_log(snapshot));
    };
    world.start(0, World::joins({}));
    world.run(seconds(1));
    const TreeStatus status = world.gateways[0]->tree->status();
    REQUIRE(status.gateways.size() == 2);
    for (const GatewayStatus& gateway : status.gateways) {
        if (gateway.index != gateway_self) continue;
        CHECK(gateway.entries > forgotten_max);  // it says the same, beside its name and prime
        CHECK(gateway.entries < forgotten_max + 10);
    }
}
