// Two ends of one TCP connection on one loop, with handlers that note what they hear.
#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "gateway/io/event_loop.h"
#include "gateway/io/process_limits.h"
#include "gateway/io/tcp_connection.h"
#include "gateway/io/tcp_dial.h"
#include "gateway/io/tcp_listener.h"

namespace gateway::io {

/// A connection with its handler; hooks are called after the note was made.
struct End : TcpHandler {
    TcpConnection connection;
    std::string received;
    int written = 0;
    std::optional<CloseReason> closed;
    std::function<void()> when_bytes;
    std::function<void()> when_written;
    std::function<void()> when_closed;

    void on_bytes(base::ByteView bytes) override {
        received += bytes;
        if (when_bytes) when_bytes();
    }
    void on_written() override {
        ++written;
        if (when_written) when_written();
    }
    void on_closed(CloseReason reason) override {
        closed = reason;
        if (when_closed) when_closed();
    }

    /// Sends `text` at once or as the peer reads.  `text` must stay.
    void send(const std::string& text) {
        const IoSlice all{text.data(), text.size()};
        const std::size_t taken = connection.is_writing() ? 0 : connection.try_write(&all, 1);
        if (taken == text.size()) return;
        const IoSlice rest{text.data() + taken, text.size() - taken};
        connection.write_rest(&rest, 1);
    }
};

/// Runs turns until `done`; the test fails if the loop has nothing left to wait for before that.  (The last thing that
/// happens may well leave nothing.)
inline void run_until(EventLoop& loop, const std::function<bool()>& done) {
    bool more = true;
    while (more && !done()) more = loop.run_turn();
    REQUIRE(done());
}

/// A loop with a listener on a free port, and pairs of connected ends on demand.
struct Loopback {
    EventLoop loop;
    std::optional<Socket> accepted;
    std::optional<IoError> listener_failure;
    TcpListener listener = listen();

    Loopback() { ignore_write_signals(); }

    TcpListener listen() {
        auto opened = TcpListener::open(loop, "127.0.0.1", 0,
                                        {.accepted = [this](Socket socket) { accepted = std::move(socket); },
                                         .failed = [this](const IoError& error) { listener_failure = error; }});
        REQUIRE(opened.ok());
        return std::move(opened).value();
    }

    std::string address() const { return join_address("127.0.0.1", listener.port()); }

    /// The same with this loop.
    void run_until(const std::function<bool()>& done) { io::run_until(loop, done); }

    /// The two sockets of a new connection: the one that dialled, the one that was accepted.
    std::pair<Socket, Socket> sockets() {
        std::optional<Socket> dialled;
        accepted.reset();
        TcpDial dial(loop, address(), [&dialled](base::Result<Socket, IoError> result) {
            REQUIRE(result.ok());
            dialled = std::move(result).value();
        });
        run_until([&] { return dialled && accepted; });
        return {std::move(*dialled), std::move(*accepted)};
    }

    /// Connects `client` to `server`.  With `buffer_bytes` > 0 the system's buffers are made about that small.
    void connect(End& client, End& server, int buffer_bytes = 0) {
        auto [from, to] = sockets();
        if (buffer_bytes > 0) {
            from.shrink_buffers_for_test(buffer_bytes);
            to.shrink_buffers_for_test(buffer_bytes);
        }
        client.connection = TcpConnection(loop, std::move(from), client);
        server.connection = TcpConnection(loop, std::move(to), server);
    }
};

}  // namespace gateway::io
