// SRV records (RFC 2782): where a service is.  Reading DNS answers, and the order in which servers are tried.
// Pure.  Leaves to others: asking (name_lookup).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "routing/base/bytes.h"
#include "routing/base/prng.h"

namespace gateway::io {

/// Records that are taken from one answer.  Own choice: a tree needs one member that answers.
inline constexpr std::size_t srv_records_max = 32;

struct SrvRecord {
    std::uint16_t priority = 0;  ///< the smaller the better
    std::uint16_t weight = 0;    ///< the share of this one among those of its priority
    std::uint16_t port = 0;
    std::string target;  ///< a name
    bool operator==(const SrvRecord&) const = default;
};

/// The SRV records of a whole DNS answer, in its order, srv_records_max at most.  Records without a target ("."), or
/// with port 0 say that there is no such service and are left out.  Errors: empty if it is no DNS answer; a record that
/// is broken ends the list.
[[nodiscard]] std::vector<SrvRecord> read_srv_answer(base::ByteView answer);

/// Puts them into the order in which they are to be tried: by priority, and among equals by chance, by weight.
/// Source: RFC 2782, "Weight".
void put_in_order(std::vector<SrvRecord>& records, base::Prng& prng);

}  // namespace gateway::io
