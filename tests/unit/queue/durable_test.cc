#include "routing/queue/durable.h"

#include <catch2/catch.hpp>

#include "routing/queue/origin_flow.h"
#include "tests/unit/queue/engine_fixture.h"

using namespace routing;
using namespace routing::queue;

namespace {

using Bodies = std::vector<std::string>;

/// Gateway 1 is the origin, 2 the target with one subscriber to all; both see each other.
struct Pair {
    Pair() : Pair([](DurableOptions&) {}) {}
    template <typename Tune>
    explicit Pair(Tune tune) {
        origin.start(tune);
        target.start();
        meet();
        target.subscribe(1, ">");
        converse(origin, target);
    }
    void meet() {
        origin.reach(2);
        target.reach(1);
    }
    void say(std::string_view body) {
        REQUIRE(origin.publish("s", body, origin.targets({{2, {}}}), 1) == PublishResult::taken);
        origin.settle();
    }
    const TargetStatus status() {
        const auto all = origin.durable->targets(origin.now);
        REQUIRE(all.size() == 1);
        return all[0];
    }

    Engine origin{1};
    Engine target{2};
};

}  // namespace

TEST_CASE("only fsync is built, the others are refused in words", "[queue][durable]") {
    DurableOptions options;
    options.run = options.boot = 1;
    CHECK_FALSE(refusal(options).has_value());
    options.durability = Durability::interval;
    CHECK(refusal(options).value().find("interval") != std::string::npos);
    options.durability = Durability::memory;
    CHECK(refusal(options).value().find("memory") != std::string::npos);
    options = DurableOptions{};
    CHECK(refusal(options).has_value());  // nobody drew a run
}

TEST_CASE("nothing waits under low load, and what comes meanwhile shares the next commit", "[queue][durable]") {
    Pair pair;
    Engine& origin = pair.origin;
    const TargetSetId to = origin.targets({{2, {}}});
    origin.publish("s", "1", to, 11);
    origin.flush();
    REQUIRE(origin.commits_waiting() == 1);
    CHECK(std::get<Commit>(origin.commands.front()).sync);
    CHECK(std::get<Commit>(origin.commands.front()).pages.size() == 1);
    for (int i = 2; i <= 9; ++i) {
        origin.publish("s", std::to_string(i), to, static_cast<AckToken>(10 + i));
        origin.flush();
    }
    CHECK(origin.commits_waiting() == 1);  // one at a time
    CHECK(origin.acks.empty());
    REQUIRE(origin.step());
    CHECK(origin.acks.size() == 1);
    REQUIRE(origin.commits_waiting() == 1);  // at once, with all that gathered
    CHECK(std::get<Commit>(origin.commands.front()).pages.size() == 1);
    REQUIRE(origin.step());
    CHECK(origin.acks.size() == 9);
    CHECK(origin.durable->counters().origin_pages == 2);
}

TEST_CASE("a record is neither acknowledged nor sent before it is synced", "[queue][durable]") {
    Pair pair;
    pair.say("first");
    converse(pair.origin, pair.target);
    pair.origin.acks.clear();
    pair.origin.publish("s", "x", pair.origin.targets({{2, {}}}), 5);
    pair.origin.flush();
    CHECK(pair.origin.acks.empty());
    CHECK(pair.origin.sent.empty());
    pair.origin.step();
    REQUIRE(pair.origin.acks.size() == 1);
    CHECK(pair.origin.acks[0].token == 5);
    CHECK(pair.origin.acks[0].position == 2);
    REQUIRE(pair.origin.sent.size() == 1);
    CHECK(pair.origin.sent[0].prevs[0] == Prev{pair.origin.durable->run(), 1});
}

TEST_CASE("targets that keep up get a record once, along one path", "[queue][durable]") {
    Engine origin(1);
    Engine two(2);
    Engine three(3);
    for (Engine* engine : {&origin, &two, &three}) engine->start();
    origin.reach(2);
    origin.reach(3);
    const TargetSetId both = origin.targets({{2, {"g"}}, {3, {}}});
    origin.publish("s", "1", both);
    for (int i = 0; i < 3; ++i) {
        converse(origin, two);
        converse(origin, three);
    }
    origin.publish("s", "2", both);
    origin.settle();
    REQUIRE(origin.sent.size() == 1);
    CHECK(origin.sent[0].targets == *origin.sets->get(both));
    CHECK(origin.sent[0].prevs.size() == 2);
    // One falls behind: the other still gets it live, alone.
    origin.reach(3, false);
    origin.sent.clear();
    origin.publish("s", "3", both);
    origin.settle();
    REQUIRE(origin.sent.size() == 1);
    REQUIRE(origin.sent[0].targets.size() == 1);
    CHECK(origin.sent[0].targets[0].gateway == origin.index_of(2));
    CHECK(origin.sent[0].targets[0].groups == std::vector<std::string>{"g"});
}

TEST_CASE("a lost record is a gap, answered, and sent again", "[queue][durable]") {
    Pair pair;
    pair.say("0");
    converse(pair.origin, pair.target);
    for (const char* body : {"1", "2", "3", "4"}) pair.say(body);
    REQUIRE(pair.origin.sent.size() == 4);
    pass(pair.origin, pair.target, [](std::size_t i) { return i != 1; });
    CHECK(pair.target.durable->counters().gaps == 2);
    converse(pair.origin, pair.target);
    CHECK(pair.target.take_all() == Bodies{"0", "1", "2", "3", "4"});
    CHECK(pair.origin.durable->counters().go_backs == 1);
    CHECK(pair.status().synced == 5);
}

TEST_CASE("a lost last record is found by the HEAD that asks again", "[queue][durable]") {
    Pair pair;
    pair.say("0");
    converse(pair.origin, pair.target);
    pair.say("1");
    pair.origin.sent.clear();
    converse(pair.origin, pair.target);
    CHECK(pair.status().synced == 1);
    pair.origin.wait(retransmission_base + 5 * round_trip_first);
    converse(pair.origin, pair.target);
    CHECK(pair.target.take_all() == Bodies{"0", "1"});
}

namespace {

/// What a Node does with records that may not go the way there is: takes out those of this body and what follows them.
void bar_all(Engine& origin, std::string_view body) {
    const GatewayIndex two = origin.index_of(2);
    std::vector<Sent> sent;
    for (Sent& one : std::exchange(origin.sent, {})) {
        if (one.body == body) origin.durable->bar(two, one.position, one.prevs[0].position);
        const Position barred = origin.durable->barred(two);
        if (barred == 0 || one.position < barred) sent.push_back(std::move(one));
    }
    origin.sent = std::move(sent);
}

}  // namespace

TEST_CASE("a record that is barred holds back what follows it, quietly, and all goes on when it may go",
          "[queue][durable][barred]") {
    Pair pair([](DurableOptions& options) { options.page_records = 2; });
    Engine& origin = pair.origin;
    const GatewayIndex two = origin.index_of(2);
    pair.say("0");
    converse(origin, pair.target);
    for (const char* body : {"1", "2", "3", "4", "5"}) pair.say(body);
    CHECK(origin.durable->is_past(two, 6));
    bar_all(origin, "3");
    CHECK(origin.durable->barred(two) == 4);
    CHECK(pair.status().barred == 4);
    CHECK_FALSE(origin.durable->is_past(two, 6));
    CHECK_FALSE(origin.durable->has_room(two));  // a member of a queue group is rather looked for elsewhere
    SECTION("what was sent before it arrives, also if it must be repeated") {
        if (GENERATE(false, true)) origin.sent.clear();
        converse(origin, pair.target);
        origin.wait(retransmission_base + 5 * round_trip_first);
        converse(origin, pair.target);
        CHECK(pair.target.take_all() == Bodies{"0", "1", "2"});
        CHECK(pair.status().synced == 3);
    }
    converse(origin, pair.target);
    const auto& counters = origin.durable->counters();
    const std::uint64_t quiet_from = counters.records_sent + counters.records_resent + counters.heads_sent;
    pair.say("6");
    origin.wait(std::chrono::minutes(10));
    converse(origin, pair.target);
    CHECK(counters.records_sent + counters.records_resent + counters.heads_sent == quiet_from);
    CHECK(pair.target.durable->counters().gaps == 0);
    CHECK(pair.status().in_flight_bytes == 0);
    pair.target.take_all();

    SECTION("there is another way") {
        origin.durable->try_barred(two, origin.now);
        origin.collect();
        converse(origin, pair.target);
        CHECK(pair.target.take_all() == Bodies{"3", "4", "5", "6"});
        CHECK(pair.target.losses.empty());
    }
    SECTION("the target was away and came back by another way") {
        origin.reach(2, false);
        CHECK(origin.durable->barred(two) == 0);
        origin.reach(2);
        converse(origin, pair.target);
        CHECK(pair.target.take_all() == Bodies{"3", "4", "5", "6"});
    }
    SECTION("there is no other way yet") {
        origin.durable->try_barred(two, origin.now);
        origin.collect();
        bar_all(origin, "3");
        CHECK(origin.durable->barred(two) == 4);
        converse(origin, pair.target);
        CHECK(pair.target.take_all().empty());
        origin.durable->try_barred(two, origin.now);
        origin.collect();
        converse(origin, pair.target);
        CHECK(pair.target.take_all() == Bodies{"3", "4", "5", "6"});
    }
    SECTION("it is given up: it alone is lost, and the target says so") {
        CHECK_FALSE(origin.durable->skip_barred(two, 3, origin.now));
        CHECK_FALSE(origin.durable->skip_barred(two, 5, origin.now));
        CHECK_FALSE(origin.durable->skip_barred(two, 0, origin.now));
        CHECK(origin.durable->skip_barred(two, 4, origin.now));
        origin.collect();
        converse(origin, pair.target);
        CHECK(pair.target.take_all() == Bodies{"4", "5", "6"});
        REQUIRE(pair.target.losses.size() == 1);
        CHECK(pair.target.losses[0].after == 3);
        CHECK(pair.target.losses[0].up_to == 4);
        CHECK(origin.durable->is_past(two, 4));
    }
    SECTION("the target is given up") {
        origin.durable->give_up(two, origin.now);
        origin.collect();
        converse(origin, pair.target);
        CHECK(origin.durable->barred(two) == 0);
        pair.say("7");
        converse(origin, pair.target);
        CHECK(pair.target.take_all() == Bodies{"7"});
    }
    SECTION("the origin starts again") {
        origin.crash(false);
        origin.start();
        pair.meet();
        origin.settle();
        converse(origin, pair.target);
        CHECK(pair.target.take_all() == Bodies{"3", "4", "5", "6"});
    }
}

TEST_CASE("a barred record is not given up while what comes before it is on its way", "[queue][durable][barred]") {
    Pair pair;
    Engine& origin = pair.origin;
    const GatewayIndex two = origin.index_of(2);
    pair.say("0");
    converse(origin, pair.target);
    for (const char* body : {"1", "2"}) pair.say(body);
    bar_all(origin, "2");
    CHECK_FALSE(origin.durable->skip_barred(two, 3, origin.now));
    converse(origin, pair.target);
    CHECK(origin.durable->skip_barred(two, 3, origin.now));
    origin.collect();
    converse(origin, pair.target);
    CHECK(pair.target.take_all() == Bodies{"0", "1"});
    CHECK(pair.target.losses.size() == 1);
}

TEST_CASE("a target that keeps up is served live while another one is barred", "[queue][durable][barred]") {
    Pair pair;
    Engine& origin = pair.origin;
    Engine three(3);
    three.start();
    origin.reach(3);
    three.reach(1);
    const auto say_both = [&](std::string_view body) {
        REQUIRE(origin.publish("s", body, origin.targets({{2, {}}, {3, {}}}), 1) == PublishResult::taken);
        origin.settle();
    };
    say_both("0");
    for (int i = 0; i < 4; ++i) {
        converse(origin, pair.target);
        converse(origin, three);
    }
    say_both("1");
    REQUIRE(origin.sent.size() == 1);
    origin.durable->bar(origin.index_of(2), 2, 1);
    origin.sent.clear();  // and lost on the way to 3
    say_both("2");
    REQUIRE(origin.sent.size() == 1);
    REQUIRE(origin.sent[0].targets.size() == 1);
    CHECK(origin.sent[0].targets[0].gateway == origin.index_of(3));
    converse(origin, three);
    CHECK(three.durable->counters().applied == 3);
    CHECK(pair.target.durable->counters().applied == 1);
}

TEST_CASE("the bytes on the way to a target are bounded by its window", "[queue][durable]") {
    Pair pair([](DurableOptions& options) {
        options.target_window_bytes = 1000;
        options.tail_bytes = 1;
    });
    pair.say("first");
    converse(pair.origin, pair.target);
    const std::string body(200, 'x');
    for (int i = 0; i < 40; ++i) pair.say(body);
    CHECK(pair.origin.sent.size() < 7);
    CHECK_FALSE(pair.origin.durable->has_room(pair.origin.index_of(2)));
    for (int i = 0; i < 40 && pair.status().synced < 41; ++i) {
        CHECK(pair.status().in_flight_bytes < 1300);
        converse(pair.origin, pair.target);
    }
    CHECK(pair.status().synced == 41);
    CHECK(pair.target.take_all().size() == 41);
    CHECK(pair.origin.durable->has_room(pair.origin.index_of(2)));
}

TEST_CASE("a target that was away is caught up from the log, in order, and is live again", "[queue][durable]") {
    Pair pair;
    pair.say("0");
    converse(pair.origin, pair.target);
    pair.origin.reach(2, false);
    Bodies all{"0"};
    for (int i = 1; i < 50; ++i) {
        all.push_back(std::to_string(i));
        pair.say(all.back());
    }
    CHECK(pair.origin.sent.empty());
    CHECK(pair.status().backlog_records_max >= 49);
    CHECK(pair.status().backlog_records_max <= 50);
    pair.origin.reach(2);
    converse(pair.origin, pair.target);
    CHECK(pair.target.take_all() == all);
    pair.say("live");
    REQUIRE(pair.origin.sent.size() == 1);
    CHECK(pair.origin.durable->counters().records_sent == 1);
}

TEST_CASE("what all targets have synced is trimmed, and floors tell up to where", "[queue][durable]") {
    Pair pair;
    for (int i = 0; i < 10; ++i) pair.say("x");
    converse(pair.origin, pair.target);
    const auto pages = [&] { return pair.origin.disk.live().logs[static_cast<std::size_t>(LogId::origin)].size(); };
    CHECK(pages() > 0);
    pair.origin.wait(std::chrono::seconds(2));
    CHECK(pages() == 0);
    CHECK(pair.status().floor == 10);
    pair.origin.reach(2, false);
    pair.say("y");
    pair.origin.wait(std::chrono::seconds(5));
    CHECK(pages() == 1);
    CHECK(pair.status().floor == 10);
}

TEST_CASE("a target that was restored from an old backup hears of the exact loss, and gets the rest",
          "[queue][durable]") {
    Pair pair;
    pair.say("1");
    converse(pair.origin, pair.target);
    pair.target.wait(std::chrono::seconds(1));
    const MemoryImage old = pair.target.disk.backup();
    for (const char* body : {"2", "3"}) pair.say(body);
    converse(pair.origin, pair.target);
    pair.origin.wait(std::chrono::seconds(2));  // trimmed: 2 and 3 are gone
    pair.target.take_all();
    pair.target.crash(true);
    pair.target.disk.restore(old);
    pair.target.start();
    pair.target.subscribe(9, ">");
    pair.say("4");
    pair.origin.wait(std::chrono::seconds(1));
    converse(pair.origin, pair.target);
    pair.origin.wait(std::chrono::seconds(1));
    converse(pair.origin, pair.target);
    REQUIRE(pair.target.losses.size() == 1);
    CHECK(pair.target.losses[0].origin == gateway_id(1));
    CHECK(pair.target.losses[0].after == 1);
    CHECK(pair.target.losses[0].up_to == 3);
    CHECK(pair.target.take_all().back() == "4");
    CHECK(pair.target.durable->losses().size() == 1);
}

TEST_CASE("an origin that was restored from an old backup goes on under a new run", "[queue][durable]") {
    Pair pair;
    pair.say("1");
    converse(pair.origin, pair.target);
    const MemoryImage old = pair.origin.disk.backup();
    for (const char* body : {"2", "3"}) pair.say(body);
    converse(pair.origin, pair.target);
    pair.origin.crash(true);
    pair.origin.disk.restore(old);
    pair.origin.start();
    pair.origin.reach(2);
    pair.say("4");  // takes the position that 2 had
    CHECK(pair.origin.acks[0].position == 2);
    converse(pair.origin, pair.target);
    CHECK(pair.target.take_all() == Bodies{"1", "2", "3", "4"});
    CHECK(pair.target.losses.empty());
}

TEST_CASE("giving a target up lets its backlog go, and the target hears what it missed", "[queue][durable]") {
    Pair pair;
    pair.say("1");
    converse(pair.origin, pair.target);
    pair.origin.reach(2, false);
    for (const char* body : {"2", "3"}) pair.say(body);
    pair.origin.durable->give_up(pair.origin.index_of(2), pair.origin.now);
    pair.origin.wait(std::chrono::seconds(3));
    pair.origin.settle();
    CHECK(pair.origin.disk.live().logs[static_cast<std::size_t>(LogId::origin)].empty());
    pair.origin.crash(true);
    pair.origin.start();
    pair.origin.reach(2);
    converse(pair.origin, pair.target);
    REQUIRE(pair.target.losses.size() == 1);
    CHECK(pair.target.losses[0].after == 1);
    CHECK(pair.target.losses[0].up_to == 3);
    pair.say("4");
    converse(pair.origin, pair.target);
    CHECK(pair.target.take_all() == Bodies{"1", "4"});
}

TEST_CASE("a damaged page is an exact loss at its targets and nothing else", "[queue][durable]") {
    Pair pair([](DurableOptions& options) { options.tail_bytes = 1; });
    pair.say("1");
    converse(pair.origin, pair.target);
    pair.origin.reach(2, false);
    for (const char* body : {"2", "3", "4", "5"}) pair.say(body);
    SECTION("in the middle") {
        pair.origin.disk.damage_page_for_test(LogId::origin, 3);
        pair.origin.reach(2);
        converse(pair.origin, pair.target);
        REQUIRE(pair.target.losses.size() == 1);
        CHECK(pair.target.losses[0].after == 2);
        CHECK(pair.target.losses[0].up_to == 3);
        CHECK(pair.target.take_all() == Bodies{"1", "2", "4", "5"});
    }
    SECTION("at the end, over a restart") {
        pair.origin.crash(true);
        pair.origin.disk.damage_page_for_test(LogId::origin, 5);
        pair.origin.start();
        pair.origin.reach(2);
        converse(pair.origin, pair.target);
        REQUIRE(pair.target.losses.size() == 1);
        CHECK(pair.target.losses[0].after == 4);
        CHECK(pair.target.losses[0].up_to == 5);
        pair.say("6");
        CHECK(pair.origin.acks.back().position > 5);
        converse(pair.origin, pair.target);
        CHECK(pair.target.take_all() == Bodies{"1", "2", "3", "4", "6"});
    }
    CHECK_FALSE(pair.origin.log.empty());
    CHECK(pair.status().synced == pair.status().last);
}

TEST_CASE("a failed commit is a crash of the store: no ack, no record, reopen", "[queue][durable]") {
    const bool applied = GENERATE(false, true);
    Pair pair;
    pair.say("1");
    converse(pair.origin, pair.target);
    pair.origin.acks.clear();
    pair.origin.disk.fail_after(0, applied);
    pair.origin.publish("s", "2", pair.origin.targets({{2, {}}}), 2);
    pair.origin.settle();
    CHECK(pair.origin.reopen);
    CHECK(pair.origin.acks.empty());
    CHECK(pair.origin.sent.empty());
    CHECK_FALSE(pair.origin.log.empty());
    CHECK(pair.origin.publish("s", "3", pair.origin.targets({{2, {}}}), 3) == PublishResult::failed);
    CHECK(pair.origin.durable->next_deadline() == base::instant_max);
    pair.origin.crash(false);
    pair.origin.start();
    pair.origin.reach(2);
    pair.say("4");
    converse(pair.origin, pair.target);
    CHECK(pair.target.take_all() == (applied ? Bodies{"1", "2", "4"} : Bodies{"1", "4"}));
}

TEST_CASE("more than waits for the store is full, until it has caught up", "[queue][durable]") {
    Pair pair([](DurableOptions& options) { options.pending_bytes_max = 1000; });
    const TargetSetId to = pair.origin.targets({{2, {}}});
    const std::string body(300, 'x');
    int taken = 0;
    while (pair.origin.publish("s", body, to) == PublishResult::taken) ++taken;
    CHECK(taken == 4);
    CHECK_FALSE(pair.origin.durable->room_for_publish());
    pair.origin.settle();
    CHECK(pair.origin.durable->room_for_publish());
}

TEST_CASE("a target whose store is behind drops records, and gets them later", "[queue][durable]") {
    Pair pair;
    pair.target.crash(false);
    pair.target.start([](DurableOptions& options) { options.pending_bytes_max = 500; });
    pair.target.subscribe(1, ">");
    pair.target.reach(1);
    const std::string body(200, 'x');
    pair.say("0");
    converse(pair.origin, pair.target);
    for (int i = 0; i < 10; ++i) pair.say(body);
    converse(pair.origin, pair.target);
    CHECK(pair.target.durable->counters().refused_full > 0);
    for (int i = 0; i < 20 && pair.status().synced < 11; ++i) {
        pair.origin.wait(std::chrono::seconds(2));
        pair.target.now = pair.origin.now;
        converse(pair.origin, pair.target);
    }
    CHECK(pair.status().synced == 11);
    CHECK(pair.target.take_all().size() == 11);
}

TEST_CASE("remembered interest comes back after a restart", "[queue][durable]") {
    Engine gateway(1);
    gateway.start();
    gateway.durable->remember_interest(gateway.index_of(2), "$G", "orders.*", "", 1);
    gateway.durable->remember_interest(gateway.index_of(3), "$G", "orders.*", "g", 4);
    gateway.durable->remember_interest(gateway.index_of(2), "$G", "orders.*", "", 0);
    gateway.settle();
    gateway.crash(false);
    MemoryStore store(gateway.disk);
    auto state = recover(store, gateway.self);
    REQUIRE(state.ok());
    REQUIRE(state.value().remembered.size() == 1);
    CHECK(state.value().remembered[0].gateway == gateway_id(3));
    CHECK(state.value().remembered[0].weight == 4);
}

TEST_CASE("the origin asks every target that it ever had, also without a backlog", "[queue][durable]") {
    Pair pair;
    pair.say("1");
    converse(pair.origin, pair.target);
    pair.origin.wait(std::chrono::seconds(2));
    pair.origin.crash(false);
    pair.origin.start();
    pair.origin.reach(2);
    REQUIRE(pair.origin.control.size() == 1);
    CHECK(decode_head(pair.origin.control[0].body)->floor == 1);
    converse(pair.origin, pair.target);
    CHECK(pair.status().open);
    // Then there is nothing to say.
    pair.origin.wait(std::chrono::minutes(10));
    CHECK(pair.origin.control.empty());
}

TEST_CASE("garbage from a peer is told and does nothing", "[queue][durable]") {
    Pair pair;
    pair.origin.durable->on_at(pair.origin.index_of(2), "nonsense", pair.origin.now);
    pair.target.durable->on_head(pair.target.index_of(1), "", pair.target.now);
    pair.origin.collect();
    pair.target.collect();
    CHECK(pair.origin.log.size() == 1);
    CHECK(pair.target.log.size() == 1);
    // An AT of the right form about records that never were.
    pair.say("1");
    converse(pair.origin, pair.target);
    const TargetStatus before = pair.status();
    pair.origin.durable->on_at(pair.origin.index_of(2),
                               encode(At{pair.origin.durable->run(), 1, 1502, 1u << 20, 1u << 20, false}),
                               pair.origin.now);
    CHECK(pair.status().synced == before.synced);
}

TEST_CASE("nothing that was settled is written or said again", "[queue][durable]") {
    Pair pair;
    for (int i = 0; i < 5; ++i) pair.say("x");
    converse(pair.origin, pair.target);
    pair.target.take_all();
    pair.origin.wait(std::chrono::seconds(5));
    pair.target.wait(std::chrono::seconds(5));
    const std::uint64_t commits = pair.origin.durable->counters().commits + pair.target.durable->counters().commits;
    pair.origin.wait(std::chrono::hours(1));
    pair.target.wait(std::chrono::hours(1));
    CHECK(pair.origin.durable->counters().commits + pair.target.durable->counters().commits == commits);
    CHECK(pair.origin.durable->settled());
    CHECK(pair.origin.control.empty());
}
