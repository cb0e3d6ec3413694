// What another gateway may send: frames off a stream, control frames, definitions and records in batches, each taken as
// the product takes it.  Whatever the bytes are: the same frames however the stream is cut, what was read is written
// and read again as the same, and nobody makes us allocate by a number that he only claims.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "routing/base/check.h"
#include "routing/peer/path_engine.h"
#include "routing/peer/peer_codec.h"
#include "routing/peer/record.h"
#include "routing/peer/trace.h"
#include "routing/target_sets.h"
#include "tests/fuzz/peer_frames.h"
#include "tests/support/count_allocations.h"

namespace {

using namespace routing;
using namespace routing::peer;

/// What reading a control frame may allocate, as a multiple of its bytes: a key and a value of five bytes on the wire
/// are two strings; and some more for whatever it is.
constexpr std::size_t control_ratio = 16;
constexpr std::size_t control_constant = 4096;
/// The same for the data plane, where a definition is kept, split and sent on, in addition to tables of a fixed size
/// (label_slots, gateway_numbers_max), of which a first definition may be all.
constexpr std::size_t data_ratio = 64;
constexpr std::size_t data_constant = std::size_t{16} * 1024 * 1024;

GatewayId id_of(std::uint8_t number) {
    GatewayId id;
    id.bytes.fill(number);
    return id;
}

// --- Control frames --------------------------------------------------------------------------------------------------

/// If `body` is read, its struct is written, read again, and the same.
template <typename Decode, typename Encode>
void check_again(base::ByteView body, Decode decode, Encode encode_again) {
    const auto message = decode(body);
    if (!message.ok()) {
        BASE_CHECK(message.error() != PeerError::none);
        return;
    }
    base::Bytes frame;
    encode_again(frame, message.value());
    const auto again = decode(base::ByteView(frame).substr(frame_header_bytes));
    BASE_CHECK(again.ok());
    base::Bytes twice;
    encode_again(twice, again.value());
    BASE_CHECK(frame == twice);
}

template <typename Decode>
void check_again(base::ByteView body, Decode decode) {
    check_again(body, decode, [](base::Bytes& out, const auto& message) { encode(out, message); });
}

void read_control(const FrameHeader& header, base::ByteView body) {
    const auto kind = static_cast<FrameKind>(header.kind);
    switch (kind) {
        case FrameKind::hello:
            return check_again(body, decode_hello);
        case FrameKind::proof:
            return check_again(body, decode_proof);
        case FrameKind::attach:
            return check_again(body, decode_attach);
        case FrameKind::welcome:
            return check_again(body, decode_welcome);
        case FrameKind::refuse:
        case FrameKind::goodbye:
            return check_again(body, decode_refuse,
                               [&](base::Bytes& out, const Refuse& refuse) { encode(out, kind, refuse); });
        case FrameKind::ancestors:
            return check_again(body, decode_ancestors);
        case FrameKind::heartbeat:
            return check_again(body, decode_heartbeat);
        case FrameKind::lane:
            return check_again(body, decode_lane);
        case FrameKind::to_gateway:
            return check_again(body, decode_to_gateway);
        case FrameKind::summary:
            return check_again(body, decode_summary,
                               [](base::Bytes& out, const Summary& summary) { encode(out, summary, false); });
        case FrameKind::log:
            return check_again(body, decode_log);
        case FrameKind::log_request:
            return check_again(body, decode_log_request,
                               [](base::Bytes& out, const GatewayId& id) { encode_log_request(out, id); });
        case FrameKind::digest:
            return check_again(body, decode_digest,
                               [](base::Bytes& out, std::uint64_t digest) { encode_digest(out, digest); });
        case FrameKind::detach:
        case FrameKind::lane_ok:
        case FrameKind::sync_done:
            return;
    }
}

/// What decoding alone allocates.
void check_memory(const FrameHeader& header, base::ByteView body) {
    const std::size_t before = support::allocated_bytes();
    const auto kind = static_cast<FrameKind>(header.kind);
    if (kind == FrameKind::log) (void)decode_log(body).ok();
    if (kind == FrameKind::summary) (void)decode_summary(body).ok();
    if (kind == FrameKind::hello) (void)decode_hello(body).ok();
    if (kind == FrameKind::ancestors) (void)decode_ancestors(body).ok();
    if (kind == FrameKind::proof) (void)decode_proof(body).ok();
    if (kind == FrameKind::refuse) (void)decode_refuse(body).ok();
    BASE_CHECK(support::allocated_bytes() - before <= control_ratio * body.size() + control_constant);
}

struct Frame {
    std::uint8_t kind = 0;
    std::uint16_t count = 0;
    base::Bytes body;
    bool operator==(const Frame&) const = default;
};

/// The frames of a stream that comes in pieces of `piece` bytes (0: in one), and how it ends.
PeerError read_stream(base::ByteView stream, FrameScope scope, std::size_t piece, std::vector<Frame>& frames) {
    FrameReader reader(scope);
    while (!stream.empty()) {
        base::ByteView in = stream.substr(0, piece == 0 ? stream.size() : piece);
        stream.remove_prefix(in.size());
        while (!in.empty()) {
            const auto step = reader.step(in);
            BASE_CHECK(reader.kept_bytes() <= data_body_bytes_max + frame_header_bytes);
            if (step == FrameReader::Step::broken) return reader.error();
            if (step == FrameReader::Step::need_more) break;
            frames.push_back(Frame{reader.header().kind, reader.header().count, base::Bytes(reader.body())});
        }
    }
    return PeerError::none;
}

void check_stream(FrameScope scope, std::uint8_t cut, base::ByteView stream) {
    // The frames are kept for this test alone: room for them is no cost of reading.
    std::vector<Frame> frames;
    std::vector<Frame> again;
    frames.reserve(stream.size());
    again.reserve(stream.size());
    const std::size_t before = support::allocated_bytes();
    const PeerError error = read_stream(stream, scope, 0, frames);
    BASE_CHECK(read_stream(stream, scope, 1 + cut, again) == error);
    // A frame that is cut is gathered in a buffer that doubles, and copied by us twice.
    BASE_CHECK(support::allocated_bytes() - before <= control_ratio * stream.size() + control_constant);
    BASE_CHECK(frames == again);
    for (const Frame& frame : frames) {
        FrameHeader header;
        header.kind = frame.kind;
        header.length = static_cast<std::uint32_t>(frame.body.size());
        BASE_CHECK(check_header(header, scope) == PeerError::none);
        check_memory(header, frame.body);
        if (!is_data_kind(frame.kind)) read_control(header, frame.body);
    }
}

// --- The data plane --------------------------------------------------------------------------------------------------

void check_record(base::ByteView rest, Lane lane) {
    RecordFields fields;
    const PeerError error = parse_record(rest, lane, fields);
    if (error != PeerError::none) return;
    BASE_CHECK(!fields.subject.empty() && fields.header_bytes <= fields.body.size());
    BASE_CHECK(fields.subject.size() + fields.reply.size() + fields.body.size() <= rest.size());
    std::vector<TraceHop> hops;
    (void)read_trace(fields.trace, hops);
    BASE_CHECK(hops.size() <= trace_hops_max);
    for (const std::uint32_t ordinal : {0U, 1U, 77U}) {
        PrevPosition prev;
        if (lane == Lane::durable && find_prev(fields, 5, ordinal, prev) == PeerError::none && prev.run == 5)
            BASE_CHECK(prev.position < fields.position);
    }
    if ((fields.flags & record_flag_trace) == 0) return;
    base::Bytes longer;
    if (append_with_hop(longer, rest, TraceHop{id_of(9), 3, 1}) != PeerError::none) return;
    RecordFields after;
    BASE_CHECK(parse_record(longer, lane, after) == PeerError::none);
    BASE_CHECK(after.subject == fields.subject && after.body == fields.body && after.position == fields.position);
}

/// A gateway between two neighbours, the first of which sends the fuzzer's bytes.
class Middle final : public LaneSink, public DeliverySink {
  public:
    Middle() : registry_(id_of(peer_fuzz::self_id)), engine_(registry_, sets_, *this) {
        const GatewayIndex one = registry_.intern(id_of(peer_fuzz::neighbour_id)).value();
        const GatewayIndex two = registry_.intern(id_of(peer_fuzz::other_neighbour_id)).value();
        engine_.set_prime(gateway_self, 2, 1);
        engine_.set_prime(one, 3, 2);
        engine_.set_prime(two, 5, 3);
        engine_.link_up(0, one);
        engine_.link_up(1, two);
        engine_.set_topology(make_route_tree(3, {{0, one}, {1, two}}, {}));
    }

    void feed(Lane lane, base::ByteView stream) {
        FrameReader reader(lane == Lane::volatile_ ? FrameScope::volatile_ : FrameScope::durable);
        while (!stream.empty()) {
            const std::size_t before = support::allocated_bytes();
            const std::size_t size = stream.size();
            if (reader.step(stream) != FrameReader::Step::frame) return;
            if (!is_data_kind(reader.header().kind)) continue;
            const bool good = engine_.on_frame(0, lane, reader.header(), reader.body(), *this).ok();
            BASE_CHECK(support::allocated_bytes() - before <= data_ratio * (size - stream.size()) + data_constant);
            const auto use = engine_.fullest_tables();
            BASE_CHECK(use.labels <= label_slots && use.bytes <= label_table_bytes_max);
            // What goes on is whole frames, and spent a factor: nothing goes back to where it came from.
            BASE_CHECK(out_[0][0].empty() && out_[0][1].empty());
            if (!good) return;
        }
        BASE_CHECK(engine_.counters().transit_records + engine_.counters().delivered_records <= records_max(size_));
    }

    void set_size(std::size_t bytes) { size_ = bytes; }

    FrameBuffer& lane(LinkIndex link, Lane lane) override { return out_[link][static_cast<std::size_t>(lane)]; }
    FrameBuffer* lane_for_record(LinkIndex link, Lane lane, std::size_t /*bytes*/) override {
        return &out_[link][static_cast<std::size_t>(lane)];
    }
    void deliver(const VolatileDelivery& delivery) override {
        BASE_CHECK(delivery.origin != gateway_self && !delivery.message.subject.empty());
    }
    void deliver_durable(const DurableDelivery& delivery) override {
        BASE_CHECK(delivery.origin != gateway_self && delivery.position != 0);
    }

  private:
    /// A record has a label, a size, flags and a subject; each counts for transit and delivery.
    static std::size_t records_max(std::size_t bytes) { return 2 * bytes / 4; }

    GatewayRegistry registry_;
    TargetSets sets_;
    PathEngine engine_;
    std::array<std::array<FrameBuffer, 2>, 2> out_;
    std::size_t size_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const std::uint8_t what = data[0] % peer_fuzz::kinds;
    const base::ByteView bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
    if (what < peer_fuzz::scopes) {
        check_stream(static_cast<FrameScope>(what), data[1], bytes);
    } else if (what == peer_fuzz::record) {
        check_record(bytes, Lane::volatile_);
        check_record(bytes, Lane::durable);
    } else {
        Middle middle;
        middle.set_size(bytes.size());
        middle.feed(what == peer_fuzz::engine_volatile ? Lane::volatile_ : Lane::durable, bytes);
    }
    return 0;
}
