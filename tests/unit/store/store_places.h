// Where a store under test keeps its bytes, and how the power is cut there: one place in memory, one on disk.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <stdlib.h>

#include "gateway/store/rocksdb_store.h"
#include "routing/base/prng.h"
#include "routing/queue/memory_store.h"
#include "routing/queue/queue_store.h"
#include "tests/unit/store/sync_witness.h"

namespace store_test {

using namespace routing::queue;

/// A folder of its own that goes with the object.
class TemporaryFolder {
  public:
    TemporaryFolder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "treegate-store-XXXXXX").string();
        const char* made = mkdtemp(pattern.data());
        REQUIRE(made != nullptr);
        path_ = made;
    }
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    [[nodiscard]] std::string sub(const std::string& name) const { return (path_ / name).string(); }

  private:
    std::filesystem::path path_;
};

class MemoryPlace {
  public:
    QueueStore& open() {
        store_ = std::make_unique<MemoryStore>(disk_);
        return *store_;
    }
    void close() { store_.reset(); }
    void flush() {}
    /// The machine loses power; of what was not synced some random first part survives.
    void lose_power(base::Prng& prng) {
        store_.reset();
        disk_.crash(prng.below(disk_.unsynced() + 1));
    }

  private:
    MemoryDisk disk_;
    std::unique_ptr<QueueStore> store_;
};

/// The loss of power: the folder as it is is copied, and of each file that RocksDB recovers from, some of what was not
/// synced is cut off its end.  (A file system may do worse to what was not synced, and nothing to what was.)
class FolderPlace {
  public:
    QueueStore& open() {
        store_.reset();
        gateway::store::RocksdbOptions options;
        options.memtable_bytes = 1u << 20;
        auto opened = gateway::store::RocksdbStore::open(current(), options);
        if (!opened.ok()) FAIL(opened.error().text);
        store_ = std::move(opened).value();
        return *store_;
    }
    void close() { store_.reset(); }
    void flush() { REQUIRE(store_->flush_for_test()); }
    void lose_power(base::Prng& prng) {
        const std::string old = current();
        ++life_;
        std::filesystem::create_directories(current());
        store_->hold_still_for_test(true);
        for (const auto& entry : std::filesystem::directory_iterator(old)) {
            const std::string name = entry.path().filename().string();
            const std::string copy = current() + "/" + name;
            std::filesystem::copy_file(entry.path(), copy);
            const std::string extension = entry.path().extension().string();
            if (extension == ".log" || extension == ".sst" || name.rfind("MANIFEST", 0) == 0) {
                const std::uintmax_t size = std::filesystem::file_size(copy);
                const std::uintmax_t safe = std::min(synced_bytes(entry.path().string()), size);
                std::filesystem::resize_file(copy, prng.between(safe, size));
            }
            sync_file(copy);  // what is left is on the disk
        }
        store_->hold_still_for_test(false);
        store_.reset();
    }

  private:
    [[nodiscard]] std::string current() const { return folder_.sub("life-" + std::to_string(life_)); }

    TemporaryFolder folder_;
    int life_ = 0;
    std::unique_ptr<gateway::store::RocksdbStore> store_;
};

// ---- Commits in short -----------------------------------------------------------------------------------------------

inline PageWrite page(LogId log, Position first, std::string bytes) {
    return {log, {first, std::make_shared<const base::Bytes>(std::move(bytes))}};
}

inline RowWrite row(Table table, std::string key, std::string value) {
    return {table, std::move(key), std::move(value), false};
}

inline RowWrite no_row(Table table, std::string key) {
    return {table, std::move(key), {}, true};
}

inline Commit commit_of(bool sync, std::vector<PageWrite> pages, std::vector<RowWrite> rows = {},
                        std::vector<Trim> trims = {}) {
    Commit commit;
    commit.sync = sync;
    commit.pages = std::move(pages);
    commit.rows = std::move(rows);
    commit.trims = std::move(trims);
    return commit;
}

// ---- What is in a store, as values ----------------------------------------------------------------------------------

struct Contents {
    std::map<Position, std::string> logs[3];
    std::map<std::pair<int, std::string>, std::string> rows;
    bool operator==(const Contents&) const = default;

    /// What a commit means, said in the plainest way.
    void apply(const Commit& commit) {
        for (const PageWrite& write : commit.pages) {
            logs[static_cast<std::size_t>(write.log)][write.page.first] = *write.page.bytes;
        }
        for (const RowWrite& write : commit.rows) {
            const std::pair key(static_cast<int>(write.table), write.key);
            if (write.erase) {
                rows.erase(key);
            } else {
                rows[key] = write.value;
            }
        }
        for (const Trim& trim : commit.trims) {
            std::erase_if(logs[static_cast<std::size_t>(trim.log)],
                          [&](const auto& entry) { return entry.first < trim.before; });
        }
    }
};

inline std::vector<std::pair<Position, std::string>> pages_of(QueueStore& store, LogId log, Position from,
                                                              std::uint64_t bytes_max) {
    auto found = store.read(log, from, bytes_max);
    REQUIRE(found.ok());
    std::vector<std::pair<Position, std::string>> out;
    for (const Page& each : found.value()) out.emplace_back(each.first, *each.bytes);
    return out;
}

inline Contents contents_of(QueueStore& store) {
    Contents out;
    for (const LogId log : {LogId::origin, LogId::local}) {
        for (auto& [first, bytes] : pages_of(store, log, 0, ~std::uint64_t{0})) {
            out.logs[static_cast<std::size_t>(log)][first] = bytes;
        }
    }
    auto loaded = store.load();
    REQUIRE(loaded.ok());
    for (int table = 1; table <= static_cast<int>(table_last); ++table) {
        for (const Row& each : loaded.value().of(static_cast<Table>(table))) out.rows[{table, each.key}] = each.value;
    }
    return out;
}

}  // namespace store_test
