#include "routing/node/lookups.h"

#include <algorithm>

#include "routing/node/inbox_memory.h"

namespace routing::node {

bool Lookups::allowed(Asker asker, base::Instant now) {
    if (rates_.size() >= lookup_askers_max && !rates_.contains(asker)) rates_.clear();
    const auto [found, fresh] = rates_.try_emplace(asker);
    Rate& rate = found->second;
    if (fresh) rate.since = now;
    constexpr base::Duration one = base::Duration(std::chrono::seconds(1)) / lookups_per_second;
    const auto earned = static_cast<std::uint64_t>(std::max<std::int64_t>(0, (now - rate.since) / one));
    rate.since += one * static_cast<std::int64_t>(earned);
    rate.tokens = std::min<std::uint64_t>(lookup_burst, rate.tokens + earned);
    if (rate.tokens == 0) return false;
    --rate.tokens;
    return true;
}

Lookups::Asked Lookups::wait(Asker asker, const MessageView& message, base::Instant now, bool forwarded) {
    const std::string_view prefix = inbox_prefix(message.subject);
    HeldMessage held(message);
    held.forwarded = forwarded;
    if (waiting_bytes_ + held.bytes() > lookup_waiting_bytes_max) return Asked::refused;
    auto key = std::make_pair(message.account, std::string(prefix));
    auto found = open_.find(key);
    const bool fresh = found == open_.end();
    if (fresh) {
        if (open_.size() >= lookups_open_max || !allowed(asker, now)) return Asked::refused;
        Open open;
        open.question = Question{message.account, key.second, std::string(message.subject)};
        open.asked = now;
        open.deadline = now + lookup_timeout;
        found = open_.emplace(std::move(key), std::move(open)).first;
    } else if (found->second.waiting.size() >= lookup_waiting_max) {
        return Asked::refused;
    }
    waiting_bytes_ += held.bytes();
    found->second.waiting.push_back(std::move(held));
    return fresh ? Asked::started : Asked::joined;
}

std::vector<HeldMessage> Lookups::answered(AccountId account, std::string_view prefix) {
    const auto found = open_.find({account, std::string(prefix)});
    if (found == open_.end()) return {};
    std::vector<HeldMessage> waiting = std::move(found->second.waiting);
    open_.erase(found);
    for (const auto& message : waiting) waiting_bytes_ -= message.bytes();
    return waiting;
}

Lookups::Due Lookups::tick(base::Instant now) {
    Due due;
    for (auto at = open_.begin(); at != open_.end();) {
        Open& open = at->second;
        if (now >= open.deadline) {
            for (auto& message : open.waiting) {
                waiting_bytes_ -= message.bytes();
                due.given_up.push_back(std::move(message));
            }
            due.gave_up.push_back(std::move(open.question));
            at = open_.erase(at);
            continue;
        }
        if (now - open.asked >= lookup_repeat) {
            open.asked = now;
            due.repeat.push_back(open.question);
        }
        ++at;
    }
    return due;
}

base::Instant Lookups::next_deadline() const {
    base::Instant next = base::instant_max;
    for (const auto& [key, open] : open_) next = std::min({next, open.deadline, open.asked + lookup_repeat});
    return next;
}

}  // namespace routing::node
