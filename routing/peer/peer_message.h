// The control frames between gateways, as structs, with their layout on the wire.
//
// Every frame on every lane:
//
//     0        4      5       6       8                    8 + length
//     | length | kind | flags | count | body ...           |
//       u32 LE   u8     u8      u16 LE
//
// `length` counts the body alone.  `count` belongs to data frames (routing/peer/record.h) and is 0 elsewhere.
// Bodies of control frames are one MessagePack array; the drawings below list its elements.  A reader takes a longer
// array than it knows and passes over the rest, so that a newer version may add at the end.  TO_GATEWAY alone is raw,
// so that whoever only forwards it touches one byte.
//
// Life of a link (d dialled, l listens; p and c are parent and child, whoever dialled):
//
//     d -> l  HELLO                      control lane: who I am, where I stand
//     l -> d  HELLO
//     d -> l  PROOF    l -> d  PROOF     signature over both HELLOs' nonces and ids, and the secret's MAC
//                                        .. now a *sighting*: HEARTBEAT, ANCESTORS go on
//     c -> p  ATTACH                     the junior root asks
//     p -> c  WELCOME  (or REFUSE)       session, token, address for the other lanes
//     d -> l  LANE     l -> d  LANE_OK   on each of two new connections: volatile, durable
//                                        .. now *established*
//     both    SUMMARY, LOG.., SYNC_DONE  volatile lane: what the other lacks, then
//     both    definitions and records    (0x40..0x5f, routing/peer/record.h)
//     either  DETACH                     control lane: a sighting again
//     either  REFUSE / GOODBYE           and the connection closes
//
// Leaves to others: bytes (peer_codec), who sends what when (peer_session, tree).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "routing/base/bytes.h"
#include "routing/interest.h"
#include "routing/membership.h"
#include "routing/peer/lane.h"
#include "routing/topology.h"
#include "routing/types.h"

namespace routing::peer {

/// Versions of the protocol that this build speaks.  N talks to N - 1.
inline constexpr std::uint32_t protocol_version = 1;
inline constexpr std::uint32_t protocol_version_min = 1;

inline constexpr std::size_t frame_header_bytes = 8;
/// Longest body before the other end has proven itself.  Unit: bytes.  A HELLO with ancestors_max ids is 9 kB.
inline constexpr std::uint32_t unproven_body_bytes_max = 16 * 1024;
/// Longest body of a control frame, and of LOG and SUMMARY.  Unit: bytes.
inline constexpr std::uint32_t control_body_bytes_max = 1024 * 1024;
/// Longest body of a data frame.  Unit: bytes.
/// Source: the largest max_payload of stock nats-server (64 MiB, server/const.go MAX_PAYLOAD_MAX_SIZE), and its heads.
inline constexpr std::uint32_t data_body_bytes_max = 65 * 1024 * 1024;

/// Names of a tree or a gateway.  Unit: bytes.
inline constexpr std::size_t name_bytes_max = 256;
/// host:port.  Unit: bytes.  Source: a DNS name has at most 255.
inline constexpr std::size_t address_bytes_max = 300;
inline constexpr std::size_t nonce_bytes = 32;
inline constexpr std::size_t token_bytes = 16;
/// Signature or MAC.  Unit: bytes.  Ed25519 has 64, HMAC-SHA-256 32.
inline constexpr std::size_t proof_bytes_max = 128;
inline constexpr std::size_t reason_bytes_max = 512;
inline constexpr std::size_t capabilities_max = 32;
/// Hops of a TO_GATEWAY frame.  A bound for the moments in which topologies disagree.
inline constexpr std::uint8_t gateway_hops_max = 255;
/// Longest body inside a TO_GATEWAY frame.  Unit: bytes.
inline constexpr std::size_t gateway_body_bytes_max = control_body_bytes_max - 256;

enum class FrameKind : std::uint8_t {
    // Control lane.
    hello = 0x01,
    proof = 0x02,
    attach = 0x03,
    welcome = 0x04,
    refuse = 0x05,
    ancestors = 0x06,
    heartbeat = 0x07,
    to_gateway = 0x08,
    detach = 0x09,
    goodbye = 0x0a,
    // First frames of the other lanes.
    lane = 0x10,
    lane_ok = 0x11,
    // Volatile lane.
    summary = 0x20,
    log = 0x21,
    log_request = 0x22,
    sync_done = 0x23,
    digest = 0x24,
    // 0x40 .. 0x5f: definitions and records, on the volatile and the durable lane (routing/peer/record.h).
};
inline constexpr std::uint8_t data_kind_first = 0x40;
inline constexpr std::uint8_t data_kind_last = 0x5f;
[[nodiscard]] constexpr bool is_data_kind(std::uint8_t kind) {
    return kind >= data_kind_first && kind <= data_kind_last;
}

struct FrameHeader {
    std::uint32_t length = 0;  ///< of the body; unit: bytes
    std::uint8_t kind = 0;
    std::uint8_t flags = 0;
    std::uint16_t count = 0;
};

/// HELLO: [version min, version max, tree, id, name, nonce, boot, incarnation, claim ms, claim id, [ancestors],
///         advertise, [capabilities], region, seen]
struct Hello {
    std::uint32_t version_min = protocol_version_min;
    std::uint32_t version_max = protocol_version;
    std::string tree;  ///< the tree's name; another one is refused
    GatewayId id;
    std::string name;
    std::array<std::uint8_t, nonce_bytes> nonce{};  ///< fresh; the other end signs it
    std::uint64_t boot = 0;                         ///< of this process start
    std::uint64_t incarnation = 0;                  ///< of its log
    Position position;
    std::string advertise;                  ///< where it can be dialled; empty: where it was dialled, or not at all
    std::vector<std::string> capabilities;  ///< what it can beside its version; unknown ones mean nothing
    std::string region;                     ///< where it says it is; empty: nowhere in particular
    /// The address of the receiver as the sender's socket shows it; empty: unknown.  Who listens and was not told where
    /// it can be dialled learns it from this (see seen_address.h).
    std::string seen;
    bool operator==(const Hello&) const = default;
};

/// PROOF: [signature, mac]
struct Proof {
    base::Bytes signature;  ///< of proof_text(), by the id's key
    base::Bytes mac;        ///< of proof_text(), by the tree's secret; empty: none is configured
    bool operator==(const Proof&) const = default;
};

/// It follows a REFUSE of reason redirect; others are taken above the limit.
inline constexpr std::string_view capability_redirect = "redirect";
/// A data lane of a session that stands may be opened anew, alone.
inline constexpr std::string_view capability_lane = "lane";

/// ATTACH: [claim ms, claim id, incarnation, redirects, insists]   I am a root, junior to you: be my parent.
struct Attach {
    Claim claim;
    std::uint64_t incarnation = 0;
    std::uint32_t redirects = 0;  ///< how often it was sent on to get here
    bool insists = false;         ///< it was sent on from here, and came back
    bool operator==(const Attach&) const = default;
};

/// WELCOME: [session, token, lane address]
struct Welcome {
    LinkSession session = 0;  ///< never 0
    std::array<std::uint8_t, token_bytes> token{};
    std::string lane_address;  ///< what the dialling end dials for the other lanes; empty: the same as before
    bool operator==(const Welcome&) const = default;
};

enum class RefuseReason : std::uint8_t {
    version = 1,    ///< no common protocol version
    tree_name = 2,  ///< another tree
    secret = 3,     ///< the secret's MAC is missing or wrong
    proof = 4,      ///< the signature does not fit the id
    myself = 5,     ///< you dialled yourself
    id_in_use = 6,  ///< a second live holder of this id: a cloned data dir?
    duplicate = 7,  ///< another connection between us stays
    attach = 8,     ///< not as my child, and why; the connection stays as a sighting
    protocol = 9,   ///< a rule of the protocol was broken
    limit = 10,     ///< too many connections
    lane = 11,      ///< unknown session or token
    timeout = 12,   ///< nothing was heard for too long
    redirect = 13,  ///< no room: go to `address` instead; the connection and a link stay as they are
    shutdown = 14,  ///< this gateway ends
};
[[nodiscard]] std::string_view describe(RefuseReason reason);

/// REFUSE and GOODBYE: [reason, text, address]
struct Refuse {
    RefuseReason reason = RefuseReason::protocol;
    std::string text;     ///< for the other end's log
    std::string address;  ///< redirect: where to go
    bool operator==(const Refuse&) const = default;
};

/// ANCESTORS: [claim ms, claim id, [ancestors]]   my position changed.
struct Ancestors {
    Position position;
    bool operator==(const Ancestors&) const = default;
};

/// HEARTBEAT: [sent, echo, held, [bytes arrived per lane], reading paused]
/// Source: DESIGN 4.6: says how many bytes arrived on each lane and whether reading is paused, so that a black-holed
/// lane is told from back-pressure.
struct Heartbeat {
    std::uint64_t sent = 0;  ///< the sender's clock, opaque to the other end; unit: ns
    std::uint64_t echo = 0;  ///< `sent` of the newest heartbeat heard from the other end; 0: none yet
    std::uint64_t held = 0;  ///< how long ago that one was heard; unit: ns
    std::array<std::uint64_t, lanes> arrived{};  ///< bytes received in this session, by Lane
    std::uint8_t paused = 0;                     ///< bit per Lane: reading is paused
    bool operator==(const Heartbeat&) const = default;
};

/// LANE: [session, token, lane]   first frame of a connection that joins a session.  LANE_OK: []
struct LaneHello {
    LinkSession session = 0;
    std::array<std::uint8_t, token_bytes> token{};
    Lane lane = Lane::volatile_;
    bool operator==(const LaneHello&) const = default;
};

/// SUMMARY: [[id, incarnation, boot, version, digest] ..]   every log that I hold.
/// Sent first on a new volatile lane, and again when digests differ (frame flag repair_flag).
struct Summary {
    std::vector<LogStand> stands;
    bool operator==(const Summary&) const = default;
};
inline constexpr std::uint8_t repair_flag = 1;

/// LOG: [id, incarnation, boot, from, to, flags, [key, value, key, value ..]]   see LogUpdate; flags: 1 full, 2 last,
/// 4 repair.
/// LOG_REQUEST: [id]   send me all of this log.

/// SYNC_DONE: []   you have all that I have; messages may follow.

/// DIGEST: [digest]   LogBook::digest(), every digest_interval.

/// TO_GATEWAY (raw): hops left u8 | kind u8 | to, 32 bytes | from, 32 bytes | body
struct ToGateway {
    std::uint8_t hops = gateway_hops_max;
    std::uint8_t kind = 0;  ///< of the body: its users' business (queue's HEAD and AT, node's LOOKUP)
    GatewayId to;
    GatewayId from;
    base::ByteView body;  ///< borrowed
};

/// What both ends of a connection sign: binds the ids, both nonces, the tree and who dialled, so that no proof can be
/// used twice or sent back.
[[nodiscard]] base::Bytes proof_text(const Hello& signer, const Hello& other, bool signer_dialled);

}  // namespace routing::peer
