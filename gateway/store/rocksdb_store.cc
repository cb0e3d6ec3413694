#include "gateway/store/rocksdb_store.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include "routing/base/bytes.h"
#include "routing/base/check.h"

namespace gateway::store {

using routing::queue::Commit;
using routing::queue::LogId;
using routing::queue::Page;
using routing::queue::Position;
using routing::queue::Row;
using routing::queue::RowWrite;
using routing::queue::StoredRows;
using routing::queue::StoreError;
using routing::queue::Table;

namespace {

// ---- Layout (README.md draws it) ------------------------------------------------------------------------------------

constexpr char family_origin[] = "origin";
constexpr char family_local[] = "local";
constexpr LogId logs[] = {LogId::origin, LogId::local};

// Keys of the family of tables begin with the table's number; 0 is this file's own.
constexpr char own_rows = 0;
const std::string format_key{own_rows, 'f'};
constexpr std::uint64_t format_version = 1;

std::string mark_key(LogId log) {
    return {own_rows, 't', static_cast<char>(log)};
}

std::string number(std::uint64_t value) {
    std::string out;
    base::append_big_endian_64(out, value);
    return out;
}

bool read_number(const rocksdb::Slice& slice, std::uint64_t& value) {
    base::ByteView view(slice.data(), slice.size());
    return base::read_big_endian_64(view, value) && view.empty();
}

void row_key(std::string& out, Table table, base::ByteView key) {
    out.assign(1, static_cast<char>(table));
    out += key;
}

// ---- Options --------------------------------------------------------------------------------------------------------

rocksdb::DBOptions db_options(const RocksdbOptions& options) {
    rocksdb::DBOptions db;
    db.create_if_missing = true;
    db.create_missing_column_families = true;
    db.paranoid_checks = true;
    // What opens is a consistent prefix even if the machine lost power in the middle of a write.
    db.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
    // track_and_verify_wals_in_manifest stays off: it makes every synced commit 30 times slower (3.9 ms, not 0.14), as
    // the manifest is then written and synced, too.
    db.max_total_wal_size = options.wal_bytes_max;
    db.allow_concurrent_memtable_write = false;  // one writer
    db.max_background_jobs = 2;
    db.max_open_files = 64;
    db.bytes_per_sync = 1u << 20;
    db.skip_stats_update_on_db_open = true;
    db.stats_dump_period_sec = 0;
    db.stats_persist_period_sec = 0;
    db.max_manifest_file_size = 1u << 20;
    db.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
    db.max_log_file_size = 1u << 20;
    db.keep_log_file_num = 2;
    return db;
}

// Pages are opaque and come in ascending order: nothing to compress cheaply, nothing to look up by filter.
rocksdb::ColumnFamilyOptions log_options(const RocksdbOptions& options, const std::shared_ptr<rocksdb::Cache>& cache) {
    rocksdb::ColumnFamilyOptions family;
    family.write_buffer_size = options.memtable_bytes;
    family.max_write_buffer_number = 3;
    family.compression = rocksdb::kNoCompression;
    family.target_file_size_base = options.memtable_bytes;
    family.max_bytes_for_level_base = 16 * options.memtable_bytes;
    family.level0_file_num_compaction_trigger = 4;
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = cache;
    table.block_size = 16u << 10;
    family.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    return family;
}

rocksdb::ColumnFamilyOptions tables_options(const RocksdbOptions& options,
                                            const std::shared_ptr<rocksdb::Cache>& cache) {
    rocksdb::ColumnFamilyOptions family = log_options(options, cache);
    family.write_buffer_size = options.memtable_bytes / 2;
    family.max_write_buffer_number = 2;
    return family;
}

rocksdb::ReadOptions read_options() {
    rocksdb::ReadOptions options;
    options.verify_checksums = true;
    options.fill_cache = false;
    return options;
}

StoreError kind_of(const rocksdb::Status& status) {
    if (status.IsNoSpace()) return StoreError::full;
    if (status.IsCorruption()) return StoreError::damaged;
    if (status.IsShutdownInProgress()) return StoreError::closed;
    return StoreError::io;
}

}  // namespace

// ---- Opening and closing --------------------------------------------------------------------------------------------

RocksdbStore::RocksdbStore(RocksdbOptions options) : options_(options) {}

base::Result<std::unique_ptr<RocksdbStore>, StoreFailure> RocksdbStore::open(const std::string& folder,
                                                                             RocksdbOptions options) {
    std::error_code wrong;
    std::filesystem::create_directories(folder, wrong);
    if (wrong) return base::failure(StoreFailure{StoreError::io, folder + ": " + wrong.message()});

    const std::shared_ptr<rocksdb::Cache> cache = rocksdb::NewLRUCache(options.block_cache_bytes, 0);
    const std::vector<rocksdb::ColumnFamilyDescriptor> descriptors{
        {rocksdb::kDefaultColumnFamilyName, tables_options(options, cache)},
        {family_origin, log_options(options, cache)},
        {family_local, log_options(options, cache)},
    };
    std::unique_ptr<RocksdbStore> store(new RocksdbStore(options));
    rocksdb::DB* db = nullptr;
    rocksdb::Status status = rocksdb::DB::Open(db_options(options), folder, descriptors, &store->families_, &db);
    if (status.ok()) {
        store->db_.reset(db);
        store->log_of(LogId::origin).family = store->families_[1];
        store->log_of(LogId::local).family = store->families_[2];
        status = store->read_marks();
    }
    if (!status.ok()) return base::failure(StoreFailure{kind_of(status), folder + ": " + status.ToString()});
    return store;
}

RocksdbStore::~RocksdbStore() {
    if (!db_) return;
    if (!failed_) static_cast<void>(db_->SyncWAL());
    for (rocksdb::ColumnFamilyHandle* family : families_) static_cast<void>(db_->DestroyColumnFamilyHandle(family));
    static_cast<void>(db_->Close());
}

// Reads this file's own rows, or writes them into a new store.
rocksdb::Status RocksdbStore::read_marks() {
    std::string value;
    rocksdb::Status status = db_->Get(read_options(), format_key, &value);
    if (status.IsNotFound()) {
        rocksdb::WriteOptions synced;
        synced.sync = true;
        return db_->Put(synced, format_key, number(format_version));
    }
    if (!status.ok()) return status;
    std::uint64_t version = 0;
    if (!read_number(value, version) || version != format_version) {
        return rocksdb::Status::Corruption("the store's format is not one that this version knows");
    }
    for (const LogId id : logs) {
        status = db_->Get(read_options(), mark_key(id), &value);
        if (status.IsNotFound()) continue;
        if (!status.ok()) return status;
        Log& log = log_of(id);
        if (!read_number(value, log.trimmed)) return rocksdb::Status::Corruption("a trim mark is not a number");
    }
    return rocksdb::Status::OK();
}

RocksdbStore::Log& RocksdbStore::log_of(LogId log) {
    const auto at = static_cast<std::size_t>(log);
    BASE_CHECK(at >= 1 && at < std::size(logs_));
    return logs_[at];
}

// A failed read says nothing about what was written, so the store stays in use.
StoreError RocksdbStore::fail_reading(const rocksdb::Status& status) {
    failure_ = status.ToString();
    return kind_of(status);
}

// After a failed write or sync nobody knows what is on the disk before it was opened again.
StoreError RocksdbStore::fail_writing(const rocksdb::Status& status) {
    failed_ = true;
    failure_ = status.ToString();
    return kind_of(status);
}

// ---- Reading --------------------------------------------------------------------------------------------------------

base::Result<StoredRows, StoreError> RocksdbStore::load() {
    if (failed_) return base::failure(StoreError::closed);
    StoredRows stored;
    const std::unique_ptr<rocksdb::Iterator> rows(db_->NewIterator(read_options(), families_[0]));
    for (rows->Seek(std::string(1, own_rows + 1)); rows->Valid(); rows->Next()) {
        const rocksdb::Slice key = rows->key();
        const auto table = static_cast<std::size_t>(static_cast<unsigned char>(key[0]));
        if (table > static_cast<std::size_t>(routing::queue::table_last)) {
            return base::failure(
                fail_reading(rocksdb::Status::Corruption("a row of a table that this version does not know")));
        }
        stored.rows[table - 1].push_back(Row{std::string(key.data() + 1, key.size() - 1), rows->value().ToString()});
    }
    if (!rows->status().ok()) return base::failure(fail_reading(rows->status()));
    return stored;
}

base::Result<std::vector<Page>, StoreError> RocksdbStore::read(LogId id, Position from, std::uint64_t bytes_max) {
    if (failed_) return base::failure(StoreError::closed);
    const Log& log = log_of(id);
    // The mark bounds the scan, so what is trimmed costs nothing to pass by.
    const std::string mark = number(log.trimmed);
    const rocksdb::Slice lower(mark);
    rocksdb::ReadOptions options = read_options();
    options.iterate_lower_bound = &lower;
    const std::unique_ptr<rocksdb::Iterator> pages(db_->NewIterator(options, log.family));
    pages->SeekForPrev(number(from));
    if (!pages->Valid() && pages->status().ok()) pages->Seek(number(std::max(from, log.trimmed)));
    std::vector<Page> found;
    std::uint64_t bytes = 0;
    for (; pages->Valid() && (found.empty() || bytes < bytes_max); pages->Next()) {
        Page page;
        if (!read_number(pages->key(), page.first)) {
            return base::failure(fail_reading(rocksdb::Status::Corruption("a page's key is not a position")));
        }
        page.bytes = std::make_shared<const base::Bytes>(pages->value().data(), pages->value().size());
        bytes += page.bytes->size();
        found.push_back(std::move(page));
    }
    if (!pages->status().ok()) return base::failure(fail_reading(pages->status()));
    return found;
}

// ---- Writing --------------------------------------------------------------------------------------------------------

base::Result<void, StoreError> RocksdbStore::commit(const Commit& batch) {
    if (failed_) return base::failure(StoreError::closed);
    std::size_t bytes = 64;
    for (const routing::queue::PageWrite& write : batch.pages) bytes += 32 + write.page.bytes->size();
    for (const RowWrite& row : batch.rows) bytes += 32 + row.key.size() + row.value.size();
    rocksdb::WriteBatch writes(bytes);
    rocksdb::Status status;
    for (const routing::queue::PageWrite& write : batch.pages) {
        if (status.ok()) status = writes.Put(log_of(write.log).family, number(write.page.first), *write.page.bytes);
    }
    std::string key;
    for (const RowWrite& row : batch.rows) {
        if (!status.ok()) break;
        row_key(key, row.table, row.key);
        status = row.erase ? writes.Delete(families_[0], key) : writes.Put(families_[0], key, row.value);
    }
    if (status.ok()) status = add_trims(batch, writes);
    if (status.ok() && writes.Count() > 0) {
        rocksdb::WriteOptions options;
        options.sync = batch.sync;
        status = db_->Write(options, &writes);
    } else if (status.ok() && batch.sync) {
        status = db_->SyncWAL();
    }
    if (!status.ok()) return base::failure(fail_writing(status));
    if (batch.sync) {
        for (const LogId id : logs) log_of(id).trimmed_synced = log_of(id).trimmed;
        sweep();
    }
    return {};
}

// In the batch: the mark, and a range deletion, so that what is still in the memtable is never written to a file.
rocksdb::Status RocksdbStore::add_trims(const Commit& batch, rocksdb::WriteBatch& writes) {
    for (const routing::queue::Trim& trim : batch.trims) {
        Log& log = log_of(trim.log);
        if (trim.before <= log.trimmed) continue;
        rocksdb::Status status = writes.DeleteRange(log.family, number(log.trimmed), number(trim.before));
        if (status.ok()) status = writes.Put(families_[0], mark_key(trim.log), number(trim.before));
        if (!status.ok()) return status;
        log.trimmed = trim.before;
        ++log.trims;
    }
    return rocksdb::Status::OK();
}

// Drops whole files of trimmed pages.  A file that cannot be dropped now is dropped by compaction or by a later sweep,
// so a failure here is none.
void RocksdbStore::sweep() {
    for (const LogId id : logs) {
        Log& log = log_of(id);
        if (log.trims < options_.trims_per_sweep) continue;
        log.trims = 0;
        const std::string begin = number(0);
        const std::string end = number(log.trimmed_synced);
        const rocksdb::Slice first(begin);
        const rocksdb::Slice last(end);
        static_cast<void>(rocksdb::DeleteFilesInRange(db_.get(), log.family, &first, &last, false));
    }
}

// ---- For tests ------------------------------------------------------------------------------------------------------

bool RocksdbStore::flush_for_test() {
    rocksdb::FlushOptions options;
    options.wait = true;
    return db_->Flush(options, families_).ok();
}

void RocksdbStore::hold_still_for_test(bool hold) {
    if (hold) {
        BASE_CHECK(db_->PauseBackgroundWork().ok());
        BASE_CHECK(db_->DisableFileDeletions().ok());
    } else {
        BASE_CHECK(db_->EnableFileDeletions().ok());
        BASE_CHECK(db_->ContinueBackgroundWork().ok());
    }
}

std::size_t RocksdbStore::files_for_test(LogId log) const {
    rocksdb::ColumnFamilyMetaData meta;
    db_->GetColumnFamilyMetaData(logs_[static_cast<std::size_t>(log)].family, &meta);
    return meta.file_count;
}

}  // namespace gateway::store
