// Everything of a gateway that is not a client: its place in the tree, what it tells and hears of interest, its durable
// messages, the way of replies to inboxes, and the answers to `$TREE` requests.  Pure: bytes and time come in, calls of
// NodeHost go out.
//
// Who does what.  The shard that reads a publish decides it with its Router: who gets it here, which sibling, which
// group member.  What goes to other gateways it hands to Node (publish_volatile).  A durable message it hands over
// whole (publish_durable): then the store comes first, and the own subscribers are served from the local queue like any
// target.
//
// Durable interest lives in the tree shard's Router under an account of its own (durable_account), this gateway's
// included (as gateway_self), so that what lingers for durable messages is never taken for somebody who listens now.
//
// Leaves to others: matching (Router), links and paths (peer::Tree), the durable engine (queue::Durable), sessions and
// sockets (gateway/shard, gateway/server).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "routing/base/prng.h"
#include "routing/base/time.h"
#include "routing/gateway_registry.h"
#include "routing/node/barred.h"
#include "routing/node/holds.h"
#include "routing/node/inbox_memory.h"
#include "routing/node/interest_sum.h"
#include "routing/node/lookups.h"
#include "routing/node/node_host.h"
#include "routing/node/subject_class.h"
#include "routing/node/targeting.h"
#include "routing/node/tree_watch.h"
#include "routing/peer/record.h"
#include "routing/peer/trace.h"
#include "routing/peer/tree.h"
#include "routing/queue/durable.h"
#include "routing/router.h"
#include "routing/target_sets.h"
#include "routing/types.h"

namespace routing::node {

class TreeRequests;

/// Where durable interest of `account` is kept in the Router.  A client's account never has the high bit.
[[nodiscard]] constexpr AccountId durable_account(AccountId account) {
    return account | 0x80000000u;
}

/// How long a publish or a request is held while interest is not yet known.  Source: DESIGN 4.4, 5.
inline constexpr base::Duration hold_time_max = std::chrono::seconds(2);

struct NodeOptions {
    peer::TreeOptions tree;            ///< identity, name, addresses, secret
    std::vector<std::string> durable;  ///< this gateway's own durable filters
    queue::DurableOptions queue;       ///< `boot` and `run` are Node's to draw
    bool store_exists = false;         ///< an earlier run left a store: it is opened before anything else
    std::string version;               ///< of the program, for `tree status`
    std::uint64_t seed = 0;            ///< of all choices made here
};

/// One member of a queue group that the shard picked at another gateway: indexes into Route::groups and
/// RouteGroup::remote.
struct GroupPick {
    std::uint32_t group = 0;
    std::uint32_t member = 0;
};

/// What became of the part of a publish that goes to other gateways.
enum class Remote : std::uint8_t {
    nobody,  ///< no other gateway is to get it
    sent,    ///< on its way (or dropped and counted, where a link is too slow)
    asked,   ///< a reply whose inbox is looked for; it waits here for the answer
};

enum class DurablePublish : std::uint8_t {
    taken,     ///< copied; the PubAck comes to its reply subject when it is safe
    held,      ///< interest is not yet known, or the store is behind: keep it, parse no more of this connection until
               ///< NodeHost::resume, then call again
    no_taker,  ///< nobody wants it: 503, never a PubAck
    failed,    ///< the store cannot be used: 503
};

/// Counted over the life of the process.
struct NodeCounters {
    std::uint64_t volatile_out = 0;     ///< messages of this gateway's clients that went to other gateways
    std::uint64_t volatile_in = 0;      ///< messages of other gateways that were served here
    std::uint64_t no_taker_here = 0;    ///< ... of these: nobody here wanted them any more
    std::uint64_t bounced_back = 0;     ///< sent back: the picked group had lost its members here
    std::uint64_t picked_again = 0;     ///< came back from elsewhere and were picked again here
    std::uint64_t bounce_dropped = 0;   ///< lost their group's members twice
    std::uint64_t inbox_routed = 0;     ///< replies sent along a remembered way
    std::uint64_t inbox_forwarded = 0;  ///< replies that arrived where the requester had been, and were sent on
    std::uint64_t lookups_asked = 0;
    std::uint64_t lookups_answered = 0;  ///< of other gateways' questions
    std::uint64_t lookups_dropped = 0;   ///< replies dropped: no answer, or over a limit
    std::uint64_t durable_published = 0;
    std::uint64_t durable_held = 0;
    std::uint64_t durable_no_taker = 0;
    /// How often a record was found that must not go the way to its target (barred.h).
    std::uint64_t durable_barred = 0;
    std::uint64_t targeting_malformed =
        0;  ///< messages that went nowhere for a Tree-To or Tree-Forbid that says nothing
};

/// Threads: the tree shard's.
/// Life cycle: made after the Router, destroyed before it; start() once, then calls in any order.  After the calls of
/// one loop turn: end_turn() once, then the host takes what is to be written to transports.
class Node final : private peer::TreeEvents {
  public:
    /// Borrows `router`, `host` and `signer` for life.  Subscribes in `router` to what this gateway itself answers (the
    /// host reports that with the next take_changes()).
    Node(NodeOptions options, Router& router, NodeHost& host, peer::Signer& signer, base::Instant now,
         base::WallMillis wall);
    ~Node() override;
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    /// Begins to dial.  If an earlier run left a store, that is opened first, and links are refused until it is.
    void start(base::Instant now);
    /// TERM: everything goes to the store (call end_turn() and pass its answers until settled()), and the neighbours
    /// hear goodbye.
    void close_all(base::Instant now);

    // --- Transports and turns ---------------------------------------------------------------------------------------

    /// The tree side of every transport call (on_accepted, on_dialed, on_bytes, on_closed, on_written): the host tells
    /// the Tree itself.
    [[nodiscard]] peer::Tree& tree() { return *tree_; }

    void tick(base::Instant now);
    [[nodiscard]] base::Instant next_deadline() const;
    /// End of a loop turn: the durable engine's batch goes to the store, publishers that may go on are resumed.
    void end_turn(base::Instant now);

    // --- Interest of this gateway's clients -------------------------------------------------------------------------

    /// What Router::take_changes() of one shard said.  Node adds the shards up and tells the tree.
    void on_interest(ShardIndex shard, std::span<const InterestChange> changes, base::Instant now);

    // --- Volatile messages ------------------------------------------------------------------------------------------

    /// True if publish_volatile must be called although no gateway is in the route: `subject` is an inbox, which may be
    /// elsewhere (also when somebody here, with a wide filter, takes the message too).
    [[nodiscard]] bool may_be_reply(std::string_view subject) const {
        return reachable_count_ != 0 && class_.is_inbox(subject);
    }

    /// Sends what other gateways are to get of a message: the route's reachable plain gateways and `picks`.  A reply to
    /// an inbox that is not of this gateway goes where it lives.  No allocation when the route is cached and there is
    /// at most one pick. `route` is the Router's for this message, with its scratch fields; `publisher` is whom to
    /// blame for lookups.
    Remote publish_volatile(const MessageView& message, Route& route, std::span<const GroupPick> picks,
                            ConnectionId publisher, base::Instant now);

    /// Where a message with these headers may go (targeting.h); null: wherever it is wanted.  Borrowed until the next
    /// call into Node.  Cost: one search through the headers where there is no such header.
    [[nodiscard]] const Scope* scope(base::ByteView headers);
    /// The same for what find_targeting() found in them.  For those who keep scopes until NodeHost::scopes_changed().
    [[nodiscard]] const Scope& scope_of(std::string_view lines);
    /// As publish_volatile, for a message with a scope: `picks` were made within it.
    Remote publish_within(const Scope& scope, const MessageView& message, const Route& route,
                          std::span<const GroupPick> picks, ConnectionId publisher, base::Instant now);

    /// The same for a sibling shard's publish, which has chosen `targets` (other gateways only) by itself.
    Remote publish_volatile(const MessageView& message, const TargetSet& targets, ConnectionId publisher,
                            base::Instant now);

    /// A request found nobody.  True: a link is in its first sync, so nobody knows yet; keep it, parse no more of this
    /// connection until NodeHost::resume (within hold_time_max), then route it again.
    [[nodiscard]] bool hold_request(ConnectionId connection, base::Instant now);

    /// A client is gone: it need not be resumed.
    void connection_closed(ConnectionId connection);

    // --- Durable messages -------------------------------------------------------------------------------------------

    /// Which subjects are durable.  While that is not known for sure, publish_durable() says `held`, and after
    /// NodeHost::resume the question must be asked again.
    [[nodiscard]] const SubjectClass& subject_class() const { return class_; }

    /// Takes a durable message over (see DurablePublish).  `message.reply`, if any, gets the PubAck.
    DurablePublish publish_durable(const MessageView& message, ConnectionId publisher, base::Instant now);

    /// For each subscription that overlaps what is durable.  When the tree's durable filters change,
    /// NodeHost::durable_filters_changed() asks for all.
    /// `subscriber.id` is the caller's, above 0, never reused in this process.  A second call for one id changes
    /// nothing.
    void subscribe_durable(const queue::DurableSubscriber& subscriber, base::Instant now);
    /// UNSUB, or its max was reached.
    void unsubscribe_durable(queue::SubscriberId subscriber, base::Instant now);
    /// The connection is gone without UNSUB.
    void subscriber_lost(queue::SubscriberId subscriber, base::Instant now);
    /// The socket took every durable delivery to `subscriber` up to the one with `ticket`.
    void taken(queue::SubscriberId subscriber, std::uint64_t ticket, base::Instant now);

    // --- The store --------------------------------------------------------------------------------------------------

    void on_store_opened(queue::RecoveredState state, base::Instant now);
    /// It could not be opened; it is asked for again after a while.
    void on_store_failed(std::string_view reason, base::Instant now);
    void on_store_done(queue::StoreDone done, base::Instant now);
    /// Nothing waits for the store: what TERM waits for.
    [[nodiscard]] bool settled() const;

    // --- Requests to the gateway itself -----------------------------------------------------------------------------

    /// A message for one of Node's own subscriptions (LocalReceiver with node_connection).
    /// `trusted`: it came from a client that may change something (one on this machine, until accounts exist).
    void on_local(const MessageView& message, bool trusted, base::Instant now);

    // --- Seeing it --------------------------------------------------------------------------------------------------

    [[nodiscard]] const NodeCounters& counters() const { return counters_; }
    [[nodiscard]] const std::string& name() const { return options_.tree.name; }
    [[nodiscard]] GatewayRegistry& registry() { return registry_; }
    /// Null until the store was opened.
    [[nodiscard]] const queue::Durable* durable() const { return durable_.get(); }

  private:
    friend class TreeRequests;

    /// (account, inbox prefix) of this gateway's clients -> (filter, queue) of theirs.
    struct InboxKey {
        AccountId account = account_global;
        std::string prefix;
    };
    struct InboxView {
        AccountId account = account_global;
        std::string_view prefix;
    };
    struct InboxHash {
        using is_transparent = void;
        template <typename Key>
        std::size_t operator()(const Key& key) const {
            return base::hash_bytes(key.prefix, key.account);
        }
    };
    struct InboxEqual {
        using is_transparent = void;
        template <typename A, typename B>
        bool operator()(const A& a, const B& b) const {
            return a.account == b.account && std::string_view(a.prefix) == std::string_view(b.prefix);
        }
    };
    using OwnInboxes =
        std::unordered_map<InboxKey, std::set<std::pair<std::string, std::string>>, InboxHash, InboxEqual>;

    /// A message to send once the call that it came up in is over: the tree is not called from within its own events.
    struct Outgoing {
        enum class Kind : std::uint8_t {
            bounce,   ///< back to the gateway that picked us for `group`
            repick,   ///< ours came back: pick another member of `group`, not at `gateway`
            forward,  ///< a reply whose requester has moved away from here
        };
        Kind kind = Kind::bounce;
        GatewayIndex gateway = gateway_none;
        std::string group;
        HeldMessage message;
        bool again = false;  ///< forward: it was forwarded before
    };
    /// Interest that was found in the store, until its gateway confirms or withdraws it.
    using DurableKey = std::tuple<AccountId, std::string, std::string>;
    struct PendingAck {
        AccountId account = account_global;
        std::string reply;
    };

    // TreeEvents
    void remote_interest(GatewayIndex gateway, std::string_view account, std::string_view filter,
                         std::string_view queue, std::uint32_t weight) override;
    void durable_filters_changed() override;
    void reachable(GatewayIndex gateway, bool reachable, std::uint64_t boot) override;
    void ways_changed() override;
    void described(GatewayIndex) override { forget_scopes(); }
    void forgotten(GatewayIndex gateway) override;
    void syncing_changed(bool syncing) override;
    void deliver(const peer::VolatileDelivery& delivery) override;
    void deliver_durable(const peer::DurableDelivery& delivery) override;
    void gateway_message(GatewayIndex from, std::uint8_t kind, base::ByteView body) override;
    void pause_publishers(bool pause) override { host_.pause_publishers(pause); }
    void identity_changed(std::uint64_t incarnation, Prime prime, base::WallMillis claimed_at) override {
        host_.identity_changed(incarnation, prime, claimed_at);
    }
    void members_known(const std::vector<KnownMember>& members) override { host_.members_known(members); }
    void log_changed(GatewayIndex) override {}  // durable interest is remembered row by row (queue::Durable)
    void log(peer::LogLevel level, std::string_view text) override { host_.log(level, text); }
    void advisory(std::string_view kind, std::string_view json) override;

    // node_volatile.cc
    [[nodiscard]] std::string_view account_name(AccountId account) const;
    [[nodiscard]] std::optional<AccountId> account_of(std::string_view name) const;
    TargetSetId remote_targets(Route& route, std::span<const GroupPick> picks, AccountId account);
    Remote send(const MessageView& message, TargetSetId targets, std::uint8_t flags);
    Remote publish_to_inbox(const MessageView& message, TargetSet targets, ConnectionId publisher);
    [[nodiscard]] Scope make_scope(std::string_view lines);
    void forget_scopes();
    void narrow(const MessageView& message, TargetSet& targets);
    void show_trace(base::ByteView trace, MessageView& message);
    TargetSetId reply_target(GatewayIndex gateway, AccountId account);
    void ask_for_inbox(std::string_view account, std::string_view subject);
    void inbox_found(GatewayIndex gateway, AccountId account, std::string_view subject);
    void on_question(GatewayIndex from, base::ByteView body);
    void bounce(Outgoing& outgoing);
    void pick_again(Outgoing& outgoing);
    void forward_to_inbox(Outgoing& outgoing);
    void tick_lookups();

    // node_barred.cc
    [[nodiscard]] bool is_one_of(const std::vector<GatewayTerm>& terms, GatewayIndex gateway) const;
    /// A gateway on the way to `target` (or itself) that these header lines forbid; gateway_none: there is none.
    [[nodiscard]] GatewayIndex forbidden_on_way(std::string_view lines, GatewayIndex target);
    /// The record, whose header lines are in scope_lines_, stays here; people are told once.
    void bar(GatewayIndex target, const queue::SendRecord& record, queue::Position after);
    void try_barred();
    void tell_unbarred();

    // node_durable.cc
    [[nodiscard]] bool interest_known() const;
    void need_store();
    void start_tree();
    [[nodiscard]] TargetSet durable_targets(const Route& route, const Scope* within);
    [[nodiscard]] GatewayIndex pick_durable(const RouteGroup& group, const Scope* within);
    void drain_durable();
    void send_record(const queue::SendRecord& record);
    void acknowledge(const queue::PubAck& ack);
    void keep_filters();
    void remember_filter(GatewayIndex gateway, std::string_view filter, std::uint32_t weight);
    void take_remembered(const std::vector<queue::RememberedInterest>& found);
    void remember_all();
    void prune_remembered();
    void set_own_durable_interest(const queue::DurableInterest& interest);
    void resume_held();

    NodeOptions options_;
    Router& router_;
    NodeHost& host_;
    GatewayRegistry registry_;
    TargetSets sets_;
    base::Prng prng_;
    base::Instant now_;
    base::Instant started_;
    base::WallMillis wall_;
    NodeCounters counters_;

    InterestSum interest_;
    Holds holds_;
    bool resume_for_interest_ = false;  // something became known since holds were looked at
    base::Instant syncing_since_;
    OwnInboxes own_inboxes_;
    std::vector<TargetSetId> reply_targets_;  // by gateway: plain service there alone
    InboxMemory inboxes_;
    Lookups lookups_;
    std::map<std::string, Scope, std::less<>> scopes_;  // by the lines of the headers; until a gateway or a way changes
    std::string scope_lines_;                           // scratch of scope()
    std::vector<Outgoing> outgoing_;
    Served served_;                         // scratch of deliver()
    std::vector<std::string_view> groups_;  // scratch of deliver()
    base::Bytes traced_;                    // scratch of show_trace()
    std::vector<peer::TraceHop> hops_;      // scratch of show_trace()

    std::vector<peer::Tree::DurableFilter> durable_filters_;  // of the whole tree, as far as known
    std::map<GatewayIndex, std::map<std::string, std::uint8_t>>
        kept_filters_;  // of others, told or remembered; -> flags
    SubjectClass class_;
    enum class StoreState : std::uint8_t { closed, opening, open, failed } store_ = StoreState::closed;
    base::Instant store_retry_ = base::instant_max;
    bool tree_started_ = false;
    std::unique_ptr<queue::Durable> durable_;
    std::map<GatewayIndex, std::map<DurableKey, std::uint32_t>> remote_durable_;  // told by the tree
    std::map<GatewayIndex, std::set<DurableKey>> remembered_;                     // found in the store, unconfirmed
    std::set<queue::SubscriberId> subscribers_;                                   // known to durable_
    std::map<GatewayIndex, std::uint64_t> boots_;
    std::size_t reachable_count_ = 0;  // other gateways
    std::deque<PendingAck> acks_;      // by token, from acks_first_
    queue::AckToken acks_first_ = 1;
    GatewayMask room_;                       // scratch of pick_durable()
    queue::Outbox outbox_;                   // scratch of drain_durable()
    std::vector<peer::PrevPosition> prevs_;  // scratch of send_record()
    BarredRecords barred_;                   // what people know of; the engine holds the records
    bool ways_new_ = false;                  // a scope may be another since what is barred was tried
    std::string pub_ack_;                    // scratch of acknowledge()

    std::unique_ptr<peer::Tree> tree_;
    std::unique_ptr<TreeRequests> requests_;
    TreeWatch watch_;
};

}  // namespace routing::node
