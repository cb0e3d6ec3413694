#include <vector>

#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/gateway_io/io_fixture.h"

namespace gateway::io {

namespace {

/// The end of one dial.
struct Dialled {
    std::optional<base::Result<Socket, IoError>> result;
    TcpDial dial;
    Dialled(EventLoop& loop, const std::string& address) {
        dial = TcpDial(loop, address, [this](base::Result<Socket, IoError> end) { result = std::move(end); });
    }
};

}  // namespace

TEST_CASE("a dial to a port where nobody listens is refused", "[gateway_io]") {
    Loopback net;
    const std::string address = net.address();
    net.listener = net.listen();  // takes another port, so the first one is free
    Dialled dialled(net.loop, address);
    CHECK_FALSE(dialled.result);  // never from within the call
    net.run_until([&] { return dialled.result.has_value(); });
    REQUIRE_FALSE(dialled.result->ok());
    CHECK(dialled.result->error().failure == IoFailure::refused);
}

TEST_CASE("an address that is none is an error of the dial, not of the program", "[gateway_io]") {
    const std::string address = GENERATE(as<std::string>(), "", "localhost", ":7522", "localhost:", "localhost:0",
                                         "localhost:99999", "localhost:4222x", "::1:4222", "[::1:4222");
    CAPTURE(address);
    EventLoop loop;
    Dialled dialled(loop, address);
    run_until(loop, [&] { return dialled.result.has_value(); });
    REQUIRE_FALSE(dialled.result->ok());
    CHECK(dialled.result->error().failure == IoFailure::address_invalid);
}

TEST_CASE("a name is looked up and its addresses are tried in order", "[gateway_io]") {
    Loopback net;
    Dialled dialled(net.loop, "localhost:" + std::to_string(net.listener.port()));
    net.run_until([&] { return dialled.result.has_value(); });
    REQUIRE(dialled.result->ok());
    CHECK(dialled.result->value().remote_address() == net.address());
}

TEST_CASE("an address that swallows packets does not hold up the next one", "[gateway_io]") {
    // Where localhost is ::1 first: a listener there whose backlog is full answers no further connect.
    Loopback net;
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_addr = in6addr_loopback;
    address.sin6_port = htons(net.listener.port());
    const auto* where = reinterpret_cast<const sockaddr*>(&address);
    const int silent = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    std::vector<int> waiting;
    if (silent >= 0 && bind(silent, where, sizeof address) == 0 && listen(silent, 0) == 0) {
        for (int i = 0; i < 4; ++i) {
            waiting.push_back(socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
            (void)connect(waiting.back(), where, sizeof address);
        }
    }
    Dialled dialled(net.loop, "localhost:" + std::to_string(net.listener.port()));
    net.run_until([&] { return dialled.result.has_value(); });
    CHECK(dialled.result->ok());
    for (const int descriptor : waiting) close(descriptor);
    if (silent >= 0) close(silent);
}

TEST_CASE("a dial that is given up says nothing more", "[gateway_io]") {
    EventLoop loop;
    int calls = 0;
    {
        const auto count = [&calls](base::Result<Socket, IoError>) { ++calls; };
        const TcpDial numeric(loop, "127.0.0.1:1", count);
        const TcpDial named(loop, "localhost:1", count);
        const TcpDial wrong(loop, "nonsense", count);
    }
    loop.run();
    CHECK(calls == 0);
}

TEST_CASE("a second listener on a taken port is told so", "[gateway_io]") {
    Loopback net;
    auto second = TcpListener::open(net.loop, "127.0.0.1", net.listener.port(), {});
    REQUIRE_FALSE(second.ok());
    CHECK(second.error().failure == IoFailure::address_in_use);
}

TEST_CASE("a listener on an address of another machine is told so", "[gateway_io]") {
    EventLoop loop;
    auto listener = TcpListener::open(loop, "192.0.2.1", 0, {});
    REQUIRE_FALSE(listener.ok());
    CHECK(listener.error().failure == IoFailure::address_invalid);
}

TEST_CASE("a listener on every address takes IPv4 and shows it as such", "[gateway_io]") {
    EventLoop loop;
    std::optional<Socket> accepted;
    auto listener = TcpListener::open(
        loop, "0.0.0.0", 0, {.accepted = [&](Socket socket) { accepted = std::move(socket); }, .failed = nullptr});
    REQUIRE(listener.ok());
    Dialled dialled(loop, join_address("127.0.0.1", listener.value().port()));
    run_until(loop, [&] { return accepted && dialled.result; });
    CHECK(accepted->remote_address() == dialled.result->value().local_address());
    CHECK(accepted->remote_address().starts_with("127.0.0.1:"));
}

TEST_CASE("a port is free again as soon as its listener is gone", "[gateway_io]") {
    EventLoop loop;
    std::uint16_t port = 0;
    for (int round = 0; round < 3; ++round) {
        auto listener = TcpListener::open(loop, "127.0.0.1", port, {});
        REQUIRE(listener.ok());
        port = listener.value().port();
    }
}

TEST_CASE("without file descriptors a listener says so, open connections go on, and the one that waited gets in",
          "[gateway_io]") {
    Loopback net;
    End client;
    End server;
    net.connect(client, server);
    net.accepted.reset();

    const std::string text = "still here";
    client.send(text);
    net.run_until([&] { return server.received == text; });
    server.received.clear();

    // The waiting peer's descriptor exists before the last ones are used up.
    const int peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    rlimit before{};
    REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
    rlimit tight = before;
    tight.rlim_cur = static_cast<rlim_t>(peer) + 1;
    REQUIRE(setrlimit(RLIMIT_NOFILE, &tight) == 0);
    std::vector<int> fillers;
    for (int filler = dup(peer); filler >= 0; filler = dup(peer)) fillers.push_back(filler);

    // No assertion until there are descriptors again: sanitizers need some to look at an object's type.
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(net.listener.port());
    const bool connected = connect(peer, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    bool running = true;
    while (connected && running && !net.listener_failure) running = net.loop.run_turn();
    const bool accepted_early = net.accepted.has_value();
    client.send(text);
    while (running && server.received != text) running = net.loop.run_turn();

    REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
    for (const int filler : fillers) close(filler);
    REQUIRE(connected);
    REQUIRE(running);
    CHECK(net.listener_failure->failure == IoFailure::too_many_files);
    CHECK_FALSE(accepted_early);
    CHECK(server.received == text);
    net.run_until([&] { return net.accepted.has_value(); });
    close(peer);
}

TEST_CASE("addresses are taken apart and put together", "[gateway_io]") {
    struct Row {
        const char* text;
        bool good;
        const char* host;
        const char* port;
    };
    const auto row = GENERATE(values<Row>({{"a:1", true, "a", "1"},
                                           {":7522", true, "", "7522"},
                                           {"a", true, "a", ""},
                                           {"a:", true, "a", ""},
                                           {"[::1]:80", true, "::1", "80"},
                                           {"[::1]", true, "::1", ""},
                                           {"::1", false, "", ""},
                                           {"[::1", false, "", ""},
                                           {"[::1]80", false, "", ""},
                                           {"a]:1", false, "", ""}}));
    CAPTURE(row.text);
    std::string_view host;
    std::string_view port;
    REQUIRE(split_address(row.text, host, port) == row.good);
    if (!row.good) return;
    CHECK(host == row.host);
    CHECK(port == row.port);
    CHECK(join_address("::1", 80) == "[::1]:80");
    CHECK(join_address("a", 1) == "a:1");
}

}  // namespace gateway::io
