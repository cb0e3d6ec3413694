#include "routing/node/interest_sum.h"

#include <catch2/catch.hpp>

using namespace routing;
using namespace routing::node;

namespace {
InterestChange change(std::string filter, std::string queue, std::uint32_t weight) {
    return InterestChange{account_global, std::move(filter), std::move(queue), weight};
}
constexpr std::optional<std::uint32_t> nothing_new;
}  // namespace

TEST_CASE("plain interest is there while any shard wants it", "[node][interest]") {
    InterestSum sum;
    CHECK(sum.set(0, change("a", "", 1)) == 1u);
    CHECK(sum.set(0, change("a", "", 5)) == nothing_new);
    CHECK(sum.set(1, change("a", "", 2)) == nothing_new);
    CHECK(sum.set(0, change("a", "", 0)) == nothing_new);
    CHECK(sum.set(1, change("a", "", 0)) == 0u);
    CHECK(sum.size() == 0);
    CHECK(sum.set(1, change("a", "", 0)) == nothing_new);
    CHECK(sum.size() == 0);
}

TEST_CASE("a group's weight is the sum of its members on all shards", "[node][interest]") {
    InterestSum sum;
    CHECK(sum.set(0, change("a", "q", 1)) == 1u);
    CHECK(sum.set(1, change("a", "q", 3)) == 4u);
    CHECK(sum.set(1, change("a", "r", 3)) == 3u);  // another group
    CHECK(sum.set(0, change("a", "q", 1)) == nothing_new);
    CHECK(sum.set(0, change("a", "q", 0)) == 3u);
    CHECK(sum.set(2, change("a", "q", UINT32_MAX)) == UINT32_MAX);  // no overflow
    CHECK(sum.set(2, change("a", "q", 0)) == 3u);
}
