#include "routing/subscription_index.h"

#include <cstring>

#include "routing/base/hash.h"
#include "routing/base/subject.h"

namespace routing {

namespace {

// Copies `text` to where a record keeps it; what does not fit inside gets memory of its own.
template <typename Record>
std::size_t store_text(Record& record, std::string_view text) {
    if (text.size() <= sizeof record.near) {
        if (!text.empty()) std::memcpy(record.near, text.data(), text.size());
        return 0;
    }
    record.far = new char[text.size()];
    std::memcpy(record.far, text.data(), text.size());
    return text.size();
}

// A root hangs on the edge from nowhere whose token is its account's number.
std::string_view account_token(const AccountId& account) {
    return {reinterpret_cast<const char*>(&account), sizeof account};
}

// The token of `filter` that begins at `at`, which is not beyond its end.
std::string_view token_at(std::string_view filter, std::size_t at) {
    return filter.substr(at, filter.find('.', at) - at);
}

std::uint64_t edge_hash(std::uint32_t parent, std::uint64_t token_hash) {
    return base::mix_bits(token_hash + parent * 0x9e3779b97f4a7c15ULL);
}

}  // namespace

SubscriptionIndex::~SubscriptionIndex() {
    for (std::uint32_t id = 0; id < filters_.end(); ++id) {
        if (filters_[id].size > filter_inline_bytes_max) delete[] filters_[id].far;
    }
    for (std::uint32_t id = 0; id < nodes_.end(); ++id) {
        if (nodes_[id].token_size > token_inline_bytes_max) delete[] nodes_[id].far;
    }
}

std::uint64_t SubscriptionIndex::hash(AccountId account, std::string_view subject) const {
    return base::hash_bytes(subject, hash_seed_ + account * 0x9e3779b97f4a7c15ULL);
}

std::uint64_t SubscriptionIndex::token_hash(std::string_view token) const {
    return base::hash_bytes(token, hash_seed_) | 1;  // never 0, which means "not computed yet"
}

FilterId SubscriptionIndex::make_filter(AccountId account, std::string_view filter) {
    const FilterId id = filters_.allocate();
    BASE_CHECK(leaf(id) == id && (id | leaf_bit) != branch_none);
    Filter& record = filters_[id];
    record.account = account;
    record.size = static_cast<std::uint32_t>(filter.size());
    far_bytes_ += store_text(record, filter);
    return id;
}

FilterId SubscriptionIndex::insert(AccountId account, std::string_view filter) {
    BASE_CHECK(filter.size() < 0xffffffff);
    if (base::has_wildcard(filter)) return insert_wildcard(account, filter);
    const std::uint64_t key = hash(account, filter);
    FilterId id = exact_.find(
        key, [&](FilterId other) { return filters_[other].account == account && filters_[other].text() == filter; });
    if (id == filter_none) {
        id = make_filter(account, filter);
        exact_.insert(key, id);
    }
    return id;
}

FilterId SubscriptionIndex::insert_wildcard(AccountId account, std::string_view filter) {
    std::uint32_t node = root(account);
    if (node == IdTable::none) node = make_node(IdTable::none, account_token(account));
    for (;;) {
        const std::uint32_t prefix = nodes_[node].prefix;
        if (prefix > filter.size()) {
            if (nodes_[node].ends != filter_none) return nodes_[node].ends;
            break;
        }
        const std::string_view token = token_at(filter, prefix);
        if (token == ">") {
            if (nodes_[node].rest != filter_none) return nodes_[node].rest;
            break;
        }
        Branch next = next_branch(node, token);
        if (next == branch_none) break;
        if (is_leaf(next)) {
            if (filters_[leaf(next)].text() == filter) return leaf(next);
            next = split(next, node, token);
        }
        node = next;
    }
    const FilterId id = make_filter(account, filter);
    hang(id, node);
    return id;
}

FilterId SubscriptionIndex::find(AccountId account, std::string_view filter) const {
    if (base::has_wildcard(filter)) return find_wildcard(account, filter);
    return exact_.find(hash(account, filter), [&](FilterId other) {
        return filters_[other].account == account && filters_[other].text() == filter;
    });
}

FilterId SubscriptionIndex::find_wildcard(AccountId account, std::string_view filter) const {
    for (Branch at = root(account); at != branch_none;) {
        if (is_leaf(at)) return filters_[leaf(at)].text() == filter ? leaf(at) : filter_none;
        const Node& node = nodes_[at];
        if (node.prefix > filter.size()) return node.ends;
        const std::string_view token = token_at(filter, node.prefix);
        if (token == ">") return node.rest;
        at = next_branch(at, token);
    }
    return filter_none;
}

void SubscriptionIndex::erase(FilterId id) {
    Filter& filter = filters_[id];
    const std::uint32_t node = filter.node;
    if (node == IdTable::none) {
        exact_.erase(hash(filter.account, filter.text()), id);
    } else {
        unhang(id);
    }
    if (filter.size > filter_inline_bytes_max) {
        far_bytes_ -= filter.size;
        delete[] filter.far;
    }
    filters_.free(id);
    if (node != IdTable::none) drop_if_unused(node);
}

// Puts a filter whose tokens lead to `node` there, with those of its tokens that are left.
void SubscriptionIndex::hang(FilterId id, std::uint32_t at) {
    filters_[id].node = at;
    Node& node = nodes_[at];
    const std::string_view text = filters_[id].text();
    if (node.prefix > text.size()) {
        node.ends = id;
        return;
    }
    const std::string_view token = token_at(text, node.prefix);
    if (token == ">") {
        node.rest = id;
    } else if (token == "*") {
        node.star = id | leaf_bit;
    } else {
        edges_.insert(edge_hash(at, token_hash(token)), id | leaf_bit);
        ++node.literals;
    }
}

void SubscriptionIndex::unhang(FilterId id) {
    const std::uint32_t at = filters_[id].node;
    Node& node = nodes_[at];
    if (node.ends == id) {
        node.ends = filter_none;
    } else if (node.rest == id) {
        node.rest = filter_none;
    } else if (node.star == (id | leaf_bit)) {
        node.star = branch_none;
    } else {
        edges_.erase(edge_hash(at, token_hash(token_of(id, at))), id | leaf_bit);
        --node.literals;
    }
}

// Makes a node of the token that a leaf no longer has for itself.
std::uint32_t SubscriptionIndex::split(Branch branch, std::uint32_t parent, std::string_view token) {
    unhang(leaf(branch));
    const std::uint32_t id = make_node(parent, token);
    hang(leaf(branch), id);
    return id;
}

std::uint32_t SubscriptionIndex::root(AccountId account) const {
    const std::string_view token = account_token(account);
    return branch(IdTable::none, token, token_hash(token));
}

// The token by which a filter that hangs on `node` as a leaf does so.
std::string_view SubscriptionIndex::token_of(FilterId leaf, std::uint32_t node) const {
    return token_at(filters_[leaf].text(), nodes_[node].prefix);
}

SubscriptionIndex::Branch SubscriptionIndex::branch(std::uint32_t node, std::string_view token,
                                                    std::uint64_t hash) const {
    return edges_.find(edge_hash(node, hash), [&](Branch other) {
        if (is_leaf(other)) return filters_[leaf(other)].node == node && token_of(leaf(other), node) == token;
        const Node& next = nodes_[other];
        return next.parent == node && next.token_hash == hash && next.token() == token;
    });
}

// Where a filter goes on from `node`.
SubscriptionIndex::Branch SubscriptionIndex::next_branch(std::uint32_t node, std::string_view token) const {
    return token == "*" ? nodes_[node].star : branch(node, token, token_hash(token));
}

std::uint32_t SubscriptionIndex::make_node(std::uint32_t parent, std::string_view token) {
    const std::uint32_t id = nodes_.allocate();
    Node& node = nodes_[id];
    node.parent = parent;
    if (parent != IdTable::none) {
        node.prefix = nodes_[parent].prefix + static_cast<std::uint32_t>(token.size()) + 1;
        if (token == "*") {
            nodes_[parent].star = id;
            return id;
        }
        ++nodes_[parent].literals;
    }
    node.token_size = static_cast<std::uint32_t>(token.size());
    node.token_hash = token_hash(token);
    far_bytes_ += store_text(node, token);
    edges_.insert(edge_hash(parent, node.token_hash), id);
    return id;
}

void SubscriptionIndex::drop_if_unused(std::uint32_t id) {
    while (id != IdTable::none) {
        Node& node = nodes_[id];
        if (node.ends != filter_none || node.rest != filter_none || node.star != branch_none || node.literals != 0) {
            return;
        }
        const std::uint32_t parent = node.parent;
        if (parent != IdTable::none && nodes_[parent].star == id) {
            nodes_[parent].star = branch_none;
        } else {
            edges_.erase(edge_hash(parent, node.token_hash), id);
            if (parent != IdTable::none) --nodes_[parent].literals;
        }
        if (node.token_size > token_inline_bytes_max) {
            far_bytes_ -= node.token_size;
            delete[] node.far;
        }
        nodes_.free(id);
        id = parent;
    }
}

void SubscriptionIndex::match(AccountId account, std::string_view subject, std::uint64_t hash,
                              std::vector<FilterId>& out) {
    // A subject with an empty token has no equal among the filters, so the exact table needs no check for it.
    const FilterId exact = exact_.find(
        hash, [&](FilterId other) { return filters_[other].account == account && filters_[other].text() == subject; });
    if (exact != filter_none) out.push_back(exact);
    if (edges_.size() == 0) return;
    const std::uint32_t start = root(account);
    if (start != IdTable::none) match_wildcards(start, subject, out);
}

void SubscriptionIndex::match_wildcards(std::uint32_t root, std::string_view subject, std::vector<FilterId>& out) {
    tokens_.clear();
    base::Tokens tokens(subject);
    std::string_view token;
    while (tokens.next(token)) {
        if (token.empty()) return;
        tokens_.push_back({token, 0});
    }
    visits_.clear();
    visits_.push_back({root, 0});
    while (!visits_.empty()) {
        const Visit visit = visits_.back();
        visits_.pop_back();
        if (is_leaf(visit.branch)) {
            if (leaf_matches(leaf(visit.branch), visit.depth - 1)) out.push_back(leaf(visit.branch));
            continue;
        }
        const Node& node = nodes_[visit.branch];
        if (visit.depth == tokens_.size()) {
            if (node.ends != filter_none) out.push_back(node.ends);
            continue;
        }
        if (node.rest != filter_none) out.push_back(node.rest);
        if (node.star != branch_none) visits_.push_back({node.star, visit.depth + 1});
        if (node.literals == 0) continue;
        TokenAt& at = tokens_[visit.depth];
        if (at.hash == 0) at.hash = token_hash(at.text);
        const Branch next = branch(visit.branch, at.text, at.hash);
        if (next != branch_none) visits_.push_back({next, visit.depth + 1});
    }
}

// Whether a leaf's token at its node and those after it match the subject's tokens from `depth` on.
bool SubscriptionIndex::leaf_matches(FilterId id, std::size_t depth) const {
    const Filter& filter = filters_[id];
    base::Tokens tokens(filter.text().substr(nodes_[filter.node].prefix));
    for (std::string_view token; tokens.next(token); ++depth) {
        if (depth == tokens_.size()) return false;
        if (token == ">") return true;
        if (token != "*" && token != tokens_[depth].text) return false;
    }
    return depth == tokens_.size();
}

std::size_t SubscriptionIndex::bytes() const {
    return filters_.bytes() + nodes_.bytes() + exact_.bytes() + edges_.bytes() + far_bytes_;
}

}  // namespace routing
