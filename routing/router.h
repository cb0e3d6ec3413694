// Who gets a message: the subscriptions of this shard, and what the sibling shards and the other gateways want.
// A sibling shard and another gateway are the same kind of thing: a place with interest.
// Leaves to others: sessions and sending (the shard), how interest travels (shard_mail, the node), inbox routes (the
// node): to the router an inbox is a subject like any other.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "routing/id_table.h"
#include "routing/route.h"
#include "routing/slot_pool.h"
#include "routing/subscription_index.h"
#include "routing/types.h"

namespace routing {

class RouteCache;
struct CachedRoute;

/// What this shard wants of one (account, filter, queue), when it is no longer what take_changes() said last.
struct InterestChange {
    AccountId account = account_global;
    std::string filter;
    std::string queue;         ///< empty: plain
    std::uint32_t weight = 0;  ///< subscriptions of this shard now (plain: at most 1 is told); 0: none are left
    bool operator==(const InterestChange&) const = default;
};

/// The same, borrowed: valid until the next call on the router that said it.
struct InterestChangeView {
    AccountId account = account_global;
    std::string_view filter;
    std::string_view queue;
    std::uint32_t weight = 0;
};

/// How many shards there may be at most.  Source: a byte of FilterUse.
inline constexpr ShardIndex router_shards_max = 8;

/// Counted over the life of the router, except where a line says "now".
struct RouterStats {
    std::uint64_t routes = 0;      ///< calls of route(): cache_hits + matches
    std::uint64_t matches = 0;     ///< answered by matching against the index
    std::uint64_t cache_hits = 0;  ///< answered without
    std::uint64_t cache_evictions = 0;
    std::uint64_t subscriptions = 0;  ///< of this shard, now
    std::uint64_t filters = 0;        ///< of all places, now
    std::uint64_t interests = 0;      ///< of queue groups and other gateways: (place, account, filter, queue), now
    std::uint64_t cached_routes = 0;  ///< now
    std::uint64_t bytes = 0;          ///< held by index and interest, now; without the cache and malloc's own
};

struct RouterOptions {
    std::uint64_t hash_seed = 0;  ///< a secret of the process; nothing visible depends on it
    /// Routes kept.  A power of two, at least 8.  Source: DESIGN 3; stock keeps 1,024 for all and 512 per connection.
    std::uint32_t cache_entries = 16384;
    /// Receivers, members and places held by all cached routes together; above it, old routes give way.
    /// A route that is larger alone is not kept.  Source: 48 bytes and a rendered head each, so some 40 MB at worst.
    std::uint32_t cache_receivers_max = 262144;
    QueuePolicies queue_policies{};
};

/// One shard's view of all interest.
/// Place: owned by gateway/shard; the simulator has one per gateway.
/// Threads: one, the shard's.  Nothing here locks, reads a clock or allocates on a cached route.
class Router {
  public:
    explicit Router(RouterOptions options = {});
    ~Router();
    Router(const Router&) = delete;
    Router& operator=(const Router&) = delete;

    /// Adds a subscription of this shard.  `queue` empty: plain.  `filter` is valid (the session has checked it).
    /// Returns its id: slots are dense and reused at once, a reused slot has another generation (never 0).
    SubscriptionId subscribe(AccountId account, std::string_view filter, std::string_view queue,
                             ConnectionId connection);

    /// Removes it.  An id that is no longer in use is ignored (false), so a late second removal does no harm.
    bool unsubscribe(SubscriptionId id);

    /// The id of the subscription that has this slot, which is in use.
    [[nodiscard]] SubscriptionId subscription_at(std::uint32_t slot) const {
        return {slot, subscriptions_[slot].generation};
    }

    /// True while the subscription is there.
    [[nodiscard]] bool alive(SubscriptionId id) const;

    /// How many subscriptions of this shard have exactly this filter and queue.  Cost: as many steps, if it is plain.
    [[nodiscard]] std::uint32_t local_weight(AccountId account, std::string_view filter, std::string_view queue) const;

    /// What changed in this shard's own interest since the last call, each (account, filter, queue) once, in the order
    /// of first change.  What went away and came back meanwhile (or came and went) is not in it unless its weight
    /// differs from what was told last.
    [[nodiscard]] std::vector<InterestChange> take_changes();
    /// The next of these changes.  False: that was all.
    [[nodiscard]] bool next_change(InterestChangeView& change);
    [[nodiscard]] bool has_changes() const { return dirty_.size() != dirty_done_; }

    /// What a sibling shard (below router_shards_max: checked) wants: `weight` subscriptions; 0 removes.  A plain
    /// weight above 0 is only "wants it".
    void set_shard_interest(ShardIndex shard, AccountId account, std::string_view filter, std::string_view queue,
                            std::uint32_t weight);

    /// What another gateway wants, in the same way.  Counted as remembered until set_reachable(gateway, true).
    void set_gateway_interest(GatewayIndex gateway, AccountId account, std::string_view filter, std::string_view queue,
                              std::uint32_t weight);

    /// Whether the gateway is connected in the current tree.  Its interest stays either way.
    void set_reachable(GatewayIndex gateway, bool reachable);
    [[nodiscard]] bool reachable(GatewayIndex gateway) const {
        return gateway < reachable_.size() && reachable_[gateway];
    }

    /// How far away a gateway is, for QueuePolicy::nearest: links between, or any number that is smaller the nearer.
    void set_distance(GatewayIndex gateway, std::uint16_t distance);

    /// Other policies from now on (a reload).
    void set_queue_policies(QueuePolicies policies);
    [[nodiscard]] const QueuePolicies& queue_policies() const { return policies_; }

    /// Removes all interest of the gateway, and its reachability.  Cost: one pass over all interest.
    void forget_gateway(GatewayIndex gateway);

    /// Who gets messages of `subject` (a subject with an empty token: nobody).
    /// A subject seen twice in a while is kept in a cache of fixed size; a cached route is used as long as no filter
    /// that could match it came or went, no weight in it changed, and no gateway's reachability did.  (An exact filter
    /// could match its own subject only, a wildcard filter all that begin with the same token.)
    /// Borrows: the route is valid until the next call on this router.
    Route& route(AccountId account, std::string_view subject) { return route(account, subject, nullptr); }

    /// A look at what route() will need for one subject, taken in steps, so that the memory of many subjects is loaded
    /// at the same time.  Only a hint: what it says may be wrong.
    struct Glance {
        std::uint64_t hash = 0;
        const CachedRoute* kept = nullptr;
        FilterId filter = filter_none;
        std::uint32_t slot = index_none;  ///< after the last step: of the first subscription that gets it
    };
    static constexpr int glance_steps = 4;
    /// Takes step 0, 1, ... glance_steps - 1, with some time between.  Nothing may change meanwhile.
    void glance(AccountId account, std::string_view subject, int step, Glance& at) const;
    /// As the other, with what a Glance has found out.
    Route& route(AccountId account, std::string_view subject, const Glance* glance);
    /// Whether there are so many filters, or subjects in use, that a Glance pays.
    [[nodiscard]] bool glances_pay() const;

    [[nodiscard]] RouterStats stats() const;

  private:
    /// Source: measured; below, what is needed lies in the first-level caches anyway.
    static constexpr std::size_t glance_records_min = 512;

    enum class PlaceKind : std::uint8_t { local, shard, gateway };

    /// (filter, place, queue): one list element of a filter, found through interest_index_.  Plain interest of this
    /// shard and of its siblings has none: it is in FilterUse.
    struct Interest {
        std::uint32_t members = index_none;  ///< local: first subscription
        std::uint32_t weight = 0;            ///< local: number of members
        std::uint32_t next = index_none;     ///< in the filter's list
        std::uint32_t queue = index_none;    ///< number of the queue name; none: plain (of a gateway)
        FilterId filter = filter_none;
        std::uint32_t previous = index_none;  ///< in the filter's list
        std::uint32_t place = 0;              ///< ShardIndex or GatewayIndex; local: 0
        std::uint32_t told = 0;               ///< local: weight that take_changes() told last
        PlaceKind kind = PlaceKind::local;
        bool dirty = false;  ///< local: in dirty_
    };

    /// What a subscription of this shard is one of: the plain ones of a filter (its id), or the members of an interest
    /// (its id with grouped_bit).
    using Want = std::uint32_t;
    static constexpr Want grouped_bit = 0x80000000;
    [[nodiscard]] static bool is_grouped(Want want) { return (want & grouped_bit) != 0; }

    struct Subscription {
        ConnectionId connection = 0;
        Want want = index_none;
        std::uint32_t next = index_none;      ///< among those with this want
        std::uint32_t previous = index_none;  ///< among those with this want
        std::uint32_t generation = 0;         ///< how often the slot has been used; stays while it is free
    };
    static_assert(sizeof(Subscription) == 24);

    struct QueueName {
        std::string text;
        std::uint32_t uses = 0;
        std::uint32_t group = 0;  ///< scratch of build(): 1 + position in Route::groups while one is built
    };

    [[nodiscard]] std::uint32_t find_queue(std::string_view queue) const;
    std::uint32_t use_queue(std::string_view queue);
    void release_queue(std::uint32_t queue);
    [[nodiscard]] std::uint64_t interest_hash(FilterId filter, PlaceKind kind, std::uint32_t place,
                                              std::uint32_t queue) const;
    [[nodiscard]] std::uint32_t find_interest(FilterId filter, PlaceKind kind, std::uint32_t place,
                                              std::string_view queue) const;
    std::uint32_t make_interest(FilterId filter, PlaceKind kind, std::uint32_t place, std::string_view queue);
    void remove_interest(std::uint32_t id);
    void set_place_interest(PlaceKind kind, std::uint32_t place, AccountId account, std::string_view filter,
                            std::string_view queue, std::uint32_t weight);
    void set_sibling(ShardIndex shard, AccountId account, std::string_view filter, bool wants);
    [[nodiscard]] Interest& interest_of(Want want) { return interests_[want & ~grouped_bit]; }
    [[nodiscard]] std::uint32_t& first_of(Want want);
    void mark_dirty(Want want);
    void release(FilterId filter);

    [[nodiscard]] std::uint8_t bucket(AccountId account, std::string_view subject) const;
    [[nodiscard]] std::uint64_t generation(std::uint8_t bucket) const { return generation_all_ + generation_[bucket]; }
    void outdate(FilterId filter);

    void build(AccountId account, std::string_view subject, std::uint64_t hash, Route& route);
    void recycle(Route& route);
    void add_local(std::uint32_t slot, std::vector<LocalReceiver>& out) const;
    void add_gateway(const Interest& interest, Route& route) const;
    void add_to_group(const Interest& interest, Route& route);
    void finish(Route& route);
    void set_policies(AccountId account, std::string_view subject, Route& route);

    std::uint64_t hash_seed_;
    QueuePolicies policies_;
    bool policies_differ_ = false;  ///< from local_first for all
    QueueRings rings_;
    SubscriptionIndex index_;
    SlotPool<Interest> interests_;
    IdTable interest_index_;
    SlotPool<Subscription> subscriptions_;
    SlotPool<QueueName> queues_;
    IdTable queue_index_;
    std::vector<bool> reachable_;
    std::vector<std::uint16_t> distances_;  ///< by gateway
    std::vector<Want> dirty_;
    std::size_t dirty_done_ = 0;  ///< so many of them have been told
    std::string told_text_;       ///< of the change told last

    // A route is up to date while the sum of these two is what it was; both only grow.  A route is marked with 0, which
    // the sum never is, when a filter without wildcards changed, since that concerns no other.
    std::uint64_t generation_all_ = 1;             ///< filters with a leading wildcard, reachability
    std::array<std::uint64_t, 256> generation_{};  ///< other wildcard filters, by hash of (account, first token)

    std::unique_ptr<RouteCache> cache_;
    CachedRoute* last_;                    ///< the route used last; always points at a record of the cache, live or not
    std::unique_ptr<CachedRoute> nobody_;  ///< what last_ points at before there is one
    Route scratch_;                        ///< the route of a subject that is not kept
    std::vector<FilterId> matched_;        // scratch of build()
    std::vector<std::uint32_t> group_queues_;  // scratch of build(): queue numbers, as in Route::groups
    std::vector<RouteGroup> spare_groups_;     // emptied groups, whose memory build() uses again
    RouterStats counters_;
};

}  // namespace routing
