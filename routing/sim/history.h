// What the simulated clients did and got, and whether that is right: the oracle of the simulator.
// It knows subscriptions and messages as the clients see them and nothing of how gateways work.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "routing/base/time.h"
#include "routing/sim/network.h"

namespace routing::sim {

/// A subscription of a simulated client over the whole run; survives the client's reconnects.
using SubscriptionNumber = std::uint32_t;
/// A message of the run, in the order of publishing; it travels in the payload.
using MessageNumber = std::uint64_t;

/// What must become of a message.
enum class Expect : std::uint8_t {
    at_most_once,  ///< volatile, under faults: no plain subscription twice, at most one member of each group
    exactly_once,  ///< volatile, in quiet: every matching plain subscription once, exactly one member of each group
    durable,       ///< if acknowledged: every steady plain subscription at least once, some member of each steady group
};

/// Where a durable message was taken over.
struct Taken {
    HostIndex origin = 0;
    std::uint64_t run = 0;
    std::uint64_t position = 0;  ///< 0: not acknowledged
};

/// A message that was published into the quiet tree: what became of it.
struct Probe {
    MessageNumber number = 0;
    std::uint32_t publisher = 0;
    HostIndex ingress = 0;
    std::vector<std::uint32_t> takers;  ///< clients that got it
    std::size_t sends = 0;              ///< over links
};

/// Collects and judges.  Wrong things are remembered as sentences; a run is good if there are none.
/// Threads: one.
class History {
  public:
    /// A client subscribed.  `queue` empty: plain.  `steady`: never unsubscribed and back soon after each crash, so
    /// that durable messages must reach it.
    SubscriptionNumber subscribed(std::uint32_t client, std::string_view filter, std::string_view queue, bool steady);
    void unsubscribed(SubscriptionNumber number);
    /// The subscription lost its gateway, or is served again by one.
    void connected(SubscriptionNumber number, bool connected);

    /// A client published.  Returns the number to put into the payload (see payload_of).
    MessageNumber published(std::uint32_t publisher, HostIndex ingress, std::string_view subject, Expect expect,
                            base::Instant now);
    /// The publisher of a durable message got its PubAck.
    void acknowledged(MessageNumber message, const Taken& taken);
    /// Nothing is to be expected of it: refused with 503, or its publisher's gateway died.
    void withdrawn(MessageNumber message);
    /// While members come and go, a message may be picked again and arrive at its group after later ones.
    void excuse_order_in_groups(bool excused) { order_in_groups_ = !excused; }

    /// A client got a message on one of its subscriptions.
    void delivered(SubscriptionNumber number, std::string_view subject, std::string_view payload);
    /// The gateway of this subscription crashed: what it got since its cursor was stored may come again, to it or, in a
    /// group, to another member.
    void crashed(SubscriptionNumber number);

    /// A numbered volatile message was put on a link to `to`.  `first`: by its first path; else a group's member is
    /// picked again, which takes a way back and another way forth.
    void sent(MessageNumber message, HostIndex to, bool first);

    /// Says whether an acknowledged message need not be at this client: a disk was lost since.
    using Excuse = std::function<bool(MessageNumber message, std::uint32_t client, const Taken& taken)>;
    /// Judges what can be judged only at the end.
    void finish(const Excuse& excuse);
    /// All messages of Expect::exactly_once that were not withdrawn.
    [[nodiscard]] std::vector<Probe> probes() const;

    void fail(std::string sentence);
    [[nodiscard]] const std::vector<std::string>& failures() const { return failures_; }
    /// Of all deliveries in order.
    [[nodiscard]] std::uint64_t fingerprint() const { return fingerprint_; }
    [[nodiscard]] std::uint64_t deliveries() const { return deliveries_; }
    [[nodiscard]] std::uint64_t messages() const { return messages_.size(); }
    [[nodiscard]] std::uint64_t acknowledged_count() const { return acknowledged_; }
    [[nodiscard]] std::uint64_t sends() const { return sends_; }
    /// Subscriptions of a client that are there, but those whose filter begins with `but`.
    [[nodiscard]] std::size_t live_subscriptions(std::uint32_t client, std::string_view but) const;

    static std::string payload_of(MessageNumber message) { return "m" + std::to_string(message); }
    /// The number in a payload; 0 if there is none.
    static MessageNumber number_of(std::string_view payload);

  private:
    struct Subscription {
        std::uint32_t client = 0;
        std::string filter;
        std::string queue;
        bool steady = false;
        bool live = true;
        bool connected = true;
        MessageNumber since = 0;  // messages published after this many are expected
        std::uint32_t crashes = 0;
        std::map<std::pair<std::uint32_t, std::string>, MessageNumber> last;  // per (publisher, subject)
        std::map<MessageNumber, std::uint32_t> durable_got;                   // -> crashes by then
    };
    struct Message {
        std::uint32_t publisher = 0;
        HostIndex ingress = 0;
        std::string subject;
        Expect expect = Expect::at_most_once;
        base::Instant at;
        bool acknowledged = false;
        bool withdrawn = false;
        Taken taken;
        std::map<HostIndex, std::pair<std::uint32_t, std::uint32_t>> sent;  // to: by its first path, picked again
        std::vector<SubscriptionNumber> plain_expected;                     // exactly_once
        std::set<std::string> groups_expected;
        std::set<SubscriptionNumber> plain_got;
        std::map<std::string, std::uint32_t> groups_got;
        std::map<std::string, SubscriptionNumber> group_takers;  // durable: the last one
    };

    void check_order(Subscription& subscription, SubscriptionNumber number, const Message& message,
                     MessageNumber message_number);

    std::vector<Subscription> subscriptions_;
    std::vector<Message> messages_;
    std::vector<std::string> failures_;
    std::uint64_t deliveries_ = 0;
    std::uint64_t fingerprint_ = 0;
    std::uint64_t acknowledged_ = 0;
    std::uint64_t sends_ = 0;
    bool order_in_groups_ = true;
};

}  // namespace routing::sim
