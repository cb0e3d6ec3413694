#include "routing/target_sets.h"

#include <catch2/catch.hpp>
#include <map>

#include "routing/base/prng.h"

using routing::GatewayIndex;
using routing::TargetSet;
using routing::TargetSetId;
using routing::TargetSets;

namespace {

TargetSet set_of(GatewayIndex gateway) {
    return {{gateway, true, {}}};
}

}  // namespace

TEST_CASE("equal target sets have one id, different ones and those of other accounts have others", "[routing][sets]") {
    TargetSets sets;
    const TargetSet plain{{1, true, {}}, {2, false, {"g"}}};
    const TargetSet other{{1, true, {}}, {2, true, {"g"}}};
    const TargetSet group{{1, true, {}}, {2, false, {"h"}}};
    const TargetSetId id = sets.intern(plain);
    CHECK(sets.intern(plain) == id);
    CHECK(sets.intern(other) != id);
    CHECK(sets.intern(group) != id);
    const TargetSetId foreign = sets.intern(plain, 7);
    CHECK(foreign != id);
    CHECK(sets.account(foreign) == 7);
    CHECK(sets.account(id) == routing::account_global);
    REQUIRE(sets.get(id) != nullptr);
    CHECK(*sets.get(id) == plain);
    CHECK(sets.intern({}) == sets.intern({}));
    CHECK(sets.get(routing::target_set_none) == nullptr);
    CHECK(sets.size() == 5);
}

TEST_CASE("the table never grows beyond its capacity and a stale id never shows another set", "[routing][sets]") {
    const std::uint64_t seed = GENERATE(1, 2, 3);
    CAPTURE(seed);
    constexpr std::size_t capacity = 64;
    base::Prng prng(seed);
    TargetSets sets(capacity);
    std::map<TargetSetId, GatewayIndex> given;  // every id ever given
    std::map<GatewayIndex, int> asked_at;
    for (int call = 0; call < 3000; ++call) {
        const auto gateway = static_cast<GatewayIndex>(prng.below(prng.chance(1, 2) ? 40 : 500));
        const TargetSetId id = sets.intern(set_of(gateway));
        const auto [found, added] = given.emplace(id, gateway);
        REQUIRE(found->second == gateway);
        asked_at[gateway] = call;
        REQUIRE(sets.size() <= capacity);
        if (call % 16 != 0) continue;
        for (const auto& [old, of] : given) {
            const TargetSet* set = sets.get(old);
            REQUIRE((set == nullptr || *set == set_of(of)));
        }
        for (const auto& [of, when] : asked_at) {
            if (call - when > static_cast<int>(capacity / 2)) continue;
            const std::size_t before = sets.size();
            const std::uint64_t evictions = sets.evictions();
            TargetSets copy = sets;
            const TargetSetId again = copy.intern(set_of(of));
            REQUIRE(sets.get(again) != nullptr);  // it was still there
            REQUIRE(copy.size() == before);
            REQUIRE(copy.evictions() == evictions);
        }
    }
    CHECK(sets.evictions() > 0);
}

TEST_CASE("the default table takes its 65,536 sets before the first gives way", "[routing][sets]") {
    TargetSets sets;
    const TargetSetId first = sets.intern(set_of(0));
    for (GatewayIndex i = 1; i < TargetSets::capacity_default; ++i) sets.intern(set_of(i));
    CHECK(sets.evictions() == 0);
    CHECK(sets.get(first) != nullptr);
    sets.intern(set_of(TargetSets::capacity_default));
    CHECK(sets.evictions() == 1);
    CHECK(sets.size() == TargetSets::capacity_default);
    CHECK(sets.get(first) == nullptr);
}
