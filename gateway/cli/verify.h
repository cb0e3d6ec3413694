// `path verify`: takes the headers of a traced message (`Tree-Trace: 1`) and does the arithmetic again, away from any
// gateway: the primes of the hops, raised to what they spent, must divide the path that the ingress had computed.
// Pure.  Source of the form: routing/peer/trace.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "routing/base/result.h"
#include "routing/types.h"

namespace gateway::cli {

/// More hops than any path has are refused.  Source: a path has at most one factor per gateway, and trees are built for
/// 256 of them.
inline constexpr std::size_t verify_hops_max = 1024;

struct VerifiedHop {
    std::string name;
    routing::Prime prime = 0;
    std::uint32_t exponent = 0;  ///< 0: the ingress
    bool divides = false;        ///< the path has this prime with exactly this exponent
};

struct Verification {
    std::string number;             ///< the path, as the ingress computed it
    std::vector<VerifiedHop> hops;  ///< in the order of the way
    std::string product;            ///< of what the hops spent
    std::string rest;               ///< number / product: the factors of other branches; "1" if there are none
    bool verified = false;          ///< every hop's factor is in the path, once, and the last one delivers
    std::string problem;            ///< why not
};

/// Reads lines `Tree-Path: <number> = ...` and `Tree-Hop: <name> <prime> <exponent>`; others are skipped.
/// Errors: a sentence, if there is no path or no hop or a line is not of this form.
[[nodiscard]] base::Result<Verification, std::string> verify_path(std::string_view headers);

/// As text for people.
[[nodiscard]] std::string verification_text(const Verification& verification);
/// As JSON.
[[nodiscard]] std::string verification_json(const Verification& verification);

}  // namespace gateway::cli
