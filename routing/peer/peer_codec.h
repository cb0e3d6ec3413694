// Control frames: structs <-> bytes, and a reader that takes frames off a stream however it is split.
// Every input is allowed.  What is wrong gives an error value; nothing is allocated by a size that a peer declared
// before that many bytes are there. Leaves to others: definitions and records (record.h), which frame may come when
// beyond its lane (peer_session).
#pragma once

#include <cstdint>

#include "routing/base/bytes.h"
#include "routing/base/result.h"
#include "routing/peer/peer_error.h"
#include "routing/peer/peer_message.h"

namespace routing::peer {

// ---- structs to bytes: each appends one whole frame -----------------------------------------------------------------

void append_header(base::Bytes& out, const FrameHeader& header);
void encode(base::Bytes& out, const Hello& hello);
void encode(base::Bytes& out, const Proof& proof);
void encode(base::Bytes& out, const Attach& attach);
void encode(base::Bytes& out, const Welcome& welcome);
void encode(base::Bytes& out, FrameKind refuse_or_goodbye, const Refuse& refuse);
void encode(base::Bytes& out, const Ancestors& ancestors);
void encode(base::Bytes& out, const Heartbeat& heartbeat);
void encode(base::Bytes& out, const LaneHello& lane);
void encode(base::Bytes& out, const Summary& summary, bool repair);
void encode(base::Bytes& out, const LogUpdate& update);
void encode_log_request(base::Bytes& out, const GatewayId& gateway);
void encode_digest(base::Bytes& out, std::uint64_t digest);
void encode(base::Bytes& out, const ToGateway& message);
/// detach, lane_ok, sync_done: no body.
void encode_empty(base::Bytes& out, FrameKind kind);

// ---- bodies to structs ----------------------------------------------------------------------------------------------
// Errors: truncated, malformed or limit.  Borrows: only ToGateway's body, from `body`.

template <typename T>
using Decoded = base::Result<T, PeerError>;

[[nodiscard]] Decoded<Hello> decode_hello(base::ByteView body);
[[nodiscard]] Decoded<Proof> decode_proof(base::ByteView body);
[[nodiscard]] Decoded<Attach> decode_attach(base::ByteView body);
[[nodiscard]] Decoded<Welcome> decode_welcome(base::ByteView body);
[[nodiscard]] Decoded<Refuse> decode_refuse(base::ByteView body);
[[nodiscard]] Decoded<Ancestors> decode_ancestors(base::ByteView body);
[[nodiscard]] Decoded<Heartbeat> decode_heartbeat(base::ByteView body);
[[nodiscard]] Decoded<LaneHello> decode_lane(base::ByteView body);
[[nodiscard]] Decoded<Summary> decode_summary(base::ByteView body);
[[nodiscard]] Decoded<LogUpdate> decode_log(base::ByteView body);
[[nodiscard]] Decoded<GatewayId> decode_log_request(base::ByteView body);
[[nodiscard]] Decoded<std::uint64_t> decode_digest(base::ByteView body);
[[nodiscard]] Decoded<ToGateway> decode_to_gateway(base::ByteView body);

// ---- frames off a stream --------------------------------------------------------------------------------------------

/// Which kinds may come, and how long.
enum class FrameScope : std::uint8_t {
    first,      ///< on an accepted connection: HELLO or LANE
    handshake,  ///< control lane before both are proven
    joining,    ///< a dialled lane that waits for LANE_OK
    control,
    volatile_,
    durable,
};
/// none if a frame of `header` may come in `scope`.
[[nodiscard]] PeerError check_header(const FrameHeader& header, FrameScope scope);

/// Pull parser: feed what came in, take frames.
///     while ((step = reader.step(in)) == Step::frame) use(reader.header(), reader.body());
/// A frame that is whole in the input is not copied.
class FrameReader {
  public:
    enum class Step : std::uint8_t { need_more, frame, broken };

    explicit FrameReader(FrameScope scope) : scope_(scope) {}

    /// Drops what it consumed off the front of `in` (all of it, if need_more).  After broken nothing else is allowed.
    [[nodiscard]] Step step(base::ByteView& in);
    [[nodiscard]] const FrameHeader& header() const { return header_; }
    /// Valid until the next step(); points into the input or into the reader.
    [[nodiscard]] base::ByteView body() const { return body_; }
    [[nodiscard]] PeerError error() const { return error_; }
    /// From the next frame on.
    void set_scope(FrameScope scope) { scope_ = scope; }
    [[nodiscard]] FrameScope scope() const { return scope_; }
    /// Bytes of an unfinished frame that are kept here.
    [[nodiscard]] std::size_t kept_bytes() const { return tail_finished_ ? 0 : tail_.size(); }
    /// The length that the unfinished frame says it has; 0 while its header is not whole.
    [[nodiscard]] std::uint32_t declared_bytes() const {
        return kept_bytes() < frame_header_bytes ? 0 : header_.length;
    }

  private:
    [[nodiscard]] bool read_header(base::ByteView bytes);

    FrameScope scope_;
    FrameHeader header_;
    base::ByteView body_;
    base::Bytes tail_;  ///< an unfinished frame, or the finished one that body_ points into
    bool tail_finished_ = false;
    PeerError error_ = PeerError::none;
};

}  // namespace routing::peer
