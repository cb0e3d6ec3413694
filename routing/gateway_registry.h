// Gives every gateway that this process hears of a small dense number, so that tables are arrays.
#pragma once

#include <optional>
#include <unordered_map>
#include <vector>

#include "routing/base/check.h"
#include "routing/types.h"

namespace routing {

/// Id <-> index.  Index 0 is this gateway.  An index is never reused while the process lives.
/// Threads: one.  Limit: gateways_max entries; beyond that intern() gives nothing (a tree is built for 256).
class GatewayRegistry {
  public:
    /// Source: DESIGN 4.4, "built and measured for trees of up to 256 gateways"; room for those that came and went.
    static constexpr std::size_t gateways_max = 65536;

    explicit GatewayRegistry(const GatewayId& self) { intern(self); }

    /// The index of `id`, given now if it is new.  Errors: nothing when the table is full.
    std::optional<GatewayIndex> intern(const GatewayId& id) {
        if (const auto found = index_.find(id); found != index_.end()) return found->second;
        if (ids_.size() >= gateways_max) return std::nullopt;
        const auto index = static_cast<GatewayIndex>(ids_.size());
        ids_.push_back(id);
        index_.emplace(id, index);
        return index;
    }

    [[nodiscard]] std::optional<GatewayIndex> find(const GatewayId& id) const {
        const auto found = index_.find(id);
        if (found == index_.end()) return std::nullopt;
        return found->second;
    }

    [[nodiscard]] const GatewayId& id(GatewayIndex index) const {
        BASE_CHECK(index < ids_.size());
        return ids_[index];
    }
    [[nodiscard]] std::size_t size() const { return ids_.size(); }

  private:
    std::vector<GatewayId> ids_;
    std::unordered_map<GatewayId, GatewayIndex, GatewayIdHash> index_;
};

}  // namespace routing
