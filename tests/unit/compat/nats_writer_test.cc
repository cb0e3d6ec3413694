#include "compat/nats_writer.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <string>

#include "compat/nats_headers.h"
#include "routing/base/prng.h"

using namespace compat;

TEST_CASE("numbers are written as std::to_string writes them", "[compat][writer]") {
    const auto check = [](std::uint64_t value) {
        std::string out = "x";
        append_number(out, value);
        REQUIRE(out == "x" + std::to_string(value));
    };
    for (const std::uint64_t value : {0ULL, 9ULL, 10ULL, 99ULL, 100ULL, 999ULL, 1000ULL, 4294967295ULL}) check(value);
    check(UINT64_MAX);
    base::Prng prng(7);
    for (int i = 0; i < 2000; ++i) check(prng.next() >> prng.below(64));
}

TEST_CASE("a delivery is a MSG, or an HMSG where headers are wanted and there", "[compat][writer]") {
    std::string head;
    append_message_head(head, "foo.bar", "9");
    CHECK(head == "HMSG foo.bar 9 ");
    const auto deliver = [&](bool headers_ok, const OutgoingMessage& message) {
        std::string out;
        append_delivery(out, head, headers_ok, message);

        const bool with_headers = delivered_with_headers(message, headers_ok);
        std::string tail;
        append_delivery_tail(tail, message, with_headers);
        std::string parts;
        append_delivery_parts(parts, head, with_headers, tail, message);
        CHECK(parts == out);
        CHECK(delivery_bytes(head, with_headers, tail, message) == out.size());
        std::string written(out.size(), '?');
        CHECK(write_delivery_parts(written.data(), head, with_headers, tail, message) ==
              written.data() + written.size());
        CHECK(written == out);
        return out;
    };
    CHECK(deliver(true, {"", "hello", 0}) == "MSG foo.bar 9 5\r\nhello\r\n");
    CHECK(deliver(false, {"", "hello", 0}) == "MSG foo.bar 9 5\r\nhello\r\n");
    CHECK(deliver(true, {"r.1", "", 0}) == "MSG foo.bar 9 r.1 0\r\n\r\n");
    const std::string_view body = "NATS/1.0\r\nA: b\r\n\r\nhi";
    CHECK(deliver(true, {"", body, 18}) == "HMSG foo.bar 9 18 20\r\nNATS/1.0\r\nA: b\r\n\r\nhi\r\n");
    CHECK(deliver(true, {"r", body, 18}) == "HMSG foo.bar 9 r 18 20\r\nNATS/1.0\r\nA: b\r\n\r\nhi\r\n");
    CHECK(deliver(false, {"r", body, 18}) == "MSG foo.bar 9 r 2\r\nhi\r\n");
}

TEST_CASE("a 503 names the subject and has no payload", "[compat][writer]") {
    std::string out;
    append_no_responders(out, "_INBOX.x.1", "4", "svc.time");
    CHECK(out == "HMSG _INBOX.x.1 4 40 40\r\nNATS/1.0 503\r\nNats-Subject: svc.time\r\n\r\n\r\n");
    const std::size_t block_at = out.find("NATS/1.0");
    const std::string block = out.substr(block_at, 40);
    CHECK(valid_headers(block));
    CHECK(header_status(block) == "503");
    CHECK(find_header(block, "Nats-Subject") == std::string_view("svc.time"));
}
