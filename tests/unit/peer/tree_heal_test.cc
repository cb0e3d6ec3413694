// Trees that lose somebody, grow too wide, or meet again: who finds whom, and how fast.
#include <catch2/catch.hpp>

#include "tree_world.h"

using namespace tree_world;

namespace {

/// The place of `place`'s parent; none: it is a root.
std::optional<std::size_t> parent_of(const World& world, std::size_t place) {
    const TreeStatus status = world.gateways[place]->tree->status();
    for (const Gateway* other : world.living())
        if (!status.root && status.parent == world.gateways[place]->registry.find(other->options.id))
            return other->place;
    return std::nullopt;
}

std::size_t children_of(const World& world, std::size_t place) {
    return world.gateways[place]->tree->status().children.size();
}

}  // namespace

TEST_CASE("children of a dead parent go to their grandparent at once", "[peer][heal]") {
    World world(1);
    world.start(0, World::advertised({}));
    world.start(1, World::advertised({"g0"}));
    world.run(seconds(2));
    for (const std::size_t place : {2, 3, 4}) world.start(place, World::advertised({"g1"}));
    world.run(seconds(20));
    REQUIRE(world.why_not_one_tree() == "");
    for (const std::size_t place : {2, 3, 4}) REQUIRE(parent_of(world, place) == 1);
    world.kill(1);
    world.run(milliseconds(300));
    CHECK(world.why_not_one_tree() == "");
    for (const std::size_t place : {2, 3, 4}) CHECK(parent_of(world, place) == 0);
}

TEST_CASE("so does a child that has come a moment before", "[peer][heal]") {
    World world(1);
    for (const std::size_t place : {0, 1, 2}) {
        world.start(place, World::advertised(place == 0 ? std::vector<std::string>{}
                                                        : std::vector{"g" + std::to_string(place - 1)}));
        world.run(milliseconds(250));
    }
    REQUIRE(world.why_not_one_tree() == "");
    REQUIRE(parent_of(world, 2) == 1);
    world.kill(1);
    world.run(milliseconds(300));
    CHECK(world.why_not_one_tree() == "");
    CHECK(parent_of(world, 2) == 0);
}

TEST_CASE("children of a dead root find each other", "[peer][heal]") {
    World world(2);
    world.start(0, World::advertised({}));
    world.run(seconds(1));
    for (const std::size_t place : {1, 2, 3, 4}) world.start(place, World::advertised({"g0"}));
    world.run(seconds(20));
    REQUIRE(world.why_not_one_tree() == "");
    world.kill(0);
    world.run(milliseconds(1500));
    CHECK(world.why_not_one_tree() == "");
    SECTION("and the root when it comes back, although it joins nobody") {
        world.run(seconds(60));
        world.kept_members.clear();
        world.start(0, World::advertised({}));
        world.run(seconds(20));
        CHECK(world.why_not_one_tree() == "");
    }
}

TEST_CASE("a gateway whose join address is dead finds the tree by the members that it remembers", "[peer][heal]") {
    World world(3);
    world.start(0, World::advertised({}));
    world.start(1, World::advertised({"g0"}));
    World::Setup hidden = World::advertised({"g1"});
    hidden.listens = false;  // so that nobody finds it
    world.start(2, hidden);
    world.run(seconds(10));
    REQUIRE(world.why_not_one_tree() == "");
    CHECK(world.gateways[2]->known_members ==
          std::vector<KnownMember>{{World::id_of(1), "g0"}, {World::id_of(2), "g1"}});
    world.kill(1);
    world.kill(2);
    world.run(seconds(60));
    SECTION("kept by its data dir") {
        world.start(2, hidden);
        world.run(seconds(5));
        CHECK(world.why_not_one_tree() == "");
    }
    SECTION("without, it is alone until somebody is back") {
        world.kept_members.clear();
        world.start(2, hidden);
        world.run(seconds(30));
        CHECK(world.gateways[2]->up.empty());
        world.start(1, world.setups[1]);
        world.run(seconds(10));
        CHECK(world.why_not_one_tree() == "");
    }
}

TEST_CASE("a tree is no wider than is wanted: who comes too many is sent on", "[peer][heal]") {
    World world(4);
    const std::size_t count = 40;
    for (std::size_t place = 0; place < count; ++place) {
        World::Setup setup =
            World::advertised(place == 0 ? std::vector<std::string>{} : std::vector<std::string>{"g0"});
        setup.max_children = 3;
        world.start(place, setup);
        if (place == 0) world.run(seconds(1));
    }
    world.steps_max = 20'000'000;
    world.run(seconds(30));
    INFO(world.describe());
    REQUIRE(world.why_not_one_tree() == "");
    std::size_t deepest = 0;
    for (std::size_t place = 0; place < count; ++place) {
        CHECK(children_of(world, place) <= 3);
        for (const GatewayStatus& other : world.gateways[place]->tree->status().gateways)
            if (world.gateways[place]->tree->status().root) deepest = std::max<std::size_t>(deepest, other.distance);
    }
    CHECK(deepest <= 6);  // 1 + 3 + 9 + 27 would do with 3
    CHECK(world.gateways[0]->logged("is sent on to"));
}

TEST_CASE("who cannot get where it was sent is taken above the limit, and moves when it can", "[peer][heal]") {
    World world(5);
    World::Setup root = World::advertised({});
    root.max_children = 2;
    world.start(0, root);
    world.run(seconds(1));
    for (const std::size_t place : {1, 2}) world.start(place, World::advertised({"g0"}));
    world.run(seconds(5));
    world.cut(1, 3);
    world.cut(2, 3);
    world.start(3, World::advertised({"g0"}));
    world.run(seconds(15));
    REQUIRE(world.why_not_one_tree() == "");
    CHECK(children_of(world, 0) == 3);
    CHECK(world.gateways[3]->logged("sends this gateway on to"));
    // Told once a minute, it stays as long as it cannot get there, and loses nothing by that.
    world.run(seconds(100));
    CHECK(children_of(world, 0) == 3);
    CHECK(world.gateways[0]->tree->counters().links_lost == 0);
    world.heal(1, 3);
    world.heal(2, 3);
    world.run(seconds(200));
    CHECK(world.why_not_one_tree() == "");
    CHECK(children_of(world, 0) == 2);
    CHECK(world.gateways[0]->logged("there are more children here than are wanted"));
}

TEST_CASE("who is sent on goes to a child of its own region", "[peer][heal]") {
    World world(6);
    const char* const regions[] = {"eu", "eu", "us", "ap", "us", "ap", "eu"};
    for (std::size_t place = 0; place < std::size(regions); ++place) {
        World::Setup setup =
            World::advertised(place == 0 ? std::vector<std::string>{} : std::vector<std::string>{"g0"});
        setup.max_children = 3;
        setup.region = regions[place];
        world.start(place, setup);
        world.run(seconds(10));
    }
    REQUIRE(world.why_not_one_tree() == "");
    CHECK(parent_of(world, 4) == 2);
    CHECK(parent_of(world, 5) == 3);
    CHECK(parent_of(world, 6) == 1);
}

TEST_CASE("who is about to end has its children elsewhere before, and takes no others", "[peer][heal]") {
    World world(7);
    // 0 - 1 - {2, 3, 4}
    for (std::size_t place = 0; place < 5; ++place) {
        world.start(place, World::advertised(place == 0   ? std::vector<std::string>{}
                                             : place == 1 ? std::vector<std::string>{"g0"}
                                                          : std::vector<std::string>{"g1"}));
        world.run(seconds(3));
    }
    REQUIRE(world.why_not_one_tree() == "");
    REQUIRE(children_of(world, 1) == 3);
    world.gateways[1]->tree->leave(world.now);
    world.pump(*world.gateways[1]);
    CHECK_FALSE(world.gateways[1]->tree->left_alone());
    world.run(seconds(5));
    INFO(world.describe());
    CHECK(world.gateways[1]->tree->left_alone());
    REQUIRE(world.why_not_one_tree() == "");
    for (const std::size_t place : {2, 3, 4}) CHECK(parent_of(world, place) == 0);
    CHECK(world.gateways[1]->logged("this gateway is about to end"));
    // Who comes now goes there as well.
    world.start(5, World::advertised({"g1"}));
    world.run(seconds(5));
    REQUIRE(world.why_not_one_tree() == "");
    CHECK(parent_of(world, 5) == 0);
    world.gateways[1]->tree->close_all(world.now);
    world.pump(*world.gateways[1]);
    const auto links_lost = world.gateways[2]->tree->counters().links_lost;
    world.kill(1);
    world.run(seconds(5));
    CHECK(world.why_not_one_tree() == "");
    CHECK(world.gateways[2]->tree->counters().links_lost == links_lost);
}

TEST_CASE("a root that is about to end leaves its children to one of them", "[peer][heal]") {
    World world(8);
    for (std::size_t place = 0; place < 4; ++place) {
        world.start(place, World::advertised(place == 0 ? std::vector<std::string>{} : std::vector<std::string>{"g0"}));
        world.run(seconds(3));
    }
    REQUIRE(world.why_not_one_tree() == "");
    REQUIRE(children_of(world, 0) == 3);
    world.gateways[0]->tree->leave(world.now);
    world.pump(*world.gateways[0]);
    world.run(seconds(5));
    INFO(world.describe());
    CHECK(world.gateways[0]->tree->left_alone());
    REQUIRE(world.why_not_one_tree() == "");
    CHECK(children_of(world, 0) == 1);
    std::vector<std::uint64_t> lost;
    for (std::size_t place = 1; place < 4; ++place) lost.push_back(world.gateways[place]->tree->counters().links_lost);
    world.gateways[0]->tree->close_all(world.now);
    world.pump(*world.gateways[0]);
    world.kill(0);
    world.run(seconds(5));
    CHECK(world.why_not_one_tree() == "");
    // Only the heir had a link to lose.
    std::uint64_t lost_more = 0;
    for (std::size_t place = 1; place < 4; ++place)
        lost_more += world.gateways[place]->tree->counters().links_lost - lost[place - 1];
    CHECK(lost_more == 1);
}

TEST_CASE("a leaf that is about to end has nobody to wait for", "[peer][heal]") {
    World world(9);
    world.start(0, World::advertised({}));
    world.start(1, World::advertised({"g0"}));
    world.run(seconds(3));
    world.gateways[1]->tree->leave(world.now);
    CHECK(world.gateways[1]->tree->left_alone());
}

TEST_CASE("two trees that grew apart are one soon after they meet", "[peer][heal]") {
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
        CAPTURE(seed);
        World world(seed);
        // Two chains of four; the foot of the second knows the foot of the first.
        for (const std::size_t first : {0, 4}) {
            for (std::size_t i = 0; i < 4; ++i) {
                World::Setup setup;
                if (i > 0) setup.join = {"g" + std::to_string(first + i - 1)};
                if (first == 4 && i == 3) setup.join.push_back("g3");
                for (std::size_t other = 0; first == 4 && other < 4; ++other) world.cut(other, first + i);
                world.start(first + i, setup);
            }
        }
        world.run(seconds(60));
        for (std::size_t a = 0; a < 4; ++a)
            for (std::size_t b = 4; b < 8; ++b) world.heal(a, b);
        // Ten seconds until the address is tried, five of patience, and the rest follows.
        world.run(seconds(20));
        INFO(world.describe());
        CHECK(world.why_not_one_tree() == "");
    }
}

TEST_CASE("a clock that is an hour slow does not pull the tree after a gateway that lost its parent", "[peer][heal]") {
    World world(8);
    world.start(0, World::advertised({}));
    world.run(seconds(1));
    World::Setup slow = World::advertised({"g0"});
    world.start(1, slow);
    world.run(seconds(1));
    slow.clock_off = -3'600'000;
    slow.join = {"g1"};
    // It is the senior when it comes, whatever we do: it says so.  From then on it is no longer.
    world.start(2, slow);
    world.run(seconds(20));
    REQUIRE(world.why_not_one_tree() == "");
    const std::size_t lost = world.gateways[0]->tree->counters().links_lost;
    world.reset_connections(1, 2);
    world.run(seconds(20));
    REQUIRE(world.why_not_one_tree() == "");
    CHECK(world.gateways[0]->tree->counters().links_lost == lost);
}

TEST_CASE("a gateway asks for ever, but not too often, where nobody is", "[peer][heal]") {
    World world(9);
    World::Setup lonely = World::advertised({"g7", "g8"});
    for (std::size_t i = 0; i < 300; ++i)
        world.kept_members[0].push_back(KnownMember{World::id_of(20 + i), "g" + std::to_string(20 + i)});
    Gateway& gateway = world.start(0, lonely);
    world.run(seconds(60));
    const std::uint64_t first = gateway.tree->counters().dials;
    CHECK(first > 2 * 45 + 300 * 5);
    world.run(seconds(60));
    const std::uint64_t dials = gateway.tree->counters().dials - first;
    CHECK(dials > 2 * 45 + 300 * 8);
    CHECK(dials < 2 * 65 + 300 * 13);
}
