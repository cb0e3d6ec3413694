#include "routing/peer/path_engine.h"

#include <catch2/catch.hpp>
#include <set>

#include "engine_network.h"
#include "routing/peer/pack.h"

using namespace routing;
using namespace routing::peer;
using base::Bytes;

namespace {

constexpr std::string_view account = "$G";

void grow_random_tree(EngineNetwork& net, std::size_t children) {
    std::vector<std::size_t> count(net.nodes.size(), 0);
    for (std::uint32_t g = 1; g < net.nodes.size(); ++g) {
        std::uint32_t parent = 0;
        do parent = static_cast<std::uint32_t>(net.prng.below(g));
        while (count[parent] >= children);
        ++count[parent];
        net.connect(g, parent);
    }
    net.tell_topology();
}

void make_chain(EngineNetwork& net) {
    for (std::uint32_t g = 1; g < net.nodes.size(); ++g) net.connect(g - 1, g);
    net.tell_topology();
}

std::vector<WantedTarget> random_targets(EngineNetwork& net) {
    std::vector<WantedTarget> wanted;
    const std::uint64_t density = 1 + net.prng.below(6);
    for (std::uint32_t g = 0; g < net.nodes.size(); ++g) {
        if (!net.prng.chance(density, 6)) continue;
        WantedTarget target{g, net.prng.chance(1, 2), {}};
        for (const char* group : {"a", "b", "workers"})
            if (net.prng.chance(1, 4)) target.groups.emplace_back(group);
        wanted.push_back(target);
    }
    return wanted;
}

std::size_t arrivals_in(EngineNetwork& net) {
    std::size_t sum = 0;
    for (const auto& node : net.nodes) sum += node->arrivals.size();
    return sum;
}

void forget_arrivals(EngineNetwork& net) {
    for (const auto& node : net.nodes) node->arrivals.clear();
}

// Counters of all gateways, summed.
PathCounters sum_counters(EngineNetwork& net) {
    PathCounters sum;
    for (const auto& node : net.nodes) {
        const PathCounters& of = node->engine.counters();
        sum.splits += of.splits;
        sum.definitions_sent += of.definitions_sent;
        sum.definitions_received += of.definitions_received;
        sum.transit_records += of.transit_records;
        sum.delivered_records += of.delivered_records;
        sum.records_refused += of.records_refused;
        sum.dropped_factors += of.dropped_factors;
        sum.targets_missed += of.targets_missed;
        sum.law_violations += of.law_violations;
        sum.malformed_records += of.malformed_records;
    }
    return sum;
}

PeerError feed(TestGateway& node, LinkIndex link, Lane lane, DataKind kind, const Bytes& body,
               std::uint16_t count = 0) {
    FrameHeader header;
    header.length = static_cast<std::uint32_t>(body.size());
    header.kind = static_cast<std::uint8_t>(kind);
    header.count = count;
    const auto result = node.engine.on_frame(link, lane, header, body, node);
    return result.ok() ? PeerError::none : result.error();
}

Bytes record_bytes(std::uint32_t label, const Bytes& rest) {
    Bytes out;
    base::append_varint(out, label);
    base::append_varint(out, rest.size());
    return out + rest;
}

}  // namespace

TEST_CASE("on random trees every target gets its message once, as it was sent, with what it is to serve",
          "[peer][engine]") {
    const std::uint64_t seed = GENERATE(range(1, 9));
    CAPTURE(seed);
    EngineNetwork net(2 + static_cast<std::uint32_t>(seed) * 3, seed);
    grow_random_tree(net, 4);
    struct Sent {
        std::uint32_t origin;
        std::map<std::uint32_t, WantedTarget> targets;
        std::string body;
        std::uint64_t run, position;
        std::map<std::uint32_t, PrevPosition> prevs;
    };
    std::map<std::string, Sent> sent;
    std::map<std::uint32_t, std::uint64_t> positions;
    for (int message = 0; message < 80; ++message) {
        Sent of{static_cast<std::uint32_t>(net.prng.below(net.nodes.size())), {}, {}, 0, 0, {}};
        TestGateway& sender = net[of.origin];
        const std::vector<WantedTarget> wanted = random_targets(net);
        const TargetSet set = targets_of(sender, wanted);
        const std::string subject = "s." + std::to_string(message);
        of.body =
            std::string(net.prng.below(net.prng.chance(1, 20) ? 100'000 : 50), static_cast<char>('a' + message % 26));
        const Lane lane = net.prng.chance(1, 2) ? Lane::volatile_ : Lane::durable;
        RecordView record = record_of(subject, of.body, 0x20);
        record.message.reply = "r";
        std::vector<PrevPosition> prevs;
        if (lane == Lane::durable) {
            of.run = 1000 + net.prng.below(3);
            of.position = positions[of.origin] += 1 + net.prng.below(4);
            for (const Target& target : set) {
                PrevPosition prev;
                if (of.position > 1 && net.prng.chance(3, 4)) prev = {of.run, of.position - 1};
                if (net.prng.chance(1, 8)) prev = {5, net.prng.between(1, 1000)};
                prevs.push_back(prev);
                of.prevs[sender.number(target.gateway)] = prev;
            }
            record.run = of.run;
            record.position = of.position;
            record.prevs = prevs.data();
            record.prev_count = prevs.size();
        }
        const bool once = net.prng.chance(1, 5);
        if (once) {
            sender.engine.send_once(set, account, record, lane);
        } else {
            sender.engine.send(sender.sets.intern(set), account, record, lane);
        }
        for (const WantedTarget& target : wanted)
            if (target.gateway != of.origin) of.targets[target.gateway] = target;
        sent[subject] = of;
        if (net.prng.chance(1, 4)) net.run();
    }
    net.run();
    std::map<std::string, std::set<std::uint32_t>> got;
    for (std::uint32_t g = 0; g < net.nodes.size(); ++g) {
        std::map<std::uint32_t, std::uint64_t> last;
        for (const Arrival& arrival : net[g].arrivals) {
            const Sent& of = sent.at(arrival.subject);
            CAPTURE(g, arrival.subject);
            REQUIRE(of.targets.count(g) == 1);
            REQUIRE(got[arrival.subject].insert(g).second);  // once
            const WantedTarget& target = of.targets.at(g);
            REQUIRE(arrival.origin == of.origin);
            REQUIRE(arrival.account == account);
            REQUIRE(arrival.body == of.body);
            REQUIRE(arrival.reply == "r");
            REQUIRE(arrival.flags == 0x20);
            REQUIRE(arrival.plain == target.plain);
            REQUIRE(arrival.groups == target.groups);
            REQUIRE(arrival.run == of.run);
            REQUIRE(arrival.position == of.position);
            if (of.position == 0) continue;
            REQUIRE(arrival.prev == of.prevs.at(g));
            REQUIRE(last[of.origin] < arrival.position);  // order on the lane
            last[of.origin] = arrival.position;
        }
    }
    for (const auto& [subject, of] : sent) CHECK(got[subject].size() == of.targets.size());
}

TEST_CASE("100,000 records on 10,000 subjects cross a transit without one split or definition", "[peer][engine]") {
    EngineNetwork net(4, 1);
    net.connect(0, 1);
    net.connect(1, 2);
    net.connect(1, 3);
    net.tell_topology();
    TestGateway& a = net[0];
    TestGateway& b = net[1];
    std::vector<TargetSetId> sets;
    for (const std::vector<WantedTarget>& wanted :
         {std::vector<WantedTarget>{{2, true, {}}}, {{3, true, {}}}, {{2, true, {}}, {3, true, {"g"}}}})
        sets.push_back(a.sets.intern(targets_of(a, wanted)));
    for (const auto& node : net.nodes) node->keep = false;
    for (const TargetSetId set : sets) a.engine.send(set, account, record_of("warm", "up"), Lane::volatile_);
    net.run();
    const PathCounters before = b.engine.counters();
    const PathCounters origin_before = a.engine.counters();
    std::vector<std::string> subjects;
    for (int i = 0; i < 10'000; ++i) subjects.push_back("orders." + std::to_string(i) + ".new");
    for (std::size_t i = 0; i < 100'000; ++i) {
        a.engine.send(sets[i % sets.size()], account, record_of(subjects[i % subjects.size()], "payload"),
                      Lane::volatile_);
        if (i % 500 == 499) net.run();
    }
    net.run();
    const PathCounters& after = b.engine.counters();
    CHECK(after.splits == before.splits);
    CHECK(after.definitions_sent == before.definitions_sent);
    CHECK(after.definitions_received == before.definitions_received);
    CHECK(after.transit_records == before.transit_records + 100'000);
    CHECK(after.delivered_records == 0);
    CHECK(a.engine.counters().splits == origin_before.splits);
    CHECK(a.engine.counters().definitions_sent == origin_before.definitions_sent);
    CHECK(net[2].delivered + net[3].delivered == 100'000 + 33'333 + 4);
}

TEST_CASE("paths that differ at the origin share a label where their rest is the same", "[peer][engine]") {
    // 0 - 1 - 2, and 3 at 1: {2} and {2 with 3} leave 1 towards 2 as one path.
    EngineNetwork net(4, 2);
    net.connect(0, 1);
    net.connect(1, 2);
    net.connect(1, 3);
    net.tell_topology();
    TestGateway& a = net[0];
    a.engine.send(a.sets.intern(targets_of(a, {{2, true, {}}})), account, record_of("x", ""), Lane::volatile_);
    net.run();
    const std::uint64_t before = net[1].engine.counters().definitions_sent;
    a.engine.send(a.sets.intern(targets_of(a, {{2, true, {}}, {3, true, {}}})), account, record_of("x", ""),
                  Lane::volatile_);
    net.run();
    CHECK(net[1].engine.counters().definitions_sent - before == 1);  // towards 3
    CHECK(net[2].arrivals.size() == 2);
}

TEST_CASE("after a move records go the new way, split again and reach every target once", "[peer][engine]") {
    const std::uint64_t seed = GENERATE(range(1, 9));
    CAPTURE(seed);
    EngineNetwork net(12, seed);
    grow_random_tree(net, 4);
    for (int round = 0; round < 12; ++round) {
        std::vector<std::pair<std::uint32_t, TargetSetId>> senders;
        for (std::uint32_t g = 0; g < net.nodes.size(); ++g) {
            std::vector<WantedTarget> all;
            for (std::uint32_t t = 0; t < net.nodes.size(); ++t) all.push_back({t, true, {}});
            senders.emplace_back(g, net[g].sets.intern(targets_of(net[g], all)));
        }
        forget_arrivals(net);
        const std::uint64_t splits = sum_counters(net).splits;
        for (const auto& [g, set] : senders) {
            const SendResult result = net[g].engine.send(set, account, record_of("x", ""), Lane::volatile_);
            REQUIRE(result.targets_missed == 0);
        }
        net.run();
        for (const auto& node : net.nodes) REQUIRE(node->arrivals.size() == net.nodes.size() - 1);
        CHECK(sum_counters(net).splits > splits);
        const std::uint64_t warm = sum_counters(net).splits;
        for (const auto& [g, set] : senders) net[g].engine.send(set, account, record_of("x", ""), Lane::volatile_);
        net.run();
        CHECK(sum_counters(net).splits == warm);
        // Any gateway's link may go, and its smaller part hangs on elsewhere: a leaf moves to a random gateway.
        std::uint32_t leaf = 0;
        std::uint32_t parent = 0;
        for (;;) {
            leaf = static_cast<std::uint32_t>(net.prng.below(net.nodes.size()));
            std::size_t up = 0;
            for (const TestGateway::Link& link : net[leaf].links) {
                if (!link.up) continue;
                ++up;
                parent = link.peer;
            }
            if (up == 1) break;
        }
        std::uint32_t next = leaf;
        while (next == leaf) next = static_cast<std::uint32_t>(net.prng.below(net.nodes.size()));
        net.cut(leaf, parent);
        net.connect(leaf, next);
        net.tell_topology();
    }
    CHECK(sum_counters(net).law_violations == 0);
    CHECK(sum_counters(net).dropped_factors == 0);
}

TEST_CASE("what comes late by a way that its origin has left does not overtake: volatile records are dropped there",
          "[peer][engine]") {
    EngineNetwork net(3, 5);
    net.connect(0, 1);
    net.connect(1, 2);
    net.tell_topology();
    TestGateway& a = net[0];
    const TargetSetId set = a.sets.intern(targets_of(a, {{2, true, {}}}));
    const PrevPosition none;
    RecordView durable = record_of("x", "durable");
    durable.run = 7;
    durable.position = 1;
    durable.prevs = &none;
    durable.prev_count = 1;
    a.engine.send(set, account, record_of("x", "late"), Lane::volatile_);
    a.engine.send(set, account, durable, Lane::durable);
    CHECK(net.carry(0, 0, Lane::volatile_));  // waits at the transit
    CHECK(net.carry(0, 0, Lane::durable));
    net.connect(0, 2);
    net.tell_topology();
    a.engine.send(set, account, record_of("x", "new"), Lane::volatile_);
    CHECK(net.carry(0, 1, Lane::volatile_));
    net.run();
    REQUIRE(net[2].arrivals.size() == 2);
    CHECK(net[2].arrivals[0].body == "new");
    CHECK(net[2].arrivals[1].body == "durable");  // its position tells
    CHECK(net[2].engine.counters().astray_records == 1);
}

TEST_CASE("a transit that knows another topology drops what it cannot place, counts it and sends nothing back",
          "[peer][engine]") {
    EngineNetwork net(4, 3);
    make_chain(net);  // 0 - 1 - 2 - 3
    TestGateway& a = net[0];
    const TargetSetId set = a.sets.intern(targets_of(a, {{1, true, {}}, {2, true, {}}, {3, true, {}}}));
    a.engine.send(set, account, record_of("x", "1"), Lane::volatile_);
    net.run();
    CHECK(arrivals_in(net) == 3);
    net.cut(1, 2);
    net.tell_topology(1);  // 0 does not know yet
    CHECK(a.engine.send(set, account, record_of("x", "2"), Lane::volatile_).targets_missed == 0);
    CHECK(a.engine.send(set, account, record_of("x", "3"), Lane::volatile_).targets_missed == 0);
    net.run();
    CHECK(net[1].arrivals.size() == 3);
    CHECK(net[2].arrivals.size() == 1);
    CHECK(net[1].engine.counters().dropped_factors == 2);  // in one split
    CHECK(net[1].engine.counters().targets_missed == 4);   // in two records
    net.tell_topology(0);
    CHECK(a.engine.send(set, account, record_of("x", "4"), Lane::volatile_).targets_missed == 2);
    net.run();
    CHECK(net[1].arrivals.size() == 4);
    CHECK(net[1].engine.counters().targets_missed == 4);
}

TEST_CASE("a full lane refuses records, which are counted, and definitions still go", "[peer][engine]") {
    EngineNetwork net(4, 4);
    net.connect(0, 1);
    net.connect(0, 2);
    net.connect(2, 3);
    net.tell_topology();
    TestGateway& a = net[0];
    a.room = 0;
    const TargetSetId set = a.sets.intern(targets_of(a, {{1, true, {}}, {2, true, {}}, {3, true, {}}}));
    const SendResult refused = a.engine.send(set, account, record_of("x", "lost"), Lane::volatile_);
    CHECK(refused.links == 0);
    CHECK(refused.targets_missed == 3);
    CHECK(a.engine.counters().records_refused == 2);
    a.room = SIZE_MAX;
    CHECK(a.engine.send(set, account, record_of("x", "kept"), Lane::volatile_).links == 2);
    net[2].room = 0;
    net.run();
    CHECK(arrivals_in(net) == 2);
    CHECK(net[2].engine.counters().records_refused == 1);
    CHECK(net[2].engine.counters().targets_missed == 1);
    const Bytes too_long(record_bytes_max, 'x');
    const SendResult long_result = a.engine.send(set, account, record_of("x", too_long), Lane::volatile_);
    CHECK(long_result.links == 0);
    CHECK(long_result.targets_missed == 3);
    net.run();
    CHECK(arrivals_in(net) == 2);
}

TEST_CASE("a stale target set is not sent and says so", "[peer][engine]") {
    EngineNetwork net(2, 5);
    make_chain(net);
    const SendResult result = net[0].engine.send(target_set_none, account, record_of("x", ""), Lane::volatile_);
    CHECK(result.stale);
    TargetSetId id = net[0].sets.intern(targets_of(net[0], {{1, true, {}}}));
    ++id.generation;
    CHECK(net[0].engine.send(id, account, record_of("x", ""), Lane::volatile_).stale);
    net.run();
    CHECK(arrivals_in(net) == 0);
}

TEST_CASE("more paths than labels still deliver everything, by defining again", "[peer][engine]") {
    EngineNetwork net(3, 6);
    make_chain(net);
    TestGateway& a = net[0];
    for (const auto& node : net.nodes) node->keep = false;
    const TargetSetId set = a.sets.intern(targets_of(a, {{1, true, {}}, {2, true, {}}}));
    std::vector<PrevPosition> prevs(2);
    constexpr std::uint64_t runs = label_slots + 500;
    for (std::uint64_t round = 0; round < 2; ++round) {
        for (std::uint64_t run = 1; run <= runs; ++run) {
            RecordView record = record_of("x", "");
            record.run = run;
            record.position = round + 1;
            record.prevs = prevs.data();
            record.prev_count = prevs.size();
            a.engine.send(set, account, record, Lane::durable);
            if (run % 100 == 0) net.run();
        }
    }
    net.run();
    CHECK(net[1].delivered == 2 * runs);
    CHECK(net[2].delivered == 2 * runs);
    CHECK(net[1].engine.counters().definitions_sent > runs);
}

TEST_CASE("a lane that begins anew forgets its labels at both ends and the other lane keeps its own",
          "[peer][engine]") {
    EngineNetwork net(3, 7);
    make_chain(net);
    TestGateway& a = net[0];
    const TargetSetId set = a.sets.intern(targets_of(a, {{2, true, {}}}));
    PrevPosition prev;
    RecordView durable = record_of("d", "");
    durable.run = 9;
    durable.position = 1;
    durable.prevs = &prev;
    durable.prev_count = 1;
    const auto send_both = [&] {
        a.engine.send(set, account, record_of("v", ""), Lane::volatile_);
        a.engine.send(set, account, durable, Lane::durable);
        net.run();
    };
    send_both();
    const std::uint64_t definitions = sum_counters(net).definitions_sent;
    net[1].engine.lane_reset(1, Lane::volatile_);
    net[2].engine.lane_reset(0, Lane::volatile_);
    send_both();
    send_both();
    CHECK(net[2].arrivals.size() == 6);
    CHECK(sum_counters(net).definitions_sent == definitions + 1);
}

TEST_CASE("a traced message names every gateway on its way, and they multiply to its path", "[peer][engine]") {
    EngineNetwork net(4, 8);
    make_chain(net);
    TestGateway& a = net[0];
    const TargetSet targets = targets_of(a, {{2, true, {}}, {3, true, {}}});
    const Lane lane = GENERATE(Lane::volatile_, Lane::durable);
    std::vector<PrevPosition> prevs(2);
    RecordView record = record_of("x", "body", record_flag_trace);
    record.run = 1;
    record.position = 1;
    record.prevs = prevs.data();
    record.prev_count = 2;
    a.engine.send(a.sets.intern(targets), account, record, lane);
    net.run();
    REQUIRE(net[3].arrivals.size() == 1);
    const Arrival& last = net[3].arrivals[0];
    REQUIRE(last.hops.size() == 4);
    for (std::uint32_t g = 0; g < 4; ++g) {
        CHECK(last.hops[g].id == test_id(g));
        CHECK(last.hops[g].prime == nth_prime(g));
        CHECK(last.hops[g].exponent == (g == 0 ? 0 : g == 1 ? 1 : 2));
    }
    CHECK(last.body == "body");
    CHECK((last.flags & record_flag_trace) != 0);
    const Explanation explained = a.engine.explain(targets);
    CHECK(explained.number == "3675");  // 3 * 5^2 * 7^2
    CHECK(path_text(last.hops).substr(0, 5) == "3675 ");
    CHECK(explained.unplaced.empty());
    CHECK(net[2].arrivals[0].hops.size() == 3);
}

TEST_CASE("of two gateways with one prime the junior travels under a substitute", "[peer][engine]") {
    EngineNetwork net(3, 9);
    make_chain(net);
    TestGateway& a = net[0];
    const TargetSet targets = targets_of(a, {{1, true, {}}, {2, true, {}}});
    const TargetSetId set = a.sets.intern(targets);
    a.engine.send(set, account, record_of("x", ""), Lane::volatile_);
    net.run();
    CHECK(a.engine.explain(targets).number == "225");
    a.engine.set_prime(a.index(2), nth_prime(1), 77);
    CHECK(a.engine.prime_of(a.index(1)) == nth_prime(1));
    CHECK(a.engine.prime_of(a.index(2)) > claimed_primes_end);
    a.engine.send(set, account, record_of("x", "", record_flag_trace), Lane::volatile_);
    net.run();
    REQUIRE(net[2].arrivals.size() == 2);
    CHECK(net[2].arrivals[1].hops.back().prime == a.engine.prime_of(a.index(2)));
    // It claims another, and all is small again.
    a.engine.set_prime(a.index(2), 11, 78);
    CHECK(a.engine.explain(targets).number == "1089");
    a.engine.send(set, account, record_of("x", ""), Lane::volatile_);
    net.run();
    CHECK(net[2].arrivals.size() == 3);
    CHECK(a.engine.known_primes().size() == 3);
}

TEST_CASE("frames that break a rule end the session with its name", "[peer][engine]") {
    EngineNetwork net(3, 10);
    make_chain(net);
    TestGateway& a = net[0];
    TestGateway& b = net[1];
    a.engine.send(a.sets.intern(targets_of(a, {{1, true, {}}})), account, record_of("x", ""), Lane::volatile_);
    net.run();
    const Bytes good = record_bytes(1, Bytes("\x00\x01s", 3));
    const auto records = [&](const Bytes& body, std::uint16_t count, Lane lane = Lane::volatile_) {
        return feed(b, 0, lane, lane == Lane::durable ? DataKind::durable_records : DataKind::volatile_records, body,
                    count);
    };
    CHECK(records(good, 1) == PeerError::none);
    CHECK(records(good + good, 2) == PeerError::none);
    CHECK(records(good, 2) == PeerError::malformed);
    CHECK(records(good + good, 1) == PeerError::malformed);
    CHECK(records("", 0) == PeerError::malformed);
    CHECK(records(record_bytes(2, Bytes("\x00\x01s", 3)), 1) == PeerError::unknown_label);
    CHECK(records(record_bytes(0, Bytes("\x00\x01s", 3)), 1) == PeerError::unknown_label);
    CHECK(records(record_bytes(label_slots, Bytes("\x00\x01s", 3)), 1) == PeerError::unknown_label);
    CHECK(records(good, 1, Lane::durable) == PeerError::unknown_label);  // labels are the lane's own
    CHECK(records(record_bytes(1, ""), 1) == PeerError::malformed);
    CHECK(records(good.substr(0, good.size() - 1), 1) == PeerError::truncated);
    CHECK(records(Bytes("\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x", 12), 1) == PeerError::limit);
    CHECK(records(Bytes(12, '\xff'), 1) == PeerError::truncated);
    CHECK(feed(b, 0, Lane::durable, DataKind::volatile_records, good, 1) == PeerError::out_of_place);
    CHECK(feed(b, 0, Lane::control, DataKind::volatile_records, good, 1) == PeerError::out_of_place);
    CHECK(feed(b, 9, Lane::volatile_, DataKind::volatile_records, good, 1) == PeerError::out_of_place);
    CHECK(feed(b, 0, Lane::volatile_, static_cast<DataKind>(0x5f), good, 1) == PeerError::unknown_kind);

    // A path for somebody else: gateway 2 told as if it were for 1.
    Bytes gateways;
    PackWriter(gateways).array(2).array(3).uint(7).bin(test_id(0).view()).uint(0);
    PackWriter(gateways).array(3).uint(8).bin(test_id(2).view()).uint(5);
    REQUIRE(feed(b, 0, Lane::volatile_, DataKind::define_gateways, gateways) == PeerError::none);
    Bytes path;
    PackWriter(path).array(5).uint(3).str("$G").uint(7).uint(0).array(1);
    PackWriter(path).array(5).uint(8).uint(2).uint(0).boolean(true).array(0);
    CHECK(feed(b, 0, Lane::volatile_, DataKind::define_path, path) == PeerError::law_violated);
    CHECK(b.engine.counters().law_violations == 1);
}

TEST_CASE("a record that its origin broke is dropped, and the neighbour that only carried it stays", "[peer][engine]") {
    EngineNetwork net(3, 11);
    make_chain(net);
    TestGateway& a = net[0];
    a.engine.send(a.sets.intern(targets_of(a, {{1, true, {}}, {2, true, {}}})), account, record_of("x", ""),
                  Lane::volatile_);
    net.run();
    const Bytes broken = record_bytes(1, Bytes("\x00\x7fs", 3));
    CHECK(feed(net[1], 0, Lane::volatile_, DataKind::volatile_records, broken, 1) == PeerError::truncated);
    net.run();  // 1 carried it on before it looked
    CHECK(net[2].engine.counters().malformed_records == 1);
    CHECK(net[2].arrivals.size() == 1);
    const Bytes broken_trace = record_bytes(1, Bytes("\x04\x7fs", 3));
    CHECK(feed(net[1], 0, Lane::volatile_, DataKind::volatile_records, broken_trace, 1) == PeerError::truncated);
    CHECK(feed(net[1], 0, Lane::volatile_, DataKind::volatile_records, record_bytes(1, Bytes("\x00\x01s", 3)), 1) ==
          PeerError::none);
    net.run();
    CHECK(net[2].arrivals.size() == 2);
}

TEST_CASE("whatever all gateways believe about the tree, nobody gets a message twice and nothing runs for ever",
          "[peer][engine]") {
    const std::uint64_t seed = GENERATE(range(1, 9));
    CAPTURE(seed);
    constexpr std::uint32_t gateways = 8;
    EngineNetwork net(gateways, seed);
    for (std::uint32_t a = 0; a < gateways; ++a)
        for (std::uint32_t b = a + 1; b < gateways; ++b) net.connect(a, b);
    for (int round = 0; round < 30; ++round) {
        for (const auto& node : net.nodes) {
            RouteTree routes;
            routes.previous.assign(gateways, gateway_none);
            routes.link.assign(gateways, link_none);
            for (GatewayIndex g = 1; g < gateways; ++g) {
                // A random walk of beliefs: some direct, some behind another.
                routes.link[g] = static_cast<LinkIndex>(net.prng.below(node->links.size()));
                routes.previous[g] =
                    net.prng.chance(1, 2) ? gateway_self : 1 + static_cast<GatewayIndex>(net.prng.below(g));
                if (routes.previous[g] == g) routes.previous[g] = gateway_self;
            }
            node->engine.set_topology(routes);
        }
        forget_arrivals(net);
        const auto origin = static_cast<std::uint32_t>(net.prng.below(gateways));
        std::vector<WantedTarget> all;
        for (std::uint32_t g = 0; g < gateways; ++g) all.push_back({g, true, {}});
        const PathCounters before = sum_counters(net);
        net[origin].engine.send(net[origin].sets.intern(targets_of(net[origin], all)), account, record_of("x", ""),
                                Lane::volatile_);
        net.run();
        const PathCounters after = sum_counters(net);
        CHECK(after.transit_records + after.delivered_records - before.transit_records - before.delivered_records <=
              2 * gateways);
        CHECK(net[origin].arrivals.empty());
        for (const auto& node : net.nodes) REQUIRE(node->arrivals.size() <= 1);
    }
    CHECK(sum_counters(net).law_violations == 0);
    CHECK(sum_counters(net).dropped_factors > 0);
}
