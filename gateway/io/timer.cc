#include "gateway/io/timer.h"

#include <algorithm>
#include <utility>

#include "gateway/io/uv_state.h"

namespace gateway::io {

using detail::LoopState;

namespace {

/// Longer delays are cut to this, so that sums of times cannot overflow.
constexpr base::Duration timer_delay_max = std::chrono::hours(24 * 365);

}  // namespace

struct Timer::State {
    uv_timer_t handle{};
    LoopState* loop = nullptr;
    std::function<void()> callback;
};

Timer::Timer(EventLoop& loop, std::function<void()> callback) : state_(new State) {
    state_->loop = &loop.state();
    state_->callback = std::move(callback);
    detail::must(uv_timer_init(&state_->loop->loop, &state_->handle));
    state_->handle.data = state_;
}

Timer::~Timer() {
    if (state_ == nullptr) return;
    // The callback may be running: it stays where it is until the close callback.
    uv_close(reinterpret_cast<uv_handle_t*>(&state_->handle),
             [](uv_handle_t* handle) { delete static_cast<State*>(handle->data); });
}

Timer::Timer(Timer&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}

Timer& Timer::operator=(Timer&& other) noexcept {
    Timer gone(std::move(other));
    std::swap(state_, gone.state_);
    return *this;
}

void Timer::set_at(base::Instant when) {
    if (when == base::instant_max) {
        clear();
        return;
    }
    uv_update_time(&state_->loop->loop);  // else the delay would count from when this turn began
    // libuv's time is the same clock cut to milliseconds, so what is rounded up there is never early.
    const base::Instant capped = std::min(when, detail::read_clock() + timer_delay_max);
    const auto due = std::chrono::ceil<std::chrono::milliseconds>(capped.time_since_epoch());
    const auto present = static_cast<std::int64_t>(uv_now(&state_->loop->loop));
    const std::int64_t millis = std::max<std::int64_t>(due.count() - present, 0);
    detail::must(uv_timer_start(
        &state_->handle,
        [](uv_timer_t* handle) {
            auto* state = static_cast<State*>(handle->data);
            state->loop->now_known = false;  // so that now() is not before the time asked for
            state->callback();
        },
        static_cast<std::uint64_t>(millis), 0));
}

void Timer::set_after(base::Duration delay) {
    set_at(detail::read_clock() + std::clamp(delay, base::Duration::zero(), timer_delay_max));
}

void Timer::clear() {
    detail::must(uv_timer_stop(&state_->handle));
}

bool Timer::is_set() const {
    return state_ != nullptr && uv_is_active(reinterpret_cast<uv_handle_t*>(&state_->handle));
}

}  // namespace gateway::io
