#include "routing/peer/record.h"

#include <catch2/catch.hpp>

#include "routing/base/prng.h"
#include "routing/event_path.h"
#include "routing/peer/frame.h"
#include "routing/peer/peer_message.h"

using namespace routing;
using namespace routing::peer;
using base::Bytes;
using base::ByteView;

namespace {

struct Sample {
    std::string subject = "orders.new";
    std::string reply;
    Bytes body = "payload";
    std::uint32_t header_bytes = 0;
    std::uint8_t flags = 0;
    std::uint64_t run = 77;
    std::uint64_t position = 0;
    std::vector<PrevPosition> prevs;

    [[nodiscard]] RecordView view() const {
        RecordView record;
        record.message.subject = subject;
        record.message.reply = reply;
        record.message.body = body;
        record.message.header_bytes = header_bytes;
        record.flags = flags;
        record.run = run;
        record.position = position;
        record.prevs = prevs.data();
        record.prev_count = prevs.size();
        return record;
    }
};

const TraceHop origin_hop{GatewayId{}, 2, 0};

Bytes encode(const Sample& sample, Lane lane, std::uint32_t label = 9999) {
    RecordEncoder encoder;
    REQUIRE(encoder.prepare(sample.view(), lane, origin_hop));
    Bytes out;
    encoder.append(out, label);
    REQUIRE(out.size() <= encoder.bytes());
    return out;
}

// The rest of an encoded record.
Bytes rest_of(const Bytes& record) {
    ByteView view = record;
    std::uint64_t number = 0;
    REQUIRE(base::read_varint(view, number));
    REQUIRE(base::read_varint(view, number));
    REQUIRE(number == view.size());
    return Bytes(view);
}

std::string random_text(base::Prng& prng, std::uint64_t least, std::uint64_t most) {
    std::string text(prng.between(least, most), 'x');
    for (char& c : text) c = static_cast<char>('a' + prng.below(26));
    return text;
}

Sample random_sample(base::Prng& prng, Lane lane) {
    Sample sample;
    sample.subject = random_text(prng, 1, 200);
    if (prng.chance(1, 2)) sample.reply = random_text(prng, 1, 60);
    sample.body = random_text(prng, 0, 300);
    if (prng.chance(1, 2)) sample.header_bytes = static_cast<std::uint32_t>(prng.below(sample.body.size() + 1));
    sample.flags = static_cast<std::uint8_t>(prng.next() & record_flags_sender);
    if (lane == Lane::volatile_) return sample;
    sample.position = 1 + (prng.next() >> prng.below(64));
    const std::uint64_t targets = prng.below(8);
    for (std::uint64_t i = 0; i < targets; ++i) {
        switch (prng.below(4)) {
            case 0:
                sample.prevs.push_back(PrevPosition{});
                break;
            case 1:
                sample.prevs.push_back(PrevPosition{prng.next(), 1 + prng.below(1000)});
                break;
            case 2:
                sample.prevs.push_back(PrevPosition{sample.run, 1 + (prng.next() >> prng.below(64))});
                break;
            default:
                sample.prevs.push_back(sample.position > 1 ? PrevPosition{sample.run, sample.position - 1}
                                                           : PrevPosition{});
        }
    }
    return sample;
}

void check_same(const Sample& sample, const RecordFields& fields, Lane lane) {
    CHECK(fields.subject == sample.subject);
    CHECK(fields.reply == sample.reply);
    CHECK(fields.body == sample.body);
    CHECK(fields.header_bytes == sample.header_bytes);
    CHECK((fields.flags & record_flags_sender) == sample.flags);
    if (lane == Lane::volatile_) return;
    CHECK(fields.position == sample.position);
    for (std::uint32_t i = 0; i < sample.prevs.size(); ++i) {
        PrevPosition prev;
        REQUIRE(find_prev(fields, sample.run, i, prev) == PeerError::none);
        CHECK(prev == sample.prevs[i]);
    }
}

}  // namespace

TEST_CASE("a record is read as it was written", "[peer][record]") {
    const Lane lane = GENERATE(Lane::volatile_, Lane::durable);
    const std::uint64_t seed = GENERATE(1, 2, 3, 4);
    CAPTURE(seed, lane_name(lane));
    base::Prng prng(seed);
    for (int round = 0; round < 200; ++round) {
        const Sample sample = random_sample(prng, lane);
        const Bytes rest = rest_of(encode(sample, lane));
        RecordFields fields;
        REQUIRE(parse_record(rest, lane, fields) == PeerError::none);
        check_same(sample, fields, lane);
    }
}

TEST_CASE("a warm record has at most 16 bytes of overhead, and two more per target that differs", "[peer][record]") {
    Sample sample;
    sample.subject = std::string(100, 's');
    sample.body = std::string(16000, 'b');
    const std::size_t carried = sample.subject.size() + sample.body.size();
    const std::uint32_t label = 16383;  // the longest there is
    CHECK(encode(sample, Lane::volatile_, label).size() - carried <= 16);

    // Durable, after some billions of records; common case: all targets have the same record before.
    sample.position = 30'000'000'000;
    sample.prevs.assign(40, PrevPosition{sample.run, sample.position - 1});
    const std::size_t common = encode(sample, Lane::durable, label).size();
    CHECK(common - carried <= 16);
    sample.prevs[3].position -= 50;
    sample.prevs[33].position -= 100;
    // Beside the exceptions, the length of them all.
    CHECK(encode(sample, Lane::durable, label).size() - common <= 2 * 2 + 1);
}

TEST_CASE("a record cut anywhere gives an error or a shorter payload, never a byte beyond the cut", "[peer][record]") {
    const Lane lane = GENERATE(Lane::volatile_, Lane::durable);
    CAPTURE(lane_name(lane));
    Sample sample;
    sample.reply = "_INBOX.a.b";
    sample.body = "NATS/1.0\r\nA: b\r\n\r\npayload";
    sample.header_bytes = 18;
    sample.flags = record_flag_trace;
    sample.position = 1000;
    sample.prevs = {{77, 999}, {5, 12}, {77, 900}, {77, 999}};
    const Bytes whole = rest_of(encode(sample, lane));
    const std::size_t head = whole.size() - 7;  // the payload is all that may be shorter
    for (std::size_t cut = 0; cut < whole.size(); ++cut) {
        CAPTURE(cut);
        const std::vector<char> exact(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(cut));
        RecordFields fields;
        const PeerError error = parse_record(ByteView(exact.data(), exact.size()), lane, fields);
        CHECK((error == PeerError::none) == (cut >= head));
        if (error == PeerError::none) CHECK(fields.body.size() == sample.body.size() - (whole.size() - cut));
    }
}

TEST_CASE("hostile sizes and flags in a record are refused", "[peer][record]") {
    const auto parse = [](const Bytes& rest, Lane lane) {
        RecordFields fields;
        return parse_record(rest, lane, fields);
    };
    const Bytes huge = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    const auto volatile_ = Lane::volatile_;
    CHECK(parse("", volatile_) == PeerError::truncated);
    CHECK(parse(Bytes("\x00\x01s", 3), volatile_) == PeerError::none);
    CHECK(parse(Bytes("\x00\x00", 2), volatile_) == PeerError::malformed);            // no subject
    CHECK(parse(Bytes("\x80\x01s", 3), volatile_) == PeerError::malformed);           // unknown flag
    CHECK(parse(Bytes("\x08\x01s", 3), volatile_) == PeerError::malformed);           // exceptions
    CHECK(parse(Bytes(1, '\0') + huge + "s", volatile_) == PeerError::truncated);     // subject
    CHECK(parse(Bytes("\x01\x01") + huge + "s", volatile_) == PeerError::truncated);  // reply
    CHECK(parse(Bytes("\x02\x01") + huge + "s", volatile_) == PeerError::truncated);  // headers
    CHECK(parse(Bytes("\x02\x01\x02s1"), volatile_) == PeerError::truncated);         // headers beyond the body
    CHECK(parse(Bytes("\x04") + huge + "\x01s", volatile_) == PeerError::truncated);  // trace
    CHECK(parse(Bytes(1, '\0') + Bytes(11, '\xff') + "s", volatile_) == PeerError::truncated);  // no varint

    const auto durable = Lane::durable;
    CHECK(parse(Bytes("\x00\x05\x01\x01s", 5), durable) == PeerError::none);
    CHECK(parse(Bytes("\x00\x00\x00\x01s", 5), durable) == PeerError::malformed);  // position 0
    CHECK(parse(Bytes("\x00\x05\x00\x01s", 5), durable) == PeerError::malformed);  // before itself
    CHECK(parse(Bytes("\x00\x05\x06\x01s", 5), durable) == PeerError::malformed);  // before the first
    CHECK(parse(Bytes("\x08\x05\x01") + huge + "\x01s", durable) == PeerError::truncated);
}

TEST_CASE("malformed exceptions are refused by the target that looks at them", "[peer][record]") {
    const auto prev_with = [](const Bytes& exceptions, std::uint32_t ordinal) {
        RecordFields fields;
        fields.position = 10;
        fields.delta = 1;
        fields.exceptions = exceptions;
        PrevPosition prev;
        const PeerError error = find_prev(fields, 7, ordinal, prev);
        return std::pair(error, prev);
    };
    CHECK(prev_with("", 3) == std::pair(PeerError::none, PrevPosition{7, 9}));
    CHECK(prev_with(Bytes("\x06\x0a", 2), 3) == std::pair(PeerError::none, PrevPosition{}));
    CHECK(prev_with(Bytes("\x06\x04", 2), 3) == std::pair(PeerError::none, PrevPosition{7, 6}));
    CHECK(prev_with(Bytes("\x06\x04", 2), 2) == std::pair(PeerError::none, PrevPosition{7, 9}));
    CHECK(prev_with(Bytes("\x07\x02\0\0\0\0\0\0\0\x63", 10), 3) == std::pair(PeerError::none, PrevPosition{2, 99}));
    CHECK(prev_with("\x06", 3).first == PeerError::malformed);
    CHECK(prev_with(Bytes("\x06\x00", 2), 3).first == PeerError::malformed);
    CHECK(prev_with(Bytes("\x06\x0b", 2), 0).first == PeerError::malformed);
    CHECK(prev_with(Bytes("\x07\x02\0\0\0", 5), 0).first == PeerError::malformed);
    CHECK(prev_with(Bytes("\x07\x02\0\0\0\0\0\0\0", 9), 0).first == PeerError::malformed);
}

TEST_CASE("random bytes never crash the record reader", "[peer][record]") {
    const std::uint64_t seed = GENERATE(1, 2, 3);
    CAPTURE(seed);
    base::Prng prng(seed);
    int good = 0;
    for (int round = 0; round < 20000; ++round) {
        const Lane lane = prng.chance(1, 2) ? Lane::volatile_ : Lane::durable;
        Bytes bytes;
        if (prng.chance(1, 2)) {
            bytes = rest_of(encode(random_sample(prng, lane), lane));
            for (std::uint64_t i = 1 + prng.below(3); i > 0; --i)
                bytes[prng.below(std::min<std::size_t>(bytes.size(), 24))] = static_cast<char>(prng.next());
        } else {
            for (std::uint64_t i = prng.below(30); i > 0; --i) bytes.push_back(static_cast<char>(prng.next()));
        }
        const std::vector<char> exact(bytes.begin(), bytes.end());
        RecordFields fields;
        if (parse_record(ByteView(exact.data(), exact.size()), lane, fields) != PeerError::none) continue;
        ++good;
        PrevPosition prev;
        static_cast<void>(find_prev(fields, 1, 0, prev));
        std::vector<TraceHop> hops;
        static_cast<void>(read_trace(fields.trace, hops));
        Bytes longer;
        if ((fields.flags & record_flag_trace) != 0)
            REQUIRE(append_with_hop(longer, bytes, origin_hop) == PeerError::none);
    }
    CHECK(good > 100);
}

TEST_CASE("a message of 64 MiB fits a record and a longer record is refused", "[peer][record]") {
    Sample sample;
    sample.body = Bytes(64 * 1024 * 1024, 'x');
    RecordEncoder encoder;
    CHECK(encoder.prepare(sample.view(), Lane::volatile_, origin_hop));
    sample.body.append(record_bytes_max - sample.body.size() - sample.subject.size() - 2, 'x');
    CHECK(encoder.prepare(sample.view(), Lane::volatile_, origin_hop));
    sample.body.push_back('x');
    CHECK_FALSE(encoder.prepare(sample.view(), Lane::volatile_, origin_hop));
}

TEST_CASE("hops add themselves to a traced record until the trace is full", "[peer][record][trace]") {
    Sample sample;
    sample.flags = record_flag_trace;
    sample.position = 3;
    sample.prevs = {{}};
    const Lane lane = GENERATE(Lane::volatile_, Lane::durable);
    Bytes rest = rest_of(encode(sample, lane));
    for (std::size_t i = 1; i < trace_hops_max + 20; ++i) {
        TraceHop hop{GatewayId{}, prime_max, 1};
        hop.id.bytes[0] = static_cast<std::uint8_t>(i);
        Bytes next;
        REQUIRE(append_with_hop(next, rest, hop) == PeerError::none);
        rest = next;
        RecordFields fields;
        REQUIRE(parse_record(rest, lane, fields) == PeerError::none);
        REQUIRE(fields.subject == sample.subject);
        REQUIRE(fields.body == sample.body);
        std::vector<TraceHop> hops;
        REQUIRE(read_trace(fields.trace, hops));
        REQUIRE(hops.size() == std::min(i + 1, trace_hops_max));
        REQUIRE(hops[0] == origin_hop);
    }
    Bytes out;
    CHECK(append_with_hop(out, Bytes("\x00\x01s", 3), origin_hop) == PeerError::malformed);
    CHECK(append_with_hop(out, "", origin_hop) == PeerError::truncated);
    CHECK(append_with_hop(out, Bytes("\x04\x7f", 2), origin_hop) == PeerError::truncated);
}

TEST_CASE("a record that a hop would make too long goes on without it", "[peer][record][trace]") {
    Sample sample;
    sample.flags = record_flag_trace;
    const Bytes small = rest_of(encode(sample, Lane::volatile_));
    const Bytes full = small + Bytes(record_bytes_max - small.size(), 'x');
    Bytes next;
    REQUIRE(append_with_hop(next, full, origin_hop) == PeerError::none);
    CHECK(next.size() == full.size());
}

TEST_CASE("a traced message is delivered with the hops and their product", "[peer][trace]") {
    CHECK(wants_trace("NATS/1.0\r\nTree-Trace: 1\r\n\r\n"));
    CHECK(wants_trace("NATS/1.0\r\nA: b\r\nTree-Trace:1 \r\nC: d\r\n\r\n"));
    CHECK_FALSE(wants_trace("NATS/1.0\r\nTree-Trace: 0\r\n\r\n"));
    CHECK_FALSE(wants_trace("NATS/1.0\r\nX-Tree-Trace: 1\r\n\r\n"));
    CHECK_FALSE(wants_trace("NATS/1.0\r\nA: Tree-Trace: 1\r\n\r\n"));
    CHECK_FALSE(wants_trace(""));

    TraceHop a{GatewayId{}, 2, 0};
    TraceHop b{GatewayId{}, 7, 1};
    TraceHop c{GatewayId{}, 5, 2};
    b.id.bytes[0] = 1;
    c.id.bytes[0] = 2;
    const auto name_of = [](const GatewayId& id) { return std::string(1, static_cast<char>('a' + id.bytes[0])); };
    CHECK(path_text({a, b, c}) == "175 = 5²·7");
    CHECK(path_text({a}) == "1 = 1");
    CHECK(with_trace_headers("NATS/1.0\r\nTree-Trace: 1\r\n\r\n", {a, b, c}, name_of) ==
          "NATS/1.0\r\nTree-Trace: 1\r\nTree-Path: 175 = 5²·7\r\nTree-Hop: a 2 0\r\nTree-Hop: b 7 1\r\nTree-Hop: c 5 "
          "2\r\n\r\n");
    CHECK(with_trace_headers("", {a}, name_of) == "NATS/1.0\r\nTree-Path: 1 = 1\r\nTree-Hop: a 2 0\r\n\r\n");

    Bytes trace;
    append_hop(trace, a);
    append_hop(trace, c);
    std::vector<TraceHop> hops;
    REQUIRE(read_trace(trace, hops));
    CHECK(hops == std::vector<TraceHop>{a, c});
    for (std::size_t cut = 1; cut < trace.size(); ++cut)
        CHECK(read_trace(ByteView(trace).substr(0, cut), hops) == (cut == trace.size() / 2));
    trace.back() = 4;
    CHECK_FALSE(read_trace(trace, hops));
}

TEST_CASE("a batch grows while it is the last frame and closes when anything else is appended", "[peer][frame]") {
    FrameBuffer buffer;
    buffer.record(DataKind::volatile_records, 3) += "abc";
    buffer.record(DataKind::volatile_records, 2) += "de";
    const std::size_t other = begin_frame(buffer.frames(), DataKind::define_path);
    buffer.frames() += "x";
    end_frame(buffer.frames(), other);
    buffer.record(DataKind::volatile_records, 1) += "f";
    buffer.record(DataKind::durable_records, 1) += "g";
    Bytes out;
    buffer.take(out);
    CHECK(buffer.empty());
    const auto frame = [](char kind, const Bytes& body, char count) {
        return Bytes{static_cast<char>(body.size()), 0, 0, 0, kind, 0, count, 0} + body;
    };
    CHECK(out == frame(0x43, "abcde", 2) + frame(0x41, "x", 0) + frame(0x43, "f", 1) + frame(0x44, "g", 1));

    // After a take nothing is patched into what was taken or into what took its place.
    buffer.record(DataKind::volatile_records, 1) += "h";
    Bytes second;
    buffer.take(second);
    CHECK(second == frame(0x43, "h", 1));
}

TEST_CASE("a batch ends at its limits of bytes and records", "[peer][frame]") {
    FrameBuffer buffer;
    const auto frames = [&] {
        Bytes out;
        buffer.take(out);
        std::vector<FrameHeader> headers;
        ByteView rest = out;
        while (!rest.empty()) {
            FrameHeader header;
            REQUIRE(base::read_little_endian(rest, header.length));
            REQUIRE(base::read_little_endian(rest, header.kind));
            REQUIRE(base::read_little_endian(rest, header.flags));
            REQUIRE(base::read_little_endian(rest, header.count));
            ByteView body;
            REQUIRE(base::read_bytes(rest, header.length, body));
            headers.push_back(header);
        }
        return headers;
    };
    for (int i = 0; i < 5; ++i) buffer.record(DataKind::volatile_records, 4000).append(4000, 'x');
    const std::vector<FrameHeader> by_bytes = frames();
    REQUIRE(by_bytes.size() == 2);
    CHECK(by_bytes[0].count == 4);
    CHECK(by_bytes[1].count == 1);
    buffer.record(DataKind::volatile_records, 1).append(1, 'x');
    buffer.record(DataKind::volatile_records, 1'000'000).append(1'000'000, 'x');
    const std::vector<FrameHeader> large = frames();
    REQUIRE(large.size() == 2);
    CHECK(large[1].length == 1'000'000);
    for (std::uint32_t i = 0; i < batch_records_max + 1; ++i) buffer.record(DataKind::volatile_records, 0);
    const std::vector<FrameHeader> by_records = frames();
    REQUIRE(by_records.size() == 2);
    CHECK(by_records[0].count == batch_records_max);
    CHECK(by_records[1].count == 1);
}
