#include "gateway/store/store_thread.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "routing/queue/rows.h"
#include "tests/unit/store/store_places.h"

namespace store_test {
namespace {

using gateway::store::OpenedStore;
using gateway::store::StoreAnswer;
using gateway::store::StoreFailure;
using gateway::store::StoreOpened;
using gateway::store::StoreThread;

// A gate that the store's thread waits at, so that a test decides what comes together.
class Gate {
  public:
    void open() {
        const std::lock_guard lock(mutex_);
        open_ = true;
        changed_.notify_all();
    }
    void pass() {
        std::unique_lock lock(mutex_);
        ++waiting_;
        changed_.notify_all();
        changed_.wait(lock, [this] { return open_; });
    }
    void await_one() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return waiting_ > 0; });
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool open_ = false;
    int waiting_ = 0;
};

// A store in memory whose commits wait at a gate, if there is one.
class GatedStore final : public QueueStore {
  public:
    GatedStore(MemoryDisk& disk, Gate* gate) : store_(disk), gate_(gate) {}
    base::Result<StoredRows, StoreError> load() override { return store_.load(); }
    base::Result<void, StoreError> commit(const Commit& batch) override {
        if (gate_ != nullptr) gate_->pass();
        return store_.commit(batch);
    }
    base::Result<std::vector<Page>, StoreError> read(LogId log, Position from, std::uint64_t bytes_max) override {
        return store_.read(log, from, bytes_max);
    }

  private:
    MemoryStore store_;
    Gate* gate_;
};

StoreThread::OpenStore open_memory(MemoryDisk& disk, Gate* gate = nullptr) {
    return [&disk, gate]() -> base::Result<OpenedStore, StoreFailure> {
        OpenedStore opened;
        opened.store = std::make_unique<GatedStore>(disk, gate);
        opened.explain = [] { return std::string("the disk said no"); };
        return opened;
    };
}

// The owner's side: waits for the wake-up, as a loop does.
class Owner {
  public:
    explicit Owner(StoreThread::OpenStore open_store)
        : thread_(routing::GatewayId{}, std::move(open_store), [this] { wake(); }) {}

    StoreThread& thread() { return thread_; }

    std::vector<StoreAnswer> take(std::size_t count) {
        std::vector<StoreAnswer> answers;
        for (;;) {
            thread_.take_answers(answers);
            if (answers.size() >= count) return answers;
            std::unique_lock lock(mutex_);
            woken_.wait(lock, [this] { return wakes_ > 0; });
            wakes_ = 0;
        }
    }

    StoreOpened open() {
        thread_.open();
        std::vector<StoreAnswer> answers = take(1);
        return std::get<StoreOpened>(std::move(answers.front()));
    }

    void commit(CommandId id, Commit commit) {
        commit.id = id;
        StoreCommand command = std::move(commit);
        REQUIRE(thread_.try_execute(command));
    }

    void read(CommandId id, LogId log, Position from) {
        StoreCommand command = Read{id, log, from, 1u << 20};
        REQUIRE(thread_.try_execute(command));
    }

  private:
    void wake() {
        const std::lock_guard lock(mutex_);
        ++wakes_;
        woken_.notify_one();
    }

    std::mutex mutex_;
    std::condition_variable woken_;
    int wakes_ = 0;
    StoreThread thread_;
};

const StoreDone& done(const StoreAnswer& answer) {
    REQUIRE(std::holds_alternative<StoreDone>(answer));
    return std::get<StoreDone>(answer);
}

TEST_CASE("commands are answered in order, reads see the commits before them", "[store][thread]") {
    MemoryDisk disk;
    Owner owner(open_memory(disk));
    REQUIRE(owner.open().result.ok());
    owner.commit(1, commit_of(true, {page(LogId::origin, 1, "a")}));
    owner.read(2, LogId::origin, 0);
    owner.commit(3, commit_of(false, {page(LogId::origin, 2, "b")}));
    owner.commit(4, commit_of(true, {page(LogId::origin, 3, "c")}));
    owner.read(5, LogId::origin, 0);
    const std::vector<StoreAnswer> answers = owner.take(5);
    REQUIRE(answers.size() == 5);
    for (std::size_t i = 0; i < 5; ++i) {
        CHECK(done(answers[i]).id == i + 1);
        CHECK(done(answers[i]).result.ok());
    }
    CHECK(done(answers[1]).pages.size() == 1);
    CHECK(done(answers[4]).pages.size() == 3);
}

TEST_CASE("commits that wait together are written as one", "[store][thread]") {
    MemoryDisk disk;
    Gate gate;
    Owner owner(open_memory(disk, &gate));
    REQUIRE(owner.open().result.ok());
    owner.commit(1, commit_of(true, {page(LogId::origin, 1, "1")}));
    gate.await_one();
    Contents expected;
    for (CommandId id = 2; id <= 101; ++id) {
        Commit commit = commit_of(id == 50, {page(LogId::origin, id, std::to_string(id))},
                                  {row(Table::cursors, "c", std::to_string(id))});
        if (id == 80) commit.trims.push_back({LogId::origin, 40});
        owner.commit(id, std::move(commit));
    }
    gate.open();
    const std::vector<StoreAnswer> answers = owner.take(101);
    REQUIRE(answers.size() == 101);
    for (std::size_t i = 0; i < answers.size(); ++i) {
        CHECK(done(answers[i]).id == i + 1);
        CHECK(done(answers[i]).result.ok());
    }
    const StoreThread::Counters counters = owner.thread().counters();
    CHECK(counters.commits == 101);
    CHECK(counters.writes == 2);
    CHECK(counters.syncs == 2);
    owner.thread().stop();
    CHECK(disk.unsynced() == 0);  // one of the hundred wanted it
    MemoryStore store(disk);
    const Contents found = contents_of(store);
    CHECK(found.logs[1].size() == 101 - 39);
    CHECK(found.rows.at({static_cast<int>(Table::cursors), "c"}) == "101");
}

TEST_CASE("a group is bounded by its bytes", "[store][thread]") {
    MemoryDisk disk;
    Gate gate;
    Owner owner(open_memory(disk, &gate));
    REQUIRE(owner.open().result.ok());
    owner.commit(1, commit_of(true, {page(LogId::origin, 1, "1")}));
    gate.await_one();
    const std::string large(StoreThread::group_bytes_max / 2 + 1, 'x');
    for (CommandId id = 2; id <= 5; ++id) owner.commit(id, commit_of(true, {page(LogId::origin, id, large)}));
    gate.open();
    CHECK(owner.take(5).size() == 5);
    CHECK(owner.thread().counters().writes == 3);
}

TEST_CASE("after a failed commit all is answered closed until it is opened again", "[store][thread]") {
    MemoryDisk disk;
    Owner owner(open_memory(disk));
    REQUIRE(owner.open().result.ok());
    disk.fail_after(1, false, StoreError::full);
    owner.commit(1, commit_of(true, {page(LogId::origin, 1, "kept")}));
    REQUIRE(done(owner.take(1)[0]).result.ok());
    owner.commit(2, commit_of(true, {page(LogId::origin, 2, "refused")}));
    const std::vector<StoreAnswer> refused = owner.take(1);
    REQUIRE_FALSE(done(refused[0]).result.ok());
    CHECK(done(refused[0]).result.error() == StoreError::full);
    CHECK(owner.thread().failure() == "the disk said no");
    owner.commit(3, commit_of(true, {page(LogId::origin, 3, "too late")}));
    owner.read(4, LogId::origin, 0);
    for (const StoreAnswer& answer : owner.take(2)) {
        REQUIRE_FALSE(done(answer).result.ok());
        CHECK(done(answer).result.error() == StoreError::closed);
    }
    REQUIRE(owner.open().result.ok());
    CHECK(owner.thread().failure().empty());
    owner.read(5, LogId::origin, 0);
    CHECK(done(owner.take(1)[0]).pages.size() == 1);
}

TEST_CASE("a group that fails fails for each of its commits", "[store][thread]") {
    MemoryDisk disk;
    Gate gate;
    Owner owner(open_memory(disk, &gate));
    REQUIRE(owner.open().result.ok());
    owner.commit(1, commit_of(true, {}));
    gate.await_one();
    disk.fail_after(1, false);
    for (CommandId id = 2; id <= 4; ++id) owner.commit(id, commit_of(true, {page(LogId::origin, id, "x")}));
    gate.open();
    const std::vector<StoreAnswer> answers = owner.take(4);
    CHECK(done(answers[0]).result.ok());
    for (std::size_t i = 1; i < 4; ++i) {
        CHECK(done(answers[i]).id == i + 1);
        CHECK_FALSE(done(answers[i]).result.ok());
    }
}

TEST_CASE("commands before the first open are answered closed", "[store][thread]") {
    MemoryDisk disk;
    Owner owner(open_memory(disk));
    owner.commit(1, commit_of(true, {}));
    owner.commit(2, commit_of(true, {}));
    for (const StoreAnswer& answer : owner.take(2)) CHECK(done(answer).result.error() == StoreError::closed);
}

TEST_CASE("a store that cannot be opened says why", "[store][thread]") {
    const TemporaryFolder temporary;
    const std::unique_ptr<gateway::store::RocksdbStore> holder =
        std::move(gateway::store::RocksdbStore::open(temporary.sub("store"))).value();
    Owner owner(gateway::store::open_rocksdb(temporary.sub("store")));
    const StoreOpened opened = owner.open();
    REQUIRE_FALSE(opened.result.ok());
    CHECK(opened.result.error().text.find("lock") != std::string::npos);
}

TEST_CASE("more commands than may wait are refused and left alone", "[store][thread]") {
    MemoryDisk disk;
    Gate gate;
    Owner owner(open_memory(disk, &gate));
    REQUIRE(owner.open().result.ok());
    owner.commit(1, commit_of(false, {}));
    gate.await_one();
    for (std::size_t i = 0; i < StoreThread::commands_max; ++i) owner.commit(2 + i, commit_of(false, {}));
    StoreCommand one_more = commit_of(false, {page(LogId::origin, 1, "x")});
    CHECK_FALSE(owner.thread().try_execute(one_more));
    CHECK(std::get<Commit>(one_more).pages.size() == 1);
    gate.open();
    CHECK(owner.take(StoreThread::commands_max + 1).size() == StoreThread::commands_max + 1);
    CHECK(owner.thread().try_execute(one_more));
}

TEST_CASE("stop does all that was asked, and it is there when the store is opened again", "[store][thread]") {
    const TemporaryFolder temporary;
    {
        Owner owner(gateway::store::open_rocksdb(temporary.sub("store")));
        owner.thread().open();
        owner.commit(1, commit_of(false, {}, {format_row()}));
        for (CommandId id = 2; id <= 200; ++id) owner.commit(id, commit_of(false, {page(LogId::local, id, "x")}));
        owner.thread().stop();
        StoreCommand late = commit_of(false, {});
        CHECK_FALSE(owner.thread().try_execute(late));
        std::vector<StoreAnswer> answers;
        owner.thread().take_answers(answers);
        CHECK(answers.size() == 201);
    }
    auto opened = gateway::store::RocksdbStore::open(temporary.sub("store"));
    REQUIRE(opened.ok());
    CHECK(pages_of(*opened.value(), LogId::local, 0, 1u << 20).size() == 199);
}

TEST_CASE("opening gives what recovery read", "[store][thread]") {
    const TemporaryFolder temporary;
    {
        Owner owner(gateway::store::open_rocksdb(temporary.sub("store")));
        const StoreOpened fresh = owner.open();
        REQUIRE(fresh.result.ok());
        CHECK(fresh.result.value().runs.empty());
        owner.commit(1, commit_of(true, {}, {format_row(), run_row({77, 1})}));
        REQUIRE(done(owner.take(1)[0]).result.ok());
    }
    Owner owner(gateway::store::open_rocksdb(temporary.sub("store")));
    const StoreOpened opened = owner.open();
    REQUIRE(opened.result.ok());
    REQUIRE(opened.result.value().runs.size() == 1);
    CHECK(opened.result.value().runs[0].run == 77);

    owner.commit(1, commit_of(true, {}, {row(Table::runs, "not a run", "")}));
    REQUIRE(done(owner.take(1)[0]).result.ok());
    const StoreOpened damaged = owner.open();
    REQUIRE_FALSE(damaged.result.ok());
    CHECK(damaged.result.error().error == StoreError::damaged);
    CHECK_FALSE(damaged.result.error().text.empty());
}

}  // namespace
}  // namespace store_test
