#include "gateway/cli/sim.h"

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <cstdlib>
#include <iostream>
#include <limits>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "gateway/cli/sim_file.h"
#include "gateway/conf/parser.h"
#include "gateway/config_file.h"
#include "gateway/flags.h"
#include "routing/sim/simulation.h"

namespace gateway::cli {

namespace {

using routing::sim::SimulationBatch;
using routing::sim::SimulationResult;
using routing::sim::SimulationSummary;

constexpr std::uint64_t jobs_max = 64;
/// How often a long batch says how far it is.
constexpr auto progress_interval = std::chrono::seconds(5);

std::string read_number(std::string_view text, std::uint64_t most, std::uint64_t& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number > most)
        return "'" + std::string(text) + "' is not a number up to " + std::to_string(most);
    return {};
}

/// Runs a batch on several threads; gives the results in the order of their seeds.
class Workers {
  public:
    Workers(const SimulationBatch& batch, std::uint64_t jobs) : batch_(batch) {
        for (std::uint64_t i = 0; i < std::min(jobs, batch.seeds); ++i) threads_.emplace_back([this] { work(); });
    }
    ~Workers() {
        for (std::thread& thread : threads_) thread.join();
    }
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    /// The result of the next seed, or nothing if it takes longer than `patience`.
    std::optional<SimulationResult> next(std::chrono::seconds patience) {
        std::unique_lock lock(mutex_);
        if (!done_.wait_for(lock, patience, [&] { return results_.contains(taken_); })) return std::nullopt;
        return std::move(results_.extract(taken_++).mapped());
    }

  private:
    void work() {
        for (;;) {
            std::uint64_t index = 0;
            {
                const std::lock_guard lock(mutex_);
                if (begun_ == batch_.seeds) return;
                index = begun_++;
            }
            SimulationResult result = routing::sim::simulate(batch_.options(index));
            const std::lock_guard lock(mutex_);
            results_.emplace(index, std::move(result));
            done_.notify_one();
        }
    }

    const SimulationBatch& batch_;
    std::mutex mutex_;
    std::condition_variable done_;
    std::uint64_t begun_ = 0;
    std::uint64_t taken_ = 0;
    std::map<std::uint64_t, SimulationResult> results_;
    std::vector<std::thread> threads_;
};

std::optional<std::string> environment(const char* name) {
    const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): no other thread yet
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

std::int64_t in_milliseconds(base::Duration time) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
}

nlohmann::ordered_json as_json(std::uint64_t seed, const SimulationResult& result) {
    return {{"seed", seed},
            {"ok", result.ok()},
            {"gateways", result.gateways},
            {"messages", result.messages},
            {"deliveries", result.deliveries},
            {"acknowledged", result.acknowledged},
            {"sends", result.sends},
            {"crashes", result.crashes},
            {"cuts", result.cuts},
            {"restores", result.restores},
            {"one_tree_after_ms", in_milliseconds(result.recovered_after)},
            {"tree", result.tree},
            {"failures", result.failures}};
}

nlohmann::ordered_json as_json(const SimulationSummary& summary) {
    return {{"seeds", summary.seeds},
            {"failed", summary.failed},
            {"messages", summary.messages},
            {"deliveries", summary.deliveries},
            {"acknowledged", summary.acknowledged},
            {"sends", summary.sends},
            {"crashes", summary.crashes},
            {"cuts", summary.cuts},
            {"restores", summary.restores},
            {"one_tree_after_ms_at_most", in_milliseconds(summary.recovered_longest)}};
}

int run(const SimulationBatch& batch, std::uint64_t jobs, bool json, std::ostream& out, std::ostream& error) {
    SimulationSummary total;
    std::vector<std::string> tree;
    Workers workers(batch, jobs);
    auto told = std::chrono::steady_clock::now();
    while (total.seeds < batch.seeds) {
        const auto result = workers.next(progress_interval);
        if (const auto now = std::chrono::steady_clock::now(); now - told >= progress_interval) {
            told = now;
            error << total.seeds << " of " << batch.seeds << " seeds, " << total.failed << " failed" << std::endl;
        }
        if (!result) continue;
        if (json)
            out << as_json(batch.seed + total.seeds, *result).dump() << "\n";
        else
            for (const std::string& line : routing::sim::report(batch, total.seeds, *result)) out << line << "\n";
        out.flush();
        total.add(*result);
        tree = result->tree;
    }
    if (json) {
        out << as_json(total).dump() << "\n";
    } else {
        if (batch.plan != nullptr) {
            out << "the tree of the last seed, after the storm:\n";
            for (const std::string& line : tree) out << "  " << line << "\n";
        }
        out << total.text() << "\n";
    }
    return total.failed == 0 ? 0 : 1;
}

}  // namespace

int run_sim(std::span<const char* const> arguments, std::ostream& out, std::ostream& error) {
    SimulationBatch batch;
    std::uint64_t gateways = 0;
    std::uint64_t jobs = std::max(1U, std::thread::hardware_concurrency());
    std::string topology;
    bool json = false;
    bool help = false;
    const auto number = [](std::uint64_t& value, std::uint64_t most) {
        return [&value, most](std::string_view text) { return read_number(text, most, value); };
    };
    const auto yes = [](bool& value) {
        return [&value](std::string_view text) {
            value = text == "true";
            return std::string();
        };
    };
    constexpr std::uint64_t any = std::numeric_limits<std::uint64_t>::max();
    const std::vector<FlagGroup> groups = {
        {"Flags",
         {
             {{"seed"}, "S", "the first seed (default: 1)", number(batch.seed, any)},
             {{"seeds"}, "N", "how many, ascending (default: 1)", number(batch.seeds, any)},
             {{"gateways"},
              "G",
              "gateways in each run (default: 3 to 20, as the seed says)",
              number(gateways, routing::sim::plan_gateways_max)},
             {{"topology"},
              "FILE",
              "the gateways of this file instead of drawn ones; routing/sim/README.md tells its keys",
              [&](std::string_view text) {
                  topology = text;
                  return std::string();
              }},
             {{"jobs"}, "J", "seeds that run at the same time (default: as many as cores)", number(jobs, jobs_max)},
             {{"verbose"}, "", "a line per seed, and what the gateways of a failed one logged", yes(batch.verbose)},
             {{"json"}, "", "an object per seed, and one for all, a line each", yes(json)},
             {{"h", "help"}, "", "this text", yes(help)},
         }}};
    FlagOutcome flags = read_flags(arguments, groups);
    const std::string usage = "Usage:\n  treegate sim [flags]   whole trees of gateways in one process, with faults\n";
    if (help) {
        out << usage << flags_text(groups);
        return 0;
    }
    if (!flags.words.empty()) flags.errors.push_back("'" + std::string(flags.words[0]) + "' is one word too many");
    if (!topology.empty() && gateways != 0) flags.errors.emplace_back("--gateways does not go with --topology");
    if (gateways == 1 || gateways == 2) flags.errors.emplace_back("--gateways wants 3 or more");
    if (!flags.errors.empty()) {
        error << "treegate: " << flags.errors[0] << "\n" << usage << flags_text(groups);
        return 1;
    }
    batch.gateways = static_cast<std::uint32_t>(gateways);
    if (gateways != 0) batch.flags = " --gateways " + std::to_string(gateways);
    routing::sim::TreePlan plan;
    if (!topology.empty()) {
        const auto document = conf::parse_config(topology, system_sources(environment));
        auto read = document.ok() ? read_tree_plan(document.value())
                                  : base::Result<routing::sim::TreePlan, std::string>(base::failure(document.error()));
        if (!read.ok()) {
            error << "treegate: " << read.error() << "\n";
            return 1;
        }
        plan = std::move(read).value();
        batch.plan = &plan;
        batch.flags = " --topology " + topology;
    }
    return run(batch, std::max<std::uint64_t>(jobs, 1), json, out, error);
}

}  // namespace gateway::cli
