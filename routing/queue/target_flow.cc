#include "routing/queue/target_flow.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "routing/base/check.h"
#include "routing/queue/rows.h"

namespace routing::queue {

TargetFlow::TargetFlow(BootId boot, GatewayRegistry& registry, Outbox& outbox, DurableCounters& counters,
                       const RecoveredState& state)
    : boot_(boot), registry_(registry), outbox_(outbox), counters_(counters), losses_(state.losses) {
    BASE_CHECK(boot != 0);
    for (const RecoveredWatermark& watermark : state.watermarks) {
        const auto index = registry_.intern(watermark.origin);
        if (!index.has_value()) continue;
        Origin& from = origin(*index);
        Mark known;
        known.run = watermark.run;
        known.order = watermark.order;
        known.accepted = known.closing = known.synced = watermark.position;
        from.marks.push_back(known);
        from.order_next = std::max(from.order_next, watermark.order + 1);
    }
    for (Origin& from : origins_)
        std::sort(from.marks.begin(), from.marks.end(),
                  [](const Mark& a, const Mark& b) { return a.order != b.order ? a.order < b.order : a.run < b.run; });
    for (const RecoveredLoss& loss : losses_) loss_next_ = std::max(loss_next_, loss.number + 1);
}

TargetFlow::Origin& TargetFlow::origin(GatewayIndex gateway) {
    if (gateway >= origins_.size()) origins_.resize(gateway + 1);
    return origins_[gateway];
}

TargetFlow::Mark& TargetFlow::mark(Origin& origin, Run run) {
    for (std::size_t i = origin.marks.size(); i-- > 0;)
        if (origin.marks[i].run == run) return origin.marks[i];
    Mark fresh;
    fresh.run = run;
    fresh.order = origin.order_next++;
    origin.marks.push_back(fresh);
    return origin.marks.back();
}

void TargetFlow::due(GatewayIndex gateway) {
    Origin& from = origin(gateway);
    if (from.listed) return;
    from.listed = true;
    answers_.push_back(gateway);
}

void TargetFlow::make_dirty(GatewayIndex gateway, Mark& mark) {
    mark.dirty = true;
    Origin& from = origin(gateway);
    if (from.dirty) return;
    from.dirty = true;
    dirty_.push_back(gateway);
}

Position TargetFlow::through(const Origin& origin, Position Mark::*position) {
    std::unordered_map<Run, Position> last;
    last.reserve(origin.runs.size());
    for (std::size_t i = 0; i < origin.runs.size(); ++i)
        last[origin.runs[i].run] = i + 1 == origin.runs.size() ? position_max : origin.runs[i + 1].first - 1;
    Position newest = 0;
    for (const Mark& mark : origin.marks)
        if (const auto found = last.find(mark.run); found != last.end())
            newest = std::max(newest, std::min(mark.*position, found->second));
    return newest;
}

bool TargetFlow::superseded(const Origin& origin, const Head& head) {
    if (origin.run == head.run) return head.k < origin.k;
    // A run of the history in force that is not its newest has ended.  A run that this history does not know may be
    // newer (the origin was restored) or older: then its origin hears k = 0 for its next record, and begins again.
    return origin.run != 0 && last_of_run(origin.runs, head.run) != 0;
}

void TargetFlow::on_head(GatewayIndex gateway, const Head& head, base::Instant now) {
    if (gateway == gateway_self) return;
    Origin& from = origin(gateway);
    if (superseded(from, head)) return;
    if (from.run != head.run || from.k != head.k) {
        from.gap = false;
        from.gap_answered = base::Instant{};
        from.unknown = 0;
    }
    from.run = head.run;
    from.k = head.k;
    from.runs = head.runs;
    mark(from, head.run);  // remembers the order in which runs were met
    if (from.marks.size() > watermarks_max) {
        const auto oldest = std::find_if(from.marks.begin(), from.marks.end(), [&](const Mark& candidate) {
            return last_of_run(from.runs, candidate.run) == 0 && !candidate.dirty;
        });
        if (oldest != from.marks.end()) {
            erased_.push_back(
                erased(watermark_row(RecoveredWatermark{registry_.id(gateway), oldest->run, 0, oldest->order})));
            from.marks.erase(oldest);
        }
    }
    from.accepted = through(from, &Mark::accepted);
    from.synced = through(from, &Mark::synced);
    if (from.accepted < head.floor) {
        // What is between is gone at its origin: W and the LOSS go into one batch.
        RecoveredLoss loss{registry_.id(gateway), loss_next_++, from.accepted, head.floor};
        losses_open_.push_back(loss);
        // Every run's watermark that lies in the gap moves, so that an origin restored to one of them does not bring
        // back what was published as lost.
        for (std::size_t i = 0; i < from.runs.size() && (i == 0 || from.runs[i].first <= head.floor); ++i) {
            const Position last = i + 1 == from.runs.size() ? position_max : from.runs[i + 1].first - 1;
            const Position up_to = std::min(last, head.floor);
            if (up_to <= from.accepted && up_to != head.floor) continue;
            Mark& moved = mark(from, from.runs[i].run);
            if (moved.accepted >= up_to) continue;
            moved.accepted = up_to;
            make_dirty(gateway, moved);
        }
        from.accepted = head.floor;
        ++counters_.losses;
    }
    from.at_due = true;
    due(gateway);
    static_cast<void>(now);
}

bool TargetFlow::knows(const Origin& origin, const DurableRecord& record) {
    if (origin.run == 0 || record.position == 0 || record.run == 0 || record.prev.position >= record.position)
        return false;
    const RunStart& newest = origin.runs.back();
    const Run run = record.position >= newest.first ? newest.run : run_of(origin.runs, record.position);
    if (run != record.run) return false;
    const Run prev = record.prev.position >= newest.first ? newest.run : run_of(origin.runs, record.prev.position);
    return prev == record.prev.run;
}

TargetFlow::Verdict TargetFlow::judge(GatewayIndex gateway, const DurableRecord& record, base::Instant now) {
    Origin& from = origin(gateway);
    if (!knows(from, record)) {
        ++counters_.unknown_runs;
        if (record.run != 0 &&
            (from.unknown_answered == base::Instant{} || now - from.unknown_answered >= answer_gap_min)) {
            from.unknown_answered = now;
            from.unknown = record.run;
            due(gateway);
        }
        return Verdict::unknown;
    }
    if (record.position <= from.accepted) {
        ++counters_.repeats;
        from.at_due = true;
        due(gateway);
        return Verdict::repeat;
    }
    if (record.prev.position > from.accepted) {
        ++counters_.gaps;
        if (from.gap_at != from.accepted || from.gap_answered == base::Instant{} ||
            now - from.gap_answered >= answer_gap_min) {
            from.gap_at = from.accepted;
            from.gap_answered = now;
            from.gap = true;
            due(gateway);
        }
        return Verdict::gap;
    }
    return Verdict::apply;
}

void TargetFlow::applied(GatewayIndex gateway, const DurableRecord& record) {
    Origin& from = origin(gateway);
    Mark& at = mark(from, record.run);
    BASE_CHECK(record.position > from.accepted);
    at.accepted = record.position;
    from.accepted = record.position;
    make_dirty(gateway, at);
    ++counters_.applied;
}

void TargetFlow::close_into(Commit& batch) {
    BASE_CHECK(closing_.empty());
    std::swap(closing_, dirty_);
    for (const GatewayIndex gateway : closing_) {
        Origin& from = origins_[gateway];
        from.dirty = false;
        from.closing_run = from.run;
        from.closing = from.accepted;
        for (Mark& mark : from.marks) {
            if (!mark.dirty) continue;
            mark.dirty = false;
            mark.closing = mark.accepted;
            mark.in_flight = true;
            batch.rows.push_back(
                watermark_row(RecoveredWatermark{registry_.id(gateway), mark.run, mark.accepted, mark.order}));
        }
    }
    for (const RecoveredLoss& loss : losses_open_) batch.rows.push_back(loss_row(loss));
    std::swap(losses_closing_, losses_open_);
    for (RowWrite& row : erased_) batch.rows.push_back(std::move(row));
    erased_.clear();
}

void TargetFlow::committed() {
    for (const GatewayIndex gateway : closing_) {
        Origin& from = origins_[gateway];
        for (Mark& mark : from.marks) {
            if (!mark.in_flight) continue;
            mark.in_flight = false;
            mark.synced = mark.closing;
        }
        // Under the history that the commit was closed under, W then is what survives now.
        from.synced = from.closing_run == from.run ? from.closing : through(from, &Mark::synced);
        from.at_due = true;
        due(gateway);
    }
    closing_.clear();
    for (const RecoveredLoss& loss : losses_closing_) {
        losses_.push_back(loss);
        outbox_.losses.push_back(Loss{loss.origin, loss.after, loss.up_to});
        if (losses_.size() > losses_max) {
            erased_.push_back(erased(loss_row(losses_.front())));
            losses_.erase(losses_.begin());
        }
    }
    losses_closing_.clear();
}

void TargetFlow::answer() {
    for (const GatewayIndex gateway : answers_) {
        Origin& from = origins_[gateway];
        from.listed = false;
        if (from.unknown != 0) {
            outbox_.control.push_back(
                FlowMessage{gateway, FlowMessage::Kind::at, encode(At{from.unknown, 0, boot_, 0, 0, false})});
            from.unknown = 0;
            ++counters_.ats_sent;
        }
        if ((!from.at_due && !from.gap) || from.run == 0) continue;
        outbox_.control.push_back(FlowMessage{
            gateway, FlowMessage::Kind::at,
            encode(At{from.run, from.k, boot_, std::min(from.synced, from.accepted), from.accepted, from.gap})});
        from.at_due = false;
        from.gap = false;
        ++counters_.ats_sent;
    }
    answers_.clear();
}

std::vector<OriginStatus> TargetFlow::status() const {
    std::vector<OriginStatus> out;
    for (GatewayIndex gateway = 0; gateway < origins_.size(); ++gateway) {
        const Origin& from = origins_[gateway];
        if (from.marks.empty()) continue;
        const Mark& newest = from.marks.back();
        out.push_back(OriginStatus{gateway, from.run != 0 ? from.run : newest.run,
                                   from.run != 0 ? from.accepted : newest.accepted,
                                   from.run != 0 ? from.synced : newest.synced});
    }
    return out;
}

}  // namespace routing::queue
