#include "routing/peer/record.h"

#include <algorithm>

#include "routing/base/check.h"
#include "routing/event_path.h"
#include "routing/peer/frame.h"
#include "routing/peer/peer_message.h"

namespace routing::peer {

static_assert(record_bytes_max + 2 * base::varint_bytes_max < data_body_bytes_max, "a longest record fits a frame");
static_assert(trace_hops_max * trace_hop_bytes_max < 64 * 1024, "a full trace fits beside a longest message");

namespace {

constexpr std::uint8_t flags_of_both_lanes =
    record_flag_reply | record_flag_headers | record_flag_trace | record_flags_sender;

// True if `prev` can be told as a delta of the same run.
bool is_delta(const PrevPosition& prev, const RecordView& record) {
    return prev.position == 0 || (prev.run == record.run && prev.position < record.position);
}

std::uint64_t delta_of(const PrevPosition& prev, const RecordView& record) {
    return record.position - prev.position;
}

// The delta that most targets have, if more than half do (Boyer and Moore's vote); else one of those there are.
std::uint64_t common_delta(const RecordView& record) {
    std::uint64_t candidate = record.position;
    std::size_t votes = 0;
    for (std::size_t i = 0; i < record.prev_count; ++i) {
        if (!is_delta(record.prevs[i], record)) continue;
        const std::uint64_t delta = delta_of(record.prevs[i], record);
        if (votes == 0) candidate = delta;
        votes = delta == candidate ? votes + 1 : votes - 1;
    }
    return candidate;
}

// append_varint for a place that is known to have room: a record's head is written for every message.
char* put_varint(char* to, std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) *to++ = static_cast<char>(value | 0x80);
    *to++ = static_cast<char>(value);
    return to;
}

}  // namespace

bool RecordEncoder::prepare(const RecordView& record, Lane lane, const TraceHop& self) {
    message_ = record.message;
    exceptions_.clear();
    BASE_CHECK(!message_.subject.empty() && message_.header_bytes <= message_.body.size());
    std::uint64_t delta = 0;
    if (lane == Lane::durable) {
        BASE_CHECK(record.position > 0);
        delta = common_delta(record);
        for (std::size_t i = 0; i < record.prev_count; ++i) {
            const PrevPosition& prev = record.prevs[i];
            const bool same_run = is_delta(prev, record);
            if (same_run && delta_of(prev, record) == delta) continue;
            base::append_varint(exceptions_, static_cast<std::uint64_t>(i) << 1 | (same_run ? 0 : 1));
            if (same_run) {
                base::append_varint(exceptions_, delta_of(prev, record));
            } else {
                base::append_little_endian(exceptions_, prev.run);
                base::append_varint(exceptions_, prev.position);
            }
        }
    }
    std::uint8_t flags = record.flags & (record_flag_trace | record_flags_sender);
    if (!message_.reply.empty()) flags |= record_flag_reply;
    if (message_.header_bytes > 0) flags |= record_flag_headers;
    if (!exceptions_.empty()) flags |= record_flag_exceptions;
    char* to = head_.data();
    *to++ = static_cast<char>(flags);
    if ((flags & record_flag_trace) != 0) {
        BASE_CHECK(self.prime <= prime_max);
        to = put_varint(to, self.id.bytes.size() + base::varint_size(self.prime) + 1);
        to = std::copy(self.id.bytes.begin(), self.id.bytes.end(), to);
        to = put_varint(to, self.prime);
        *to++ = static_cast<char>(self.exponent);
    }
    if (lane == Lane::durable) {
        to = put_varint(to, record.position);
        to = put_varint(to, delta);
        if (!exceptions_.empty()) to = put_varint(to, exceptions_.size());
    }
    exceptions_at_ = static_cast<std::size_t>(to - head_.data());
    to = put_varint(to, message_.subject.size());
    if (!message_.reply.empty()) to = put_varint(to, message_.reply.size());
    if (message_.header_bytes > 0) to = put_varint(to, message_.header_bytes);
    head_bytes_ = static_cast<std::size_t>(to - head_.data());
    rest_bytes_ =
        head_bytes_ + exceptions_.size() + message_.subject.size() + message_.reply.size() + message_.body.size();
    return rest_bytes_ <= record_bytes_max;
}

void RecordEncoder::append(base::Bytes& out, std::uint32_t label) const {
    std::array<char, 2 * base::varint_bytes_max> sizes;
    char* const end = put_varint(put_varint(sizes.data(), label), rest_bytes_);
    out.append(sizes.data(), end);
    if (exceptions_.empty()) {
        out.append(head_.data(), head_bytes_);
    } else {
        out.append(head_.data(), exceptions_at_);
        out.append(exceptions_);
        out.append(head_.data() + exceptions_at_, head_bytes_ - exceptions_at_);
    }
    out.append(message_.subject);
    out.append(message_.reply);
    out.append(message_.body);
}

PeerError parse_record(base::ByteView rest, Lane lane, RecordFields& out) {
    if (rest.empty()) return PeerError::truncated;
    out.flags = static_cast<std::uint8_t>(rest.front());
    rest.remove_prefix(1);
    const std::uint8_t known = flags_of_both_lanes | (lane == Lane::durable ? record_flag_exceptions : 0);
    if ((out.flags & ~known) != 0) return PeerError::malformed;

    std::uint64_t size = 0;
    out.trace = {};
    if ((out.flags & record_flag_trace) != 0 &&
        (!base::read_varint(rest, size) || !base::read_bytes(rest, size, out.trace)))
        return PeerError::truncated;
    out.position = 0;
    out.delta = 0;
    out.exceptions = {};
    if (lane == Lane::durable) {
        if (!base::read_varint(rest, out.position) || !base::read_varint(rest, out.delta)) return PeerError::truncated;
        if (out.position == 0 || out.delta == 0 || out.delta > out.position) return PeerError::malformed;
        if ((out.flags & record_flag_exceptions) != 0 &&
            (!base::read_varint(rest, size) || !base::read_bytes(rest, size, out.exceptions)))
            return PeerError::truncated;
    }
    std::uint64_t subject = 0;
    std::uint64_t reply = 0;
    std::uint64_t headers = 0;
    if (!base::read_varint(rest, subject)) return PeerError::truncated;
    if ((out.flags & record_flag_reply) != 0 && !base::read_varint(rest, reply)) return PeerError::truncated;
    if ((out.flags & record_flag_headers) != 0 && !base::read_varint(rest, headers)) return PeerError::truncated;
    if (!base::read_bytes(rest, subject, out.subject) || !base::read_bytes(rest, reply, out.reply) ||
        headers > rest.size())
        return PeerError::truncated;
    if (subject == 0) return PeerError::malformed;
    out.header_bytes = static_cast<std::uint32_t>(headers);
    out.body = rest;
    return PeerError::none;
}

PeerError find_prev(const RecordFields& fields, std::uint64_t run, std::uint32_t ordinal, PrevPosition& out) {
    const auto from_delta = [&](std::uint64_t delta) {
        const std::uint64_t position = fields.position - delta;
        out = position == 0 ? PrevPosition{} : PrevPosition{run, position};
    };
    from_delta(fields.delta);
    base::ByteView rest = fields.exceptions;
    while (!rest.empty()) {
        std::uint64_t head = 0;
        std::uint64_t value = 0;
        std::uint64_t other_run = 0;
        if (!base::read_varint(rest, head)) return PeerError::malformed;
        const bool absolute = (head & 1) != 0;
        if (absolute && !base::read_little_endian(rest, other_run)) return PeerError::malformed;
        if (!base::read_varint(rest, value)) return PeerError::malformed;
        if (!absolute && (value == 0 || value > fields.position)) return PeerError::malformed;
        if (head >> 1 != ordinal) continue;
        if (absolute) {
            out = PrevPosition{other_run, value};
        } else {
            from_delta(value);
        }
    }
    return PeerError::none;
}

PeerError append_with_hop(base::Bytes& out, base::ByteView rest, const TraceHop& hop) {
    if (rest.empty()) return PeerError::truncated;
    if ((static_cast<std::uint8_t>(rest.front()) & record_flag_trace) == 0) return PeerError::malformed;
    const char flags = rest.front();
    rest.remove_prefix(1);
    std::uint64_t size = 0;
    base::ByteView trace;
    if (!base::read_varint(rest, size) || !base::read_bytes(rest, size, trace)) return PeerError::truncated;
    const std::size_t hop_bytes = hop.id.bytes.size() + base::varint_size(hop.prime) + 1;
    // A few bytes more than the hop: the trace's length may need another one.
    const bool full = trace.size() + hop_bytes > trace_hops_max * trace_hop_bytes_max ||
                      1 + base::varint_bytes_max + trace.size() + hop_bytes + rest.size() > record_bytes_max;
    out.push_back(flags);
    base::append_varint(out, trace.size() + (full ? 0 : hop_bytes));
    out.append(trace);
    if (!full) append_hop(out, hop);
    out.append(rest);
    return PeerError::none;
}

}  // namespace routing::peer
