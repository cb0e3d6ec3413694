// One subject transform: a source filter and a destination that may hold functions of the source's wildcards.
//
//     $n, {{wildcard(n)}}        the n-th `*` of the source
//     {{partition(k)}}           FNV-1a 32 of the whole subject, modulo k
//     {{partition(k,n,m..)}}     the same of those wildcards, joined
//     {{split(n,delim)}}         the n-th `*`, cut into tokens at each delim
//     {{splitfromleft(n,p)}}     cut in two after p bytes; {{splitfromright(n,p)}} before the last p
//     {{slicefromleft(n,s)}}     cut into pieces of s bytes from the left; {{slicefromright(n,s)}} from the right
//     {{left(n,c)}}              its first c bytes; {{right(n,c)}} its last
//     {{random(k)}}              a number below k
//
// Names in lower or camel case.  Pure; randomness is an argument.
// Source: nats-server server/subject_transform.go, behaviour only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "routing/base/bytes.h"
#include "routing/base/prng.h"
#include "routing/base/result.h"

namespace compat {

/// Sources with up to so many tokens are matched without allocation.
inline constexpr std::size_t transform_tokens_inline = 32;

/// FNV-1a, 32 bits; `hash` is what came before, so parts can be joined.  The partition() of all NATS servers.
[[nodiscard]] constexpr std::uint32_t fnv1a_32(std::string_view bytes, std::uint32_t hash = 2166136261U) {
    for (const char c : bytes) hash = (hash ^ static_cast<std::uint8_t>(c)) * 16777619U;
    return hash;
}

/// Whether a mapping's source covers the published `subject`.  As in stock, a `>` takes empty tokens too, a token of
/// the source that only begins with `*` takes any token, and a published `*` is covered by a `*` alone.
/// Source: nats-server server/sublist.go isSubsetMatchTokenized.
[[nodiscard]] bool source_covers(std::string_view source, std::string_view subject);

/// Threads: any, once made.
class SubjectTransform {
  public:
    /// Errors: stock's text, for instance "invalid mapping destination: unknown function in {{foo(1)}}".
    /// An empty destination is an error (stock takes it and then dies of the first message).
    [[nodiscard]] static base::Result<SubjectTransform, std::string> make(std::string_view source,
                                                                          std::string_view destination);

    /// Appends the destination of `subject`, which the source must cover.  `prng` is drawn from by random() alone.
    void apply(std::string_view subject, base::Prng& prng, base::Bytes& out) const;

  private:
    enum class Function : std::uint8_t {
        text,
        rest,  // the `>` at the end
        wildcard,
        partition,
        split,
        split_from_left,
        split_from_right,
        slice_from_left,
        slice_from_right,
        left,
        right,
        random,
    };
    /// One token of the destination.
    struct Token {
        Function function = Function::text;
        std::int32_t number = 0;             // what the function takes beside a wildcard
        std::string text;                    // text; split: the delimiter
        std::vector<std::uint32_t> sources;  // which tokens of the subject it looks at
    };
    struct Names;
    struct Subject;

    [[nodiscard]] static std::string parse_function(std::string_view text, Token& token,
                                                    std::vector<std::int64_t>& wildcards);
    static void append_token(const Token& token, const Subject& subject, base::Prng& prng, base::Bytes& out);

    std::vector<Token> tokens_;
    std::uint32_t source_tokens_ = 0;  // that functions look at; 0 if the source has no wildcards
};

}  // namespace compat
