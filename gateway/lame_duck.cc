#include "gateway/lame_duck.h"

#include <algorithm>

namespace gateway {

LameDuckClock::LameDuckClock(base::Instant now, std::uint64_t clients, const LameDuckConfig& config)
    : next_(now + config.grace), left_(clients) {
    base::Duration rest = config.duration - config.grace;
    if (rest <= base::Duration::zero()) rest = lame_duck_gap_max;
    const auto each = rest / static_cast<base::Duration::rep>(std::max<std::uint64_t>(clients, 1));
    gap_ = std::clamp<base::Duration>(each, base::Duration(1), lame_duck_gap_max);
}

std::uint64_t LameDuckClock::due(base::Instant now, base::Prng& prng) {
    std::uint64_t count = 0;
    while (left_ > 0 && next_ <= now) {
        ++count;
        --left_;
        const auto wait = static_cast<base::Duration::rep>(prng.below(static_cast<std::uint64_t>(gap_.count())));
        next_ += std::max(base::Duration(wait), gap_ / 2);
    }
    return count;
}

}  // namespace gateway
