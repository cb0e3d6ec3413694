#include "routing/node/interest_sum.h"

#include <algorithm>

namespace routing::node {

std::optional<std::uint32_t> InterestSum::set(ShardIndex shard, const InterestChange& change) {
    const auto found = entries_.try_emplace(Key{change.account, change.filter, change.queue}).first;
    Entry& entry = found->second;
    if (change.weight == 0)
        entry.weights.erase(shard);
    else
        entry.weights[shard] = change.weight;
    std::uint64_t sum = 0;
    for (const auto& [index, weight] : entry.weights) sum += weight;
    const auto most = std::uint64_t{change.queue.empty() ? 1 : UINT32_MAX};
    const auto weight = static_cast<std::uint32_t>(std::min(sum, most));
    const bool changed = weight != entry.told;
    entry.told = weight;
    if (weight == 0) entries_.erase(found);
    return changed ? std::optional(weight) : std::nullopt;
}

}  // namespace routing::node
