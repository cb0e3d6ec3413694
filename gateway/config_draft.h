// What file and flags say, before it is checked as a whole; and the checks that both need.
// Leaves to others: the flags' names (config_flags), the file's keys (config_file), what only shows at the end
// (config).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/config.h"
#include "gateway/flags.h"

namespace gateway {

inline constexpr std::string_view not_yet = "known, not supported yet";
inline constexpr std::string_view stock_not_yet = "known to nats-server, not supported yet";

/// The client port of a file or flag that asks for any free one.  Source: nats-server RANDOM_PORT.
inline constexpr long port_random = -1;

struct Draft {
    Config config;
    TreeConfig tree;
    long client_port = 0;            ///< 0: the default; -1: any free one
    bool tree_listen_given = false;  ///< by flag or file
    std::string secret_file;
    std::vector<std::string> tree_only;  ///< what was given and means nothing without a tree
    bool joins_by_flag = false;          ///< then those of the file are gone
    bool filters_by_flag = false;
    bool tags_by_flag = false;
    bool policies_by_flag = false;

    // The command line alone.
    bool help = false;
    bool version = false;
    bool check = false;  ///< -t
    bool signal_given = false;
    std::string signal;
};

// Each returns what is wrong with `text`, or nothing.  A sentence without its subject: "'x' is not ...".

/// "[HOST]:PORT" of the tree's listener.
[[nodiscard]] std::string read_tree_listen(std::string_view text, ListenAddress& listen);
/// A region or a tag: a word that may stand in the lists of the headers Tree-To and Tree-Forbid.
[[nodiscard]] std::string check_tag(std::string_view text);
[[nodiscard]] std::string add_tag(std::string_view text, std::vector<std::string>& tags);
/// "auto", "off" or "zstd".
[[nodiscard]] std::string read_compression(std::string_view text, routing::peer::Compression& compression);
[[nodiscard]] std::string_view name_of(routing::peer::Compression compression);
/// "host" or "host:port" that other gateways are told: one that leads somewhere.
[[nodiscard]] std::string check_advertise(std::string_view text);
/// `filter` empty: for all subjects that no other filter matches.
[[nodiscard]] std::string add_queue_policy(std::string_view filter, std::string_view policy,
                                           routing::QueuePolicies& policies);
/// "host" or "host:port", the port `port_least` to 65535.
[[nodiscard]] std::string check_address(std::string_view text, long port_least = 1);
/// One address of a member, or a name behind which members are; the tree's default port is added to an address.
[[nodiscard]] std::string add_join(std::string_view text, std::vector<std::string>& joins);
[[nodiscard]] std::string add_filter(std::string_view text, std::vector<std::string>& filters);
[[nodiscard]] std::string check_durability(std::string_view text);
/// "udp://host:port", and nothing else for now.
[[nodiscard]] std::string check_remote_syslog(std::string_view text);
/// A span of time of 0 to `most`.
[[nodiscard]] std::string read_duration(std::string_view text, base::Duration most, base::Duration& duration);
/// The fields of a list on the command line: commas and blanks part them, as in nats-server's --routes.
[[nodiscard]] std::vector<std::string> split_list(std::string_view text);
/// `address` with `port` where it has none.
[[nodiscard]] std::string with_port(std::string_view address, std::uint16_t port);

/// The flags of a gateway; they write into `draft`, which outlives them.
[[nodiscard]] std::vector<FlagGroup> gateway_flags(Draft& draft);

}  // namespace gateway
