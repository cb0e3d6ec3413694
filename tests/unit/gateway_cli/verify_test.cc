#include "gateway/cli/verify.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "routing/event_path.h"

namespace gateway::cli {

namespace {

Verification good(const std::string& headers) {
    auto result = verify_path(headers);
    if (!result.ok()) UNSCOPED_INFO(result.error());
    REQUIRE(result.ok());
    return std::move(result).value();
}

}  // namespace

TEST_CASE("hops that multiply to the path are verified", "[gateway][cli]") {
    const Verification result =
        good("tree-path: 75 = 3·5²\r\nOther: x\r\nTREE-HOP: a 2 0\r\nTree-Hop: b 3 1\r\nTree-Hop: two words 5 2");
    CHECK(result.verified);
    CHECK(result.product == "75");
    CHECK(result.rest == "1");
    CHECK(result.hops.size() == 3);
    CHECK(result.hops[2].name == "two words");
    CHECK(verification_text(result).find("which is the path: verified") != std::string::npos);
    CHECK(nlohmann::json::parse(verification_json(result))["verified"] == true);
}

TEST_CASE("hops of one branch divide the path; the rest is for the others", "[gateway][cli]") {
    const Verification result = good("Tree-Path: 3675\nTree-Hop: a 2 0\nTree-Hop: b 3 1\nTree-Hop: c 5 2\n");
    CHECK(result.verified);
    CHECK(result.product == "75");
    CHECK(result.rest == "49");
    CHECK(verification_text(result).find("49 is for other branches: verified") != std::string::npos);
}

TEST_CASE("numbers far beyond 64 bits are exact", "[gateway][cli]") {
    std::string headers;
    std::vector<routing::PrimePower> powers;
    headers = "Tree-Hop: a 2 0\n";
    for (const routing::Prime prime : {2147483659ull, 2147483693ull, 2147483713ull, 2147483743ull, 2147483777ull}) {
        powers.push_back({.prime = prime, .exponent = 2});
        headers += "Tree-Hop: g " + std::to_string(prime) + " 2\n";
    }
    const std::string number = routing::multiply_out(powers);
    REQUIRE(number.size() > 80);
    CHECK(good("Tree-Path: " + number + "\n" + headers).verified);
    std::string wrong = number;
    wrong[40] = wrong[40] == '1' ? '2' : '1';
    CHECK_FALSE(good("Tree-Path: " + wrong + "\n" + headers).verified);
}

TEST_CASE("what does not add up is named", "[gateway][cli]") {
    struct Row {
        const char* headers;
        const char* problem;
    };
    const auto row = GENERATE(values<Row>({
        {"Tree-Path: 75\nTree-Hop: a 2 0\nTree-Hop: b 3 2\nTree-Hop: c 5 2\n", "factor 3 to the 2 that b spent"},
        {"Tree-Path: 75\nTree-Hop: a 2 0\nTree-Hop: c 7 2\n", "factor 7 to the 2 that c spent"},
        {"Tree-Path: 75\nTree-Hop: a 2 0\nTree-Hop: b 3 1\n", "did not deliver"},
        {"Tree-Path: 75\nTree-Hop: b 3 1\nTree-Hop: c 5 2\n", "not the ingress"},
        {"Tree-Path: 75\nTree-Hop: a 2 0\nTree-Hop: b 3 0\nTree-Hop: c 5 2\n", "spent no factor"},
        {"Tree-Path: 75\nTree-Hop: a 2 0\nTree-Hop: b 3 1\nTree-Hop: c 5 2\nTree-Hop: b 3 1\n", "comes twice"},
    }));
    CAPTURE(row.headers);
    const Verification result = good(row.headers);
    CHECK_FALSE(result.verified);
    CAPTURE(result.problem);
    CHECK(result.problem.find(row.problem) != std::string::npos);
    CHECK(verification_text(result).find("NOT verified") != std::string::npos);
}

TEST_CASE("text that is no trace is an error, not a verdict", "[gateway][cli]") {
    const char* headers =
        GENERATE("", "Tree-Path: 75", "Tree-Hop: a 2 0", "Tree-Path: x\nTree-Hop: a 2 0",
                 "Tree-Path: 0\nTree-Hop: a 2 0", "Tree-Path: 75\nTree-Hop: a 2", "Tree-Path: 75\nTree-Hop: 2 0",
                 "Tree-Path: 75\nTree-Hop: a two 0", "Tree-Path: 75\nTree-Hop: a 2 4", "Tree-Path: 75\nTree-Hop: a 1 1",
                 "Tree-Path: 75\nTree-Hop: a 99999999999999999999 1");
    CAPTURE(headers);
    CHECK_FALSE(verify_path(headers).ok());
}

TEST_CASE("more hops than a path can have are refused", "[gateway][cli]") {
    std::string headers = "Tree-Path: 75\n";
    for (std::size_t i = 0; i < verify_hops_max; ++i) headers += "Tree-Hop: a 2 0\n";
    CHECK(verify_path(headers).ok());
    CHECK_FALSE(verify_path(headers + "Tree-Hop: a 2 0\n").ok());
}

}  // namespace gateway::cli
