// Queue policies where the router applies them: which subject has which, where rings stand, what a reload changes.
#include <catch2/catch.hpp>
#include <map>
#include <string>

#include "routing/base/prng.h"
#include "routing/router.h"

namespace routing {
namespace {

constexpr AccountId g = account_global;

/// A group "workers" on `filter` with one member here and two gateways of one and two.
void add_workers(Router& router, const std::string& filter) {
    router.subscribe(g, filter, "workers", 1);
    router.set_gateway_interest(7, g, filter, "workers", 1);
    router.set_gateway_interest(8, g, filter, "workers", 2);
    router.set_reachable(7, true);
    router.set_reachable(8, true);
}

/// Where `count` messages of each subject go: 0 here, else the gateway.
std::map<std::uint32_t, int> publish(Router& router, base::Prng& prng, const std::string& subject, int count) {
    std::map<std::uint32_t, int> takers;
    for (int i = 0; i < count; ++i) {
        const Route& route = router.route(g, subject);
        const RouteGroup* group = route.find_group("workers");
        REQUIRE(group != nullptr);
        const Pick taken = pick(*group, {}, prng);
        REQUIRE(taken);
        ++takers[taken.kind == Pick::Kind::local ? 0 : group->remote[taken.at].index];
    }
    return takers;
}

RouterOptions options_with(QueuePolicies policies) {
    RouterOptions options;
    options.queue_policies = std::move(policies);
    return options;
}

TEST_CASE("each subject has the policy of the first filter that matches it", "[routing][router][policy]") {
    Router router(options_with({QueuePolicy::local_first, {{"turn.>", QueuePolicy::round_robin}}}));
    base::Prng prng(1);
    add_workers(router, ">");
    CHECK(publish(router, prng, "other", 40) == std::map<std::uint32_t, int>{{0, 40}});
    CHECK(publish(router, prng, "turn.a", 40) == std::map<std::uint32_t, int>{{0, 10}, {7, 10}, {8, 20}});
}

TEST_CASE("subjects that are used once share their group's ring", "[routing][router][policy]") {
    Router router(options_with({QueuePolicy::round_robin, {}}));
    base::Prng prng(1);
    add_workers(router, "jobs.*");
    std::map<std::uint32_t, int> takers;
    for (int i = 0; i < 400; ++i)
        for (const auto& [taker, count] : publish(router, prng, "jobs." + std::to_string(i), 1)) takers[taker] += count;
    CHECK(takers == std::map<std::uint32_t, int>{{0, 100}, {7, 100}, {8, 200}});
}

TEST_CASE("a ring goes on where it stood when interest elsewhere changes", "[routing][router][policy]") {
    Router router(options_with({QueuePolicy::round_robin, {}}));
    base::Prng prng(1);
    add_workers(router, "jobs.a");
    (void)publish(router, prng, "jobs.a", 2);  // now it is cached, with a ring of its own
    std::map<std::uint32_t, int> takers;
    for (int i = 0; i < 40; ++i) {
        router.set_gateway_interest(9, g, "*", "others",
                                    static_cast<std::uint32_t>(1 + i % 2));  // all routes are made anew
        for (const auto& [taker, count] : publish(router, prng, "jobs.a", 1)) takers[taker] += count;
    }
    CHECK(takers == std::map<std::uint32_t, int>{{0, 10}, {7, 10}, {8, 20}});
}

TEST_CASE("nearest follows a change of distance at once", "[routing][router][policy]") {
    Router router(options_with({QueuePolicy::nearest, {}}));
    base::Prng prng(1);
    router.set_gateway_interest(7, g, "a", "workers", 1);
    router.set_gateway_interest(8, g, "a", "workers", 9);
    router.set_reachable(7, true);
    router.set_reachable(8, true);
    router.set_distance(7, 1);
    router.set_distance(8, 2);
    CHECK(publish(router, prng, "a", 20) == std::map<std::uint32_t, int>{{7, 20}});
    router.set_distance(7, 3);
    CHECK(publish(router, prng, "a", 20) == std::map<std::uint32_t, int>{{8, 20}});
}

TEST_CASE("other policies count from the next message on, and leave nothing behind", "[routing][router][policy]") {
    Router router;
    base::Prng prng(1);
    add_workers(router, "a");
    CHECK(publish(router, prng, "a", 20) == std::map<std::uint32_t, int>{{0, 20}});
    router.set_queue_policies({QueuePolicy::round_robin, {}});
    CHECK(publish(router, prng, "a", 20) == std::map<std::uint32_t, int>{{0, 5}, {7, 5}, {8, 10}});
    router.set_queue_policies({});
    CHECK(publish(router, prng, "a", 20) == std::map<std::uint32_t, int>{{0, 20}});
}

TEST_CASE("more rings than are kept only lose their place", "[routing][router][policy]") {
    QueueRings rings;
    for (std::uint64_t i = 1; i <= QueueRings::rings_max * 3; ++i) ++rings.subject(1, base::mix_bits(i)).tree;
    QueueRing& ring = rings.subject(1, base::mix_bits(2));
    ring.tree = 5;
    CHECK(rings.subject(1, base::mix_bits(2)).tree == 5);
    CHECK(&rings.subject(1, base::mix_bits(2)) == &ring);
}

}  // namespace
}  // namespace routing
