// The origin's side of the flows: per target where it is (AT), what was sent, and what is to be sent next.  Live
// records go out once for all targets that keep up; a target that fell behind is caught up from the log alone. Source:
// DESIGN 5, "Flow" and "One pair of frames".
//
//            set_reachable / another boot id / AT k = 0 / floor raised
//                 |                                            HEAD(k) again after a retransmission time
//                 v                                               |   ^
//     [ away ] -> [ asking: k := k + 1, HEAD(k) ] --AT(k)--> [ open: sent := accepted ]
//                                                              | sent == last: live, else catching up
//                                                              v
//     AT(k): accepted and synced only grow; gap: sent := accepted, once per position and round trip
//
// A record that must not go on its way now (its Tree-Forbid names a gateway there) stops the flow before it, since
// the target takes what follows only after it: bar().  What was sent before it is repeated as ever.
#pragma once

#include <cstdint>
#include <deque>
#include <unordered_map>
#include <vector>

#include "routing/base/time.h"
#include "routing/queue/durable.h"
#include "routing/queue/origin_log.h"
#include "routing/queue/outbox.h"
#include "routing/queue/page.h"

namespace routing::queue {

/// Bytes asked of the store at once for a target that catches up.  Unit: bytes.  Source: a page is as large, and 256
/// targets that all catch up hold 64 MiB then.
inline constexpr std::uint64_t catch_up_read_bytes = page_bytes_max;

/// How long nothing must have moved before HEAD is repeated: this plus four round trips, doubled at each repeat.
inline constexpr base::Duration retransmission_base = std::chrono::milliseconds(200);
inline constexpr base::Duration retransmission_max = std::chrono::seconds(8);
/// What a round trip is taken to be before one was seen.
inline constexpr base::Duration round_trip_first = std::chrono::milliseconds(100);
/// No two go-backs to one position within this, however short the round trip is.
inline constexpr base::Duration go_back_gap_min = std::chrono::milliseconds(20);

class OriginFlow {
  public:
    /// Borrows everything for life.
    OriginFlow(const DurableOptions& options, OriginLog& log, GatewayRegistry& registry, TargetSets& sets,
               Outbox& outbox, DurableCounters& counters, CommandId& next_command);

    void set_reachable(GatewayIndex gateway, bool reachable, base::Instant now);
    void on_at(GatewayIndex gateway, const At& at, base::Instant now);
    /// Pages that are synced now, in order: sends them to the targets that keep up.
    void on_committed(const std::vector<PageTail::Entry>& pages, base::Instant now);
    /// The answer to a read that this flow asked for; false if it was not its.
    bool on_read(CommandId id, std::vector<Page>& pages, base::Instant now);
    void give_up(GatewayIndex gateway, base::Instant now);
    /// See Durable::bar() and the calls after it.
    void bar(GatewayIndex gateway, Position position, Position after);
    void try_barred(GatewayIndex gateway, base::Instant now);
    bool skip_barred(GatewayIndex gateway, Position position, base::Instant now);
    [[nodiscard]] Position barred(GatewayIndex gateway) const;
    [[nodiscard]] bool is_past(GatewayIndex gateway, Position position) const;
    void tick(base::Instant now);
    [[nodiscard]] base::Instant next_deadline() const;
    [[nodiscard]] bool has_room(GatewayIndex gateway) const;

    /// Everything up to here is synced at all its targets.
    [[nodiscard]] Position trim_mark() const;
    [[nodiscard]] std::vector<TargetStatus> status(base::Instant now) const;

  private:
    enum class State : std::uint8_t { away, asking, open };
    struct Mark {
        Position position = 0;
        std::uint64_t sent_bytes = 0;
    };
    /// One target's place in the log while it catches up.
    struct Walk {
        PageBytes page;  // null: find the page that holds `scanned` + 1
        OriginPageReader reader;
        std::uint32_t gateway_ref = 0;
        std::vector<TargetSetId> sets;  // per route of the page: this target alone; none: not asked yet
        std::deque<Page> read;          // pages from the store, ascending
        CommandId reading = 0;          // 0: no read is under way
        bool read_to_end = false;       // the last read gave nothing after `scanned`
        std::uint64_t read_bytes = catch_up_read_bytes;
    };
    struct Flow {
        State state = State::away;
        std::uint64_t k = 0;
        BootId boot = 0;
        Position sent = 0;
        Position scanned = 0;  // while catching: all of the log up to here was looked at
        Position accepted = 0;
        Position synced = 0;
        bool reachable = false;
        bool catching = true;
        std::uint64_t sent_bytes = 0;      // since the flow was opened or went back
        std::uint64_t accepted_bytes = 0;  // of those
        std::deque<Mark> marks;
        base::Instant moved_at{};
        base::Instant head_at{};
        std::uint32_t repeats = 0;
        base::Duration round_trip = round_trip_first;
        bool round_trip_asked = false;  // the HEAD under way was sent once: its answer measures
        bool probing = false;           // HEAD repeated while open; the answer may send us back
        Position probe_accepted = 0;
        Position back_to = 0;
        base::Instant back_at{};
        bool went_back = false;
        Position barred = 0;        // not 0: this record and what follows it stay here, whatever else is repeated
        Position barred_after = 0;  // the target's record before it
        Walk walk;
        /// All that may go now has gone.
        [[nodiscard]] bool stands() const { return barred != 0 && sent >= barred_after; }
    };
    /// What is sent for one route of a page to the live targets.
    struct Plan {
        std::uint32_t serial = 0;
        TargetSetId set;
        std::vector<std::uint32_t> refs;  // gateways of the page, in the set's order
    };

    Flow& flow(TargetSlot slot);
    [[nodiscard]] bool unacknowledged(TargetSlot slot) const;
    [[nodiscard]] base::Duration timeout(const Flow& flow) const;
    [[nodiscard]] base::Instant deadline(TargetSlot slot) const;
    void begin(TargetSlot slot, base::Instant now);
    void send_head(TargetSlot slot, base::Instant now);
    void go_back(TargetSlot slot, base::Instant now);
    void reset_sending(Flow& flow, Position from);
    void mark_sent(Flow& flow);
    void send_page(const PageTail::Entry& page, base::Instant now);
    void make_plan(Plan& plan, const PageRoute& route);
    void pump(TargetSlot slot, base::Instant now);
    bool next_page(TargetSlot slot);
    bool open_page(TargetSlot slot, const PageBytes& bytes);
    void lost_up_to(TargetSlot slot, Position position, base::Instant now);
    void forget_walk(Flow& flow);
    [[nodiscard]] Prev prev_at(Position position) const;
    [[nodiscard]] AccountId account_of(const std::string& name) const;

    const DurableOptions& options_;
    OriginLog& log_;
    GatewayRegistry& registry_;
    TargetSets& sets_;
    Outbox& outbox_;
    DurableCounters& counters_;
    CommandId& next_command_;
    std::vector<Flow> flows_;              // by TargetSlot
    std::vector<std::uint8_t> reachable_;  // by GatewayIndex
    std::vector<std::pair<CommandId, TargetSlot>> reads_;
    // scratch of send_page
    OriginPageReader reader_;
    std::vector<TargetSlot> slots_;  // by gateway of the page
    std::vector<std::uint8_t> live_;
    std::vector<Plan> plans_;
    std::uint32_t plan_serial_ = 0;
};

}  // namespace routing::queue
