// Where inboxes live: subscriptions to `_INBOX.>` do not travel through the tree, so who answers a request remembers
// which gateway it came from.
// Leaves to others: asking around when nothing is known (lookups), sending (node).
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "routing/base/time.h"
#include "routing/types.h"

namespace routing::node {

/// Inboxes remembered; the one used longest ago gives way.  Source: DESIGN 4.4 (bounded, LRU); about 16 MiB.
inline constexpr std::size_t inbox_memory_entries_max = 65536;
/// A memory is refreshed at most this often, so that a stream of requests costs one write a second.  Source:
/// DESIGN 4.4.
inline constexpr base::Duration inbox_refresh_interval = std::chrono::seconds(1);
/// How long "nobody has it" is believed.  Long enough to spare the tree a flood of questions, short enough for a
/// requester that is just reconnecting.
inline constexpr base::Duration inbox_negative_ttl = std::chrono::seconds(2);

/// The part of an inbox subject that names the requester: its first two tokens ("_INBOX.Xy3" of "_INBOX.Xy3.17").
/// Borrows: `subject`.
[[nodiscard]] std::string_view inbox_prefix(std::string_view subject);

/// True if `filter` names inboxes of one requester: first token `root`, second token a literal.
/// Such filters are not propagated; wider ones (`_INBOX.>`, `>`) are matched as any other filter.
[[nodiscard]] bool is_inbox_filter(std::string_view filter, std::string_view root);

/// (account, inbox prefix) -> gateway, bounded, least recently used out first.  Threads: one.
class InboxMemory {
  public:
    explicit InboxMemory(std::size_t entries_max = inbox_memory_entries_max) : entries_max_(entries_max) {}

    enum class Answer : std::uint8_t { unknown, lives_at, nowhere };
    struct Found {
        Answer answer = Answer::unknown;
        GatewayIndex gateway = gateway_none;
    };

    /// A request from `gateway` with a reply subject of this prefix was delivered here.
    /// The same news again within inbox_refresh_interval changes nothing.
    void remember(AccountId account, std::string_view prefix, GatewayIndex gateway, base::Instant now);
    /// Everybody was asked and nobody has it; believed for inbox_negative_ttl.
    void remember_nowhere(AccountId account, std::string_view prefix, base::Instant now);
    [[nodiscard]] Found find(AccountId account, std::string_view prefix, base::Instant now);
    void forget(AccountId account, std::string_view prefix);

    [[nodiscard]] std::size_t size() const { return entries_.size(); }

  private:
    struct Entry {
        AccountId account;
        std::string prefix;
        GatewayIndex gateway;  // gateway_none: nowhere
        base::Instant since;
    };
    struct Key {
        AccountId account;
        std::string_view prefix;  // points into the entry, whose place in the list is stable
        bool operator==(const Key&) const = default;
    };
    struct KeyHash {
        std::size_t operator()(const Key& key) const { return base::hash_bytes(key.prefix, key.account); }
    };

    void set(AccountId account, std::string_view prefix, GatewayIndex gateway, base::Instant now);

    std::size_t entries_max_;
    std::list<Entry> entries_;  // most recently used first
    std::unordered_map<Key, std::list<Entry>::iterator, KeyHash> index_;
};

}  // namespace routing::node
