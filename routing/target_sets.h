// Gives each target set a small id, so that what is remembered per set (labels, flows) is an array lookup.
// Leaves to others: who the targets are (router), how a set becomes a path (peer/path_engine).
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "routing/types.h"

namespace routing {

/// Names an interned target set.  An id whose set was thrown out is recognised by its generation, never mistaken for
/// the set that took its slot.
struct TargetSetId {
    std::uint32_t slot = 0xffffffff;
    std::uint32_t generation = 0;  ///< of the slot; 0 in no valid id
    auto operator<=>(const TargetSetId&) const = default;
};
inline constexpr TargetSetId target_set_none{};

/// Interns (account, target set).  Threads: one.
/// Bounded: `capacity` sets; then a set that was not interned again for a while gives way and its ids turn stale: get()
/// gives nothing for them and the holder interns again.
class TargetSets {
  public:
    /// Source: four times the label table of a lane (16,384), so that it is the labels that limit.  Unit: sets.
    static constexpr std::size_t capacity_default = 65536;

    explicit TargetSets(std::size_t capacity = capacity_default);

    /// The id of `set` for `account`, given now if it is new.  `set` as types.h says: ascending by gateway, each once,
    /// groups sorted (checked).  The id stays valid for at least capacity / 2 further calls.
    TargetSetId intern(const TargetSet& set, AccountId account = account_global);

    /// The set, or null if the id is stale.  Borrowed until the next intern().
    [[nodiscard]] const TargetSet* get(TargetSetId id) const;
    /// The account that the set was interned for; `id` must not be stale.
    [[nodiscard]] AccountId account(TargetSetId id) const;

    [[nodiscard]] std::size_t size() const { return index_.size(); }
    [[nodiscard]] std::size_t capacity() const { return capacity_; }
    [[nodiscard]] std::uint64_t evictions() const { return evictions_; }

  private:
    struct Slot {
        TargetSet set;
        std::uint64_t hash = 0;
        AccountId account = account_global;
        std::uint32_t generation = 0;
        std::uint64_t asked_at = 0;  ///< number of the call that interned it last
    };
    [[nodiscard]] std::uint32_t take_slot();

    std::size_t capacity_;
    std::vector<Slot> slots_;
    std::unordered_multimap<std::uint64_t, std::uint32_t> index_;  ///< hash of (account, set) -> slot
    std::uint32_t hand_ = 0;
    std::uint64_t calls_ = 0;  ///< of intern()
    std::uint64_t evictions_ = 0;
};

}  // namespace routing
