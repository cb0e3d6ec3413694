// What the durable engine wants done: filled by every call into Durable, drained by the Node after it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "routing/base/bytes.h"
#include "routing/queue/flow_message.h"
#include "routing/queue/queue_store.h"
#include "routing/target_sets.h"
#include "routing/types.h"

namespace routing::queue {

/// Names one publish that wants a PubAck; the caller's own number.  0: none is wanted.
using AckToken = std::uint64_t;

/// A client's subscription, as the Node numbers it; never reused within a process.
using SubscriberId = std::uint64_t;

/// "Your message is at `position` of this gateway's log, synced": render the PubAck now.
struct PubAck {
    AckToken token = 0;
    Position position = 0;
};

/// A durable record to send along the path of `targets` (never this gateway itself).
struct SendRecord {
    TargetSetId targets;
    Run run = 0;
    Position position = 0;
    std::uint32_t prevs_from = 0;  ///< Outbox::prevs[prevs_from + i] belongs to the i-th target of the set
    MessageView message;           ///< borrowed from Outbox::held
};

/// A control message to a gateway: the body of Tree::send_to_gateway.  May be lost.
struct FlowMessage {
    enum class Kind : std::uint8_t { head, at };
    GatewayIndex to = gateway_none;
    Kind kind = Kind::head;
    base::Bytes body;
};

/// A message for one subscriber of this gateway.
struct Delivery {
    SubscriberId subscriber = 0;
    std::uint64_t ticket =
        0;                ///< grows with every delivery; Durable::taken() wants to hear it when the socket took this
    MessageView message;  ///< borrowed from Outbox::held; `reply` is what the publisher gave, for its PubAck
};

/// This gateway's durable interest changed and is on disk: advertise `weight` members (0: none is left).
struct DurableInterest {
    AccountId account = account_global;
    std::string filter;
    std::string queue;  ///< empty: plain
    std::uint32_t weight = 0;
};

/// The records (after, up_to] of `origin` for this gateway are gone for good; it is on disk.
struct Loss {
    GatewayId origin;
    Position after = 0;
    Position up_to = 0;
};

/// One message that the local queue took, for `queue dump`.
struct DumpRow {
    GatewayId origin;
    Run run = 0;
    Position position = 0;  ///< of the origin's log
    Position local = 0;     ///< of this gateway's local log
};

/// The answer to Durable::dump(): ask again from `next`, unless it is 0.
struct DumpChunk {
    std::uint64_t token = 0;
    std::vector<DumpRow> rows;
    Position next = 0;
};

struct LogLine {
    enum class Level : std::uint8_t { info, warning, error };
    Level level = Level::info;
    std::string text;
};

/// Drain it in the order of the members (store commands first: nothing below waits for them), then clear().
struct Outbox {
    std::vector<StoreCommand>
        store;  ///< to the store thread, in this order; answers to Durable::on_store_done in this order
    std::vector<FlowMessage> control;
    std::vector<SendRecord> records;  ///< in this order, on the durable lane
    std::vector<Prev> prevs;
    std::vector<PubAck> acks;
    std::vector<Delivery> deliveries;  ///< in this order
    std::vector<DurableInterest> interest;
    std::vector<Loss> losses;
    std::vector<DumpChunk> dumps;
    std::vector<LogLine> log;
    std::vector<PageBytes> held;  ///< what the messages above borrow from
    /// The store failed: destroy the engine, reopen the store, recover() from it, and make a new engine with a new run.
    bool reopen_store = false;

    [[nodiscard]] bool empty() const {
        return store.empty() && control.empty() && records.empty() && acks.empty() && deliveries.empty() &&
               interest.empty() && losses.empty() && dumps.empty() && log.empty() && !reopen_store;
    }
    /// Keeps the capacity, so that steady state allocates nothing here.
    void clear() {
        store.clear();
        control.clear();
        records.clear();
        prevs.clear();
        acks.clear();
        deliveries.clear();
        interest.clear();
        losses.clear();
        dumps.clear();
        log.clear();
        held.clear();
        reopen_store = false;
    }
};

}  // namespace routing::queue
