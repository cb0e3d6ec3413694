#include "routing/peer/seen_address.h"

#include <catch2/catch.hpp>

#include "tests/unit/peer/tree_world.h"

using namespace tree_world;

namespace {

/// A gateway on machine `host`, which nobody told its address.
World::Setup on(std::string host, std::vector<std::string> join = {}) {
    World::Setup setup = World::joins(std::move(join));
    setup.host = std::move(host);
    return setup;
}

std::string advertised_by(const World& world, std::size_t place) {
    return world.gateways[place]->tree->status().advertise;
}

std::vector<std::string> known_to(const World& world, std::size_t place) {
    std::vector<std::string> addresses;
    for (const KnownMember& member : world.gateways[place]->known_members) addresses.push_back(member.address);
    std::sort(addresses.begin(), addresses.end());
    return addresses;
}

}  // namespace

TEST_CASE("an address leads as far as its host does", "[peer][address]") {
    for (const char* nowhere : {"", "host", ":1", "1.2.3.4", "0.0.0.0:1", "[::]:1", "[::1]", "[]:1", "recorded"}) {
        CAPTURE(nowhere);
        CHECK(reach_of(nowhere) == AddressReach::none);
    }
    for (const char* here : {"127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1", "[::ffff:127.0.0.1]:1"}) {
        CAPTURE(here);
        CHECK(reach_of(here) == AddressReach::loopback);
    }
    for (const char* near : {"169.254.1.1:1", "[fe80::1]:1"}) CHECK(reach_of(near) == AddressReach::local_net);
    for (const char* far : {"10.0.0.1:1", "a.example:1", "127.example:1", "[2001:db8::1]:1"}) {
        CAPTURE(far);
        CHECK(reach_of(far) == AddressReach::anywhere);
    }
}

TEST_CASE("who was dialled is where he was dialled; who dialled, where he came from with his port", "[peer][address]") {
    CHECK(dialable("10.0.0.1:40000", false, 7522) == "10.0.0.1:7522");
    CHECK(dialable("10.0.0.1:17522", true, 7522) == "10.0.0.1:17522");
    CHECK(dialable("[2001:db8::1]:5", false, 7522) == "[2001:db8::1]:7522");
    for (const char* nonsense : {"", "a.example:1", "10.0.0.1", "10.0.0.1:", "10.0.0.1:x", "10.0.0.1:123456", "[zz]:1",
                                 "x\n1.2.3.4:5", "from-g1"}) {
        CAPTURE(nonsense);
        CHECK(dialable(nonsense, true, 7522).empty());
        CHECK(dialable(nonsense, false, 7522).empty());
    }
}

TEST_CASE("without --tree-advertise a gateway can be dialled where its peers see it", "[peer][address]") {
    World world(1);
    world.start(0, on("10.0.0.1"));
    world.start(1, on("10.0.0.2", {"10.0.0.1:7000"}));
    world.start(2, on("10.0.0.3", {"10.0.0.2:7001"}));
    world.run(seconds(5));
    INFO(world.describe());
    REQUIRE(world.why_not_one_tree() == "");
    CHECK(advertised_by(world, 0) == "10.0.0.1:7000");
    CHECK(advertised_by(world, 1) == "10.0.0.2:7001");
    CHECK(advertised_by(world, 2) == "10.0.0.3:7002");
    CHECK(known_to(world, 2) == std::vector<std::string>{"10.0.0.1:7000", "10.0.0.2:7001"});
}

TEST_CASE("children that know nobody but their parent find each other when it dies", "[peer][address]") {
    World world(2);
    world.start(0, on("10.0.0.1"));
    for (std::size_t place = 1; place < 4; ++place)
        world.start(place, on("10.0.0." + std::to_string(place + 1), {"10.0.0.1:7000"}));
    world.run(seconds(5));
    REQUIRE(world.why_not_one_tree() == "");
    world.kill(0);
    world.run(seconds(10));
    INFO(world.describe());
    CHECK(world.why_not_one_tree() == "");
}

TEST_CASE("who comes too many is sent on to a child that nobody told its address", "[peer][address]") {
    World world(3);
    for (std::size_t place = 0; place < 7; ++place) {
        World::Setup setup = on("10.0.0." + std::to_string(place + 1));
        if (place > 0) setup.join = {"10.0.0.1:7000"};
        setup.max_children = 2;
        world.start(place, setup);
        world.run(seconds(3));
    }
    INFO(world.describe());
    REQUIRE(world.why_not_one_tree() == "");
    for (std::size_t place = 0; place < 7; ++place) CHECK(world.gateways[place]->tree->status().children.size() <= 2);
}

TEST_CASE("an address on this machine is told on this machine alone", "[peer][address]") {
    World world(4);
    world.start(0, on("10.0.0.1"));
    world.start(1, on("10.0.0.1", {"127.0.0.1:7000"}));
    world.run(seconds(5));
    REQUIRE(world.why_not_one_tree() == "");
    CHECK(advertised_by(world, 0) == "127.0.0.1:7000");
    CHECK(advertised_by(world, 1) == "127.0.0.1:7001");
    world.start(2, on("10.0.0.2", {"10.0.0.1:7000"}));
    world.run(seconds(5));
    INFO(world.describe());
    REQUIRE(world.why_not_one_tree() == "");
    CHECK(advertised_by(world, 0) == "10.0.0.1:7000");
    CHECK(advertised_by(world, 1) == "127.0.0.1:7001");
    CHECK(known_to(world, 2) == std::vector<std::string>{"10.0.0.1:7000"});

    // Who listens there alone is never said to be elsewhere.
    World::Setup hidden = on("10.0.0.2", {"10.0.0.1:7000"});
    hidden.loopback_only = true;
    world.start(3, hidden);
    world.run(seconds(5));
    REQUIRE(world.why_not_one_tree() == "");
    CHECK(advertised_by(world, 3).empty());
}

TEST_CASE("what an operator said is told, whatever peers see", "[peer][address]") {
    World world(5);
    World::Setup said = on("10.0.0.1");
    said.advertise = true;
    world.start(0, said);
    world.start(1, on("10.0.0.2", {"g0"}));
    world.run(seconds(5));
    REQUIRE(world.why_not_one_tree() == "");
    CHECK(advertised_by(world, 0) == "g0");
}

TEST_CASE("what changes while a gateway runs is known everywhere, and children that are too many are sent on",
          "[peer][address]") {
    World world(6);
    for (std::size_t place = 0; place < 4; ++place) {
        World::Setup setup = on("10.0.0." + std::to_string(place + 1));
        if (place > 0) setup.join = {"10.0.0.1:7000"};
        world.start(place, setup);
    }
    world.run(seconds(5));
    REQUIRE(world.why_not_one_tree() == "");
    Tree& root = *world.gateways[0]->tree;
    CHECK(root.status().children.size() == 3);
    root.set_description("eu", {"lab", "ssd"});
    root.set_description("us", {"ssd", "vip"});
    root.set_max_children(1);
    world.pump(*world.gateways[0]);
    world.run(seconds(200));
    INFO(world.describe());
    REQUIRE(world.why_not_one_tree() == "");
    CHECK(root.status().children.size() == 1);
    const Tree& other = *world.gateways[3]->tree;
    const auto index = world.gateways[3]->registry.find(world.gateways[0]->options.id);
    REQUIRE(index);
    CHECK(other.region(*index) == "us");
    CHECK(other.tags(*index) == std::vector<std::string_view>{"ssd", "vip"});
}
