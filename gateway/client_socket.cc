#include "gateway/client_socket.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace gateway {

namespace {

std::string host_of(const std::string& address) {
    std::string_view host;
    std::string_view port;
    return io::split_address(address, host, port) ? std::string(host) : address;
}

/// Source: nats-server server/monitor.go ClosedState.
std::string_view reason_text(io::CloseReason reason) {
    switch (reason.cause) {
        case io::CloseCause::failed:
            return reason.in_write ? "Write Error" : "Read Error";
        case io::CloseCause::local:
        case io::CloseCause::peer_ended:
            break;
    }
    return "Client Closed";
}

}  // namespace

ClientSocket::ClientSocket(io::EventLoop& loop, io::Socket socket, Shard& shard, routing::ConnectionId id, Gone gone)
    : loop_(loop), shard_(shard), gone_(std::move(gone)), remote_address_(socket.remote_address()) {
    client_ = &shard_.open(id, host_of(remote_address_), loop_.now());
    client_->socket = this;
    connection_ = io::TcpConnection(loop, std::move(socket), *this);
}

/// Fills `slices` with the client's output after its first `skip` bytes; returns how many bytes they hold.
std::size_t ClientSocket::gather(std::size_t skip, io::IoSlice* slices, std::size_t slices_max,
                                 std::size_t& count) const {
    const auto& output = client_->output;
    std::size_t bytes = 0;
    count = 0;
    for (std::size_t i = 0; i < output.piece_count() && count < slices_max; ++i) {
        const auto& piece = output.pieces()[i];
        const std::size_t size = piece.end - piece.begin;
        if (skip >= size) {
            skip -= size;
            continue;
        }
        slices[count++] = {piece.chunk->data.get() + piece.begin + skip, size - skip};
        bytes += size - skip;
        skip = 0;
    }
    return bytes;
}

std::size_t ClientSocket::flush() {
    std::size_t taken = 0;
    std::size_t count = 0;
    std::array<io::IoSlice, slices_per_write> slices;
    while (taken < client_->output.size()) {
        const std::size_t offered = gather(taken, slices.data(), slices.size(), count);
        const std::size_t accepted = connection_.try_write(slices.data(), count);
        taken += accepted;
        if (accepted == offered) continue;
        std::vector<io::IoSlice> rest(std::min(client_->output.piece_count(), io::slices_max));
        in_flight_ = gather(taken, rest.data(), rest.size(), count);
        client_->writing = true;
        connection_.write_rest(rest.data(), count);
        break;
    }
    return taken;
}

void ClientSocket::on_bytes(base::ByteView bytes) {
    shard_.bytes(*client_, bytes, loop_.now());
}

void ClientSocket::on_written() {
    client_->writing = false;
    shard_.written(*client_, std::exchange(in_flight_, 0), loop_.now());
}

void ClientSocket::on_closed(io::CloseReason reason) {
    shard_.closed(*client_, loop_.now(), reason_text(reason));
    client_ = nullptr;
    const Gone gone = std::move(gone_);  // it may destroy this socket
    gone(*this, reason);
}

}  // namespace gateway
