#include "routing/queue/origin_flow.h"

#include <algorithm>
#include <utility>

#include "routing/base/check.h"

namespace routing::queue {

namespace {

std::uint64_t cost(const MessageView& message) {
    return message.subject.size() + message.body.size() + 16;
}

}  // namespace

OriginFlow::OriginFlow(const DurableOptions& options, OriginLog& log, GatewayRegistry& registry, TargetSets& sets,
                       Outbox& outbox, DurableCounters& counters, CommandId& next_command)
    : options_(options),
      log_(log),
      registry_(registry),
      sets_(sets),
      outbox_(outbox),
      counters_(counters),
      next_command_(next_command) {
    for (TargetSlot slot = 0; slot < log_.targets().size(); ++slot) flow(slot);
}

OriginFlow::Flow& OriginFlow::flow(TargetSlot slot) {
    while (flows_.size() <= slot) {
        // What is no longer in the log is done with; of the rest nothing is known before the target speaks.
        Flow fresh;
        fresh.synced = fresh.accepted = fresh.sent = fresh.scanned = log_.targets()[flows_.size()].floor;
        flows_.push_back(std::move(fresh));
    }
    return flows_[slot];
}

bool OriginFlow::unacknowledged(TargetSlot slot) const {
    return flows_[slot].synced < flows_[slot].sent;
}

base::Duration OriginFlow::timeout(const Flow& flow) const {
    const base::Duration once = retransmission_base + 4 * flow.round_trip;
    return std::min(retransmission_max, once * (std::int64_t{1} << std::min<std::uint32_t>(flow.repeats, 6)));
}

base::Instant OriginFlow::deadline(TargetSlot slot) const {
    const Flow& flow = flows_[slot];
    if (flow.state == State::asking) return flow.head_at + timeout(flow);
    if (flow.state == State::open && unacknowledged(slot)) return std::max(flow.moved_at, flow.head_at) + timeout(flow);
    return base::instant_max;
}

void OriginFlow::reset_sending(Flow& flow, Position from) {
    flow.sent = flow.scanned = from;
    flow.sent_bytes = flow.accepted_bytes = 0;
    flow.marks.clear();
    forget_walk(flow);
}

void OriginFlow::forget_walk(Flow& flow) {
    flow.catching = true;
    flow.walk.page.reset();
    flow.walk.read.clear();
    flow.walk.reading = 0;
    flow.walk.read_to_end = false;
    flow.walk.read_bytes = catch_up_read_bytes;
}

void OriginFlow::begin(TargetSlot slot, base::Instant now) {
    Flow& flow = flows_[slot];
    flow.state = State::asking;
    ++flow.k;
    flow.boot = 0;
    flow.repeats = 0;
    flow.probing = false;
    flow.went_back = false;
    flow.round_trip_asked = true;
    reset_sending(flow, flow.accepted);
    send_head(slot, now);
}

void OriginFlow::send_head(TargetSlot slot, base::Instant now) {
    Flow& flow = flows_[slot];
    const TargetFacts& facts = log_.targets()[slot];
    outbox_.control.push_back(FlowMessage{facts.gateway, FlowMessage::Kind::head,
                                          encode(Head{log_.run(), flow.k, facts.floor, log_.runs()})});
    flow.head_at = now;
    ++counters_.heads_sent;
}

void OriginFlow::set_reachable(GatewayIndex gateway, bool reachable, base::Instant now) {
    if (gateway == gateway_self) return;
    // Only targets that there ever were have a flow; another gateway gets one with its first record.
    if (gateway >= reachable_.size()) reachable_.resize(gateway + 1, 0);
    if ((reachable_[gateway] != 0) == reachable) return;
    reachable_[gateway] = reachable ? 1 : 0;
    const TargetSlot slot = log_.find_slot(gateway);
    if (slot == target_slot_none) return;
    Flow& target = flow(slot);
    if (reachable) {
        begin(slot, now);
    } else {
        target.state = State::away;
        target.barred = 0;  // there is no way now; the next one may be another
        reset_sending(target, target.accepted);
    }
}

void OriginFlow::on_at(GatewayIndex gateway, const At& at, base::Instant now) {
    const TargetSlot slot = log_.find_slot(gateway);
    if (slot == target_slot_none) return;
    Flow& target = flow(slot);
    if (target.state == State::away) return;
    if (at.k == 0) {
        // It does not know our history.  While asking, HEAD is on its way already.
        if (target.state == State::open && last_of_run(log_.runs(), at.run) != 0) begin(slot, now);
        return;
    }
    if (at.run != log_.run() || at.k != target.k) return;
    if (at.accepted > log_.committed_last()) return;  // of no history of ours
    if (target.state == State::open && at.boot != target.boot) {
        begin(slot, now);
        return;
    }
    // Answered before it heard of the floor (HEAD is repeated until it did), or overtaken by later answers.
    if (at.accepted < log_.targets()[slot].floor) return;
    if (target.state == State::asking) {
        target.state = State::open;
        target.boot = at.boot;
        // It may have less than it once reported: a restored backup.
        target.accepted = at.accepted;
        target.synced = at.synced;
        if (target.accepted >= target.barred) target.barred = 0;  // it had gone before
        target.moved_at = now;
        if (target.round_trip_asked && target.repeats == 0) target.round_trip = now - target.head_at;
        target.repeats = 0;
        reset_sending(target, at.accepted);
        pump(slot, now);
        return;
    }
    bool moved = false;
    if (at.synced > target.synced) {
        target.synced = at.synced;
        moved = true;
    }
    const bool current = at.accepted >= target.accepted;
    if (at.accepted > target.accepted) {
        target.accepted = at.accepted;
        if (target.accepted >= target.barred) target.barred = 0;  // it had gone before
        moved = true;
    }
    if (target.accepted > target.sent) reset_sending(target, target.accepted);
    while (!target.marks.empty() && target.marks.front().position <= target.accepted) {
        target.accepted_bytes = target.marks.front().sent_bytes;
        target.marks.pop_front();
    }
    if (moved) {
        target.moved_at = now;
        target.repeats = 0;
    }
    const bool probed = target.probing && target.accepted == target.probe_accepted;
    if (moved || probed) target.probing = false;
    if (current && target.accepted < target.sent && (at.gap || probed)) go_back(slot, now);
    pump(slot, now);
}

void OriginFlow::go_back(TargetSlot slot, base::Instant now) {
    Flow& flow = flows_[slot];
    const base::Duration least = std::max(flow.round_trip, go_back_gap_min);
    if (flow.went_back && flow.back_to == flow.accepted && now - flow.back_at < least) return;
    flow.went_back = true;
    flow.back_to = flow.accepted;
    flow.back_at = now;
    ++counters_.go_backs;
    reset_sending(flow, flow.accepted);
}

Prev OriginFlow::prev_at(Position position) const {
    const RunStart& newest = log_.runs().back();
    return Prev{position >= newest.first ? newest.run : run_of(log_.runs(), position), position};
}

AccountId OriginFlow::account_of(const std::string& name) const {
    for (std::size_t i = 0; i < options_.accounts.size(); ++i)
        if (options_.accounts[i] == name) return static_cast<AccountId>(i);
    return account_global;
}

void OriginFlow::mark_sent(Flow& flow) {
    if (flow.marks.empty() || flow.marks.back().position < flow.sent) {
        if (flow.sent > flow.accepted) flow.marks.push_back(Mark{flow.sent, flow.sent_bytes});
    }
}

void OriginFlow::make_plan(Plan& plan, const PageRoute& route) {
    plan.serial = plan_serial_;
    plan.refs.clear();
    plan.set = target_set_none;
    TargetSet set;
    std::vector<std::pair<GatewayIndex, const PageTarget*>> chosen;
    for (const PageTarget& target : route.targets)
        if (live_[target.gateway] != 0) chosen.emplace_back(log_.targets()[slots_[target.gateway]].gateway, &target);
    std::sort(chosen.begin(), chosen.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [gateway, target] : chosen) {
        set.push_back(Target{gateway, target->plain, target->groups});
        plan.refs.push_back(target->gateway);
    }
    if (!set.empty()) plan.set = sets_.intern(set, account_of(route.account));
}

void OriginFlow::send_page(const PageTail::Entry& page, base::Instant now) {
    const bool good = reader_.open(*page.bytes, false);
    BASE_CHECK(good);
    slots_.clear();
    live_.clear();
    ++plan_serial_;
    bool any_live = false;
    for (const PageGateway& gateway : reader_.gateways()) {
        const auto index = registry_.find(gateway.id);
        BASE_CHECK(index.has_value());
        const TargetSlot slot = *index == gateway_self ? target_slot_none : log_.find_slot(*index);
        slots_.push_back(slot);
        if (slot == target_slot_none) {
            live_.push_back(0);
            continue;
        }
        Flow& target = flow(slot);
        if (target.state == State::away && *index < reachable_.size() && reachable_[*index] != 0) begin(slot, now);
        if (target.state == State::open && !unacknowledged(slot)) target.moved_at = now;
        const bool live = target.state == State::open && !target.catching && target.sent >= gateway.prev &&
                          target.sent_bytes - target.accepted_bytes < options_.target_window_bytes;
        if (!live) target.catching = true;
        live_.push_back(live ? 1 : 0);
        any_live = any_live || live;
    }
    if (!any_live) return;
    if (plans_.size() < reader_.routes().size()) plans_.resize(reader_.routes().size());
    bool held = false;
    OriginRecord record;
    while (reader_.next(record)) {
        Plan& plan = plans_[record.route];
        if (plan.serial != plan_serial_) make_plan(plan, reader_.routes()[record.route]);
        if (plan.refs.empty()) continue;
        SendRecord send;
        send.targets = plan.set;
        send.run = reader_.run();
        send.position = record.position;
        send.prevs_from = static_cast<std::uint32_t>(outbox_.prevs.size());
        send.message = record.message;
        send.message.account = sets_.account(plan.set);
        const std::uint64_t bytes = cost(record.message);
        bool full = false;
        for (const std::uint32_t ref : plan.refs) {
            Flow& target = flows_[slots_[ref]];
            outbox_.prevs.push_back(prev_at(reader_.gateways()[ref].prev));
            target.sent = record.position;
            target.sent_bytes += bytes;
            if (target.sent_bytes - target.accepted_bytes >= options_.target_window_bytes) {
                live_[ref] = 0;
                target.catching = true;
                target.scanned = record.position;
                full = true;
            }
        }
        outbox_.records.push_back(send);
        ++counters_.records_sent;
        held = true;
        if (full) ++plan_serial_;
    }
    BASE_CHECK(!reader_.broken());
    if (held) outbox_.held.push_back(page.bytes);
    for (const TargetSlot slot : slots_)
        if (slot != target_slot_none) mark_sent(flows_[slot]);
}

void OriginFlow::on_committed(const std::vector<PageTail::Entry>& pages, base::Instant now) {
    for (const PageTail::Entry& page : pages) send_page(page, now);
    for (TargetSlot slot = 0; slot < flows_.size(); ++slot) {
        Flow& target = flows_[slot];
        if (target.state == State::open && target.catching && target.sent < log_.targets()[slot].last_committed) {
            target.walk.read_to_end = false;
            pump(slot, now);
        }
    }
}

bool OriginFlow::open_page(TargetSlot slot, const PageBytes& bytes) {
    Walk& walk = flows_[slot].walk;
    if (!walk.reader.open(*bytes, true)) return false;
    walk.page = bytes;
    walk.sets.assign(walk.reader.routes().size(), target_set_none);
    const GatewayId& id = log_.targets()[slot].id;
    walk.gateway_ref = 0xffffffff;
    for (std::uint32_t i = 0; i < walk.reader.gateways().size(); ++i)
        if (walk.reader.gateways()[i].id == id) walk.gateway_ref = i;
    return true;
}

bool OriginFlow::next_page(TargetSlot slot) {
    Flow& target = flows_[slot];
    Walk& walk = target.walk;
    while (true) {
        if (const PageTail::Entry* entry = log_.tail().find(target.scanned + 1); entry != nullptr) {
            walk.read.clear();
            if (open_page(slot, entry->bytes)) return true;
            target.scanned = entry->last;
            continue;
        }
        while (!walk.read.empty()) {
            const PageBytes bytes = walk.read.front().bytes;
            const Position first = walk.read.front().first;
            walk.read.pop_front();
            if (open_page(slot, bytes)) return true;
            target.scanned = std::max(target.scanned, first);
            outbox_.log.push_back(LogLine{LogLine::Level::error,
                                          "durable: the page at " + std::to_string(first) +
                                              " of the origin log is damaged; what it held is lost to its targets"});
        }
        if (walk.reading == 0 && !walk.read_to_end) {
            walk.reading = next_command_++;
            reads_.emplace_back(walk.reading, slot);
            outbox_.store.push_back(Read{walk.reading, LogId::origin, target.scanned + 1, walk.read_bytes});
        }
        return false;
    }
}

void OriginFlow::lost_up_to(TargetSlot slot, Position position, base::Instant now) {
    outbox_.log.push_back(LogLine{LogLine::Level::error, "durable: the log has lost what is before " +
                                                             std::to_string(position) + " for a target"});
    log_.raise_floor(slot, position);
    begin(slot, now);
}

void OriginFlow::pump(TargetSlot slot, base::Instant now) {
    Flow& target = flows_[slot];
    if (target.state != State::open || !target.catching) return;
    const TargetFacts& facts = log_.targets()[slot];
    Walk& walk = target.walk;
    if (walk.page == nullptr) target.scanned = std::max(target.scanned, target.sent);
    while (target.sent_bytes - target.accepted_bytes < options_.target_window_bytes && !target.stands()) {
        if (target.sent >= facts.last_committed) {
            target.catching = false;
            walk.page.reset();
            walk.read.clear();
            break;
        }
        if (walk.page == nullptr) {
            if (next_page(slot)) continue;
            if (walk.read_to_end && target.accepted >= target.sent) return lost_up_to(slot, facts.last_committed, now);
            break;
        }
        OriginRecord record;
        bool sent_any = false;
        bool more = false;
        while (walk.gateway_ref != 0xffffffff && walk.reader.next(record)) {
            if (record.position <= target.sent) continue;
            const PageRoute& route = walk.reader.routes()[record.route];
            const PageTarget* me = nullptr;
            for (const PageTarget& candidate : route.targets)
                if (candidate.gateway == walk.gateway_ref) me = &candidate;
            if (me == nullptr) continue;
            const Position prev = walk.reader.gateways()[walk.gateway_ref].prev;
            if (prev > target.sent) {
                // Something is missing in the log.  What was sent before it must arrive before that is said.
                if (sent_any) outbox_.held.push_back(walk.page);
                mark_sent(target);
                walk.page.reset();
                walk.read.clear();
                target.scanned = std::max(target.scanned, record.position - 1);
                if (target.accepted >= target.sent) lost_up_to(slot, prev, now);
                return;
            }
            TargetSetId& set = walk.sets[record.route];
            if (sets_.get(set) == nullptr)
                set = sets_.intern(TargetSet{Target{facts.gateway, me->plain, me->groups}}, account_of(route.account));
            SendRecord send;
            send.targets = set;
            send.run = walk.reader.run();
            send.position = record.position;
            send.prevs_from = static_cast<std::uint32_t>(outbox_.prevs.size());
            send.message = record.message;
            send.message.account = sets_.account(set);
            outbox_.prevs.push_back(prev_at(prev));
            outbox_.records.push_back(send);
            if (!unacknowledged(slot)) target.moved_at = now;
            target.sent = record.position;
            target.sent_bytes += cost(record.message);
            ++counters_.records_resent;
            sent_any = true;
            if (target.sent_bytes - target.accepted_bytes >= options_.target_window_bytes || target.stands()) {
                more = true;
                break;
            }
        }
        if (sent_any) outbox_.held.push_back(walk.page);
        mark_sent(target);
        if (more) break;
        target.scanned = std::max(target.scanned, walk.reader.first() + walk.reader.count() - 1);
        walk.page.reset();
    }
}

bool OriginFlow::on_read(CommandId id, std::vector<Page>& pages, base::Instant now) {
    const auto found = std::find_if(reads_.begin(), reads_.end(), [&](const auto& read) { return read.first == id; });
    if (found == reads_.end()) return false;
    const TargetSlot slot = found->second;
    reads_.erase(found);
    Flow& target = flows_[slot];
    if (target.walk.reading != id) return true;  // it went back meanwhile
    target.walk.reading = 0;
    // The first page may end before the place that was asked for, or be damaged: the next one is wanted as well.
    std::uint64_t bytes = 0;
    bool useful = pages.size() > 1;
    for (Page& page : pages) {
        bytes += page.bytes->size();
        OriginPageReader reader;
        useful = useful || page.first > target.scanned ||
                 (reader.open(*page.bytes, true) && reader.first() + reader.count() - 1 > target.scanned);
        target.walk.read.push_back(std::move(page));
    }
    if (useful) {
        target.walk.read_bytes = catch_up_read_bytes;
    } else {
        target.walk.read.clear();
        target.walk.read_to_end = bytes == 0 || target.walk.read_bytes > catch_up_read_bytes;
        target.walk.read_bytes = target.walk.read_to_end ? catch_up_read_bytes : bytes + catch_up_read_bytes;
    }
    pump(slot, now);
    return true;
}

void OriginFlow::give_up(GatewayIndex gateway, base::Instant now) {
    const TargetSlot slot = log_.find_slot(gateway);
    if (slot == target_slot_none) return;
    Flow& target = flow(slot);
    const Position last = log_.targets()[slot].last_committed;
    log_.raise_floor(slot, last);
    target.accepted = target.synced = std::max(target.synced, last);
    target.barred = 0;
    if (target.state == State::away) {
        reset_sending(target, target.accepted);
    } else {
        begin(slot, now);
    }
}

void OriginFlow::bar(GatewayIndex gateway, Position position, Position after) {
    const TargetSlot slot = log_.find_slot(gateway);
    if (slot == target_slot_none) return;
    Flow& target = flow(slot);
    if (target.state != State::open || target.sent < position || target.accepted >= position) return;
    target.barred = position;
    target.barred_after = after;
    // What was sent before it is on its way; it and what followed it never left.
    while (!target.marks.empty() && target.marks.back().position > after) target.marks.pop_back();
    target.sent = target.scanned = std::max(after, target.accepted);
    target.sent_bytes = target.marks.empty() ? target.accepted_bytes : target.marks.back().sent_bytes;
    mark_sent(target);
    forget_walk(target);
}

void OriginFlow::try_barred(GatewayIndex gateway, base::Instant now) {
    const TargetSlot slot = log_.find_slot(gateway);
    if (slot == target_slot_none) return;
    flow(slot).barred = 0;
    pump(slot, now);
}

bool OriginFlow::skip_barred(GatewayIndex gateway, Position position, base::Instant now) {
    if (position == 0 || barred(gateway) != position) return false;
    const TargetSlot slot = log_.find_slot(gateway);
    Flow& target = flow(slot);
    // A floor says that all before it is gone: what comes before must be there first.
    if (target.accepted < target.barred_after) return false;
    target.barred = 0;
    log_.raise_floor(slot, position);
    begin(slot, now);
    return true;
}

Position OriginFlow::barred(GatewayIndex gateway) const {
    const TargetSlot slot = log_.find_slot(gateway);
    return slot < flows_.size() ? flows_[slot].barred : 0;
}

bool OriginFlow::is_past(GatewayIndex gateway, Position position) const {
    const TargetSlot slot = log_.find_slot(gateway);
    return slot < flows_.size() && flows_[slot].barred == 0 && flows_[slot].sent >= position;
}

void OriginFlow::tick(base::Instant now) {
    for (TargetSlot slot = 0; slot < flows_.size(); ++slot) {
        if (deadline(slot) > now) continue;
        Flow& target = flows_[slot];
        ++target.repeats;
        target.round_trip_asked = false;
        if (target.state == State::open) {
            target.probing = true;
            target.probe_accepted = target.accepted;
        }
        send_head(slot, now);
    }
}

base::Instant OriginFlow::next_deadline() const {
    base::Instant earliest = base::instant_max;
    for (TargetSlot slot = 0; slot < flows_.size(); ++slot) earliest = std::min(earliest, deadline(slot));
    return earliest;
}

bool OriginFlow::has_room(GatewayIndex gateway) const {
    const TargetSlot slot = log_.find_slot(gateway);
    if (slot == target_slot_none || slot >= flows_.size()) return true;
    const Flow& target = flows_[slot];
    return target.state == State::open && target.barred == 0 &&
           target.sent_bytes - target.accepted_bytes < options_.target_window_bytes;
}

Position OriginFlow::trim_mark() const {
    Position mark = log_.committed_last();
    for (TargetSlot slot = 0; slot < log_.targets().size(); ++slot) {
        const TargetFacts& facts = log_.targets()[slot];
        const Position synced = slot < flows_.size() ? flows_[slot].synced : facts.floor;
        if (synced < facts.last_committed) mark = std::min(mark, synced);
    }
    return mark;
}

std::vector<TargetStatus> OriginFlow::status(base::Instant now) const {
    std::vector<TargetStatus> out;
    for (TargetSlot slot = 0; slot < flows_.size(); ++slot) {
        const Flow& target = flows_[slot];
        const TargetFacts& facts = log_.targets()[slot];
        TargetStatus status;
        status.gateway = facts.gateway;
        status.last = facts.last;
        status.floor = facts.floor;
        status.sent = target.sent;
        status.accepted = target.accepted;
        status.synced = target.synced;
        status.backlog_records_max = target.synced < facts.last ? log_.records_after(slot, target.synced) : 0;
        status.in_flight_bytes = target.sent_bytes - target.accepted_bytes;
        status.reachable = facts.gateway < reachable_.size() && reachable_[facts.gateway] != 0;
        status.open = target.state == State::open;
        status.barred = target.barred;
        if (target.synced < facts.last_committed && target.moved_at != base::Instant{})
            status.quiet = now - target.moved_at;
        out.push_back(status);
    }
    return out;
}

}  // namespace routing::queue
