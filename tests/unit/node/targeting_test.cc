#include "routing/node/targeting.h"

#include <catch2/catch.hpp>

using namespace routing;
using namespace routing::node;

TEST_CASE("the two headers are found among others, and only whole ones", "[node][targeting]") {
    std::string lines;
    CHECK_FALSE(find_targeting("NATS/1.0\r\n\r\n", lines));
    CHECK_FALSE(
        find_targeting("NATS/1.0\r\nA: Tree-To: x\r\nTree-Trace: 1\r\nTree-Tomb: x\r\ntree-to: y\r\n\r\n", lines));
    REQUIRE(
        find_targeting("NATS/1.0\r\nTree-Trace: 1\r\nTree-Forbid: tag=a\r\nB: c\r\nTree-To: region=b\r\n\r\n", lines));
    CHECK(lines == "Tree-Forbid: tag=a\nTree-To: region=b\n");
    REQUIRE(find_targeting("NATS/1.0\r\nTree-To:", lines));  // a block that does not end: its last line counts
    CHECK(lines == "Tree-To:\n");
}

TEST_CASE("lists are read term by term", "[node][targeting]") {
    const auto read = read_targeting("Tree-To: region=eu ,gateway=a b\nTree-Forbid:tag=x=y\nTree-To: tag=z\n");
    REQUIRE(read.ok());
    using Kind = GatewayTerm::Kind;
    CHECK(read.value().narrowed);
    CHECK(read.value().to == std::vector<GatewayTerm>{{Kind::region, "eu"}, {Kind::gateway, "a b"}, {Kind::tag, "z"}});
    CHECK(read.value().forbid == std::vector<GatewayTerm>{{Kind::tag, "x=y"}});
    CHECK_FALSE(read_targeting("Tree-Forbid: gateway=a\n").value().narrowed);
}

TEST_CASE("what is no list is refused with a sentence that names it", "[node][targeting]") {
    for (const char* bad : {"Tree-To:\n", "Tree-To: ,\n", "Tree-To: gateway\n", "Tree-To: gateway=\n", "Tree-To: =a\n",
                            "Tree-Forbid: region=a,,tag=b\n", "Tree-To: regions=a\n"}) {
        CAPTURE(bad);
        CHECK_FALSE(read_targeting(bad).ok());
    }
    CHECK(read_targeting("Tree-Forbid: colour=red\n").error() ==
          "Tree-Forbid: 'colour=red' is not gateway=<name>, region=<name> or tag=<name>");
    CHECK_FALSE(read_targeting("Tree-To: tag=" + std::string(targeting_bytes_max, 'a') + "\n").ok());
}

TEST_CASE("a term names a gateway by its name, id, region or one of its tags", "[node][targeting]") {
    const GatewayDescription gateway{"berlin", "0badcafe", "eu", {"ssd", "zone=1"}};
    using Kind = GatewayTerm::Kind;
    CHECK(matches({{Kind::gateway, "berlin"}}, gateway));
    CHECK(matches({{Kind::gateway, "0badcafe"}}, gateway));
    CHECK(matches({{Kind::region, "us"}, {Kind::region, "eu"}}, gateway));
    CHECK(matches({{Kind::tag, "zone=1"}}, gateway));
    CHECK_FALSE(matches({{Kind::region, "ssd"}, {Kind::tag, "eu"}, {Kind::gateway, "eu"}}, gateway));
    CHECK_FALSE(matches({}, gateway));
}
