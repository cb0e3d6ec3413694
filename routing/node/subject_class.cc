#include "routing/node/subject_class.h"

#include <algorithm>
#include <utility>

#include "routing/base/subject.h"

namespace routing::node {

namespace {

/// Route::flags: upper half the generation of the filters that the answer is of, then one bit for the answer.
constexpr std::uint32_t generation_shift = 16;
constexpr std::uint32_t durable_flag = 1u << 15;
constexpr std::uint32_t own_flags = 0xffff8000u;

}  // namespace

void SubjectClass::set_filters(std::vector<std::string> filters) {
    filters_ = std::move(filters);
    generation_ = generation_ % 0xffff + 1;
}

bool SubjectClass::is_inbox(std::string_view subject) const {
    const std::string_view first = subject.substr(0, subject.find('.'));
    return std::any_of(inbox_prefixes_.begin(), inbox_prefixes_.end(),
                       [&](const std::string& prefix) { return prefix == first; });
}

bool SubjectClass::may_be_durable(AccountId account, std::string_view subject) const {
    // What gateways say themselves is never durable: answers, acknowledgements, advisories.
    return unknown_ && account == account_global && !subject.starts_with("$") && !is_inbox(subject);
}

bool SubjectClass::is_durable(AccountId account, std::string_view subject) const {
    if (may_be_durable(account, subject)) return true;
    return account == account_global && std::any_of(filters_.begin(), filters_.end(), [&](const std::string& filter) {
               return base::matches(filter, subject);
           });
}

bool SubjectClass::is_durable(Route& route, AccountId account, std::string_view subject) const {
    if (may_be_durable(account, subject)) return true;
    if (filters_.empty()) return false;
    if ((route.flags >> generation_shift) != generation_) {
        route.flags &= ~own_flags;
        route.flags |= generation_ << generation_shift;
        if (is_durable(account, subject)) route.flags |= durable_flag;
    }
    return (route.flags & durable_flag) != 0;
}

bool SubjectClass::overlaps_durable(AccountId account, std::string_view filter) const {
    return account == account_global && std::any_of(filters_.begin(), filters_.end(), [&](const std::string& durable) {
               return base::overlaps(durable, filter);
           });
}

}  // namespace routing::node
