// A message that crosses a shard allocates nothing: read, parsed, routed, rendered, flushed.
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
    World() {
        settings.info.server_id = settings.info.server_name = "N";
        settings.info.max_payload = 1024 * 1024;
        shard = std::make_unique<gateway::Shard>(gateway::ShardOptions{}, settings, post, sink, base::Prng(1));
    }
    gateway::Client& client(routing::ConnectionId id, const std::string& then) {
        auto& opened = shard->open(id, "127.0.0.1", now);
        shard->bytes(opened, "CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\n" + then, now);
        shard->end_turn(now);
        return opened;
    }
    compat::SessionSettings settings;
    gateway::ShardPost post{1};
    Sink sink;
    std::unique_ptr<gateway::Shard> shard;
    base::Instant now{};
};

}  // namespace

TEST_CASE("a message that crosses a shard allocates nothing", "[gateway][shard]") {
    World world;
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
        world.shard->bytes(publisher, burst, world.now);
        world.shard->end_turn(world.now);
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
