// Node's volatile side: messages to and from other gateways, groups whose pick had to be made again, the way of
// replies.
#include <algorithm>
#include <utility>

#include "routing/node/node.h"
#include "routing/node/node_message.h"
#include "routing/peer/path_engine.h"
#include "routing/peer/record.h"
#include "routing/peer/trace.h"

namespace routing::node {

namespace {

// Bits of a record's flags that are the sender's own (record.h).
constexpr std::uint8_t flag_bounced = peer::record_flag_bounced;  ///< back: the picked group had lost its members
constexpr std::uint8_t flag_picked_again = 0x20;  ///< bounced once; if it finds nobody again it is dropped
constexpr std::uint8_t flag_inbox = 0x40;         ///< a reply on the way to its inbox: every group there is served
/// With flag_inbox: it was where a memory said, in vain.  Who finds nobody again asks the tree: memories of places
/// where a requester has been may lead round in a circle.
constexpr std::uint8_t flag_forwarded = flag_picked_again;

/// Adds plain service at `gateway` to an ascending target set.
void add_plain(TargetSet& targets, GatewayIndex gateway) {
    const auto at = std::lower_bound(targets.begin(), targets.end(), gateway,
                                     [](const Target& target, GatewayIndex index) { return target.gateway < index; });
    if (at != targets.end() && at->gateway == gateway)
        at->plain = true;
    else
        targets.insert(at, Target{gateway, true, {}});
}

/// Adds one group at `gateway`.
void add_group(TargetSet& targets, GatewayIndex gateway, std::string_view group) {
    auto at = std::lower_bound(targets.begin(), targets.end(), gateway,
                               [](const Target& target, GatewayIndex index) { return target.gateway < index; });
    if (at == targets.end() || at->gateway != gateway) at = targets.insert(at, Target{gateway, false, {}});
    const auto place = std::lower_bound(at->groups.begin(), at->groups.end(), group);
    if (place == at->groups.end() || *place != group) at->groups.insert(place, std::string(group));
}

}  // namespace

// --- Out -------------------------------------------------------------------------------------------------------------

Remote Node::send(const MessageView& message, TargetSetId targets, std::uint8_t flags) {
    if (message.header_bytes != 0 && peer::wants_trace(message.headers())) flags |= peer::record_flag_trace;
    tree_->send_volatile(targets, account_name(message.account), message, flags, now_);
    return Remote::sent;
}

TargetSetId Node::remote_targets(Route& route, std::span<const GroupPick> picks, AccountId account) {
    // Plain gateways alone, or with one pick: the same for every message of a cached route.
    TargetSetId* cached = nullptr;
    if (picks.empty()) {
        cached = &route.volatile_targets;
    } else if (picks.size() == 1) {
        cached = &route.groups[picks[0].group].remote[picks[0].member].target_set;
    }
    if (cached != nullptr && sets_.get(*cached) != nullptr) return *cached;
    TargetSet targets;
    for (const GatewayIndex gateway : route.gateways) add_plain(targets, gateway);
    for (const GroupPick& pick : picks) {
        const RouteGroup& group = route.groups[pick.group];
        const RemoteMember& member = group.remote[pick.member];
        BASE_CHECK(member.kind == RemoteMember::Kind::gateway);
        add_group(targets, member.index, group.queue);
    }
    const TargetSetId id = sets_.intern(targets, account);
    if (cached != nullptr) *cached = id;
    return id;
}

Remote Node::publish_volatile(const MessageView& message, Route& route, std::span<const GroupPick> picks,
                              ConnectionId publisher, base::Instant now) {
    now_ = now;
    if (class_.is_inbox(message.subject)) {
        TargetSet targets;
        for (const GatewayIndex gateway : route.gateways) add_plain(targets, gateway);
        for (const GroupPick& pick : picks) {
            const RouteGroup& group = route.groups[pick.group];
            add_group(targets, group.remote[pick.member].index, group.queue);
        }
        return publish_to_inbox(message, std::move(targets), publisher);
    }
    if (route.gateways.empty() && picks.empty()) return Remote::nobody;
    ++counters_.volatile_out;
    return send(message, remote_targets(route, picks, message.account), 0);
}

Remote Node::publish_volatile(const MessageView& message, const TargetSet& targets, ConnectionId publisher,
                              base::Instant now) {
    now_ = now;
    if (class_.is_inbox(message.subject)) return publish_to_inbox(message, targets, publisher);
    if (targets.empty()) return Remote::nobody;
    ++counters_.volatile_out;
    return send(message, sets_.intern(targets, message.account), 0);
}

// --- Messages that say where they may go -----------------------------------------------------------------------------

const Scope* Node::scope(base::ByteView headers) {
    if (!find_targeting(headers, scope_lines_)) return nullptr;
    const Scope& found = scope_of(scope_lines_);
    counters_.targeting_malformed += found.malformed ? 1 : 0;
    return &found;
}

const Scope& Node::scope_of(std::string_view lines) {
    auto found = scopes_.find(lines);
    if (found == scopes_.end()) {
        if (scopes_.size() >= scopes_max) scopes_.clear();
        found = scopes_.emplace(std::string(lines), make_scope(lines)).first;
    }
    return found->second;
}

void Node::forget_scopes() {
    scopes_.clear();
    ways_new_ = true;
    host_.scopes_changed();
}

Scope Node::make_scope(std::string_view lines) {
    Scope scope;
    const auto targeting = read_targeting(lines);
    if (!targeting.ok()) {
        scope.malformed = true;
        host_.log(peer::LogLevel::debug, "A message goes nowhere: " + targeting.error());
        return scope;
    }
    peer::PathEngine& paths = tree_->paths();
    scope.gateways.resize(registry_.size());
    std::vector<Prime> forbidden;
    for (GatewayIndex gateway = 0; gateway < registry_.size(); ++gateway) {
        const bool excluded = is_one_of(targeting.value().forbid, gateway);
        if (excluded) forbidden.push_back(paths.prime_of(gateway));
        scope.gateways[gateway] =
            !excluded && (!targeting.value().narrowed || is_one_of(targeting.value().to, gateway));
    }
    if (forbidden.empty()) return scope;
    // Who lives behind a forbidden gateway: the number of the path there can be divided by its prime.
    scope.barred.resize(registry_.size());
    for (GatewayIndex gateway = 1; gateway < registry_.size(); ++gateway) {
        if (!divisible(paths.explain({Target{gateway, true, {}}}).factors, forbidden)) continue;
        scope.barred[gateway] = true;
        scope.gateways[gateway] = false;
    }
    return scope;
}

/// Leaves of `targets` those where the message may go.
void Node::narrow(const MessageView& message, TargetSet& targets) {
    const Scope* within = message.header_bytes == 0 ? nullptr : scope(message.headers());
    if (within != nullptr) std::erase_if(targets, [&](const Target& target) { return !within->has(target.gateway); });
}

Remote Node::publish_within(const Scope& scope, const MessageView& message, const Route& route,
                            std::span<const GroupPick> picks, ConnectionId publisher, base::Instant now) {
    TargetSet targets;
    for (const GatewayIndex gateway : route.gateways)
        if (scope.has(gateway)) add_plain(targets, gateway);
    for (const GroupPick& pick : picks) {
        const RouteGroup& group = route.groups[pick.group];
        add_group(targets, group.remote[pick.member].index, group.queue);
    }
    return publish_volatile(message, targets, publisher, now);
}

// --- Replies ---------------------------------------------------------------------------------------------------------

Remote Node::publish_to_inbox(const MessageView& message, TargetSet targets, ConnectionId publisher) {
    const std::string_view prefix = inbox_prefix(message.subject);
    const bool ours = own_inboxes_.contains(InboxView{message.account, prefix});
    std::uint8_t flags = 0;
    if (!ours) {
        const auto found = inboxes_.find(message.account, prefix, now_);
        const bool known = found.answer == InboxMemory::Answer::lives_at && tree_->is_reachable(found.gateway);
        const Scope* within = message.header_bytes == 0 ? nullptr : scope(message.headers());
        if (known && within != nullptr && !within->has(found.gateway)) {
            // It may not go where its inbox is.
        } else if (known && targets.empty()) {  // the usual case, without an allocation
            ++counters_.inbox_routed;
            ++counters_.volatile_out;
            return send(message, reply_target(found.gateway, message.account), flag_inbox);
        } else if (known) {
            add_plain(targets, found.gateway);
            flags = flag_inbox;
            ++counters_.inbox_routed;
        } else if (found.answer != InboxMemory::Answer::nowhere && reachable_count_ != 0) {
            // What is plain waits for the answer, so that a gateway which both has the inbox and wants all replies
            // gets one copy; groups were picked and go now.
            switch (lookups_.wait(publisher, message, now_)) {
                case Lookups::Asked::started:
                    ask_for_inbox(account_name(message.account), message.subject);
                    [[fallthrough]];
                case Lookups::Asked::joined:
                    std::erase_if(targets, [](Target& target) {
                        target.plain = false;
                        return target.groups.empty();
                    });
                    if (!targets.empty()) send(message, sets_.intern(targets, message.account), 0);
                    return Remote::asked;
                case Lookups::Asked::refused:
                    ++counters_.lookups_dropped;
                    break;
            }
        }
    }
    if (targets.empty()) return Remote::nobody;
    ++counters_.volatile_out;
    return send(message, sets_.intern(targets, message.account), flags);
}

TargetSetId Node::reply_target(GatewayIndex gateway, AccountId account) {
    BASE_CHECK(account == account_global);  // one table until there are more accounts
    if (reply_targets_.size() <= gateway) reply_targets_.resize(gateway + 1);
    TargetSetId& id = reply_targets_[gateway];
    if (sets_.get(id) == nullptr) id = sets_.intern(TargetSet{Target{gateway, true, {}}}, account);
    return id;
}

void Node::ask_for_inbox(std::string_view account, std::string_view subject) {
    ++counters_.lookups_asked;
    const base::Bytes body = encode(InboxQuestion{account, subject});
    for (GatewayIndex gateway = 1; gateway < registry_.size(); ++gateway)
        if (tree_->is_reachable(gateway))
            tree_->send_to_gateway(gateway, static_cast<std::uint8_t>(GatewayMessage::lookup), body, now_);
}

void Node::on_question(GatewayIndex from, base::ByteView body) {
    const auto question = decode_question(body);
    if (!question) return;
    const auto account = account_of(question->account);
    if (!account || (*account & durable_account(0)) != 0) return;
    if (!own_inboxes_.contains(InboxView{*account, inbox_prefix(question->subject)})) return;
    ++counters_.lookups_answered;
    tree_->send_to_gateway(from, static_cast<std::uint8_t>(GatewayMessage::lookup_here), body, now_);
}

void Node::inbox_found(GatewayIndex gateway, AccountId account, std::string_view subject) {
    const std::string_view prefix = inbox_prefix(subject);
    inboxes_.remember(account, prefix, gateway, now_);
    for (const HeldMessage& message : lookups_.answered(account, prefix)) {
        TargetSet targets;
        if (!message.forwarded)
            for (const GatewayIndex plain : router_.route(account, message.subject).gateways) add_plain(targets, plain);
        add_plain(targets, gateway);
        narrow(message.view(), targets);
        if (targets.empty()) {
            ++counters_.lookups_dropped;
            continue;
        }
        ++counters_.inbox_routed;
        ++counters_.volatile_out;
        send(message.view(), sets_.intern(targets, account),
             static_cast<std::uint8_t>(flag_inbox | (message.forwarded ? flag_forwarded : 0)));
    }
}

void Node::forward_to_inbox(Outgoing& outgoing) {
    const MessageView message = outgoing.message.view();
    auto found = inboxes_.find(message.account, inbox_prefix(message.subject), now_);
    if (outgoing.again && found.answer == InboxMemory::Answer::lives_at) {
        inboxes_.forget(message.account, inbox_prefix(message.subject));
        found = {};
    }
    // Who told us that it lives here is not where it has gone.
    if (found.answer == InboxMemory::Answer::lives_at && found.gateway != outgoing.gateway &&
        tree_->is_reachable(found.gateway)) {
        TargetSet targets{Target{found.gateway, true, {}}};
        narrow(message, targets);
        if (targets.empty()) {
            ++counters_.lookups_dropped;
            return;
        }
        ++counters_.inbox_forwarded;
        send(message, sets_.intern(targets, message.account), flag_inbox | flag_forwarded);
        return;
    }
    if (found.answer == InboxMemory::Answer::nowhere) {
        ++counters_.lookups_dropped;
        return;
    }
    switch (lookups_.wait(Lookups::asker_of(outgoing.gateway), message, now_, true)) {
        case Lookups::Asked::started:
            ask_for_inbox(account_name(message.account), message.subject);
            break;
        case Lookups::Asked::joined:
            break;
        case Lookups::Asked::refused:
            ++counters_.lookups_dropped;
            break;
    }
}

void Node::tick_lookups() {
    if (lookups_.open() == 0) return;
    Lookups::Due due = lookups_.tick(now_);
    for (const auto& question : due.repeat) ask_for_inbox(account_name(question.account), question.subject);
    for (const auto& question : due.gave_up) inboxes_.remember_nowhere(question.account, question.prefix, now_);
    for (const HeldMessage& message : due.given_up) {
        // Nobody has the inbox; those who want all replies get it all the same.
        TargetSet targets;
        if (!message.forwarded)
            for (const GatewayIndex plain : router_.route(message.account, message.subject).gateways)
                add_plain(targets, plain);
        narrow(message.view(), targets);
        if (targets.empty())
            ++counters_.lookups_dropped;
        else
            send(message.view(), sets_.intern(targets, message.account), 0);
    }
}

// --- In --------------------------------------------------------------------------------------------------------------

void Node::gateway_message(GatewayIndex from, std::uint8_t kind, base::ByteView body) {
    switch (static_cast<GatewayMessage>(kind)) {
        case GatewayMessage::head:
            if (durable_)
                durable_->on_head(from, body, now_);
            else
                need_store();  // it is repeated
            return;
        case GatewayMessage::at:
            if (durable_) durable_->on_at(from, body, now_);
            return;
        case GatewayMessage::lookup:
            on_question(from, body);
            return;
        case GatewayMessage::lookup_here: {
            const auto question = decode_question(body);
            if (!question) return;
            const auto account = account_of(question->account);
            if (account && (*account & durable_account(0)) == 0) inbox_found(from, *account, question->subject);
            return;
        }
    }
    // A kind that a later version speaks: not for us.
}

void Node::show_trace(base::ByteView trace, MessageView& message) {
    if (!peer::read_trace(trace, hops_)) return;
    traced_ = peer::with_trace_headers(message.headers(), hops_, [this](const GatewayId& id) {
        const auto gateway = registry_.find(id);
        const std::string_view known = !gateway                   ? std::string_view()
                                       : *gateway == gateway_self ? std::string_view(name())
                                                                  : tree_->name(*gateway);
        return known.empty() ? base::to_hex(id.view()) : std::string(known);
    });
    const auto header_bytes = static_cast<std::uint32_t>(traced_.size());
    traced_.append(message.payload());
    message.body = traced_;
    message.header_bytes = header_bytes;
}

void Node::deliver(const peer::VolatileDelivery& delivery) {
    const auto account = account_of(delivery.account);
    if (!account) return;
    MessageView message = delivery.message;
    message.account = *account;
    ++counters_.volatile_in;
    if ((delivery.flags & flag_bounced) != 0) {
        for (const auto& group : *delivery.groups)
            outgoing_.push_back(
                Outgoing{Outgoing::Kind::repick, delivery.origin, std::string(group), HeldMessage(message)});
        return;
    }
    if (!message.reply.empty() && !tree_->is_propagated(message.reply))
        inboxes_.remember(*account, inbox_prefix(message.reply), delivery.origin, now_);
    const MessageView untraced = message;
    if ((delivery.flags & peer::record_flag_trace) != 0) {
        show_trace(delivery.trace, message);
    }
    groups_.assign(delivery.groups->begin(), delivery.groups->end());
    served_.takers = 0;
    served_.lost.clear();
    host_.deliver_local(message, Serve{delivery.plain, (delivery.flags & flag_inbox) != 0, groups_}, served_);
    for (const std::uint32_t lost : served_.lost) {
        if ((delivery.flags & flag_picked_again) != 0) {
            ++counters_.bounce_dropped;
            continue;
        }
        outgoing_.push_back(
            Outgoing{Outgoing::Kind::bounce, delivery.origin, std::string(groups_[lost]), HeldMessage(untraced)});
    }
    if (served_.takers != 0) return;
    if ((delivery.flags & flag_inbox) != 0)
        outgoing_.push_back(Outgoing{Outgoing::Kind::forward,
                                     delivery.origin,
                                     {},
                                     HeldMessage(untraced),
                                     (delivery.flags & flag_forwarded) != 0});
    else if (served_.lost.empty())
        ++counters_.no_taker_here;
}

// --- Groups that lost their members ----------------------------------------------------------------------------------

void Node::bounce(Outgoing& outgoing) {
    if (!tree_->is_reachable(outgoing.gateway)) {
        ++counters_.bounce_dropped;
        return;
    }
    ++counters_.bounced_back;
    TargetSet back;
    add_group(back, outgoing.gateway, outgoing.group);
    send(outgoing.message.view(), sets_.intern(back, outgoing.message.account), flag_bounced);
}

void Node::pick_again(Outgoing& outgoing) {
    ++counters_.picked_again;
    const MessageView message = outgoing.message.view();
    const std::string_view group_name = outgoing.group;
    PickRequest request;
    request.excluded_gateway = outgoing.gateway;
    if (const Scope* within = message.header_bytes == 0 ? nullptr : scope(message.headers())) within->narrow(request);
    const Route& route = router_.route(message.account, message.subject);
    const RouteGroup* group = route.find_group(group_name);
    Pick pick = group == nullptr ? Pick{} : routing::pick(*group, request, prng_);
    if (pick.kind == Pick::Kind::local || pick.kind == Pick::Kind::shard) {
        served_.takers = 0;
        served_.lost.clear();
        host_.deliver_local(message, Serve{false, false, std::span(&group_name, 1)}, served_);
        if (served_.lost.empty()) return;
        request.local = false;
        request.shards = false;
        group = router_.route(message.account, message.subject).find_group(group_name);
        pick = group == nullptr ? Pick{} : routing::pick(*group, request, prng_);
    }
    if (pick.kind != Pick::Kind::gateway) {
        ++counters_.bounce_dropped;
        return;
    }
    TargetSet targets;
    add_group(targets, group->remote[pick.at].index, group_name);
    send(message, sets_.intern(targets, message.account), flag_picked_again);
}

}  // namespace routing::node
