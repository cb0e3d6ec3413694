#include <sys/socket.h>

#include "gateway/io/timer.h"
#include "tests/unit/gateway_io/io_fixture.h"

namespace gateway::io {

namespace {

/// Small against what the tests send, large against one segment on loopback (64 KiB): a window below that makes the
/// kernel probe with timers of 200 ms.
constexpr int small_buffers = 256 * 1024;

}  // namespace

TEST_CASE("what one end sends the other receives, both ways", "[gateway_io]") {
    Loopback net;
    End client;
    End server;
    net.connect(client, server);
    const std::string ping = "PING\r\n";
    const std::string pong = "PONG\r\n";
    server.when_bytes = [&] { server.send(pong); };
    client.send(ping);
    net.run_until([&] { return client.received == pong; });
    CHECK(server.received == ping);
    CHECK(client.connection.remote_address() == net.address());
    CHECK(client.connection.local_address() == server.connection.remote_address());
}

TEST_CASE("several slices arrive as one stream of bytes", "[gateway_io]") {
    Loopback net;
    End client;
    End server;
    net.connect(client, server);
    std::string letters;
    std::vector<IoSlice> slices;
    for (std::size_t i = 0; i < slices_max; ++i) letters.push_back(static_cast<char>('a' + i % 26));
    for (std::size_t i = 0; i < slices_max; ++i) slices.push_back({letters.data() + i, 1});
    CHECK(client.connection.try_write(slices.data(), slices.size()) == slices_max);
    net.run_until([&] { return server.received.size() == slices_max; });
    CHECK(server.received == letters);
}

TEST_CASE("a slow reader gets everything, and the writer hears when the memory is free", "[gateway_io]") {
    Loopback net;
    End client;
    End server;
    net.connect(client, server, small_buffers);
    std::string large(3'000'000, '\0');
    for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 2654435761u >> 13);
    server.connection.pause_reading();

    const IoSlice all{large.data(), large.size()};
    const std::size_t taken = client.connection.try_write(&all, 1);
    REQUIRE(taken > 0);
    REQUIRE(taken < large.size());
    const IoSlice rest[2] = {{large.data() + taken, 1}, {large.data() + taken + 1, large.size() - taken - 1}};
    client.connection.write_rest(rest, 2);
    CHECK(client.connection.is_writing());
    CHECK(client.connection.bytes_queued() > 0);
    CHECK(client.connection.try_write(&all, 1) == 0);  // it would overtake the rest

    server.connection.resume_reading();
    net.run_until([&] { return server.received.size() == large.size() && client.written == 1; });
    CHECK(server.received == large);
    CHECK_FALSE(client.connection.is_writing());
    CHECK(client.connection.bytes_queued() == 0);
    const IoSlice last{large.data(), 1};
    CHECK(client.connection.try_write(&last, 1) == 1);
}

TEST_CASE("a paused connection is not read, a resumed one gets what waited", "[gateway_io]") {
    Loopback net;
    End client;
    End server;
    End other_client;
    End other_server;
    net.connect(client, server);
    net.connect(other_client, other_server);
    server.connection.pause_reading();
    CHECK(server.connection.is_paused());
    const std::string text = "held";
    client.send(text);
    // Bytes on one loopback connection are there once later bytes on another one are.
    other_client.send(text);
    net.run_until([&] { return other_server.received == text; });
    CHECK(server.received.empty());
    server.connection.resume_reading();
    net.run_until([&] { return server.received == text; });
}

TEST_CASE("closing at once is heard on both ends, with the cause", "[gateway_io]") {
    Loopback net;
    End client;
    End server;
    net.connect(client, server);
    client.connection.close(false);
    CHECK_FALSE(client.closed);  // never from within the call
    net.run_until([&] { return client.closed && server.closed; });
    CHECK(client.closed->cause == CloseCause::local);
    CHECK(server.closed->cause == CloseCause::peer_ended);
    CHECK_FALSE(client.connection.is_open());
    CHECK_FALSE(server.connection.is_open());
}

TEST_CASE("closing with flush sends what waits for a slow reader first", "[gateway_io]") {
    Loopback net;
    End client;
    End server;
    net.connect(client, server, small_buffers);
    server.connection.pause_reading();
    const std::string large(3'000'000, 'x');
    client.send(large);
    REQUIRE(client.connection.is_writing());
    client.connection.close(true);
    server.connection.resume_reading();
    net.run_until([&] { return client.closed && server.closed; });
    CHECK(server.received.size() == large.size());
    CHECK(client.closed->cause == CloseCause::local);
}

TEST_CASE("a close without flush cuts a close with flush short", "[gateway_io]") {
    Loopback net;
    End client;
    End server;
    net.connect(client, server, small_buffers);
    server.connection.pause_reading();
    const std::string large(3'000'000, 'x');
    client.send(large);
    client.connection.close(true);
    client.connection.close(false);
    net.run_until([&] { return client.closed.has_value(); });
    CHECK(client.closed->cause == CloseCause::local);
    CHECK(client.written == 0);
}

TEST_CASE("a peer that asked and ended its side still gets the answer of that turn", "[gateway_io]") {
    Loopback net;
    End client;
    End server;
    auto [from, to] = net.sockets();
    const std::string question = "PING\r\n";
    const std::string answer = "PONG\r\n";
    // Both are there before the server reads at all, so it meets question and end in one turn.
    REQUIRE(send(from.descriptor(), question.data(), question.size(), 0) == static_cast<ssize_t>(question.size()));
    REQUIRE(shutdown(from.descriptor(), SHUT_WR) == 0);
    client.connection = TcpConnection(net.loop, std::move(from), client);
    server.connection = TcpConnection(net.loop, std::move(to), server);
    bool asked = false;
    server.when_bytes = [&] { asked = true; };
    net.loop.set_turn_end([&] {  // the answer is written at the turn's end, as a shard does it
        if (asked) server.send(answer);
        asked = false;
    });
    net.run_until([&] { return server.closed && client.closed; });
    CHECK(client.received == answer);
    CHECK(server.closed->cause == CloseCause::peer_ended);
}

TEST_CASE("a connection may be destroyed in each of its callbacks", "[gateway_io]") {
    Loopback net;
    End client;
    End server;
    net.connect(client, server, small_buffers);
    const std::string text = "x";

    SECTION("in on_bytes") {
        server.when_bytes = [&] { server.connection = TcpConnection(); };
        client.send(text);
        net.run_until([&] { return client.closed.has_value(); });
        CHECK_FALSE(server.closed);
    }
    SECTION("in on_written") {
        const std::string large(3'000'000, 'x');
        client.when_written = [&] { client.connection = TcpConnection(); };
        client.send(large);
        net.run_until([&] { return server.closed.has_value(); });
        CHECK(server.received.size() == large.size());
        CHECK_FALSE(client.closed);
    }
    SECTION("in on_closed") {
        server.when_closed = [&] { server.connection = TcpConnection(); };
        client.connection.close(false);
        net.run_until([&] { return server.closed.has_value(); });
        CHECK_FALSE(server.connection.is_open());
    }
    SECTION("while it writes") {
        const std::string large(3'000'000, 'x');
        server.connection.pause_reading();
        client.send(large);
        client.connection = TcpConnection();
        server.connection.resume_reading();
        net.run_until([&] { return server.closed.has_value(); });
        CHECK(server.received.size() < large.size());
    }
}

TEST_CASE("a write to a peer that is gone ends in on_closed, never in a callback from within the call",
          "[gateway_io]") {
    Loopback net;
    End client;
    End server;
    net.connect(client, server);
    server.connection.pause_reading();  // so that only a write can notice
    client.connection = TcpConnection();
    const std::string text = "anything";
    bool in_call = false;
    bool called_back_within = false;
    server.when_closed = [&] { called_back_within = in_call; };
    Timer again;
    again = Timer(net.loop, [&] {
        in_call = true;
        if (!server.connection.is_writing()) server.send(text);
        in_call = false;
        again.set_after(base::Duration::zero());
    });
    again.set_after(base::Duration::zero());
    net.run_until([&] { return server.closed.has_value(); });
    CHECK_FALSE(called_back_within);
    CHECK(server.closed->cause == CloseCause::failed);
    CHECK_FALSE(server.closed->text.empty());
}

}  // namespace gateway::io
