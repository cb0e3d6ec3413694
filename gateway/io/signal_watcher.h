// Signals of the process, as callbacks of a loop.
#pragma once

#include <csignal>
#include <functional>
#include <initializer_list>
#include <vector>

#include "gateway/io/event_loop.h"

namespace gateway::io {

/// Calls back with the number of each signal of `signals` (SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 ...), whose
/// default action is then off until it is destroyed.  It does not keep the loop running.  Threads: the loop's.
class SignalWatcher {
  public:
    SignalWatcher() = default;
    SignalWatcher(EventLoop& loop, std::initializer_list<int> signals, std::function<void(int)> callback);
    ~SignalWatcher();
    SignalWatcher(SignalWatcher&&) noexcept;
    SignalWatcher& operator=(SignalWatcher&&) noexcept;

    struct State;

  private:
    std::vector<State*> states_;  // each freed in its close callback
};

/// While it lives, the calling thread (and each thread that it starts) gets no signal but those that its own faults
/// raise.  Signals that arrive meanwhile wait.  Threads: made and destroyed by one.
class SignalsBlocked {
  public:
    SignalsBlocked();
    ~SignalsBlocked();
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

  private:
    sigset_t before_{};
};

}  // namespace gateway::io
