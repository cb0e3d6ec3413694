#include "routing/queue/flow_message.h"

#include <utility>

namespace routing::queue {

namespace {

constexpr char version = 1;
constexpr char flag_gap = 1;

bool read_version(base::ByteView& in) {
    if (in.empty() || in.front() != version) return false;
    in.remove_prefix(1);
    return true;
}

}  // namespace

base::Bytes encode(const Head& head) {
    base::Bytes out;
    out.reserve(32 + head.runs.size() * 12);
    out.push_back(version);
    base::append_little_endian(out, head.run);
    base::append_varint(out, head.k);
    base::append_varint(out, head.floor);
    base::append_varint(out, head.runs.size());
    for (const RunStart& start : head.runs) {
        base::append_little_endian(out, start.run);
        base::append_varint(out, start.first);
    }
    return out;
}

base::Bytes encode(const At& at) {
    base::Bytes out;
    out.push_back(version);
    out.push_back(at.gap ? flag_gap : 0);
    base::append_little_endian(out, at.run);
    base::append_varint(out, at.k);
    base::append_little_endian(out, at.boot);
    base::append_varint(out, at.synced);
    base::append_varint(out, at.accepted);
    return out;
}

std::optional<Head> decode_head(base::ByteView body) {
    Head head;
    std::uint64_t count = 0;
    if (!read_version(body) || !base::read_little_endian(body, head.run) || !base::read_varint(body, head.k) ||
        !base::read_varint(body, head.floor) || !base::read_varint(body, count))
        return std::nullopt;
    // An entry takes at least 9 bytes, so nothing is reserved that was not sent.
    if (count == 0 || count > runs_max || count > body.size() / 9) return std::nullopt;
    head.runs.reserve(static_cast<std::size_t>(count));
    for (std::uint64_t i = 0; i < count; ++i) {
        RunStart start;
        if (!base::read_little_endian(body, start.run) || !base::read_varint(body, start.first)) return std::nullopt;
        if (start.run == 0 || start.first == 0) return std::nullopt;
        if (!head.runs.empty() && start.first <= head.runs.back().first) return std::nullopt;
        head.runs.push_back(start);
    }
    if (!body.empty() || head.k == 0 || head.runs.back().run != head.run) return std::nullopt;
    return head;
}

std::optional<At> decode_at(base::ByteView body) {
    At at;
    if (!read_version(body) || body.empty()) return std::nullopt;
    const char flags = body.front();
    body.remove_prefix(1);
    if ((flags & ~flag_gap) != 0) return std::nullopt;
    at.gap = (flags & flag_gap) != 0;
    if (!base::read_little_endian(body, at.run) || !base::read_varint(body, at.k) ||
        !base::read_little_endian(body, at.boot) || !base::read_varint(body, at.synced) ||
        !base::read_varint(body, at.accepted))
        return std::nullopt;
    if (!body.empty() || at.run == 0 || at.boot == 0 || at.synced > at.accepted) return std::nullopt;
    return at;
}

Run run_of(const RunList& runs, Position position) {
    std::size_t low = 0;
    std::size_t high = runs.size();
    while (low < high) {
        const std::size_t middle = (low + high) / 2;
        if (runs[middle].first <= position) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? 0 : runs[low - 1].run;
}

Position last_of_run(const RunList& runs, Run run) {
    for (std::size_t i = runs.size(); i-- > 0;) {
        if (runs[i].run == run) return i + 1 == runs.size() ? position_max : runs[i + 1].first - 1;
    }
    return 0;
}

}  // namespace routing::queue
