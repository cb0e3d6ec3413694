// The data plane of a gateway: target sets become event paths, paths become labels, records go out, go through and
// arrive.  Pure; the owner (Tree) moves the bytes.
//
//     send(target set, message)  -> what is remembered of the set  --.
//                                                                    |--> [(link, label) ..] -> records on the
//                                                                    out-lanes
//     on_frame(records)          -> label: one array read          --'
//                                     `-> this gateway is a target -> DeliverySink
//
// Where what is remembered is out of date (another topology, another prime, an overwritten label) the path is split
// again, the split law is checked, and what changed is defined on the out-lane before the record goes on.  Warm,
// neither way allocates, parses subjects or does arithmetic. Leaves to others: who the targets are (Router, Durable),
// the routes (topology), lanes and sockets (Tree).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "routing/base/bytes.h"
#include "routing/base/result.h"
#include "routing/event_path.h"
#include "routing/gateway_registry.h"
#include "routing/peer/frame.h"
#include "routing/peer/labels.h"
#include "routing/peer/lane.h"
#include "routing/peer/peer_error.h"
#include "routing/peer/record.h"
#include "routing/target_sets.h"
#include "routing/types.h"

namespace routing::peer {

struct FrameHeader;  // peer_message.h

/// Highest LinkIndex, as tables are arrays.  Unit: links.
inline constexpr std::size_t links_max = 65536;

/// Where bytes for a link go.  Calls come from within send() and on_frame(); none may call back into the engine.
class LaneSink {
  public:
    virtual ~LaneSink() = default;
    /// The lane's buffer, for definitions, which are never refused.
    virtual FrameBuffer& lane(LinkIndex link, Lane lane) = 0;
    /// The lane's buffer for one record of at most `bytes`, or null if the lane is full: the record is dropped there
    /// and counted (DESIGN 4.7).
    virtual FrameBuffer* lane_for_record(LinkIndex link, Lane lane, std::size_t bytes) = 0;
};

/// A volatile message for this gateway.  Borrows everything, for the call.
struct VolatileDelivery {
    GatewayIndex origin = gateway_none;
    LinkIndex link = link_none;  ///< that it came in on
    std::string_view account;
    bool plain = false;                                ///< serve the plain subscribers here
    const std::vector<std::string>* groups = nullptr;  ///< and one member of each of these; never null
    std::uint8_t flags = 0;                            ///< record_flag_trace, record_flags_sender
    base::ByteView trace;                              ///< traced: the hops, this gateway the last (see read_trace)
    MessageView message;                               ///< `account` is left to the receiver
};

/// A durable record for this gateway.  Borrows everything, for the call.
struct DurableDelivery {
    GatewayIndex origin = gateway_none;
    LinkIndex link = link_none;
    std::string_view account;
    bool plain = false;
    const std::vector<std::string>* groups = nullptr;  ///< never null
    std::uint8_t flags = 0;
    base::ByteView trace;
    MessageView message;
    std::uint64_t run = 0;
    std::uint64_t position = 0;
    PrevPosition prev;  ///< of this target
};

/// Who takes what arrives.  May call PathEngine::send and send_once, and nothing else of it.
class DeliverySink {
  public:
    virtual ~DeliverySink() = default;
    virtual void deliver(const VolatileDelivery& delivery) = 0;
    virtual void deliver_durable(const DurableDelivery& delivery) = 0;
};

/// What became of a send.
struct SendResult {
    std::uint32_t links = 0;           ///< that the record was put on
    std::uint32_t targets_missed = 0;  ///< no route, the lane full, or the record too long
    bool stale = false;                ///< the TargetSetId is stale; nothing was sent: intern again
};

/// Counted over the life of the process.
struct PathCounters {
    std::uint64_t splits = 0;                ///< paths computed or taken apart
    std::uint64_t definitions_sent = 0;      ///< of paths
    std::uint64_t definitions_received = 0;  ///< of paths
    std::uint64_t records_sent = 0;          ///< by send(), once per message
    std::uint64_t transit_records = 0;       ///< that came in and went on, once per record
    std::uint64_t delivered_records = 0;     ///< that came in for this gateway
    std::uint64_t records_refused = 0;       ///< copies dropped as a lane was full (or a record too long)
    std::uint64_t dropped_factors = 0;       ///< in splits: factors that had no place behind a link
    std::uint64_t targets_missed = 0;        ///< in records: targets that a record was not put on the way to
    std::uint64_t malformed_records = 0;     ///< dropped: came for this gateway, broken by their origin
    std::uint64_t astray_records = 0;        ///< volatile ones dropped: they came by a way that their origin has left
    std::uint64_t law_violations = 0;        ///< definitions of neighbours that broke the law
};

/// A path in full, for people.
struct Explanation {
    Factors factors;                     ///< ascending by prime
    std::string number;                  ///< multiplied out; "1": nobody elsewhere
    std::vector<GatewayIndex> unplaced;  ///< targets without a route
};

/// See the head of this file.  Threads: one.
class PathEngine {
  public:
    /// Borrows all three for life.
    PathEngine(GatewayRegistry& registry, const TargetSets& sets, LaneSink& sink);

    // --- Links and topology ------------------------------------------------------------------------------------------

    /// A session with `neighbour` began: fresh tables.  The number of a link that went down may be used again.
    void link_up(LinkIndex link, GatewayIndex neighbour);
    void link_down(LinkIndex link);
    /// One lane of a live session begins anew at both ends: fresh tables for that lane.
    void lane_reset(LinkIndex link, Lane lane);
    /// The routes from here; takes effect if they changed.
    void set_topology(RouteTree routes);
    /// What `gateway` claims (this one too).  prime 0: nothing, or it was forgotten.
    void set_prime(GatewayIndex gateway, Prime prime, std::int64_t claimed_at);

    // --- Messages ----------------------------------------------------------------------------------------------------

    /// Puts a message on the way to its targets (this gateway, if among them, is passed over).  `lane`: volatile_ or
    /// durable.  `account`: the name that the set's account has between gateways.
    SendResult send(TargetSetId targets, std::string_view account, const RecordView& record, Lane lane);
    /// As send(), for a set that is not worth remembering: goes under label 0.
    SendResult send_once(const TargetSet& targets, std::string_view account, const RecordView& record, Lane lane);

    /// A data frame (DataKind) from a neighbour.  Errors: the session must end; nothing after the error was done.
    [[nodiscard]] base::Result<void, PeerError> on_frame(LinkIndex link, Lane lane, const FrameHeader& header,
                                                         base::ByteView body, DeliverySink& sink);

    // --- Seeing it ---------------------------------------------------------------------------------------------------

    /// The path that send() would use now.
    [[nodiscard]] Explanation explain(const TargetSet& targets);
    /// The prime that stands for `gateway` in paths made here: its claim or a substitute; 0: not known and not
    /// reachable.
    [[nodiscard]] Prime prime_of(GatewayIndex gateway);
    /// All of them, ascending by prime.
    [[nodiscard]] std::vector<std::pair<Prime, GatewayIndex>> known_primes();
    [[nodiscard]] const RouteTree& routes() const { return routes_; }
    [[nodiscard]] const PathCounters& counters() const { return counters_; }
    /// What the fullest of all label tables hold, either way: never above label_slots and label_table_bytes_max.
    struct TableUse {
        std::size_t labels = 0;
        std::size_t bytes = 0;
    };
    [[nodiscard]] TableUse fullest_tables() const;

  private:
    static constexpr std::size_t data_lanes = 2;
    struct Tables {
        explicit Tables(std::uint64_t& generations) : out(generations) {}
        LabelSender out;
        LabelReceiver in;
    };
    struct Ingress {
        std::uint64_t path_generation = 0;
        std::uint64_t run = 0;
        std::uint32_t set_generation = 0;
        std::uint32_t targets_missed = 0;
        std::size_t targets = 0;
        std::vector<OutHop> hops;
    };
    struct Claim {
        Prime prime = 0;
        std::int64_t claimed_at = 0;
    };

    void routes_changed();
    void refresh_primes();
    void fill_path(const TargetSet& targets, std::string_view account, const RecordView& record, Lane lane);
    void split_out(const PathDefinition& path, LinkIndex arrived_on, Lane lane, bool once, std::vector<OutHop>& hops,
                   std::uint32_t& targets_missed);
    [[nodiscard]] bool current(const std::vector<OutHop>& hops, Lane lane);
    void send_prepared(const std::vector<OutHop>& hops, Lane lane, SendResult& result);
    [[nodiscard]] PeerError on_records(LinkIndex link, Lane lane, std::uint16_t count, base::ByteView body,
                                       DeliverySink& sink);
    [[nodiscard]] PeerError on_record(LinkIndex link, Lane lane, ReceivedPath& path, bool once, base::ByteView sized,
                                      base::ByteView rest, DeliverySink& sink);
    [[nodiscard]] PeerError blame(LinkIndex link, const ReceivedPath& path, PeerError error);
    void forward(const std::vector<OutHop>& hops, Lane lane, base::ByteView sized);
    [[nodiscard]] PeerError deliver(LinkIndex link, Lane lane, const ReceivedPath& path, base::ByteView rest,
                                    DeliverySink& sink);
    [[nodiscard]] Tables& tables(LinkIndex link, Lane lane);

    GatewayRegistry& registry_;
    const TargetSets& sets_;
    LaneSink& sink_;
    std::uint64_t slot_generations_ = 0;
    std::uint64_t route_generation_ = 1;
    std::uint64_t path_generation_ = 1;
    RouteTree routes_;
    std::vector<GatewayIndex> neighbours_;  ///< by link; none: down
    std::vector<std::array<std::unique_ptr<Tables>, data_lanes>> tables_;
    std::vector<Claim> claims_;  ///< by gateway
    std::vector<Prime> primes_;  ///< by gateway, as effective_primes() has it
    bool primes_stale_ = true;
    TraceHop own_hop_;                                      ///< how this gateway stands in traces of its own messages
    std::array<std::vector<Ingress>, data_lanes> ingress_;  ///< by TargetSetId::slot
    RecordEncoder encoder_;
    // Scratch: the path that send() makes, the share of one link, hops of one use, a traced record.
    PathDefinition path_;
    std::vector<GatewayIndex> unplaced_;
    PathDefinition share_;
    std::vector<OutHop> once_hops_;
    base::Bytes traced_;
    PathCounters counters_;
};

}  // namespace routing::peer
