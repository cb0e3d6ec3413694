// The durable engine of one gateway: origin log, flows to every target, watermarks of every origin, local queue.
// Pure: calls go in, an Outbox comes out; it never blocks and has no clock.  Source: DESIGN 5.
// Leaves to others: choosing targets (router), sending (routing/peer), the store (gateway/store), rendering PubAck and
// MSG, holding publishes while interest is not yet known, 503 when there is no taker (routing/node).
//
// How a Node uses it:
//     recover(store) on the store thread -> Durable engine(options, registry, sets, state, now)
//     any number of calls in a loop turn -> flush(now) once at the end of the turn -> drain outbox(), outbox().clear()
//     store commands go to the store thread in order; each answer comes back through on_store_done, in order
//     tick(now) when next_deadline() has come
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "routing/base/time.h"
#include "routing/gateway_registry.h"
#include "routing/queue/flow_message.h"
#include "routing/queue/outbox.h"
#include "routing/queue/page.h"
#include "routing/queue/recovery.h"
#include "routing/target_sets.h"
#include "routing/types.h"

namespace routing::queue {

/// When a record may be acknowledged and sent.  Source: DESIGN 5, "Levels".
enum class Durability : std::uint8_t {
    fsync,     ///< synced before PubAck and before sending
    interval,  ///< both may come before the sync
    memory,    ///< nothing is synced
};

struct DurableOptions {
    Run run = 0;      ///< this process start as an origin; random, not 0
    BootId boot = 0;  ///< this process start as a target; random, not 0
    Durability durability = Durability::fsync;
    /// How long durable interest stays after its connection was lost or the gateway restarted.  Source: DESIGN 5.
    base::Duration linger = std::chrono::seconds(60);
    /// How many of the newest records the local log keeps although all readers have them, for `queue dump`.
    std::uint64_t dump_keep = 0;
    /// Bytes of records on the way to one target that it has not accepted.  Unit: bytes of messages.
    std::uint64_t target_window_bytes = 4u << 20;
    /// Bytes handed out to one subscriber that its socket has not taken.  Unit: bytes of messages.
    std::uint64_t reader_window_bytes = 1u << 20;
    /// Bytes of messages that wait for the store; above it publish() says full.  Unit: bytes of messages.
    std::uint64_t pending_bytes_max = 16u << 20;
    /// Bytes of recent pages that each log keeps in memory for those who are a little behind.
    std::uint64_t tail_bytes = 16u << 20;
    /// When a page is closed, and a segment; at most page_records_max.  Smaller in simulations.
    std::uint32_t page_records = page_records_max;
    std::uint64_t segment_pages = segment_pages_max;
    /// What accounts are called between gateways and on disk, by AccountId.
    std::vector<std::string> accounts = {std::string(account_global_name)};
};

/// Why these options are refused, in words for the operator; nothing if they are good.
[[nodiscard]] std::optional<std::string> refusal(const DurableOptions& options);

enum class PublishResult : std::uint8_t {
    taken,          ///< it will be acknowledged when it is synced, or never (crash)
    stale_targets,  ///< the target set's id is stale: intern it again
    full,           ///< too much waits for the store: keep the message and do not read on; room_for_publish() says when
    failed,         ///< the store failed: reopen
};

/// A subscription whose filter overlaps a durable filter.
struct DurableSubscriber {
    SubscriberId id = 0;
    AccountId account = account_global;
    std::string filter;
    std::string queue;   ///< empty: plain
    std::string client;  ///< the name in CONNECT; with `sid` it tells which orphaned reader is this one's
    std::string sid;
};

/// One target as this origin sees it, for `queue ls`.
struct TargetStatus {
    GatewayIndex gateway = gateway_none;
    Position last = 0;
    Position floor = 0;
    Position sent = 0;
    Position accepted = 0;
    Position synced = 0;
    std::uint64_t backlog_records_max = 0;  ///< not yet reported synced; counted by segments, so at most so many
    std::uint64_t in_flight_bytes = 0;
    bool reachable = false;
    bool open = false;       ///< it has answered the HEAD of this k
    Position barred = 0;     ///< the record that may not go now and holds back what follows it (bar()); 0: none
    base::Duration quiet{};  ///< how long nothing moved while something is unacknowledged
};

/// One origin as this target sees it.
struct OriginStatus {
    GatewayIndex gateway = gateway_none;
    Run run = 0;
    Position accepted = 0;
    Position synced = 0;
};

struct ReaderStatus {
    std::uint64_t id = 0;
    std::string account;
    std::string queue;
    std::vector<std::string> filters;
    std::uint32_t members = 0;  ///< connected
    Position cursor = 0;
    std::uint64_t backlog_positions_max = 0;  ///< of the local log, other readers' messages included
};

struct DurableCounters {
    std::uint64_t published = 0;
    std::uint64_t commits = 0;
    std::uint64_t origin_pages = 0;
    std::uint64_t records_sent = 0;      ///< live, once per shared path
    std::uint64_t records_resent = 0;    ///< from the log, to one target
    std::uint64_t applied = 0;           ///< records of other origins
    std::uint64_t repeats = 0;           ///< dropped: position <= W
    std::uint64_t gaps = 0;              ///< dropped: prev > W
    std::uint64_t unknown_runs = 0;      ///< dropped: of no history that we know
    std::uint64_t applied_no_taker = 0;  ///< applied, but nobody here wants them any more
    std::uint64_t refused_full = 0;      ///< records dropped because too much waits for the store (a gap later)
    std::uint64_t go_backs = 0;
    std::uint64_t heads_sent = 0;
    std::uint64_t ats_sent = 0;
    std::uint64_t delivered = 0;    ///< handed to subscribers
    std::uint64_t redelivered = 0;  ///< of those, again to another member of the group
    std::uint64_t losses = 0;
};

class Durable {
  public:
    /// Readers found in `state` begin to linger at `now`; their interest is in the outbox at once.
    /// Borrows: `registry` and `sets` for life.  `options` must have no refusal().
    Durable(DurableOptions options, GatewayRegistry& registry, TargetSets& sets, const RecoveredState& state,
            base::Instant now);
    ~Durable();
    Durable(const Durable&) = delete;
    Durable& operator=(const Durable&) = delete;

    // --- origin
    // -------------------------------------------------------------------------------------------------------

    /// Appends a message for `targets` (not empty; may hold gateway_self).  It is copied.  `token` 0: no PubAck is
    /// wanted.
    PublishResult publish(const MessageView& message, TargetSetId targets, AckToken token, base::Instant now);
    /// Whether publish() would not say `full`.
    [[nodiscard]] bool room_for_publish() const;
    /// Whether a record for this target would go out at once: what the chooser of a queue group's member looks at.
    [[nodiscard]] bool has_room(GatewayIndex target) const;
    /// A target (or any gateway) came into reach or left it.
    void set_reachable(GatewayIndex gateway, bool reachable, base::Instant now);
    /// The target answered.  Errors: a malformed body is ignored and logged.
    void on_at(GatewayIndex target, base::ByteView body, base::Instant now);
    /// `treegate tree forget`: the target's backlog is given up; what it misses becomes a LOSS there, should it return.
    void give_up(GatewayIndex target, base::Instant now);
    /// The record at `position` was in the outbox for `target` and must not go the way that leads there now; `after` is
    /// its prev.  It stays in the log, and what follows it for this target too; no more of them is in the outbox until
    /// try_barred() or until the target comes back into reach.
    void bar(GatewayIndex target, Position position, Position after);
    /// The way to `target` may be another now: what was barred is in the outbox again.
    void try_barred(GatewayIndex target, base::Instant now);
    /// Gives up the barred record at `position` alone: a LOSS at the target.  False: it is not what is barred for
    /// `target`, or what comes before it is still on its way.
    [[nodiscard]] bool skip_barred(GatewayIndex target, Position position, base::Instant now);
    /// The record that is barred for `target`; 0: none.  Cost: two array reads.
    [[nodiscard]] Position barred(GatewayIndex target) const;
    /// Nothing is barred for `target`, and what is at `position` was sent (or given up).
    [[nodiscard]] bool is_past(GatewayIndex target, Position position) const;
    /// Keeps `weight` (0: forget) as the last known interest of `gateway` over a restart.  On disk with the next
    /// commit.
    void remember_interest(GatewayIndex gateway, std::string_view account, std::string_view filter,
                           std::string_view queue, std::uint32_t weight);

    // --- target
    // -------------------------------------------------------------------------------------------------------

    void on_head(GatewayIndex origin, base::ByteView body, base::Instant now);
    void on_record(GatewayIndex origin, const DurableRecord& record, base::Instant now);

    // --- local queue
    // --------------------------------------------------------------------------------------------------

    /// A client subscribed.  Its interest is advertised by the outbox once it is on disk; deliveries may begin then.
    void subscribe(const DurableSubscriber& subscriber, base::Instant now);
    /// UNSUB (or its max was reached): ends at once.
    void unsubscribe(SubscriberId subscriber, base::Instant now);
    /// The connection is gone without UNSUB: the interest lingers.
    void connection_lost(SubscriberId subscriber, base::Instant now);
    /// The socket took every delivery to `subscriber` up to the one with `ticket`.
    void taken(SubscriberId subscriber, std::uint64_t ticket, base::Instant now);
    /// Asks for what the local queue took, from local position `from` (0: the oldest kept).  Answer: Outbox::dumps.
    void dump(std::uint64_t token, Position from, base::Instant now);

    // --- machinery
    // ----------------------------------------------------------------------------------------------------

    void on_store_done(StoreDone done, base::Instant now);
    /// End of a loop turn: what has gathered goes to the store, unless a commit is on its way there (then with the
    /// next).
    void flush(base::Instant now);
    /// TERM: everything goes to the store, cursors too.  Then drain and pass store answers until settled().
    void finish(base::Instant now);
    void tick(base::Instant now);
    [[nodiscard]] base::Instant next_deadline() const;
    [[nodiscard]] Outbox& outbox();

    // --- seeing it
    // ----------------------------------------------------------------------------------------------------

    [[nodiscard]] std::vector<TargetStatus> targets(base::Instant now) const;
    [[nodiscard]] std::vector<OriginStatus> origins() const;
    [[nodiscard]] std::vector<ReaderStatus> readers() const;
    /// What this gateway lost of other origins' records, oldest first.
    [[nodiscard]] std::vector<RecoveredLoss> losses() const;
    [[nodiscard]] const DurableCounters& counters() const;
    [[nodiscard]] Run run() const;
    /// The newest position of the origin log that is synced.
    [[nodiscard]] Position last() const;
    /// Nothing waits for the store: what TERM waits for.
    [[nodiscard]] bool settled() const;

  private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

}  // namespace routing::queue
