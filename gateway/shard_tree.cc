// A shard and the gateway's tree side: what it asks of it, what it does for it, and (on the tree shard) what it does
// there for the siblings' clients.
#include <algorithm>
#include <cstring>
#include <utility>

#include "compat/nats_writer.h"
#include "gateway/interest_mail.h"
#include "gateway/shard.h"
#include "gateway/shard_internal.h"
#include "routing/base/check.h"

namespace gateway {

using routing::MessageView;
using routing::Route;
using routing::RouteGroup;
using routing::node::DurablePublish;
using routing::node::Remote;

/// Keeps a publish that Node cannot decide yet and rests its connection.
void Shard::hold(Client& from, const MessageView& message) {
    from.held_publish = std::make_unique<HeldPublish>(message);
    pause(from, Client::held);
}

bool Shard::publish_durable(Client& from, const MessageView& message) {
    const auto outcome = tree_->publish_durable(message, from.connection, now_);
    if (node_ == nullptr) rest_while_mail_is_full(from);
    if (outcome == DurablePublish::held) return false;
    if (outcome != DurablePublish::taken) refuse_request(from, message);
    return true;
}

/// Tells the tree side about a subscription that is to get durable messages.  Again does no harm, and is wanted: Node
/// forgets it until its store is open.
void Shard::make_durable(std::uint32_t slot) {
    auto& subscriber = subscribers_[slot];
    if (tree_ == nullptr || !tree_->subject_class().any_durable() || subscriber.client == nullptr) return;
    const auto& session = subscriber.client->session;
    const auto& entry = session.subscriptions().at(subscriber.index);
    if (!tree_->subject_class().overlaps_durable(routing::account_global, entry.filter())) return;
    subscriber.durable = true;
    routing::queue::DurableSubscriber durable;
    durable.id = durable_id(options_.index, id_of(entry.handle));
    durable.account = routing::account_global;
    durable.filter = entry.filter();
    durable.queue = entry.queue();
    durable.client = session.options().name;
    durable.sid = entry.sid();
    tree_->subscribe_durable(durable, now_);
}

void Shard::deliver_local(const MessageView& message, const routing::node::Serve& serve,
                          routing::node::Served& served) {
    Route& route = router_.route(message.account, message.subject);
    tails_ready_ = false;
    if (serve.plain) {
        served.takers += deliver_plain(route, message, nullptr);
        for (const auto sibling : route.shards) {
            to_sibling(sibling, true, {});
            ++served.takers;
        }
    }
    routing::PickRequest request;
    request.gateways = false;
    if (serve.every_group) {
        for (auto& group : route.groups) served.takers += pick_group(group, request, message, nullptr) ? 1 : 0;
    }
    for (std::uint32_t i = 0; i < serve.groups.size(); ++i) {
        auto* group = route.find_group(serve.groups[i]);
        if (group != nullptr && pick_group(*group, request, message, nullptr)) {
            ++served.takers;
        } else {
            served.lost.push_back(i);
        }
    }
    if (outgoing_any_) mail_siblings(message, 0, true, false);
}

void Shard::deliver_queued(const routing::queue::Delivery& delivery) {
    const auto home = shard_of_durable(delivery.subscriber);
    if (home != options_.index) {
        TreeMail mail;
        mail.kind = TreeMailKind::deliver_queued;
        mail.subscriber = delivery.subscriber;
        mail.ticket = delivery.ticket;
        mail.message = delivery.message;
        append_tree_mail(deliveries_out_[home], mail);
        return;
    }
    const auto id = id_of(delivery.subscriber);
    if (id.slot >= subscribers_.size()) return;
    const Subscriber subscriber = subscribers_[id.slot];
    if (subscriber.client == nullptr || subscriber.client->closing ||
        durable_id(home, router_.subscription_at(id.slot)) != delivery.subscriber)
        return;
    if (!count_delivery(subscriber, id.slot)) return;
    Client& to = *subscriber.client;
    MessageView message = delivery.message;
    message.reply = {};  // it was for the publisher's PubAck
    tails_ready_ = false;
    head_.clear();
    compat::append_message_head(head_, message.subject, to.session.subscriptions().at(subscriber.index).sid());
    append(to, head_, message);
    to.marks.push_back({to.written_total + to.output.size(), delivery.subscriber, delivery.ticket});
    after_append(to, nullptr);
}

void Shard::publish_of_node(const MessageView& message) {
    mail_scratch_.message = message;
    append_delivery(node_publishes_, mail_scratch_);
}

void Shard::set_node(routing::node::Node* node) {
    node_ = node;
    node_side_ = node == nullptr ? nullptr : std::make_unique<NodeSide>(*node);
    tree_ = node_side_.get();
    if (node != nullptr) durable_filters_changed();
}

// --- The end of a turn ----------------------------------------------------------------------------------------------

/// Does what Node asked for while it was busy, and tells the tree side what happened meanwhile, until nothing is left.
void Shard::work_for_tree(base::Instant now) {
    constexpr int rounds_max = 64;  // what is still left then is done in the next turn
    for (int round = 0; round < rounds_max; ++round) {
        const bool told = tell_tree(now);
        if (!(node_ != nullptr && work_for_node(now)) && !told) break;
    }
    finish_deliveries();
    schedule(node_publishes_.empty() && for_node_.empty() && resumes_.empty() ? next_tick_ : now);
}

bool Shard::tell_tree(base::Instant now) {
    bool worked = false;
    if (std::exchange(durable_filters_changed_, false)) {
        for (std::uint32_t slot = 0; slot < subscribers_.size(); ++slot) make_durable(slot);
        worked = true;
    }
    for (const auto& taken : std::exchange(taken_, {})) {
        tree_->taken(taken.subscriber, taken.ticket, now);
        worked = true;
    }
    for (const auto durable : std::exchange(lost_, {})) {
        tree_->subscriber_lost(durable, now);
        worked = true;
    }
    return worked;
}

bool Shard::work_for_node(base::Instant now) {
    bool worked = false;
    DeliveryMail mail;
    const base::Bytes publishes = std::exchange(node_publishes_, {});
    for (base::ByteView in = publishes; next_delivery(in, mail);) {
        Route& route = router_.route(mail.message.account, mail.message.subject);
        (void)fan_out(route, mail.message, nullptr);
        if (!route.gateways.empty() || !picks_.empty() || node_->may_be_reply(mail.message.subject)) {
            (void)node_->publish_volatile(mail.message, route, picks_, routing::node::node_connection, now);
        }
        worked = true;
    }
    const base::Bytes received = std::exchange(for_node_, {});
    for (base::ByteView in = received; next_delivery(in, mail);) {
        node_->on_local(mail.message, mail.trusted, now);
        worked = true;
    }
    finish_deliveries();
    node_->end_turn(now);
    for (const auto connection : std::exchange(resumes_, {})) {
        if (Client* client = find_client(connection))
            unpause(*client, Client::held, now);
        else
            resume_at_sibling(connection);
        worked = true;
    }
    return worked;
}

Client* Shard::find_client(routing::ConnectionId connection) {
    const auto found = clients_.find(connection);
    return found == clients_.end() ? nullptr : found->second.get();
}

// --- The tree shard, for the siblings -------------------------------------------------------------------------------

TreeNews* Shard::news() {
    if (post_->shards() == 1) return nullptr;
    if (news_ == nullptr) news_ = std::make_shared<TreeNews>();
    return news_.get();
}

void Shard::durable_filters_changed() {
    durable_filters_changed_ = true;
    if (node_ == nullptr) return;  // it is being made
    if (TreeNews* news = this->news()) news->subject_class = node_->subject_class();
}

void Shard::answer(routing::ShardIndex to, TreeMailKind kind, routing::ConnectionId connection,
                   const MessageView& message) {
    TreeMail mail;
    mail.kind = kind;
    mail.connection = connection;
    mail.message = message;
    append_tree_mail(deliveries_out_[to], mail);
}

void Shard::refuse_at_sibling(routing::ShardIndex to, routing::ConnectionId connection, const MessageView& message) {
    if (message.reply.empty()) return;
    answer(to, TreeMailKind::refuse, connection, {message.account, message.subject, message.reply, {}, 0});
}

void Shard::on_tree_mail(routing::ShardIndex from, base::ByteView& in) {
    TreeMail mail;
    read_tree_mail(in, mail);
    if (node_ != nullptr)
        serve_sibling(from, mail, in);
    else
        hear_tree(mail);
}

void Shard::serve_sibling(routing::ShardIndex from, const TreeMail& mail, base::ByteView& in) {
    switch (mail.kind) {
        case TreeMailKind::publish:
            return publish_for_sibling(from, mail);
        case TreeMailKind::scope:
            tell_scope(mail.message.body);
            return answer(from, TreeMailKind::resume, mail.connection);
        case TreeMailKind::publish_durable:
            return publish_durable_for_sibling(from, mail);
        case TreeMailKind::request_waits:
            if (!node_->hold_request(mail.connection, now_)) answer(from, TreeMailKind::refuse_held, mail.connection);
            return;
        case TreeMailKind::closed:
            // What it published before counts: it goes on when Node says so.
            if (!parked_.contains(mail.connection)) node_->connection_closed(mail.connection);
            return;
        case TreeMailKind::subscribe:
            return node_->subscribe_durable(read_subscriber(in, mail), now_);
        case TreeMailKind::unsubscribe:
            return node_->unsubscribe_durable(mail.subscriber, now_);
        case TreeMailKind::lost:
            return node_->subscriber_lost(mail.subscriber, now_);
        case TreeMailKind::taken:
            return node_->taken(mail.subscriber, mail.ticket, now_);
        case TreeMailKind::deliver_queued:
        case TreeMailKind::publish_again:
        case TreeMailKind::hold:
        case TreeMailKind::resume:
        case TreeMailKind::refuse:
        case TreeMailKind::refuse_held:
            break;
    }
    BASE_CHECK(false);
}

/// Sends a sibling's message to other gateways.  A member that it picked and that left meanwhile (or may not get it any
/// more) is picked again.
void Shard::publish_for_sibling(routing::ShardIndex from, const TreeMail& mail) {
    const MessageView& message = mail.message;
    const routing::node::Scope* within = message.header_bytes == 0 ? nullptr : node_->scope(message.headers());
    routing::PickRequest request;
    if (within != nullptr) within->narrow(request);
    Route& route = router_.route(message.account, message.subject);
    tails_ready_ = false;
    picks_.clear();
    mail_source_ = mail.connection;
    bool taken = false;
    for (const auto& pick : mail.picks) {
        RouteGroup* group = route.find_group(pick.group);
        if (group == nullptr) {
            ++counters_.dropped;
            continue;
        }
        const auto index = static_cast<std::uint32_t>(group - route.groups.data());
        const auto member =
            std::find_if(group->remote.begin(), group->remote.end(), [&](const routing::RemoteMember& candidate) {
                return candidate.kind == routing::RemoteMember::Kind::gateway && candidate.index == pick.gateway &&
                       candidate.reachable && (within == nullptr || within->has(pick.gateway));
            });
        if (member != group->remote.end()) {
            picks_.push_back({index, static_cast<std::uint32_t>(member - group->remote.begin())});
            continue;
        }
        const std::size_t picked = picks_.size();
        if (pick_group(*group, request, message, nullptr, index))
            taken = true;
        else if (picks_.size() == picked)
            ++counters_.dropped;
    }
    if (outgoing_any_) mail_siblings(message, mail.connection, true, false);
    const auto remote = tree_->publish_volatile(message, route, picks_, within, mail.connection, false, now_);
    mail_source_ = 0;
    if (links_full_)
        post_->channel(options_.index, from).stalls.send({mail.connection, stall_ms_max}, sizeof(StallMail));
    if (mail.alone && !taken && remote == Remote::nobody) refuse_at_sibling(from, mail.connection, message);
    finish_deliveries();
}

/// Tells the siblings where a message with these lines in its headers may go.
void Shard::tell_scope(std::string_view lines) {
    news()->scopes.emplace_back(lines, node_->scope_of(lines));
}

/// Takes a sibling's durable message over, or keeps it (and what follows it on that connection) until Node can.
void Shard::publish_durable_for_sibling(routing::ShardIndex from, const TreeMail& mail) {
    if (const auto parked = parked_.find(mail.connection); parked != parked_.end()) {
        parked->second.emplace_back(mail.message);
        return;
    }
    switch (node_->publish_durable(mail.message, mail.connection, now_)) {
        case DurablePublish::taken:
            return;
        case DurablePublish::held:
            parked_[mail.connection].emplace_back(mail.message);
            answer(from, TreeMailKind::hold, mail.connection);
            return;
        case DurablePublish::no_taker:
        case DurablePublish::failed:
            refuse_at_sibling(from, mail.connection, mail.message);
            return;
    }
}

void Shard::resume_at_sibling(routing::ConnectionId connection) {
    const auto home = home_of(connection);
    if (const auto parked = parked_.find(connection); parked != parked_.end()) {
        for (auto& waiting = parked->second; !waiting.empty(); waiting.pop_front()) {
            const MessageView message = waiting.front().view();
            if (!node_->subject_class().is_durable(message.account, message.subject)) {
                // It is not to wait for its scope: others follow it.
                base::Bytes lines;
                if (routing::node::find_targeting(message.headers(), lines)) tell_scope(lines);
                answer(home, TreeMailKind::publish_again, connection, message);
                continue;
            }
            const auto outcome = node_->publish_durable(message, connection, now_);
            if (outcome == DurablePublish::held) return;
            if (outcome != DurablePublish::taken) refuse_at_sibling(home, connection, message);
        }
        parked_.erase(parked);
    }
    answer(home, TreeMailKind::resume, connection);
}

// --- The other shards -----------------------------------------------------------------------------------------------

void Shard::take_news(const TreeNews& news) {
    base::ByteView interest = news.interest;
    routing::GatewayIndex from = routing::gateway_none;
    for (routing::InterestChangeView change; next_gateway_interest(interest, from, change);)
        router_.set_gateway_interest(from, change.account, change.filter, change.queue, change.weight);
    for (const auto& [gateway, reachable] : news.reachable) router_.set_reachable(gateway, reachable);
    for (const auto& [gateway, distance] : news.distances) router_.set_distance(gateway, distance);
    tree_mail_->take(news);
    if (news.subject_class) durable_filters_changed_ = true;
}

void Shard::hear_tree(const TreeMail& mail) {
    if (mail.kind == TreeMailKind::deliver_queued) {
        routing::queue::Delivery delivery;
        delivery.subscriber = mail.subscriber;
        delivery.ticket = mail.ticket;
        delivery.message = mail.message;
        deliver_queued(delivery);
        finish_deliveries();
        return;
    }
    Client* client = find_client(mail.connection);
    if (client == nullptr || client->closing) return;
    switch (mail.kind) {
        case TreeMailKind::publish_again:
            if (publish(*client, mail.message)) {
                finish_deliveries();
            } else if (client->held_publish == nullptr) {
                hold(*client, mail.message);
            } else {
                refuse_request(*client, mail.message);
            }
            return;
        case TreeMailKind::hold:
            return pause(*client, Client::parked);
        case TreeMailKind::resume:
            unpause(*client, Client::parked, now_);
            return unpause(*client, Client::held, now_);
        case TreeMailKind::refuse:
            return refuse_request(*client, mail.message);
        case TreeMailKind::refuse_held:
            if (const auto held = std::move(client->held_publish)) refuse_request(*client, held->view());
            return unpause(*client, Client::held, now_);
        default:
            BASE_CHECK(false);
    }
}

}  // namespace gateway
