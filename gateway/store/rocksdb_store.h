// The store on a disk: RocksDB behind routing/queue/queue_store.h.  The layout is drawn in README.md of this folder.
// Leaves to others: what pages and rows say (routing/queue), when to commit (its engine), on which thread
// (store_thread).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "routing/base/result.h"
#include "routing/queue/queue_store.h"

namespace rocksdb {
class ColumnFamilyHandle;
class DB;
class Iterator;
class Status;
class WriteBatch;
}  // namespace rocksdb

namespace gateway::store {

/// Why a store could not be opened, or failed: the kind for the program, the text for the operator.
struct StoreFailure {
    routing::queue::StoreError error = routing::queue::StoreError::io;
    std::string text;
};

struct RocksdbOptions {
    /// Memtable of each log; half of it for the tables, a third of it extra while flushing.  Unit: bytes.
    /// Source: holds a few segments (recovery.h, 4 MiB), so that what is acknowledged soon is never written twice;
    /// memory is taken as it fills, so an idle store has next to nothing of it.
    std::uint64_t memtable_bytes = 16u << 20;
    /// Blocks kept of what was read.  Unit: bytes.  Small: pages are read once, in order.
    std::uint64_t block_cache_bytes = 2u << 20;
    /// Write-ahead logs that may wait for the flush of a family that is seldom written.  Unit: bytes.
    std::uint64_t wal_bytes_max = 64u << 20;
    /// Trims of one log between two looks for whole files that may go.  Unit: trims (of a segment each).
    std::uint32_t trims_per_sweep = 8;
};

/// One gateway's store in a folder of its own.
///
/// What survives: a batch whose commit() returned survives the crash of the process (it is in the kernel's hands); with
/// `sync` it and all before it survive the crash of the machine too.  What opens again is a prefix of the batches.  All
/// data are read under checksums; damage in the tables or in what was synced is an error, never a guess.
/// Trims are exact at once for reads, atomic with their batch; space follows in coarse steps, and a file goes only when
/// the trim that lets it go was synced.
/// Threads: one at a time.  RocksDB has two more of its own for flushes and compactions.
/// Errors: after any error of commit() every call says `closed`: destroy it and open another.
class RocksdbStore final : public routing::queue::QueueStore {
  public:
    /// Opens the store in `folder`, made (with its parents) if it is not there.  Replays what a crash left.
    /// Blocks: yes.  Errors: a folder that cannot be used, or is in use by another process (`io`); no space (`full`);
    /// what cannot be read, or is of a later version of this program (`damaged`).
    [[nodiscard]] static base::Result<std::unique_ptr<RocksdbStore>, StoreFailure> open(const std::string& folder,
                                                                                        RocksdbOptions options = {});

    /// Syncs what is not synced and closes.
    ~RocksdbStore() override;
    RocksdbStore(const RocksdbStore&) = delete;
    RocksdbStore& operator=(const RocksdbStore&) = delete;

    [[nodiscard]] base::Result<routing::queue::StoredRows, routing::queue::StoreError> load() override;
    [[nodiscard]] base::Result<void, routing::queue::StoreError> commit(const routing::queue::Commit& batch) override;
    [[nodiscard]] base::Result<std::vector<routing::queue::Page>, routing::queue::StoreError> read(
        routing::queue::LogId log, routing::queue::Position from, std::uint64_t bytes_max) override;

    /// What the last error was about, for the operator.
    [[nodiscard]] const std::string& failure() const { return failure_; }

    /// Writes memtables to files, so that a test sees what is read from files.
    [[nodiscard]] bool flush_for_test();
    /// Lets flushes and compactions come to rest, and nothing be deleted, until it is called with false.
    void hold_still_for_test(bool hold);
    /// How many table files hold pages of the log.
    [[nodiscard]] std::size_t files_for_test(routing::queue::LogId log) const;

  private:
    /// One per LogId; index 0 is unused.
    struct Log {
        rocksdb::ColumnFamilyHandle* family = nullptr;
        routing::queue::Position trimmed = 0;         ///< pages below are gone
        routing::queue::Position trimmed_synced = 0;  ///< ... and will be after a crash of the machine
        std::uint32_t trims = 0;                      ///< since the last sweep
    };

    explicit RocksdbStore(RocksdbOptions options);
    [[nodiscard]] Log& log_of(routing::queue::LogId log);
    [[nodiscard]] rocksdb::Status read_marks();
    [[nodiscard]] rocksdb::Status add_trims(const routing::queue::Commit& batch, rocksdb::WriteBatch& writes);
    void sweep();
    routing::queue::StoreError fail_reading(const rocksdb::Status& status);
    routing::queue::StoreError fail_writing(const rocksdb::Status& status);

    RocksdbOptions options_;
    std::unique_ptr<rocksdb::DB> db_;
    std::vector<rocksdb::ColumnFamilyHandle*> families_;  ///< as the DB gave them: tables first, then the logs
    Log logs_[3];
    bool failed_ = false;
    std::string failure_;
};

}  // namespace gateway::store
