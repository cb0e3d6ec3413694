#include <catch2/catch.hpp>
#include <cstdlib>
#include <string>

#include "tests/sim/flows/flow_world.h"

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t seeds_each = 250;  // eight times slower, and after memory errors, not histories
#else
constexpr std::uint64_t seeds_each = 1250;
#endif

/// FLOWS_SEED=n runs that seed alone.
flows::Totals run_seeds(std::uint64_t from, std::uint64_t count, const flows::Faults& faults) {
    flows::totals() = flows::Totals{};
    if (const char* one = std::getenv("FLOWS_SEED"); one != nullptr) {
        from = std::strtoull(one, nullptr, 10);
        count = 1;
    }
    for (std::uint64_t seed = from; seed < from + count; ++seed) {
        flows::Options options;
        options.seed = seed;
        options.faults = faults;
        options.gateways = 2 + static_cast<std::uint32_t>(seed % 3);
        const auto wrong = flows::run(options);
        if (wrong.has_value())
            FAIL("seed " << seed << ": " << *wrong << "\n  repeat with: FLOWS_SEED=" << seed
                         << " build/dev/tests/sim/flows/flows_test \"" << Catch::getResultCapture().getCurrentTestName()
                         << "\"");
    }
    const flows::Totals all = flows::totals();
    INFO(count << " histories: " << all.published << " published, " << all.acknowledged << " acknowledged, "
               << all.applied << " applied, " << all.crashes << " crashes, " << all.store_failures << " failed stores, "
               << all.restores << " restored backups, " << all.losses << " losses of " << all.lost_records
               << " positions, " << all.repeats << " repeats, " << all.gaps << " gaps, " << all.go_backs
               << " go-backs, " << all.resent << " resent, " << all.delivered << " delivered, " << all.delivered_again
               << " again, " << all.trims << " trims");
    if (count > 1) {
        // The faults did happen, or the test says nothing.
        CHECK(all.acknowledged > count);
        CHECK(all.repeats > count);
        CHECK(all.gaps > count);
        CHECK(all.resent > count);
        CHECK(all.trims > count);
        CHECK((all.crashes > count) == faults.crashes);
        CHECK((all.store_failures > count / 2) == faults.store_failures);
        CHECK((all.restores > count / 2) == faults.backups);
        CHECK((all.losses > count / 4) == faults.backups);
    } else {
        WARN("one history of " << all.published << " messages, " << all.crashes << " crashes, " << all.restores
                               << " restored backups");
    }
    return all;
}

}  // namespace

TEST_CASE("what is acknowledged is applied once and in order or lies in an exact loss, whatever fails (1)",
          "[sim][flows]") {
    run_seeds(1, seeds_each, flows::Faults{});
}
TEST_CASE("what is acknowledged is applied once and in order or lies in an exact loss, whatever fails (2)",
          "[sim][flows]") {
    run_seeds(10001, seeds_each, flows::Faults{});
}
TEST_CASE("without restored backups nothing acknowledged is lost, whatever else fails", "[sim][flows]") {
    flows::Faults faults;
    faults.backups = false;
    run_seeds(20001, seeds_each, faults);
}
TEST_CASE("a lossy network alone costs nothing but time", "[sim][flows]") {
    flows::Faults faults;
    faults.drop = 200;
    faults.repeat = 200;
    faults.late = 300;
    faults.crashes = faults.store_failures = faults.backups = false;
    const flows::Totals all = run_seeds(30001, seeds_each, faults);
    CHECK(all.acknowledged == all.published);
    CHECK(all.losses == 0);
}
