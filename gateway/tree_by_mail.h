// The tree side as seen from a shard that is not the tree shard: what can be decided with a copy of what the tree shard
// knows is decided here, the rest goes there by mail.
// Leaves to others: the copy's interest (the shard's Router has it), what comes back (gateway/shard_tree).
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "gateway/shard_mail.h"
#include "gateway/tree_mail.h"
#include "gateway/tree_side.h"
#include "routing/node/targeting.h"

namespace gateway {

/// Threads: its shard's.
class TreeByMail final : public TreeSide {
  public:
    /// `out` gives the bytes of this turn's batch for the tree shard, and may send what has gathered there.
    explicit TreeByMail(std::function<base::Bytes&()> out) : out_(std::move(out)) {}

    /// What the tree shard heard.  The Router is told by the caller.
    void take(const TreeNews& news);

    [[nodiscard]] const routing::node::SubjectClass& subject_class() const override { return class_; }
    [[nodiscard]] bool may_be_reply(std::string_view subject) const override {
        return !reachable_.empty() && class_.is_inbox(subject);
    }
    [[nodiscard]] std::optional<const routing::node::Scope*> scope(base::ByteView headers,
                                                                   routing::ConnectionId publisher) override;
    /// Says `asked` where the tree shard has to find out: a reply to an inbox that may be elsewhere, or a scope.
    routing::node::Remote publish_volatile(const routing::MessageView& message, routing::Route& route,
                                           std::span<const routing::node::GroupPick> picks,
                                           const routing::node::Scope* within, routing::ConnectionId publisher,
                                           bool alone, base::Instant now) override;
    [[nodiscard]] bool hold_request(routing::ConnectionId connection, base::Instant now) override;
    void connection_closed(routing::ConnectionId connection) override;
    /// Says `taken` always; what else comes of it comes by mail.
    routing::node::DurablePublish publish_durable(const routing::MessageView& message, routing::ConnectionId publisher,
                                                  base::Instant now) override;
    void subscribe_durable(const routing::queue::DurableSubscriber& subscriber, base::Instant now) override;
    void unsubscribe_durable(routing::queue::SubscriberId subscriber, base::Instant now) override;
    void subscriber_lost(routing::queue::SubscriberId subscriber, base::Instant now) override;
    void taken(routing::queue::SubscriberId subscriber, std::uint64_t ticket, base::Instant now) override;

  private:
    void send(TreeMailKind kind, routing::ConnectionId connection, routing::queue::SubscriberId subscriber = 0,
              std::uint64_t ticket = 0, const routing::MessageView& message = {});

    std::function<base::Bytes&()> out_;
    routing::node::SubjectClass class_;
    std::set<routing::GatewayIndex> reachable_;  // other gateways
    bool syncing_ = false;
    std::map<std::string, routing::node::Scope, std::less<>> scopes_;  // by their lines, as Node has them
    TreeMail mail_;                                                    // scratch
    std::string lines_;                                                // scratch
};

}  // namespace gateway
