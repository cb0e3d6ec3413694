#include "compat/connect_info.h"

#include <catch2/catch.hpp>
#include <string>

#include "compat/json.h"

using namespace compat;

TEST_CASE("a CONNECT that says nothing leaves the defaults", "[compat][connect]") {
    for (const char* json : {"{}", "null", " { } ", R"({"unknown":[1,{"verbose":false}],"verbose":null})"}) {
        CAPTURE(json);
        ConnectOptions options;
        REQUIRE(parse_connect(json, options));
        CHECK(options.verbose);
        CHECK(options.pedantic);
        CHECK(options.echo);
        CHECK_FALSE(options.headers);
        CHECK(options.protocol == 0);
    }
}

TEST_CASE("a CONNECT of a real client is understood", "[compat][connect]") {
    ConnectOptions options;
    REQUIRE(parse_connect(
        R"({"verbose":false,"pedantic":false,"tls_required":false,"name":"a \"b\" é","lang":"go","version":"1.37.0",)"
        R"("protocol":1,"echo":false,"headers":true,"no_responders":true,"user":"u","pass":"p","auth_token":"t"})",
        options));
    CHECK_FALSE(options.verbose);
    CHECK_FALSE(options.pedantic);
    CHECK_FALSE(options.echo);
    CHECK(options.headers);
    CHECK(options.no_responders);
    CHECK(options.protocol == 1);
    CHECK(options.name == "a \"b\" \xc3\xa9");
    CHECK(options.lang == "go");
    CHECK(options.version == "1.37.0");
    CHECK(options.user == "u");
    CHECK(options.pass == "p");
    CHECK(options.auth_token == "t");

    SECTION("and a second one is read over it") {
        REQUIRE(parse_connect(R"({"verbose":true})", options));
        CHECK(options.verbose);
        CHECK_FALSE(options.echo);
        CHECK(options.name == "a \"b\" \xc3\xa9");
    }
}

TEST_CASE("keys are known in any case, the last of several wins, nested ones do not count", "[compat][connect]") {
    ConnectOptions options;
    REQUIRE(parse_connect(R"({"VERBOSE":false,"Name":"a","name":"b","x":{"name":"c","echo":5},"y":[{"echo":false}]})",
                          options));
    CHECK_FALSE(options.verbose);
    CHECK(options.echo);
    CHECK(options.name == "b");
}

TEST_CASE("what is not a JSON object, or has the wrong type, is refused", "[compat][connect]") {
    for (const char* json : {"",
                             "{",
                             "}",
                             "[]",
                             "5",
                             "-5",
                             "1.5",
                             "true",
                             "\"verbose\"",
                             "{\"verbose\":false",
                             "{\"verbose\":false}}",
                             "{\"verbose\":\"false\"}",
                             "{\"verbose\":1}",
                             "{\"name\":1}",
                             "{\"name\":true}",
                             "{\"name\":{}}",
                             "{\"name\":[]}",
                             "{\"protocol\":\"1\"}",
                             "{\"protocol\":1.0}",
                             "{\"protocol\":true}",
                             "{\"protocol\":99999999999999999999}",
                             "{\"protocol\":18446744073709551615}",
                             "{verbose:false}",
                             "{'verbose':false}",
                             "{\"verbose\":false,}",
                             "// {}",
                             "{\"a\":\x01}",
                             "{\"name\":\"\t\"}",
                             "{\"import\":[]}",
                             "{\"import\":{\"allow\":\"a\"}}",
                             "{\"export\":{\"deny\":[1]}}",
                             "{\"proxy_sig\":1}",
                             "{\"x\":01}",
                             "{\"x\":1.}",
                             "{\"x\":\"\\x\"}",
                             "{\"x\":\"\\u12g4\"}",
                             "{}{}",
                             "nul"}) {
        CAPTURE(json);
        ConnectOptions options;
        CHECK_FALSE(parse_connect(json, options));
    }
}

TEST_CASE("nesting as deep as a line allows neither crashes nor costs stack", "[compat][connect]") {
    const std::string open(2000, '[');
    const std::string shut(2000, ']');
    ConnectOptions options;
    CHECK(parse_connect("{\"a\":" + open + shut + "}", options));
    CHECK_FALSE(parse_connect("{\"a\":" + open + shut, options));
    CHECK_FALSE(parse_connect(open + open, options));
}

TEST_CASE("what Go takes for JSON is taken", "[compat][connect]") {
    ConnectOptions options;
    CHECK(parse_connect("{\"name\":\"a\xff\xc3z\"}", options));
    CHECK(options.name == "a\xef\xbf\xbd\xef\xbf\xbdz");
    CHECK(parse_connect(R"({"name":"\ud83d\ude00 \ud800x\udc00 \u00e9\/\b"})", options));
    CHECK(options.name == "\xf0\x9f\x98\x80 \xef\xbf\xbdx\xef\xbf\xbd \xc3\xa9/\b");
    CHECK(parse_connect(R"({"x":1e999,"y":123456789012345678901234567890,"protocol":-0})", options));
    CHECK(options.protocol == 0);
    CHECK(parse_connect("\t{ \"a\" : [ 1 , { } , [ ] , null , true , false , -1.5E+7 ] }\r\n", options));
    CHECK(
        parse_connect("{\"Verbo\xc5\xbf"
                      "e\":false,\"n\xe2\x84\xaa"
                      "ey\":\"k\"}",
                      options));
    CHECK_FALSE(options.verbose);
    CHECK(options.nkey == "k");
    CHECK(parse_connect(R"({"import":{"allow":["a",null],"other":{"x":[1]}},"export":null})", options));
}

TEST_CASE("nesting ends where Go's ends", "[compat][connect]") {
    ConnectOptions options;
    const auto nested = [](std::size_t depth) {
        return "{\"x\":" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
    };
    CHECK(parse_connect(nested(json_depth_max), options));
    CHECK_FALSE(parse_connect(nested(json_depth_max + 1), options));
}

TEST_CASE("an INFO from a client has to be one", "[compat][connect]") {
    CHECK(is_info("{}"));
    CHECK(is_info("null"));
    CHECK(is_info(R"({"verbose":5,"port":1,"connect_urls":["a"],"client_id":18446744073709551615,"gossip_mode":255})"));
    CHECK_FALSE(is_info("x"));
    CHECK_FALSE(is_info("[]"));
    CHECK_FALSE(is_info("3"));
    CHECK_FALSE(is_info(R"({"port":"1"})"));
    CHECK_FALSE(is_info(R"({"connect_urls":"a"})"));
    CHECK_FALSE(is_info(R"({"client_id":-1})"));
    CHECK_FALSE(is_info(R"({"gossip_mode":256})"));
    CHECK_FALSE(is_info(R"({"max_payload":3000000000})"));
}

TEST_CASE("INFO has the keys that are always there, and no empty ones", "[compat][info]") {
    ServerInfo server;
    server.server_id = "NID";
    server.server_name = "a";
    server.host = "0.0.0.0";
    server.port = 4222;
    server.max_payload = 1048576;
    std::string out;
    append_info(out, server, {});
    CHECK(out ==
          "INFO {\"server_id\":\"NID\",\"server_name\":\"a\",\"version\":\"2.10.29\",\"proto\":1,\"go\":\"c++20\","
          "\"host\":\"0.0.0.0\",\"port\":4222,\"headers\":true,\"max_payload\":1048576} \r\n");
    out.clear();
    server.connect_urls = {"10.0.0.1:4222"};
    server.auth_required = true;
    server.treegate_version = "0.1.0";
    ClientInfo client;
    client.client_id = 7;
    client.client_ip = "127.0.0.1";
    client.lame_duck = true;
    client.connect_info = true;
    client.remote_account = "$G";
    append_info(out, server, client);
    CHECK(out ==
          "INFO {\"server_id\":\"NID\",\"server_name\":\"a\",\"version\":\"2.10.29\",\"proto\":1,\"go\":\"c++20\","
          "\"host\":\"0.0.0.0\",\"port\":4222,\"headers\":true,\"auth_required\":true,\"max_payload\":1048576,"
          "\"client_id\":7,\"client_ip\":\"127.0.0.1\",\"connect_urls\":[\"10.0.0.1:4222\"],\"ldm\":true,"
          "\"connect_info\":true,\"remote_account\":\"$G\",\"treegate\":\"0.1.0\"} \r\n");
}

TEST_CASE("a name that is not UTF-8 does not break INFO", "[compat][info]") {
    ServerInfo server;
    server.server_name = "a\xff\"\n<b> \x1f\xe2\x80\xa8\xc3\xa9";
    std::string out;
    append_info(out, server, {});
    CHECK(out.find(R"("server_name":"a\ufffd\"\n\u003cb\u003e \u001f\u2028é")") != std::string::npos);
}
