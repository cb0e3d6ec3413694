// Randomness as a value.  The same seed gives the same numbers with every standard library, so a seed replays a run.
#pragma once

#include <cstdint>
#include <utility>

#include "routing/base/check.h"

namespace base {

/// Mixes the bits of `x` (the finaliser of SplitMix64).
constexpr std::uint64_t mix_bits(std::uint64_t x) {
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

/// xoroshiro128+ of Blackman and Vigna, seeded by SplitMix64.  Not for secrets.
class Prng {
  public:
    explicit Prng(std::uint64_t seed) : a_(mix_bits(seed)), b_(mix_bits(a_ ^ seed)) {
        if (a_ == 0 && b_ == 0) b_ = 1;
    }

    std::uint64_t next() {
        const std::uint64_t result = a_ + b_;
        const std::uint64_t c = a_ ^ b_;
        a_ = rotate(a_, 24) ^ c ^ (c << 16);
        b_ = rotate(c, 37);
        return result;
    }

    /// Uniform in [0, bound).  bound > 0.
    std::uint64_t below(std::uint64_t bound) {
        BASE_CHECK(bound > 0);
        __extension__ using Wide = unsigned __int128;
        return static_cast<std::uint64_t>((static_cast<Wide>(next()) * bound) >> 64);
    }

    /// Uniform in [low, high], both included.
    std::uint64_t between(std::uint64_t low, std::uint64_t high) { return low + below(high - low + 1); }

    /// True in `numerator` of `denominator` cases.
    bool chance(std::uint64_t numerator, std::uint64_t denominator) { return below(denominator) < numerator; }

    /// A generator of its own for one purpose (`salt`), so that one stream's use does not shift another's.
    Prng fork(std::uint64_t salt) { return Prng(next() ^ mix_bits(salt)); }

    template <typename Container>
    void shuffle(Container& items) {
        for (std::uint64_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(i)]);
    }

  private:
    static constexpr std::uint64_t rotate(std::uint64_t x, int by) { return (x << by) | (x >> (64 - by)); }

    std::uint64_t a_;
    std::uint64_t b_;
};

}  // namespace base
