#include "compat/nats_error.h"

#include "compat/utf8.h"
#include "routing/base/check.h"

namespace compat {

namespace {

struct Row {
    NatsError error;
    std::string_view text;    // between the quotes of -ERR
    std::string_view reason;  // of the close; empty: the connection stays
};

// In the order of the enum.  Texts: nats-server server/client.go, server/errors.go; reasons: server/monitor.go.
constexpr Row rows[] = {
    {NatsError::none, "", ""},
    {NatsError::unknown_operation, "Unknown Protocol Operation", "Protocol Violation"},
    {NatsError::bad_arguments, "", "Protocol Violation"},
    {NatsError::bad_connect, "", "Protocol Violation"},
    {NatsError::headers_not_negotiated, "", "Protocol Violation"},
    {NatsError::client_said_error, "", "Parse Error"},
    {NatsError::control_line_too_long, "maximum control line exceeded", "Maximum Control Line Exceeded"},
    {NatsError::payload_too_large, "Maximum Payload Violation", "Maximum Message Payload Exceeded"},
    {NatsError::client_protocol, "invalid client protocol", "Bad Client Protocol Version"},
    {NatsError::no_responders_without_headers, "no responders requires headers support",
     "No Responders Requires Headers"},
    {NatsError::authorization, "Authorization Violation", "Authentication Failure"},
    {NatsError::authentication_timeout, "Authentication Timeout", "Authentication Timeout"},
    {NatsError::stale_connection, "Stale Connection", "Stale Connection"},
    {NatsError::too_many_connections, "maximum connections exceeded", "Maximum Connections Exceeded"},
    {NatsError::slow_consumer, "", "Slow Consumer (Pending Bytes)"},
    {NatsError::server_shutdown, "", "Server Shutdown"},
    {NatsError::invalid_subject, "Invalid Subject", ""},
    {NatsError::invalid_publish_subject, "Invalid Publish Subject", ""},
    {NatsError::too_many_subscriptions, "maximum subscriptions exceeded", ""},
};

const Row& row(NatsError error) {
    const auto index = static_cast<std::size_t>(error);
    BASE_CHECK(index < std::size(rows) && rows[index].error == error);
    return rows[index];
}

constexpr char hex_digits[] = "0123456789abcdef";

void append_hex(base::Bytes& out, std::uint32_t value, int digits) {
    for (int i = digits - 1; i >= 0; --i) out.push_back(hex_digits[(value >> (4 * i)) & 15]);
}

// The invisible characters that turn up in practice; Go asks the whole Unicode table (strconv.IsPrint).
bool is_invisible(std::uint32_t rune) {
    return (rune >= 0x80 && rune <= 0xa0) || rune == 0xad || (rune >= 0x2000 && rune <= 0x200f) ||
           (rune >= 0x2028 && rune <= 0x202f) || (rune >= 0x205f && rune <= 0x206f) || rune == 0x3000 ||
           (rune >= 0xe000 && rune <= 0xf8ff) || rune == 0xfeff || rune >= 0xe0000;
}

}  // namespace

std::string_view error_text(NatsError error) {
    return row(error).text;
}

bool error_closes(NatsError error) {
    return !row(error).reason.empty();
}

std::string_view closed_reason(NatsError error) {
    return row(error).reason;
}

void append_error(base::Bytes& out, NatsError error) {
    const std::string_view text = error_text(error);
    if (text.empty()) return;
    out.append("-ERR '").append(text).append("'\r\n");
}

void append_publish_violation(base::Bytes& out, std::string_view subject) {
    out.append("-ERR 'Permissions Violation for Publish to ");
    append_quoted(out, subject);
    out.append("'\r\n");
}

void append_reply_violation(base::Bytes& out, std::string_view reply) {
    out.append("-ERR 'Permissions Violation for Publish with Reply of ");
    append_quoted(out, reply);
    out.append("'\r\n");
}

void append_subscription_violation(base::Bytes& out, std::string_view filter, std::string_view queue) {
    out.append("-ERR 'Permissions Violation for Subscription to ");
    append_quoted(out, filter);
    if (!queue.empty()) {
        out.append(" using queue ");
        append_quoted(out, queue);
    }
    out.append("'\r\n");
}

void append_tokens_violation(base::Bytes& out, std::string_view filter) {
    out.append("-ERR 'Permissions Violation for Subscription to ");
    append_quoted(out, filter);
    out.append(", too many tokens'\r\n");
}

void append_quoted(base::Bytes& out, std::string_view text) {
    out.push_back('"');
    while (!text.empty()) {
        const auto c = static_cast<std::uint8_t>(text.front());
        std::size_t used = 1;
        if (c >= 0x80) {
            std::uint32_t rune = 0;
            used = decode_utf8(text, rune);
            if (used == 0) {
                used = 1;
                out.append("\\x");
                append_hex(out, c, 2);
            } else if (is_invisible(rune)) {
                out.append(rune < 0x10000 ? "\\u" : "\\U");
                append_hex(out, rune, rune < 0x10000 ? 4 : 8);
            } else {
                out.append(text.substr(0, used));
            }
        } else if (c == '"' || c == '\\') {
            out.push_back('\\');
            out.push_back(static_cast<char>(c));
        } else if (c >= 0x20 && c < 0x7f) {
            out.push_back(static_cast<char>(c));
        } else if (c >= 7 && c <= 13) {
            out.push_back('\\');
            out.push_back("abtnvfr"[c - 7]);
        } else {
            out.append("\\x");
            append_hex(out, c, 2);
        }
        text.remove_prefix(used);
    }
    out.push_back('"');
}

}  // namespace compat
