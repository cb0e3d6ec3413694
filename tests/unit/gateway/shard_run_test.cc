// Publishes that a shard takes together must mean what they mean one by one.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "routing/base/prng.h"
#include "tests/support/pure_gateway.h"

using support::PureGateway;

namespace {

std::string connect(bool headers, bool echo, bool pedantic = false) {
    const auto text = [](bool value) { return std::string(value ? "true" : "false"); };
    return "CONNECT {\"verbose\":false,\"pedantic\":" + text(pedantic) + ",\"headers\":" + text(headers) +
           ",\"echo\":" + text(echo) + ",\"no_responders\":" + text(headers) + "}\r\n";
}

struct Story {
    std::vector<std::string> hellos;    // of each client
    std::vector<std::string> messages;  // of the last client
};

/// With `shards` above one nothing is left to when a sibling hears that a subscription has ended: who is the last to
/// have its maximum may get one 503 more or less, and a group then picks among others.
Story make_story(base::Prng& prng, routing::ShardIndex shards = 1) {
    Story story;
    const bool maxima = shards == 1 || prng.chance(1, 2);
    const bool replies = shards == 1 || !maxima;
    const std::vector<std::string> filters{"a", "b", "c", "a", ">", "*", "d.*", "d.x"};
    for (std::uint64_t client = prng.between(1, 9); client > 0; --client) {
        std::string hello = connect(prng.chance(3, 4), prng.chance(3, 4));
        std::uint64_t sid = prng.chance(3, 4) ? 1 : client * 100;
        for (std::uint64_t n = prng.between(1, 3); n > 0; --n, ++sid) {
            const auto& filter = filters[prng.below(filters.size())];
            const bool queue = (shards == 1 || !maxima) && prng.chance(1, 6);
            hello += "SUB " + filter + (queue ? " q " : " ") + std::to_string(sid) + "\r\n";
            if (maxima && prng.chance(1, 5))
                hello += "UNSUB " + std::to_string(sid) + " " + std::to_string(prng.between(1, 300)) + "\r\n";
        }
        story.hellos.push_back(hello);
    }
    story.hellos.push_back(connect(true, prng.chance(1, 2), prng.chance(1, 8)) +
                           (prng.chance(1, 2) ? "SUB > 9\r\n" : ""));
    const std::vector<std::string> subjects{"a", "b", "c", "d.x", "d.y", "nobody"};
    while (story.messages.size() < 400) {
        const std::string subject = subjects[prng.below(subjects.size())];
        const bool headers = prng.chance(1, 4);
        const bool one_size = prng.chance(1, 2);
        const std::size_t size = prng.below(200);
        for (std::uint64_t run = prng.chance(1, 2) ? 1 : prng.between(1, 70); run > 0; --run) {
            const std::size_t bytes = one_size ? size : prng.below(prng.chance(1, 50) ? 100'000 : 200);
            const std::string reply = replies && prng.chance(1, 30) ? "r." + std::to_string(run) + " " : "";
            std::string body(bytes, static_cast<char>('a' + run % 26));
            if (headers) body = "NATS/1.0\r\nA: b\r\n\r\n" + body;
            story.messages.push_back((headers ? "HPUB " : "PUB ") + subject + " " + reply + (headers ? "18 " : "") +
                                     std::to_string(body.size()) + "\r\n" + body + "\r\n");
        }
    }
    if (prng.chance(1, 4)) story.messages.insert(story.messages.begin() + 200, "SUB a 77\r\n");
    if (prng.chance(1, 4)) story.messages.insert(story.messages.begin() + 300, "PUB $NRG.x 1\r\nx\r\n");
    if (prng.chance(1, 8)) story.messages.insert(story.messages.begin() + 390, "NONSENSE\r\n");
    return story;
}

/// What every client got.  `messages_per_read` of 0: all in one.
std::vector<std::string> told(const Story& story, std::size_t messages_per_read, routing::ShardIndex shards = 1) {
    PureGateway gateway(shards);
    std::vector<PureGateway::Remote*> clients;
    for (const auto& hello : story.hellos) {
        clients.push_back(&gateway.connect());
        gateway.send(*clients.back(), hello + "PING\r\n");
        gateway.settle();
    }
    std::string read;
    std::size_t messages = 0;
    for (const auto& message : story.messages) {
        read += message;
        if (++messages != messages_per_read) continue;
        gateway.send(*clients.back(), read);
        gateway.settle();
        read.clear();
        messages = 0;
    }
    gateway.send(*clients.back(), read);
    gateway.settle();
    std::vector<std::string> got;
    for (auto* client : clients) got.push_back(PureGateway::take(*client) + (client->closed ? "closed" : ""));
    return got;
}

}  // namespace

TEST_CASE("messages that come in one read are delivered as if each had come alone", "[gateway][shard]") {
    const auto seed = GENERATE(range<std::uint64_t>(1, 60));
    CAPTURE(seed);
    base::Prng prng(seed);
    const Story story = make_story(prng);
    const auto alone = told(story, 1);
    CHECK(told(story, 0) == alone);
    CHECK(told(story, prng.between(2, 100)) == alone);
}

TEST_CASE("messages of one read that cross shards are delivered as if each had come alone", "[gateway][shard]") {
    const auto seed = GENERATE(range<std::uint64_t>(1, 60));
    CAPTURE(seed);
    base::Prng prng(seed);
    const auto shards = static_cast<routing::ShardIndex>(prng.between(2, 4));
    const Story story = make_story(prng, shards);
    const auto alone = told(story, 1, shards);
    CHECK(told(story, 0, shards) == alone);
    CHECK(told(story, prng.between(2, 100), shards) == alone);
}

TEST_CASE("a run is cut short by whoever unsubscribes, is cut or ends at its maximum meanwhile", "[gateway][shard]") {
    // Before its shard hears of the run, somebody there goes.
    PureGateway gateway(2);
    auto& stays = gateway.connect();      // shard 0
    auto& publisher = gateway.connect();  // shard 1
    auto& goes = gateway.connect();       // shard 0
    auto& ends = gateway.connect();       // shard 1, where the run comes from
    auto& few = gateway.connect();        // shard 0
    for (auto* client : {&stays, &publisher, &goes, &ends, &few}) gateway.send(*client, connect(true, true));
    for (auto* client : {&stays, &goes, &ends}) gateway.send(*client, "SUB a 1\r\n");
    gateway.send(few, "SUB a 1\r\nUNSUB 1 7\r\n");
    gateway.settle();
    for (auto* client : {&stays, &goes, &ends, &few}) PureGateway::take(*client);
    std::string run;
    std::string frames;
    for (int i = 0; i < 100; ++i) {
        const std::string body = std::to_string(1000 + i);
        run += "PUB a 4\r\n" + body + "\r\n";
        frames += "MSG a 1 4\r\n" + body + "\r\n";
    }
    for (int round = 0; round < 2; ++round) {  // the second one finds a cached route there
        gateway.send(publisher, run);
        if (round == 1) gateway.hang_up(goes);
        gateway.settle();
        CHECK((PureGateway::take(stays) == frames));
        CHECK((PureGateway::take(ends) == frames));
        CHECK((PureGateway::take(goes) == (round == 0 ? frames : "")));
        CHECK((PureGateway::take(few) == (round == 0 ? frames.substr(0, frames.size() / 100 * 7) : "")));
    }
}
