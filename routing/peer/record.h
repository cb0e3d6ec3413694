// Data records: what a message looks like between gateways.  Raw bytes, read in place; a transit gateway reads the
// label and the size and copies the rest.
//
//     record    | label varint | size varint | rest (size bytes) |
//
//     rest      | flags u8 | [trace] | [place] | subject length varint | [reply length varint] | [header length varint]
//               | subject | reply | header block | payload (up to the end) |
//
//     flags     0x01 reply   0x02 headers   0x04 trace   0x08 exceptions (durable lane)
//               0x10, 0x20, 0x40 the sender's own, carried untouched
//     trace     | length varint | hop | hop ..           see trace.h; only with 0x04
//     place     | position varint | delta varint | [length varint | exception ..]      on the durable lane only
//     exception | (ordinal << 1) varint | delta varint |                   another delta for the target of that ordinal
//               | (ordinal << 1 | 1) varint | run u64 LE | prev varint |   its prev is of another run
//
// A durable record says for each target which position came before it for that target (DESIGN 5): prev = position -
// delta, in the run of the definition, for all targets but the exceptions.  prev 0: there is none.  The ordinals are
// those of the origin's target set; the definition tells each target its own, so the bytes travel untouched.
//
// Overhead of a warm record (all but subject, reply, header block, payload): at most 16 bytes, 2 per exception.
// Leaves to others: what a label means (labels), frames (frame), what to do (path_engine).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "routing/base/bytes.h"
#include "routing/peer/lane.h"
#include "routing/peer/peer_error.h"
#include "routing/peer/trace.h"
#include "routing/types.h"

namespace routing::peer {

inline constexpr std::uint8_t record_flag_reply = 0x01;
inline constexpr std::uint8_t record_flag_headers = 0x02;
/// Every hop adds itself.  Set by the sender of a message with `Tree-Trace: 1` (see wants_trace).
inline constexpr std::uint8_t record_flag_trace = 0x04;
inline constexpr std::uint8_t record_flag_exceptions = 0x08;
/// Bits that mean nothing here: whoever sends sets them, whoever receives reads them (the Node's business).
inline constexpr std::uint8_t record_flags_sender = 0x70;
/// One of them: a message that came back to its origin, as the picked gateway has no member left (DESIGN 4.5).
inline constexpr std::uint8_t record_flag_bounced = 0x10;

/// Longest `rest` of a record.  Unit: bytes.
/// Source: the largest max_payload of stock nats-server (64 MiB), with 512 KiB for subject, reply, trace and
/// exceptions.
inline constexpr std::size_t record_bytes_max = 64 * 1024 * 1024 + 512 * 1024;

/// The position of the record before this one for the same target, with the run that gave it.  {0, 0}: there is none.
struct PrevPosition {
    std::uint64_t run = 0;
    std::uint64_t position = 0;
    bool operator==(const PrevPosition&) const = default;
};

/// A message to send.  Borrows everything, for the call.
struct RecordView {
    MessageView message;
    std::uint8_t flags = 0;  ///< record_flag_trace, record_flags_sender; others are set here
    // On the durable lane:
    std::uint64_t run = 0;
    std::uint64_t position = 0;
    const PrevPosition* prevs = nullptr;  ///< prevs[i] belongs to the i-th target of the set
    std::size_t prev_count = 0;           ///< as many as the set has targets
};

/// Encodes one record for any number of links.  Keeps its memory, so that a warm encoder does not allocate.
class RecordEncoder {
  public:
    /// Encodes the head of `record`.  `self`: added as the first hop if the record is traced.  False: the record would
    /// be longer than record_bytes_max.  Borrows the record's message until the last append().
    [[nodiscard]] bool prepare(const RecordView& record, Lane lane, const TraceHop& self);
    /// Bytes that append() writes at most.
    [[nodiscard]] std::size_t bytes() const { return rest_bytes_ + 2 * base::varint_bytes_max; }
    void append(base::Bytes& out, std::uint32_t label) const;

  private:
    // Flags, trace, position, delta, length of exceptions; then, after the exceptions, the lengths of the texts.
    static constexpr std::size_t head_bytes_max = 1 + 2 + trace_hop_bytes_max + 6 * base::varint_bytes_max;
    std::array<char, head_bytes_max> head_{};
    std::size_t head_bytes_ = 0;
    std::size_t exceptions_at_ = 0;
    base::Bytes exceptions_;
    MessageView message_;
    std::size_t rest_bytes_ = 0;
};

/// The fields of a record's rest; views into it.
struct RecordFields {
    std::uint8_t flags = 0;
    std::string_view subject;
    std::string_view reply;
    base::ByteView body;             ///< header block, then payload
    std::uint32_t header_bytes = 0;  ///< at most body.size()
    base::ByteView trace;            ///< hops, see read_trace
    std::uint64_t position = 0;      ///< durable lane; at least 1
    std::uint64_t delta = 0;         ///< durable lane; 1 .. position
    base::ByteView exceptions;
};

/// Reads `rest`.  Errors: truncated, or malformed (unknown flags, an empty subject, delta out of range).
[[nodiscard]] PeerError parse_record(base::ByteView rest, Lane lane, RecordFields& out);

/// The prev of the target with `ordinal`, in a record of `run`.  Error: malformed exceptions.
[[nodiscard]] PeerError find_prev(const RecordFields& fields, std::uint64_t run, std::uint32_t ordinal,
                                  PrevPosition& out);

/// Appends a copy of `rest`, which must be traced, with `hop` at the end of its trace (or without, if the trace is
/// full) to `out`.  Errors: as parse_record.
[[nodiscard]] PeerError append_with_hop(base::Bytes& out, base::ByteView rest, const TraceHop& hop);

}  // namespace routing::peer
