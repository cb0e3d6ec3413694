// One client's life: handshake, subscriptions, verbose and pedantic, PING and PONG, limits.  Pure: bytes and time come
// in; out come bytes for the client and, for what concerns others, one step at a time what the shard has to do.
// Leaves to others: who gets a message (the router), sockets, the pending-bytes limit, accounts.
//
// A shard's loop for one read:
//
//     while (true) switch (session.step(in, now, out)) {
//         case SessionStep::publish:     ... route session.publication() ...              break;
//         case SessionStep::subscribe:   session.set_handle(router.subscribe(...));        break;
//         case SessionStep::unsubscribe: router.unsubscribe(session.removed_handle());     break;
//         case SessionStep::reset_all:   for (h : session.removed_handles()) ...           break;
//         case SessionStep::ping:        session.append_pong(out);  (or later)             break;
//         case SessionStep::close:       flush, then close for session.close_reason();     return;
//         case SessionStep::need_more:                                                     return;
//     }
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "compat/connect_info.h"
#include "compat/nats_error.h"
#include "compat/nats_limits.h"
#include "compat/nats_parser.h"
#include "compat/subject_mappings.h"
#include "compat/subscription_table.h"
#include "routing/base/bytes.h"
#include "routing/base/prng.h"
#include "routing/base/time.h"

namespace compat {

/// What all clients of a gateway have in common.  Outlives its sessions; changed between steps only, and each session
/// is told by settings_changed().
struct SessionSettings {
    ServerInfo info;  ///< info.max_payload is what clients are told and held to; info.headers is fixed for good
    std::uint32_t control_line_bytes_max = static_cast<std::uint32_t>(compat::control_line_bytes_max);
    std::uint32_t subscriptions_max = compat::subscriptions_max;              ///< 0: no limit
    std::uint32_t subscription_tokens_max = compat::subscription_tokens_max;  ///< 0: no limit
    base::Duration ping_interval = compat::ping_interval;
    std::uint32_t ping_out_max = compat::ping_out_max;
    std::string account_name = "$G";  ///< the account that clients are told they are bound to
    /// Where publishes go instead.  nullptr: where they say.
    std::shared_ptr<const SubjectMappings> mappings;
};

/// What the shard has to do now.
enum class SessionStep : std::uint8_t {
    need_more,    ///< the input is used up
    publish,      ///< deliver publication()
    subscribe,    ///< tell the router about subscribed(), then call set_handle()
    unsubscribe,  ///< the subscription with removed_handle() is gone here; tell the router
    reset_all,    ///< a second CONNECT: all of removed_handles() are gone here; tell the router
    ping,         ///< answer with append_pong(), now or later; no step() before that
    close,        ///< send what is in `out`, then close; close_reason() says why; nothing else is allowed
};

/// What a delivery to a subscription means for it.
enum class Delivery : std::uint8_t {
    deliver,  ///< go on
    last,     ///< deliver this one; then the subscription ends: unsubscribe at the router, and call end_subscription()
    over,     ///< its maximum is behind it already: deliver nothing (the shard has not yet ended it)
};

/// Threads: those of its shard only.
class ClientSession {
  public:
    /// Borrows: `settings` and `prng` for the session's life.
    /// `prng` gives the first PING its random delay and chooses among the destinations of a mapping.
    ClientSession(const SessionSettings& settings, std::uint64_t client_id, std::string client_ip, base::Instant now,
                  base::Prng& prng);

    /// Appends the first INFO.  To be called once, before anything else is sent.
    void greet(base::Bytes& out) const;

    /// Reads from the front of `in` up to the next thing that concerns the shard.  What the session answers by itself
    /// (+OK, -ERR, the second INFO) is appended to `out`, in protocol order with what the shard appends between steps.
    /// Cost: a publish allocates nothing.
    [[nodiscard]] SessionStep step(base::ByteView& in, base::Instant now, base::Bytes& out);

    /// Reads up to `max` publishes at the front of `in` that need no answer of the session, without consuming any; see
    /// NatsParser::look_ahead.  The caller routes as many as it likes, each as after a publish step, and drops them
    /// from `in`.  Returns how many; 0: step() is to look.  Ends the life of what the last step yielded.
    [[nodiscard]] std::size_t look_ahead(base::ByteView in, base::Instant now, PublishAhead* out, std::size_t max);

    // --- After publish.  Borrows: valid until the next step().

    /// What was published, to the subject that it was mapped to.  A message that a mapping drops is published to the
    /// empty subject, which nobody can subscribe to.
    [[nodiscard]] const Publish& publication() const { return parser_.event().publish; }
    /// The subject that the client wrote, if a mapping changed it; else empty.
    [[nodiscard]] std::string_view original_subject() const { return original_subject_; }

    // --- After subscribe.

    /// The new subscription.  Its texts live as long as it does.
    [[nodiscard]] SubscriptionIndex subscribed() const { return current_; }
    /// Stores the caller's name for the new subscription, which is given back when it ends.
    void set_handle(std::uint64_t handle) { subscriptions_.at(current_).handle = handle; }

    // --- After unsubscribe and reset_all.

    [[nodiscard]] SubscriptionIndex removed_index() const { return current_; }
    [[nodiscard]] std::uint64_t removed_handle() const { return removed_handle_; }
    /// Valid until the next step().
    [[nodiscard]] const std::vector<std::uint64_t>& removed_handles() const { return removed_handles_; }

    // --- After ping.

    /// Appends PONG and, after the first PING of a client that understands it, the second INFO.
    void append_pong(base::Bytes& out);

    // --- Changes of the settings.

    /// The settings are others now: the limits of size hold from the next line on.
    /// Source: nats-server server/reload.go, options max_payload and max_control_line.
    void settings_changed();
    /// Appends an INFO that tells what has changed, unless this client does not understand that or is not there yet:
    /// only one with "protocol":1 that had its first PONG (its second INFO) gets it.  `lame_duck`: say that the gateway
    /// is about to close it.  Returns whether there is something in `out` now. Source: nats-server server/route.go
    /// sendAsyncInfoToClients, server/server.go sendLDMToClients.
    bool append_async_info(bool lame_duck, base::Bytes& out) const;

    // --- Deliveries to this client.

    /// Counts a delivery to the subscription at `index`.  Call before the message is appended.
    /// Cost: a few nanoseconds.
    /// Source: nats-server server/client.go deliverMsg (the count starts at SUB; the last message still goes out).
    [[nodiscard]] Delivery on_delivery(SubscriptionIndex index) {
        SubscriptionTable::Entry& entry = subscriptions_.at(index);
        if (entry.delivered != 0xffffffff) ++entry.delivered;
        if (entry.max == 0 || entry.delivered < entry.max) return Delivery::deliver;
        return entry.delivered == entry.max ? Delivery::last : Delivery::over;
    }
    /// True if the subscription at `index` has no maximum: its deliveries need only be counted, by on_deliveries().
    [[nodiscard]] bool counts_alone(SubscriptionIndex index) const { return subscriptions_.at(index).max == 0; }
    /// As `count` calls of on_delivery() that all say deliver, for one that counts_alone().
    void on_deliveries(SubscriptionIndex index, std::uint32_t count) {
        SubscriptionTable::Entry& entry = subscriptions_.at(index);
        entry.delivered = count > 0xffffffff - entry.delivered ? 0xffffffff : entry.delivered + count;
    }
    /// Forgets the subscription at `index` after its last delivery.
    void end_subscription(SubscriptionIndex index) { subscriptions_.erase(index); }

    /// Whether this client gets its own publishes.
    [[nodiscard]] bool echo() const { return options_.echo; }
    /// Whether this client gets HMSG; otherwise header blocks are cut off.
    [[nodiscard]] bool headers() const { return headers_; }
    /// Whether this client wants a 503 for a request that nobody took.
    [[nodiscard]] bool no_responders() const { return options_.no_responders; }

    /// After a publish that nobody took: appends the 503 if the client wants it and has a plain subscription that
    /// covers the reply (a queue subscription does not count).
    /// Returns the subscription that it went to, else subscription_none.
    /// Cost: the subscription that got the last one is tried first, then all are.
    /// Source: nats-server server/client.go processInboundClientMsg, subForReply.  It does not count as a delivery.
    SubscriptionIndex no_responders_for(std::string_view subject, std::string_view reply, base::Bytes& out);

    // --- Time.

    /// When tick() is due.
    [[nodiscard]] base::Instant next_deadline() const { return next_ping_; }
    /// Sends a PING if it is time and the client was quiet, or closes a stale connection.
    /// Returns need_more or close.  Early calls do nothing.
    /// Source: nats-server server/client.go processPingTimer.
    [[nodiscard]] SessionStep tick(base::Instant now, base::Bytes& out);

    // --- Ends and views.

    /// Ends the session from the shard's side (slow consumer, shutdown, full): appends the -ERR if there is one.
    void close(NatsError reason, base::Bytes& out);
    [[nodiscard]] NatsError close_reason() const { return close_reason_; }

    [[nodiscard]] std::uint64_t client_id() const { return client_id_; }
    [[nodiscard]] const std::string& client_ip() const { return client_ip_; }
    /// True after the first valid CONNECT.
    [[nodiscard]] bool connected() const { return connected_; }
    [[nodiscard]] const ConnectOptions& options() const { return options_; }
    [[nodiscard]] const SubscriptionTable& subscriptions() const { return subscriptions_; }
    [[nodiscard]] const NatsParser& parser() const { return parser_; }

  private:
    [[nodiscard]] bool may_publish(base::Bytes& out);
    void map_subject();
    [[nodiscard]] ClientInfo client_info() const;
    [[nodiscard]] SessionStep on_connect(std::string_view json, base::Instant now, base::Bytes& out);
    [[nodiscard]] SessionStep on_subscribe(base::Bytes& out);
    [[nodiscard]] SessionStep on_unsubscribe(base::Bytes& out);
    [[nodiscard]] SessionStep fail(NatsError error, base::Bytes& out);

    const SessionSettings* settings_;
    base::Prng* prng_;
    NatsParser parser_;
    SubscriptionTable subscriptions_;
    std::vector<std::uint64_t> removed_handles_;
    std::uint64_t removed_handle_ = 0;
    SubscriptionIndex current_ = subscription_none;
    SubscriptionIndex last_no_responders_ = subscription_none;
    NatsError close_reason_ = NatsError::none;
    bool connected_ = false;
    bool headers_ = false;  // asked for by the client, and allowed
    bool first_pong_sent_ = false;
    bool ping_open_ = false;  // a PING of the client waits for append_pong
    bool ping_sent_ = false;  // at least one PING went out
    std::uint32_t pings_out_ = 0;
    base::Instant last_in_{};    // last message, interest change or PING of the client
    base::Instant last_ping_{};  // when the last PING went out
    base::Instant next_ping_{};
    base::Duration first_ping_delay_{};
    std::uint64_t client_id_;
    std::string client_ip_;
    std::string_view original_subject_;
    base::Bytes mapped_subject_;
    ConnectOptions options_;
};

}  // namespace compat
