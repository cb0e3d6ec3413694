// The origin's log: messages go in, pages come out, positions and target sets are fixed in them for good.
// Everything that arrives while a commit is under way goes into the next page; under low load a page holds one message.
// Leaves to others: telling the targets (origin_flow), when to commit (durable).
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "routing/base/time.h"
#include "routing/gateway_registry.h"
#include "routing/queue/durable.h"
#include "routing/queue/outbox.h"
#include "routing/queue/page.h"
#include "routing/queue/page_tail.h"
#include "routing/queue/recovery.h"
#include "routing/target_sets.h"

namespace routing::queue {

/// A target as this engine numbers it: dense, for life.
using TargetSlot = std::uint32_t;
inline constexpr TargetSlot target_slot_none = 0xffffffff;

/// What the origin keeps about a target for good, and what is derived from the segments.
struct TargetFacts {
    GatewayIndex gateway = gateway_none;
    GatewayId id;
    Position last = 0;            ///< its newest record, those not yet committed included
    Position last_committed = 0;  ///< its newest record that is synced: what may be sent
    Position last_in_flight = 0;  ///< its newest record when the commit under way was closed
    Position floor = 0;           ///< its newest record that is no longer in the log
    bool dirty = false;           ///< its row must be written
};

class OriginLog {
  public:
    /// Borrows `options`, `registry` and `sets` for life.  The run of the options must not be in `state.runs`.
    OriginLog(const DurableOptions& options, GatewayRegistry& registry, TargetSets& sets, const RecoveredState& state);

    enum class AppendError : std::uint8_t { full, stale_targets };
    /// Copies the message into the open page and gives its position.  The set must not be empty.
    base::Result<Position, AppendError> append(const MessageView& message, TargetSetId targets, AckToken token);
    [[nodiscard]] bool room() const { return pending_bytes_ < options_.pending_bytes_max; }
    [[nodiscard]] bool anything_to_commit() const { return page_.count() > 0 || !closed_.empty() || rows_dirty_; }

    /// Moves what has gathered into `batch`.  Not again before committed().
    void close_into(Commit& batch);
    /// What close_into() gave is synced.  The pages are in the tail now; `acks` may be released.
    void committed(std::vector<PageTail::Entry>& pages, std::vector<PubAck>& acks);

    /// The facts of a gateway; made as a newcomer's (last = floor = 0) if there are none.
    TargetSlot slot_of(GatewayIndex gateway);
    [[nodiscard]] TargetSlot find_slot(GatewayIndex gateway) const {
        return gateway < slots_.size() ? slots_[gateway] : target_slot_none;
    }
    [[nodiscard]] const std::vector<TargetFacts>& targets() const { return targets_; }
    /// The target is known to miss everything up to `position` for good.  Its row goes with the next commit.
    void raise_floor(TargetSlot target, Position position);

    /// Everything up to `mark` is synced at all its targets.  Puts the trimming of whole segments into `batch`, which
    /// close_into() has had.
    void trim_into(Commit& batch, Position mark);
    /// Bytes of pages that trim_into(mark) would take away.
    [[nodiscard]] std::uint64_t trimmable_bytes(Position mark) const;
    /// No more than `records` of the target are after `position`.
    [[nodiscard]] std::uint64_t records_after(TargetSlot target, Position position) const;

    /// H, this run included.
    [[nodiscard]] const RunList& runs() const { return runs_; }
    [[nodiscard]] Run run() const { return run_; }
    [[nodiscard]] Position committed_last() const { return committed_last_; }
    [[nodiscard]] Position next() const { return next_; }
    [[nodiscard]] const PageTail& tail() const { return tail_; }
    [[nodiscard]] std::uint64_t bytes() const { return log_bytes_; }

  private:
    struct RouteSlot {
        std::uint32_t generation = 0;
        std::uint32_t serial = 0;  // of the page
        std::uint32_t route = 0;
    };
    struct GatewayRef {
        std::uint32_t serial = 0;
        std::uint32_t ref = 0;
    };
    struct OpenRoute {
        std::vector<TargetSlot> targets;  // others than this gateway
        Position newest = 0;
        std::uint64_t records = 0;
    };

    [[nodiscard]] bool open_route(TargetSetId id, std::uint32_t& route);
    void begin_page();
    void close_page();
    void close_segment();

    const DurableOptions& options_;
    const Run run_;
    GatewayRegistry& registry_;
    TargetSets& sets_;

    RunList runs_;
    bool run_written_ = false;
    std::vector<Position> dropped_runs_;  // rows of runs that gave way
    Position next_;
    Position committed_last_;

    std::vector<TargetFacts> targets_;
    std::vector<TargetSlot> slots_;  // by gateway index
    bool rows_dirty_ = false;        // a target's row must be written though there may be no page

    OriginPageWriter page_;
    std::uint32_t page_serial_ = 0;
    std::vector<OpenRoute> routes_;  // of the open page
    std::size_t routes_used_ = 0;
    std::vector<RouteSlot> route_slots_;    // by TargetSetId::slot
    std::vector<GatewayRef> gateway_refs_;  // by gateway index
    std::vector<PageTail::Entry> closed_;   // wait for the next commit
    std::vector<PageTail::Entry> in_flight_;
    std::vector<PubAck> acks_open_;
    std::vector<PubAck> acks_in_flight_;
    std::uint64_t pending_bytes_ = 0;  // messages open, closed and in flight
    std::uint64_t in_flight_bytes_ = 0;

    std::deque<Segment> segments_;  // closed ones
    Segment open_segment_;
    std::vector<std::uint64_t> share_of_slot_;  // slot -> index in open_segment_.shares + 1
    std::uint64_t log_bytes_ = 0;
    PageTail tail_;
};

}  // namespace routing::queue
