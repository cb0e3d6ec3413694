#include "routing/subscription_index.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "routing/base/prng.h"
#include "routing/base/subject.h"

namespace routing {
namespace {

std::vector<std::string> matched(SubscriptionIndex& index, AccountId account, const std::string& subject) {
    std::vector<FilterId> found;
    index.match(account, subject, index.hash(account, subject), found);
    std::vector<std::string> texts;
    for (const FilterId id : found) texts.emplace_back(index.text(id));
    return texts;
}

using Texts = std::vector<std::string>;

TEST_CASE("an exact filter matches its own subject and no other", "[routing][index]") {
    SubscriptionIndex index;
    index.insert(account_global, "orders.new");
    CHECK(matched(index, account_global, "orders.new") == Texts{"orders.new"});
    CHECK(matched(index, account_global, "orders").empty());
    CHECK(matched(index, account_global, "orders.new.eu").empty());
    CHECK(matched(index, account_global, "orders.ne").empty());
}

TEST_CASE("matches come in the order exact, rest, literal, star", "[routing][index]") {
    SubscriptionIndex index;
    for (const char* filter : {"*.*", ">", "a.*", "a.>", "*.b", "a.b", "*.>", "a.b.>", "a"}) index.insert(0, filter);
    CHECK(matched(index, 0, "a.b") == Texts{"a.b", ">", "a.>", "a.*", "*.>", "*.b", "*.*"});
}

TEST_CASE("a rest wildcard wants at least one token", "[routing][index]") {
    SubscriptionIndex index;
    index.insert(0, "a.>");
    CHECK(matched(index, 0, "a").empty());
    CHECK(matched(index, 0, "a.b.c.d") == Texts{"a.>"});
}

TEST_CASE("wildcard characters in a subject are literal tokens", "[routing][index]") {
    SubscriptionIndex index;
    index.insert(0, "a.b");
    index.insert(0, "a.*");
    index.insert(0, "a.x*");
    CHECK(matched(index, 0, "a.*") == Texts{"a.*"});
    CHECK(matched(index, 0, "a.>") == Texts{"a.*"});
    CHECK(matched(index, 0, "a.x*") == Texts{"a.x*", "a.*"});
}

TEST_CASE("a subject with an empty token matches nothing", "[routing][index]") {
    SubscriptionIndex index;
    for (const char* filter : {">", "a.>", "*", "*.*", "a.*.b"}) index.insert(0, filter);
    for (const char* subject : {"", ".", "a.", ".a", "a..b"}) {
        CAPTURE(subject);
        CHECK(matched(index, 0, subject).empty());
    }
}

TEST_CASE("accounts do not see each other's filters", "[routing][index]") {
    SubscriptionIndex index;
    const FilterId one = index.insert(1, "a.b");
    const FilterId two = index.insert(2, "a.b");
    index.insert(2, "a.*");
    CHECK(one != two);
    CHECK(matched(index, 0, "a.b").empty());
    CHECK(matched(index, 1, "a.b") == Texts{"a.b"});
    CHECK(matched(index, 2, "a.b") == Texts{"a.b", "a.*"});
}

TEST_CASE("a filter inserted twice is one filter", "[routing][index]") {
    SubscriptionIndex index;
    CHECK(index.insert(0, "a.b") == index.insert(0, "a.b"));
    CHECK(index.insert(0, "a.*") == index.insert(0, "a.*"));
    CHECK(index.insert(0, ">") == index.insert(0, ">"));
    CHECK(index.size() == 3);
    CHECK(index.wildcards() == 2);
}

TEST_CASE("long filters and long tokens are kept whole", "[routing][index]") {
    SubscriptionIndex index;
    const std::string token(300, 't');
    const std::string exact = token + ".end";
    const std::string wild = token + ".*." + token;
    const FilterId exact_id = index.insert(0, exact);
    const FilterId wild_id = index.insert(0, wild);
    CHECK(index.find(0, exact) == exact_id);
    CHECK(index.find(0, wild) == wild_id);
    CHECK(matched(index, 0, exact) == Texts{exact});
    CHECK(matched(index, 0, token + ".x." + token) == Texts{wild});
    CHECK(matched(index, 0, token + ".x." + token + "t").empty());
    index.erase(exact_id);
    index.erase(wild_id);
    CHECK(matched(index, 0, exact).empty());
    CHECK(index.size() == 0);
}

TEST_CASE("a filter as deep as a control line is matched without recursion", "[routing][index]") {
    // 2,048 tokens of one byte fill the longest control line (4,096 bytes).
    SubscriptionIndex index;
    std::string stars = "*";
    std::string subject = "a";
    for (int i = 1; i < 2048; ++i) {
        stars += ".*";
        subject += ".a";
    }
    index.insert(0, stars);
    index.insert(0, subject + ".>");
    CHECK(matched(index, 0, subject) == Texts{stars});
    index.erase(index.find(0, stars));
    index.erase(index.find(0, subject + ".>"));
    CHECK(index.wildcards() == 0);
}

TEST_CASE("what is kept with a filter is reset when its id is used again", "[routing][index]") {
    SubscriptionIndex index;
    const FilterId first = index.insert(0, "a");
    CHECK(index.use(first).unused());
    index.use(first).plain = 7;
    index.use(first).siblings = 0xff;
    CHECK(index.use(index.find(0, "a")).plain == 7);
    index.erase(first);
    const FilterId second = index.insert(0, "b");
    CHECK(second == first);
    CHECK(index.use(second).unused());
    CHECK_FALSE(index.use(second).told);
}

TEST_CASE("a wildcard filter that shares no token with others needs no nodes of its own", "[routing][index]") {
    SubscriptionIndex index;
    index.insert(0, "first.*");
    const std::size_t before = index.bytes();
    for (int i = 0; i < 1000; ++i) index.insert(0, "token-" + std::to_string(i) + ".and.many.more.*.of.them.>");
    CHECK(index.bytes() - before < 1000 * std::size_t{128});
    CHECK(matched(index, 0, "token-7.and.many.more.x.of.them.y.z") == Texts{"token-7.and.many.more.*.of.them.>"});
    CHECK(matched(index, 0, "token-7.and.many.more.x.of.them").empty());
    CHECK(matched(index, 0, "token-7.and.many.less.x.of.them.y").empty());
}

TEST_CASE("filters that part at a late token are found, and the one that stays is found as before",
          "[routing][index]") {
    SubscriptionIndex index;
    const std::vector<std::string> filters = {"a.b.c.*.d", "a.b.c.*.e", "a.b.c.*",  "a.b.*.>",
                                              "a.b.c.>",   "*.b.c.x",   "*.b.c.*.d"};
    for (const std::string& stays : filters) {
        CAPTURE(stays);
        std::vector<FilterId> ids;
        for (const std::string& filter : filters) ids.push_back(index.insert(0, filter));
        CHECK(matched(index, 0, "a.b.c.x.d") == Texts{"a.b.c.>", "a.b.c.*.d", "a.b.*.>", "*.b.c.*.d"});
        CHECK(matched(index, 0, "a.b.c.x") == Texts{"a.b.c.>", "a.b.c.*", "a.b.*.>", "*.b.c.x"});
        for (std::size_t i = 0; i < filters.size(); ++i) {
            CHECK(index.find(0, filters[i]) == ids[i]);
            if (filters[i] != stays) index.erase(ids[i]);
        }
        CHECK(index.find(0, stays) != filter_none);
        index.erase(index.find(0, stays));
        CHECK(index.size() == 0);
    }
}

TEST_CASE("memory of filters that come and go is used again", "[routing][index]") {
    SubscriptionIndex index;
    std::size_t after_first = 0;
    for (int round = 0; round < 20; ++round) {
        std::vector<FilterId> ids;
        for (int i = 0; i < 2000; ++i) {
            ids.push_back(index.insert(0, "x." + std::to_string(round) + "." + std::to_string(i)));
            ids.push_back(index.insert(0, "y." + std::to_string(round) + "." + std::to_string(i) + ".>"));
        }
        for (const FilterId id : ids) index.erase(id);
        if (round == 0) after_first = index.bytes();
    }
    CHECK(index.size() == 0);
    CHECK(index.bytes() == after_first);
}

std::string random_name(base::Prng& prng, bool filter) {
    static const char* const tokens[] = {"a", "b", "c", "", "*", ">", "a*", "longer-than-sixteen-bytes"};
    std::string name;
    const std::uint64_t count = prng.between(1, prng.chance(1, 4) ? 9 : 4);
    for (std::uint64_t i = 0; i < count; ++i) {
        if (i > 0) name += '.';
        name += tokens[filter ? prng.below(8) : prng.below(prng.chance(1, 4) ? 8 : 3)];
    }
    return name;
}

TEST_CASE("the index agrees with a naive matcher through any history", "[routing][index]") {
    const std::uint64_t seed = GENERATE(range(1, 9));
    CAPTURE(seed);
    base::Prng prng(seed);
    SubscriptionIndex index(prng.next());
    std::map<std::tuple<AccountId, std::string>, FilterId> model;
    for (int step = 0; step < 6000; ++step) {
        const auto account = static_cast<AccountId>(prng.below(2));
        if (prng.chance(1, 3)) {
            const std::string filter = random_name(prng, true);
            if (!base::is_valid_filter(filter)) continue;
            const FilterId id = index.insert(account, filter);
            const auto [at, fresh] = model.emplace(std::tuple(account, filter), id);
            REQUIRE(at->second == id);
        } else if (prng.chance(1, 3) && !model.empty()) {
            auto at = model.begin();
            std::advance(at, static_cast<long>(prng.below(model.size())));
            REQUIRE(index.find(std::get<0>(at->first), std::get<1>(at->first)) == at->second);
            index.erase(at->second);
            REQUIRE(index.find(std::get<0>(at->first), std::get<1>(at->first)) == filter_none);
            model.erase(at);
        } else {
            const std::string subject = random_name(prng, false);
            std::multiset<std::string> expected;
            const bool whole = subject.find("..") == std::string::npos && !subject.empty() && subject.front() != '.' &&
                               subject.back() != '.';
            for (const auto& [key, id] : model) {
                if (whole && std::get<0>(key) == account && base::matches(std::get<1>(key), subject))
                    expected.insert(std::get<1>(key));
            }
            const Texts found = matched(index, account, subject);
            CAPTURE(subject);
            REQUIRE(std::multiset<std::string>(found.begin(), found.end()) == expected);
        }
        REQUIRE(index.size() == model.size());
    }
}

}  // namespace
}  // namespace routing
