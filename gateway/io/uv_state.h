// What the handles of this room share behind their public headers.  Included by gateway/io/*.cc alone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include <uv.h>

#include "gateway/io/event_loop.h"
#include "gateway/io/io_error.h"
#include "gateway/io/tcp_connection.h"
#include "routing/base/check.h"
#include "routing/base/time.h"

namespace gateway::io::detail {

struct LoopState {
    uv_loop_t loop{};
    uv_prepare_t before_sleep{};
    uv_check_t after_sleep{};
    std::function<void()> turn_end;
    std::unique_ptr<char[]> read_buffer;
    /// Connections whose peer has ended; closed once the turn end had its chance to answer.
    std::vector<TcpConnection::State*> ended;
    base::Instant now{};
    bool now_known = false;
    bool stopped = false;
    /// Reads, wake-ups and new connections so far: what a spinning loop waits for.
    std::uint64_t events = 0;
    std::uint64_t spins = 0;
    base::Duration spin{};
};

/// The system's clock behind EventLoop::now().
inline base::Instant read_clock() {
    return base::Instant(base::Duration(static_cast<base::Duration::rep>(uv_hrtime())));
}

/// The error of a libuv call (negative errno).
IoError make_error(int uv_status);
/// The same for errno.
inline IoError make_errno(int error) {
    return make_error(uv_translate_sys_error(error));
}

/// libuv calls that fail only by a bug of ours, or when the process cannot go on (out of memory).
inline void must(int uv_status) {
    BASE_CHECK(uv_status == 0);
}

/// Begins the orderly close of every connection in `state.ended`.  Defined in tcp_connection.cc.
void close_ended(LoopState& state);

}  // namespace gateway::io::detail
