#include "routing/queue/recovery.h"

#include <algorithm>
#include <utility>

#include "routing/queue/page.h"
#include "routing/queue/rows.h"

namespace routing::queue {

namespace {

/// Unit: bytes per read while recovering.
constexpr std::uint64_t read_bytes = 4u << 20;

void add_share(Segment& segment, const GatewayId& target, Position newest) {
    const auto at = std::lower_bound(segment.shares.begin(), segment.shares.end(), target,
                                     [](const SegmentShare& share, const GatewayId& id) { return share.target < id; });
    if (at != segment.shares.end() && at->target == target) {
        at->newest = std::max(at->newest, newest);
        ++at->records;
        return;
    }
    segment.shares.insert(at, SegmentShare{target, newest, 1});
}

}  // namespace

bool add_page(Segment& segment, Position first, base::ByteView page, const GatewayId* self) {
    if (segment.pages == 0) segment.first = first;
    ++segment.pages;
    segment.bytes += page.size();
    segment.last = std::max(segment.last, first);
    OriginPageReader reader;
    if (!reader.open(page, true)) return false;
    OriginRecord record;
    while (reader.next(record)) {
        segment.last = std::max(segment.last, record.position);
        for (const PageTarget& target : reader.routes()[record.route].targets) {
            const GatewayId& id = reader.gateways()[target.gateway].id;
            if (self == nullptr || id != *self) add_share(segment, id, record.position);
        }
    }
    return !reader.broken();
}

base::Result<RecoveredState, StoreError> recover(QueueStore& store, const GatewayId& self) {
    auto rows = store.load();
    if (!rows.ok()) return base::failure(rows.error());
    RecoveredState state;
    if (!read_rows(rows.value(), state)) return base::failure(StoreError::damaged);

    // The origin log beyond the last segment that has a row.
    for (Segment& segment : state.segments) {
        segment.stored = true;
        state.origin_next = std::max(state.origin_next, segment.last + 1);
    }
    Position from = state.origin_next;
    Segment open;
    while (true) {
        auto pages = store.read(LogId::origin, from, read_bytes);
        if (!pages.ok()) return base::failure(pages.error());
        bool any = false;
        for (const Page& page : pages.value()) {
            if (page.first < from) continue;  // the page that holds what is before
            any = true;
            if (!add_page(open, page.first, *page.bytes, &self)) {
                ++state.damaged_pages;
                state.origin_next = std::max(state.origin_next, page.first + page_records_max);
            }
            from = open.last + 1;
            if (open.bytes >= segment_bytes_max || open.pages >= segment_pages_max)
                state.segments.push_back(std::exchange(open, Segment{}));
        }
        if (!any) break;
    }
    if (open.pages > 0) state.segments.push_back(std::move(open));
    // A position is never given twice, whatever pages a damaged disk has lost.
    state.origin_next = std::max(state.origin_next, from);
    for (const RunStart& start : state.runs) state.origin_next = std::max(state.origin_next, start.first + 1);
    for (const RecoveredTarget& target : state.targets)
        state.origin_next = std::max(state.origin_next, target.last + 1);

    // The end of the local log.
    auto newest = store.read(LogId::local, position_max, 1);
    if (!newest.ok()) return base::failure(newest.error());
    if (!newest.value().empty()) {
        const Page& page = newest.value().back();
        LocalPageReader reader;
        if (reader.open(*page.bytes, true)) {
            state.local_next = std::max(state.local_next, reader.last() + 1);
        } else {
            ++state.damaged_pages;
            state.local_next = std::max(state.local_next, page.first + page_records_max);
        }
    }
    return state;
}

}  // namespace routing::queue
