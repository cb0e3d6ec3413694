#include "routing/router.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "routing/base/prng.h"

namespace routing {
namespace {

constexpr AccountId g = account_global;

std::vector<ConnectionId> connections(const std::vector<LocalReceiver>& receivers) {
    std::vector<ConnectionId> out;
    for (const LocalReceiver& receiver : receivers) out.push_back(receiver.connection);
    std::sort(out.begin(), out.end());
    return out;
}

/// Whether the route of `subject` has to be made for this, or made anew.
bool matched_by(Router& router, const char* subject) {
    const std::uint64_t before = router.stats().matches;
    router.route(g, subject);
    return router.stats().matches != before;
}

TEST_CASE("slots are dense and reused under another generation", "[routing][router]") {
    Router router;
    const SubscriptionId first = router.subscribe(g, "a", "", 1);
    const SubscriptionId second = router.subscribe(g, "b", "", 1);
    CHECK(first.slot == 0);
    CHECK(second.slot == 1);
    CHECK(router.unsubscribe(first));
    CHECK_FALSE(router.alive(first));
    CHECK_FALSE(router.unsubscribe(first));
    const SubscriptionId third = router.subscribe(g, "c", "", 1);
    CHECK(third.slot == first.slot);
    CHECK(third.generation != first.generation);
    CHECK_FALSE(router.unsubscribe(first));
    CHECK(router.alive(third));
    CHECK_FALSE(router.alive(SubscriptionId{}));
}

TEST_CASE("a queue group is one over all filters that match", "[routing][router]") {
    Router router;
    router.subscribe(g, "orders.new", "workers", 1);
    router.subscribe(g, "orders.*", "workers", 2);
    router.subscribe(g, ">", "workers", 3);
    router.subscribe(g, "orders.>", "audit", 4);
    router.subscribe(g, "orders.*", "", 5);
    router.set_shard_interest(1, g, "orders.new", "workers", 2);
    router.set_shard_interest(1, g, "orders.*", "workers", 3);
    router.set_gateway_interest(7, g, "*.new", "workers", 4);
    router.set_gateway_interest(7, g, ">", "workers", 1);
    router.set_reachable(7, true);
    const Route& route = router.route(g, "orders.new");
    CHECK(connections(route.plain) == std::vector<ConnectionId>{5});
    REQUIRE(route.groups.size() == 2);
    CHECK(route.groups[0].queue == "audit");
    const RouteGroup& workers = route.groups[1];
    CHECK(connections(workers.local) == std::vector<ConnectionId>{1, 2, 3});
    REQUIRE(workers.remote.size() == 2);
    CHECK(workers.remote[0].kind == RemoteMember::Kind::shard);
    CHECK(workers.remote[0].weight == 5);
    CHECK(workers.remote[1].kind == RemoteMember::Kind::gateway);
    CHECK(workers.remote[1].index == 7);
    CHECK(workers.remote[1].weight == 5);
    CHECK(workers.shard_weight == 5);
    CHECK(workers.reachable_weight == 5);
    CHECK(workers.remembered_weight == 0);
}

TEST_CASE("a place with several filters that match is named once", "[routing][router]") {
    Router router;
    for (const char* filter : {"a.b", "a.*", ">"}) {
        router.set_shard_interest(3, g, filter, "", 2);
        router.set_shard_interest(1, g, filter, "", 2);
        router.set_gateway_interest(9, g, filter, "", 1);
        router.set_gateway_interest(4, g, filter, "", 1);
        router.set_gateway_interest(5, g, filter, "", 1);
    }
    router.set_reachable(4, true);
    router.set_reachable(9, true);
    const Route& route = router.route(g, "a.b");
    CHECK(route.shards == std::vector<ShardIndex>{1, 3});
    CHECK(route.gateways == std::vector<GatewayIndex>{4, 9});
    CHECK(route.remembered == std::vector<GatewayIndex>{5});
}

TEST_CASE("reachability moves interest between reachable and remembered, in cached routes too", "[routing][router]") {
    Router router;
    router.set_gateway_interest(2, g, "a", "", 1);
    router.set_gateway_interest(2, g, "a", "q", 3);
    for (int i = 0; i < 3; ++i) CHECK_FALSE(router.route(g, "a").has_taker());
    router.set_reachable(2, true);
    CHECK(router.route(g, "a").gateways == std::vector<GatewayIndex>{2});
    CHECK(router.route(g, "a").groups[0].reachable_weight == 3);
    router.set_reachable(2, false);
    CHECK(router.route(g, "a").remembered == std::vector<GatewayIndex>{2});
    CHECK(router.route(g, "a").groups[0].remembered_weight == 3);
    CHECK_FALSE(router.route(g, "a").groups[0].remote[0].reachable);
    router.set_reachable(2, true);
    router.forget_gateway(2);
    CHECK_FALSE(router.route(g, "a").has_durable_taker());
    CHECK_FALSE(router.reachable(2));
    CHECK(router.stats().interests == 0);
    CHECK(router.stats().filters == 0);
}

TEST_CASE("forgetting a gateway leaves the others' interest", "[routing][router]") {
    Router router;
    router.subscribe(g, "a", "", 1);
    router.set_shard_interest(2, g, "a", "", 1);
    router.set_gateway_interest(2, g, "a", "", 1);
    router.set_gateway_interest(3, g, "a", "", 1);
    router.forget_gateway(2);
    const Route& route = router.route(g, "a");
    CHECK(route.plain.size() == 1);
    CHECK(route.shards == std::vector<ShardIndex>{2});
    CHECK(route.remembered == std::vector<GatewayIndex>{3});
}

TEST_CASE("changes tell the first, the last, and every weight of a queue group", "[routing][router]") {
    Router router;
    const SubscriptionId plain_one = router.subscribe(g, "a", "", 1);
    const SubscriptionId plain_two = router.subscribe(g, "a", "", 2);
    const SubscriptionId member_one = router.subscribe(g, "a", "q", 1);
    CHECK(router.local_weight(g, "a", "") == 2);
    CHECK(router.take_changes() == std::vector<InterestChange>{{g, "a", "", 1}, {g, "a", "q", 1}});
    CHECK_FALSE(router.has_changes());

    const SubscriptionId member_two = router.subscribe(g, "a", "q", 2);
    router.unsubscribe(plain_one);
    CHECK(router.take_changes() == std::vector<InterestChange>{{g, "a", "q", 2}});

    router.unsubscribe(plain_two);
    router.unsubscribe(member_one);
    router.unsubscribe(member_two);
    CHECK(router.local_weight(g, "a", "") == 0);
    CHECK(router.take_changes() == std::vector<InterestChange>{{g, "a", "", 0}, {g, "a", "q", 0}});
    CHECK(router.stats().filters == 0);
}

TEST_CASE("what came and went between two looks is no change", "[routing][router]") {
    Router router;
    const SubscriptionId first = router.subscribe(g, "a", "", 1);
    router.unsubscribe(first);
    CHECK(router.has_changes());
    CHECK(router.take_changes().empty());
    CHECK(router.stats().filters == 0);

    const SubscriptionId stays = router.subscribe(g, "a", "", 1);
    CHECK(router.take_changes().size() == 1);
    router.unsubscribe(stays);
    router.subscribe(g, "a", "", 1);
    CHECK(router.take_changes().empty());
    CHECK(router.local_weight(g, "a", "") == 1);
}

TEST_CASE("a queue group without members left is in no route", "[routing][router]") {
    Router router;
    const SubscriptionId member = router.subscribe(g, "a", "q", 1);
    router.unsubscribe(member);
    CHECK(router.route(g, "a").groups.empty());  // before take_changes() cleans up
    CHECK_FALSE(router.route(g, "a").has_taker());
}

TEST_CASE("a subject is kept at its second sight", "[routing][router][cache]") {
    Router router;
    router.subscribe(g, "a.*", "", 1);
    CHECK_FALSE(router.route(g, "a.b").cached);
    CHECK(router.stats().cached_routes == 0);
    CHECK(router.route(g, "a.b").cached);
    CHECK(router.stats().matches == 2);
    CHECK(router.stats().cache_hits == 0);
    CHECK(router.route(g, "a.b").cached);
    CHECK(router.stats().matches == 2);
    CHECK(router.stats().cache_hits == 1);
    CHECK(router.stats().cached_routes == 1);
}

TEST_CASE("subjects seen once push nothing out of the cache", "[routing][router][cache]") {
    RouterOptions options;
    options.cache_entries = 16;
    Router router(options);
    router.route(g, "kept");
    router.route(g, "kept");
    for (int i = 0; i < 10000; ++i) router.route(g, "once." + std::to_string(i));
    const std::uint64_t before = router.stats().matches;
    CHECK(router.route(g, "kept").cached);
    CHECK(router.stats().matches == before);
    CHECK(router.stats().cached_routes == 1);
}

TEST_CASE("the cache holds as many subjects as it was given room for", "[routing][router][cache]") {
    RouterOptions options;
    options.cache_entries = 64;
    Router router(options);
    for (int i = 0; i < 1000; ++i) {
        router.route(g, std::to_string(i));
        router.route(g, std::to_string(i));
    }
    CHECK(router.stats().cached_routes <= 64);
    CHECK(router.stats().cached_routes > 32);
    CHECK(router.stats().cache_evictions > 0);
}

TEST_CASE("the cache holds no more receivers than it was given room for", "[routing][router][cache]") {
    RouterOptions options;
    options.cache_receivers_max = 100;
    Router router(options);
    for (ConnectionId connection = 1; connection <= 30; ++connection) router.subscribe(g, "few.*", "", connection);
    for (ConnectionId connection = 1; connection <= 101; ++connection) router.subscribe(g, "many.*", "", connection);
    for (int i = 0; i < 10; ++i) {
        for (int sight = 0; sight < 2; ++sight) {
            const std::string subject = "few." + std::to_string(i);
            CHECK(router.route(g, subject).plain.size() == 30);
        }
    }
    CHECK(router.stats().cached_routes == 3);
    CHECK(router.stats().cache_evictions == 7);
    for (int sight = 0; sight < 3; ++sight) {
        const Route& route = router.route(g, "many.x");
        CHECK(route.plain.size() == 101);
        CHECK_FALSE(route.cached);
    }
    CHECK(router.route(g, "few.9").cached);
}

TEST_CASE("an exact filter that comes or goes outdates the route of its own subject alone",
          "[routing][router][cache]") {
    Router router;
    for (int i = 0; i < 2; ++i) {
        router.route(g, "orders.new");
        router.route(g, "orders.old");
    }
    const auto outdates_its_own_alone = [&] {
        return matched_by(router, "orders.new") && !matched_by(router, "orders.old") &&
               !matched_by(router, "orders.other.new");
    };
    router.route(g, "orders.other.new");
    router.route(g, "orders.other.new");

    const SubscriptionId plain = router.subscribe(g, "orders.new", "", 1);
    CHECK(outdates_its_own_alone());
    CHECK_FALSE(matched_by(router, "orders.new"));
    const SubscriptionId member = router.subscribe(g, "orders.new", "q", 1);
    CHECK(outdates_its_own_alone());
    router.set_shard_interest(1, g, "orders.new", "", 1);
    CHECK(outdates_its_own_alone());
    router.set_gateway_interest(1, g, "orders.new", "", 1);
    CHECK(outdates_its_own_alone());
    router.forget_gateway(1);
    CHECK(outdates_its_own_alone());
    router.set_shard_interest(1, g, "orders.new", "", 0);
    CHECK(outdates_its_own_alone());
    router.unsubscribe(member);
    CHECK(outdates_its_own_alone());
    router.unsubscribe(plain);
    CHECK(outdates_its_own_alone());
    CHECK_FALSE(router.route(g, "orders.new").has_taker());

    router.set_gateway_interest(1, g, "orders.*", "", 1);  // a wildcard: whatever begins so
    CHECK(matched_by(router, "orders.new"));
    CHECK(matched_by(router, "orders.old"));
    CHECK(matched_by(router, "orders.other.new"));
}

TEST_CASE("a change of a wildcard filter outdates the routes of its first token, a leading wildcard all of them",
          "[routing][router][cache]") {
    Router router;
    for (int i = 0; i < 2; ++i) {
        router.route(g, "orders.new");
        router.route(g, "stock.low");
    }
    REQUIRE_FALSE(matched_by(router, "orders.new"));
    REQUIRE_FALSE(matched_by(router, "stock.low"));

    const SubscriptionId exact = router.subscribe(g, "orders.new", "", 1);
    CHECK(router.route(g, "orders.new").plain.size() == 1);
    CHECK_FALSE(matched_by(router, "stock.low"));
    router.set_gateway_interest(1, g, "orders.>", "q", 1);
    CHECK(matched_by(router, "orders.new"));
    CHECK_FALSE(matched_by(router, "stock.low"));
    router.set_gateway_interest(1, g, "orders.>", "q", 1);  // says what is known already
    CHECK_FALSE(matched_by(router, "orders.new"));
    router.set_gateway_interest(1, g, "orders.>", "q", 2);
    CHECK(router.route(g, "orders.new").groups[0].remembered_weight == 2);
    router.unsubscribe(exact);
    CHECK(router.route(g, "orders.new").plain.empty());

    router.set_shard_interest(1, g, "*.low", "", 1);
    CHECK(router.route(g, "stock.low").shards.size() == 1);
    CHECK(matched_by(router, "orders.new"));
    router.set_shard_interest(1, g, "*.low", "", 0);
    CHECK(router.route(g, "stock.low").shards.empty());
}

TEST_CASE("the caller's scratch stays while the route is good and is reset with it", "[routing][router][cache]") {
    Router router;
    router.subscribe(g, "a", "", 1);
    router.subscribe(g, "a", "q", 2);
    router.route(g, "a");
    Route& made = router.route(g, "a");
    made.plain[0].head = "MSG a 1 ";
    made.volatile_targets = TargetSetId{5, 1};
    made.durable_targets = TargetSetId{6, 1};
    made.flags = 7;
    router.route(g, "other");
    Route& again = router.route(g, "a");
    CHECK(again.plain[0].head == "MSG a 1 ");
    CHECK(again.volatile_targets.slot == 5);
    router.subscribe(g, "a", "", 3);
    Route& fresh = router.route(g, "a");
    CHECK(fresh.plain.size() == 2);
    for (const LocalReceiver& receiver : fresh.plain) CHECK(receiver.head.empty());
    CHECK((fresh.volatile_targets == target_set_none));
    CHECK((fresh.durable_targets == target_set_none));
    CHECK(fresh.flags == 0);
    CHECK(fresh.groups[0].local[0].head.empty());
}

TEST_CASE("accounts have routes of their own", "[routing][router][cache]") {
    Router router;
    router.subscribe(1, "a", "", 10);
    router.subscribe(2, ">", "", 20);
    for (int i = 0; i < 3; ++i) {
        CHECK(connections(router.route(1, "a").plain) == std::vector<ConnectionId>{10});
        CHECK(connections(router.route(2, "a").plain) == std::vector<ConnectionId>{20});
        CHECK(router.route(3, "a").plain.empty());
    }
}

TEST_CASE("a subscription costs less than 200 bytes", "[routing][router]") {
    // Target: performance.md, 300 B at 1 M with all that the session keeps.
    constexpr std::uint64_t count = 100000;
    Router router;
    for (std::uint64_t i = 0; i < count; ++i) {
        router.subscribe(g, "sensors.site-" + std::to_string(i % 100) + ".device-" + std::to_string(i), "", i + 1);
    }
    CHECK(router.take_changes().size() == count);
    CHECK(router.stats().bytes / count < 200);
}

TEST_CASE("plain interest of every sibling reaches the route, and leaves with its withdrawal alone",
          "[routing][router]") {
    Router router;
    std::vector<ShardIndex> all;
    for (ShardIndex shard = 0; shard < router_shards_max; ++shard) {
        router.set_shard_interest(shard, account_global, "a.b", "", 3);
        router.set_shard_interest(shard, account_global, "a.*", "", 1);
        all.push_back(shard);
        CHECK(router.route(account_global, "a.b").shards == all);
    }
    CHECK(router.stats().filters == 2);
    for (ShardIndex shard = 0; shard < router_shards_max; ++shard) {
        router.set_shard_interest(shard, account_global, "a.b", "", 0);
        CHECK(router.route(account_global, "a.b").shards == all);
        router.set_shard_interest(shard, account_global, "a.b", "", 0);
    }
    CHECK(router.stats().filters == 1);
    for (ShardIndex shard = 0; shard < router_shards_max; ++shard) {
        router.set_shard_interest(shard, account_global, "a.*", "", 0);
        all.erase(all.begin());
        CHECK(router.route(account_global, "a.b").shards == all);
    }
    CHECK(router.stats().filters == 0);
}

TEST_CASE("a filter that only siblings hold is not told as this shard's", "[routing][router]") {
    Router router;
    router.set_shard_interest(1, account_global, "a", "", 1);
    CHECK(router.take_changes().empty());
    const SubscriptionId own = router.subscribe(account_global, "a", "", 7);
    CHECK(router.take_changes() == std::vector<InterestChange>{{account_global, "a", "", 1}});
    router.unsubscribe(own);
    router.set_shard_interest(1, account_global, "a", "", 0);
    CHECK(router.take_changes() == std::vector<InterestChange>{{account_global, "a", "", 0}});
    CHECK(router.stats().filters == 0);
}

TEST_CASE("a million subscriptions cost what the page says", "[routing][router]") {
    // A tenth of it, which has the same cost each.  Unit: bytes.
    constexpr std::size_t count = 100'000;
    Router here;
    Router sibling;
    for (std::size_t i = 0; i < count; ++i) {
        const std::string filter =
            "bench." + std::to_string(i % 97) + ".device-" + std::to_string(i) + (i % 5 == 0 ? ".*" : ".state");
        here.subscribe(account_global, filter, "", 1);
        sibling.set_shard_interest(1, account_global, filter, "", 1);
    }
    CHECK(here.stats().bytes < count * 110);
    CHECK(sibling.stats().bytes < count * 85);
}

}  // namespace
}  // namespace routing
