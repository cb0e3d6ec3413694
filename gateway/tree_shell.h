// The gateway's tree side with its sockets, its disk and its identity: what routing/node asks for, done for real.
// Leaves to others: every decision (routing/node), clients (gateway/shard).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/config.h"
#include "gateway/identity.h"
#include "gateway/io/event_loop.h"
#include "gateway/io/mailbox.h"
#include "gateway/io/tcp_listener.h"
#include "gateway/log.h"
#include "gateway/shard.h"
#include "gateway/store/store_thread.h"
#include "gateway/tree_transports.h"
#include "routing/node/node.h"

namespace gateway {

/// Threads: the tree shard's loop; the store has one of its own.
/// Life: made after the shard, on whose router it subscribes; destroyed before it.  start() once; stop() before the
/// end.
class TreeShell final : public routing::node::NodeHost {
  public:
    /// Borrows everything but the texts for life.  `identity` is this gateway's, its data folder locked.
    TreeShell(const Config& config, const std::string& name, Identity& identity, io::EventLoop& loop, Shard& shard,
              Log& log);
    ~TreeShell() override;

    /// Opens the listener (if one was asked for) and starts to join.
    /// Errors: false if the port cannot be had; the log says why.
    [[nodiscard]] bool start();
    /// The port of the tree listener; 0: there is none.
    [[nodiscard]] std::uint16_t port() const { return listener_ ? listener_->port() : 0; }

    /// A reload: what may change of it does (reload.cc says what).
    void change(const TreeConfig& wanted);

    void tick(base::Instant now);
    [[nodiscard]] base::Instant next_deadline() const;
    /// End of a turn, after Shard::end_turn(): takes the store's answers' leftovers and writes to the other gateways.
    void end_turn();

    /// Lame duck mode: the children are sent on.
    void leave() { node_->tree().leave(loop_.now()); }
    /// After leave(): those that could go are gone.
    [[nodiscard]] bool left_alone() const { return node_->tree().left_alone(); }
    /// The gateway ends: no new links.
    void close_listener() { listener_.reset(); }
    /// The clients are gone: says goodbye to the neighbours, and hands the store what is left for it.
    void part();
    /// Nothing waits for the store any more.
    [[nodiscard]] bool finished() const;
    /// Closes the store.  Blocks while it syncs.
    void stop();

    // --- NodeHost; see there.

    void deliver_local(const routing::MessageView& message, const routing::node::Serve& serve,
                       routing::node::Served& served) override;
    void deliver_queued(const routing::queue::Delivery& delivery) override;
    void publish(const routing::MessageView& message) override;
    void resume(routing::ConnectionId connection) override;
    void durable_filters_changed() override;
    void gateway_interest(routing::GatewayIndex gateway, routing::AccountId account, std::string_view filter,
                          std::string_view queue, std::uint32_t weight) override;
    void gateway_reachable(routing::GatewayIndex gateway, bool reachable) override;
    void gateway_distance(routing::GatewayIndex gateway, std::uint16_t distance) override;
    void scopes_changed() override;
    void syncing(bool syncing) override;
    void pause_publishers(bool pause) override;
    void identity_changed(std::uint64_t incarnation, routing::Prime prime, base::WallMillis claimed_at) override;
    void members_known(const std::vector<routing::KnownMember>& members) override;
    void log(routing::peer::LogLevel level, std::string_view text) override;
    [[nodiscard]] std::uint64_t matches() const override;
    void open_store() override;
    void execute(routing::queue::StoreCommand command) override;
    routing::peer::TransportId dial(std::string_view address) override { return transports_.dial(address); }
    void resolve(std::string_view name) override { transports_.resolve(name); }
    void close_transport(routing::peer::TransportId transport, base::Bytes last_words) override {
        transports_.close_transport(transport, std::move(last_words));
    }
    void pause_reading(routing::peer::TransportId transport) override { transports_.pause_reading(transport); }
    void resume_reading(routing::peer::TransportId transport) override { transports_.resume_reading(transport); }
    void output_waiting(routing::peer::TransportId transport) override { transports_.output_waiting(transport); }

  private:
    void take_store_answers();

    const Config& config_;
    Identity& identity_;
    io::EventLoop& loop_;
    Shard& shard_;
    Log& log_;
    TreeTransports transports_;
    std::unique_ptr<routing::peer::Signer> signer_;
    io::Mailbox store_mail_;
    std::unique_ptr<store::StoreThread> store_;
    std::vector<store::StoreAnswer> answers_;
    std::vector<routing::queue::StoreCommand> waiting_;  // the store thread's queue was full
    std::unique_ptr<routing::node::Node> node_;
    std::optional<io::TcpListener> listener_;
};

}  // namespace gateway
