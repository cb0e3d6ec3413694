#include "routing/router.h"

#include <algorithm>

#include "routing/base/hash.h"
#include "routing/route_cache.h"

namespace routing {

namespace {

// Emptied groups that are kept for later.  Source: more groups on one subject than this are rare.
constexpr std::size_t spare_groups_max = 64;

// A queue group's places come once per filter that matches: sorts them and adds up the weights of each place.
void merge_places(RouteGroup& group) {
    const auto before = [](const RemoteMember& a, const RemoteMember& b) {
        return a.kind != b.kind ? a.kind < b.kind : a.index < b.index;
    };
    std::sort(group.remote.begin(), group.remote.end(), before);
    std::size_t kept = 0;
    for (const RemoteMember& member : group.remote) {
        if (kept > 0 && !before(group.remote[kept - 1], member)) {
            group.remote[kept - 1].weight += member.weight;
        } else {
            group.remote[kept++] = member;
        }
    }
    group.remote.resize(kept);
    for (const RemoteMember& member : group.remote) {
        if (member.kind == RemoteMember::Kind::shard) {
            group.shard_weight += member.weight;
        } else if (member.reachable) {
            group.reachable_weight += member.weight;
        } else {
            group.remembered_weight += member.weight;
        }
    }
}

template <typename T>
void sort_unique(std::vector<T>& items) {
    std::sort(items.begin(), items.end());
    items.erase(std::unique(items.begin(), items.end()), items.end());
}

}  // namespace

Router::Router(RouterOptions options)
    : hash_seed_(options.hash_seed),
      index_(options.hash_seed),
      cache_(std::make_unique<RouteCache>(options.cache_entries, options.cache_receivers_max)),
      nobody_(std::make_unique<CachedRoute>()) {
    last_ = nobody_.get();
    set_queue_policies(std::move(options.queue_policies));
}

Router::~Router() = default;

// ---- Interest -------------------------------------------------------------------------------------------------------

std::uint32_t Router::find_queue(std::string_view queue) const {
    return queue_index_.find(base::hash_bytes(queue, hash_seed_),
                             [&](std::uint32_t id) { return queues_[id].text == queue; });
}

std::uint32_t Router::use_queue(std::string_view queue) {
    std::uint32_t id = find_queue(queue);
    if (id == index_none) {
        id = queues_.allocate();
        queues_[id].text = queue;
        queue_index_.insert(base::hash_bytes(queue, hash_seed_), id);
    }
    ++queues_[id].uses;
    return id;
}

void Router::release_queue(std::uint32_t queue) {
    if (--queues_[queue].uses > 0) return;
    queue_index_.erase(base::hash_bytes(queues_[queue].text, hash_seed_), queue);
    queues_.free(queue);
}

std::uint64_t Router::interest_hash(FilterId filter, PlaceKind kind, std::uint32_t place, std::uint32_t queue) const {
    const std::uint64_t where = (static_cast<std::uint64_t>(kind) << 32) | place;
    const std::uint64_t what = (static_cast<std::uint64_t>(filter) << 32) | queue;
    return base::mix_bits(what ^ base::mix_bits(where ^ hash_seed_));
}

std::uint32_t Router::find_interest(FilterId filter, PlaceKind kind, std::uint32_t place,
                                    std::string_view queue_name) const {
    std::uint32_t queue = index_none;
    if (!queue_name.empty()) {
        queue = find_queue(queue_name);
        if (queue == index_none) return index_none;
    }
    return interest_index_.find(interest_hash(filter, kind, place, queue), [&](std::uint32_t id) {
        const Interest& interest = interests_[id];
        return interest.filter == filter && interest.queue == queue && interest.kind == kind && interest.place == place;
    });
}

std::uint32_t Router::make_interest(FilterId filter, PlaceKind kind, std::uint32_t place, std::string_view queue) {
    const std::uint32_t id = interests_.allocate();
    BASE_CHECK(id < grouped_bit - 1);
    Interest& interest = interests_[id];
    interest.filter = filter;
    interest.queue = queue.empty() ? index_none : use_queue(queue);
    interest.kind = kind;
    interest.place = place;
    std::uint32_t& first = index_.use(filter).interests;
    interest.next = first;
    if (first != index_none) interests_[first].previous = id;
    first = id;
    interest_index_.insert(interest_hash(filter, kind, place, interest.queue), id);
    return id;
}

void Router::remove_interest(std::uint32_t id) {
    const Interest& interest = interests_[id];
    const FilterId filter = interest.filter;
    interest_index_.erase(interest_hash(filter, interest.kind, interest.place, interest.queue), id);
    if (interest.next != index_none) interests_[interest.next].previous = interest.previous;
    if (interest.previous != index_none) {
        interests_[interest.previous].next = interest.next;
    } else {
        index_.use(filter).interests = interest.next;
    }
    if (interest.queue != index_none) release_queue(interest.queue);
    interests_.free(id);
    release(filter);
}

// Takes a filter out that nobody wants any more.
void Router::release(FilterId filter) {
    if (index_.use(filter).unused()) index_.erase(filter);
}

// The first subscription of those that `want` stands for.
std::uint32_t& Router::first_of(Want want) {
    return is_grouped(want) ? interest_of(want).members : index_.use(want).plain;
}

SubscriptionId Router::subscribe(AccountId account, std::string_view filter, std::string_view queue,
                                 ConnectionId connection) {
    const FilterId at = index_.insert(account, filter);
    Want want = at;
    if (!queue.empty()) {
        std::uint32_t interest = find_interest(at, PlaceKind::local, 0, queue);
        if (interest == index_none) interest = make_interest(at, PlaceKind::local, 0, queue);
        ++interests_[interest].weight;
        want = interest | grouped_bit;
    }
    const std::uint32_t slot = subscriptions_.allocate();
    Subscription& subscription = subscriptions_[slot];
    std::uint32_t& first = first_of(want);
    subscription.connection = connection;
    subscription.want = want;
    subscription.next = first;
    if (++subscription.generation == 0) ++subscription.generation;
    if (first != index_none) subscriptions_[first].previous = slot;
    first = slot;
    mark_dirty(want);
    outdate(at);
    return {slot, subscription.generation};
}

bool Router::alive(SubscriptionId id) const {
    return id.slot < subscriptions_.end() && subscriptions_[id.slot].generation == id.generation &&
           subscriptions_[id.slot].want != index_none;
}

bool Router::unsubscribe(SubscriptionId id) {
    if (!alive(id)) return false;
    const Subscription gone = subscriptions_[id.slot];
    if (gone.next != index_none) subscriptions_[gone.next].previous = gone.previous;
    (gone.previous != index_none ? subscriptions_[gone.previous].next : first_of(gone.want)) = gone.next;
    subscriptions_.free(id.slot);
    subscriptions_[id.slot].generation = gone.generation;
    if (is_grouped(gone.want)) --interest_of(gone.want).weight;
    outdate(is_grouped(gone.want) ? interest_of(gone.want).filter : gone.want);
    mark_dirty(gone.want);  // without members it stays until next_change() has told it
    return true;
}

std::uint32_t Router::local_weight(AccountId account, std::string_view filter, std::string_view queue) const {
    const FilterId at = index_.find(account, filter);
    if (at == filter_none) return 0;
    if (!queue.empty()) {
        const std::uint32_t found = find_interest(at, PlaceKind::local, 0, queue);
        return found == index_none ? 0 : interests_[found].weight;
    }
    std::uint32_t count = 0;
    for (std::uint32_t slot = index_.use(at).plain; slot != index_none; slot = subscriptions_[slot].next) ++count;
    return count;
}

void Router::mark_dirty(Want want) {
    bool& dirty = is_grouped(want) ? interest_of(want).dirty : index_.use(want).dirty;
    if (dirty) return;
    dirty = true;
    dirty_.push_back(want);
}

std::vector<InterestChange> Router::take_changes() {
    std::vector<InterestChange> changes;
    for (InterestChangeView change; next_change(change);)
        changes.push_back({change.account, std::string(change.filter), std::string(change.queue), change.weight});
    return changes;
}

bool Router::next_change(InterestChangeView& change) {
    while (has_changes()) {
        const Want want = dirty_[dirty_done_++];
        const FilterId filter = is_grouped(want) ? interest_of(want).filter : want;
        const std::string_view text = index_.text(filter);
        change.account = index_.account(filter);
        told_text_ = text;
        bool news = false;
        if (is_grouped(want)) {
            Interest& interest = interest_of(want);
            interest.dirty = false;
            change.weight = interest.weight;
            news = interest.told != interest.weight;
            interest.told = interest.weight;
            told_text_ += queues_[interest.queue].text;
            if (interest.weight == 0) remove_interest(want & ~grouped_bit);
        } else {
            FilterUse& use = index_.use(filter);
            const bool wanted = use.plain != index_none;
            use.dirty = false;
            change.weight = wanted ? 1 : 0;
            news = use.told != wanted;
            use.told = wanted;
            release(filter);
        }
        if (!news) continue;
        change.filter = std::string_view(told_text_).substr(0, text.size());
        change.queue = std::string_view(told_text_).substr(text.size());
        return true;
    }
    dirty_.clear();
    dirty_done_ = 0;
    return false;
}

void Router::set_place_interest(PlaceKind kind, std::uint32_t place, AccountId account, std::string_view filter,
                                std::string_view queue, std::uint32_t weight) {
    if (weight == 0) {
        const FilterId at = index_.find(account, filter);
        if (at == filter_none) return;
        const std::uint32_t found = find_interest(at, kind, place, queue);
        if (found == index_none) return;
        outdate(at);
        remove_interest(found);
        return;
    }
    const FilterId at = index_.insert(account, filter);
    std::uint32_t found = find_interest(at, kind, place, queue);
    if (found == index_none) {
        found = make_interest(at, kind, place, queue);
    } else if (interests_[found].weight == weight || queue.empty()) {
        return;
    }
    interests_[found].weight = weight;
    outdate(at);
}

// Whether a sibling has plain subscriptions.
void Router::set_sibling(ShardIndex shard, AccountId account, std::string_view filter, bool wants) {
    const FilterId at = wants ? index_.insert(account, filter) : index_.find(account, filter);
    if (at == filter_none) return;
    std::uint8_t& siblings = index_.use(at).siblings;
    const auto bit = static_cast<std::uint8_t>(1U << shard);
    if (((siblings & bit) != 0) == wants) return;
    siblings ^= bit;
    outdate(at);
    release(at);
}

void Router::set_shard_interest(ShardIndex shard, AccountId account, std::string_view filter, std::string_view queue,
                                std::uint32_t weight) {
    BASE_CHECK(shard < router_shards_max);
    if (queue.empty()) {
        set_sibling(shard, account, filter, weight != 0);
    } else {
        set_place_interest(PlaceKind::shard, shard, account, filter, queue, weight);
    }
}

void Router::set_gateway_interest(GatewayIndex gateway, AccountId account, std::string_view filter,
                                  std::string_view queue, std::uint32_t weight) {
    set_place_interest(PlaceKind::gateway, gateway, account, filter, queue, weight);
}

void Router::set_reachable(GatewayIndex gateway, bool reachable) {
    if (this->reachable(gateway) == reachable) return;
    if (gateway >= reachable_.size()) reachable_.resize(gateway + std::size_t{1});
    reachable_[gateway] = reachable;
    ++generation_all_;
}

void Router::set_distance(GatewayIndex gateway, std::uint16_t distance) {
    if (gateway >= distances_.size()) distances_.resize(gateway + std::size_t{1}, 0);
    if (distances_[gateway] == distance) return;
    distances_[gateway] = distance;
    if (policies_.may_be(QueuePolicy::nearest)) ++generation_all_;
}

void Router::set_queue_policies(QueuePolicies policies) {
    if (policies == policies_) return;
    policies_ = std::move(policies);
    policies_differ_ = policies_ != QueuePolicies{};
    ++generation_all_;
}

void Router::forget_gateway(GatewayIndex gateway) {
    for (std::uint32_t id = 0; id < interests_.end(); ++id) {
        const Interest& interest = interests_[id];
        if (interest.filter == filter_none || interest.kind != PlaceKind::gateway || interest.place != gateway)
            continue;
        outdate(interest.filter);
        remove_interest(id);
    }
    set_reachable(gateway, false);
}

// ---- Routes ---------------------------------------------------------------------------------------------------------

std::uint8_t Router::bucket(AccountId account, std::string_view subject) const {
    const std::uint64_t hash = base::hash_bytes(subject.substr(0, subject.find('.')), hash_seed_ + account);
    return static_cast<std::uint8_t>(hash >> 56);
}

// Has the routes made anew that the filter may have to do with.
void Router::outdate(FilterId filter) {
    const std::string_view text = index_.text(filter);
    if (index_.is_exact(filter)) {
        if (cache_->size() == 0) return;
        const AccountId account = index_.account(filter);
        CachedRoute* kept = cache_->find(index_.hash(account, text), account, text);
        if (kept != nullptr) kept->generation = 0;
        return;
    }
    const std::string_view first = text.substr(0, text.find('.'));
    if (first == "*" || first == ">") {
        ++generation_all_;
    } else {
        ++generation_[bucket(index_.account(filter), first)];
    }
}

bool Router::glances_pay() const {
    return index_.size() >= glance_records_min || cache_->size() >= glance_records_min;
}

void Router::glance(AccountId account, std::string_view subject, int step, Glance& at) const {
    switch (step) {
        case 0:
            at = {};
            at.hash = index_.hash(account, subject);
            cache_->prefetch(at.hash);
            index_.prefetch(at.hash);
            break;
        case 1:
            at.kept = cache_->guess(at.hash);
            if (at.kept == nullptr) at.filter = index_.guess(at.hash);
            break;
        case 2:
            if (at.kept != nullptr) {
                __builtin_prefetch(at.kept->subject.data());
                __builtin_prefetch(at.kept->route.plain.data());
            } else if (at.filter != filter_none) {
                at.slot = index_.use(at.filter).plain;
                if (at.slot != index_none) __builtin_prefetch(&subscriptions_[at.slot]);
            }
            break;
        default:
            if (at.kept == nullptr || at.kept->route.plain.empty()) break;
            at.slot = at.kept->route.plain.front().slot;
            __builtin_prefetch(at.kept->route.plain.front().head.data());
    }
}

Route& Router::route(AccountId account, std::string_view subject, const Glance* glance) {
    ++counters_.routes;
    if (last_->is(account, subject) && last_->generation == generation(last_->bucket)) {
        ++counters_.cache_hits;
        return last_->route;
    }
    const std::uint64_t hash = glance != nullptr ? glance->hash : index_.hash(account, subject);
    if (glance == nullptr) {
        cache_->prefetch(hash);
        index_.prefetch(hash);
    }
    CachedRoute* kept = cache_->find(hash, account, subject);
    if (kept == nullptr) {
        if (!cache_->seen_before(hash) || !cache_->admits(hash)) {
            build(account, subject, hash, scratch_);
            return scratch_;
        }
        kept = cache_->place(hash, account, subject);
        kept->bucket = bucket(account, subject);
    } else if (kept->generation == generation(kept->bucket)) {
        ++counters_.cache_hits;
        last_ = kept;
        return kept->route;
    }
    build(account, subject, hash, kept->route);
    if (!cache_->charge(kept)) {
        std::swap(scratch_, kept->route);
        cache_->remove(kept);
        return scratch_;
    }
    kept->route.cached = true;
    kept->generation = generation(kept->bucket);
    last_ = kept;
    return kept->route;
}

void Router::build(AccountId account, std::string_view subject, std::uint64_t hash, Route& route) {
    ++counters_.matches;
    recycle(route);
    matched_.clear();
    index_.match(account, subject, hash, matched_);
    std::uint32_t siblings = 0;
    for (const FilterId filter : matched_) {
        const FilterUse& use = index_.use(filter);
        add_local(use.plain, route.plain);
        siblings |= use.siblings;
        for (std::uint32_t id = use.interests; id != index_none; id = interests_[id].next) {
            const Interest& interest = interests_[id];
            if (interest.weight == 0) continue;
            if (interest.queue == index_none) {
                add_gateway(interest, route);
            } else {
                add_to_group(interest, route);
            }
        }
    }
    for (ShardIndex shard = 0; siblings != 0; ++shard, siblings >>= 1) {
        if ((siblings & 1) != 0) route.shards.push_back(shard);
    }
    finish(route);
    if (policies_differ_ && !route.groups.empty()) set_policies(account, subject, route);
}

// Says how members of the groups are picked.  The subject of a route that is used once has no ring of its own.
void Router::set_policies(AccountId account, std::string_view subject, Route& route) {
    const QueuePolicy policy = policies_.of(subject);
    for (RouteGroup& group : route.groups) {
        group.policy = policy;
        if (policy != QueuePolicy::round_robin) continue;
        const std::uint64_t group_key = base::hash_bytes(group.queue, base::mix_bits(hash_seed_ ^ account));
        group.ring = &route == &scratch_ ? &rings_.group(group_key)
                                         : &rings_.subject(group_key, base::hash_bytes(subject, group_key));
    }
}

// Empties a route; its groups go where the next build() finds them with their memory.
void Router::recycle(Route& route) {
    route.plain.clear();
    route.shards.clear();
    route.gateways.clear();
    route.remembered.clear();
    for (RouteGroup& group : route.groups) {
        if (spare_groups_.size() == spare_groups_max) break;
        group.local.clear();
        group.remote.clear();
        group.shard_weight = group.reachable_weight = group.remembered_weight = 0;
        group.policy = QueuePolicy::local_first;
        group.ring = nullptr;
        spare_groups_.push_back(std::move(group));
    }
    route.groups.clear();
    route.cached = false;
    route.volatile_targets = target_set_none;
    route.durable_targets = target_set_none;
    route.flags = 0;
}

// The subscriptions from `slot` on.
void Router::add_local(std::uint32_t slot, std::vector<LocalReceiver>& out) const {
    for (; slot != index_none; slot = subscriptions_[slot].next)
        out.push_back({slot, subscriptions_[slot].connection, {}});
}

void Router::add_gateway(const Interest& interest, Route& route) const {
    (reachable(interest.place) ? route.gateways : route.remembered).push_back(interest.place);
}

void Router::add_to_group(const Interest& interest, Route& route) {
    QueueName& queue = queues_[interest.queue];
    if (queue.group == 0) {
        if (spare_groups_.empty()) {
            route.groups.push_back({});
        } else {
            route.groups.push_back(std::move(spare_groups_.back()));
            spare_groups_.pop_back();
        }
        route.groups.back().queue = queue.text;
        group_queues_.push_back(interest.queue);
        queue.group = static_cast<std::uint32_t>(route.groups.size());
    }
    RouteGroup& group = route.groups[queue.group - 1];
    switch (interest.kind) {
        case PlaceKind::local:
            add_local(interest.members, group.local);
            break;
        case PlaceKind::shard:
            group.remote.push_back(
                {RemoteMember::Kind::shard, true, 0, interest.place, interest.weight, target_set_none});
            break;
        case PlaceKind::gateway:
            group.remote.push_back({RemoteMember::Kind::gateway, reachable(interest.place),
                                    interest.place < distances_.size() ? distances_[interest.place] : std::uint16_t{0},
                                    interest.place, interest.weight, target_set_none});
            break;
    }
}

void Router::finish(Route& route) {
    sort_unique(route.gateways);
    sort_unique(route.remembered);
    for (RouteGroup& group : route.groups) merge_places(group);
    for (const std::uint32_t queue : group_queues_) queues_[queue].group = 0;
    group_queues_.clear();
    std::sort(route.groups.begin(), route.groups.end(),
              [](const RouteGroup& a, const RouteGroup& b) { return a.queue < b.queue; });
    route.local_only = route.shards.empty() && route.gateways.empty() && route.groups.empty();
}

RouterStats Router::stats() const {
    RouterStats stats = counters_;
    stats.cache_evictions = cache_->evictions();
    stats.cached_routes = cache_->size();
    stats.subscriptions = subscriptions_.used();
    stats.filters = index_.size();
    stats.interests = interests_.used();
    stats.bytes = index_.bytes() + interests_.bytes() + interest_index_.bytes() + subscriptions_.bytes() +
                  queues_.bytes() + queue_index_.bytes();
    return stats;
}

}  // namespace routing
