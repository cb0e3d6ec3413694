#include "gateway/cli/sim.h"

#include <charconv>
#include <iostream>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/flags.h"
#include "routing/sim/simulation.h"

namespace gateway::cli {

namespace {

/// Most gateways of one run: what the tree is built for.  Source: DESIGN 4.4.
constexpr std::uint64_t gateways_max = 256;

std::string read_number(std::string_view text, std::uint64_t most, std::uint64_t& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number > most)
        return "'" + std::string(text) + "' is not a number up to " + std::to_string(most);
    return {};
}

}  // namespace

int run_sim(std::span<const char* const> arguments, std::ostream& out, std::ostream& error) {
    routing::sim::SimulationBatch batch;
    std::uint64_t gateways = 0;
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
              "gateways in each run (default: 3 to 8, as the seed says)",
              number(gateways, gateways_max)},
             {{"verbose"}, "", "a line per seed, and what the gateways of a failed one logged", yes(batch.verbose)},
             {{"h", "help"}, "", "this text", yes(help)},
         }}};
    const FlagOutcome flags = read_flags(arguments, groups);
    const std::string usage = "Usage:\n  treegate sim [flags]   whole trees of gateways in one process, with faults\n";
    if (help) {
        out << usage << flags_text(groups);
        return 0;
    }
    if (!flags.errors.empty() || !flags.words.empty()) {
        error << "treegate: "
              << (flags.errors.empty() ? "'" + std::string(flags.words[0]) + "' is one word too many" : flags.errors[0])
              << "\n"
              << usage << flags_text(groups);
        return 1;
    }
    batch.gateways = static_cast<std::uint32_t>(gateways);
    batch.print = [&out](std::string_view line) { out << line << std::endl; };
    return routing::sim::run_simulation(batch);
}

}  // namespace gateway::cli
