// Durable records of this gateway that wait: the way to a target leads past a gateway that their Tree-Forbid names (or
// the target itself is named by now).  The queue engine holds such a record and all that follows it for that target
// (queue::Durable::bar); here is what people are told of it, so that nobody wonders why a queue stands still.
//
// A record waits rather than be lost or overtaken: it was acknowledged, and order per publisher and subject holds.  It
// goes on by itself when a way, a tag or a region is another; else an operator gives up that record alone (queue.skip).
// Leaves to others: which gateway bars what (Node, targeting.h), publishing advisories (TreeRequests).
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "routing/base/time.h"
#include "routing/queue/page.h"
#include "routing/types.h"

namespace routing::node {

/// The record that a target waits for.
struct BarredRecord {
    queue::Position position = 0;
    std::string subject;
    std::string lines;               ///< its Tree-To and Tree-Forbid, one a line
    GatewayIndex by = gateway_none;  ///< a forbidden gateway on the way; the target itself if it is one
    base::Instant since{};
    bool given_up = false;  ///< an operator said so; until the target has heard it
};

/// By target; at most one each, since what follows it waits.
using BarredRecords = std::map<GatewayIndex, BarredRecord>;

/// "a:17": how a record of the gateway `origin` is named to people.
[[nodiscard]] inline std::string record_name(std::string_view origin, queue::Position position) {
    return std::string(origin) + ":" + std::to_string(position);
}

}  // namespace routing::node
