// Event paths: a gateway's prime, the factors a message must spend on its way, and the law that every split obeys.
//
//     E = product of p^e over the gateways that a message must visit;  e = 1 pass through, 2 deliver, 3 hand over.
//     Split at a gateway:  E = p_self^e * product of out_j * dropped,  the out_j pairwise coprime,
//                          every out_j contains the prime of its receiver   (e = 0 at the origin).
//
// Every transmission spends its receiver's factor, so the number of sends is bounded by the number of factors whatever
// anybody believes about the topology.  Leaves to others: who the targets are (router), what the tree looks like
// (topology), how a path travels (peer/labels, peer/path_engine).  Plain values and free functions; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "routing/types.h"

namespace routing {

// ---- primes -------------------------------------------------------------------------------------------------------

/// Claimed primes lie below this, substitutes above it.  Source: DESIGN 4.1.
inline constexpr Prime claimed_primes_end = Prime{1} << 31;
/// The largest number that may stand for a gateway, so that one factor fits 32 bits in any arithmetic.
inline constexpr Prime prime_max = 0xffffffff;
/// The highest place that nth_prime answers.  Unit: places.  Room for 2 * members + 16 of a full GatewayRegistry and as
/// many primes taken.
inline constexpr std::uint32_t prime_places_max = 262144;

/// True if `number` is prime.  Exact for all 64-bit numbers (Miller-Rabin with the first twelve primes as bases).
[[nodiscard]] bool is_prime(std::uint64_t number);

/// The prime at `place`, counted from 0: 2, 3, 5, ...  place < prime_places_max.
[[nodiscard]] Prime nth_prime(std::uint32_t place);

/// The prime that a gateway claims: the first one free in its view at or after place hash(id) mod (2 * members + 16).
/// `taken`: the primes claimed by others, any order.  Source: DESIGN 4.1.
[[nodiscard]] Prime claim_prime(const GatewayId& id, std::size_t members, const std::vector<Prime>& taken);

/// A number for a gateway that cannot use its claim in a path: the first prime above 2^31 (from a place given by the
/// id) that is not in `taken`.  The same id and view give the same prime.
[[nodiscard]] Prime substitute_prime(const GatewayId& id, const std::vector<Prime>& taken);

/// What one gateway says about its prime.  prime 0: it has claimed none.
struct PrimeClaim {
    GatewayId id;
    Prime prime = 0;
    std::int64_t claimed_at = 0;  ///< wall-clock milliseconds; the older claim is senior, then the smaller id
};

/// The prime that stands for each of `claims` in a path made here, all distinct: its claim, or a substitute for those
/// that claimed nothing usable or are junior holders of a prime.  Same order as `claims`.
[[nodiscard]] std::vector<Prime> effective_primes(const std::vector<PrimeClaim>& claims);

// ---- routes -------------------------------------------------------------------------------------------------------

/// One of this gateway's links, as the owner of the links numbers them (small, reused).
using LinkIndex = std::uint32_t;
inline constexpr LinkIndex link_none = 0xffffffff;

/// The tree as seen from this gateway, by GatewayIndex.  Gateways beyond the end are not reachable.
struct RouteTree {
    std::vector<GatewayIndex> previous;  ///< the gateway before g on the route from here to g; gateway_none: no route
    std::vector<LinkIndex> link;         ///< the link behind which g lives; link_none: no route, or g is this gateway
    bool operator==(const RouteTree&) const = default;
    [[nodiscard]] LinkIndex link_to(GatewayIndex gateway) const {
        return gateway < link.size() ? link[gateway] : link_none;
    }
};

/// An edge between two gateways that both list.
struct TreeEdge {
    GatewayIndex a = gateway_none;
    GatewayIndex b = gateway_none;
};

/// A live link of this gateway.
struct TreeLink {
    LinkIndex link = link_none;
    GatewayIndex neighbour = gateway_none;
};

/// Shortest routes from this gateway (index 0) over its own `links` and the `edges` of others, which may name any of
/// the first `gateways` indexes.  Edges of this gateway that are not in `links` are ignored.  Should the edges form a
/// cycle for a moment, the result is still a tree: each gateway is reached over the first link that found it.
[[nodiscard]] RouteTree make_route_tree(std::size_t gateways, const std::vector<TreeLink>& links,
                                        const std::vector<TreeEdge>& edges);

// ---- paths --------------------------------------------------------------------------------------------------------

inline constexpr std::uint8_t exponent_pass = 1;
inline constexpr std::uint8_t exponent_deliver = 2;
inline constexpr std::uint8_t exponent_hand_over = 3;  ///< to a custodian; refused until there are any

/// Most factors of one path.  Unit: factors.  Source: trees of up to 256 gateways (DESIGN 4.4), with room for 16 times.
inline constexpr std::size_t path_factors_max = 4096;

/// One factor p^e of an event path.
struct Factor {
    Prime prime = 0;
    GatewayIndex gateway = gateway_none;
    std::uint16_t ordinal = 0;  ///< of a target: its place in the origin's target set
    std::uint8_t exponent = exponent_pass;
    bool plain = false;  ///< of a target: serve the plain subscribers there
    bool operator==(const Factor&) const = default;
};

/// A path: factors ascending by prime, each prime and each gateway once.
using Factors = std::vector<Factor>;

/// A path from here and what could not be put into it.
struct PathFromHere {
    Factors factors;
    std::vector<GatewayIndex> unplaced;  ///< targets without a route, ascending
};

/// The event path from this gateway to `targets`: the gateways on the routes to all of them once each, exponent 2 for
/// targets.  This gateway itself is skipped as a target.  `primes`: by GatewayIndex; a gateway without one (0 or beyond
/// the end), or more than path_factors_max factors, leaves the targets concerned unplaced.
[[nodiscard]] PathFromHere compute_path(const TargetSet& targets, const RouteTree& routes,
                                        const std::vector<Prime>& primes);

/// True if one of `primes` divides the path's number.
[[nodiscard]] bool divisible(const Factors& factors, const std::vector<Prime>& primes);

/// The part of a path that goes out on one link.
struct Share {
    LinkIndex link = link_none;
    GatewayIndex receiver = gateway_none;
    Factors factors;
};

/// A path taken apart at one gateway.
struct Split {
    std::uint8_t self_exponent = 0;  ///< 0 at the origin
    std::vector<Share> shares;       ///< ascending by link
    Factors dropped;                 ///< had no place: no route, receiver not in the share, or no target behind
};

/// Takes `factors` apart at `self`.  `neighbours`: the gateway at the other end of each link, by LinkIndex
/// (gateway_none: the link is down).  `arrived_on`: nothing goes back there (link_none at the origin).
/// The result obeys check_split by construction; the caller checks it all the same before anything is sent.
[[nodiscard]] Split split_path(const Factors& factors, GatewayIndex self, const RouteTree& routes,
                               const std::vector<GatewayIndex>& neighbours, LinkIndex arrived_on);

enum class LawError : std::uint8_t {
    none,
    not_ascending,       ///< a list of factors is not strictly ascending by prime
    product_differs,     ///< E != p_self^e * product of out_j * dropped
    shares_not_coprime,  ///< a prime in more than one share
    receiver_missing,    ///< a share without its receiver's factor
    spent_factor,        ///< a share that holds the factor of its sender or of the origin
    gateway_twice,       ///< a gateway in one share under two primes
};
[[nodiscard]] std::string_view describe(LawError error);

/// The law of the split (see the head of this file), on the factorised form: two numbers are equal exactly when their
/// factors are.
[[nodiscard]] LawError check_split(const Factors& path, GatewayIndex self, const Split& split);

/// What a receiver can check of a share that reached it: factors ascending, primes and gateways once, its own factor
/// there, neither its sender's nor the origin's.  `sender` and `origin` may be the same.
[[nodiscard]] LawError check_share(const Factors& share, GatewayIndex self, GatewayIndex sender, GatewayIndex origin);

// ---- the number ---------------------------------------------------------------------------------------------------

/// Longest decimal number that factor_number takes.  Unit: digits.  A path that delivers at all of 1,000 gateways has
/// about 6,800 digits.
inline constexpr std::size_t path_digits_max = 8192;

/// One prime power of a number.
struct PrimePower {
    Prime prime = 0;
    std::uint32_t exponent = 0;
    bool operator==(const PrimePower&) const = default;
};

/// The product as a decimal number; "1" for no factors.  Primes up to prime_max.
[[nodiscard]] std::string multiply_out(const std::vector<PrimePower>& powers);
[[nodiscard]] std::string multiply_out(const Factors& factors);

/// A number taken apart: the powers of known primes, ascending, and what is left ("1" if nothing).
struct FactoredNumber {
    std::vector<PrimePower> powers;
    std::string rest = "1";
};

/// Divides `decimal` by each of `known` (any order, at most prime_max each) as often as it goes.
/// Errors: nothing if `decimal` is empty, 0, has a character that is no digit, or more than path_digits_max digits.
[[nodiscard]] std::optional<FactoredNumber> factor_number(std::string_view decimal, std::vector<Prime> known);

}  // namespace routing
