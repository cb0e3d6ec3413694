#include "tests/wire/tcp_target.h"

#include <cerrno>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "compat/nats_limits.h"

namespace wire {

TcpTarget::~TcpTarget() {
    for (const auto& [client, connection] : connections_) ::close(connection.socket);
}

bool TcpTarget::connect(const std::string& client) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port_);
    const std::string host = host_ == "localhost" ? "127.0.0.1" : host_;
    if (::inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) return false;
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (socket < 0) return false;
    const int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    const auto since = std::chrono::steady_clock::now();
    if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
        ::close(socket);
        return false;
    }
    connections_[client] = {socket, since};
    return true;
}

void TcpTarget::send(const std::string& client, std::string_view bytes) {
    const int socket = connections_.at(client).socket;
    while (!bytes.empty()) {
        const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return;  // closed by the server; the next receive tells
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
}

WireTarget::Received TcpTarget::receive(const std::string& client, std::string& buffer) {
    const int socket = connections_.at(client).socket;
    pollfd waiting{socket, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(answer_wait_max.count()));
    if (ready <= 0) return Received::nothing;
    char bytes[65536];
    const ssize_t received = ::recv(socket, bytes, sizeof(bytes), 0);
    if (received <= 0) return Received::closed;
    buffer.append(bytes, static_cast<std::size_t>(received));
    return Received::bytes;
}

void TcpTarget::hang_up(const std::string& client) {
    const auto connection = connections_.find(client);
    if (connection == connections_.end()) return;
    ::close(connection->second.socket);
    connections_.erase(connection);
}

bool TcpTarget::may_be_pinged(const std::string& client) const {
    const auto connection = connections_.find(client);
    return connection != connections_.end() &&
           std::chrono::steady_clock::now() - connection->second.since >= compat::first_ping_interval;
}

}  // namespace wire
