// A program of its own: it counts what operator new is asked for.  A message must not cost one.
#include <catch2/catch.hpp>
#include <chrono>

#include "tests/support/count_allocations.h"
#include "tests/unit/queue/engine_fixture.h"

using namespace routing;
using namespace routing::queue;

namespace {

/// Publishes `count` messages of 128 B to one live remote target in commits of `batch`; the target answers each commit.
std::uint64_t run(std::size_t count, std::size_t batch) {
    Engine origin(1);
    origin.start();
    origin.reach(2);
    const TargetSetId to = origin.targets({{2, {}}});
    const std::string body(128, 'x');
    const GatewayIndex target = origin.index_of(2);
    MessageView message;
    message.subject = "orders.new";
    message.body = body;
    Position last = 0;
    std::uint64_t k = 0;
    std::uint64_t sent = 0;
    const auto answer = [&] {
        origin.durable->on_at(target, encode(At{origin.durable->run(), k, 7, last, last, false}), origin.now);
    };
    for (std::size_t done = 0; done < count;) {
        for (std::size_t i = 0; i < batch; ++i, ++done)
            if (origin.durable->publish(message, to, done + 1, origin.now) != PublishResult::taken) FAIL("refused");
        origin.durable->flush(origin.now);
        // As collect() does, without its copies.
        while (true) {
            Outbox& out = origin.durable->outbox();
            for (StoreCommand& command : out.store) origin.commands.push_back(std::move(command));
            for (const FlowMessage& head : out.control) k = decode_head(head.body)->k;
            for (const SendRecord& record : out.records) last = record.position;
            sent += out.records.size();
            out.clear();
            if (origin.commands.empty()) break;
            const StoreCommand command = std::move(origin.commands.front());
            origin.commands.pop_front();
            StoreDone answered;
            answered.id = std::visit([](const auto& one) { return one.id; }, command);
            origin.durable->on_store_done(std::move(answered), origin.now);
        }
        origin.now += std::chrono::milliseconds(1);
        answer();
        origin.durable->tick(origin.now);
    }
    return sent;
}

}  // namespace

TEST_CASE("a message costs no allocation, a commit a few", "[queue][durable]") {
    run(2000, 500);
    const std::size_t before = support::allocations();
    const std::uint64_t sent = run(100000, 500);
    CHECK(sent >= 90000);
    const std::size_t each_commit = (support::allocations() - before) / 200;
    CAPTURE(each_commit);
    CHECK(each_commit < 100);
}

TEST_CASE("how many messages of 128 B a core can publish", "[.bench]") {
    for (const std::size_t batch : {1u, 10u, 100u, 1000u}) {
        const std::size_t count = batch == 1 ? 100000 : 1000000;
        const auto begin = std::chrono::steady_clock::now();
        run(count, batch);
        const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
        WARN("commits of " << batch << ": " << static_cast<double>(count) / time.count() / 1e6 << " M msg/s, "
                           << time.count() / static_cast<double>(count) * 1e9 << " ns each, store not counted");
    }
}
