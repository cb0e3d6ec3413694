#include "compat/subject_transform.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <utility>

#include "compat/nats_limits.h"
#include "compat/nats_writer.h"
#include "compat/utf8.h"
#include "routing/base/check.h"
#include "routing/base/subject.h"

namespace compat {

namespace {

using base::Bytes;
using base::ByteView;

// Texts: nats-server server/errors.go.
constexpr std::string_view error_subject = "invalid subject";
constexpr std::string_view error_transform = "invalid mapping destination: invalid transform";
constexpr std::string_view error_function = "invalid mapping destination: unknown function";
constexpr std::string_view error_index = "invalid mapping destination: wildcard index out of range";
constexpr std::string_view error_few = "invalid mapping destination: not enough arguments passed to the function";
constexpr std::string_view error_many = "invalid mapping destination: too many arguments passed to the function";
constexpr std::string_view error_argument =
    "invalid mapping destination: function argument is invalid or in the wrong format";

std::string error_in(std::string_view text, std::string_view token) {
    std::string error(text);
    if (!token.empty()) error.append(" in ").append(token);
    return error;
}

bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r';
}

bool looks_like_function(std::string_view token) {
    return token.size() > 4 && token.substr(0, 2) == "{{" && token.substr(token.size() - 2) == "}}";
}

// A whole number as Go's strconv.Atoi takes it, with blanks around it: a sign, then decimal digits.
std::optional<std::int64_t> parse_number(std::string_view text) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    if (text.size() > 1 && text.front() == '+' && text[1] != '-') text.remove_prefix(1);
    std::int64_t value = 0;
    const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (wrong != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

// Where `name` (lower case; `camel` marks the letters that may be upper case) stands at the front of `text`, or not.
bool starts_with_name(std::string_view text, std::string_view name, std::string_view camel) {
    if (text.size() < name.size()) return false;
    for (std::size_t i = 0; i < name.size(); ++i)
        if (text[i] != name[i] && text[i] != camel[i]) return false;
    return true;
}

// The text between the parentheses of "{{ name ( ... ) }}", which may stand anywhere in `token`, as stock's pattern
// finds it: at the first place that fits, up to the last parenthesis that fits.
std::optional<std::string_view> find_call(std::string_view token, std::string_view name, std::string_view camel) {
    const auto skip = [&](std::size_t at) {
        while (at < token.size() && is_space(token[at])) ++at;
        return at;
    };
    for (std::size_t open = token.find("{{"); open != std::string_view::npos; open = token.find("{{", open + 1)) {
        std::size_t at = skip(open + 2);
        if (!starts_with_name(token.substr(at), name, camel)) continue;
        at = skip(at + name.size());
        if (at >= token.size() || token[at] != '(') continue;
        const std::size_t from = at + 1;
        const std::size_t line_end = std::min(token.find('\n', from), token.size());
        for (std::size_t to = line_end; to-- > from;) {
            if (token[to] != ')') continue;
            if (token.substr(skip(to + 1), 2) == "}}") return token.substr(from, to - from);
        }
    }
    return std::nullopt;
}

// Cuts at commas, dropping the blanks after each.  Never empty: no text is one empty argument.
std::vector<std::string_view> split_arguments(std::string_view text) {
    std::vector<std::string_view> arguments;
    while (true) {
        const std::size_t comma = text.find(',');
        arguments.push_back(text.substr(0, comma));
        if (comma == std::string_view::npos) return arguments;
        text.remove_prefix(comma + 1);
        while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    }
}

// The length of the character at the front of `text`.  Go's strings.Split cuts so when its separator is empty.
std::size_t character_bytes(std::string_view text) {
    std::uint32_t rune = 0;
    return std::max<std::size_t>(decode_utf8(text, rune), 1);
}

// Cuts `token` at each `delimiter` and puts dots between; stock's rule for empty parts: none at the front or the end,
// and of several in a row those before the last are swallowed.
void append_split(std::string_view token, std::string_view delimiter, Bytes& out) {
    const auto next = [&](std::string_view& rest, bool& more) {
        const std::size_t at = delimiter.empty() ? (rest.empty() ? 0 : character_bytes(rest)) : rest.find(delimiter);
        const std::string_view part = rest.substr(0, at);
        more = delimiter.empty() ? part.size() < rest.size() : at != std::string_view::npos;
        rest.remove_prefix(more ? part.size() + delimiter.size() : rest.size());
        return part;
    };
    std::string_view rest = token;
    bool more = false;
    std::string_view part = next(rest, more);
    for (bool first = true;; first = false) {
        out.append(part);
        if (!more) return;
        bool more_after = false;
        const std::string_view following = next(rest, more_after);
        if (!following.empty() && !(first && part.empty())) out.push_back('.');
        part = following;
        more = more_after;
    }
}

void append_cut(std::string_view token, std::size_t at, Bytes& out) {
    out.append(token.substr(0, at)).push_back('.');
    out.append(token.substr(at));
}

// Pieces of `size` bytes from the left; a rest that is shorter is a piece of its own.
void append_slices_from_left(std::string_view token, std::size_t size, Bytes& out) {
    for (std::size_t at = 0; at < token.size(); at += size) {
        if (at != 0) out.push_back('.');
        out.append(token.substr(at, size));
    }
}

void append_slices_from_right(std::string_view token, std::size_t size, Bytes& out) {
    const std::size_t rest = token.size() % size;
    out.append(token.substr(0, rest));
    for (std::size_t at = rest; at < token.size(); at += size) {
        if (at != 0) out.push_back('.');
        out.append(token.substr(at, size));
    }
}

// Whether the source's token takes the published one.
bool token_matches(std::string_view wanted, std::string_view token) {
    if (token.empty() || token == ">") return false;
    if (token == "*") return wanted == "*";
    return wanted.front() == '*' || wanted == token;
}

}  // namespace

struct SubjectTransform::Names {
    std::string_view lower;
    std::string_view camel;
    Function function;
};

// A subject with its tokens at hand, as far as the source has tokens of its own.
struct SubjectTransform::Subject {
    Subject(std::string_view subject, std::uint32_t tokens) : whole(subject), count(tokens) {
        if (count > inline_tokens.size()) more_tokens.resize(count);
        std::size_t from = 0;
        for (std::uint32_t i = 0; i < count; ++i) {
            const std::size_t dot = subject.find('.', from);
            token_at(i) = subject.substr(from, dot == std::string_view::npos ? dot : dot - from);
            rest_at = from;
            from = dot == std::string_view::npos ? subject.size() : dot + 1;
        }
    }
    std::string_view& token_at(std::uint32_t i) { return more_tokens.empty() ? inline_tokens[i] : more_tokens[i]; }
    [[nodiscard]] std::string_view token(std::uint32_t i) const {
        return more_tokens.empty() ? inline_tokens[i] : more_tokens[i];
    }

    std::string_view whole;
    std::uint32_t count;
    std::size_t rest_at = 0;  // where the last of them begins: what a `>` takes
    std::array<std::string_view, transform_tokens_inline> inline_tokens;
    std::vector<std::string_view> more_tokens;
};

bool source_covers(std::string_view source, std::string_view subject) {
    base::Tokens wanted(source);
    base::Tokens tokens(subject);
    std::string_view want;
    std::string_view token;
    while (wanted.next(want)) {
        if (!tokens.next(token)) return false;
        if (want == ">") return true;
        if (!token_matches(want, token)) return false;
    }
    return !tokens.next(token);
}

base::Result<SubjectTransform, std::string> SubjectTransform::make(std::string_view source,
                                                                   std::string_view destination) {
    if (destination.empty()) return base::failure(std::string(error_transform));
    std::string_view text;
    bool ended = false;
    bool destination_has_star = false;
    for (base::Tokens tokens(destination); tokens.next(text);) {
        if (text.empty() || ended) return base::failure(error_in(error_transform, text));
        if (looks_like_function(text)) continue;
        ended = text == ">";
        destination_has_star |= text == "*";
        if (text.find_first_of("\t\n\f\r ") != std::string_view::npos)
            return base::failure(std::string(error_transform));
    }

    SubjectTransform transform;
    std::vector<std::uint32_t> stars;  // which tokens of the source are `*`
    bool source_ended = false;
    for (base::Tokens tokens(source); tokens.next(text);) {
        if (text.empty() || source_ended) return base::failure(std::string(error_subject));
        source_ended = text == ">";
        if (text == "*") stars.push_back(transform.source_tokens_);
        ++transform.source_tokens_;
    }
    if (destination_has_star || source_ended != ended) return base::failure(std::string(error_subject));
    const bool has_wildcards = source_ended || !stars.empty();
    if (!has_wildcards) transform.source_tokens_ = 0;

    for (base::Tokens tokens(destination); tokens.next(text);) {
        Token& token = transform.tokens_.emplace_back();
        std::vector<std::int64_t> wildcards;
        if (auto wrong = parse_function(text, token, wildcards); !wrong.empty()) return base::failure(std::move(wrong));
        const bool needs_none = token.function == Function::text || token.function == Function::rest ||
                                token.function == Function::random || token.function == Function::partition;
        if (!has_wildcards) {
            if (!needs_none) return base::failure(error_in(error_index, text));
            continue;  // what partition() was to look at is not asked for either
        }
        for (const std::int64_t wildcard : wildcards) {
            if (wildcard > static_cast<std::int64_t>(stars.size())) {
                return base::failure(error_in(error_index, std::string(text) + ": [" + std::to_string(wildcard) + "]"));
            }
            // Below 1 is the first token, whatever it is.
            token.sources.push_back(wildcard < 1 ? 0 : stars[static_cast<std::size_t>(wildcard - 1)]);
        }
    }
    return transform;
}

// Reads one token of a destination.  Returns what is wrong with it.
std::string SubjectTransform::parse_function(std::string_view text, Token& token,
                                             std::vector<std::int64_t>& wildcards) {
    token.text = text;
    if (text == ">") token.function = Function::rest;
    if (text.size() > 1 && text.front() == '$') {
        const auto number = parse_number(text.substr(1));
        if (!number) return {};  // a subject may begin with `$`
        token.function = Function::wildcard;
        wildcards.push_back(*number);
        return {};
    }
    if (!looks_like_function(text)) return {};

    // In the order in which stock looks for them.
    static constexpr Names names[] = {
        {"wildcard", "Wildcard", Function::wildcard},
        {"partition", "Partition", Function::partition},
        {"splitfromleft", "SplitFromLeft", Function::split_from_left},
        {"splitfromright", "SplitFromRight", Function::split_from_right},
        {"slicefromleft", "SliceFromLeft", Function::slice_from_left},
        {"slicefromright", "SliceFromRight", Function::slice_from_right},
        {"right", "Right", Function::right},
        {"left", "Left", Function::left},
        {"split", "Split", Function::split},
        {"random", "Random", Function::random},
    };
    std::optional<std::string_view> call;
    for (const Names& name : names) {
        call = find_call(text, name.lower, name.camel);
        token.function = name.function;
        if (call) break;
    }
    if (!call) return error_in(error_function, text);
    const std::vector<std::string_view> arguments = split_arguments(*call);
    const auto count = arguments.size();
    const auto first = parse_number(arguments[0]);
    constexpr std::int64_t number_max = std::numeric_limits<std::int32_t>::max();
    constexpr std::int64_t number_min = std::numeric_limits<std::int32_t>::min();

    switch (token.function) {
        case Function::wildcard:
            if (count == 1 && arguments[0].empty()) return error_in(error_few, text);
            if (count > 1) return error_in(error_many, text);
            if (!first) return error_in(error_argument, text);
            wildcards.push_back(*first);
            return {};
        case Function::random:
            if (count != 1) return error_in(error_few, text);
            [[fallthrough]];
        case Function::partition:
            if (!first || *first > number_max) return error_in(error_argument, text);
            token.number = static_cast<std::int32_t>(*first);
            for (std::size_t i = 1; i < count; ++i) {
                const auto wildcard = parse_number(arguments[i]);
                if (!wildcard) return error_in(error_argument, text);
                wildcards.push_back(*wildcard);
            }
            return {};
        default:
            break;
    }
    // A wildcard and one thing more.
    if (count < 2) return error_in(error_few, text);
    if (count > 2) return error_in(error_many, text);
    if (!first) return error_in(error_argument, text);
    wildcards.push_back(*first);
    if (token.function == Function::split) {
        if (arguments[1].find_first_of(" .") != std::string_view::npos) return error_in(error_argument, text);
        token.text = arguments[1];
        return {};
    }
    const auto number = parse_number(arguments[1]);
    if (!number || *number > number_max || *number < number_min) return error_in(error_argument, text);
    token.number = static_cast<std::int32_t>(*number);
    return {};
}

void SubjectTransform::apply(std::string_view subject, base::Prng& prng, Bytes& out) const {
    const Subject cut(subject, source_tokens_);
    bool first = true;
    for (const Token& token : tokens_) {
        if (!first) out.push_back('.');
        first = false;
        append_token(token, cut, prng, out);
    }
}

void SubjectTransform::append_token(const Token& token, const Subject& subject, base::Prng& prng, Bytes& out) {
    const std::string_view source = token.sources.empty() ? std::string_view() : subject.token(token.sources[0]);
    // A cut at or beyond an end is none.
    const bool cuts = token.number > 0 && static_cast<std::size_t>(token.number) < source.size();
    const std::size_t size = cuts ? static_cast<std::size_t>(token.number) : source.size();
    switch (token.function) {
        case Function::text:
            out.append(token.text);
            return;
        case Function::rest:
            out.append(subject.whole.substr(subject.rest_at));
            return;
        case Function::wildcard:
            out.append(source);
            return;
        case Function::partition: {
            std::uint32_t hash = fnv1a_32({});
            for (const std::uint32_t i : token.sources) hash = fnv1a_32(subject.token(i), hash);
            if (token.sources.empty()) hash = fnv1a_32(subject.whole);
            append_number(out, token.number == 0 ? 0 : hash % static_cast<std::uint32_t>(token.number));
            return;
        }
        case Function::split:
            append_split(source, token.text, out);
            return;
        case Function::split_from_left:
            if (cuts) return append_cut(source, size, out);
            out.append(source);
            return;
        case Function::split_from_right:
            if (cuts) return append_cut(source, source.size() - size, out);
            out.append(source);
            return;
        case Function::slice_from_left:
            if (cuts) return append_slices_from_left(source, size, out);
            out.append(source);
            return;
        case Function::slice_from_right:
            if (cuts) return append_slices_from_right(source, size, out);
            out.append(source);
            return;
        case Function::left:
            out.append(source.substr(0, size));
            return;
        case Function::right:
            out.append(source.substr(source.size() - size));
            return;
        case Function::random: {
            // Of a negative number only its size counts (Go's remainder takes the sign of the random number).
            const auto ceiling =
                static_cast<std::uint64_t>(token.number < 0 ? -std::int64_t{token.number} : token.number);
            append_number(out, ceiling == 0 ? 0 : prng.below(ceiling));
            return;
        }
    }
}

}  // namespace compat
