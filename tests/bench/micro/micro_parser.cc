// What the client parser costs per line, with whole reads and with lines that are split over two.
#define CATCH_CONFIG_MAIN
#define CATCH_CONFIG_ENABLE_BENCHMARKING
#include <catch2/catch.hpp>
#include <string>

#include "compat/nats_parser.h"

namespace compat {
namespace {

// Catch2 divides a sample by its iterations; each iteration is this many lines, so that its own cost is small.
constexpr std::size_t batch = 1000;

std::string repeated(const std::string& line) {
    std::string out;
    for (std::size_t i = 0; i < batch; ++i) out += line;
    return out;
}

// Parses `text` in reads of `read_bytes`; returns a sum over the events, so that nothing is optimised away.
std::size_t parse(NatsParser& parser, base::ByteView text, std::size_t read_bytes) {
    std::size_t sum = 0;
    while (!text.empty()) {
        base::ByteView in = text.substr(0, read_bytes);
        text.remove_prefix(in.size());
        while (parser.step(in) == NatsParser::Step::event) {
            const ClientEvent& event = parser.event();
            sum += 1 + event.publish.body.size() + event.sid.size();
        }
        REQUIRE(parser.error() == NatsError::none);
    }
    return sum;
}

TEST_CASE("1,000 lines each", "[bench][compat]") {
    const std::string pub_16 = repeated("PUB orders.new 16\r\n" + std::string(16, 'x') + "\r\n");
    const std::string pub_128 = repeated("PUB orders.new 128\r\n" + std::string(128, 'x') + "\r\n");
    const std::string request =
        repeated("PUB orders.new _INBOX.abcdefghijklmnop.42 128\r\n" + std::string(128, 'x') + "\r\n");
    const std::string hpub =
        repeated("HPUB orders.new 21 149\r\nNATS/1.0\r\nTrace: \r\n\r\n" + std::string(128, 'x') + "\r\n");
    const std::string sub = repeated("SUB orders.*.new 123456\r\n");
    const std::string unsub = repeated("UNSUB 123456\r\n");
    NatsParser parser;
    parser.set_headers_allowed(true);
    constexpr std::size_t whole = 1 << 20;
    REQUIRE(parse(parser, pub_16, whole) == batch * 17);
    REQUIRE(parse(parser, hpub, whole) == batch * 150);
    REQUIRE(parse(parser, pub_128, 1460) == batch * 129);
    BENCHMARK("PUB of 16 B") {
        return parse(parser, pub_16, whole);
    };
    BENCHMARK("PUB of 128 B") {
        return parse(parser, pub_128, whole);
    };
    BENCHMARK("PUB of 128 B with a reply subject") {
        return parse(parser, request, whole);
    };
    BENCHMARK("HPUB of 21 B and 128 B") {
        return parse(parser, hpub, whole);
    };
    BENCHMARK("PUB of 128 B in reads of 1,460 B") {
        return parse(parser, pub_128, 1460);
    };
    BENCHMARK("SUB") {
        return parse(parser, sub, whole);
    };
    BENCHMARK("UNSUB") {
        return parse(parser, unsub, whole);
    };
}

}  // namespace
}  // namespace compat
