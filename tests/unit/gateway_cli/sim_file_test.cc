#include "gateway/cli/sim_file.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <sstream>

#include "gateway/cli/sim.h"
#include "gateway/conf/parser.h"

namespace gateway::cli {

namespace {

base::Result<routing::sim::TreePlan, std::string> plan_of(const std::string& text) {
    conf::Sources sources;
    sources.file = [&](const std::string&, std::size_t) { return base::Result<std::string, std::string>(text); };
    sources.variable = [](const std::string&) { return std::nullopt; };
    const auto document = conf::parse_config("tree.conf", sources);
    REQUIRE(document.ok());
    return read_tree_plan(document.value());
}

std::string error_of(const std::string& text) {
    const auto plan = plan_of(text);
    return plan.ok() ? "" : plan.error();
}

}  // namespace

TEST_CASE("a tree to simulate is read from a file, in the order of its lines", "[gateway][cli][sim]") {
    const auto plan = plan_of(
        "gateways {\n"
        "  zoo { region: eu, tags: [a, b], durable: true, max_children: 3, clients: 7 }\n"
        "  bar { join: zoo, listen: false }\n"
        "  fox { join: [zoo] }\n"
        "}\n"
        "distances [ { between: [zoo, fox], delay: 40ms } ]\n");
    REQUIRE(plan.ok());
    const auto& gateways = plan.value().gateways;
    REQUIRE(gateways.size() == 3);
    CHECK(gateways[0].name == "zoo");
    CHECK(gateways[0].region == "eu");
    CHECK(gateways[0].tags == std::vector<std::string>{"a", "b"});
    CHECK(gateways[0].durable);
    CHECK(gateways[0].max_children == 3);
    CHECK(gateways[0].clients == 7);
    CHECK(gateways[1].name == "bar");
    CHECK(gateways[1].join == std::vector<std::size_t>{0});
    CHECK_FALSE(gateways[1].listens);
    CHECK(gateways[1].clients == 2);
    CHECK(gateways[2].listens);
    REQUIRE(plan.value().distances.size() == 1);
    CHECK(plan.value().distances[0].b == 2);
    CHECK(plan.value().distances[0].delay == std::chrono::milliseconds(40));
}

TEST_CASE("a tree that is none is refused with the line and the reason", "[gateway][cli][sim]") {
    const std::string two = "gateways { a {}, b { join: a } }\n";
    CHECK(error_of(two).empty());
    const std::map<std::string, std::string> wrong = {
        {"distances []", "a map 'gateways' is missing"},
        {"gateways []", "a map 'gateways' is missing"},
        {"gateways { a {} }", "there must be 2 to 256 gateways, not 1"},
        {"gateways { a {}, b { join: c } }", "tree.conf:1:22: there is no gateway 'c'"},
        {"gateways { a {}, b {} }", "'b' and 'a' can never meet"},
        {"gateways { a { listen: false }, b { join: a } }", "'b' joins 'a', which does not listen"},
        {"gateways { a {}, b 7 }", "'b' wants a map"},
        {"gateways { a {}, b { join: 7 } }", "'join' wants names"},
        {"gateways { a {}, b { join: a, listen: maybe } }", "'listen' wants true or false"},
        {"gateways { a {}, b { join: a, clients: 65 } }", "'clients' wants a number from 0 to 64"},
        {"gateways { a { clients: 1 }, b { join: a, clients: 1 } }", "3 clients or more in all, not 2"},
        {"gateways { a {}, b { join: a, max_children: 0 } }", "'max_children' wants a number from 1 to 256"},
        {"gateways { a {}, b { join: a, colour: red } }", "unknown field 'colour' of a gateway"},
        {two + "more: 1", "unknown field 'more'"},
        {two + "distances: {}", "'distances' wants a list"},
        {two + "distances: [ 7 ]", "a distance is a map"},
        {two + "distances: [ { between: [a, b] } ]", "'between' and 'delay'"},
        {two + "distances: [ { between: [a], delay: 1ms } ]", "'between' wants two names"},
        {two + "distances: [ { between: [a, x], delay: 1ms } ]", "there is no gateway 'x'"},
        {two + "distances: [ { between: [a, b], delay: 11s } ]", "'delay' wants a time up to 10s"},
    };
    for (const auto& [text, reason] : wrong) {
        CAPTURE(text);
        const std::string error = error_of(text);
        CAPTURE(error);
        CHECK(error.find(reason) != std::string::npos);
        CHECK(error.find("tree.conf") != std::string::npos);
    }
}

TEST_CASE("the example of a tree runs, and shows who is whose child", "[gateway][cli][sim]") {
    const char* arguments[] = {"--topology", TREE_EXAMPLE, "--seeds", "2", "--jobs", "2"};
    std::ostringstream out;
    std::ostringstream error;
    CHECK(run_sim(arguments, out, error) == 0);
    CHECK(out.str().find("the tree of the last seed") != std::string::npos);
    for (const char* name : {"frankfurt", "paris", "virginia", "oregon", "tokyo", "ship"})
        CHECK(out.str().find(name) != std::string::npos);
    CHECK(out.str().find("2 seeds, 0 failed") != std::string::npos);
    CHECK(error.str().empty());
}

TEST_CASE("a file that is not there, or with --gateways, is an error", "[gateway][cli][sim]") {
    std::ostringstream out;
    std::ostringstream error;
    const char* missing[] = {"--topology", "/nowhere/tree.conf"};
    CHECK(run_sim(missing, out, error) == 1);
    CHECK(error.str().find("/nowhere/tree.conf") != std::string::npos);
    const char* both[] = {"--topology", TREE_EXAMPLE, "--gateways", "5"};
    CHECK(run_sim(both, out, error) == 1);
    CHECK(error.str().find("--gateways does not go with --topology") != std::string::npos);
}

TEST_CASE("sim gives the same answers in JSON, a line for each seed and one for all, however many run at a time",
          "[gateway][cli][sim]") {
    const auto lines = [](const char* jobs) {
        const char* arguments[] = {"--seed", "5", "--seeds", "4", "--gateways", "3", "--json", "--jobs", jobs};
        std::ostringstream out;
        std::ostringstream error;
        CHECK(run_sim(arguments, out, error) == 0);
        return out.str();
    };
    const std::string one = lines("1");
    CHECK(lines("3") == one);
    CHECK(std::count(one.begin(), one.end(), '\n') == 5);
    CHECK(one.find(R"({"seed":5,"ok":true,"gateways":3,)") == 0);
    CHECK(one.find(R"({"seeds":4,"failed":0,)") != std::string::npos);
}

}  // namespace gateway::cli
