#include "routing/node/node.h"

#include <algorithm>
#include <utility>

#include "routing/base/subject.h"
#include "routing/node/json_writer.h"
#include "routing/node/node_message.h"
#include "routing/node/tree_requests.h"

namespace routing::node {

namespace {

/// How long until a store that could not be opened is tried again.
constexpr base::Duration store_retry_interval = std::chrono::seconds(5);

/// What durable interest of an account is filed under in the tree's logs.  No account of NATS begins like this.
constexpr std::string_view durable_prefix = "$DURABLE.";

std::uint64_t draw_nonzero(base::Prng& prng) {
    for (;;)
        if (const std::uint64_t number = prng.next(); number != 0) return number;
}

}  // namespace

Node::Node(NodeOptions options, Router& router, NodeHost& host, peer::Signer& signer, base::Instant now,
           base::WallMillis wall)
    : options_(std::move(options)),
      router_(router),
      host_(host),
      registry_(options_.tree.id),
      prng_(options_.seed),
      now_(now),
      started_(now),
      wall_(wall),
      syncing_since_(now),
      class_(options_.tree.inbox_prefixes) {
    if (options_.tree.boot == 0) options_.tree.boot = draw_nonzero(prng_);
    router_.set_reachable(gateway_self, true);  // of durable interest, which knows this gateway as one of many
    tree_.reset(new peer::Tree(options_.tree, registry_, sets_, host_, *this, signer, now, wall));
    requests_ = std::make_unique<TreeRequests>(*this);
    requests_->subscribe();
}

Node::~Node() = default;

void Node::start(base::Instant now) {
    now_ = now;
    syncing_since_ = now;
    std::vector<peer::Tree::DurableFilter> own;
    for (const auto& filter : options_.durable) own.push_back(peer::Tree::DurableFilter{filter, 0});
    tree_->set_durable_filters(own);
    // What lingers from the last run is in the store.  The other gateways must not hear of this run before it is in the
    // log: they would take it for withdrawn, and publish without us.
    class_.set_unknown(options_.store_exists);
    durable_filters_changed();
    if (class_.unknown()) host_.durable_filters_changed();
    if (options_.store_exists)
        need_store();
    else
        start_tree();
}

void Node::start_tree() {
    if (!std::exchange(tree_started_, true)) tree_->start(now_);
}

void Node::close_all(base::Instant now) {
    now_ = now;
    if (durable_) durable_->finish(now);
    tree_->close_all(now);
}

std::string_view Node::account_name(AccountId account) const {
    BASE_CHECK(account == account_global);  // the only one until accounts exist
    return account_global_name;
}

std::optional<AccountId> Node::account_of(std::string_view name) const {
    AccountId bit = 0;
    if (name.starts_with(durable_prefix)) {
        name.remove_prefix(durable_prefix.size());
        bit = durable_account(0);
    }
    if (name != account_global_name) return std::nullopt;
    return account_global | bit;
}

// --- Turns -----------------------------------------------------------------------------------------------------------

void Node::tick(base::Instant now) {
    now_ = now;
    tree_->tick(now);
    if (durable_) durable_->tick(now);
    tick_lookups();
    if (now >= store_retry_) {
        store_retry_ = base::instant_max;
        store_ = StoreState::closed;
        need_store();
    }
}

base::Instant Node::next_deadline() const {
    base::Instant next = std::min({tree_->next_deadline(), lookups_.next_deadline(), holds_.next_deadline(),
                                   store_retry_, watch_.next_deadline()});
    if (durable_) next = std::min(next, durable_->next_deadline());
    return next;
}

void Node::end_turn(base::Instant now) {
    now_ = now;
    watch_.look(
        *tree_, now,
        [this](const GatewayId& id) {
            const auto index = registry_.find(id);
            const std::string_view known = index ? tree_->name(*index) : std::string_view();
            return known.empty() ? base::to_hex(id.view()) : std::string(known);
        },
        [this](std::string_view kind, std::string_view members) { requests_->advise(kind, members); });
    try_barred();
    // Each step may give the others something to do, but every round consumes what it was given.
    for (;;) {
        std::vector<Outgoing> outgoing = std::exchange(outgoing_, {});
        for (Outgoing& one : outgoing) {
            if (one.kind == Outgoing::Kind::bounce)
                bounce(one);
            else if (one.kind == Outgoing::Kind::repick)
                pick_again(one);
            else
                forward_to_inbox(one);
        }
        const bool answered = requests_->answer();
        if (durable_) durable_->flush(now);
        drain_durable();
        tell_unbarred();
        resume_held();
        if (outgoing.empty() && !answered && !requests_->waiting() && outgoing_.empty() &&
            (!durable_ || durable_->outbox().empty()))
            return;
    }
}

// --- Interest --------------------------------------------------------------------------------------------------------

void Node::on_interest(ShardIndex shard, std::span<const InterestChange> changes, base::Instant now) {
    now_ = now;
    for (const InterestChange& change : changes) {
        const auto weight = interest_.set(shard, change);
        if (!weight) continue;
        const std::string_view root = std::string_view(change.filter).substr(0, change.filter.find('.'));
        if (!tree_->is_propagated(change.filter)) {
            if (!is_inbox_filter(change.filter, root)) continue;
            InboxKey key{change.account, std::string(inbox_prefix(change.filter))};
            if (*weight != 0) {
                own_inboxes_[std::move(key)].emplace(change.filter, change.queue);
            } else if (const auto found = own_inboxes_.find(key); found != own_inboxes_.end()) {
                found->second.erase({change.filter, change.queue});
                if (found->second.empty()) own_inboxes_.erase(found);
            }
            continue;
        }
        if (!tree_->set_interest(account_name(change.account), change.filter, change.queue, *weight, now))
            host_.log(peer::LogLevel::warning,
                      "The tree's log is full: interest in '" + change.filter + "' stays unknown to other gateways");
    }
}

void Node::remote_interest(GatewayIndex gateway, std::string_view account, std::string_view filter,
                           std::string_view queue, std::uint32_t weight) {
    const auto id = account_of(account);
    if (!id || !base::is_valid_filter(filter)) return;  // an account that this gateway does not have
    router_.set_gateway_interest(gateway, *id, filter, queue, weight);
    if ((*id & durable_account(0)) == 0) {
        host_.gateway_interest(gateway, *id, filter, queue, weight);
        return;
    }
    DurableKey key{*id, std::string(filter), std::string(queue)};
    if (const auto found = remembered_.find(gateway); found != remembered_.end()) found->second.erase(key);
    if (weight == 0)
        remote_durable_[gateway].erase(key);
    else
        remote_durable_[gateway][key] = weight;
    if (durable_) durable_->remember_interest(gateway, account_name(*id & ~durable_account(0)), filter, queue, weight);
    resume_for_interest_ = true;
}

void Node::reachable(GatewayIndex gateway, bool reachable, std::uint64_t boot) {
    if (router_.reachable(gateway) != reachable) reachable ? ++reachable_count_ : --reachable_count_;
    router_.set_reachable(gateway, reachable);
    forget_scopes();
    host_.gateway_reachable(gateway, reachable);
    std::uint64_t& known = boots_[gateway];
    const bool restarted = known != 0 && boot != 0 && known != boot;
    if (boot != 0) known = boot;
    if (durable_) {
        if (restarted) durable_->set_reachable(gateway, false, now_);
        durable_->set_reachable(gateway, reachable, now_);
    }
    prune_remembered();
    resume_for_interest_ = true;
}

void Node::forgotten(GatewayIndex gateway) {
    // What it wanted is withdrawn with its log, as far as there is one.
    if (const auto found = remembered_.find(gateway); found != remembered_.end()) {
        for (const auto& [account, filter, queue] : found->second) {
            router_.set_gateway_interest(gateway, account, filter, queue, 0);
            if (durable_)
                durable_->remember_interest(gateway, account_name(account & ~durable_account(0)), filter, queue, 0);
        }
        remembered_.erase(found);
    }
    if (const auto kept = kept_filters_.find(gateway); kept != kept_filters_.end()) {
        for (const auto& [filter, flags] : kept->second) remember_filter(gateway, filter, 0);
        kept_filters_.erase(kept);
    }
    if (durable_) durable_->give_up(gateway, now_);
    barred_.erase(gateway);
    const std::string_view known = tree_->name(gateway);
    const std::string id = base::to_hex(registry_.id(gateway).view());
    JsonWriter json;
    json.member("member", known.empty() ? std::string_view(id) : known).member("member_id", id);
    requests_->advise("forgotten", json.text());
}

void Node::ways_changed() {
    forget_scopes();
    watch_.look_again();
    for (GatewayIndex gateway = 1; gateway < registry_.size(); ++gateway) {
        if (!tree_->is_reachable(gateway)) continue;
        const auto distance = static_cast<std::uint16_t>(std::min<std::uint32_t>(tree_->distance(gateway), 0xffff));
        router_.set_distance(gateway, distance);
        host_.gateway_distance(gateway, distance);
    }
}

void Node::syncing_changed(bool syncing) {
    if (syncing) syncing_since_ = now_;
    host_.syncing(syncing);
    prune_remembered();
    resume_for_interest_ = true;
}

bool Node::hold_request(ConnectionId connection, base::Instant now) {
    now_ = now;
    if (!tree_->syncing() || now >= syncing_since_ + hold_time_max) return false;
    return holds_.hold(connection, Holds::For::interest, syncing_since_ + hold_time_max - now, now);
}

void Node::connection_closed(ConnectionId connection) {
    holds_.done(connection);
}

void Node::resume_held() {
    if (holds_.empty()) return;
    const bool interest = std::exchange(resume_for_interest_, false);
    const bool store = store_ == StoreState::failed || (durable_ && durable_->room_for_publish());
    for (const ConnectionId connection : holds_.take_ready(interest, store, now_)) host_.resume(connection);
}

void Node::advisory(std::string_view kind, std::string_view members) {
    requests_->advise(kind, members);
}

// --- The store -------------------------------------------------------------------------------------------------------

void Node::need_store() {
    if (store_ != StoreState::closed) return;
    store_ = StoreState::opening;
    host_.open_store();
}

void Node::on_store_opened(queue::RecoveredState state, base::Instant now) {
    now_ = now;
    BASE_CHECK(store_ == StoreState::opening);
    store_ = StoreState::open;
    // A store that failed and was opened again may have lost what was accepted: to origins and targets it is a new
    // start.
    options_.queue.run = draw_nonzero(prng_);
    options_.queue.boot = draw_nonzero(prng_);
    take_remembered(state.remembered);
    durable_ = std::make_unique<queue::Durable>(options_.queue, registry_, sets_, std::move(state), now);
    remember_all();
    for (GatewayIndex gateway = 1; gateway < registry_.size(); ++gateway)
        if (tree_->is_reachable(gateway)) durable_->set_reachable(gateway, true, now);
    drain_durable();  // the interest that lingers
    start_tree();
    prune_remembered();
    class_.set_unknown(false);
    durable_filters_changed();        // with those that were found in the store
    host_.durable_filters_changed();  // those who subscribed before come now
    resume_for_interest_ = true;
}

void Node::on_store_failed(std::string_view reason, base::Instant now) {
    now_ = now;
    class_.set_unknown(false);  // what is not known now must do
    host_.durable_filters_changed();
    store_ = StoreState::failed;
    store_retry_ = now + store_retry_interval;
    host_.log(peer::LogLevel::error, "The store of durable messages cannot be opened: " + std::string(reason) +
                                         (tree_started_ ? "" : "; no link is made until it is"));
}

void Node::on_store_done(queue::StoreDone done, base::Instant now) {
    now_ = now;
    if (durable_) durable_->on_store_done(std::move(done), now);
}

bool Node::settled() const {
    return !durable_ || durable_->settled();
}

void Node::on_local(const MessageView& message, bool trusted, base::Instant now) {
    now_ = now;
    requests_->on_request(message, trusted);
}

}  // namespace routing::node
