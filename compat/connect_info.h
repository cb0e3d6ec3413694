// The two JSON texts of the client protocol as plain structs: CONNECT (from the client) and INFO (to it).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "routing/base/bytes.h"

namespace compat {

/// The version that clients see in INFO and gate features on, so it must not promise what is not there.  What is there
/// is all of core NATS, the Nats-Subject of 2.12's 503 and the mapping functions of 2.15 too; but from 2.11 on a
/// version also promises message tracing (`nats trace` asks for 2.11) and, to clients that look at it before
/// `jetstream` and `api_lvl` (both absent), newer JetStream requests.  What the six official clients gate
/// on a version is JetStream alone, so a higher number would win nothing.  Plain major.minor.patch: some clients refuse
/// a suffix.
inline constexpr std::string_view protocol_version_announced = "2.10.29";

/// `go` is a required key of INFO; clients only display it.
inline constexpr std::string_view runtime_announced = "c++20";

/// What a CONNECT may say.  Defaults are what holds before any CONNECT, too.
/// Source: nats-server server/client.go ClientOpts and defaultOpts.
struct ConnectOptions {
    bool verbose = true;
    bool pedantic = true;
    bool echo = true;
    bool tls_required = false;
    bool headers = false;
    bool no_responders = false;
    bool new_account = false;
    std::int64_t protocol = 0;
    std::string name;
    std::string lang;
    std::string version;
    std::string user;
    std::string pass;
    std::string auth_token;
    std::string jwt;
    std::string nkey;
    std::string sig;
    std::string account;
};

/// Reads a CONNECT's JSON over `options`: a key that is missing (or null) keeps what is there, so a second CONNECT
/// inherits from the first.  Keys are known in any case, unknown ones are skipped, the last of several wins.
/// Errors:  false if it is not JSON, not an object (null is fine), or a known key has the wrong type; `options` is then
///          partly changed, the connection is to be closed.
/// Limits:  the caller bounds `json` (control_line_bytes_max); nesting costs no stack and ends at json_depth_max.
/// Source:  Go's encoding/json as used by nats-server server/client.go processConnect; compat/json.h.
[[nodiscard]] bool parse_connect(std::string_view json, ConnectOptions& options);

/// True if `json` is an object (or null) whose known keys have values of the right type, which is all that is asked of
/// an INFO from a client.  (Of "gateway_cmd_payload", which no client has a use for, the type is not looked at.)
[[nodiscard]] bool is_info(std::string_view json);

/// What INFO tells that is the same for all clients of a gateway, and (below) what differs.
/// Empty strings, false and 0 are left out, except where the comment says "always".
/// Source: nats-server server/server.go Info.
struct ServerInfo {
    std::string server_id;                            ///< always
    std::string server_name;                          ///< always
    std::string version{protocol_version_announced};  ///< always
    std::string go{runtime_announced};                ///< always
    std::string host;                                 ///< always
    std::uint16_t port = 0;                           ///< always
    std::uint32_t max_payload = 0;                    ///< always
    std::string git_commit;
    std::string cluster;
    std::vector<std::string> connect_urls;  ///< must stay empty for a gateway that clients cannot replace
    bool auth_required = false;
    bool tls_required = false;
    bool tls_verify = false;
    bool tls_available = false;
    bool headers = true;           ///< always; false: no client may send or get header blocks
    std::string treegate_version;  ///< ours: key "treegate"
};

/// What INFO tells one client.
struct ClientInfo {
    std::uint64_t client_id = 0;
    std::string_view client_ip;
    std::string_view nonce;
    bool lame_duck = false;     ///< this gateway is about to close its clients
    bool connect_info = false;  ///< the second INFO, after the first PING
    std::string_view remote_account;
};

/// Appends "INFO {json} \r\n" (with stock's blank before the line's end).
void append_info(base::Bytes& out, const ServerInfo& server, const ClientInfo& client);

}  // namespace compat
