// What a shard costs per message without sockets: parsed, routed, rendered.  MICRO_SHARD_SUBSCRIPTIONS sets the size of
// the large interest (default: small).
#define CATCH_CONFIG_MAIN
#define CATCH_CONFIG_ENABLE_BENCHMARKING
#include <catch2/catch.hpp>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "gateway/shard.h"
#include "gateway/shard_mail.h"
#include "routing/base/prng.h"

namespace {

// Catch2 divides a sample by its iterations; each iteration is this many messages, so that its own cost is small.
constexpr std::size_t batch = 1000;

std::size_t large_count() {
    const char* text = std::getenv("MICRO_SHARD_SUBSCRIPTIONS");
    const long count = text == nullptr ? 20000 : std::strtol(text, nullptr, 10);
    return count < 1 ? 1 : static_cast<std::size_t>(count);
}

/// A host whose sockets take everything at once.
class Sink final : public gateway::ShardHost {
  public:
    void pause_reading(gateway::Client&) override {}
    void resume_reading(gateway::Client&) override {}
    std::size_t flush(gateway::Client& client) override { return client.output.size(); }
    [[nodiscard]] std::size_t unwritten(const gateway::Client&) const override { return 0; }
    void close(gateway::Client&, bool) override {}
    void log(const gateway::Client&, gateway::LogLevel, std::string_view) override {}
    void wake(routing::ShardIndex) override {}
};

struct World {
    World() {
        settings.info.server_id = settings.info.server_name = "N";
        settings.info.max_payload = 1024 * 1024;
        shard = std::make_unique<gateway::Shard>(gateway::ShardOptions{}, settings, post, sink, base::Prng(1));
    }
    gateway::Client& client(const std::string& then = {}) {
        auto& opened = shard->open(++clients, "127.0.0.1", now);
        send(opened,
             "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true}\r\n" + then);
        return opened;
    }
    /// One read of the socket, and the end of its turn.  Returns what was delivered so far.
    std::uint64_t send(gateway::Client& from, const std::string& bytes) {
        shard->bytes(from, bytes, now);
        shard->end_turn(now);
        return shard->counters().out_messages;
    }
    compat::SessionSettings settings;
    gateway::ShardPost post{1};
    Sink sink;
    std::unique_ptr<gateway::Shard> shard;
    base::Instant now{};
    routing::ConnectionId clients = 0;
};

std::string pub(const std::string& subject, std::size_t bytes, const std::string& reply = {}) {
    return "PUB " + subject + (reply.empty() ? "" : " " + reply) + " " + std::to_string(bytes) + "\r\n" +
           std::string(bytes, 'x') + "\r\n";
}

std::string subject_of(std::size_t i) {
    return "sensors." + std::to_string(i % 97) + ".device-" + std::to_string(i);
}

TEST_CASE("1,000 messages through a shard", "[bench][gateway]") {
    for (const std::size_t bytes : {16, 128, 1024}) {
        World world;
        (void)world.client("SUB bench.* 1\r\n");
        auto& publisher = world.client();
        std::string read;
        for (std::size_t i = 0; i < batch; ++i) read += pub("bench.0", bytes);
        REQUIRE(world.send(publisher, read) == batch);
        BENCHMARK("1 to 1, " + std::to_string(bytes) + " B") {
            return world.send(publisher, read);
        };
    }
    {
        World world;
        for (int i = 0; i < 16; ++i) (void)world.client("SUB bench.* 1\r\n");
        auto& publisher = world.client();
        std::string read;
        for (std::size_t i = 0; i < batch; ++i) read += pub("bench.0", 128);
        REQUIRE(world.send(publisher, read) == 16 * batch);
        BENCHMARK("1 to 16, 128 B") {
            return world.send(publisher, read);
        };
    }
    {
        World world;
        for (int i = 0; i < 4; ++i) (void)world.client("SUB bench.* workers 1\r\n");
        auto& publisher = world.client();
        std::string read;
        for (std::size_t i = 0; i < batch; ++i) read += pub("bench.0", 128);
        REQUIRE(world.send(publisher, read) == batch);
        BENCHMARK("queue group of 4, 128 B") {
            return world.send(publisher, read);
        };
    }
    {
        World world;
        (void)world.client("SUB bench.* 1\r\n");
        auto& publisher = world.client();
        std::string read;
        for (std::size_t i = 0; i < batch; ++i)
            read += "HPUB bench.0 64 192\r\nNATS/1.0\r\nA: " + std::string(47, 'h') + "\r\n\r\n" +
                    std::string(128, 'x') + "\r\n";
        REQUIRE(world.send(publisher, read) == batch);
        BENCHMARK("1 to 1 with headers, 128 B") {
            return world.send(publisher, read);
        };
    }
    {
        World world;
        (void)world.client("SUB work q 1\r\n");
        auto& publisher = world.client("SUB _INBOX.abcdefghijkl.* 1\r\n");
        auto& responder = world.client();
        std::string requests;
        std::string replies;
        std::uint64_t number = 0;
        const auto next = [&] {
            requests.clear();
            replies.clear();
            for (std::size_t i = 0; i < batch; ++i) {
                const std::string inbox = "_INBOX.abcdefghijkl." + std::to_string(++number);
                requests += pub("work", 128, inbox);
                replies += pub(inbox, 128);
            }
        };
        BENCHMARK_ADVANCED("requests and their replies, 128 B")(Catch::Benchmark::Chronometer meter) {
            next();
            meter.measure([&] {
                (void)world.send(publisher, requests);
                return world.send(responder, replies);
            });
        };
    }
    for (const std::size_t count : {std::size_t{10000}, large_count()}) {
        for (const bool wild : {false, true}) {
            World world;
            base::Prng prng(count);
            std::string subscriptions;
            for (std::size_t i = 0; i < count; ++i) {
                const std::string subject = subject_of(i);
                subscriptions +=
                    "SUB " + (wild && i % 5 == 0 ? "sensors.*." + subject.substr(subject.rfind('.') + 1) : subject) +
                    " " + std::to_string(i) + "\r\n";
            }
            (void)world.client(subscriptions);
            auto& publisher = world.client();
            std::vector<std::string> reads(200);
            for (auto& read : reads) {
                for (std::size_t i = 0; i < batch; ++i) read += pub(subject_of(prng.below(count)), 128);
            }
            for (const auto& read : reads) (void)world.send(publisher, read);
            std::size_t at = 0;
            BENCHMARK("random of " + std::to_string(count) + (wild ? ", a fifth wildcards" : ", exact") + ", 128 B") {
                at = at + 1 == reads.size() ? 0 : at + 1;
                return world.send(publisher, reads[at]);
            };
        }
    }
}

}  // namespace
