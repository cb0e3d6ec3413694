#include "compat/subscription_table.h"

#include <catch2/catch.hpp>
#include <map>
#include <string>

#include "routing/base/prng.h"

using namespace compat;

TEST_CASE("a subscription keeps its texts and numbers", "[compat][subscriptions]") {
    SubscriptionTable table(1);
    const SubscriptionIndex a = table.insert("1", "foo.*", "");
    const SubscriptionIndex b = table.insert("sid-2", "bar", "workers");
    CHECK(a != b);
    CHECK(table.size() == 2);
    CHECK(table.at(a).sid() == "1");
    CHECK(table.at(a).filter() == "foo.*");
    CHECK(table.at(a).queue().empty());
    CHECK(table.at(b).sid() == "sid-2");
    CHECK(table.at(b).filter() == "bar");
    CHECK(table.at(b).queue() == "workers");
    CHECK(table.find("1") == a);
    CHECK(table.find("sid-2") == b);
    CHECK(table.find("2") == subscription_none);
    table.at(a).max = 5;
    table.erase(a);
    CHECK(table.find("1") == subscription_none);
    CHECK_FALSE(table.at(a).used());
    const SubscriptionIndex c = table.insert("1", "again", "");
    CHECK(c == a);
    CHECK(table.at(c).max == 0);
    table.clear();
    CHECK(table.size() == 0);
    CHECK(table.find("sid-2") == subscription_none);
    CHECK(table.end() == 0);
}

TEST_CASE("the table agrees with a map through random inserts and erases", "[compat][subscriptions]") {
    const auto seed = GENERATE(range<std::uint64_t>(1, 9));
    CAPTURE(seed);
    base::Prng prng(seed);
    SubscriptionTable table(prng.next());
    std::map<std::string, SubscriptionIndex> oracle;
    const std::uint64_t names = seed % 2 == 0 ? 12 : 600;  // few: the walk; many: the hash table
    for (int i = 0; i < 4000; ++i) {
        const std::string sid = std::to_string(prng.below(names));
        const auto known = oracle.find(sid);
        const SubscriptionIndex found = table.find(sid);
        REQUIRE(found == (known == oracle.end() ? subscription_none : known->second));
        if (known == oracle.end()) {
            const SubscriptionIndex index = table.insert(sid, "f." + sid, prng.chance(1, 2) ? "q" : "");
            for (const auto& [other, at] : oracle) REQUIRE(at != index);
            oracle[sid] = index;
        } else if (prng.chance(1, 2)) {
            table.erase(found);
            oracle.erase(known);
        }
        REQUIRE(table.size() == oracle.size());
        if (prng.chance(1, 500)) {
            table.clear();
            oracle.clear();
        }
    }
    std::size_t used = 0;
    for (SubscriptionIndex index = 0; index < table.end(); ++index) {
        if (!table.at(index).used()) continue;
        ++used;
        CHECK(oracle.at(std::string(table.at(index).sid())) == index);
        CHECK(table.at(index).filter() == "f." + std::string(table.at(index).sid()));
    }
    CHECK(used == oracle.size());
}

TEST_CASE("an entry is small, as there may be a million", "[compat][subscriptions]") {
    CHECK(sizeof(SubscriptionTable::Entry) <= 40);
}
