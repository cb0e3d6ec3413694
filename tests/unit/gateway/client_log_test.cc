#include "gateway/client_log.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/support/pure_gateway.h"

using gateway::InputTrace;
using support::PureGateway;

namespace {

/// What is traced of `input` when it comes in pieces of `size` bytes.
std::vector<std::string> traced(std::string_view input, std::size_t size, gateway::ClientLogSettings settings = {}) {
    InputTrace trace;
    std::vector<std::string> lines;
    std::string text;
    while (!input.empty()) {
        std::string_view piece = input.substr(0, size);
        input.remove_prefix(piece.size());
        while (!piece.empty()) {
            piece.remove_prefix(trace.next(piece, settings, text));
            if (!text.empty()) lines.push_back(text);
        }
    }
    return lines;
}

}  // namespace

TEST_CASE("secrets of a CONNECT are not in its trace", "[gateway][log]") {
    // Compared with nats-server -V 2.15.2.
    CHECK(gateway::redact_secrets(R"({"user":"joe","pass":"s3cret","auth_token":"tok","lang":"go"})") ==
          R"({"user":"joe","pass":"[REDACTED]","auth_token":"[REDACTED]","lang":"go"})");
    CHECK(gateway::redact_secrets(R"({ "password" : "a b" , "nkey":"UA","sig" : "x"})") ==
          R"({ "password" : "[REDACTED]" , "nkey":"[REDACTED]","sig" : "[REDACTED]"})");
    CHECK(gateway::redact_secrets(R"({"signal":"x","design":"y","name":"passing by"})") ==
          R"({"signal":"x","design":"y","name":"passing by"})");
    CHECK(gateway::redact_secrets(R"({"pass":12,"verbose":true})") == R"({"pass":[REDACTED],"verbose":true})");
    CHECK(gateway::redact_secrets("{\"pass\":\"") == "{\"pass\":\"[REDACTED]");
}

TEST_CASE("what a client sends is traced line by line as stock does, however it is split", "[gateway][log]") {
    const std::size_t size = GENERATE(1u, 2u, 3u, 7u, 100000u);
    CAPTURE(size);
    const std::string input =
        "CONNECT {\"pass\":\"x\"}\r\nPING\r\nPONG\r\nSUB foo 1\r\nsub  foo   q  3\r\nUNSUB 1 5\r\n+OK\r\nINFO {}\r\n"
        "SUB \nfoo 2\r\nPUB foo 5\r\nhello\r\npub  x   y   3\r\na\"\n\r\nPUB foo 0\r\n\r\nHPUB foo 12 "
        "14\r\nNATS/1.0\r\n\r\nhi\r\n";
    const std::vector<std::string> lines = {
        "<<- [CONNECT {\"pass\":\"[REDACTED]\"}]",
        "<<- [PING]",
        "<<- [PONG]",
        "<<- [SUB foo 1]",
        "<<- [SUB foo   q  3]",
        "<<- [UNSUB 1 5]",
        "<<- [SUB \nfoo 2]",
        "<<- [PUB foo 5]",
        "<<- MSG_PAYLOAD: [\"hello\"]",
        "<<- [PUB x   y   3]",
        "<<- MSG_PAYLOAD: [\"a\\\"\\n\"]",
        "<<- [PUB foo 0]",
        "<<- [HPUB foo 12 14]",
        "<<- MSG_PAYLOAD: [\"NATS/1.0\\r\\n\\r\\nhi\"]",
    };
    CHECK(traced(input, size) == lines);
}

TEST_CASE("a traced message may be cut, or be its headers alone", "[gateway][log]") {
    CHECK(traced("PUB foo 5\r\nhello\r\n", 99, {.traced_bytes_max = 3}).back() == "<<- MSG_PAYLOAD: [\"hel...\"]");
    CHECK(traced("PUB foo 3\r\nhel\r\n", 99, {.traced_bytes_max = 3}).back() == "<<- MSG_PAYLOAD: [\"hel\"]");
    const auto headers =
        traced("HPUB foo 18 20\r\nNATS/1.0\r\nA: b\r\n\r\nhi\r\nPUB foo 2\r\nhi\r\n", 99, {.trace_headers = true});
    CHECK(headers == std::vector<std::string>{"<<- [HPUB foo 18 20]", "<<- MSG_PAYLOAD: [\"NATS/1.0\\r\\nA: b\"]",
                                              "<<- [PUB foo 2]"});
}

TEST_CASE("a session's life is told in stock's words", "[gateway][log]") {
    PureGateway gateway(2);
    gateway::ShardSettings settings;
    settings.log.debug = true;
    settings.log.trace = true;
    for (routing::ShardIndex i = 0; i < 2; ++i) gateway.shard(i).change(settings);
    auto& a = gateway.connect();
    gateway.send(
        a,
        "CONNECT "
        "{\"verbose\":false,\"user\":\"joe\",\"lang\":\"go\",\"version\":\"1.2\",\"name\":\"app\"}\r\nPING\r\n");
    auto& b = gateway.connect();
    gateway.send(b, "SUB foo 1\r\nSUB foo. 2\r\nUNSUB 1 1\r\n");
    gateway.settle();
    gateway.send(a, "PUB foo 2\r\nhi\r\n");
    gateway.settle();
    gateway.send(b, "NONSENSE\r\n");
    gateway.settle();
    gateway.hang_up(a);
    const std::string joe = "remote - cid:1 - \"v1.2:go:app\" - \"$G/user:joe\" - ";
    const std::vector<std::string> expected = {
        "[TRC] remote - cid:1 - <<- [CONNECT "
        "{\"verbose\":false,\"user\":\"joe\",\"lang\":\"go\",\"version\":\"1.2\",\"name\":\"app\"}]",
        "[TRC] " + joe + "<<- [PING]",
        "[TRC] " + joe + "->> [PONG]",
        "[TRC] remote - cid:2 - <<- [SUB foo 1]",
        "[TRC] remote - cid:2 - ->> [OK]",
        "[TRC] remote - cid:2 - <<- [SUB foo. 2]",
        "[TRC] remote - cid:2 - ->> [-ERR Invalid Subject]",
        "[TRC] remote - cid:2 - <<- [UNSUB 1 1]",
        "[TRC] remote - cid:2 - ->> [OK]",
        "[TRC] " + joe + "<<- [PUB foo 2]",
        "[TRC] " + joe + "<<- MSG_PAYLOAD: [\"hi\"]",
        "[TRC] remote - cid:2 - ->> [MSG foo 1 2]",
        "[TRC] remote - cid:2 - ->> MSG_PAYLOAD: [\"hi\"]",
        "[TRC] remote - cid:2 - <-> [DELSUB 1]",
        "[TRC] remote - cid:2 - ->> [-ERR Unknown Protocol Operation]",
        "[ERR] remote - cid:2 - Client parser ERROR: proto='\"NONSENSE\\r\\n\"...'",
        "[DBG] remote - cid:2 - Client connection closed: Protocol Violation",
        "[DBG] " + joe + "Client connection closed: Client Closed",
    };
    CHECK(gateway.log == expected);
}

TEST_CASE("a socket that takes nothing until the write deadline is cut, and the log says so", "[gateway][log]") {
    PureGateway gateway(1);
    gateway::ShardSettings settings;
    settings.write_deadline = std::chrono::seconds(3);
    settings.log.debug = true;
    gateway.shard(0).change(settings);
    auto& reader = gateway.connect();
    gateway.send(reader, "CONNECT {\"verbose\":false}\r\nSUB foo 1\r\n");
    gateway.settle();
    PureGateway::take(reader);
    auto& publisher = gateway.connect();
    reader.reads = false;
    gateway.send(publisher, "CONNECT {\"verbose\":false}\r\nPUB foo 2\r\nhi\r\n");
    gateway.turn(0);
    gateway.now += std::chrono::seconds(2);
    gateway.turn(0);
    CHECK_FALSE(reader.closed);
    gateway.now += std::chrono::seconds(1);
    gateway.turn(0);
    CHECK(reader.client == nullptr);
    REQUIRE(gateway.log.size() == 2);
    CHECK(
        gateway.log[0] ==
        "[INF] remote - cid:1 - Slow Consumer Detected: WriteDeadline of 3s exceeded with 1 chunks of 23 total bytes.");
    CHECK(gateway.log[1] == "[DBG] remote - cid:1 - Client connection closed: Slow Consumer (Write Deadline)");
}

TEST_CASE("a client that asks without reading the answers is cut at max_pending", "[gateway][log]") {
    PureGateway gateway(1, 1, 1000);
    auto& flood = gateway.connect();
    gateway.send(flood, "CONNECT {\"verbose\":false}\r\n");
    gateway.settle();
    flood.reads = false;
    for (int i = 0; i < 300 && flood.client != nullptr; ++i) {
        gateway.send(flood, "PING\r\n");
        gateway.turn(0);
    }
    CHECK(flood.client == nullptr);
    REQUIRE(gateway.log.size() == 1);
    CHECK(gateway.log[0] == "[INF] remote - cid:1 - Slow Consumer Detected: MaxPending of 1000 Exceeded");
}

TEST_CASE("without producer stall a full receiver loses the message and the publisher does not rest",
          "[gateway][log]") {
    PureGateway gateway(1, 1, 10000);
    gateway::ShardSettings settings;
    settings.no_producer_stall = GENERATE(true, false);
    CAPTURE(settings.no_producer_stall);
    gateway.shard(0).change(settings);
    auto& reader = gateway.connect();
    gateway.send(reader, "CONNECT {\"verbose\":false}\r\nSUB foo 1\r\n");
    gateway.settle();
    reader.reads = false;
    auto& publisher = gateway.connect();
    gateway.send(publisher, "CONNECT {\"verbose\":false}\r\n");
    const std::string message = "PUB foo 1000\r\n" + std::string(1000, 'x') + "\r\n";
    for (int i = 0; i < 20; ++i) {
        gateway.send(publisher, message);
        gateway.turn(0);
    }
    // Dropped: it stays connected, with what fits.  Stalled: the publisher is not read while the queue is full.
    CHECK(reader.client != nullptr);
    CHECK(publisher.paused == !settings.no_producer_stall);
}

TEST_CASE("a publisher rests for a full receiver on another shard, too", "[gateway][shard]") {
    PureGateway gateway(2, 1, 100000);
    auto& reader = gateway.connect();
    auto& publisher = gateway.connect();
    gateway.send(reader, "CONNECT {\"verbose\":false}\r\nSUB foo 1\r\n");
    gateway.send(publisher, "CONNECT {\"verbose\":false}\r\n");
    gateway.settle();
    reader.reads = false;
    const std::string message = "PUB foo 1000\r\n" + std::string(1000, 'x') + "\r\n";
    for (int i = 0; i < 90 && !publisher.paused; ++i) {
        gateway.send(publisher, message);
        gateway.turn(1);
        gateway.turn(0);
    }
    CHECK(publisher.paused);
    CHECK(gateway.shard(1).counters().stalls > 0);
    CHECK(reader.client != nullptr);
}
