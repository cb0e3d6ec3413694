// What the shards of one gateway tell each other, as values over one-to-one queues: two per ordered pair (DESIGN 3).
// Interest is never dropped and never waits; deliveries are bounded by pausing the connections that feed them.
// Order.  Sender: all interest of a turn before any delivery of it.  Receiver: note the tails of all delivery queues,
// then drain all interest queues, then deliver up to those tails (Shard::drain_mail).  So a delivery never overtakes
// the interest that its sender had announced before it.
//
// Visibility is causal.  Before any byte of a turn goes to a socket, the turn's interest and deliveries are in these
// queues; before a shard parses what a read brought, it drains them.  So whatever a client may have learned from what
// it read (a PONG, a message, a 503, a closed connection) is known wherever it or a friend of it publishes next.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "routing/base/bytes.h"
#include "routing/base/check.h"
#include "routing/node/subject_class.h"
#include "routing/router.h"
#include "routing/types.h"

namespace gateway {

/// Above this much undrained interest the sending shard stops parsing what would add to it.  Unit: bytes.  Source:
/// DESIGN 3.
inline constexpr std::size_t interest_mail_bytes_max = 1024 * 1024;
/// Above this much undrained delivery the sending shard stops reading the connections that feed it.  Unit: bytes.
/// Source: DESIGN 3.
inline constexpr std::size_t delivery_mail_bytes_max = 4 * 1024 * 1024;

/// From so many bytes on, deliveries are sent before the turn ends: the receiver then works on them while they are
/// still in cache, and buffers stay small.  Unit: bytes.
inline constexpr std::size_t delivery_batch_bytes = 64 * 1024;
/// How many emptied buffers of deliveries wait to be used again, per ordered pair of shards, and how large one may be.
inline constexpr std::uint64_t spent_buffers_max = 4;
inline constexpr std::size_t spent_buffer_bytes_max = 4 * delivery_batch_bytes;

/// A queue between exactly two threads: one sends, one receives.  Unbounded; its owner watches `outstanding`.
template <typename T>
class MailQueue {
  public:
    MailQueue() : head_(new Node), tail_(head_) {}
    MailQueue(const MailQueue&) = delete;
    MailQueue& operator=(const MailQueue&) = delete;
    ~MailQueue() {
        while (head_ != nullptr) {
            Node* next = head_->next.load(std::memory_order_relaxed);
            delete head_;
            head_ = next;
        }
    }

    /// Threads: the sender.
    void send(T&& value, std::size_t bytes) {
        auto* node = new Node;
        node->value = std::move(value);
        node->bytes = bytes;
        outstanding_.fetch_add(bytes, std::memory_order_relaxed);
        tail_->next.store(node, std::memory_order_release);
        tail_ = node;
        sent_.fetch_add(1, std::memory_order_release);
    }

    /// How many values have been sent so far.  Threads: any.
    [[nodiscard]] std::uint64_t sent() const { return sent_.load(std::memory_order_acquire); }

    /// Threads: the receiver.
    [[nodiscard]] std::optional<T> receive() {
        Node* next = head_->next.load(std::memory_order_acquire);
        if (next == nullptr) return std::nullopt;
        std::optional<T> value(std::move(next->value));
        outstanding_.fetch_sub(next->bytes, std::memory_order_relaxed);
        delete head_;
        head_ = next;
        received_.fetch_add(1, std::memory_order_release);
        return value;
    }

    /// True if there is something to receive.  Threads: the receiver.
    [[nodiscard]] bool waiting() const { return head_->next.load(std::memory_order_acquire) != nullptr; }

    /// How many values have been received so far.  Threads: any.
    [[nodiscard]] std::uint64_t received() const { return received_.load(std::memory_order_acquire); }

    /// Bytes sent and not yet received.  Threads: any.
    [[nodiscard]] std::size_t outstanding() const { return outstanding_.load(std::memory_order_relaxed); }

  private:
    struct Node {
        std::atomic<Node*> next{nullptr};
        T value{};
        std::size_t bytes = 0;
    };

    Node* head_;  // receiver's; its value has been taken
    Node* tail_;  // sender's
    std::atomic<std::uint64_t> sent_{0};
    std::atomic<std::uint64_t> received_{0};
    std::atomic<std::size_t> outstanding_{0};
};

/// What the tree shard knows of other gateways, as far as its siblings need it to decide a publish.
struct TreeNews {
    base::Bytes interest;  ///< of append_gateway_interest(): see Router::set_gateway_interest
    std::vector<std::pair<routing::GatewayIndex, bool>> reachable;
    std::vector<std::pair<routing::GatewayIndex, std::uint16_t>> distances;  ///< see Router::set_distance
    std::optional<bool> syncing;                                             ///< see NodeHost::syncing
    std::optional<routing::node::SubjectClass> subject_class;  ///< and all that overlaps it is to be subscribed again
};

/// What a shard's own interest has become (a weight of 0 takes it away), and from the tree shard what it heard.
struct InterestBatch {
    base::Bytes changes;                   ///< of append_interest()
    std::shared_ptr<const TreeNews> news;  ///< null: none
};

/// What a record of a DeliveryBatch is.
enum class MailKind : std::uint8_t {
    delivery,  ///< DeliveryMail
    tree,      ///< gateway/tree_mail.h
};

/// What a shard has for one other in one turn: records, each a MailKind and what its codec wrote.
struct DeliveryBatch {
    base::Bytes bytes;
};

inline void append_kind(base::Bytes& out, MailKind kind) {
    out.push_back(static_cast<char>(kind));
}

/// Takes a record's kind off the front of `in`.  Errors: false at the end.
[[nodiscard]] inline bool next_kind(base::ByteView& in, MailKind& kind) {
    if (in.empty()) return false;
    kind = static_cast<MailKind>(in.front());
    in.remove_prefix(1);
    return true;
}

inline void append_text(base::Bytes& out, std::string_view text) {
    base::append_varint(out, text.size());
    out.append(text);
}

/// Borrows: a view into `in`'s bytes.
inline void read_text(base::ByteView& in, std::string_view& text) {
    std::uint64_t size = 0;
    const bool good = base::read_varint(in, size) && base::read_bytes(in, size, text);
    BASE_CHECK(good);
}

inline void append_message(base::Bytes& out, const routing::MessageView& message) {
    base::append_varint(out, message.account);
    base::append_varint(out, message.subject.size());
    base::append_varint(out, message.reply.size());
    base::append_varint(out, message.header_bytes);
    base::append_varint(out, message.body.size());
    out.append(message.subject);
    out.append(message.reply);
    out.append(message.body);
}

/// Borrows: views into `in`'s bytes.  The bytes are our own, so what is malformed is a bug (asserted).
inline void read_message(base::ByteView& in, routing::MessageView& message) {
    std::uint64_t sizes[5] = {};
    bool good = true;
    for (auto& size : sizes) good = good && base::read_varint(in, size);
    good = good && base::read_bytes(in, sizes[1], message.subject) && base::read_bytes(in, sizes[2], message.reply) &&
           base::read_bytes(in, sizes[4], message.body);
    BASE_CHECK(good);
    message.account = static_cast<routing::AccountId>(sizes[0]);
    message.header_bytes = static_cast<std::uint32_t>(sizes[3]);
}

/// One message for a sibling shard: what it serves there is plain subscribers and one member of each group named.
struct DeliveryMail {
    routing::ConnectionId source = 0;
    bool echo = true;      ///< false: not to `source` itself (it cannot be there, but a bounce may come home)
    bool bounced = false;  ///< its group was picked for a shard that had lost its members; picked again once
    bool plain = false;
    bool trusted = false;  ///< `source` is a client on this machine; told for `$TREE.` subjects only
    std::vector<std::string_view> groups;
    routing::MessageView message;
};

/// Asks the shard that reads from `connection` to rest it: a receiver here is over 75 % of its max_pending.
struct StallMail {
    routing::ConnectionId connection = 0;
    std::uint32_t milliseconds = 0;
};

inline void append_delivery(base::Bytes& out, const DeliveryMail& mail) {
    base::append_varint(out, mail.source);
    out.push_back(static_cast<char>((mail.plain ? 1 : 0) | (mail.echo ? 2 : 0) | (mail.bounced ? 4 : 0) |
                                    (mail.trusted ? 8 : 0)));
    base::append_varint(out, mail.groups.size());
    for (const auto group : mail.groups) append_text(out, group);
    append_message(out, mail.message);
}

/// Reads one delivery off the front of `in`.  Errors: false at the end.  Borrows: views into `in`'s bytes.
/// The bytes are our own, so what is malformed is a bug (asserted).
[[nodiscard]] inline bool next_delivery(base::ByteView& in, DeliveryMail& mail) {
    if (in.empty()) return false;
    std::uint64_t count = 0;
    bool good = base::read_varint(in, mail.source) && !in.empty();
    BASE_CHECK(good);
    const auto flags = static_cast<std::uint8_t>(in.front());
    in.remove_prefix(1);
    mail.plain = (flags & 1) != 0;
    mail.echo = (flags & 2) != 0;
    mail.bounced = (flags & 4) != 0;
    mail.trusted = (flags & 8) != 0;
    good = base::read_varint(in, count);
    BASE_CHECK(good);
    mail.groups.resize(static_cast<std::size_t>(count));
    for (auto& group : mail.groups) read_text(in, group);
    read_message(in, mail.message);
    return true;
}

/// From one shard to one other.  Threads: the sender's and the receiver's, each only its end.
struct ShardChannel {
    MailQueue<std::shared_ptr<const InterestBatch>> interest;  // one batch for all siblings
    MailQueue<DeliveryBatch> deliveries;
    /// Emptied buffers of deliveries on their way back, so that a stream of them allocates (and faults in) nothing.
    /// Here the receiver sends and the sender receives.
    MailQueue<base::Bytes> spent;
    MailQueue<StallMail> stalls;
};

/// The channels between all shards of one gateway, made once at the start and outliving every shard.
class ShardPost {
  public:
    explicit ShardPost(routing::ShardIndex shards) : shards_(shards) {
        for (std::size_t i = 0; i < static_cast<std::size_t>(shards) * shards; ++i)
            channels_.push_back(std::make_unique<ShardChannel>());
    }
    [[nodiscard]] routing::ShardIndex shards() const { return shards_; }
    ShardChannel& channel(routing::ShardIndex from, routing::ShardIndex to) {
        return *channels_[static_cast<std::size_t>(from) * shards_ + to];
    }

  private:
    routing::ShardIndex shards_;
    std::vector<std::unique_ptr<ShardChannel>> channels_;
};

}  // namespace gateway
