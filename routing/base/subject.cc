#include "routing/base/subject.h"

namespace base {

namespace {

bool is_wildcard_token(std::string_view token) {
    return token == "*" || token == ">";
}

}  // namespace

bool is_valid_filter(std::string_view filter) {
    Tokens tokens(filter);
    std::string_view token;
    bool ended = false;
    while (tokens.next(token)) {
        if (token.empty() || ended) return false;
        ended = token == ">";
    }
    return true;
}

bool is_valid_literal(std::string_view subject) {
    Tokens tokens(subject);
    std::string_view token;
    while (tokens.next(token)) {
        if (token.empty() || is_wildcard_token(token)) return false;
    }
    return true;
}

bool has_wildcard(std::string_view filter) {
    Tokens tokens(filter);
    std::string_view token;
    while (tokens.next(token)) {
        if (is_wildcard_token(token)) return true;
    }
    return false;
}

bool matches(std::string_view filter, std::string_view subject) {
    Tokens wanted(filter);
    Tokens given(subject);
    std::string_view want;
    std::string_view have;
    while (wanted.next(want)) {
        if (!given.next(have)) return false;
        if (want == ">") return true;
        if (want != "*" && want != have) return false;
    }
    return !given.next(have);
}

bool overlaps(std::string_view a, std::string_view b) {
    Tokens left(a);
    Tokens right(b);
    std::string_view x;
    std::string_view y;
    for (;;) {
        const bool more_x = left.next(x);
        const bool more_y = right.next(y);
        if (!more_x || !more_y) return more_x == more_y;
        if (x == ">" || y == ">") return true;
        if (x != "*" && y != "*" && x != y) return false;
    }
}

}  // namespace base
