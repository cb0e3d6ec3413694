// What Node promises beside the long runs: small trees, one thing at a time.
#include "routing/node/node.h"

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "routing/event_path.h"
#include "routing/node/json_writer.h"
#include "routing/sim/client.h"
#include "routing/sim/sim_gateway.h"
#include "tests/sim/row.h"

using namespace routing;
using namespace routing::sim;
using namespace std::chrono_literals;

TEST_CASE("a traced message shows its path, and the hops multiply to its number", "[node][trace]") {
    const bool durable = GENERATE(false, true);
    CAPTURE(durable);
    Row row(3, durable ? std::vector<std::string>{"orders.>"} : std::vector<std::string>{});
    row.clients[2]->subscribe("orders.*", "", durable);
    row.run(2s);
    std::string headers;
    std::string payload;
    row.gateways[2]->observe_for_test([&](const MessageView& message) {
        headers = message.headers();
        payload = message.payload();
    });
    row.gateways[0]->publish(row.clients[0]->connection(), "orders.new", "", "hello",
                             "NATS/1.0\r\nA: b\r\nTree-Trace: 1\r\n\r\n");
    row.run(1s);
    CAPTURE(headers);
    CHECK(payload == "hello");
    CHECK(headers.starts_with("NATS/1.0\r\nA: b\r\nTree-Trace: 1\r\n"));
    CHECK(headers.ends_with("\r\n\r\n"));
    const auto path = lines_with(headers, "Tree-Path: ");
    const auto hops = lines_with(headers, "Tree-Hop: ");
    REQUIRE(path.size() == 1);
    REQUIRE(hops.size() == 3);
    CHECK(hops[0].starts_with("g0 "));
    CHECK(hops[0].ends_with(" 0"));
    CHECK(hops[1].starts_with("g1 "));
    CHECK(hops[1].ends_with(" 1"));
    CHECK(hops[2].starts_with("g2 "));
    CHECK(hops[2].ends_with(" 2"));
    std::vector<PrimePower> powers;
    for (const auto& hop : hops)
        powers.push_back(PrimePower{std::stoul(hop.substr(3)), static_cast<std::uint32_t>(hop.back() - '0')});
    powers.erase(powers.begin());
    CHECK(path[0].substr(0, path[0].find(' ')) == multiply_out(powers));
    // The gateway itself verifies it, from anywhere in the tree.
    std::string all;
    for (const auto& hop : hops) all += (all.empty() ? "" : "\n") + hop;
    node::JsonWriter request;
    request.open_object().member("path", path[0]).member("hops", all).close_object();
    CHECK(row.ask_one("$TREE.REQ.g1.path.verify", request.text()).find("\"verified\":true") != std::string::npos);
    node::JsonWriter wrong;
    wrong.open_object().member("path", "1" + path[0]).member("hops", all).close_object();
    CHECK(row.ask_one("$TREE.REQ.g1.path.verify", wrong.text()).find("\"verified\":false") != std::string::npos);
}

TEST_CASE("a group that lost its members where it was picked is picked again, once and for one taker",
          "[node][bounce]") {
    const auto policy = static_cast<QueuePolicy>(GENERATE(range(0, 5)));
    CAPTURE(name_of(policy));
    Row row(3, {}, {policy, {}});
    row.clients[2]->subscribe("jobs", "workers", false);
    row.history.excuse_order_in_groups(true);
    for (int round = 0; round < 60; ++round) {
        row.clients[1]->subscribe("jobs", "workers", false);
        row.run(100ms);
        // At the same moment: many of the messages are picked for g1 and find nobody there.
        row.clients[0]->publish("jobs", Expect::exactly_once);
        row.clients[1]->unsubscribe(row.clients[1]->subscriptions().size() - 1);
        row.run(100ms);
    }
    CHECK(row.sum().bounced_back > 5);
    CHECK(row.sum().picked_again == row.sum().bounced_back);
    CHECK(row.sum().bounce_dropped == 0);
    row.require_well();
}

TEST_CASE("a message that bounces when no member is left anywhere is dropped and counted", "[node][bounce]") {
    const auto policy = static_cast<QueuePolicy>(GENERATE(range(0, 5)));
    CAPTURE(name_of(policy));
    Row row(2, {}, {policy, {}});
    for (int round = 0; round < 20; ++round) {
        row.clients[1]->subscribe("jobs", "workers", false);
        row.run(100ms);
        row.clients[0]->publish("jobs", Expect::at_most_once);
        row.clients[1]->unsubscribe(row.clients[1]->subscriptions().size() - 1);
        row.run(100ms);
    }
    CHECK(row.sum().bounced_back > 5);
    CHECK(row.sum().bounce_dropped == row.sum().bounced_back);
    row.require_well();
}

TEST_CASE("one ingress gives each member of the tree its turn, durable or not", "[node][policy]") {
    const bool durable = GENERATE(false, true);
    CAPTURE(durable);
    Row row(4, durable ? std::vector<std::string>{"jobs"} : std::vector<std::string>{}, {QueuePolicy::round_robin, {}});
    // One member at g1, two at g2, one at g3; messages enter at g0, and at g1, which prefers nobody.
    row.clients[1]->subscribe("jobs", "workers", durable);
    row.clients[2]->subscribe("jobs", "workers", durable);
    row.clients[2]->subscribe("jobs", "workers", durable);
    row.clients[3]->subscribe("jobs", "workers", durable);
    row.run(3s);
    std::vector<int> taken(4, 0);
    for (std::size_t i = 0; i < 4; ++i)
        row.gateways[i]->observe_for_test([&taken, i](const MessageView& message) {
            if (message.subject == "jobs") ++taken[i];
        });
    const std::size_t ingress = GENERATE(0, 1);
    // A target of durable messages has no room before it has answered once: then its turn goes to the next.
    for (int i = 0; i < 8; ++i) row.clients[ingress]->publish("jobs", durable ? Expect::durable : Expect::exactly_once);
    row.run(2s);
    taken.assign(4, 0);
    for (int i = 0; i < 80; ++i) {
        row.clients[ingress]->publish("jobs", durable ? Expect::durable : Expect::exactly_once);
        row.run(5ms);
    }
    row.run(5s);
    CHECK(taken == std::vector<int>{0, 20, 40, 20});
    row.require_well();
}

TEST_CASE("nearest goes by the number of links, and follows the tree when it changes", "[node][policy]") {
    Row row(4, {}, {QueuePolicy::nearest, {}});
    row.clients[2]->subscribe("jobs", "workers", false);
    row.clients[3]->subscribe("jobs", "workers", false);
    row.run(1s);
    std::vector<int> taken(4, 0);
    for (std::size_t i = 0; i < 4; ++i)
        row.gateways[i]->observe_for_test([&taken, i](const MessageView& message) {
            if (message.subject == "jobs") ++taken[i];
        });
    for (int i = 0; i < 20; ++i) row.clients[0]->publish("jobs", Expect::exactly_once);
    row.run(1s);
    CHECK(taken == std::vector<int>{0, 0, 20, 0});
    row.clients[2]->unsubscribe(row.clients[2]->subscriptions().size() - 1);
    row.run(1s);
    for (int i = 0; i < 20; ++i) row.clients[0]->publish("jobs", Expect::exactly_once);
    row.run(1s);
    CHECK(taken == std::vector<int>{0, 0, 20, 20});
    row.require_well();
}

TEST_CASE("who listens to everything where a request is answered does not cut the requester off", "[node][lookup]") {
    Row row(3);
    row.clients[1]->subscribe(">", "", false);
    row.clients[2]->subscribe(">", "", false);
    row.clients[2]->subscribe("svc.*", "", false);
    row.run(1s);
    std::size_t replies_seen = 0;
    row.gateways[1]->observe_for_test([&](const MessageView& message) {
        if (message.subject.starts_with("_INBOX.c0.")) ++replies_seen;
    });
    row.clients[0]->request("svc.1", true);
    row.run(3s);
    CHECK(replies_seen == 1);
    row.require_well();
}

TEST_CASE("a reply finds a requester that has moved, by one question to the tree", "[node][lookup]") {
    Row row(4);
    row.clients[3]->subscribe(slow_service, "", false);
    row.run(1s);
    row.clients[0]->request(slow_service, true);
    row.run(100ms);
    row.clients[0]->move(*row.gateways[1]);
    row.run(3s);
    CHECK(row.sum().lookups_asked >= 1);
    CHECK(row.sum().lookups_dropped == 0);
    row.require_well();
}

TEST_CASE(
    "memories of where a requester has been, one leading to the next in a circle, do not keep a reply going round",
    "[node][lookup]") {
    Row row(4);
    for (std::size_t i = 0; i < 3; ++i) row.clients[i]->subscribe("svc." + std::to_string(i), "", false);
    Client& wanderer = *row.clients[3];
    row.run(1s);
    // g0 remembers it at g1, g1 at g2, g2 at g0; it is at g3.
    for (std::size_t i = 0; i < 3; ++i) {
        wanderer.move(*row.gateways[(i + 1) % 3]);
        row.run(1s);
        wanderer.request("svc." + std::to_string(i), true);
        row.run(2s);
    }
    wanderer.move(*row.gateways[3]);
    row.run(1s);
    int got = 0;
    row.gateways[3]->observe_for_test([&](const MessageView& message) { got += message.subject == "_INBOX.c3.late"; });
    row.gateways[0]->publish(row.clients[0]->connection(), "_INBOX.c3.late", "", "late");
    row.run(5s);
    CHECK(got == 1);
    CHECK(row.sum().inbox_forwarded == 1);
    CHECK(row.sum().lookups_asked == 1);
    // Where it went to is known now, and nobody else's business.
    row.gateways[2]->publish(row.clients[2]->connection(), "_INBOX.c3.late", "", "late");
    row.run(5s);
    CHECK(got == 2);
    row.require_well();
}

TEST_CASE("a reply to nobody is dropped after a while, and the tree is not asked again at once", "[node][lookup]") {
    Row row(3);
    const ConnectionId connection = row.clients[0]->connection();
    row.gateways[0]->publish(connection, "_INBOX.gone.1", "", "anybody?");
    row.run(1s);
    CHECK(row.sum().lookups_asked >= 1);
    row.run(1500ms);
    CHECK(row.sum().lookups_dropped == 1);
    const auto asked = row.sum().lookups_asked;
    row.gateways[0]->publish(connection, "_INBOX.gone.2", "", "anybody?");
    row.run(1s);
    CHECK(row.sum().lookups_asked == asked);
}

TEST_CASE("a durable publish right after a restart is held until it is known who wants it", "[node][hold]") {
    Row row(2, {"orders.>"});
    row.clients[0]->subscribe("orders.*", "", true);
    row.run(2s);
    row.clients[1]->publish("orders.1", Expect::durable);
    row.run(1s);
    // g1 dies and comes back cut off from g0: what it remembers decides, filters too, when its patience is over.
    row.network.cut(0, 1, Cut::black_hole);
    row.gateways[1]->crash(0);
    row.gateways[1]->start();
    row.clients[1]->connect();
    row.clients[1]->publish("orders.1", Expect::durable);
    row.run(10ms);
    CHECK(row.sum().durable_held > 0);
    CHECK(row.history.acknowledged_count() == 1);
    row.run(5s);
    CHECK(row.history.acknowledged_count() == 2);
    row.network.heal_all();
    row.run(30s);
    row.require_well();
}

TEST_CASE("any client may ask any gateway, by name, by id or all of them", "[node][requests]") {
    Row row(3, {"orders.>"});
    row.clients[2]->subscribe("orders.*", "", true);
    row.run(2s);
    CHECK(node::json_string_member(row.ask_one("$TREE.REQ.g2.tree.status"), "name") == "g2");
    const std::string id = base::to_hex(row.gateways[1]->id().view());
    CHECK(node::json_string_member(row.ask_one("$TREE.REQ." + id + ".tree.status"), "name") == "g1");
    CHECK(row.ask("$TREE.PING.tree.status").size() == 3);
    CHECK(row.ask_one("$TREE.REQ.g0.tree.map").find("\"g2\"") != std::string::npos);
    const std::string shown = row.ask_one("$TREE.REQ.g0.path.show", R"({"subject":"orders.new"})");
    CAPTURE(shown);
    CHECK(node::json_string_member(shown, "class") == "durable");
    const std::string number = node::json_string_member(shown, "number");
    const std::string explained = row.ask_one("$TREE.REQ.g0.path.explain", R"({"number":")" + number + R"("})");
    CAPTURE(explained);
    CHECK(explained.find("\"g1\"") != std::string::npos);
    CHECK(explained.find("\"g2\"") != std::string::npos);
    CHECK(node::json_string_member(explained, "rest") == "1");
    CHECK_FALSE(
        node::json_string_member(row.ask_one("$TREE.REQ.g0.path.explain", R"({"number":"x"})"), "error").empty());
    CHECK_FALSE(node::json_string_member(row.ask_one("$TREE.REQ.g0.no.such.verb"), "error").empty());
    row.clients[0]->publish("orders.1", Expect::durable);
    row.run(2s);
    CHECK(row.ask_one("$TREE.REQ.g0.queue.ls").find("\"backlog\":0") != std::string::npos);
    CHECK(row.ask_one("$TREE.REQ.g2.queue.dump", R"({"from":"0"})").find("\"position\":1") != std::string::npos);
    CHECK(row.ask_one("$TREE.REQ.g0.queue.where", R"({"record":"g0:1"})").find("has it") != std::string::npos);
    CHECK_FALSE(node::json_string_member(row.ask_one("$TREE.REQ.g0.queue.where"), "error").empty());
    row.require_well();
}
