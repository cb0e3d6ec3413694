// The operator's subject mappings: what a client publishes to one subject goes to another, or to several by weight.
// Compiled once, immutable, so that any number of threads may read it and a reload swaps one pointer.
// Leaves to others: the config file's spelling (gateway/conf), when a reload takes effect (gateway/shard).
//
//     mappings {
//       old.*: new.$1                                     # one destination, all of it
//       foo: [{destination: foo.v1, weight: 80%}          # the rest, 20 %, stays foo
//             {destination: foo.v2, weight: 10%, cluster: east}]
//       loss: [{destination: loss, weight: 50%}]          # names itself: the rest, 50 %, is dropped
//     }
//
// Source: nats-server server/accounts.go AddWeightedMappings, selectMappedSubject.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "routing/base/bytes.h"
#include "routing/base/prng.h"
#include "routing/base/result.h"

namespace compat {

/// One of a mapping's destinations, as configured.
struct MappingDestination {
    std::string subject;         ///< may hold functions, see compat/subject_transform.h
    std::uint32_t weight = 100;  ///< percent
    /// Empty: everywhere.  Else only in the cluster of this name; a server that belongs to a cluster for which a
    /// mapping has entries uses these alone.  A gateway is in no cluster, so entries with a name are checked and then
    /// unused.
    std::string cluster;

    bool operator==(const MappingDestination&) const = default;
};

/// One configured mapping: `source` is a filter, what matches it goes to one of `destinations`.
struct Mapping {
    std::string source;
    std::vector<MappingDestination> destinations;

    bool operator==(const Mapping&) const = default;
};

/// What became of a subject.
enum class Mapped : std::uint8_t {
    no,       ///< no mapping has it: it stays what it is
    yes,      ///< it is another one now (or the same by a mapping's choice)
    dropped,  ///< a mapping's remainder: the message reaches nobody
};

/// All mappings of a gateway, ready to use.
///
/// A literal source comes before those with wildcards, and of these the first in the order of the config is taken.
/// (Stock tries them in an order that is random at each start, so a config that stock maps in one way is mapped so.)
/// A mapped subject is not mapped again.
///
/// Threads: any; nothing changes after compile().
class SubjectMappings {
  public:
    /// What is wrong with `mapping`, as stock words it ("duplicate entry for \"a\"", "total weight needs to be <= 100",
    /// ...) and without the words that a config file's reader puts in front; empty if nothing is.
    [[nodiscard]] static std::string error_of(const Mapping& mapping);

    /// Errors: the error_of() the first mapping that has one, after "mapping \"source\": ".
    /// Returns nullptr for no mappings at all, so that a caller's one branch is `if (mappings)`.
    /// Of several mappings with one source the last counts.
    [[nodiscard]] static base::Result<std::shared_ptr<const SubjectMappings>, std::string> compile(
        const std::vector<Mapping>& mappings);

    ~SubjectMappings();
    SubjectMappings(const SubjectMappings&) = delete;
    SubjectMappings& operator=(const SubjectMappings&) = delete;

    /// Puts into `out` where a message that was published to `subject` goes (yes), or leaves it empty.
    /// `prng` is drawn from only where there is a choice: several destinations, a remainder, {{random(n)}}.
    /// Cost: one look into a hash table and a walk over the sources with wildcards; allocates nothing once `out` is
    /// large enough and no source has more than transform_tokens_inline tokens.
    [[nodiscard]] Mapped apply(std::string_view subject, base::Prng& prng, base::Bytes& out) const;

  private:
    struct Compiled;
    struct Tables;
    SubjectMappings();

    std::unique_ptr<const Tables> tables_;
};

}  // namespace compat
