// A flat hash table from a hash to a small id.  The keys live with whoever owns the ids: a lookup asks `equal(id)`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "routing/base/check.h"

namespace routing {

/// Open addressing, linear probing, removal by shifting back: no tombstones, so churn never slows it down.
/// Memory: 8 bytes a slot, between 3/8 and 3/4 of the slots used (it grows by doubling and never shrinks).
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
        for (std::uint32_t at = tag & mask_;; at = (at + 1) & mask_) {
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
        std::uint32_t at = tag_of(hash) & mask_;
        while (slots_[at].id != id) {
            BASE_CHECK(slots_[at].id != none);
            at = (at + 1) & mask_;
        }
        // Shift back what can still be found from an earlier slot, until a hole or a slot that is at home.
        for (std::uint32_t next = (at + 1) & mask_; slots_[next].id != none; next = (next + 1) & mask_) {
            const std::uint32_t home = slots_[next].tag & mask_;
            if (((next - home) & mask_) < ((next - at) & mask_)) continue;
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
        std::uint32_t at = tag & mask_;
        while (slots_[at].id != none && slots_[at].tag != tag) at = (at + 1) & mask_;
        return slots_[at].id;
    }

    /// Asks the processor for the first slot of `hash`, to have it by the time that find() looks.
    void prefetch(std::uint64_t hash) const {
        if (size_ != 0) __builtin_prefetch(&slots_[tag_of(hash) & mask_]);
    }

  private:
    struct Slot {
        std::uint32_t tag = 0;
        std::uint32_t id = none;
    };

    // The tag alone decides the slot, so growing needs no keys.
    static std::uint32_t tag_of(std::uint64_t hash) { return static_cast<std::uint32_t>(hash >> 32); }

    void place(Slot slot) {
        std::uint32_t at = slot.tag & mask_;
        while (slots_[at].id != none) at = (at + 1) & mask_;
        slots_[at] = slot;
    }

    void grow() {
        std::vector<Slot> old(slots_.empty() ? std::size_t{16} : slots_.size() * 2);
        std::swap(old, slots_);
        mask_ = static_cast<std::uint32_t>(slots_.size() - 1);
        for (const Slot slot : old) {
            if (slot.id != none) place(slot);
        }
    }

    std::vector<Slot> slots_;
    std::size_t size_ = 0;
    std::uint32_t mask_ = 0;
};

}  // namespace routing
