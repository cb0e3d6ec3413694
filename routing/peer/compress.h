// Compression of what goes over a link's data lanes: bytes in, bytes out.  compress.cc is the only file that sees zstd.
//
// A frame whose flags have compressed_flag carries, in place of its body:
//
//     | length of the body u32 LE | the body, as one zstd frame |
//
// Leaves to others: which link does it (tree), and frames (peer_codec).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "routing/base/bytes.h"
#include "routing/base/time.h"

namespace routing::peer {

/// When a link's data lanes are compressed, if both ends can.  Source: DESIGN 4.7.
enum class Compression : std::uint8_t {
    automatic,  ///< where the round trip is above compress_round_trip
    off,
    on,
};

/// It reads compressed frames on the data lanes.
inline constexpr std::string_view capability_zstd = "zstd";
inline constexpr std::uint8_t compressed_flag = 0x80;
/// Source: DESIGN 4.7.
inline constexpr base::Duration compress_round_trip = std::chrono::milliseconds(10);
/// Shorter bodies go as they are.  Unit: bytes.  Own choice: less than half a packet.
inline constexpr std::size_t compress_bytes_min = 512;
/// A body may be so many times as long as what it came in, so that a few bytes cannot make us allocate many; what
/// shrinks further goes as it is.
inline constexpr std::size_t compress_ratio_max = 256;
/// Of zstd.  Source: DESIGN 4.7 (1 to 3); the fastest.
inline constexpr int compress_level = 1;

/// Threads: one.
class Compressor {
  public:
    Compressor();
    ~Compressor();
    Compressor(const Compressor&) = delete;
    Compressor& operator=(const Compressor&) = delete;

    /// Appends the compressed body (with the length before it).  False, and nothing was appended: it would not save an
    /// eighth, or shrink beyond compress_ratio_max.
    bool compress(base::ByteView body, base::Bytes& out);
    /// The length that a compressed body says it had; 0: it is none, or beyond compress_ratio_max.
    [[nodiscard]] static std::uint32_t raw_bytes(base::ByteView compressed);
    /// Replaces `out` by the body.  False: it is no zstd frame, or not of the length that it says.
    bool decompress(base::ByteView compressed, base::Bytes& out);

  private:
    struct Contexts;
    std::unique_ptr<Contexts> contexts_;
};

}  // namespace routing::peer
