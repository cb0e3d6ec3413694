// `--signal`: tells a running gateway to stop, reload ...  Source: nats-server signal.go.
// Leaves to others: what a gateway does then (server).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "routing/base/result.h"

namespace gateway {

/// The ids of other processes of this program, by either of its names.  Errors: a sentence.
using ProcessFinder = std::function<base::Result<std::vector<pid_t>, std::string>()>;

/// Those that /proc names `treegate` or `nats-server`, without this one.
[[nodiscard]] base::Result<std::vector<pid_t>, std::string> find_gateways();

/// Sends what `request` says: "COMMAND", "COMMAND=PID", "COMMAND=FILE" (of --pid), or "COMMAND=DIGITS*", which means
/// every gateway whose id begins so.  Without a pid there must be exactly one.
/// Commands: stop (SIGKILL), quit (INT), term, reopen (USR1), reload (HUP), ldm (USR2).
/// Returns what went wrong, in stock's words, or nothing.
[[nodiscard]] std::string send_signal(std::string_view request, const ProcessFinder& find);

}  // namespace gateway
