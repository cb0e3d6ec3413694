#include "routing/base/prng.h"

#include <catch2/catch.hpp>
#include <vector>

using base::Prng;

TEST_CASE("one seed gives one sequence", "[base][prng]") {
    Prng a(42);
    Prng b(42);
    Prng c(43);
    bool differs = false;
    for (int i = 0; i < 100; ++i) {
        const auto x = a.next();
        CHECK(x == b.next());
        differs = differs || x != c.next();
    }
    CHECK(differs);
}

TEST_CASE("below stays below and reaches every value", "[base][prng]") {
    Prng prng(7);
    std::vector<int> seen(10);
    for (int i = 0; i < 10000; ++i) ++seen.at(prng.below(10));
    for (const int count : seen) {
        CHECK(count > 800);
        CHECK(count < 1200);
    }
}
