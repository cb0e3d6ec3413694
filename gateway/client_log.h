// How a client is called in the log, and what the protocol trace (-V) says of it, as stock NATS words both.
// Pure.  Leaves to others: when something is logged (gateway/shard), the line's format (gateway/log).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "compat/client_session.h"
#include "routing/base/bytes.h"

namespace gateway {

/// What is logged of clients.
struct ClientLogSettings {
    bool debug = false;
    bool trace = false;
    bool trace_headers = false;          ///< of messages only the header block
    std::uint32_t traced_bytes_max = 0;  ///< of a message; 0: all of it
};

/// What a line about this client begins with: `1.2.3.4:5678 - cid:9 - `, and once it has said CONNECT
/// `1.2.3.4:5678 - cid:9 - "v1.2:go:app" - "$G/user:joe" - `.
/// Source: nats-server server/client.go processConnect, initClient.
[[nodiscard]] std::string client_log_prefix(std::string_view address, const compat::ClientSession& session,
                                            std::string_view account);

/// A CONNECT's JSON with passwords, tokens, keys and signatures replaced by `[REDACTED]`.
/// Source: nats-server server/client.go removeSecretsFromTrace.
[[nodiscard]] std::string redact_secrets(std::string_view connect);

/// The text of a traced body, `<<- MSG_PAYLOAD: ["..."]`; empty where stock writes no line (nothing to show).
/// `arrow` is "<<-" or "->>"; `body` begins with `header_bytes` of headers.
/// Source: nats-server server/client.go traceMsgInternal.
[[nodiscard]] std::string traced_payload(std::string_view arrow, base::ByteView body, std::size_t header_bytes,
                                         const ClientLogSettings& settings);

/// Cuts what a client sends into lines and bodies, so that each is traced before it takes effect.
/// Threads: one at a time.  Life: one per connection, made while its parser is between two lines.
class InputTrace {
  public:
    /// How many bytes at the front of `in` (not empty) belong to the line or body that comes next.  `text` is what is
    /// to be traced before they are parsed; empty: nothing, or not yet.
    [[nodiscard]] std::size_t next(base::ByteView in, const ClientLogSettings& settings, std::string& text);

  private:
    void on_line(std::string_view line, std::string& text);

    base::Bytes held_;           // of a line or body that is not whole
    std::size_t body_left_ = 0;  // bytes of the body and its "\r\n" to come
    std::size_t header_bytes_ = 0;
};

}  // namespace gateway
