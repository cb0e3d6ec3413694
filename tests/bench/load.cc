// The load generator: one cell against one server (or a near and a far one), verified to the last message, one JSON
// line.
//
//   load pubsub --server 127.0.0.1:4222 --subscribers 16 --size 128 --count 1000000
//
// With --wait it says "ready" when everything is connected, warmed up and known to arrive, begins at the next line of
// standard input, and ends at the one after its result: so that the caller reads the server's CPU time at these
// moments.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>

#include <getopt.h>
#include <sys/resource.h>

#include "tests/bench/cells.h"

namespace bench {

void check_deadline(Clock::time_point since, const Options& options, const std::string& what) {
    if (Clock::now() - since > std::chrono::seconds(options.seconds_max)) {
        throw Failure("not done after " + std::to_string(options.seconds_max) + " s: " + what);
    }
}

std::uint32_t micros_now() {
    static const auto began = Clock::now();
    return static_cast<std::uint32_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began).count());
}

namespace {

constexpr const char* usage =
    "load pubsub|requests [--server h:p] [--far-server h:p] [--subject s] [--publishers n] [--subscribers n] "
    "[--subjects n]\n"
    "     [--paired] [--acks] [--size bytes] [--count n] [--warm n] [--window n] [--seconds-max n] [--wait]\n";

bool parse(int argc, char** argv, Options& options, bool& wait) {
    std::map<std::string, std::string*> texts{
        {"server", &options.server}, {"far-server", &options.far_server}, {"subject", &options.subject}};
    std::map<std::string, std::uint32_t*> numbers{{"publishers", &options.publishers},
                                                  {"subscribers", &options.subscribers},
                                                  {"subjects", &options.subjects},
                                                  {"size", &options.size},
                                                  {"seconds-max", &options.seconds_max}};
    std::map<std::string, std::uint64_t*> counts{
        {"count", &options.count}, {"warm", &options.warm}, {"window", &options.window}};
    std::map<std::string, bool*> switches{{"paired", &options.paired}, {"acks", &options.acks}, {"wait", &wait}};
    if (argc < 2) return false;
    options.cell = argv[1];
    for (int i = 2; i < argc; ++i) {
        const std::string name = std::string(argv[i]).starts_with("--") ? argv[i] + 2 : "";
        if (const auto found = switches.find(name); found != switches.end()) {
            *found->second = true;
            continue;
        }
        if (i + 1 == argc) return false;
        const char* value = argv[++i];
        if (const auto text = texts.find(name); text != texts.end()) {
            *text->second = value;
        } else if (const auto number = numbers.find(name); number != numbers.end()) {
            *number->second = static_cast<std::uint32_t>(std::strtoul(value, nullptr, 10));
        } else if (const auto count = counts.find(name); count != counts.end()) {
            *count->second = std::strtoull(value, nullptr, 10);
        } else {
            return false;
        }
    }
    return options.size >= stamp_bytes && options.publishers > 0 && options.subjects > 0 &&
           (options.cell == "pubsub" || options.cell == "requests");
}

double cpu_seconds() {
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    return static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
}

std::uint32_t quantile(const std::vector<std::uint32_t>& sorted, double part) {
    return sorted.empty() ? 0
                          : sorted[std::min(sorted.size() - 1,
                                            static_cast<std::size_t>(part * static_cast<double>(sorted.size())))];
}

void print(const Options& options, Report& report, double cpu) {
    std::sort(report.micros.begin(), report.micros.end());
    std::printf("{\"cell\":\"%s\",\"size\":%u,\"published\":%llu,\"delivered\":%llu,\"acked\":%llu,\"seconds\":%.6f,",
                options.cell.c_str(), options.size, static_cast<unsigned long long>(report.published),
                static_cast<unsigned long long>(report.delivered), static_cast<unsigned long long>(report.acked),
                report.seconds);
    std::printf(
        "\"client_cpu_seconds\":%.6f,\"p50_us\":%u,\"p99_us\":%u,\"max_us\":%u,\"digest\":\"%016llx\",\"verified\":"
        "true}\n",
        cpu, quantile(report.micros, 0.5), quantile(report.micros, 0.99), quantile(report.micros, 1),
        static_cast<unsigned long long>(report.digest));
    std::fflush(stdout);
}

int run(const Options& options, bool wait) {
    const auto cell = options.cell == "pubsub" ? make_pubsub(options) : make_requests(options);
    if (options.warm > 0) cell->run(options.warm);
    std::string line;
    if (wait) {
        std::cout << "ready" << std::endl;
        std::getline(std::cin, line);
    }
    const double before = cpu_seconds();
    Report report = cell->run(options.count);
    print(options, report, cpu_seconds() - before);
    if (wait) std::getline(std::cin, line);
    return 0;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
    bench::Options options;
    bool wait = false;
    if (!bench::parse(argc, argv, options, wait)) {
        std::fputs(bench::usage, stderr);
        return 2;
    }
    try {
        return bench::run(options, wait);
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "load: %s\n", failure.what());
        return 1;
    }
}
