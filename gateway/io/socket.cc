#include "gateway/io/socket.h"

#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "routing/base/check.h"

namespace gateway::io {

namespace {

std::string address_text(const sockaddr_storage& address) {
    char text[INET6_ADDRSTRLEN] = {};
    if (address.ss_family == AF_INET) {
        sockaddr_in v4{};
        std::memcpy(&v4, &address, sizeof v4);
        inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
        return join_address(text, ntohs(v4.sin_port));
    }
    if (address.ss_family == AF_INET6) {
        sockaddr_in6 v6{};
        std::memcpy(&v6, &address, sizeof v6);
        if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
            inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text, sizeof text);
        } else {
            inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
        }
        return join_address(text, ntohs(v6.sin6_port));
    }
    return {};
}

}  // namespace

Socket::Socket(int descriptor) : descriptor_(descriptor) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) == 0) local_ = address_text(address);
    address = {};
    size = sizeof address;
    if (getpeername(descriptor, reinterpret_cast<sockaddr*>(&address), &size) == 0) remote_ = address_text(address);
}

Socket& Socket::operator=(Socket&& other) noexcept {
    if (this != &other) {
        reset();
        descriptor_ = std::exchange(other.descriptor_, -1);
        local_ = std::move(other.local_);
        remote_ = std::move(other.remote_);
    }
    return *this;
}

void Socket::reset() {
    if (descriptor_ >= 0) close(descriptor_);
    descriptor_ = -1;
}

void Socket::shrink_buffers_for_test(int bytes) const {
    BASE_CHECK(setsockopt(descriptor_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes) == 0);
    BASE_CHECK(setsockopt(descriptor_, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes) == 0);
}

bool is_numeric(std::string_view address) {
    std::string_view host;
    std::string_view port;
    if (!split_address(address, host, port)) return false;
    in6_addr out{};  // large enough for either
    const std::string text(host);
    return inet_pton(AF_INET, text.c_str(), &out) == 1 || inet_pton(AF_INET6, text.c_str(), &out) == 1;
}

bool split_address(std::string_view address, std::string_view& host, std::string_view& port) {
    port = {};
    if (address.starts_with('[')) {
        const std::size_t end = address.find(']');
        if (end == std::string_view::npos) return false;
        host = address.substr(1, end - 1);
        const std::string_view rest = address.substr(end + 1);
        if (rest.empty()) return true;
        if (!rest.starts_with(':')) return false;
        port = rest.substr(1);
        return true;
    }
    const std::size_t colon = address.find(':');
    if (colon != address.rfind(':')) return false;
    host = address.substr(0, colon);
    if (colon != std::string_view::npos) port = address.substr(colon + 1);
    return host.find_first_of("[]") == std::string_view::npos;
}

std::string join_address(std::string_view host, unsigned port) {
    std::string text;
    const bool brackets = host.find(':') != std::string_view::npos;
    if (brackets) text += '[';
    text += host;
    if (brackets) text += ']';
    text += ':';
    text += std::to_string(port);
    return text;
}

}  // namespace gateway::io
