// Says what happened in the tree, by comparing what this gateway sees of it with what it saw before: the advisories
// join, leave, reparent, merge, dropped_factor and repair (their fields are listed in tree_requests.h).
// Each is told by those whom it concerns first: a link's ends, the gateway that moved.  So one change makes one or two
// advisories, however large the tree.  Leaves to others: publishing them (TreeRequests).  Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "routing/base/time.h"
#include "routing/peer/tree.h"
#include "routing/types.h"

namespace routing::node {

/// Dropped factors are told at most so often.  Own choice: while a tree re-forms every message may drop some.
inline constexpr base::Duration dropped_factor_interval = std::chrono::seconds(10);

/// What is compared.
struct TreeView {
    std::optional<GatewayId> parent;  ///< with a link that carries messages
    std::map<GatewayId, bool> links;  ///< all of these: true: to the parent, false: to a child
    GatewayId root;
    std::size_t members = 1;
    std::uint64_t dropped_factors = 0;
    std::uint64_t repairs = 0;
};

class TreeWatch {
  public:
    using NameOf = std::function<std::string(const GatewayId&)>;
    /// `members`: of a JSON object, without braces.
    using Tell = std::function<void(std::string_view kind, std::string_view members)>;

    /// A way changed: look() compares links again.
    void look_again() { links_changed_ = true; }
    /// Once per turn.  Cost: two compares while nothing happened.
    void look(const peer::Tree& tree, base::Instant now, const NameOf& name_of, const Tell& tell);
    /// When look() must be called at the latest.
    [[nodiscard]] base::Instant next_deadline() const { return dropped_due_; }

    void compare_for_test(TreeView now_seen, base::Instant now, const NameOf& name_of, const Tell& tell) {
        compare_links(now_seen, name_of, tell);
        compare_counts(now_seen.dropped_factors, now_seen.repairs, now, tell);
        seen_ = std::move(now_seen);
    }

  private:
    void compare_links(const TreeView& now_seen, const NameOf& name_of, const Tell& tell);
    void compare_counts(std::uint64_t dropped, std::uint64_t repairs, base::Instant now, const Tell& tell);

    TreeView seen_;
    std::optional<GatewayId> last_parent_;  ///< also while there is none
    bool links_changed_ = false;
    std::uint64_t dropped_told_ = 0;
    base::Instant dropped_not_before_{};
    base::Instant dropped_due_ = base::instant_max;
    std::uint64_t repairs_told_ = 0;
};

}  // namespace routing::node
