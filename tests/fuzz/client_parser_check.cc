#include "tests/fuzz/client_parser_check.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "routing/base/check.h"

namespace compat {

namespace {

void write_event(std::string& out, const ClientEvent& event) {
    const auto put = [&](std::string_view text) { out.append("|").append(text); };
    switch (event.verb) {
        case ClientVerb::connect:
            out += "connect";
            put(event.arguments);
            break;
        case ClientVerb::publish:
            out += "publish";
            put(event.publish.subject);
            put(event.publish.reply);
            put(std::to_string(event.publish.header_bytes));
            put(event.publish.body);
            break;
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

}  // namespace

std::string parser_trace(base::ByteView input, const ParserCheckOptions& options,
                         const std::function<std::size_t(std::size_t left)>& next_piece) {
    NatsParser parser;
    parser.set_headers_allowed(options.headers_allowed);
    parser.set_payload_bytes_max(options.payload_bytes_max);
    parser.set_control_line_bytes_max(options.control_line_bytes_max);
    std::string trace;
    while (!input.empty()) {
        const std::size_t size = std::clamp<std::size_t>(next_piece(input.size()), 1, input.size());
        const std::unique_ptr<char[]> piece(new char[size]);
        std::memcpy(piece.get(), input.data(), size);
        input.remove_prefix(size);
        base::ByteView in(piece.get(), size);
        for (bool more = true; more;) {
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
            BASE_CHECK(parser.buffered_capacity() <= 2 * (size + trace.size()) + options.payload_bytes_max + 16384);
        }
    }
    trace += parser.idle() ? "end\n" : "end within a message\n";
    return trace;
}

std::string parser_trace(base::ByteView input, const ParserCheckOptions& options) {
    return parser_trace(input, options, [](std::size_t left) { return left; });
}

}  // namespace compat
