// Accepts TCP connections on one address.
// Leaves to others: what a connection says (TcpConnection), how many may be open (gateway/shard).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "gateway/io/event_loop.h"
#include "gateway/io/io_error.h"
#include "gateway/io/socket.h"
#include "routing/base/result.h"

namespace gateway::io {

/// How many connections may wait for accept.  Source: Linux caps it at net.core.somaxconn, 4096 by default.
inline constexpr int listen_backlog = 4096;
/// How many connections one turn takes at most, so that a storm of them does not starve those that are open.
inline constexpr int accepts_per_turn_max = 256;
/// How long a listener waits after it ran out of file descriptors.  New connections wait in the backlog meanwhile; open
/// ones go on.  Source: nats-server server/const.go ACCEPT_MAX_SLEEP is 1 s, ACCEPT_MIN_SLEEP 10 ms; we take one value.
inline constexpr base::Duration accept_retry_delay = std::chrono::milliseconds(100);

struct ListenEvents {
    /// A new connection.
    std::function<void(Socket)> accepted;
    /// accept failed (out of file descriptors, mostly); the listener goes on after accept_retry_delay.  For the log.
    std::function<void(const IoError&)> failed;
};

/// Closes its port when destroyed; a closed listener calls nobody.  Threads: the loop's.
class TcpListener {
  public:
    /// Listens at `host`:`port` with SO_REUSEADDR.  `host` is an address or a name of this machine; "", "0.0.0.0" and
    /// "::" mean every address, IPv4 and IPv6 (as in stock NATS).  Port 0: the system chooses; see port().
    /// Blocks while a name is looked up: for start-up.
    /// Errors: address_in_use, address_invalid, not_permitted, not_found, other.
    [[nodiscard]] static base::Result<TcpListener, IoError> open(EventLoop& loop, const std::string& host,
                                                                 std::uint16_t port, ListenEvents events);
    ~TcpListener();
    TcpListener(TcpListener&&) noexcept;
    TcpListener& operator=(TcpListener&&) noexcept;

    [[nodiscard]] std::uint16_t port() const { return port_; }

    struct State;

  private:
    explicit TcpListener(State* state, std::uint16_t port) : state_(state), port_(port) {}

    State* state_ = nullptr;  // freed in its close callback
    std::uint16_t port_ = 0;
};

}  // namespace gateway::io
