#include "routing/queue/origin_log.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "routing/base/check.h"
#include "routing/queue/rows.h"

namespace routing::queue {

OriginLog::OriginLog(const DurableOptions& options, GatewayRegistry& registry, TargetSets& sets,
                     const RecoveredState& state)
    : options_(options),
      run_(options.run),
      registry_(registry),
      sets_(sets),
      runs_(state.runs),
      next_(state.origin_next),
      committed_last_(state.origin_next - 1),
      segments_(state.segments.begin(), state.segments.end()),
      tail_(options.tail_bytes) {
    BASE_CHECK(run_ != 0);
    for (const RunStart& start : runs_) BASE_CHECK(start.run != run_ && start.first < next_);
    while (runs_.size() >= runs_max) {
        dropped_runs_.push_back(runs_.front().first);
        runs_.erase(runs_.begin());
    }
    runs_.push_back(RunStart{run_, next_});
    for (const RecoveredTarget& target : state.targets) {
        const auto index = registry_.intern(target.id);
        if (!index.has_value() || *index == gateway_self) continue;
        TargetFacts& facts = targets_[slot_of(*index)];
        facts.last = facts.last_committed = target.last;
        facts.floor = target.floor;
    }
    for (const Segment& segment : segments_) log_bytes_ += segment.bytes;
    begin_page();
}

TargetSlot OriginLog::slot_of(GatewayIndex gateway) {
    BASE_CHECK(gateway != gateway_self && gateway != gateway_none);
    if (gateway >= slots_.size()) slots_.resize(gateway + 1, target_slot_none);
    if (slots_[gateway] == target_slot_none) {
        slots_[gateway] = static_cast<TargetSlot>(targets_.size());
        TargetFacts facts;
        facts.gateway = gateway;
        facts.id = registry_.id(gateway);
        targets_.push_back(facts);
    }
    return slots_[gateway];
}

bool OriginLog::open_route(TargetSetId id, std::uint32_t& route) {
    const TargetSet* set = sets_.get(id);
    if (set == nullptr) return false;
    BASE_CHECK(!set->empty());
    if (routes_used_ == routes_.size()) routes_.emplace_back();
    OpenRoute& open = routes_[routes_used_];
    open.targets.clear();
    open.newest = 0;
    open.records = 0;
    PageRoute described;
    const AccountId account = sets_.account(id);
    BASE_CHECK(account < options_.accounts.size());
    described.account = options_.accounts[account];
    for (const Target& target : *set) {
        if (target.gateway >= gateway_refs_.size()) gateway_refs_.resize(target.gateway + 1);
        GatewayRef& ref = gateway_refs_[target.gateway];
        const TargetSlot slot = target.gateway == gateway_self ? target_slot_none : slot_of(target.gateway);
        if (ref.serial != page_serial_) {
            const Position prev = slot == target_slot_none ? 0 : targets_[slot].last;
            ref = GatewayRef{page_serial_, page_.add_gateway(registry_.id(target.gateway), prev)};
        }
        described.targets.push_back(PageTarget{ref.ref, target.plain, target.groups});
        if (slot != target_slot_none) open.targets.push_back(slot);
    }
    route = page_.add_route(std::move(described));
    ++routes_used_;
    return true;
}

base::Result<Position, OriginLog::AppendError> OriginLog::append(const MessageView& message, TargetSetId targets,
                                                                 AckToken token) {
    if (!room()) return base::failure(AppendError::full);
    if (page_.full() || page_.count() >= options_.page_records) close_page();
    if (targets.slot >= route_slots_.size()) {
        if (sets_.get(targets) == nullptr) return base::failure(AppendError::stale_targets);
        route_slots_.resize(targets.slot + 1);
    }
    RouteSlot& slot = route_slots_[targets.slot];
    if (slot.serial != page_serial_ || slot.generation != targets.generation) {
        std::uint32_t route = 0;
        if (!open_route(targets, route)) return base::failure(AppendError::stale_targets);
        slot = RouteSlot{targets.generation, page_serial_, route};
    }
    page_.append(slot.route, message);
    const Position position = next_++;
    OpenRoute& route = routes_[slot.route];
    route.newest = position;
    ++route.records;
    pending_bytes_ += message.body.size() + message.subject.size();
    if (token != 0) acks_open_.push_back(PubAck{token, position});
    return position;
}

void OriginLog::begin_page() {
    ++page_serial_;
    routes_used_ = 0;
    page_.begin(run_, next_);
}

void OriginLog::close_page() {
    BASE_CHECK(page_.count() > 0);
    PageTail::Entry entry{page_.first(), page_.last(), std::make_shared<const base::Bytes>(page_.finish())};
    if (open_segment_.pages == 0) open_segment_.first = entry.first;
    ++open_segment_.pages;
    open_segment_.bytes += entry.bytes->size();
    open_segment_.last = entry.last;
    log_bytes_ += entry.bytes->size();
    share_of_slot_.resize(targets_.size(), 0);
    for (std::size_t i = 0; i < routes_used_; ++i) {
        const OpenRoute& route = routes_[i];
        for (const TargetSlot slot : route.targets) {
            TargetFacts& facts = targets_[slot];
            facts.last = std::max(facts.last, route.newest);
            facts.dirty = true;
            if (share_of_slot_[slot] == 0) {
                open_segment_.shares.push_back(SegmentShare{facts.id, 0, 0});
                share_of_slot_[slot] = open_segment_.shares.size();
            }
            SegmentShare& share = open_segment_.shares[share_of_slot_[slot] - 1];
            share.newest = facts.last;
            share.records += route.records;
        }
    }
    closed_.push_back(std::move(entry));
    begin_page();
    if (open_segment_.bytes >= segment_bytes_max || open_segment_.pages >= options_.segment_pages) close_segment();
}

void OriginLog::close_segment() {
    if (open_segment_.pages == 0) return;
    std::sort(open_segment_.shares.begin(), open_segment_.shares.end(),
              [](const SegmentShare& a, const SegmentShare& b) { return a.target < b.target; });
    segments_.push_back(std::exchange(open_segment_, Segment{}));
    std::fill(share_of_slot_.begin(), share_of_slot_.end(), 0);
}

void OriginLog::close_into(Commit& batch) {
    BASE_CHECK(in_flight_.empty() && acks_in_flight_.empty());
    if (page_.count() > 0) close_page();
    if (!closed_.empty() && !run_written_) {
        run_written_ = true;
        batch.rows.push_back(run_row(runs_.back()));
        for (const Position first : dropped_runs_) batch.rows.push_back(erased(run_row(RunStart{1, first})));
        dropped_runs_.clear();
    }
    for (const PageTail::Entry& entry : closed_)
        batch.pages.push_back(PageWrite{LogId::origin, Page{entry.first, entry.bytes}});
    rows_dirty_ = false;
    for (TargetFacts& facts : targets_) {
        facts.last_in_flight = facts.last;
        if (!facts.dirty) continue;
        facts.dirty = false;
        batch.rows.push_back(target_row(RecoveredTarget{facts.id, facts.last, facts.floor}));
    }
    // Newest first: those without a row are at the end, but for what recover() found.
    for (auto segment = segments_.rbegin(); segment != segments_.rend() && !segment->stored; ++segment) {
        segment->stored = true;
        batch.rows.push_back(segment_row(*segment));
    }
    std::swap(in_flight_, closed_);
    std::swap(acks_in_flight_, acks_open_);
    in_flight_bytes_ = pending_bytes_;
}

void OriginLog::committed(std::vector<PageTail::Entry>& pages, std::vector<PubAck>& acks) {
    pages = in_flight_;
    for (PageTail::Entry& entry : in_flight_) {
        committed_last_ = entry.last;
        tail_.add(std::move(entry));
    }
    in_flight_.clear();
    acks.insert(acks.end(), acks_in_flight_.begin(), acks_in_flight_.end());
    acks_in_flight_.clear();
    pending_bytes_ -= in_flight_bytes_;
    in_flight_bytes_ = 0;
    for (TargetFacts& facts : targets_) facts.last_committed = facts.last_in_flight;
}

void OriginLog::raise_floor(TargetSlot target, Position position) {
    TargetFacts& facts = targets_[target];
    if (position <= facts.floor) return;
    BASE_CHECK(position <= facts.last);
    facts.floor = position;
    facts.dirty = true;
    rows_dirty_ = true;
}

std::uint64_t OriginLog::trimmable_bytes(Position mark) const {
    std::uint64_t bytes = 0;
    for (const Segment& segment : segments_) {
        if (segment.last > mark) return bytes;
        bytes += segment.bytes;
    }
    if (open_segment_.pages > 0 && open_segment_.last <= mark) bytes += open_segment_.bytes;
    return bytes;
}

void OriginLog::trim_into(Commit& batch, Position mark) {
    mark = std::min(mark, committed_last_);
    if (open_segment_.pages > 0 && open_segment_.last <= mark) close_segment();
    bool any = false;
    while (!segments_.empty() && segments_.front().last <= mark) {
        const Segment& segment = segments_.front();
        for (const SegmentShare& share : segment.shares) {
            const auto index = registry_.intern(share.target);
            if (!index.has_value() || *index == gateway_self) continue;
            TargetFacts& facts = targets_[slot_of(*index)];
            if (share.newest <= facts.floor) continue;
            facts.floor = share.newest;
            facts.last = std::max(facts.last, facts.floor);
            facts.last_in_flight = std::max(facts.last_in_flight, facts.floor);
            facts.last_committed = std::max(facts.last_committed, facts.floor);
            batch.rows.push_back(target_row(RecoveredTarget{facts.id, facts.last, facts.floor}));
        }
        if (segment.stored) batch.rows.push_back(erased(segment_row(segment)));
        log_bytes_ -= segment.bytes;
        segments_.pop_front();
        any = true;
    }
    if (!any) return;
    Position before = page_.first();
    if (!segments_.empty()) {
        before = segments_.front().first;
    } else if (open_segment_.pages > 0) {
        before = open_segment_.first;
    }
    batch.rows.push_back(trimmed_row(LogId::origin, before));
    batch.trims.push_back(Trim{LogId::origin, before});
    tail_.trim(before);
}

std::uint64_t OriginLog::records_after(TargetSlot target, Position position) const {
    const GatewayId& id = targets_[target].id;
    std::uint64_t records = 0;
    for (auto segment = segments_.rbegin(); segment != segments_.rend() && segment->last > position; ++segment) {
        const auto at =
            std::lower_bound(segment->shares.begin(), segment->shares.end(), id,
                             [](const SegmentShare& share, const GatewayId& key) { return share.target < key; });
        if (at != segment->shares.end() && at->target == id && at->newest > position) records += at->records;
    }
    for (const SegmentShare& share : open_segment_.shares)
        if (share.target == id && share.newest > position) records += share.records;
    return records;
}

}  // namespace routing::queue
