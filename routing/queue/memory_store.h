// The store's twin in memory: it forgets what was not synced, fails when told to, can be backed up and restored.
// For the simulator and for tests; no limit but the memory.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "routing/queue/queue_store.h"

namespace routing::queue {

/// What is on a disk: values only, so a copy is a backup.
struct MemoryImage {
    std::map<Position, PageBytes> logs[3];                                                ///< by LogId
    std::map<base::Bytes, base::Bytes> tables[static_cast<std::size_t>(table_last) + 1];  ///< by Table
    void apply(const Commit& batch);
};

/// A disk that outlives the stores opened on it.
class MemoryDisk {
  public:
    /// The machine lost power: of the batches that were not synced the first `kept` survive (0: none; more than there
    /// are: all).  A store that is open on this disk must not be used any more.
    void crash(std::size_t kept = 0);
    /// How many batches are not synced.
    [[nodiscard]] std::size_t unsynced() const { return unsynced_.size(); }
    /// The image as a crash now would leave it with nothing unsynced kept.
    [[nodiscard]] const MemoryImage& backup() const { return synced_; }
    void restore(const MemoryImage& image);
    /// The commit after `good` more good ones fails; `applied`: it is on disk nevertheless, nobody knows.
    void fail_after(std::size_t good, bool applied, StoreError error = StoreError::io);
    /// Puts the page that holds `first` out of order, as a damaged medium would.
    void damage_page_for_test(LogId log, Position first);
    [[nodiscard]] const MemoryImage& live() const { return live_; }

  private:
    friend class MemoryStore;
    struct Fault {
        std::size_t good = 0;
        bool applied = false;
        StoreError error = StoreError::io;
    };
    MemoryImage synced_;
    MemoryImage live_;  // with what is not synced
    std::vector<Commit> unsynced_;
    std::optional<Fault> fault_;
};

/// Borrows the disk for life.
class MemoryStore final : public QueueStore {
  public:
    explicit MemoryStore(MemoryDisk& disk) : disk_(disk) {}
    [[nodiscard]] base::Result<StoredRows, StoreError> load() override;
    [[nodiscard]] base::Result<void, StoreError> commit(const Commit& batch) override;
    [[nodiscard]] base::Result<std::vector<Page>, StoreError> read(LogId log, Position from,
                                                                   std::uint64_t bytes_max) override;

  private:
    MemoryDisk& disk_;
    bool failed_ = false;
};

}  // namespace routing::queue
