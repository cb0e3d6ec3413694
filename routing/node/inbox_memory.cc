#include "routing/node/inbox_memory.h"

#include "routing/base/subject.h"

namespace routing::node {

std::string_view inbox_prefix(std::string_view subject) {
    const std::size_t first = subject.find('.');
    if (first == std::string_view::npos) return subject;
    return subject.substr(0, subject.find('.', first + 1));
}

bool is_inbox_filter(std::string_view filter, std::string_view root) {
    base::Tokens tokens(filter);
    std::string_view token;
    if (!tokens.next(token) || token != root || !tokens.next(token)) return false;
    return token != "*" && token != ">";
}

void InboxMemory::set(AccountId account, std::string_view prefix, GatewayIndex gateway, base::Instant now) {
    if (const auto found = index_.find(Key{account, prefix}); found != index_.end()) {
        Entry& entry = *found->second;
        if (entry.gateway == gateway && now - entry.since < inbox_refresh_interval) return;
        entry.gateway = gateway;
        entry.since = now;
        entries_.splice(entries_.begin(), entries_, found->second);
        return;
    }
    while (!entries_.empty() && entries_.size() >= entries_max_) {
        index_.erase(Key{entries_.back().account, entries_.back().prefix});
        entries_.pop_back();
    }
    entries_.push_front(Entry{account, std::string(prefix), gateway, now});
    index_.emplace(Key{account, entries_.front().prefix}, entries_.begin());
}

void InboxMemory::remember(AccountId account, std::string_view prefix, GatewayIndex gateway, base::Instant now) {
    set(account, prefix, gateway, now);
}

void InboxMemory::remember_nowhere(AccountId account, std::string_view prefix, base::Instant now) {
    set(account, prefix, gateway_none, now);
}

InboxMemory::Found InboxMemory::find(AccountId account, std::string_view prefix, base::Instant now) {
    const auto found = index_.find(Key{account, prefix});
    if (found == index_.end()) return {};
    const Entry& entry = *found->second;
    if (entry.gateway == gateway_none) {
        if (now - entry.since < inbox_negative_ttl) return {Answer::nowhere, gateway_none};
        forget(account, prefix);
        return {};
    }
    return {Answer::lives_at, entry.gateway};
}

void InboxMemory::forget(AccountId account, std::string_view prefix) {
    const auto found = index_.find(Key{account, prefix});
    if (found == index_.end()) return;
    const auto entry = found->second;
    index_.erase(found);
    entries_.erase(entry);
}

}  // namespace routing::node
