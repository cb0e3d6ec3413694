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

// The tier of gateways that are (or are not) reachable: a weighted draw over those not excluded.
Pick pick_gateway(const RouteGroup& group, bool reachable, const PickRequest& request, std::uint64_t draw_of_64) {
    const auto allowed = [&](const RemoteMember& member) {
        return member.kind == RemoteMember::Kind::gateway && member.reachable == reachable &&
               member.index != request.excluded_gateway;
    };
    std::uint64_t total = reachable ? group.reachable_weight : group.remembered_weight;
    if (request.excluded_gateway != gateway_none) {
        total = 0;
        for (const RemoteMember& member : group.remote) total += allowed(member) ? member.weight : 0;
    }
    if (total == 0) return {};
    __extension__ using Wide = unsigned __int128;
    auto rest = static_cast<std::uint64_t>((static_cast<Wide>(draw_of_64) * total) >> 64);
    for (std::size_t at = 0; at < group.remote.size(); ++at) {
        if (!allowed(group.remote[at])) continue;
        if (rest < group.remote[at].weight) return {Pick::Kind::gateway, static_cast<std::uint32_t>(at)};
        rest -= group.remote[at].weight;
    }
    return {};
}

// This gateway's tier: the shard's own members and those of its siblings, each member alike.
Pick pick_here(const RouteGroup& group, const PickRequest& request, std::uint64_t draw_of_64) {
    const bool all_local = request.excluded_slot == index_none && request.excluded_connection == 0;
    std::uint64_t local = 0;
    if (request.local && all_local) {
        local = group.local.size();
    } else if (request.local) {
        for (const LocalReceiver& member : group.local) local += local_allowed(member, request) ? 1 : 0;
    }
    const auto allowed = [&](const RemoteMember& member) {
        return member.kind == RemoteMember::Kind::shard && member.index != request.excluded_shard;
    };
    std::uint64_t shards = 0;
    if (request.shards && request.excluded_shard == shard_none) {
        shards = group.shard_weight;
    } else if (request.shards) {
        for (const RemoteMember& member : group.remote) shards += allowed(member) ? member.weight : 0;
    }
    if (local + shards == 0) return {};
    __extension__ using Wide = unsigned __int128;
    auto rest = static_cast<std::uint64_t>((static_cast<Wide>(draw_of_64) * (local + shards)) >> 64);
    if (rest < local) {
        if (all_local) return {Pick::Kind::local, static_cast<std::uint32_t>(rest)};
        for (std::size_t at = 0; at < group.local.size(); ++at) {
            if (local_allowed(group.local[at], request) && rest-- == 0) {
                return {Pick::Kind::local, static_cast<std::uint32_t>(at)};
            }
        }
    }
    rest -= local;
    for (std::size_t at = 0; at < group.remote.size(); ++at) {
        if (!allowed(group.remote[at])) continue;
        if (rest < group.remote[at].weight) return {Pick::Kind::shard, static_cast<std::uint32_t>(at)};
        rest -= group.remote[at].weight;
    }
    return {};
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
    const std::uint64_t draw = prng.next();
    if (const Pick here = pick_here(group, request, draw)) return here;
    if (request.gateways) {
        if (const Pick there = pick_gateway(group, true, request, draw)) return there;
    }
    if (request.remembered) return pick_gateway(group, false, request, draw);
    return {};
}

}  // namespace routing
