// What a client did wrong: one value per case, the exact -ERR text that stock sends, and whether the connection ends.
// A text that clients do not know makes nats.c give up for good, so nothing is ever invented here.
#pragma once

#include <cstdint>
#include <string_view>

#include "routing/base/bytes.h"

namespace compat {

enum class NatsError : std::uint8_t {
    none,                           ///< nothing is wrong
    unknown_operation,              ///< a byte that no verb can have there, or a payload that does not end in "\r\n"
    bad_arguments,                  ///< wrong number of arguments or a bad size; stock says nothing and closes
    bad_connect,                    ///< CONNECT or INFO without valid JSON; stock says nothing and closes
    headers_not_negotiated,         ///< HPUB without "headers":true; stock says nothing and closes
    client_said_error,              ///< the client sent -ERR; stock says nothing and closes
    control_line_too_long,          ///< the arguments exceed control_line_bytes_max
    payload_too_large,              ///< the announced size exceeds max_payload
    client_protocol,                ///< CONNECT with a `protocol` other than 0 and 1
    no_responders_without_headers,  ///< CONNECT with no_responders but without headers
    authorization,                  ///< not allowed in (also: CONNECT that names an account)
    authentication_timeout,         ///< no CONNECT in time
    stale_connection,               ///< too many PINGs unanswered
    too_many_connections,           ///< the gateway is full
    slow_consumer,                  ///< pending bytes above max_pending; stock says nothing and closes
    server_shutdown,                ///< the gateway ends; stock says nothing and closes
    invalid_subject,                ///< SUB with an empty token or something after `>`; the connection stays
    invalid_publish_subject,        ///< pedantic only; the message still goes out and the connection stays
    too_many_subscriptions,         ///< SUB above the limit; the connection stays
};

/// The text between the single quotes of the -ERR line; empty where stock closes without a word.
[[nodiscard]] std::string_view error_text(NatsError error);

/// True if the connection ends after `error`.
[[nodiscard]] bool error_closes(NatsError error);

/// Why the connection was closed, as stock's monitoring names it; empty for an error that does not close.
/// Source: nats-server server/monitor.go ClosedState.
[[nodiscard]] std::string_view closed_reason(NatsError error);

/// Appends the -ERR line of `error`, or nothing where stock is silent.
void append_error(base::Bytes& out, NatsError error);

/// Appends `-ERR 'Permissions Violation for Publish to "subject"'`.  The connection stays.
void append_publish_violation(base::Bytes& out, std::string_view subject);
/// Appends `-ERR 'Permissions Violation for Publish with Reply of "reply"'`.  The connection stays.
void append_reply_violation(base::Bytes& out, std::string_view reply);
/// Appends `-ERR 'Permissions Violation for Subscription to "filter"'`, with ` using queue "queue"` if there is one.
/// The connection stays.
void append_subscription_violation(base::Bytes& out, std::string_view filter, std::string_view queue);
/// Appends `-ERR 'Permissions Violation for Subscription to "filter", too many tokens'`.  The connection stays.
void append_tokens_violation(base::Bytes& out, std::string_view filter);

/// Appends `text` as Go's %q prints it: double quotes, escapes for control characters, invalid UTF-8 as \x...
void append_quoted(base::Bytes& out, std::string_view text);

}  // namespace compat
