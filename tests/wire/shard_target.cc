#include "tests/wire/shard_target.h"

#include <algorithm>
#include <utility>

#include "routing/base/check.h"

namespace wire {

ShardTarget::ShardTarget(const WireOptions& options, routing::ShardIndex shards, std::size_t piece_bytes)
    : gateway_(shards), piece_bytes_(piece_bytes), time_passes_(time_passes(options)) {
    apply_options(options, gateway_.settings);
}

bool ShardTarget::connect(const std::string& client) {
    remotes_[client] = &gateway_.connect();
    gateway_.settle();
    return true;
}

void ShardTarget::send(const std::string& client, std::string_view bytes) {
    auto& remote = *remotes_.at(client);
    while (!bytes.empty() && !remote.closed) {
        // In memory of its own, so that a sanitizer sees what is used after its time.
        const std::string piece(bytes.substr(0, piece_bytes_));
        bytes.remove_prefix(piece.size());
        gateway_.send(remote, piece);
    }
    gateway_.settle();
}

WireTarget::Received ShardTarget::receive(const std::string& client, std::string& buffer) {
    auto& remote = *remotes_.at(client);
    if (remote.received.empty() && time_passes_ && !remote.closed) {
        gateway_.now = std::max(gateway_.now, remote.client->session.next_deadline());
        for (int turns = 0; remote.received.empty() && turns < 5; ++turns) {
            gateway_.settle();
            gateway_.now += gateway::sweep_interval_min;
        }
    }
    if (remote.received.empty()) return remote.closed ? Received::closed : Received::nothing;
    buffer += support::PureGateway::take(remote);
    return Received::bytes;
}

void ShardTarget::hang_up(const std::string& client) {
    gateway_.hang_up(*remotes_.at(client));
    gateway_.settle();
}

}  // namespace wire
