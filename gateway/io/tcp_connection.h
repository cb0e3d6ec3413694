// One TCP connection on one loop: bytes in, bytes out, back-pressure both ways.
// Leaves to others: what the bytes mean, what is queued and how much of it (gateway/output_queue, gateway/shard).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "gateway/io/event_loop.h"
#include "gateway/io/socket.h"
#include "routing/base/bytes.h"

namespace gateway::io {

/// Bytes to send, that somebody else owns.
struct IoSlice {
    const char* data = nullptr;
    std::size_t size = 0;
};

/// How many slices one write takes.  Source: IOV_MAX on Linux.
inline constexpr std::size_t slices_max = 1024;
/// How long close(flush) waits for a peer that does not read.  Source: nats-server write_deadline, 10 s.
inline constexpr base::Duration flush_time_max = std::chrono::seconds(10);

enum class CloseCause : std::uint8_t {
    local,       ///< close() was called
    peer_ended,  ///< the peer closed its side; what was written until the end of that turn was still sent
    failed,      ///< the connection broke; see the text
};

/// Why a connection is closed.  Borrows: `text` is static.
struct CloseReason {
    CloseCause cause = CloseCause::local;
    std::string_view text;  ///< "end of file", "connection reset by peer", ...
    bool in_write = false;  ///< failed: while bytes were sent, not while they were read
};

/// Hears what happens on a connection.  Every call comes from the loop, none from within a call of TcpConnection.
/// Each may close or destroy the TcpConnection.
class TcpHandler {
  public:
    virtual ~TcpHandler() = default;
    /// Borrows: `bytes` point into the loop's shared read buffer, valid until the call returns.
    virtual void on_bytes(base::ByteView bytes) = 0;
    /// All that write_rest() was given is with the system; its memory is free again.
    virtual void on_written() = 0;
    /// The connection is gone, its descriptor closed; nothing follows.  Memory given to write_rest() is free again.
    virtual void on_closed(CloseReason reason) = 0;
};

/// A connection; TCP_NODELAY is set.  Reading begins at once, in the next poll of the loop.
/// Life: when destroyed, it is closed at once (no flush) and the handler hears nothing more; memory given to
/// write_rest() may go then.  Threads: the loop's.
class TcpConnection {
  public:
    TcpConnection() = default;
    /// Puts a socket on this loop.  Borrows `handler` until on_closed() or destruction.
    /// Errors: what the system refuses arrives as on_closed(failed) later.
    TcpConnection(EventLoop& loop, Socket socket, TcpHandler& handler);
    ~TcpConnection();
    TcpConnection(TcpConnection&&) noexcept;
    TcpConnection& operator=(TcpConnection&&) noexcept;

    /// False for one that was default-made or moved from, and after on_closed.
    [[nodiscard]] bool is_open() const;

    /// Hands bytes to the system without waiting; `count` <= slices_max (asserted).  One system call.
    /// Returns how many bytes it took: 0 if it would block, if write_rest() has not ended, or if the connection is
    /// closing (on_closed follows then).
    [[nodiscard]] std::size_t try_write(const IoSlice* slices, std::size_t count);
    /// Sends all of it as the peer reads; on_written() follows when done.  One at a time (asserted); `count` <=
    /// slices_max.  Dropped if the connection is closing (on_closed follows then).
    /// Borrows: the memory must stay until on_written(), on_closed() or destruction; the slices themselves need not.
    void write_rest(const IoSlice* slices, std::size_t count);
    /// True while write_rest() has not ended.
    [[nodiscard]] bool is_writing() const;
    /// Bytes of write_rest() that the system has not taken yet.
    [[nodiscard]] std::size_t bytes_queued() const;

    /// Leaves bytes (and the peer's end) with the system, which slows the peer down.  Idempotent.
    void pause_reading();
    void resume_reading();
    [[nodiscard]] bool is_paused() const;

    /// Says on_closed(local) soon.  With `flush`, what write_rest() holds is sent first and then our end of the stream,
    /// for flush_time_max at most; nothing is read meanwhile.  A second call without `flush` cuts that short.
    void close(bool flush);

    /// "1.2.3.4:80"; see Socket.  Borrows: until on_closed returned.
    [[nodiscard]] const std::string& remote_address() const;
    [[nodiscard]] const std::string& local_address() const;

    struct State;

  private:
    State* state_ = nullptr;  // freed in its close callback
};

}  // namespace gateway::io
