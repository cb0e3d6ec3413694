// The whole gateway on one loop: listeners, client sockets, the shard, signals, and (where a tree or durable subjects
// were asked for) the tree side.  Leaves to others: what is said and decided (gateway/shard, routing/node).
#pragma once

#include <functional>

#include "gateway/config.h"

namespace gateway {

/// Runs a gateway until it is told to end.  Returns the exit code: 0 after SIGINT, SIGTERM or lame duck mode, 1 if it
/// could not start (the log says why).  `reread` reads the config again from where it came, for SIGHUP.
/// Threads: the caller's becomes the control loop.
int run_gateway(const Config& config, const ConfigReader& reread = {});

}  // namespace gateway
