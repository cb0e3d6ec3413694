#include "gateway/reload.h"

#include <array>
#include <catch2/catch.hpp>
#include <memory>

namespace gateway {

TEST_CASE("a reload without a change plans nothing", "[gateway]") {
    Config config;
    config.warnings = {"w"};
    config.config_digest = "sha256:1";
    const ReloadPlan plan = plan_reload(Config(), config);
    CHECK(plan.errors.empty());
    CHECK(plan.changes.empty());
}

TEST_CASE("what stock can reload is told in stock's words", "[gateway]") {
    using namespace std::chrono_literals;
    Config wanted;
    wanted.client_advertise = "a.example:1";
    wanted.log = {.file = "/tmp/l",
                  .debug = true,
                  .trace = true,
                  .trace_verbose = true,
                  .trace_headers = true,
                  .time = false,
                  .time_utc = true,
                  .traced_bytes_max = 9,
                  .syslog = true,
                  .remote_syslog = "udp://h:1"};
    wanted.limits.max_connections = 5;
    wanted.limits.ping_interval = 90s;
    wanted.limits.ping_max = 3;
    wanted.limits.max_control_line = 512;
    wanted.limits.max_payload = 1000;
    wanted.limits.write_deadline = 1500ms;
    wanted.limits.no_fast_producer_stall = true;
    wanted.pid_file = "/tmp/p";
    wanted.ports_file_dir = "/tmp/d";
    wanted.server_tags = {"a:b"};
    wanted.server_metadata = {{"k", "v"}};
    const ReloadPlan plan = plan_reload(Config(), wanted);
    CHECK(plan.errors.empty());
    CHECK(plan.changes == std::vector<std::string>{"Reload: client_advertise = a.example:1",
                                                   "Reloaded: trace = true",
                                                   "Reloaded: debug = true",
                                                   "Reloaded: trace_verbose = true",
                                                   "Reloaded: trace_headers = true",
                                                   "Reloaded: logtime = false",
                                                   "Reloaded: logtime_utc = true",
                                                   "Reloaded: max_connections = 5",
                                                   "Reloaded: ping_interval = 1m30s",
                                                   "Reloaded: ping_max = 3",
                                                   "Reloaded: max_control_line = 512",
                                                   "Reloaded: max_payload = 1000",
                                                   "Reloaded: fast producers will not be stalled",
                                                   "Reloaded: pid_file = /tmp/p",
                                                   "Reloaded: ports_file_dir = /tmp/d",
                                                   "Reloaded: log_file = /tmp/l",
                                                   "Reloaded: syslog = true",
                                                   "Reloaded: remote_syslog = udp://h:1",
                                                   "Reloaded: write_deadline = 1.5s",
                                                   "Reloaded: max_traced_msg_len = 9",
                                                   "Reloaded: tags",
                                                   "Reloaded: metadata"});
}

TEST_CASE("one change that cannot be made while it runs refuses the whole, and all such are named", "[gateway]") {
    struct Row {
        void (*change)(Config&);
        const char* error;
    };
    const auto row = GENERATE(values<Row>({
        {[](Config& c) { c.client.port = 4333; }, "config reload not supported for Port: old=4222, new=4333"},
        {[](Config& c) { c.client.host = "::1"; }, "config reload not supported for Host: old=0.0.0.0, new=::1"},
        {[](Config& c) { c.server_name = "b"; }, "config reload not supported for ServerName: old=, new=b"},
        {[](Config& c) { c.limits.max_pending = 7; },
         "config reload not supported for MaxPending: old=67108864, new=7"},
        {[](Config& c) { c.limits.max_subscriptions = 7; }, "config reload not supported for MaxSubs: old=0, new=7"},
        {[](Config& c) { c.limits.max_sub_tokens = 7; }, "config reload not supported for MaxSubTokens: old=0, new=7"},
        {[](Config& c) { c.limits.no_header_support = true; },
         "config reload not supported for NoHeaderSupport: old=false, new=true"},
        {[](Config& c) { c.log.size_limit = 7; }, "config reload not supported for LogSizeLimit: old=0, new=7"},
        {[](Config& c) { c.log.max_files = 7; }, "config reload not supported for LogMaxFiles: old=0, new=7"},
        {[](Config& c) { c.lame_duck.duration = std::chrono::seconds(60); },
         "config reload not supported for LameDuckDuration: old=2m0s, new=1m0s"},
        {[](Config& c) { c.lame_duck.grace = std::chrono::seconds(1); },
         "config reload not supported for LameDuckGracePeriod: old=10s, new=1s"},
        {[](Config& c) { c.shards = 2; }, "config reload not supported for shards: old=0, new=2"},
        {[](Config& c) { c.spin = std::chrono::microseconds(50); },
         "config reload not supported for spin: old=0s, new=50\xc2\xb5s"},
        {[](Config& c) { c.data_dir = "/d"; }, "config reload not supported for data_dir: old=, new=/d"},
        {[](Config& c) { c.tree.emplace(); }, "config reload not supported for tree"},
        {[](Config& c) {
             c.durable.filters = {"a", "b"};
         },
         "config reload not supported for durable: old=[], new=[a b]"},
        {[](Config& c) { c.durable.dump_keep = 1; }, "config reload not supported for dump_keep: old=1000, new=1"},
    }));
    Config wanted;
    wanted.log.debug = true;  // would be a change
    row.change(wanted);
    CHECK(plan_reload(Config(), wanted).errors == std::vector<std::string>{row.error});
    CHECK(plan_reload(Config(), wanted).changes.empty());
    if (wanted.limits.max_pending == 7) return;
    wanted.limits.max_pending = 7;
    CHECK(plan_reload(Config(), wanted).errors.size() == 2);
}

TEST_CASE("a place in a tree stays what it was, and its secret is not told", "[gateway]") {
    // On the heap: GCC 12 warns of the optional's inside otherwise.
    const auto both = std::make_unique<std::array<Config, 2>>();
    Config& running = both->at(0);
    running.tree = TreeConfig();
    running.tree->secret = "open sesame";
    Config& wanted = both->at(1);
    wanted = running;
    CHECK(plan_reload(running, wanted).errors.empty());
    wanted.tree->secret = "another";
    wanted.tree->join = {"a:1"};
    wanted.tree->listen.port = 9;
    wanted.tree->name = "x";
    wanted.tree->advertise = "y:1";
    const std::vector<std::string> errors = plan_reload(running, wanted).errors;
    CHECK(errors ==
          std::vector<std::string>{"config reload not supported for tree.name: old=treegate, new=x",
                                   "config reload not supported for tree.listen: old=0.0.0.0:0, new=0.0.0.0:9",
                                   "config reload not supported for tree.join: old=[], new=[a:1]",
                                   "config reload not supported for tree.advertise: old=, new=y:1",
                                   "config reload not supported for tree.secret"});
}

TEST_CASE("what a gateway says of itself in a tree, and how it treats links and groups, may change", "[gateway]") {
    const auto both = std::make_unique<std::array<Config, 2>>();
    Config& running = both->at(0);
    running.tree = TreeConfig();
    Config& wanted = both->at(1);
    wanted = running;
    wanted.tree->region = "eu";
    wanted.tree->tags = {"ssd", "lab"};
    wanted.tree->max_children = 3;
    wanted.tree->compression = routing::peer::Compression::off;
    wanted.tree->queue_policies.standard = routing::QueuePolicy::nearest;
    wanted.tree->queue_policies.by_subject = {{"jobs.>", routing::QueuePolicy::random}};
    const ReloadPlan plan = plan_reload(running, wanted);
    CHECK(plan.errors.empty());
    CHECK(plan.changes ==
          std::vector<std::string>{"Reloaded: tree.region = eu", "Reloaded: tree.tags = [ssd lab]",
                                   "Reloaded: tree.max_children = 3", "Reloaded: tree.compression = off",
                                   "Reloaded: tree.queue_policy = nearest", "Reloaded: tree.queue_policies"});
}

TEST_CASE("a random client port is no change of the port that it became", "[gateway]") {
    Config running;
    running.client.port = 35555;
    Config wanted;
    wanted.client.port = 0;
    CHECK(plan_reload(running, wanted).errors.empty());
}

}  // namespace gateway
