// The whole gateway on one loop: listeners, client sockets, the shard, signals, and (where a tree or durable subjects
// were asked for) the tree side.  Leaves to others: what is said and decided (gateway/shard, routing/node).
#pragma once

#include "gateway/config.h"

namespace gateway {

/// Runs a gateway until it is told to end.  Returns the exit code: 0 after SIGINT or SIGTERM, 1 if it could not start
/// (the log says why).  Threads: the caller's becomes the shard's.
int run_gateway(const Config& config);

}  // namespace gateway
