// Seeing the tree: traces, paths, advisories, and giving up a gateway that is away.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "routing/event_path.h"
#include "routing/node/json_writer.h"
#include "tests/sim/row.h"

using namespace routing;
using namespace routing::sim;
using namespace std::chrono_literals;

namespace {

std::string error_of(const std::string& answer) {
    return node::json_string_member(answer, "error");
}

/// Advisories that clients of g0 hear from now on, by kind.
struct Advisories {
    explicit Advisories(Row& row) : row_(row) {
        row.clients[0]->subscribe("$TREE.ADV.>", "", false);
        row.gateways[0]->observe_for_test([this](const MessageView& message) {
            constexpr std::string_view root = "$TREE.ADV.";
            if (message.subject.starts_with(root))
                heard.emplace(message.subject.substr(root.size()), std::string(message.payload()));
        });
        row.run(1s);
    }
    /// Those of a kind that gateway `from` told.
    std::vector<std::string> of(const std::string& kind, const std::string& from) const {
        std::vector<std::string> found;
        const auto [first, last] = heard.equal_range(kind);
        for (auto it = first; it != last; ++it) {
            CHECK(node::json_string_member(it->second, "kind") == kind);
            if (node::json_string_member(it->second, "gateway") == from) found.push_back(it->second);
        }
        return found;
    }
    Row& row_;
    std::multimap<std::string, std::string> heard;
};

}  // namespace

TEST_CASE("each copy of a traced message shows its own way", "[node][trace]") {
    Row row(4);
    for (auto& client : row.clients) client->subscribe("news", "", false);
    row.run(2s);
    std::vector<std::string> headers(4);
    for (std::size_t i = 0; i < 4; ++i)
        row.gateways[i]->observe_for_test(
            [&headers, i](const MessageView& message) { headers[i] = message.headers(); });
    row.gateways[1]->publish(row.clients[1]->connection(), "news", "", "text", "NATS/1.0\r\nTree-Trace: 1\r\n\r\n");
    row.run(1s);
    // Where it was published it has gone no way.
    CHECK(headers[1] == "NATS/1.0\r\nTree-Trace: 1\r\n\r\n");
    const std::map<std::size_t, std::vector<std::string>> ways = {
        {0, {"g1", "g0"}}, {2, {"g1", "g2"}}, {3, {"g1", "g2", "g3"}}};
    for (const auto& [at, way] : ways) {
        CAPTURE(at, headers[at]);
        const auto hops = lines_with(headers[at], "Tree-Hop: ");
        REQUIRE(hops.size() == way.size());
        std::vector<PrimePower> powers;
        for (std::size_t i = 0; i < hops.size(); ++i) {
            CHECK(hops[i].starts_with(way[i] + " "));
            const auto exponent = static_cast<std::uint32_t>(hops[i].back() - '0');
            // g2 serves its own subscribers and passes the message on: one factor, exponent 2.
            CHECK(exponent == (i == 0 ? 0 : 2));
            if (exponent != 0) powers.push_back({std::stoul(hops[i].substr(3)), exponent});
        }
        const auto path = lines_with(headers[at], "Tree-Path: ");
        REQUIRE(path.size() == 1);
        CHECK(path[0].substr(0, path[0].find(' ')) == multiply_out(powers));
    }
}

TEST_CASE("a number with exponent 3 or more is refused with the reason", "[node][requests]") {
    Row row(2);
    const std::string prime = std::to_string(row.gateways[0]->node().tree().status().prime);
    const auto explain = [&](std::uint32_t exponent) {
        const std::string number = multiply_out({PrimePower{std::stoul(prime), exponent}});
        return row.ask_one("$TREE.REQ.g1.path.explain", R"({"number":")" + number + R"("})");
    };
    CHECK(explain(2).find(R"("meaning":"delivers")") != std::string::npos);
    CHECK(error_of(explain(3)).ends_with("exponent 3 hands over to a custodian, and this version has none"));
    CHECK(error_of(explain(4)).ends_with("no event path has an exponent above 3"));
}

TEST_CASE("path show tells the policy of each group and how far its members are", "[node][requests]") {
    Row row(3, {}, {QueuePolicy::local_first, {{"jobs.>", QueuePolicy::round_robin}}});
    row.clients[0]->subscribe("jobs.*", "workers", false);
    row.clients[2]->subscribe("*.a", "workers", false);
    row.run(1s);
    const std::string shown = row.ask_one("$TREE.REQ.g0.path.show", R"({"subject":"jobs.a"})");
    CAPTURE(shown);
    CHECK(shown.find(R"("queue":"workers","policy":"round_robin","local":1)") != std::string::npos);
    CHECK(shown.find(R"("gateway":"g2","weight":1,"reachable":true,"distance":2)") != std::string::npos);
    CHECK(row.ask_one("$TREE.REQ.g0.path.show", R"({"subject":"x.a"})").find(R"("policy":"local_first")") !=
          std::string::npos);
    CHECK_FALSE(error_of(row.ask_one("$TREE.REQ.g0.path.show")).empty());
}

TEST_CASE("the map holds roles, regions and neighbours of all members", "[node][requests]") {
    Row row(3, {}, {}, [](GatewaySetup& setup) {
        setup.region = setup.host == 1 ? "eu" : "us";
        setup.tags = {"rack=" + std::to_string(setup.host)};
    });
    const std::string map = row.ask_one("$TREE.REQ.g0.tree.map");
    CAPTURE(map);
    const auto hex = [&](std::size_t i) { return base::to_hex(row.gateways[i]->id().view()); };
    CHECK(map.find(R"("region":"eu","tags":["rack=1"])") != std::string::npos);
    CHECK(map.find(R"("members":3)") != std::string::npos);
    CHECK(map.find("\"root\":\"" + base::to_hex(row.gateways[0]->node().tree().status().root_id.view()) + "\"") !=
          std::string::npos);
    const bool in_order = map.find("\"neighbours\":[\"" + hex(0) + "\",\"" + hex(2) + "\"]") != std::string::npos;
    const bool other_order = map.find("\"neighbours\":[\"" + hex(2) + "\",\"" + hex(0) + "\"]") != std::string::npos;
    CHECK((in_order || other_order));
}

TEST_CASE("who joins, leaves, moves and merges is told on $TREE.ADV", "[node][advisory]") {
    // g2 also knows g0; the way there is cut at first.
    struct Second : Row {
        Second()
            : Row(4, {}, {}, [this](GatewaySetup& setup) {
                  if (setup.host != 2) return;
                  setup.join.push_back(Network::address_of(0));
                  network.cut(0, 2, Cut::refuse);
                  network.cut(0, 3, Cut::refuse);
              }) {}
    } row;
    Advisories advisories(row);
    row.gateways[1]->crash(0);
    row.network.heal(0, 2);
    row.run(60s);
    REQUIRE(row.gateways[0]->node().tree().status().members.size() == 3);
    const auto left = advisories.of("leave", "g0");
    REQUIRE(left.size() == 1);
    CHECK(node::json_string_member(left[0], "member") == "g1");
    CHECK(left[0].find(R"("time_ms":)") != std::string::npos);
    // Whichever of g0 and g2 became the child of the other.
    const auto joined = advisories.of("join", "g0").size() + advisories.of("join", "g2").size();
    CHECK(joined == 1);
    const auto merged = advisories.of("merge", "g0").size() + advisories.of("merge", "g2").size();
    CHECK(merged == (advisories.of("join", "g0").size() == 1 ? 1 : 0));
    row.gateways[1]->start();
    row.run(30s);
    CHECK(row.gateways[0]->node().tree().status().members.size() == 4);
    CHECK(advisories.heard.count("join") == 2);
}

TEST_CASE("a gateway that is away is forgotten by all, and comes back as a newcomer that knows what it lost",
          "[node][forget]") {
    Row row(4, {"orders.>"});
    row.clients[3]->subscribe("orders.*", "", false);
    row.run(3s);
    row.gateways[3]->crash(0);
    row.run(30s);
    REQUIRE(row.gateways[0]->node().tree().status().members.size() == 3);
    int refused = 0;
    row.gateways[0]->observe_refusals_for_test([&](std::string_view) { ++refused; });
    const auto publish = [&](const std::string& subject) {
        row.gateways[0]->publish(row.clients[0]->connection(), subject, "_INBOX.c0.p", "text");
        row.run(3s);
    };
    const auto waits = [&] {
        for (const auto& target : row.gateways[0]->node().durable()->targets(row.world.now()))
            if (target.last > target.floor) return true;
        return false;
    };
    publish("orders.1");
    CHECK(refused == 0);
    CHECK(waits());

    const auto forget = [&](const std::string& at, const std::string& gateway) {
        return row.ask_one("$TREE.REQ." + at + ".tree.forget", R"({"gateway":")" + gateway + R"("})");
    };
    CHECK(error_of(forget("g1", "g2")) == "'g2' can be reached now: only a gateway that is away can be forgotten");
    CHECK(error_of(forget("g1", "g1")) == "'g1' is this gateway: it cannot forget itself");
    CHECK(error_of(forget("g1", "g9")) == "no gateway that this one knows is called 'g9'");
    CHECK_FALSE(error_of(row.ask_one("$TREE.REQ.g1.tree.forget")).empty());
    Advisories advisories(row);
    CHECK(node::json_string_member(forget("g1", "g3"), "forgotten") == "g3");
    row.run(10s);
    CHECK_FALSE(waits());
    for (std::size_t i = 0; i < 3; ++i) {
        CAPTURE(i);
        CHECK(row.ask_one("$TREE.REQ.g" + std::to_string(i) + ".tree.map").find("\"g3\"") == std::string::npos);
    }
    publish("orders.2");
    CHECK(refused == 1);

    row.gateways[3]->start();
    row.run(40s);
    REQUIRE(row.gateways[0]->node().tree().status().members.size() == 4);
    std::vector<std::string> got;
    row.gateways[3]->observe_for_test([&](const MessageView& message) { got.emplace_back(message.subject); });
    publish("orders.3");
    row.run(5s);
    CHECK(refused == 1);
    CHECK(got == std::vector<std::string>{"orders.3"});
    std::set<std::uint64_t> digests;
    for (auto& gateway : row.gateways) digests.insert(gateway->node().tree().members_digest());
    CHECK(digests.size() == 1);
}

TEST_CASE("a gateway that was only cut off when it was forgotten is believed again", "[node][forget]") {
    Row row(3);
    row.clients[2]->subscribe("news", "", false);
    row.run(1s);
    row.network.cut(1, 2, Cut::refuse);
    row.network.cut(0, 2, Cut::refuse);
    row.run(30s);
    REQUIRE(row.gateways[0]->node().tree().status().members.size() == 2);
    CHECK(node::json_string_member(row.ask_one("$TREE.REQ.g0.tree.forget", R"({"gateway":"g2"})"), "forgotten") ==
          "g2");
    row.run(5s);
    row.network.heal_all();
    row.run(40s);
    REQUIRE(row.gateways[0]->node().tree().status().members.size() == 3);
    row.watch("news");
    row.gateways[0]->publish(row.clients[0]->connection(), "news", "", "text");
    row.run(2s);
    CHECK(row.seen == std::vector<int>{0, 0, 1});
    row.run(10s);
    CHECK(row.gateways[0]->node().tree().members_digest() == row.gateways[2]->node().tree().members_digest());
    CHECK(row.gateways[0]->node().tree().find("g2").has_value());
}

TEST_CASE("only who may change something can have a gateway forgotten", "[node][forget]") {
    Row row(2);
    std::string answer;
    row.gateways[0]->observe_for_test([&](const MessageView& message) {
        if (message.subject == "_INBOX.c0.t") answer = std::string(message.payload());
    });
    MessageView request;
    request.subject = "$TREE.REQ.g0.tree.forget";
    request.reply = "_INBOX.c0.t";
    request.body = R"({"gateway":"g1"})";
    row.gateways[0]->node().on_local(request, false, row.world.now());
    row.run(2s);
    CHECK(
        error_of(answer).starts_with("tree.forget changes the tree: ask the gateway from a client on its own machine"));
}
