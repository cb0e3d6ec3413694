// The store thread of a simulated gateway: takes commands in order, needs time for them, and loses what was not synced
// when its gateway crashes.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <utility>

#include "routing/base/prng.h"
#include "routing/queue/memory_store.h"
#include "routing/queue/queue_store.h"
#include "routing/sim/world.h"

namespace routing::sim {

/// How long the store takes.
struct StoreOptions {
    base::Duration command_max = std::chrono::microseconds(200);  ///< drawn per command
    base::Duration sync_max = std::chrono::milliseconds(8);       ///< in addition for a synced commit
};

/// One opening of a disk.  Threads: one.  Borrows `world` and `disk` for life; `done` is called from the event queue.
class SimStore {
  public:
    using Done = std::function<void(queue::StoreDone)>;

    SimStore(World& world, queue::MemoryDisk& disk, const StoreOptions& options, base::Prng prng, Done done)
        : world_(world), store_(disk), options_(options), prng_(prng), done_(std::move(done)) {}

    [[nodiscard]] queue::QueueStore& store() { return store_; }

    /// The command is executed when all before it were, and answered then.  A crash in between (the SimStore is
    /// destroyed and the disk told to crash) may lose it: what is not synced is on its way to the disk at best.
    void execute(queue::StoreCommand command) {
        commands_.push_back(std::move(command));
        if (commands_.size() == 1) begin();
    }

  private:
    void begin() {
        const auto* commit = std::get_if<queue::Commit>(&commands_.front());
        base::Duration time(prng_.below(static_cast<std::uint64_t>(options_.command_max.count()) + 1));
        if (commit != nullptr && commit->sync)
            time += base::Duration(prng_.below(static_cast<std::uint64_t>(options_.sync_max.count()) + 1));
        world_.after(time, [this, alive = std::weak_ptr<int>(alive_)] {
            if (!alive.expired()) finish();
        });
    }
    void finish() {
        queue::StoreDone done = queue::execute(store_, commands_.front());
        commands_.pop_front();
        if (!commands_.empty()) begin();
        done_(std::move(done));
    }

    World& world_;
    queue::MemoryStore store_;
    StoreOptions options_;
    base::Prng prng_;
    Done done_;
    std::deque<queue::StoreCommand> commands_;
    std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace routing::sim
