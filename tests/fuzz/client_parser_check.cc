#include "tests/fuzz/client_parser_check.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "compat/client_session.h"
#include "routing/base/check.h"

namespace compat {

namespace {

void write_publish(std::string& out, const Publish& publish) {
    out.append("publish|").append(publish.subject).append("|").append(publish.reply).append("|");
    out.append(std::to_string(publish.header_bytes)).append("|").append(publish.body).append("\n");
}

void write_event(std::string& out, const ClientEvent& event) {
    const auto put = [&](std::string_view text) { out.append("|").append(text); };
    switch (event.verb) {
        case ClientVerb::connect:
            out += "connect";
            put(event.arguments);
            break;
        case ClientVerb::odd_publish:
            out += "odd_publish";
            put(event.publish.subject);
            break;
        case ClientVerb::publish:
            return write_publish(out, event.publish);
        case ClientVerb::subscribe:
            out += "subscribe";
            put(event.subject);
            put(event.queue);
            put(event.sid);
            break;
        case ClientVerb::unsubscribe:
            out += "unsubscribe";
            put(event.sid);
            put(std::to_string(event.max));
            break;
        case ClientVerb::ping:
            out += "ping";
            break;
        case ClientVerb::pong:
            out += "pong";
            break;
        case ClientVerb::info:
            out += "info";
            put(event.arguments);
            break;
        case ClientVerb::ok:
            out += "ok";
            break;
        case ClientVerb::err:
            out += "err";
            put(event.arguments);
            break;
    }
    out += '\n';
}

// Cuts one piece off `input`, into memory of its own.
struct Piece {
    std::unique_ptr<char[]> bytes;
    base::ByteView view;
    Piece(base::ByteView& input, const std::function<std::size_t(std::size_t left)>& next_piece) {
        const std::size_t size = std::clamp<std::size_t>(next_piece(input.size()), 1, input.size());
        bytes.reset(new char[size]);
        std::memcpy(bytes.get(), input.data(), size);
        view = {bytes.get(), size};
        input.remove_prefix(size);
    }
};

// Takes publishes off the front of `in` as Shard does: looked at together, then taken one by one while `take` lasts.
// `looker` is a parser or a session bound to its time.  Returns how many were taken.
template <typename LookAhead, typename Took>
std::size_t take_ahead(base::ByteView& in, const ParserCheckOptions& options, LookAhead&& look_ahead, Took&& took) {
    if (options.look_ahead == 0) return 0;
    std::vector<PublishAhead> ahead(options.look_ahead);
    const std::size_t found = look_ahead(in, ahead.data(), ahead.size());
    BASE_CHECK(found <= ahead.size());
    const std::size_t taken = std::min(found, options.look_ahead_take);
    for (std::size_t i = 0; i < taken; ++i) {
        const Publish& publish = ahead[i].publish;
        BASE_CHECK(publish.body.data() + publish.body.size() + 2 == in.data() + ahead[i].end);
        BASE_CHECK(std::memcmp(publish.body.data() + publish.body.size(), "\r\n", 2) == 0);
        BASE_CHECK(!ahead[i].repeats || (i > 0 && publish.subject == ahead[i - 1].publish.subject &&
                                         publish.reply.empty() && ahead[i - 1].publish.reply.empty()));
        took(publish);
    }
    if (taken > 0) in.remove_prefix(ahead[taken - 1].end);
    return taken;
}

}  // namespace

std::string parser_trace(base::ByteView input, const ParserCheckOptions& options,
                         const std::function<std::size_t(std::size_t left)>& next_piece) {
    NatsParser parser;
    parser.set_headers_allowed(options.headers_allowed);
    parser.set_pedantic(options.pedantic);
    parser.set_payload_bytes_max(options.payload_bytes_max);
    parser.set_control_line_bytes_max(options.control_line_bytes_max);
    std::string trace;
    while (!input.empty()) {
        const Piece piece(input, next_piece);
        base::ByteView in = piece.view;
        for (bool more = true; more;) {
            const auto look = [&](auto... arguments) { return parser.look_ahead(arguments...); };
            if (take_ahead(in, options, look, [&](const Publish& publish) { write_publish(trace, publish); }) != 0) {
                continue;
            }
            const std::size_t before = in.size();
            switch (parser.step(in)) {
                case NatsParser::Step::need_more:
                    BASE_CHECK(in.empty());
                    more = false;
                    break;
                case NatsParser::Step::event:
                    write_event(trace, parser.event());
                    break;
                case NatsParser::Step::broken:
                    BASE_CHECK(parser.step(in) == NatsParser::Step::broken);
                    trace += "broken|" + std::string(error_text(parser.error())) + "|" +
                             std::to_string(static_cast<int>(parser.error())) + "\n";
                    return trace;
            }
            BASE_CHECK(in.size() <= before);
            // Nothing is sized by what a peer declares: at most twice what has come, and some lines of slack.
            BASE_CHECK(parser.buffered_capacity() <=
                       2 * (piece.view.size() + trace.size()) + options.payload_bytes_max + 16384);
        }
    }
    trace += parser.idle() ? "end\n" : "end within a message\n";
    return trace;
}

std::string parser_trace(base::ByteView input, const ParserCheckOptions& options) {
    return parser_trace(input, options, [](std::size_t left) { return left; });
}

std::string session_trace(base::ByteView input, const ParserCheckOptions& options,
                          const std::function<std::size_t(std::size_t left)>& next_piece) {
    SessionSettings settings;
    settings.info.max_payload = options.payload_bytes_max;
    settings.control_line_bytes_max = options.control_line_bytes_max;
    settings.subscriptions_max = 20;
    if (options.mappings) {
        settings.subscription_tokens_max = 4;
        settings.mappings =
            SubjectMappings::compile({{"foo.*", {{"a.{{split(1,-)}}", 60, ""}, {"b.{{partition(7,1)}}", 20, ""}}},
                                      {"foo", {{"foo", 50, ""}}},
                                      {"bar.>", {{"{{random(3)}}.>", 100, ""}}},
                                      {"*", {{"$1.{{slicefromright(1,2)}}", 100, ""}}}})
                .value();
    }
    base::Prng prng(1);
    ClientSession session(settings, 1, "127.0.0.1", base::Instant{}, prng);
    std::string out;
    std::string told;
    std::uint64_t next_handle = 1;
    while (!input.empty()) {
        const Piece piece(input, next_piece);
        base::ByteView in = piece.view;
        const auto published = [&](const Publish& message) {
            told.append("publish|").append(message.subject).append("|").append(message.body).append("\n");
            session.no_responders_for(message.subject, message.reply, out);
        };
        const auto look = [&](base::ByteView bytes, PublishAhead* ahead, std::size_t max) {
            return session.look_ahead(bytes, base::Instant{}, ahead, max);
        };
        for (bool more = true; more;) {
            if (take_ahead(in, options, look, published) != 0) continue;
            switch (session.step(in, base::Instant{}, out)) {
                case SessionStep::need_more:
                    more = false;
                    break;
                case SessionStep::publish:
                    published(session.publication());
                    break;
                case SessionStep::subscribe:
                    told += "subscribe|" + std::to_string(session.subscribed()) + "\n";
                    session.set_handle(next_handle++);
                    break;
                case SessionStep::unsubscribe:
                    told += "unsubscribe|" + std::to_string(session.removed_handle()) + "\n";
                    break;
                case SessionStep::reset_all:
                    told += "reset";
                    for (const std::uint64_t handle : session.removed_handles()) told += "|" + std::to_string(handle);
                    told += "\n";
                    break;
                case SessionStep::ping:
                    session.append_pong(out);
                    break;
                case SessionStep::close:
                    return told + "closed|" + out;
            }
            BASE_CHECK(session.subscriptions().size() <= settings.subscriptions_max);
        }
    }
    return told + "open|" + out;
}

}  // namespace compat
