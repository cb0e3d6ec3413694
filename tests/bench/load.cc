// The load generator: one cell against one server (or a near and a far one), verified to the last message, one JSON
// line.
//
//   load pubsub --server 127.0.0.1:4222 --subscribers 16 --size 128 --count 1000000
//
// With --wait it says "ready" when everything is connected, warmed up and known to arrive. Then each line of standard
// input is the count of one more run, each answered by a JSON line, so that the caller reads the server's CPU time at
// these moments; at the end of input it verifies what remains and ends.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
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

std::uint64_t window_of(const Options& options) {
    if (options.window > 0) return options.window;
    const std::uint32_t tail = options.tails > 0 || options.once ? tail_bytes + 1 : 0;
    return std::max<std::uint64_t>(64, in_flight_bytes_max / (options.size + options.headers + tail + 32));
}

std::uint32_t micros_now() {
    static const auto began = Clock::now();
    return static_cast<std::uint32_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began).count());
}

namespace {

constexpr const char* usage =
    "load pubsub|requests|subjects|subscriptions|connections [--server h:p] [--far-server h:p] [--subject s]\n"
    "     [--publishers n] [--subscribers n] [--paired] [--queue] [--acks] [--subjects n] [--wildcards percent]\n"
    "     [--drawn n] [--tails n] [--once] [--churn per-second] [--churn-far] [--rate per-second] [--shards n] "
    "[--across]\n"
    "     [--size bytes] [--headers bytes] [--count n] [--warm n] [--window n] [--seconds-max n] [--wait]\n";

using Make = std::unique_ptr<Cell> (*)(const Options&);

const std::map<std::string, Make> makers{{"pubsub", make_pubsub},
                                         {"requests", make_requests},
                                         {"subjects", make_subjects},
                                         {"subscriptions", make_subscriptions},
                                         {"connections", make_connections}};

bool parse(int argc, char** argv, Options& options, bool& wait) {
    std::map<std::string, std::string*> texts{
        {"server", &options.server}, {"far-server", &options.far_server}, {"subject", &options.subject}};
    std::map<std::string, std::uint32_t*> numbers{
        {"publishers", &options.publishers}, {"subscribers", &options.subscribers},
        {"subjects", &options.subjects},     {"wildcards", &options.wildcards},
        {"drawn", &options.drawn},           {"tails", &options.tails},
        {"churn", &options.churn},           {"rate", &options.rate},
        {"shards", &options.shards},         {"size", &options.size},
        {"headers", &options.headers},       {"seconds-max", &options.seconds_max}};
    std::map<std::string, std::uint64_t*> counts{
        {"count", &options.count}, {"warm", &options.warm}, {"window", &options.window}};
    std::map<std::string, bool*> switches{{"paired", &options.paired},
                                          {"queue", &options.queue},
                                          {"acks", &options.acks},
                                          {"across", &options.across},
                                          {"once", &options.once},
                                          {"churn-far", &options.churn_far},
                                          {"wait", &wait}};
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
           (options.headers == 0 || options.headers >= header_bytes_least) && makers.contains(options.cell);
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
    const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
    std::printf("{\"cell\":\"%s\",\"size\":%u,\"published\":%llu,\"delivered\":%llu,\"acked\":%llu,\"churned\":%llu,",
                options.cell.c_str(), options.size, number(report.published), number(report.delivered),
                number(report.acked), number(report.churned));
    std::printf("\"seconds\":%.6f,\"client_cpu_seconds\":%.6f,", report.seconds, cpu);
    std::printf("\"p50_us\":%u,\"p99_us\":%u,\"p999_us\":%u,\"max_us\":%u,", quantile(report.micros, 0.5),
                quantile(report.micros, 0.99), quantile(report.micros, 0.999), quantile(report.micros, 1));
    std::printf("\"digest\":\"%016llx\",\"verified\":true}\n", number(report.digest));
    std::fflush(stdout);
}

void measure(Cell& cell, const Options& options, std::uint64_t count) {
    const double before = cpu_seconds();
    Report report = cell.run(count);
    print(options, report, cpu_seconds() - before);
}

int run(const Options& options, bool wait) {
    const auto cell = makers.at(options.cell)(options);
    if (options.warm > 0) cell->run(options.warm);
    if (wait) {
        std::cout << "ready" << std::endl;
        std::string line;
        while (std::getline(std::cin, line)) measure(*cell, options, std::strtoull(line.c_str(), nullptr, 10));
    } else {
        measure(*cell, options, options.count);
    }
    cell->finish();
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
