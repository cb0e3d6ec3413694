// A shard: what the log and the protocol trace say of its clients, in stock NATS's words, and sockets that take
// nothing.
#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "compat/nats_error.h"
#include "gateway/shard.h"
#include "gateway/shard_internal.h"

namespace gateway {

using compat::NatsError;
using routing::MessageView;

namespace {

/// Source: nats-server server/parser.go protoSnippet, PROTO_SNIPPET_SIZE.
constexpr std::size_t snippet_bytes = 32;

/// As Go prints a duration.
std::string seconds_text(base::Duration duration) {
    const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
    return millis % 1000 == 0 ? fmt::format("{}s", millis / 1000) : fmt::format("{}ms", millis);
}

std::string quoted(std::string_view text) {
    std::string result;
    compat::append_quoted(result, text);
    return result;
}

std::string_view last_word(std::string_view text) {
    const std::size_t end = text.find_last_not_of(" \t\r\n");
    if (end == std::string_view::npos) return {};
    const std::size_t blank = text.find_last_of(" \t", end);
    const std::size_t begin = blank == std::string_view::npos ? 0 : blank + 1;
    return text.substr(begin, end + 1 - begin);
}

}  // namespace

// --- Ends -----------------------------------------------------------------------------------------------------------

void Shard::log_close(const Client& client, std::string_view reason) {
    if (!changeable_.log.debug) return;
    host_->log(client, LogLevel::debug, "Client connection closed: " + std::string(reason));
}

/// What the client did wrong; `at` is where its bytes are wrong.
void Shard::log_failure(const Client& client, base::ByteView at) {
    const std::string_view arguments = client.session.parser().event().arguments;
    std::string text;
    switch (client.session.close_reason()) {
        case NatsError::unknown_operation:
            text = "Client parser ERROR: proto='" + quoted(at.substr(0, snippet_bytes)) + "...'";
            break;
        case NatsError::bad_arguments:
            text = "Parse Error: " + quoted(arguments);
            break;
        case NatsError::bad_connect:
            text = "invalid JSON in CONNECT or INFO";
            break;
        case NatsError::headers_not_negotiated:
            text = "message headers not supported";
            break;
        case NatsError::client_said_error:
            text = "Client Error " + std::string(arguments);
            break;
        case NatsError::payload_too_large:
            text = fmt::format("maximum payload exceeded: {} vs {}", last_word(arguments), settings_->info.max_payload);
            break;
        case NatsError::authorization:
            text = "authentication error";
            break;
        case NatsError::control_line_too_long:
        case NatsError::client_protocol:
        case NatsError::no_responders_without_headers:
        case NatsError::too_many_connections:
            text = error_text(client.session.close_reason());
            break;
        case NatsError::stale_connection:
            if (changeable_.log.debug) host_->log(client, LogLevel::debug, "Stale Client Connection - Closing");
            return;
        case NatsError::slow_consumer:
            host_->log(client, LogLevel::info,
                       fmt::format("Slow Consumer Detected: MaxPending of {} Exceeded", options_.pending_bytes_max));
            return;
        default:
            return;
    }
    host_->log(client, LogLevel::error, text);
}

// --- Sockets that take nothing --------------------------------------------------------------------------------------

void Shard::watch_write(Client& client) {
    client.write_watched = true;
    slow_writers_.push_back({&client, client.output.size(), now_ + changeable_.write_deadline});
    schedule(slow_writers_.back().deadline);
}

/// Cuts every client whose socket has taken nothing since its last deadline.  Stock also cuts one that takes a little,
/// but not all of a write within the time.
/// Source: nats-server server/client.go flushOutbound, handleWriteTimeout.
void Shard::check_writes(base::Instant now) {
    std::vector<Client*> stuck;
    for (auto& writer : slow_writers_) {
        if (writer.deadline <= now) {
            const std::size_t left = host_->unwritten(*writer.client);
            if (left >= writer.unwritten && !writer.client->closing) stuck.push_back(writer.client);
            writer.unwritten = left;
            writer.deadline = now + changeable_.write_deadline;
        }
        schedule(writer.deadline);
    }
    for (Client* client : stuck) {
        ++counters_.slow_consumers;
        host_->log(
            *client, LogLevel::info,
            fmt::format("Slow Consumer Detected: WriteDeadline of {} exceeded with {} chunks of {} total bytes.",
                        seconds_text(changeable_.write_deadline), client->output.piece_count(), client->output.size()));
        stop(*client, false, "Slow Consumer (Write Deadline)");
    }
}

// --- The protocol trace ---------------------------------------------------------------------------------------------

void Shard::parse_traced(Client& client, base::ByteView in, base::Instant now) {
    if (!client.trace) {
        if (!client.session.parser().idle()) {  // tracing began in the middle of a message
            parse_now(client, in, now);
            return;
        }
        client.trace = std::make_unique<InputTrace>();
    }
    while (!in.empty() && !client.closing && (client.pauses & Client::blocks_parsing) == 0) {
        const std::size_t size = client.trace->next(in, changeable_.log, trace_text_);
        if (!trace_text_.empty()) host_->log(client, LogLevel::trace, trace_text_);
        parse_now(client, in.substr(0, size), now);
        in.remove_prefix(size);
    }
    if (!in.empty() && !client.closing) client.backlog.append(in);
}

/// What a session answers by itself.  INFO and the 503 are not traced, as in stock.
void Shard::trace_answer(Client& client, base::ByteView text) {
    while (!text.empty()) {
        const std::size_t end = text.find("\r\n");
        if (end == base::ByteView::npos) return;
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end + 2);
        if (line.starts_with("HMSG")) return;
        if (line.starts_with("INFO")) continue;
        std::string shown(line == "+OK" ? line.substr(1) : line);
        if (line.starts_with("-ERR '")) {
            line.remove_prefix(6);
            line.remove_suffix(1);
            shown = "-ERR " + std::string(line);
        }
        host_->log(client, LogLevel::trace, "->> [" + shown + "]");
    }
}

void Shard::trace_delivery(const Client& to, base::ByteView frame, const MessageView& message, bool with_headers) {
    host_->log(to, LogLevel::trace, "->> [" + std::string(frame.substr(0, frame.find("\r\n"))) + "]");
    const base::ByteView body = with_headers ? message.body : message.body.substr(message.header_bytes);
    const std::string text = traced_payload("->>", body, with_headers ? message.header_bytes : 0, changeable_.log);
    if (!text.empty()) host_->log(to, LogLevel::trace, text);
}

void Shard::trace_mapping(const Client& from) {
    const auto original = from.session.original_subject();
    if (original.empty()) return;
    host_->log(from, LogLevel::trace,
               fmt::format("<<- [MAPPING {} -> {}]", original, from.session.publication().subject));
}

void Shard::trace_unsubscribed(const Client& client, std::string_view sid) {
    if (changeable_.log.trace) host_->log(client, LogLevel::trace, "<-> [DELSUB " + std::string(sid) + "]");
}

}  // namespace gateway
