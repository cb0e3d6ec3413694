// What a neighbour can do wrong.  Each value ends the link that it came from, and only that one.
#pragma once

#include <cstdint>
#include <string_view>

namespace routing::peer {

/// One rule of the protocol between gateways that was broken.  Never thrown; described for the log by describe().
enum class PeerError : std::uint8_t {
    none,
    malformed,        ///< a body that does not have the layout of its kind
    truncated,        ///< a body that ends within a value
    frame_too_large,  ///< a frame longer than its kind may be
    unknown_kind,     ///< a kind of frame that this version does not know
    out_of_place,     ///< a known frame on the wrong lane, or before its time
    limit,            ///< more gateways, entries or bytes than are kept
    unknown_gateway,  ///< a gateway number that was not defined on this lane
    unknown_label,    ///< a label that was not defined on this lane
    law_violated,     ///< a path that breaks the split law
    bad_factor,       ///< an exponent, prime or id that cannot stand in a path
    no_custodian,     ///< exponent 3: a hand-over, which this version does not have
};

[[nodiscard]] constexpr std::string_view describe(PeerError error) {
    switch (error) {
        case PeerError::none:
            return "no error";
        case PeerError::malformed:
            return "a frame does not have the layout of its kind";
        case PeerError::truncated:
            return "a frame ends within a value";
        case PeerError::frame_too_large:
            return "a frame is longer than its kind may be";
        case PeerError::unknown_kind:
            return "a frame of unknown kind";
        case PeerError::out_of_place:
            return "a frame came on the wrong lane or before its time";
        case PeerError::limit:
            return "more gateways, entries or bytes than this gateway keeps";
        case PeerError::unknown_gateway:
            return "a path names a gateway that was not defined on its lane";
        case PeerError::unknown_label:
            return "a message names a label that was not defined on its lane";
        case PeerError::law_violated:
            return "a path breaks the split law";
        case PeerError::bad_factor:
            return "a path holds an impossible factor";
        case PeerError::no_custodian:
            return "a path hands over to a custodian (exponent 3), and this version has none";
    }
    return "unknown error";
}

}  // namespace routing::peer
