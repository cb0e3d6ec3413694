#include "gateway/lame_duck.h"

#include <catch2/catch.hpp>

using gateway::LameDuckClock;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_CASE("lame duck mode closes nobody in its grace period and everybody within its duration",
          "[gateway][lame_duck]") {
    const auto clients = GENERATE(1u, 7u, 5000u, 200000u);
    CAPTURE(clients);
    base::Prng prng(clients);
    const base::Instant start{seconds(100)};
    LameDuckClock clock(start, clients, {.duration = seconds(40), .grace = seconds(10)});
    CHECK(clock.due(start + milliseconds(9999), prng) == 0);
    CHECK(clock.next() == start + seconds(10));
    std::uint64_t closed = 0;
    base::Instant now = start + seconds(10);
    for (; !clock.over(); now += milliseconds(1)) {
        const auto due = clock.due(now, prng);
        closed += due;
        if (clients <= 7 && due != 0) CHECK(due == 1);
    }
    CHECK(closed == clients);
    CHECK(now - start <= seconds(40) + milliseconds(1));
}

TEST_CASE("few clients are not closed further than a second apart", "[gateway][lame_duck]") {
    base::Prng prng(3);
    const base::Instant start{};
    LameDuckClock clock(start, 5, {.duration = std::chrono::minutes(2), .grace = seconds(0)});
    while (!clock.over()) {
        const auto before = clock.next();
        CHECK(clock.due(before, prng) == 1);
        CHECK(clock.next() - before <= gateway::lame_duck_gap_max);
        CHECK(clock.next() - before >= gateway::lame_duck_gap_max / 2);
    }
}

TEST_CASE("a grace period as long as the whole leaves a second for the closing", "[gateway][lame_duck]") {
    base::Prng prng(4);
    LameDuckClock clock({}, 1000, {.duration = seconds(5), .grace = seconds(5)});
    CHECK(clock.due(base::Instant{} + seconds(6), prng) == 1000);
    CHECK(clock.over());
}
