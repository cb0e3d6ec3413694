#include "routing/topology.h"

#include <algorithm>

namespace routing {

void Topology::set_link(GatewayIndex from, GatewayIndex to, LinkSession session) {
    auto& list = links_[from];
    const auto found = list.find(to);
    if (session == 0) {
        if (found == list.end()) return;
        list.erase(found);
    } else if (found == list.end()) {
        list.emplace(to, session);
    } else {
        if (found->second == session) return;
        found->second = session;
    }
    stale_ = true;
}

bool Topology::edge(GatewayIndex from, GatewayIndex to, LinkSession session) const {
    const auto list = links_.find(to);
    if (list == links_.end()) return false;
    const auto back = list->second.find(from);
    return back != list->second.end() && back->second == session;
}

std::vector<GatewayIndex> Topology::neighbours(GatewayIndex gateway) const {
    std::vector<GatewayIndex> result;
    if (const auto list = links_.find(gateway); list != links_.end())
        for (const auto& [to, session] : list->second)
            if (to != gateway && edge(gateway, to, session)) result.push_back(to);
    return result;
}

bool Topology::update(std::vector<GatewayIndex>& changed) {
    changed.clear();
    if (!stale_) return false;
    stale_ = false;

    std::size_t size = ways_.size();
    for (const auto& [from, list] : links_) {
        size = std::max(size, static_cast<std::size_t>(from) + 1);
        if (!list.empty()) size = std::max(size, static_cast<std::size_t>(list.rbegin()->first) + 1);
    }
    std::vector<Way> ways(std::max<std::size_t>(size, 1));
    ways[gateway_self].reached = true;
    members_.assign(1, gateway_self);
    for (std::size_t i = 0; i < members_.size(); ++i) {  // members_ is the queue of the search
        const GatewayIndex at = members_[i];
        for (const GatewayIndex to : neighbours(at)) {
            Way& way = ways[to];
            if (way.reached) continue;
            way.reached = true;
            way.previous = at;
            way.distance = ways[at].distance + 1;
            way.next_hop = at == gateway_self ? to : ways[at].next_hop;
            members_.push_back(to);
        }
    }
    std::sort(members_.begin(), members_.end());

    ways_.resize(ways.size());
    for (GatewayIndex i = 0; i < ways.size(); ++i)
        if (i != gateway_self && ways[i].reached != ways_[i].reached) changed.push_back(i);
    ways_[gateway_self].reached = true;
    if (ways == ways_) return false;
    ways_ = std::move(ways);
    ++generation_;
    return true;
}

GatewayIndex Topology::next_hop(GatewayIndex gateway) const {
    return gateway < ways_.size() ? ways_[gateway].next_hop : gateway_none;
}

GatewayIndex Topology::previous(GatewayIndex gateway) const {
    return gateway < ways_.size() ? ways_[gateway].previous : gateway_none;
}

bool Topology::reachable(GatewayIndex gateway) const {
    return gateway == gateway_self || (gateway < ways_.size() && ways_[gateway].reached);
}

std::uint32_t Topology::distance(GatewayIndex gateway) const {
    return gateway < ways_.size() ? ways_[gateway].distance : 0;
}

}  // namespace routing
