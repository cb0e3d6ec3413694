#include "routing/route_cache.h"

#include <new>

#include "routing/base/check.h"

namespace routing {

namespace {

std::uint32_t count_receivers(const Route& route) {
    std::size_t count = route.plain.size() + route.shards.size() + route.gateways.size() + route.remembered.size();
    for (const RouteGroup& group : route.groups) count += 1 + group.local.size() + group.remote.size();
    return static_cast<std::uint32_t>(count);
}

template <typename T>
T* zeroed(std::size_t count) {
    void* memory = std::calloc(count, sizeof(T));
    if (memory == nullptr) throw std::bad_alloc();
    return static_cast<T*>(memory);
}

}  // namespace

RouteCache::RouteCache(std::uint32_t entries, std::uint32_t receivers_max)
    : entries_(entries),
      receivers_max_(receivers_max),
      table_(zeroed<Entry>(entries)),
      seen_(zeroed<std::uint32_t>(std::size_t{entries} * seen_ways)) {
    BASE_CHECK(entries >= ways && (entries & (entries - 1)) == 0);
}

void RouteCache::prefetch(std::uint64_t hash) const {
    const Entry* set = &table_[hash & (entries_ - 1) & ~(ways - 1)];
    __builtin_prefetch(set);
    __builtin_prefetch(set + ways / 2);
    __builtin_prefetch(&seen_[(hash & (entries_ - 1)) * seen_ways]);
}

CachedRoute* RouteCache::find(std::uint64_t hash, AccountId account, std::string_view subject) {
    Entry* set = &table_[hash & (entries_ - 1) & ~(ways - 1)];
    for (std::uint32_t way = 0; way < ways; ++way) {
        Entry& entry = set[way];
        if (entry.hash != hash || entry.route == 0) continue;
        CachedRoute& kept = routes_[entry.route - 1];
        if (!kept.is(account, subject)) continue;
        entry.used = ++clock_;
        return &kept;
    }
    return nullptr;
}

const CachedRoute* RouteCache::guess(std::uint64_t hash) const {
    const Entry* set = &table_[hash & (entries_ - 1) & ~(ways - 1)];
    for (std::uint32_t way = 0; way < ways; ++way) {
        if (set[way].hash != hash || set[way].route == 0) continue;
        const CachedRoute* kept = &routes_[set[way].route - 1];
        const auto* lines = reinterpret_cast<const char*>(kept);
        for (std::size_t at = 0; at < sizeof(CachedRoute); at += 64) __builtin_prefetch(lines + at);
        return kept;
    }
    return nullptr;
}

bool RouteCache::admits(std::uint64_t hash) {
    const Entry* set = &table_[hash & (entries_ - 1) & ~(ways - 1)];
    for (std::uint32_t way = 0; way < ways; ++way) {
        if (set[way].route == 0) return true;
    }
    if (++refused_ < admitted_one_of) return false;
    refused_ = 0;
    return true;
}

bool RouteCache::seen_before(std::uint64_t hash) {
    std::uint32_t* set = &seen_[(hash & (entries_ - 1)) * seen_ways];
    const std::uint32_t tag = static_cast<std::uint32_t>(hash >> 32) | 1;  // never 0, which is "nothing yet"
    for (std::uint32_t way = 0; way < seen_ways; ++way) {
        if (set[way] == tag) return true;
    }
    for (std::uint32_t way = seen_ways - 1; way > 0; --way) set[way] = set[way - 1];
    set[0] = tag;
    return false;
}

CachedRoute* RouteCache::place(std::uint64_t hash, AccountId account, std::string_view subject) {
    const auto first = static_cast<std::uint32_t>(hash & (entries_ - 1) & ~(ways - 1));
    std::uint32_t at = first;
    for (std::uint32_t way = 0; way < ways; ++way) {
        if (table_[first + way].route == 0) {
            at = first + way;
            break;
        }
        // Ages, not stamps, are compared, so that the clock may wrap.
        if (clock_ - table_[first + way].used > clock_ - table_[at].used) at = first + way;
    }
    std::uint32_t id = 0;
    if (table_[at].route != 0) {  // its record is used again, with the memory that it holds
        ++evictions_;
        id = table_[at].route - 1;
        receivers_ -= routes_[id].receivers;
    } else {
        id = routes_.allocate();
    }
    CachedRoute& kept = routes_[id];
    kept.generation = 0;
    kept.receivers = 0;
    kept.account = account;
    kept.subject.assign(subject);
    kept.entry = at;
    table_[at] = {hash, id + 1, ++clock_};
    return &kept;
}

bool RouteCache::charge(CachedRoute* kept) {
    receivers_ -= kept->receivers;
    kept->receivers = count_receivers(kept->route);
    receivers_ += kept->receivers;
    if (kept->receivers > receivers_max_) return false;
    for (; receivers_ > receivers_max_; sweep_ = (sweep_ + 1) & (entries_ - 1)) {
        if (table_[sweep_].route == 0 || sweep_ == kept->entry) continue;
        ++evictions_;
        remove(&routes_[table_[sweep_].route - 1]);
    }
    return true;
}

void RouteCache::remove(CachedRoute* kept) {
    receivers_ -= kept->receivers;
    Entry& entry = table_[kept->entry];
    const std::uint32_t id = entry.route - 1;
    entry = {};
    routes_.free(id);
}

}  // namespace routing
