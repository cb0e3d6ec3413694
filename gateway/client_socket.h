// A client's socket: ties one TcpConnection to one Client of the shard.
// Leaves to others: what the bytes mean (gateway/shard), who may connect (gateway/server).
#pragma once

#include <cstddef>
#include <functional>

#include "gateway/io/tcp_connection.h"
#include "gateway/shard.h"

namespace gateway {

/// Threads: the shard's loop.  Life: made on accept; `gone` is called once its connection is closed and its Client is
/// no more, and may destroy it.
class ClientSocket final : public io::TcpHandler {
  public:
    using Gone = std::function<void(ClientSocket&, io::CloseReason)>;

    /// Opens the client on the shard.
    ClientSocket(io::EventLoop& loop, io::Socket socket, Shard& shard, routing::ConnectionId id, Gone gone);

    /// See ShardHost.
    std::size_t flush();
    void pause_reading() { connection_.pause_reading(); }
    void resume_reading() { connection_.resume_reading(); }
    [[nodiscard]] std::size_t unwritten() const { return connection_.is_writing() ? connection_.bytes_queued() : 0; }
    void close(bool after_flush) { connection_.close(after_flush); }

    /// It was one too many, and is counted apart.
    void set_refused() { refused_ = true; }
    [[nodiscard]] bool refused() const { return refused_; }

    [[nodiscard]] Client& client() { return *client_; }
    [[nodiscard]] const std::string& remote_address() const { return remote_address_; }

  private:
    /// Pieces handed to one write.  Source: each is up to 64 KiB, so this is as much as a socket takes at once.
    static constexpr std::size_t slices_per_write = 64;

    void on_bytes(base::ByteView bytes) override;
    void on_written() override;
    void on_closed(io::CloseReason reason) override;
    std::size_t gather(std::size_t skip, io::IoSlice* slices, std::size_t slices_max, std::size_t& count) const;

    io::EventLoop& loop_;
    Shard& shard_;
    Gone gone_;
    std::string remote_address_;
    Client* client_ = nullptr;
    std::size_t in_flight_ = 0;  // bytes given to write_rest
    bool refused_ = false;
    io::TcpConnection connection_;
};

}  // namespace gateway
