#include "routing/queue_policy.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "routing/base/subject.h"

namespace routing {

namespace {

constexpr std::array<std::string_view, 5> names = {"local_first", "round_robin", "weighted", "nearest", "random"};

}  // namespace

std::string_view name_of(QueuePolicy policy) {
    return names[static_cast<std::size_t>(policy)];
}

std::optional<QueuePolicy> read_queue_policy(std::string_view name) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) return std::nullopt;
    return static_cast<QueuePolicy>(found - names.begin());
}

QueuePolicy QueuePolicies::of(std::string_view subject) const {
    for (const Subject& one : by_subject)
        if (base::matches(one.filter, subject)) return one.policy;
    return standard;
}

bool QueuePolicies::may_be(QueuePolicy policy) const {
    return standard == policy || std::any_of(by_subject.begin(), by_subject.end(),
                                             [&](const Subject& subject) { return subject.policy == policy; });
}

std::uint64_t ring_place(std::uint64_t position, std::uint64_t total) {
    if (total < 2) return 0;
    // A step without a common divisor visits all places; near the golden ratio it spreads them most evenly.
    constexpr std::uint64_t golden = 40503;  // of 65,536
    __extension__ using Wide = unsigned __int128;
    auto step = static_cast<std::uint64_t>((static_cast<Wide>(total) * golden) >> 16);
    while (std::gcd(step, total) != 1) ++step;
    return static_cast<std::uint64_t>(static_cast<Wide>(position % total) * step % total);
}

QueueRings::Slot& QueueRings::slot(std::uint64_t key) {
    static_assert((rings_max & (rings_max - 1)) == 0);
    if (!slots_) slots_ = std::make_unique<Slot[]>(rings_max);
    return slots_[(key >> 32) & (rings_max - 1)];
}

QueueRing& QueueRings::group(std::uint64_t key) {
    Slot& found = slot(key);
    if (found.key != key) found = Slot{key, {}};
    return found.ring;
}

QueueRing& QueueRings::subject(std::uint64_t group_key, std::uint64_t subject_key) {
    Slot& found = slot(subject_key);
    if (found.key == subject_key) return found.ring;
    QueueRing& whole = group(group_key);
    const QueueRing start = whole;
    ++whole.tree;
    ++whole.here;
    found = Slot{subject_key, start};
    return found.ring;
}

}  // namespace routing
