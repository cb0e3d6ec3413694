// Node's durable side: choosing targets, holding publishers, and everything between the durable engine and the rest.
#include <algorithm>
#include <utility>

#include "routing/base/subject.h"
#include "routing/node/json_writer.h"
#include "routing/node/node.h"
#include "routing/node/node_message.h"
#include "routing/node/tree_requests.h"
#include "routing/peer/path_engine.h"
#include "routing/peer/record.h"
#include "routing/peer/trace.h"

namespace routing::node {

namespace {

/// DurableFilter::flags.
constexpr std::uint8_t filter_ack_none = 1;

peer::LogLevel level_of(queue::LogLine::Level level) {
    switch (level) {
        case queue::LogLine::Level::info:
            return peer::LogLevel::info;
        case queue::LogLine::Level::warning:
            return peer::LogLevel::warning;
        case queue::LogLine::Level::error:
            return peer::LogLevel::error;
    }
    return peer::LogLevel::error;
}

/// Under this account the store keeps other gateways' durable filters; weight: flags + 1.
constexpr std::string_view filters_account = "$FILTERS";

std::string durable_account_name(std::string_view account) {
    return "$DURABLE." + std::string(account);
}

}  // namespace

// --- What is durable -------------------------------------------------------------------------------------------------

void Node::durable_filters_changed() {
    keep_filters();
    std::map<std::string, std::uint8_t> all;
    for (const auto& filter : tree_->durable_filters(gateway_self)) all[filter.filter] |= filter.flags;
    for (const auto& [gateway, filters] : kept_filters_)
        for (const auto& [filter, flags] : filters) all[filter] |= flags;
    std::vector<peer::Tree::DurableFilter> filters;
    for (const auto& [filter, flags] : all)
        if (base::is_valid_filter(filter)) filters.push_back(peer::Tree::DurableFilter{filter, flags});
    if (filters == durable_filters_) return;
    durable_filters_ = std::move(filters);
    std::vector<std::string> texts;
    for (const auto& filter : durable_filters_) texts.push_back(filter.filter);
    class_.set_filters(std::move(texts));
    if (!durable_filters_.empty()) need_store();
    host_.durable_filters_changed();
    resume_for_interest_ = true;
}

void Node::keep_filters() {
    for (GatewayIndex gateway = 1; gateway < registry_.size(); ++gateway) {
        std::map<std::string, std::uint8_t> told;
        for (const auto& filter : tree_->durable_filters(gateway)) told[filter.filter] = filter.flags;
        const auto known = kept_filters_.find(gateway);
        if (told.empty() && known == kept_filters_.end()) continue;
        auto& kept = known == kept_filters_.end() ? kept_filters_[gateway] : known->second;
        for (const auto& [filter, flags] : told) {
            const auto [place, fresh] = kept.try_emplace(filter, flags);
            if (!fresh && place->second == flags) continue;
            place->second = flags;
            remember_filter(gateway, filter, flags + 1u);
        }
        // What was found in the store stays until its gateway, whose log is here as it stands now, does not list it.
        if (!tree_->is_reachable(gateway) || tree_->syncing()) continue;
        std::erase_if(kept, [&](const auto& entry) {
            if (told.contains(entry.first)) return false;
            remember_filter(gateway, entry.first, 0);
            return true;
        });
    }
}

void Node::remember_filter(GatewayIndex gateway, std::string_view filter, std::uint32_t weight) {
    if (durable_) durable_->remember_interest(gateway, filters_account, filter, {}, weight);
}

// --- Publishing ------------------------------------------------------------------------------------------------------

bool Node::interest_known() const {
    if (!durable_) return false;
    return !tree_->syncing() || now_ >= syncing_since_ + hold_time_max;
}

GatewayIndex Node::pick_durable(const RouteGroup& group, const Scope* within) {
    // By DESIGN 5: reachable ones with window room, else any reachable, else remembered ones; within a tier by policy.
    // This gateway stands among the others here; where it comes first, it does whatever room there is.
    const bool here_first = group.policy == QueuePolicy::local_first || group.policy == QueuePolicy::nearest;
    room_.assign(registry_.size(), false);
    for (const RemoteMember& member : group.remote) {
        if (member.weight == 0 || (within != nullptr && !within->has(member.index))) continue;
        if (member.index == gateway_self && here_first) return gateway_self;
        room_[member.index] = member.index == gateway_self || durable_->has_room(member.index);
    }
    PickRequest request;
    request.only_gateways = &room_;
    Pick picked = routing::pick(group, request, prng_);
    if (!picked) {
        request.only_gateways = within != nullptr ? &within->gateways : nullptr;
        request.remembered = true;
        picked = routing::pick(group, request, prng_);
    }
    return picked ? group.remote[picked.at].index : gateway_none;
}

TargetSet Node::durable_targets(const Route& route, const Scope* within) {
    std::map<GatewayIndex, Target> targets;
    const auto at = [&](GatewayIndex gateway) -> Target& {
        Target& target = targets[gateway];
        target.gateway = gateway;
        return target;
    };
    const auto allowed = [&](GatewayIndex gateway) { return within == nullptr || within->has(gateway); };
    for (const GatewayIndex gateway : route.gateways)
        if (allowed(gateway)) at(gateway).plain = true;
    for (const GatewayIndex gateway : route.remembered)
        if (allowed(gateway)) at(gateway).plain = true;
    for (const RouteGroup& group : route.groups)
        if (const GatewayIndex gateway = pick_durable(group, within); gateway != gateway_none)
            at(gateway).groups.push_back(group.queue);  // groups come ascending
    TargetSet set;
    for (auto& [gateway, target] : targets) set.push_back(std::move(target));
    return set;
}

DurablePublish Node::publish_durable(const MessageView& message, ConnectionId publisher, base::Instant now) {
    now_ = now;
    const auto hold_for_store = [&] {
        ++counters_.durable_held;
        (void)holds_.hold(publisher, Holds::For::store, hold_time_max, now);
        return DurablePublish::held;
    };
    if (store_ == StoreState::failed) {
        holds_.done(publisher);
        return DurablePublish::failed;
    }
    if (!durable_) {
        need_store();
        return hold_for_store();
    }
    if (!durable_->room_for_publish()) return hold_for_store();
    bool patient = true;
    if (!interest_known()) {
        patient = holds_.hold(publisher, Holds::For::interest, hold_time_max, now);
        if (patient) {
            ++counters_.durable_held;
            return DurablePublish::held;
        }
    }
    const Scope* within = message.header_bytes == 0 ? nullptr : scope(message.headers());
    Route& route = router_.route(durable_account(message.account), message.subject);
    TargetSetId targets = route.durable_targets;
    if (!route.groups.empty() || within != nullptr || sets_.get(targets) == nullptr) {
        const TargetSet set = durable_targets(route, within);
        if (set.empty()) {
            // Somebody listens whose durable interest is not on disk and told yet: that is a matter of milliseconds.
            if (patient && within == nullptr && router_.route(message.account, message.subject).has_taker() &&
                holds_.hold(publisher, Holds::For::interest, hold_time_max, now)) {
                ++counters_.durable_held;
                return DurablePublish::held;
            }
            ++counters_.durable_no_taker;
            holds_.done(publisher);
            return DurablePublish::no_taker;
        }
        targets = sets_.intern(set, message.account);
        if (route.groups.empty() && within == nullptr) route.durable_targets = targets;
    }
    bool ack = !message.reply.empty();
    for (const auto& filter : durable_filters_)
        if ((filter.flags & filter_ack_none) != 0 && base::matches(filter.filter, message.subject)) ack = false;
    MessageView record = message;
    if (ack) record.reply = {};  // it is for the PubAck; who gets the message must not answer there
    const queue::AckToken token = ack ? acks_first_ + acks_.size() : 0;
    switch (durable_->publish(record, targets, token, now)) {
        case queue::PublishResult::taken:
            break;
        case queue::PublishResult::stale_targets:
            BASE_CHECK(false);
            break;  // it was looked up above
        case queue::PublishResult::full:
        case queue::PublishResult::failed:
            return hold_for_store();
    }
    if (ack) acks_.push_back(PendingAck{message.account, std::string(message.reply)});
    ++counters_.durable_published;
    holds_.done(publisher);
    return DurablePublish::taken;
}

// --- Subscribers -----------------------------------------------------------------------------------------------------

void Node::subscribe_durable(const queue::DurableSubscriber& subscriber, base::Instant now) {
    now_ = now;
    if (!durable_) {
        need_store();  // the host is asked for all when it is open
        return;
    }
    if (subscribers_.insert(subscriber.id).second) durable_->subscribe(subscriber, now);
}

void Node::unsubscribe_durable(queue::SubscriberId subscriber, base::Instant now) {
    now_ = now;
    if (subscribers_.erase(subscriber) != 0) durable_->unsubscribe(subscriber, now);
}

void Node::subscriber_lost(queue::SubscriberId subscriber, base::Instant now) {
    now_ = now;
    if (subscribers_.erase(subscriber) != 0) durable_->connection_lost(subscriber, now);
}

void Node::taken(queue::SubscriberId subscriber, std::uint64_t ticket, base::Instant now) {
    now_ = now;
    if (subscribers_.contains(subscriber)) durable_->taken(subscriber, ticket, now);
}

// --- Records ---------------------------------------------------------------------------------------------------------

void Node::deliver_durable(const peer::DurableDelivery& delivery) {
    const auto account = account_of(delivery.account);
    if (!account) return;
    if (!durable_) {
        need_store();  // a gap until then
        return;
    }
    queue::DurableRecord record;
    record.run = delivery.run;
    record.position = delivery.position;
    record.prev = queue::Prev{delivery.prev.run, delivery.prev.position};
    record.plain = delivery.plain;
    record.groups = delivery.groups;
    record.message = delivery.message;
    record.message.account = *account;
    if ((delivery.flags & peer::record_flag_trace) != 0) show_trace(delivery.trace, record.message);
    durable_->on_record(delivery.origin, record, now_);
}

void Node::set_own_durable_interest(const queue::DurableInterest& interest) {
    router_.set_gateway_interest(gateway_self, durable_account(interest.account), interest.filter, interest.queue,
                                 interest.weight);
    tree_->set_interest(durable_account_name(account_name(interest.account)), interest.filter, interest.queue,
                        interest.weight, now_);
    resume_for_interest_ = true;
}

void Node::send_record(const queue::SendRecord& record) {
    const TargetSet* targets = sets_.get(record.targets);
    if (targets == nullptr) return;  // a gap, should it ever happen
    // The targets were chosen at the append; the ways to them may be others by now.
    const Scope* within = record.message.header_bytes == 0 ? nullptr : scope(record.message.headers());
    TargetSet open;
    prevs_.clear();
    for (std::size_t i = 0; i < targets->size(); ++i) {
        const GatewayIndex gateway = (*targets)[i].gateway;
        const queue::Prev& prev = outbox_.prevs[record.prevs_from + i];
        if (within != nullptr && within->bars(gateway)) {
            bar(gateway, record, prev.position);
            continue;
        }
        // What the engine gave out before it heard of a barred record of this turn.
        if (!barred_.empty() && record.position > durable_->barred(gateway) && durable_->barred(gateway) != 0) continue;
        if (within != nullptr || !barred_.empty()) open.push_back((*targets)[i]);
        prevs_.push_back(peer::PrevPosition{prev.run, prev.position});
    }
    if (prevs_.empty()) return;
    const AccountId account = sets_.account(record.targets);
    const TargetSetId set = prevs_.size() == targets->size() ? record.targets : sets_.intern(open, account);
    peer::RecordView view;
    view.message = record.message;
    if (view.message.header_bytes != 0 && peer::wants_trace(view.message.headers()))
        view.flags |= peer::record_flag_trace;
    view.run = record.run;
    view.position = record.position;
    view.prevs = prevs_.data();
    view.prev_count = prevs_.size();
    tree_->send_durable(set, account_name(account), view, now_);
}

void Node::drain_durable() {
    if (!durable_ || durable_->outbox().empty()) return;
    // Swapped out, since what the host does may lead back into the engine.
    std::swap(outbox_, durable_->outbox());
    for (queue::StoreCommand& command : outbox_.store) host_.execute(std::move(command));
    for (const queue::FlowMessage& message : outbox_.control) {
        const auto kind = message.kind == queue::FlowMessage::Kind::head ? GatewayMessage::head : GatewayMessage::at;
        tree_->send_to_gateway(message.to, static_cast<std::uint8_t>(kind), message.body, now_);
    }
    for (const queue::SendRecord& record : outbox_.records) send_record(record);
    for (const queue::DurableInterest& interest : outbox_.interest) set_own_durable_interest(interest);
    for (const queue::Delivery& delivery : outbox_.deliveries) host_.deliver_queued(delivery);
    for (const queue::PubAck& ack : outbox_.acks) acknowledge(ack);
    for (const queue::Loss& loss : outbox_.losses) {
        JsonWriter json;
        json.member("origin", base::to_hex(loss.origin.view())).member("after", loss.after);
        json.member("up_to", loss.up_to);
        host_.log(peer::LogLevel::warning, "Durable messages are lost for good: {" + json.text() + "}");
        requests_->advise("loss", json.text());
    }
    for (const queue::DumpChunk& chunk : outbox_.dumps) requests_->on_dump(chunk);
    for (const queue::LogLine& line : outbox_.log) host_.log(level_of(line.level), line.text);
    const bool reopen = outbox_.reopen_store;
    outbox_.clear();
    if (!reopen) return;
    host_.log(peer::LogLevel::error, "The store of durable messages failed and is opened again");
    durable_.reset();
    barred_.clear();
    subscribers_.clear();
    acks_first_ += acks_.size();
    acks_.clear();  // never acknowledged: their publishers ask again
    store_ = StoreState::closed;
    need_store();
}

void Node::acknowledge(const queue::PubAck& ack) {
    if (ack.token < acks_first_ || ack.token >= acks_first_ + acks_.size()) return;
    PendingAck& pending = acks_[static_cast<std::size_t>(ack.token - acks_first_)];
    if (!pending.reply.empty()) {
        const std::string reply = std::exchange(pending.reply, {});
        // Spacing and order as JetStream's, which clients compare at times.  Source: nats-server JSPubAckResponse.
        pub_ack_ = R"({"stream":"TREE_)";
        pub_ack_.append(name()).append(R"(","seq":)").append(std::to_string(ack.position)).append("}");
        MessageView message;
        message.account = pending.account;
        message.subject = reply;
        message.body = pub_ack_;
        host_.publish(message);
    }
    while (!acks_.empty() && acks_.front().reply.empty()) {
        acks_.pop_front();
        ++acks_first_;
    }
}

void Node::take_remembered(const std::vector<queue::RememberedInterest>& found) {
    for (const queue::RememberedInterest& interest : found) {
        const auto gateway = registry_.intern(interest.gateway);
        if (!gateway || *gateway == gateway_self || interest.weight == 0) continue;
        if (interest.account == filters_account) {
            kept_filters_[*gateway].try_emplace(interest.filter, static_cast<std::uint8_t>(interest.weight - 1));
            continue;
        }
        const auto account = account_of(interest.account);
        if (!account) continue;
        DurableKey key{durable_account(*account), interest.filter, interest.queue};
        const auto told = remote_durable_.find(*gateway);
        if (told != remote_durable_.end() && told->second.contains(key)) continue;
        router_.set_gateway_interest(*gateway, durable_account(*account), interest.filter, interest.queue,
                                     interest.weight);
        remembered_[*gateway].insert(std::move(key));
    }
}

void Node::remember_all() {
    for (const auto& [gateway, interests] : remote_durable_)
        for (const auto& [key, weight] : interests) {
            const auto& [account, filter, queue] = key;
            durable_->remember_interest(gateway, account_name(account & ~durable_account(0)), filter, queue, weight);
        }
    for (const auto& [gateway, filters] : kept_filters_)
        for (const auto& [filter, flags] : filters) remember_filter(gateway, filter, flags + 1u);
}

void Node::prune_remembered() {
    if (durable_ && !tree_->syncing()) durable_filters_changed();
    if (remembered_.empty() || !durable_ || tree_->syncing()) return;
    std::erase_if(remembered_, [&](const auto& entry) {
        const auto& [gateway, keys] = entry;
        if (!tree_->is_reachable(gateway)) return false;
        // Its log is here as it stands now; what it does not hold is not wanted any more.
        for (const auto& [account, filter, queue] : keys) {
            router_.set_gateway_interest(gateway, account, filter, queue, 0);
            durable_->remember_interest(gateway, account_name(account & ~durable_account(0)), filter, queue, 0);
        }
        return true;
    });
}

}  // namespace routing::node
