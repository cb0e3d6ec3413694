#include "routing/peer/peer_codec.h"

#include <algorithm>
#include <utility>

#include "routing/base/check.h"
#include "routing/peer/pack.h"

namespace routing::peer {

namespace {

constexpr std::size_t id_bytes = 32;
/// An array may be longer than this version knows; the rest is passed over.  Unit: elements.
constexpr std::uint32_t elements_max = 64;
/// Keys and values of one LOG frame.  The smallest takes three bytes.
constexpr std::uint32_t log_elements_max = control_body_bytes_max / 3 * 2;
/// A key of one byte and an empty value, each with its head.
constexpr std::size_t log_change_bytes_min = 5;

/// Appends a header, lets `write` append the body, and puts its length into the header.
template <typename Write>
void frame(base::Bytes& out, FrameKind kind, Write write, std::uint8_t flags = 0) {
    const std::size_t start = out.size();
    append_header(out, FrameHeader{0, static_cast<std::uint8_t>(kind), flags, 0});
    PackWriter writer(out);
    write(writer);
    const std::size_t length = out.size() - start - frame_header_bytes;
    BASE_CHECK(length <= control_body_bytes_max);
    for (std::size_t i = 0; i < 4; ++i) out[start + i] = static_cast<char>((length >> (8 * i)) & 0xff);
}

void write_claim(PackWriter& writer, const Claim& claim) {
    writer.sint(claim.made_at).bin(claim.id.view());
}

void write_ids(PackWriter& writer, const std::vector<GatewayId>& ids) {
    writer.array(ids.size());
    for (const GatewayId& id : ids) writer.bin(id.view());
}

/// Reads the elements of a body, front to back; the first error sticks.
class BodyReader {
  public:
    explicit BodyReader(base::ByteView body) : pack_(body) {}

    /// The outer array: at least `known` elements.
    void open(std::uint32_t known) { extra_ = pack_.array(known, std::max(known, elements_max)) - known; }
    /// True if one more element is there, which earlier versions did not send.
    bool more() {
        if (!pack_.ok() || extra_ == 0) return false;
        --extra_;
        return true;
    }

    GatewayId id() {
        const base::ByteView bytes = pack_.bin_exact(id_bytes);
        return pack_.ok() ? GatewayId::from(bytes) : GatewayId{};
    }
    Claim claim() {
        Claim claim;
        claim.made_at = pack_.sint();
        claim.id = id();
        return claim;
    }
    std::vector<GatewayId> ids(std::size_t most) {
        std::vector<GatewayId> result;
        const std::uint32_t count = pack_.array(0, static_cast<std::uint32_t>(most));
        for (std::uint32_t i = 0; i < count && pack_.ok(); ++i) result.push_back(id());
        return result;
    }
    template <std::size_t size>
    std::array<std::uint8_t, size> bytes() {
        std::array<std::uint8_t, size> result{};
        const base::ByteView view = pack_.bin_exact(size);
        if (pack_.ok())
            for (std::size_t i = 0; i < size; ++i) result[i] = static_cast<std::uint8_t>(view[i]);
        return result;
    }
    std::string text(std::size_t most) { return std::string{pack_.str(most)}; }

    PackReader& pack() { return pack_; }

    template <typename T>
    Decoded<T> close(T value) {
        if (pack_.ok()) pack_.skip(extra_);
        if (pack_.ok() && !pack_.finished()) pack_.fail(PackError::malformed);
        switch (pack_.error()) {
            case PackError::none:
                return value;
            case PackError::truncated:
                return base::failure(PeerError::truncated);
            case PackError::too_large:
                return base::failure(PeerError::limit);
            default:
                return base::failure(PeerError::malformed);
        }
    }

  private:
    PackReader pack_;
    std::uint32_t extra_ = 0;
};

template <std::size_t size>
base::ByteView view_of(const std::array<std::uint8_t, size>& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

std::string_view describe(RefuseReason reason) {
    switch (reason) {
        case RefuseReason::version:
            return "no common protocol version";
        case RefuseReason::tree_name:
            return "another tree";
        case RefuseReason::secret:
            return "the secret is missing or wrong";
        case RefuseReason::proof:
            return "the signature does not fit the id";
        case RefuseReason::myself:
            return "it dialled itself";
        case RefuseReason::id_in_use:
            return "its id is in use by another live gateway";
        case RefuseReason::duplicate:
            return "another connection stays";
        case RefuseReason::attach:
            return "not as a child";
        case RefuseReason::protocol:
            return "a rule of the protocol was broken";
        case RefuseReason::limit:
            return "a limit was reached";
        case RefuseReason::lane:
            return "unknown session or token";
        case RefuseReason::timeout:
            return "nothing was heard for too long";
        case RefuseReason::redirect:
            return "no room here";
        case RefuseReason::shutdown:
            return "the gateway ends";
    }
    return "unknown reason";
}

base::Bytes proof_text(const Hello& signer, const Hello& other, bool signer_dialled) {
    base::Bytes text = "treegate proof 1\n";
    text.push_back(signer_dialled ? 'd' : 'l');
    text.append(signer.id.view()).append(other.id.view());
    text.append(view_of(signer.nonce)).append(view_of(other.nonce));
    base::append_varint(text, signer.boot);
    base::append_varint(text, other.boot);
    text.append(signer.tree);
    return text;
}

// ---- structs to bytes -----------------------------------------------------------------------------------------------

void append_header(base::Bytes& out, const FrameHeader& header) {
    base::append_little_endian(out, header.length);
    out.push_back(static_cast<char>(header.kind));
    out.push_back(static_cast<char>(header.flags));
    base::append_little_endian(out, header.count);
}

void encode(base::Bytes& out, const Hello& hello) {
    frame(out, FrameKind::hello, [&](PackWriter& w) {
        w.array(15).uint(hello.version_min).uint(hello.version_max).str(hello.tree).bin(hello.id.view());
        w.str(hello.name).bin(view_of(hello.nonce)).uint(hello.boot).uint(hello.incarnation);
        write_claim(w, hello.position.root);
        write_ids(w, hello.position.ancestors);
        w.str(hello.advertise).array(hello.capabilities.size());
        for (const std::string& capability : hello.capabilities) w.str(capability);
        w.str(hello.region).str(hello.seen);
    });
}

void encode(base::Bytes& out, const Proof& proof) {
    frame(out, FrameKind::proof, [&](PackWriter& w) { w.array(2).bin(proof.signature).bin(proof.mac); });
}

void encode(base::Bytes& out, const Attach& attach) {
    frame(out, FrameKind::attach, [&](PackWriter& w) {
        w.array(5);
        write_claim(w, attach.claim);
        w.uint(attach.incarnation).uint(attach.redirects).boolean(attach.insists);
    });
}

void encode(base::Bytes& out, const Welcome& welcome) {
    frame(out, FrameKind::welcome, [&](PackWriter& w) {
        w.array(3).uint(welcome.session).bin(view_of(welcome.token)).str(welcome.lane_address);
    });
}

void encode(base::Bytes& out, FrameKind refuse_or_goodbye, const Refuse& refuse) {
    frame(out, refuse_or_goodbye, [&](PackWriter& w) {
        w.array(3).uint(static_cast<std::uint64_t>(refuse.reason));
        w.str(std::string_view{refuse.text}.substr(0, reason_bytes_max)).str(refuse.address);
    });
}

void encode(base::Bytes& out, const Ancestors& ancestors) {
    frame(out, FrameKind::ancestors, [&](PackWriter& w) {
        w.array(3);
        write_claim(w, ancestors.position.root);
        write_ids(w, ancestors.position.ancestors);
    });
}

void encode(base::Bytes& out, const Heartbeat& heartbeat) {
    frame(out, FrameKind::heartbeat, [&](PackWriter& w) {
        w.array(5).uint(heartbeat.sent).uint(heartbeat.echo).uint(heartbeat.held).array(lanes);
        for (const std::uint64_t bytes : heartbeat.arrived) w.uint(bytes);
        w.uint(heartbeat.paused);
    });
}

void encode(base::Bytes& out, const LaneHello& lane) {
    frame(out, FrameKind::lane, [&](PackWriter& w) {
        w.array(3).uint(lane.session).bin(view_of(lane.token)).uint(static_cast<std::uint64_t>(lane.lane));
    });
}

void encode(base::Bytes& out, const Summary& summary, bool repair) {
    frame(
        out, FrameKind::summary,
        [&](PackWriter& w) {
            w.array(1).array(summary.stands.size());
            for (const LogStand& stand : summary.stands) {
                w.array(5).bin(stand.gateway.view()).uint(stand.version.incarnation).uint(stand.version.boot);
                w.uint(stand.version.version).uint(stand.digest);
            }
        },
        repair ? repair_flag : std::uint8_t{0});
}

void encode(base::Bytes& out, const LogUpdate& update) {
    frame(out, FrameKind::log, [&](PackWriter& w) {
        const unsigned flags = (update.full ? 1u : 0u) | (update.last ? 2u : 0u) | (update.repair ? 4u : 0u);
        w.array(7).bin(update.gateway.view()).uint(update.incarnation).uint(update.boot);
        w.uint(update.from).uint(update.to).uint(flags).array(update.changes.size() * 2);
        for (const LogChange& change : update.changes) w.bin(change.key).bin(change.value);
    });
}

void encode_log_request(base::Bytes& out, const GatewayId& gateway) {
    frame(out, FrameKind::log_request, [&](PackWriter& w) { w.array(1).bin(gateway.view()); });
}

void encode_digest(base::Bytes& out, std::uint64_t digest) {
    frame(out, FrameKind::digest, [&](PackWriter& w) { w.array(1).uint(digest); });
}

void encode(base::Bytes& out, const ToGateway& message) {
    BASE_CHECK(message.body.size() <= gateway_body_bytes_max);
    const auto length = static_cast<std::uint32_t>(2 + 2 * id_bytes + message.body.size());
    append_header(out, FrameHeader{length, static_cast<std::uint8_t>(FrameKind::to_gateway), 0, 0});
    out.push_back(static_cast<char>(message.hops));
    out.push_back(static_cast<char>(message.kind));
    out.append(message.to.view()).append(message.from.view()).append(message.body);
}

void encode_empty(base::Bytes& out, FrameKind kind) {
    append_header(out, FrameHeader{0, static_cast<std::uint8_t>(kind), 0, 0});
}

// ---- bodies to structs ----------------------------------------------------------------------------------------------

Decoded<Hello> decode_hello(base::ByteView body) {
    BodyReader in(body);
    Hello hello;
    in.open(13);
    hello.version_min = static_cast<std::uint32_t>(in.pack().uint(UINT32_MAX));
    hello.version_max = static_cast<std::uint32_t>(in.pack().uint(UINT32_MAX));
    hello.tree = in.text(name_bytes_max);
    hello.id = in.id();
    hello.name = in.text(name_bytes_max);
    hello.nonce = in.bytes<nonce_bytes>();
    hello.boot = in.pack().uint();
    hello.incarnation = in.pack().uint();
    hello.position.root = in.claim();
    hello.position.ancestors = in.ids(ancestors_max);
    hello.advertise = in.text(address_bytes_max);
    const std::uint32_t count = in.pack().array(0, capabilities_max);
    for (std::uint32_t i = 0; i < count && in.pack().ok(); ++i) hello.capabilities.push_back(in.text(name_bytes_max));
    if (in.more()) hello.region = in.text(name_bytes_max);
    if (in.more()) hello.seen = in.text(address_bytes_max);
    return in.close(std::move(hello));
}

Decoded<Proof> decode_proof(base::ByteView body) {
    BodyReader in(body);
    Proof proof;
    in.open(2);
    proof.signature = in.pack().bin(proof_bytes_max);
    proof.mac = in.pack().bin(proof_bytes_max);
    return in.close(std::move(proof));
}

Decoded<Attach> decode_attach(base::ByteView body) {
    BodyReader in(body);
    Attach attach;
    in.open(3);
    attach.claim = in.claim();
    attach.incarnation = in.pack().uint();
    if (in.more()) attach.redirects = static_cast<std::uint32_t>(in.pack().uint(UINT32_MAX));
    if (in.more()) attach.insists = in.pack().boolean();
    return in.close(attach);
}

Decoded<Welcome> decode_welcome(base::ByteView body) {
    BodyReader in(body);
    Welcome welcome;
    in.open(3);
    welcome.session = in.pack().uint();
    welcome.token = in.bytes<token_bytes>();
    welcome.lane_address = in.text(address_bytes_max);
    if (in.pack().ok() && welcome.session == 0) in.pack().fail(PackError::malformed);
    return in.close(std::move(welcome));
}

Decoded<Refuse> decode_refuse(base::ByteView body) {
    BodyReader in(body);
    Refuse refuse;
    in.open(3);
    refuse.reason = static_cast<RefuseReason>(in.pack().uint(UINT8_MAX));
    refuse.text = in.text(reason_bytes_max);
    refuse.address = in.text(address_bytes_max);
    return in.close(std::move(refuse));
}

Decoded<Ancestors> decode_ancestors(base::ByteView body) {
    BodyReader in(body);
    Ancestors ancestors;
    in.open(3);
    ancestors.position.root = in.claim();
    ancestors.position.ancestors = in.ids(ancestors_max);
    return in.close(std::move(ancestors));
}

Decoded<Heartbeat> decode_heartbeat(base::ByteView body) {
    BodyReader in(body);
    Heartbeat heartbeat;
    in.open(5);
    heartbeat.sent = in.pack().uint();
    heartbeat.echo = in.pack().uint();
    heartbeat.held = in.pack().uint();
    in.pack().array(lanes, lanes);
    for (std::uint64_t& bytes : heartbeat.arrived) bytes = in.pack().uint();
    heartbeat.paused = static_cast<std::uint8_t>(in.pack().uint(UINT8_MAX));
    return in.close(heartbeat);
}

Decoded<LaneHello> decode_lane(base::ByteView body) {
    BodyReader in(body);
    LaneHello lane;
    in.open(3);
    lane.session = in.pack().uint();
    lane.token = in.bytes<token_bytes>();
    // The control lane is the connection that said HELLO.
    lane.lane = static_cast<Lane>(in.pack().uint(static_cast<std::uint64_t>(Lane::durable)));
    return in.close(lane);
}

Decoded<Summary> decode_summary(base::ByteView body) {
    BodyReader in(body);
    Summary summary;
    in.open(1);
    const std::uint32_t count = in.pack().array(0, static_cast<std::uint32_t>(logs_max));
    for (std::uint32_t i = 0; i < count && in.pack().ok(); ++i) {
        LogStand stand;
        const std::uint32_t extra = in.pack().array(5, elements_max);
        stand.gateway = in.id();
        stand.version.incarnation = in.pack().uint();
        stand.version.boot = in.pack().uint();
        stand.version.version = in.pack().uint();
        stand.digest = in.pack().uint();
        if (in.pack().ok()) in.pack().skip(extra - 5);
        summary.stands.push_back(stand);
    }
    return in.close(std::move(summary));
}

Decoded<LogUpdate> decode_log(base::ByteView body) {
    BodyReader in(body);
    LogUpdate update;
    in.open(7);
    update.gateway = in.id();
    update.incarnation = in.pack().uint();
    update.boot = in.pack().uint();
    update.from = in.pack().uint();
    update.to = in.pack().uint();
    const std::uint64_t flags = in.pack().uint(UINT8_MAX);
    update.full = (flags & 1) != 0;
    update.last = (flags & 2) != 0;
    update.repair = (flags & 4) != 0;
    const std::uint32_t count = in.pack().array(0, log_elements_max);
    if (in.pack().ok() && count % 2 != 0) in.pack().fail(PackError::malformed);
    // As many as the bytes that are there can hold, whatever the count says: a key has a byte, and both have a head.
    if (in.pack().ok()) update.changes.reserve(std::min<std::size_t>(count / 2, body.size() / log_change_bytes_min));
    for (std::uint32_t i = 0; i < count && in.pack().ok(); i += 2) {
        LogChange change;
        change.key = in.pack().bin(log_key_bytes_max);
        change.value = in.pack().bin(log_value_bytes_max);
        if (in.pack().ok() && change.key.empty()) in.pack().fail(PackError::malformed);
        if (in.pack().ok()) update.changes.push_back(std::move(change));
    }
    return in.close(std::move(update));
}

Decoded<GatewayId> decode_log_request(base::ByteView body) {
    BodyReader in(body);
    in.open(1);
    const GatewayId id = in.id();
    return in.close(id);
}

Decoded<std::uint64_t> decode_digest(base::ByteView body) {
    BodyReader in(body);
    in.open(1);
    const std::uint64_t digest = in.pack().uint();
    return in.close(digest);
}

Decoded<ToGateway> decode_to_gateway(base::ByteView body) {
    if (body.size() < 2 + 2 * id_bytes) return base::failure(PeerError::truncated);
    ToGateway message;
    message.hops = static_cast<std::uint8_t>(body[0]);
    message.kind = static_cast<std::uint8_t>(body[1]);
    message.to = GatewayId::from(body.substr(2, id_bytes));
    message.from = GatewayId::from(body.substr(2 + id_bytes, id_bytes));
    message.body = body.substr(2 + 2 * id_bytes);
    return message;
}

// ---- frames off a stream --------------------------------------------------------------------------------------------

PeerError check_header(const FrameHeader& header, FrameScope scope) {
    bool known = true;
    bool here = false;
    std::uint32_t most = control_body_bytes_max;
    const bool control = scope == FrameScope::control;
    const bool handshake = scope == FrameScope::first || scope == FrameScope::handshake;
    switch (static_cast<FrameKind>(header.kind)) {
        case FrameKind::hello:
            here = handshake;
            most = unproven_body_bytes_max;
            break;
        case FrameKind::proof:
            here = scope == FrameScope::handshake;
            most = unproven_body_bytes_max;
            break;
        case FrameKind::refuse:
        case FrameKind::goodbye:
            here = true;
            most = unproven_body_bytes_max;
            break;
        case FrameKind::lane:
            here = scope == FrameScope::first;
            most = unproven_body_bytes_max;
            break;
        case FrameKind::lane_ok:
            here = scope == FrameScope::joining;
            most = unproven_body_bytes_max;
            break;
        case FrameKind::attach:
        case FrameKind::welcome:
        case FrameKind::ancestors:
        case FrameKind::heartbeat:
        case FrameKind::to_gateway:
        case FrameKind::detach:
            here = control;
            break;
        case FrameKind::summary:
        case FrameKind::log:
        case FrameKind::log_request:
        case FrameKind::sync_done:
        case FrameKind::digest:
            here = scope == FrameScope::volatile_;
            break;
        default:
            known = is_data_kind(header.kind);
            here = scope == FrameScope::volatile_ || scope == FrameScope::durable;
            most = data_body_bytes_max;
    }
    if (!known) return PeerError::unknown_kind;
    if (!here) return PeerError::out_of_place;
    return header.length <= most ? PeerError::none : PeerError::frame_too_large;
}

bool FrameReader::read_header(base::ByteView bytes) {
    const bool whole = base::read_little_endian(bytes, header_.length) &&
                       base::read_little_endian(bytes, header_.kind) &&
                       base::read_little_endian(bytes, header_.flags) && base::read_little_endian(bytes, header_.count);
    BASE_CHECK(whole);
    error_ = check_header(header_, scope_);
    return error_ == PeerError::none;
}

FrameReader::Step FrameReader::step(base::ByteView& in) {
    BASE_CHECK(error_ == PeerError::none);
    if (tail_finished_) {
        tail_finished_ = false;
        // A large frame leaves a large buffer; it goes back when the next one is not as large.
        constexpr std::size_t kept_max = 256 * 1024;
        if (tail_.capacity() > kept_max) base::Bytes().swap(tail_);
        tail_.clear();
    }
    if (tail_.empty()) {
        if (in.size() < frame_header_bytes) {
            tail_.append(in);
            in = {};
            return Step::need_more;
        }
        if (!read_header(in)) return Step::broken;
        if (in.size() - frame_header_bytes >= header_.length) {
            body_ = in.substr(frame_header_bytes, header_.length);
            in.remove_prefix(frame_header_bytes + header_.length);
            return Step::frame;
        }
        tail_.append(in);
        in = {};
        return Step::need_more;
    }
    if (tail_.size() < frame_header_bytes) {
        const std::size_t taken = std::min(in.size(), frame_header_bytes - tail_.size());
        tail_.append(in.substr(0, taken));
        in.remove_prefix(taken);
        if (tail_.size() < frame_header_bytes) return Step::need_more;
        if (!read_header(tail_)) return Step::broken;
    }
    const std::size_t whole = frame_header_bytes + header_.length;
    const std::size_t taken = std::min(in.size(), whole - tail_.size());
    tail_.append(in.substr(0, taken));
    in.remove_prefix(taken);
    if (tail_.size() < whole) return Step::need_more;
    body_ = base::ByteView{tail_}.substr(frame_header_bytes);
    tail_finished_ = true;
    return Step::frame;
}

}  // namespace routing::peer
