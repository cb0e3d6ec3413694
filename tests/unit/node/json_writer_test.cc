#include "routing/node/json_writer.h"

#include <catch2/catch.hpp>
#include <string>

using namespace routing::node;

TEST_CASE("JSON is written without spaces and with the commas where they belong", "[node][json]") {
    JsonWriter json;
    json.open_object().member("a", 1).member("b", "x\"\\\n\x01").member("c", true);
    json.key("d").open_array().number(1).number(2).open_object().close_object().string("s").close_array();
    json.key("e").open_object().member("f", std::string("g")).close_object().key("h").null().close_object();
    CHECK(json.text() == R"({"a":1,"b":"x\"\\\n\u0001","c":true,"d":[1,2,{},"s"],"e":{"f":"g"},"h":null})");
}

TEST_CASE("a string member of a request is found at the top level only", "[node][json]") {
    CHECK(json_string_member(R"({"subject":"orders.new"})", "subject") == "orders.new");
    CHECK(json_string_member(R"({ "x" : {"subject":"no"}, "subject" : "a\"b\u0041" })", "subject") == "a\"bA");
    CHECK(json_string_member(R"({"x":"subject","subject":"yes"})", "subject") == "yes");
    CHECK(json_string_member(R"({"subject":5})", "subject").empty());
    CHECK(json_string_member(R"({"subject":"unfinished)", "subject").empty());
    CHECK(json_string_member("", "subject").empty());
    CHECK(json_string_member(R"({"subject":"\u00)", "subject").empty());
}
