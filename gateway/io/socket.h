// A connected TCP socket that no loop knows yet: what a listener accepts and a dial yields.  It may be moved to another
// thread and become a TcpConnection on that thread's loop.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace gateway::io {

/// Owns a file descriptor; closes it unless it was released.  Addresses are "1.2.3.4:80" or "[::1]:80"; an IPv4 peer of
/// a dual-stack listener shows as IPv4, as in stock NATS.
class Socket {
  public:
    Socket() = default;
    /// Takes over `descriptor` and asks the system for both addresses ("" where it has none, e.g. a peer that is gone).
    explicit Socket(int descriptor);
    ~Socket() { reset(); }
    Socket(Socket&& other) noexcept
        : descriptor_(std::exchange(other.descriptor_, -1)),
          local_(std::move(other.local_)),
          remote_(std::move(other.remote_)) {}
    Socket& operator=(Socket&& other) noexcept;
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;

    [[nodiscard]] bool valid() const { return descriptor_ >= 0; }
    [[nodiscard]] const std::string& local_address() const { return local_; }
    [[nodiscard]] const std::string& remote_address() const { return remote_; }
    [[nodiscard]] int descriptor() const { return descriptor_; }
    /// Gives the descriptor away.
    [[nodiscard]] int release() { return std::exchange(descriptor_, -1); }

    /// Asks the system for smaller buffers, so that a test meets partial writes soon.
    void shrink_buffers_for_test(int bytes) const;

  private:
    void reset();

    int descriptor_ = -1;
    std::string local_;
    std::string remote_;
};

/// True if the host of "host:port" is an IPv4 or IPv6 address and no name.
[[nodiscard]] bool is_numeric(std::string_view address);
/// Splits "host:port", "[::1]:port", ":port" or "host" (port then empty).  Views into `address`.
/// Errors: false for brackets that do not match and for a bare IPv6 address (which needs brackets).
[[nodiscard]] bool split_address(std::string_view address, std::string_view& host, std::string_view& port);

/// "host:port", with brackets around an IPv6 host.
[[nodiscard]] std::string join_address(std::string_view host, unsigned port);

}  // namespace gateway::io
