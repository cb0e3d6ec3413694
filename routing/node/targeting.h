// Headers by which a publisher says which gateways a message may visit:
//
//     Tree-To: region=eu, gateway=berlin        served only at gateways that one of these names (or more)
//     Tree-Forbid: tag=untrusted, region=us     served at none of these, and none of these may even pass it on
//
//     list = term *("," term)     term = ("gateway" | "region" | "tag") "=" value     spaces around a term are skipped
//
// Names of headers and terms are as written here, as NATS takes headers; a header that comes twice is one longer list.
// gateway: its name, or its id in hex.  A value that nobody has names nobody.  What does not follow the grammar is not
// guessed at: the message is served nowhere, since it was to be kept from somebody.
// Leaves to others: which gateway is what, and the ways between them (Node).  Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "routing/base/bytes.h"
#include "routing/base/result.h"
#include "routing/route.h"
#include "routing/types.h"

namespace routing::node {

/// Lines of both headers in one message.  Unit: bytes.  Own choice: some hundred terms.  Longer is refused.
inline constexpr std::size_t targeting_bytes_max = 4096;

/// Scopes that a Node remembers; then it forgets all.  Own choice: an application uses a handful.
inline constexpr std::size_t scopes_max = 256;

/// What a term says of a gateway.
struct GatewayTerm {
    enum class Kind : std::uint8_t { gateway, region, tag } kind = Kind::gateway;
    std::string value;
    bool operator==(const GatewayTerm&) const = default;
};

struct Targeting {
    bool narrowed = false;  ///< there is a Tree-To
    std::vector<GatewayTerm> to;
    std::vector<GatewayTerm> forbid;
};

/// Puts the lines of `headers` (a whole NATS header block) that are one of the two headers into `lines`, each with a
/// line feed at its end.  False: there are none.  Cost: one search through the block.
[[nodiscard]] bool find_targeting(base::ByteView headers, std::string& lines);

/// Reads what find_targeting() found.  Errors: a sentence.
[[nodiscard]] base::Result<Targeting, std::string> read_targeting(std::string_view lines);

/// What a gateway says of itself.  Borrows.
struct GatewayDescription {
    std::string_view name;
    std::string_view id;  ///< in hex
    std::string_view region;
    std::vector<std::string_view> tags;
};
[[nodiscard]] bool matches(const std::vector<GatewayTerm>& terms, const GatewayDescription& gateway);

/// Where a message may go.
struct Scope {
    /// By GatewayIndex, this gateway among them: those where it may be served.  A gateway that can be reached only by
    /// way of a forbidden one is not in it.
    GatewayMask gateways;
    /// Forbidden, or reached only by way of a forbidden gateway, whatever Tree-To says.  Empty: nobody.
    GatewayMask barred;
    bool malformed = false;  ///< then it may go nowhere
    [[nodiscard]] bool has(GatewayIndex gateway) const { return gateway < gateways.size() && gateways[gateway]; }
    [[nodiscard]] bool bars(GatewayIndex gateway) const { return gateway < barred.size() && barred[gateway]; }
    [[nodiscard]] bool here() const { return has(gateway_self); }
    /// Keeps a choice among a queue group's members within this scope.  Borrows: this, as long as `request` is used.
    void narrow(PickRequest& request) const {
        request.local = request.shards = here();
        request.only_gateways = &gateways;
    }
};

}  // namespace routing::node
