#include "routing/peer/tree.h"

#include <catch2/catch.hpp>

#include "routing/interest.h"
#include "routing/peer/channel.h"
#include "routing/peer/peer_codec.h"
#include "tree_world.h"

using namespace tree_world;

namespace {

/// All seeds below `most`, or the one of TREE_WORLD_SEED.
std::vector<std::uint64_t> seeds(std::uint64_t most) {
    if (const char* one = std::getenv("TREE_WORLD_SEED")) return {std::strtoull(one, nullptr, 10)};
    std::vector<std::uint64_t> all;
    for (std::uint64_t seed = 0; seed < most; ++seed) all.push_back(seed);
    return all;
}

/// a, b joins a, c joins b ...
void start_row(World& world, std::size_t count) {
    for (std::size_t place = 0; place < count; ++place) {
        World::Setup setup;
        if (place > 0) setup.join.push_back("g" + std::to_string(place - 1));
        world.start(place, setup);
    }
}

bool knows(const World& world, std::size_t who, std::size_t of, const std::string& filter,
           const std::string& queue = {}) {
    return world.gateways[who]->interest.contains({World::id_of(of + 1), "$G", filter, queue});
}

}  // namespace

TEST_CASE("three gateways in a row form one tree by one address each", "[peer][tree]") {
    World world(1);
    start_row(world, 3);
    world.run(seconds(1));
    REQUIRE(world.why_not_one_tree() == "");
    const TreeStatus b = world.gateways[1]->tree->status();
    CHECK(world.gateways[0]->tree->status().root);
    CHECK(b.parent == *world.gateways[1]->registry.find(World::id_of(1)));
    CHECK(b.children == std::vector{*world.gateways[1]->registry.find(World::id_of(3))});

    world.interest(2, "orders.*", "", 3);
    world.interest(2, "work", "q", 3);
    world.run(seconds(1));
    CHECK(knows(world, 0, 2, "orders.*"));
    CHECK(world.gateways[0]->interest.at({World::id_of(3), "$G", "work", "q"}) == 3);
    CHECK(world.why_not_one_tree() == "");

    CHECK(world.send(0, {2}, "orders.new", "hello").targets_missed == 0);
    CHECK(world.send(0, {1, 2}, "orders.old", "again").targets_missed == 0);
    world.run(seconds(1));
    const GatewayId a = World::id_of(1);
    CHECK(world.gateways[2]->received == std::vector<Received>{{a, "orders.new", "hello"}, {a, "orders.old", "again"}});
    CHECK(world.gateways[1]->received == std::vector<Received>{{a, "orders.old", "again"}});
    CHECK(world.gateways[0]->received.empty());
}

TEST_CASE("with the middle dead the far end is a root, and all heal when it returns", "[peer][tree]") {
    World world(2);
    start_row(world, 3);
    world.interest(2, "x", "", 1);
    world.run(seconds(1));
    REQUIRE(world.why_not_one_tree() == "");
    world.kill(1);
    world.run(seconds(5));
    CHECK(world.gateways[2]->tree->status().root);
    CHECK(world.gateways[0]->up.empty());
    CHECK(knows(world, 0, 2, "x"));  // remembered
    CHECK(world.send(0, {2}, "x", "lost").targets_missed == 1);

    world.start(1, world.setups[1]);
    world.run(milliseconds(1500));
    REQUIRE(world.why_not_one_tree() == "");
    CHECK(world.gateways[1]->tree->status().parent == *world.gateways[1]->registry.find(World::id_of(1)));
    CHECK(world.send(0, {2}, "x", "found").targets_missed == 0);
    world.run(seconds(1));
    CHECK(world.gateways[2]->received.size() == 1);
}

TEST_CASE("a root that restarts is found again by who joined it", "[peer][tree]") {
    World world(3);
    start_row(world, 3);
    world.run(seconds(1));
    world.kill(0);
    world.run(seconds(20));
    REQUIRE(world.why_not_one_tree() == "");
    world.start(0, {});
    world.run(seconds(4));
    CHECK(world.why_not_one_tree() == "");
}

TEST_CASE("two that join each other, and one that joins itself, are one tree", "[peer][tree]") {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        CAPTURE(seed);
        World world(seed);
        world.start(0, World::joins({"g1", "g0"}));
        world.start(1, World::joins({"g0"}));
        world.run(seconds(12));
        CHECK(world.why_not_one_tree() == "");
        CHECK(world.gateways[0]->tree->status().links.size() == 1);
        CHECK(world.gateways[0]->logged("leads to the gateway itself"));
    }
}

TEST_CASE("another tree, another secret and a false key are refused with the reason in both logs", "[peer][tree]") {
    World world(4);
    World::Setup first;
    first.secret = "s3cret";
    world.start(0, first);
    World::Setup other;
    other.join = {"g0"};
    SECTION("tree") {
        other.tree = "elsewhere";
        other.secret = "s3cret";
        world.start(1, other);
        world.run(seconds(1));
        CHECK(world.gateways[0]->logged("belongs to tree 'treegate', the other to 'elsewhere'"));
        CHECK(world.gateways[1]->logged("belongs to tree 'treegate', the other to 'elsewhere'"));
    }
    SECTION("secret") {
        other.secret = "guess";
        world.start(1, other);
        world.run(seconds(1));
        CHECK(world.gateways[0]->logged("secret is missing or differs"));
        CHECK(world.gateways[1]->logged("secret is missing or differs"));
    }
    SECTION("no secret") {
        world.start(1, other);
        world.run(seconds(1));
        CHECK(world.gateways[0]->logged("secret is missing or differs"));
    }
    SECTION("false key") {
        other.secret = "s3cret";
        Gateway& thief = world.start(1, other);
        thief.signer = TestSigner(World::id_of(77), "s3cret", 1);
        world.run(seconds(1));
        CHECK(world.gateways[0]->logged("signature does not fit the id"));
    }
    CHECK(world.gateways[0]->up.empty());
    CHECK(world.gateways[1]->up.empty());
    CHECK(world.gateways[0]->tree->counters().refused > 0);
}

TEST_CASE("a second live holder of an id is refused wherever it joins", "[peer][tree]") {
    World world(5);
    start_row(world, 3);
    world.run(seconds(1));
    World::Setup copy;
    copy.id = 3;  // of place 2
    SECTION("at its neighbour") {
        copy.join = {"g1"};
    }
    SECTION("far from it") {
        copy.join = {"g0"};
    }
    SECTION("at itself") {
        copy.join = {"g2"};
    }
    const std::size_t there = static_cast<std::size_t>(copy.join[0][1] - '0');
    world.start(3, copy);
    world.run(seconds(3));
    CHECK(world.gateways[there]->logged("is in use by another live gateway"));
    CHECK(world.gateways[3]->logged("is in use by another live gateway"));
    CHECK(world.gateways[3]->up.empty());
    world.run(seconds(20));
    CHECK(world.gateways[there]->logged(LogLevel::error, "is in use by another live gateway"));
    CHECK(world.gateways[3]->logged(LogLevel::error, "is in use by another live gateway"));
    world.kill(3);
    CHECK(world.why_not_one_tree() == "");
}

TEST_CASE("inboxes stay at home", "[peer][tree]") {
    World world(6);
    start_row(world, 2);
    world.interest(1, "_INBOX.abc.>", "", 1);
    world.interest(1, "_INBOXES.abc", "", 1);
    world.run(seconds(1));
    CHECK_FALSE(knows(world, 0, 1, "_INBOX.abc.>"));
    CHECK(knows(world, 0, 1, "_INBOXES.abc"));
}

TEST_CASE("a group's weight is told at once when it comes or goes, else ten times a second", "[peer][tree]") {
    World world(7);
    start_row(world, 2);
    world.run(seconds(1));
    const int before = world.gateways[0]->interest_events;
    for (std::uint32_t weight = 1; weight <= 500; ++weight) {
        world.interest(1, "work", "q", weight);
        world.run(milliseconds(1));
    }
    world.run(seconds(1));
    CHECK(world.gateways[0]->interest.at({World::id_of(2), "$G", "work", "q"}) == 500);
    CHECK(world.gateways[0]->interest_events - before <= 7);
    world.interest(1, "work", "q", 0);
    world.run(milliseconds(10));
    CHECK_FALSE(knows(world, 0, 1, "work", "q"));
}

TEST_CASE("a message never overtakes the interest that its sender had before it", "[peer][tree]") {
    for (std::uint64_t seed = 0; seed < 30; ++seed) {
        CAPTURE(seed);
        World world(seed);
        world.chunk_max = 40;
        start_row(world, 4);
        world.run(seconds(2));
        int answers = 0;
        bool known = true;
        world.gateways[3]->on_deliver = [&](const VolatileDelivery& delivery) {
            ++answers;
            known = known && knows(world, 3, 0, std::string(delivery.message.subject));
        };
        for (int i = 0; i < 20; ++i) {
            const std::string subject = "s" + std::to_string(i);
            world.gateways[0]->tree->set_interest("$G", subject, "", 1, world.now);
            world.send(0, {3}, subject, "");
        }
        world.run(seconds(2));
        CHECK(answers == 20);
        CHECK(known);
    }
}

TEST_CASE("what is addressed to a gateway goes there hop by hop, both ways", "[peer][tree]") {
    World world(8);
    start_row(world, 5);
    world.run(seconds(2));
    Gateway& a = *world.gateways[0];
    const GatewayIndex e = *a.registry.find(World::id_of(5));
    CHECK(a.tree->send_to_gateway(e, 7, "question", world.now));
    CHECK_FALSE(a.tree->send_to_gateway(999, 7, "question", world.now));
    CHECK_FALSE(a.tree->send_to_gateway(e, 7, std::string(2'000'000, 'x'), world.now));
    world.pump(a);
    world.run(seconds(1));
    Gateway& there = *world.gateways[4];
    REQUIRE(there.gateway_messages.size() == 1);
    CHECK(there.gateway_messages[0] == std::make_tuple(World::id_of(1), std::uint8_t{7}, std::string("question")));
    CHECK(world.gateways[2]->tree->counters().gateway_messages_forwarded == 1);
}

TEST_CASE("a silent neighbour is given up and found again", "[peer][tree]") {
    World world(9);
    start_row(world, 3);
    world.run(seconds(1));
    world.cut(0, 1);
    world.run(seconds(6));
    CHECK(world.gateways[0]->up.empty());
    CHECK(world.gateways[1]->up.size() == 1);
    CHECK(world.gateways[1]->logged("nothing was heard for too long"));
    world.heal(0, 1);
    world.run(seconds(8));
    CHECK(world.why_not_one_tree() == "");
}

TEST_CASE("a broken connection is a lost link, dialled again at once", "[peer][tree]") {
    World world(10);
    start_row(world, 3);
    world.run(seconds(1));
    world.reset_connections(0, 1);
    world.run(milliseconds(10));
    CHECK(world.gateways[0]->tree->counters().links_lost == 1);
    world.run(milliseconds(500));
    CHECK(world.why_not_one_tree() == "");
}

TEST_CASE("a neighbour that does not read pauses publishers, then costs records, then is given up", "[peer][tree]") {
    World world(11);
    start_row(world, 2);
    world.run(seconds(1));
    world.slow_readers.insert(1);
    const std::string payload(16 * 1024, 'p');
    std::size_t sent = 0;
    while (!world.gateways[0]->publishers_paused && sent < 1000) {
        CHECK(world.send(0, {1}, "x", payload).targets_missed == 0);
        ++sent;
    }
    CHECK(sent * payload.size() > volatile_unsent_min - 2 * payload.size());
    CHECK(sent * payload.size() < 2 * volatile_unsent_min);
    bool missed = false;
    while (!missed && sent < 1000) {
        missed = world.send(0, {1}, "x", payload).targets_missed == 1;
        ++sent;
    }
    CHECK(missed);
    CHECK(sent * payload.size() > volatile_slack);
    CHECK(world.gateways[0]->tree->counters().records_refused == 1);
    // Interest is never refused.
    world.interest(0, "still", "", 1);
    world.read_again(1);
    CHECK_FALSE(world.gateways[0]->publishers_paused);
    world.chunk_max = 512 * 1024;
    world.run(seconds(1));
    CHECK(world.gateways[1]->received.size() == sent - 1);
    CHECK(knows(world, 1, 0, "still"));
    CHECK(world.why_not_one_tree() == "");
}

TEST_CASE("a lane that swallows all while the others live is found out", "[peer][tree]") {
    World world(17);
    start_row(world, 2);
    world.run(seconds(1));
    std::uint64_t newest = 0;
    for (const auto& [key, pipe] : world.pipes) newest = pipe.open ? key : newest;  // a data lane
    world.black_holes.insert(newest);
    for (int i = 0; i < 12; ++i) {
        world.send(0, {1}, "x", "payload");
        const TargetSet set = {Target{*world.gateways[0]->registry.find(World::id_of(2)), true, {}}};
        RecordView record;
        record.message.subject = "y";
        record.position = static_cast<std::uint64_t>(i + 1);
        const PrevPosition prev{1, static_cast<std::uint64_t>(i)};
        record.run = 1;
        record.prevs = &prev;
        record.prev_count = 1;
        world.gateways[0]->tree->send_durable(world.gateways[0]->sets.intern(set), "$G", record, world.now);
        world.pump(*world.gateways[0]);
        world.run(seconds(1));
    }
    CHECK(world.gateways[0]->logged("nothing arrives on its"));
    CHECK(world.why_not_one_tree() == "");
    CHECK(world.gateways[1]->received.size() + world.gateways[1]->received_durable.size() > 12);
}

TEST_CASE("a machine that slept for a moment wakes up with its links, after longer it makes them anew",
          "[peer][tree]") {
    for (const auto& [slept, kept] : {std::pair(milliseconds(2900), true), std::pair(milliseconds(600'000), false)}) {
        World world(18);
        start_row(world, 3);
        world.run(seconds(1));
        world.now += slept;
        world.run(seconds(5));
        CHECK(world.why_not_one_tree() == "");
        for (const Gateway* gateway : world.living()) CHECK((gateway->tree->counters().links_lost == 0) == kept);
    }
}

TEST_CASE("who was stopped reads what its neighbours sent while they still waited, and nothing of one that gave it up",
          "[peer][tree]") {
    // What was given up may have gone on by another way: read afterwards it would be out of order.
    for (const auto& [stopped, kept] : {std::pair(milliseconds(2500), true), std::pair(milliseconds(6000), false)}) {
        World world(21);
        start_row(world, 2);
        world.run(seconds(1));
        const std::uint64_t lost = world.gateways[0]->tree->counters().links_lost;
        world.stopped.insert(1);
        world.send(0, {1}, "x", "while it stands still");
        world.run(stopped);
        CHECK((world.gateways[0]->tree->counters().links_lost == lost) == kept);
        world.go_on(1);
        world.run(seconds(5));
        CHECK(world.why_not_one_tree() == "");
        CHECK(world.gateways[1]->received.size() == (kept ? 1 : 0));
        CHECK(world.gateways[1]->logged("stood still") == !kept);
        world.send(0, {1}, "x", "afterwards");
        world.run(milliseconds(100));
        REQUIRE_FALSE(world.gateways[1]->received.empty());
        CHECK(world.gateways[1]->received.back().payload == "afterwards");
    }
}

TEST_CASE("a durable record comes with its position and what came before it", "[peer][tree]") {
    World world(19);
    start_row(world, 3);
    world.run(seconds(2));
    Gateway& a = *world.gateways[0];
    const TargetSet set = {Target{*a.registry.find(World::id_of(3)), true, {}}};
    const PrevPosition prev{7, 4};
    RecordView record;
    record.message.subject = "orders.new";
    record.message.body = "one";
    record.run = 7;
    record.position = 9;
    record.prevs = &prev;
    record.prev_count = 1;
    CHECK(a.tree->send_durable(a.sets.intern(set), "$G", record, world.now).targets_missed == 0);
    world.pump(a);
    world.run(seconds(1));
    CHECK(world.gateways[2]->received_durable == std::vector<Received>{{World::id_of(1), "orders.new", "one"}});
    CHECK(world.gateways[1]->received_durable.empty());
}

TEST_CASE("the log of who has been away for longest gives way when too many are known", "[peer][tree]") {
    World world(20);
    start_row(world, 1);
    World::Setup joins;
    joins.join = {"g0"};
    world.restore = [](Tree& tree) {
        for (std::size_t i = 0; i < logs_max - 1; ++i) {
            LogUpdate update;
            update.gateway.bytes[0] = static_cast<std::uint8_t>(i & 0xff);
            update.gateway.bytes[1] = static_cast<std::uint8_t>(i >> 8);
            update.gateway.bytes[2] = 1;
            update.incarnation = 1;
            update.to = 1;
            update.full = true;
            update.changes.push_back(LogChange{interest_key("$G", "gone." + std::to_string(i), ""), number_value(1)});
            base::Bytes snapshot;
            encode(snapshot, update);
            REQUIRE(tree.restore_log(snapshot));
        }
    };
    Gateway& b = world.start(1, joins);
    CHECK(b.interest.size() == logs_max - 1);
    world.interest(0, "here", "", 1);
    world.run(seconds(1));
    CHECK(b.up.size() == 1);
    CHECK(knows(world, 1, 0, "here"));
    CHECK(b.interest.size() == logs_max - 1);  // one went, one came
    CHECK(b.logged("are known"));
}

TEST_CASE("a hundred thousand subscriptions come over at once, and one more is only one more", "[peer][tree]") {
    World world(22);
    world.chunk_max = 512 * 1024;
    start_row(world, 3);
    world.run(seconds(2));
    Gateway& a = *world.gateways[0];
    for (int i = 0; i < 50'000; ++i) a.tree->set_interest("$G", "early." + std::to_string(i), "", 1, world.now);
    world.pump(a);
    world.run(seconds(1));
    CHECK(world.gateways[2]->interest.size() == 50'000);
    world.restart(1);
    for (int i = 0; i < 50'000; ++i) a.tree->set_interest("$G", "late." + std::to_string(i), "", 1, world.now);
    world.pump(a);
    world.run(seconds(5));
    CHECK(world.why_not_one_tree() == "");
    CHECK(world.gateways[2]->interest.size() == 100'000);
    const std::uint64_t before = a.tree->counters().log_updates_out;
    world.interest(0, "one", "", 1);
    world.run(seconds(5));
    CHECK(a.tree->counters().log_updates_out == before + 1);
    CHECK(world.gateways[2]->interest.size() == 100'001);
}

TEST_CASE("a gateway that kept no incarnation is believed after it heard of its earlier life", "[peer][tree]") {
    World world(12);
    start_row(world, 3);
    world.interest(2, "old", "", 1);
    world.run(seconds(1));
    world.kill(2);
    world.run(seconds(1));
    World::Setup again = world.setups[2];
    again.incarnation = 1;  // the same as before
    world.start(2, again);
    world.interest(2, "new", "", 1);
    world.run(seconds(2));
    CHECK(world.why_not_one_tree() == "");
    CHECK(world.gateways[2]->kept_incarnation == 2);
    for (const std::size_t who : {std::size_t{0}, std::size_t{1}}) {
        CHECK(knows(world, who, 2, "new"));
        CHECK_FALSE(knows(world, who, 2, "old"));
    }
}

TEST_CASE("logs are remembered over a restart by their snapshots", "[peer][tree]") {
    World world(13);
    start_row(world, 2);
    for (int i = 0; i < 5000; ++i) world.interest(1, "subject." + std::to_string(i) + std::string(60, 'x'), "", 1);
    world.gateways[1]->tree->set_durable_filters({{"orders.>", 1}});
    world.run(seconds(2));
    Gateway& a = *world.gateways[0];
    const GatewayIndex b = *a.registry.find(World::id_of(2));
    CHECK(a.changed_logs.contains(b));
    CHECK(a.tree->durable_filters() == std::vector<Tree::DurableFilter>{{"orders.>", 1}});
    const base::Bytes snapshot = a.tree->log_snapshot(b);
    REQUIRE(snapshot.size() > 300'000);

    World fresh(14);
    TreeOptions options;
    options.id = World::id_of(1);
    Gateway again(fresh, 0, options, "", fresh.now);
    CHECK_FALSE(again.tree->restore_log(base::ByteView{snapshot}.substr(0, snapshot.size() / 2)));
    CHECK(again.interest.empty());
    CHECK(again.tree->restore_log(snapshot));
    CHECK(again.interest.size() == 5000);
    CHECK(again.up.empty());
    CHECK(again.tree->durable_filters().size() == 1);
}

TEST_CASE("equal primes are told apart: the junior claims another", "[peer][tree]") {
    World world(15);
    for (std::size_t place = 0; place < 3; ++place) {
        World::Setup setup;
        setup.prime = 7;
        if (place > 0) setup.join = {"g0"};
        world.start(place, setup);
    }
    world.run(seconds(2));
    CHECK(world.why_not_one_tree() == "");
    std::size_t sevens = 0;
    for (const Gateway* gateway : world.living()) sevens += gateway->tree->status().prime == 7 ? 1 : 0;
    CHECK(sevens == 1);
}

TEST_CASE("whoever says nothing, or nonsense, is closed, and nobody else is", "[peer][tree]") {
    World world(16);
    start_row(world, 2);
    world.run(seconds(1));
    Gateway& a = *world.gateways[0];
    base::Prng prng(99);
    for (TransportId stranger = 1'000'000; stranger < 1'000'300; ++stranger) {
        a.tree->on_accepted(stranger, "stranger", world.now);
        base::Bytes bytes;
        const std::size_t size = prng.below(200);
        while (bytes.size() < size) bytes.push_back(static_cast<char>(prng.next()));
        if (prng.chance(1, 2) && size >= 8) {  // a plausible header
            bytes[0] = static_cast<char>(size - 8);
            bytes[1] = bytes[2] = bytes[3] = 0;
            bytes[4] = static_cast<char>(prng.chance(1, 2) ? 0x01 : 0x10);
        }
        a.tree->on_bytes(stranger, bytes, world.now);
        if (prng.chance(1, 3)) a.tree->on_closed(stranger, world.now);
        world.pump(a);
    }
    world.run(seconds(5));
    CHECK(a.tree->status().links.size() == 1);
    CHECK(a.tree->counters().protocol_errors > 50);
    CHECK(world.why_not_one_tree() == "");
    // As many as may wait, and one more.
    for (TransportId stranger = 2'000'000; stranger < 2'000'129; ++stranger)
        a.tree->on_accepted(stranger, "stranger", world.now);
    CHECK(a.logged("too many connections are waiting here"));
    CHECK(world.abandoned.contains(2'000'128));
    CHECK_FALSE(world.abandoned.contains(2'000'127));
    world.run(seconds(5));
    CHECK(world.abandoned.contains(2'000'127));
}

TEST_CASE("bytes that are spoiled on the way cost one link, which comes back", "[peer][tree]") {
    for (const std::uint64_t seed : seeds(80)) {
        CAPTURE(seed);
        World world(seed);
        start_row(world, 3);
        const bool early = world.prng.chance(1, 3);
        if (!early) world.run(seconds(1));
        int spoiled = 0;
        world.spoil = [&](std::size_t from, std::size_t to, base::Bytes& bytes) {
            if (from + to != 1 || bytes.empty() || !world.prng.chance(1, 6) || spoiled >= 4) return;
            ++spoiled;
            bytes[world.prng.below(bytes.size())] = static_cast<char>(world.prng.next());
        };
        for (int i = 0; i < 30; ++i) {
            world.interest(i % 2, "s" + std::to_string(i), i % 3 == 0 ? "q" : "", 1);
            world.send(0, {1, 2}, "s", "payload");
            world.run(milliseconds(50));
        }
        world.run(seconds(3));
        CHECK(spoiled > 0);
        world.spoil = nullptr;
        world.run(seconds(800));  // the longest frame, should its length be a lie
        INFO(world.describe());
        REQUIRE(world.why_not_one_tree() == "");
    }
}

TEST_CASE("random histories of cuts, deaths and restarts end in one tree with equal logs", "[peer][tree]") {
    for (const std::uint64_t seed : seeds(250)) {
        CAPTURE(seed);
        World world(seed);
        base::Prng prng(seed + 1000);
        const std::size_t count = prng.between(2, 7);
        world.chunk_max = prng.chance(1, 2) ? 4096 : 100;
        if (prng.chance(1, 4)) world.delay_max = milliseconds(30);
        std::vector<std::size_t> order(count);
        for (std::size_t i = 0; i < count; ++i) order[i] = i;
        prng.shuffle(order);
        for (const std::size_t place : order) {
            World::Setup setup;
            // One address each, which leads to the first by some way; some name more.
            if (place > 0) setup.join.push_back("g" + std::to_string(prng.below(place)));
            if (prng.chance(1, 4)) setup.join.push_back("g" + std::to_string(prng.below(count)));
            world.start(place, setup);
            if (prng.chance(1, 2)) world.run(milliseconds(prng.below(400)));
        }
        std::vector<std::set<std::string>> wanted(count);
        const std::size_t steps = prng.between(5, 25);
        for (std::size_t step = 0; step < steps; ++step) {
            const std::size_t a = prng.below(count);
            const std::size_t b = prng.below(count);
            switch (prng.below(7)) {
                case 0:
                    if (a != b) world.cut(a, b);
                    break;
                case 1:
                    if (a != b) world.heal(a, b);
                    break;
                case 2:
                    if (a != b) world.reset_connections(a, b);
                    break;
                case 3:
                    world.restart(a);
                    wanted[a].clear();
                    break;
                default:
                    const std::string filter = "f" + std::to_string(prng.below(20));
                    const bool on = prng.chance(2, 3);
                    world.interest(a, filter, "", on ? 1 : 0);
                    if (on) {
                        wanted[a].insert(filter);
                    } else {
                        wanted[a].erase(filter);
                    }
            }
            world.run(milliseconds(prng.below(prng.chance(1, 5) ? 6000 : 300)));
        }
        for (std::size_t a = 0; a < count; ++a)
            for (std::size_t b = a + 1; b < count; ++b) world.heal(a, b);
        world.run(seconds(30));
        REQUIRE_FALSE(world.stuck);
        INFO(world.describe());
        REQUIRE(world.why_not_one_tree() == "");
        for (std::size_t who = 0; who < count; ++who) {
            std::size_t others = 0;
            for (std::size_t of = 0; of < count; ++of) {
                if (of == who) continue;
                others += wanted[of].size();
                for (const std::string& filter : wanted[of]) REQUIRE(knows(world, who, of, filter));
            }
            REQUIRE(world.gateways[who]->interest.size() == others);
            world.gateways[who]->received.clear();
        }
        // A message from each to some: there once, nowhere else.
        std::vector<std::size_t> due(count);
        for (std::size_t from = 0; from < count; ++from) {
            std::vector<std::size_t> to;
            for (std::size_t place = 0; place < count; ++place)
                if (place != from && prng.chance(1, 2)) to.push_back(place);
            if (to.empty()) continue;
            REQUIRE(world.send(from, to, "m", std::to_string(from)).targets_missed == 0);
            for (const std::size_t place : to) ++due[place];
        }
        world.run(seconds(2));
        for (std::size_t place = 0; place < count; ++place)
            REQUIRE(world.gateways[place]->received.size() == due[place]);
    }
}
