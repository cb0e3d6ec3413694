#include "gateway/io/tcp_connection.h"

#include <algorithm>
#include <utility>

#include "gateway/io/timer.h"
#include "gateway/io/uv_state.h"

namespace gateway::io {

using detail::LoopState;

// Lives until libuv has let go of the handle *and* the TcpConnection is gone, whichever is later.
struct TcpConnection::State {
    uv_tcp_t tcp{};
    uv_write_t write{};
    uv_shutdown_t shutdown{};
    EventLoop* loop = nullptr;
    TcpHandler* handler = nullptr;  // null once the TcpConnection is gone
    std::string remote;
    std::string local;
    Timer flush_deadline;
    CloseReason reason;
    bool writing = false;
    bool paused = false;
    bool ended = false;     // the peer said so; nothing more to read
    bool flushing = false;  // close(flush) was called, or the peer ended and the turn is over
    bool closing = false;   // uv_close was called
    bool closed = false;    // its callback came

    uv_stream_t* stream() { return reinterpret_cast<uv_stream_t*>(&tcp); }
    uv_handle_t* handle() { return reinterpret_cast<uv_handle_t*>(&tcp); }
    LoopState& loop_state() { return loop->state(); }

    void forget_ended() {
        if (ended) std::erase(loop_state().ended, this);
    }

    void begin_close(CloseReason why) {
        if (closing) return;
        closing = true;
        reason = why;
        forget_ended();
        flush_deadline = Timer();
        uv_close(handle(), [](uv_handle_t* raw) { static_cast<State*>(raw->data)->finish_close(); });
    }

    void finish_close() {
        if (handler == nullptr) {
            delete this;
            return;
        }
        closed = true;
        writing = false;
        handler->on_closed(reason);  // may destroy the TcpConnection, and this with it
    }

    void fail(int uv_status, bool in_write = false) {
        begin_close({.cause = CloseCause::failed, .text = uv_strerror(uv_status), .in_write = in_write});
    }

    // What is written goes out, then our end of the stream, then the descriptor closes.
    void begin_flush(CloseReason why) {
        if (closing || flushing) return;
        flushing = true;
        reason = why;
        uv_read_stop(stream());
        flush_deadline = Timer(*loop, [this] { begin_close(reason); });
        flush_deadline.set_after(flush_time_max);
        shutdown.data = this;
        const int status = uv_shutdown(&shutdown, stream(), [](uv_shutdown_t* request, int) {
            auto* state = static_cast<State*>(request->data);
            state->begin_close(state->reason);  // does nothing if the close came first and cancelled the shutdown
        });
        if (status != 0) begin_close(reason);
    }

    void start_reading() {
        const int status = uv_read_start(
            stream(),
            [](uv_handle_t* raw, std::size_t, uv_buf_t* buffer) {
                LoopState& shared = static_cast<State*>(raw->data)->loop_state();
                *buffer = uv_buf_init(shared.read_buffer.get(), static_cast<unsigned>(read_bytes_max));
            },
            [](uv_stream_t* raw, ssize_t size, const uv_buf_t* buffer) {
                static_cast<State*>(raw->data)->on_read(size, buffer->base);
            });
        if (status != 0) fail(status);
    }

    void on_read(ssize_t size, const char* data) {
        ++loop_state().events;
        if (size > 0) {
            if (handler != nullptr) handler->on_bytes({data, static_cast<std::size_t>(size)});
        } else if (size == UV_EOF) {
            uv_read_stop(stream());
            ended = true;
            loop_state().ended.push_back(this);
        } else if (size < 0) {
            fail(static_cast<int>(size));
        }
    }

    void on_write_done(int status) {
        writing = false;
        if (closing) return;  // cancelled by the close; on_closed() says the rest
        if (status != 0) {
            fail(status, true);
        } else if (handler != nullptr && !flushing) {
            handler->on_written();
        }
    }
};

namespace detail {

void close_ended(LoopState& state) {
    while (!state.ended.empty()) {
        TcpConnection::State* connection = state.ended.back();
        state.ended.pop_back();
        connection->begin_flush({.cause = CloseCause::peer_ended, .text = uv_strerror(UV_EOF), .in_write = false});
    }
}

}  // namespace detail

TcpConnection::TcpConnection(EventLoop& loop, Socket socket, TcpHandler& handler) : state_(new State) {
    state_->loop = &loop;
    state_->handler = &handler;
    state_->remote = socket.remote_address();
    state_->local = socket.local_address();
    state_->tcp.data = state_;
    detail::must(uv_tcp_init(&loop.state().loop, &state_->tcp));
    const int status = socket.valid() ? uv_tcp_open(&state_->tcp, socket.descriptor()) : UV_EBADF;
    if (status != 0) {
        state_->fail(status);  // libuv did not take the descriptor: the Socket closes it
        return;
    }
    static_cast<void>(socket.release());
    uv_tcp_nodelay(&state_->tcp, 1);  // fails only for a peer that is gone already; the first read tells
    state_->start_reading();
}

TcpConnection::~TcpConnection() {
    if (state_ == nullptr) return;
    if (state_->closed) {
        delete state_;
        return;
    }
    state_->handler = nullptr;
    state_->begin_close({.cause = CloseCause::local, .text = {}, .in_write = false});
}

TcpConnection::TcpConnection(TcpConnection&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}

TcpConnection& TcpConnection::operator=(TcpConnection&& other) noexcept {
    TcpConnection gone(std::move(other));
    std::swap(state_, gone.state_);
    return *this;
}

bool TcpConnection::is_open() const {
    return state_ != nullptr && !state_->closed;
}

std::size_t TcpConnection::try_write(const IoSlice* slices, std::size_t count) {
    BASE_CHECK(count <= slices_max);
    if (state_->closing || state_->flushing || state_->writing || count == 0) return 0;
    uv_buf_t buffers[slices_max];
    for (std::size_t i = 0; i < count; ++i) {
        buffers[i].base = const_cast<char*>(slices[i].data);  // libuv reads from it only
        buffers[i].len = slices[i].size;
    }
    const int taken = uv_try_write(state_->stream(), buffers, static_cast<unsigned>(count));
    if (taken >= 0) return static_cast<std::size_t>(taken);
    if (taken != UV_EAGAIN) state_->fail(taken, true);
    return 0;
}

void TcpConnection::write_rest(const IoSlice* slices, std::size_t count) {
    BASE_CHECK(count > 0 && count <= slices_max);
    if (state_->closing || state_->flushing) return;
    BASE_CHECK(!state_->writing);
    uv_buf_t buffers[slices_max];
    for (std::size_t i = 0; i < count; ++i) {
        buffers[i].base = const_cast<char*>(slices[i].data);
        buffers[i].len = slices[i].size;
    }
    state_->write.data = state_;
    const int status =
        uv_write(&state_->write, state_->stream(), buffers, static_cast<unsigned>(count),
                 [](uv_write_t* request, int result) { static_cast<State*>(request->data)->on_write_done(result); });
    if (status != 0) {
        state_->fail(status, true);
    } else {
        state_->writing = true;
    }
}

bool TcpConnection::is_writing() const {
    return state_->writing;
}

std::size_t TcpConnection::bytes_queued() const {
    return uv_stream_get_write_queue_size(state_->stream());
}

void TcpConnection::pause_reading() {
    if (state_->paused) return;
    state_->paused = true;
    if (!state_->closing) uv_read_stop(state_->stream());
}

void TcpConnection::resume_reading() {
    if (!state_->paused) return;
    state_->paused = false;
    if (!state_->closing && !state_->flushing && !state_->ended) state_->start_reading();
}

bool TcpConnection::is_paused() const {
    return state_->paused;
}

void TcpConnection::close(bool flush) {
    const CloseReason why{.cause = CloseCause::local, .text = "closed by this side", .in_write = false};
    if (flush) {
        state_->begin_flush(why);
    } else {
        state_->begin_close(why);
    }
}

const std::string& TcpConnection::remote_address() const {
    return state_->remote;
}

const std::string& TcpConnection::local_address() const {
    return state_->local;
}

}  // namespace gateway::io
