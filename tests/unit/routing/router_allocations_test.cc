// A program of its own: it counts what operator new is asked for.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "routing/base/prng.h"
#include "routing/router.h"

namespace {
std::uint64_t allocations = 0;
}

// All forms that the library has are replaced, so that a sanitizer finds each delete with its new.
void* operator new(std::size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
    throw std::bad_alloc();
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    ++allocations;
    return std::malloc(size == 0 ? 1 : size);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    ++allocations;
    const auto unit = static_cast<std::size_t>(alignment);
    if (void* memory = std::aligned_alloc(unit, (size + unit - 1) / unit * unit)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    std::free(memory);
}

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
    const std::uint64_t before = allocations;
    std::uint64_t picked = 0;
    for (int round = 0; round < 10; ++round) {
        for (const std::string& subject : used) {
            Route& route = router.route(account_global, subject);
            picked += pick(route.groups[0], {}, prng) ? 1 : 0;
        }
    }
    const std::uint64_t after = allocations;
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
    const std::uint64_t before = allocations;
    std::uint64_t cached = 0;
    for (const std::string& subject : once) cached += router.route(account_global, subject).cached ? 1 : 0;
    const std::uint64_t after = allocations;
    CHECK(after == before);
    CHECK(cached == 0);
}

}  // namespace
}  // namespace routing
