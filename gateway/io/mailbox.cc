#include "gateway/io/mailbox.h"

#include <utility>

#include "gateway/io/uv_state.h"

namespace gateway::io {

struct Mailbox::State {
    uv_async_t handle{};
    detail::LoopState* loop = nullptr;
    std::function<void()> callback;
    bool open = true;
};

Mailbox::Mailbox(EventLoop& loop, std::function<void()> callback) : state_(new State) {
    state_->callback = std::move(callback);
    state_->loop = &loop.state();
    detail::must(uv_async_init(&loop.state().loop, &state_->handle, [](uv_async_t* handle) {
        auto* state = static_cast<State*>(handle->data);
        if (!state->open) return;
        ++state->loop->events;
        state->callback();
    }));
    state_->handle.data = state_;
}

Mailbox::~Mailbox() {
    if (state_ == nullptr) return;
    state_->open = false;
    uv_close(reinterpret_cast<uv_handle_t*>(&state_->handle),
             [](uv_handle_t* handle) { delete static_cast<State*>(handle->data); });
}

Mailbox::Mailbox(Mailbox&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}

Mailbox& Mailbox::operator=(Mailbox&& other) noexcept {
    Mailbox gone(std::move(other));
    std::swap(state_, gone.state_);
    return *this;
}

void Mailbox::wake() {
    detail::must(uv_async_send(&state_->handle));
}

}  // namespace gateway::io
