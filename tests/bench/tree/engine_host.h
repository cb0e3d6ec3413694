// A gateway that is a path engine alone: its lanes are buffers in memory, what arrives for it is counted.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "routing/peer/path_engine.h"
#include "routing/peer/peer_message.h"
#include "tests/bench/tree/costs.h"

namespace bench {

inline routing::GatewayId numbered_id(std::uint32_t number) {
    routing::GatewayId id;
    for (std::size_t i = 0; i < 4; ++i) id.bytes[i] = static_cast<std::uint8_t>(number >> (8 * i));
    id.bytes[31] = 1;
    return id;
}

class EngineHost final : public routing::peer::LaneSink, public routing::peer::DeliverySink {
  public:
    /// Gateway `self` of a tree in which gateway i > 0 hangs on gateway parents[i].
    EngineHost(std::uint32_t self, const std::vector<std::uint32_t>& parents)
        : registry(numbered_id(self)), engine(registry, sets, *this) {
        using namespace routing;
        const auto count = static_cast<std::uint32_t>(parents.size());
        for (std::uint32_t i = 0; i < count; ++i) {
            registry.intern(numbered_id(i));
            engine.set_prime(index(i), nth_prime(i), 1);
        }
        std::vector<TreeEdge> edges;
        std::vector<TreeLink> live;
        for (std::uint32_t i = 1; i < count; ++i) {
            edges.push_back(TreeEdge{index(i), index(parents[i])});
            if (i != self && parents[i] != self) continue;
            live.push_back(TreeLink{static_cast<LinkIndex>(live.size()), index(i == self ? parents[i] : i)});
        }
        out.resize(live.size());
        for (const TreeLink& link : live) engine.link_up(link.link, link.neighbour);
        routes = make_route_tree(count, live, edges);
        engine.set_topology(routes);
    }

    routing::GatewayIndex index(std::uint32_t number) { return registry.find(numbered_id(number)).value(); }

    /// Fresh tables on all links, as after a reconnect.
    void forget_labels() {
        for (routing::LinkIndex link = 0; link < out.size(); ++link)
            engine.lane_reset(link, routing::peer::Lane::volatile_);
    }

    /// Feeds whole frames that came on `link`.
    void feed(routing::LinkIndex link, base::ByteView frames) {
        using namespace routing::peer;
        while (!frames.empty()) {
            FrameHeader header;
            base::ByteView body;
            if (!base::read_little_endian(frames, header.length) || !base::read_little_endian(frames, header.kind) ||
                !base::read_little_endian(frames, header.flags) || !base::read_little_endian(frames, header.count) ||
                !base::read_bytes(frames, header.length, body) ||
                !engine.on_frame(link, Lane::volatile_, header, body, *this).ok())
                throw Broken("a frame was refused");
        }
    }

    /// What waits on a link, taken.
    base::Bytes take(routing::LinkIndex link) {
        base::Bytes bytes;
        out[link].take(bytes);
        return bytes;
    }

    routing::peer::FrameBuffer& lane(routing::LinkIndex link, routing::peer::Lane) override { return out[link]; }
    routing::peer::FrameBuffer* lane_for_record(routing::LinkIndex link, routing::peer::Lane, std::size_t) override {
        return &out[link];
    }
    void deliver(const routing::peer::VolatileDelivery&) override { ++delivered; }
    void deliver_durable(const routing::peer::DurableDelivery&) override { ++delivered; }

    routing::GatewayRegistry registry;
    routing::TargetSets sets;
    routing::peer::PathEngine engine;
    routing::RouteTree routes;
    std::vector<routing::peer::FrameBuffer> out;
    std::uint64_t delivered = 0;
};

inline routing::peer::RecordView record_of(std::string_view subject, std::string_view body) {
    routing::peer::RecordView record;
    record.message.subject = subject;
    record.message.body = body;
    return record;
}

}  // namespace bench
