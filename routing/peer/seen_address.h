// Where this gateway can be dialled, when nobody has said so: at the address that its peers see, with the port that it
// listens on.  Who dialled us has found us where it dialled; who was dialled by us sees the host we come from.
// Pure text.  Leaves to others: who is asked (tree_links), sockets.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace routing::peer {

/// How far an address leads.  Ordered: the further the better.
enum class AddressReach : std::uint8_t {
    none,       ///< nowhere: unspecified, or no address at all
    loopback,   ///< this machine: means somebody else on another one
    local_net,  ///< link-local: this network segment
    anywhere,   ///< any other address, and every name
};

/// Of "host:port" or "[v6]:port", the host a name or an address as inet_ntop writes it.
[[nodiscard]] AddressReach reach_of(std::string_view address);

/// `seen` (see Hello) as an address that others can dial.  `they_dialled`: it is what they dialled; else it is where we
/// came from, and its port is replaced by `listen_port`.  Empty: `seen` is no numeric address with a port.
[[nodiscard]] std::string dialable(std::string_view seen, bool they_dialled, std::uint16_t listen_port);

}  // namespace routing::peer
