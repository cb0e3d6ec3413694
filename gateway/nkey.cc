#include "gateway/nkey.h"

#include <algorithm>

#include "routing/base/bytes.h"

namespace gateway {

namespace {

// Source: nats-io/nkeys; the prefixes are chosen so that the first base32 character is the letter meant.
constexpr std::uint8_t prefix_seed = 18 << 3;    // 'S'
constexpr std::uint8_t prefix_server = 13 << 3;  // 'N'

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";  // RFC 4648, without padding

std::string encode_base32(std::string_view bytes) {
    std::string text;
    std::uint32_t bits = 0;
    int count = 0;
    for (const char c : bytes) {
        bits = (bits << 8) | static_cast<std::uint8_t>(c);
        for (count += 8; count >= 5; count -= 5) text.push_back(alphabet[(bits >> (count - 5)) & 31]);
    }
    if (count > 0) text.push_back(alphabet[(bits << (5 - count)) & 31]);
    return text;
}

std::optional<std::string> decode_base32(std::string_view text) {
    std::string bytes;
    std::uint32_t bits = 0;
    int count = 0;
    for (const char c : text) {
        const std::size_t digit = alphabet.find(c);
        if (digit == std::string_view::npos) return std::nullopt;
        bits = (bits << 5) | static_cast<std::uint32_t>(digit);
        count += 5;
        if (count >= 8) {
            count -= 8;
            bytes.push_back(static_cast<char>((bits >> count) & 255));
        }
    }
    return bytes;
}

std::string encode(std::string bytes, const Key32& key) {
    bytes.append(reinterpret_cast<const char*>(key.data()), key.size());
    base::append_little_endian(bytes, nkey_crc(bytes));
    return encode_base32(bytes);
}

std::optional<Key32> decode(std::string_view text, std::string_view prefix) {
    const std::optional<std::string> bytes = decode_base32(text);
    Key32 key;
    if (!bytes || bytes->size() != prefix.size() + key.size() + 2 || !bytes->starts_with(prefix)) return std::nullopt;
    base::ByteView crc_bytes = std::string_view(*bytes).substr(prefix.size() + key.size());
    std::uint16_t crc = 0;
    if (!base::read_little_endian(crc_bytes, crc)) return std::nullopt;
    if (crc != nkey_crc(std::string_view(*bytes).substr(0, prefix.size() + key.size()))) return std::nullopt;
    if (encode_base32(*bytes) != text) return std::nullopt;  // spare bits that are not 0: another spelling
    std::transform(bytes->begin() + static_cast<std::ptrdiff_t>(prefix.size()), bytes->end() - 2, key.begin(),
                   [](char c) { return static_cast<std::uint8_t>(c); });
    return key;
}

std::string key_prefix() {
    return {static_cast<char>(prefix_server)};
}

/// The seed's prefix is followed by the kind of key, shifted to end at a base32 digit.
std::string seed_prefix() {
    return {static_cast<char>(prefix_seed | (prefix_server >> 5)), static_cast<char>((prefix_server & 31) << 3)};
}

}  // namespace

std::uint16_t nkey_crc(std::string_view bytes) {
    std::uint32_t crc = 0;
    for (const char c : bytes) {
        crc ^= static_cast<std::uint32_t>(static_cast<std::uint8_t>(c)) << 8;
        for (int bit = 0; bit < 8; ++bit) crc = (crc << 1) ^ ((crc & 0x8000) != 0 ? 0x1021u : 0u);
        crc &= 0xffff;
    }
    return static_cast<std::uint16_t>(crc);
}

std::string encode_server_key(const Key32& public_key) {
    return encode(key_prefix(), public_key);
}

std::string encode_server_seed(const Key32& seed) {
    return encode(seed_prefix(), seed);
}

std::optional<Key32> decode_server_key(std::string_view text) {
    return decode(text, key_prefix());
}

std::optional<Key32> decode_server_seed(std::string_view text) {
    return decode(text, seed_prefix());
}

}  // namespace gateway
