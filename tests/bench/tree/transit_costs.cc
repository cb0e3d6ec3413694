#include <algorithm>

#include "routing/base/prng.h"
#include "tests/bench/tree/engine_host.h"

namespace bench {
namespace {

constexpr std::uint32_t records = 4096;  // in the frames that are fed again and again
constexpr std::string_view subject = "orders.new";
constexpr std::string_view body = "sixteen bytes ..";

}  // namespace

// An origin, the transit, and behind the transit all others: half of them behind the gateway that all records go to.
Figures transit_costs(const CostOptions& options) {
    using namespace routing;
    std::vector<std::uint32_t> parents{0, 0, 1};
    for (std::uint32_t i = 3; i < options.gateways; ++i) parents.push_back(i % 2 == 0 ? 1 : 2);
    EngineHost origin(0, parents);
    EngineHost transit(1, parents);

    // As many labels as gateways: a record for each one behind, and one path that names them all.
    std::vector<TargetSetId> paths;
    TargetSet all;
    for (std::uint32_t i = 2; i < options.gateways; ++i) {
        if (i > 2 && i % 2 == 0) continue;
        paths.push_back(origin.sets.intern(TargetSet{Target{origin.index(i), true, {}}}));
        all.push_back(Target{origin.index(i), true, {}});
    }
    std::sort(all.begin(), all.end(), [](const Target& a, const Target& b) { return a.gateway < b.gateway; });
    paths.push_back(origin.sets.intern(all));

    base::Prng prng(1);
    const auto send_all = [&] {
        for (std::uint32_t i = 0; i < records; ++i)
            if (origin.engine
                    .send(paths[i < paths.size() ? i : prng.below(paths.size())], "$G", record_of(subject, body),
                          peer::Lane::volatile_)
                    .targets_missed > 0)
                throw Broken("a target was missed");
        return origin.take(0);
    };
    transit.feed(0, send_all());  // with the definitions
    const base::Bytes warm = send_all();
    const LinkIndex onward = transit.routes.link_to(transit.index(2));
    const auto pass = [&] {
        transit.feed(0, warm);
        transit.out[onward].clear();
    };
    for (int i = 0; i < 10; ++i) pass();
    const std::uint64_t splits = transit.engine.counters().splits;

    const std::uint32_t samples = options.small ? 3 : 15;
    const std::uint32_t passes = options.small ? 5 : 100;
    std::vector<double> seconds;
    for (std::uint32_t sample = 0; sample < samples; ++sample) {
        const double began = thread_seconds();
        for (std::uint32_t i = 0; i < passes; ++i) pass();
        seconds.push_back(thread_seconds() - began);
    }
    std::sort(seconds.begin(), seconds.end());
    if (transit.engine.counters().splits != splits) throw Broken("labels were not warm");
    if (transit.engine.counters().transit_records != std::uint64_t{records} * (samples * passes + 11))
        throw Broken("records did not pass");
    const double overhead =
        static_cast<double>(warm.size()) / records - static_cast<double>(subject.size() + body.size());
    return {{"record_ns", seconds[samples / 2] / passes / records * 1e9},
            {"overhead_bytes", overhead},
            {"labels", static_cast<double>(paths.size())}};
}

}  // namespace bench
