// The small words that all of routing speaks: ids, messages, targets.  Plain values, std only.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "routing/base/bytes.h"
#include "routing/base/hash.h"

namespace routing {

/// An account of this gateway; 0 is NATS's `$G`, the only one until accounts exist.  Travels by name between gateways.
using AccountId = std::uint32_t;
inline constexpr AccountId account_global = 0;
inline constexpr std::string_view account_global_name = "$G";

/// A client connection of this gateway (NATS's cid).  0 is nobody.  Never reused within a process.
using ConnectionId = std::uint64_t;

/// One of this gateway's event loops.
using ShardIndex = std::uint16_t;

/// A gateway's identity: its Ed25519 public key.  What correctness rests on.
struct GatewayId {
    std::array<std::uint8_t, 32> bytes{};
    auto operator<=>(const GatewayId&) const = default;
    [[nodiscard]] base::ByteView view() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
    [[nodiscard]] static GatewayId from(base::ByteView view) {
        GatewayId id;
        for (std::size_t i = 0; i < id.bytes.size() && i < view.size(); ++i)
            id.bytes[i] = static_cast<std::uint8_t>(view[i]);
        return id;
    }
};
struct GatewayIdHash {
    std::size_t operator()(const GatewayId& id) const { return base::hash_bytes(id.view()); }
};

/// A gateway as this process numbers it: dense, given at first sight, never reused within a process.  0 is this gateway
/// itself.
using GatewayIndex = std::uint32_t;
inline constexpr GatewayIndex gateway_self = 0;
inline constexpr GatewayIndex gateway_none = 0xffffffff;

/// A gateway's prime, the factor that stands for it in an event path.
using Prime = std::uint64_t;

/// A message on its way, borrowed from whoever holds the bytes.
struct MessageView {
    AccountId account = account_global;
    std::string_view subject;
    std::string_view reply;          ///< empty: none
    base::ByteView body;             ///< header block (if any), then payload
    std::uint32_t header_bytes = 0;  ///< how much of `body` is the header block, with its closing blank line
    [[nodiscard]] base::ByteView headers() const { return body.substr(0, header_bytes); }
    [[nodiscard]] base::ByteView payload() const { return body.substr(header_bytes); }
};

/// What one gateway is to serve of one message: its plain subscribers, and one member of each group named.
struct Target {
    GatewayIndex gateway = gateway_self;
    bool plain = false;
    std::vector<std::string> groups;  ///< queue groups picked for this gateway, sorted, no two equal
    bool operator==(const Target&) const = default;
};

/// Who is to get a message, ascending by gateway index, each gateway once.
using TargetSet = std::vector<Target>;

}  // namespace routing
