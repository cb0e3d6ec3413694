// One thread that does what the durable engine asks of its store, in order, and answers by mail.
// Leaves to others: what is asked (routing/queue), waking the loop (the callback), the store itself.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "gateway/store/rocksdb_store.h"
#include "routing/queue/queue_store.h"
#include "routing/queue/recovery.h"
#include "routing/types.h"

namespace gateway::store {

/// The answer to open(): what the store holds, or why it could not be opened.
struct StoreOpened {
    base::Result<routing::queue::RecoveredState, StoreFailure> result;
};

/// A store that was opened, and how to ask it for words about its last error (called on the same thread; may be empty).
struct OpenedStore {
    std::unique_ptr<routing::queue::QueueStore> store;
    std::function<std::string()> explain;
};

/// What the thread sends back, in the order of what it was asked.
using StoreAnswer = std::variant<StoreOpened, routing::queue::StoreDone>;

/// Owns the thread and, on it, the store.
///
/// Commits that wait together are written as one (group commit): one write, one sync, all or nothing together, each
/// answered on its own.  After the failure of a commit the store is closed and every command is answered `closed` until
/// open() is called again, which opens it anew and reads what is there.
/// Threads: all functions belong to one thread, the owner's; `wake` and `open_store` are called on the store's.
class StoreThread {
  public:
    /// Opens the store.  Blocks; called on the store's thread, once per open().
    using OpenStore = std::function<base::Result<OpenedStore, StoreFailure>()>;
    /// Says that there are answers where there were none: must get the owner to call take_answers() soon, and not
    /// block.
    using Wake = std::function<void()>;

    /// Commands that may wait.  Unit: commands.  Source: the engine has one commit and a few reads on their way.
    static constexpr std::size_t commands_max = 4096;
    /// How much is written as one.  Unit: bytes of pages and rows.  Source: above it a sync is bound by the bytes, not
    /// by their being one write (performance.md: 150-320 us up to 100 KB).
    static constexpr std::size_t group_bytes_max = 4u << 20;

    /// Starts the thread; nothing is opened yet.  `self` is this gateway, whose own records recovery tells apart.
    StoreThread(const routing::GatewayId& self, OpenStore open_store, Wake wake);
    /// stop().
    ~StoreThread();
    StoreThread(const StoreThread&) = delete;
    StoreThread& operator=(const StoreThread&) = delete;

    /// Opens the store (again) and reads what is there; a StoreOpened follows.
    void open();

    /// Hands over a command; a StoreDone with its id follows.
    /// Errors: false if commands_max are waiting or stop() was called: `command` is untouched.
    [[nodiscard]] bool try_execute(routing::queue::StoreCommand& command);

    /// Moves all answers that are there to the end of `out`.
    void take_answers(std::vector<StoreAnswer>& out);

    /// What the store said about its last error, for the operator; empty if there was none since open().
    [[nodiscard]] std::string failure() const;

    /// Does all that was asked, syncs, closes the store and ends the thread.  Answers can still be taken.
    /// Blocks: for as long as that takes.
    void stop();

    /// How many commits went into how many writes, since the start.
    struct Counters {
        std::uint64_t commits = 0;
        std::uint64_t writes = 0;
        std::uint64_t syncs = 0;
        std::uint64_t reads = 0;
    };
    [[nodiscard]] Counters counters() const;

  private:
    struct Open {};
    using Order = std::variant<Open, routing::queue::StoreCommand>;

    void run();
    void answer(std::vector<StoreAnswer>&& answers);
    void open_now(std::vector<StoreAnswer>& answers);
    void execute_one(const routing::queue::StoreCommand& command, std::vector<StoreAnswer>& answers);
    std::size_t execute_group(std::deque<Order>& orders, std::vector<StoreAnswer>& answers);
    void note_failure();
    void close_failed();

    const routing::GatewayId self_;
    const OpenStore open_store_;
    const Wake wake_;

    mutable std::mutex mutex_;
    std::condition_variable ordered_;
    std::deque<Order> orders_;          // guarded by mutex_
    std::vector<StoreAnswer> answers_;  // guarded by mutex_
    std::string failure_;               // guarded by mutex_
    Counters counters_;                 // guarded by mutex_
    bool stopping_ = false;             // guarded by mutex_

    OpenedStore opened_;            // the store thread's
    routing::queue::Commit group_;  // the store thread's; keeps its memory
    std::thread thread_;
};

/// What StoreThread needs to keep a RocksDB store in `folder`.
[[nodiscard]] StoreThread::OpenStore open_rocksdb(std::string folder, RocksdbOptions options = {});

}  // namespace gateway::store
