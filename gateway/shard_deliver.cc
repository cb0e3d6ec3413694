// A shard: who is on this loop gets what, encoded once where many get it.
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
using routing::RouteGroup;

namespace {

/// From this size on a frame is shared even if it does not lengthen a piece.  Unit: bytes.
/// Source: performance.md, an iovec costs what copying some hundred bytes does.
constexpr std::size_t share_bytes_min = 1024;

}  // namespace

/// Serves this shard and the siblings, `within` what the message's headers allow.  Returns how many took it or will.
std::uint32_t Shard::fan_out(Route& route, const MessageView& message, Client* from,
                             const routing::node::Scope* within) {
    tails_ready_ = false;
    picks_.clear();
    const bool here = within == nullptr || within->here();
    const routing::ConnectionId source = from == nullptr ? mail_source_ : from->connection;
    const bool echo = from == nullptr || from->session.echo();
    std::uint32_t takers = 0;
    if (here) {
        takers = deliver_plain(route, message, from);
        for (const auto sibling : route.shards) {
            to_sibling(sibling, true, {});
            ++takers;
        }
    }
    for (std::uint32_t i = 0; i < route.groups.size(); ++i) {
        routing::PickRequest request;
        if (!echo) request.excluded_connection = source;
        request.gateways = tree_ != nullptr;
        if (within != nullptr) within->narrow(request);
        if (pick_group(route.groups[i], request, message, from, i)) ++takers;
    }
    if (outgoing_any_) mail_siblings(message, source, echo, false);
    return takers;
}

std::uint32_t Shard::deliver_plain(Route& route, const MessageView& message, Client* from) {
    if (route.plain.empty()) return 0;
    if (route.cached && (route.flags & heads_rendered) == 0) render_heads(route, message.subject);
    if (shares(route, message)) return share(route, message, from);
    std::uint32_t takers = 0;
    for (auto& receiver : route.plain) takers += deliver_one(receiver, message, from) ? 1 : 0;
    return takers;
}

void Shard::render_heads(Route& route, std::string_view subject) {
    bool equal = true;
    const bool headers = route.plain.front().connection != routing::node::node_connection &&
                         subscribers_[route.plain.front().slot].client->session.headers();
    for (auto& receiver : route.plain) {
        if (receiver.connection == routing::node::node_connection) {
            equal = false;
            continue;
        }
        const auto& subscriber = subscribers_[receiver.slot];
        const auto& session = subscriber.client->session;
        compat::append_message_head(receiver.head, subject, session.subscriptions().at(subscriber.index).sid());
        equal = equal && receiver.head == route.plain.front().head && session.headers() == headers;
    }
    // A connection with two subscriptions here gets each message twice before it gets the next.
    connections_.clear();
    for (const auto& receiver : route.plain) connections_.push_back(receiver.connection);
    std::sort(connections_.begin(), connections_.end());
    const bool once = connections_.back() != routing::node::node_connection &&
                      std::adjacent_find(connections_.begin(), connections_.end()) == connections_.end();
    route.flags |= heads_rendered | (equal ? heads_equal : 0) | (once ? runs_allowed : 0);
}

/// Counts one delivery for the subscription's maximum.  False: it is over.
bool Shard::count_delivery(const Subscriber& subscriber, std::uint32_t slot) {
    switch (subscriber.client->session.on_delivery(subscriber.index)) {
        case compat::Delivery::deliver:
            return true;
        case compat::Delivery::last:
            expired_.push_back(slot);
            return true;
        case compat::Delivery::over:
            return false;
    }
    return false;
}

bool Shard::deliver_one(routing::LocalReceiver& receiver, const MessageView& message, Client* from) {
    if (receiver.connection == routing::node::node_connection) {
        mail_scratch_.trusted = from == nullptr ? mail_trusted_ : is_loopback(from->session.client_ip());
        mail_scratch_.message = message;
        append_delivery(for_node_, mail_scratch_);
        return true;
    }
    const Subscriber& subscriber = subscribers_[receiver.slot];
    Client& to = *subscriber.client;
    if (to.closing || (&to == from && !to.session.echo())) return false;
    if (!count_delivery(subscriber, receiver.slot) || drops_for(to, from)) return false;
    std::string_view head = receiver.head;
    if (head.empty()) {
        head_.clear();
        compat::append_message_head(head_, message.subject, to.session.subscriptions().at(subscriber.index).sid());
        head = head_;
    }
    append(to, head, message);
    after_append(to, from);
    return true;
}

/// Renders what follows the head.  A stream of messages of one size without reply and headers is rendered once.
void Shard::render_tails(const compat::OutgoingMessage& message) {
    tails_ready_ = true;
    const bool repeats = message.reply.empty() && message.header_bytes == 0;
    if (repeats && message.body.size() == tail_body_bytes_) return;
    tail_body_bytes_ = repeats ? message.body.size() : ~std::size_t{0};
    tail_plain_.clear();
    compat::append_delivery_tail(tail_plain_, message, false);
    if (message.header_bytes == 0) return;
    tail_headers_.clear();
    compat::append_delivery_tail(tail_headers_, message, true);
}

void Shard::append(Client& to, std::string_view head, const MessageView& message) {
    const auto parts = outgoing(message);
    if (!tails_ready_) render_tails(parts);
    const bool with_headers = compat::delivered_with_headers(parts, to.session.headers());
    const std::string_view tail = with_headers ? tail_headers_ : tail_plain_;
    const std::size_t size = compat::delivery_bytes(head, with_headers, tail, parts);
    char* const frame = to.output.reserve(size);
    (void)compat::write_delivery_parts(frame, head, with_headers, tail, parts);
    if (changeable_.log.trace) trace_delivery(to, {frame, size}, message, with_headers);
    to.output.commit(size);
}

/// Whether this message of the route is better encoded once for all its receivers: when it continues the piece that
/// each of them has (so only from the second message of a burst on), or is large.
bool Shard::shares(const Route& route, const MessageView& message) {
    if (changeable_.log.trace) return false;
    if ((route.flags & heads_equal) == 0 || route.plain.size() < share_receivers_min) return false;
    const auto key = reinterpret_cast<std::uintptr_t>(&route);
    const bool again = shared_key_ == key;
    shared_key_ = key;
    return again || message.body.size() >= share_bytes_min;
}

/// Room for frames that several connections refer to.
char* Shard::reserve_shared(std::size_t bytes) {
    if (shared_ == nullptr || shared_->capacity - shared_->used < bytes) {
        if (shared_ != nullptr) ChunkPool::drop(shared_);
        shared_ = pool_.take(bytes);
    }
    return shared_->data.get() + shared_->used;
}

std::uint32_t Shard::share(Route& route, const MessageView& message, Client* from) {
    const auto parts = outgoing(message);
    std::string_view head = route.plain.front().head;
    const bool with_headers =
        compat::delivered_with_headers(parts, subscribers_[route.plain.front().slot].client->session.headers());
    render_tails(parts);
    const std::string_view tail = with_headers ? tail_headers_ : tail_plain_;
    const std::size_t size = compat::delivery_bytes(head, with_headers, tail, parts);
    char* const at = reserve_shared(size);
    const std::uint32_t begin = shared_->used;
    (void)compat::write_delivery_parts(at, head, with_headers, tail, parts);
    shared_->used += static_cast<std::uint32_t>(size);
    std::uint32_t takers = 0;
    for (const auto& receiver : route.plain) {
        const Subscriber& subscriber = subscribers_[receiver.slot];
        Client& to = *subscriber.client;
        if (to.closing || (&to == from && !to.session.echo())) continue;
        if (!count_delivery(subscriber, receiver.slot) || drops_for(to, from)) continue;
        to.output.append_shared(shared_, begin, shared_->used);
        after_append(to, from);
        ++takers;
    }
    return takers;
}

/// One member of the group takes it: here, at a sibling, or (if the request allows) at a gateway, which is then in
/// picks_ and not counted as a taker.
bool Shard::pick_group(RouteGroup& group, routing::PickRequest request, const MessageView& message, Client* from,
                       std::uint32_t group_index) {
    for (std::size_t tries = group.local.size() + 1; tries > 0; --tries) {
        const auto picked = routing::pick(group, request, prng_);
        if (picked.kind == routing::Pick::Kind::local) {
            if (deliver_one(group.local[picked.at], message, from)) return true;
            request.excluded_slot = group.local[picked.at].slot;
        } else if (picked.kind == routing::Pick::Kind::shard) {
            to_sibling(static_cast<routing::ShardIndex>(group.remote[picked.at].index), false, group.queue);
            return true;
        } else {
            if (picked) picks_.push_back({group_index, picked.at});
            break;
        }
    }
    return false;
}

void Shard::after_append(Client& to, Client* from, std::uint64_t messages) {
    counters_.out_messages += messages;
    to.out_messages += messages;
    touch(to);
    if (to.output.size() <= watched_bytes_) return;
    if (!to.writing) {
        send_deliveries();  // whatever the peer may learn from these bytes, the siblings know before it
        flush(to);
    }
    const std::size_t pending = to.output.size();
    if (pending > options_.pending_bytes_max) {
        doom(to);
        return;
    }
    if (from == &to) return;
    std::uint8_t pause = 0;
    if (is_stalled(to)) {
        if (changeable_.no_producer_stall) return;
        pause = stall_ms_min;
        if (mail_source_ != 0)
            post_->channel(options_.index, home_of(mail_source_)).stalls.send({mail_source_, pause}, sizeof(StallMail));
    }
    if (from == nullptr) return;
    if (pause == 0 && pending > rest_bytes && to.written_total != to.written_at_pause) {
        pause = stall_ms_max;
        to.written_at_pause = to.written_total;
        if (from->waits_for == nullptr) {
            from->waits_for = &to;
            to.waiting_publishers.push_back(from);
        }
    }
    if (pause != 0) rest(*from, pause);
}

/// Once no route is being walked it is cut.
void Shard::doom(Client& client) {
    ++counters_.slow_consumers;
    doomed_.push_back({&client, compat::NatsError::slow_consumer});
    client.closing = true;
}

/// At the end of the turn the publisher is not read for so long.
void Shard::rest(Client& publisher, std::uint8_t milliseconds) {
    if (publisher.stall_ms == 0) fed_.push_back(&publisher);
    publisher.stall_ms = std::max(publisher.stall_ms, milliseconds);
}

void Shard::end_expired_and_doomed() {
    for (const auto slot : expired_) {
        const Subscriber subscriber = subscribers_[slot];
        if (subscriber.client == nullptr || subscriber.client->closing) continue;
        trace_unsubscribed(*subscriber.client, subscriber.client->session.subscriptions().at(subscriber.index).sid());
        drop_subscription(subscriber.client->session.subscriptions().at(subscriber.index).handle, false);
        subscriber.client->session.end_subscription(subscriber.index);
    }
    expired_.clear();
    auto doomed = std::move(doomed_);
    doomed_.clear();
    for (const auto& [client, reason] : doomed) {
        client->closing = false;
        end(*client, reason);
    }
}

}  // namespace gateway
