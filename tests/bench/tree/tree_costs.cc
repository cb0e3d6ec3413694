// tree_costs transit|paths|sync [--gateways n] [--filters n] [--short 1]: one JSON line of figures.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>

#include "tests/bench/tree/costs.h"

namespace bench {

double thread_seconds() {
    timespec used{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

namespace {

const std::map<std::string, Figures (*)(const CostOptions&)> parts{
    {"transit", transit_costs}, {"paths", path_costs}, {"sync", sync_costs}};

bool parse(int argc, char** argv, CostOptions& options) {
    if (argc < 2 || argc % 2 != 0 || !parts.contains(argv[1])) return false;
    for (int i = 2; i < argc; i += 2) {
        const std::string name = argv[i];
        const auto number = static_cast<std::uint32_t>(std::strtoul(argv[i + 1], nullptr, 10));
        if (name == "--gateways") {
            options.gateways = std::max(number, 3U);
        } else if (name == "--filters") {
            options.filters = number;
        } else if (name == "--short") {
            options.small = number != 0;
        } else {
            return false;
        }
    }
    return true;
}

int run(int argc, char** argv) {
    CostOptions options;
    if (!parse(argc, argv, options)) {
        std::fputs("tree_costs transit|paths|sync [--gateways n] [--filters n] [--short 1]\n", stderr);
        return 2;
    }
    const char* comma = "{";
    for (const auto& [name, value] : parts.at(argv[1])(options)) {
        std::printf("%s\"%s\":%.9g", comma, name.c_str(), value);
        comma = ",";
    }
    std::puts("}");
    return 0;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
    try {
        return bench::run(argc, argv);
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "tree_costs: %s\n", failure.what());
        return 1;
    }
}
