// Traces: a message with the header `Tree-Trace: 1` collects the gateways that it visits, and is delivered with
//
//     Tree-Path: 75 = 3·5²          the factors that the hops of this copy spent, multiplied out
//     Tree-Hop: a 2 0               one line per hop, in order: name, prime, exponent (0: the origin)
//     Tree-Hop: b 3 1
//     Tree-Hop: c 5 2
//
//     hop on the wire   | id, 32 bytes | prime varint | exponent u8 |
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "routing/base/bytes.h"
#include "routing/types.h"

namespace routing::peer {

/// Most hops that a trace records; later ones do not add themselves.  Source: a tree is built for 256 gateways.
inline constexpr std::size_t trace_hops_max = 256;
/// Longest hop on the wire: id, prime, exponent.  Unit: bytes.
inline constexpr std::size_t trace_hop_bytes_max = 32 + 5 + 1;

struct TraceHop {
    GatewayId id;
    Prime prime = 0;  ///< 0: unknown
    std::uint8_t exponent = 0;
    bool operator==(const TraceHop&) const = default;
};

/// True if the NATS header block asks for a trace: a line `Tree-Trace: 1`.
[[nodiscard]] bool wants_trace(base::ByteView headers);

void append_hop(base::Bytes& out, const TraceHop& hop);
/// Errors: false if `trace` is not whole hops, at most trace_hops_max, or holds an impossible prime or exponent.
[[nodiscard]] bool read_trace(base::ByteView trace, std::vector<TraceHop>& out);

/// "75 = 3·5²" (as drawn above), from hops as recorded; the origin's exponent 0 leaves it out.
[[nodiscard]] std::string path_text(const std::vector<TraceHop>& hops);

/// The header block of a traced message for a client: `headers` (a whole NATS header block) with Tree-Path and Tree-Hop
/// lines added at its end.  `name_of`: a gateway's name, without spaces.
[[nodiscard]] base::Bytes with_trace_headers(base::ByteView headers, const std::vector<TraceHop>& hops,
                                             const std::function<std::string(const GatewayId&)>& name_of);

}  // namespace routing::peer
