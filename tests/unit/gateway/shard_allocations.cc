// A message that crosses a shard, or two, allocates nothing: read, parsed, routed, mailed, rendered, flushed.
#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "gateway/shard.h"
#include "gateway/shard_mail.h"
#include "tests/support/count_allocations.h"

namespace {

/// A host whose sockets take everything at once.
class Sink final : public gateway::ShardHost {
  public:
    void pause_reading(gateway::Client&) override {}
    void resume_reading(gateway::Client&) override {}
    std::size_t flush(gateway::Client& client) override {
        written += client.output.size();
        return client.output.size();
    }
    [[nodiscard]] std::size_t unwritten(const gateway::Client&) const override { return 0; }
    void close(gateway::Client&, bool) override { closed = true; }
    void log(const gateway::Client&, gateway::LogLevel, std::string_view) override {}
    void wake(routing::ShardIndex) override {}

    std::size_t written = 0;
    bool closed = false;
};

struct World {
    explicit World(routing::ShardIndex count = 1) : post(count) {
        settings.info.server_id = settings.info.server_name = "N";
        settings.info.max_payload = 1024 * 1024;
        for (routing::ShardIndex i = 0; i < count; ++i) {
            gateway::ShardOptions options;
            options.index = i;
            shards.push_back(std::make_unique<gateway::Shard>(options, settings, post, sink, base::Prng(1)));
        }
    }
    [[nodiscard]] gateway::Shard& home(routing::ConnectionId id) const { return *shards[(id - 1) % shards.size()]; }
    gateway::Client& client(routing::ConnectionId id, const std::string& then) {
        auto& opened = home(id).open(id, "127.0.0.1", now);
        home(id).bytes(opened, "CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\n" + then, now);
        end_turns();
        return opened;
    }
    void end_turns() {
        for (auto& shard : shards) {
            shard->drain_mail(now);
            shard->end_turn(now);
        }
    }
    compat::SessionSettings settings;
    gateway::ShardPost post;
    Sink sink;
    std::vector<std::unique_ptr<gateway::Shard>> shards;
    base::Instant now{};
};

}  // namespace

TEST_CASE("a message that crosses a shard, or several, allocates nothing", "[gateway][shard]") {
    const auto shards = static_cast<routing::ShardIndex>(GENERATE(1, 2, 4));
    CAPTURE(shards);
    World world(shards);
    for (routing::ConnectionId id = 1; id <= 16; ++id)
        (void)world.client(id, "SUB fan 1\r\nSUB one." + std::to_string(id) + " 2\r\nSUB work q 3\r\nSUB wild.* 4\r\n");
    auto& publisher = world.client(17, "");
    std::string burst;
    for (int i = 0; i < 200; ++i) {
        burst += "PUB fan 128\r\n" + std::string(128, 'f') + "\r\n";
        burst += "PUB fan 128\r\n" + std::string(128, 'g') + "\r\n";
        burst += "PUB one." + std::to_string(1 + i % 16) + " reply.to 16\r\n" + std::string(16, 'o') + "\r\n";
        burst += "PUB work 5\r\nhello\r\n";
        burst += "PUB wild.x 3\r\nabc\r\n";
        burst += "HPUB fan 12 14\r\nNATS/1.0\r\n\r\nhi\r\n";
    }
    const auto turn = [&] {
        world.home(17).bytes(publisher, burst, world.now);
        world.end_turns();
    };
    for (int i = 0; i < 5; ++i) turn();
    const auto written = world.sink.written;
    const auto before = support::allocations();
    for (int i = 0; i < 20; ++i) turn();
    const auto allocations = support::allocations() - before;
    CHECK(world.sink.written - written > std::size_t{20} * 200 * 16 * 300);
    CHECK_FALSE(world.sink.closed);
    CHECK(allocations == 0);
}
