#include "routing/queue/target_flow.h"

#include <catch2/catch.hpp>

#include "routing/queue/rows.h"
#include "tests/unit/queue/engine_fixture.h"

using namespace routing;
using namespace routing::queue;
using Verdict = TargetFlow::Verdict;

namespace {

struct Flow {
    Flow() { start(); }
    void start() {
        MemoryStore store(disk);
        auto state = recover(store, gateway_id(0));
        REQUIRE(state.ok());
        outbox.clear();
        flow = std::make_unique<TargetFlow>(++boot, registry, outbox, counters, state.value());
    }
    void head(Run run, std::uint64_t k, Position floor, RunList runs) {
        flow->on_head(origin, Head{run, k, floor, std::move(runs)}, now);
    }
    Verdict record(Run run, Position position, Prev prev) {
        DurableRecord one;
        one.run = run;
        one.position = position;
        one.prev = prev;
        const Verdict verdict = flow->judge(origin, one, now);
        if (verdict == Verdict::apply) flow->applied(origin, one);
        return verdict;
    }
    void commit() {
        Commit batch;
        flow->close_into(batch);
        MemoryStore store(disk);
        REQUIRE(store.commit(batch).ok());
        flow->committed();
    }
    std::vector<At> answers() {
        flow->answer();
        std::vector<At> out;
        for (const FlowMessage& message : outbox.control) out.push_back(*decode_at(message.body));
        outbox.clear();
        return out;
    }

    MemoryDisk disk;
    GatewayRegistry registry{gateway_id(0)};
    GatewayIndex origin = *registry.intern(gateway_id(1));
    Outbox outbox;
    DurableCounters counters;
    base::Instant now{std::chrono::hours(1)};
    BootId boot = 40;
    std::unique_ptr<TargetFlow> flow;
};

}  // namespace

TEST_CASE("a record is applied when it follows W, dropped when it is a repeat or leaves a gap",
          "[queue][target_flow]") {
    Flow flow;
    flow.head(7, 1, 0, {{7, 1}});
    CHECK(flow.record(7, 3, {0, 0}) == Verdict::apply);
    CHECK(flow.record(7, 3, {0, 0}) == Verdict::repeat);
    CHECK(flow.record(7, 9, {7, 5}) == Verdict::gap);
    CHECK(flow.record(7, 5, {7, 3}) == Verdict::apply);
    CHECK(flow.record(7, 9, {7, 5}) == Verdict::apply);
    CHECK(flow.record(7, 2, {0, 0}) == Verdict::repeat);
    CHECK(flow.counters.applied == 3);
    CHECK(flow.counters.repeats == 2);
    CHECK(flow.counters.gaps == 1);
}

TEST_CASE("accepted is what was applied, synced is what was synced", "[queue][target_flow]") {
    Flow flow;
    flow.head(7, 2, 0, {{7, 1}});
    auto answers = flow.answers();
    REQUIRE(answers.size() == 1);
    CHECK(answers[0] == At{7, 2, flow.boot, 0, 0, false});
    CHECK(flow.record(7, 3, {0, 0}) == Verdict::apply);
    CHECK(flow.answers().empty());  // applied is not yet worth an answer
    flow.head(7, 2, 0, {{7, 1}});   // the HEAD again: it asks
    answers = flow.answers();
    REQUIRE(answers.size() == 1);
    CHECK(answers[0] == At{7, 2, flow.boot, 0, 3, false});
    flow.commit();
    answers = flow.answers();
    REQUIRE(answers.size() == 1);
    CHECK(answers[0] == At{7, 2, flow.boot, 3, 3, false});
}

TEST_CASE("a hundred records make one answer", "[queue][target_flow]") {
    Flow flow;
    flow.head(7, 1, 0, {{7, 1}});
    flow.answers();
    for (Position position = 1; position <= 100; ++position)
        CHECK(flow.record(7, position, {position == 1 ? 0u : 7u, position - 1}) == Verdict::apply);
    flow.commit();
    const auto answers = flow.answers();
    REQUIRE(answers.size() == 1);
    CHECK(answers[0].synced == 100);
    CHECK(flow.answers().empty());
}

TEST_CASE("the same gap is answered once in a while, a new one at once", "[queue][target_flow]") {
    Flow flow;
    flow.head(7, 1, 0, {{7, 1}});
    flow.answers();
    CHECK(flow.record(7, 5, {7, 4}) == Verdict::gap);
    auto answers = flow.answers();
    REQUIRE(answers.size() == 1);
    CHECK(answers[0].gap);
    CHECK(answers[0].accepted == 0);
    CHECK(flow.record(7, 6, {7, 5}) == Verdict::gap);
    CHECK(flow.answers().empty());
    flow.now += answer_gap_min;
    CHECK(flow.record(7, 7, {7, 6}) == Verdict::gap);
    CHECK(flow.answers().size() == 1);
    CHECK(flow.record(7, 4, {0, 0}) == Verdict::apply);
    CHECK(flow.record(7, 7, {7, 6}) == Verdict::gap);
    answers = flow.answers();
    REQUIRE(answers.size() == 1);
    CHECK(answers[0].accepted == 4);
}

TEST_CASE("a record of an unknown run is dropped and answered with k = 0", "[queue][target_flow]") {
    Flow flow;
    CHECK(flow.record(7, 1, {0, 0}) == Verdict::unknown);
    auto answers = flow.answers();
    REQUIRE(answers.size() == 1);
    CHECK(answers[0] == At{7, 0, flow.boot, 0, 0, false});
    CHECK(flow.record(7, 2, {7, 1}) == Verdict::unknown);
    CHECK(flow.answers().empty());  // once in a while
    flow.head(7, 1, 0, {{6, 1}, {7, 10}});
    flow.answers();
    SECTION("a position that the history gives to another run") {
        CHECK(flow.record(6, 12, {0, 0}) == Verdict::unknown);
        CHECK(flow.record(7, 9, {0, 0}) == Verdict::unknown);
    }
    SECTION("a prev that the history gives to another run") {
        CHECK(flow.record(7, 12, {6, 11}) == Verdict::unknown);
    }
    SECTION("a prev that is not before it") {
        CHECK(flow.record(7, 12, {7, 12}) == Verdict::unknown);
    }
    SECTION("one that fits is applied") {
        CHECK(flow.record(6, 9, {0, 0}) == Verdict::apply);
        CHECK(flow.record(7, 12, {6, 9}) == Verdict::apply);
    }
}

TEST_CASE("W survives a restart as it was synced, for each run, and is read through H", "[queue][target_flow]") {
    Flow flow;
    flow.head(7, 1, 0, {{7, 1}});
    CHECK(flow.record(7, 5, {0, 0}) == Verdict::apply);
    CHECK(flow.record(7, 8, {7, 5}) == Verdict::apply);
    flow.commit();
    CHECK(flow.record(7, 9, {7, 8}) == Verdict::apply);  // not synced
    flow.start();
    SECTION("the same history") {
        flow.head(7, 2, 0, {{7, 1}});
        CHECK(flow.answers().at(0).synced == 8);
    }
    SECTION("the origin came back from a backup that ended at 6, and goes on from 7") {
        flow.head(9, 1, 0, {{7, 1}, {9, 7}});
        const auto answers = flow.answers();
        CHECK(answers.at(0).synced == 6);
        CHECK(answers.at(0).accepted == 6);
        CHECK(flow.record(9, 7, {7, 5}) == Verdict::apply);
        CHECK(flow.record(7, 9, {7, 8}) == Verdict::unknown);  // of the history that was left
    }
    SECTION("the origin lost its disk") {
        flow.head(9, 1, 0, {{9, 1}});
        CHECK(flow.answers().at(0).synced == 0);
        CHECK(flow.record(9, 1, {0, 0}) == Verdict::apply);
    }
}

TEST_CASE("below the floor the target publishes the exact loss with its watermark, in one batch",
          "[queue][target_flow]") {
    Flow flow;
    flow.head(7, 1, 0, {{7, 1}});
    CHECK(flow.record(7, 5, {0, 0}) == Verdict::apply);
    flow.commit();
    flow.answers();
    flow.head(8, 1, 12, {{7, 1}, {8, 10}});
    CHECK(flow.outbox.losses.empty());  // not before it is on disk
    const auto answers = flow.answers();
    REQUIRE(answers.size() == 1);
    CHECK(answers[0].accepted == 12);
    CHECK(answers[0].synced == 5);
    flow.commit();
    REQUIRE(flow.outbox.losses.size() == 1);
    CHECK(flow.outbox.losses[0].after == 5);
    CHECK(flow.outbox.losses[0].up_to == 12);
    CHECK(flow.record(8, 14, {8, 12}) == Verdict::apply);
    flow.start();
    REQUIRE(flow.flow->losses().size() == 1);
    SECTION("it is not lost a second time") {
        flow.head(8, 2, 12, {{7, 1}, {8, 10}});
        CHECK(flow.answers().at(0).synced == 12);
        CHECK(flow.counters.losses == 1);
    }
    SECTION("nor brought back by an origin that is restored to the run before") {
        flow.head(9, 1, 5, {{7, 1}, {9, 9}});
        CHECK(flow.answers().at(0).synced == 8);
        CHECK(flow.record(7, 7, {7, 5}) == Verdict::repeat);
    }
}

TEST_CASE("a HEAD that was overtaken is ignored", "[queue][target_flow]") {
    Flow flow;
    flow.head(7, 1, 0, {{7, 1}});
    flow.head(8, 3, 0, {{7, 1}, {8, 10}});
    flow.answers();
    flow.head(8, 2, 0, {{7, 1}, {8, 10}});  // an older k
    CHECK(flow.answers().empty());
    flow.head(7, 9, 0, {{7, 1}});  // a run that ended
    CHECK(flow.answers().empty());
    // A run that this history does not know may be a restored origin's: it is taken at its word.
    flow.head(5, 1, 0, {{5, 1}});
    CHECK(flow.answers().at(0).run == 5);
}

TEST_CASE("the rows of losses are bounded, the oldest go", "[queue][target_flow]") {
    Flow flow;
    for (std::uint64_t i = 1; i <= losses_max + 2; ++i) {
        flow.head(7, i, i, {{7, 1}});
        flow.commit();
    }
    flow.commit();
    CHECK(flow.flow->losses().size() == losses_max);
    flow.start();
    CHECK(flow.flow->losses().size() == losses_max);
    CHECK(flow.flow->losses().back().up_to == losses_max + 2);
}

TEST_CASE("watermarks of histories that were left are bounded", "[queue][target_flow]") {
    Flow flow;
    for (Run run = 1; run <= watermarks_max + 3; ++run) {
        flow.head(run, 1, 0, {{run, 1}});
        CHECK(flow.record(run, 1, {0, 0}) == Verdict::apply);
        if (run % 512 == 0) flow.commit();
    }
    flow.commit();
    flow.head(1u << 30, 1, 0, {{1u << 30, 1}});
    flow.commit();
    MemoryStore store(flow.disk);
    auto state = recover(store, gateway_id(0));
    REQUIRE(state.ok());
    CHECK(state.value().watermarks.size() <= watermarks_max + 1);
}
