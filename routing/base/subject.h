// Subjects and filters: tokens between dots, `*` for one token and `>` for one or more at the end.
// Leaves to others: finding the filters that match a subject fast (routing/subscription_index).
#pragma once

#include <cstddef>
#include <string_view>

namespace base {

/// Walks the tokens of a subject without copying: `while (tokens.next(token))`.  "a..b" yields an empty token.
class Tokens {
  public:
    explicit Tokens(std::string_view subject) : rest_(subject) {}
    bool next(std::string_view& token) {
        if (done_) return false;
        const std::size_t dot = rest_.find('.');
        token = rest_.substr(0, dot);
        if (dot == std::string_view::npos) {
            done_ = true;
        } else {
            rest_.remove_prefix(dot + 1);
        }
        return true;
    }

  private:
    std::string_view rest_;
    bool done_ = false;
};

/// True if `filter` may be subscribed to: no empty token, nothing after `>`.
/// `*` and `>` inside a longer token are ordinary characters.  Source: nats-server server/sublist.go IsValidSubject.
[[nodiscard]] bool is_valid_filter(std::string_view filter);

/// True if `subject` may be published to under `pedantic`: a valid filter in which no token is `*` or `>`.
/// Source: nats-server server/sublist.go IsValidLiteralSubject.
[[nodiscard]] bool is_valid_literal(std::string_view subject);

/// True if a token of `filter` is `*` or its last is `>`.
[[nodiscard]] bool has_wildcard(std::string_view filter);

/// True if `filter` covers the literal `subject`.  Both valid; a wildcard character in `subject` is a literal token.
[[nodiscard]] bool matches(std::string_view filter, std::string_view subject);

/// True if some literal subject is covered by both filters.  Both valid.
[[nodiscard]] bool overlaps(std::string_view a, std::string_view b);

}  // namespace base
