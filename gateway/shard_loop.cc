#include "gateway/shard_loop.h"

#include <algorithm>
#include <string>
#include <utility>

#include "gateway/identity.h"
#include "gateway/io/signal_watcher.h"

namespace gateway {

namespace {

template <typename... Functions>
struct Overloaded : Functions... {
    using Functions::operator()...;
};
template <typename... Functions>
Overloaded(Functions...) -> Overloaded<Functions...>;  // clang 14 wants it said

}  // namespace

ShardLoop::ShardLoop(ShardOptions options, const compat::SessionSettings& settings, ShardPost& post,
                     std::span<const std::unique_ptr<ShardLoop>> siblings, io::Mailbox& control, Log& log)
    : log_(log),
      siblings_(siblings),
      control_(control),
      settings_(settings),
      shard_(options, settings_, post, *this, base::Prng(random_number())) {
    mailbox_ = io::Mailbox(loop_, [this] { on_wake(); });
    timer_ = io::Timer(loop_, [this] { tick(); });
    loop_.set_turn_end([this] { end_turn(); });
}

ShardLoop::~ShardLoop() {
    join();
    if (tree_) tree_->stop();
}

void ShardLoop::start() {
    const io::SignalsBlocked blocked;  // a new thread has its creator's mask
    thread_ = std::thread([this] { loop_.run(); });
}

void ShardLoop::join() {
    if (thread_.joinable()) thread_.join();
}

void ShardLoop::log(const Client& client, LogLevel level, std::string_view text) {
    if (!log_.writes(level)) return;
    log_.write(level, client_log_prefix(socket_of(client).remote_address(), client.session, settings_.account_name) +
                          std::string(text));
}

/// Mail of the control loop first: it is rare, and a client that it brings may be named by what follows.
void ShardLoop::on_wake() {
    while (auto mail = inbox_.receive()) {
        std::visit(Overloaded{
                       [this](AdoptClient& client) { adopt(std::move(client)); },
                       [this](ChangeSettings& settings) { change(settings); },
                       [this](AnnounceLameDuck&) {
                           await_clients();
                           lame_duck_ = true;
                           shard_.announce(true);
                           if (tree_) tree_->leave();
                       },
                       [this](EndSome& some) {
                           shard_.drain_mail(loop_.now());  // what is there for them goes out first
                           shard_.end_some(some.count, some.reason);
                       },
                       [this](EndClients&) {
                           await_clients();
                           if (tree_) tree_->close_listener();
                           shard_.drain_mail(loop_.now());
                           shard_.end_all(compat::NatsError::server_shutdown);
                       },
                       [this](PartTree&) { part_tree(); },
                       [this](Leave&) {
                           leaving_ = true;
                           loop_.stop();
                       },
                   },
                   *mail);
    }
    shard_.drain_mail(loop_.now());
}

void ShardLoop::change(const ChangeSettings& mail) {
    settings_ = *mail.session;
    shard_.settings_changed();
    shard_.change(mail.shard);
    if (mail.announce) shard_.announce(false);
    if (!mail.tree) return;
    shard_.router().set_queue_policies(mail.tree->queue_policies);
    if (tree_) tree_->change(*mail.tree);
}

void ShardLoop::await_clients() {
    awaited_ = true;
    asked_ = true;
}

void ShardLoop::adopt(AdoptClient&& mail) {
    if (log_.writes(LogLevel::debug)) {
        log_.debug(mail.socket.remote_address() + " - cid:" + std::to_string(mail.id) + " - Client connection created");
    }
    const bool refused = mail.refused;
    sockets_.emplace_back();
    const auto place = std::prev(sockets_.end());
    *place = std::make_unique<ClientSocket>(
        loop_, std::move(mail.socket), shard_, mail.id, [this, place](ClientSocket& gone, io::CloseReason) {
            std::erase_if(closing_, [&](const Closing& closing) { return closing.socket == &gone; });
            ++(gone.refused() ? gone_refused_ : gone_);
            sockets_.erase(place);
        });
    if (refused) {
        (*place)->set_refused();
        shard_.end((*place)->client(), compat::NatsError::too_many_connections);
    }
}

/// What the clients took is told first, then the goodbye; what that publishes goes out as well.
void ShardLoop::part_tree() {
    parting_ = true;
    shard_.drain_mail(loop_.now());
    shard_.end_turn(loop_.now());
    tree_->part();
    shard_.end_turn(loop_.now());
}

void ShardLoop::tick() {
    const auto now = loop_.now();
    if (shard_.next_deadline() <= now) shard_.tick(now);
    if (tree_ && tree_->next_deadline() <= now) tree_->tick(now);
}

void ShardLoop::end_turn() {
    if (leaving_) return;
    const auto now = loop_.now();
    shard_.end_turn(now);
    for (const auto& [socket, after_flush] : std::exchange(closing_, {})) socket->close(after_flush);
    auto deadline = shard_.next_deadline();
    if (tree_) {
        tree_->end_turn();
        deadline = std::min(deadline, tree_->next_deadline());
    }
    report();
    if (deadline == timer_deadline_ && timer_.is_set()) return;
    timer_deadline_ = deadline;
    timer_.set_at(deadline);
}

/// Tells the control loop what it may wait for.
void ShardLoop::report() {
    bool news = std::exchange(asked_, false);
    const auto publish = [&news](auto& told, auto value) {
        if (told.load(std::memory_order_relaxed) == value) return;
        told.store(value, std::memory_order_release);
        news = true;
    };
    publish(clients_gone_, gone_);
    publish(refused_gone_, gone_refused_);
    publish(tree_left_, lame_duck_ && (!tree_ || tree_->left_alone()));
    publish(tree_finished_, parting_ && tree_->finished());
    if (news && awaited_) control_.wake();
}

}  // namespace gateway
