#include "compat/subject_mappings.h"

#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>

#include "compat/subject_transform.h"

using namespace compat;

namespace {

std::string transform(std::string_view source, std::string_view destination, std::string_view subject) {
    const auto made = SubjectTransform::make(source, destination);
    if (!made.ok()) return made.error();
    if (!source_covers(source, subject)) return "no match";
    base::Prng prng(1);
    std::string out;
    made.value().apply(subject, prng, out);
    return out;
}

std::string error_of(std::string_view source, std::string_view destination) {
    const auto made = SubjectTransform::make(source, destination);
    return made.ok() ? "" : made.error();
}

std::shared_ptr<const SubjectMappings> compile(const std::vector<Mapping>& mappings) {
    auto compiled = SubjectMappings::compile(mappings);
    INFO((compiled.ok() ? "" : compiled.error()));
    REQUIRE(compiled.ok());
    return compiled.value();
}

/// What becomes of `subject`: the new one, "-" if it stays, "x" if it is dropped.
std::string map(const SubjectMappings& mappings, std::string_view subject, base::Prng& prng) {
    std::string out = "left over from before";
    switch (mappings.apply(subject, prng, out)) {
        case Mapped::no:
            CHECK(out.empty());
            return "-";
        case Mapped::yes:
            return out;
        case Mapped::dropped:
            CHECK(out.empty());
            return "x";
    }
    return "?";
}

std::map<std::string, int> count(const SubjectMappings& mappings, std::string_view subject, int times) {
    base::Prng prng(42);
    std::map<std::string, int> counts;
    for (int i = 0; i < times; ++i) ++counts[map(mappings, subject, prng)];
    return counts;
}

}  // namespace

// What is expected below was seen from nats-server 2.15.2, or is what its documentation says.

TEST_CASE("a transform puts the wildcards of its source where its destination wants them", "[mappings]") {
    CHECK(transform("foo", "bar", "foo") == "bar");
    CHECK(transform("foo.*", "bar.$1", "foo.a") == "bar.a");
    CHECK(transform("foo.*.*", "b.$2.{{wildcard(1)}}.c", "foo.x.y") == "b.y.x.c");
    CHECK(transform("*.*", "{{Wildcard( 2 )}}.{{ wildcard(1) }}", "x.y") == "y.x");
    CHECK(transform("*", "$1.$1.$1", "x") == "x.x.x");
    CHECK(transform("foo.>", "bar.>", "foo.a.b.c") == "bar.a.b.c");
    CHECK(transform("a.*.>", "b.$1.>", "a.x.y.z") == "b.x.y.z");
    CHECK(transform(">", "x.>", "a.b") == "x.a.b");
    CHECK(transform("foo.*", "fixed", "foo.a") == "fixed");  // a wildcard need not be used
    CHECK(transform("foo", "$SYS.x", "foo") == "$SYS.x");
    CHECK(transform("foo.*", "$x.$1", "foo.a") == "$x.a");
    CHECK(transform("foo.*", "b.{{wildcard(0)}}.{{wildcard(-7)}}", "foo.a") == "b.foo.foo");
}

TEST_CASE("a transform's source covers what a filter covers", "[mappings]") {
    CHECK(transform("foo", "bar", "fo") == "no match");
    CHECK(transform("foo.*", "bar.$1", "foo") == "no match");
    CHECK(transform("foo.*", "bar.$1", "foo.a.b") == "no match");
    CHECK(transform("foo.>", "bar.>", "foo") == "no match");
    CHECK(transform("foo.*", "bar.$1", "foo.") == "no match");
    CHECK(transform("foo.>", "bar.>", "foo.") == "bar.");
    CHECK(transform("foo.>", "bar.>", "foo.a..b") == "bar.a..b");
    CHECK(transform(">", "x.>", ".a") == "x..a");
    // A published wildcard is a literal token, and only `*` has it.
    CHECK(transform("foo.*", "bar.$1", "foo.*") == "bar.*");
    CHECK(transform("foo.bar", "b", "foo.*") == "no match");
    CHECK(transform("foo.*", "bar.$1", "foo.>") == "no match");
    // As in stock, a token of the source that begins with a star takes any.
    CHECK(transform("foo.*x", "bar", "foo.y") == "bar");
}

TEST_CASE("a transform cuts tokens", "[mappings]") {
    CHECK(transform("*", "{{splitfromleft(1,3)}}", "12345") == "123.45");
    CHECK(transform("*", "{{SplitFromRight(1,3)}}", "12345") == "12.345");
    CHECK(transform("*", "{{splitfromleft(1,5)}}", "12345") == "12345");
    CHECK(transform("*", "{{splitfromleft(1,0)}}", "12345") == "12345");
    CHECK(transform("*", "{{splitfromright(1,-1)}}", "12345") == "12345");
    CHECK(transform("*", "{{slicefromleft(1,3)}}", "1234567890") == "123.456.789.0");
    CHECK(transform("*", "{{SliceFromLeft(1,5)}}", "1234567890") == "12345.67890");
    CHECK(transform("*", "{{slicefromright(1,3)}}", "1234567890") == "1.234.567.890");
    CHECK(transform("*", "{{slicefromright(1,5)}}", "1234567890") == "12345.67890");
    CHECK(transform("*", "{{slicefromright(1,50)}}", "1234567890") == "1234567890");
    CHECK(transform("*", "{{left(1,3)}}.{{right(1,3)}}", "12345") == "123.345");
    CHECK(transform("*", "{{Left(1,9)}}.{{Right(1,0)}}", "12345") == "12345.12345");
    CHECK(transform("*", "{{split(1,-)}}", "a-b-c") == "a.b.c");
    CHECK(transform("*", "{{split(1,-)}}", "-a--b-") == "a.b");
    CHECK(transform("*", "{{Split(1,ab)}}", "1ab2ab3") == "1.2.3");
    CHECK(transform("*", "x{{split(1,-)}}", "a-b") == "x{{split(1,-)}}");  // not a whole token: text
    CHECK(transform("*", "{{split(1,)}}", "añ€b") == "a.ñ.€.b");
    CHECK(transform("*", "{{split(1,-)}}", "-") == "");
}

TEST_CASE("partition is FNV-1a of the tokens, joined without dots, or of the whole subject", "[mappings]") {
    CHECK(fnv1a_32("") == 2166136261U);
    CHECK(fnv1a_32("a") == 0xe40c292cU);
    CHECK(fnv1a_32("foobar") == 0xbf9cf968U);
    CHECK(fnv1a_32("bar", fnv1a_32("foo")) == fnv1a_32("foobar"));
    CHECK(transform("*.*", "{{partition(1000000,1,2)}}", "foo.bar") == std::to_string(0xbf9cf968U % 1000000));
    CHECK(transform("*.*", "{{partition(1000,2,1)}}", "foo.bar") == std::to_string(fnv1a_32("barfoo") % 1000));
    CHECK(transform("*.*", "{{Partition(1000)}}", "foo.bar") == std::to_string(fnv1a_32("foo.bar") % 1000));
    CHECK(transform("foo.>", "{{partition(1000)}}.>", "foo.a.b") ==
          std::to_string(fnv1a_32("foo.a.b") % 1000) + ".a.b");
    CHECK(transform("*", "{{partition(0)}}.{{partition(-1,1)}}", "a") == "0." + std::to_string(0xe40c292cU));
}

TEST_CASE("random is below its argument", "[mappings]") {
    const auto made = SubjectTransform::make("foo", "bar.{{random(3)}}.{{random(0)}}.{{random(-2)}}");
    REQUIRE(made.ok());
    base::Prng prng(7);
    std::map<std::string, int> seen;
    for (int i = 0; i < 600; ++i) {
        std::string out;
        made.value().apply("foo", prng, out);
        ++seen[out];
    }
    CHECK(seen.size() == 6);
    CHECK(seen.begin()->first == "bar.0.0.0");
    CHECK(seen.rbegin()->first == "bar.2.0.1");
}

TEST_CASE("what is wrong with a transform is worded as stock words it", "[mappings]") {
    const std::string wrong = "invalid mapping destination: ";
    CHECK(error_of("foo", "") ==
          wrong + "invalid transform");  // stock takes this one, and falls over the first message
    CHECK(error_of("foo", "a b") == wrong + "invalid transform");
    CHECK(error_of("foo", "foo..bar") == wrong + "invalid transform");
    CHECK(error_of("foo", "a.>.b") == wrong + "invalid transform in b");
    CHECK(error_of("foo", "*") == "invalid subject");
    CHECK(error_of("foo.*", "foo.*") == "invalid subject");
    CHECK(error_of("foo.>", "a") == "invalid subject");
    CHECK(error_of("foo", "a.>") == "invalid subject");
    CHECK(error_of("foo..a", "b") == "invalid subject");
    CHECK(error_of("foo", "a.{{x(1)}}") == wrong + "unknown function in {{x(1)}}");
    CHECK(error_of("foo.*", "{{SPLIT(1,-)}}") == wrong + "unknown function in {{SPLIT(1,-)}}");
    CHECK(error_of("foo", "a.$1") == wrong + "wildcard index out of range in $1");
    CHECK(error_of("foo", "{{left(1,2)}}") == wrong + "wildcard index out of range in {{left(1,2)}}");
    CHECK(error_of("foo.*", "{{left(2,1)}}") == wrong + "wildcard index out of range in {{left(2,1)}}: [2]");
    CHECK(error_of("foo.*", "$2") == wrong + "wildcard index out of range in $2: [2]");
    const std::string few = "not enough arguments passed to the function in ";
    const std::string many = "too many arguments passed to the function in ";
    const std::string argument = "function argument is invalid or in the wrong format in ";
    CHECK(error_of("*", "{{wildcard()}}") == wrong + few + "{{wildcard()}}");
    CHECK(error_of("*", "{{wildcard(1,2)}}") == wrong + many + "{{wildcard(1,2)}}");
    CHECK(error_of("*", "{{wildcard(x)}}") == wrong + argument + "{{wildcard(x)}}");
    CHECK(error_of("*", "{{split(1)}}") == wrong + few + "{{split(1)}}");
    CHECK(error_of("*", "{{split(1,-,2)}}") == wrong + many + "{{split(1,-,2)}}");
    CHECK(error_of("*", "{{split(1, -)}}") == "");
    CHECK(error_of("*", "{{split(1,- )}}") == wrong + argument + "{{split(1,- )}}");
    CHECK(error_of("*", "{{left(1)}}") == wrong + few + "{{left(1)}}");
    CHECK(error_of("*", "{{left(1,2,3)}}") == wrong + many + "{{left(1,2,3)}}");
    CHECK(error_of("*", "{{left(1,x)}}") == wrong + argument + "{{left(1,x)}}");
    CHECK(error_of("*", "{{left(1,3000000000)}}") == wrong + argument + "{{left(1,3000000000)}}");
    CHECK(error_of("*", "{{partition(x)}}") == wrong + argument + "{{partition(x)}}");
    CHECK(error_of("*", "{{partition(1,x)}}") == wrong + argument + "{{partition(1,x)}}");
    CHECK(error_of("*", "{{partition(99999999999)}}") == wrong + argument + "{{partition(99999999999)}}");
    CHECK(error_of("*", "{{random(1,2)}}") == wrong + few + "{{random(1,2)}}");
    CHECK(error_of("*", "{{random()}}") == wrong + argument + "{{random()}}");
}

TEST_CASE("weights are kept to, and the remainder stays what it was", "[mappings]") {
    const auto mappings = compile({{"foo.*", {{"a.$1", 70, ""}, {"b.$1", 10, ""}}}});
    const auto counts = count(*mappings, "foo.x", 100000);
    CHECK(counts.size() == 3);
    CHECK(counts.at("a.x") > 69000);
    CHECK(counts.at("a.x") < 71000);
    CHECK(counts.at("b.x") > 9500);
    CHECK(counts.at("b.x") < 10500);
    CHECK(counts.at("foo.x") > 19300);
    CHECK(counts.at("foo.x") < 20700);
    CHECK(count(*mappings, "foo.x", 1000) == count(*mappings, "foo.x", 1000));
    CHECK(count(*mappings, "bar.x", 10) == std::map<std::string, int>{{"-", 10}});
}

TEST_CASE("each of a hundred draws goes where the weights say", "[mappings]") {
    // All hundred values that a draw can have, each once: so the shares are exact.
    const auto mappings = compile({{"foo", {{"a", 33, ""}, {"b", 33, ""}, {"foo", 33, ""}}}});
    std::map<std::string, int> shares;
    std::map<std::uint64_t, std::string> by_draw;
    for (std::uint64_t seed = 0; by_draw.size() < 100; ++seed) {
        base::Prng look(seed);
        base::Prng use(seed);
        const std::string result = map(*mappings, "foo", use);
        const auto [place, is_new] = by_draw.emplace(look.below(100), result);
        CHECK(place->second == result);
        if (is_new) ++shares[result];
    }
    CHECK(shares == std::map<std::string, int>{{"a", 33}, {"b", 33}, {"foo", 33}, {"x", 1}});
}

TEST_CASE("a source that lists itself loses the remainder on purpose", "[mappings]") {
    const auto counts = count(*compile({{"foo", {{"foo", 50, ""}}}}), "foo", 10000);
    CHECK(counts.size() == 2);
    CHECK(counts.at("foo") > 4800);
    CHECK(counts.at("x") > 4800);
    CHECK(count(*compile({{"foo", {{"foo", 0, ""}}}}), "foo", 10) == std::map<std::string, int>{{"x", 10}});
    CHECK(count(*compile({{"foo.>", {{"foo.>", 0, ""}}}}), "foo.a", 10) == std::map<std::string, int>{{"x", 10}});
}

TEST_CASE("destinations of a cluster are checked and not used, as a gateway is in none", "[mappings]") {
    base::Prng prng(1);
    const auto mixed = compile({{"foo", {{"a", 100, ""}, {"b", 100, "east"}}}});
    CHECK(map(*mixed, "foo", prng) == "a");
    const auto elsewhere = compile({{"foo", {{"b", 100, "east"}, {"c", 50, "west"}}}});
    CHECK(map(*elsewhere, "foo", prng) == "foo");
    // Listing itself in any cluster says that the remainder is to be lost, here too.
    CHECK(map(*compile({{"foo", {{"foo", 50, "east"}}}}), "foo", prng) == "x");
    CHECK(SubjectMappings::error_of({"foo", {{"a", 60, "east"}, {"b", 60, "west"}}}).empty());
    CHECK(SubjectMappings::error_of({"foo", {{"a", 60, "east"}, {"b", 60, "east"}}}) ==
          "total weight needs to be <= 100");
    CHECK(SubjectMappings::error_of({"foo", {{"a", 60, "east"}, {"a", 40, "west"}}}) == "duplicate entry for \"a\"");
}

TEST_CASE("a literal source comes first, then the order of the config; what is mapped is not mapped again",
          "[mappings]") {
    base::Prng prng(1);
    const auto mappings =
        compile({{">", {{"all.>", 100, ""}}}, {"foo.*", {{"late.$1", 100, ""}}}, {"foo.a", {{"b", 100, ""}}}});
    CHECK(map(*mappings, "foo.a", prng) == "b");
    CHECK(map(*mappings, "foo.b", prng) == "all.foo.b");
    CHECK(map(*mappings, "b", prng) == "all.b");
    const auto swapped = compile({{"foo.*", {{"late.$1", 100, ""}}}, {">", {{"all.>", 100, ""}}}});
    CHECK(map(*swapped, "foo.b", prng) == "late.b");
    // The last of one source counts.
    CHECK(map(*compile({{"a", {{"b", 100, ""}}}, {"a", {{"c", 100, ""}}}}), "a", prng) == "c");
}

TEST_CASE("no mappings are no object, and one without destinations maps to itself", "[mappings]") {
    CHECK(compile({}) == nullptr);
    base::Prng prng(1);
    CHECK(map(*compile({{"foo.*", {}}}), "foo.a", prng) == "foo.a");
}

TEST_CASE("one that is wrong is named with its source", "[mappings]") {
    const auto compiled = SubjectMappings::compile({{"a", {{"b", 100, ""}}}, {"foo..x", {{"b", 100, ""}}}});
    REQUIRE_FALSE(compiled.ok());
    CHECK(compiled.error() == "mapping \"foo..x\": invalid subject");
    CHECK(SubjectMappings::error_of({"foo..x", {{"b", 100, ""}}}) == "invalid subject");
    CHECK(SubjectMappings::error_of({"foo", {{"b", 101, ""}}}) == "individual weights need to be <= 100");
    CHECK(SubjectMappings::error_of({"foo.*", {{"b.$2", 100, ""}}}) ==
          "invalid mapping destination: wildcard index out of range in $2: [2]");
    CHECK(SubjectMappings::error_of({"foo", {{"b", 100, ""}}}).empty());
}

TEST_CASE("a source may look like a function, as long as it need not be mapped to itself", "[mappings]") {
    CHECK(SubjectMappings::error_of({"$1", {{"a", 100, ""}}}).empty());
    CHECK(SubjectMappings::error_of({"$1", {{"a", 50, ""}}}) ==
          "invalid mapping destination: wildcard index out of range in $1");
    CHECK(SubjectMappings::error_of({"{{x}}", {{"a", 50, ""}}}) ==
          "invalid mapping destination: unknown function in {{x}}");
}

TEST_CASE("a source with more tokens than most is mapped all the same", "[mappings]") {
    std::string source = "*";
    std::string subject = "t1";
    std::string destination = "$50";
    for (int i = 2; i <= 50; ++i) {
        source += ".*";
        subject += ".t" + std::to_string(i);
        destination += ".$" + std::to_string(51 - i);
    }
    const std::string mapped = transform(source, destination, subject);
    CHECK(mapped.substr(0, 12) == "t50.t49.t48.");
    CHECK(mapped.substr(mapped.size() - 9) == ".t3.t2.t1");
}

TEST_CASE("partition of a lone literal source hashes nothing, as in stock", "[mappings]") {
    base::Prng prng(1);
    const std::vector<MappingDestination> to = {{"foo.{{partition(10)}}", 100, ""}};
    CHECK(map(*compile({{"foo", to}}), "foo", prng) == "foo.1");
    CHECK(map(*compile({{"bar", {}}, {"foo", to}}), "foo", prng) == "foo." + std::to_string(fnv1a_32("foo") % 10));
}
