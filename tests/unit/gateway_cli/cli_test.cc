#include "gateway/cli/cli.h"

#include <nlohmann/json.hpp>
#include <sstream>

#include "gateway/nkey.h"
#include "routing/base/bytes.h"
#include "tests/unit/gateway_cli/fake_gateway.h"

namespace gateway::cli {

namespace {

struct Run {
    int code = -1;
    std::string out;
    std::string error;
};

Run run(const std::vector<std::string>& words, const std::string& input = {}) {
    std::vector<const char*> arguments;
    for (const std::string& word : words) arguments.push_back(word.c_str());
    std::istringstream in(input);
    std::ostringstream out;
    std::ostringstream error;
    Run result;
    result.code = run_command_for_test(arguments, in, out, error);
    result.out = out.str();
    result.error = error.str();
    return result;
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

const Key32 some_key = {1, 2, 3};

std::string server_id() {
    return encode_server_key(some_key);
}

}  // namespace

TEST_CASE("the words tree, path, queue and sim are commands; flags and other words are not", "[gateway][cli]") {
    for (const char* word : {"tree", "path", "queue", "sim"}) CHECK(is_command(std::vector<const char*>{word}));
    for (const char* word : {"trees", "--json", "", "help"}) CHECK_FALSE(is_command(std::vector<const char*>{word}));
    CHECK_FALSE(is_command({}));
}

TEST_CASE("sim runs seeds and asks nobody", "[gateway][cli]") {
    const Run two = run({"sim", "--seed", "11", "--seeds=2", "--gateways", "3"});
    CHECK(two.code == 0);
    CHECK(has(two.out, "2 seeds, 0 failed"));
    CHECK(two.error.empty());
    CHECK(has(run({"sim", "--seed", "11", "--verbose"}).out, "seed 11: "));
    CHECK(has(run({"sim", "--help"}).out, "--seeds"));
    for (const auto& wrong : std::vector<std::vector<std::string>>{
             {"sim", "--seed", "x"}, {"sim", "--gateways", "257"}, {"sim", "more"}, {"sim", "--no-such"}}) {
        CAPTURE(wrong);
        const Run result = run(wrong);
        CHECK(result.code == 1);
        CHECK(has(result.error, "Usage:"));
    }
}

TEST_CASE("a request names the gateway that is connected to, and its answer is shown", "[gateway][cli]") {
    std::string subject;
    std::string body;
    const FakeGateway gateway(server_id(), [&](const std::string& asked, const std::string& text) {
        subject = asked;
        body = text;
        return FakeAnswer{FakeAnswer::reply,
                          R"({"number":"45","factors":[{"prime":3,"exponent":2,"name":"b"}],"rest":"5"})"};
    });
    const Run plain = run({"path", "explain", "45", "-s", gateway.url()});
    CAPTURE(plain.error);
    CHECK(plain.code == 0);
    CHECK(subject ==
          "$TREE.REQ." + base::to_hex({reinterpret_cast<const char*>(some_key.data()), 32}) + ".path.explain");
    CHECK(nlohmann::json::parse(body) == nlohmann::json{{"number", "45"}});
    CHECK(has(plain.out, "delivers"));
}

TEST_CASE("with --json the answer is printed as it came", "[gateway][cli]") {
    const std::string answer = R"({"name":"a","splits":7,"unknown":[1,{"x":null}]})";
    const FakeGateway gateway(server_id(), [&](const std::string&, const std::string&) {
        return FakeAnswer{FakeAnswer::reply, answer};
    });
    const Run json = run({"tree", "status", "--json", "--server=nats://" + gateway.url()});
    CHECK(json.code == 0);
    CHECK(nlohmann::json::parse(json.out) == nlohmann::json::parse(answer));
}

TEST_CASE("what goes wrong is one clear sentence and exit code 1", "[gateway][cli]") {
    const auto answering = [](FakeAnswer answer) {
        return [answer](const std::string&, const std::string&) { return answer; };
    };
    SECTION("nobody listens") {
        std::string url;
        { url = FakeGateway(server_id(), answering({})).url(); }
        const Run result = run({"tree", "status", "-s", url});
        CHECK(result.code == 1);
        CHECK(has(result.error, "cannot reach a gateway at nats://" + url));
    }
    SECTION("another kind of server") {
        const FakeGateway gateway("whoever", answering({}));
        const Run result = run({"tree", "status", "-s", gateway.url()});
        CHECK(result.code == 1);
        CHECK(has(result.error, "is not a treegate"));
    }
    SECTION("a server without a tree") {
        const FakeGateway gateway(server_id(), answering({FakeAnswer::no_responders, ""}));
        const Run result = run({"tree", "status", "-s", gateway.url()});
        CHECK(result.code == 1);
        CHECK(has(result.error, "no tree and no durable subjects"));
        CHECK(result.out.empty());
    }
    SECTION("no answer in time") {
        const FakeGateway gateway(server_id(), answering({FakeAnswer::silence, ""}));
        const Run result = run({"tree", "status", "-s", gateway.url(), "--timeout", "300ms"});
        CHECK(result.code == 1);
        CHECK(has(result.error, "did not answer within 300 ms"));
    }
    SECTION("an answer that says what is wrong") {
        const FakeGateway gateway(server_id(), answering({FakeAnswer::reply, R"({"error":"not like that"})"}));
        const Run result = run({"path", "explain", "x", "-s", gateway.url()});
        CHECK(result.code == 1);
        CHECK(result.error == "treegate: not like that\n");
    }
    SECTION("an answer that is no JSON, or not what was asked for") {
        for (const char* text : {"", "{", "[1,2"}) {
            const FakeGateway gateway(server_id(), answering({FakeAnswer::reply, text}));
            CHECK(has(run({"tree", "map", "-s", gateway.url()}).error, "not JSON"));
        }
        for (const char* text : {"[]", "7", "{}", R"({"queues":7})"}) {
            const FakeGateway gateway(server_id(), answering({FakeAnswer::reply, text}));
            CHECK(has(run({"queue", "dump", "-s", gateway.url()}).error, "no dump"));
        }
        const FakeGateway gateway(server_id(), [](const std::string&, const std::string& body) {
            return FakeAnswer{FakeAnswer::reply, has(body, "from")
                                                     ? R"({"queues":[7]})"
                                                     : R"({"queues":[{"filter":"a","records":[]}],"next":1})"};
        });
        CHECK(has(run({"queue", "dump", "-s", gateway.url()}).error, "another form"));
    }
    SECTION("a command line that is none") {
        CHECK(has(run({"tree"}).error, "tree what?"));
        CHECK(has(run({"tree", "dance"}).error, "there is no 'tree dance'"));
        CHECK(has(run({"path", "show"}).error, "needs one SUBJECT"));
        CHECK(has(run({"tree", "map", "x"}).error, "'x' is one word too many"));
        CHECK(has(run({"tree", "map", "--nope"}).error, "there is no such flag"));
        CHECK(has(run({"tree", "map", "--timeout", "soon"}).error, "not a time"));
        CHECK(run({"tree", "dance"}).code == 1);
    }
}

TEST_CASE("a dump comes in pages and is put together, queue by queue", "[gateway][cli]") {
    std::vector<std::string> asked;
    const FakeGateway gateway(server_id(), [&](const std::string&, const std::string& body) {
        asked.push_back(nlohmann::json::parse(body).value("from", ""));
        if (asked.back().empty())
            return FakeAnswer{FakeAnswer::reply, R"({"queues":[{"filter":"a","records":[{"position":1}]}],"next":17})"};
        if (asked.back() == "17")
            return FakeAnswer{
                FakeAnswer::reply,
                R"({"queues":[{"filter":"a","records":[{"position":2}]},{"filter":"b","records":[]}],"next":"x"})"};
        return FakeAnswer{FakeAnswer::reply, R"({"queues":[{"filter":"a","records":[{"position":3}]}],"next":0})"};
    });
    const Run result = run({"queue", "dump", "--json", "-s", gateway.url()});
    CAPTURE(result.error);
    CHECK(result.code == 0);
    CHECK(asked == std::vector<std::string>{"", "17", "x"});
    CHECK(
        nlohmann::json::parse(result.out) ==
        nlohmann::json::parse(
            R"({"queues":[{"filter":"a","records":[{"position":1},{"position":2},{"position":3}]},{"filter":"b","records":[]}]})"));
}

TEST_CASE("a dump that does not go on is given up", "[gateway][cli]") {
    const FakeGateway gateway(server_id(), [](const std::string&, const std::string&) {
        return FakeAnswer{FakeAnswer::reply, R"({"queues":[],"next":5})"};
    });
    CHECK(has(run({"queue", "dump", "-s", gateway.url()}).error, "does not go on"));
}

TEST_CASE("a path is verified from standard input or from words, without any server", "[gateway][cli]") {
    const std::string headers =
        "NATS/1.0\r\nTree-Path: 75 = 3·5²\r\nTree-Hop: a 2 0\r\nTree-Hop: b 3 1\r\nTree-Hop: c 5 2\r\n\r\n";
    const Run piped = run({"path", "verify"}, headers);
    CHECK(piped.code == 0);
    CHECK(has(piped.out, "verified"));
    const Run words = run({"path", "verify", "Tree-Path: 75", "Tree-Hop: a 2 0", "Tree-Hop: c 5 2", "--json"});
    CHECK(words.code == 0);
    CHECK(nlohmann::json::parse(words.out)["rest"] == "3");
    CHECK(run({"path", "verify"}, "Tree-Path: 75\nTree-Hop: a 2 0\nTree-Hop: c 7 2\n").code == 1);
    CHECK(run({"path", "verify"}, "").code == 1);
}

TEST_CASE("each room of commands has a help", "[gateway][cli]") {
    const Run help = run({"queue", "--help"});
    CHECK(help.code == 0);
    CHECK(has(help.out, "treegate queue where ORIGIN:POSITION"));
    CHECK(has(help.out, "--timeout TIME"));
    CHECK_FALSE(has(help.out, "path explain"));
}

}  // namespace gateway::cli
