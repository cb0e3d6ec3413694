// What routing costs per message.  MICRO_ROUTING_SUBSCRIPTIONS sets the size of the large index (default: small).
#define CATCH_CONFIG_MAIN
#define CATCH_CONFIG_ENABLE_BENCHMARKING
#include <array>
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "routing/base/prng.h"
#include "routing/router.h"

namespace routing {
namespace {

// Catch2 divides a sample by its iterations; each iteration is this many messages, so that its own cost is small.
constexpr std::size_t batch = 1000;

std::size_t large_count() {
    const char* text = std::getenv("MICRO_ROUTING_SUBSCRIPTIONS");
    const long count = text == nullptr ? 20000 : std::strtol(text, nullptr, 10);
    return count < 1 ? 1 : static_cast<std::size_t>(count);
}

std::string subject_of(std::size_t i) {
    return "sensors." + std::to_string(i % 97) + ".device-" + std::to_string(i);
}

std::vector<std::string> random_subjects(std::size_t among, std::uint64_t seed) {
    base::Prng prng(seed);
    std::vector<std::string> out;
    for (std::size_t i = 0; i < 200 * batch; ++i) out.push_back(subject_of(prng.below(among)));
    return out;
}

// Routes the next `batch` of `subjects` and returns what was found, so that nothing is optimised away.
struct Walk {
    Router& router;
    const std::vector<std::string>& subjects;
    std::size_t at = 0;
    std::size_t operator()() {
        std::size_t receivers = 0;
        for (std::size_t i = 0; i < batch; ++i) {
            receivers += router.route(account_global, subjects[at]).plain.size();
            at = at + 1 == subjects.size() ? 0 : at + 1;
        }
        return receivers;
    }
};

// The same, with glances at so many subjects at once as a shard takes.
struct GlancingWalk {
    static constexpr std::size_t ahead = 32;
    Router& router;
    const std::vector<std::string>& subjects;
    std::size_t at = 0;
    std::array<Router::Glance, ahead> glances{};
    std::size_t operator()() {
        std::size_t receivers = 0;
        for (std::size_t done = 0; done < batch; done += ahead) {
            if (at + ahead > subjects.size()) at = 0;
            for (int step = 0; step < Router::glance_steps; ++step) {
                for (std::size_t i = 0; i < ahead; ++i)
                    router.glance(account_global, subjects[at + i], step, glances[i]);
            }
            for (std::size_t i = 0; i < ahead; ++i)
                receivers += router.route(account_global, subjects[at + i], &glances[i]).plain.size();
            at += ahead;
        }
        return receivers;
    }
};

TEST_CASE("1,000 messages each", "[bench][routing]") {
    {
        Router router;
        router.subscribe(account_global, "orders.*", "", 1);
        const std::vector<std::string> one{"orders.new"};
        const std::vector<std::string> two{"orders.new", "orders.old"};
        Walk same{router, one};
        Walk turns{router, two};
        REQUIRE(same() == batch);
        REQUIRE(turns() == batch);
        BENCHMARK("the subject routed last") {
            return same();
        };
        BENCHMARK("two subjects by turns, cached") {
            return turns();
        };
    }
    {
        Router router;
        for (std::size_t i = 0; i < 10000; ++i) router.subscribe(account_global, subject_of(i), "", i + 1);
        const std::vector<std::string> subjects = random_subjects(10000, 1);
        Walk cached{router, subjects};
        for (int i = 0; i < 200; ++i) REQUIRE(cached() == batch);
        BENCHMARK("random of 10,000 subjects, cached") {
            return cached();
        };
    }
    {
        Router router;
        router.subscribe(account_global, "sensors.>", "", 1);
        const std::vector<std::string> subjects = random_subjects(10000, 1);
        Walk cached{router, subjects};
        for (int i = 0; i < 200; ++i) REQUIRE(cached() == batch);
        BENCHMARK("the same under one filter") {
            return cached();
        };
        GlancingWalk glancing{router, subjects};
        BENCHMARK("the same, glanced at") {
            return glancing();
        };
    }
    {
        const std::size_t count = large_count();
        Router router;
        for (std::size_t i = 0; i < count; ++i) router.subscribe(account_global, subject_of(i), "", i + 1);
        REQUIRE(router.take_changes().size() == count);
        std::printf("%zu exact subscriptions, %.0f bytes each\n", count,
                    static_cast<double>(router.stats().bytes) / static_cast<double>(count));
        const std::vector<std::string> subjects = random_subjects(count, 2);
        Walk large{router, subjects};
        REQUIRE(large() == batch);
        BENCHMARK("random of all subjects, mostly matched") {
            return large();
        };
        SubscriptionIndex index;
        for (std::size_t i = 0; i < count; ++i) index.insert(account_global, subject_of(i));
        std::vector<FilterId> found;
        std::size_t at = 0;
        BENCHMARK("the same, the index alone") {
            found.clear();
            for (std::size_t i = 0; i < batch; ++i) {
                index.match(account_global, subjects[at], index.hash(account_global, subjects[at]), found);
                at = at + 1 == subjects.size() ? 0 : at + 1;
            }
            return found.size();
        };
    }
    {
        Router router;
        const std::size_t count = large_count();
        for (std::size_t i = 0; i < count; ++i) {
            router.subscribe(account_global, "_INBOX.client-" + std::to_string(i) + ".*", "", i + 1);
        }
        base::Prng prng(3);
        std::vector<std::string> replies;
        for (std::size_t i = 0; i < 200 * batch; ++i) {
            replies.push_back("_INBOX.client-" + std::to_string(prng.below(count)) + "." + std::to_string(i));
        }
        Walk inbox{router, replies};
        REQUIRE(inbox() == batch);
        BENCHMARK("replies, each to a subject of its own") {
            return inbox();
        };
    }
    {
        Router router;
        for (ConnectionId i = 1; i <= 8; ++i) router.subscribe(account_global, "work", "workers", i);
        router.set_shard_interest(1, account_global, "work", "workers", 4);
        router.route(account_global, "work");
        const Route& route = router.route(account_global, "work");
        base::Prng prng(4);
        BENCHMARK("pick of 12 members") {
            std::size_t sum = 0;
            for (std::size_t i = 0; i < batch; ++i) sum += pick(route.groups[0], {}, prng).at;
            return sum;
        };
    }
}

}  // namespace
}  // namespace routing
