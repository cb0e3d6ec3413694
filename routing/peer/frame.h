// What waits to be written on one lane: whole frames, the last of which may be a batch of records that still grows.
//
//     ... | frame | frame | header | record | record | record ...      <- grows here
//                           `-- length and count are filled in when the batch closes
//
// The layout of a frame is drawn in peer_message.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "routing/base/bytes.h"

namespace routing::peer {

/// Kinds of the data frames, 0x40 .. 0x5f; their bodies are drawn in labels.h and record.h.
enum class DataKind : std::uint8_t {
    define_gateways = 0x40,
    define_path = 0x41,
    forget_paths = 0x42,
    volatile_records = 0x43,
    durable_records = 0x44,
};

/// A batch takes no further record beyond this; a longer record has a frame of its own.  Unit: bytes.
/// Source: small beside a read of 512 KiB, as a frame that is cut by the end of a read is copied once more; large
/// beside its header.
inline constexpr std::size_t batch_bytes_max = 16 * 1024;
/// Most records of a batch.  Source: the header's count has 16 bits.
inline constexpr std::uint32_t batch_records_max = 0xffff;

/// Bytes of one lane.  Guards that nothing is appended to a batch that is no longer the last frame.  Threads: one.
class FrameBuffer {
  public:
    /// Closes the batch and gives the bytes: append whole frames, nothing else.  Borrowed until the next call.
    base::Bytes& frames() {
        close();
        return bytes_;
    }

    /// The bytes to append exactly one record to, of `record_bytes` bytes at most (kind: volatile_records or
    /// durable_records).  Nothing else may be called before the record is whole.
    base::Bytes& record(DataKind kind, std::size_t record_bytes) {
        if (batch_ != none &&
            (kind != kind_ || count_ == batch_records_max || bytes_.size() - batch_ + record_bytes > batch_bytes_max))
            close();
        if (batch_ == none) open(kind);
        ++count_;
        return bytes_;
    }

    /// Closes the batch and swaps what waits into `out`, which must be empty; its capacity is used again.
    void take(base::Bytes& out);
    /// Drops everything.
    void clear() {
        bytes_.clear();
        batch_ = none;
    }

    /// Volatile records that wait.  Cost: a step per frame.
    [[nodiscard]] std::uint64_t records() const;
    [[nodiscard]] std::size_t size() const { return bytes_.size(); }
    [[nodiscard]] bool empty() const { return bytes_.empty(); }

  private:
    static constexpr std::size_t none = static_cast<std::size_t>(-1);
    void open(DataKind kind);
    void close();

    base::Bytes bytes_;
    std::size_t batch_ = none;  ///< where the open batch's header starts
    std::uint32_t count_ = 0;
    DataKind kind_ = DataKind::volatile_records;
};

/// Begins a frame without records at the end of `out`; returns what end_frame wants.
[[nodiscard]] std::size_t begin_frame(base::Bytes& out, DataKind kind);
/// Fills in the length of the frame that began at `start`.
void end_frame(base::Bytes& out, std::size_t start);

}  // namespace routing::peer
