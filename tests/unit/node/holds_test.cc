#include "routing/node/holds.h"

#include <catch2/catch.hpp>

using namespace routing;
using namespace routing::node;
using namespace std::chrono_literals;

namespace {
const base::Instant start = base::Instant(1h);
using Ids = std::vector<ConnectionId>;
}  // namespace

TEST_CASE("who waits for interest goes on when it is known, or when its time is up", "[node][hold]") {
    Holds holds;
    REQUIRE(holds.hold(1, Holds::For::interest, 2s, start));
    REQUIRE(holds.hold(2, Holds::For::interest, 2s, start + 1s));
    CHECK(holds.next_deadline() == start + 2s);
    CHECK(holds.take_ready(false, true, start + 1s).empty());
    CHECK(holds.take_ready(false, false, start + 2s) == Ids{1});
    CHECK(holds.take_ready(true, false, start + 2s) == Ids{2});
    CHECK(holds.take_ready(true, true, start + 2s).empty());
}

TEST_CASE("patience is counted from the first hold of a message and ends once", "[node][hold]") {
    Holds holds;
    REQUIRE(holds.hold(1, Holds::For::interest, 2s, start));
    CHECK(holds.take_ready(true, false, start + 1s) == Ids{1});
    REQUIRE(holds.hold(1, Holds::For::interest, 2s, start + 1s));  // still nothing: waits for the rest of its time
    CHECK(holds.next_deadline() == start + 2s);
    CHECK(holds.take_ready(false, false, start + 2s) == Ids{1});
    CHECK_FALSE(holds.hold(1, Holds::For::interest, 2s, start + 2s));
    CHECK(holds.empty());
    CHECK(holds.hold(1, Holds::For::interest, 2s, start + 2s));  // the next message
}

TEST_CASE("who waits for the store waits as long as it takes", "[node][hold]") {
    Holds holds;
    REQUIRE(holds.hold(1, Holds::For::store, 2s, start));
    CHECK(holds.next_deadline() == base::instant_max);
    CHECK(holds.take_ready(true, false, start + 1h).empty());
    CHECK(holds.take_ready(false, true, start + 1h) == Ids{1});
    REQUIRE(holds.hold(1, Holds::For::store, 2s, start + 1h));
    holds.done(1);
    CHECK(holds.empty());
}
