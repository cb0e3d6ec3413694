#include "gateway/tree_by_mail.h"

namespace gateway {

using routing::ConnectionId;
using routing::MessageView;
using routing::node::DurablePublish;
using routing::node::Remote;
using routing::queue::SubscriberId;

void TreeByMail::take(const TreeNews& news) {
    for (const auto& [gateway, reachable] : news.reachable) {
        if (reachable)
            reachable_.insert(gateway);
        else
            reachable_.erase(gateway);
    }
    if (news.syncing) syncing_ = *news.syncing;
    if (news.subject_class) class_ = *news.subject_class;
    if (news.scopes_changed) scopes_.clear();
    for (const auto& [lines, scope] : news.scopes) {
        if (scopes_.size() >= routing::node::scopes_max) scopes_.clear();
        scopes_.insert_or_assign(lines, scope);
    }
}

void TreeByMail::send(TreeMailKind kind, ConnectionId connection, SubscriberId subscriber, std::uint64_t ticket,
                      const MessageView& message) {
    mail_.kind = kind;
    mail_.connection = connection;
    mail_.alone = false;
    mail_.subscriber = subscriber;
    mail_.ticket = ticket;
    mail_.picks.clear();
    mail_.message = message;
    append_tree_mail(out_(), mail_);
}

std::optional<const routing::node::Scope*> TreeByMail::scope(base::ByteView headers, ConnectionId publisher) {
    if (!routing::node::find_targeting(headers, lines_)) return nullptr;
    const auto found = scopes_.find(lines_);
    if (found != scopes_.end()) return &found->second;
    MessageView asked;
    asked.body = lines_;
    send(TreeMailKind::scope, publisher, 0, 0, asked);
    return std::nullopt;
}

Remote TreeByMail::publish_volatile(const MessageView& message, routing::Route& route,
                                    std::span<const routing::node::GroupPick> picks, const routing::node::Scope* within,
                                    ConnectionId publisher, bool alone, base::Instant /*now*/) {
    mail_.kind = TreeMailKind::publish;
    mail_.connection = publisher;
    mail_.alone = alone;
    mail_.subscriber = 0;
    mail_.ticket = 0;
    mail_.picks.clear();
    for (const auto& pick : picks) {
        const auto& group = route.groups[pick.group];
        mail_.picks.push_back({group.queue, group.remote[pick.member].index});
    }
    mail_.message = message;
    append_tree_mail(out_(), mail_);
    return within != nullptr || (route.gateways.empty() && picks.empty()) ? Remote::asked : Remote::sent;
}

bool TreeByMail::hold_request(ConnectionId connection, base::Instant /*now*/) {
    if (!syncing_) return false;
    send(TreeMailKind::request_waits, connection);
    return true;
}

void TreeByMail::connection_closed(ConnectionId connection) {
    send(TreeMailKind::closed, connection);
}

DurablePublish TreeByMail::publish_durable(const MessageView& message, ConnectionId publisher, base::Instant /*now*/) {
    send(TreeMailKind::publish_durable, publisher, 0, 0, message);
    return DurablePublish::taken;
}

void TreeByMail::subscribe_durable(const routing::queue::DurableSubscriber& subscriber, base::Instant /*now*/) {
    append_subscriber(out_(), subscriber);
}

void TreeByMail::unsubscribe_durable(SubscriberId subscriber, base::Instant /*now*/) {
    send(TreeMailKind::unsubscribe, 0, subscriber);
}

void TreeByMail::subscriber_lost(SubscriberId subscriber, base::Instant /*now*/) {
    send(TreeMailKind::lost, 0, subscriber);
}

void TreeByMail::taken(SubscriberId subscriber, std::uint64_t ticket, base::Instant /*now*/) {
    send(TreeMailKind::taken, 0, subscriber, ticket);
}

}  // namespace gateway
