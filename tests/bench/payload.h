// What the load generator writes into a message and expects to find in it again: who sent it, the how-manieth it is, a
// check of both, then bytes that differ from message to message. So loss, repeats, disorder and damage all show.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace bench {

/// Bytes of publisher number, check and sequence number at the front of each payload; the smallest payload.
inline constexpr std::uint32_t stamp_bytes = 16;
/// The smallest block of headers that has one: "NATS/1.0\r\nTrace: \r\n\r\n".
inline constexpr std::uint32_t header_bytes_least = 21;
/// The publisher number of messages that only ask whether a route is there; receivers do not count them.
inline constexpr std::uint32_t probe_publisher = 0xffffffff;

struct Stamp {
    std::uint32_t publisher = 0;
    std::uint32_t check = 0;
    std::uint64_t sequence = 0;
};

inline std::uint32_t stamp_check(std::uint32_t publisher, std::uint64_t sequence) {
    const std::uint64_t mixed = (sequence + 1) * 0x9e3779b97f4a7c15ULL ^ (std::uint64_t{publisher} << 32);
    return static_cast<std::uint32_t>(mixed >> 29);
}

/// Makes and checks payloads of one size. Size in bytes, at least stamp_bytes.
class Payload {
  public:
    explicit Payload(std::uint32_t size) : size_(size), filler_(size + offsets) {
        std::uint64_t state = 0x2545f4914f6cdd1dULL;
        for (char& byte : filler_) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            byte = static_cast<char>(state);
        }
    }

    std::uint32_t size() const { return size_; }

    /// Writes size() bytes.
    void write(char* out, std::uint32_t publisher, std::uint64_t sequence) const {
        const Stamp stamp{publisher, stamp_check(publisher, sequence), sequence};
        std::memcpy(out, &stamp, stamp_bytes);
        std::memcpy(out + stamp_bytes, filler_.data() + sequence % offsets, size_ - stamp_bytes);
    }

    /// Reads who sent `text` and which it is; false when it is not what write() would have written for that.
    bool read(std::string_view text, Stamp& stamp) const {
        if (text.size() != size_) return false;
        std::memcpy(&stamp, text.data(), stamp_bytes);
        return stamp.check == stamp_check(stamp.publisher, stamp.sequence) &&
               std::memcmp(text.data() + stamp_bytes, filler_.data() + stamp.sequence % offsets, size_ - stamp_bytes) ==
                   0;
    }

  private:
    static constexpr std::uint64_t offsets = 251;
    std::uint32_t size_;
    std::vector<char> filler_;
};

}  // namespace bench
