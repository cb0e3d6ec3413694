#include "routing/event_path.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "routing/base/prng.h"

using namespace routing;

namespace {

GatewayId id_of(std::uint64_t n) {
    GatewayId id;
    for (std::size_t i = 0; i < id.bytes.size(); ++i)
        id.bytes[i] = static_cast<std::uint8_t>(base::mix_bits(n * 4 + i / 8) >> (8 * (i % 8)));
    return id;
}

// A random tree: parent[g] < g for g > 0, at most `children` children each.
std::vector<GatewayIndex> random_parents(std::size_t gateways, std::size_t children, base::Prng& prng) {
    std::vector<GatewayIndex> parents(gateways, gateway_none);
    std::vector<std::size_t> count(gateways, 0);
    for (std::size_t g = 1; g < gateways; ++g) {
        GatewayIndex parent = 0;
        do parent = static_cast<GatewayIndex>(prng.below(g));
        while (count[parent] >= children);
        ++count[parent];
        parents[g] = parent;
    }
    return parents;
}

// The tree as one of its gateways sees it.  That gateway numbers itself 0, so 0 and `self` change places.
struct View {
    GatewayIndex self;
    RouteTree routes;
    std::vector<GatewayIndex> neighbours;  // by link
    [[nodiscard]] GatewayIndex local(GatewayIndex g) const { return g == self ? 0 : g == 0 ? self : g; }
    [[nodiscard]] Factors local(Factors factors) const {
        for (Factor& factor : factors) factor.gateway = local(factor.gateway);
        return factors;
    }
};

View make_view(const std::vector<GatewayIndex>& parents, GatewayIndex self) {
    View view{self, {}, {}};
    std::vector<TreeEdge> edges;
    std::vector<TreeLink> links;
    for (GatewayIndex g = 1; g < parents.size(); ++g) {
        const GatewayIndex other = parents[g] == self ? g : g == self ? parents[g] : gateway_none;
        edges.push_back(TreeEdge{view.local(g), view.local(parents[g])});
        if (other == gateway_none) continue;
        links.push_back(TreeLink{static_cast<LinkIndex>(view.neighbours.size()), view.local(other)});
        view.neighbours.push_back(view.local(other));
    }
    view.routes = make_route_tree(parents.size(), links, edges);
    return view;
}

// The oracle: all gateways on the route from `from` to `to`, without `from`, by walking up parents.
std::set<GatewayIndex> naive_route(const std::vector<GatewayIndex>& parents, GatewayIndex from, GatewayIndex to) {
    const auto ancestors = [&](GatewayIndex g) {
        std::vector<GatewayIndex> up{g};
        while (up.back() != 0) up.push_back(parents[up.back()]);
        std::reverse(up.begin(), up.end());
        return up;
    };
    const std::vector<GatewayIndex> a = ancestors(from);
    const std::vector<GatewayIndex> b = ancestors(to);
    std::size_t common = 0;
    while (common < a.size() && common < b.size() && a[common] == b[common]) ++common;
    std::set<GatewayIndex> route(a.begin() + static_cast<std::ptrdiff_t>(common) - 1, a.end());
    route.insert(b.begin() + static_cast<std::ptrdiff_t>(common) - 1, b.end());
    route.erase(from);
    return route;
}

struct Walk {
    std::map<GatewayIndex, int> deliveries;
    std::size_t sends = 0;
    std::size_t dropped = 0;
    LawError error = LawError::none;
};

// Carries `factors` (global numbers) from gateway to gateway until all is spent.
void travel(const std::vector<View>& views, GatewayIndex at, GatewayIndex from, GatewayIndex origin,
            const Factors& factors, Walk& walk) {
    const View& view = views[at];
    const Factors local = view.local(factors);
    LinkIndex arrived_on = link_none;
    if (at != origin) {
        for (LinkIndex link = 0; link < view.neighbours.size(); ++link)
            if (view.neighbours[link] == view.local(from)) arrived_on = link;
        const LawError share = check_share(local, 0, view.local(from), view.local(origin));
        if (share != LawError::none) walk.error = share;
    }
    const Split split = split_path(local, 0, view.routes, view.neighbours, arrived_on);
    const LawError law = check_split(local, 0, split);
    if (law != LawError::none) walk.error = law;
    if (split.self_exponent == exponent_deliver) ++walk.deliveries[at];
    walk.dropped += split.dropped.size();
    for (const Share& share : split.shares) {
        ++walk.sends;
        travel(views, view.local(share.receiver), at, origin, view.local(share.factors), walk);
    }
}

TargetSet random_targets(std::size_t gateways, base::Prng& prng) {
    TargetSet targets;
    const std::uint64_t density = 1 + prng.below(8);
    for (GatewayIndex g = 0; g < gateways; ++g)
        if (prng.chance(density, 8)) targets.push_back(Target{g, prng.chance(1, 2), {}});
    return targets;
}

std::vector<Prime> primes_for(std::size_t gateways) {
    std::vector<PrimeClaim> claims;
    std::vector<Prime> taken;
    for (std::size_t g = 0; g < gateways; ++g) {
        claims.push_back(PrimeClaim{id_of(g), claim_prime(id_of(g), gateways, taken), 0});
        taken.push_back(claims.back().prime);
    }
    return effective_primes(claims);
}

void check_tree(std::size_t gateways, std::size_t children, int target_sets, base::Prng& prng) {
    const std::vector<GatewayIndex> parents = random_parents(gateways, children, prng);
    const std::vector<Prime> primes = primes_for(gateways);
    std::vector<View> views;
    for (GatewayIndex g = 0; g < gateways; ++g) views.push_back(make_view(parents, g));
    for (int round = 0; round < target_sets; ++round) {
        const auto origin = static_cast<GatewayIndex>(prng.below(gateways));
        const View& view = views[origin];
        const TargetSet targets = random_targets(gateways, prng);
        TargetSet local = targets;
        for (Target& target : local) target.gateway = view.local(target.gateway);
        std::sort(local.begin(), local.end(), [](const Target& a, const Target& b) { return a.gateway < b.gateway; });
        std::vector<Prime> local_primes(primes);
        std::swap(local_primes[0], local_primes[origin]);

        const PathFromHere path = compute_path(local, view.routes, local_primes);
        REQUIRE(path.unplaced.empty());
        std::map<Prime, int> expected;
        for (const Target& target : targets)
            for (const GatewayIndex g : naive_route(parents, origin, target.gateway)) expected.emplace(primes[g], 1);
        for (const Target& target : targets)
            if (target.gateway != origin) expected[primes[target.gateway]] = 2;
        std::map<Prime, int> computed;
        for (const Factor& factor : path.factors) {
            computed[factor.prime] = factor.exponent;
            if (factor.exponent != exponent_deliver) continue;
            REQUIRE(local[factor.ordinal].gateway == factor.gateway);
            REQUIRE(local[factor.ordinal].plain == factor.plain);
        }
        REQUIRE(computed == expected);
        REQUIRE(computed.size() == path.factors.size());

        Walk walk;
        travel(views, origin, gateway_none, origin, view.local(path.factors), walk);
        REQUIRE(walk.error == LawError::none);
        REQUIRE(walk.dropped == 0);
        REQUIRE(walk.sends == path.factors.size());
        std::map<GatewayIndex, int> wanted;
        for (const Target& target : targets)
            if (target.gateway != origin) wanted[target.gateway] = 1;
        REQUIRE(walk.deliveries == wanted);
    }
}

}  // namespace

TEST_CASE("primes are told from composites", "[routing][path]") {
    std::vector<bool> composite(20000, false);
    std::uint32_t place = 0;
    for (std::uint64_t n = 0; n < composite.size(); ++n) {
        const bool prime = n >= 2 && !composite[n];
        if (is_prime(n) != prime) FAIL("is_prime is wrong for " << n);
        if (!prime) continue;
        if (place % 97 == 0) CHECK(nth_prime(place) == n);
        ++place;
        for (std::uint64_t k = n * n; k < composite.size(); k += n) composite[k] = true;
    }
    CHECK(nth_prime(0) == 2);
    CHECK(nth_prime(prime_places_max - 1) == 3681131);
    CHECK(is_prime(18446744073709551557ULL));  // the largest below 2^64
    CHECK_FALSE(is_prime(18446744073709551557ULL - 2));
    CHECK_FALSE(is_prime(3215031751ULL));           // strong pseudoprime to 2, 3, 5, 7
    CHECK_FALSE(is_prime(3825123056546413051ULL));  // to the first nine primes
    CHECK_FALSE(is_prime(4294967291ULL * 4294967279ULL));
    CHECK(is_prime(4294967291ULL));
}

TEST_CASE("a gateway claims a small prime that nobody holds", "[routing][path]") {
    std::vector<Prime> taken;
    for (std::size_t g = 0; g < 256; ++g) {
        const Prime prime = claim_prime(id_of(g), g + 1, taken);
        CHECK(is_prime(prime));
        CHECK(std::count(taken.begin(), taken.end(), prime) == 0);
        CHECK(claim_prime(id_of(g), g + 1, taken) == prime);
        taken.push_back(prime);
    }
    CHECK(*std::max_element(taken.begin(), taken.end()) < nth_prime(2 * 256 + 16 + 256));
}

TEST_CASE("of two holders of a prime the senior keeps it and the junior gets a substitute above 2^31",
          "[routing][path]") {
    std::vector<PrimeClaim> claims = {{id_of(1), 7, 100}, {id_of(2), 7, 50},  {id_of(3), 11, 0},
                                      {id_of(4), 0, 0},   {id_of(5), 9, 0},   {id_of(6), 13, 5},
                                      {id_of(7), 13, 5},  {id_of(8), 7, 200}, {id_of(9), claimed_primes_end + 11, 0}};
    const std::vector<Prime> primes = effective_primes(claims);
    CHECK(primes[1] == 7);
    CHECK(primes[2] == 11);
    CHECK(primes[id_of(6) < id_of(7) ? 5 : 6] == 13);
    std::set<Prime> distinct(primes.begin(), primes.end());
    CHECK(distinct.size() == claims.size());
    for (const std::size_t substituted : {std::size_t{0}, std::size_t{3}, std::size_t{4}, std::size_t{7},
                                          std::size_t{8}, std::size_t{id_of(6) < id_of(7) ? 6U : 5U}}) {
        CAPTURE(substituted);
        CHECK(primes[substituted] > claimed_primes_end);
        CHECK(primes[substituted] <= prime_max);
        CHECK(is_prime(primes[substituted]));
    }
    const Prime first = substitute_prime(id_of(1), {});
    CHECK(primes[0] == first);
    CHECK(substitute_prime(id_of(1), {first}) != first);
    std::reverse(claims.begin(), claims.end());
    std::vector<Prime> reversed = effective_primes(claims);
    std::reverse(reversed.begin(), reversed.end());
    CHECK(reversed == primes);
}

TEST_CASE("a path on a small random tree has the factors of a naive route and reaches every target once",
          "[routing][path]") {
    const std::uint64_t seed = GENERATE(1, 2, 3, 4, 5, 6, 7, 8);
    CAPTURE(seed);
    base::Prng prng(seed);
    for (int tree = 0; tree < 50; ++tree) check_tree(1 + prng.below(40), 1 + prng.below(10), 6, prng);
}

TEST_CASE(
    "a path on a random tree of any size up to 1,000 has the factors of a naive route and reaches every target once",
    "[routing][path]") {
    const std::uint64_t seed = GENERATE(11, 12, 13, 14);
    CAPTURE(seed);
    base::Prng prng(seed);
    // Small children's numbers make deep trees: a chain of hundreds among them.
    for (std::size_t most = 100; most <= 1000; most += 300)
        check_tree(prng.between(most / 2, most), prng.chance(1, 3) ? 1 : 1 + prng.below(10), 3, prng);
}

TEST_CASE("a path on a tree of 2,000 gateways reaches every target once", "[routing][path]") {
    const std::uint64_t seed = GENERATE(9, 10);
    CAPTURE(seed);
    base::Prng prng(seed);
    check_tree(2000, seed == 9 ? 10 : 3, 3, prng);
}

TEST_CASE("whatever the gateways believe, sends are bounded by the factors and nobody gets a message twice",
          "[routing][path]") {
    const std::uint64_t seed = GENERATE(1, 2, 3, 4);
    CAPTURE(seed);
    base::Prng prng(seed);
    std::size_t dropped = 0;
    for (int round = 0; round < 300; ++round) {
        const std::size_t gateways = 2 + prng.below(20);
        const std::vector<Prime> primes = primes_for(gateways);
        // Everyone is linked with everyone and believes in a random place for each.
        std::vector<View> views;
        for (GatewayIndex g = 0; g < gateways; ++g) {
            View view{g, {}, {}};
            for (GatewayIndex other = 1; other < gateways; ++other) view.neighbours.push_back(other);
            view.routes.previous.assign(gateways, 0);
            view.routes.link.assign(gateways, link_none);
            for (std::size_t other = 1; other < gateways; ++other)
                view.routes.link[other] =
                    static_cast<LinkIndex>(prng.chance(2, 3) ? other - 1 : prng.below(gateways - 1));
            views.push_back(view);
        }
        Factors path;
        for (GatewayIndex g = 1; g < gateways; ++g) {
            if (!prng.chance(3, 4)) continue;
            Factor factor;
            factor.gateway = g;
            factor.prime = primes[g];
            factor.exponent = prng.chance(1, 2) ? exponent_deliver : exponent_pass;
            path.push_back(factor);
        }
        std::sort(path.begin(), path.end(), [](const Factor& a, const Factor& b) { return a.prime < b.prime; });
        Walk walk;
        travel(views, 0, gateway_none, 0, path, walk);
        REQUIRE(walk.error == LawError::none);
        REQUIRE(walk.sends + walk.dropped == path.size());
        for (const auto& [gateway, count] : walk.deliveries) REQUIRE(count == 1);
        dropped += walk.dropped;
    }
    CHECK(dropped > 0);
}

TEST_CASE("every damaged split is found", "[routing][path]") {
    const std::uint64_t seed = GENERATE(1, 2, 3);
    CAPTURE(seed);
    base::Prng prng(seed);
    std::map<LawError, int> found;
    for (int round = 0; round < 300; ++round) {
        const std::size_t gateways = 4 + prng.below(30);
        const std::vector<GatewayIndex> parents = random_parents(gateways, 10, prng);
        const View view = make_view(parents, 0);
        const std::vector<Prime> primes = primes_for(gateways);
        Factors path = compute_path(random_targets(gateways, prng), view.routes, primes).factors;
        const GatewayIndex self = prng.chance(1, 2) ? gateway_self : gateway_none;
        if (self == gateway_self) {
            Factor own{primes[0], gateway_self, 0, exponent_deliver, true};
            path.insert(std::lower_bound(path.begin(), path.end(), own,
                                         [](const Factor& a, const Factor& b) { return a.prime < b.prime; }),
                        own);
        }
        const Split good = split_path(path, self, view.routes, view.neighbours, link_none);
        REQUIRE(check_split(path, self, good) == LawError::none);
        if (good.shares.empty()) continue;

        std::vector<Split> damaged;
        const auto damage = [&](auto change) {
            Split split = good;
            change(split);
            damaged.push_back(split);
        };
        const std::size_t share = prng.below(good.shares.size());
        const std::size_t at = prng.below(good.shares[share].factors.size());
        const Factor factor = good.shares[share].factors[at];
        damage(
            [&](Split& s) { s.shares[share].factors.erase(s.shares[share].factors.begin() + static_cast<long>(at)); });
        damage([&](Split& s) { s.shares[share].factors[at].exponent ^= 3; });
        damage([&](Split& s) { s.shares[share].factors[at].prime += 1'000'003; });
        damage([&](Split& s) { s.shares[share].factors.push_back(factor); });
        damage([&](Split& s) { s.shares[share].receiver = gateway_none - 1; });
        damage([&](Split& s) { s.dropped.push_back(factor); });
        damage([&](Split& s) { s.shares.push_back(s.shares[share]); });
        damage([&](Split& s) { s.shares.erase(s.shares.begin() + static_cast<long>(share)); });
        damage([&](Split& s) { s.self_exponent = s.self_exponent == 0 ? 2 : 0; });
        damage([&](Split& s) { std::reverse(s.shares[share].factors.begin(), s.shares[share].factors.end()); });
        if (good.shares.size() > 1) {
            damage([&](Split& s) {
                Factors& other = s.shares[(share + 1) % s.shares.size()].factors;
                other.insert(std::lower_bound(other.begin(), other.end(), factor,
                                              [](const Factor& a, const Factor& b) { return a.prime < b.prime; }),
                             factor);
            });
        }
        for (std::size_t i = 0; i < damaged.size(); ++i) {
            CAPTURE(round, i);
            if (i == 9 && good.shares[share].factors.size() == 1) continue;  // reversed is the same
            const LawError error = check_split(path, self, damaged[i]);
            REQUIRE(error != LawError::none);
            ++found[error];
        }
    }
    CHECK(found[LawError::not_ascending] > 0);
    CHECK(found[LawError::product_differs] > 0);
    CHECK(found[LawError::shares_not_coprime] > 0);
    CHECK(found[LawError::receiver_missing] > 0);
}

TEST_CASE("a receiver refuses a share that is not its own or goes back", "[routing][path]") {
    const Factors share = {{2, 5, 0, 1, false}, {3, 6, 0, 2, true}, {7, 8, 1, 2, true}};
    CHECK(check_share(share, 5, 1, 2) == LawError::none);
    CHECK(check_share(share, 4, 1, 2) == LawError::receiver_missing);
    CHECK(check_share(share, 5, 6, 2) == LawError::spent_factor);
    CHECK(check_share(share, 5, 1, 8) == LawError::spent_factor);
    Factors twice = share;
    twice[2].gateway = 6;
    CHECK(check_share(twice, 5, 1, 2) == LawError::gateway_twice);
    Factors unordered = share;
    std::swap(unordered[0], unordered[1]);
    CHECK(check_share(unordered, 5, 1, 2) == LawError::not_ascending);
    Factors equal = share;
    equal[1].prime = 2;
    CHECK(check_share(equal, 5, 1, 2) == LawError::not_ascending);
}

TEST_CASE("targets without a route or a prime stay unplaced, and only they", "[routing][path]") {
    // 0 - 1 - 2, 3 is cut off, 4 hangs on 2 but has no prime.
    const RouteTree routes = make_route_tree(5, {{0, 1}}, {{1, 2}, {2, 4}});
    const std::vector<Prime> primes = {2, 3, 5, 7, 0};
    const PathFromHere path =
        compute_path({{0, true, {}}, {2, true, {}}, {3, true, {}}, {4, true, {}}, {9, true, {}}}, routes, primes);
    CHECK(path.unplaced == std::vector<GatewayIndex>{3, 4, 9});
    REQUIRE(path.factors.size() == 2);
    CHECK(multiply_out(path.factors) == "75");
    CHECK(path.factors[1].ordinal == 1);
}

TEST_CASE("a path takes 4,096 factors and leaves what is above unplaced", "[routing][path]") {
    std::vector<TreeLink> links;
    std::vector<Prime> primes = {2};
    TargetSet targets;
    for (GatewayIndex g = 1; g <= path_factors_max + 1; ++g) {
        links.push_back(TreeLink{g, g});
        primes.push_back(2 * g + 1);  // compute_path does not ask whether a number is prime
        targets.push_back(Target{g, true, {}});
    }
    const PathFromHere path = compute_path(targets, make_route_tree(primes.size(), links, {}), primes);
    CHECK(path.factors.size() == path_factors_max);
    CHECK(path.unplaced == std::vector<GatewayIndex>{path_factors_max + 1});
}

TEST_CASE("a cycle of edges still gives a tree of shortest routes", "[routing][path]") {
    const RouteTree routes = make_route_tree(5, {{7, 1}, {3, 2}}, {{1, 2}, {2, 3}, {3, 1}, {3, 4}, {0, 4}, {8, 1}});
    CHECK(routes.link == std::vector<LinkIndex>{link_none, 7, 3, 3, 3});
    CHECK(routes.previous == std::vector<GatewayIndex>{gateway_none, 0, 0, 2, 3});
}

TEST_CASE("numbers multiply out and come apart again", "[routing][path]") {
    CHECK(multiply_out(Factors{}) == "1");
    CHECK(multiply_out(std::vector<PrimePower>{{2, 1}, {3, 1}, {5, 1}, {7, 1}, {11, 1}}) == "2310");
    CHECK(multiply_out(std::vector<PrimePower>{{2, 100}}) == "1267650600228229401496703205376");
    CHECK(multiply_out(std::vector<PrimePower>{{4294967291, 3}}) == "79228162237563176810023223171");
    const auto plain = factor_number("2310", {11, 2, 3, 3, 7, 13});
    REQUIRE(plain.has_value());
    CHECK(plain->powers == std::vector<PrimePower>{{2, 1}, {3, 1}, {7, 1}, {11, 1}});
    CHECK(plain->rest == "5");
    for (const char* refused : {"", "0", "000", "-1", "12a", " 12"}) CHECK_FALSE(factor_number(refused, {2}));
    CHECK(factor_number("00012", {2})->rest == "3");
    CHECK(factor_number(std::string(path_digits_max, '7'), {7}).has_value());
    CHECK_FALSE(factor_number(std::string(path_digits_max + 1, '7'), {7}).has_value());

    base::Prng prng(5);
    for (int round = 0; round < 20; ++round) {
        std::vector<PrimePower> powers;
        std::vector<Prime> known;
        const std::vector<Prime> primes = primes_for(1 + prng.below(200));
        for (const Prime prime : primes) known.push_back(prime);
        known.push_back(substitute_prime(id_of(1), {}));
        std::sort(known.begin(), known.end());
        for (const Prime prime : known)
            if (prng.chance(1, 2)) powers.push_back(PrimePower{prime, static_cast<std::uint32_t>(1 + prng.below(2))});
        const auto found = factor_number(multiply_out(powers), known);
        REQUIRE(found.has_value());
        CHECK(found->powers == powers);
        CHECK(found->rest == "1");
    }
}
