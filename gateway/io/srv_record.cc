#include "gateway/io/srv_record.h"

#include <algorithm>
#include <utility>

#include <arpa/nameser.h>
#include <netinet/in.h>
#include <resolv.h>

namespace gateway::io {

namespace {

/// Priority, weight and port stand before the target's name.  Unit: bytes.
constexpr std::size_t srv_head_bytes = 6;

std::uint16_t read_16(const unsigned char* bytes) {
    return static_cast<std::uint16_t>((bytes[0] << 8) | bytes[1]);
}

}  // namespace

std::vector<SrvRecord> read_srv_answer(base::ByteView answer) {
    std::vector<SrvRecord> records;
    const auto* bytes = reinterpret_cast<const unsigned char*>(answer.data());
    ns_msg message{};
    if (answer.size() > NS_MAXMSG || ns_initparse(bytes, static_cast<int>(answer.size()), &message) != 0) return {};
    const int count = ns_msg_count(message, ns_s_an);
    for (int i = 0; i < count && records.size() < srv_records_max; ++i) {
        ns_rr record{};
        if (ns_parserr(&message, ns_s_an, i, &record) != 0) break;
        if (ns_rr_type(record) != ns_t_srv || ns_rr_rdlen(record) <= srv_head_bytes) continue;
        const unsigned char* data = ns_rr_rdata(record);
        char target[NS_MAXDNAME] = {};
        if (dn_expand(ns_msg_base(message), ns_msg_end(message), data + srv_head_bytes, target, sizeof target) < 0)
            break;
        SrvRecord found{read_16(data), read_16(data + 2), read_16(data + 4), target};
        if (!found.target.empty() && found.target != "." && found.port != 0) records.push_back(std::move(found));
    }
    return records;
}

void put_in_order(std::vector<SrvRecord>& records, base::Prng& prng) {
    // Those without a weight stand first among equals: they are picked when chance says 0.
    std::stable_sort(records.begin(), records.end(), [](const SrvRecord& a, const SrvRecord& b) {
        return std::make_pair(a.priority, a.weight != 0) < std::make_pair(b.priority, b.weight != 0);
    });
    for (auto from = records.begin(); from != records.end(); ++from) {
        const auto end = std::find_if(from, records.end(),
                                      [&](const SrvRecord& record) { return record.priority != from->priority; });
        std::uint64_t sum = 0;
        for (auto record = from; record != end; ++record) sum += record->weight;
        const std::uint64_t chance = prng.below(sum + 1);
        std::uint64_t passed = 0;
        const auto picked = std::find_if(from, end, [&](const SrvRecord& record) {
            passed += record.weight;
            return passed >= chance;
        });
        std::rotate(from, picked, picked + 1);
    }
}

}  // namespace gateway::io
