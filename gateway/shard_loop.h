// One shard with its thread: an event loop, the Shard, its clients' sockets, and (on the tree shard) the tree side.
// What the control loop (gateway/server) wants of it comes as mail; what the siblings want is in gateway/shard_mail.
// Leaves to others: accepting, signals, when to end (gateway/server), what is said and decided (gateway/shard).
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <string_view>
#include <thread>
#include <variant>
#include <vector>

#include "compat/client_session.h"
#include "gateway/client_socket.h"
#include "gateway/io/event_loop.h"
#include "gateway/io/mailbox.h"
#include "gateway/io/socket.h"
#include "gateway/io/timer.h"
#include "gateway/log.h"
#include "gateway/shard.h"
#include "gateway/shard_mail.h"
#include "gateway/tree_shell.h"

namespace gateway {

/// A connection was accepted; it is this shard's from now on.
struct AdoptClient {
    routing::ConnectionId id = 0;
    io::Socket socket;
    bool refused = false;  ///< one too many: it is told so, and closed
};
/// A reload: how clients are treated from now on.
struct ChangeSettings {
    std::shared_ptr<const compat::SessionSettings> session;
    ShardSettings shard;
    bool announce = false;                   ///< INFO says something new: clients that understand it are told
    std::shared_ptr<const TreeConfig> tree;  ///< this gateway's place in a tree; empty: it is in none
};
/// Lame duck mode: clients and children in the tree are told to go elsewhere, and the control loop is told of each that
/// goes.
struct AnnounceLameDuck {};
/// So many clients, whom chance picks, are ended.
struct EndSome {
    std::uint64_t count = 0;
    compat::NatsError reason = compat::NatsError::server_shutdown;
};
/// The gateway ends: every client gets its last bytes and is closed.
struct EndClients {};
/// The clients of all shards are gone: the tree side says goodbye.  For the tree shard.
struct PartTree {};
/// The thread ends, whatever is still open.
struct Leave {};

using LoopMail = std::variant<AdoptClient, ChangeSettings, AnnounceLameDuck, EndSome, EndClients, PartTree, Leave>;

/// Threads: made, started, joined and destroyed by the control thread; every other function says whose it is.  While
/// the shard's thread runs, loop(), shard() and the tree are that thread's alone.
class ShardLoop final : public ShardHost {
  public:
    /// Borrows all but `options` for life.  `settings` is copied.  `siblings` are all shards of the gateway, this one
    /// too, in order; complete before start().  `control` is woken when something changed that the control loop waits
    /// for.
    ShardLoop(ShardOptions options, const compat::SessionSettings& settings, ShardPost& post,
              std::span<const std::unique_ptr<ShardLoop>> siblings, io::Mailbox& control, Log& log);
    ~ShardLoop() override;

    // --- Before start() and after join().

    [[nodiscard]] io::EventLoop& loop() { return loop_; }
    [[nodiscard]] Shard& shard() { return shard_; }
    /// Makes this the tree shard.
    void set_tree(std::unique_ptr<TreeShell> tree) { tree_ = std::move(tree); }
    /// Starts the thread, which has every signal blocked.
    void start();
    /// Waits for the thread to end (after Leave).
    void join();

    // --- The control thread.

    /// Puts mail; the shard sees it after the next wake().
    void send(LoopMail&& mail) { inbox_.send(std::move(mail), 0); }
    /// How many adopted clients are gone, all that their going left to say to the siblings is sent.
    [[nodiscard]] std::uint64_t clients_gone() const { return clients_gone_.load(std::memory_order_acquire); }
    /// The same for those that were refused.
    [[nodiscard]] std::uint64_t refused_gone() const { return refused_gone_.load(std::memory_order_acquire); }
    /// After AnnounceLameDuck: true once the gateways below this one have moved.
    [[nodiscard]] bool tree_left() const { return tree_left_.load(std::memory_order_acquire); }
    /// True once the tree side has parted and the store is quiet.
    [[nodiscard]] bool tree_finished() const { return tree_finished_.load(std::memory_order_acquire); }

    // --- Any thread.

    void wake() { mailbox_.wake(); }

    // --- ShardHost.

    void pause_reading(Client& client) override { socket_of(client).pause_reading(); }
    void resume_reading(Client& client) override { socket_of(client).resume_reading(); }
    std::size_t flush(Client& client) override { return socket_of(client).flush(); }
    [[nodiscard]] std::size_t unwritten(const Client& client) const override { return socket_of(client).unwritten(); }
    void close(Client& client, bool after_flush) override { closing_.push_back({&socket_of(client), after_flush}); }
    void log(const Client& client, LogLevel level, std::string_view text) override;
    void wake(routing::ShardIndex shard) override { siblings_[shard]->wake(); }

  private:
    static ClientSocket& socket_of(const Client& client) { return *static_cast<ClientSocket*>(client.socket); }

    void on_wake();
    void change(const ChangeSettings& mail);
    void await_clients();
    void adopt(AdoptClient&& mail);
    void part_tree();
    void tick();
    void end_turn();
    void report();

    struct Closing {
        ClientSocket* socket;
        bool after_flush;
    };

    Log& log_;
    std::span<const std::unique_ptr<ShardLoop>> siblings_;
    io::Mailbox& control_;
    compat::SessionSettings settings_;
    io::EventLoop loop_;
    Shard shard_;
    std::list<std::unique_ptr<ClientSocket>> sockets_;
    std::vector<Closing> closing_;
    std::unique_ptr<TreeShell> tree_;
    MailQueue<LoopMail> inbox_;
    io::Mailbox mailbox_;
    io::Timer timer_;
    base::Instant timer_deadline_ = base::instant_max;
    std::thread thread_;
    std::uint64_t gone_ = 0;  // what clients_gone_ becomes at the end of the turn
    std::uint64_t gone_refused_ = 0;
    bool awaited_ = false;  // the control loop waits for clients to be gone
    bool asked_ = false;    // ... and may have looked before it said so
    bool lame_duck_ = false;
    bool parting_ = false;
    bool leaving_ = false;
    std::atomic<std::uint64_t> clients_gone_{0};
    std::atomic<std::uint64_t> refused_gone_{0};
    std::atomic<bool> tree_left_{false};
    std::atomic<bool> tree_finished_{false};
};

}  // namespace gateway
