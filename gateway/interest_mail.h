// How changes of interest are written for the sibling shards: one after the other in one piece of memory, so that a
// million of them leave the allocator nothing to keep.
#pragma once

#include "routing/base/bytes.h"
#include "routing/base/check.h"
#include "routing/router.h"

namespace gateway {

inline void append_interest(base::Bytes& out, const routing::InterestChangeView& change) {
    base::append_varint(out, change.account);
    base::append_varint(out, change.weight);
    base::append_varint(out, change.filter.size());
    base::append_varint(out, change.queue.size());
    out.append(change.filter);
    out.append(change.queue);
}

/// Takes one change off the front of `in`.  Errors: false at the end.  Borrows: views into `in`'s bytes.
/// The bytes are our own, so what is malformed is a bug (asserted).
[[nodiscard]] inline bool next_interest(base::ByteView& in, routing::InterestChangeView& change) {
    if (in.empty()) return false;
    std::uint64_t numbers[4] = {};
    bool good = true;
    for (auto& number : numbers) good = good && base::read_varint(in, number);
    good = good && base::read_bytes(in, numbers[2], change.filter) && base::read_bytes(in, numbers[3], change.queue);
    BASE_CHECK(good);
    change.account = static_cast<routing::AccountId>(numbers[0]);
    change.weight = static_cast<std::uint32_t>(numbers[1]);
    return true;
}

/// The same for what another gateway wants.
inline void append_gateway_interest(base::Bytes& out, routing::GatewayIndex gateway,
                                    const routing::InterestChangeView& change) {
    base::append_varint(out, gateway);
    append_interest(out, change);
}

[[nodiscard]] inline bool next_gateway_interest(base::ByteView& in, routing::GatewayIndex& gateway,
                                                routing::InterestChangeView& change) {
    if (in.empty()) return false;
    std::uint64_t number = 0;
    const bool good = base::read_varint(in, number) && next_interest(in, change);
    BASE_CHECK(good);
    gateway = static_cast<routing::GatewayIndex>(number);
    return true;
}

}  // namespace gateway
