#include "routing/route.h"

#include <catch2/catch.hpp>
#include <map>

#include "routing/base/prng.h"

namespace routing {
namespace {

RemoteMember shard_member(ShardIndex shard, std::uint32_t weight) {
    return {RemoteMember::Kind::shard, true, 0, shard, weight, index_none};
}

RemoteMember gateway_member(GatewayIndex gateway, std::uint32_t weight, bool reachable) {
    return {RemoteMember::Kind::gateway, reachable, 0, gateway, weight, index_none};
}

RouteGroup group_of(std::uint32_t locals, std::vector<RemoteMember> remote) {
    RouteGroup group;
    group.queue = "q";
    for (std::uint32_t i = 0; i < locals; ++i) group.local.push_back({i, 100 + i, {}});
    group.remote = std::move(remote);
    for (const RemoteMember& member : group.remote) {
        if (member.kind == RemoteMember::Kind::shard) {
            group.shard_weight += member.weight;
        } else {
            (member.reachable ? group.reachable_weight : group.remembered_weight) += member.weight;
        }
    }
    return group;
}

// How often each candidate is picked in `draws`, keyed by kind and position.
std::map<std::pair<Pick::Kind, std::uint32_t>, int> histogram(const RouteGroup& group, const PickRequest& request,
                                                              int draws) {
    base::Prng prng(42);
    std::map<std::pair<Pick::Kind, std::uint32_t>, int> counts;
    for (int i = 0; i < draws; ++i) {
        const Pick taken = pick(group, request, prng);
        ++counts[{taken.kind, taken.at}];
    }
    return counts;
}

bool about(int count, double expected) {
    return count > expected * 0.95 && count < expected * 1.05;
}

TEST_CASE("nobody is picked from an empty group", "[routing][pick]") {
    base::Prng prng(1);
    CHECK_FALSE(pick(group_of(0, {}), {}, prng));
}

TEST_CASE("every member of this gateway has the same chance, on whichever shard it lives", "[routing][pick]") {
    const RouteGroup group = group_of(2, {shard_member(1, 3), shard_member(2, 5), gateway_member(4, 90, true)});
    auto counts = histogram(group, {}, 40000);
    CHECK(counts.size() == 4);
    CHECK(about(counts[{Pick::Kind::local, 0}], 4000));
    CHECK(about(counts[{Pick::Kind::local, 1}], 4000));
    CHECK(about(counts[{Pick::Kind::shard, 0}], 12000));
    CHECK(about(counts[{Pick::Kind::shard, 1}], 20000));
}

TEST_CASE("reachable gateways share by weight when nobody is here", "[routing][pick]") {
    const RouteGroup group =
        group_of(0, {gateway_member(1, 1, true), gateway_member(2, 3, true), gateway_member(3, 50, false)});
    auto counts = histogram(group, {}, 20000);
    CHECK(counts.size() == 2);
    CHECK(about(counts[{Pick::Kind::gateway, 0}], 5000));
    CHECK(about(counts[{Pick::Kind::gateway, 1}], 15000));
}

TEST_CASE("each pick is one draw over all members, so a seed fixes the sequence", "[routing][pick]") {
    const RouteGroup group = group_of(3, {shard_member(1, 2), gateway_member(1, 1, true)});
    base::Prng prng(7);
    base::Prng same(7);
    for (int i = 0; i < 1000; ++i) {
        const Pick taken = pick(group, {}, prng);
        const std::uint64_t draw = same.below(5);
        REQUIRE(taken.kind == (draw < 3 ? Pick::Kind::local : Pick::Kind::shard));
        REQUIRE(taken.at == (draw < 3 ? draw : 0));
    }
}

TEST_CASE("remembered gateways are picked for durable messages only, and last", "[routing][pick]") {
    base::Prng prng(3);
    const RouteGroup both = group_of(0, {gateway_member(1, 1, true), gateway_member(2, 1000, false)});
    const RouteGroup gone = group_of(0, {gateway_member(2, 4, false), gateway_member(3, 4, false)});
    PickRequest durable;
    durable.remembered = true;
    for (int i = 0; i < 50; ++i) CHECK(pick(both, durable, prng).at == 0);
    CHECK_FALSE(pick(gone, {}, prng));
    auto counts = histogram(gone, durable, 20000);
    CHECK(about(counts[{Pick::Kind::gateway, 0}], 10000));
    CHECK(about(counts[{Pick::Kind::gateway, 1}], 10000));
}

TEST_CASE("who is excluded is never picked and the others stay alike", "[routing][pick]") {
    SECTION("a subscription") {
        PickRequest request;
        request.excluded_slot = 1;
        auto counts = histogram(group_of(3, {shard_member(1, 2)}), request, 40000);
        CHECK(counts.size() == 3);
        CHECK(about(counts[{Pick::Kind::local, 0}], 10000));
        CHECK(about(counts[{Pick::Kind::local, 2}], 10000));
        CHECK(about(counts[{Pick::Kind::shard, 0}], 20000));
    }
    SECTION("a connection") {
        PickRequest request;
        request.excluded_connection = 100;
        auto counts = histogram(group_of(2, {}), request, 100);
        CHECK(counts.size() == 1);
        CHECK(counts[{Pick::Kind::local, 1}] == 100);
    }
    SECTION("a sibling shard") {
        PickRequest request;
        request.excluded_shard = 1;
        auto counts = histogram(group_of(0, {shard_member(1, 5), shard_member(2, 1)}), request, 100);
        CHECK(counts.size() == 1);
        CHECK(counts[{Pick::Kind::shard, 1}] == 100);
    }
    SECTION("a gateway, with the next tier taking over") {
        PickRequest request;
        request.excluded_gateway = 1;
        request.remembered = true;
        auto counts = histogram(group_of(0, {gateway_member(1, 5, true), gateway_member(2, 1, false)}), request, 100);
        CHECK(counts.size() == 1);
        CHECK(counts[{Pick::Kind::gateway, 1}] == 100);
    }
    SECTION("the last one there is") {
        base::Prng prng(1);
        PickRequest request;
        request.excluded_connection = 100;
        CHECK_FALSE(pick(group_of(1, {}), request, prng));
    }
}

TEST_CASE("tiers can be switched off", "[routing][pick]") {
    const RouteGroup group = group_of(1, {shard_member(1, 1), gateway_member(1, 1, true)});
    base::Prng prng(1);
    PickRequest request;
    request.local = false;
    CHECK(pick(group, request, prng).kind == Pick::Kind::shard);
    request.shards = false;
    CHECK(pick(group, request, prng).kind == Pick::Kind::gateway);
    request.gateways = false;
    CHECK_FALSE(pick(group, request, prng));
}

// Counts of `turns` picks of a round robin that stands at `ring`.
std::map<std::pair<Pick::Kind, std::uint32_t>, int> turns(RouteGroup group, QueueRing& ring, int count,
                                                          const PickRequest& request = {}) {
    group.policy = QueuePolicy::round_robin;
    group.ring = &ring;
    return histogram(group, request, count);
}

TEST_CASE("round robin gives every member of the tree exactly its turn", "[routing][pick][policy]") {
    const RouteGroup group = group_of(
        2, {shard_member(1, 3), gateway_member(1, 1, true), gateway_member(2, 4, true), gateway_member(3, 50, false)});
    QueueRing ring{GENERATE(0u, 3u, 77u), 0};
    auto counts = turns(group, ring, 10);
    CHECK(counts.size() == 5);
    CHECK(counts[{Pick::Kind::local, 0}] == 1);
    CHECK(counts[{Pick::Kind::local, 1}] == 1);
    CHECK(counts[{Pick::Kind::shard, 0}] == 3);
    CHECK(counts[{Pick::Kind::gateway, 1}] == 1);
    CHECK(counts[{Pick::Kind::gateway, 2}] == 4);
}

TEST_CASE("round robin does not give a large gateway its turns in one burst", "[routing][pick][policy]") {
    RouteGroup group = group_of(0, {gateway_member(1, 8, true), gateway_member(2, 8, true)});
    QueueRing ring;
    group.policy = QueuePolicy::round_robin;
    group.ring = &ring;
    base::Prng prng(1);
    std::uint32_t last = 99;
    int run = 0;
    for (int i = 0; i < 160; ++i) {
        const std::uint32_t at = pick(group, {}, prng).at;
        run = at == last ? run + 1 : 1;
        last = at;
        CHECK(run <= 2);
    }
}

TEST_CASE("round robin goes on over who is left when somebody is excluded", "[routing][pick][policy]") {
    const RouteGroup group =
        group_of(0, {gateway_member(1, 2, true), gateway_member(2, 2, true), gateway_member(3, 2, true)});
    QueueRing ring;
    PickRequest request;
    SECTION("a gateway") {
        request.excluded_gateway = 2;
    }
    const GatewayMask only = {false, true, false, true};
    SECTION("all but some gateways") {
        request.only_gateways = &only;
    }
    auto counts = turns(group, ring, 40, request);
    CHECK(counts.size() == 2);
    CHECK(counts[{Pick::Kind::gateway, 0}] == 20);
    CHECK(counts[{Pick::Kind::gateway, 2}] == 20);
}

TEST_CASE("what comes from other gateways goes round among the members here, in a turn of its own",
          "[routing][pick][policy]") {
    const RouteGroup group = group_of(2, {shard_member(1, 2), gateway_member(1, 9, true)});
    QueueRing ring;
    PickRequest here;
    here.gateways = false;
    auto counts = turns(group, ring, 8, here);
    CHECK(counts.size() == 3);
    CHECK(counts[{Pick::Kind::local, 0}] == 2);
    CHECK(counts[{Pick::Kind::local, 1}] == 2);
    CHECK(counts[{Pick::Kind::shard, 0}] == 4);
    CHECK(ring.tree == 0);
}

TEST_CASE("weighted draws among all members of the tree, random among its gateways", "[routing][pick][policy]") {
    RouteGroup group = group_of(2, {shard_member(1, 2), gateway_member(1, 12, true), gateway_member(2, 4, true)});
    SECTION("weighted") {
        group.policy = QueuePolicy::weighted;
        auto counts = histogram(group, {}, 40000);
        CHECK(about(counts[{Pick::Kind::local, 0}], 2000));
        CHECK(about(counts[{Pick::Kind::local, 1}], 2000));
        CHECK(about(counts[{Pick::Kind::shard, 0}], 4000));
        CHECK(about(counts[{Pick::Kind::gateway, 1}], 24000));
        CHECK(about(counts[{Pick::Kind::gateway, 2}], 8000));
    }
    SECTION("random") {
        group.policy = QueuePolicy::random;
        auto counts = histogram(group, {}, 48000);
        CHECK(about(counts[{Pick::Kind::local, 0}], 4000));
        CHECK(about(counts[{Pick::Kind::local, 1}], 4000));
        CHECK(about(counts[{Pick::Kind::shard, 0}], 8000));
        CHECK(about(counts[{Pick::Kind::gateway, 1}], 16000));
        CHECK(about(counts[{Pick::Kind::gateway, 2}], 16000));
    }
}

TEST_CASE("nearest takes this gateway, else the fewest links, by weight among equals", "[routing][pick][policy]") {
    RouteGroup group = group_of(1, {gateway_member(1, 9, true), gateway_member(2, 1, true), gateway_member(3, 3, true),
                                    gateway_member(4, 9, false)});
    group.policy = QueuePolicy::nearest;
    group.remote[0].distance = 3;
    group.remote[1].distance = 2;
    group.remote[2].distance = 2;
    group.remote[3].distance = 1;
    CHECK(histogram(group, {}, 50).begin()->first.first == Pick::Kind::local);
    group.local.clear();
    auto counts = histogram(group, {}, 40000);
    CHECK(counts.size() == 2);
    CHECK(about(counts[{Pick::Kind::gateway, 1}], 10000));
    CHECK(about(counts[{Pick::Kind::gateway, 2}], 30000));
    PickRequest request;
    request.excluded_gateway = 2;
    CHECK(histogram(group, request, 50).size() == 1);
}

TEST_CASE("with every policy remembered gateways come last, excluded ones never, and nobody is nobody",
          "[routing][pick][policy]") {
    const auto policy = static_cast<QueuePolicy>(GENERATE(range(0, 5)));
    CAPTURE(name_of(policy));
    QueueRing ring;
    RouteGroup group = group_of(0, {gateway_member(1, 3, false), gateway_member(2, 3, false)});
    group.policy = policy;
    group.ring = &ring;
    base::Prng prng(5);
    CHECK_FALSE(pick(group, {}, prng));
    PickRequest durable;
    durable.remembered = true;
    durable.excluded_gateway = 1;
    for (int i = 0; i < 20; ++i) {
        const Pick taken = pick(group, durable, prng);
        REQUIRE(taken.kind == Pick::Kind::gateway);
        CHECK(taken.at == 1);
    }
    const GatewayMask nobody;
    durable.only_gateways = &nobody;
    CHECK_FALSE(pick(group, durable, prng));
}

TEST_CASE("the names of policies are those of the config file", "[routing][policy]") {
    for (const auto policy : {QueuePolicy::local_first, QueuePolicy::round_robin, QueuePolicy::weighted,
                              QueuePolicy::nearest, QueuePolicy::random})
        CHECK(read_queue_policy(name_of(policy)) == policy);
    CHECK(name_of(QueuePolicy::round_robin) == "round_robin");
    CHECK_FALSE(read_queue_policy("roundrobin"));
    CHECK_FALSE(read_queue_policy(""));
}

TEST_CASE("the first filter that matches a subject says its policy", "[routing][policy]") {
    const QueuePolicies policies{QueuePolicy::nearest,
                                 {{"jobs.slow.>", QueuePolicy::random}, {"jobs.*.*", QueuePolicy::round_robin}}};
    CHECK(policies.of("jobs.slow.1") == QueuePolicy::random);
    CHECK(policies.of("jobs.fast.1") == QueuePolicy::round_robin);
    CHECK(policies.of("jobs.1") == QueuePolicy::nearest);
    CHECK(policies.may_be(QueuePolicy::random));
    CHECK_FALSE(policies.may_be(QueuePolicy::weighted));
}

TEST_CASE("any window of a ring visits each place once", "[routing][policy]") {
    for (std::uint64_t total = 1; total < 200; ++total) {
        const std::uint64_t first = total * 7 + 3;
        std::vector<bool> seen(total, false);
        for (std::uint64_t i = 0; i < total; ++i) {
            const std::uint64_t place = ring_place(first + i, total);
            REQUIRE(place < total);
            REQUIRE_FALSE(seen[place]);
            seen[place] = true;
        }
    }
    CHECK(ring_place(~std::uint64_t{0}, 1'000'003) < 1'000'003);
}

TEST_CASE("a route knows whether anybody takes it", "[routing][route]") {
    Route route;
    CHECK_FALSE(route.has_taker());
    CHECK_FALSE(route.has_durable_taker());
    route.remembered.push_back(1);
    CHECK_FALSE(route.has_taker());
    CHECK(route.has_durable_taker());
    route.remembered.clear();
    route.groups.push_back(group_of(0, {gateway_member(1, 1, false)}));
    CHECK_FALSE(route.has_taker());
    CHECK(route.has_durable_taker());
    route.groups.push_back(group_of(1, {}));
    CHECK(route.has_taker());
}

TEST_CASE("a group is found by its name", "[routing][route]") {
    Route route;
    for (const char* name : {"a", "b", "c"}) {
        route.groups.push_back({});
        route.groups.back().queue = name;
    }
    REQUIRE(route.find_group("b") != nullptr);
    CHECK(route.find_group("b")->queue == "b");
    CHECK(route.find_group("bb") == nullptr);
    CHECK(route.find_group("") == nullptr);
}

}  // namespace
}  // namespace routing
