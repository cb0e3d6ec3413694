#include "compat/nats_headers.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

using namespace compat;

TEST_CASE("a header block is valid from its version line to its empty line", "[compat][headers]") {
    for (const char* good : {"NATS/1.0\r\n\r\n", "NATS/1.0 503\r\n\r\n", "NATS/1.0 408 Request Timeout\r\nA: b\r\n\r\n",
                             "NATS/1.0\r\nA:b\r\nA:\r\nTree-Trace: 1\r\n\r\n", "NATS/1.0\r\nA: b: c\r\n\r\n"}) {
        CAPTURE(good);
        CHECK(valid_headers(good));
    }
    for (const char* bad :
         {"", "NATS/1.0", "NATS/1.0\r\n", "NATS/1.1\r\n\r\n", "NATS/1.0x\r\n\r\n", "NATS/1.0\r\nno colon\r\n\r\n",
          "NATS/1.0\r\n: no key\r\n\r\n", "NATS/1.0\r\nA B: c\r\n\r\n", "NATS/1.0\r\nA: b\r\n", "NATS/1.0\r\n\r\nrest",
          "nats/1.0\r\n\r\n"}) {
        CAPTURE(bad);
        CHECK_FALSE(valid_headers(bad));
    }
}

TEST_CASE("keys are found byte for byte, values without the blanks around them", "[compat][headers]") {
    const std::string_view block = "NATS/1.0\r\nKey: one\r\nkey:two \r\nEmpty:\r\nKeys: 3\r\nKey: four\r\n\r\n";
    CHECK(find_header(block, "Key") == std::string_view("one"));
    CHECK(find_header(block, "key") == std::string_view("two"));
    CHECK(find_header(block, "Empty") == std::string_view(""));
    CHECK_FALSE(find_header(block, "KEY").has_value());
    CHECK_FALSE(find_header(block, "Ke").has_value());
    CHECK_FALSE(find_header("", "Key").has_value());
    CHECK_FALSE(find_header("Key: one\r\n\r\n", "Key").has_value());

    std::vector<std::string> seen;
    HeaderFields fields(block);
    HeaderFields::Field field;
    while (fields.next(field)) seen.push_back(std::string(field.key) + "=" + std::string(field.value));
    CHECK(seen == std::vector<std::string>{"Key=one", "key=two", "Empty=", "Keys=3", "Key=four"});
}

TEST_CASE("the status stands after the version", "[compat][headers]") {
    CHECK(header_status("NATS/1.0 503\r\n\r\n") == "503");
    CHECK(header_status("NATS/1.0 100 FlowControl Request\r\n\r\n") == "100");
    CHECK(header_status("NATS/1.0\r\nA: 503\r\n\r\n").empty());
    CHECK(header_status("").empty());
}

TEST_CASE("a header is added at the end, and makes a block where none was", "[compat][headers]") {
    std::string block;
    append_header(block, "A", "1");
    CHECK(block == "NATS/1.0\r\nA: 1\r\n\r\n");
    append_header(block, "B", "");
    CHECK(block == "NATS/1.0\r\nA: 1\r\nB: \r\n\r\n");
    CHECK(valid_headers(block));
    block = "NATS/1.0 503\r\n\r\n";
    append_header(block, "Nats-Subject", "x");
    CHECK(block == "NATS/1.0 503\r\nNats-Subject: x\r\n\r\n");
}
