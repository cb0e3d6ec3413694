// What this gateway wants, summed over its shards: what the other gateways are told.
// Leaves to others: telling them, and how often (peer::Tree).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>

#include "routing/router.h"
#include "routing/types.h"

namespace routing::node {

/// Sums interest over shards.  A plain filter has weight 1 however many want it.  Threads: one.
class InterestSum {
  public:
    /// One shard's weight of one (account, filter, queue) is now `change.weight`.
    /// Returns this gateway's weight if that changed.
    [[nodiscard]] std::optional<std::uint32_t> set(ShardIndex shard, const InterestChange& change);

    [[nodiscard]] std::size_t size() const { return entries_.size(); }

  private:
    using Key = std::tuple<AccountId, std::string, std::string>;
    struct Entry {
        std::map<ShardIndex, std::uint32_t> weights;
        std::uint32_t told = 0;
    };
    std::map<Key, Entry> entries_;
};

}  // namespace routing::node
