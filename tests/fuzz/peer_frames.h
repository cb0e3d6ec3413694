// Inputs of the peer harness: what they look like, for the harness and for the program that writes its corpus.
//
//     | what u8 | cut u8 | bytes ... |
//
// what: a FrameScope (the bytes are a stream of such frames), or one of those below.
#pragma once

#include <cstdint>

namespace peer_fuzz {

inline constexpr std::uint8_t scopes = 6;
/// The bytes are what a neighbour sends on its volatile lane: definitions and records, taken by a whole path engine.
inline constexpr std::uint8_t engine_volatile = 6;
inline constexpr std::uint8_t engine_durable = 7;
/// The bytes are the rest of one record.
inline constexpr std::uint8_t record = 8;
inline constexpr std::uint8_t kinds = 9;

/// Ids are this byte, 32 times: the gateway that reads, its neighbour, and one behind it.
inline constexpr std::uint8_t self_id = 1;
inline constexpr std::uint8_t neighbour_id = 2;
inline constexpr std::uint8_t other_neighbour_id = 3;

}  // namespace peer_fuzz
