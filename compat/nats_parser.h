// Client bytes -> events, however the bytes are split.  No IO, clock, log or thread; nothing is sized by a declared
// number before that many bytes have come.
// Leaves to others: what an event means (client_session), JSON (connect_info), permissions, whether a subject is valid
// (but for pedantic clients, who are told at once).
#pragma once

#include <cstdint>
#include <string_view>

#include "compat/nats_error.h"
#include "compat/nats_limits.h"
#include "routing/base/bytes.h"

namespace compat {

/// What kind of line a client sent.
enum class ClientVerb : std::uint8_t {
    connect,
    publish,
    odd_publish,  ///< pedantic only: the line of a publish whose subject is not a literal one; its publish follows
    subscribe,
    unsubscribe,
    ping,
    pong,
    info,
    ok,
    err,
};

/// One PUB or HPUB.  Its views are those of the event that holds it.
struct Publish {
    std::string_view subject;
    std::string_view reply;          ///< empty: none
    base::ByteView body;             ///< header block (if any), then payload; without the closing "\r\n"
    std::uint32_t header_bytes = 0;  ///< how much of `body` is the header block
};

/// One line of a client (with its payload).  Only the fields of its verb mean something.
/// Borrows: views into the input of the step that yielded it, or into the parser if the line came in pieces; valid
/// until the next step() and as long as the input.
struct ClientEvent {
    ClientVerb verb = ClientVerb::ping;
    Publish publish;             ///< publish
    std::string_view arguments;  ///< connect, info: the JSON; err: the text
    std::string_view subject;    ///< subscribe: the filter, not validated
    std::string_view queue;      ///< subscribe: empty for a plain subscription
    std::string_view sid;        ///< subscribe, unsubscribe
    std::uint32_t max = 0;  ///< unsubscribe: end after so many deliveries; 0 is at once (also for an unreadable one)
};

/// One of several publishes that are looked at together; see NatsParser::look_ahead.
struct PublishAhead {
    Publish publish;
    bool repeats = false;   ///< the subject of the one before; neither has a reply
    std::uint32_t end = 0;  ///< bytes of the input up to the end of this message
};

/// The pull parser of one connection.
///
/// Two states: in a control line (its bytes wait in `tail_` if the line is not whole), or collecting a payload that is
/// larger than what was read.  A wrong verb is refused at its first wrong byte; whatever a line's length, `tail_` holds
/// at most control_line_bytes_max arguments, and of a payload only what has arrived.
///
/// Where stock depends on how its reads were split, this parser does not: a '\r' in the middle of a line is a blank
/// (stock cuts the line's last byte, or drops the '\r').
///
/// As in stock, arguments that begin with a '\n' go on in the next line ("SUB \nfoo 1" is "SUB foo 1"), but not those
/// of a publish: stock takes the '\n' for the subject's first byte then, and so delivers lines that are none to others.
/// Source: nats-server server/parser.go OP_SUB_SPC and its like, which look at the first byte for blanks alone.
///
/// Threads: one at a time.
class NatsParser {
  public:
    enum class Step : std::uint8_t { need_more, event, broken };

    /// Largest body that PUB and HPUB may announce.  Unit: bytes, header block included.
    void set_payload_bytes_max(std::uint32_t bytes) { payload_bytes_max_ = bytes; }
    /// Longest argument part of a line.  Unit: bytes.
    void set_control_line_bytes_max(std::uint32_t bytes) { control_line_bytes_max_ = bytes; }
    /// Whether HPUB is allowed (CONNECT said "headers":true).
    void set_headers_allowed(bool allowed) { headers_allowed_ = allowed; }

    /// Whether the line of a publish to a subject that is no literal is an event of its own, before the payload is
    /// there.
    void set_pedantic(bool pedantic) { pedantic_ = pedantic; }

    /// Drops what it consumed from the front of `in`, up to one event.
    ///   need_more: `in` is empty now, call again with the next bytes.
    ///   event:     event() tells; call again with what is left of `in`.
    ///   broken:    error() tells; tell the client, then close; every further call is broken again. Where a line was
    ///              read and refused, event().arguments are its arguments.
    /// Cost: no allocation when lines and payloads are whole in `in`, or are split but small.
    [[nodiscard]] Step step(base::ByteView& in);

    /// The last event, a publish, is to go to another subject.  Borrows: as the event's own views.
    void replace_subject(std::string_view subject) { event_.publish.subject = subject; }
    /// Reads up to `max` messages that lie whole at the front of `in` and are as plain as most are (PUB, or HPUB if
    /// allowed, single blanks), without consuming any: the caller drops what it took (PublishAhead::end) from `in`.
    /// Returns how many; 0 also when something else comes first, which is for step().  Ends the life of event().
    /// Each body is followed by its "\r\n" in the input.  Cost: a line that repeats the one before is compared, not
    /// parsed.
    [[nodiscard]] std::size_t look_ahead(base::ByteView in, PublishAhead* out, std::size_t max);

    /// The last event.  Valid until the next step().
    [[nodiscard]] const ClientEvent& event() const { return event_; }
    /// Why step() said broken.
    [[nodiscard]] NatsError error() const { return error_; }
    /// Memory that the tail buffer holds.  Unit: bytes.
    [[nodiscard]] std::size_t buffered_capacity() const { return tail_.capacity(); }
    /// True between messages: nothing of a line or payload is waiting for more.
    [[nodiscard]] bool idle() const { return state_ == State::control_line && tail_.empty(); }

  private:
    enum class State : std::uint8_t { control_line, payload, delivered_from_tail, broken };
    enum class Verb : std::uint8_t { pub, hpub, sub, unsub, ping, pong, connect, info, ok, err };
    struct Line;

    Step fail(NatsError error);
    template <bool with_headers>
    const char* read_short_pub(const char* in, const char* end, Publish& publish) const;
    const char* read_short(const char* in, const char* end, Publish& publish) const;
    Step step_line(base::ByteView& in);
    Step continue_line(base::ByteView& in);
    Step continue_payload(base::ByteView& in);
    Line read_line(base::ByteView bytes) const;
    Step on_line(const Line& line, base::ByteView& in);
    Step on_publish(std::string_view arguments, bool with_headers, base::ByteView& in);
    Step take_body(std::uint32_t body_bytes, base::ByteView& in);
    void keep_line(std::uint32_t body_bytes);
    void release_tail();

    State state_ = State::control_line;
    NatsError error_ = NatsError::none;
    bool headers_allowed_ = false;
    bool pedantic_ = false;
    std::uint32_t payload_bytes_max_ = static_cast<std::uint32_t>(compat::payload_bytes_max);
    std::uint32_t control_line_bytes_max_ = static_cast<std::uint32_t>(compat::control_line_bytes_max);
    // While a payload is collected: tail_ is subject, reply and then what has arrived of the body and its "\r\n".
    std::uint32_t subject_bytes_ = 0;
    std::uint32_t reply_bytes_ = 0;
    std::uint32_t body_bytes_ = 0;
    base::Bytes tail_;
    ClientEvent event_;
};

}  // namespace compat
