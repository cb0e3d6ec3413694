#include "tests/wire/session_target.h"

#include <algorithm>
#include <vector>

#include "compat/nats_writer.h"
#include "routing/base/check.h"
#include "routing/base/subject.h"

namespace wire {

using compat::SessionStep;

SessionTarget::SessionTarget(const WireOptions& options, std::size_t piece_bytes)
    : piece_bytes_(piece_bytes), time_passes_(time_passes(options)) {
    settings_.info.server_id = settings_.info.server_name = "NPURE";
    settings_.info.host = "127.0.0.1";
    settings_.info.port = 4222;
    settings_.info.max_payload = static_cast<std::uint32_t>(compat::payload_bytes_max);
    apply_options(options, settings_);
}

bool SessionTarget::connect(const std::string& client) {
    auto connection = std::make_unique<Connection>();
    connection->session =
        std::make_unique<compat::ClientSession>(settings_, next_client_id_++, "127.0.0.1", now_, prng_);
    connection->session->greet(connection->out);
    connections_[client] = std::move(connection);
    return true;
}

void SessionTarget::send(const std::string& client, std::string_view bytes) {
    Connection& connection = *connections_.at(client);
    while (!bytes.empty() && !connection.closed) {
        // In memory of its own, so that a sanitizer sees what is used after its time.
        const std::string piece(bytes.substr(0, piece_bytes_));
        bytes.remove_prefix(piece.size());
        feed(connection, piece);
    }
}

WireTarget::Received SessionTarget::receive(const std::string& client, std::string& buffer) {
    Connection& connection = *connections_.at(client);
    if (connection.out.empty() && time_passes_ && !connection.closed) {
        now_ = std::max(now_, connection.session->next_deadline());
        if (connection.session->tick(now_, connection.out) == SessionStep::close) close(connection);
    }
    if (connection.out.empty()) return connection.closed ? Received::closed : Received::nothing;
    buffer += std::exchange(connection.out, {});
    return Received::bytes;
}

void SessionTarget::hang_up(const std::string& client) {
    close(*connections_.at(client));
    connections_.erase(client);
}

void SessionTarget::close(Connection& connection) {
    connection.closed = true;
    std::erase_if(subscribers_, [&](const auto& entry) { return entry.second.connection == &connection; });
}

void SessionTarget::feed(Connection& connection, base::ByteView in) {
    compat::ClientSession& session = *connection.session;
    while (true) {
        switch (session.step(in, now_, connection.out)) {
            case SessionStep::need_more:
                return;
            case SessionStep::publish:
                publish(connection);
                break;
            case SessionStep::subscribe:
                session.set_handle(next_handle_);
                subscribers_[next_handle_++] = {&connection, session.subscribed()};
                break;
            case SessionStep::unsubscribe:
                subscribers_.erase(session.removed_handle());
                break;
            case SessionStep::reset_all:
                for (const std::uint64_t handle : session.removed_handles()) subscribers_.erase(handle);
                break;
            case SessionStep::ping:
                session.append_pong(connection.out);
                break;
            case SessionStep::close:
                return close(connection);
        }
    }
}

void SessionTarget::publish(Connection& from) {
    const compat::Publish& publication = from.session->publication();
    const std::string subject(publication.subject);
    const compat::OutgoingMessage message{publication.reply, publication.body, publication.header_bytes};
    bool has_empty_token = false;
    base::Tokens tokens(subject);
    for (std::string_view token; tokens.next(token);) has_empty_token |= token.empty();
    std::vector<std::uint64_t> plain;
    std::map<std::string, std::vector<std::uint64_t>> groups;
    for (const auto& [handle, subscriber] : subscribers_) {
        const auto& entry = subscriber.connection->session->subscriptions().at(subscriber.index);
        // A subject with an empty token is nobody's, not even that of ">".
        if (has_empty_token || !base::matches(entry.filter(), subject)) continue;
        if (entry.queue().empty()) {
            plain.push_back(handle);
        } else {
            groups[std::string(entry.queue())].push_back(handle);
        }
    }
    bool delivered = false;
    for (const std::uint64_t handle : plain) delivered |= deliver(handle, subject, message, from);
    for (auto& [queue, members] : groups) {
        prng_.shuffle(members);
        for (const std::uint64_t handle : members) {
            if (!deliver(handle, subject, message, from)) continue;
            delivered = true;
            break;
        }
    }
    if (!delivered) from.session->no_responders_for(subject, message.reply, from.out);
}

bool SessionTarget::deliver(std::uint64_t handle, const std::string& subject, const compat::OutgoingMessage& message,
                            const Connection& from) {
    const Subscriber subscriber = subscribers_.at(handle);
    compat::ClientSession& session = *subscriber.connection->session;
    if (subscriber.connection == &from && !session.echo()) return false;
    const compat::Delivery delivery = session.on_delivery(subscriber.index);
    BASE_CHECK(delivery != compat::Delivery::over);
    std::string head;
    compat::append_message_head(head, subject, session.subscriptions().at(subscriber.index).sid());
    compat::append_delivery(subscriber.connection->out, head, session.headers(), message);
    if (delivery == compat::Delivery::last) {
        session.end_subscription(subscriber.index);
        subscribers_.erase(handle);
    }
    return true;
}

}  // namespace wire
