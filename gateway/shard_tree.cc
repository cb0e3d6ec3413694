// A shard: what it does for the gateway's tree side (the tree shard only).
#include <algorithm>
#include <cstring>
#include <utility>

#include "compat/nats_writer.h"
#include "gateway/shard.h"
#include "gateway/shard_internal.h"
#include "routing/base/check.h"

namespace gateway {

using routing::MessageView;
using routing::Route;

/// Keeps a publish that Node cannot decide yet and rests its connection.
void Shard::hold(Client& from, const MessageView& message) {
    auto held = std::make_unique<HeldPublish>();
    held->subject = message.subject;
    held->reply = message.reply;
    held->body = message.body;
    held->header_bytes = message.header_bytes;
    from.held_publish = std::move(held);
    pause(from, Client::held);
}

bool Shard::publish_durable(Client& from, const MessageView& message) {
    switch (node_->publish_durable(message, from.connection, now_)) {
        case routing::node::DurablePublish::taken:
            return true;
        case routing::node::DurablePublish::held:
            return false;
        case routing::node::DurablePublish::no_taker:
        case routing::node::DurablePublish::failed:
            refuse_request(from, message);
            return true;
    }
    return true;
}

/// Tells Node about a subscription that is to get durable messages.  Again does no harm, and is wanted: Node forgets it
/// until its store is open.
void Shard::make_durable(std::uint32_t slot) {
    auto& subscriber = subscribers_[slot];
    if (node_ == nullptr || !node_->has_durable() || subscriber.client == nullptr) return;
    const auto& session = subscriber.client->session;
    const auto& entry = session.subscriptions().at(subscriber.index);
    if (!node_->overlaps_durable(routing::account_global, entry.filter())) return;
    subscriber.durable = true;
    routing::queue::DurableSubscriber durable;
    durable.id = entry.handle;
    durable.account = routing::account_global;
    durable.filter = entry.filter();
    durable.queue = entry.queue();
    durable.client = session.options().name;
    durable.sid = entry.sid();
    node_->subscribe_durable(durable, now_);
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
    const auto id = id_of(delivery.subscriber);
    if (id.slot >= subscribers_.size()) return;
    const Subscriber subscriber = subscribers_[id.slot];
    if (subscriber.client == nullptr || subscriber.generation != id.generation || subscriber.client->closing) return;
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

/// Does what Node asked for while it was busy, and tells it what happened meanwhile, until nothing is left.
void Shard::work_for_node(base::Instant now) {
    constexpr int rounds_max = 64;  // what is still left then is done in the next turn
    for (int round = 0; round < rounds_max && work_for_node_once(now); ++round) {
    }
    finish_deliveries();
    schedule(node_publishes_.empty() && for_node_.empty() && resumes_.empty() ? next_tick_ : now);
}

bool Shard::work_for_node_once(base::Instant now) {
    bool worked = false;
    if (std::exchange(durable_filters_changed_, false)) {
        for (std::uint32_t slot = 0; slot < subscribers_.size(); ++slot) make_durable(slot);
        worked = true;
    }
    for (const auto& taken : std::exchange(taken_, {})) {
        node_->taken(taken.subscriber, taken.ticket, now);
        worked = true;
    }
    for (const auto handle : std::exchange(lost_, {})) {
        node_->subscriber_lost(handle, now);
        worked = true;
    }
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
        node_->on_local(mail.message, now);
        worked = true;
    }
    finish_deliveries();
    node_->end_turn(now);
    for (const auto connection : std::exchange(resumes_, {})) {
        const auto found = clients_.find(connection);
        if (found != clients_.end()) unpause(*found->second, Client::held, now);
        worked = true;
    }
    return worked;
}

}  // namespace gateway
