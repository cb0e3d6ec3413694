// Views of bytes and the varint that every wire format of ours uses.  Std only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace base {

/// Bytes that somebody else owns.  Borrows: valid only as long as the owner says.
using ByteView = std::string_view;
/// Bytes that we own.
using Bytes = std::string;

/// The longest encoding of a 64-bit varint.  Unit: bytes.
inline constexpr std::size_t varint_bytes_max = 10;

/// Appends `value` as LEB128 (seven bits a byte, least significant first).
inline void append_varint(Bytes& out, std::uint64_t value) {
    while (value >= 0x80) {
        out.push_back(static_cast<char>(value | 0x80));
        value >>= 7;
    }
    out.push_back(static_cast<char>(value));
}

/// How many bytes append_varint writes for `value`.
inline std::size_t varint_size(std::uint64_t value) {
    std::size_t size = 1;
    while (value >= 0x80) {
        value >>= 7;
        ++size;
    }
    return size;
}

/// Reads a varint off the front of `in` and drops it there.
/// Errors: false if `in` ends within it, or if it does not fit 64 bits; `in` is then unspecified.
[[nodiscard]] inline bool read_varint(ByteView& in, std::uint64_t& value) {
    std::uint64_t result = 0;
    for (std::size_t i = 0; i < in.size() && i < varint_bytes_max; ++i) {
        const auto byte = static_cast<std::uint8_t>(in[i]);
        if (i == varint_bytes_max - 1 && byte > 1) return false;
        result |= static_cast<std::uint64_t>(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            in.remove_prefix(i + 1);
            value = result;
            return true;
        }
    }
    return false;
}

/// Drops `size` bytes off the front of `in` and returns them in `out`.  Errors: false if there are fewer.
[[nodiscard]] inline bool read_bytes(ByteView& in, std::uint64_t size, ByteView& out) {
    if (size > in.size()) return false;
    out = in.substr(0, static_cast<std::size_t>(size));
    in.remove_prefix(static_cast<std::size_t>(size));
    return true;
}

template <typename Integer>
inline void append_little_endian(Bytes& out, Integer value) {
    for (std::size_t i = 0; i < sizeof(Integer); ++i) out.push_back(static_cast<char>((value >> (8 * i)) & 0xff));
}

template <typename Integer>
[[nodiscard]] inline bool read_little_endian(ByteView& in, Integer& value) {
    if (in.size() < sizeof(Integer)) return false;
    std::uint64_t result = 0;
    for (std::size_t i = 0; i < sizeof(Integer); ++i)
        result |= static_cast<std::uint64_t>(static_cast<std::uint8_t>(in[i])) << (8 * i);
    value = static_cast<Integer>(result);
    in.remove_prefix(sizeof(Integer));
    return true;
}

/// Big-endian, so that keys of an ordered store sort as their numbers do.
inline void append_big_endian_64(Bytes& out, std::uint64_t value) {
    for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>((value >> shift) & 0xff));
}

[[nodiscard]] inline bool read_big_endian_64(ByteView& in, std::uint64_t& value) {
    if (in.size() < 8) return false;
    std::uint64_t result = 0;
    for (std::size_t i = 0; i < 8; ++i) result = (result << 8) | static_cast<std::uint8_t>(in[i]);
    value = result;
    in.remove_prefix(8);
    return true;
}

/// Lower-case hexadecimal, two digits a byte.
inline std::string to_hex(ByteView bytes) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const char c : bytes) {
        out.push_back(digits[(static_cast<std::uint8_t>(c) >> 4) & 15]);
        out.push_back(digits[static_cast<std::uint8_t>(c) & 15]);
    }
    return out;
}

}  // namespace base
