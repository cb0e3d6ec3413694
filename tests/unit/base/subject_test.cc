#include "routing/base/subject.h"

#include <catch2/catch.hpp>
#include <string>
#include <tuple>
#include <vector>

#include "routing/base/prng.h"

using namespace base;

TEST_CASE("a filter with an empty token or with something after > is refused", "[base][subject]") {
    for (const char* good : {"a", "a.b", "*", ">", "a.*.c", "a.>", "a*", ">b.c", "a.*b"}) {
        CAPTURE(good);
        CHECK(is_valid_filter(good));
    }
    for (const char* bad : {"", ".", "a.", ".a", "a..b", ">.a", "a.>.b"}) {
        CAPTURE(bad);
        CHECK_FALSE(is_valid_filter(bad));
    }
}

TEST_CASE("a literal has no wildcard token", "[base][subject]") {
    CHECK(is_valid_literal("a.b"));
    CHECK(is_valid_literal("a*.b>"));
    CHECK_FALSE(is_valid_literal("a.*"));
    CHECK_FALSE(is_valid_literal(">"));
    CHECK_FALSE(is_valid_literal("a..b"));
    CHECK_FALSE(has_wildcard("a*.b"));
    CHECK(has_wildcard("a.*"));
}

TEST_CASE("filters match as NATS matches them", "[base][subject]") {
    const auto [filter, subject, expected] = GENERATE(table<const char*, const char*, bool>({
        {"a", "a", true},
        {"a", "b", false},
        {"a.*", "a.b", true},
        {"a.*", "a", false},
        {"a.*", "a.b.c", false},
        {"a.>", "a.b.c", true},
        {"a.>", "a", false},
        {">", "a.b", true},
        {"*.b", "a.b", true},
        {"*", "a.b", false},
        {"a.*.c", "a.x.c", true},
        {"a.b", "a.*", false},
    }));
    CAPTURE(filter, subject);
    CHECK(matches(filter, subject) == expected);
}

TEST_CASE("two filters overlap exactly if some literal is matched by both", "[base][subject]") {
    const std::vector<std::string> alphabet = {"a", "b"};
    std::vector<std::string> literals;
    std::vector<std::string> filters;
    const auto build = [](auto&& self, const std::vector<std::string>& tokens, int depth, const std::string& prefix,
                          std::vector<std::string>& out) -> void {
        for (const auto& token : tokens) {
            const std::string subject = prefix.empty() ? token : prefix + "." + token;
            out.push_back(subject);
            if (depth > 1 && token != ">") self(self, tokens, depth - 1, subject, out);
        }
    };
    build(build, alphabet, 4, "", literals);
    build(build, {"a", "*", ">"}, 3, "", filters);
    for (const auto& x : filters) {
        for (const auto& y : filters) {
            bool expected = false;
            for (const auto& literal : literals) expected = expected || (matches(x, literal) && matches(y, literal));
            CAPTURE(x, y);
            CHECK(overlaps(x, y) == expected);
        }
    }
}
