// The table of ids against std::map, with hashes that collide.
#include "routing/id_table.h"

#include <catch2/catch.hpp>
#include <map>

#include "routing/base/prng.h"

namespace routing {
namespace {

TEST_CASE("the id table agrees with a map through any history, also where all keys want one slot", "[routing]") {
    const std::uint64_t seed = GENERATE(range(1, 9));
    CAPTURE(seed);
    base::Prng prng(seed);
    IdTable table;
    std::map<std::uint32_t, std::uint64_t> model;
    const auto is = [](std::uint32_t wanted) { return [wanted](std::uint32_t id) { return id == wanted; }; };
    for (int step = 0; step < 20000; ++step) {
        const auto id = static_cast<std::uint32_t>(prng.below(prng.chance(1, 2) ? 40 : 600));
        const auto found = model.find(id);
        if (found == model.end()) {
            // The last slots are wanted most, so that probing goes round the end.
            const std::uint64_t tag = prng.chance(1, 2) ? 0xffffffff - prng.below(3) : prng.next() >> 32;
            REQUIRE(table.find(tag << 32, is(id)) == IdTable::none);
            table.insert(tag << 32, id);
            model.emplace(id, tag << 32);
        } else if (prng.chance(1, 2)) {
            table.erase(found->second, id);
            REQUIRE(table.find(found->second, is(id)) == IdTable::none);
            model.erase(found);
        }
        REQUIRE(table.size() == model.size());
        if (step % 64 != 0) continue;
        for (const auto& [other, hash] : model) REQUIRE(table.find(hash, is(other)) == other);
    }
}

TEST_CASE("the id table keeps between half and three quarters of its slots in use as it grows", "[routing]") {
    IdTable table;
    base::Prng prng(1);
    for (std::uint32_t id = 0; id < 100000; ++id) {
        table.insert(prng.next(), id);
        REQUIRE(table.bytes() * 3 >= table.size() * 8 * 4);
        if (id > 16) REQUIRE(table.bytes() <= table.size() * 8 * 2);
    }
}

}  // namespace
}  // namespace routing
