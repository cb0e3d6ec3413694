// The sockets between gateways: dials, accepted connections, and what waits to be written to each.
// Leaves to others: what is said on them (routing/peer/tree).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "gateway/io/event_loop.h"
#include "gateway/io/name_lookup.h"
#include "gateway/io/tcp_connection.h"
#include "gateway/io/tcp_dial.h"
#include "routing/peer/tree.h"

namespace gateway {

/// Whose SRV records of a --join name without a port say where members are.
inline constexpr std::string_view tree_service = "_treegate._tcp";

/// The transports half of routing::peer::TreeHost, over libuv.
/// Threads: the tree shard's.  Life: outlives the Tree that it serves; set_tree() before the first transport.
class TreeTransports {
  public:
    explicit TreeTransports(io::EventLoop& loop);
    ~TreeTransports();
    TreeTransports(const TreeTransports&) = delete;
    TreeTransports& operator=(const TreeTransports&) = delete;

    void set_tree(routing::peer::Tree* tree) { tree_ = tree; }

    /// Somebody dialled us.
    void accepted(io::Socket socket);

    // See TreeHost.
    routing::peer::TransportId dial(std::string_view address);
    void resolve(std::string_view name);
    void close_transport(routing::peer::TransportId id, base::Bytes last_words);
    void pause_reading(routing::peer::TransportId id);
    void resume_reading(routing::peer::TransportId id);
    void output_waiting(routing::peer::TransportId id) { waiting_.push_back(id); }

    /// End of a turn: writes what the Tree has put out.
    void flush();
    /// True if flush() has work: more output came while it wrote.
    [[nodiscard]] bool has_output() const { return !waiting_.empty(); }
    [[nodiscard]] std::size_t count() const { return transports_.size(); }

  private:
    class Transport;

    void dialed(routing::peer::TransportId id, base::Result<io::Socket, io::IoError> outcome);
    void gone(routing::peer::TransportId id, io::CloseReason reason);

    io::EventLoop& loop_;
    routing::peer::Tree* tree_ = nullptr;
    routing::peer::TransportId last_ = 0;
    std::unordered_map<routing::peer::TransportId, std::unique_ptr<Transport>> transports_;
    std::vector<routing::peer::TransportId> waiting_;
    std::map<std::string, std::unique_ptr<io::NameLookup>, std::less<>> lookups_;  // by name; one at a time for each
};

}  // namespace gateway
