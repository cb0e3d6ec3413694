#include "routing/node/lookups.h"

#include <catch2/catch.hpp>
#include <string>

using namespace routing;
using namespace routing::node;
using namespace std::chrono_literals;

namespace {
const base::Instant start = base::Instant(1h);

MessageView reply_to(std::string_view subject, std::string_view payload = "x") {
    MessageView message;
    message.subject = subject;
    message.body = payload;
    return message;
}
}  // namespace

TEST_CASE("one question serves all replies to one requester, in order", "[node][lookup]") {
    Lookups lookups;
    CHECK(lookups.wait(1, reply_to("_INBOX.a.1", "one"), start) == Lookups::Asked::started);
    CHECK(lookups.wait(2, reply_to("_INBOX.a.2", "two"), start) == Lookups::Asked::joined);
    CHECK(lookups.wait(1, reply_to("_INBOX.b.1"), start) == Lookups::Asked::started);
    CHECK(lookups.open() == 2);
    const auto waiting = lookups.answered(0, "_INBOX.a");
    REQUIRE(waiting.size() == 2);
    CHECK(waiting[0].body == "one");
    CHECK(waiting[1].subject == "_INBOX.a.2");
    CHECK(lookups.answered(0, "_INBOX.a").empty());  // a second answer finds nothing
    CHECK(lookups.open() == 1);
}

TEST_CASE("a question is repeated and then given up", "[node][lookup]") {
    Lookups lookups;
    REQUIRE(lookups.wait(1, reply_to("_INBOX.a.1"), start) == Lookups::Asked::started);
    CHECK(lookups.next_deadline() == start + lookup_repeat);
    CHECK(lookups.tick(start + lookup_repeat - 1ns).repeat.empty());
    const auto again = lookups.tick(start + lookup_repeat);
    REQUIRE(again.repeat.size() == 1);
    CHECK(again.repeat[0].subject == "_INBOX.a.1");
    const auto over = lookups.tick(start + lookup_timeout);
    REQUIRE(over.gave_up.size() == 1);
    CHECK(over.gave_up[0].prefix == "_INBOX.a");
    REQUIRE(over.given_up.size() == 1);
    CHECK(over.given_up[0].subject == "_INBOX.a.1");
    CHECK(lookups.next_deadline() == base::instant_max);
}

TEST_CASE("one asker cannot flood the tree with questions", "[node][lookup]") {
    Lookups lookups;
    int number = 0;
    const auto ask = [&](Lookups::Asker asker, base::Instant now) {
        return lookups.wait(asker, reply_to("_INBOX.x" + std::to_string(++number) + ".1"), now);
    };
    for (std::uint32_t i = 0; i < lookup_burst; ++i) REQUIRE(ask(7, start) == Lookups::Asked::started);
    CHECK(ask(7, start) == Lookups::Asked::refused);
    CHECK(ask(8, start) == Lookups::Asked::started);                                            // another one may
    CHECK(ask(7, start + base::Duration(1s) / lookups_per_second) == Lookups::Asked::started);  // one more was earned
    CHECK(ask(7, start + base::Duration(1s) / lookups_per_second) == Lookups::Asked::refused);
    // Joining an open question costs nothing.
    CHECK(lookups.wait(7, reply_to("_INBOX.x1.2"), start) == Lookups::Asked::joined);
}

TEST_CASE("what waits for answers is bounded in questions, messages and bytes", "[node][lookup]") {
    SECTION("questions") {
        Lookups lookups;
        for (std::size_t i = 0; i < lookups_open_max; ++i)
            REQUIRE(lookups.wait(i, reply_to("_INBOX.x" + std::to_string(i)), start) == Lookups::Asked::started);
        CHECK(lookups.wait(lookups_open_max, reply_to("_INBOX.more"), start) == Lookups::Asked::refused);
    }
    SECTION("messages") {
        Lookups lookups;
        for (std::size_t i = 0; i < lookup_waiting_max; ++i)
            REQUIRE(lookups.wait(1, reply_to("_INBOX.a.1"), start) != Lookups::Asked::refused);
        CHECK(lookups.wait(1, reply_to("_INBOX.a.1"), start) == Lookups::Asked::refused);
    }
    SECTION("bytes") {
        Lookups lookups;
        const std::string large(1024 * 1024, 'x');
        CHECK(lookups.wait(1, reply_to("_INBOX.a.1", large), start) == Lookups::Asked::started);
        CHECK(lookups.wait(1, reply_to("_INBOX.a.1", large), start) == Lookups::Asked::joined);
        CHECK(lookups.wait(1, reply_to("_INBOX.a.1", large), start) == Lookups::Asked::joined);
        CHECK(lookups.wait(1, reply_to("_INBOX.a.1", large), start) == Lookups::Asked::refused);  // 4 MiB with subjects
        REQUIRE(lookups.answered(0, "_INBOX.a").size() == 3);
        CHECK(lookups.wait(2, reply_to("_INBOX.a.1", large), start) == Lookups::Asked::started);  // room again
    }
}
