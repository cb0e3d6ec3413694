// The product's own client side without sockets: transcripts played against gateway/shard, on one loop or on several.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "tests/support/pure_gateway.h"
#include "tests/wire/transcript.h"

namespace wire {

class ShardTarget : public WireTarget {
  public:
    /// `options` are the transcript's; what is sent arrives in pieces of at most `piece_bytes`.
    ShardTarget(const WireOptions& options, routing::ShardIndex shards, std::size_t piece_bytes);

    bool connect(const std::string& client) override;
    void send(const std::string& client, std::string_view bytes) override;
    Received receive(const std::string& client, std::string& buffer) override;
    void hang_up(const std::string& client) override;

  private:
    support::PureGateway gateway_;
    std::size_t piece_bytes_;
    bool time_passes_;
    std::map<std::string, support::PureGateway::Remote*> remotes_;
};

}  // namespace wire
