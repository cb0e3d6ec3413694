// What only the store on a disk can show: kill -9, two processes, damage, a full disk, freeing space.
#include "gateway/store/rocksdb_store.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "routing/base/prng.h"
#include "tests/unit/store/store_places.h"

extern char** environ;

namespace store_test {
namespace {

using gateway::store::RocksdbOptions;
using gateway::store::RocksdbStore;

std::unique_ptr<RocksdbStore> open_at(const std::string& folder, RocksdbOptions options = {}) {
    auto opened = RocksdbStore::open(folder, options);
    if (!opened.ok()) FAIL(opened.error().text);
    return std::move(opened).value();
}

std::uintmax_t bytes_of_files(const std::string& folder, const std::string& extension) {
    std::uintmax_t bytes = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        std::error_code gone;
        if (entry.path().extension() == extension) bytes += std::filesystem::file_size(entry.path(), gone);
    }
    return bytes;
}

// The n-th commit of the child, the same in child and parent.
Commit commit_number(std::uint64_t n) {
    base::Prng prng(n);
    const auto size = [&] { return prng.below(3000); };
    Commit commit = commit_of(prng.chance(1, 3), {page(LogId::origin, 2 * n, std::string(size(), 'o')),
                                                  page(LogId::local, 2 * n, std::string(size(), 'l'))});
    commit.rows.push_back(row(Table::watermarks, "w", std::to_string(n)));
    if (n % 7 == 0) commit.trims.push_back({LogId::origin, 2 * n - 10});
    return commit;
}

// Not a test: what the child does.  Commits without end, and says after each how far it is.
TEST_CASE("child that commits until it is killed", "[.child]") {
    const char* folder = getenv("STORE_TEST_FOLDER");
    const char* pipe = getenv("STORE_TEST_PIPE");
    if (folder == nullptr || pipe == nullptr) return;
    RocksdbOptions options;
    options.memtable_bytes = 256u << 10;  // so that flushes are cut, too
    const std::unique_ptr<RocksdbStore> store = open_at(folder, options);
    auto loaded = store->load();
    REQUIRE(loaded.ok());
    const std::vector<Row>& marks = loaded.value().of(Table::watermarks);
    std::uint64_t n = marks.empty() ? 0 : std::stoull(marks.front().value);
    for (;;) {
        ++n;
        if (!store->commit(commit_number(n)).ok()) _exit(3);
        if (write(atoi(pipe), &n, sizeof n) != sizeof n) _exit(4);
    }
}

TEST_CASE("no commit that returned is lost to kill -9, and none is half there", "[store][rocksdb]") {
    base::Prng prng(2024);
    const TemporaryFolder temporary;
    const std::string folder = temporary.sub("store");
    Contents expected;
    std::uint64_t applied = 0;
    for (int round = 0; round < 8; ++round) {
        CAPTURE(round);
        int ends[2];
        REQUIRE(pipe(ends) == 0);
        REQUIRE(fcntl(ends[0], F_SETFD, FD_CLOEXEC) == 0);
        std::vector<std::string> environment;
        for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
        environment.push_back("STORE_TEST_FOLDER=" + folder);
        environment.push_back("STORE_TEST_PIPE=" + std::to_string(ends[1]));
        std::vector<char*> pointers;
        for (std::string& entry : environment) pointers.push_back(entry.data());
        pointers.push_back(nullptr);
        std::string program = "/proc/self/exe";
        std::string name = "child that commits until it is killed";
        char* const arguments[] = {program.data(), name.data(), nullptr};
        pid_t child = 0;
        REQUIRE(posix_spawn(&child, program.c_str(), nullptr, nullptr, arguments, pointers.data()) == 0);
        close(ends[1]);

        const std::uint64_t kill_at = applied + prng.between(1, 300);
        std::uint64_t told = 0;
        std::uint64_t number = 0;
        bool killed = false;
        while (read(ends[0], &number, sizeof number) == sizeof number) {
            told = number;
            if (!killed && told >= kill_at) {
                REQUIRE(kill(child, SIGKILL) == 0);
                killed = true;
            }
        }
        close(ends[0]);
        int status = 0;
        REQUIRE(waitpid(child, &status, 0) == child);
        REQUIRE(WIFSIGNALED(status));
        REQUIRE(told >= kill_at);

        const std::unique_ptr<RocksdbStore> store = open_at(folder);
        const Contents found = contents_of(*store);
        // The commit that was on its way when the child died may be there; then all of it.
        while (applied < told) expected.apply(commit_number(++applied));
        if (found != expected) expected.apply(commit_number(++applied));
        REQUIRE(found == expected);
    }
}

TEST_CASE("a commit is synced when it says so, and only then", "[store][rocksdb]") {
    const TemporaryFolder temporary;
    const std::unique_ptr<RocksdbStore> store = open_at(temporary.sub("store"));
    const std::uint64_t before = syncs_seen();
    for (Position first = 1; first <= 10; ++first) {
        REQUIRE(store->commit(commit_of(false, {page(LogId::origin, first, "x")})).ok());
    }
    CHECK(syncs_seen() == before);
    REQUIRE(store->commit(commit_of(true, {page(LogId::origin, 11, "x"), page(LogId::local, 1, "y")})).ok());
    CHECK(syncs_seen() == before + 1);  // whatever it holds
}

TEST_CASE("a folder in use by another store is refused with a reason", "[store][rocksdb]") {
    const TemporaryFolder temporary;
    const std::unique_ptr<RocksdbStore> first = open_at(temporary.sub("store"));
    auto second = RocksdbStore::open(temporary.sub("store"));
    REQUIRE_FALSE(second.ok());
    CHECK(second.error().error == StoreError::io);
    CHECK(second.error().text.find("lock") != std::string::npos);
}

TEST_CASE("a folder that cannot be made is refused with a reason", "[store][rocksdb]") {
    const TemporaryFolder temporary;
    std::ofstream(temporary.sub("file")) << "in the way";
    auto opened = RocksdbStore::open(temporary.sub("file") + "/store");
    REQUIRE_FALSE(opened.ok());
    CHECK(opened.error().error == StoreError::io);
    CHECK(opened.error().text.find(temporary.sub("file")) != std::string::npos);
}

TEST_CASE("a store of a later format is refused", "[store][rocksdb]") {
    const TemporaryFolder temporary;
    {
        std::string later;
        base::append_big_endian_64(later, 2);
        const std::unique_ptr<RocksdbStore> store = open_at(temporary.sub("store"));
        REQUIRE(store->commit(commit_of(true, {}, {row(static_cast<Table>(0), "f", later)})).ok());
    }
    auto opened = RocksdbStore::open(temporary.sub("store"));
    REQUIRE_FALSE(opened.ok());
    CHECK(opened.error().error == StoreError::damaged);
    CHECK(opened.error().text.find("format") != std::string::npos);
}

TEST_CASE("a damaged page is an error, not a page", "[store][rocksdb]") {
    const TemporaryFolder temporary;
    const std::string folder = temporary.sub("store");
    {
        const std::unique_ptr<RocksdbStore> store = open_at(folder);
        REQUIRE(store->commit(commit_of(true, {page(LogId::origin, 1, std::string(50000, 'p'))})).ok());
        REQUIRE(store->flush_for_test());
    }
    int damaged = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.path().extension() != ".sst" || entry.file_size() < 50000) continue;
        std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(20000);
        file.put('q');
        ++damaged;
    }
    REQUIRE(damaged == 1);
    const std::unique_ptr<RocksdbStore> store = open_at(folder);
    auto found = store->read(LogId::origin, 0, 1);
    REQUIRE_FALSE(found.ok());
    CHECK(found.error() == StoreError::damaged);
    CHECK_FALSE(store->failure().empty());
    // It can still be written to: what is new does not depend on what is damaged.
    CHECK(store->commit(commit_of(true, {page(LogId::origin, 2, "new")})).ok());
}

TEST_CASE("a failed write closes the store, and opening again finds all that was synced", "[store][rocksdb]") {
    const TemporaryFolder temporary;
    const std::string folder = temporary.sub("store");
    std::unique_ptr<RocksdbStore> store = open_at(folder);
    REQUIRE(store->commit(commit_of(true, {page(LogId::origin, 1, "kept")})).ok());
    // No file of this process may grow beyond 64 KiB: what a full disk is to a log file.
    struct rlimit before {};
    REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
    void (*const handler)(int) = signal(SIGXFSZ, SIG_IGN);
    struct rlimit tight = before;
    tight.rlim_cur = 64u << 10;
    REQUIRE(setrlimit(RLIMIT_FSIZE, &tight) == 0);
    const auto refused = store->commit(commit_of(true, {page(LogId::origin, 2, std::string(200000, 'x'))}));
    const auto later = store->commit(commit_of(true, {page(LogId::origin, 3, "later")}));
    const auto read = store->read(LogId::origin, 0, 1);
    const std::string reason = store->failure();
    store.reset();
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error() == StoreError::io);
    CHECK_FALSE(reason.empty());
    REQUIRE_FALSE(later.ok());
    CHECK(later.error() == StoreError::closed);
    REQUIRE_FALSE(read.ok());
    CHECK(read.error() == StoreError::closed);

    store = open_at(folder);
    CHECK(pages_of(*store, LogId::origin, 0, 100) == std::vector<std::pair<Position, std::string>>{{1, "kept"}});
    CHECK(store->commit(commit_of(true, {page(LogId::origin, 2, "goes on")})).ok());
}

TEST_CASE("what is trimmed soon is never written to a table file", "[store][rocksdb]") {
    const TemporaryFolder temporary;
    const std::string folder = temporary.sub("store");
    RocksdbOptions options;
    options.memtable_bytes = 1u << 20;
    const std::unique_ptr<RocksdbStore> store = open_at(folder, options);
    for (Position first = 1; first <= 400; ++first) {  // 8 MB in all, 400 KB at a time
        Commit commit = commit_of(false, {page(LogId::origin, first, std::string(20000, 'x'))});
        if (first > 20 && first % 5 == 0) commit.trims.push_back({LogId::origin, first - 20});
        REQUIRE(store->commit(commit).ok());
    }
    REQUIRE(store->flush_for_test());
    CHECK(bytes_of_files(folder, ".sst") < 4000000);
    CHECK(pages_of(*store, LogId::origin, 0, ~std::uint64_t{0}).front().first == 380);
}

TEST_CASE("the files of what is trimmed late go", "[store][rocksdb]") {
    const TemporaryFolder temporary;
    const std::string folder = temporary.sub("store");
    RocksdbOptions options;
    options.memtable_bytes = 256u << 10;
    options.trims_per_sweep = 1;
    const std::unique_ptr<RocksdbStore> store = open_at(folder, options);
    const Position last = 2000;
    for (Position first = 1; first <= last; ++first) {
        REQUIRE(store->commit(commit_of(false, {page(LogId::origin, first, std::string(10000, 'x'))})).ok());
    }
    REQUIRE(store->flush_for_test());
    REQUIRE(bytes_of_files(folder, ".sst") > 15000000);
    // Goes on at a small rate while the backlog is trimmed in steps; compaction runs beside it.
    Position first = last;
    for (int step = 0; step < 200 && bytes_of_files(folder, ".sst") > 2000000; ++step) {
        ++first;
        Commit commit = commit_of(true, {page(LogId::origin, first, std::string(10000, 'y'))});
        commit.trims.push_back({LogId::origin, std::min<Position>(first - 1, static_cast<Position>(step + 1) * 200)});
        REQUIRE(store->commit(commit).ok());
        REQUIRE(store->flush_for_test());
    }
    CHECK(bytes_of_files(folder, ".sst") < 2000000);
    CHECK(store->files_for_test(LogId::origin) < 20);
}

}  // namespace
}  // namespace store_test
