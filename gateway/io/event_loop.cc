#include "gateway/io/event_loop.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "gateway/io/uv_state.h"

namespace gateway::io {

using detail::LoopState;
using detail::must;

namespace {

/// So many pieces of work in a row must have come fast before a loop spins.
constexpr int short_gaps_to_spin = 3;

void end_turn(LoopState& state) {
    if (state.turn_end) state.turn_end();
    detail::close_ended(state);
    state.now_known = false;  // the loop sleeps next, or begins another round of callbacks
}

}  // namespace

EventLoop::EventLoop() : state_(std::make_unique<LoopState>()) {
    state_->read_buffer = std::make_unique_for_overwrite<char[]>(read_bytes_max);
    must(uv_loop_init(&state_->loop));
    state_->loop.data = state_.get();

    must(uv_prepare_init(&state_->loop, &state_->before_sleep));
    state_->before_sleep.data = state_.get();
    must(uv_prepare_start(&state_->before_sleep,
                          [](uv_prepare_t* handle) { end_turn(*static_cast<LoopState*>(handle->data)); }));
    uv_unref(reinterpret_cast<uv_handle_t*>(&state_->before_sleep));

    must(uv_check_init(&state_->loop, &state_->after_sleep));
    state_->after_sleep.data = state_.get();
    must(uv_check_start(&state_->after_sleep,
                        [](uv_check_t* handle) { end_turn(*static_cast<LoopState*>(handle->data)); }));
    uv_unref(reinterpret_cast<uv_handle_t*>(&state_->after_sleep));
}

EventLoop::~EventLoop() {
    state_->turn_end = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(&state_->before_sleep), nullptr);
    uv_close(reinterpret_cast<uv_handle_t*>(&state_->after_sleep), nullptr);
    // A handle that nobody closed would outlive its loop: a bug of the owner, which must not become a hang here.
    uv_walk(
        &state_->loop, [](uv_handle_t* handle, void*) { BASE_CHECK(uv_is_closing(handle)); }, nullptr);
    uv_run(&state_->loop, UV_RUN_DEFAULT);
    must(uv_loop_close(&state_->loop));
}

void EventLoop::set_spin(base::Duration spin) {
    state_->spin = spin;
}

std::uint64_t EventLoop::spins() const {
    return state_->spins;
}

void EventLoop::run() {
    if (state_->spin <= base::Duration::zero()) {
        uv_run(&state_->loop, UV_RUN_DEFAULT);
        return;
    }
    state_->stopped = false;
    bool spinning = false;
    int short_gaps = 0;
    base::Instant last_event{};
    while (!state_->stopped) {
        const std::uint64_t seen = state_->events;
        state_->spins += spinning ? 1 : 0;
        if (uv_run(&state_->loop, spinning ? UV_RUN_NOWAIT : UV_RUN_ONCE) == 0) return;
        const base::Instant now = detail::read_clock();
        if (state_->events != seen) {
            // A gap that was slept through contains the waking up, of this loop and of whom it waited for.
            const bool is_short = now - last_event < (spinning ? state_->spin : 2 * state_->spin);
            short_gaps = is_short ? std::min(short_gaps + 1, short_gaps_to_spin) : 0;
            spinning = short_gaps == short_gaps_to_spin;
            last_event = now;
        } else if (now - last_event >= state_->spin) {
            spinning = false;
        }
    }
}

bool EventLoop::run_turn() {
    return uv_run(&state_->loop, UV_RUN_ONCE) != 0;
}

void EventLoop::stop() {
    state_->stopped = true;
    uv_stop(&state_->loop);
}

base::Instant EventLoop::now() const {
    if (!state_->now_known) {
        state_->now = detail::read_clock();
        state_->now_known = true;
    }
    return state_->now;
}

base::WallMillis EventLoop::wall_millis() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
}

void EventLoop::set_turn_end(std::function<void()> callback) {
    state_->turn_end = std::move(callback);
}

namespace detail {

IoError make_error(int uv_status) {
    IoError error{.failure = IoFailure::other, .text = uv_strerror(uv_status)};
    switch (uv_status) {
        case UV_EADDRINUSE:
            error.failure = IoFailure::address_in_use;
            break;
        case UV_EADDRNOTAVAIL:
        case UV_EINVAL:
        case UV_EAFNOSUPPORT:
            error.failure = IoFailure::address_invalid;
            break;
        case UV_EACCES:
        case UV_EPERM:
            error.failure = IoFailure::not_permitted;
            break;
        case UV_EMFILE:
        case UV_ENFILE:
            error.failure = IoFailure::too_many_files;
            break;
        case UV_ECONNREFUSED:
            error.failure = IoFailure::refused;
            break;
        case UV_ETIMEDOUT:
            error.failure = IoFailure::timed_out;
            break;
        case UV_EAI_NONAME:
        case UV_EAI_AGAIN:
        case UV_EAI_FAIL:
        case UV_EAI_NODATA:
            error.failure = IoFailure::not_found;
            break;
        default:
            break;
    }
    return error;
}

}  // namespace detail

}  // namespace gateway::io
