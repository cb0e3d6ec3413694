// The gateway's side of the tree: links to neighbours, who is a parent and who a child, what everybody wants and which
// way leads where, and, by its PathEngine, the messages themselves.
//
//     TreeHost (sockets, or the simulator)      transports: bytes in, bytes out
//         ^ dial, close, pause     | on_accepted, on_dialed, on_bytes, on_written, on_closed, tick
//       Tree ── PeerSession per link ── Membership (who is whose parent)
//         |   └ LogBook (interest, names, primes, links) ── Topology (next hops) ── PathEngine (paths, labels, records)
//         v events
//     TreeEvents (Node)
//
// Pure: no clock, no socket, no thread.  Time comes in as an argument and never goes back.
// Leaves to others: what local clients want and get (Node, Router), durable flows (queue::Durable), TLS, DNS, sockets.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "routing/base/bytes.h"
#include "routing/base/time.h"
#include "routing/contacts.h"
#include "routing/gateway_registry.h"
#include "routing/peer/compress.h"
#include "routing/peer/lane.h"
#include "routing/target_sets.h"
#include "routing/types.h"

namespace routing::peer {

/// members_known() is told at most this often.  Own choice: a file is written for it.
inline constexpr base::Duration known_members_interval = std::chrono::seconds(1);

class PathEngine;
struct VolatileDelivery;  // path_engine.h
struct DurableDelivery;   // path_engine.h
struct RecordView;        // record.h
struct SendResult;        // path_engine.h

/// A connection between gateways, as the host numbers it; never reused within a process.  0 is none.
using TransportId = std::uint64_t;

// ---- what the tree needs ------------------------------------------------------------------------------------------

/// Keys and randomness, from whoever has them: OpenSSL in the gateway, a keyed hash in the simulator.
/// Threads: the tree's.
class Signer {
  public:
    virtual ~Signer() = default;
    /// Signs with this gateway's key (Ed25519: 64 bytes).
    virtual base::Bytes sign(base::ByteView text) = 0;
    /// True if `signature` of `text` was made with the key whose public half is `id`.  Any input is allowed.
    virtual bool verify(const GatewayId& id, base::ByteView text, base::ByteView signature) = 0;
    /// MAC of `text` by the tree's secret (HMAC-SHA-256); empty if none is configured.
    virtual base::Bytes mac(base::ByteView text) = 0;
    /// True if `mac` fits, or if no secret is configured and `mac` is empty.  Compares in constant time.
    virtual bool verify_mac(base::ByteView text, base::ByteView mac) = 0;
    /// `size` bytes that nobody can guess (nonces, tokens, sessions).
    virtual base::Bytes random(std::size_t size) = 0;
};

/// Transports.  Calls come from within calls into the Tree; none may call back into it.
class TreeHost {
  public:
    virtual ~TreeHost() = default;
    /// Begins to connect to `address` (host:port) and gives the new transport's id; Tree::on_dialed comes later,
    /// always.
    virtual TransportId dial(std::string_view address) = 0;
    /// Begins to look up what `name` leads to; Tree::on_resolved comes later, always.  Only for
    /// TreeOptions::join_names.
    virtual void resolve(std::string_view /*name*/) {}
    /// Writes `last_words` as far as the socket takes them at once or soon, then closes.  No event follows.
    virtual void close_transport(TransportId transport, base::Bytes last_words) = 0;
    virtual void pause_reading(TransportId transport) = 0;
    virtual void resume_reading(TransportId transport) = 0;
    /// There is something to write: call Tree::take_output(transport) at the end of this turn.  Called once per turn
    /// and transport, however much is written.
    virtual void output_waiting(TransportId transport) = 0;
};

enum class LogLevel : std::uint8_t { debug, info, warning, error };

/// What the tree tells.  Calls come from within calls into the Tree.
/// Borrows: views are valid during the call.
class TreeEvents {
  public:
    virtual ~TreeEvents() = default;
    /// Interest of another gateway, 0: none any more.  In order with messages: it comes before any message that its
    /// sender sent after it.  Also told of gateways that are not reachable (remembered).
    virtual void remote_interest(GatewayIndex gateway, std::string_view account, std::string_view filter,
                                 std::string_view queue, std::uint32_t weight) = 0;
    /// Some gateway's durable filters changed: see Tree::durable_filters().
    virtual void durable_filters_changed() = 0;
    /// A gateway became reachable, not reachable, or (reachable both times) has another boot id.
    virtual void reachable(GatewayIndex gateway, bool reachable, std::uint64_t boot) = 0;
    /// What a gateway (this one too) says of itself changed: name, region, tags.
    virtual void described(GatewayIndex) {}
    /// The way to some gateway changed (see Tree::distance); comes before reachable().
    virtual void ways_changed() {}
    /// See Tree::syncing().
    virtual void syncing_changed(bool syncing) = 0;
    /// A message for this gateway (see DeliverySink in path_engine.h).
    virtual void deliver(const VolatileDelivery& delivery) = 0;
    virtual void deliver_durable(const DurableDelivery& delivery) = 0;
    /// What Tree::send_to_gateway of `from` sent here.
    virtual void gateway_message(GatewayIndex from, std::uint8_t kind, base::ByteView body) = 0;
    /// True: a link's volatile lane is full beyond its bound; local publishers that feed links should wait (bounded).
    /// False: all lanes have room again.
    virtual void pause_publishers(bool pause) = 0;
    /// This gateway's log changed its incarnation or prime: persist both for TreeOptions of the next start.
    virtual void identity_changed(std::uint64_t incarnation, Prime prime, base::WallMillis claimed_at) = 0;
    /// Another gateway's log changed: persist Tree::log_snapshot(gateway) some time, where durable messages are kept.
    virtual void log_changed(GatewayIndex gateway) = 0;
    virtual void log(LogLevel level, std::string_view text) = 0;
    /// The members whose address is known, this gateway not among them, ascending by id: persist it (best effort) for
    /// TreeOptions::known_members of the next start.  At most once in known_members_interval.
    virtual void members_known(const std::vector<KnownMember>& members) = 0;
    /// For `$TREE.ADV.<kind>`; `members` are those of a JSON object, without braces.  Kinds: clash, refused.
    virtual void advisory(std::string_view kind, std::string_view members) = 0;
    /// A gateway that is away was given up by Tree::forget() of some member; its log is gone.
    virtual void forgotten(GatewayIndex) {}
};

struct TreeOptions {
    GatewayId id;
    std::string name;
    std::string tree = "treegate";  ///< the tree's name; others are refused
    std::string region;  ///< where it stands; others of the region are preferred as neighbours; empty: nowhere
    std::vector<std::string> tags;  ///< what else the operator calls it
    /// host:port that others can dial.  Empty: where peers see this gateway (seen_address.h), if it listens.
    std::string advertise;
    std::vector<std::string> join;  ///< host:port of members
    /// Names that lead to members: resolved anew for each round of dials (TreeHost::resolve), all their addresses
    /// dialled.
    std::vector<std::string> join_names;
    std::size_t max_children = 10;  ///< above it others are sent on.  Source: DESIGN 4.6
    Compression compression = Compression::automatic;
    std::vector<KnownMember> known_members;  ///< what members_known() told last
    /// What a peer that dialled us dials for a link's other two lanes; empty: what it dialled before.  For a listener
    /// behind an address that leads to several gateways.
    std::string lane_address;
    std::uint64_t boot = 0;  ///< random, of this process start
    /// Above that of any earlier start; 1 more than what identity_changed() told last.  If nothing was kept: the wall
    /// clock in ms, which is above what was.
    std::uint64_t incarnation = 1;
    Prime prime = 0;  ///< what identity_changed() told last; 0: claim one
    base::WallMillis prime_claimed_at = 0;
    /// First tokens of filters that stay at this gateway.  Source: DESIGN 4.4.  A filter whose first token is one of
    /// these is not told to others; the one place that decides it is Tree::is_propagated().
    std::vector<std::string> inbox_prefixes = {"_INBOX"};
    std::uint64_t seed = 0;    ///< of jitter
    bool fast_timers = false;  ///< tests of restarts: dial pauses and patience a tenth as long
};

// ---- what it shows ------------------------------------------------------------------------------------------------

/// One known gateway.
struct GatewayStatus {
    GatewayIndex index = gateway_none;
    GatewayId id;
    std::string name;
    Prime prime = 0;
    base::WallMillis prime_claimed_at = 0;
    std::string advertise;
    std::string region;
    std::vector<std::string> tags;         ///< ascending
    std::vector<GatewayIndex> neighbours;  ///< links that both ends list, ascending
    std::uint64_t incarnation = 0, boot = 0, version = 0, digest = 0;
    std::size_t entries = 0;
    bool reachable = false;
    std::uint32_t distance = 0;  ///< links between
    GatewayIndex next_hop = gateway_none;
};

struct LinkStatus {
    GatewayIndex gateway = gateway_none;
    std::string address;  ///< the other end's, as the socket shows or as it was dialled
    std::string role;     ///< parent, child, sighting, attaching, adopting, handshake
    bool established = false;
    bool synced = false;          ///< both first syncs are done
    base::Duration round_trip{};  ///< 0: not yet measured
    std::array<std::uint64_t, lanes> bytes_in{}, bytes_out{};
    std::array<std::size_t, lanes> unsent{};  ///< bytes
};

/// Counted over the life of the process.
struct TreeCounters {
    std::uint64_t links_established = 0, links_lost = 0, dials = 0, dials_failed = 0;
    std::uint64_t lanes_broken = 0, lanes_back = 0;  ///< data lanes of established links, opened anew alone
    std::uint64_t refused = 0;                       ///< connections that either end refused
    std::uint64_t protocol_errors = 0;               ///< connections closed for what they sent
    std::uint64_t log_updates_in = 0, log_updates_out = 0, repairs = 0;
    std::uint64_t frames_compressed = 0, bytes_saved = 0;
    std::uint64_t records_refused = 0;  ///< dropped because a lane was full
    std::uint64_t records_cut = 0;      ///< volatile ones that still waited here when their lane broke
    std::uint64_t reading_pauses = 0;   ///< of a neighbour's volatile lane, because the way on was full
    std::uint64_t gateway_messages_in = 0, gateway_messages_forwarded = 0, gateway_messages_dropped = 0;
};

struct TreeStatus {
    std::string name, tree, advertise;
    GatewayId id;
    Prime prime = 0;
    std::uint64_t incarnation = 0, boot = 0;
    bool root = true;
    GatewayIndex parent = gateway_none;   ///< none: root
    GatewayId root_id;                    ///< of the fragment
    std::vector<GatewayIndex> children;   ///< ascending
    std::vector<GatewayIndex> members;    ///< reachable gateways, this one first
    std::vector<GatewayStatus> gateways;  ///< all known, ascending by index
    std::vector<LinkStatus> links;
    bool synced = true;        ///< !syncing()
    std::uint64_t digest = 0;  ///< of the logs of all members: equal at all members after quiet
    std::uint64_t topology_generation = 0;
    TreeCounters counters;
};

// ---- the tree -----------------------------------------------------------------------------------------------------

/// See the head of this file.
/// Threads: one.  Life cycle: make it, start() once, then any call; destroy it at the end (close_all() first to say
/// goodbye).
class Tree {
  public:
    /// Borrows everything but `options` for life.
    Tree(TreeOptions options, GatewayRegistry& registry, TargetSets& target_sets, TreeHost& host, TreeEvents& events,
         Signer& signer, base::Instant now, base::WallMillis wall);
    ~Tree();
    Tree(const Tree&) = delete;
    Tree& operator=(const Tree&) = delete;

    /// Claims a prime and begins to dial.
    void start(base::Instant now);
    /// Says goodbye on every connection and closes it.
    void close_all(base::Instant now);

    // --- Transports -------------------------------------------------------------------------------------------------

    /// Somebody dialled us.  `remote`: for log lines.
    void on_accepted(TransportId transport, std::string_view remote, base::Instant now);
    /// A dial ended.  `remote`: the peer's address if `connected`, else the reason.
    void on_dialed(TransportId transport, bool connected, std::string_view remote, base::Instant now);
    /// What `name` leads to, host:port each, the best first.  Empty: nowhere, and `why`.
    void on_resolved(std::string_view name, const std::vector<std::string>& addresses, std::string_view why,
                     base::Instant now);
    /// Bytes came in.  Frames that are whole in `bytes` are read in place; only an unfinished tail is copied.
    void on_bytes(TransportId transport, base::ByteView bytes, base::Instant now);
    /// The other end closed, or the socket broke.
    void on_closed(TransportId transport, base::Instant now);
    /// The socket took `bytes` of what take_output() gave.
    void on_written(TransportId transport, std::size_t bytes, base::Instant now);
    /// Swaps what is to be written into `out`, which must be empty (its capacity is used again).  Unknown transports
    /// have nothing to write.
    void take_output(TransportId transport, base::Bytes& out);

    /// Advances time; call at next_deadline() or earlier.
    void tick(base::Instant now);
    [[nodiscard]] base::Instant next_deadline() const;

    // --- This gateway's own log -------------------------------------------------------------------------------------

    /// What this gateway's clients want of (account, filter, queue): weight members or subscribers, 0 none.
    /// 0 to 1 and 1 to 0 are told at once, changes in between at most 10 a second per group.  Told before any message
    /// that is sent after this call.  Filters that are not propagated are ignored.
    /// Errors: false if the log is full (log_entries_max, log_bytes_max); the interest then stays unknown to others.
    bool set_interest(std::string_view account, std::string_view filter, std::string_view queue, std::uint32_t weight,
                      base::Instant now);
    /// This gateway's own durable filters, all of them.  `flags`: bit 0: ack none.
    struct DurableFilter {
        std::string filter;
        std::uint8_t flags = 0;
        auto operator<=>(const DurableFilter&) const = default;
    };
    void set_durable_filters(const std::vector<DurableFilter>& filters);
    /// Where others can dial us, once the listener knows its port.
    void set_advertise(std::string_view address);
    /// We listen on this port, and nobody said at which address: peers tell it.  `loopback_only`: only peers on this
    /// machine can dial it.
    void set_listener(std::uint16_t port, bool loopback_only);

    // --- What may change while it runs ------------------------------------------------------------------------------

    void set_description(const std::string& region, const std::vector<std::string>& tags);
    void set_max_children(std::size_t max_children);
    /// This gateway is about to end (close_all() later): it takes no children any more and sends its own on, so that
    /// they have other links before this one goes.
    void leave(base::Instant now);
    /// After leave(): those that could go are gone.
    [[nodiscard]] bool left_alone() const;
    /// For what is sent from now on.  A link that was made while it was off stays uncompressed.
    void set_compression(Compression compression);
    /// False: interest in `filter` stays here (an inbox).
    [[nodiscard]] bool is_propagated(std::string_view filter) const;

    // --- Everybody's logs -------------------------------------------------------------------------------------------

    /// All durable filters of all known gateways, ascending by filter, each once (flags or-ed).
    [[nodiscard]] std::vector<DurableFilter> durable_filters() const;
    /// Those of one gateway, as far as its log is known here.
    [[nodiscard]] std::vector<DurableFilter> durable_filters(GatewayIndex gateway) const;
    /// The log of `gateway` as bytes, for restore_log() after a restart.  Empty: unknown gateway.
    [[nodiscard]] base::Bytes log_snapshot(GatewayIndex gateway) const;
    /// Before start(): takes over a snapshot of an earlier run, as remembered.  Errors: false if it is malformed.
    bool restore_log(base::ByteView snapshot);

    [[nodiscard]] bool is_reachable(GatewayIndex gateway) const;
    [[nodiscard]] std::uint32_t distance(GatewayIndex gateway) const;
    [[nodiscard]] std::uint64_t boot(GatewayIndex gateway) const;                  ///< 0: unknown
    [[nodiscard]] std::string_view name(GatewayIndex gateway) const;               ///< empty: unknown
    [[nodiscard]] std::string_view region(GatewayIndex gateway) const;             ///< empty: none, or unknown
    [[nodiscard]] std::vector<std::string_view> tags(GatewayIndex gateway) const;  ///< ascending
    [[nodiscard]] std::optional<GatewayIndex> find(std::string_view name) const;   ///< reachable ones first
    /// True while some link is in its first sync, or this gateway's first dials have not ended: what is wanted
    /// elsewhere is not all known yet.
    [[nodiscard]] bool syncing() const;

    /// Gives a gateway up that is not reachable: its log is dropped here and at all members, now and by those who come
    /// later, until it comes back, which it does as a newcomer.  False: it is reachable, unknown, or forgotten already,
    /// or forgotten_max are.
    bool forget(GatewayIndex gateway, base::Instant now);

    // --- Messages ---------------------------------------------------------------------------------------------------

    /// Sends a message to a target set (targets other than this gateway).  What this gateway wants goes out before it.
    /// What could not be put on the way (no route, a full lane) is in the result and counted, never queued.
    /// `flags`: of the record (record.h).
    SendResult send_volatile(TargetSetId targets, std::string_view account, const MessageView& message,
                             std::uint8_t flags, base::Instant now);
    /// The same for a set that is not worth remembering (a reply to one inbox).
    SendResult send_volatile_once(const TargetSet& targets, std::string_view account, const MessageView& message,
                                  std::uint8_t flags, base::Instant now);
    /// Sends a durable record on the durable lanes; a target that it is not put on the way to has a gap.
    SendResult send_durable(TargetSetId targets, std::string_view account, const RecordView& record, base::Instant now);
    /// Sends `body` to one gateway on the control lanes, hop by hop.  May be lost.  False: no route, or the body is
    /// over gateway_body_bytes_max.
    bool send_to_gateway(GatewayIndex gateway, std::uint8_t kind, base::ByteView body, base::Instant now);

    // --- Seeing it --------------------------------------------------------------------------------------------------

    /// Paths, for `path show` and `path explain`.
    [[nodiscard]] PathEngine& paths();
    [[nodiscard]] const PathEngine& paths() const;
    [[nodiscard]] TreeStatus status() const;
    [[nodiscard]] const TreeCounters& counters() const;
    /// Bytes that wait for the fullest link, on all its lanes.
    [[nodiscard]] std::size_t unsent_most() const;
    /// Sum of LogBook entries' hashes over the members: equal everywhere after quiet.
    [[nodiscard]] std::uint64_t members_digest() const;

  private:
    class Core;
    std::unique_ptr<Core> core_;
};

}  // namespace routing::peer
