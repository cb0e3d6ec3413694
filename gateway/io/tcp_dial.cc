#include "gateway/io/tcp_dial.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/io/timer.h"
#include "gateway/io/uv_state.h"

namespace gateway::io {

namespace {

struct Address {
    sockaddr_storage storage{};
    socklen_t size = 0;
};

std::vector<Address> addresses_of(const addrinfo* list) {
    std::vector<Address> addresses;
    for (; list != nullptr && addresses.size() < static_cast<std::size_t>(dial_addresses_max); list = list->ai_next) {
        if (list->ai_addrlen > sizeof(sockaddr_storage)) continue;
        Address address;
        std::memcpy(&address.storage, list->ai_addr, list->ai_addrlen);
        address.size = list->ai_addrlen;
        addresses.push_back(address);
    }
    return addresses;
}

bool is_port(std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    return error == std::errc() && end == text.data() + text.size() && port != 0;
}

}  // namespace

// One connect() under way.  Frees itself when libuv has let go of it.
struct Attempt {
    uv_poll_t poll{};
    TcpDial::State* dial = nullptr;
    int descriptor = -1;
};

// Lives until the TcpDial is gone *and* the look-up has ended (which cannot always be cancelled).
struct TcpDial::State {
    uv_getaddrinfo_t lookup{};
    EventLoop* loop = nullptr;
    Done done;
    Timer timer;  // the deadline; or, when the end is known within a call, the way out of it
    Timer pace;   // the next address has its turn, although those before it have not answered
    std::vector<Address> addresses;
    std::size_t next = 0;
    std::vector<Attempt*> attempts;
    IoError error{.failure = IoFailure::not_found, .text = "the name has no address"};
    bool looking_up = false;
    bool abandoned = false;
    bool finished = false;
    bool failed_early = false;  // `error` says why, the timer only brings it out

    void start(std::string_view text, base::Duration time_max) {
        timer = Timer(*loop, [this] {
            if (!failed_early) error = {.failure = IoFailure::timed_out, .text = "no answer in time"};
            finish(base::failure(error));
        });
        timer.set_after(time_max);
        pace = Timer(*loop, [this] { try_next(); });

        std::string_view host;
        std::string_view port;
        if (!split_address(text, host, port) || host.empty() || !is_port(port)) {
            finish_soon({.failure = IoFailure::address_invalid, .text = "not of the form host:port"});
            return;
        }
        const std::string host_text(host);
        const std::string port_text(port);
        addrinfo hints{};
        hints.ai_family = AF_UNSPEC;
        hints.ai_socktype = SOCK_STREAM;
        hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
        // A numeric address needs no thread and no waiting behind slow look-ups.
        if (addrinfo* found = nullptr; getaddrinfo(host_text.c_str(), port_text.c_str(), &hints, &found) == 0) {
            addresses = addresses_of(found);
            freeaddrinfo(found);
            try_next();
            return;
        }
        hints.ai_flags = AI_NUMERICSERV;
        lookup.data = this;
        const int status = uv_getaddrinfo(
            &loop->state().loop, &lookup,
            [](uv_getaddrinfo_t* request, int result, addrinfo* found) {
                static_cast<State*>(request->data)->on_lookup(result, found);
            },
            host_text.c_str(), port_text.c_str(), &hints);
        if (status != 0) {
            finish_soon(detail::make_error(status));
        } else {
            looking_up = true;
        }
    }

    void on_lookup(int status, addrinfo* found) {
        looking_up = false;
        if (status == 0) addresses = addresses_of(found);
        uv_freeaddrinfo(found);
        if (abandoned) {
            delete this;
            return;
        }
        if (finished) return;
        if (status != 0) {
            finish_soon(detail::make_error(status));
        } else {
            try_next();
        }
    }

    void try_next() {
        while (next < addresses.size()) {
            const Address& address = addresses[next++];
            const int descriptor = socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
            if (descriptor < 0) {
                error = detail::make_errno(errno);
                continue;
            }
            const auto* where = reinterpret_cast<const sockaddr*>(&address.storage);
            if (connect(descriptor, where, address.size) != 0 && errno != EINPROGRESS) {
                error = detail::make_errno(errno);
                ::close(descriptor);
                continue;
            }
            // A connect that succeeded at once is writable at once: the same way on.
            auto* attempt = new Attempt;
            attempt->dial = this;
            attempt->descriptor = descriptor;
            detail::must(uv_poll_init_socket(&loop->state().loop, &attempt->poll, descriptor));
            attempt->poll.data = attempt;
            detail::must(uv_poll_start(&attempt->poll, UV_WRITABLE, [](uv_poll_t* handle, int, int) {
                auto* ended = static_cast<Attempt*>(handle->data);
                ended->dial->on_connected(ended);
            }));
            attempts.push_back(attempt);
            if (next < addresses.size()) pace.set_after(dial_pace);
            return;
        }
        if (attempts.empty()) finish_soon(error);
    }

    void on_connected(Attempt* attempt) {
        const int descriptor = drop(attempt);
        int result = 0;
        socklen_t size = sizeof result;
        if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &result, &size) != 0) result = errno;
        Socket socket(descriptor);
        if (result != 0) {
            error = detail::make_errno(result);
            try_next();
        } else {
            finish(std::move(socket));
        }
    }

    // Ends the polling; the descriptor is the caller's.
    int drop(Attempt* attempt) {
        const int descriptor = attempt->descriptor;
        std::erase(attempts, attempt);
        uv_close(reinterpret_cast<uv_handle_t*>(&attempt->poll),
                 [](uv_handle_t* handle) { delete static_cast<Attempt*>(handle->data); });
        return descriptor;
    }

    void finish_soon(IoError why) {
        error = std::move(why);
        failed_early = true;
        timer.set_after(base::Duration::zero());
    }

    void finish(base::Result<Socket, IoError> result) {
        finished = true;
        release();
        const Done call = std::move(done);
        call(std::move(result));  // may destroy the TcpDial, and this with it
    }

    void release() {
        timer = Timer();
        pace = Timer();
        while (!attempts.empty()) ::close(drop(attempts.back()));
    }
};

TcpDial::TcpDial(EventLoop& loop, std::string_view address, Done done, base::Duration time_max) : state_(new State) {
    state_->loop = &loop;
    state_->done = std::move(done);
    state_->start(address, time_max);
}

TcpDial::~TcpDial() {
    if (state_ == nullptr) return;
    state_->release();
    if (state_->looking_up) {
        state_->abandoned = true;
        uv_cancel(reinterpret_cast<uv_req_t*>(&state_->lookup));  // its callback comes in any case
    } else {
        delete state_;
    }
}

TcpDial::TcpDial(TcpDial&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}

TcpDial& TcpDial::operator=(TcpDial&& other) noexcept {
    TcpDial gone(std::move(other));
    std::swap(state_, gone.state_);
    return *this;
}

}  // namespace gateway::io
