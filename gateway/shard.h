// One event loop's world: its clients, its router, its mail with the sibling shards.  Pure but for what ShardHost does:
// bytes and time come in, output gathers in each client's queue, and one flush at the end of the turn takes it away.
// Introduces compat (what a client said) to routing (who gets it).
// Leaves to others: sockets (gateway/server through ShardHost), the tree (routing/node).
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "compat/client_session.h"
#include "compat/nats_writer.h"
#include "gateway/client_log.h"
#include "gateway/log.h"
#include "gateway/output_queue.h"
#include "gateway/shard_mail.h"
#include "gateway/tree_by_mail.h"
#include "gateway/tree_mail.h"
#include "gateway/tree_side.h"
#include "routing/base/prng.h"
#include "routing/base/time.h"
#include "routing/node/node.h"
#include "routing/router.h"

namespace gateway {

struct Client;

/// What a shard asks of the loop that it lives on.  Called from within the shard's calls; must not call back into the
/// shard before they return.
class ShardHost {
  public:
    virtual ~ShardHost() = default;
    virtual void pause_reading(Client& client) = 0;
    virtual void resume_reading(Client& client) = 0;
    /// Writes what is in the client's output now; returns how many bytes the socket took.  If it took less than all,
    /// the host goes on by itself, sets client.writing meanwhile, and tells by Shard::written.
    virtual std::size_t flush(Client& client) = 0;
    /// How much of what flush() left over the socket has not taken yet.  Unit: bytes.
    [[nodiscard]] virtual std::size_t unwritten(const Client& client) const = 0;
    /// Closes the connection, once its output has been written if `after_flush`.  Shard::closed follows later, always.
    virtual void close(Client& client, bool after_flush) = 0;
    /// A line about this client for the log.
    virtual void log(const Client& client, LogLevel level, std::string_view text) = 0;
    /// Makes another shard's loop call drain_mail() soon.
    virtual void wake(routing::ShardIndex shard) = 0;
};

/// A delivery of the durable queue that counts as taken when the socket took the client's output up to `output_end`.
struct TakenMark {
    std::uint64_t output_end = 0;
    std::uint64_t subscriber = 0;
    std::uint64_t ticket = 0;  ///< see queue::Delivery
};

/// A publish that Node could not decide yet.
struct HeldPublish {
    explicit HeldPublish(const routing::MessageView& message)
        : account(message.account),
          subject(message.subject),
          reply(message.reply),
          body(message.body),
          header_bytes(message.header_bytes) {}
    /// Borrows this.
    [[nodiscard]] routing::MessageView view() const { return {account, subject, reply, body, header_bytes}; }

    routing::AccountId account;
    std::string subject;
    std::string reply;
    base::Bytes body;
    std::uint32_t header_bytes;
};

/// One connected client.  Owned by its shard from open() until closed() returns.
struct Client {
    Client(const compat::SessionSettings& settings, routing::ConnectionId id, std::string ip, base::Instant now,
           base::Prng& prng, ChunkPool& pool)
        : connection(id), session(settings, id, std::move(ip), now, prng), output(pool) {}

    /// Why the connection is not read, and (`held`, `parked`, `interest_full`) why what was read already is not parsed.
    /// `held`: by a publish that is kept here; `parked`: by one that the tree shard keeps.
    enum Pause : std::uint8_t { held = 1, parked = 2, interest_full = 4, stalled = 8, mail_full = 16 };
    static constexpr std::uint8_t blocks_parsing = held | parked | interest_full;

    routing::ConnectionId connection;
    void* socket = nullptr;  ///< the host's
    compat::ClientSession session;
    OutputQueue output;
    base::Bytes backlog;  ///< read but not parsed, while blocks_parsing
    std::uint8_t pauses = 0;
    bool dirty = false;          ///< in Shard::dirty_
    bool writing = false;        ///< the host's: the socket was full, the rest is on its way
    bool closing = false;        ///< nothing more goes in or out but what is queued
    bool write_watched = false;  ///< in Shard::slow_writers_
    std::uint8_t stall_ms = 0;   ///< gathered in this read
    std::uint64_t written_total = 0;
    std::uint64_t written_at_pause = 0;
    std::uint64_t in_messages = 0;
    std::uint64_t out_messages = 0;
    base::Instant stalled_until{};
    std::vector<Client*> waiting_publishers;  ///< rested until this client has taken more
    Client* waits_for = nullptr;
    std::vector<TakenMark> marks;  ///< ascending by output_end; the first `marks_done` are done
    std::size_t marks_done = 0;
    std::vector<std::uint64_t> lost;            ///< durable subscriptions that end with the connection
    std::unique_ptr<HeldPublish> held_publish;  ///< routed again when Node says so
    std::unique_ptr<InputTrace> trace;          ///< while what it sends is traced
};

/// What operators see; counted over the life of the shard.
struct ShardCounters {
    std::uint64_t in_messages = 0;
    std::uint64_t in_bytes = 0;
    std::uint64_t out_messages = 0;
    std::uint64_t out_bytes = 0;
    std::uint64_t slow_consumers = 0;
    std::uint64_t stalls = 0;
    std::uint64_t bounced = 0;
    std::uint64_t dropped = 0;  ///< bounced twice: nobody of the group was left
    std::uint64_t total_connections = 0;
};

/// What a reload may change; what clients are told and held to by compat is in compat::SessionSettings.
struct ShardSettings {
    /// A socket that takes nothing for so long while output waits is cut.  Source: nats-server DEFAULT_FLUSH_DEADLINE.
    base::Duration write_deadline = std::chrono::seconds(10);
    /// Publishers do not rest for a receiver that is over 75 % of its pending bytes; their messages for it are dropped.
    bool no_producer_stall = false;
    ClientLogSettings log;
};

struct ShardOptions {
    routing::ShardIndex index = 0;
    /// Bytes waiting for one client above which it is cut as a slow consumer.  Source: nats-server MAX_PENDING_SIZE.
    std::size_t pending_bytes_max = 64 * 1024 * 1024;
    std::uint64_t hash_seed = 0;
    routing::QueuePolicies queue_policies{};
    /// The gateway has a tree side: Node lives on the tree shard, the others reach it by mail.
    bool has_tree = false;
};

/// The shard that Node lives on, where there is one.
inline constexpr routing::ShardIndex tree_shard = 0;

/// Above this much waiting for one client it is flushed at once instead of at the end of the turn.  Unit: bytes.
inline constexpr std::size_t flush_bytes = 256 * 1024;
/// Above this much waiting for a client that is taking, its publishers rest until it has taken most of it (or for
/// stall_ms_max), so that output stays in cache and memory stays small.  Unit: bytes.
inline constexpr std::size_t rest_bytes = 4 * 1024 * 1024;
inline constexpr std::size_t rest_over_bytes = 1024 * 1024;
/// Longest rest of a publisher per read.  Source: nats-server stallTotalAllowed.
inline constexpr std::uint8_t stall_ms_max = 10;
inline constexpr std::uint8_t stall_ms_min = 2;   ///< Source: nats-server stallClientMinDuration
inline constexpr std::uint8_t stall_ms_full = 5;  ///< Source: nats-server stallClientMaxDuration

/// Publishes of one read that are looked at together.
inline constexpr std::size_t publishes_ahead_max = 32;

/// PING timers are looked at together, at most this often, so that many clients cost little.
inline constexpr base::Duration sweep_interval_min = std::chrono::milliseconds(100);

/// Threads: its loop's alone, except for the mail queues.
class Shard final {
  public:
    /// Borrows all but `options` for life.
    Shard(ShardOptions options, const compat::SessionSettings& settings, ShardPost& post, ShardHost& host,
          base::Prng prng);
    ~Shard();
    Shard(const Shard&) = delete;
    Shard& operator=(const Shard&) = delete;

    // --- Connections.

    /// A connection was accepted; its INFO is put out.  `id` is new in this process.
    Client& open(routing::ConnectionId id, std::string ip, base::Instant now);
    /// Bytes were read from it.
    void bytes(Client& client, base::ByteView in, base::Instant now);
    /// The socket took the first `count` bytes of the client's output.
    void written(Client& client, std::size_t count, base::Instant now);
    /// The socket is gone; `client` is destroyed.  `reason`: why, in stock's words, unless the shard had closed it.
    void closed(Client& client, base::Instant now, std::string_view reason = "Client Closed");
    /// Ends a client with the reason's -ERR.
    void end(Client& client, compat::NatsError reason);
    /// The settings that were given to the constructor have changed: the clients are held to them from now on.
    void settings_changed();
    void change(const ShardSettings& settings);
    /// Tells all clients that understand it what INFO says now; `lame_duck`: and that they are to go elsewhere.
    void announce(bool lame_duck);
    /// Ends all.
    void end_all(compat::NatsError reason);
    /// Ends so many (or all that there are), whom chance picks.
    void end_some(std::uint64_t count, compat::NatsError reason);

    // --- Turns.

    void tick(base::Instant now);
    [[nodiscard]] base::Instant next_deadline() const { return next_tick_; }
    /// Takes what the siblings sent, in the order that shard_mail.h promises.
    void drain_mail(base::Instant now);
    /// Sends this turn's mail, then flushes every client that got output.
    void end_turn(base::Instant now);

    // --- The tree side (the tree shard only; called through NodeHost, from within calls of Node).

    /// Node lives on this shard.  Borrowed until the shard is gone or set_node(nullptr).
    void set_node(routing::node::Node* node);
    void deliver_local(const routing::MessageView& message, const routing::node::Serve& serve,
                       routing::node::Served& served);
    void deliver_queued(const routing::queue::Delivery& delivery);
    void publish_of_node(const routing::MessageView& message);
    void resume(routing::ConnectionId connection) { resumes_.push_back(connection); }
    /// Links are full: publishers that feed them rest a little after each read, until there is room again.
    void set_links_full(bool full) { links_full_ = full; }
    /// What is durable changed: every subscription that overlaps it now, here and at the siblings, is made durable at
    /// the end of the turn.
    void durable_filters_changed();
    /// What Node told this shard's router, for the siblings' (null where there are none).
    [[nodiscard]] TreeNews* news();

    [[nodiscard]] routing::Router& router() { return router_; }
    [[nodiscard]] const ShardCounters& counters() const { return counters_; }
    [[nodiscard]] std::size_t client_count() const { return clients_.size(); }

  private:
    struct Subscriber {
        Client* client = nullptr;
        compat::SubscriptionIndex index = compat::subscription_none;
        bool durable = false;  ///< Node knows it, by its durable_id()
    };

    void parse(Client& client, base::ByteView in, base::Instant now);
    void parse_traced(Client& client, base::ByteView in, base::Instant now);
    void parse_now(Client& client, base::ByteView in, base::Instant now);
    void publish_one(Client& from, const compat::Publish& said, const routing::Router::Glance* glance = nullptr);
    [[nodiscard]] bool glance_ahead(std::size_t count);
    [[nodiscard]] bool publish_ahead(Client& from, base::ByteView& in);
    [[nodiscard]] std::size_t publish_run(Client& from, const compat::PublishAhead* run, std::size_t count);
    [[nodiscard]] bool takes_runs(routing::Route& route, std::string_view subject);
    template <typename Run>
    void serve_run(routing::Route& route, Run run, Client* from);
    template <typename Run>
    char* write_run(char* at, const char* end, bool headers, std::string_view head, Run& run);
    template <typename Run>
    void append_run_to(Client& to, std::string_view head, Run run, Client* from);
    template <typename Run>
    void share_run(routing::Route& route, Run run, Client* from);
    void on_run(const RunMail& mail);
    [[nodiscard]] bool publish(Client& from, const routing::MessageView& message,
                               const routing::Router::Glance* glance = nullptr);
    [[nodiscard]] bool publish_durable(Client& from, const routing::MessageView& message);
    void refuse_request(Client& from, const routing::MessageView& message);
    void hold(Client& from, const routing::MessageView& message);
    void announce_interest();
    void take_interest(routing::ShardIndex sibling, base::ByteView changes);
    void make_durable(std::uint32_t slot);
    void work_for_tree(base::Instant now);
    bool tell_tree(base::Instant now);
    bool work_for_node(base::Instant now);
    void take_news(const TreeNews& news);
    void on_tree_mail(routing::ShardIndex from, base::ByteView& in);
    void hear_tree(const TreeMail& mail);
    void serve_sibling(routing::ShardIndex from, const TreeMail& mail, base::ByteView& in);
    void publish_for_sibling(routing::ShardIndex from, const TreeMail& mail);
    void tell_scope(std::string_view lines);
    void publish_durable_for_sibling(routing::ShardIndex from, const TreeMail& mail);
    void resume_at_sibling(routing::ConnectionId connection);
    void answer(routing::ShardIndex to, TreeMailKind kind, routing::ConnectionId connection,
                const routing::MessageView& message = {});
    void refuse_at_sibling(routing::ShardIndex to, routing::ConnectionId connection,
                           const routing::MessageView& message);
    [[nodiscard]] Client* find_client(routing::ConnectionId connection);
    void on_subscribe(Client& client);
    void drop_subscription(std::uint64_t handle, bool lost);
    void drop_all(Client& client);
    void pong(Client& client);

    std::uint32_t fan_out(routing::Route& route, const routing::MessageView& message, Client* from,
                          const routing::node::Scope* within = nullptr);
    std::uint32_t deliver_plain(routing::Route& route, const routing::MessageView& message, Client* from);
    bool deliver_one(routing::LocalReceiver& receiver, const routing::MessageView& message, Client* from);
    void render_heads(routing::Route& route, std::string_view subject);
    bool shares(const routing::Route& route, const routing::MessageView& message);
    std::uint32_t share(routing::Route& route, const routing::MessageView& message, Client* from);
    bool pick_group(routing::RouteGroup& group, routing::PickRequest request, const routing::MessageView& message,
                    Client* from, std::uint32_t group_index = routing::index_none);
    void append(Client& to, std::string_view head, const routing::MessageView& message);
    char* reserve_shared(std::size_t bytes);
    void after_append(Client& to, Client* from, std::uint64_t messages = 1);
    void sweep(base::Instant now);
    void set_ping_timer(const Client& client);
    bool count_delivery(const Subscriber& subscriber, std::uint32_t slot);
    void render_tails(const compat::OutgoingMessage& message);
    /// Once no route is being walked: ends what had its last message and cuts who is too slow.
    void finish_deliveries() {
        if (!expired_.empty() || !doomed_.empty()) end_expired_and_doomed();
    }
    void end_expired_and_doomed();
    void rest(Client& publisher, std::uint8_t milliseconds);

    void touch(Client& client);
    void put(Client& client, base::ByteView text);
    void doom(Client& client);
    /// Over 75 % of what may wait for it.  Source: nats-server server/client.go queueOutbound.
    [[nodiscard]] bool is_stalled(const Client& to) const {
        return to.output.size() / 3 > options_.pending_bytes_max / 4;
    }
    /// Whether a client's message is dropped for this receiver instead of slowing the publisher down.
    /// Source: nats-server server/client.go deliverMsg, no_fast_producer_stall (clients only).
    [[nodiscard]] bool drops_for(const Client& to, const Client* from) const {
        return changeable_.no_producer_stall && (from != nullptr || mail_source_ != 0) && is_stalled(to);
    }
    void watch_write(Client& client);
    void check_writes(base::Instant now);
    void log_close(const Client& client, std::string_view reason);
    void log_failure(const Client& client, base::ByteView at);
    void trace_answer(Client& client, base::ByteView text);
    void trace_delivery(const Client& to, base::ByteView frame, const routing::MessageView& message, bool with_headers);
    void trace_mapping(const Client& from);
    void trace_unsubscribed(const Client& client, std::string_view sid);
    void flush(Client& client);
    void consume(Client& client, std::size_t count);
    void pause(Client& client, Client::Pause why);
    void unpause(Client& client, Client::Pause why, base::Instant now);
    void stop(Client& client, bool after_flush, std::string_view reason);
    void rest_publishers();
    void schedule(base::Instant when) {
        if (when < next_tick_) next_tick_ = when;
    }

    void send_interest();
    void send_deliveries();
    void to_sibling(routing::ShardIndex to, bool plain, std::string_view group);
    void mail_siblings(const routing::MessageView& message, routing::ConnectionId source, bool echo, bool bounced);
    void mail(routing::ShardIndex to, const DeliveryMail& delivery);
    void mail_sent(routing::ShardIndex to);
    void on_mail(routing::ShardIndex from, const DeliveryMail& delivery);
    [[nodiscard]] bool has_mail() const;
    void release_mail_waiters();
    void rest_while_mail_is_full(Client& client);
    void rest_if_fed_siblings(Client& client);
    [[nodiscard]] routing::ShardIndex home_of(routing::ConnectionId connection) const;

    /// What one message is to be for one sibling, gathered while its route is walked.
    struct Outgoing {
        bool wanted = false;
        bool plain = false;
        std::vector<std::string_view> groups;
    };
    /// What Node is told once its own call has returned.
    struct Taken {
        std::uint64_t subscriber;
        std::uint64_t ticket;
    };
    struct Doomed {
        Client* client;
        compat::NatsError reason;
    };
    ShardOptions options_;
    ShardSettings changeable_;
    std::size_t watched_bytes_ = flush_bytes;  // output above it is looked at: to be flushed, or too much
    const compat::SessionSettings* settings_;
    ShardPost* post_;
    ShardHost* host_;
    base::Prng prng_;
    ChunkPool pool_;
    routing::Router router_;
    std::vector<Subscriber> subscribers_;  // by router slot
    std::unordered_map<routing::ConnectionId, std::unique_ptr<Client>> clients_;
    std::vector<Client*> dirty_;
    std::vector<Client*> fed_;            // publishers to rest at the end of this turn
    std::vector<Client*> resting_;        // paused as stalled
    std::vector<Client*> mail_waiters_;   // paused as mail_full or interest_full
    std::vector<Client*> drained_;        // took enough: their publishers may go on
    std::vector<std::uint32_t> expired_;  // slots whose last message was delivered
    std::vector<Doomed> doomed_;          // to be ended once no route is being walked
    /// A client whose socket is full.
    struct SlowWriter {
        Client* client;
        std::size_t unwritten;
        base::Instant deadline;
    };
    std::vector<SlowWriter> slow_writers_;
    std::vector<routing::ConnectionId> goers_;  // end_some() takes from the back
    std::string trace_text_;
    std::vector<Outgoing> outgoing_;  // by sibling
    bool outgoing_any_ = false;
    std::vector<base::Bytes> deliveries_out_;  // by sibling
    std::vector<OpenRun> open_runs_;           // by sibling: the run at the end of its deliveries_out_
    bool fed_siblings_ = false;                // since this was asked last, mail was made
    base::Bytes scratch_;                      // what a session answers
    base::Bytes tail_plain_;                   // of the message that is being delivered
    base::Bytes tail_headers_;
    std::size_t tail_body_bytes_ = ~std::size_t{0};  // tail_plain_ fits every bare message of this size
    bool tails_ready_ = false;
    std::array<compat::PublishAhead, publishes_ahead_max> ahead_;
    std::array<routing::Router::Glance, publishes_ahead_max> glances_;  // of ahead_, if looked at
    base::Bytes run_line_;                            // of the last message of a run; the next one mostly has the same
    base::Bytes head_;                                // of a route that is used once
    std::vector<routing::ConnectionId> connections_;  // scratch of render_heads
    Chunk* shared_ = nullptr;                         // where fan-out frames are encoded
    std::uint64_t shared_key_ = 0;                    // the route whose message came last: its next one may be shared
    DeliveryMail mail_scratch_;
    DeliveryMail mail_in_;                   // that a sibling sent and that is being served
    std::vector<std::uint64_t> tails_;       // of this round's delivery queues, by sibling
    routing::ConnectionId mail_source_ = 0;  // whose message from a sibling is being delivered; 0: none
    bool mail_trusted_ = false;              // DeliveryMail::trusted of it
    routing::node::Node* node_ = nullptr;    // the tree shard's
    std::unique_ptr<NodeSide> node_side_;    // the tree shard's
    std::unique_ptr<TreeByMail> tree_mail_;  // of the others
    TreeSide* tree_ = nullptr;               // one of these two, where the gateway has a tree side
    std::shared_ptr<TreeNews> news_;         // for the siblings
    /// Durable publishes of siblings' clients that Node holds, in order.
    std::unordered_map<routing::ConnectionId, std::deque<HeldPublish>> parked_;
    std::vector<routing::node::GroupPick> picks_;  // of the message that is being routed
    base::Bytes node_publishes_;                   // what Node publishes, encoded as mail
    base::Bytes for_node_;                         // what Node subscribed to, encoded as mail
    std::vector<routing::ConnectionId> resumes_;
    std::vector<Taken> taken_;
    std::vector<std::uint64_t> lost_;  // after taken_
    base::Bytes unsent_interest_;      // for the siblings
    bool durable_filters_changed_ = false;
    bool links_full_ = false;
    base::Instant now_{};
    base::Instant next_tick_ = base::instant_max;
    struct PingTimer {
        base::Instant due;
        routing::ConnectionId connection;
        bool operator<(const PingTimer& other) const { return due > other.due; }  // a heap has its largest in front
    };
    std::vector<PingTimer> ping_timers_;            // a heap
    base::Instant next_sweep_ = base::instant_max;  // when some PING timer is due
    ShardCounters counters_;
};

}  // namespace gateway
