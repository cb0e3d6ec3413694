// What the parts of a shard's implementation share.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "compat/nats_writer.h"
#include "routing/route.h"
#include "routing/types.h"

namespace gateway {

/// Route::flags bits of the shard (the lower 16).
inline constexpr std::uint32_t heads_rendered = 1;
inline constexpr std::uint32_t heads_equal = 2;   ///< all plain receivers have one head and take headers alike
inline constexpr std::uint32_t runs_allowed = 4;  ///< plain receivers are connections of this shard, none of them twice

/// From so many receivers on one encoded frame is shared.  Below, copying is as cheap.
inline constexpr std::size_t share_receivers_min = 3;

/// True for a client on this machine: one that may change something until there are accounts.
inline bool is_loopback(std::string_view ip) {
    return ip.starts_with("127.") || ip == "::1" || ip.starts_with("::ffff:127.");
}

/// A subscription's name in its session, and for Node.
constexpr std::uint64_t handle_of(routing::SubscriptionId id) {
    return (static_cast<std::uint64_t>(id.generation) << 32) | id.slot;
}
constexpr routing::SubscriptionId id_of(std::uint64_t handle) {
    return {static_cast<std::uint32_t>(handle), static_cast<std::uint32_t>(handle >> 32)};
}

/// A durable subscription's name for Node: 3 bits shard, 29 of the generation, 32 the slot.  (A slot would have to be
/// used half a billion times for a name to come again.)
inline constexpr std::uint32_t durable_generation_mask = 0x1fffffff;
constexpr std::uint64_t durable_id(routing::ShardIndex shard, routing::SubscriptionId id) {
    return (static_cast<std::uint64_t>(shard) << 61) |
           (static_cast<std::uint64_t>(id.generation & durable_generation_mask) << 32) | id.slot;
}
constexpr routing::ShardIndex shard_of_durable(std::uint64_t durable) {
    return static_cast<routing::ShardIndex>(durable >> 61);
}

inline compat::OutgoingMessage outgoing(const routing::MessageView& message) {
    return {message.reply, message.body, message.header_bytes};
}

template <typename T>
void erase_value(std::vector<T>& values, const T& value) {
    values.erase(std::remove(values.begin(), values.end(), value), values.end());
}

}  // namespace gateway
