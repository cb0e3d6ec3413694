#include "routing/queue/memory_store.h"

#include <memory>
#include <utility>

#include "routing/base/check.h"

namespace routing::queue {

void MemoryImage::apply(const Commit& batch) {
    for (const PageWrite& write : batch.pages)
        logs[static_cast<std::size_t>(write.log)][write.page.first] = write.page.bytes;
    for (const RowWrite& row : batch.rows) {
        auto& table = tables[static_cast<std::size_t>(row.table)];
        if (row.erase) {
            table.erase(row.key);
        } else {
            table[row.key] = row.value;
        }
    }
    for (const Trim& trim : batch.trims) {
        auto& log = logs[static_cast<std::size_t>(trim.log)];
        log.erase(log.begin(), log.lower_bound(trim.before));
    }
}

void MemoryDisk::crash(std::size_t kept) {
    for (std::size_t i = 0; i < unsynced_.size() && i < kept; ++i) synced_.apply(unsynced_[i]);
    unsynced_.clear();
    live_ = synced_;
    fault_.reset();
}

void MemoryDisk::restore(const MemoryImage& image) {
    synced_ = image;
    live_ = image;
    unsynced_.clear();
    fault_.reset();
}

void MemoryDisk::fail_after(std::size_t good, bool applied, StoreError error) {
    fault_ = Fault{good, applied, error};
}

void MemoryDisk::damage_page_for_test(LogId log, Position first) {
    for (MemoryImage* image : {&synced_, &live_}) {
        auto& pages = image->logs[static_cast<std::size_t>(log)];
        const auto found = pages.find(first);
        if (found == pages.end()) continue;
        base::Bytes bytes = *found->second;
        bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 0x40);
        found->second = std::make_shared<const base::Bytes>(std::move(bytes));
    }
}

base::Result<StoredRows, StoreError> MemoryStore::load() {
    StoredRows rows;
    for (std::size_t table = 1; table <= static_cast<std::size_t>(table_last); ++table)
        for (const auto& [key, value] : disk_.live_.tables[table]) rows.rows[table - 1].push_back(Row{key, value});
    return rows;
}

base::Result<void, StoreError> MemoryStore::commit(const Commit& batch) {
    BASE_CHECK(!failed_);
    for (const PageWrite& write : batch.pages) BASE_CHECK(write.page.bytes != nullptr && write.page.first > 0);
    if (disk_.fault_.has_value()) {
        if (disk_.fault_->good == 0) {
            const MemoryDisk::Fault fault = *disk_.fault_;
            disk_.fault_.reset();
            failed_ = true;
            if (fault.applied) {
                disk_.live_.apply(batch);
                disk_.unsynced_.push_back(batch);
            }
            return base::failure(fault.error);
        }
        --disk_.fault_->good;
    }
    disk_.live_.apply(batch);
    disk_.unsynced_.push_back(batch);
    if (batch.sync) {
        for (const Commit& unsynced : disk_.unsynced_) disk_.synced_.apply(unsynced);
        disk_.unsynced_.clear();
    }
    return {};
}

base::Result<std::vector<Page>, StoreError> MemoryStore::read(LogId log, Position from, std::uint64_t bytes_max) {
    const auto& pages = disk_.live_.logs[static_cast<std::size_t>(log)];
    std::vector<Page> out;
    auto at = pages.upper_bound(from);
    if (at != pages.begin()) --at;
    std::uint64_t bytes = 0;
    for (; at != pages.end() && (out.empty() || bytes < bytes_max); ++at) {
        out.push_back(Page{at->first, at->second});
        bytes += at->second->size();
    }
    return out;
}

}  // namespace routing::queue
