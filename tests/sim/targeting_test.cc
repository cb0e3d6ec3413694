// Tree-To and Tree-Forbid: where a message goes that says where it may go.
#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <vector>

#include "routing/node/json_writer.h"
#include "routing/peer/path_engine.h"
#include "routing/sim/client.h"
#include "routing/sim/sim_gateway.h"
#include "tests/sim/row.h"

using namespace routing;
using namespace routing::sim;
using namespace std::chrono_literals;

namespace {

/// g0 (eu) - g1 (us) - g2 (eu, ssd) - g3 (asia, ssd).
struct Regions : Row {
    /// `second_way`: g3 also knows g0; the ways to g0 and g1 are cut.
    explicit Regions(std::vector<std::string> durable = {}, QueuePolicies policies = {}, bool second_way = false)
        : Row(4, std::move(durable), std::move(policies), [this, second_way](GatewaySetup& setup) {
              const char* const regions[] = {"eu", "us", "eu", "asia"};
              setup.region = regions[setup.host];
              if (second_way && setup.host == 3) {
                  setup.join.push_back(Network::address_of(0));
                  network.cut(0, 3, Cut::refuse);
                  network.cut(1, 3, Cut::refuse);
              }
              if (setup.host >= 2) setup.tags = {"ssd", "zone=" + std::to_string(setup.host)};
          }) {}

    /// Publishes on "news" at `ingress` with these header lines; which gateways' clients got it.
    std::set<std::size_t> publish(const std::string& lines, std::size_t ingress = 0, const std::string& reply = {}) {
        watch("news");
        gateways[ingress]->publish(clients[ingress]->connection(), "news", reply, "text",
                                   "NATS/1.0\r\n" + lines + "\r\n");
        run(2s);
        std::set<std::size_t> got;
        for (std::size_t i = 0; i < seen.size(); ++i) {
            CHECK(seen[i] <= 1);
            if (seen[i] != 0) got.insert(i);
        }
        return got;
    }
    void subscribe_all(const std::string& queue = {}, bool steady = false) {
        for (auto& client : clients) client->subscribe("news", queue, steady);
        run(2s);
    }
};

using Got = std::set<std::size_t>;

}  // namespace

TEST_CASE("Tree-To narrows a message to gateways by name, id, region or tag", "[node][targeting]") {
    const bool durable = GENERATE(false, true);
    CAPTURE(durable);
    Regions row(durable ? std::vector<std::string>{"news"} : std::vector<std::string>{});
    row.subscribe_all({}, durable);
    const std::string id = base::to_hex(row.gateways[3]->id().view());
    CHECK(row.publish("") == Got{0, 1, 2, 3});
    CHECK(row.publish("Tree-To: region=eu\r\n") == Got{0, 2});
    CHECK(row.publish("Tree-To: region=asia\r\n") == Got{3});
    CHECK(row.publish("Tree-To: gateway=g1\r\n") == Got{1});
    CHECK(row.publish("Tree-To: gateway=" + id + "\r\n") == Got{3});
    CHECK(row.publish("Tree-To: tag=ssd\r\n") == Got{2, 3});
    CHECK(row.publish("Tree-To: tag=zone=2\r\n") == Got{2});
    CHECK(row.publish("Tree-To:region=us ,\tgateway=g0\r\n") == Got{0, 1});
    CHECK(row.publish("A: b\r\nTree-To: region=us\r\nTree-To: gateway=g3\r\n") == Got{1, 3});
    CHECK(row.publish("Tree-To: region=mars\r\n") == Got{});
    CHECK(row.publish("Tree-To: region=EU\r\n") == Got{});
    CHECK(row.publish("Tree-Trace: 1\r\n") == Got{0, 1, 2, 3});
    CHECK(row.sum().targeting_malformed == 0);
}

TEST_CASE("a forbidden gateway is not even passed, and who lives behind it is not reached", "[node][targeting]") {
    const bool durable = GENERATE(false, true);
    CAPTURE(durable);
    Regions row(durable ? std::vector<std::string>{"news"} : std::vector<std::string>{});
    row.subscribe_all({}, durable);
    CHECK(row.publish("Tree-Forbid: gateway=g2\r\n") == Got{0, 1});
    CHECK(row.publish("Tree-Forbid: region=us\r\n") == Got{0});
    CHECK(row.publish("Tree-Forbid: region=us\r\n", 3) == Got{2, 3});
    CHECK(row.publish("Tree-Forbid: tag=ssd\r\n") == Got{0, 1});
    CHECK(row.publish("Tree-Forbid: region=asia\r\nTree-To: region=eu\r\n") == Got{0, 2});
    CHECK(row.publish("Tree-Forbid: region=asia, gateway=g0\r\n", 1) == Got{1, 2});
    // Where it was published it is already: that gateway does not serve it, and sends it on.
    CHECK(row.publish("Tree-Forbid: region=eu\r\n") == Got{1});
    CHECK(row.publish("Tree-Forbid: gateway=nobody\r\n") == Got{0, 1, 2, 3});
}

TEST_CASE("what does not follow the grammar goes nowhere and is counted", "[node][targeting]") {
    Regions row;
    row.subscribe_all();
    for (const char* bad : {"Tree-To: \r\n", "Tree-To: eu\r\n", "Tree-To: region=\r\n", "Tree-To: region=eu,\r\n",
                            "Tree-Forbid: colour=red\r\n", "Tree-Forbid: Region=us\r\n"}) {
        CAPTURE(bad);
        const auto before = row.sum().targeting_malformed;
        CHECK(row.publish(bad) == Got{});
        CHECK(row.sum().targeting_malformed == before + 1);
    }
    CHECK(row.publish("Tree-To: gateway=" + std::string(node::targeting_bytes_max, 'x') + "\r\n") == Got{});
}

TEST_CASE("a queue group's member is picked within the scope, with every policy", "[node][targeting]") {
    const auto policy = static_cast<QueuePolicy>(GENERATE(range(0, 5)));
    const bool durable = GENERATE(false, true);
    CAPTURE(name_of(policy), durable);
    Regions row(durable ? std::vector<std::string>{"news"} : std::vector<std::string>{}, {policy, {}});
    row.subscribe_all("workers", durable);
    for (int i = 0; i < 6; ++i) {
        CHECK(row.publish("Tree-To: gateway=g3\r\n") == Got{3});
        CHECK(row.publish("Tree-Forbid: gateway=g0, gateway=g2\r\n") == Got{1});
        const Got either = row.publish("Tree-To: tag=ssd\r\n");
        CHECK((either == Got{2} || either == Got{3}));
        CHECK(row.publish("Tree-To: region=eu\r\nTree-Forbid: region=us, gateway=g0\r\n") == Got{});
    }
}

TEST_CASE("a request whose scope leaves nobody is answered with 503, else by who is in it", "[node][targeting]") {
    Regions row;
    row.clients[1]->subscribe("news", "", false);
    row.clients[2]->subscribe("news", "", false);
    row.run(1s);
    // Nobody answers here: Client::on_no_responders is the 503.
    const auto refused = [&](const std::string& lines) {
        row.history.excuse_order_in_groups(true);
        int refusals = 0;
        row.gateways[0]->observe_refusals_for_test([&](std::string_view) { ++refusals; });
        (void)row.publish(lines, 0, "_INBOX.c0.x");
        row.gateways[0]->observe_refusals_for_test({});
        CHECK(refusals <= 1);
        return refusals == 1;
    };
    CHECK_FALSE(refused("Tree-To: region=us\r\n"));
    CHECK(refused("Tree-To: region=asia\r\n"));
    CHECK(refused("Tree-To: gateway=g0\r\n"));
    CHECK(refused("Tree-To: region=eu\r\nTree-Forbid: region=us\r\n"));
    CHECK(refused("Tree-Forbid: region=us\r\n"));
    CHECK(refused("Tree-To: nonsense\r\n"));
    CHECK_FALSE(refused("Tree-Forbid: region=asia\r\n"));
}

TEST_CASE("the headers travel on", "[node][targeting]") {
    Regions row;
    row.subscribe_all();
    std::string headers;
    row.gateways[2]->observe_for_test([&](const MessageView& message) { headers = message.headers(); });
    row.gateways[0]->publish(row.clients[0]->connection(), "news", "", "text",
                             "NATS/1.0\r\nTree-To: region=eu\r\nA: b\r\n\r\n");
    row.run(1s);
    CHECK(headers == "NATS/1.0\r\nTree-To: region=eu\r\nA: b\r\n\r\n");
}

TEST_CASE("who was behind a forbidden gateway is reached once there is another way", "[node][targeting]") {
    Regions row({}, {}, true);
    row.subscribe_all();
    CHECK(row.publish("Tree-Forbid: region=us\r\n") == Got{0});
    row.gateways[2]->crash(0);
    row.network.heal(0, 3);
    row.run(30s);
    REQUIRE(row.gateways[0]->node().tree().status().members.size() == 3);
    CHECK(row.publish("Tree-Forbid: region=us\r\n") == Got{0, 3});
}

namespace {

/// g1 and g2 are children of g0, g2 with a durable subscription; then g2 can be reached by way of g1 alone, and what
/// was published before that with "Tree-Forbid: gateway=g1" is barred.
struct Detour : Row {
    Detour()
        : Row(3, {"news"}, {}, [](GatewaySetup& setup) {
              if (setup.host == 2) setup.join = {Network::address_of(0)};
          }) {
        clients[2]->subscribe("news", "", true);
        run(2s);
        REQUIRE(parent_of_2() == "g0");
        for (const char* kind : {"barred", "unbarred", "loss"})
            clients[0]->subscribe(std::string("$TREE.ADV.") + kind, "", false);
        run(1s);
        listen();
        // The direct way is gone, but nobody knows it yet: the message is taken over for g2, and lost on the way.
        network.cut(0, 2, Cut::black_hole);
        publish("barred", "NATS/1.0\r\nTree-Forbid: gateway=g1\r\n\r\n");
    }
    void publish(const std::string& text, const std::string& headers = {}) {
        gateways[0]->publish(clients[0]->connection(), "news", "", text, headers);
    }
    void listen() {
        gateways[0]->observe_for_test([this](const MessageView& message) {
            if (message.subject.starts_with("_INBOX.")) answers.emplace_back(message.payload());
            if (message.subject.starts_with("$TREE.ADV."))
                told.push_back(std::string(message.subject.substr(10)) + " " + std::string(message.payload()));
        });
        gateways[2]->observe_for_test([this](const MessageView& message) {
            if (message.subject == "news") got.emplace_back(message.payload());
        });
    }
    std::string parent_of_2() {
        const auto status = gateways[2]->node().tree().status();
        return status.parent == gateway_none ? std::string("none")
                                             : std::string(gateways[2]->node().tree().name(status.parent));
    }
    std::string ask_g0(const std::string& verb, const std::string& record = {}) {
        answers.clear();
        gateways[0]->publish(clients[0]->connection(), "$TREE.REQ.g0." + verb, "_INBOX.c0.ask",
                             R"({"record":")" + record + R"("})");
        run(1s);
        REQUIRE(answers.size() == 1);
        return answers[0];
    }
    bool is_shown(const std::string& part) {
        return ask_g0("queue.ls").find(part) != std::string::npos &&
               ask_g0("tree.status").find(part) != std::string::npos;
    }
    int warned() {
        int lines = 0;
        for (const std::string& line : gateways[0]->log_lines())
            if (line.find("Durable record g0:1 on 'news' waits, and with it all that follows for g2: the way there "
                          "leads past g1, which its Tree-Forbid names") != std::string::npos)
                ++lines;
        return lines;
    }

    std::vector<std::string> got;      // by the client of g2, in order
    std::vector<std::string> told;     // advisories that matter here: kind and body
    std::vector<std::string> answers;  // to ask_g0()
};

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE(
    "a durable message that is sent again goes through no forbidden gateway, and arrives when there is another way",
    "[node][targeting][barred]") {
    Detour row;
    for (int i = 0; i < 10; ++i) row.publish(std::to_string(i));
    row.run(1min);
    REQUIRE(row.parent_of_2() == "g1");
    CHECK(row.got.empty());
    CHECK(row.gateways[0]->node().counters().durable_barred == 1);
    CHECK(row.gateways[1]->node().tree().paths().counters().transit_records == 0);
    // Everybody can see what waits and why.
    CHECK(row.warned() == 1);
    REQUIRE(row.told.size() == 1);
    CHECK(has(row.told[0], R"(barred {"kind":"barred","gateway":"g0")"));
    CHECK(has(row.told[0], R"("record":"g0:1","member":"g2")"));
    CHECK(has(row.told[0], R"("by":"g1","subject":"news","headers":"Tree-Forbid: gateway=g1\n")"));
    CHECK(row.is_shown(R"("barred":[{"record":"g0:1","gateway":"g2","by":"g1","subject":"news")"));
    CHECK(has(row.ask_g0("queue.ls"), R"("barred":1})"));
    CHECK(has(row.ask_g0("queue.where", "g0:1"), "barred: its Tree-Forbid names g1, on the way there"));
    CHECK(has(row.ask_g0("queue.where", "g0:5"), "waits behind g0:1, which is barred by g1"));
    // It costs nothing while it waits, and what is published meanwhile waits too.
    const auto& counters = row.gateways[0]->node().durable()->counters();
    const std::uint64_t sent = counters.records_sent + counters.records_resent;
    row.publish("late");
    row.run(10min);
    CHECK(counters.records_sent + counters.records_resent == sent);
    CHECK(row.got.empty());
    CHECK(row.warned() == 1);
    // Without g1 there is the direct way alone.
    row.network.heal_all();
    row.gateways[1]->crash(0);
    row.run(30s);
    REQUIRE(row.gateways[0]->node().tree().status().members.size() == 2);
    CHECK(row.got == std::vector<std::string>{"barred", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "late"});
    REQUIRE(row.told.size() == 2);
    CHECK(has(row.told[1], R"(unbarred {"kind":"unbarred","gateway":"g0")"));
    CHECK(has(row.told[1], R"("record":"g0:1","member":"g2")"));
    CHECK(has(row.told[1], R"("given_up":false)"));
    CHECK(row.is_shown(R"("barred":[])"));
}

TEST_CASE("an operator gives up a barred message: it alone is lost, with a LOSS, and the rest goes on",
          "[node][targeting][barred]") {
    Detour row;
    for (int i = 0; i < 3; ++i) row.publish(std::to_string(i));
    row.run(1min);
    REQUIRE(row.told.size() == 1);
    MessageView from_elsewhere;
    from_elsewhere.subject = "$TREE.REQ.g0.queue.skip";
    from_elsewhere.reply = "_INBOX.c0.ask";
    from_elsewhere.body = R"({"record":"g0:1"})";
    row.answers.clear();
    row.gateways[0]->node().on_local(from_elsewhere, false, row.world.now());
    row.run(1s);
    REQUIRE(row.answers.size() == 1);
    CHECK(has(row.answers[0], "ask the gateway from a client on its own machine"));
    CHECK(has(row.ask_g0("queue.skip"), "the request needs a"));
    CHECK(has(row.ask_g0("queue.skip", "g2:1"), "is not of this gateway"));
    CHECK(has(row.ask_g0("queue.skip", "g0:2"), "'g0:2' is barred for nobody"));
    CHECK(row.got.empty());
    CHECK(has(row.ask_g0("queue.skip", "g0:1"), R"("record":"g0:1","given_up":["g2"])"));
    row.run(30s);
    CHECK(row.got == std::vector<std::string>{"0", "1", "2"});
    CHECK(has(row.ask_g0("queue.skip", "g0:1"), "'g0:1' is barred for nobody"));
    CHECK(row.is_shown(R"("barred":[])"));
    std::set<std::string> told(row.told.begin() + 1, row.told.end());
    REQUIRE(told.size() == 2);
    CHECK(has(*told.begin(), R"(loss {"kind":"loss","gateway":"g2")"));
    CHECK(has(*told.begin(), R"("after":0,"up_to":1)"));
    CHECK(has(*told.rbegin(), R"(unbarred {"kind":"unbarred","gateway":"g0")"));
    CHECK(has(*told.rbegin(), R"("given_up":true)"));
}

TEST_CASE("a reply stays within its own scope", "[node][targeting]") {
    Regions row;
    row.clients[3]->subscribe("svc.1", "", false);
    row.run(1s);
    int replies = 0;
    row.gateways[0]->observe_for_test([&](const MessageView& message) {
        if (message.subject == "_INBOX.c0.r") ++replies;
    });
    row.gateways[0]->publish(row.clients[0]->connection(), "svc.1", "_INBOX.c0.r", "?");
    row.run(1s);
    CHECK(replies == 1);  // the service's own
    const auto reply = [&](const std::string& lines) {
        replies = 0;
        row.gateways[3]->publish(row.clients[3]->connection(), "_INBOX.c0.r", "", "again",
                                 "NATS/1.0\r\n" + lines + "\r\n");
        row.run(2s);
        return replies;
    };
    CHECK(reply("Tree-To: region=eu\r\n") == 1);
    CHECK(reply("Tree-Forbid: gateway=g1\r\n") == 0);
    CHECK(reply("Tree-To: region=us\r\n") == 0);
}
