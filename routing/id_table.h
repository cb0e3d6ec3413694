// A flat hash table from a hash to a small id.  The keys live with whoever owns the ids: a lookup asks `equal(id)`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "routing/base/check.h"

namespace routing {

/// Open addressing, linear probing, removal by shifting back: no tombstones, so churn never slows it down.
/// Memory: 8 bytes a slot, from half to 3/4 of the slots used: it grows by a half and by a third in turns (16, 24, 32,
/// 48 ...), in one pass that keeps the order, and never shrinks.
/// Order: nothing of it can be iterated, so nothing visible can depend on hash order.
/// Threads: one.
class IdTable {
  public:
    static constexpr std::uint32_t none = 0xffffffff;

    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] std::size_t bytes() const { return slots_.capacity() * sizeof(Slot); }

    /// The id stored under `hash` for which `equal(id)` holds, or `none`.
    template <typename Equal>
    [[nodiscard]] std::uint32_t find(std::uint64_t hash, Equal&& equal) const {
        if (size_ == 0) return none;
        const std::uint32_t tag = tag_of(hash);
        for (std::uint32_t at = home(tag);; at = after(at)) {
            const Slot slot = slots_[at];
            if (slot.id == none) return none;
            if (slot.tag == tag && equal(slot.id)) return slot.id;
        }
    }

    /// Stores `id` (not `none`) under `hash`.  The caller has looked: no id with an equal key is in the table.
    void insert(std::uint64_t hash, std::uint32_t id) {
        BASE_CHECK(id != none);
        if ((size_ + 1) * 4 > slots_.size() * 3) grow();
        place({tag_of(hash), id});
        ++size_;
    }

    /// Removes `id`, which was stored under `hash` (checked).
    void erase(std::uint64_t hash, std::uint32_t id) {
        BASE_CHECK(size_ > 0);
        std::uint32_t at = home(tag_of(hash));
        while (slots_[at].id != id) {
            BASE_CHECK(slots_[at].id != none);
            at = after(at);
        }
        // Shift back what can still be found from an earlier slot, until a hole or a slot that is at home.
        for (std::uint32_t next = after(at); slots_[next].id != none; next = after(next)) {
            if (way(home(slots_[next].tag), next) < way(at, next)) continue;
            slots_[at] = slots_[next];
            at = next;
        }
        slots_[at].id = none;
        --size_;
    }

    /// What find() will probably return, without looking at keys.  For prefetching alone.
    [[nodiscard]] std::uint32_t guess(std::uint64_t hash) const {
        if (size_ == 0) return none;
        const std::uint32_t tag = tag_of(hash);
        std::uint32_t at = home(tag);
        while (slots_[at].id != none && slots_[at].tag != tag) at = after(at);
        return slots_[at].id;
    }

    /// Asks the processor for the first slot of `hash`, to have it by the time that find() looks.
    void prefetch(std::uint64_t hash) const {
        if (size_ != 0) __builtin_prefetch(&slots_[home(tag_of(hash))]);
    }

  private:
    struct Slot {
        std::uint32_t tag = 0;
        std::uint32_t id = none;
    };

    // The tag alone decides the slot, so growing needs no keys.
    static std::uint32_t tag_of(std::uint64_t hash) { return static_cast<std::uint32_t>(hash >> 32); }

    /// Where a tag is looked for first: the slots in the order of the tags.
    [[nodiscard]] std::uint32_t home(std::uint32_t tag) const {
        return static_cast<std::uint32_t>((static_cast<std::uint64_t>(tag) * slots_.size()) >> 32);
    }
    [[nodiscard]] std::uint32_t after(std::uint32_t at) const { return at + 1 == slots_.size() ? 0 : at + 1; }
    /// How many slots `to` is behind `from`.
    [[nodiscard]] std::uint32_t way(std::uint32_t from, std::uint32_t to) const {
        return to >= from ? to - from : to + static_cast<std::uint32_t>(slots_.size()) - from;
    }

    void place(Slot slot) {
        std::uint32_t at = home(slot.tag);
        while (slots_[at].id != none) at = after(at);
        slots_[at] = slot;
    }

    void grow() {
        const std::size_t size = slots_.size();
        const bool two_to_the_n = (size & (size - 1)) == 0;
        std::vector<Slot> old(size == 0 ? slots_min : two_to_the_n ? size + size / 2 : size + size / 3);
        std::swap(old, slots_);
        for (const Slot slot : old) {
            if (slot.id != none) place(slot);
        }
    }

    static constexpr std::size_t slots_min = 16;

    std::vector<Slot> slots_;
    std::size_t size_ = 0;
};

}  // namespace routing
