#include "gateway/shard.h"

#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>

#include "tests/support/pure_gateway.h"

using support::PureGateway;

namespace {

constexpr const char* hello =
    "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true}\r\n";

PureGateway::Remote& client(PureGateway& gateway) {
    auto& remote = gateway.connect();
    gateway.send(remote, hello);
    gateway.settle();
    PureGateway::take(remote);
    return remote;
}

std::size_t count(const std::string& text, const std::string& part) {
    std::size_t found = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
    return found;
}

}  // namespace

TEST_CASE("a message reaches plain, wildcard and queue subscribers of one shard", "[gateway][shard]") {
    PureGateway gateway(1);
    auto& a = client(gateway);
    auto& b = client(gateway);
    gateway.send(a, "SUB orders.* 7\r\nSUB orders.new 8\r\nSUB orders.> workers 9\r\n");
    gateway.send(b, "PUB orders.new inbox.1 5\r\nhello\r\n");
    gateway.settle();
    const auto got = PureGateway::take(a);
    CHECK(count(got, "MSG orders.new 7 inbox.1 5\r\nhello\r\n") == 1);
    CHECK(count(got, "MSG orders.new 8 inbox.1 5\r\nhello\r\n") == 1);
    CHECK(count(got, "MSG orders.new 9 inbox.1 5\r\nhello\r\n") == 1);
    CHECK(count(got, "MSG ") == 3);
}

TEST_CASE("a fan-out whose frame is shared gives every receiver the same bytes as one that is copied",
          "[gateway][shard]") {
    const int receivers = GENERATE(1, 2, 5, 17);
    const bool one_sid = GENERATE(true, false);
    CAPTURE(receivers, one_sid);
    PureGateway gateway(1);
    std::vector<PureGateway::Remote*> all;
    for (int i = 0; i < receivers; ++i) {
        all.push_back(&client(gateway));
        gateway.send(*all.back(), "SUB news " + std::to_string(one_sid ? 1 : i + 1) + "\r\n");
    }
    auto& publisher = client(gateway);
    std::string sent;
    for (int i = 0; i < 500; ++i) {
        const std::string body =
            std::to_string(i) + std::string(static_cast<std::size_t>(i % 7 == 0 ? 3000 : 100), 'x');
        sent += "PUB news " + std::to_string(body.size()) + "\r\n" + body + "\r\n";
        if (i % 50 == 0) sent += "PUB other 0\r\n\r\n";
    }
    gateway.send(publisher, sent);
    gateway.settle();
    for (int r = 0; r < receivers; ++r) {
        std::string expected;
        for (int i = 0; i < 500; ++i) {
            const std::string body =
                std::to_string(i) + std::string(static_cast<std::size_t>(i % 7 == 0 ? 3000 : 100), 'x');
            expected += "MSG news " + std::to_string(one_sid ? 1 : r + 1) + " " + std::to_string(body.size()) + "\r\n" +
                        body + "\r\n";
        }
        CHECK(PureGateway::take(*all[static_cast<std::size_t>(r)]) == expected);
    }
}

TEST_CASE("nobody there: 503 to the requester's own inbox", "[gateway][shard]") {
    PureGateway gateway(1);
    auto& a = client(gateway);
    gateway.send(a, "SUB _INBOX.a.* 1\r\nPUB nobody _INBOX.a.1 0\r\n\r\n");
    gateway.settle();
    CHECK(PureGateway::take(a) == "HMSG _INBOX.a.1 1 38 38\r\nNATS/1.0 503\r\nNats-Subject: nobody\r\n\r\n\r\n");
}

TEST_CASE("UNSUB with a maximum ends the subscription after that many", "[gateway][shard]") {
    PureGateway gateway(2);
    auto& a = client(gateway);
    auto& b = client(gateway);
    gateway.send(a, "SUB x 1\r\nUNSUB 1 2\r\nPING\r\n");
    gateway.settle();
    gateway.send(b, "PUB x 1\r\n1\r\nPUB x 1\r\n2\r\nPUB x 1\r\n3\r\n");
    gateway.settle();
    const auto got = PureGateway::take(a);
    CHECK(count(got, "MSG x 1 1\r\n") == 2);
    CHECK(gateway.shard(0).router().stats().subscriptions == 0);
}

TEST_CASE("a client that never reads is cut, and nobody else notices", "[gateway][shard]") {
    PureGateway gateway(1, 1, 2 * 1024 * 1024);
    auto& slow = client(gateway);
    auto& fast = client(gateway);
    auto& publisher = client(gateway);
    gateway.send(slow, "SUB x 1\r\n");
    gateway.send(fast, "SUB x 1\r\n");
    slow.reads = false;
    const std::string body(100'000, 'x');
    for (int i = 0; i < 40; ++i) {
        gateway.send(publisher, "PUB x 100000\r\n" + body + "\r\n");
        gateway.now += std::chrono::milliseconds(20);
        gateway.settle();
    }
    CHECK(slow.closed);
    CHECK_FALSE(fast.closed);
    CHECK_FALSE(publisher.closed);
    CHECK(count(PureGateway::take(fast), "MSG x 1 100000\r\n") == 40);
    CHECK(gateway.shard(0).counters().slow_consumers == 1);
}

TEST_CASE("a publisher that feeds a slow receiver rests, and goes on by itself", "[gateway][shard]") {
    PureGateway gateway(1);
    auto& slow = client(gateway);
    auto& publisher = client(gateway);
    gateway.send(slow, "SUB x 1\r\n");
    gateway.settle();
    slow.client->written_at_pause = ~std::uint64_t{0};
    slow.reads = false;
    const std::string body(1'000'000, 'x');
    for (int i = 0; i < 5; ++i) gateway.send(publisher, "PUB x 1000000\r\n" + body + "\r\n");
    gateway.turn(0);
    CHECK(publisher.paused);
    gateway.now += std::chrono::milliseconds(gateway::stall_ms_max + 1);
    gateway.turn(0);
    CHECK_FALSE(publisher.paused);
    slow.reads = true;
    gateway.settle();
    CHECK(count(PureGateway::take(slow), "MSG x 1 1000000\r\n") == 5);
}

TEST_CASE("a publisher that feeds a sibling that does not keep up is not read, and goes on by itself",
          "[gateway][shard]") {
    PureGateway gateway(2);
    auto& subscriber = client(gateway);  // shard 0
    auto& publisher = client(gateway);   // shard 1
    gateway.send(subscriber, "SUB x 1\r\n");
    gateway.settle();
    // In runs, in singles with a reply, and of one large message.
    const std::size_t size = GENERATE(128, 200'000);
    const std::string reply = GENERATE("", "r ");
    const std::string message = "PUB x " + reply + std::to_string(size) + "\r\n" + std::string(size, 'x') + "\r\n";
    std::string read;
    std::size_t messages = 0;
    for (std::size_t bytes = 0; bytes < 64 * 1024 || messages < 2; bytes += message.size()) {
        read += message;
        ++messages;
    }
    std::size_t reads = 0;
    for (; !publisher.paused && reads < 1000; ++reads) {
        gateway.send(publisher, read);
        gateway.turn(1);
    }
    REQUIRE(publisher.paused);
    const std::size_t mailed = reads * messages * size;
    CHECK(mailed > gateway::delivery_mail_bytes_max / 2);
    CHECK(mailed < gateway::delivery_mail_bytes_max + 2 * read.size());
    gateway.send(publisher, message);  // not parsed now
    gateway.settle();
    CHECK_FALSE(publisher.paused);
    CHECK(count(PureGateway::take(subscriber), "MSG x 1 ") == reads * messages + 1);
}

TEST_CASE("a client that never reads is cut also when a sibling feeds it in runs, and nobody else notices",
          "[gateway][shard]") {
    PureGateway gateway(2, 1, 2 * 1024 * 1024);
    auto& slow = client(gateway);       // shard 0
    auto& publisher = client(gateway);  // shard 1
    auto& fast = client(gateway);       // shard 0
    gateway.send(slow, "SUB x 1\r\n");
    gateway.send(fast, "SUB x 1\r\n");
    gateway.settle();
    slow.reads = false;
    std::string read;
    for (int i = 0; i < 60; ++i) read += "PUB x 1000\r\n" + std::string(1000, 'x') + "\r\n";
    for (int i = 0; i < 60; ++i) {
        gateway.send(publisher, read);
        gateway.now += std::chrono::milliseconds(20);
        gateway.settle();
    }
    gateway.now += std::chrono::milliseconds(20);  // the publisher may have rested
    gateway.settle();
    CHECK(slow.closed);
    CHECK_FALSE(fast.closed);
    CHECK_FALSE(publisher.closed);
    CHECK(count(PureGateway::take(fast), "MSG x 1 1000\r\n") == 3600);
    CHECK(gateway.shard(0).counters().slow_consumers == 1);
}

TEST_CASE("where publishers may not rest, runs for a receiver that is nearly full are dropped instead of cutting it",
          "[gateway][shard]") {
    PureGateway gateway(2, 1, 2 * 1024 * 1024);
    gateway::ShardSettings settings;
    settings.no_producer_stall = true;
    for (routing::ShardIndex shard = 0; shard < 2; ++shard) gateway.shard(shard).change(settings);
    auto& slow = client(gateway);  // shard 0
    auto& across = client(gateway);
    auto& beside = client(gateway);
    gateway.send(slow, "SUB x 1\r\n");
    gateway.settle();
    slow.reads = false;
    std::string read;
    for (int i = 0; i < 60; ++i) read += "PUB x 1000\r\n" + std::string(1000, 'x') + "\r\n";
    auto& publisher = GENERATE(true, false) ? across : beside;
    for (int i = 0; i < 60; ++i) {
        gateway.send(publisher, read);
        gateway.settle();
    }
    CHECK_FALSE(slow.closed);
    CHECK_FALSE(publisher.paused);
    slow.reads = true;
    gateway.settle();
    const std::size_t got = count(PureGateway::take(slow), "MSG x 1 1000\r\n");
    CHECK(got > 1500);  // 75 % of what may wait
    CHECK(got < 2000);
}

TEST_CASE("who has its PONG after a SUB is seen by every publish made afterwards, on any shard", "[gateway][shard]") {
    const std::uint64_t seed = GENERATE(range(0, 300));
    CAPTURE(seed);
    base::Prng prng(seed);
    PureGateway gateway(2, seed);
    auto& a = client(gateway);  // shard 0
    auto& b = client(gateway);  // shard 1
    int expected = 0;
    std::string got;
    for (int round = 0; round < 20; ++round) {
        const std::string subject = "s" + std::to_string(round);
        gateway.send(a, "SUB " + subject + " " + std::to_string(round + 1) + "\r\nPING\r\n");
        while (a.received.find("PONG") == std::string::npos)
            gateway.turn(static_cast<routing::ShardIndex>(prng.below(2)));
        got += PureGateway::take(a);
        gateway.send(b, "PUB " + subject + " 1\r\nx\r\n");
        ++expected;
        for (auto turns = prng.below(4); turns > 0; --turns)
            gateway.turn(static_cast<routing::ShardIndex>(prng.below(2)));
    }
    gateway.settle();
    got += PureGateway::take(a);
    CHECK(count(got, "MSG s") == static_cast<std::size_t>(expected));
}

TEST_CASE("an answer never overtakes the subscription that it is for, whatever the order of the loops",
          "[gateway][shard]") {
    const std::uint64_t seed = GENERATE(range(0, 300));
    CAPTURE(seed);
    base::Prng prng(seed);
    PureGateway gateway(2, seed);
    auto& asker = client(gateway);
    auto& answerer = client(gateway);
    gateway.send(answerer, "SUB ask 1\r\nPING\r\n");
    gateway.settle();
    PureGateway::take(answerer);
    int answered = 0;
    for (int i = 0; i < 30; ++i) {
        const std::string inbox = "_INBOX.a." + std::to_string(i);
        gateway.send(asker, "SUB " + inbox + " " + std::to_string(i + 1) + "\r\nPUB ask " + inbox + " 0\r\n\r\n");
        for (int turns = 0; turns < 12; ++turns) {
            gateway.turn(static_cast<routing::ShardIndex>(prng.below(2)));
            const auto requests = PureGateway::take(answerer);
            for (auto n = count(requests, "MSG ask 1 "); n > 0; --n) {
                gateway.send(answerer, "PUB _INBOX.a." + std::to_string(answered++) + " 2\r\nok\r\n");
            }
        }
    }
    gateway.settle();
    for (auto n = count(PureGateway::take(answerer), "MSG ask 1 "); n > 0; --n) {
        gateway.send(answerer, "PUB _INBOX.a." + std::to_string(answered++) + " 2\r\nok\r\n");
    }
    gateway.settle();
    CHECK(answered == 30);
    CHECK(count(PureGateway::take(asker), "\r\nok\r\n") == 30);
}

TEST_CASE("one member of a queue group that spans shards gets each message, also while members come and go",
          "[gateway][shard]") {
    const std::uint64_t seed = GENERATE(range(0, 200));
    CAPTURE(seed);
    base::Prng prng(seed);
    PureGateway gateway(2, seed);
    std::vector<PureGateway::Remote*> members;
    for (int i = 0; i < 4; ++i) members.push_back(&client(gateway));
    auto& publisher = client(gateway);
    gateway.send(*members[0], "SUB work q 1\r\nPING\r\n");  // one always stays
    gateway.settle();
    std::vector<bool> in(4, false);
    int sent = 0;
    for (int step = 0; step < 200; ++step) {
        const auto who = 1 + prng.below(3);
        if (prng.chance(1, 4)) {
            gateway.send(*members[who], in[who] ? "UNSUB 1\r\n" : "SUB work q 1\r\n");
            in[who] = !in[who];
        } else {
            gateway.send(publisher, "PUB work 4\r\n" + std::to_string(1000 + sent++) + "\r\n");
        }
        for (auto turns = prng.below(3); turns > 0; --turns)
            gateway.turn(static_cast<routing::ShardIndex>(prng.below(2)));
    }
    gateway.settle();
    std::string all;
    for (auto* member : members) all += PureGateway::take(*member);
    for (int i = 0; i < sent; ++i) {
        CAPTURE(i);
        REQUIRE(count(all, "\r\n" + std::to_string(1000 + i) + "\r\n") == 1);
    }
    CHECK(gateway.shard(0).counters().dropped + gateway.shard(1).counters().dropped == 0);
}

TEST_CASE("a group over two shards shares the work evenly", "[gateway][shard]") {
    PureGateway gateway(2, 42);
    std::vector<PureGateway::Remote*> members;
    for (int i = 0; i < 4; ++i) {
        members.push_back(&client(gateway));
        gateway.send(*members.back(), "SUB work q 1\r\n");
    }
    gateway.settle();
    auto& publisher = client(gateway);
    for (int i = 0; i < 4000; ++i) gateway.send(publisher, "PUB work 1\r\nx\r\n");
    gateway.settle();
    for (auto* member : members) {
        const auto got = count(PureGateway::take(*member), "MSG work");
        CHECK(got > 900);
        CHECK(got < 1100);
    }
}

TEST_CASE("a stale connection is told so and closed", "[gateway][shard]") {
    PureGateway gateway(1);
    auto& a = client(gateway);
    for (int i = 0; i < 6; ++i) {
        gateway.now += std::chrono::minutes(2) + std::chrono::seconds(1);
        gateway.turn(0);
    }
    const auto got = PureGateway::take(a);
    CHECK(count(got, "PING\r\n") >= 2);
    CHECK(count(got, "-ERR 'Stale Connection'\r\n") == 1);
    CHECK(a.closed);
}

TEST_CASE("who sees a connection end is seen by no publish that would still reach it", "[gateway][shard]") {
    PureGateway gateway(2);
    auto& publisher = client(gateway);
    auto& leaver = client(gateway);
    gateway.send(leaver, "SUB svc.gone 1\r\nPING\r\n");
    gateway.settle();
    PureGateway::take(leaver);
    gateway.send(leaver, "NOTHING\r\n");
    gateway.turn(1);
    REQUIRE(leaver.client == nullptr);
    gateway.send(publisher, "SUB inbox 1\r\nPUB svc.gone inbox 0\r\n\r\n");
    gateway.turn(0);
    CHECK(count(PureGateway::take(publisher), "503") == 1);
}

TEST_CASE("changed settings reach the clients that are there", "[shard]") {
    support::PureGateway gateway(2);
    auto& a = gateway.connect();
    auto& b = gateway.connect();
    auto& old = gateway.connect();
    gateway.settle();
    for (auto* remote : {&a, &b}) gateway.send(*remote, "CONNECT {\"verbose\":false,\"protocol\":1}\r\nPING\r\n");
    gateway.send(old, "CONNECT {\"verbose\":false}\r\nPING\r\n");
    gateway.settle();
    for (auto* remote : {&a, &b, &old}) (void)support::PureGateway::take(*remote);

    gateway.settings.info.max_payload = 3;
    gateway.settings.info.connect_urls = {"other:4222"};
    for (routing::ShardIndex i = 0; i < 2; ++i) {
        gateway.shard(i).settings_changed();
        gateway.shard(i).announce(true);
    }
    gateway.settle();
    for (auto* remote : {&a, &b}) {
        const std::string told = support::PureGateway::take(*remote);
        CHECK(told.find("\"max_payload\":3") != std::string::npos);
        CHECK(told.find("\"connect_urls\":[\"other:4222\"]") != std::string::npos);
        CHECK(told.find("\"ldm\":true") != std::string::npos);
    }
    CHECK(support::PureGateway::take(old).empty());
    gateway.send(old, "PUB a 4\r\n");
    gateway.settle();
    CHECK(support::PureGateway::take(old) == "-ERR 'Maximum Payload Violation'\r\n");
}

TEST_CASE("whatever a client's bytes may have told is known where its friend publishes next", "[gateway][shard]") {
    const std::uint64_t seed = GENERATE(range(0, 200));
    CAPTURE(seed);
    base::Prng prng(seed);
    PureGateway gateway(3, seed);
    auto& a = client(gateway);
    auto& b = client(gateway);
    auto& c = client(gateway);
    const auto turn = [&] { gateway.turn(static_cast<routing::ShardIndex>(prng.below(3))); };
    for (int round = 0; round < 20; ++round) {
        const std::string n = std::to_string(round);
        // a learns by a 503, never by a PONG, that its SUB is through; b publishes then.
        gateway.send(a, "SUB inbox." + n + " i" + n + "\r\nSUB news." + n + " " + n + "\r\nPUB nobody inbox." + n +
                            " 0\r\n\r\n");
        while (count(a.received, "503") == 0) turn();
        PureGateway::take(a);
        gateway.send(b, "PUB news." + n + " 1\r\nx\r\nPING\r\n");
        while (count(b.received, "PONG") == 0) turn();
        PureGateway::take(b);
        // What b has its PONG for reaches a although a unsubscribes now, and then c finds nobody.
        gateway.send(a, "UNSUB " + n + "\r\nPING\r\n");
        while (count(a.received, "PONG") == 0) turn();
        CHECK(count(PureGateway::take(a), "MSG news." + n + " " + n + " 1\r\nx\r\n") == 1);
        gateway.send(c, "SUB gone." + n + " " + n + "\r\nPUB news." + n + " gone." + n + " 0\r\n\r\n");
        while (count(c.received, "503") == 0) turn();
        PureGateway::take(c);
    }
}
