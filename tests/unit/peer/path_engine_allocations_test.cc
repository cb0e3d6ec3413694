// A program of its own: it counts what operator new is asked for.
#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "engine_network.h"
#include "routing/peer/path_engine.h"
#include "routing/peer/peer_codec.h"
#include "tests/support/count_allocations.h"

namespace routing::peer {
namespace {

// 0 - 1 - 2 and 3 at 1: messages of 0 for 2 and 3 cross 1.
struct Warm {
    EngineNetwork net{4, 1};
    std::vector<TargetSetId> sets;
    std::vector<PrevPosition> prevs;
    std::string body = std::string(128, 'x');
    std::uint64_t position = 0;

    Warm() {
        net.connect(0, 1);
        net.connect(1, 2);
        net.connect(1, 3);
        net.tell_topology();
        for (const auto& node : net.nodes) node->keep = false;
        TestGateway& a = net[0];
        sets.push_back(a.sets.intern(targets_of(a, {{1, true, {}}, {2, true, {"workers"}}, {3, true, {}}})));
        sets.push_back(a.sets.intern(targets_of(a, {{1, true, {}}, {2, false, {"workers"}}, {3, true, {}}})));
        prevs.resize(3);
        turn(Lane::volatile_);
        turn(Lane::durable);
    }

    void send(const std::string& subject, Lane lane) {
        RecordView record = record_of(subject, body);
        record.message.reply = "_INBOX.abcdefghijklmnopqrstuv.1";
        record.run = 7;
        record.position = ++position;
        // One target is further behind than the others.
        for (PrevPosition& prev : prevs) prev = position > 9 ? PrevPosition{7, position - 1} : PrevPosition{};
        if (position > 9) prevs[1].position = position - 9;
        record.prevs = prevs.data();
        record.prev_count = prevs.size();
        net[0].engine.send(sets[position % sets.size()], "$G", record, lane);
    }

    // 500 records from the origin through the transit to all targets; returns what each of the two stages allocated.
    std::pair<std::uint64_t, std::uint64_t> turn(Lane lane) {
        std::uint64_t before = support::allocations();
        for (int i = 0; i < 500; ++i) send(subjects[static_cast<std::size_t>(i) % subjects.size()], lane);
        const std::uint64_t ingress = support::allocations() - before;
        before = support::allocations();
        net.carry(0, 0, lane);
        net.carry(1, 1, lane);
        net.carry(1, 2, lane);
        return {ingress, support::allocations() - before};
    }

    std::vector<std::string> subjects{"orders.one.of.many.that.are.not.short", "orders.another.that.is.not.short", "x"};
};

}  // namespace

TEST_CASE("a warm path engine allocates nothing per record, neither where a message enters nor where it crosses",
          "[peer][engine]") {
    const Lane lane = GENERATE(Lane::volatile_, Lane::durable);
    CAPTURE(lane_name(lane));
    Warm warm;
    for (int i = 0; i < 4; ++i) warm.turn(lane);  // buffers of both ends of each pipe find their size
    const std::size_t before = warm.net[2].delivered;
    for (int i = 0; i < 20; ++i) {
        const auto [ingress, rest] = warm.turn(lane);
        CHECK(ingress == 0);
        CHECK(rest == 0);
    }
    CHECK(warm.net[1].delivered == warm.net[2].delivered);
    CHECK(warm.net[2].delivered - before == 20 * 500);
    CHECK(warm.net[1].engine.counters().definitions_sent == 2 * 3);  // lanes; both sets are one path towards 3
}

namespace {

/// 0 - 1 - 2, with a star of others at 2: what 1 allocates for each byte of a new path from 0, and sends on.
double cost_of_path(std::uint32_t gateways, std::size_t targets, const std::vector<std::string>& groups) {
    EngineNetwork net(gateways, 1);
    net.connect(0, 1);
    net.connect(1, 2);
    for (std::uint32_t other = 3; other < gateways; ++other) net.connect(2, other);
    net.tell_topology();
    TestGateway& origin = net[0];
    TestGateway& transit = net[1];
    double cost = 0;
    // The first path makes room in tables; the second one is measured.
    for (const bool plain : {true, false}) {
        TargetSet set;
        for (std::uint32_t target = 2; target < 2 + targets; ++target)
            set.push_back(Target{origin.index(target), plain, groups});
        std::sort(set.begin(), set.end(), [](const Target& a, const Target& b) { return a.gateway < b.gateway; });
        origin.engine.send(origin.sets.intern(set), "$G", record_of("s", "x"), Lane::volatile_);
        base::Bytes stream;
        origin.links[0].out[0].take(stream);
        base::ByteView in = stream;
        FrameReader reader(FrameScope::volatile_);
        const std::size_t before = support::allocated_bytes();
        while (!in.empty() && reader.step(in) == FrameReader::Step::frame)
            if (!transit.engine.on_frame(0, Lane::volatile_, reader.header(), reader.body(), transit).ok()) return -1;
        cost = static_cast<double>(support::allocated_bytes() - before) / static_cast<double>(stream.size());
        transit.links[1].out[0].clear();
    }
    CHECK(transit.engine.counters().transit_records == 2);
    return cost;
}

}  // namespace

TEST_CASE("what a new path costs in memory follows what it is on the wire", "[peer][engine]") {
    std::vector<std::string> letters;
    for (int c = 1; c < 256; ++c) letters.emplace_back(1, static_cast<char>(c));
    const double usual = cost_of_path(20, 10, {"billing-workers", "order-archive"});
    const double many = cost_of_path(200, 197, {});
    const double worst = cost_of_path(20, 17, letters);
    CAPTURE(usual, many, worst);  // see routing/peer/README.md
    CHECK(usual > 0);
    CHECK(usual < 20);
    CHECK(many > 0);
    CHECK(many < 32);
    CHECK(worst > 0);
    CHECK(worst < 48);
}

}  // namespace routing::peer
