#include "routing/queue/local_queue.h"

#include <catch2/catch.hpp>

#include "tests/unit/queue/engine_fixture.h"

using namespace routing;
using namespace routing::queue;

namespace {

using Bodies = std::vector<std::string>;

/// A gateway that is its own only target.
struct Gateway : Engine {
    Gateway() : Engine(1) { start(); }
    void say(std::string_view subject, std::string_view body, std::vector<std::string> groups = {}, bool plain = true) {
        REQUIRE(publish(subject, body, targets({{1, std::move(groups)}}, plain)) == PublishResult::taken);
        settle();
    }
    Bodies bodies() const {
        Bodies out;
        for (const Got& one : got) out.push_back(one.body);
        return out;
    }
    std::uint32_t weight(std::string_view filter, std::string_view queue = {}) const {
        std::uint32_t last = 999;
        for (const DurableInterest& change : interest)
            if (change.filter == filter && change.queue == queue) last = change.weight;
        return last;
    }
};

}  // namespace

TEST_CASE("durable interest is on disk before it is advertised", "[queue][local_queue]") {
    Gateway gateway;
    gateway.subscribe(1, "a.*");
    CHECK(gateway.interest.empty());
    gateway.flush();
    CHECK(gateway.interest.empty());
    REQUIRE(gateway.step());
    CHECK(gateway.weight("a.*") == 1);
    CHECK(gateway.disk.backup().tables[static_cast<std::size_t>(Table::readers)].size() == 1);
    // Gone again before the store answered: never more than it is.
    gateway.subscribe(2, "b");
    gateway.flush();
    gateway.durable->unsubscribe(2, gateway.now);
    gateway.collect();
    gateway.settle();
    CHECK(gateway.weight("b") == 0);
    CHECK(gateway.disk.backup().tables[static_cast<std::size_t>(Table::readers)].size() == 1);
}

TEST_CASE("a plain reader gets what its filter covers, once its commit is synced", "[queue][local_queue]") {
    Gateway gateway;
    gateway.subscribe(1, "a.*");
    gateway.subscribe(2, "a.b", {}, "c", "2");
    gateway.settle();
    REQUIRE(gateway.publish("a.b", "one", gateway.targets({{1, {}}})) == PublishResult::taken);
    gateway.flush();
    CHECK(gateway.got.empty());
    gateway.settle();
    REQUIRE(gateway.got.size() == 2);
    CHECK(gateway.got[0].subscriber == 1);
    CHECK(gateway.got[1].subscriber == 2);
    gateway.say("a.c", "two");
    gateway.say("x", "three");
    CHECK(gateway.take_all() == Bodies{"one", "one", "two"});
    CHECK(gateway.durable->counters().applied_no_taker == 1);
}

TEST_CASE("a record that names only a group is not for plain readers, and the other way round",
          "[queue][local_queue]") {
    Gateway gateway;
    gateway.subscribe(1, "a");
    gateway.subscribe(2, "a", "g");
    gateway.settle();
    gateway.say("a", "group", {"g"}, false);
    gateway.say("a", "plain");
    gateway.say("a", "other", {"h"}, false);
    REQUIRE(gateway.got.size() == 2);
    CHECK(gateway.got[0].subscriber == 2);
    CHECK(gateway.got[0].body == "group");
    CHECK(gateway.got[1].subscriber == 1);
    CHECK(gateway.got[1].body == "plain");
}

TEST_CASE("a member of a group takes turns with the others", "[queue][local_queue]") {
    Gateway gateway;
    gateway.subscribe(1, "a", "g");
    gateway.subscribe(2, "a", "g");
    gateway.settle();
    CHECK(gateway.weight("a", "g") == 2);
    for (int i = 0; i < 10; ++i) gateway.say("a", std::to_string(i), {"g"}, false);
    int first = 0;
    for (const Got& one : gateway.got) first += one.subscriber == 1 ? 1 : 0;
    CHECK(gateway.got.size() == 10);
    CHECK(first == 5);
}

TEST_CASE("a message goes only to a member whose own filter covers it", "[queue][local_queue]") {
    Gateway gateway;
    gateway.subscribe(1, "a.x", "g");
    gateway.subscribe(2, "a.*", "g");
    gateway.settle();
    for (int i = 0; i < 6; ++i) gateway.say("a.y", "y", {"g"}, false);
    for (const Got& one : gateway.got) CHECK(one.subscriber == 2);
    CHECK(gateway.got.size() == 6);
}

TEST_CASE("a lost connection gets its backlog when it comes back within the linger", "[queue][local_queue]") {
    Gateway gateway;
    gateway.subscribe(1, "a");
    gateway.settle();
    gateway.say("a", "1");
    gateway.say("a", "2");
    const std::uint64_t first = gateway.got[0].ticket;
    gateway.durable->taken(1, first, gateway.now);
    gateway.durable->connection_lost(1, gateway.now);
    gateway.collect();
    gateway.got.clear();
    gateway.say("a", "3");
    CHECK(gateway.got.empty());
    CHECK(gateway.weight("a") == 1);  // still advertised
    gateway.wait(std::chrono::seconds(59));
    gateway.subscribe(2, "a");
    gateway.settle();
    CHECK(gateway.take_all() == Bodies{"2", "3"});
    CHECK(gateway.durable->readers().size() == 1);
    gateway.wait(std::chrono::seconds(10));
    CHECK(gateway.weight("a") == 1);
}

TEST_CASE("after the linger the reader is gone, and what it did not get too", "[queue][local_queue]") {
    Gateway gateway;
    gateway.subscribe(1, "a");
    gateway.subscribe(2, "a", "g");
    gateway.settle();
    gateway.durable->connection_lost(1, gateway.now);
    gateway.durable->connection_lost(2, gateway.now);
    gateway.collect();
    gateway.say("a", "1", {"g"});
    gateway.wait(std::chrono::seconds(61));
    gateway.settle();
    CHECK(gateway.weight("a") == 0);
    CHECK(gateway.weight("a", "g") == 0);
    CHECK(gateway.durable->readers().empty());
    CHECK(gateway.disk.backup().tables[static_cast<std::size_t>(Table::readers)].empty());
    CHECK(gateway.disk.backup().tables[static_cast<std::size_t>(Table::cursors)].empty());
    gateway.subscribe(3, "a");
    gateway.settle();
    CHECK(gateway.got.empty());
}

TEST_CASE("UNSUB ends interest at once", "[queue][local_queue]") {
    Gateway gateway;
    gateway.subscribe(1, "a");
    gateway.subscribe(2, "a", "g");
    gateway.subscribe(3, "a", "g");
    gateway.settle();
    gateway.durable->unsubscribe(1, gateway.now);
    gateway.durable->unsubscribe(2, gateway.now);
    gateway.collect();
    CHECK(gateway.weight("a") == 0);
    CHECK(gateway.weight("a", "g") == 1);
    gateway.settle();
    CHECK(gateway.durable->readers().size() == 1);
    gateway.durable->unsubscribe(3, gateway.now);
    gateway.collect();
    CHECK(gateway.weight("a", "g") == 0);
}

TEST_CASE("of several orphaned readers a client finds its own again", "[queue][local_queue]") {
    Gateway gateway;
    gateway.subscribe(1, "a", {}, "ann", "1");
    gateway.subscribe(2, "a", {}, "bob", "7");
    gateway.settle();
    gateway.say("a", "x");
    gateway.durable->taken(1, gateway.got[0].ticket, gateway.now);  // ann has it, bob has not
    gateway.durable->connection_lost(1, gateway.now);
    gateway.durable->connection_lost(2, gateway.now);
    gateway.collect();
    gateway.got.clear();
    gateway.subscribe(3, "a", {}, "bob", "7");
    gateway.settle();
    CHECK(gateway.take_all() == Bodies{"x"});
    gateway.subscribe(4, "a", {}, "ann", "1");
    gateway.settle();
    CHECK(gateway.take_all().empty());
    CHECK(gateway.durable->readers().size() == 2);
    gateway.subscribe(5, "a", {}, "eve", "1");  // no orphan is left: a new one
    gateway.settle();
    CHECK(gateway.durable->readers().size() == 3);
}

TEST_CASE("what a lost member of a group had not taken goes to another, first of all", "[queue][local_queue]") {
    Gateway gateway;
    gateway.subscribe(1, "a", "g");
    gateway.subscribe(2, "a", "g");
    gateway.settle();
    for (int i = 0; i < 6; ++i) gateway.say("a", std::to_string(i), {"g"}, false);
    // Member 1 took its first message of three.
    Bodies of_one;
    Bodies of_two;
    for (const Got& one : gateway.got) (one.subscriber == 1 ? of_one : of_two).push_back(one.body);
    for (const Got& one : gateway.got)
        if (one.subscriber == 1) {
            gateway.durable->taken(1, one.ticket, gateway.now);
            break;
        }
    gateway.got.clear();
    gateway.durable->connection_lost(1, gateway.now);
    gateway.collect();
    CHECK(gateway.bodies() == Bodies{of_one.begin() + 1, of_one.end()});
    for (const Got& one : gateway.got) CHECK(one.subscriber == 2);
    CHECK(gateway.durable->counters().redelivered == 2);
    gateway.say("a", "new", {"g"}, false);
    CHECK(gateway.take_all() == Bodies{of_one[1], of_one[2], "new"});
}

TEST_CASE("a group without members keeps its messages while it lingers", "[queue][local_queue]") {
    Gateway gateway;
    gateway.subscribe(1, "a", "g");
    gateway.settle();
    gateway.say("a", "0", {"g"}, false);
    gateway.durable->connection_lost(1, gateway.now);
    gateway.collect();
    gateway.got.clear();
    gateway.say("a", "1", {"g"}, false);
    CHECK(gateway.got.empty());
    gateway.subscribe(2, "a", "g");
    gateway.settle();
    CHECK(gateway.take_all() == Bodies{"0", "1"});
}

TEST_CASE("a reader that does not take is given no more than its window, then goes on from the store",
          "[queue][local_queue]") {
    Gateway gateway;
    gateway.start([](DurableOptions& options) {
        options.reader_window_bytes = 300;
        options.tail_bytes = 1;
    });
    gateway.subscribe(1, "a");
    gateway.settle();
    Bodies all;
    for (int i = 0; i < 50; ++i) {
        all.push_back(std::to_string(1000 + i));
        gateway.say("a", all.back());
    }
    CHECK(gateway.got.size() < 20);
    CHECK(gateway.got.size() > 5);
    CHECK(gateway.take_all() == all);
    gateway.say("a", "live");
    CHECK(gateway.got.size() == 1);
}

TEST_CASE("a group whose oldest message is not taken hands out no more than handed_max", "[queue][local_queue]") {
    Gateway gateway;
    gateway.start([](DurableOptions& options) { options.reader_window_bytes = 64u << 20; });
    gateway.subscribe(1, "a", "g");
    gateway.settle();
    const TargetSetId to = gateway.targets({{1, {"g"}}}, false);
    for (std::size_t i = 0; i < handed_max + 100; ++i) {
        REQUIRE(gateway.publish("a", "x", to) == PublishResult::taken);
        if (i % 4096 == 0) gateway.settle();
    }
    gateway.settle();
    CHECK(gateway.got.size() == handed_max);
}

TEST_CASE("after a restart a client gets again at most what it took since the cursor was written",
          "[queue][local_queue]") {
    Gateway gateway;
    gateway.subscribe(1, "a");
    gateway.settle();
    for (int i = 0; i < 5; ++i) gateway.say("a", std::to_string(i));
    gateway.durable->taken(1, gateway.got[2].ticket, gateway.now);
    gateway.wait(cursor_interval * 2);
    gateway.durable->taken(1, gateway.got[3].ticket, gateway.now);  // its cursor is not written any more
    gateway.crash(false);
    gateway.interest.clear();
    gateway.start();
    CHECK(gateway.weight("a") == 1);  // it lingers, and is advertised at once
    gateway.subscribe(9, "a");
    gateway.settle();
    CHECK(gateway.take_all() == Bodies{"3", "4"});
    gateway.say("a", "5");
    CHECK(gateway.take_all() == Bodies{"5"});
}

TEST_CASE("a clean end writes the cursors: nothing comes twice", "[queue][local_queue]") {
    Gateway gateway;
    gateway.subscribe(1, "a");
    gateway.settle();
    for (int i = 0; i < 5; ++i) gateway.say("a", std::to_string(i));
    gateway.durable->taken(1, gateway.got[3].ticket, gateway.now);
    gateway.durable->finish(gateway.now);
    gateway.collect();
    while (gateway.step()) {
    }
    CHECK(gateway.durable->settled());
    gateway.crash(false);
    gateway.start();
    gateway.subscribe(9, "a");
    gateway.settle();
    CHECK(gateway.take_all() == Bodies{"4"});
}

TEST_CASE("the local log is trimmed up to the slowest reader", "[queue][local_queue]") {
    Gateway gateway;
    gateway.subscribe(1, "a");
    gateway.subscribe(2, "a", {}, "slow", "1");
    gateway.settle();
    const auto pages = [&] { return gateway.disk.live().logs[static_cast<std::size_t>(LogId::local)].size(); };
    for (int i = 0; i < 200; ++i) gateway.say("a", "x");
    for (const Got& one : gateway.got)
        if (one.subscriber == 1) gateway.durable->taken(1, one.ticket, gateway.now);
    gateway.collect();
    gateway.wait(std::chrono::seconds(3));
    CHECK(pages() == 200);
    for (std::size_t i = 0; i < 300; ++i)
        if (gateway.got[i].subscriber == 2) gateway.durable->taken(2, gateway.got[i].ticket, gateway.now);
    gateway.wait(std::chrono::seconds(3));
    CHECK(pages() < 200);
    CHECK(pages() >= 50);
    gateway.take_all();
    gateway.wait(std::chrono::seconds(3));
    CHECK(pages() == 0);
}

TEST_CASE("a dump lists what was taken, as much of it as is to be kept", "[queue][local_queue]") {
    Gateway gateway;
    gateway.start([](DurableOptions& options) { options.dump_keep = 100; });
    gateway.subscribe(1, "a");
    gateway.settle();
    for (int i = 0; i < 300; ++i) gateway.say("a", "x");
    gateway.take_all();
    gateway.wait(std::chrono::seconds(3));
    std::vector<Position> positions;
    Position from = 0;
    do {
        gateway.durable->dump(77, from, gateway.now);
        gateway.collect();
        gateway.settle();
        REQUIRE(gateway.dumps.size() == 1);
        CHECK(gateway.dumps[0].token == 77);
        for (const DumpRow& row : gateway.dumps[0].rows) {
            CHECK(row.origin == gateway.self);
            CHECK(row.run == gateway.durable->run());
            positions.push_back(row.position);
        }
        from = gateway.dumps[0].next;
        gateway.dumps.clear();
    } while (from != 0);
    CHECK(positions.size() >= 100);
    CHECK(positions.size() < 300);
    CHECK(positions.back() == 300);
    for (std::size_t i = 1; i < positions.size(); ++i) CHECK(positions[i] == positions[i - 1] + 1);
}

TEST_CASE("a damaged page of the local log is told, and what follows goes on", "[queue][local_queue]") {
    Gateway gateway;
    gateway.subscribe(1, "a");
    gateway.settle();
    gateway.durable->connection_lost(1, gateway.now);
    for (int i = 1; i <= 5; ++i) gateway.say("a", std::to_string(i));
    gateway.crash(false);
    gateway.disk.damage_page_for_test(LogId::local, 3);
    gateway.start();
    gateway.subscribe(2, "a");
    gateway.settle();
    CHECK(gateway.take_all() == Bodies{"1", "2", "4", "5"});
    CHECK_FALSE(gateway.log.empty());
}

TEST_CASE("subjects beyond what is remembered are matched again, with the same result", "[queue][local_queue]") {
    Gateway gateway;
    gateway.start([](DurableOptions& options) { options.reader_window_bytes = 64u << 20; });
    gateway.subscribe(1, "a.>");
    gateway.subscribe(2, "a.5", {}, "c", "2");
    gateway.settle();
    const TargetSetId to = gateway.targets({{1, {}}});
    for (std::size_t i = 0; i < takers_cached_max + 10; ++i)
        REQUIRE(gateway.publish("a." + std::to_string(i), "x", to) == PublishResult::taken);
    REQUIRE(gateway.publish("a.5", "x", to) == PublishResult::taken);
    gateway.settle();
    std::size_t of_two = 0;
    for (const Got& one : gateway.got) of_two += one.subscriber == 2 ? 1 : 0;
    CHECK(of_two == 2);
    CHECK(gateway.got.size() == takers_cached_max + 11 + 2);
}
