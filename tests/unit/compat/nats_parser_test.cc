#include "compat/nats_parser.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "routing/base/prng.h"
#include "tests/fuzz/client_parser_check.h"

using namespace compat;

namespace {

struct Case {
    std::string input;
    std::string trace;
};

const std::string unknown = "broken|Unknown Protocol Operation|1\n";
const std::string silent = "broken||2\n";

// What each input means.  Every one of them is also cut in all ways below.
std::vector<Case> cases() {
    const std::string end = "end\n";
    return {
        {"", end},
        {"PING\r\n", "ping\n" + end},
        {"ping\n", "ping\n" + end},
        {"PiNg whatever \r \t\r\n", "ping\n" + end},
        {"PINGPONG\r\n", "ping\n" + end},
        {"PONG\r\nPING\r\n", "pong\nping\n" + end},
        {"+OK\r\n+ok then\r\n", "ok\nok\n" + end},
        {"-ERR 'what' now\r\n", "err|'what' now\n" + end},
        {"-err \t x\n", "err|x\n" + end},
        {"CONNECT {\"a\": 1 }\r\n", "connect|{\"a\": 1 }\n" + end},
        {"connect{}\r\n", "connect|{}\n" + end},
        {"CONNECT  \t {} \r\n", "connect|{} \n" + end},
        {"CONNECT\r\n", "connect|\n" + end},
        {"INFO {}\r\n", "info|{}\n" + end},
        {"INFO{}\n", "info|{}\n" + end},

        {"PUB foo 5\r\nhello\r\n", "publish|foo||0|hello\n" + end},
        {"pub foo 5\nhello\r\n", "publish|foo||0|hello\n" + end},
        {"PUB\tfoo\tbar\t5\r\nhello\r\n", "publish|foo|bar|0|hello\n" + end},
        {"PUB   foo   bar   5  \r\nhello\r\n", "publish|foo|bar|0|hello\n" + end},
        {"PUB foo 0\r\n\r\nPUB b 1\r\nx\r\n", "publish|foo||0|\npublish|b||0|x\n" + end},
        {"PUB foo 000000005\r\nhello\r\n", "publish|foo||0|hello\n" + end},
        {"PUB foo 4\r\n\r\n\r\n\r\n", "publish|foo||0|\r\n\r\n\n" + end},
        {"PUB f\x01\xff 2\r\nab\r\n", "publish|f\x01\xff||0|ab\n" + end},
        {"PUB averyveryverylongsubject.with.many.tokens reply.subject.too 2\r\nab\r\n",
         "publish|averyveryverylongsubject.with.many.tokens|reply.subject.too|0|ab\n" + end},
        {"PUB a\rb 5\r\nhello\r\n", "publish|a|b|0|hello\n" + end},  // a stray \r is a blank

        {"HPUB foo 12 17\r\nNATS/1.0\r\n\r\nhello\r\n", "publish|foo||12|NATS/1.0\r\n\r\nhello\n" + end},
        {"hpub foo rep 12 12\r\nNATS/1.0\r\n\r\n\r\n", "publish|foo|rep|12|NATS/1.0\r\n\r\n\n" + end},
        {"HPUB foo 0 2\r\nhi\r\n", "publish|foo||0|hi\n" + end},

        {"SUB foo 1\r\n", "subscribe|foo||1\n" + end},
        {"sub foo queue 1\r\n", "subscribe|foo|queue|1\n" + end},
        {"SUB\t\tfoo.*\tq\tabc \n", "subscribe|foo.*|q|abc\n" + end},
        {"SUB foo 1\r\r\n", "subscribe|foo||1\n" + end},
        {"UNSUB 1\r\n", "unsubscribe|1|0\n" + end},
        {"unsub abc 12\r\n", "unsubscribe|abc|12\n" + end},
        {"UNSUB 1 x\r\n", "unsubscribe|1|0\n" + end},
        {"UNSUB 1 1234567890\r\n", "unsubscribe|1|0\n" + end},

        // Only blanks are skipped after a verb, and then the line goes on; but not that of a publish.
        {"SUB \nfoo 1\r\n", "subscribe|foo||1\n" + end},
        {"UNSUB\t \n1 2\r\n", "unsubscribe|1|2\n" + end},
        {"CONNECT\n{}\r\n", "connect|\n{}\n" + end},
        {"SUB \n\r\n", silent},
        {"SUB \n\nfoo 1\r\n", silent},
        {"SUB \n", "end within a message\n"},
        {"PUB \nfoo 0\r\n\r\n", silent},
        {"HPUB \nfoo 0 0\r\n\r\n", silent},

        // A wrong verb, at its first wrong byte.
        {"\r\n", unknown},
        {" PING\r\n", unknown},
        {"X", unknown},
        {"GET / HTTP/1.1", unknown},
        {"\x16\x03\x01", unknown},
        {"PUX", unknown},
        {"PUB\r\n", unknown},
        {"PUBfoo 5\r\n", unknown},
        {"SUB\n", unknown},
        {"UNSUB1\r\n", unknown},
        {"-ERR\r\n", unknown},
        {"\rERR x\r\n", unknown},
        {"\x0bOK\r\n", unknown},
        {"HMSG foo 1 2 2\r\n", unknown},
        {"MSG foo 1 2\r\n", unknown},
        {"RS+ a b\r\n", unknown},
        {"LS+ a b\r\n", unknown},
        {"A+ b\r\n", unknown},

        // Wrong arguments: no word, just closed.
        {"PUB foo\r\n", silent},
        {"PUB \r\n", silent},
        {"PUB a b c 5\r\n", silent},
        {"PUB foo -1\r\n", silent},
        {"PUB foo 5x\r\n", silent},
        {"PUB foo 1234567890\r\n", silent},
        {"PUB foo 0000000005\r\n", silent},
        {"HPUB foo 5\r\n", silent},
        {"HPUB foo 6 5\r\n", silent},
        {"HPUB foo x 5\r\n", silent},
        {"HPUB a b c 5 5\r\n", silent},
        {"SUB foo\r\n", silent},
        {"SUB a b c d\r\n", silent},
        {"UNSUB \r\n", silent},
        {"UNSUB a b c\r\n", silent},

        // A payload that does not end where it said.
        {"PUB foo 5\r\nhelloX", unknown},
        {"PUB foo 5\r\nhello\n", unknown},
        {"PUB foo 5\r\nhello\rX", unknown},
        {"PUB foo 0\r\nX", unknown},

        // Not there yet.
        {"P", "end within a message\n"},
        {"PUB foo 5\r\nhell", "end within a message\n"},
        {"PUB foo 5\r\nhello\r", "end within a message\n"},
        {"PING\r\nSUB foo", "ping\nend within a message\n"},
    };
}

std::string readable(std::string text) {
    std::string out;
    append_quoted(out, text);
    return out;
}

}  // namespace

TEST_CASE("every line means what it says", "[compat][parser]") {
    for (const Case& test : cases()) {
        CAPTURE(readable(test.input));
        CHECK(parser_trace(test.input, {}) == test.trace);
    }
}

TEST_CASE("every line means the same in single bytes and in two pieces cut anywhere", "[compat][parser]") {
    for (const Case& test : cases()) {
        CAPTURE(readable(test.input));
        CHECK(parser_trace(test.input, {}, [](std::size_t) { return 1; }) == test.trace);
        for (std::size_t cut = 1; cut < test.input.size(); ++cut) {
            CAPTURE(cut);
            std::size_t next = cut;
            REQUIRE(parser_trace(test.input, {}, [&](std::size_t left) { return std::exchange(next, left); }) ==
                    test.trace);
        }
    }
}

TEST_CASE("a line that is refused can be shown, in one piece or in many", "[compat][parser]") {
    const auto refused = [](base::ByteView input, std::size_t piece) {
        NatsParser parser;
        while (!input.empty()) {
            base::Bytes read(input.substr(0, piece));  // as a socket's buffer: gone after the step
            input.remove_prefix(read.size());
            base::ByteView in = read;
            if (parser.step(in) != NatsParser::Step::broken) continue;
            return std::string(error_text(parser.error())) + ("|" + std::string(parser.event().arguments));
        }
        return std::string("taken");
    };
    for (const std::size_t piece : {1, 3, 100}) {
        CAPTURE(piece);
        CHECK(refused("PUB some.where 99999999\r\n", piece) == "Maximum Payload Violation|some.where 99999999");
        CHECK(refused("PUB a.subject.of.some.length b c d\r\n", piece) == "|a.subject.of.some.length b c d");
        CHECK(refused("SUB a.subject.of.some.length b c d\r\n", piece) == "|a.subject.of.some.length b c d");
    }
}

TEST_CASE("a stream of good and hostile lines gives the same events for every split", "[compat][parser]") {
    const auto seed = GENERATE(range<std::uint64_t>(1, 101));
    CAPTURE(seed);
    base::Prng prng(seed);
    const std::vector<Case> all = cases();
    ParserCheckOptions options;
    options.payload_bytes_max = 3000;
    options.control_line_bytes_max = 64;
    options.headers_allowed = prng.chance(3, 4);
    std::string input;
    const std::uint64_t lines = prng.between(1, 40);
    for (std::uint64_t i = 0; i < lines; ++i) {
        switch (prng.below(9)) {
            case 8: {  // one subject again and again
                const bool headers = options.headers_allowed && prng.chance(1, 2);
                for (std::uint64_t n = prng.between(1, 9); n > 0; --n) {
                    const std::string body((headers ? 12 : 0) + prng.below(prng.chance(1, 2) ? 1 : 200), 'x');
                    input += (headers ? "HPUB run 12 " : "PUB run ") + std::to_string(body.size()) + "\r\n" + body;
                    input += "\r\n";
                }
                break;
            }
            case 0: {  // a payload larger than most pieces
                const std::string body(prng.between(0, 3001), static_cast<char>('a' + i % 26));
                input += "PUB big." + std::to_string(i) + " r " + std::to_string(body.size()) + "\r\n" + body + "\r\n";
                break;
            }
            case 1:  // blanks without end
                input += "SUB" + std::string(prng.between(1, 300), prng.chance(1, 2) ? ' ' : '\t') + "f " +
                         std::to_string(i) + std::string(prng.below(70), ' ') + "\r\n";
                break;
            case 2:
                input += "PING" + std::string(prng.below(300), '\r') + "\r\n";
                break;
            default: {
                // Broken ones seldom, as they end the stream.
                const Case& picked = all[prng.below(all.size())];
                const bool whole = picked.trace.find("broken") == std::string::npos && picked.trace != "end\n" &&
                                   picked.trace.find("within") == std::string::npos;
                if (whole || prng.chance(1, 10)) input += picked.input;
            }
        }
    }
    if (!input.empty() && prng.chance(1, 3))  // and a byte gone wrong somewhere
        input[prng.below(input.size())] = static_cast<char>(prng.next());
    const std::string whole = parser_trace(input, options);
    CHECK(parser_trace(input, options, [](std::size_t) { return 1; }) == whole);
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t largest = prng.chance(1, 2) ? 20 : 2000;
        ParserCheckOptions ahead = options;
        ahead.look_ahead = prng.below(12);
        ahead.look_ahead_take = prng.between(1, 12);
        CHECK(parser_trace(input, ahead) == whole);
        CHECK(parser_trace(input, ahead, [&](std::size_t) { return prng.between(1, largest); }) == whole);
    }
}

TEST_CASE("the control line limit counts the arguments alone", "[compat][parser]") {
    const std::string too_long = "broken|maximum control line exceeded|6\n";
    const auto both_ways = [](const std::string& input) {
        const std::string whole = parser_trace(input, {});
        CHECK(parser_trace(input, {}, [](std::size_t) { return 1; }) == whole);
        CHECK(parser_trace(input, {}, [](std::size_t) { return 4095; }) == whole);
        return whole;
    };
    const std::string most(control_line_bytes_max - 2, 'a');  // and " 1"
    CHECK(both_ways("SUB " + most + " 1\r\n") == "subscribe|" + most + "||1\nend\n");
    CHECK(both_ways("SUB    " + most + " 1\n") == "subscribe|" + most + "||1\nend\n");
    CHECK(both_ways("SUB " + most + "a 1\r\n") == too_long);
    CHECK(both_ways("SUB " + most + " 1 \r\n") == too_long);
    CHECK(both_ways("PUB " + most + " 1\r\nx\r\n") == "publish|" + most + "||0|x\nend\n");
    CHECK(both_ways("PUB " + most + "a 1\r\nx\r\n") == too_long);
    // Without any line's end: refused as soon as it cannot fit any more.
    CHECK(both_ways("CONNECT " + std::string(control_line_bytes_max, 'x')) == "end within a message\n");
    CHECK(both_ways("CONNECT " + std::string(control_line_bytes_max + 1, 'x')) == too_long);
    CHECK(both_ways("CONNECT " + std::string(control_line_bytes_max, 'x') + "\r") == "end within a message\n");
    // Nobody counts blanks before the arguments, nor what follows PING; neither is kept.
    CHECK(both_ways("SUB" + std::string(20000, ' ') + "a 1\r\n") == "subscribe|a||1\nend\n");
    CHECK(both_ways("PING" + std::string(20000, 'x') + "\r\n") == "ping\nend\n");
}

TEST_CASE("blanks and chatter without end take no memory", "[compat][parser]") {
    for (const char* start : {"SUB ", "PING ", "+OK", "CONNECT"}) {
        CAPTURE(start);
        NatsParser parser;
        base::ByteView in = start;
        REQUIRE(parser.step(in) == NatsParser::Step::need_more);
        const std::string blanks(1 << 20, ' ');
        for (int i = 0; i < 4; ++i) {
            in = blanks;
            REQUIRE(parser.step(in) == NatsParser::Step::need_more);
        }
        CHECK(parser.buffered_capacity() <= 16384);
        in = std::string_view(start)[0] == 'S' ? "a 1\r\n" : "\r\n";
        CHECK(parser.step(in) == NatsParser::Step::event);
    }
}

TEST_CASE("a payload above the limit is refused as soon as its size is known", "[compat][parser]") {
    ParserCheckOptions options;
    options.payload_bytes_max = 8;
    const std::string too_large = "broken|Maximum Payload Violation|7\n";
    CHECK(parser_trace("PUB a 8\r\n12345678\r\n", options) == "publish|a||0|12345678\nend\n");
    CHECK(parser_trace("PUB a 9\r\n", options) == too_large);
    CHECK(parser_trace("PUB a 999999999\r\n", options) == too_large);
    CHECK(parser_trace("HPUB a 2 9\r\n", options) == too_large);
}

TEST_CASE("HPUB needs headers to be negotiated, before anything else about it", "[compat][parser]") {
    ParserCheckOptions options;
    options.headers_allowed = false;
    CHECK(parser_trace("HPUB a 2 2\r\nxx\r\n", options) == "broken||4\n");
    CHECK(parser_trace("HPUB nonsense\r\n", options) == "broken||4\n");
}

TEST_CASE("memory follows the bytes that came, not the declared size, and is given back", "[compat][parser]") {
    NatsParser parser;
    const std::string line = "PUB subject 1000000\r\n";
    base::ByteView in = line;
    REQUIRE(parser.step(in) == NatsParser::Step::need_more);
    CHECK(parser.buffered_capacity() < 1000);
    const std::string part(100000, 'x');
    for (int i = 1; i < 10; ++i) {
        in = part;
        REQUIRE(parser.step(in) == NatsParser::Step::need_more);
        CHECK(parser.buffered_capacity() <= 200000u * static_cast<unsigned>(i) + 1000);
        CHECK(parser.buffered_capacity() <= 1000100);
    }
    const std::string rest = part + "\r\nPING\r\n";
    in = rest;
    REQUIRE(parser.step(in) == NatsParser::Step::event);
    CHECK(parser.event().publish.body == base::ByteView(std::string(1000000, 'x')));
    CHECK(in == "PING\r\n");
    CHECK(parser.buffered_capacity() <= 1000100);
    REQUIRE(parser.step(in) == NatsParser::Step::event);
    CHECK(parser.event().verb == ClientVerb::ping);
    CHECK(parser.buffered_capacity() <= parser_kept_bytes_max);
}

TEST_CASE("a whole message is a view into the input", "[compat][parser]") {
    NatsParser parser;
    const std::string input = "PUB a.b rr 3\r\nxyz\r\nSUB q w 7\r\n";
    base::ByteView in = input;
    const auto inside = [&](std::string_view view) {
        return view.data() >= input.data() && view.data() + view.size() <= input.data() + input.size();
    };
    REQUIRE(parser.step(in) == NatsParser::Step::event);
    CHECK(inside(parser.event().publish.subject));
    CHECK(inside(parser.event().publish.reply));
    CHECK(inside(parser.event().publish.body));
    REQUIRE(parser.step(in) == NatsParser::Step::event);
    CHECK(inside(parser.event().subject));
    CHECK(in.empty());
}

TEST_CASE("a pedantic parser tells of an odd subject as soon as its line is there", "[compat][parser]") {
    ParserCheckOptions options;
    options.pedantic = true;
    const std::string input =
        "PUB a.* 2\r\nhi\r\nPUB a r 1\r\nx\r\nHPUB a..b r.> 12 14\r\nNATS/1.0\r\n\r\nhi\r\nPUB > 3\r\nab\r\n";
    const std::string wanted =
        "odd_publish|a.*\npublish|a.*||0|hi\npublish|a|r|0|x\nodd_publish|a..b\n"
        "publish|a..b|r.>|12|NATS/1.0\r\n\r\nhi\nodd_publish|>\n" +
        unknown;
    CHECK(parser_trace(input, options) == wanted);
    for (std::size_t piece = 1; piece < 20; ++piece)
        CHECK(parser_trace(input, options, [&](std::size_t) { return piece; }) == wanted);
    // Before any of the payload has come.
    NatsParser parser;
    parser.set_pedantic(true);
    base::ByteView in = "PUB a.. 1000\r\n";
    REQUIRE(parser.step(in) == NatsParser::Step::event);
    CHECK(parser.event().verb == ClientVerb::odd_publish);
    CHECK(parser.event().publish.subject == "a..");
    CHECK(parser.step(in) == NatsParser::Step::need_more);
}
