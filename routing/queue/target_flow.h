// The target's side of the flows: per origin the watermark W, what it makes of each record, and the answers (AT).
// W is kept per (origin, run) and read through the origin's H as one position.  Source: DESIGN 5, "Flow".
//
//     position <= W         a repeat: dropped, answered
//     prev <= W < position  applied: effects and W in one commit
//     prev > W              a gap: dropped, answered with gap
//     of no run in H        dropped, answered with k = 0
//
// Leaves to others: the effects (local_queue), the commit (durable).
#pragma once

#include <cstdint>
#include <vector>

#include "routing/base/time.h"
#include "routing/gateway_registry.h"
#include "routing/queue/durable.h"
#include "routing/queue/flow_message.h"
#include "routing/queue/outbox.h"
#include "routing/queue/recovery.h"

namespace routing::queue {

/// Watermarks kept per origin; of those whose run is not in H the oldest give way.  Unit: rows.
inline constexpr std::size_t watermarks_max = 2 * runs_max;
/// LOSS rows kept; the oldest give way.  Unit: rows.
inline constexpr std::size_t losses_max = 1024;
/// The same gap, and the same lack of a history, are answered once in this time, and whenever something moved.
inline constexpr base::Duration answer_gap_min = std::chrono::milliseconds(20);

class TargetFlow {
  public:
    TargetFlow(BootId boot, GatewayRegistry& registry, Outbox& outbox, DurableCounters& counters,
               const RecoveredState& state);

    void on_head(GatewayIndex origin, const Head& head, base::Instant now);

    enum class Verdict : std::uint8_t { apply, repeat, gap, unknown };
    /// What is to be made of a record; anything but `apply` is answered by itself.
    [[nodiscard]] Verdict judge(GatewayIndex origin, const DurableRecord& record, base::Instant now);
    /// The record judged `apply` took effect (in memory: the effects and W go with the next commit).
    void applied(GatewayIndex origin, const DurableRecord& record);

    [[nodiscard]] bool anything_to_commit() const { return !dirty_.empty() || !losses_open_.empty(); }
    void close_into(Commit& batch);
    void committed();
    /// Puts the answers that are due into the outbox, one per origin.
    void answer();
    [[nodiscard]] std::vector<OriginStatus> status() const;
    [[nodiscard]] const std::vector<RecoveredLoss>& losses() const { return losses_; }

  private:
    struct Mark {
        Run run = 0;
        std::uint64_t order = 0;
        Position accepted = 0;  // newest position applied under this run
        Position closing = 0;   // as it is in the commit under way
        Position synced = 0;
        bool dirty = false;
        bool in_flight = false;
    };
    struct Origin {
        std::vector<Mark> marks;  // ascending by order
        std::uint64_t order_next = 1;
        // from the HEAD that is in force; run 0: none since this process started
        Run run = 0;
        std::uint64_t k = 0;
        RunList runs;
        Position accepted = 0;  // W, read through H
        Position synced = 0;    // the same of what survives a crash
        Run closing_run = 0;    // of the commit under way
        Position closing = 0;
        bool at_due = false;
        bool gap = false;
        Run unknown = 0;  // a run to be answered with k = 0
        Position gap_at = 0;
        base::Instant gap_answered{};
        base::Instant unknown_answered{};
        bool listed = false;  // in answers_
        bool dirty = false;   // in dirty_
    };

    Origin& origin(GatewayIndex gateway);
    Mark& mark(Origin& origin, Run run);
    void due(GatewayIndex gateway);
    void make_dirty(GatewayIndex gateway, Mark& mark);
    [[nodiscard]] static Position through(const Origin& origin, Position Mark::*position);
    [[nodiscard]] static bool superseded(const Origin& origin, const Head& head);
    [[nodiscard]] static bool knows(const Origin& origin, const DurableRecord& record);

    const BootId boot_;
    GatewayRegistry& registry_;
    Outbox& outbox_;
    DurableCounters& counters_;
    std::vector<Origin> origins_;  // by gateway index
    std::vector<GatewayIndex> answers_;
    std::vector<GatewayIndex> dirty_;
    std::vector<GatewayIndex> closing_;
    std::vector<RecoveredLoss> losses_;  // kept, oldest first
    std::vector<RecoveredLoss> losses_open_;
    std::vector<RecoveredLoss> losses_closing_;
    std::vector<RowWrite> erased_;
    std::uint64_t loss_next_ = 1;
};

}  // namespace routing::queue
