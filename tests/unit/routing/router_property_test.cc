// The router against a naive one: a list of all interest, looked through for every message.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "routing/base/prng.h"
#include "routing/base/subject.h"
#include "routing/router.h"

namespace routing {
namespace {

struct Place {
    int kind = 0;  // 0 local, 1 shard, 2 gateway
    std::uint32_t index = 0;
    auto operator<=>(const Place&) const = default;
};

// Everything that a route says, in a form that can be compared.
struct Answer {
    std::multiset<ConnectionId> plain;
    std::set<ShardIndex> shards;
    std::set<GatewayIndex> gateways;
    std::set<GatewayIndex> remembered;
    struct Group {
        std::multiset<ConnectionId> local;
        std::map<std::pair<Place, bool>, std::uint32_t> remote;
        bool operator==(const Group&) const = default;
    };
    std::map<std::string, Group> groups;
    bool operator==(const Answer&) const = default;
};

class NaiveRouter {
  public:
    struct Local {
        SubscriptionId id;
        AccountId account;
        std::string filter;
        std::string queue;
        ConnectionId connection;
    };
    std::vector<Local> locals;
    std::map<std::tuple<Place, AccountId, std::string, std::string>, std::uint32_t> places;
    std::set<GatewayIndex> reachable;

    [[nodiscard]] Answer answer(AccountId account, const std::string& subject) const {
        Answer out;
        for (const Local& local : locals) {
            if (local.account != account || !base::matches(local.filter, subject)) continue;
            (local.queue.empty() ? out.plain : out.groups[local.queue].local).insert(local.connection);
        }
        for (const auto& [key, weight] : places) {
            const auto& [place, of, filter, queue] = key;
            if (of != account || !base::matches(filter, subject)) continue;
            const bool near = place.kind == 1 || reachable.count(place.index) > 0;
            if (!queue.empty()) {
                out.groups[queue].remote[{place, near}] += weight;
            } else if (place.kind == 1) {
                out.shards.insert(static_cast<ShardIndex>(place.index));
            } else {
                (near ? out.gateways : out.remembered).insert(place.index);
            }
        }
        return out;
    }
    [[nodiscard]] std::uint32_t weight(AccountId account, const std::string& filter, const std::string& queue) const {
        return static_cast<std::uint32_t>(std::count_if(locals.begin(), locals.end(), [&](const Local& local) {
            return local.account == account && local.filter == filter && local.queue == queue;
        }));
    }
};

Answer answer_of(const Route& route) {
    Answer out;
    for (const LocalReceiver& receiver : route.plain) out.plain.insert(receiver.connection);
    out.shards.insert(route.shards.begin(), route.shards.end());
    out.gateways.insert(route.gateways.begin(), route.gateways.end());
    out.remembered.insert(route.remembered.begin(), route.remembered.end());
    for (const RouteGroup& group : route.groups) {
        Answer::Group& entry = out.groups[group.queue];
        for (const LocalReceiver& receiver : group.local) entry.local.insert(receiver.connection);
        for (const RemoteMember& member : group.remote) {
            const Place place{member.kind == RemoteMember::Kind::shard ? 1 : 2, member.index};
            entry.remote[{place, member.reachable}] += member.weight;
        }
    }
    return out;
}

std::string random_filter(base::Prng& prng) {
    static const char* const tokens[] = {"a", "b", "c", "d", "*", ">"};
    for (;;) {
        std::string filter;
        const std::uint64_t count = prng.between(1, 3);
        for (std::uint64_t i = 0; i < count; ++i) filter += (i > 0 ? "." : "") + std::string(tokens[prng.below(6)]);
        if (base::is_valid_filter(filter)) return filter;
    }
}

std::string random_subject(base::Prng& prng) {
    std::string subject;
    const std::uint64_t count = prng.between(1, 3);
    for (std::uint64_t i = 0; i < count; ++i) {
        if (i > 0) subject += '.';
        subject += static_cast<char>('a' + prng.below(4));
    }
    return subject;
}

TEST_CASE("the router agrees with a naive one through any history", "[routing][router]") {
    const std::uint64_t seed = GENERATE(range(1, 13));
    CAPTURE(seed);
    base::Prng prng(seed);
    RouterOptions options;
    options.hash_seed = prng.next();
    options.cache_entries = prng.chance(1, 2) ? 16384 : 8;
    options.cache_receivers_max = prng.chance(1, 2) ? 262144 : 60;
    Router router(options);
    NaiveRouter model;
    std::map<std::tuple<AccountId, std::string, std::string>, std::uint32_t> told;
    static const char* const queues[] = {"", "", "q1", "q2"};
    for (int step = 0; step < 8000; ++step) {
        const auto account = static_cast<AccountId>(prng.below(2));
        const std::string queue = queues[prng.below(4)];
        switch (prng.below(12)) {
            case 0: {
                if (model.locals.size() > 60) break;
                const std::string filter = random_filter(prng);
                const auto connection = static_cast<ConnectionId>(step + 1);
                model.locals.push_back(
                    {router.subscribe(account, filter, queue, connection), account, filter, queue, connection});
                break;
            }
            case 1: {
                if (model.locals.empty()) break;
                const std::size_t at = prng.below(model.locals.size());
                REQUIRE(router.unsubscribe(model.locals[at].id));
                model.locals.erase(model.locals.begin() + static_cast<long>(at));
                break;
            }
            case 2: {
                const int kind = prng.chance(1, 2) ? 1 : 2;
                const Place place{
                    kind, static_cast<std::uint32_t>(kind == 1 ? prng.below(router_shards_max) : prng.between(1, 4))};
                const std::string filter = random_filter(prng);
                const auto weight = static_cast<std::uint32_t>(prng.below(4));
                if (place.kind == 1) {
                    router.set_shard_interest(static_cast<ShardIndex>(place.index), account, filter, queue, weight);
                } else {
                    router.set_gateway_interest(place.index, account, filter, queue, weight);
                }
                const std::tuple key(place, account, filter, queue);
                if (weight == 0) {
                    model.places.erase(key);
                } else {
                    model.places[key] = weight;
                }
                break;
            }
            case 3: {
                const auto gateway = static_cast<GatewayIndex>(prng.between(1, 4));
                const bool now = prng.chance(1, 2);
                router.set_reachable(gateway, now);
                if (now) {
                    model.reachable.insert(gateway);
                } else {
                    model.reachable.erase(gateway);
                }
                break;
            }
            case 4: {
                if (!prng.chance(1, 10)) break;
                const auto gateway = static_cast<GatewayIndex>(prng.between(1, 4));
                router.forget_gateway(gateway);
                model.reachable.erase(gateway);
                std::erase_if(model.places, [&](const auto& entry) {
                    return std::get<0>(entry.first) == Place{2, gateway};
                });
                break;
            }
            case 5: {
                for (const InterestChange& change : router.take_changes()) {
                    REQUIRE(told[{change.account, change.filter, change.queue}] != change.weight);
                    told[{change.account, change.filter, change.queue}] = change.weight;
                }
                for (const auto& [key, weight] : told) {
                    const auto& [of, filter, name] = key;
                    const std::uint32_t is = model.weight(of, filter, name);
                    REQUIRE(weight == (name.empty() ? std::min(is, 1u) : is));
                    REQUIRE(router.local_weight(of, filter, name) == is);
                }
                break;
            }
            default: {
                const std::string subject = random_subject(prng);
                CAPTURE(subject, step);
                REQUIRE(answer_of(router.route(account, subject)) == model.answer(account, subject));
                break;
            }
        }
    }
    const RouterStats stats = router.stats();
    CHECK(stats.routes == stats.matches + stats.cache_hits);
    CHECK(stats.cache_hits > 0);
    CHECK(stats.subscriptions == model.locals.size());
    for (const NaiveRouter::Local& local : model.locals) REQUIRE(router.unsubscribe(local.id));
    for (const auto& [key, weight] : model.places) {
        const auto& [place, of, filter, queue] = key;
        if (place.kind == 1) {
            router.set_shard_interest(static_cast<ShardIndex>(place.index), of, filter, queue, 0);
        } else {
            router.set_gateway_interest(place.index, of, filter, queue, 0);
        }
    }
    (void)router.take_changes();
    CHECK(router.stats().filters == 0);
    CHECK(router.stats().interests == 0);
}

}  // namespace
}  // namespace routing
