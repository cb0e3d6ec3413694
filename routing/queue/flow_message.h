// What an origin and a target tell each other, end to end: HEAD and AT (bodies of Tree::send_to_gateway, control lane,
// may be lost, repeated and reordered) and the durable record (durable lane).  Source: DESIGN 5, "Flow" and "One pair
// of frames". Leaves to others: framing and routing (routing/peer), the wire form of a durable record
// (routing/peer/record).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "routing/base/bytes.h"
#include "routing/queue/queue_store.h"
#include "routing/types.h"

namespace routing::queue {

/// One process start of an origin.  Unit: 64 random bits; 0 is "none" and never drawn.
using Run = std::uint64_t;

/// One process start of a target, as the target's answers name it.  64 random bits, never 0.
using BootId = std::uint64_t;

/// From here on the origin's positions were given under `run`, until the next entry.
struct RunStart {
    Run run = 0;
    Position first = 0;
    bool operator==(const RunStart&) const = default;
};

/// H: ascending by `first`, runs distinct.
using RunList = std::vector<RunStart>;

/// Process starts of one origin that H keeps; the oldest give way.  A target whose newest watermark is of a run that
/// gave way is treated as if it had nothing.  Unit: entries (of 16 bytes in a HEAD).  Source: 4,096 restarts is one a
/// day for 11 years; 64 KiB is what one control message may well hold.
inline constexpr std::size_t runs_max = 4096;

/// The run under which `position` was given: 0 for positions before H (position 0 among them).
[[nodiscard]] Run run_of(const RunList& runs, Position position);

inline constexpr Position position_max = 0xffffffffffffffff;

/// The last position that may belong to `run`: position_max for the newest, 0 if H does not have it.
[[nodiscard]] Position last_of_run(const RunList& runs, Run run);

/// Origin -> target: "this is my history; where are you?"
///
///     version u8 = 1 | run u64 LE | k varint | floor varint | count varint | count x (run u64 LE, first varint)
///
/// The last entry of H is (run, the first position that this run gives or gave).
struct Head {
    Run run = 0;
    std::uint64_t k = 0;  ///< how many times this run began the flow to this target; from 1
    Position floor = 0;   ///< the newest record for this target that the origin no longer has
    RunList runs;         ///< H
    bool operator==(const Head&) const = default;
};

/// Target -> origin: acknowledgement, gap answer and reply to HEAD in one.
///
///     version u8 = 1 | flags u8 (1: gap) | run u64 LE | k varint | boot u64 LE | synced varint | accepted varint
struct At {
    Run run = 0;            ///< that of the HEAD it goes by; with k = 0: that of the record which it did not know
    std::uint64_t k = 0;    ///< that of the HEAD it goes by; 0: "I know no history of yours that has this record"
    BootId boot = 0;        ///< this process start of the target
    Position synced = 0;    ///< W as it survives a crash: only this trims
    Position accepted = 0;  ///< W: only this moves the send position
    bool gap = false;       ///< a record was dropped because what is before it is missing
    bool operator==(const At&) const = default;
};

[[nodiscard]] base::Bytes encode(const Head& head);
[[nodiscard]] base::Bytes encode(const At& at);
/// Errors: nothing if `body` is not exactly one well-formed message (H out of order, too long, a zero run, bytes left
/// over).
[[nodiscard]] std::optional<Head> decode_head(base::ByteView body);
[[nodiscard]] std::optional<At> decode_at(base::ByteView body);

/// The position of the record before this one for the same target, with the run that gave it.  {0, 0}: there is none.
struct Prev {
    Run run = 0;
    Position position = 0;
    bool operator==(const Prev&) const = default;
};

/// A durable record as it reaches one target.  Borrows everything, for the call.
struct DurableRecord {
    Run run = 0;
    Position position = 0;
    Prev prev;                                         ///< of this target
    bool plain = false;                                ///< serve the plain subscribers here
    const std::vector<std::string>* groups = nullptr;  ///< and one member of each of these; may be null for none
    MessageView message;
};

}  // namespace routing::queue
