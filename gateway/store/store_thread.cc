#include "gateway/store/store_thread.h"

#include <iterator>
#include <utility>

namespace gateway::store {

using routing::queue::Commit;
using routing::queue::PageWrite;
using routing::queue::RowWrite;
using routing::queue::StoreCommand;
using routing::queue::StoreDone;
using routing::queue::StoreError;

namespace {

std::size_t bytes_of(const Commit& commit) {
    std::size_t bytes = 0;
    for (const PageWrite& write : commit.pages) bytes += write.page.bytes->size();
    for (const RowWrite& row : commit.rows) bytes += row.key.size() + row.value.size();
    return bytes;
}

template <typename T>
void move_to_end(std::vector<T>& to, std::vector<T>& from) {
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

StoreDone done_with(routing::queue::CommandId id, const base::Result<void, StoreError>& result) {
    StoreDone done;
    done.id = id;
    done.result = result;
    return done;
}

}  // namespace

StoreThread::StoreThread(const routing::GatewayId& self, OpenStore open_store, Wake wake)
    : self_(self), open_store_(std::move(open_store)), wake_(std::move(wake)), thread_([this] { run(); }) {}

StoreThread::~StoreThread() {
    stop();
}

void StoreThread::open() {
    {
        const std::lock_guard lock(mutex_);
        if (stopping_) return;
        orders_.emplace_back(Open{});
    }
    ordered_.notify_one();
}

bool StoreThread::try_execute(StoreCommand& command) {
    {
        const std::lock_guard lock(mutex_);
        if (stopping_ || orders_.size() >= commands_max) return false;
        orders_.emplace_back(std::move(command));
    }
    ordered_.notify_one();
    return true;
}

void StoreThread::take_answers(std::vector<StoreAnswer>& out) {
    const std::lock_guard lock(mutex_);
    move_to_end(out, answers_);
    answers_.clear();
}

std::string StoreThread::failure() const {
    const std::lock_guard lock(mutex_);
    return failure_;
}

StoreThread::Counters StoreThread::counters() const {
    const std::lock_guard lock(mutex_);
    return counters_;
}

void StoreThread::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    ordered_.notify_one();
    if (thread_.joinable()) thread_.join();
}

// ---- On the store's thread ------------------------------------------------------------------------------------------

void StoreThread::run() {
    std::deque<Order> orders;
    std::vector<StoreAnswer> answers;
    for (;;) {
        {
            std::unique_lock lock(mutex_);
            ordered_.wait(lock, [this] { return stopping_ || !orders_.empty(); });
            if (orders_.empty()) break;
            std::swap(orders, orders_);
        }
        while (!orders.empty()) {
            answers.clear();
            std::size_t taken = 1;
            if (std::holds_alternative<Open>(orders.front())) {
                open_now(answers);
            } else {
                taken = execute_group(orders, answers);
            }
            orders.erase(orders.begin(), orders.begin() + static_cast<std::ptrdiff_t>(taken));
            answer(std::move(answers));
        }
    }
    opened_ = {};  // syncs and closes
}

void StoreThread::answer(std::vector<StoreAnswer>&& answers) {
    bool first = false;
    {
        const std::lock_guard lock(mutex_);
        first = answers_.empty();
        move_to_end(answers_, answers);
    }
    if (first) wake_();
}

void StoreThread::open_now(std::vector<StoreAnswer>& answers) {
    opened_ = {};
    {
        const std::lock_guard lock(mutex_);
        failure_.clear();
    }
    auto opened = open_store_();
    if (!opened.ok()) {
        answers.emplace_back(StoreOpened{base::failure(opened.error())});
        return;
    }
    opened_ = std::move(opened).value();
    auto recovered = routing::queue::recover(*opened_.store, self_);
    if (recovered.ok()) {
        answers.emplace_back(StoreOpened{std::move(recovered).value()});
        return;
    }
    note_failure();
    StoreFailure why{recovered.error(), failure()};
    if (why.text.empty()) why.text = "a row is not one that this version wrote";
    opened_ = {};
    answers.emplace_back(StoreOpened{base::failure(std::move(why))});
}

// Executes the command at the front; if it is a commit, with those commits right behind it.  Returns how many it took.
std::size_t StoreThread::execute_group(std::deque<Order>& orders, std::vector<StoreAnswer>& answers) {
    const auto commit_at = [&](std::size_t at) -> Commit* {
        auto* command = at < orders.size() ? std::get_if<StoreCommand>(&orders[at]) : nullptr;
        return command == nullptr ? nullptr : std::get_if<Commit>(command);
    };
    if (commit_at(0) == nullptr || commit_at(1) == nullptr) {
        execute_one(std::get<StoreCommand>(orders.front()), answers);
        return 1;
    }
    group_.pages.clear();
    group_.rows.clear();
    group_.trims.clear();
    group_.sync = false;
    std::size_t bytes = 0;
    std::size_t taken = 0;
    for (; bytes < group_bytes_max; ++taken) {
        Commit* commit = commit_at(taken);
        if (commit == nullptr) break;
        bytes += bytes_of(*commit);
        group_.id = commit->id;
        group_.sync = group_.sync || commit->sync;
        move_to_end(group_.pages, commit->pages);
        move_to_end(group_.rows, commit->rows);
        move_to_end(group_.trims, commit->trims);
    }
    const base::Result<void, StoreError> result =
        opened_.store == nullptr ? base::Result<void, StoreError>(base::failure(StoreError::closed))
                                 : opened_.store->commit(group_);
    {
        const std::lock_guard lock(mutex_);
        counters_.commits += taken;
        ++counters_.writes;
        counters_.syncs += group_.sync ? 1 : 0;
    }
    group_.pages.clear();  // lets go of the engine's pages
    if (!result.ok()) close_failed();
    for (std::size_t at = 0; at < taken; ++at) answers.emplace_back(done_with(commit_at(at)->id, result));
    return taken;
}

void StoreThread::execute_one(const StoreCommand& command, std::vector<StoreAnswer>& answers) {
    const auto* commit = std::get_if<Commit>(&command);
    {
        const std::lock_guard lock(mutex_);
        if (commit == nullptr) {
            ++counters_.reads;
        } else {
            ++counters_.commits;
            ++counters_.writes;
            counters_.syncs += commit->sync ? 1 : 0;
        }
    }
    if (opened_.store == nullptr) {
        const routing::queue::CommandId id =
            commit != nullptr ? commit->id : std::get<routing::queue::Read>(command).id;
        answers.emplace_back(done_with(id, base::failure(StoreError::closed)));
        return;
    }
    StoreDone done = routing::queue::execute(*opened_.store, command);
    if (!done.result.ok()) {
        if (commit != nullptr) {
            close_failed();
        } else {
            note_failure();
        }
    }
    answers.emplace_back(std::move(done));
}

// Keeps the first words of the store about what went wrong.
void StoreThread::note_failure() {
    if (opened_.store == nullptr || !opened_.explain) return;
    std::string text = opened_.explain();
    const std::lock_guard lock(mutex_);
    if (failure_.empty()) failure_ = std::move(text);
}

// After a failed commit the store is good for nothing but being closed (queue_store.h).
void StoreThread::close_failed() {
    note_failure();
    opened_ = {};
}

StoreThread::OpenStore open_rocksdb(std::string folder, RocksdbOptions options) {
    return [folder = std::move(folder), options]() -> base::Result<OpenedStore, StoreFailure> {
        auto store = RocksdbStore::open(folder, options);
        if (!store.ok()) return base::failure(store.error());
        const RocksdbStore* borrowed = store.value().get();
        OpenedStore opened;
        opened.store = std::move(store).value();
        opened.explain = [borrowed] { return borrowed->failure(); };
        return opened;
    };
}

}  // namespace gateway::store
