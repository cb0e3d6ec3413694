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
    Filter& record = filters_[id];
    record.account = account;
    record.size = static_cast<std::uint32_t>(filter.size());
    far_bytes_ += store_text(record, filter);
    return id;
}

FilterId SubscriptionIndex::insert(AccountId account, std::string_view filter) {
    BASE_CHECK(filter.size() < 0xffffffff);
    if (!base::has_wildcard(filter)) {
        const std::uint64_t key = hash(account, filter);
        FilterId id = exact_.find(key, [&](FilterId other) {
            return filters_[other].account == account && filters_[other].text() == filter;
        });
        if (id == filter_none) {
            id = make_filter(account, filter);
            exact_.insert(key, id);
        }
        return id;
    }
    std::uint32_t node = root(account);
    if (node == IdTable::none) node = make_child(IdTable::none, account_token(account));
    base::Tokens tokens(filter);
    std::string_view token;
    while (tokens.next(token)) {
        if (token == ">") {
            if (nodes_[node].rest == filter_none) {
                const FilterId id = make_filter(account, filter);
                filters_[id].node = node;
                nodes_[node].rest = id;
            }
            return nodes_[node].rest;
        }
        std::uint32_t next = token == "*" ? nodes_[node].star : child(node, token, token_hash(token));
        if (next == IdTable::none) next = make_child(node, token);
        node = next;
    }
    if (nodes_[node].ends == filter_none) {
        const FilterId id = make_filter(account, filter);
        filters_[id].node = node;
        nodes_[node].ends = id;
    }
    return nodes_[node].ends;
}

FilterId SubscriptionIndex::find(AccountId account, std::string_view filter) const {
    if (base::has_wildcard(filter)) return find_wildcard(account, filter);
    return exact_.find(hash(account, filter), [&](FilterId other) {
        return filters_[other].account == account && filters_[other].text() == filter;
    });
}

FilterId SubscriptionIndex::find_wildcard(AccountId account, std::string_view filter) const {
    std::uint32_t node = root(account);
    base::Tokens tokens(filter);
    std::string_view token;
    while (node != IdTable::none && tokens.next(token)) {
        if (token == ">") return nodes_[node].rest;
        node = token == "*" ? nodes_[node].star : child(node, token, token_hash(token));
    }
    return node == IdTable::none ? filter_none : nodes_[node].ends;
}

void SubscriptionIndex::erase(FilterId id) {
    Filter& filter = filters_[id];
    const std::uint32_t node = filter.node;
    if (node == IdTable::none) {
        exact_.erase(hash(filter.account, filter.text()), id);
    } else if (nodes_[node].rest == id) {
        nodes_[node].rest = filter_none;
    } else {
        BASE_CHECK(nodes_[node].ends == id);
        nodes_[node].ends = filter_none;
    }
    if (filter.size > filter_inline_bytes_max) {
        far_bytes_ -= filter.size;
        delete[] filter.far;
    }
    filters_.free(id);
    if (node != IdTable::none) drop_if_unused(node);
}

std::uint32_t SubscriptionIndex::root(AccountId account) const {
    const std::string_view token = account_token(account);
    return child(IdTable::none, token, token_hash(token));
}

std::uint32_t SubscriptionIndex::child(std::uint32_t parent, std::string_view token, std::uint64_t hash) const {
    return edges_.find(edge_hash(parent, hash), [&](std::uint32_t id) {
        return nodes_[id].parent == parent && nodes_[id].token_hash == hash && nodes_[id].token() == token;
    });
}

std::uint32_t SubscriptionIndex::make_child(std::uint32_t parent, std::string_view token) {
    const std::uint32_t id = nodes_.allocate();
    Node& node = nodes_[id];
    node.parent = parent;
    if (parent != IdTable::none && token == "*") {
        nodes_[parent].star = id;
        return id;
    }
    node.token_size = static_cast<std::uint32_t>(token.size());
    node.token_hash = token_hash(token);
    far_bytes_ += store_text(node, token);
    edges_.insert(edge_hash(parent, node.token_hash), id);
    if (parent != IdTable::none) ++nodes_[parent].literals;
    return id;
}

void SubscriptionIndex::drop_if_unused(std::uint32_t id) {
    while (id != IdTable::none) {
        Node& node = nodes_[id];
        if (node.ends != filter_none || node.rest != filter_none || node.star != IdTable::none || node.literals != 0) {
            return;
        }
        const std::uint32_t parent = node.parent;
        if (parent != IdTable::none && nodes_[parent].star == id) {
            nodes_[parent].star = IdTable::none;
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
        const Node& node = nodes_[visit.node];
        if (visit.depth == tokens_.size()) {
            if (node.ends != filter_none) out.push_back(node.ends);
            continue;
        }
        if (node.rest != filter_none) out.push_back(node.rest);
        if (node.star != IdTable::none) visits_.push_back({node.star, visit.depth + 1});
        if (node.literals == 0) continue;
        TokenAt& at = tokens_[visit.depth];
        if (at.hash == 0) at.hash = token_hash(at.text);
        const std::uint32_t next = child(visit.node, at.text, at.hash);
        if (next != IdTable::none) visits_.push_back({next, visit.depth + 1});
    }
}

std::size_t SubscriptionIndex::bytes() const {
    return filters_.bytes() + nodes_.bytes() + exact_.bytes() + edges_.bytes() + far_bytes_;
}

}  // namespace routing
