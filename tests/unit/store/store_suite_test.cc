// One suite for both stores: what queue_store.h promises.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "routing/base/prng.h"
#include "tests/unit/store/store_places.h"

namespace store_test {
namespace {

using Pages = std::vector<std::pair<Position, std::string>>;

TEMPLATE_TEST_CASE("a new store is empty", "[store]", MemoryPlace, FolderPlace) {
    TestType place;
    QueueStore& store = place.open();
    const Contents nothing;
    CHECK(contents_of(store) == nothing);
    CHECK(pages_of(store, LogId::origin, 5, 100).empty());
}

TEMPLATE_TEST_CASE("what was committed is there, also after it was opened again", "[store]", MemoryPlace, FolderPlace) {
    TestType place;
    Contents expected;
    const auto check = [&](const Commit& commit, QueueStore& store) {
        REQUIRE(store.commit(commit).ok());
        expected.apply(commit);
        CHECK(contents_of(store) == expected);
    };
    QueueStore& store = place.open();
    check(commit_of(true, {page(LogId::origin, 1, "one"), page(LogId::origin, 4, "four")},
                    {row(Table::targets, "t", "1"), row(Table::meta, "", "empty key")}),
          store);
    check(commit_of(false, {page(LogId::local, 1, std::string(100000, 'x')), page(LogId::origin, 9, "")},
                    {row(Table::targets, "t", "2"), row(Table::remembered, std::string("\0\xff", 2), "")}),
          store);
    check(commit_of(true, {}, {no_row(Table::targets, "t"), no_row(Table::losses, "never there")}), store);
    check(commit_of(true, {}, {row(Table::runs, "r", "1"), no_row(Table::runs, "r"), row(Table::runs, "r", "3")}),
          store);
    place.close();
    CHECK(contents_of(place.open()) == expected);
}

TEMPLATE_TEST_CASE("rows come in the order of their keys as unsigned bytes, each in its table", "[store]", MemoryPlace,
                   FolderPlace) {
    TestType place;
    QueueStore& store = place.open();
    REQUIRE(store
                .commit(commit_of(true, {},
                                  {row(Table::runs, "\xff", "3"), row(Table::runs, "a", "1"),
                                   row(Table::runs, "\x80", "2"), row(Table::cursors, "a", "other")}))
                .ok());
    auto loaded = store.load();
    REQUIRE(loaded.ok());
    std::string values;
    for (const Row& each : loaded.value().of(Table::runs)) values += each.value;
    CHECK(values == "123");
    CHECK(loaded.value().of(Table::cursors).size() == 1);
    CHECK(loaded.value().of(Table::targets).empty());
}

TEMPLATE_TEST_CASE("reading begins with the page that holds the position", "[store]", MemoryPlace, FolderPlace) {
    TestType place;
    QueueStore& store = place.open();
    REQUIRE(store
                .commit(commit_of(true, {page(LogId::origin, 10, "aaaa"), page(LogId::origin, 20, "bbbb"),
                                         page(LogId::origin, 30, "cccc"), page(LogId::local, 5, "local")}))
                .ok());
    for (const bool flushed : {false, true}) {
        CAPTURE(flushed);
        if (flushed) place.flush();
        CHECK(pages_of(store, LogId::origin, 25, 1) == Pages{{20, "bbbb"}});
        CHECK(pages_of(store, LogId::origin, 20, 1) == Pages{{20, "bbbb"}});
        CHECK(pages_of(store, LogId::origin, 19, 5) == Pages{{10, "aaaa"}, {20, "bbbb"}});
        CHECK(pages_of(store, LogId::origin, 0, 4) == Pages{{10, "aaaa"}});
        CHECK(pages_of(store, LogId::origin, 1000, 100) == Pages{{30, "cccc"}});
        CHECK(pages_of(store, LogId::origin, ~Position{0}, 1) == Pages{{30, "cccc"}});
        CHECK(pages_of(store, LogId::local, 0, 100) == Pages{{5, "local"}});
    }
}

TEMPLATE_TEST_CASE("at least one page is read however large it is", "[store]", MemoryPlace, FolderPlace) {
    TestType place;
    QueueStore& store = place.open();
    const std::string large(300000, 'l');
    REQUIRE(store.commit(commit_of(true, {page(LogId::origin, 1, large), page(LogId::origin, 2, large)})).ok());
    CHECK(pages_of(store, LogId::origin, 1, 0) == Pages{{1, large}});
    CHECK(pages_of(store, LogId::origin, 1, 300001).size() == 2);
}

TEMPLATE_TEST_CASE("a trim takes pages of its log and leaves the other", "[store]", MemoryPlace, FolderPlace) {
    TestType place;
    QueueStore& store = place.open();
    Contents expected;
    Commit fill = commit_of(true, {});
    for (Position first = 1; first <= 20; ++first) {
        fill.pages.push_back(page(LogId::origin, first, std::to_string(first)));
        fill.pages.push_back(page(LogId::local, first, std::to_string(first)));
    }
    REQUIRE(store.commit(fill).ok());
    expected.apply(fill);
    if (GENERATE(false, true)) place.flush();

    const Commit trim = commit_of(true, {page(LogId::origin, 21, "new")}, {}, {{LogId::origin, 15}});
    REQUIRE(store.commit(trim).ok());
    expected.apply(trim);
    CHECK(contents_of(store) == expected);
    CHECK(pages_of(store, LogId::origin, 3, 1) == Pages{{15, "15"}});
    CHECK(pages_of(store, LogId::local, 3, 1) == Pages{{3, "3"}});

    const Commit again = commit_of(true, {}, {}, {{LogId::origin, 4}, {LogId::origin, 15}});  // says nothing new
    REQUIRE(store.commit(again).ok());
    CHECK(contents_of(store) == expected);

    const Commit all = commit_of(true, {}, {}, {{LogId::origin, 1000}});
    REQUIRE(store.commit(all).ok());
    expected.apply(all);
    CHECK(contents_of(store) == expected);
    CHECK(pages_of(store, LogId::origin, ~Position{0}, 1).empty());

    const Commit on = commit_of(true, {page(LogId::origin, 1000, "on")});
    REQUIRE(store.commit(on).ok());
    expected.apply(on);
    place.close();
    CHECK(contents_of(place.open()) == expected);
}

TEMPLATE_TEST_CASE("an empty commit syncs what came before it", "[store]", MemoryPlace, FolderPlace) {
    TestType place;
    QueueStore& store = place.open();
    REQUIRE(store.commit(commit_of(false, {page(LogId::origin, 1, "a")})).ok());
    REQUIRE(store.commit(commit_of(true, {})).ok());
    base::Prng prng(1);
    place.lose_power(prng);
    CHECK(pages_of(place.open(), LogId::origin, 0, 1).size() == 1);
}

// A random commit that fits what the logs hold.
Commit random_commit(base::Prng& prng, Position (&next)[3]) {
    Commit commit = commit_of(prng.chance(1, 4), {});
    for (const LogId log : {LogId::origin, LogId::local}) {
        Position& end = next[static_cast<std::size_t>(log)];
        for (std::uint64_t i = prng.below(3); i > 0; --i) {
            commit.pages.push_back(
                page(log, end, std::string(prng.below(2000), static_cast<char>('a' + prng.below(26)))));
            end += prng.between(1, 5);
        }
        if (prng.chance(1, 6)) commit.trims.push_back({log, prng.between(end > 20 ? end - 20 : 1, end)});
    }
    for (std::uint64_t i = prng.below(4); i > 0; --i) {
        const auto table = static_cast<Table>(prng.between(1, static_cast<std::uint64_t>(table_last)));
        std::string key(1, static_cast<char>(prng.below(5)));
        commit.rows.push_back(prng.chance(1, 4) ? no_row(table, key) : row(table, key, std::to_string(prng.next())));
    }
    return commit;
}

TEMPLATE_TEST_CASE("what survives a loss of power is a prefix with all that was synced", "[store]", MemoryPlace,
                   FolderPlace) {
    const std::uint64_t seed = GENERATE(range(1, 7));
    CAPTURE(seed);
    base::Prng prng(seed);
    TestType place;
    QueueStore* store = &place.open();
    Position next[3] = {1, 1, 1};
    std::vector<Contents> prefixes{{}};  // since the last known state; [0] is that
    std::size_t synced = 0;
    for (int life = 0; life < 6; ++life) {
        for (std::uint64_t step = prng.between(1, 30); step > 0; --step) {
            const Commit commit = random_commit(prng, next);
            REQUIRE(store->commit(commit).ok());
            prefixes.push_back(prefixes.back());
            prefixes.back().apply(commit);
            if (commit.sync) synced = prefixes.size() - 1;
            if (prng.chance(1, 15)) place.flush();
        }
        place.lose_power(prng);
        store = &place.open();
        const Contents found = contents_of(*store);
        const auto at = std::find(prefixes.begin() + static_cast<std::ptrdiff_t>(synced), prefixes.end(), found);
        CAPTURE(life, synced, prefixes.size());
        REQUIRE(at != prefixes.end());
        prefixes = {found};
        synced = 0;
        // The logs go on behind what is left; a position is never used for two pages.
    }
}

}  // namespace
}  // namespace store_test
