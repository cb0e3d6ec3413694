#include "routing/node/inbox_memory.h"

#include <catch2/catch.hpp>
#include <list>
#include <string>

#include "routing/base/prng.h"

using namespace routing;
using namespace routing::node;
using namespace std::chrono_literals;

namespace {
const base::Instant start = base::Instant(1h);
}

TEST_CASE("an inbox's prefix is its first two tokens", "[node][inbox]") {
    CHECK(inbox_prefix("_INBOX.abc.17") == "_INBOX.abc");
    CHECK(inbox_prefix("_INBOX.abc.17.x") == "_INBOX.abc");
    CHECK(inbox_prefix("_INBOX.abc") == "_INBOX.abc");
    CHECK(inbox_prefix("_INBOX") == "_INBOX");
}

TEST_CASE("only filters that name one requester's inboxes stay at home", "[node][inbox]") {
    CHECK(is_inbox_filter("_INBOX.abc.*", "_INBOX"));
    CHECK(is_inbox_filter("_INBOX.abc", "_INBOX"));
    CHECK(is_inbox_filter("_INBOX.abc.>", "_INBOX"));
    CHECK_FALSE(is_inbox_filter("_INBOX.>", "_INBOX"));
    CHECK_FALSE(is_inbox_filter("_INBOX.*.x", "_INBOX"));
    CHECK_FALSE(is_inbox_filter("_INBOX", "_INBOX"));
    CHECK_FALSE(is_inbox_filter(">", "_INBOX"));
    CHECK_FALSE(is_inbox_filter("orders.abc", "_INBOX"));
}

TEST_CASE("the last gateway that a request came from is where its inbox lives", "[node][inbox]") {
    InboxMemory memory;
    CHECK(memory.find(0, "_INBOX.a", start).answer == InboxMemory::Answer::unknown);
    memory.remember(0, "_INBOX.a", 3, start);
    CHECK(memory.find(0, "_INBOX.a", start).gateway == 3);
    CHECK(memory.find(1, "_INBOX.a", start).answer == InboxMemory::Answer::unknown);
    memory.remember(0, "_INBOX.a", 4, start + 1ms);  // the requester moved: at once, whatever the refresh interval
    CHECK(memory.find(0, "_INBOX.a", start + 1ms).gateway == 4);
    memory.forget(0, "_INBOX.a");
    CHECK(memory.find(0, "_INBOX.a", start).answer == InboxMemory::Answer::unknown);
}

TEST_CASE("that nobody has an inbox is believed for a while only", "[node][inbox]") {
    InboxMemory memory;
    memory.remember_nowhere(0, "_INBOX.a", start);
    CHECK(memory.find(0, "_INBOX.a", start + inbox_negative_ttl - 1ns).answer == InboxMemory::Answer::nowhere);
    CHECK(memory.find(0, "_INBOX.a", start + inbox_negative_ttl).answer == InboxMemory::Answer::unknown);
    CHECK(memory.size() == 0);
    memory.remember_nowhere(0, "_INBOX.a", start);
    memory.remember(0, "_INBOX.a", 2, start);
    CHECK(memory.find(0, "_INBOX.a", start).gateway == 2);
}

TEST_CASE("the memory of inboxes is bounded and forgets the one used longest ago", "[node][inbox]") {
    const std::uint64_t seed = GENERATE(1, 2, 3, 4);
    CAPTURE(seed);
    base::Prng prng(seed);
    constexpr std::size_t limit = 16;
    InboxMemory memory(limit);
    std::list<std::pair<std::string, GatewayIndex>> oracle;  // newest first
    base::Instant now = start;
    for (int i = 0; i < 2000; ++i) {
        now += inbox_refresh_interval;
        const std::string prefix = "_INBOX." + std::to_string(prng.below(40));
        const auto gateway = static_cast<GatewayIndex>(prng.below(5));
        memory.remember(0, prefix, gateway, now);
        oracle.remove_if([&](const auto& entry) { return entry.first == prefix; });
        oracle.emplace_front(prefix, gateway);
        if (oracle.size() > limit) oracle.pop_back();
        REQUIRE(memory.size() == oracle.size());
    }
    std::size_t found = 0;
    for (int i = 0; i < 40; ++i)
        if (memory.find(0, "_INBOX." + std::to_string(i), now).answer == InboxMemory::Answer::lives_at) ++found;
    CHECK(found == limit);
    for (const auto& [prefix, gateway] : oracle) CHECK(memory.find(0, prefix, now).gateway == gateway);
}
