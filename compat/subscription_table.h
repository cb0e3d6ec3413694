// The subscriptions of one connection, by sid and by a dense index.
// A delivery knows the index (an array read); only SUB and UNSUB look up a sid.
// Leaves to others: who matches a subject (the router); here a filter is text.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace compat {

/// A place in a SubscriptionTable.  Given to the next subscription once it is free.
using SubscriptionIndex = std::uint32_t;
inline constexpr SubscriptionIndex subscription_none = 0xffffffff;

/// Slots with a free list, and an open-addressing table of slot numbers over them once there are more than a few.
/// Memory: 40 bytes a subscription, its texts in one allocation, and at most 11 bytes of table.
class SubscriptionTable {
  public:
    /// `seed` makes the order of the hash table unknown to clients, who choose the sids.  Nothing visible depends on
    /// it.
    explicit SubscriptionTable(std::uint64_t seed) : seed_(seed) {}

    /// What is kept of a subscription.  `handle` is the caller's.
    struct Entry {
        std::uint64_t handle = 0;
        std::uint32_t max = 0;        ///< deliveries after which it ends; 0: never
        std::uint32_t delivered = 0;  ///< stays at its largest value when that is reached
        [[nodiscard]] bool used() const { return text_ != nullptr; }
        [[nodiscard]] std::string_view sid() const { return {text_.get(), sid_bytes_}; }
        [[nodiscard]] std::string_view filter() const { return {text_.get() + sid_bytes_, filter_bytes_}; }
        [[nodiscard]] std::string_view queue() const {
            return {text_.get() + sid_bytes_ + filter_bytes_, queue_bytes_};
        }

      private:
        friend class SubscriptionTable;
        std::unique_ptr<char[]> text_;  // sid, filter, queue
        std::uint32_t hash_ = 0;        // of the sid; of a free slot: the next free one
        std::uint32_t sid_bytes_ = 0;
        std::uint32_t filter_bytes_ = 0;
        std::uint32_t queue_bytes_ = 0;
    };

    /// How many there are.
    [[nodiscard]] std::uint32_t size() const { return size_; }
    /// One past the largest index in use ever; for walking: entries that are not used() are to be skipped.
    [[nodiscard]] SubscriptionIndex end() const { return static_cast<SubscriptionIndex>(entries_.size()); }

    /// The subscription with this sid, or subscription_none.
    [[nodiscard]] SubscriptionIndex find(std::string_view sid) const;
    /// Adds one.  `sid` must be new (asserted).  Copies the texts.
    SubscriptionIndex insert(std::string_view sid, std::string_view filter, std::string_view queue);
    /// Removes the one at `index` (asserted to be there).
    void erase(SubscriptionIndex index);
    /// Removes all and gives the memory back.
    void clear();

    /// Cost: an array read.
    [[nodiscard]] Entry& at(SubscriptionIndex index) { return entries_[index]; }
    [[nodiscard]] const Entry& at(SubscriptionIndex index) const { return entries_[index]; }

  private:
    [[nodiscard]] std::uint32_t hash_of(std::string_view sid) const;
    [[nodiscard]] std::size_t home(SubscriptionIndex index) const {
        return entries_[index].hash_ & (buckets_.size() - 1);
    }
    void place(SubscriptionIndex index);
    void unplace(SubscriptionIndex index);
    void rebuild(std::size_t buckets);

    std::vector<Entry> entries_;
    std::vector<SubscriptionIndex> buckets_;  // empty while few; else a power of two, subscription_none is free
    std::uint64_t seed_;
    std::uint32_t size_ = 0;
    SubscriptionIndex free_ = subscription_none;
};

}  // namespace compat
