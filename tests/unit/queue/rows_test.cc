#include "routing/queue/rows.h"

#include <catch2/catch.hpp>

#include "routing/base/prng.h"
#include "routing/queue/memory_store.h"
#include "tests/unit/queue/engine_fixture.h"

using namespace routing;
using namespace routing::queue;

namespace {

StoredRows stored(const std::vector<RowWrite>& rows) {
    MemoryDisk disk;
    MemoryStore store(disk);
    Commit batch;
    batch.rows = rows;
    REQUIRE(store.commit(batch).ok());
    auto loaded = store.load();
    REQUIRE(loaded.ok());
    return loaded.value();
}

std::vector<RowWrite> one_of_each() {
    Segment segment;
    segment.first = 3;
    segment.last = 9;
    segment.bytes = 1000;
    segment.pages = 2;
    segment.shares = {SegmentShare{gateway_id(1), 8, 3}, SegmentShare{gateway_id(2), 9, 1}};
    RecoveredReader reader;
    reader.id = 5;
    reader.account = "$G";
    reader.queue = "g";
    reader.filters = {"a.*", "b.>"};
    reader.client = "name";
    reader.sid = "12";
    return {format_row(),
            trimmed_row(LogId::origin, 3),
            trimmed_row(LogId::local, 4),
            run_row(RunStart{77, 2}),
            run_row(RunStart{78, 300}),
            target_row(RecoveredTarget{gateway_id(1), 9, 2}),
            segment_row(segment),
            watermark_row(RecoveredWatermark{gateway_id(2), 66, 1000, 4}),
            loss_row(RecoveredLoss{gateway_id(2), 1, 10, 20}),
            reader_row(reader),
            cursor_row(5, 42),
            remembered_row(RememberedInterest{gateway_id(3), "$G", "a.b", "q", 3})};
}

}  // namespace

TEST_CASE("what rows were written is what is recovered", "[queue][rows]") {
    RecoveredState state;
    REQUIRE(read_rows(stored(one_of_each()), state));
    CHECK(state.origin_next == 3);
    CHECK(state.local_first == 4);
    CHECK(state.runs == RunList{{77, 2}, {78, 300}});
    REQUIRE(state.targets.size() == 1);
    CHECK(state.targets[0].last == 9);
    CHECK(state.targets[0].floor == 2);
    REQUIRE(state.segments.size() == 1);
    CHECK(state.segments[0].shares.size() == 2);
    CHECK(state.segments[0].shares[1] == SegmentShare{gateway_id(2), 9, 1});
    REQUIRE(state.watermarks.size() == 1);
    CHECK(state.watermarks[0].run == 66);
    CHECK(state.watermarks[0].position == 1000);
    REQUIRE(state.losses.size() == 1);
    CHECK(state.losses[0].up_to == 20);
    REQUIRE(state.readers.size() == 1);
    CHECK(state.readers[0].filters == std::vector<std::string>{"a.*", "b.>"});
    CHECK(state.readers[0].cursor == 42);
    REQUIRE(state.remembered.size() == 1);
    CHECK(state.remembered[0].queue == "q");
    CHECK(state.remembered[0].weight == 3);
}

TEST_CASE("runs come back in the order of their positions", "[queue][rows]") {
    base::Prng prng(3);
    std::vector<RowWrite> rows;
    std::vector<Position> firsts;
    for (Position first = 1; first < 1u << 20; first += prng.between(1, 3000)) firsts.push_back(first);
    std::vector<Position> shuffled = firsts;
    prng.shuffle(shuffled);
    for (const Position first : shuffled) rows.push_back(run_row(RunStart{first + 7, first}));
    RecoveredState state;
    REQUIRE(read_rows(stored(rows), state));
    REQUIRE(state.runs.size() == firsts.size());
    for (std::size_t i = 0; i < firsts.size(); ++i) CHECK(state.runs[i].first == firsts[i]);
}

TEST_CASE("a row that is cut short or too long is damage, not a guess", "[queue][rows]") {
    const std::vector<RowWrite> rows = one_of_each();
    for (std::size_t i = 0; i < rows.size(); ++i) {
        CAPTURE(i);
        RowWrite row = rows[i];
        row.value += "\x01";
        RecoveredState state;
        CHECK_FALSE(read_rows(stored({row}), state));
        row = rows[i];
        row.value.pop_back();
        CHECK_FALSE(read_rows(stored({row}), state));
        if (row.table == Table::meta) continue;
        row = rows[i];
        row.key.pop_back();
        CHECK_FALSE(read_rows(stored({row}), state));
    }
}

TEST_CASE("a store of another format version is refused", "[queue][rows]") {
    RowWrite row = format_row();
    row.value = "\x02";
    RecoveredState state;
    CHECK_FALSE(read_rows(stored({row}), state));
}

TEST_CASE("weight 0 takes remembered interest away, and erased() any row", "[queue][rows]") {
    std::vector<RowWrite> rows = one_of_each();
    rows.push_back(remembered_row(RememberedInterest{gateway_id(3), "$G", "a.b", "q", 0}));
    rows.push_back(erased(run_row(RunStart{77, 2})));
    RecoveredState state;
    REQUIRE(read_rows(stored(rows), state));
    CHECK(state.remembered.empty());
    CHECK(state.runs.size() == 1);
}
