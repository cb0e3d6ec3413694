#include "routing/peer/peer_codec.h"

#include <catch2/catch.hpp>
#include <functional>

#include "routing/base/prng.h"

using namespace routing;
using namespace routing::peer;

namespace {

GatewayId id_of(std::uint8_t number) {
    GatewayId id;
    id.bytes.fill(number);
    return id;
}

Hello some_hello() {
    Hello hello;
    hello.tree = "treegate";
    hello.id = id_of(1);
    hello.name = "a";
    hello.nonce.fill(9);
    hello.boot = UINT64_MAX;
    hello.incarnation = 3;
    hello.position.root = Claim{1'700'000'000'000, id_of(2)};
    hello.position.ancestors = {id_of(3), id_of(2)};
    hello.advertise = "a.example:7522";
    hello.capabilities = {"zstd"};
    hello.seen = "10.0.0.1:40000";
    return hello;
}

LogUpdate some_update() {
    LogUpdate update;
    update.gateway = id_of(4);
    update.incarnation = 5;
    update.boot = 6;
    update.from = 7;
    update.to = 9;
    update.changes.push_back(LogChange{interest_key("$G", "orders.>", "q"), number_value(3)});
    update.changes.push_back(LogChange{link_key(id_of(5)), {}});
    return update;
}

/// Every control frame with a body of MessagePack, by kind: its bytes and whether a body decodes.
struct Sample {
    FrameKind kind;
    base::Bytes frame;
    std::function<bool(base::ByteView)> decodes;
};

template <typename Message>
base::Bytes encoded(const Message& message) {
    base::Bytes out;
    encode(out, message);
    return out;
}

std::vector<Sample> samples() {
    std::vector<Sample> all;
    const auto add = [&](FrameKind kind, base::Bytes frame, std::function<bool(base::ByteView)> decodes) {
        all.push_back(Sample{kind, std::move(frame), std::move(decodes)});
    };
    Heartbeat heartbeat;
    heartbeat.arrived = {1, 2, UINT64_MAX};
    Summary summary;
    summary.stands = {LogStand{id_of(1), {1, 2, 3}, 4}, LogStand{id_of(2), {5, 6, 7}, 8}};
    base::Bytes refuse;
    encode(refuse, FrameKind::refuse, Refuse{RefuseReason::tree_name, "another tree", "x:1"});
    base::Bytes stands;
    encode(stands, summary, true);
    base::Bytes request;
    encode_log_request(request, id_of(9));
    base::Bytes digest;
    encode_digest(digest, 12345);
    add(FrameKind::hello, encoded(some_hello()), [](base::ByteView b) { return decode_hello(b).ok(); });
    add(FrameKind::proof, encoded(Proof{"sig", "mac"}), [](base::ByteView b) { return decode_proof(b).ok(); });
    add(FrameKind::attach, encoded(Attach{Claim{-1, id_of(1)}, 2}),
        [](base::ByteView b) { return decode_attach(b).ok(); });
    add(FrameKind::welcome, encoded(Welcome{77, {}, "b:1"}), [](base::ByteView b) { return decode_welcome(b).ok(); });
    add(FrameKind::refuse, refuse, [](base::ByteView b) { return decode_refuse(b).ok(); });
    add(FrameKind::ancestors, encoded(Ancestors{some_hello().position}),
        [](base::ByteView b) { return decode_ancestors(b).ok(); });
    add(FrameKind::heartbeat, encoded(heartbeat), [](base::ByteView b) { return decode_heartbeat(b).ok(); });
    add(FrameKind::lane, encoded(LaneHello{1, {}, Lane::durable}),
        [](base::ByteView b) { return decode_lane(b).ok(); });
    add(FrameKind::summary, stands, [](base::ByteView b) { return decode_summary(b).ok(); });
    add(FrameKind::log, encoded(some_update()), [](base::ByteView b) { return decode_log(b).ok(); });
    add(FrameKind::log_request, request, [](base::ByteView b) { return decode_log_request(b).ok(); });
    add(FrameKind::digest, digest, [](base::ByteView b) { return decode_digest(b).ok(); });
    return all;
}

base::ByteView body_of(const base::Bytes& frame) {
    return base::ByteView{frame}.substr(frame_header_bytes);
}

}  // namespace

TEST_CASE("control frames come out as they went in", "[peer][codec]") {
    CHECK(decode_hello(body_of(encoded(some_hello()))).value() == some_hello());
    const Proof proof{base::Bytes(64, 's'), base::Bytes(32, 'm')};
    CHECK(decode_proof(body_of(encoded(proof))).value() == proof);
    const Welcome welcome{UINT64_MAX, {1, 2, 3}, "host:1"};
    CHECK(decode_welcome(body_of(encoded(welcome))).value() == welcome);
    const LogUpdate update = some_update();
    const LogUpdate again = decode_log(body_of(encoded(update))).value();
    CHECK(again.gateway == update.gateway);
    CHECK(again.after() == update.after());
    CHECK(again.from == 7);
    CHECK(again.changes == update.changes);
    CHECK_FALSE(again.full);
    CHECK(again.last);
    ToGateway message;
    message.hops = 3;
    message.kind = 200;
    message.to = id_of(1);
    message.from = id_of(2);
    message.body = "body";
    const base::Bytes raw = encoded(message);
    const ToGateway there = decode_to_gateway(body_of(raw)).value();
    CHECK(there.hops == 3);
    CHECK(there.kind == 200);
    CHECK(there.to == id_of(1));
    CHECK(there.from == id_of(2));
    CHECK(there.body == "body");
}

TEST_CASE("every truncation of every control frame is an error value", "[peer][codec]") {
    for (const Sample& sample : samples()) {
        CAPTURE(static_cast<int>(sample.kind));
        const base::ByteView body = body_of(sample.frame);
        REQUIRE(sample.decodes(body));
        for (std::size_t size = 0; size < body.size(); ++size) {
            CAPTURE(size);
            REQUIRE_FALSE(sample.decodes(body.substr(0, size)));
        }
        REQUIRE_FALSE(sample.decodes(base::Bytes(body) + '\xc0'));
    }
    for (std::size_t size = 0; size < 66; ++size) CHECK_FALSE(decode_to_gateway(base::Bytes(size, 'x')).ok());
}

TEST_CASE("spoiled control frames never do harm", "[peer][codec]") {
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
        CAPTURE(seed);
        base::Prng prng(seed);
        for (const Sample& sample : samples()) {
            base::Bytes body{body_of(sample.frame)};
            for (std::uint64_t i = prng.below(6); i-- > 0;)
                body[prng.below(body.size())] = static_cast<char>(prng.next());
            static_cast<void>(sample.decodes(body));
        }
    }
    SUCCEED("nothing crashed and no sanitizer spoke");
}

TEST_CASE("a newer version may add elements at the end of a body", "[peer][codec]") {
    base::Bytes frame = encoded(Proof{"sig", ""});
    base::Bytes body{body_of(frame)};
    REQUIRE(body[0] == '\x92');
    body[0] = '\x94';
    body += "\x93\x01\x02\x03\xa1x";
    const auto proof = decode_proof(body);
    REQUIRE(proof.ok());
    CHECK(proof.value().signature == "sig");
}

TEST_CASE("the reader gives the same frames however the stream is split", "[peer][codec]") {
    base::Bytes stream;
    std::vector<std::pair<std::uint8_t, base::Bytes>> expected;
    for (const Sample& sample : samples()) {
        if (check_header(FrameHeader{1, static_cast<std::uint8_t>(sample.kind), 0, 0}, FrameScope::control) !=
            PeerError::none)
            continue;
        stream += sample.frame;
        expected.emplace_back(static_cast<std::uint8_t>(sample.kind), body_of(sample.frame));
    }
    encode_empty(stream, FrameKind::detach);
    expected.emplace_back(static_cast<std::uint8_t>(FrameKind::detach), "");
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        CAPTURE(seed);
        base::Prng prng(seed);
        FrameReader reader(FrameScope::control);
        std::vector<std::pair<std::uint8_t, base::Bytes>> got;
        base::ByteView rest{stream};
        while (!rest.empty()) {
            const std::size_t size = seed == 0 ? 1 : prng.between(1, std::min<std::size_t>(rest.size(), 200));
            const base::Bytes piece{rest.substr(0, size)};  // so that a view kept too long is seen by the sanitizer
            rest.remove_prefix(size);
            base::ByteView in{piece};
            for (;;) {
                const FrameReader::Step step = reader.step(in);
                REQUIRE(step != FrameReader::Step::broken);
                if (step == FrameReader::Step::need_more) break;
                got.emplace_back(reader.header().kind, reader.body());
            }
            REQUIRE(in.empty());
        }
        REQUIRE(got == expected);
    }
}

TEST_CASE("a frame that may not come is refused by its header alone", "[peer][codec]") {
    const auto error = [](std::uint32_t length, std::uint8_t kind, FrameScope scope) {
        base::Bytes bytes;
        append_header(bytes, FrameHeader{length, kind, 0, 0});
        FrameReader reader(scope);
        base::ByteView in{bytes};
        return reader.step(in) == FrameReader::Step::broken ? reader.error() : PeerError::none;
    };
    constexpr std::uint8_t hello = 0x01, heartbeat = 0x07, lane = 0x10, log = 0x21, records = 0x43;
    CHECK(error(unproven_body_bytes_max, hello, FrameScope::first) == PeerError::none);
    CHECK(error(unproven_body_bytes_max + 1, hello, FrameScope::first) == PeerError::frame_too_large);
    CHECK(error(10, heartbeat, FrameScope::first) == PeerError::out_of_place);
    CHECK(error(10, heartbeat, FrameScope::handshake) == PeerError::out_of_place);
    CHECK(error(10, heartbeat, FrameScope::control) == PeerError::none);
    CHECK(error(10, lane, FrameScope::control) == PeerError::out_of_place);
    CHECK(error(10, log, FrameScope::durable) == PeerError::out_of_place);
    CHECK(error(control_body_bytes_max, log, FrameScope::volatile_) == PeerError::none);
    CHECK(error(control_body_bytes_max + 1, log, FrameScope::volatile_) == PeerError::frame_too_large);
    CHECK(error(10, records, FrameScope::control) == PeerError::out_of_place);
    CHECK(error(data_body_bytes_max, records, FrameScope::durable) == PeerError::none);
    CHECK(error(data_body_bytes_max + 1, records, FrameScope::durable) == PeerError::frame_too_large);
    CHECK(error(10, 0x3f, FrameScope::control) == PeerError::unknown_kind);
    CHECK(error(0xffffffff, 0xff, FrameScope::volatile_) == PeerError::unknown_kind);
}

TEST_CASE("a reader keeps no more of a frame than has come", "[peer][codec]") {
    FrameReader reader(FrameScope::volatile_);
    base::Bytes bytes;
    append_header(bytes, FrameHeader{data_body_bytes_max, 0x43, 0, 0});
    bytes += "few";
    base::ByteView in{bytes};
    CHECK(reader.step(in) == FrameReader::Step::need_more);
    CHECK(reader.kept_bytes() == bytes.size());
}

TEST_CASE("what is signed differs by end, nonce and tree", "[peer][codec]") {
    Hello a = some_hello();
    Hello b = some_hello();
    b.id = id_of(8);
    b.nonce.fill(8);
    const base::Bytes text = proof_text(a, b, true);
    CHECK(text != proof_text(a, b, false));
    CHECK(text != proof_text(b, a, true));
    Hello c = b;
    c.nonce[0] = 0;
    CHECK(text != proof_text(a, c, true));
    Hello d = a;
    d.tree = "other";
    CHECK(text != proof_text(d, b, true));
}
