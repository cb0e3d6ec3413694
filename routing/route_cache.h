// Keeps the routes of the subjects that are in use: fixed size, set-associative, entered at second sight.
// Leaves to others: making routes and knowing when they are out of date (router).
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "routing/route.h"
#include "routing/slot_pool.h"

namespace routing {

/// A route with the key that it answers for.  What a hit compares comes first, to lie in one cache line.
struct CachedRoute {
    std::uint64_t generation = 0;  ///< of the interest that the route was made from; the router's
    AccountId account = account_global;
    std::uint32_t receivers = 0;  ///< what charge() counted for it
    std::string subject;
    std::uint32_t entry = index_none;  ///< where the table names it
    std::uint8_t bucket = 0;           ///< which generations concern it; the router's
    Route route;

    [[nodiscard]] bool is(AccountId of, std::string_view wanted) const { return account == of && subject == wanted; }
};

/// Threads: one.  Memory that no subject has touched is not resident.
class RouteCache {
  public:
    /// `entries`: a power of two, at least `ways` (checked).  `receivers_max`: see RouterOptions.
    RouteCache(std::uint32_t entries, std::uint32_t receivers_max);

    /// The route kept for the key, fresh or stale, or nullptr.
    [[nodiscard]] CachedRoute* find(std::uint64_t hash, AccountId account, std::string_view subject);

    /// The route that find() will probably return, its record being loaded, or nullptr.
    [[nodiscard]] const CachedRoute* guess(std::uint64_t hash) const;

    /// Whether a subject that was seen before is to get a place now: always while its set has room, else now and then,
    /// so that more subjects than the cache holds do not spend their time pushing each other out.
    [[nodiscard]] bool admits(std::uint64_t hash);

    /// Starts loading what find() and seen_before() will look at.
    void prefetch(std::uint64_t hash) const;

    /// True if this hash was asked about lately (by this function); it has been from now on.
    /// Two subjects may be taken for one, which costs a place in the cache, never a wrong answer.
    [[nodiscard]] bool seen_before(std::uint64_t hash);

    /// A place for the key, which is not in the cache: the least recently used of its set gives way.
    /// What its route holds is of another subject.  Never nullptr.
    [[nodiscard]] CachedRoute* place(std::uint64_t hash, AccountId account, std::string_view subject);

    /// Counts what the route now holds; other routes give way, in turn, until all fit.
    /// Returns false if it does not fit alone: the caller takes the route out and remove()s it.
    [[nodiscard]] bool charge(CachedRoute* kept);

    void remove(CachedRoute* kept);

    [[nodiscard]] std::uint64_t evictions() const { return evictions_; }
    [[nodiscard]] std::size_t size() const { return routes_.used(); }
    [[nodiscard]] std::uint64_t receivers() const { return receivers_; }

    /// Entries that share a set: two cache lines, of which a hit mostly touches one.  With 10,000 subjects in use and
    /// 16,384 entries, 2 % of the subjects find their set full (with four ways 6 %).
    static constexpr std::uint32_t ways = 8;
    /// Hashes remembered per entry of the cache, in sets of as many; the oldest of a set gives way.
    static constexpr std::uint32_t seen_ways = 4;
    /// Of so many subjects that find their set full, one gets in.
    static constexpr std::uint32_t admitted_one_of = 8;

  private:
    struct Entry {
        std::uint64_t hash;
        std::uint32_t route;  ///< 1 + number in routes_; 0: empty
        std::uint32_t used;   ///< value of clock_ when it was used last
    };
    struct Freer {
        void operator()(void* memory) const { std::free(memory); }
    };

    std::uint32_t entries_;
    std::uint32_t receivers_max_;
    std::uint32_t clock_ = 0;
    std::uint32_t sweep_ = 0;  ///< entry that charge() asks next to give way
    std::uint64_t receivers_ = 0;
    std::uint64_t evictions_ = 0;
    std::uint32_t refused_ = 0;                     ///< by admits(), since it let one in
    std::unique_ptr<Entry[], Freer> table_;         // from calloc: zero pages until touched
    std::unique_ptr<std::uint32_t[], Freer> seen_;  // from calloc too
    SlotPool<CachedRoute> routes_;
};

}  // namespace routing
