// The text form of Ed25519 keys that NATS uses ("nkeys"): base32 of a prefix, the key and a CRC-16, so that a key shows
// what it is for and a slip of the pen is noticed.  `N...` is a server's public key, `SN...` its seed.
// Source: NATS nkeys, the README of nats-io/nkeys.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gateway {

using Key32 = std::array<std::uint8_t, 32>;

/// 56 characters, the first one 'N'.
[[nodiscard]] std::string encode_server_key(const Key32& public_key);
/// 58 characters, the first two "SN".
[[nodiscard]] std::string encode_server_seed(const Key32& seed);
/// The inverse; nothing if the text is not exactly that (alphabet, length, prefix, CRC).
[[nodiscard]] std::optional<Key32> decode_server_key(std::string_view text);
[[nodiscard]] std::optional<Key32> decode_server_seed(std::string_view text);

/// CRC-16 as nkeys has it: polynomial 0x1021, start 0, no reflection.
[[nodiscard]] std::uint16_t nkey_crc(std::string_view bytes);

}  // namespace gateway
