// What a gateway says to a client, as bytes: INFO, MSG, HMSG, PING, PONG, +OK, and the 503 of a request that nobody
// took.  -ERR lines are in nats_error.h.  Appends only; never decides.
//
// A delivery has four parts, so that each is made as seldom as possible:
//
//   head  "HMSG subject sid "        once per route and receiver (append_message_head)
//   tail  "[reply ][header ]size\r\n" once per message, with and without headers (append_delivery_tail)
//   body  header block and payload    never copied but into the output
//   end   "\r\n"
//
// A MSG is an HMSG head without its first byte.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "compat/nats_limits.h"
#include "routing/base/bytes.h"

namespace compat {

inline constexpr std::string_view line_ping = "PING\r\n";
inline constexpr std::string_view line_pong = "PONG\r\n";
inline constexpr std::string_view line_ok = "+OK\r\n";
inline constexpr std::string_view line_end = "\r\n";

/// Writes `value` in decimal at `at` and returns the byte after it.  Room for number_digits_max bytes is needed.
[[nodiscard]] char* write_number(char* at, std::uint64_t value);

/// Appends `value` in decimal.
void append_number(base::Bytes& out, std::uint64_t value);

/// Appends "HMSG subject sid ", the head that append_delivery takes.
void append_message_head(base::Bytes& out, std::string_view subject, std::string_view sid);

/// A message as it is delivered; borrowed.
struct OutgoingMessage {
    std::string_view reply;          ///< empty: none
    base::ByteView body;             ///< header block (if any), then payload
    std::uint32_t header_bytes = 0;  ///< how much of `body` is the header block
};

/// True if a receiver gets `message` as HMSG: it has a header block and the receiver's CONNECT said "headers":true.
[[nodiscard]] inline bool delivered_with_headers(const OutgoingMessage& message, bool headers_ok) {
    return headers_ok && message.header_bytes != 0;
}

/// Appends what follows the head up to the line's end: "[reply ]header size\r\n" if `with_headers`, else
/// "[reply ]size\r\n" where a header block is not counted.
void append_delivery_tail(base::Bytes& out, const OutgoingMessage& message, bool with_headers);

/// Appends one MSG or HMSG from its parts.  `tail` is append_delivery_tail's for the same message and
/// `with_headers`.  The header block is cut off if not `with_headers`.
/// Cost: four copies, no formatting.
/// Source: NATS client protocol, MSG and HMSG; compare nats-server server/client.go msgHeader and deliverMsg.
inline void append_delivery_parts(base::Bytes& out, std::string_view head, bool with_headers, std::string_view tail,
                                  const OutgoingMessage& message) {
    if (!with_headers) head.remove_prefix(1);
    out.append(head);
    out.append(tail);
    out.append(with_headers ? message.body : message.body.substr(message.header_bytes));
    out.append(line_end);
}

/// How many bytes append_delivery_parts appends and write_delivery_parts writes.
[[nodiscard]] inline std::size_t delivery_bytes(std::string_view head, bool with_headers, std::string_view tail,
                                                const OutgoingMessage& message) {
    return head.size() - (with_headers ? 0 : 1) + tail.size() + message.body.size() -
           (with_headers ? 0 : message.header_bytes) + line_end.size();
}

/// As append_delivery_parts, at `at`, where delivery_bytes() are free.  Returns the byte after it.
[[nodiscard]] inline char* write_delivery_parts(char* at, std::string_view head, bool with_headers,
                                                std::string_view tail, const OutgoingMessage& message) {
    if (!with_headers) head.remove_prefix(1);
    const auto put = [&at](std::string_view bytes) {
        std::memcpy(at, bytes.data(), bytes.size());
        at += bytes.size();
    };
    put(head);
    put(tail);
    const base::ByteView body = with_headers ? message.body : message.body.substr(message.header_bytes);
    if (!body.empty()) put(body);
    put(line_end);
    return at;
}

/// Appends one MSG, or one HMSG if `headers_ok` and the message has a header block.  For a single receiver;
/// append_delivery_parts spares a fan-out the formatting.
/// Units:   bytes; the body is what the parser let through (<= max_payload).
/// Borrows: nothing is kept after return.
void append_delivery(base::Bytes& out, std::string_view head, bool headers_ok, const OutgoingMessage& message);

/// Appends the 503 for a request on `subject` that nobody took: an HMSG on `reply` for `sid`, without payload.
/// Source: nats-server server/client.go processInboundClientMsg (Nats-Subject since 2.12).
void append_no_responders(base::Bytes& out, std::string_view reply, std::string_view sid, std::string_view subject);

}  // namespace compat
