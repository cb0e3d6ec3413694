#include "compat/subscription_table.h"

#include <cstring>

#include "routing/base/check.h"
#include "routing/base/hash.h"

namespace compat {

namespace {

// Up to this many slots a look through all of them is as fast as a hash table, and needs no memory.
constexpr std::size_t walked_slots_max = 8;
constexpr std::size_t buckets_min = 32;

}  // namespace

std::uint32_t SubscriptionTable::hash_of(std::string_view sid) const {
    return static_cast<std::uint32_t>(base::hash_bytes(sid, seed_));
}

SubscriptionIndex SubscriptionTable::find(std::string_view sid) const {
    const std::uint32_t hash = hash_of(sid);
    const auto is_it = [&](const Entry& entry) { return entry.used() && entry.hash_ == hash && entry.sid() == sid; };
    if (buckets_.empty()) {
        for (SubscriptionIndex index = 0; index < end(); ++index)
            if (is_it(entries_[index])) return index;
        return subscription_none;
    }
    const std::size_t mask = buckets_.size() - 1;
    for (std::size_t bucket = hash & mask; buckets_[bucket] != subscription_none; bucket = (bucket + 1) & mask)
        if (is_it(entries_[buckets_[bucket]])) return buckets_[bucket];
    return subscription_none;
}

SubscriptionIndex SubscriptionTable::insert(std::string_view sid, std::string_view filter, std::string_view queue) {
    BASE_CHECK(find(sid) == subscription_none);
    SubscriptionIndex index = free_;
    if (index == subscription_none) {
        index = end();
        entries_.emplace_back();
    } else {
        free_ = entries_[index].hash_;
    }
    Entry& entry = entries_[index];
    entry.handle = 0;
    entry.max = 0;
    entry.delivered = 0;
    entry.hash_ = hash_of(sid);
    entry.sid_bytes_ = static_cast<std::uint32_t>(sid.size());
    entry.filter_bytes_ = static_cast<std::uint32_t>(filter.size());
    entry.queue_bytes_ = static_cast<std::uint32_t>(queue.size());
    entry.text_ = std::unique_ptr<char[]>(new char[sid.size() + filter.size() + queue.size() + 1]);
    char* at = entry.text_.get();
    for (const std::string_view text : {sid, filter, queue}) {
        if (!text.empty()) std::memcpy(at, text.data(), text.size());
        at += text.size();
    }
    ++size_;
    if (!buckets_.empty() && std::size_t{size_} * 8 <= buckets_.size() * 6) {
        place(index);
    } else if (entries_.size() > walked_slots_max) {
        rebuild(buckets_.empty() ? buckets_min : buckets_.size() * 2);
    }
    return index;
}

void SubscriptionTable::erase(SubscriptionIndex index) {
    BASE_CHECK(index < end() && entries_[index].used());
    if (--size_ == 0) return clear();
    if (!buckets_.empty()) unplace(index);
    Entry& entry = entries_[index];
    entry.text_.reset();
    entry.hash_ = free_;
    free_ = index;
}

void SubscriptionTable::clear() {
    std::vector<Entry>().swap(entries_);
    std::vector<SubscriptionIndex>().swap(buckets_);
    size_ = 0;
    free_ = subscription_none;
}

void SubscriptionTable::place(SubscriptionIndex index) {
    const std::size_t mask = buckets_.size() - 1;
    std::size_t bucket = home(index);
    while (buckets_[bucket] != subscription_none) bucket = (bucket + 1) & mask;
    buckets_[bucket] = index;
}

// Linear probing without tombstones: what stands behind the hole moves up if the hole is on its way.
void SubscriptionTable::unplace(SubscriptionIndex index) {
    const std::size_t mask = buckets_.size() - 1;
    std::size_t hole = home(index);
    while (buckets_[hole] != index) hole = (hole + 1) & mask;
    for (std::size_t next = (hole + 1) & mask; buckets_[next] != subscription_none; next = (next + 1) & mask) {
        const std::size_t way = (next - home(buckets_[next])) & mask;
        if (way < ((next - hole) & mask)) continue;
        buckets_[hole] = buckets_[next];
        hole = next;
    }
    buckets_[hole] = subscription_none;
}

void SubscriptionTable::rebuild(std::size_t buckets) {
    buckets_.assign(buckets, subscription_none);
    for (SubscriptionIndex index = 0; index < end(); ++index)
        if (entries_[index].used()) place(index);
}

}  // namespace compat
