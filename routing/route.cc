#include "routing/route.h"

#include <algorithm>

namespace routing {

namespace {

template <typename Groups>
auto find_in(Groups& groups, std::string_view queue) -> decltype(groups.data()) {
    const auto found =
        std::lower_bound(groups.begin(), groups.end(), queue,
                         [](const RouteGroup& group, std::string_view name) { return group.queue.compare(name) < 0; });
    return found != groups.end() && found->queue == queue ? &*found : nullptr;
}

bool local_allowed(const LocalReceiver& member, const PickRequest& request) {
    return member.slot != request.excluded_slot &&
           (request.excluded_connection == 0 || member.connection != request.excluded_connection);
}

// A uniform number below `total`, from 64 random bits.
std::uint64_t scale(std::uint64_t draw_of_64, std::uint64_t total) {
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint64_t>((static_cast<Wide>(draw_of_64) * total) >> 64);
}

bool gateway_allowed(const RemoteMember& member, bool reachable, const PickRequest& request) {
    return member.kind == RemoteMember::Kind::gateway && member.reachable == reachable &&
           member.index != request.excluded_gateway &&
           (request.only_gateways == nullptr ||
            (member.index < request.only_gateways->size() && (*request.only_gateways)[member.index]));
}

// Members at the gateways that are (or are not) reachable and allowed.
std::uint64_t weight_there(const RouteGroup& group, bool reachable, const PickRequest& request) {
    if (request.excluded_gateway == gateway_none && request.only_gateways == nullptr)
        return reachable ? group.reachable_weight : group.remembered_weight;
    std::uint64_t total = 0;
    for (const RemoteMember& member : group.remote)
        total += gateway_allowed(member, reachable, request) ? member.weight : 0;
    return total;
}

// The gateway of the `rest`-th member of those that `allowed` lets through.
template <typename Allowed>
Pick take_there(const RouteGroup& group, std::uint64_t rest, const Allowed& allowed) {
    for (std::size_t at = 0; at < group.remote.size(); ++at) {
        if (!allowed(group.remote[at])) continue;
        if (rest < group.remote[at].weight) return {Pick::Kind::gateway, static_cast<std::uint32_t>(at)};
        rest -= group.remote[at].weight;
    }
    return {};
}

// The tier of gateways that are (or are not) reachable: a weighted draw over those not excluded.
Pick pick_gateway(const RouteGroup& group, bool reachable, const PickRequest& request, std::uint64_t draw_of_64) {
    const std::uint64_t total = weight_there(group, reachable, request);
    if (total == 0) return {};
    return take_there(group, scale(draw_of_64, total),
                      [&](const RemoteMember& member) { return gateway_allowed(member, reachable, request); });
}

// Members of this gateway that are allowed: of this shard, and of its siblings.
struct WeightHere {
    std::uint64_t local = 0;
    std::uint64_t shards = 0;
};

bool all_local(const PickRequest& request) {
    return request.excluded_slot == index_none && request.excluded_connection == 0;
}

bool shard_allowed(const RemoteMember& member, const PickRequest& request) {
    return member.kind == RemoteMember::Kind::shard && member.index != request.excluded_shard;
}

WeightHere weight_here(const RouteGroup& group, const PickRequest& request) {
    WeightHere weight;
    if (request.local && all_local(request)) {
        weight.local = group.local.size();
    } else if (request.local) {
        for (const LocalReceiver& member : group.local) weight.local += local_allowed(member, request) ? 1 : 0;
    }
    if (request.shards && request.excluded_shard == shard_none) {
        weight.shards = group.shard_weight;
    } else if (request.shards) {
        for (const RemoteMember& member : group.remote)
            weight.shards += shard_allowed(member, request) ? member.weight : 0;
    }
    return weight;
}

// The `rest`-th of these members; rest < local + shards.
Pick take_here(const RouteGroup& group, const PickRequest& request, const WeightHere& weight, std::uint64_t rest) {
    if (rest < weight.local) {
        if (all_local(request)) return {Pick::Kind::local, static_cast<std::uint32_t>(rest)};
        for (std::size_t at = 0; at < group.local.size(); ++at) {
            if (local_allowed(group.local[at], request) && rest-- == 0) {
                return {Pick::Kind::local, static_cast<std::uint32_t>(at)};
            }
        }
    }
    rest -= weight.local;
    for (std::size_t at = 0; at < group.remote.size(); ++at) {
        if (!shard_allowed(group.remote[at], request)) continue;
        if (rest < group.remote[at].weight) return {Pick::Kind::shard, static_cast<std::uint32_t>(at)};
        rest -= group.remote[at].weight;
    }
    return {};
}

// This gateway's tier: the shard's own members and those of its siblings, each member alike.
Pick pick_here(const RouteGroup& group, const PickRequest& request, std::uint64_t draw_of_64) {
    const WeightHere weight = weight_here(group, request);
    if (weight.local + weight.shards == 0) return {};
    return take_here(group, request, weight, scale(draw_of_64, weight.local + weight.shards));
}

// round_robin and weighted: one of all members, here and there.
Pick pick_of_all(const RouteGroup& group, const PickRequest& request, std::uint64_t draw_of_64) {
    const WeightHere weight = weight_here(group, request);
    const std::uint64_t here = weight.local + weight.shards;
    const std::uint64_t total = here + (request.gateways ? weight_there(group, true, request) : 0);
    if (total == 0) return {};
    std::uint64_t place = 0;
    if (group.policy == QueuePolicy::round_robin) {
        std::uint64_t& position = request.gateways ? group.ring->tree : group.ring->here;
        place = ring_place(position++, total);
    } else {
        place = scale(draw_of_64, total);
    }
    if (place < here) return take_here(group, request, weight, place);
    return take_there(group, place - here,
                      [&](const RemoteMember& member) { return gateway_allowed(member, true, request); });
}

// The gateways with members that are fewest links away, by weight.
Pick pick_nearest(const RouteGroup& group, const PickRequest& request, std::uint64_t draw_of_64) {
    std::uint32_t least = UINT32_MAX;
    std::uint64_t total = 0;
    for (const RemoteMember& member : group.remote) {
        if (!gateway_allowed(member, true, request) || member.weight == 0 || member.distance > least) continue;
        if (member.distance < least) total = 0;
        least = member.distance;
        total += member.weight;
    }
    if (total == 0) return {};
    return take_there(group, scale(draw_of_64, total), [&](const RemoteMember& member) {
        return gateway_allowed(member, true, request) && member.distance == least;
    });
}

// One of the gateways with members, this one among them, all alike.
Pick pick_any_gateway(const RouteGroup& group, const PickRequest& request, std::uint64_t draw_of_64, base::Prng& prng) {
    const WeightHere weight = weight_here(group, request);
    const std::uint64_t here = weight.local + weight.shards;
    std::uint64_t places = here == 0 ? 0 : 1;
    const auto counts = [&](const RemoteMember& member) {
        return request.gateways && gateway_allowed(member, true, request) && member.weight != 0;
    };
    for (const RemoteMember& member : group.remote) places += counts(member) ? 1 : 0;
    if (places == 0) return {};
    std::uint64_t rest = scale(draw_of_64, places);
    if (here != 0 && rest-- == 0) return take_here(group, request, weight, prng.below(here));
    for (std::size_t at = 0; at < group.remote.size(); ++at)
        if (counts(group.remote[at]) && rest-- == 0) return {Pick::Kind::gateway, static_cast<std::uint32_t>(at)};
    return {};
}

Pick pick_by_policy(const RouteGroup& group, const PickRequest& request, base::Prng& prng) {
    const std::uint64_t draw = prng.next();
    Pick picked;
    switch (group.policy) {
        case QueuePolicy::round_robin:
        case QueuePolicy::weighted:
            picked = pick_of_all(group, request, draw);
            break;
        case QueuePolicy::random:
            picked = pick_any_gateway(group, request, draw, prng);
            break;
        case QueuePolicy::local_first:
        case QueuePolicy::nearest:
            picked = pick_here(group, request, draw);
            if (!picked && request.gateways) picked = pick_nearest(group, request, draw);
            break;
    }
    if (!picked && request.remembered) picked = pick_gateway(group, false, request, draw);
    return picked;
}

}  // namespace

bool Route::has_taker() const {
    if (!plain.empty() || !shards.empty() || !gateways.empty()) return true;
    return std::any_of(groups.begin(), groups.end(), [](const RouteGroup& group) {
        return !group.local.empty() || group.shard_weight != 0 || group.reachable_weight != 0;
    });
}

bool Route::has_durable_taker() const {
    return !remembered.empty() || has_taker() || std::any_of(groups.begin(), groups.end(), [](const RouteGroup& group) {
        return group.remembered_weight != 0;
    });
}

RouteGroup* Route::find_group(std::string_view queue) {
    return find_in(groups, queue);
}

const RouteGroup* Route::find_group(std::string_view queue) const {
    return find_in(groups, queue);
}

Pick pick(const RouteGroup& group, const PickRequest& request, base::Prng& prng) {
    if (group.policy != QueuePolicy::local_first) return pick_by_policy(group, request, prng);
    const std::uint64_t draw = prng.next();
    if (const Pick here = pick_here(group, request, draw)) return here;
    if (request.gateways) {
        if (const Pick there = pick_gateway(group, true, request, draw)) return there;
    }
    if (request.remembered) return pick_gateway(group, false, request, draw);
    return {};
}

}  // namespace routing
