// A route: who is to get the messages of one subject, resolved once and used for many messages.
// Leaves to others: finding it (router), sending along it (the shard, the node).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "routing/base/prng.h"
#include "routing/queue_policy.h"
#include "routing/target_sets.h"
#include "routing/types.h"

namespace routing {

/// "No such thing" for the 32-bit numbers of this file.
inline constexpr std::uint32_t index_none = 0xffffffff;
inline constexpr ShardIndex shard_none = 0xffff;

/// One subscription of this shard.  Slots are dense and reused; the generation tells one use from the next.
struct SubscriptionId {
    std::uint32_t slot = index_none;
    std::uint32_t generation = 0;
    bool operator==(const SubscriptionId&) const = default;
};

/// A subscription of this shard that a route leads to.
struct LocalReceiver {
    std::uint32_t slot = index_none;  ///< SubscriptionId::slot; its subscription lives as long as the route is valid
    ConnectionId connection = 0;
    std::string head;  ///< the caller's: empty when the route is made; the shard keeps the rendered "MSG subject sid "
};

/// A place other than this shard with members of one queue group.
struct RemoteMember {
    enum class Kind : std::uint8_t { shard, gateway };
    Kind kind = Kind::gateway;
    bool reachable = true;       ///< always true for shards; for a gateway, whether it is connected in the tree now
    std::uint16_t distance = 0;  ///< of a gateway: see Router::set_distance
    std::uint32_t index = 0;     ///< ShardIndex or GatewayIndex
    std::uint32_t weight = 0;    ///< members there, summed over all filters that match
    TargetSetId target_set;      ///< the caller's scratch: for instance the target set with this one picked
};

/// A queue group of the subject: (account, queue name) over all filters that match.  One member takes each message.
struct RouteGroup {
    std::string queue;
    std::vector<LocalReceiver> local;
    std::vector<RemoteMember> remote;     ///< ascending by (kind, index): shards first; each place once
    std::uint64_t shard_weight = 0;       ///< sum over the sibling shards in `remote`
    std::uint64_t reachable_weight = 0;   ///< sum over the reachable gateways in `remote`
    std::uint64_t remembered_weight = 0;  ///< sum over the other gateways in `remote`
    QueuePolicy policy = QueuePolicy::local_first;
    QueueRing* ring = nullptr;  ///< round_robin: where it stands; the router's, never null then
};

/// All who want one subject.
/// Life cycle: made by Router::route(), owned by the router, valid until the next call on it.  A route with `cached`
/// set comes back, with all that the caller left in its scratch fields, as long as nothing that it depends on changed;
/// when something did, the scratch fields are back at their initial values.
struct Route {
    std::vector<LocalReceiver> plain;      ///< plain subscriptions of this shard, in no promised order
    std::vector<ShardIndex> shards;        ///< sibling shards with plain subscriptions, ascending
    std::vector<GatewayIndex> gateways;    ///< reachable gateways with plain subscriptions, ascending
    std::vector<GatewayIndex> remembered;  ///< gateways with plain subscriptions that cannot be reached now, ascending
    std::vector<RouteGroup> groups;        ///< ascending by queue name

    /// False: this route is used once (the subject was not seen before), so rendering heads would be wasted.
    bool cached = false;

    /// True if nobody but plain subscriptions of this shard takes a message now.
    bool local_only = false;

    // Scratch of the caller; the router only resets it.
    TargetSetId volatile_targets;
    TargetSetId durable_targets;
    std::uint32_t flags = 0;

    /// True if somebody takes a message now: a subscription here, at a sibling, or at a gateway that can be reached.
    [[nodiscard]] bool has_taker() const;
    /// True if somebody takes it now or later: remembered gateways count too.
    [[nodiscard]] bool has_durable_taker() const;
    /// The group with that name, or nullptr.
    [[nodiscard]] RouteGroup* find_group(std::string_view queue);
    [[nodiscard]] const RouteGroup* find_group(std::string_view queue) const;
};

/// Gateways by GatewayIndex; those beyond its end are not in it.
using GatewayMask = std::vector<bool>;

/// What may be picked, and who was tried already.
struct PickRequest {
    bool local = true;                         ///< members on this shard may be picked
    bool shards = true;                        ///< ... on sibling shards
    bool gateways = true;                      ///< ... at reachable gateways
    bool remembered = false;                   ///< ... at gateways that cannot be reached now; durable messages only
    std::uint32_t excluded_slot = index_none;  ///< this local subscription was tried, or is on its way out
    ConnectionId excluded_connection = 0;      ///< none of this connection's (a publisher without echo)
    ShardIndex excluded_shard = shard_none;    ///< this sibling bounced the message
    GatewayIndex excluded_gateway = gateway_none;  ///< this gateway sent it back to be picked again
    const GatewayMask* only_gateways = nullptr;    ///< borrowed: no others may be picked; null: all may
};

/// Who takes a message of a queue group.
struct Pick {
    enum class Kind : std::uint8_t { none, local, shard, gateway };
    Kind kind = Kind::none;
    std::uint32_t at = index_none;  ///< index into RouteGroup::local (local) or ::remote (shard, gateway)
    explicit operator bool() const { return kind != Kind::none; }
};

/// Picks one member of `group` by its policy (queue_policy.h), or none if nobody is left whom `request` allows.
/// local_first has three tiers, each only when the one before has nobody: this gateway (the shard's own members and
/// sibling shards by weight, all members alike), reachable gateways by weight, remembered gateways by weight.  Within a
/// tier every member that is not excluded has the same chance.  The other policies choose among this gateway and the
/// reachable ones as they say, and among remembered ones by weight when that left nobody.  A sibling shard that is
/// picked picks among its members, a gateway among its own (with `gateways` false), by the same rules.
/// Draws from `prng` once per pick, also when there is one candidate (random: once more for the member here).
/// Source: DESIGN 4.5; nats-server server/client.go processMsgResults (local queue members preferred over routes and
/// leafnodes, random start).
[[nodiscard]] Pick pick(const RouteGroup& group, const PickRequest& request, base::Prng& prng);

}  // namespace routing
