// What the operator asked for: flags and environment, checked once, as one plain struct.
// Flags are written as in Go (one or two dashes, `-p 4222` or `--port=4222`), so that the command lines of stock
// nats-server work; the ones below that line are ours.
// Leaves to others: the config file (later; it is refused by name until then), opening anything.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace gateway {

/// Source: nats-server server/const.go DEFAULT_PORT, DEFAULT_HOST.
inline constexpr std::uint16_t client_port_default = 4222;
/// Source: DESIGN 4.6.
inline constexpr std::uint16_t tree_port_default = 7522;
/// How many addresses `--join` takes.  A tree needs one.
inline constexpr std::size_t join_addresses_max = 64;
/// How many durable filters a gateway may be given.  Each is a local queue and a log entry at every member.
inline constexpr std::size_t durable_filters_max = 256;
/// Source: DurableOptions::dump_keep.
inline constexpr std::uint64_t dump_keep_default = 1000;
/// More would be a second store.  About 40 bytes each.
inline constexpr std::uint64_t dump_keep_max = 10'000'000;
/// The longest secret of a tree.  Unit: bytes.
inline constexpr std::size_t secret_bytes_max = 1024;
/// How long a name may be.  Unit: bytes.  It is one token of the subjects `$TREE.REQ.<name>.>`.
inline constexpr std::size_t name_bytes_max = 128;

/// Where to listen.
struct ListenAddress {
    std::string host = "0.0.0.0";  ///< "0.0.0.0" is every address, IPv4 and IPv6
    std::uint16_t port = 0;        ///< 0: any free one
    bool port_is_default = false;  ///< nobody asked for this very port: if it is taken, take a free one and log it
};

/// This gateway's place in a tree; DESIGN 4.
struct TreeConfig {
    ListenAddress listen;
    std::vector<std::string> join;  ///< "host:port" each, the port always there
    std::string advertise;          ///< see advertised_address()
    std::string name = "treegate";  ///< of the tree; gateways of another are refused
    std::string secret;             ///< empty: none
};

/// Durable subjects; DESIGN 5.
struct DurableConfig {
    std::vector<std::string> filters;  ///< this gateway's own; those of other members count as well
    /// How many of the newest records the local queues keep for `queue dump` after everybody has them.
    std::uint64_t dump_keep = dump_keep_default;
};

struct Config {
    ListenAddress client{.host = "0.0.0.0", .port = client_port_default};
    std::string server_name;  ///< empty: the server id, as in stock
    std::string pid_file;
    std::string ports_file_dir;
    std::string log_file;  ///< empty: stderr
    bool debug = false;
    std::uint32_t shards = 1;

    std::optional<TreeConfig> tree;  ///< empty: a NATS server on its own
    DurableConfig durable;

    /// Where identity and store live.  Empty: nothing is kept (neither a tree nor durable subjects were asked for).
    std::string data_dir;
};

/// What `tree.advertise` means once the tree's port is known: with a port as it is, without one with `port`; empty
/// stays empty (then the others take the address that they see, with our port).
[[nodiscard]] std::string advertised_address(const TreeConfig& tree, std::uint16_t port);

/// What a command line came to.
struct ConfigError {
    std::vector<std::string> lines;  ///< one clear sentence each, all that is wrong
};
/// Print this and end with exit code 0 (`--help`, `--version`).
struct ConfigText {
    std::string text;
};
using ConfigOutcome = std::variant<Config, ConfigText, ConfigError>;

/// Looks up a variable of the environment; nothing if it is not set.
using Environment = std::function<std::optional<std::string>(const char*)>;
[[nodiscard]] std::optional<std::string> process_environment(const char* name);

/// Reads and checks a command line (without the program's name) as a whole.  Opens nothing except the file of
/// `--secret-file`.
[[nodiscard]] ConfigOutcome read_config(std::span<const char* const> arguments, const Environment& environment);

/// The text of `--help`.
[[nodiscard]] std::string help_text();

}  // namespace gateway
