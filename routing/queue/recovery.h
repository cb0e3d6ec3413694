// What a gateway finds in its store when it starts, as plain values.  recover() is the one place that reads rows back.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "routing/base/result.h"
#include "routing/queue/flow_message.h"
#include "routing/queue/queue_store.h"
#include "routing/types.h"

namespace routing::queue {

/// What a stretch of consecutive pages of the origin log holds for one target.
struct SegmentShare {
    GatewayId target;
    Position newest = 0;        ///< its newest record in the stretch
    std::uint64_t records = 0;  ///< how many it has there
    bool operator==(const SegmentShare&) const = default;
};

/// A stretch of consecutive pages: what is trimmed at once.
struct Segment {
    Position first = 0;  ///< of its first record; the key
    Position last = 0;   ///< of its last record
    std::uint64_t bytes = 0;
    std::uint64_t pages = 0;
    std::vector<SegmentShare> shares;  ///< ascending by target
    bool stored = false;               ///< there is a row that says this
    bool operator==(const Segment&) const = default;
};

struct RecoveredTarget {
    GatewayId id;
    Position last = 0;
    Position floor = 0;
};

struct RecoveredWatermark {
    GatewayId origin;
    Run run = 0;
    Position position = 0;
    std::uint64_t order = 0;  ///< ascending in the order in which this target first saw the runs of an origin
};

struct RecoveredLoss {
    GatewayId origin;
    std::uint64_t number = 0;  ///< counts losses of this gateway up
    Position after = 0;
    Position up_to = 0;
};

/// A reader of the local log: one plain subscription, or one queue group with its filters.
struct RecoveredReader {
    std::uint64_t id = 0;
    std::string account;
    std::string queue;                 ///< empty: plain
    std::vector<std::string> filters;  ///< plain: exactly one
    std::string client;                ///< plain: the name that the client gave in CONNECT
    std::string sid;                   ///< plain
    Position cursor = 0;               ///< all up to here is done with
};

/// Interest of another gateway as it was last known.
struct RememberedInterest {
    GatewayId gateway;
    std::string account;
    std::string filter;
    std::string queue;
    std::uint32_t weight = 0;
};

struct RecoveredState {
    // origin
    RunList runs;
    std::vector<RecoveredTarget> targets;
    std::vector<Segment> segments;  ///< ascending; all pages of the origin log are in one of them
    Position origin_next = 1;
    std::uint64_t damaged_pages =
        0;  ///< of either log that could not be read (counted; what they held is found missing later)
    // target
    std::vector<RecoveredWatermark> watermarks;
    std::vector<RecoveredLoss> losses;
    // local queue
    std::vector<RecoveredReader> readers;
    Position local_first = 1;  ///< the smallest position that the local log may still hold
    Position local_next = 1;
    // for the Node
    std::vector<RememberedInterest> remembered;
};

/// When a segment is closed and a new one begun.  Unit: bytes of pages, pages.  Source: what a restart reads to find
/// out what the last segment holds, and how coarse trimming is.
inline constexpr std::uint64_t segment_bytes_max = 4u << 20;
inline constexpr std::uint64_t segment_pages_max = 256;

/// Adds to `segment` what an origin page of `bytes` bytes holds; targets other than `self`.
/// Errors: false if the page is damaged (the segment then counts its bytes only).
bool add_page(Segment& segment, Position first, base::ByteView page, const GatewayId* self);

/// Reads the store of the gateway `self`: all rows, and those pages that no segment row speaks of.
/// Errors: what the store says; `damaged` if a row is not one that this version wrote.
/// Threads: where `store` may be used; blocks.
[[nodiscard]] base::Result<RecoveredState, StoreError> recover(QueueStore& store, const GatewayId& self);

}  // namespace routing::queue
