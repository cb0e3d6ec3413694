// Hashes for tables inside one process and for digests between gateways that trust each other.  Not for secrets.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "routing/base/prng.h"

namespace base {

/// A fast 64-bit hash of `bytes`.  The same on every machine; its values may be compared between processes of one
/// version.
inline std::uint64_t hash_bytes(std::string_view bytes, std::uint64_t seed = 0) {
    __extension__ using Wide = unsigned __int128;
    constexpr std::uint64_t multiplier = 0x9fb21c651e98df25ULL;
    std::uint64_t state = seed ^ (bytes.size() * multiplier);
    const auto fold = [](std::uint64_t a, std::uint64_t b) {
        const Wide product = static_cast<Wide>(a) * b;
        return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
    };
    while (bytes.size() >= 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes.data(), 8);
        state = fold(state ^ word, multiplier | 1);
        bytes.remove_prefix(8);
    }
    std::uint64_t tail = 0;
    std::memcpy(&tail, bytes.data(), bytes.size());
    state = fold(state ^ tail ^ 0x2545f4914f6cdd1dULL, multiplier | 1);
    return mix_bits(state);
}

}  // namespace base
