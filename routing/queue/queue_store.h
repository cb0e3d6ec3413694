// The narrow interface between the durable engine (routing/queue, pure) and what keeps its bytes.  Commands are values:
// the engine emits them, a store executes them in the order of their ids, the results come back in the same order. A
// store knows two things: *logs*, which hold pages in the order of their first positions, and *tables*, which hold
// small rows.  Both are opaque bytes to it; page.h and rows.h of this room write and read them. Two implementations:
// routing/queue/memory_store (forgets what was not synced) and gateway/store/rocksdb_store.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "routing/base/bytes.h"
#include "routing/base/result.h"

namespace routing::queue {

/// A place in a log.  The first record of a log has position 1; 0 is "none yet".
using Position = std::uint64_t;

/// The logs of one gateway.  Every log is an ordered map: first position of a page -> the page's bytes.
enum class LogId : std::uint8_t {
    origin = 1,  ///< what entered the tree at this gateway, kept until every target has it
    local = 2,   ///< what is to be delivered to this gateway's own subscribers
};

/// The tables of one gateway.  Every table is an ordered map of bytes to bytes; rows.h draws keys and values.
/// The numbers are on disk: never reuse one.
enum class Table : std::uint8_t {
    meta = 1,        ///< marks and counters of this gateway
    runs = 2,        ///< origin: H, the list of (run, first position)
    targets = 3,     ///< origin: per target `last` and `floor`, for good
    segments = 4,    ///< origin: what a stretch of pages holds for whom, so that a restart need not read them
    watermarks = 5,  ///< target: W per (origin, run)
    losses = 6,      ///< target: LOSS (W, floor] of an origin
    readers = 7,     ///< local queue: durable interest, one row per reader
    cursors = 8,     ///< local queue: how far a reader has come
    remembered = 9,  ///< origin: other gateways' interest, as it was last known
};
inline constexpr Table table_last = Table::remembered;

/// Immutable bytes of a page, shared between the engine's tail of recent pages and the store's thread.
using PageBytes = std::shared_ptr<const base::Bytes>;

struct Page {
    Position first = 0;  ///< position of its first record; the key
    PageBytes bytes;     ///< never null
};

struct PageWrite {
    LogId log = LogId::origin;
    Page page;
};

/// Writes `value` at `key`, or takes the row away.
struct RowWrite {
    Table table = Table::meta;
    base::Bytes key;
    base::Bytes value;
    bool erase = false;
};

/// Takes away all pages of `log` whose first position is below `before`.
struct Trim {
    LogId log = LogId::origin;
    Position before = 0;
};

using CommandId = std::uint64_t;

/// One batch.  All or nothing, whatever happens: after a crash either everything in it is there or nothing of it, and a
/// batch is there only if every batch before it is.
/// `sync`: on disk (fdatasync or better) before the result is given; it and every batch before it then survive the
/// crash of the process and of the machine.  Without `sync` it survives the crash of the process only if the
/// implementation says so (RocksDB: yes, once executed; memory twin: no), and of the machine only once a later batch
/// was synced. `pages` are ascending per log and follow what the log holds; rows are applied in order (a later one
/// wins); trims last.
struct Commit {
    CommandId id = 0;
    bool sync = true;
    std::vector<PageWrite> pages;
    std::vector<RowWrite> rows;
    std::vector<Trim> trims;
    [[nodiscard]] bool empty() const { return pages.empty() && rows.empty() && trims.empty(); }
};

/// Reads pages of a log in ascending order: first the page with the largest first position <= `from` if there is one,
/// then those after it, until `bytes_max` is passed.  Gives at least one page if there is one at or after that place,
/// however large it is; gives none only at the end of the log.  Sees every batch executed before it.
struct Read {
    CommandId id = 0;
    LogId log = LogId::origin;
    Position from = 0;
    std::uint64_t bytes_max = 0;  ///< unit: bytes of pages
};

using StoreCommand = std::variant<Commit, Read>;

/// What can go wrong in a store.
enum class StoreError : std::uint8_t {
    io,    ///< a write, sync or read failed: nothing since the last good sync may be relied on until it is opened again
    full,  ///< no space left; treated as `io` by the engine, told apart for the operator
    damaged,  ///< what was read is not what was written
    closed,   ///< the store was shut down before the command was executed
};

/// The answer to one command.
struct StoreDone {
    CommandId id = 0;
    base::Result<void, StoreError> result;
    std::vector<Page> pages;  ///< Read only
};

struct Row {
    base::Bytes key;
    base::Bytes value;
};

/// Everything that is in the tables: rows[table - 1], ascending by key (bytes compared as unsigned).
struct StoredRows {
    std::vector<Row> rows[static_cast<std::size_t>(table_last)];
    [[nodiscard]] const std::vector<Row>& of(Table table) const { return rows[static_cast<std::size_t>(table) - 1]; }
};

/// The store itself.
/// Threads: one, which may block in it (the store thread; the simulator has only one thread).
/// Errors: after any error of commit() the object is good for nothing but being destroyed; what a new one over the same
/// place finds is a prefix of the batches given so far that holds all that were synced.
class QueueStore {
  public:
    virtual ~QueueStore() = default;
    /// All rows.  Called once, before any commit.
    [[nodiscard]] virtual base::Result<StoredRows, StoreError> load() = 0;
    [[nodiscard]] virtual base::Result<void, StoreError> commit(const Commit& batch) = 0;
    [[nodiscard]] virtual base::Result<std::vector<Page>, StoreError> read(LogId log, Position from,
                                                                           std::uint64_t bytes_max) = 0;
};

/// Executes one command and gives its answer: what a store thread does with what it is sent.
inline StoreDone execute(QueueStore& store, const StoreCommand& command) {
    StoreDone done;
    if (const auto* commit = std::get_if<Commit>(&command)) {
        done.id = commit->id;
        done.result = store.commit(*commit);
        return done;
    }
    const auto& read = std::get<Read>(command);
    done.id = read.id;
    auto pages = store.read(read.log, read.from, read.bytes_max);
    if (pages.ok()) {
        done.pages = std::move(pages).value();
    } else {
        done.result = base::failure(pages.error());
    }
    return done;
}

}  // namespace routing::queue
