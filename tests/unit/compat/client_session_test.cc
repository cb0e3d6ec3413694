#include "compat/client_session.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "compat/nats_writer.h"

using namespace compat;
using namespace std::chrono_literals;

namespace {

// One session and what its shard would write down.
struct Client {
    explicit Client(SessionSettings wanted = plain_settings())
        : settings(std::move(wanted)), session(settings, 7, "127.0.0.1", now, prng) {}

    static SessionSettings plain_settings() {
        SessionSettings settings;
        settings.info.server_id = "NID";
        settings.info.max_payload = static_cast<std::uint32_t>(payload_bytes_max);
        return settings;
    }

    // Feeds `input` and returns what the shard was told, a word a step; handles are counted up from 100.
    std::string feed(std::string_view input) {
        std::string told;
        while (true) {
            const SessionStep step = session.step(input, now, out);
            switch (step) {
                case SessionStep::need_more:
                    return told;
                case SessionStep::publish:
                    told += "publish(" + std::string(session.publication().subject) + "," +
                            std::string(session.publication().reply) + "," + std::string(session.publication().body) +
                            ") ";
                    break;
                case SessionStep::subscribe: {
                    const auto& entry = session.subscriptions().at(session.subscribed());
                    told += "subscribe(" + std::string(entry.filter()) + "," + std::string(entry.queue()) + ") ";
                    session.set_handle(next_handle++);
                    break;
                }
                case SessionStep::unsubscribe:
                    told += "unsubscribe(" + std::to_string(session.removed_handle()) + ") ";
                    break;
                case SessionStep::reset_all:
                    told += "reset(";
                    for (const std::uint64_t handle : session.removed_handles()) told += std::to_string(handle) + " ";
                    told += ") ";
                    break;
                case SessionStep::ping:
                    told += "ping ";
                    session.append_pong(out);
                    break;
                case SessionStep::close:
                    told += "close(" + std::string(closed_reason(session.close_reason())) + ") ";
                    return told;
            }
        }
    }

    std::string taken() { return std::exchange(out, {}); }

    SessionSettings settings;
    base::Prng prng{1};
    base::Instant now{};
    std::string out;
    std::uint64_t next_handle = 100;
    ClientSession session;
};

const char* const quiet = "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true}\r\n";

}  // namespace

TEST_CASE("a session greets with INFO", "[compat][session]") {
    Client client;
    client.session.greet(client.out);
    CHECK(client.out.substr(0, 6) == "INFO {");
    CHECK(client.out.find("\"client_id\":7,\"client_ip\":\"127.0.0.1\"") != std::string::npos);
    CHECK(client.out.find("connect_info") == std::string::npos);
    CHECK(client.out.substr(client.out.size() - 4) == "} \r\n");
}

TEST_CASE("traffic before CONNECT is allowed, verbose and pedantic", "[compat][session]") {
    Client client;
    CHECK(client.feed("SUB foo 1\r\nPUB foo 2\r\nhi\r\nPUB a..b 0\r\n\r\nPING\r\n") ==
          "subscribe(foo,) publish(foo,,hi) publish(a..b,,) ping ");
    CHECK(client.taken() == "+OK\r\n+OK\r\n-ERR 'Invalid Publish Subject'\r\n+OK\r\nPONG\r\n");
    CHECK_FALSE(client.session.connected());
    CHECK(client.feed("CONNECT {}\r\n").empty());  // the first CONNECT keeps what was subscribed
    CHECK(client.taken() == "+OK\r\n");
    CHECK(client.session.subscriptions().size() == 1);
}

TEST_CASE("verbose answers everything but PING and PONG", "[compat][session]") {
    Client client;
    client.feed(
        "CONNECT {\"verbose\":true,\"pedantic\":false}\r\nSUB a 1\r\nSUB a 1\r\nUNSUB 9\r\nUNSUB 1\r\n"
        "PUB a 0\r\n\r\nPONG\r\nPING\r\n");
    CHECK(client.taken() == "+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\nPONG\r\n");
}

TEST_CASE("a quiet client hears nothing", "[compat][session]") {
    Client client;
    CHECK(client.feed(std::string(quiet) + "SUB a q 1\r\nPUB a..b r 1\r\nx\r\nUNSUB 1\r\n") ==
          "subscribe(a,q) publish(a..b,r,x) unsubscribe(100) ");
    CHECK(client.taken().empty());
    CHECK(client.session.headers());
    CHECK(client.session.echo());
}

TEST_CASE("the second INFO follows the first PONG of a client that knows it, once", "[compat][session]") {
    Client client;
    client.feed("PING\r\nCONNECT {\"verbose\":false,\"protocol\":1}\r\n");
    CHECK(client.taken() == "PONG\r\n");  // before CONNECT a PING does not count
    client.feed("PING\r\n");
    const std::string second = client.taken();
    CHECK(second.substr(0, 12) == "PONG\r\nINFO {");
    CHECK(second.find("\"connect_info\":true,\"remote_account\":\"$G\"") != std::string::npos);
    client.feed("PING\r\nCONNECT {}\r\nPING\r\n");
    CHECK(client.taken() == "PONG\r\nPONG\r\n");

    Client old;
    old.feed("CONNECT {\"verbose\":false}\r\nPING\r\n");
    CHECK(old.taken() == "PONG\r\n");
}

TEST_CASE("a PONG can wait, and nothing is read meanwhile", "[compat][session]") {
    Client client;
    base::ByteView in = "PING\r\nPING\r\n";
    REQUIRE(client.session.step(in, client.now, client.out) == SessionStep::ping);
    CHECK(client.out.empty());
    CHECK(in == "PING\r\n");
    client.session.append_pong(client.out);
    REQUIRE(client.session.step(in, client.now, client.out) == SessionStep::ping);
}

TEST_CASE("a second CONNECT drops every subscription and inherits options", "[compat][session]") {
    Client client;
    client.feed(std::string(quiet) + "SUB a 1\r\nSUB b 2\r\n");
    CHECK(client.feed("CONNECT {\"echo\":false}\r\n") == "reset(100 101 ) ");
    CHECK(client.taken().empty());  // still not verbose
    CHECK_FALSE(client.session.echo());
    CHECK(client.session.headers());
    CHECK(client.session.subscriptions().size() == 0);
    CHECK(client.feed("SUB c 1\r\n") == "subscribe(c,) ");
    CHECK(client.feed("CONNECT {\"protocol\":2}\r\n") == "close(Bad Client Protocol Version) ");
}

TEST_CASE("a bad CONNECT closes, with or without a word", "[compat][session]") {
    struct Row {
        const char* json;
        const char* said;
        const char* reason;
    };
    for (const Row& row :
         {Row{"{", "", "Protocol Violation"}, Row{"[]", "", "Protocol Violation"},
          Row{"{\"protocol\":2}", "-ERR 'invalid client protocol'\r\n", "Bad Client Protocol Version"},
          Row{"{\"protocol\":-1}", "-ERR 'invalid client protocol'\r\n", "Bad Client Protocol Version"},
          Row{"{\"no_responders\":true}", "-ERR 'no responders requires headers support'\r\n",
              "No Responders Requires Headers"},
          Row{"{\"account\":\"A\"}", "-ERR 'Authorization Violation'\r\n", "Authentication Failure"},
          Row{"{\"new_account\":true}", "-ERR 'Authorization Violation'\r\n", "Authentication Failure"}}) {
        CAPTURE(row.json);
        Client client;
        CHECK(client.feed("CONNECT " + std::string(row.json) + "\r\nPING\r\n") ==
              "close(" + std::string(row.reason) + ") ");
        CHECK(client.taken() == row.said);
        CHECK(client.feed("PING\r\n") == "close(" + std::string(row.reason) + ") ");
        CHECK(client.taken().empty());
    }
}

TEST_CASE("protocol errors close after what came before them was done", "[compat][session]") {
    Client client;
    CHECK(client.feed(std::string(quiet) + "PUB a 1\r\nx\r\nBAD\r\n") == "publish(a,,x) close(Protocol Violation) ");
    CHECK(client.taken() == "-ERR 'Unknown Protocol Operation'\r\n");
    Client other;
    CHECK(other.feed("-ERR 'bye'\r\nPING\r\n") == "close(Parse Error) ");
    CHECK(other.taken().empty());
    Client third;
    CHECK(third.feed("INFO {\"a\":1}\r\nINFO x\r\n") == "close(Protocol Violation) ");
    Client fourth;
    CHECK(fourth.feed("HPUB a 0 0\r\n\r\n") == "close(Protocol Violation) ");
    CHECK(fourth.taken().empty());
}

TEST_CASE("limits come from the settings", "[compat][session]") {
    SessionSettings settings = Client::plain_settings();
    settings.info.max_payload = 4;
    settings.control_line_bytes_max = 20;
    settings.subscriptions_max = 2;
    Client client(settings);
    client.feed(quiet);
    CHECK(client.taken() == "-ERR 'maximum control line exceeded'\r\n");  // 20 is not enough even for that

    settings.control_line_bytes_max = 100;
    Client other(settings);
    other.feed(quiet);
    CHECK(other.feed("SUB a 1\r\nSUB b 2\r\nSUB c 3\r\nSUB a 1\r\nUNSUB 1\r\nSUB c 3\r\n") ==
          "subscribe(a,) subscribe(b,) unsubscribe(100) subscribe(c,) ");
    CHECK(other.taken() == "-ERR 'maximum subscriptions exceeded'\r\n-ERR 'maximum subscriptions exceeded'\r\n");
    CHECK(other.feed("PUB a 4\r\n1234\r\nPUB a 5\r\n") == "publish(a,,1234) close(Maximum Message Payload Exceeded) ");
    CHECK(other.taken() == "-ERR 'Maximum Payload Violation'\r\n");
}

TEST_CASE("a SUB that cannot be leaves the connection open", "[compat][session]") {
    Client client;
    CHECK(client.feed("SUB a..b 1\r\nSUB >.a 1\r\nSUB a _sys_ 1\r\nSUB a* 1\r\nSUB ..bad 1\r\n") == "subscribe(a*,) ");
    CHECK(client.taken() ==
          "-ERR 'Invalid Subject'\r\n-ERR 'Invalid Subject'\r\n"
          "-ERR 'Permissions Violation for Subscription to \"a\" using queue \"_sys_\"'\r\n+OK\r\n+OK\r\n");
    CHECK(client.session.subscriptions().at(client.session.subscriptions().find("1")).filter() == "a*");
}

TEST_CASE("reserved subjects and replies are violations, and get no +OK", "[compat][session]") {
    Client client;
    CHECK(client.feed("PUB _GR_.a 0\r\n\r\nPUB $GR.a 0\r\n\r\nPUB $NRG.a 0\r\n\r\nPUB a _R_.b 0\r\n\r\n"
                      "PUB a $JS.ACK.b 0\r\n\r\nPUB a _GR_.x 0\r\n\r\n") == "");
    CHECK(client.taken() ==
          "-ERR 'Permissions Violation for Publish to \"_GR_.a\"'\r\n"
          "-ERR 'Permissions Violation for Publish to \"$GR.a\"'\r\n"
          "-ERR 'Permissions Violation for Publish to \"$NRG.a\"'\r\n"
          "-ERR 'Permissions Violation for Publish with Reply of \"_R_.b\"'\r\n"
          "-ERR 'Permissions Violation for Publish with Reply of \"$JS.ACK.b\"'\r\n"
          "-ERR 'Permissions Violation for Publish with Reply of \"_GR_.x\"'\r\n");
    CHECK(client.feed("PUB _GR_x _INBOX.a 0\r\n\r\nPUB $JS.ACK.b 0\r\n\r\n") ==
          "publish(_GR_x,_INBOX.a,) publish($JS.ACK.b,,) ");
}

TEST_CASE("UNSUB with a maximum counts from the SUB", "[compat][session]") {
    Client client;
    client.feed(std::string(quiet) + "SUB a 1\r\n");
    const SubscriptionIndex index = client.session.subscriptions().find("1");
    CHECK(client.session.on_delivery(index) == Delivery::deliver);
    CHECK(client.session.on_delivery(index) == Delivery::deliver);
    SECTION("ahead of it: the subscription ends with that delivery") {
        CHECK(client.feed("UNSUB 1 4\r\n") == "");
        CHECK(client.session.on_delivery(index) == Delivery::deliver);
        CHECK(client.session.on_delivery(index) == Delivery::last);
        CHECK(client.session.on_delivery(index) == Delivery::over);
        client.session.end_subscription(index);
        CHECK(client.session.subscriptions().size() == 0);
        CHECK(client.feed("UNSUB 1\r\n") == "");
    }
    SECTION("reached already: at once") {
        CHECK(client.feed("UNSUB 1 2\r\n") == "unsubscribe(100) ");
    }
    SECTION("unreadable: at once") {
        CHECK(client.feed("UNSUB 1 many\r\n") == "unsubscribe(100) ");
    }
    SECTION("a later one replaces it") {
        CHECK(client.feed("UNSUB 1 3\r\nUNSUB 1 5\r\n") == "");
        CHECK(client.session.on_delivery(index) == Delivery::deliver);
    }
}

TEST_CASE("a 503 goes to the publisher's own plain subscription only", "[compat][session]") {
    Client client;
    client.feed(std::string(quiet) + "SUB _INBOX.q group 1\r\n");
    CHECK(client.session.no_responders_for("svc", "_INBOX.q", client.out) == subscription_none);
    client.feed("SUB other 2\r\nSUB _INBOX.* 3\r\n");
    const SubscriptionIndex index = client.session.subscriptions().find("3");
    for (int i = 0; i < 2; ++i) {
        CHECK(client.session.no_responders_for("svc", "_INBOX.q", client.out) == index);
        CHECK(client.taken() == "HMSG _INBOX.q 3 35 35\r\nNATS/1.0 503\r\nNats-Subject: svc\r\n\r\n\r\n");
    }
    for (const char* reply : {"", "_INBOX.", "_INBOX", "_INBOX..x"}) {
        CAPTURE(reply);
        CHECK(client.session.no_responders_for("svc", reply, client.out) == subscription_none);
    }
    client.feed("UNSUB 3\r\n");
    CHECK(client.session.no_responders_for("svc", "_INBOX.q", client.out) == subscription_none);
    CHECK(client.taken().empty());

    Client deaf;
    deaf.feed("CONNECT {\"verbose\":false}\r\nSUB _INBOX.* 3\r\n");
    CHECK(deaf.session.no_responders_for("svc", "_INBOX.q", deaf.out) == subscription_none);
}

TEST_CASE("the first PING comes about two seconds after CONNECT, then one each interval of silence",
          "[compat][session]") {
    Client client;
    client.now += 1s;
    client.feed(quiet);
    CHECK(client.session.next_deadline() >= client.now + 2s);
    CHECK(client.session.next_deadline() < client.now + 2400ms);
    client.now = client.session.next_deadline();
    CHECK(client.session.tick(client.now - 1ns, client.out) == SessionStep::need_more);
    CHECK(client.taken().empty());
    CHECK(client.session.tick(client.now, client.out) == SessionStep::need_more);
    CHECK(client.taken() == "PING\r\n");
    client.feed("PONG\r\n");
    CHECK(client.session.next_deadline() == client.now + 2min);

    SECTION("traffic spares it") {
        client.now += 1min;
        client.feed("PUB a 0\r\n\r\n");
        client.now += 1min;
        CHECK(client.session.tick(client.now, client.out) == SessionStep::need_more);
        CHECK(client.taken().empty());
        client.now += 2min;
        CHECK(client.session.tick(client.now, client.out) == SessionStep::need_more);
        CHECK(client.taken() == "PING\r\n");
    }
    SECTION("but once an hour the round trip is measured anyway") {
        int pings = 0;
        for (int i = 0; i < 60; ++i) {
            client.now += 1min;
            client.feed("PING\r\nPONG\r\n");
            client.taken();
            client.now += 1min;
            REQUIRE(client.session.tick(client.now, client.out) == SessionStep::need_more);
            pings += client.taken() == "PING\r\n" ? 1 : 0;
        }
        CHECK(pings == 1);
    }
}

TEST_CASE("a client that answers no PING is stale at the third", "[compat][session]") {
    Client client;
    client.feed(quiet);
    for (int i = 0; i < 2; ++i) {
        client.now = client.session.next_deadline();
        REQUIRE(client.session.tick(client.now, client.out) == SessionStep::need_more);
        CHECK(client.taken() == "PING\r\n");
    }
    client.now = client.session.next_deadline();
    CHECK(client.session.tick(client.now, client.out) == SessionStep::close);
    CHECK(client.taken() == "-ERR 'Stale Connection'\r\n");
    CHECK(client.session.close_reason() == NatsError::stale_connection);
    CHECK(client.session.next_deadline() == base::instant_max);
}

TEST_CASE("the shard can end a session", "[compat][session]") {
    Client client;
    client.session.close(NatsError::slow_consumer, client.out);
    CHECK(client.taken().empty());
    CHECK(client.feed("PING\r\n") == "close(Slow Consumer (Pending Bytes)) ");
    Client other;
    other.session.close(NatsError::too_many_connections, other.out);
    CHECK(other.taken() == "-ERR 'maximum connections exceeded'\r\n");
}

TEST_CASE("an idle session is small", "[compat][session]") {
    CHECK(sizeof(ClientSession) < 900);
    Client client;
    client.feed(std::string(quiet) + "PUB a 100\r\n");
    client.feed(std::string(100, 'x') + "\r\n");
    CHECK(client.session.parser().buffered_capacity() <= parser_kept_bytes_max);
}

TEST_CASE("a mapped publish has its new subject, and the old one can be told", "[compat][session][mappings]") {
    SessionSettings settings = Client::plain_settings();
    settings.mappings =
        SubjectMappings::compile({{"old.*", {{"new.$1", 100, ""}}}, {"lost", {{"lost", 0, ""}}}}).value();
    Client client(settings);
    CHECK(client.feed(quiet) == "");
    CHECK(client.feed("PUB old.1 2\r\nhi\r\n") == "publish(new.1,,hi) ");
    CHECK(client.session.original_subject() == "old.1");
    CHECK(client.feed("PUB lost r 2\r\nhi\r\n") == "publish(,r,hi) ");
    CHECK(client.session.original_subject() == "lost");
    CHECK(client.feed("PUB other 2\r\nhi\r\n") == "publish(other,,hi) ");
    CHECK(client.session.original_subject().empty());

    SECTION("until a reload takes the mappings away") {
        CHECK(client.feed("PUB old.1 2\r\nhi\r\n") == "publish(new.1,,hi) ");
        client.settings.mappings = nullptr;
        client.session.settings_changed();
        CHECK(client.session.original_subject().empty());
        CHECK(client.feed("PUB old.1 2\r\nhi\r\n") == "publish(old.1,,hi) ");
        CHECK(client.session.original_subject().empty());
    }
}

TEST_CASE("changed limits hold from the next line on", "[compat][session]") {
    Client client;
    CHECK(client.feed(quiet) == "");
    CHECK(client.feed("PUB a 9\r\n123456789\r\n") == "publish(a,,123456789) ");
    client.settings.info.max_payload = 8;
    client.session.settings_changed();
    CHECK(client.feed("PUB a 8\r\n12345678\r\n") == "publish(a,,12345678) ");
    client.taken();
    CHECK(client.feed("PUB a 9\r\n") == "close(Maximum Message Payload Exceeded) ");
    CHECK(client.taken() == "-ERR 'Maximum Payload Violation'\r\n");

    Client other;
    other.settings.control_line_bytes_max = 10;
    other.session.settings_changed();
    CHECK(other.feed("SUB 12345678901 1\r\n") == "close(Maximum Control Line Exceeded) ");
}

TEST_CASE("an asynchronous INFO goes to clients of protocol 1 after their first PONG", "[compat][session]") {
    Client client;
    std::string out;
    CHECK_FALSE(client.session.append_async_info(false, out));
    CHECK(client.feed("CONNECT {\"verbose\":false,\"protocol\":1}\r\n") == "");
    CHECK_FALSE(client.session.append_async_info(true, out));
    CHECK(client.feed("PING\r\n") == "ping ");
    CHECK(out.empty());

    client.settings.info.connect_urls = {"10.0.0.1:4222"};
    REQUIRE(client.session.append_async_info(false, out));
    CHECK(out.find("\"connect_urls\":[\"10.0.0.1:4222\"]") != std::string::npos);
    CHECK(out.find("\"client_id\":7,\"client_ip\":\"127.0.0.1\"") != std::string::npos);
    CHECK(out.find("connect_info") == std::string::npos);
    CHECK(out.find("ldm") == std::string::npos);
    out.clear();
    REQUIRE(client.session.append_async_info(true, out));
    CHECK(out.find("\"ldm\":true") != std::string::npos);
    out.clear();
    client.session.close(NatsError::server_shutdown, out);
    CHECK_FALSE(client.session.append_async_info(true, out));

    Client old;
    CHECK(old.feed("CONNECT {\"verbose\":false}\r\nPING\r\n") == "ping ");
    CHECK_FALSE(old.session.append_async_info(false, out));
}
