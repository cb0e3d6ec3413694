// One lane of a link breaks, or swallows what is sent: it alone is opened anew, and interest stays causal.
#include <catch2/catch.hpp>

#include "routing/peer/channel.h"
#include "routing/peer/peer_session.h"
#include "tree_world.h"

using namespace tree_world;

namespace {

void start_row(World& world, std::size_t count) {
    for (std::size_t place = 0; place < count; ++place) {
        World::Setup setup;
        if (place > 0) setup.join.push_back("g" + std::to_string(place - 1));
        world.start(place, setup);
    }
    world.run(seconds(5));
    REQUIRE(world.why_not_one_tree() == "");
}

bool knows(const World& world, std::size_t who, std::size_t of, const std::string& filter) {
    return world.gateways[who]->interest.contains({World::id_of(of + 1), "$G", filter, std::string()});
}

/// Sends durable record `position` from `from` to `to`.
SendResult send_durable(World& world, std::size_t from, std::size_t to, std::uint64_t position) {
    Gateway& gateway = *world.gateways[from];
    const TargetSet set = {Target{*gateway.registry.find(World::id_of(to + 1)), true, {}}};
    const std::string subject = "d" + std::to_string(position);
    RecordView record;
    record.message.subject = subject;
    record.run = 1;
    record.position = position;
    const PrevPosition prev{1, position - 1};
    record.prevs = &prev;
    record.prev_count = 1;
    const SendResult result = gateway.tree->send_durable(gateway.sets.intern(set), "$G", record, world.now);
    world.pump(gateway);
    return result;
}

std::uint64_t lanes_back(const World& world) {
    std::uint64_t sum = 0;
    for (const Gateway* gateway : world.living()) sum += gateway->tree->counters().lanes_back;
    return sum;
}

std::uint64_t links_lost(const World& world) {
    std::uint64_t sum = 0;
    for (const Gateway* gateway : world.living()) sum += gateway->tree->counters().links_lost;
    return sum;
}

}  // namespace

TEST_CASE("a data lane that breaks is opened anew alone, and the link stays", "[peer][lane]") {
    const std::size_t which = GENERATE(1, 2);
    const bool half = GENERATE(false, true);
    CAPTURE(which, half);
    World world(1);
    start_row(world, 3);
    world.interest(2, "before", "", 1);
    for (int i = 0; i < 3; ++i) world.send(0, {2}, "warm", "");
    CHECK(send_durable(world, 0, 2, 1).targets_missed == 0);
    world.run(seconds(1));
    for (Gateway* gateway : world.living()) gateway->received.clear();

    world.reset_connection(world.connections(0, 1)[which], half);
    world.interest(0, "meanwhile", "", 1);
    world.interest(2, "meanwhile.too", "", 1);
    CHECK(send_durable(world, 0, 2, 2).targets_missed == 0);
    world.run(milliseconds(200));
    CHECK(lanes_back(world) == 2);
    CHECK(links_lost(world) == 0);
    CHECK(world.gateways[0]->logged("lane broke and was opened anew"));
    CHECK(knows(world, 2, 0, "meanwhile"));
    CHECK(knows(world, 0, 2, "meanwhile.too"));
    CHECK(world.send(0, {2}, "after", "").targets_missed == 0);
    CHECK(world.send(2, {0}, "back", "").targets_missed == 0);
    CHECK(send_durable(world, 0, 2, 3).targets_missed == 0);
    world.run(seconds(5));
    CHECK(world.gateways[2]->received.back().subject == "after");
    CHECK(world.gateways[0]->received.back().subject == "back");
    CHECK(world.gateways[2]->received_durable.back().subject == "d3");
    CHECK(world.why_not_one_tree() == "");
    CHECK(links_lost(world) == 0);
    for (const Gateway* gateway : world.living()) CHECK(gateway->tree->counters().protocol_errors == 0);
}

TEST_CASE("a lane that is refused or not back in time costs the link", "[peer][lane]") {
    World world(2);
    start_row(world, 2);
    const std::uint64_t lane = world.connections(0, 1)[1];
    SECTION("nobody answers") {
        world.dials_vanish = true;
        world.reset_connection(lane);
        world.run(milliseconds(290));
        CHECK(links_lost(world) == 0);
        world.run(milliseconds(80));  // 300 ms, and round trips of the virtual network
        CHECK(links_lost(world) == 2);
        CHECK((world.gateways[0]->logged("was not back in time") || world.gateways[1]->logged("was not back in time")));
    }
    SECTION("the port is closed") {
        world.setups[0].listens = false;
        world.reset_connection(lane);
        world.run(milliseconds(30));
        CHECK(links_lost(world) == 2);
        CHECK(world.gateways[1]->logged("lane at g0 could not be opened"));
    }
    world.dials_vanish = false;
    world.setups[0].listens = true;
    world.run(seconds(20));
    CHECK(world.why_not_one_tree() == "");
}

TEST_CASE("interest stays causal while volatile lanes break again and again", "[peer][lane]") {
    for (std::uint64_t seed = 0; seed < 30; ++seed) {
        CAPTURE(seed);
        World world(seed);
        world.chunk_max = 60;
        start_row(world, 4);
        int heard = 0;
        bool known = true;
        world.gateways[3]->on_deliver = [&](const VolatileDelivery& delivery) {
            ++heard;
            known = known && knows(world, 3, 0, std::string(delivery.message.subject));
        };
        for (int i = 0; i < 60; ++i) {
            const std::string subject = "s" + std::to_string(i);
            world.gateways[0]->tree->set_interest("$G", subject, "", 1, world.now);
            world.send(0, {1, 3}, subject, "");
            if (world.prng.chance(1, 4)) {
                const std::size_t a = world.prng.below(3);
                const auto open = world.connections(a, a + 1);
                if (open.size() > 1) world.reset_connection(open[world.prng.between(1, open.size() - 1)]);
            }
            world.run(milliseconds(world.prng.below(30)));
        }
        world.run(seconds(20));
        CHECK(heard > 10);
        CHECK(known);
        CHECK(lanes_back(world) > 0);
        CHECK(world.why_not_one_tree() == "");
        for (int i = 0; i < 60; ++i) REQUIRE(knows(world, 3, 0, "s" + std::to_string(i)));
        for (const Gateway* gateway : world.living()) CHECK(gateway->tree->counters().protocol_errors == 0);
    }
}

TEST_CASE("publishers rest while a volatile lane is away, and what is in flight is counted", "[peer][lane]") {
    World world(4);
    start_row(world, 2);
    world.delay_min = world.delay_max = milliseconds(5);
    world.reset_connection(world.connections(0, 1)[1]);
    world.run(milliseconds(7));
    Gateway& a = *world.gateways[0];
    CHECK(world.send(0, {1}, "x", "").targets_missed == 1);
    CHECK(a.tree->counters().records_refused == 1);
    CHECK(a.publishers_paused);
    CHECK(a.syncing);
    world.run(milliseconds(280));
    CHECK_FALSE(a.publishers_paused);
    CHECK_FALSE(a.syncing);
    CHECK(world.send(0, {1}, "x", "").targets_missed == 0);
}

TEST_CASE("a lane that swallows all is opened anew once, then the link is given up", "[peer][lane]") {
    World world(5);
    start_row(world, 2);
    const std::uint64_t lane = world.connections(0, 1)[1];
    const bool for_ever = GENERATE(false, true);
    CAPTURE(for_ever);
    world.black_holes.insert(lane);
    Gateway& a = *world.gateways[0];
    Gateway& b = *world.gateways[1];
    // Who dialled finds out: it sends on both lanes.
    for (int i = 0; i < 20; ++i) {
        world.send(1, {0}, "x", "payload");
        send_durable(world, 1, 0, static_cast<std::uint64_t>(i + 1));
        world.run(seconds(1));
        if (for_ever && lanes_back(world) > 0)
            for (const std::uint64_t key : world.connections(0, 1))
                if (key > world.connections(0, 1)[0] && a.tree->counters().links_lost == 0)
                    world.black_holes.insert(key);
    }
    CHECK(b.logged("lane, which is opened anew"));
    CHECK((a.tree->counters().links_lost > 0) == for_ever);
    if (!for_ever) CHECK(lanes_back(world) == 2);
    world.black_holes.clear();
    world.run(seconds(10));
    CHECK(world.why_not_one_tree() == "");
}

TEST_CASE("who did not dial finds the black hole, and the link stays all the same", "[peer][lane]") {
    const std::size_t which = GENERATE(1, 2);
    CAPTURE(which);
    World world(8);
    start_row(world, 2);
    world.black_holes.insert(world.connections(0, 1)[which]);
    for (int i = 0; i < 10; ++i) {
        world.send(0, {1}, "x", "payload");
        send_durable(world, 0, 1, static_cast<std::uint64_t>(i + 1));
        world.run(seconds(1));
    }
    CHECK(world.gateways[0]->logged("lane, which is opened anew"));
    CHECK(lanes_back(world) == 2);
    CHECK(links_lost(world) == 0);
    CHECK(world.send(0, {1}, "after", "").targets_missed == 0);
    world.run(seconds(1));
    CHECK(world.gateways[1]->received.back().subject == "after");
    CHECK(world.why_not_one_tree() == "");
}

TEST_CASE("a lane that the other end has paused is back-pressure, no black hole", "[peer][lane]") {
    World world(6);
    start_row(world, 3);
    // The last of three reads nothing, so that the one in the middle stops reading the first now and then.
    world.slow_readers.insert(2);
    const std::string payload(60'000, 'p');
    for (int i = 0; i < 200; ++i) {
        world.send(0, {2}, "x", payload);
        world.run(milliseconds(100));
        if (world.gateways[1]->tree->counters().links_lost > 0) break;  // the last one's silence ends that link
    }
    CHECK_FALSE(world.gateways[0]->logged("nothing arrives on its"));
    CHECK(world.gateways[0]->tree->counters().links_lost == 0);
    CHECK(world.gateways[1]->tree->counters().reading_pauses > 0);
}

TEST_CASE("a stale session, a wrong token and a lane too many are refused by name of the rule", "[peer][lane]") {
    World world(7);
    start_row(world, 2);
    Gateway& a = *world.gateways[0];
    const auto dial_in = [&](const LaneHello& hello) {
        const TransportId stranger = 1'000'000 + static_cast<TransportId>(a.lines.size());
        a.tree->on_accepted(stranger, "stranger", world.now);
        base::Bytes bytes;
        encode(bytes, hello);
        a.tree->on_bytes(stranger, bytes, world.now);
        world.pump(a);
        return stranger;
    };
    LaneHello hello;
    hello.session = 12345;  // of no session, or of one that is over
    const TransportId stale = dial_in(hello);
    CHECK_FALSE(world.abandoned.contains(stale));
    world.run(seconds(4));
    CHECK(world.abandoned.contains(stale));
    CHECK(a.logged("refused a connection from stranger: unknown session or token"));
    CHECK(world.why_not_one_tree() == "");
    CHECK(links_lost(world) == 0);
}
