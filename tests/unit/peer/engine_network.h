// Gateways that are path engines alone, joined by pipes in memory: what the tests of the data plane play with.
#pragma once

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "routing/base/prng.h"
#include "routing/peer/path_engine.h"
#include "routing/peer/peer_message.h"

namespace routing::peer {

inline GatewayId test_id(std::uint32_t n) {
    GatewayId id;
    for (std::size_t i = 0; i < 4; ++i) id.bytes[i] = static_cast<std::uint8_t>(n >> (8 * i));
    id.bytes[31] = 1;
    return id;
}

inline bool read_header(base::ByteView& in, FrameHeader& header) {
    return base::read_little_endian(in, header.length) && base::read_little_endian(in, header.kind) &&
           base::read_little_endian(in, header.flags) && base::read_little_endian(in, header.count);
}

// What arrived somewhere, in words that do not depend on who says them.
struct Arrival {
    std::uint32_t origin = 0;  ///< number in the network
    std::string account, subject, reply, body;
    bool plain = false;
    std::vector<std::string> groups;
    std::uint8_t flags = 0;
    std::vector<TraceHop> hops;
    std::uint64_t run = 0, position = 0;
    PrevPosition prev;
};

class TestGateway final : public LaneSink, public DeliverySink {
  public:
    struct Link {
        std::uint32_t peer = 0;
        LinkIndex peer_link = 0;
        bool up = false;
        std::array<FrameBuffer, 2> out;
    };

    // Each gateway hears of the others in an order of its own, so that no two number them alike.
    TestGateway(std::uint32_t number, std::uint32_t gateways, base::Prng& prng)
        : number_(number), registry(test_id(number)), engine(registry, sets, *this) {
        std::vector<std::uint32_t> order;
        for (std::uint32_t g = 0; g < gateways; ++g)
            if (g != number) order.push_back(g);
        prng.shuffle(order);
        index_.resize(gateways);
        numbers_.resize(gateways);
        for (const std::uint32_t g : order) note(g, registry.intern(test_id(g)).value());
        note(number, gateway_self);
    }

    [[nodiscard]] GatewayIndex index(std::uint32_t number) const { return index_[number]; }
    [[nodiscard]] std::uint32_t number(GatewayIndex index) const { return numbers_[index]; }

    FrameBuffer& lane(LinkIndex link, Lane lane) override {
        REQUIRE(links[link].up);
        return links[link].out[static_cast<std::size_t>(lane)];
    }
    FrameBuffer* lane_for_record(LinkIndex link, Lane lane, std::size_t bytes) override {
        FrameBuffer& buffer = links[link].out[static_cast<std::size_t>(lane)];
        return buffer.size() + bytes > room ? nullptr : &buffer;
    }

    void deliver(const VolatileDelivery& delivery) override {
        ++delivered;
        if (keep) note(delivery);
    }
    void deliver_durable(const DurableDelivery& delivery) override {
        ++delivered;
        if (!keep) return;
        Arrival& arrival = note(delivery);
        arrival.run = delivery.run;
        arrival.position = delivery.position;
        arrival.prev = delivery.prev;
    }

    std::uint32_t number_;
    GatewayRegistry registry;
    TargetSets sets;
    PathEngine engine;
    std::vector<Link> links;
    std::size_t room = SIZE_MAX;  ///< of a lane, for records
    bool keep = true;             ///< arrivals, not only their count
    std::size_t delivered = 0;
    std::vector<Arrival> arrivals;

  private:
    void note(std::uint32_t number, GatewayIndex index) {
        index_[number] = index;
        numbers_[index] = number;
    }
    template <typename Delivery>
    Arrival& note(const Delivery& delivery) {
        Arrival& arrival = arrivals.emplace_back();
        arrival.origin = number(delivery.origin);
        arrival.account = delivery.account;
        arrival.subject = delivery.message.subject;
        arrival.reply = delivery.message.reply;
        arrival.body = delivery.message.body;
        arrival.plain = delivery.plain;
        arrival.groups = *delivery.groups;
        arrival.flags = delivery.flags;
        REQUIRE(read_trace(delivery.trace, arrival.hops));
        return arrival;
    }
    std::vector<GatewayIndex> index_;
    std::vector<std::uint32_t> numbers_;
};

class EngineNetwork {
  public:
    EngineNetwork(std::uint32_t gateways, std::uint64_t seed) : prng(seed) {
        for (std::uint32_t g = 0; g < gateways; ++g) nodes.push_back(std::make_unique<TestGateway>(g, gateways, prng));
        for (const auto& node : nodes)
            for (std::uint32_t g = 0; g < gateways; ++g) node->engine.set_prime(node->index(g), nth_prime(g), g);
    }

    TestGateway& operator[](std::uint32_t number) { return *nodes[number]; }

    void connect(std::uint32_t a, std::uint32_t b) {
        const auto link_a = static_cast<LinkIndex>(nodes[a]->links.size());
        const auto link_b = static_cast<LinkIndex>(nodes[b]->links.size());
        add_link(a, b, link_b);
        add_link(b, a, link_a);
        edges_.emplace_back(a, b);
    }

    // What was on its way on the link is lost.
    void cut(std::uint32_t a, std::uint32_t b) {
        for (const auto& [from, to] : {std::pair(a, b), std::pair(b, a)}) {
            for (LinkIndex link = 0; link < nodes[from]->links.size(); ++link) {
                TestGateway::Link& end = nodes[from]->links[link];
                if (end.peer != to || !end.up) continue;
                end.up = false;
                for (FrameBuffer& lane : end.out) lane.clear();
                nodes[from]->engine.link_down(link);
            }
        }
        edges_.erase(
            std::remove_if(edges_.begin(), edges_.end(),
                           [&](const auto& edge) { return edge == std::pair(a, b) || edge == std::pair(b, a); }),
            edges_.end());
    }

    // Everybody hears how the network looks.
    void tell_topology() {
        for (std::uint32_t g = 0; g < nodes.size(); ++g) tell_topology(g);
    }
    void tell_topology(std::uint32_t number) {
        TestGateway& node = *nodes[number];
        std::vector<TreeEdge> edges;
        std::vector<TreeLink> links;
        for (const auto& [a, b] : edges_) edges.push_back(TreeEdge{node.index(a), node.index(b)});
        for (LinkIndex link = 0; link < node.links.size(); ++link)
            if (node.links[link].up) links.push_back(TreeLink{link, node.index(node.links[link].peer)});
        node.engine.set_topology(make_route_tree(nodes.size(), links, edges));
    }

    // Carries frames, in random order between links and in order on each lane, until nothing moves.
    void run() {
        for (bool moved = true; moved;) {
            moved = false;
            std::vector<std::uint32_t> order;
            for (std::uint32_t g = 0; g < nodes.size(); ++g) order.push_back(g);
            prng.shuffle(order);
            for (const std::uint32_t g : order)
                for (LinkIndex link = 0; link < nodes[g]->links.size(); ++link)
                    for (const Lane lane : {Lane::volatile_, Lane::durable}) moved |= carry(g, link, lane);
        }
    }

    // Carries what waits on one lane.  False: nothing waited.
    bool carry(std::uint32_t from, LinkIndex link, Lane lane) {
        TestGateway::Link& end = nodes[from]->links[link];
        FrameBuffer& buffer = end.out[static_cast<std::size_t>(lane)];
        if (buffer.empty()) return false;
        bytes_.clear();
        buffer.take(bytes_);
        base::ByteView rest = bytes_;
        while (!rest.empty()) {
            FrameHeader header;
            base::ByteView body;
            if (!read_header(rest, header) || !base::read_bytes(rest, header.length, body)) FAIL("a broken frame");
            const auto result = nodes[end.peer]->engine.on_frame(end.peer_link, lane, header, body, *nodes[end.peer]);
            if (!result.ok()) FAIL("refused: " << describe(result.error()));
        }
        return true;
    }

    std::vector<std::unique_ptr<TestGateway>> nodes;
    base::Prng prng;

  private:
    void add_link(std::uint32_t from, std::uint32_t to, LinkIndex peer_link) {
        TestGateway& node = *nodes[from];
        const auto link = static_cast<LinkIndex>(node.links.size());
        node.links.emplace_back();
        node.links.back().peer = to;
        node.links.back().peer_link = peer_link;
        node.links.back().up = true;
        node.engine.link_up(link, node.index(to));
    }

    std::vector<std::pair<std::uint32_t, std::uint32_t>> edges_;
    base::Bytes bytes_;
};

// A target set in the numbers of the network, as `node` has it.
struct WantedTarget {
    std::uint32_t gateway = 0;
    bool plain = true;
    std::vector<std::string> groups;
};
inline TargetSet targets_of(const TestGateway& node, const std::vector<WantedTarget>& wanted) {
    TargetSet set;
    for (const WantedTarget& target : wanted)
        set.push_back(Target{node.index(target.gateway), target.plain, target.groups});
    std::sort(set.begin(), set.end(), [](const Target& a, const Target& b) { return a.gateway < b.gateway; });
    return set;
}

inline RecordView record_of(std::string_view subject, std::string_view body, std::uint8_t flags = 0) {
    RecordView record;
    record.message.subject = subject;
    record.message.body = body;
    record.flags = flags;
    return record;
}

}  // namespace routing::peer
