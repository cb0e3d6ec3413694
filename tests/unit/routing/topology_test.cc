#include "routing/topology.h"

#include <catch2/catch.hpp>

#include "routing/base/prng.h"

using namespace routing;

namespace {

void link(Topology& topology, GatewayIndex a, GatewayIndex b, LinkSession session) {
    topology.set_link(a, b, session);
    topology.set_link(b, a, session);
}

}  // namespace

TEST_CASE("an edge counts while both ends list it with one session", "[routing][topology]") {
    Topology topology;
    std::vector<GatewayIndex> changed;
    topology.set_link(0, 1, 7);
    topology.update(changed);
    CHECK_FALSE(topology.reachable(1));
    topology.set_link(1, 0, 8);
    topology.update(changed);
    CHECK_FALSE(topology.reachable(1));
    topology.set_link(1, 0, 7);
    CHECK(topology.update(changed));
    CHECK(changed == std::vector<GatewayIndex>{1});
    CHECK(topology.reachable(1));
    CHECK(topology.next_hop(1) == 1);
    CHECK(topology.neighbours(0) == std::vector<GatewayIndex>{1});
    topology.set_link(0, 1, 0);
    CHECK(topology.update(changed));
    CHECK(changed == std::vector<GatewayIndex>{1});
    CHECK(topology.members() == std::vector<GatewayIndex>{0});
}

TEST_CASE("nothing changes when nothing changed", "[routing][topology]") {
    Topology topology;
    std::vector<GatewayIndex> changed;
    link(topology, 0, 1, 1);
    CHECK(topology.update(changed));
    const std::uint64_t generation = topology.generation();
    topology.set_link(0, 1, 1);
    CHECK_FALSE(topology.update(changed));
    link(topology, 5, 6, 2);  // elsewhere
    topology.update(changed);
    CHECK(changed.empty());
    CHECK(topology.next_hop(1) == 1);
    CHECK(topology.generation() >= generation);
}

TEST_CASE("next hops in random trees are those of the one route", "[routing][topology]") {
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        CAPTURE(seed);
        base::Prng prng(seed);
        const auto count = static_cast<GatewayIndex>(prng.between(2, 30));
        std::vector<GatewayIndex> parent(count, gateway_none);
        Topology topology;
        for (GatewayIndex i = 1; i < count; ++i) {
            parent[i] =
                static_cast<GatewayIndex>(prng.below(i));  // so 0 is the root, and the parent is on the way to 0
            link(topology, i, parent[i], i);
        }
        std::vector<GatewayIndex> changed;
        topology.update(changed);
        REQUIRE(changed.size() == count - 1);
        // Cut some edges: what is below them is gone.
        std::vector<bool> cut(count, false);
        for (GatewayIndex i = 1; i < count; ++i) {
            if (!prng.chance(1, 8)) continue;
            cut[i] = true;
            topology.set_link(i, parent[i], 0);
        }
        topology.update(changed);
        for (GatewayIndex i = 1; i < count; ++i) {
            bool reachable = true;
            std::uint32_t distance = 0;
            GatewayIndex hop = i;
            for (GatewayIndex at = i; at != 0; at = parent[at]) {
                reachable = reachable && !cut[at];
                ++distance;
                hop = at;
            }
            REQUIRE(topology.reachable(i) == reachable);
            REQUIRE(topology.next_hop(i) == (reachable ? hop : gateway_none));
            REQUIRE(topology.previous(i) == (reachable ? parent[i] : gateway_none));
            REQUIRE(topology.distance(i) == (reachable ? distance : 0));
        }
    }
}
