#include "gateway/io/signal_watcher.h"

#include <csignal>
#include <memory>
#include <utility>

#include "gateway/io/uv_state.h"

namespace gateway::io {

struct SignalWatcher::State {
    uv_signal_t handle{};
    std::shared_ptr<std::function<void(int)>> callback;  // one for all signals of a watcher
};

SignalWatcher::SignalWatcher(EventLoop& loop, std::initializer_list<int> signals, std::function<void(int)> callback) {
    const auto shared = std::make_shared<std::function<void(int)>>(std::move(callback));
    for (const int number : signals) {
        auto* state = new State;
        states_.push_back(state);
        state->callback = shared;
        detail::must(uv_signal_init(&loop.state().loop, &state->handle));
        state->handle.data = state;
        detail::must(uv_signal_start(
            &state->handle,
            [](uv_signal_t* handle, int received) { (*static_cast<State*>(handle->data)->callback)(received); },
            number));
        uv_unref(reinterpret_cast<uv_handle_t*>(&state->handle));
    }
}

SignalWatcher::~SignalWatcher() {
    for (State* state : states_) {
        uv_close(reinterpret_cast<uv_handle_t*>(&state->handle),
                 [](uv_handle_t* handle) { delete static_cast<State*>(handle->data); });
    }
}

SignalWatcher::SignalWatcher(SignalWatcher&& other) noexcept : states_(std::exchange(other.states_, {})) {}

SignalWatcher& SignalWatcher::operator=(SignalWatcher&& other) noexcept {
    SignalWatcher gone(std::move(other));
    std::swap(states_, gone.states_);
    return *this;
}

SignalsBlocked::SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS}) sigdelset(&all, fault);
    BASE_CHECK(pthread_sigmask(SIG_SETMASK, &all, &before_) == 0);
}

SignalsBlocked::~SignalsBlocked() {
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

}  // namespace gateway::io
