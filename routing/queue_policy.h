// Which member of a queue group takes a message: the policies, which subject has which, and the rings of round robin.
// Leaves to others: who the members are (router), picking one (route).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace routing {

/// How one member of a queue group is chosen among all that can be reached in the tree.  The gateway where the message
/// was published chooses, once.  Source: DESIGN 4.5.
enum class QueuePolicy : std::uint8_t {
    local_first,  ///< members of this gateway, all alike; without any: gateways by their number of members.  As stock
    round_robin,  ///< all members of the tree in turn
    weighted,     ///< at random, all members of the tree alike: a gateway by its number of members
    nearest,      ///< members of this gateway; without any: of the gateways that are fewest links away (README says why
                  ///< not by time)
    random,       ///< at random, all gateways that have members alike, however many they have
};

/// As in the config file: local_first, round_robin, weighted, nearest, random.
[[nodiscard]] std::string_view name_of(QueuePolicy policy);
/// Errors: nothing if `name` is none of them.
[[nodiscard]] std::optional<QueuePolicy> read_queue_policy(std::string_view name);

/// What the operator asked for.
struct QueuePolicies {
    struct Subject {
        std::string filter;  ///< of subjects; valid
        QueuePolicy policy = QueuePolicy::local_first;
        bool operator==(const Subject&) const = default;
    };
    QueuePolicy standard = QueuePolicy::local_first;
    std::vector<Subject> by_subject;  ///< the first whose filter matches a subject counts

    bool operator==(const QueuePolicies&) const = default;
    [[nodiscard]] QueuePolicy of(std::string_view subject) const;
    /// True if any subject may have `policy`.
    [[nodiscard]] bool may_be(QueuePolicy policy) const;
};

/// Where round robin stands for one (account, queue group, subject).
struct QueueRing {
    std::uint64_t tree = 0;  ///< messages chosen among all members of the tree
    std::uint64_t here = 0;  ///< messages of other gateways, chosen among the members of this one
};

/// The place in [0, total) of message `position`: any `total` messages in a row visit each place once, and places that
/// follow each other are far apart, so that a gateway with many members does not get its messages in one burst.
[[nodiscard]] std::uint64_t ring_place(std::uint64_t position, std::uint64_t total);

/// The rings of one shard: a table of fixed size, made when the first is needed.  A subject whose ring gave way to
/// another goes on where its group stands as a whole.  Addresses stay for the life of the object.
class QueueRings {
  public:
    /// Rings kept.  Own choice: as many as routes (RouterOptions::cache_entries), 24 bytes each.
    static constexpr std::size_t rings_max = 16384;

    /// The ring of a group as a whole: `key` is of (account, group).  Subjects that are used once share it.
    [[nodiscard]] QueueRing& group(std::uint64_t key);
    /// The ring of a subject of it: `subject_key` is of (account, group, subject).
    [[nodiscard]] QueueRing& subject(std::uint64_t group_key, std::uint64_t subject_key);

  private:
    struct Slot {
        std::uint64_t key = 0;  ///< 0: free
        QueueRing ring;
    };
    [[nodiscard]] Slot& slot(std::uint64_t key);
    std::unique_ptr<Slot[]> slots_;
};

}  // namespace routing
