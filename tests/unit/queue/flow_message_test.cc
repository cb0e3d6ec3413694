#include "routing/queue/flow_message.h"

#include <catch2/catch.hpp>

#include "routing/base/prng.h"

using namespace routing::queue;

namespace {

Head some_head(base::Prng& prng) {
    Head head;
    head.k = prng.between(1, 1u << 20);
    head.floor = prng.below(1u << 30);
    Position first = 0;
    for (std::uint64_t i = prng.between(1, 20); i > 0; --i) {
        first += prng.between(1, 1000);
        head.runs.push_back(RunStart{prng.next() | 1, first});
    }
    head.run = head.runs.back().run;
    return head;
}

}  // namespace

TEST_CASE("HEAD and AT come back as they went in, and no part of them is one", "[queue][flow_message]") {
    const std::uint64_t seed = GENERATE(range(1, 50));
    CAPTURE(seed);
    base::Prng prng(seed);
    const Head head = some_head(prng);
    const base::Bytes bytes = encode(head);
    REQUIRE(decode_head(bytes).has_value());
    CHECK(*decode_head(bytes) == head);
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) CHECK_FALSE(decode_head(bytes.substr(0, cut)).has_value());
    CHECK_FALSE(decode_head(bytes + "x").has_value());

    At at{prng.next() | 1, prng.below(9), prng.next() | 1, prng.below(1000), 1000 + prng.below(1000), seed % 2 == 0};
    const base::Bytes answer = encode(at);
    REQUIRE(decode_at(answer).has_value());
    CHECK(*decode_at(answer) == at);
    for (std::size_t cut = 0; cut < answer.size(); ++cut) CHECK_FALSE(decode_at(answer.substr(0, cut)).has_value());
    CHECK_FALSE(decode_at(answer + "x").has_value());
}

TEST_CASE("a HEAD that declares more runs than it holds is refused before anything is allocated",
          "[queue][flow_message]") {
    base::Bytes bytes;
    bytes.push_back(1);
    base::append_little_endian(bytes, std::uint64_t{7});
    base::append_varint(bytes, 1);
    base::append_varint(bytes, 0);
    base::append_varint(bytes, std::uint64_t{1} << 60);
    CHECK_FALSE(decode_head(bytes).has_value());
}

TEST_CASE("a HEAD with more than runs_max runs is refused", "[queue][flow_message]") {
    Head head;
    head.k = 1;
    for (std::uint64_t i = 1; i <= runs_max; ++i) head.runs.push_back(RunStart{i, i});
    head.run = runs_max;
    CHECK(decode_head(encode(head)).has_value());
    head.runs.push_back(RunStart{runs_max + 1, runs_max + 1});
    head.run = runs_max + 1;
    CHECK_FALSE(decode_head(encode(head)).has_value());
}

TEST_CASE("a history that is none is refused", "[queue][flow_message]") {
    Head head{2, 1, 0, {{1, 1}, {2, 5}}};
    REQUIRE(decode_head(encode(head)).has_value());
    SECTION("runs out of order") {
        head.runs = {{1, 5}, {2, 5}};
    }
    SECTION("a run without a name") {
        head.runs = {{0, 1}, {2, 5}};
    }
    SECTION("a first position of none") {
        head.runs = {{1, 0}, {2, 5}};
    }
    SECTION("another newest run") {
        head.run = 1;
    }
    SECTION("no run") {
        head.runs.clear();
    }
    SECTION("k = 0, which is an answer's") {
        head.k = 0;
    }
    CHECK_FALSE(decode_head(encode(head)).has_value());
}

TEST_CASE("an AT that cannot be is refused", "[queue][flow_message]") {
    At at{1, 1, 1, 5, 5, false};
    REQUIRE(decode_at(encode(at)).has_value());
    SECTION("synced before accepted") {
        at.synced = 6;
    }
    SECTION("no run") {
        at.run = 0;
    }
    SECTION("no boot id") {
        at.boot = 0;
    }
    CHECK_FALSE(decode_at(encode(at)).has_value());
}

TEST_CASE("a position belongs to the run that began last before it", "[queue][flow_message]") {
    const RunList runs{{11, 3}, {12, 10}, {13, 11}};
    CHECK(run_of(runs, 0) == 0);
    CHECK(run_of(runs, 2) == 0);
    CHECK(run_of(runs, 3) == 11);
    CHECK(run_of(runs, 9) == 11);
    CHECK(run_of(runs, 10) == 12);
    CHECK(run_of(runs, 11) == 13);
    CHECK(run_of(runs, position_max) == 13);
    CHECK(last_of_run(runs, 11) == 9);
    CHECK(last_of_run(runs, 12) == 10);
    CHECK(last_of_run(runs, 13) == position_max);
    CHECK(last_of_run(runs, 14) == 0);
}
