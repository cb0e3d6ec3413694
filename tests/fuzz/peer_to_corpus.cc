// Writes inputs for peer_codec_fuzz: a stream of well-formed frames for each lane, definitions with records, records.
//
//   peer_to_corpus CORPUS-FOLDER
#include <filesystem>
#include <fstream>
#include <string>

#include "routing/base/check.h"
#include "routing/gateway_registry.h"
#include "routing/interest.h"
#include "routing/peer/labels.h"
#include "routing/peer/peer_codec.h"
#include "routing/peer/record.h"
#include "tests/fuzz/peer_frames.h"

namespace {

using namespace routing;
using namespace routing::peer;

GatewayId id_of(std::uint8_t number) {
    GatewayId id;
    id.bytes.fill(number);
    return id;
}

class Corpus {
  public:
    explicit Corpus(std::string folder) : folder_(std::move(folder)) { std::filesystem::create_directories(folder_); }
    void add(const std::string& name, std::uint8_t what, base::ByteView bytes) const {
        std::ofstream(folder_ + "/" + name, std::ios::binary) << static_cast<char>(what) << '\6' << bytes;
    }
    void add(const std::string& name, FrameScope scope, base::ByteView bytes) const {
        add(name, static_cast<std::uint8_t>(scope), bytes);
    }

  private:
    std::string folder_;
};

void add_control(const Corpus& corpus) {
    Hello hello;
    hello.tree = "treegate";
    hello.id = id_of(1);
    hello.name = "a";
    hello.boot = UINT64_MAX;
    hello.position.root = Claim{1'700'000'000'000, id_of(2)};
    hello.position.ancestors = {id_of(3), id_of(2)};
    hello.advertise = "a.example:7522";
    hello.capabilities = {"zstd", "lane"};
    hello.region = "eu";
    base::Bytes out;
    encode(out, hello);
    corpus.add("first-hello", FrameScope::first, out);
    encode(out, Proof{"signature", "mac"});
    encode(out, FrameKind::refuse, Refuse{RefuseReason::tree_name, "another tree", "x:1"});
    corpus.add("handshake", FrameScope::handshake, out);

    base::Bytes lane;
    encode(lane, LaneHello{7, {}, Lane::durable});
    corpus.add("first-lane", FrameScope::first, lane);
    base::Bytes joined;
    encode_empty(joined, FrameKind::lane_ok);
    corpus.add("joining", FrameScope::joining, joined);

    base::Bytes control;
    encode(control, Attach{Claim{-1, id_of(1)}, 2, 3, true});
    encode(control, Welcome{77, {}, "b:1"});
    encode(control, Ancestors{hello.position});
    Heartbeat heartbeat;
    heartbeat.arrived = {1, 2, UINT64_MAX};
    encode(control, heartbeat);
    ToGateway message;
    message.to = id_of(4);
    message.from = id_of(5);
    message.body = "body";
    encode(control, message);
    encode_empty(control, FrameKind::detach);
    encode(control, FrameKind::goodbye, Refuse{RefuseReason::redirect, "no room", "y:2"});
    corpus.add("control", FrameScope::control, control);

    // Frames without a body, which cost least to send: what is kept of each must not be much.  Forty, as what doubles
    // when it is full is largest beside its content a little above a power of two (a finding of the fuzzer).
    base::Bytes empty;
    for (int i = 0; i < 40; ++i) encode_empty(empty, i % 8 == 7 ? FrameKind::lane : FrameKind::hello);
    corpus.add("empty-first", FrameScope::first, empty);
    base::Bytes detached;
    for (int i = 0; i < 40; ++i) encode_empty(detached, FrameKind::detach);
    corpus.add("empty-control", FrameScope::control, detached);

    base::Bytes logs;
    Summary summary;
    summary.stands = {LogStand{id_of(1), {1, 2, 3}, 4}, LogStand{id_of(2), {5, 6, 7}, 8}};
    encode(logs, summary, true);
    LogUpdate update;
    update.gateway = id_of(4);
    update.incarnation = 5;
    update.to = 9;
    update.full = true;
    update.changes.push_back(LogChange{interest_key("$G", "orders.>", "q"), number_value(3)});
    update.changes.push_back(LogChange{link_key(id_of(5)), {}});
    encode(logs, update);
    encode_log_request(logs, id_of(9));
    encode_empty(logs, FrameKind::sync_done);
    encode_digest(logs, 12345);
    corpus.add("logs", FrameScope::volatile_, logs);
}

/// The path: from the neighbour through the reader to the other neighbour, delivered at both.
base::Bytes data_stream(Lane lane, bool once) {
    GatewayRegistry registry(id_of(peer_fuzz::neighbour_id));
    const GatewayIndex reader = registry.intern(id_of(peer_fuzz::self_id)).value();
    const GatewayIndex behind = registry.intern(id_of(peer_fuzz::other_neighbour_id)).value();
    PathDefinition path;
    path.account = "$G";
    path.origin = gateway_self;
    path.run = lane == Lane::durable ? 5 : 0;
    path.factors = {{2, reader, 0, exponent_deliver, true}, {5, behind, 1, exponent_deliver, false}};
    path.groups = {{behind, {"q1", "q2"}}};
    std::uint64_t generations = 0;
    LabelSender labels(generations);
    FrameBuffer buffer;
    std::uint32_t label = 0;
    if (once)
        BASE_CHECK(labels.define_once(path, registry, buffer));
    else
        label = labels.define(path, registry, buffer)->label;
    RecordEncoder encoder;
    for (std::uint64_t position = 3; position < (once ? 4U : 8U); ++position) {
        RecordView record;
        record.message.subject = "orders.new";
        if (position % 2 == 0) record.message.reply = "_INBOX.a.b";
        record.message.body = "NATS/1.0\r\na: b\r\n\r\npayload";
        record.message.header_bytes = 18;
        record.flags = position % 2 == 1 ? record_flag_trace : 0;
        record.run = path.run;
        record.position = position;
        const PrevPosition prevs[] = {{5, position - 1}, {position % 3 == 0 ? 4U : 5U, position - 2}};
        record.prevs = prevs;
        record.prev_count = 2;
        BASE_CHECK(encoder.prepare(record, lane, TraceHop{id_of(peer_fuzz::neighbour_id), 3, 0}));
        const DataKind kind = lane == Lane::durable ? DataKind::durable_records : DataKind::volatile_records;
        encoder.append(buffer.record(kind, encoder.bytes()), label);
    }
    base::Bytes out;
    buffer.take(out);
    return out;
}

/// The rest of the last record of a stream.
base::ByteView last_record(base::ByteView stream) {
    base::ByteView rest;
    FrameReader reader(FrameScope::durable);
    while (!stream.empty() && reader.step(stream) == FrameReader::Step::frame) {
        if (reader.header().kind != static_cast<std::uint8_t>(DataKind::durable_records)) continue;
        base::ByteView body = reader.body();
        while (!body.empty()) {
            std::uint64_t label = 0;
            std::uint64_t size = 0;
            BASE_CHECK(base::read_varint(body, label) && base::read_varint(body, size));
            rest = body.substr(0, size);
            body.remove_prefix(size);
        }
    }
    return rest;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    const Corpus corpus(argv[1]);
    add_control(corpus);
    for (const bool once : {false, true}) {
        const std::string suffix = once ? "-once" : "";
        const base::Bytes live = data_stream(Lane::volatile_, once);
        const base::Bytes durable = data_stream(Lane::durable, once);
        corpus.add("volatile" + suffix, FrameScope::volatile_, live);
        corpus.add("engine-volatile" + suffix, peer_fuzz::engine_volatile, live);
        corpus.add("engine-durable" + suffix, peer_fuzz::engine_durable, durable);
        corpus.add("record" + suffix, peer_fuzz::record, last_record(durable));
    }
    return 0;
}
