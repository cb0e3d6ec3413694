// A program of its own: it counts what operator new is asked for.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "routing/base/prng.h"
#include "routing/router.h"
#include "tests/support/count_allocations.h"

namespace routing {
namespace {

// Subscriptions of every kind on 100 first tokens.
void fill(Router& router) {
    for (int i = 0; i < 100; ++i) {
        const std::string prefix = "service-with-a-long-name." + std::to_string(i);
        router.subscribe(account_global, prefix + ".*", "", 1);
        router.subscribe(account_global, prefix + ".>", "workers-with-a-long-name", 2);
        router.subscribe(account_global, prefix + ".*", "workers-with-a-long-name", 3);
        router.set_shard_interest(1, account_global, prefix + ".*", "", 1);
        router.set_gateway_interest(1, account_global, prefix + ".>", "workers-with-a-long-name", 2);
        router.set_gateway_interest(2, account_global, prefix + ".>", "", 1);
    }
    router.set_reachable(1, true);
}

std::vector<std::string> subjects(int count, const char* last) {
    std::vector<std::string> out;
    for (int i = 0; i < count; ++i) {
        out.push_back("service-with-a-long-name." + std::to_string(i % 100) + "." + last + std::to_string(i));
    }
    return out;
}

TEST_CASE("a cached route and a pick allocate nothing", "[routing][router][allocations]") {
    Router router;
    fill(router);
    base::Prng prng(1);
    const std::vector<std::string> used = subjects(1000, "request");
    for (int sight = 0; sight < 2; ++sight) {
        for (const std::string& subject : used) router.route(account_global, subject);
    }
    const std::uint64_t matches = router.stats().matches;
    const std::uint64_t before = support::allocations();
    std::uint64_t picked = 0;
    for (int round = 0; round < 10; ++round) {
        for (const std::string& subject : used) {
            Route& route = router.route(account_global, subject);
            picked += pick(route.groups[0], {}, prng) ? 1 : 0;
        }
    }
    const std::uint64_t after = support::allocations();
    CHECK(after == before);
    CHECK(picked == 10000);
    CHECK(router.stats().matches == matches);
}

TEST_CASE("subjects that never come back allocate nothing once the scratch space has grown",
          "[routing][router][allocations]") {
    Router router;
    fill(router);
    const std::vector<std::string> warm = subjects(100, "warm");
    const std::vector<std::string> once = subjects(10000, "once");
    for (const std::string& subject : warm) router.route(account_global, subject);
    const std::uint64_t before = support::allocations();
    std::uint64_t cached = 0;
    for (const std::string& subject : once) cached += router.route(account_global, subject).cached ? 1 : 0;
    const std::uint64_t after = support::allocations();
    CHECK(after == before);
    CHECK(cached == 0);
}

}  // namespace
}  // namespace routing
