// What kind of subject it is: durable or volatile, an inbox or not.  Plain data, so that every shard can have a copy.
// Leaves to others: where the filters come from (Node), who gets the message (Router).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "routing/route.h"
#include "routing/types.h"

namespace routing::node {

/// The tree's durable filters and the prefixes of inboxes, as far as this gateway knows them.
/// Threads: one; copies are independent.
class SubjectClass {
  public:
    /// `inbox_prefixes`: first tokens of subjects that stay at home; see peer::TreeOptions.
    explicit SubjectClass(std::vector<std::string> inbox_prefixes = {}) : inbox_prefixes_(std::move(inbox_prefixes)) {}

    /// All durable filters of the tree.
    void set_filters(std::vector<std::string> filters);
    /// True while the store of an earlier run is being opened and may know of filters that this run has not heard of:
    /// any client's subject may be durable then.
    void set_unknown(bool unknown) { unknown_ = unknown; }
    [[nodiscard]] bool unknown() const { return unknown_; }

    [[nodiscard]] bool is_inbox(std::string_view subject) const;

    /// True if some subject is durable, or may be.
    [[nodiscard]] bool any_durable() const { return unknown_ || !filters_.empty(); }
    /// True if a publish on `subject` is of the durable class, or may be (unknown()).
    [[nodiscard]] bool is_durable(AccountId account, std::string_view subject) const;
    /// The same, kept in `route`'s flags (upper 17 bits).
    [[nodiscard]] bool is_durable(Route& route, AccountId account, std::string_view subject) const;
    /// True if a subscription with this filter is (also) to get durable messages.
    [[nodiscard]] bool overlaps_durable(AccountId account, std::string_view filter) const;

  private:
    [[nodiscard]] bool may_be_durable(AccountId account, std::string_view subject) const;

    std::vector<std::string> inbox_prefixes_;
    std::vector<std::string> filters_;
    std::uint32_t generation_ = 1;  // of filters_, for the routes' flags; 1 to 65,535
    bool unknown_ = false;
};

}  // namespace routing::node
