// Subjects, filters and transforms made by strangers and operators.  The input is lines; each is taken for a subject, a
// filter, and the source and destination of a mapping, and every fast function is held against a slow one.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "compat/subject_mappings.h"
#include "compat/subject_transform.h"
#include "routing/base/check.h"
#include "routing/base/prng.h"
#include "routing/base/subject.h"
#include "routing/subscription_index.h"

namespace {

using Words = std::vector<std::string>;

// More lines than this are not looked at, so that one input stays quick.
constexpr std::size_t lines_max = 12;

Words split(std::string_view text, char at) {
    Words words(1);
    for (const char c : text) {
        if (c == at) {
            words.emplace_back();
        } else {
            words.back().push_back(c);
        }
    }
    return words;
}

bool naive_valid(const Words& filter) {
    for (std::size_t i = 0; i < filter.size(); ++i)
        if (filter[i].empty() || (filter[i] == ">" && i + 1 != filter.size())) return false;
    return true;
}

bool naive_match(const Words& filter, const Words& subject, std::size_t at = 0) {
    if (at == filter.size()) return at == subject.size();
    if (at >= subject.size()) return false;
    if (filter[at] == ">") return true;
    return (filter[at] == "*" || filter[at] == subject[at]) && naive_match(filter, subject, at + 1);
}

// Two filters overlap if one subject made of their own tokens (or of "x" and "y") is covered by both.
bool naive_overlap(const Words& a, const Words& b) {
    Words subject;
    const std::size_t length = std::max(a.size(), b.size());
    const auto literal = [](const Words& filter, std::size_t i) {
        return i < filter.size() && filter[i] != "*" && filter[i] != ">";
    };
    // As long as the longer one; a `>` takes the rest of the other.
    for (std::size_t i = 0; i < length; ++i)
        subject.push_back(literal(a, i) ? a[i] : (literal(b, i) ? b[i] : std::string("x")));
    for (std::size_t size = 1; size <= length; ++size) {
        const Words front(subject.begin(), subject.begin() + static_cast<std::ptrdiff_t>(size));
        if (naive_match(a, front) && naive_match(b, front)) return true;
    }
    return false;
}

bool has_empty(const Words& words) {
    return std::any_of(words.begin(), words.end(), [](const std::string& word) { return word.empty(); });
}

void check_filter(const std::string& filter, const std::string& subject) {
    const Words f = split(filter, '.');
    const Words s = split(subject, '.');
    BASE_CHECK(base::is_valid_filter(filter) == naive_valid(f));
    if (!naive_valid(f) || !naive_valid(s)) return;
    BASE_CHECK(base::matches(filter, subject) == naive_match(f, s));
    BASE_CHECK(base::overlaps(filter, subject) == naive_overlap(f, s));
    BASE_CHECK(base::overlaps(filter, subject) == base::overlaps(subject, filter));
    if (base::is_valid_literal(subject) && base::matches(filter, subject)) BASE_CHECK(base::overlaps(filter, subject));
}

void check_index(const Words& lines) {
    routing::SubscriptionIndex index(7);
    std::vector<std::pair<std::string, routing::FilterId>> filters;
    for (const std::string& line : lines)
        if (base::is_valid_filter(line)) filters.emplace_back(line, index.insert(1, line));
    for (const std::string& subject : lines) {
        std::vector<routing::FilterId> found;
        index.match(1, subject, index.hash(1, subject), found);
        std::sort(found.begin(), found.end());
        BASE_CHECK(std::adjacent_find(found.begin(), found.end()) == found.end());
        const Words words = split(subject, '.');
        for (const auto& [filter, id] : filters) {
            const bool wanted = !has_empty(words) && naive_match(split(filter, '.'), words);
            BASE_CHECK(std::binary_search(found.begin(), found.end(), id) == wanted);
        }
    }
}

void check_transform(const std::string& source, const std::string& destination, const Words& subjects) {
    const std::string wrong = compat::SubjectMappings::error_of({source, {{destination, 100, ""}}});
    const auto made = compat::SubjectTransform::make(source, destination);
    BASE_CHECK(wrong.empty() == (made.ok() && base::is_valid_filter(source)));
    if (!wrong.empty()) return;
    const auto mappings = compat::SubjectMappings::compile({{source, {{destination, 100, ""}}}}).value();
    const compat::Mapping identity{source, {}};
    // (A source that looks like a function is called when it is mapped to itself, as in stock.)
    const bool has_itself =
        source.find_first_of("{$") == std::string::npos && compat::SubjectMappings::error_of(identity).empty();
    const auto itself = has_itself ? compat::SubjectMappings::compile({identity}).value() : mappings;
    const Words wanted = split(source, '.');
    // A token of the source that only begins with a star takes any, as in stock.
    const bool plain = std::none_of(wanted.begin(), wanted.end(),
                                    [](const std::string& token) { return token.size() > 1 && token[0] == '*'; });
    for (const std::string& subject : subjects) {
        base::Prng one(5);
        base::Prng two(5);
        std::string out;
        std::string again;
        const auto mapped = mappings->apply(subject, one, out);
        BASE_CHECK(mappings->apply(subject, two, again) == mapped);
        BASE_CHECK(out == again);
        if (mapped == compat::Mapped::no) BASE_CHECK(out.empty());
        const Words words = split(subject, '.');
        const bool odd = has_empty(words) || !base::is_valid_literal(subject);
        if (plain && !odd) BASE_CHECK((mapped == compat::Mapped::yes) == naive_match(wanted, words));
        if (has_itself && itself->apply(subject, one, out) != compat::Mapped::no) BASE_CHECK(out == subject || !plain);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Words lines = split({reinterpret_cast<const char*>(data), size}, '\n');
    if (lines.size() > lines_max) lines.resize(lines_max);
    for (const std::string& a : lines)
        for (const std::string& b : lines) {
            check_filter(a, b);
            check_transform(a, b, lines);
        }
    check_index(lines);
    return 0;
}
