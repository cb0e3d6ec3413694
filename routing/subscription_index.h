// Which filters match a subject: an exact filter by one hash lookup, wildcard filters through a trie of tokens.
// Leaves to others: who subscribed to a filter (the router hangs its lists on the filter's `head`).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "routing/id_table.h"
#include "routing/slot_pool.h"
#include "routing/types.h"

namespace routing {

/// A filter of one account while it is in the index; reused after erase().
using FilterId = std::uint32_t;
inline constexpr FilterId filter_none = IdTable::none;

/// What the owner keeps with a filter, in the same cache line: who wants it.
struct FilterUse {
    std::uint32_t plain = filter_none;      ///< first plain subscription of this shard
    std::uint32_t interests = filter_none;  ///< first record of other interest
    std::uint8_t siblings = 0;              ///< bit i: sibling shard i has plain subscriptions
    bool dirty = false;                     ///< `plain` may no longer be what was told
    bool told = false;                      ///< that there are plain subscriptions
    [[nodiscard]] bool unused() const {
        return plain == filter_none && interests == filter_none && siblings == 0 && !dirty;
    }
};

/// A set of (account, filter), each with a FilterUse, and the question which of them match a subject.
///
/// A filter costs one record of 64 bytes and 11 to 16 bytes of table; of wildcard filters, a trie node is made for each
/// token at which two of them part, and for those before it.  Everything lies in flat tables; matching is a loop with
/// an explicit stack (no recursion), which visits no trie node twice, and allocates nothing once its scratch space has
/// grown to the longest subject.
/// Threads: one.
/// Limits: none of its own; filters are as long as their publishers' control lines, ids are 31 bits (checked).
class SubscriptionIndex {
  public:
    /// `hash_seed` keeps a stranger from choosing subjects that collide; it changes nothing else.
    explicit SubscriptionIndex(std::uint64_t hash_seed = 0) : hash_seed_(hash_seed) {}
    ~SubscriptionIndex();
    SubscriptionIndex(const SubscriptionIndex&) = delete;
    SubscriptionIndex& operator=(const SubscriptionIndex&) = delete;

    /// The id of (account, filter), added now if it is not there.  `filter` is valid (base::is_valid_filter; checked by
    /// the session or the codec that took it in); it is copied.
    FilterId insert(AccountId account, std::string_view filter);

    /// The id of (account, filter), or filter_none.
    [[nodiscard]] FilterId find(AccountId account, std::string_view filter) const;

    /// Takes the filter out; its id may be given out again.
    void erase(FilterId id);

    /// What the owner keeps with the filter; FilterUse{} when it is new.
    [[nodiscard]] FilterUse& use(FilterId id) { return filters_[id].use; }
    [[nodiscard]] const FilterUse& use(FilterId id) const { return filters_[id].use; }

    /// Borrows: until the filter is erased.
    [[nodiscard]] std::string_view text(FilterId id) const { return filters_[id].text(); }
    [[nodiscard]] AccountId account(FilterId id) const { return filters_[id].account; }
    /// True if it has no wildcard: its own text is the only subject that it matches.
    [[nodiscard]] bool is_exact(FilterId id) const { return filters_[id].node == IdTable::none; }

    /// The hash of (account, subject) that match() wants; also good for the caller's own tables.
    [[nodiscard]] std::uint64_t hash(AccountId account, std::string_view subject) const;

    /// Appends to `out` every filter of `account` that matches `subject`, each once: the exact one first, then wildcard
    /// filters in the order of the trie (`>`, then the literal token, then `*`, at each level), which depends on
    /// nothing but the filters.  A subject with an empty token matches nothing; `*` and `>` in a subject are literal.
    /// `hash` is hash(account, subject).  Cost: bounded by the number of trie nodes of the account.
    /// Source: nats-server server/sublist.go matchLevel; the empty token from match.
    void match(AccountId account, std::string_view subject, std::uint64_t hash, std::vector<FilterId>& out);

    /// Starts loading what match() will look at first.
    void prefetch(std::uint64_t hash) const { exact_.prefetch(hash); }

    /// The exact filter that match() will probably find, its record being loaded; filter_none: none.
    [[nodiscard]] FilterId guess(std::uint64_t hash) const {
        const FilterId id = exact_.guess(hash);
        if (id != filter_none) __builtin_prefetch(&filters_[id]);
        return id;
    }

    /// How many filters there are.
    [[nodiscard]] std::size_t size() const { return filters_.used(); }
    [[nodiscard]] std::size_t wildcards() const { return filters_.used() - exact_.size(); }
    /// What the index holds.  Unit: bytes, without malloc's own.
    [[nodiscard]] std::size_t bytes() const;

  private:
    static constexpr std::size_t filter_inline_bytes_max = 40;
    static constexpr std::size_t token_inline_bytes_max = 16;

    /// One cache line for what most exact filters need: a match touches the table's slot and this.
    struct alignas(64) Filter {
        FilterUse use;
        AccountId account = 0;
        std::uint32_t size = 0;
        std::uint32_t node = IdTable::none;  ///< trie node that it hangs on; none: an exact filter
        union {
            char near[filter_inline_bytes_max] = {};
            char* far;
        };
        [[nodiscard]] std::string_view text() const { return {size <= sizeof near ? near : far, size}; }
    };
    static_assert(sizeof(Filter) == 64);

    /// What comes after a node: another node, or (with leaf_bit) a filter whose token here no other filter shares, so
    /// that it needs no nodes for the rest of its tokens.
    using Branch = std::uint32_t;
    static constexpr Branch branch_none = IdTable::none;
    static constexpr Branch leaf_bit = 0x80000000;
    [[nodiscard]] static bool is_leaf(Branch branch) { return (branch & leaf_bit) != 0; }
    [[nodiscard]] static FilterId leaf(Branch branch) { return branch & ~leaf_bit; }

    /// One token position that wildcard filters share.  Literal branches are found through edges_.
    struct Node {
        std::uint32_t parent = IdTable::none;
        FilterId ends = filter_none;  ///< the filter whose last token this is
        FilterId rest = filter_none;  ///< the filter that goes on with `>` from here
        Branch star = branch_none;    ///< the branch for `*`
        std::uint32_t literals = 0;   ///< literal branches
        std::uint32_t prefix = 0;     ///< where in the text of each filter that passes here its next token begins
        std::uint64_t token_hash = 0;
        std::uint32_t token_size = 0;
        union {
            char near[token_inline_bytes_max] = {};
            char* far;
        };
        [[nodiscard]] std::string_view token() const { return {token_size <= sizeof near ? near : far, token_size}; }
    };

    struct TokenAt {
        std::string_view text;
        std::uint64_t hash;  ///< 0: not computed yet
    };
    struct Visit {
        Branch branch;
        std::uint32_t depth;  ///< subject tokens before it
    };

    [[nodiscard]] std::uint64_t token_hash(std::string_view token) const;
    [[nodiscard]] Branch branch(std::uint32_t node, std::string_view token, std::uint64_t hash) const;
    [[nodiscard]] Branch next_branch(std::uint32_t node, std::string_view token) const;
    [[nodiscard]] std::string_view token_of(FilterId leaf, std::uint32_t node) const;
    std::uint32_t make_node(std::uint32_t parent, std::string_view token);
    std::uint32_t split(Branch leaf, std::uint32_t parent, std::string_view token);
    void hang(FilterId id, std::uint32_t node);
    void unhang(FilterId id);
    void drop_if_unused(std::uint32_t node);
    [[nodiscard]] std::uint32_t root(AccountId account) const;
    [[nodiscard]] FilterId find_wildcard(AccountId account, std::string_view filter) const;
    FilterId insert_wildcard(AccountId account, std::string_view filter);
    FilterId make_filter(AccountId account, std::string_view filter);
    void match_wildcards(std::uint32_t root, std::string_view subject, std::vector<FilterId>& out);
    [[nodiscard]] bool leaf_matches(FilterId id, std::size_t depth) const;

    std::uint64_t hash_seed_;
    SlotPool<Filter> filters_;
    SlotPool<Node> nodes_;
    IdTable exact_;  ///< hash(account, filter) -> FilterId
    IdTable edges_;  ///< (parent node, token) -> Branch; a root is an edge from nowhere whose token is its account
    std::size_t far_bytes_ = 0;
    std::vector<TokenAt> tokens_;  // scratch of match_wildcards
    std::vector<Visit> visits_;    // scratch of match_wildcards
};

}  // namespace routing
