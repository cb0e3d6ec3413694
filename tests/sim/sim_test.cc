// Whole trees of gateways under seeds.  A failure prints the seed and the command that repeats it.
#include <catch2/catch.hpp>
#include <string>

#include "routing/sim/simulation.h"

using namespace routing::sim;
using namespace std::chrono_literals;

namespace {

std::string report(const SimulationOptions& options, const SimulationResult& result) {
    std::string text = "again: treegate sim --verbose --seeds 1 --seed " + std::to_string(options.seed);
    if (options.gateways != 0) text += " --gateways " + std::to_string(options.gateways);
    for (const auto& failure : result.failures) text += "\n  " + failure;
    return text;
}

void require_well(const SimulationOptions& options, const SimulationResult& result) {
    if (result.ok()) return;
    FAIL_CHECK(report(options, result));
}

}  // namespace

TEST_CASE("trees of three to eight gateways keep every promise through cuts, crashes and pauses", "[sim]") {
    // Twenty-five seeds a section, so that a failure names its neighbourhood and the test runner can spread them.
    const std::uint64_t first = GENERATE(range(1, 301, 25));
    SimulationResult total;
    for (std::uint64_t seed = first; seed < first + 25; ++seed) {
        SimulationOptions options;
        options.seed = seed;
        const SimulationResult result = simulate(options);
        require_well(options, result);
        total.messages += result.messages;
        total.acknowledged += result.acknowledged;
        total.crashes += result.crashes;
        total.cuts += result.cuts;
    }
    // The runs were about something.
    CHECK(total.messages > 1000);
    CHECK(total.acknowledged > 100);
    CHECK(total.crashes > 5);
    CHECK(total.cuts > 5);
}

TEST_CASE("a tree of fifty gateways heals after cuts, restarts and delays", "[sim]") {
    SimulationOptions options;
    options.seed = 50;
    options.gateways = 50;
    options.clients_per_gateway = 1;
    options.actions = 600;
    options.faults = 25;
    options.network.delay_max = 40ms;
    const SimulationResult result = simulate(options);
    require_well(options, result);
    CHECK(result.messages > 300);
    CHECK(result.crashes > 0);
    CHECK(result.cuts > 0);
}

TEST_CASE("without faults nothing is lost from the start", "[sim]") {
    const std::uint64_t seed = GENERATE(1001, 1002, 1003, 1004);
    SimulationOptions options;
    options.seed = seed;
    options.faults = 0;
    options.chain = true;
    const SimulationResult result = simulate(options);
    require_well(options, result);
    CHECK(result.crashes == 0);
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
    std::string printed;
    batch.print = [&](std::string_view line) { printed.append(line).push_back('\n'); };
    CHECK(run_simulation(batch) == 1);
    CHECK(printed.find("no progress") != std::string::npos);
    CHECK(printed.find("treegate sim --seed 3 --seeds 1") != std::string::npos);
}
