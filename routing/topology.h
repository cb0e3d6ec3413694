// Who is linked to whom, and which way leads where.  An edge exists while both ends list it with the same session, so a
// dead gateway's place is withdrawn by its neighbours.
// Leaves to others: where the lists come from (interest.h), what a changed way means for paths (peer::PathEngine).
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "routing/types.h"

namespace routing {

/// Sessions of links are drawn at random by the parent's end; 0 is none.
using LinkSession = std::uint64_t;

/// The graph of the tree as this gateway knows it, and the next hop from here to each gateway.
/// Threads: one.  Cost: update() is one breadth-first search.
class Topology {
  public:
    /// `from` lists a link with `to` (session 0: no longer).
    void set_link(GatewayIndex from, GatewayIndex to, LinkSession session);

    /// Computes the ways anew if a link changed.  True if a next hop changed; `changed` then holds those gateways whose
    /// reachability changed, ascending.
    bool update(std::vector<GatewayIndex>& changed);

    /// The neighbour that leads to `gateway`; gateway_none if it is not reachable (or is this gateway).
    [[nodiscard]] GatewayIndex next_hop(GatewayIndex gateway) const;
    [[nodiscard]] bool reachable(GatewayIndex gateway) const;
    /// The gateway before `gateway` on the way from here to it; gateway_none if there is no way (or it is this one).
    [[nodiscard]] GatewayIndex previous(GatewayIndex gateway) const;
    /// Links between here and there; 0 if unreachable or this gateway.
    [[nodiscard]] std::uint32_t distance(GatewayIndex gateway) const;
    /// Gateways reachable from here, ascending, this one first.
    [[nodiscard]] const std::vector<GatewayIndex>& members() const { return members_; }
    /// Neighbours of `gateway` by confirmed edges, ascending.
    [[nodiscard]] std::vector<GatewayIndex> neighbours(GatewayIndex gateway) const;
    /// Counts the changes of a next hop over the life of the process.
    [[nodiscard]] std::uint64_t generation() const { return generation_; }

  private:
    struct Way {
        GatewayIndex next_hop = gateway_none;
        GatewayIndex previous = gateway_none;
        std::uint32_t distance = 0;
        bool reached = false;
        bool operator==(const Way&) const = default;
    };
    [[nodiscard]] bool edge(GatewayIndex from, GatewayIndex to, LinkSession session) const;

    std::map<GatewayIndex, std::map<GatewayIndex, LinkSession>> links_;
    std::vector<Way> ways_;
    std::vector<GatewayIndex> members_{gateway_self};
    std::uint64_t generation_ = 0;
    bool stale_ = false;
};

}  // namespace routing
