// A simulated gateway: the product's Router and Node, and in place of shard, sockets and disk the simplest thing that
// keeps the same rules.  Survives its crashes: identity and disk stay.
// Leaves to others: what clients do (client), when it crashes (simulation).
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "routing/base/prng.h"
#include "routing/node/node.h"
#include "routing/queue/memory_store.h"
#include "routing/router.h"
#include "routing/sim/network.h"
#include "routing/sim/sabotage.h"
#include "routing/sim/sim_store.h"
#include "routing/sim/world.h"

namespace routing::sim {

class Client;
class WireTap;

/// What stays the same over all starts of a gateway.
struct GatewaySetup {
    HostIndex host = 0;
    std::string name;
    std::vector<std::string> join;
    std::vector<std::string> durable;
    QueuePolicies queue_policies{};
    std::string region;
    std::vector<std::string> tags;
    bool listens = true;
    std::size_t max_children = 10;
    StoreOptions store;
    Sabotage sabotage = Sabotage::none;
    WireTap* tap = nullptr;  ///< sees what goes out; borrowed for life
};

/// Signs with a keyed hash: good enough where nobody forges, and as deterministic as the rest.
class SimSigner final : public peer::Signer {
  public:
    SimSigner(const GatewayId& id, base::Prng prng) : id_(id), prng_(prng) {}
    base::Bytes sign(base::ByteView text) override;
    bool verify(const GatewayId& id, base::ByteView text, base::ByteView signature) override;
    base::Bytes mac(base::ByteView) override { return {}; }
    bool verify_mac(base::ByteView, base::ByteView mac) override { return mac.empty(); }
    base::Bytes random(std::size_t size) override;

  private:
    GatewayId id_;
    base::Prng prng_;
};

/// See the head of this file.  Threads: one.
class SimGateway final : public node::NodeHost, public NetworkUser {
  public:
    SimGateway(World& world, Network& network, GatewaySetup setup);
    ~SimGateway() override;

    // --- Life
    // ---------------------------------------------------------------------------------------------------------

    void start();
    /// kill -9 and power cut in one: what was not synced may be lost (`kept` of the unsynced batches survive).
    void crash(std::size_t kept);
    /// Copies the data directory as it is on the disk.
    void back_up();
    [[nodiscard]] bool has_backup() const { return backup_ != nullptr; }
    /// Puts the copy back.  Only while it is down.
    void restore_backup();
    [[nodiscard]] std::uint64_t restores() const { return restores_; }
    /// SIGSTOP for a while: nothing happens, bytes and ticks wait.
    void pause(base::Duration time);
    [[nodiscard]] bool up() const { return node_ != nullptr; }
    [[nodiscard]] std::size_t max_children() const { return setup_.max_children; }
    [[nodiscard]] HostIndex host() const { return setup_.host; }
    [[nodiscard]] const std::string& name() const { return setup_.name; }
    [[nodiscard]] const GatewayId& id() const { return id_; }
    [[nodiscard]] node::Node& node() { return *node_; }
    [[nodiscard]] Router& router() { return *router_; }
    [[nodiscard]] std::uint64_t starts() const { return starts_; }
    [[nodiscard]] queue::MemoryDisk& disk() { return disk_; }
    /// Calls out of Node that ran since the start, for the bounds of log lines that tests print.
    [[nodiscard]] const std::deque<std::string>& log_lines() const { return log_; }

    // --- Clients
    // ------------------------------------------------------------------------------------------------------

    void add_client(Client& client) { clients_.push_back(&client); }
    void remove_client(Client& client) { std::erase(clients_, &client); }
    ConnectionId connect(Client& client);
    /// The connection ends without UNSUB.
    void disconnect(ConnectionId connection);
    /// Subscribes the client's subscription at `at`.
    void subscribe(ConnectionId connection, std::size_t at);
    void unsubscribe(ConnectionId connection, std::size_t at);
    /// Publishes, in order with the connection's other publishes; waits while the connection is held.
    void publish(ConnectionId connection, std::string_view subject, std::string_view reply, std::string_view payload,
                 std::string_view headers = {});
    /// Whether this gateway knows of anybody who wants `subject`.
    [[nodiscard]] bool knows_interest(std::string_view subject);
    /// Sees every message that is handed to a client of this gateway, with its headers.
    void observe_for_test(std::function<void(const MessageView&)> observer) { observer_ = std::move(observer); }
    /// Hears the reply subject of every 503 that a client of this gateway gets.
    void observe_refusals_for_test(std::function<void(std::string_view)> observer) { refusals_ = std::move(observer); }
    /// Publishes that wait for a held connection.
    [[nodiscard]] std::size_t held() const;

    // --- NodeHost
    // -----------------------------------------------------------------------------------------------------

    peer::TransportId dial(std::string_view address) override;
    void close_transport(peer::TransportId transport, base::Bytes last_words) override;
    void pause_reading(peer::TransportId transport) override { network_.pause_reading(transport); }
    void resume_reading(peer::TransportId transport) override { network_.resume_reading(transport); }
    void output_waiting(peer::TransportId transport) override { outputs_.push_back(transport); }
    void deliver_local(const MessageView& message, const node::Serve& serve, node::Served& served) override;
    void deliver_queued(const queue::Delivery& delivery) override;
    void publish(const MessageView& message) override;
    void resume(ConnectionId connection) override;
    void durable_filters_changed() override;
    void pause_publishers(bool) override {}
    void identity_changed(std::uint64_t incarnation, Prime prime, base::WallMillis claimed_at) override;
    void members_known(const std::vector<KnownMember>& members) override { kept_.known_members = members; }
    void log(peer::LogLevel level, std::string_view text) override;
    [[nodiscard]] std::uint64_t matches() const override { return router_->stats().matches; }
    void open_store() override;
    void execute(queue::StoreCommand command) override;

    // --- NetworkUser
    // --------------------------------------------------------------------------------------------------

    void on_accepted(EndId end, const std::string& remote) override;
    void on_dialed(EndId end, bool ok, const std::string& remote) override;
    void on_bytes(EndId end, base::ByteView bytes) override;
    void on_written(EndId end, std::size_t bytes) override;
    void on_closed(EndId end) override;

  private:
    struct Publish {
        std::string subject;
        std::string reply;
        base::Bytes body;
        std::uint32_t header_bytes = 0;
    };
    struct Session {
        Client* client = nullptr;
        std::deque<Publish> waiting;
        bool held = false;
        base::Instant next_publish{};
        std::map<std::size_t, SubscriptionId> subscriptions;  // by the client's number
        std::map<std::size_t, queue::SubscriberId> durable;
    };
    struct Subscriber {  // by router slot
        ConnectionId connection = 0;
        std::size_t at = 0;
    };
    struct Delivery {
        ConnectionId connection = 0;
        std::size_t at = 0;
        std::string subject;
        std::string reply;
        std::string payload;
        queue::SubscriberId durable = 0;
        std::uint64_t ticket = 0;
    };

    /// Runs `action` as one loop turn: now, or when the gateway's pause is over; not at all if it has crashed by then.
    void turn(std::function<void()> action);
    void end_turn();
    void flush_deliveries();
    void schedule_tick();
    void tell_interest();
    void sabotage_output(base::Bytes& frames) const;
    void drain(Session& session, ConnectionId connection);
    /// False: held, it stays in line.
    bool route(ConnectionId connection, const Publish& publish);
    void deliver_to(const LocalReceiver& receiver, const MessageView& message);
    void register_durable(Session& session, ConnectionId connection, std::size_t at);

    World& world_;
    Network& network_;
    GatewaySetup setup_;
    GatewayId id_;
    base::Prng prng_;

    // What a data directory keeps.
    struct Kept {
        bool store_exists = false;
        std::uint64_t incarnation = 0;
        Prime prime = 0;
        base::WallMillis prime_claimed_at = 0;
        std::vector<KnownMember> known_members;
    };
    struct Backup {
        queue::MemoryImage disk;
        Kept kept;
    };
    queue::MemoryDisk disk_;
    Kept kept_;
    std::unique_ptr<Backup> backup_;
    std::uint64_t restores_ = 0;
    queue::MemoryImage at_start_;  // Sabotage::forgetful_disk

    // What a crash takes away.
    std::uint64_t starts_ = 0;
    std::unique_ptr<SimSigner> signer_;
    std::unique_ptr<Router> router_;
    std::unique_ptr<node::Node> node_;
    std::unique_ptr<SimStore> store_;
    std::map<ConnectionId, Session> sessions_;
    std::vector<Subscriber> subscribers_;
    std::map<queue::SubscriberId, Subscriber> durable_subscribers_;
    queue::SubscriberId next_subscriber_ = 1;
    std::vector<EndId> outputs_;
    std::deque<Delivery> deliveries_;
    bool in_turn_ = false;
    bool paused_ = false;
    std::vector<std::function<void()>> postponed_;  // what came up during the pause, in order
    base::Instant tick_at_ = base::instant_max;

    std::vector<Client*> clients_;
    ConnectionId next_connection_ = 1;
    std::deque<std::string> log_;
    std::function<void(const MessageView&)> observer_;
    std::function<void(std::string_view)> refusals_;
};

}  // namespace routing::sim
