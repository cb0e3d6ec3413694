// Sees what gateways write to each other, and counts how often each message of the clients went over a link.
// Leaves to others: how often it may (history, checks).
#pragma once

#include "routing/base/bytes.h"
#include "routing/peer/compress.h"
#include "routing/sim/network.h"

namespace routing::sim {

class History;

/// Threads: one.  Borrows `history` for life.
class WireTap {
  public:
    explicit WireTap(History& history) : history_(history) {}
    /// What one lane's connection from a gateway to a neighbour gets to write: whole frames.
    void on_output(HostIndex to, base::ByteView frames);

  private:
    void on_records(HostIndex to, base::ByteView body);

    History& history_;
    peer::Compressor compressor_;
    base::Bytes raw_;
};

}  // namespace routing::sim
