#include "routing/target_sets.h"

#include "routing/base/check.h"
#include "routing/base/hash.h"

namespace routing {

namespace {

std::uint64_t hash_of(const TargetSet& set, AccountId account) {
    std::uint64_t hash = base::mix_bits(account);
    for (const Target& target : set) {
        hash = base::mix_bits(hash ^ (static_cast<std::uint64_t>(target.gateway) << 1 | (target.plain ? 1 : 0)));
        for (const std::string& group : target.groups) hash = base::hash_bytes(group, hash);
    }
    return hash;
}

bool is_canonical(const TargetSet& set) {
    for (std::size_t i = 0; i < set.size(); ++i) {
        if (i > 0 && set[i - 1].gateway >= set[i].gateway) return false;
        const std::vector<std::string>& groups = set[i].groups;
        for (std::size_t k = 1; k < groups.size(); ++k)
            if (groups[k - 1] >= groups[k]) return false;
    }
    return true;
}

}  // namespace

TargetSets::TargetSets(std::size_t capacity) : capacity_(capacity) {
    BASE_CHECK(capacity >= 4 && capacity < 0xffffffff);
}

TargetSetId TargetSets::intern(const TargetSet& set, AccountId account) {
    ++calls_;
    const std::uint64_t hash = hash_of(set, account);
    const auto [first, last] = index_.equal_range(hash);
    for (auto it = first; it != last; ++it) {
        Slot& slot = slots_[it->second];
        if (slot.account != account || slot.set != set) continue;
        slot.asked_at = calls_;
        return {it->second, slot.generation};
    }
    BASE_CHECK(is_canonical(set));
    const std::uint32_t taken = take_slot();
    Slot& slot = slots_[taken];
    slot.set = set;
    slot.hash = hash;
    slot.account = account;
    slot.asked_at = calls_;
    // 2^32 turns of one slot, each after a whole round of the clock hand, do not happen in a process's life.
    if (++slot.generation == 0) slot.generation = 1;
    index_.emplace(hash, taken);
    return {taken, slot.generation};
}

// A free slot: a new one while there is room, else the next that none of the last capacity / 2 calls asked for.  As a
// call asks for one slot, at least half of the slots qualify and the hand comes by one within a round.
std::uint32_t TargetSets::take_slot() {
    if (slots_.size() < capacity_) {
        slots_.emplace_back();
        return static_cast<std::uint32_t>(slots_.size() - 1);
    }
    for (;;) {
        const std::uint32_t at = hand_;
        hand_ = at + 1 == slots_.size() ? 0 : at + 1;
        Slot& slot = slots_[at];
        if (calls_ - slot.asked_at <= capacity_ / 2) continue;
        const auto [first, last] = index_.equal_range(slot.hash);
        for (auto it = first; it != last; ++it) {
            if (it->second != at) continue;
            index_.erase(it);
            break;
        }
        ++evictions_;
        return at;
    }
}

const TargetSet* TargetSets::get(TargetSetId id) const {
    if (id.slot >= slots_.size() || slots_[id.slot].generation != id.generation) return nullptr;
    return &slots_[id.slot].set;
}

AccountId TargetSets::account(TargetSetId id) const {
    BASE_CHECK(get(id) != nullptr);
    return slots_[id.slot].account;
}

}  // namespace routing
