// What a Node asks of the one that runs it: the tree shard of a gateway, or the simulator.
// Leaves to others: how it is done (gateway/server with sockets and a disk, routing/sim with virtual ones).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "routing/peer/tree.h"
#include "routing/queue/durable.h"
#include "routing/queue/queue_store.h"
#include "routing/types.h"

namespace routing::node {

/// The connection id under which Node itself subscribes in the tree shard's Router and publishes.  No client has it.
inline constexpr ConnectionId node_connection = ~ConnectionId{0};

/// What this gateway serves of one message that came over the tree.
struct Serve {
    bool plain = false;        ///< every plain subscriber here
    bool every_group = false;  ///< one member of every group that matches (a reply that was routed to its inbox)
    std::span<const std::string_view> groups;  ///< one member of each of these
};

/// What became of it.
struct Served {
    std::uint32_t takers = 0;         ///< subscriptions of this gateway (siblings included) that it went to
    std::vector<std::uint32_t> lost;  ///< positions in Serve::groups of groups that have no member here any more
};

/// The way out of Node.
/// Threads: the tree shard's.  Calls come from within a call into Node; none may call back into Node except where said.
/// Borrows: what views and spans point to is valid during the call.
class NodeHost : public peer::TreeHost {
  public:
    ~NodeHost() override = default;

    /// Serves a message of another gateway here: matched with this gateway's own subscriptions (this shard's and the
    /// siblings'), never sent back into the tree.  `served` comes empty.
    /// For a LocalReceiver with node_connection it calls Node::on_local(), which is allowed here.
    virtual void deliver_local(const MessageView& message, const Serve& serve, Served& served) = 0;

    /// Gives a durable message to subscribers of this gateway, from the local queue of one reader (the
    /// message has no reply subject: that was for the PubAck).  The end of it is reported with Node::delivered(), at
    /// once or later, never from within.
    virtual void deliver_queued(const queue::Delivery& delivery) = 0;

    /// Publishes a message of this gateway itself (an answer, a PubAck, an advisory): routed like a client's, by
    /// node_connection.  Comes from within Node::end_turn() only; may call into Node as for any publish.
    virtual void publish(const MessageView& message) = 0;

    /// A publisher that was told to wait may go on: its connection is parsed again (a held message comes again).
    /// Comes from within Node::end_turn() only; may call into Node as for any publish.
    virtual void resume(ConnectionId connection) = 0;

    /// What is durable changed (Node::subject_class()), or the store was opened: call Node::subscribe_durable() for
    /// every subscription that overlaps it (again for those that did before; that does no harm).  From within this call
    /// or later.
    virtual void durable_filters_changed() = 0;

    // For a host with more routers than the one that Node was given: what they must be told, too.

    /// Another gateway's volatile interest; see Router::set_gateway_interest.
    virtual void gateway_interest(GatewayIndex /*gateway*/, AccountId /*account*/, std::string_view /*filter*/,
                                  std::string_view /*queue*/, std::uint32_t /*weight*/) {}
    /// See Router::set_reachable.
    virtual void gateway_reachable(GatewayIndex /*gateway*/, bool /*reachable*/) {}
    /// See Router::set_distance.
    virtual void gateway_distance(GatewayIndex /*gateway*/, std::uint16_t /*distance*/) {}
    /// What Node::scope_of() said may no longer be so.
    virtual void scopes_changed() {}
    /// Some link's first sync has begun, or all have ended: meanwhile requests that find nobody are held.
    virtual void syncing(bool /*syncing*/) {}

    /// True: a link's volatile lane is full beyond its bound, so local publishers that feed links should rest for a
    /// moment (bounded).  False: there is room again.
    virtual void pause_publishers(bool pause) = 0;

    /// Persist both for TreeOptions of the next start.
    virtual void identity_changed(std::uint64_t incarnation, Prime prime, base::WallMillis claimed_at) = 0;

    /// Persist for TreeOptions::known_members of the next start, best effort: where members of the tree can be dialled.
    virtual void members_known(const std::vector<KnownMember>& members) = 0;

    virtual void log(peer::LogLevel level, std::string_view text) = 0;

    /// Matches of all shards' routers so far, for `tree status`.
    [[nodiscard]] virtual std::uint64_t matches() const = 0;

    /// Opens the store (closing it first if it is open: it failed) and calls Node::on_store_opened() or
    /// on_store_failed() later, after the answers to all commands that were handed over before.
    virtual void open_store() = 0;
    /// Hands a command to the store; Node::on_store_done() comes later, in the order of the commands.
    virtual void execute(queue::StoreCommand command) = 0;
};

}  // namespace routing::node
