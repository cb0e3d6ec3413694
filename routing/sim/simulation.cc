#include "routing/sim/simulation.h"

#include <algorithm>
#include <utility>

#include "routing/sim/run.h"

namespace routing::sim {

SimulationResult simulate(const SimulationOptions& options) {
    Run run(options);
    run.set_up();
    if (run.wait_for_quiet("the start")) {
        run.storm();
        run.heal();
        if (run.wait_for_quiet("the storm")) {
            run.wait_for_moves();
            run.before_probe();
            run.probe();
            if (!run.stuck) run.after_probe();
            if (run.durable) run.wait_for_durable();
            run.judge();
        }
    }
    SimulationResult result = std::move(run.result);
    result.failures = run.history.failures();
    result.steps = run.world.steps();
    result.messages = run.history.messages();
    result.deliveries = run.history.deliveries();
    result.acknowledged = run.history.acknowledged_count();
    result.sends = run.history.sends();
    result.fingerprint = run.history.fingerprint();
    if (options.log_of_failures && !result.ok())
        for (auto& gateway : run.gateways)
            for (const auto& line : gateway->log_lines()) result.log.push_back(line);
    return result;
}

SimulationOptions SimulationBatch::options(std::uint64_t index) const {
    SimulationOptions options;
    options.seed = seed + index;
    options.gateways = gateways;
    options.plan = plan;
    options.log_of_failures = verbose;
    options.steps_max = steps_max;
    return options;
}

void SimulationSummary::add(const SimulationResult& result) {
    ++seeds;
    failed += result.ok() ? 0 : 1;
    messages += result.messages;
    deliveries += result.deliveries;
    acknowledged += result.acknowledged;
    crashes += result.crashes;
    cuts += result.cuts;
    restores += result.restores;
    sends += result.sends;
    recovered_longest = std::max(recovered_longest, result.recovered_after);
}

namespace {

std::string count(std::uint64_t number, const char* what) {
    return std::to_string(number) + " " + what;
}

std::string in_milliseconds(base::Duration time) {
    return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(time).count()) + " ms";
}

}  // namespace

std::string SimulationSummary::text() const {
    return count(seeds, "seeds, ") + count(failed, "failed: ") + count(messages, "messages, ") +
           count(deliveries, "deliveries, ") + count(acknowledged, "acknowledged, ") + count(crashes, "crashes, ") +
           count(cuts, "cuts, ") + count(restores, "restored backups; one tree after ") +
           in_milliseconds(recovered_longest) + " at most";
}

std::vector<std::string> report(const SimulationBatch& batch, std::uint64_t index, const SimulationResult& result) {
    std::vector<std::string> lines;
    if (result.ok() && !batch.verbose) return lines;
    const std::string seed = std::to_string(batch.seed + index);
    lines.push_back("seed " + seed + ": " + count(result.gateways, "gateways, ") +
                    count(result.messages, "messages, ") + count(result.deliveries, "deliveries, ") +
                    count(result.acknowledged, "acknowledged, ") + count(result.crashes, "crashes, ") +
                    count(result.cuts, "cuts, ") + count(result.restores, "restored backups, one tree after ") +
                    in_milliseconds(result.recovered_after) + (result.ok() ? "" : ": FAILED"));
    if (result.ok()) return lines;
    for (const auto& line : result.log) lines.push_back("  " + line);
    for (const auto& failure : result.failures) lines.push_back("  " + failure);
    lines.push_back("  again: treegate sim --verbose --seed " + seed + " --seeds 1" + batch.flags);
    return lines;
}

}  // namespace routing::sim
