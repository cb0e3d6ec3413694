// What the operator asked for: config file, flags and environment, checked once, as one plain struct.
// Flags are written as in Go (one or two dashes, `-p 4222` or `--port=4222`), so that the command lines of stock
// nats-server work; the ones below that line are ours.
// Leaves to others: the config file (later; it is refused by name until then), opening anything.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "compat/nats_limits.h"
#include "compat/subject_mappings.h"
#include "routing/base/time.h"
#include "routing/peer/compress.h"
#include "routing/queue_policy.h"

namespace gateway {

/// Source: nats-server server/const.go DEFAULT_PORT, DEFAULT_HOST.
inline constexpr std::uint16_t client_port_default = 4222;
/// Connections of clients at most.  Source: nats-server server/const.go DEFAULT_MAX_CONNECTIONS.
inline constexpr std::uint32_t connections_max_default = 65536;
/// Bytes that may wait for one client before it is cut as a slow consumer.
/// Source: nats-server server/const.go MAX_PENDING_SIZE.
inline constexpr std::uint64_t pending_bytes_max_default = std::uint64_t{64} * 1024 * 1024;
/// The most that max_payload and max_control_line may be set to.  Unit: bytes.
/// Source: nats-server opts.go, "value is too big".
inline constexpr std::uint32_t payload_bytes_most = 0x7fffffff;
/// Above it a gateway warns at its start.  Unit: bytes.  Source: nats-server server/const.go MAX_PAYLOAD_MAX_SIZE.
inline constexpr std::uint32_t payload_bytes_advised = std::uint32_t{8} * 1024 * 1024;
/// The most that max_sub_tokens may be set to.  Source: nats-server opts.go (a uint8).
inline constexpr std::uint32_t sub_tokens_most = 255;
/// Source: nats-server server/const.go DEFAULT_FLUSH_DEADLINE.
inline constexpr base::Duration write_deadline_default = std::chrono::seconds(10);
/// Source: nats-server server/const.go DEFAULT_LAME_DUCK_DURATION, DEFAULT_LAME_DUCK_GRACE_PERIOD; opts.go.
inline constexpr base::Duration lame_duck_duration_default = std::chrono::minutes(2);
inline constexpr base::Duration lame_duck_grace_default = std::chrono::seconds(10);
inline constexpr base::Duration lame_duck_duration_least = std::chrono::seconds(30);
/// Event loops of one gateway at most.  Source: DESIGN 3.
inline constexpr std::uint32_t shards_max = 8;
/// The longest that a loop may look for work before it sleeps (--spin).  Source: ours: beyond it a core is only heated.
inline constexpr base::Duration spin_max = std::chrono::milliseconds(100);
/// Source: DESIGN 4.6.
inline constexpr std::uint16_t tree_port_default = 7522;
/// How many addresses `--join` takes.  A tree needs one.
inline constexpr std::size_t join_addresses_max = 64;
/// Children of one gateway before it sends further ones on to them.  Source: DESIGN 4.6.
inline constexpr std::uint32_t children_max_default = 10;
/// The most that max_children may be set to.  Source: trees of up to 256 gateways, DESIGN 4.4.
inline constexpr std::uint32_t children_most = 256;
/// How many durable filters a gateway may be given.  Each is a local queue and a log entry at every member.
inline constexpr std::size_t durable_filters_max = 256;
/// Source: DurableOptions::dump_keep.
inline constexpr std::uint64_t dump_keep_default = 1000;
/// More would be a second store.  About 40 bytes each.
inline constexpr std::uint64_t dump_keep_max = 10'000'000;
/// The longest secret of a tree.  Unit: bytes.
inline constexpr std::size_t secret_bytes_max = 1024;
/// How long a region or a tag may be.  Unit: bytes.
inline constexpr std::size_t tag_bytes_max = 128;
/// Tags of one gateway.  Each is an entry of its log, which every member holds.
inline constexpr std::size_t tags_max = 64;
/// Filters with a queue policy of their own.  Looked through whenever a route with groups is made.
inline constexpr std::size_t queue_policies_max = 256;
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
    std::vector<std::string> join;  ///< "host:port", or a name, whose SRV records or the default port say the port
    std::string advertise;          ///< see advertised_address()
    std::string name = "treegate";  ///< of the tree; gateways of another are refused
    std::string secret;             ///< empty: none
    std::string region;             ///< where this gateway stands, for Tree-To and Tree-Forbid; empty: nowhere
    std::vector<std::string> tags;  ///< what else it is called there
    std::uint32_t max_children = children_max_default;
    routing::peer::Compression compression = routing::peer::Compression::automatic;  ///< of links
    routing::QueuePolicies queue_policies{};
};

/// Durable subjects; DESIGN 5.
struct DurableConfig {
    std::vector<std::string> filters;  ///< this gateway's own; those of other members count as well
    /// How many of the newest records the local queues keep for `queue dump` after everybody has them.
    std::uint64_t dump_keep = dump_keep_default;
};

/// What clients are held to.  Names as in the config file of stock NATS.
struct LimitsConfig {
    std::uint32_t max_payload = static_cast<std::uint32_t>(compat::payload_bytes_max);            ///< bytes
    std::uint32_t max_control_line = static_cast<std::uint32_t>(compat::control_line_bytes_max);  ///< bytes
    std::uint32_t max_connections = connections_max_default;      ///< 0: nobody may connect
    std::uint32_t max_subscriptions = compat::subscriptions_max;  ///< of one connection; 0: no limit
    std::uint32_t max_sub_tokens = 0;                             ///< tokens of a SUB's subject; 0: no limit
    std::uint64_t max_pending = pending_bytes_max_default;        ///< bytes
    base::Duration ping_interval = compat::ping_interval;
    std::uint32_t ping_max = compat::ping_out_max;
    base::Duration write_deadline = write_deadline_default;
    bool no_header_support = false;
    bool no_fast_producer_stall = false;

    friend bool operator==(const LimitsConfig&, const LimitsConfig&) = default;
};

/// What is logged, how, and where to.
struct LogConfig {
    std::string file;  ///< empty: stderr
    bool debug = false;
    bool trace = false;          ///< the protocol, line by line
    bool trace_verbose = false;  ///< what the system account does as well
    bool trace_headers = false;  ///< of messages only the headers
    bool time = true;            ///< each line begins with the time
    bool time_utc = false;
    std::uint64_t size_limit = 0;        ///< of the file; bytes; above it it is rotated; 0: never
    std::uint32_t max_files = 0;         ///< the file and its backups; 0: all are kept
    std::uint32_t traced_bytes_max = 0;  ///< of a message that is traced; 0: all of it
    bool syslog = false;
    std::string remote_syslog;  ///< "udp://host:port"; empty: the local one

    friend bool operator==(const LogConfig&, const LogConfig&) = default;
};

/// How clients are sent away before the end; nats-server "lame duck mode".
struct LameDuckConfig {
    base::Duration duration = lame_duck_duration_default;  ///< over which clients are closed
    base::Duration grace = lame_duck_grace_default;        ///< before the first is closed

    friend bool operator==(const LameDuckConfig&, const LameDuckConfig&) = default;
};

struct Config {
    std::string program = "treegate";  ///< the base name that it was called by; "nats-server" makes it speak as that
    ListenAddress client{.host = "0.0.0.0", .port = client_port_default};
    std::string client_advertise;  ///< "host" or "host:port" that clients are told instead; empty: none
    std::string server_name;       ///< empty: the server id, as in stock
    std::string pid_file;
    std::string ports_file_dir;
    LimitsConfig limits;
    LogConfig log;
    LameDuckConfig lame_duck;
    std::uint32_t shards = 0;  ///< event loops; 0: as many as shard_count() says
    base::Duration spin{};     ///< how long a loop looks for work before it sleeps; 0: not at all
    std::vector<std::string> server_tags;
    std::map<std::string, std::string> server_metadata;
    std::vector<compat::Mapping> mappings;  ///< in the order of the file; each without SubjectMappings::error_of

    std::optional<TreeConfig> tree;  ///< empty: a NATS server on its own
    DurableConfig durable;

    /// Where identity and store live.  Empty: nothing is kept (neither a tree nor durable subjects were asked for).
    std::string data_dir;

    std::string config_file;    ///< the file that was read; empty: none
    std::string config_digest;  ///< "sha256:..." of what it says; empty without a file
    /// What the operator should know although nothing is wrong; to be logged at the start.
    std::vector<std::string> warnings;
};

/// How many event loops `config` asks for, on a machine with `cores` of them: cores - 1, 1 to shards_max, by default.
[[nodiscard]] std::uint32_t shard_count(const Config& config, std::uint32_t cores);

/// What `tree.advertise` means once the tree's port is known: with a port as it is, without one with `port`; empty
/// stays empty (then the others take the address that they see, with our port).
[[nodiscard]] std::string advertised_address(const TreeConfig& tree, std::uint16_t port);

/// What a command line came to.
struct ConfigError {
    std::vector<std::string> lines;  ///< one clear sentence each, all that is wrong
    bool help_helps = false;         ///< a flag is among it
};
/// Print this and end with exit code 0 (`--help`, `--version`, `-t`).
struct ConfigText {
    std::string text;
    bool to_stderr = false;
};
/// Do what signal_command.h does with it, and end (`--signal`).
struct SignalRequest {
    std::string request;  ///< "reload", "ldm=4711", "quit=/run/nats.pid"
};
using ConfigOutcome = std::variant<Config, ConfigText, ConfigError, SignalRequest>;

/// Looks up a variable of the environment; nothing if it is not set.
using Environment = std::function<std::optional<std::string>(const char*)>;
[[nodiscard]] std::optional<std::string> process_environment(const char* name);

/// Reads and checks a command line (without the program's name) and the config file that it names, as a whole.  Opens
/// nothing but that file, those that it includes, and the tree's secret.
/// `program`: what it was called by, a path or a name.
[[nodiscard]] ConfigOutcome read_config(std::span<const char* const> arguments, const Environment& environment,
                                        std::string_view program = "treegate");

/// Reads it all again, for a reload.  Empty: there is no config file to reload.
using ConfigReader = std::function<ConfigOutcome()>;

/// The text of `--help`.
[[nodiscard]] std::string help_text();

/// "nats-server" of "/usr/bin/nats-server".
[[nodiscard]] std::string_view base_name(std::string_view path);

}  // namespace gateway
