#include "routing/queue/memory_store.h"

#include <catch2/catch.hpp>

using namespace routing::queue;

namespace {

Commit page(Position first, std::string bytes, bool sync) {
    Commit batch;
    batch.sync = sync;
    batch.pages.push_back(PageWrite{LogId::origin, Page{first, std::make_shared<const base::Bytes>(std::move(bytes))}});
    return batch;
}

std::vector<Position> firsts(QueueStore& store, Position from, std::uint64_t bytes_max) {
    auto pages = store.read(LogId::origin, from, bytes_max);
    REQUIRE(pages.ok());
    std::vector<Position> out;
    for (const Page& one : pages.value()) out.push_back(one.first);
    return out;
}

}  // namespace

TEST_CASE("a crash takes what was not synced, in order, and a later sync keeps what was before it",
          "[queue][memory_store]") {
    MemoryDisk disk;
    {
        MemoryStore store(disk);
        REQUIRE(store.commit(page(1, "a", false)).ok());
        REQUIRE(store.commit(page(2, "b", true)).ok());
        REQUIRE(store.commit(page(3, "c", false)).ok());
        REQUIRE(store.commit(page(4, "d", false)).ok());
        CHECK(disk.unsynced() == 2);
        CHECK(firsts(store, 0, 100) == std::vector<Position>{1, 2, 3, 4});
    }
    SECTION("all of it") {
        disk.crash(0);
        MemoryStore store(disk);
        CHECK(firsts(store, 0, 100) == std::vector<Position>{1, 2});
    }
    SECTION("the last part of it") {
        disk.crash(1);
        MemoryStore store(disk);
        CHECK(firsts(store, 0, 100) == std::vector<Position>{1, 2, 3});
    }
}

TEST_CASE("a read begins with the page that holds the position and stops at the bytes", "[queue][memory_store]") {
    MemoryDisk disk;
    MemoryStore store(disk);
    for (const Position first : {10, 20, 30, 40}) REQUIRE(store.commit(page(first, std::string(100, 'x'), true)).ok());
    CHECK(firsts(store, 25, 1) == std::vector<Position>{20});
    CHECK(firsts(store, 25, 101) == std::vector<Position>{20, 30});
    CHECK(firsts(store, 30, 1000) == std::vector<Position>{30, 40});
    CHECK(firsts(store, 5, 1) == std::vector<Position>{10});
    CHECK(firsts(store, 1000, 1000) == std::vector<Position>{40});
    Commit trim;
    trim.trims.push_back(Trim{LogId::origin, 30});
    REQUIRE(store.commit(trim).ok());
    CHECK(firsts(store, 0, 1000) == std::vector<Position>{30, 40});
}

TEST_CASE("a failed commit may or may not be there, a backup is what was synced", "[queue][memory_store]") {
    const bool applied = GENERATE(false, true);
    MemoryDisk disk;
    auto store = std::make_unique<MemoryStore>(disk);
    REQUIRE(store->commit(page(1, "a", true)).ok());
    const MemoryImage backup = disk.backup();
    disk.fail_after(1, applied, StoreError::full);
    REQUIRE(store->commit(page(2, "b", true)).ok());
    const auto failed = store->commit(page(3, "c", true));
    REQUIRE_FALSE(failed.ok());
    CHECK(failed.error() == StoreError::full);
    store.reset();
    disk.crash(disk.unsynced());
    MemoryStore again(disk);
    CHECK(firsts(again, 0, 100).size() == (applied ? 3 : 2));
    disk.restore(backup);
    CHECK(firsts(again, 0, 100) == std::vector<Position>{1});
}
