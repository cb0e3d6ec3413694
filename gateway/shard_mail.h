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

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gateway/delivery_mail.h"
#include "gateway/mail_queue.h"
#include "routing/base/bytes.h"
#include "routing/node/subject_class.h"
#include "routing/node/targeting.h"
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
/// Source: what one read of publishes fills (io::read_bytes_max) comes back at once, and half as much again.  With 4,
/// the rest went back to the system and was faulted in anew: 11,000 page faults for a million messages of 4 to 4 with
/// 128 B where there are now 2,200.
inline constexpr std::uint64_t spent_buffers_max = 12;
inline constexpr std::size_t spent_buffer_bytes_max = 4 * delivery_batch_bytes;

/// What the tree shard knows of other gateways, as far as its siblings need it to decide a publish.
struct TreeNews {
    base::Bytes interest;  ///< of append_gateway_interest(): see Router::set_gateway_interest
    std::vector<std::pair<routing::GatewayIndex, bool>> reachable;
    std::vector<std::pair<routing::GatewayIndex, std::uint16_t>> distances;  ///< see Router::set_distance
    std::optional<bool> syncing;                                             ///< see NodeHost::syncing
    std::optional<routing::node::SubjectClass> subject_class;  ///< and all that overlaps it is to be subscribed again
    bool scopes_changed = false;                               ///< before these: see NodeHost::scopes_changed
    std::vector<std::pair<std::string, routing::node::Scope>> scopes;  ///< by their lines: see Node::scope_of
};

/// What a shard's own interest has become (a weight of 0 takes it away), and from the tree shard what it heard.
struct InterestBatch {
    base::Bytes changes;                   ///< of append_interest()
    std::shared_ptr<const TreeNews> news;  ///< null: none
};

/// What a shard has for one other in one turn, or a part of it: records (gateway/delivery_mail.h).
struct DeliveryBatch {
    base::Bytes bytes;
};

/// Asks the shard that reads from `connection` to rest it: a receiver here is over 75 % of its max_pending.
struct StallMail {
    routing::ConnectionId connection = 0;
    std::uint32_t milliseconds = 0;
};

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
