#include "compat/client_session.h"

#include <algorithm>

#include "compat/nats_writer.h"
#include "routing/base/check.h"
#include "routing/base/subject.h"

namespace compat {

namespace {

// A queue name that the server keeps for itself.  Source: nats-server server/client.go sysGroup.
constexpr std::string_view reserved_queue = "_sys_";

// Whether `subject` lies below `prefix`, which ends with a dot.
bool is_below(std::string_view subject, std::string_view prefix) {
    return subject.size() > prefix.size() && subject.substr(0, prefix.size()) == prefix;
}

// Subjects that servers use among themselves, so clients may not publish to them.
// Source: nats-server server/gateway.go hasGWRoutedReplyPrefix, server/client.go clientNRGPrefix.
bool is_reserved_subject(std::string_view subject) {
    if (subject.empty() || (subject.front() != '_' && subject.front() != '$')) return false;
    return is_below(subject, "_GR_.") || is_below(subject, "$GR.") || subject.substr(0, 5) == "$NRG.";
}

// Reply subjects that only a server may set.  Source: nats-server server/client.go isReservedReply.
bool is_reserved_reply(std::string_view reply) {
    if (reply.empty() || (reply.front() != '_' && reply.front() != '$')) return false;
    return reply.substr(0, 4) == "_R_." || is_below(reply, "$JS.ACK.") || is_below(reply, "_GR_.") ||
           is_below(reply, "$GR.");
}

std::size_t count_tokens(std::string_view subject) {
    return 1 + static_cast<std::size_t>(std::count(subject.begin(), subject.end(), '.'));
}

bool has_empty_token(std::string_view subject) {
    return subject.empty() || subject.front() == '.' || subject.back() == '.' ||
           subject.find("..") != std::string_view::npos;
}

}  // namespace

ClientSession::ClientSession(const SessionSettings& settings, std::uint64_t client_id, std::string client_ip,
                             base::Instant now, base::Prng& prng)
    : settings_(&settings),
      prng_(&prng),
      subscriptions_(prng.next()),
      last_in_(now),
      client_id_(client_id),
      client_ip_(std::move(client_ip)) {
    parser_.set_pedantic(options_.pedantic);
    settings_changed();
    const base::Duration delay = std::min<base::Duration>(settings.ping_interval, first_ping_interval);
    const auto jitter = static_cast<std::uint64_t>(std::max<base::Duration::rep>(delay.count() / 5, 1));
    first_ping_delay_ = delay + base::Duration(static_cast<base::Duration::rep>(prng.below(jitter)));
    next_ping_ = now + first_ping_delay_;
}

void ClientSession::settings_changed() {
    parser_.set_payload_bytes_max(settings_->info.max_payload);
    parser_.set_control_line_bytes_max(settings_->control_line_bytes_max);
    original_subject_ = {};
}

ClientInfo ClientSession::client_info() const {
    ClientInfo info;
    info.client_id = client_id_;
    info.client_ip = client_ip_;
    return info;
}

void ClientSession::greet(base::Bytes& out) const {
    append_info(out, settings_->info, client_info());
}

bool ClientSession::append_async_info(bool lame_duck, base::Bytes& out) const {
    if (!first_pong_sent_ || options_.protocol < 1 || close_reason_ != NatsError::none) return false;
    ClientInfo info = client_info();
    info.lame_duck = lame_duck;
    append_info(out, settings_->info, info);
    return true;
}

SessionStep ClientSession::step(base::ByteView& in, base::Instant now, base::Bytes& out) {
    if (close_reason_ != NatsError::none) return SessionStep::close;
    BASE_CHECK(!ping_open_);
    while (true) {
        switch (parser_.step(in)) {
            case NatsParser::Step::need_more:
                return SessionStep::need_more;
            case NatsParser::Step::broken:
                return fail(parser_.error(), out);
            case NatsParser::Step::event:
                break;
        }
        const ClientEvent& event = parser_.event();
        SessionStep result = SessionStep::need_more;  // here: nothing for the shard
        switch (event.verb) {
            case ClientVerb::publish:
                last_in_ = now;
                if (may_publish(out)) return SessionStep::publish;
                break;
            case ClientVerb::odd_publish:
                append_error(out, NatsError::invalid_publish_subject);
                break;
            case ClientVerb::subscribe:
                last_in_ = now;
                result = on_subscribe(out);
                break;
            case ClientVerb::unsubscribe:
                last_in_ = now;
                result = on_unsubscribe(out);
                break;
            case ClientVerb::ping:
                last_in_ = now;
                ping_open_ = true;
                return SessionStep::ping;
            case ClientVerb::pong:
                pings_out_ = 0;
                break;
            case ClientVerb::connect:
                result = on_connect(event.arguments, now, out);
                break;
            case ClientVerb::info:
                if (!is_info(event.arguments)) return fail(NatsError::bad_connect, out);
                break;
            case ClientVerb::ok:
                break;
            case ClientVerb::err:
                return fail(NatsError::client_said_error, out);
        }
        if (result != SessionStep::need_more) return result;
    }
}

std::size_t ClientSession::look_ahead(base::ByteView in, base::Instant now, PublishAhead* out, std::size_t max) {
    if (options_.verbose || settings_->mappings || close_reason_ != NatsError::none) return 0;
    BASE_CHECK(!ping_open_);
    const std::size_t found = parser_.look_ahead(in, out, max);
    std::size_t count = 0;
    while (count < found && (out[count].repeats || (!is_reserved_subject(out[count].publish.subject) &&
                                                    !is_reserved_reply(out[count].publish.reply)))) {
        ++count;
    }
    if (count != 0) last_in_ = now;
    return count;
}

// Pedantic has looked at the subject that the client wrote; all else is about what it is mapped to.
bool ClientSession::may_publish(base::Bytes& out) {
    if (settings_->mappings) map_subject();
    const Publish& publish = parser_.event().publish;
    if (is_reserved_subject(publish.subject)) {
        append_publish_violation(out, publish.subject);
        return false;
    }
    if (is_reserved_reply(publish.reply)) {
        append_reply_violation(out, publish.reply);
        return false;
    }
    if (options_.verbose) out.append(line_ok);
    return true;
}

void ClientSession::map_subject() {
    const std::string_view original = parser_.event().publish.subject;
    original_subject_ = {};
    if (settings_->mappings->apply(original, *prng_, mapped_subject_) == Mapped::no) return;
    original_subject_ = original;
    parser_.replace_subject(mapped_subject_);
}

SessionStep ClientSession::on_connect(std::string_view json, base::Instant now, base::Bytes& out) {
    next_ping_ = now + first_ping_delay_;
    if (!parse_connect(json, options_)) return fail(NatsError::bad_connect, out);
    // Accounts cannot be named by a client; stock counts it as an attempt to get in.
    if (options_.new_account || !options_.account.empty()) return fail(NatsError::authorization, out);
    if (options_.protocol < 0 || options_.protocol > client_protocol_max) return fail(NatsError::client_protocol, out);
    headers_ = options_.headers && settings_->info.headers;
    if (options_.no_responders && !headers_) return fail(NatsError::no_responders_without_headers, out);
    parser_.set_headers_allowed(headers_);
    parser_.set_pedantic(options_.pedantic);

    // Not the first CONNECT: what was subscribed before it is gone.  (At the first one, too, there may be
    // subscriptions; those stay.)
    removed_handles_.clear();
    if (connected_) {
        for (SubscriptionIndex index = 0; index < subscriptions_.end(); ++index)
            if (subscriptions_.at(index).used()) removed_handles_.push_back(subscriptions_.at(index).handle);
        subscriptions_.clear();
        last_no_responders_ = subscription_none;
    }
    connected_ = true;
    if (options_.verbose) out.append(line_ok);
    return removed_handles_.empty() ? SessionStep::need_more : SessionStep::reset_all;
}

SessionStep ClientSession::on_subscribe(base::Bytes& out) {
    const ClientEvent& event = parser_.event();
    if (event.queue == reserved_queue) {
        append_subscription_violation(out, event.subject, event.queue);
        return SessionStep::need_more;
    }
    if (settings_->subscription_tokens_max != 0 && count_tokens(event.subject) > settings_->subscription_tokens_max) {
        append_tokens_violation(out, event.subject);
        return SessionStep::need_more;
    }
    if (settings_->subscriptions_max != 0 && subscriptions_.size() >= settings_->subscriptions_max) {
        append_error(out, NatsError::too_many_subscriptions);
        return SessionStep::need_more;
    }
    // A sid that is in use stays what it was, whatever the new SUB says.
    const bool is_new = subscriptions_.find(event.sid) == subscription_none;
    if (is_new && !base::is_valid_filter(event.subject)) {
        append_error(out, NatsError::invalid_subject);
        return SessionStep::need_more;
    }
    if (options_.verbose) out.append(line_ok);
    if (!is_new) return SessionStep::need_more;
    current_ = subscriptions_.insert(event.sid, event.subject, event.queue);
    return SessionStep::subscribe;
}

SessionStep ClientSession::on_unsubscribe(base::Bytes& out) {
    const ClientEvent& event = parser_.event();
    if (options_.verbose) out.append(line_ok);
    const SubscriptionIndex index = subscriptions_.find(event.sid);
    if (index == subscription_none) return SessionStep::need_more;
    SubscriptionTable::Entry& entry = subscriptions_.at(index);
    if (event.max > entry.delivered) {
        entry.max = event.max;
        return SessionStep::need_more;
    }
    current_ = index;
    removed_handle_ = entry.handle;
    subscriptions_.erase(index);
    return SessionStep::unsubscribe;
}

void ClientSession::append_pong(base::Bytes& out) {
    BASE_CHECK(ping_open_);
    ping_open_ = false;
    out.append(line_pong);
    if (!connected_ || first_pong_sent_) return;
    first_pong_sent_ = true;
    if (options_.protocol < 1) return;
    ClientInfo info = client_info();
    info.connect_info = true;
    info.remote_account = settings_->account_name;
    append_info(out, settings_->info, info);
}

SubscriptionIndex ClientSession::no_responders_for(std::string_view subject, std::string_view reply, base::Bytes& out) {
    if (!options_.no_responders || has_empty_token(reply)) return subscription_none;
    const auto takes_it = [&](SubscriptionIndex index) {
        if (index >= subscriptions_.end()) return false;
        const SubscriptionTable::Entry& entry = subscriptions_.at(index);
        return entry.used() && entry.queue().empty() && base::matches(entry.filter(), reply);
    };
    SubscriptionIndex index = last_no_responders_;
    if (!takes_it(index)) {
        index = 0;
        while (index < subscriptions_.end() && !takes_it(index)) ++index;
        if (index == subscriptions_.end()) return subscription_none;
    }
    last_no_responders_ = index;
    append_no_responders(out, reply, subscriptions_.at(index).sid(), subject);
    return index;
}

SessionStep ClientSession::tick(base::Instant now, base::Bytes& out) {
    if (close_reason_ != NatsError::none) return SessionStep::close;
    if (now < next_ping_) return SessionStep::need_more;
    next_ping_ = now + settings_->ping_interval;
    const bool measure = !ping_sent_ || now - last_ping_ > round_trip_interval;
    if (!measure && now - last_in_ < settings_->ping_interval) return SessionStep::need_more;
    if (pings_out_ + 1 > settings_->ping_out_max) return fail(NatsError::stale_connection, out);
    ++pings_out_;
    ping_sent_ = true;
    last_ping_ = now;
    out.append(line_ping);
    return SessionStep::need_more;
}

void ClientSession::close(NatsError reason, base::Bytes& out) {
    BASE_CHECK(error_closes(reason));
    if (close_reason_ == NatsError::none) (void)fail(reason, out);
}

SessionStep ClientSession::fail(NatsError error, base::Bytes& out) {
    append_error(out, error);
    close_reason_ = error;
    next_ping_ = base::instant_max;
    return SessionStep::close;
}

}  // namespace compat
