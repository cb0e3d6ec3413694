// Whole trees of gateways under seeds.  A failure prints the seed and the command that repeats it.
#include <catch2/catch.hpp>
#include <string>

#include "routing/sim/simulation.h"

using namespace routing::sim;
using namespace std::chrono_literals;

namespace {

std::string text_of(const SimulationBatch& batch, std::uint64_t index, const SimulationResult& result) {
    std::string text;
    for (const auto& line : report(batch, index, result)) text += "\n" + line;
    return text;
}

void require_well(const SimulationOptions& options) {
    const SimulationResult result = simulate(options);
    std::string text = "seed " + std::to_string(options.seed);
    for (const auto& failure : result.failures) text += "\n  " + failure;
    if (!result.ok()) FAIL_CHECK(text);
    CHECK(result.messages > 0);
}

// Short seeds in all: 2,000; a tenth of them under sanitizers, which are after other errors and ten times slower.
constexpr std::uint64_t parts = 8;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t seeds_each = 25;
#else
constexpr std::uint64_t seeds_each = 250;
#endif

/// Each part is a test of its own, so that the test runner can spread them over the cores.
void run_part(std::uint64_t part) {
    SimulationBatch batch;
    batch.seed = 1 + part * seeds_each;
    SimulationSummary total;
    for (std::uint64_t i = 0; i < seeds_each; ++i) {
        const SimulationResult result = simulate(batch.options(i));
        if (!result.ok()) FAIL_CHECK(text_of(batch, i, result));
        total.add(result);
    }
    // The runs were about something.
    CHECK(total.seeds == seeds_each);
    CHECK(total.messages > 100 * seeds_each);
    CHECK(total.sends > 100 * seeds_each);
    CHECK(total.acknowledged > 30 * seeds_each);
    CHECK(total.crashes > seeds_each);
    CHECK(total.cuts > seeds_each);
    CHECK(total.restores > seeds_each / 4);
}

static_assert(parts == 8);

}  // namespace

TEST_CASE("trees of 3 to 20 gateways keep every promise through cuts, crashes and restored backups (1)", "[sim]") {
    run_part(0);
}
TEST_CASE("trees of 3 to 20 gateways keep every promise through cuts, crashes and restored backups (2)", "[sim]") {
    run_part(1);
}
TEST_CASE("trees of 3 to 20 gateways keep every promise through cuts, crashes and restored backups (3)", "[sim]") {
    run_part(2);
}
TEST_CASE("trees of 3 to 20 gateways keep every promise through cuts, crashes and restored backups (4)", "[sim]") {
    run_part(3);
}
TEST_CASE("trees of 3 to 20 gateways keep every promise through cuts, crashes and restored backups (5)", "[sim]") {
    run_part(4);
}
TEST_CASE("trees of 3 to 20 gateways keep every promise through cuts, crashes and restored backups (6)", "[sim]") {
    run_part(5);
}
TEST_CASE("trees of 3 to 20 gateways keep every promise through cuts, crashes and restored backups (7)", "[sim]") {
    run_part(6);
}
TEST_CASE("trees of 3 to 20 gateways keep every promise through cuts, crashes and restored backups (8)", "[sim]") {
    run_part(7);
}

TEST_CASE("a tree of fifty gateways heals after cuts, restarts and delays", "[sim]") {
    SimulationOptions options;
    options.seed = 50;
    options.gateways = 50;
    options.clients_per_gateway = 1;
    options.actions = 600;
    options.faults = 25;
    options.network.delay_max = 40ms;
    require_well(options);
}

TEST_CASE("without faults nothing is lost from the start", "[sim]") {
    for (const std::uint64_t seed : {1001, 1002, 1003, 1004}) {
        SimulationOptions options;
        options.seed = seed;
        options.faults = 0;
        options.chain = true;
        require_well(options);
    }
}

TEST_CASE("the same seed gives the same run", "[sim]") {
    SimulationOptions options;
    options.seed = 7;
    const SimulationResult first = simulate(options);
    const SimulationResult second = simulate(options);
    CHECK(first.fingerprint == second.fingerprint);
    CHECK(first.steps == second.steps);
    options.seed = 8;
    CHECK(simulate(options).fingerprint != first.fingerprint);
}

TEST_CASE("no progress within the step budget is a failure that names the seed's command", "[sim]") {
    SimulationBatch batch;
    batch.seed = 3;
    batch.steps_max = 1000;
    batch.flags = " --gateways 5";
    const SimulationResult result = simulate(batch.options(1));
    CHECK_FALSE(result.ok());
    const std::string text = text_of(batch, 1, result);
    CHECK(text.find("no progress") != std::string::npos);
    CHECK(text.find("treegate sim --verbose --seed 4 --seeds 1 --gateways 5") != std::string::npos);
}
