#include "routing/queue/origin_log.h"

#include <catch2/catch.hpp>

#include "tests/unit/queue/engine_fixture.h"

using namespace routing;
using namespace routing::queue;

namespace {

struct Log {
    explicit Log(const RecoveredState& state = {}, std::uint64_t run = 7) {
        options.run = run;
        options.boot = 1;
        options.segment_pages = 2;
        log = std::make_unique<OriginLog>(options, registry, sets, state);
    }
    TargetSetId to(std::vector<std::uint8_t> who) {
        TargetSet set;
        for (const std::uint8_t number : who) set.push_back(Target{*registry.intern(gateway_id(number)), true, {}});
        std::sort(set.begin(), set.end(), [](const Target& a, const Target& b) { return a.gateway < b.gateway; });
        return sets.intern(set);
    }
    Position append(std::vector<std::uint8_t> who, std::string_view body = "x", AckToken token = 0) {
        MessageView message;
        message.subject = "s";
        message.body = body;
        const auto position = log->append(message, to(std::move(who)), token);
        REQUIRE(position.ok());
        return position.value();
    }
    Commit commit() {
        Commit batch;
        log->close_into(batch);
        return batch;
    }
    std::vector<PubAck> committed() {
        std::vector<PubAck> acks;
        pages.clear();
        log->committed(pages, acks);
        return acks;
    }
    const TargetFacts& facts(std::uint8_t number) {
        return log->targets()[log->find_slot(*registry.intern(gateway_id(number)))];
    }

    GatewayRegistry registry{gateway_id(0)};
    TargetSets sets;
    DurableOptions options;
    std::unique_ptr<OriginLog> log;
    std::vector<PageTail::Entry> pages;
};

std::size_t rows_of(const Commit& batch, Table table) {
    std::size_t count = 0;
    for (const RowWrite& row : batch.rows) count += row.table == table ? 1 : 0;
    return count;
}

}  // namespace

TEST_CASE("positions are dense, a PubAck is released with its commit and not before", "[queue][origin_log]") {
    Log log;
    CHECK(log.append({1}, "x", 11) == 1);
    CHECK(log.append({1, 2}, "x", 12) == 2);
    const Commit batch = log.commit();
    REQUIRE(batch.pages.size() == 1);
    CHECK(rows_of(batch, Table::runs) == 1);
    CHECK(rows_of(batch, Table::targets) == 2);
    CHECK(log.append({2}, "x", 13) == 3);  // while the commit is under way: into the next page
    CHECK(log.log->committed_last() == 0);
    const std::vector<PubAck> acks = log.committed();
    REQUIRE(acks.size() == 2);
    CHECK(acks[0].token == 11);
    CHECK(acks[0].position == 1);
    CHECK(acks[1].position == 2);
    CHECK(log.log->committed_last() == 2);
    CHECK(log.facts(2).last_committed == 2);
    const Commit next = log.commit();
    CHECK(rows_of(next, Table::runs) == 0);  // a run is written once, with its first page
    REQUIRE(next.pages.size() == 1);
    CHECK(next.pages[0].page.first == 3);
    CHECK(log.committed().size() == 1);
    CHECK(log.facts(1).last == 2);
    CHECK(log.facts(2).last == 3);
}

TEST_CASE("more than waits for the store is refused until it has caught up", "[queue][origin_log]") {
    Log log;
    log.options.pending_bytes_max = 1000;
    const std::string body(600, 'x');
    log.append({1}, body);
    log.append({1}, body);
    MessageView message;
    message.subject = "s";
    const auto refused = log.log->append(message, log.to({1}), 0);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error() == OriginLog::AppendError::full);
    log.commit();
    CHECK_FALSE(log.log->room());
    log.committed();
    CHECK(log.log->room());
}

TEST_CASE("a stale target set is told and takes no position", "[queue][origin_log]") {
    Log log;
    MessageView message;
    message.subject = "s";
    const auto stale = log.log->append(message, TargetSetId{5, 5}, 0);
    REQUIRE_FALSE(stale.ok());
    CHECK(stale.error() == OriginLog::AppendError::stale_targets);
    CHECK(log.append({1}) == 1);
}

TEST_CASE("many messages make several pages of one commit", "[queue][origin_log]") {
    Log log;
    log.options.page_records = 3;
    for (int i = 0; i < 8; ++i) log.append({1});
    const Commit batch = log.commit();
    REQUIRE(batch.pages.size() == 3);
    CHECK(batch.pages[0].page.first == 1);
    CHECK(batch.pages[1].page.first == 4);
    CHECK(batch.pages[2].page.first == 7);
    // A page's prevs go on where the page before ended.
    OriginPageReader reader;
    REQUIRE(reader.open(*batch.pages[2].page.bytes, true));
    CHECK(reader.gateways()[0].prev == 6);
}

TEST_CASE("trimming takes whole segments and leaves exact floors", "[queue][origin_log]") {
    Log log;
    // Segments of two pages: [1, 2], [3, 4], and [5] open.
    const std::vector<std::vector<std::uint8_t>> who{{1}, {1, 2}, {2}, {1}, {2}};
    for (const auto& targets : who) {
        log.append(targets);
        log.commit();
        log.committed();
    }
    Commit batch;
    log.log->trim_into(batch, 1);
    CHECK(batch.trims.empty());
    log.log->trim_into(batch, 3);
    REQUIRE(batch.trims.size() == 1);
    CHECK(batch.trims[0].before == 3);
    CHECK(log.facts(1).floor == 2);
    CHECK(log.facts(2).floor == 2);
    CHECK(rows_of(batch, Table::segments) == 1);
    CHECK(log.log->trimmable_bytes(5) > log.log->trimmable_bytes(4));
    Commit all;
    log.log->trim_into(all, 100);  // no further than what is synced
    REQUIRE(all.trims.size() == 1);
    CHECK(all.trims[0].before == 6);
    CHECK(log.facts(1).floor == 4);
    CHECK(log.facts(2).floor == 5);
    CHECK(log.log->bytes() == 0);
    CHECK(log.append({1}) == 6);  // a position is never given twice
}

TEST_CASE("what is not yet synced is never trimmed", "[queue][origin_log]") {
    Log log;
    log.append({1});
    Commit batch = log.commit();
    log.log->trim_into(batch, 100);
    CHECK(batch.trims.empty());
}

TEST_CASE("how many records a target is behind is counted by segments", "[queue][origin_log]") {
    Log log;
    for (int i = 0; i < 6; ++i) {
        log.append(i % 2 == 0 ? std::vector<std::uint8_t>{1} : std::vector<std::uint8_t>{1, 2});
        log.commit();
        log.committed();
    }
    const TargetSlot two = log.log->find_slot(*log.registry.intern(gateway_id(2)));
    CHECK(log.log->records_after(two, 0) == 3);
    CHECK(log.log->records_after(two, 2) == 2);
    CHECK(log.log->records_after(two, 6) == 0);
}

TEST_CASE("a history longer than runs_max lets its oldest run go, on disk too", "[queue][origin_log]") {
    RecoveredState state;
    for (std::uint64_t i = 1; i <= runs_max; ++i) state.runs.push_back(RunStart{i, i * 10});
    state.origin_next = runs_max * 10 + 5;
    Log log(state, 999999);
    CHECK(log.log->runs().size() == runs_max);
    CHECK(log.log->runs().front().run == 2);
    CHECK(log.log->runs().back() == RunStart{999999, runs_max * 10 + 5});
    log.append({1});
    const Commit batch = log.commit();
    std::size_t erased = 0;
    for (const RowWrite& row : batch.rows) erased += row.table == Table::runs && row.erase ? 1 : 0;
    CHECK(erased == 1);
    CHECK(decode_head(encode(Head{999999, 1, 0, log.log->runs()})).has_value());
}
