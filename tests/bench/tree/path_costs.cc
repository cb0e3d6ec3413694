#include <algorithm>
#include <cmath>

#include "tests/bench/tree/engine_host.h"

namespace bench {
namespace {

constexpr std::uint32_t children = 10;  // of each gateway, DESIGN 4.6
constexpr std::string_view subject = "orders.new";
constexpr std::string_view body = "sixteen bytes ..";

// Microseconds of one call, the least of several samples.
template <typename Work>
double micros(bool small, Work work) {
    double least = 1e9;
    for (int sample = 0; sample < (small ? 2 : 7); ++sample) {
        const double began = thread_seconds();
        std::uint32_t calls = 0;
        do {
            work();
            ++calls;
        } while (thread_seconds() - began < (small ? 0.001 : 0.03));
        least = std::min(least, (thread_seconds() - began) / calls * 1e6);
    }
    return least;
}

}  // namespace

// The root of a tree in which each gateway has ten children delivers at all of them.
Figures path_costs(const CostOptions& options) {
    using namespace routing;
    std::vector<std::uint32_t> parents{0};
    for (std::uint32_t i = 1; i < options.gateways; ++i) parents.push_back((i - 1) / children);
    EngineHost origin(0, parents);
    EngineHost transit(1, parents);
    TargetSet all;
    for (std::uint32_t i = 1; i < options.gateways; ++i) all.push_back(Target{origin.index(i), true, {}});
    std::vector<Prime> primes(options.gateways);
    for (std::uint32_t i = 0; i < options.gateways; ++i) primes[origin.index(i)] = nth_prime(i);

    const PathFromHere path = compute_path(all, origin.routes, primes);
    double bits = 0;
    for (const Factor& factor : path.factors) bits += std::log2(static_cast<double>(factor.prime)) * factor.exponent;
    const double compute = micros(options.small, [&] { (void)compute_path(all, origin.routes, primes); });

    const TargetSetId set = origin.sets.intern(all);
    const auto send = [&] {
        (void)origin.engine.send(set, "$G", record_of(subject, body), peer::Lane::volatile_);
        std::size_t bytes = 0;
        for (peer::FrameBuffer& lane : origin.out) bytes += lane.size();
        return bytes;
    };
    const auto drop = [&] {
        for (peer::FrameBuffer& lane : origin.out) lane.clear();
    };
    const std::size_t first = send();
    const base::Bytes to_transit = origin.take(0);
    drop();
    const std::size_t warm = send();
    drop();
    const double define = micros(options.small, [&] {
        origin.forget_labels();
        (void)send();
        drop();
    });
    const double pass = micros(options.small, [&] {
        transit.forget_labels();
        transit.feed(0, to_transit);
        for (peer::FrameBuffer& lane : transit.out) lane.clear();
    });
    return {{"number_bytes", std::ceil(bits / 8)},
            {"factors", static_cast<double>(path.factors.size())},
            {"unplaced", static_cast<double>(path.unplaced.size())},
            {"definition_bytes", static_cast<double>(first - warm)},
            {"compute_us", compute},
            {"define_us", define},
            {"pass_us", pass}};
}

}  // namespace bench
