// Messages on their way out and through, and what happens where a lane is slower than what comes.
#include <utility>

#include "routing/base/check.h"
#include "routing/peer/peer_codec.h"
#include "routing/peer/tree_core.h"

namespace routing::peer {

// ---- lanes for the path engine --------------------------------------------------------------------------------------

FrameBuffer& Tree::Core::lane(LinkIndex link, Lane lane) {
    Channel& channel = *links_[link]->channel(lane);
    announce(channel);
    return channel.out;
}

FrameBuffer* Tree::Core::lane_for_record(LinkIndex link, Lane lane, std::size_t bytes) {
    Channel& channel = *links_[link]->channel(lane);
    if (channel.refuses_records) {  // in flight on a broken lane: lost and counted
        ++counters_.records_refused;
        on_press(channel);
        return nullptr;
    }
    const std::size_t unsent = channel.unsent() + bytes;
    if (lane == Lane::durable) {
        // One record always fits an empty lane, however long it is.
        if (unsent > durable_unsent_max && channel.unsent() > 0) {
            ++counters_.records_refused;
            return nullptr;
        }
    } else if (unsent > volatile_unsent_min && unsent > channel.unsent_bound()) {
        if (channel.unsent() > channel.unsent_bound() + volatile_slack) {
            ++counters_.records_refused;
            return nullptr;
        }
        on_press(channel);
    }
    if (!channel.waiting) {
        channel.waiting = true;
        host_.output_waiting(channel.transport);
    }
    return &channel.out;
}

/// `channel` is over its bound: who feeds it is slowed.
void Tree::Core::on_press(Channel& channel) {
    if (!channel.pressed) {
        channel.pressed = true;
        press_changed_ = true;
    }
    if (reading_ && reading_ != &channel && reading_->lane == Lane::volatile_) pause_reading(*reading_);
}

void Tree::Core::pause_reading(Channel& channel) {
    if (channel.paused || now_ < channel.pause_not_before) return;
    channel.paused = true;
    channel.deadline = now_ + reading_pause_max;
    channel.pause_not_before = now_ + reading_pause_interval;
    ++counters_.reading_pauses;
    host_.pause_reading(channel.transport);
}

/// Some lane left or came under pressure: tell who waits for it.
void Tree::Core::release_press() {
    if (!press_changed_) return;
    press_changed_ = false;
    bool pressed = false;
    for (const PeerSession* session : links_)
        pressed = pressed || (session && session->channel(Lane::volatile_)->pressed);
    if (!pressed) {
        for (const auto& [transport, channel] : channels_) {
            if (!channel->paused || channel->holding || channel->closed) continue;
            channel->paused = false;
            channel->deadline = base::instant_max;
            host_.resume_reading(transport);
        }
    }
    if (pressed == publishers_paused_) return;
    publishers_paused_ = pressed;
    events_.pause_publishers(pressed);
}

// ---- compression ----------------------------------------------------------------------------------------------------

/// Replaces the bodies of long frames by compressed ones.
void Tree::Core::compress(base::Bytes& frames) {
    base::Bytes packed;
    base::ByteView rest{frames};
    while (!rest.empty()) {
        base::ByteView after = rest;
        FrameHeader header;
        BASE_CHECK(base::read_little_endian(after, header.length) && base::read_little_endian(after, header.kind) &&
                   base::read_little_endian(after, header.flags) && base::read_little_endian(after, header.count));
        const base::ByteView body = after.substr(0, header.length);
        const std::size_t start = packed.size();
        append_header(packed, header);
        if (compressor_.compress(body, packed)) {
            end_frame(packed, start);
            packed[start + 5] = static_cast<char>(header.flags | compressed_flag);
            ++counters_.frames_compressed;
            counters_.bytes_saved += body.size() - (packed.size() - start - frame_header_bytes);
        } else {
            packed.append(body);
        }
        rest = after.substr(header.length);
    }
    frames.swap(packed);
}

PeerError Tree::Core::unpack(const Channel& channel, FrameHeader& header, base::ByteView body) {
    if (channel.lane == Lane::control || !channel.session->can_compress()) return PeerError::out_of_place;
    header.length = Compressor::raw_bytes(body);
    if (header.length == 0) return PeerError::malformed;
    if (const PeerError error = check_header(header, channel.reader.scope()); error != PeerError::none) return error;
    if (!compressor_.decompress(body, unpacked_)) return PeerError::malformed;
    header.flags = static_cast<std::uint8_t>(header.flags & ~compressed_flag);
    return PeerError::none;
}

// ---- messages -------------------------------------------------------------------------------------------------------

SendResult Tree::Core::send(TargetSetId targets, std::string_view account, const RecordView& record, Lane lane) {
    flush_own();
    const SendResult result = engine_.send(targets, account, record, lane);
    if (press_changed_ && !reading_) release_press();
    return result;
}

SendResult Tree::Core::send_once(const TargetSet& targets, std::string_view account, const RecordView& record) {
    flush_own();
    const SendResult result = engine_.send_once(targets, account, record, Lane::volatile_);
    if (press_changed_ && !reading_) release_press();
    return result;
}

bool Tree::Core::send_to_gateway(GatewayIndex gateway, std::uint8_t kind, base::ByteView body) {
    if (body.size() > gateway_body_bytes_max || gateway >= registry_.size()) return false;
    if (topology_.next_hop(gateway) == gateway_none) return false;
    ToGateway message;
    message.kind = kind;
    message.to = registry_.id(gateway);
    message.from = options_.id;
    message.body = body;
    forward(message);
    return true;
}

/// Puts a message on the control lane that leads to its receiver, or drops and counts it.
void Tree::Core::forward(const ToGateway& message) {
    const auto to = registry_.find(message.to);
    const LinkIndex link = to ? engine_.routes().link_to(*to) : link_none;
    if (link == link_none || link >= links_.size() || !links_[link]) {
        ++counters_.gateway_messages_dropped;
        return;
    }
    Channel& control = *links_[link]->channel(Lane::control);
    if (control.unsent() > control_unsent_max) {
        ++counters_.gateway_messages_dropped;
        return;
    }
    encode(control.out.frames(), message);
    announce(control);
}

void Tree::Core::on_to_gateway(const ToGateway& message) {
    if (message.to == options_.id) {
        const auto from = registry_.intern(message.from);
        if (!from || *from == gateway_self) return;
        ++counters_.gateway_messages_in;
        events_.gateway_message(*from, message.kind, message.body);
        return;
    }
    if (message.hops == 0) {
        ++counters_.gateway_messages_dropped;
        return;
    }
    ToGateway onward = message;
    --onward.hops;
    ++counters_.gateway_messages_forwarded;
    forward(onward);
}

}  // namespace routing::peer
