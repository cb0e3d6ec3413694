// A shard: connections, interest, publishing, turns.
#include "gateway/shard.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "compat/nats_writer.h"
#include "gateway/shard_internal.h"
#include "routing/base/check.h"

namespace gateway {

using routing::MessageView;
using routing::Route;

Shard::Shard(ShardOptions options, const compat::SessionSettings& settings, ShardPost& post, ShardHost& host,
             base::Prng prng)
    : options_(options),
      settings_(&settings),
      post_(&post),
      host_(&host),
      prng_(prng),
      router_({.hash_seed = options.hash_seed, .queue_policies = options.queue_policies}) {
    watched_bytes_ = std::min(flush_bytes, options.pending_bytes_max / 4 * 3);
    outgoing_.resize(post.shards());
    deliveries_out_.resize(post.shards());
    open_runs_.resize(post.shards());
    tails_.resize(post.shards());
    if (!options.has_tree || options.index == tree_shard) return;
    tree_mail_ = std::make_unique<TreeByMail>([this]() -> base::Bytes& {
        if (deliveries_out_[tree_shard].size() > delivery_batch_bytes) send_deliveries();
        return deliveries_out_[tree_shard];
    });
    tree_ = tree_mail_.get();
}

Shard::~Shard() {
    clients_.clear();
    if (shared_ != nullptr) ChunkPool::drop(shared_);
}

// --- Connections ----------------------------------------------------------------------------------------------------

Client& Shard::open(routing::ConnectionId id, std::string ip, base::Instant now) {
    auto owned = std::make_unique<Client>(*settings_, id, std::move(ip), now, prng_, pool_);
    Client& client = *owned;
    clients_.emplace(id, std::move(owned));
    ++counters_.total_connections;
    client.session.greet(scratch_);
    put(client, scratch_);
    scratch_.clear();
    set_ping_timer(client);
    next_sweep_ = std::min(next_sweep_, client.session.next_deadline());
    schedule(next_sweep_);
    return client;
}

void Shard::bytes(Client& client, base::ByteView in, base::Instant now) {
    if (client.closing) return;
    counters_.in_bytes += in.size();
    if (has_mail()) {
        drain_mail(now);
        if (client.closing) return;
    }
    if ((client.pauses & Client::blocks_parsing) != 0) {
        client.backlog.append(in);
        return;
    }
    parse(client, in, now);
}

void Shard::parse(Client& client, base::ByteView in, base::Instant now) {
    if (changeable_.log.trace) {
        parse_traced(client, in, now);
    } else {
        parse_now(client, in, now);
    }
}

void Shard::parse_now(Client& client, base::ByteView in, base::Instant now) {
    now_ = now;
    bool more = true;
    while (more && !client.closing && (client.pauses & Client::blocks_parsing) == 0) {
        if (publish_ahead(client, in)) continue;
        const auto step = client.session.step(in, now, scratch_);
        if (!scratch_.empty()) {
            put(client, scratch_);
            scratch_.clear();
        }
        switch (step) {
            case compat::SessionStep::need_more:
                more = false;
                break;
            case compat::SessionStep::publish:
                publish_one(client, client.session.publication());
                break;
            case compat::SessionStep::subscribe:
                on_subscribe(client);
                break;
            case compat::SessionStep::unsubscribe:
                trace_unsubscribed(client, client.session.parser().event().sid);
                drop_subscription(client.session.removed_handle(), false);
                break;
            case compat::SessionStep::reset_all:
                for (const auto handle : client.session.removed_handles()) drop_subscription(handle, false);
                break;
            case compat::SessionStep::ping:
                pong(client);
                break;
            case compat::SessionStep::close:
                log_failure(client, in);
                stop(client, true, compat::closed_reason(client.session.close_reason()));
                break;
        }
    }
    finish_deliveries();
    rest_if_fed_siblings(client);
    if (!in.empty() && !client.closing) client.backlog.assign(in);
}

void Shard::written(Client& client, std::size_t count, base::Instant now) {
    now_ = now;
    if (client.write_watched) {
        client.write_watched = false;
        std::erase_if(slow_writers_, [&](const SlowWriter& writer) { return writer.client == &client; });
    }
    consume(client, count);
    if (!client.output.empty()) touch(client);
}

void Shard::consume(Client& client, std::size_t count) {
    client.output.consume(count);
    client.written_total += count;
    counters_.out_bytes += count;
    while (client.marks_done < client.marks.size() &&
           client.marks[client.marks_done].output_end <= client.written_total) {
        const auto& mark = client.marks[client.marks_done++];
        taken_.push_back({mark.subscriber, mark.ticket});
    }
    if (client.marks_done == client.marks.size() && client.marks_done != 0) {
        client.marks.clear();
        client.marks_done = 0;
    }
    if (!client.waiting_publishers.empty() && client.output.size() <= rest_over_bytes) drained_.push_back(&client);
}

void Shard::closed(Client& client, base::Instant now, std::string_view reason) {
    now_ = now;
    if (!client.closing) {
        client.closing = true;
        log_close(client, reason);
        drop_all(client);
    }
    for (Client* publisher : client.waiting_publishers) {
        publisher->waits_for = nullptr;
        unpause(*publisher, Client::stalled, now);
    }
    if (tree_ != nullptr) tree_->connection_closed(client.connection);
    lost_.insert(lost_.end(), client.lost.begin(), client.lost.end());
    if (client.waits_for != nullptr) erase_value(client.waits_for->waiting_publishers, &client);
    for (auto* list : {&dirty_, &fed_, &resting_, &mail_waiters_, &drained_}) erase_value(*list, &client);
    std::erase_if(doomed_, [&](const Doomed& doomed) { return doomed.client == &client; });
    if (client.write_watched)
        std::erase_if(slow_writers_, [&](const SlowWriter& writer) { return writer.client == &client; });
    clients_.erase(client.connection);
}

void Shard::end(Client& client, compat::NatsError reason) {
    if (client.closing) return;
    client.session.close(reason, scratch_);
    put(client, scratch_);
    scratch_.clear();
    log_failure(client, {});
    stop(client, reason != compat::NatsError::slow_consumer, compat::closed_reason(reason));
}

void Shard::end_some(std::uint64_t count, compat::NatsError reason) {
    while (count > 0) {
        if (goers_.empty()) {
            // Drawn once for many calls; who is gone when its turn comes is passed over.
            for (const auto& [id, client] : clients_) {
                if (!client->closing) goers_.push_back(id);
            }
            if (goers_.empty()) return;
            std::sort(goers_.begin(), goers_.end());
            for (std::size_t i = goers_.size() - 1; i > 0; --i) std::swap(goers_[i], goers_[prng_.below(i + 1)]);
        }
        const auto found = clients_.find(goers_.back());
        goers_.pop_back();
        if (found == clients_.end() || found->second->closing) continue;
        end(*found->second, reason);
        --count;
    }
}

void Shard::change(const ShardSettings& settings) {
    changeable_ = settings;
    if (settings.log.trace) return;
    for (auto& [id, client] : clients_) client->trace.reset();
}

void Shard::settings_changed() {
    for (auto& [id, client] : clients_) client->session.settings_changed();
}

void Shard::announce(bool lame_duck) {
    for (auto& [id, client] : clients_) {
        if (client->closing || !client->session.append_async_info(lame_duck, scratch_)) continue;
        put(*client, scratch_);
        scratch_.clear();
    }
}

void Shard::end_all(compat::NatsError reason) {
    std::vector<Client*> all;
    all.reserve(clients_.size());
    for (auto& [id, client] : clients_) all.push_back(client.get());
    std::sort(all.begin(), all.end(), [](const Client* a, const Client* b) { return a->connection < b->connection; });
    for (Client* client : all) end(*client, reason);
}

void Shard::stop(Client& client, bool after_flush, std::string_view reason) {
    if (client.closing) return;
    client.closing = true;
    log_close(client, reason);
    drop_all(client);
    client.backlog.clear();
    host_->close(client, after_flush);
}

// --- Interest -------------------------------------------------------------------------------------------------------

void Shard::on_subscribe(Client& client) {
    const auto index = client.session.subscribed();
    const auto& entry = client.session.subscriptions().at(index);
    const auto id = router_.subscribe(routing::account_global, entry.filter(), entry.queue(), client.connection);
    client.session.set_handle(handle_of(id));
    if (id.slot >= subscribers_.size())
        subscribers_.resize(std::max<std::size_t>(id.slot + 1, subscribers_.size() * 2));
    subscribers_[id.slot] = {&client, index, false};
    announce_interest();
    make_durable(id.slot);
    if (post_->shards() > 1) rest_while_mail_is_full(client);
}

/// `lost`: with its connection, not by UNSUB.  Node hears of that only once the socket is gone: until then the client
/// may still take what is in its output.
void Shard::drop_subscription(std::uint64_t handle, bool lost) {
    const auto id = id_of(handle);
    if (!router_.unsubscribe(id)) return;
    const Subscriber subscriber = std::exchange(subscribers_[id.slot], {});
    announce_interest();
    if (!subscriber.durable) return;
    if (lost) {
        subscriber.client->lost.push_back(durable_id(options_.index, id));
    } else {
        tree_->unsubscribe_durable(durable_id(options_.index, id), now_);
    }
}

void Shard::drop_all(Client& client) {
    const auto& table = client.session.subscriptions();
    for (compat::SubscriptionIndex i = 0; i < table.end(); ++i) {
        if (!table.at(i).used()) continue;
        trace_unsubscribed(client, table.at(i).sid());
        drop_subscription(table.at(i).handle, true);
    }
}

void Shard::pong(Client& client) {
    client.session.append_pong(scratch_);
    put(client, scratch_);
    scratch_.clear();
}

// --- Publishing -----------------------------------------------------------------------------------------------------

void Shard::publish_one(Client& from, const compat::Publish& said, const routing::Router::Glance* glance) {
    ++counters_.in_messages;
    ++from.in_messages;
    const MessageView message{routing::account_global, said.subject, said.reply, said.body, said.header_bytes};
    if (changeable_.log.trace) trace_mapping(from);
    if (message.subject.empty()) {  // a mapping drops it
        refuse_request(from, message);
        return;
    }
    if (!publish(from, message, glance)) hold(from, message);
    finish_deliveries();
}

/// False: Node cannot tell yet who gets it; it is to be kept and published again.
bool Shard::publish(Client& from, const MessageView& message, const routing::Router::Glance* glance) {
    Route& route = router_.route(message.account, message.subject, glance);
    if (tree_ != nullptr && tree_->subject_class().is_durable(route, message.account, message.subject)) {
        return publish_durable(from, message);
    }
    const routing::node::Scope* within = nullptr;
    if (tree_ != nullptr && message.header_bytes != 0) {
        const auto known = tree_->scope(message.headers(), from.connection);
        if (!known) return false;
        within = *known;
    }
    const std::uint32_t takers = fan_out(route, message, &from, within);
    bool remote = false;
    if (tree_ != nullptr &&
        (within != nullptr || !route.gateways.empty() || !picks_.empty() || tree_->may_be_reply(message.subject))) {
        const auto sent = tree_->publish_volatile(message, route, picks_, within, from.connection, takers == 0, now_);
        remote = sent != routing::node::Remote::nobody;
        if (links_full_) rest(from, stall_ms_max);
        if (node_ == nullptr) rest_while_mail_is_full(from);
    }
    if (takers != 0 || remote || message.reply.empty()) return true;
    if (tree_ != nullptr && tree_->hold_request(from.connection, now_)) return false;
    refuse_request(from, message);
    return true;
}

/// Nobody took a request: 503, if its client wants to know.
void Shard::refuse_request(Client& from, const MessageView& message) {
    if (message.reply.empty() || !from.session.no_responders()) return;
    (void)from.session.no_responders_for(message.subject, message.reply, scratch_);
    put(from, scratch_);
    scratch_.clear();
}

// --- Output and pauses ----------------------------------------------------------------------------------------------

void Shard::touch(Client& client) {
    if (client.dirty) return;
    client.dirty = true;
    dirty_.push_back(&client);
}

void Shard::put(Client& client, base::ByteView text) {
    if (text.empty()) return;
    if (changeable_.log.trace) trace_answer(client, text);
    client.output.append(text);
    touch(client);
    if (client.output.size() > options_.pending_bytes_max && !client.closing &&
        client.session.close_reason() == compat::NatsError::none)
        doom(client);
}

void Shard::flush(Client& client) {
    if (client.output.empty()) return;
    consume(client, host_->flush(client));
    if (client.writing && !client.write_watched) watch_write(client);
}

void Shard::pause(Client& client, Client::Pause why) {
    if (client.pauses == 0) host_->pause_reading(client);
    client.pauses |= why;
}

void Shard::unpause(Client& client, Client::Pause why, base::Instant now) {
    if ((client.pauses & why) == 0) return;
    client.pauses = static_cast<std::uint8_t>(client.pauses & ~why);
    if (client.closing) return;
    if (client.held_publish != nullptr && (client.pauses & Client::blocks_parsing) == 0) {
        const auto held = std::move(client.held_publish);
        now_ = now;
        if (!publish(client, held->view())) hold(client, held->view());
        finish_deliveries();
        rest_if_fed_siblings(client);
    }
    if (!client.backlog.empty() && (client.pauses & Client::blocks_parsing) == 0) {
        const base::Bytes backlog = std::exchange(client.backlog, {});
        parse(client, backlog, now);
    }
    if (client.pauses == 0 && !client.closing) host_->resume_reading(client);
}

void Shard::rest_publishers() {
    for (Client* client : drained_) {
        for (Client* publisher : client->waiting_publishers) {
            publisher->waits_for = nullptr;
            publisher->stall_ms = 0;
            publisher->stalled_until = now_;
        }
        client->waiting_publishers.clear();
    }
    drained_.clear();
    for (Client* publisher : fed_) {
        if (publisher->stall_ms == 0 || publisher->closing) continue;
        ++counters_.stalls;
        publisher->stalled_until =
            now_ + std::chrono::milliseconds(std::exchange(publisher->stall_ms, std::uint8_t{0}));
        schedule(publisher->stalled_until);
        if ((publisher->pauses & Client::stalled) != 0) continue;
        pause(*publisher, Client::stalled);
        resting_.push_back(publisher);
    }
    fed_.clear();
    if (resting_.empty()) return;
    std::vector<Client*> rested;
    for (Client* publisher : resting_) {
        if (publisher->stalled_until <= now_) rested.push_back(publisher);
    }
    for (Client* publisher : rested) {
        erase_value(resting_, publisher);
        if (publisher->waits_for != nullptr) erase_value(publisher->waits_for->waiting_publishers, publisher);
        publisher->waits_for = nullptr;
        unpause(*publisher, Client::stalled, now_);
    }
}

// --- Turns ----------------------------------------------------------------------------------------------------------

void Shard::tick(base::Instant now) {
    now_ = now;
    next_tick_ = base::instant_max;
    if (next_sweep_ <= now) sweep(now);
    schedule(next_sweep_);
    if (!slow_writers_.empty()) check_writes(now);
    for (const Client* publisher : resting_) schedule(publisher->stalled_until);
}

/// Each client has one entry, at its deadline or before it (a deadline only ever moves on).
void Shard::set_ping_timer(const Client& client) {
    ping_timers_.push_back({client.session.next_deadline(), client.connection});
    std::push_heap(ping_timers_.begin(), ping_timers_.end());
}

/// Looks at the PING timers that are due.
void Shard::sweep(base::Instant now) {
    while (!ping_timers_.empty() && ping_timers_.front().due <= now) {
        std::pop_heap(ping_timers_.begin(), ping_timers_.end());
        const auto found = clients_.find(ping_timers_.back().connection);
        ping_timers_.pop_back();
        if (found == clients_.end() || found->second->closing) continue;
        Client& client = *found->second;
        if (client.session.next_deadline() <= now) {
            const auto step = client.session.tick(now, scratch_);
            put(client, scratch_);
            scratch_.clear();
            if (step == compat::SessionStep::close) {
                log_failure(client, {});
                stop(client, true, compat::closed_reason(client.session.close_reason()));
                continue;
            }
        }
        set_ping_timer(client);
    }
    next_sweep_ =
        ping_timers_.empty() ? base::instant_max : std::max(ping_timers_.front().due, now + sweep_interval_min);
    finish_deliveries();
}

void Shard::end_turn(base::Instant now) {
    now_ = now;
    if (tree_ != nullptr) work_for_tree(now);
    rest_publishers();
    send_interest();
    send_deliveries();
    while (!dirty_.empty()) {
        auto dirty = std::exchange(dirty_, {});
        for (Client* client : dirty) {
            client->dirty = false;
            if (!client->writing) flush(*client);
        }
        if (dirty_.empty()) {
            dirty.clear();
            dirty_ = std::move(dirty);  // keeps the capacity
        }
    }
    if (!drained_.empty()) rest_publishers();
    shared_key_ = 0;
    if (shared_ != nullptr) {
        ChunkPool::drop(shared_);
        shared_ = nullptr;
    }
}

}  // namespace gateway
