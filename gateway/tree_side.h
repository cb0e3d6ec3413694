// What the clients of a shard want of the gateway's tree side.  The tree shard asks Node itself (NodeSide); the other
// shards ask it by mail (gateway/tree_by_mail), with a copy of what they need to decide at once.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "routing/base/time.h"
#include "routing/node/node.h"
#include "routing/queue/durable.h"
#include "routing/router.h"
#include "routing/types.h"

namespace gateway {

/// Threads: its shard's.
class TreeSide {
  public:
    virtual ~TreeSide() = default;

    [[nodiscard]] virtual const routing::node::SubjectClass& subject_class() const = 0;
    /// See Node::may_be_reply.
    [[nodiscard]] virtual bool may_be_reply(std::string_view subject) const = 0;
    /// See Node::scope.  None: it is not known here yet, and `publisher`, which is to hold the message until then, is
    /// resumed when it is.
    [[nodiscard]] virtual std::optional<const routing::node::Scope*> scope(base::ByteView headers,
                                                                           routing::ConnectionId publisher) = 0;
    /// See Node::publish_volatile, and Node::publish_within if there is a scope.  `alone`: nobody of this gateway took
    /// it, so that who hears later that nobody else did refuses it.
    virtual routing::node::Remote publish_volatile(const routing::MessageView& message, routing::Route& route,
                                                   std::span<const routing::node::GroupPick> picks,
                                                   const routing::node::Scope* within, routing::ConnectionId publisher,
                                                   bool alone, base::Instant now) = 0;
    /// See Node.
    [[nodiscard]] virtual bool hold_request(routing::ConnectionId connection, base::Instant now) = 0;
    virtual void connection_closed(routing::ConnectionId connection) = 0;
    virtual routing::node::DurablePublish publish_durable(const routing::MessageView& message,
                                                          routing::ConnectionId publisher, base::Instant now) = 0;
    virtual void subscribe_durable(const routing::queue::DurableSubscriber& subscriber, base::Instant now) = 0;
    virtual void unsubscribe_durable(routing::queue::SubscriberId subscriber, base::Instant now) = 0;
    virtual void subscriber_lost(routing::queue::SubscriberId subscriber, base::Instant now) = 0;
    virtual void taken(routing::queue::SubscriberId subscriber, std::uint64_t ticket, base::Instant now) = 0;
};

/// On the tree shard.  Borrows Node for life.
class NodeSide final : public TreeSide {
  public:
    explicit NodeSide(routing::node::Node& node) : node_(node) {}

    [[nodiscard]] const routing::node::SubjectClass& subject_class() const override { return node_.subject_class(); }
    [[nodiscard]] bool may_be_reply(std::string_view subject) const override { return node_.may_be_reply(subject); }
    [[nodiscard]] std::optional<const routing::node::Scope*> scope(base::ByteView headers,
                                                                   routing::ConnectionId /*publisher*/) override {
        return node_.scope(headers);
    }
    routing::node::Remote publish_volatile(const routing::MessageView& message, routing::Route& route,
                                           std::span<const routing::node::GroupPick> picks,
                                           const routing::node::Scope* within, routing::ConnectionId publisher,
                                           bool /*alone*/, base::Instant now) override {
        return within == nullptr ? node_.publish_volatile(message, route, picks, publisher, now)
                                 : node_.publish_within(*within, message, route, picks, publisher, now);
    }
    [[nodiscard]] bool hold_request(routing::ConnectionId connection, base::Instant now) override {
        return node_.hold_request(connection, now);
    }
    void connection_closed(routing::ConnectionId connection) override { node_.connection_closed(connection); }
    routing::node::DurablePublish publish_durable(const routing::MessageView& message, routing::ConnectionId publisher,
                                                  base::Instant now) override {
        return node_.publish_durable(message, publisher, now);
    }
    void subscribe_durable(const routing::queue::DurableSubscriber& subscriber, base::Instant now) override {
        node_.subscribe_durable(subscriber, now);
    }
    void unsubscribe_durable(routing::queue::SubscriberId subscriber, base::Instant now) override {
        node_.unsubscribe_durable(subscriber, now);
    }
    void subscriber_lost(routing::queue::SubscriberId subscriber, base::Instant now) override {
        node_.subscriber_lost(subscriber, now);
    }
    void taken(routing::queue::SubscriberId subscriber, std::uint64_t ticket, base::Instant now) override {
        node_.taken(subscriber, ticket, now);
    }

  private:
    routing::node::Node& node_;
};

}  // namespace gateway
