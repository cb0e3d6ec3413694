// The hot path allocates nothing.  This program counts every allocation of its process.
#include <catch2/catch.hpp>
#include <chrono>
#include <string>

#include "compat/client_session.h"
#include "compat/nats_writer.h"
#include "tests/support/count_allocations.h"

using namespace compat;

namespace {

struct Loop {
    SessionSettings settings;
    base::Prng prng{1};
    std::string out;
    ClientSession session;
    std::size_t publishes = 0;

    Loop() : settings(make_settings()), session(settings, 1, "127.0.0.1", base::Instant{}, prng) {
        out.reserve(1 << 16);
        feed("CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true}\r\nSUB a.* 1\r\n");
    }
    static SessionSettings make_settings() {
        SessionSettings made;
        made.info.max_payload = 1 << 20;
        return made;
    }

    // Delivers every publish to the session's own subscription, as a shard does.
    void feed(base::ByteView in) {
        static const std::string head = "HMSG a.b 1 ";
        while (true) {
            const SessionStep step = session.step(in, base::Instant{}, out);
            if (step == SessionStep::need_more) return;
            if (step == SessionStep::ping) session.append_pong(out);
            if (step != SessionStep::publish) continue;
            ++publishes;
            const Publish& message = session.publication();
            if (session.on_delivery(0) == Delivery::deliver)
                append_delivery(out, head, session.headers(), {message.reply, message.body, message.header_bytes});
            if (out.size() > 60000) out.clear();
        }
    }
};

}  // namespace

TEST_CASE("publishing and delivering allocates nothing at steady state", "[compat][allocation]") {
    Loop loop;
    const std::string body(128, 'x');
    std::string input;
    for (int i = 0; i < 100; ++i) {
        input += "PUB a.b 128\r\n" + body + "\r\n";
        input += "PUB a.b reply.c 128\r\n" + body + "\r\n";
        input += "HPUB a.b 18 20\r\nNATS/1.0\r\nA: b\r\n\r\nhi\r\nPING\r\n";
    }
    loop.feed(input);
    const std::size_t before = support::allocations();
    for (int i = 0; i < 10; ++i) loop.feed(input);
    CHECK(support::allocations() == before);
    CHECK(loop.publishes == 11 * 300);
}

TEST_CASE("small messages that are cut by reads allocate nothing either", "[compat][allocation]") {
    Loop loop;
    std::string input;
    for (int i = 0; i < 50; ++i) input += "PUB a.b reply 128\r\n" + std::string(128, 'x') + "\r\n";
    const auto in_pieces = [&](std::size_t size) {
        base::ByteView rest = input;
        while (!rest.empty()) {
            loop.feed(rest.substr(0, size));
            rest.remove_prefix(std::min(size, rest.size()));
        }
    };
    in_pieces(100);
    const std::size_t before = support::allocations();
    for (const std::size_t size : {1, 7, 100, 1000}) in_pieces(size);
    CHECK(support::allocations() == before);
    CHECK(loop.publishes == 5 * 50);
}

TEST_CASE("mapping a publish allocates nothing", "[compat][allocation][mappings]") {
    Loop loop;
    loop.settings.mappings = SubjectMappings::compile({{"literal.source.of.some.length", {{"a.b", 100, ""}}},
                                                       {"orders.*.*", {{"a.{{partition(10,1,2)}}", 60, ""}}},
                                                       {"cut.*", {{"a.{{split(1,-)}}.{{slicefromleft(1,2)}}", 50, ""}}},
                                                       {"tail.>", {{"a.{{random(5)}}.>", 100, ""}}}})
                                 .value();
    loop.session.settings_changed();
    std::string input;
    for (int i = 0; i < 100; ++i) {
        input += "PUB literal.source.of.some.length 2\r\nhi\r\nPUB orders.of.somebody.else 2\r\nhi\r\n";
        input += "PUB orders.europe.books 2\r\nhi\r\nPUB cut.one-two-three-four 2\r\nhi\r\n";
        input += "PUB tail.of.several.tokens answer 2\r\nhi\r\n";
    }
    loop.feed(input);
    const std::size_t before = support::allocations();
    for (int i = 0; i < 10; ++i) loop.feed(input);
    CHECK(support::allocations() == before);
    CHECK(loop.publishes == 11 * 500);
}

// Not a test of time: run it by hand (`compat_allocation_test '[.speed]'`) to see nanoseconds per PUB.
TEST_CASE("how long a PUB of 128 bytes takes", "[.speed]") {
    Loop loop;
    std::string input;
    for (int i = 0; i < 1000; ++i) input += "PUB orders.new.eu 128\r\n" + std::string(128, 'x') + "\r\n";
    NatsParser parser;
    std::size_t sum = 0;
    const auto start = std::chrono::steady_clock::now();
    constexpr int rounds = 5000;
    for (int i = 0; i < rounds; ++i) {
        base::ByteView in = input;
        while (parser.step(in) == NatsParser::Step::event) sum += parser.event().publish.body.size();
    }
    const auto parsed = std::chrono::steady_clock::now();
    for (int i = 0; i < rounds; ++i) loop.feed(input);
    const auto delivered = std::chrono::steady_clock::now();
    const auto per_message = [](auto duration) {
        return std::chrono::duration<double, std::nano>(duration).count() / (1000.0 * rounds);
    };
    WARN("parse " << per_message(parsed - start) << " ns, parse, step and deliver " << per_message(delivered - parsed)
                  << " ns per message, " << sum << " bytes");
}

TEST_CASE("how long a mapping takes", "[.speed]") {
    const auto mappings = SubjectMappings::compile({{"a.literal.one", {{"b", 100, ""}}},
                                                    {"orders.*.*", {{"a.{{partition(10,1,2)}}", 100, ""}}}})
                              .value();
    base::Prng prng(1);
    std::string out;
    for (const char* subject : {"a.literal.one", "orders.europe.books", "neither.of.them"}) {
        constexpr int times = 1000000;
        const auto start = std::chrono::steady_clock::now();
        for (int i = 0; i < times; ++i) (void)mappings->apply(subject, prng, out);
        const auto took = std::chrono::steady_clock::now() - start;
        WARN(subject << ": " << std::chrono::duration_cast<std::chrono::nanoseconds>(took).count() / times << " ns");
    }
}
