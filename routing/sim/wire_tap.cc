#include "routing/sim/wire_tap.h"

#include "routing/base/check.h"
#include "routing/peer/frame.h"
#include "routing/peer/peer_message.h"
#include "routing/peer/record.h"
#include "routing/sim/history.h"

namespace routing::sim {

void WireTap::on_output(HostIndex to, base::ByteView frames) {
    while (!frames.empty()) {
        std::uint32_t length = 0;
        base::ByteView rest = frames;
        BASE_CHECK(base::read_little_endian(rest, length));
        BASE_CHECK(frames.size() >= peer::frame_header_bytes + length);
        const auto kind = static_cast<std::uint8_t>(frames[4]);
        const auto flags = static_cast<std::uint8_t>(frames[5]);
        base::ByteView body = frames.substr(peer::frame_header_bytes, length);
        frames.remove_prefix(peer::frame_header_bytes + length);
        if (kind != static_cast<std::uint8_t>(peer::DataKind::volatile_records)) continue;
        if ((flags & peer::compressed_flag) != 0) {
            BASE_CHECK(compressor_.decompress(body, raw_));
            body = raw_;
        }
        on_records(to, body);
    }
}

void WireTap::on_records(HostIndex to, base::ByteView body) {
    while (!body.empty()) {
        std::uint64_t label = 0;
        std::uint64_t size = 0;
        BASE_CHECK(base::read_varint(body, label) && base::read_varint(body, size) && size <= body.size());
        peer::RecordFields fields;
        const peer::PeerError error = peer::parse_record(body.substr(0, size), peer::Lane::volatile_, fields);
        BASE_CHECK(error == peer::PeerError::none);
        body.remove_prefix(size);
        const MessageNumber number = History::number_of(fields.body.substr(fields.header_bytes));
        // What a gateway says with the sender's flags: it came back to be picked again, or was.
        if (number != 0) history_.sent(number, to, (fields.flags & peer::record_flags_sender) == 0);
    }
}

}  // namespace routing::sim
