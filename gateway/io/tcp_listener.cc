#include "gateway/io/tcp_listener.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/io/timer.h"
#include "gateway/io/uv_state.h"

namespace gateway::io {

// libuv's own listener answers a lack of descriptors by accepting and closing silently; the operator is to hear of it
// and the clients are to wait, so accept is called here.
struct TcpListener::State {
    uv_poll_t poll{};
    int descriptor = -1;
    ListenEvents events;
    Timer retry;
    bool open = true;

    void start() {
        detail::must(uv_poll_start(
            &poll, UV_READABLE, [](uv_poll_t* handle, int, int) { static_cast<State*>(handle->data)->accept_some(); }));
    }

    void accept_some() {
        for (int i = 0; open && i < accepts_per_turn_max; ++i) {
            const int accepted = accept4(descriptor, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (accepted >= 0) {
                events.accepted(Socket(accepted));
                continue;
            }
            if (errno == EAGAIN || errno == EWOULDBLOCK) return;
            if (errno == EINTR || errno == ECONNABORTED) continue;
            // Out of descriptors or memory: the connection stays in the backlog, so without a pause we would spin on
            // it.
            const IoError error = detail::make_errno(errno);
            uv_poll_stop(&poll);
            retry.set_after(accept_retry_delay);
            if (events.failed) events.failed(error);
            return;
        }
    }
};

namespace {

struct BoundSocket {
    Socket socket;
    std::uint16_t port = 0;
};

base::Result<BoundSocket, IoError> bind_and_listen(const sockaddr* address, socklen_t size, bool dual_stack) {
    const auto failed = [] { return base::failure(detail::make_errno(errno)); };
    const int descriptor = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return failed();
    BoundSocket bound{.socket = Socket(descriptor), .port = 0};
    const int yes = 1;
    const int only_v6 = dual_stack ? 0 : 1;
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (address->sa_family == AF_INET6) setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof only_v6);
    if (bind(descriptor, address, size) != 0) return failed();
    if (listen(descriptor, listen_backlog) != 0) return failed();
    sockaddr_storage actual{};
    socklen_t actual_size = sizeof actual;
    if (getsockname(descriptor, reinterpret_cast<sockaddr*>(&actual), &actual_size) != 0) return failed();
    // The port is at the same place in both families.
    sockaddr_in port_view{};
    std::memcpy(&port_view, &actual, sizeof port_view);
    bound.port = ntohs(port_view.sin_port);
    return bound;
}

base::Result<BoundSocket, IoError> bind_everywhere(std::uint16_t port) {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_addr = in6addr_any;
    v6.sin6_port = htons(port);
    auto bound = bind_and_listen(reinterpret_cast<const sockaddr*>(&v6), sizeof v6, true);
    // Only a machine without IPv6 falls back; a port that is taken is taken.
    if (bound.ok() || bound.error().failure != IoFailure::address_invalid) return bound;
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_addr.s_addr = htonl(INADDR_ANY);
    v4.sin_port = htons(port);
    return bind_and_listen(reinterpret_cast<const sockaddr*>(&v4), sizeof v4, false);
}

base::Result<BoundSocket, IoError> bind_host(const std::string& host, std::uint16_t port) {
    if (host.empty() || host == "0.0.0.0" || host == "::") return bind_everywhere(port);
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    addrinfo* found = nullptr;
    if (const int status = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found); status != 0) {
        return base::failure(IoError{.failure = IoFailure::not_found, .text = gai_strerror(status)});
    }
    auto bound = bind_and_listen(found->ai_addr, found->ai_addrlen, false);
    freeaddrinfo(found);
    return bound;
}

}  // namespace

base::Result<TcpListener, IoError> TcpListener::open(EventLoop& loop, const std::string& host, std::uint16_t port,
                                                     ListenEvents events) {
    auto bound = bind_host(host, port);
    if (!bound.ok()) return base::failure(bound.error());
    auto* state = new State;
    state->descriptor = bound.value().socket.release();
    state->events = std::move(events);
    state->retry = Timer(loop, [state] { state->start(); });
    detail::must(uv_poll_init_socket(&loop.state().loop, &state->poll, state->descriptor));
    state->poll.data = state;
    state->start();
    return TcpListener(state, bound.value().port);
}

TcpListener::~TcpListener() {
    if (state_ == nullptr) return;
    state_->open = false;
    state_->retry = Timer();
    uv_close(reinterpret_cast<uv_handle_t*>(&state_->poll),
             [](uv_handle_t* handle) { delete static_cast<State*>(handle->data); });
    close(state_->descriptor);  // libuv allows it right after uv_close; the port is free from now on
}

TcpListener::TcpListener(TcpListener&& other) noexcept
    : state_(std::exchange(other.state_, nullptr)), port_(other.port_) {}

TcpListener& TcpListener::operator=(TcpListener&& other) noexcept {
    TcpListener gone(std::move(other));
    std::swap(state_, gone.state_);
    std::swap(port_, gone.port_);
    return *this;
}

}  // namespace gateway::io
