// A shard: its mail with the sibling shards.
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

namespace {

routing::InterestChange owned(const routing::InterestChangeView& change) {
    return {change.account, std::string(change.filter), std::string(change.queue), change.weight};
}

}  // namespace

// --- Mail -----------------------------------------------------------------------------------------------------------

/// Tells Node at once (a publish of the same client may follow), the siblings at the end of the turn.
void Shard::announce_interest() {
    if (!router_.has_changes()) return;
    std::vector<routing::InterestChange> for_node;
    for (routing::InterestChangeView change; router_.next_change(change);) {
        if (node_ != nullptr) for_node.push_back(owned(change));
        if (post_->shards() > 1) append_interest(unsent_interest_, change);
    }
    if (node_ != nullptr) node_->on_interest(options_.index, for_node, now_);
}

void Shard::take_interest(routing::ShardIndex sibling, base::ByteView changes) {
    std::vector<routing::InterestChange> for_node;
    for (routing::InterestChangeView change; next_interest(changes, change);) {
        router_.set_shard_interest(sibling, change.account, change.filter, change.queue, change.weight);
        if (node_ != nullptr) for_node.push_back(owned(change));
    }
    if (node_ != nullptr) node_->on_interest(sibling, for_node, now_);
}

void Shard::send_interest() {
    announce_interest();
    if (unsent_interest_.empty() && news_ == nullptr) return;
    const auto batch = std::make_shared<const InterestBatch>(
        InterestBatch{std::exchange(unsent_interest_, {}), std::exchange(news_, nullptr)});
    for (routing::ShardIndex sibling = 0; sibling < post_->shards(); ++sibling) {
        if (sibling == options_.index) continue;
        post_->channel(options_.index, sibling).interest.send(std::shared_ptr(batch), batch->changes.size());
        host_->wake(sibling);
    }
}

void Shard::to_sibling(routing::ShardIndex to, bool plain, std::string_view group) {
    auto& out = outgoing_[to];
    out.wanted = true;
    outgoing_any_ = true;
    if (plain) {
        out.plain = true;
    } else {
        out.groups.push_back(group);
    }
}

void Shard::mail_siblings(const MessageView& message, routing::ConnectionId source, bool echo, bool bounced) {
    outgoing_any_ = false;
    mail_scratch_.trusted = false;
    if (message.subject.starts_with("$TREE.")) {  // who asks a gateway to change something?
        const Client* client = find_client(source);
        mail_scratch_.trusted = client != nullptr && is_loopback(client->session.client_ip());
    }
    for (routing::ShardIndex sibling = 0; sibling < post_->shards(); ++sibling) {
        auto& out = outgoing_[sibling];
        if (!out.wanted) continue;
        mail_scratch_.source = source;
        mail_scratch_.echo = echo;
        mail_scratch_.bounced = bounced;
        mail_scratch_.plain = out.plain;
        mail_scratch_.groups.swap(out.groups);
        mail_scratch_.message = message;
        mail(sibling, mail_scratch_);
        out.wanted = false;
        out.plain = false;
        out.groups.clear();
    }
}

void Shard::mail(routing::ShardIndex to, const DeliveryMail& delivery) {
    append_delivery(deliveries_out_[to], delivery);
    mail_sent(to);
}

/// Something was appended to what `to` is to get.
void Shard::mail_sent(routing::ShardIndex to) {
    fed_siblings_ = true;
    if (deliveries_out_[to].size() > delivery_batch_bytes) send_deliveries();
}

routing::ShardIndex Shard::home_of(routing::ConnectionId connection) const {
    return connection == 0 ? routing::ShardIndex{0}
                           : static_cast<routing::ShardIndex>((connection - 1) % post_->shards());
}

/// Rests a connection while some sibling has more than enough of this shard's mail to drain.
void Shard::rest_while_mail_is_full(Client& client) {
    for (routing::ShardIndex sibling = 0; sibling < post_->shards(); ++sibling) {
        if (sibling == options_.index) continue;
        const auto& channel = post_->channel(options_.index, sibling);
        std::uint8_t why = 0;
        if (channel.interest.outstanding() > interest_mail_bytes_max) why |= Client::interest_full;
        if (channel.deliveries.outstanding() > delivery_mail_bytes_max) why |= Client::mail_full;
        if ((client.pauses & why) == why) continue;
        if ((client.pauses & (Client::interest_full | Client::mail_full)) == 0) mail_waiters_.push_back(&client);
        pause(client, static_cast<Client::Pause>(why));
    }
}

/// To be called once after what the client sent was parsed: what it fed to the siblings meanwhile is no more than that.
void Shard::rest_if_fed_siblings(Client& client) {
    if (std::exchange(fed_siblings_, false) && !client.closing) rest_while_mail_is_full(client);
}

void Shard::release_mail_waiters() {
    if (mail_waiters_.empty()) return;
    bool interest_full = false;
    bool deliveries_full = false;
    for (routing::ShardIndex sibling = 0; sibling < post_->shards(); ++sibling) {
        const auto& channel = post_->channel(options_.index, sibling);
        interest_full = interest_full || channel.interest.outstanding() > interest_mail_bytes_max / 2;
        deliveries_full = deliveries_full || channel.deliveries.outstanding() > delivery_mail_bytes_max / 2;
    }
    if (interest_full || deliveries_full) return;
    const auto waiters = std::exchange(mail_waiters_, {});
    for (Client* client : waiters) {
        client->pauses = static_cast<std::uint8_t>(client->pauses & ~Client::interest_full) | Client::mail_full;
        unpause(*client, Client::mail_full, now_);
    }
}

/// All that the siblings are to know of this turn so far, interest first.
void Shard::send_deliveries() {
    if (post_->shards() == 1) return;
    send_interest();
    for (routing::ShardIndex sibling = 0; sibling < post_->shards(); ++sibling) {
        auto& bytes = deliveries_out_[sibling];
        if (bytes.empty()) continue;
        const std::size_t size = bytes.size();
        auto& channel = post_->channel(options_.index, sibling);
        channel.deliveries.send(DeliveryBatch{std::exchange(bytes, {})}, size);
        open_runs_[sibling] = {};
        if (auto spent = channel.spent.receive()) bytes = std::move(*spent);
        host_->wake(sibling);
    }
}

bool Shard::has_mail() const {
    for (routing::ShardIndex sibling = 0; sibling < post_->shards(); ++sibling) {
        const auto& channel = post_->channel(sibling, options_.index);
        if (channel.interest.waiting() || channel.deliveries.waiting() || channel.stalls.waiting()) return true;
    }
    return false;
}

void Shard::drain_mail(base::Instant now) {
    now_ = now;
    const auto shards = post_->shards();
    for (routing::ShardIndex sibling = 0; sibling < shards; ++sibling)
        tails_[sibling] = post_->channel(sibling, options_.index).deliveries.sent();
    for (routing::ShardIndex sibling = 0; sibling < shards; ++sibling) {
        auto& channel = post_->channel(sibling, options_.index);
        const bool was_full = channel.interest.outstanding() > interest_mail_bytes_max / 2;
        while (auto batch = channel.interest.receive()) {
            take_interest(sibling, (*batch)->changes);
            if ((*batch)->news != nullptr) take_news(*(*batch)->news);
        }
        if (was_full) host_->wake(sibling);  // it may have rested connections because of this queue
    }
    for (routing::ShardIndex sibling = 0; sibling < shards; ++sibling) {
        auto& channel = post_->channel(sibling, options_.index);
        const bool was_full = channel.deliveries.outstanding() > delivery_mail_bytes_max / 2;
        while (channel.deliveries.received() < tails_[sibling]) {
            auto batch = channel.deliveries.receive();
            base::ByteView in = batch->bytes;
            for (MailKind kind{}; next_kind(in, kind);) {
                switch (kind) {
                    case MailKind::run:
                        on_run(read_run(in));
                        break;
                    case MailKind::tree:
                        on_tree_mail(sibling, in);
                        break;
                    case MailKind::delivery:
                        if (next_delivery(in, mail_in_)) on_mail(sibling, mail_in_);
                        break;
                }
            }
            if (batch->bytes.capacity() > spent_buffer_bytes_max) continue;
            if (channel.spent.sent() - channel.spent.received() >= spent_buffers_max) continue;
            batch->bytes.clear();
            channel.spent.send(std::move(batch->bytes), 0);
        }
        if (was_full) host_->wake(sibling);
        while (auto stall = channel.stalls.receive()) {
            const auto found = clients_.find(stall->connection);
            if (found == clients_.end() || found->second->closing) continue;
            Client& publisher = *found->second;
            rest(publisher, static_cast<std::uint8_t>(std::min<std::uint32_t>(stall->milliseconds, stall_ms_max)));
        }
    }
    release_mail_waiters();
}

/// A message that a sibling routed: served as it says.  A group whose members left meanwhile goes back to its sender
/// once, to be picked again among the others; whoever has nobody then drops it.
void Shard::on_mail(routing::ShardIndex from, const DeliveryMail& delivery) {
    Route& route = router_.route(delivery.message.account, delivery.message.subject);
    tails_ready_ = false;
    mail_source_ = delivery.source;
    mail_trusted_ = delivery.trusted;
    if (delivery.plain) deliver_plain(route, delivery.message, nullptr);
    const bool came_home = delivery.bounced && home_of(delivery.source) == options_.index;
    for (const auto name : delivery.groups) {
        routing::PickRequest request;
        request.shards = came_home;
        request.gateways = false;
        request.excluded_shard = from;
        if (!delivery.echo) request.excluded_connection = delivery.source;
        auto* group = route.find_group(name);
        if (group != nullptr && pick_group(*group, request, delivery.message, nullptr)) continue;
        if (delivery.bounced) {
            ++counters_.dropped;
            continue;
        }
        ++counters_.bounced;
        DeliveryMail back = delivery;
        back.bounced = true;
        back.plain = false;
        back.groups = {name};
        mail(from, back);
    }
    if (outgoing_any_) mail_siblings(delivery.message, delivery.source, delivery.echo, true);
    mail_source_ = 0;
    mail_trusted_ = false;
    finish_deliveries();
}

}  // namespace gateway
