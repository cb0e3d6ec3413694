#include "gateway/config_file.h"

#include <catch2/catch.hpp>

#include "tests/unit/gateway_shell/scratch_folder.h"

namespace gateway {

namespace {

std::optional<std::string> home(const char* name) {
    if (std::string_view(name) == "HOME") return "/home/u";
    return std::nullopt;
}

/// A config file of this text, with these flags over it.
ConfigOutcome read(const std::string& text, std::vector<std::string> flags = {}) {
    const ScratchFolder folder;
    folder.write("f", text);
    const std::string path = folder.file("f");
    std::vector<const char*> arguments{"-c", path.c_str()};
    for (const std::string& flag : flags) arguments.push_back(flag.c_str());
    ConfigOutcome outcome = read_config(arguments, home);
    if (auto* error = std::get_if<ConfigError>(&outcome)) {
        for (std::string& line : error->lines) {
            if (line.starts_with(path)) line.replace(0, path.size(), "F");
        }
    } else if (auto* config = std::get_if<Config>(&outcome)) {
        for (std::string& line : config->warnings) {
            if (line.starts_with(path)) line.replace(0, path.size(), "F");
        }
    }
    return outcome;
}

Config good(const std::string& text, const std::vector<std::string>& flags = {}) {
    ConfigOutcome outcome = read(text, flags);
    if (const auto* error = std::get_if<ConfigError>(&outcome)) {
        for (const std::string& line : error->lines) UNSCOPED_INFO(line);
    }
    REQUIRE(std::holds_alternative<Config>(outcome));
    return std::get<Config>(std::move(outcome));
}

std::vector<std::string> errors(const std::string& text, const std::vector<std::string>& flags = {}) {
    ConfigOutcome outcome = read(text, flags);
    REQUIRE(std::holds_alternative<ConfigError>(outcome));
    return std::get<ConfigError>(std::move(outcome)).lines;
}

}  // namespace

TEST_CASE("every key of the config file goes where it belongs", "[gateway][conf]") {
    using namespace std::chrono_literals;
    const Config config = good(R"(
        listen: 127.0.0.1:5000
        server_name: east
        client_advertise: "a.example:1"
        pid_file: /p
        ports_file_dir: /d
        server_tags: [A, " b ", a]
        server_metadata { k: v, "K": w }
        debug: on, trace: yes, trace_verbose: true, trace_headers: true
        max_traced_msg_len: 12
        logtime: false
        logtime_utc: true
        log_file: /l
        logfile_size_limit: 1MB
        logfile_max_num: 3
        syslog: true
        remote_syslog: "udp://h:514"
        max_payload: 2mb
        max_control_line: 1k
        max_pending: 3mb
        max_connections: 7
        max_subscriptions: 8
        max_sub_tokens: 9
        ping_interval: "90s"
        ping_max: 4
        write_deadline: "3s"
        write_timeout: close
        no_header_support: true
        no_fast_producer_stall: true
        lame_duck_duration: "45s"
        lame_duck_grace_period: "5s"
        connect_error_reports: 1, reconnect_error_reports: 2, max_closed_clients: 3
        disable_sublist_cache: true
        jetstream: disabled
        http_port: 0
        shards: 2
        spin: 50us
        data_dir: /data
        durable: [orders.>, bills.*]
        durability: fsync
        dump_keep: 11
        tree { name: t, listen: "10.0.0.1:7000", join: [b, "c:1"], advertise: "z:2", secret: "s", region: eu,
               tags: [ssd, "zone=1"], max_children: 3, compression: zstd, queue_policy: nearest,
               queue_policies: [{subject: "jobs.>", policy: round_robin}] }
    )");
    CHECK(config.client.host == "127.0.0.1");
    CHECK(config.client.port == 5000);
    CHECK(config.server_name == "east");
    CHECK(config.client_advertise == "a.example:1");
    CHECK(config.pid_file == "/p");
    CHECK(config.ports_file_dir == "/d");
    CHECK(config.server_tags == std::vector<std::string>{"a", "b"});
    CHECK(config.server_metadata == std::map<std::string, std::string>{{"k", "v"}, {"K", "w"}});
    CHECK(config.log == LogConfig{.file = "/l",
                                  .debug = true,
                                  .trace = true,
                                  .trace_verbose = true,
                                  .trace_headers = true,
                                  .time = false,
                                  .time_utc = true,
                                  .size_limit = 1048576,
                                  .max_files = 3,
                                  .traced_bytes_max = 12,
                                  .syslog = true,
                                  .remote_syslog = "udp://h:514"});
    CHECK(config.limits == LimitsConfig{.max_payload = 2097152,
                                        .max_control_line = 1000,
                                        .max_connections = 7,
                                        .max_subscriptions = 8,
                                        .max_sub_tokens = 9,
                                        .max_pending = 3145728,
                                        .ping_interval = 90s,
                                        .ping_max = 4,
                                        .write_deadline = 3s,
                                        .no_header_support = true,
                                        .no_fast_producer_stall = true});
    CHECK(config.lame_duck == LameDuckConfig{.duration = 45s, .grace = 5s});
    CHECK(config.shards == 2);
    CHECK(config.spin == 50us);
    CHECK(config.data_dir == "/data");
    CHECK(config.durable.filters == std::vector<std::string>{"orders.>", "bills.*"});
    CHECK(config.durable.dump_keep == 11);
    REQUIRE(config.tree);
    CHECK(config.tree->name == "t");
    CHECK(config.tree->listen.host == "10.0.0.1");
    CHECK(config.tree->listen.port == 7000);
    CHECK(config.tree->join == std::vector<std::string>{"b", "c:1"});
    CHECK(config.tree->advertise == "z:2");
    CHECK(config.tree->secret == "s");
    CHECK(config.tree->region == "eu");
    CHECK(config.tree->tags == std::vector<std::string>{"ssd", "zone=1"});
    CHECK(config.tree->max_children == 3);
    CHECK(config.tree->compression == routing::peer::Compression::on);
    CHECK(config.tree->queue_policies.of("jobs.a") == routing::QueuePolicy::round_robin);
    CHECK(config.tree->queue_policies.of("else") == routing::QueuePolicy::nearest);
    CHECK(config.warnings.empty());
    CHECK(config.config_digest.starts_with("sha256:"));
}

TEST_CASE("an empty config is the defaults, with a warning", "[gateway][conf]") {
    const Config config = good("# nothing\n");
    CHECK(config.limits == LimitsConfig());
    CHECK(config.log == LogConfig());
    CHECK(config.client.port == 4222);
    CHECK(config.client.host == "0.0.0.0");
    CHECK(config.warnings == std::vector<std::string>{"F: config has no values or is empty"});
}

TEST_CASE("values that stand for others, as in stock", "[gateway][conf]") {
    CHECK(good("port: -1").client.port == 0);
    CHECK(good("port: 0").client.port == 4222);
    CHECK(good("listen: 5000").client.port == 5000);
    CHECK(good("listen: \":5000\"").client.host == "0.0.0.0");
    CHECK(good("listen: \"[::1]:5000\"").client.host == "::1");
    CHECK(good("net: h").client.host == "h");
    CHECK(good("max_connections: 0").limits.max_connections == 0);
    CHECK(good("max_conn: -1").limits.max_connections == 0);
    CHECK(good("max_subs: -1").limits.max_subscriptions == 0);
    CHECK(good("max_payload: 0").limits.max_payload == 1048576);
    CHECK(good("max_control_line: 0").limits.max_control_line == 4096);
    CHECK(good("max_pending: 0").limits.max_pending == 67108864);
    CHECK(good("ping_max: 0").limits.ping_max == 2);
    CHECK(good("ping_interval: \"0s\"").limits.ping_interval == std::chrono::minutes(2));
    CHECK(good("write_deadline: \"0s\"").limits.write_deadline == std::chrono::seconds(10));
    CHECK(good("lame_duck_grace_period: \"0s\"").lame_duck.grace == std::chrono::seconds(10));
    CHECK(good("trace_headers: true").log.trace);
    CHECK(good("trace: true\ntrace_verbose: false").log.trace == false);
    CHECK(good("log_size_limit: -1").log.size_limit == 0);
    CHECK(good("PORT: 1").client.port == 1);
    CHECK(good("tree {listen: 7000}").tree->listen.port == 7000);
    CHECK(good("tree {join: a}").tree->listen.port_is_default);
    for (const char* off : {"off", "false", "\"off\""}) {
        CAPTURE(off);
        CHECK(good("tree {join: a, compression: " + std::string(off) + "}").tree->compression ==
              routing::peer::Compression::off);
    }
    CHECK(good("tree {join: a, compression: auto}").tree->compression == routing::peer::Compression::automatic);
    const auto targeted = good(R"(tree {join: a, region: eu, tags: [ssd, "zone=1"], queue_policy: nearest,
        queue_policies: [{subject: "jobs.>", policy: round_robin}, {subject: "jobs.a", policy: random}]})");
    CHECK(targeted.tree->region == "eu");
    CHECK(targeted.tree->tags == std::vector<std::string>{"ssd", "zone=1"});
    CHECK(targeted.tree->queue_policies.standard == routing::QueuePolicy::nearest);
    CHECK(targeted.tree->queue_policies.of("jobs.a") == routing::QueuePolicy::round_robin);
    CHECK(good("durable: a.b").durable.filters == std::vector<std::string>{"a.b"});
}

TEST_CASE("a bare number of a duration is seconds, with a warning that -t refuses", "[gateway][conf]") {
    const Config config = good("ping_interval: 5\nwrite_deadline: 3");
    CHECK(config.limits.ping_interval == std::chrono::seconds(5));
    CHECK(config.limits.write_deadline == std::chrono::seconds(3));
    CHECK(config.warnings ==
          std::vector<std::string>{
              "F:1:1: invalid use of field \"ping_interval\": ping_interval should be converted to a duration",
              "F:2:1: invalid use of field \"write_deadline\": write_deadline should be converted to a duration"});
    CHECK(errors("ping_interval: 5\n", {"-t"}).size() == 1);
}

TEST_CASE("large payloads are warned of, and -t has nothing against them", "[gateway][conf]") {
    CHECK(good("max_payload: 8mb").warnings.empty());
    CHECK(good("max_payload: 9mb").warnings.size() == 1);
    CHECK(std::holds_alternative<ConfigText>(read("max_payload: 9mb", {"-t"})));
}

TEST_CASE("flags override the file", "[gateway][conf]") {
    const std::string file =
        "port: 1\nserver_name: f\ndebug: true\nlogtime: false\nshards: 2\n"
        "durable: [a, b]\ntree {join: [x, y], name: t}";
    const Config config = good(file, {"-p", "2", "-n", "g", "-D=false", "--durable", "c", "--join", "z"});
    CHECK(config.client.port == 2);
    CHECK(config.server_name == "g");
    CHECK_FALSE(config.log.debug);
    CHECK_FALSE(config.log.time);
    CHECK(config.shards == 2);
    CHECK(config.durable.filters == std::vector<std::string>{"c"});
    CHECK(config.tree->join == std::vector<std::string>{"z"});
    CHECK(config.tree->name == "t");
    CHECK(good(file, {"-p", "0"}).client.port == 1);
    CHECK(good(file, {"-T"}).log.time);
}

TEST_CASE("what is wrong is told with its place", "[gateway][conf]") {
    struct Row {
        const char* text;
        const char* error;
    };
    const auto row = GENERATE(values<Row>({
        {"nope: 1", "F:1:1: unknown field \"nope\""},
        {"\n  jetstream: enabled", "F:2:3: \"jetstream\" is known to nats-server, not supported yet"},
        {"authorization {user: a}", "F:1:1: \"authorization\" is known to nats-server, not supported yet"},
        {"http_port: 8222", "F:1:1: \"http_port\" is known to nats-server, not supported yet"},
        {"tls {}", "F:1:1: \"tls\" is known to nats-server, not supported yet"},
        {"port: x", "F:1:1: port must be an integer, not a string"},
        {"port: 70000", "F:1:1: port value is too big: 65535 is the most"},
        {"port: -2", "F:1:1: port value is too small: -1 is the least"},
        {"listen: \"a:b\"", "F:1:1: could not parse port \"b\""},
        {"listen: a", "F:1:1: could not parse address string \"a\""},
        {"listen: [a]", "F:1:1: listen must be a port or host:port, not an array"},
        {"debug: 1", "F:1:1: debug must be true or false, not an integer"},
        {"server_name: \"a b\"", "F:1:1: server name cannot contain spaces"},
        {"server_tags: [a, 1]", "F:1:18: server_tags must be a string, not an integer"},
        {"server_metadata {a: 1}", "F:1:18: a must be a string, not an integer"},
        {"max_payload: 3g", "F:1:1: max_payload value is too big: 2147483647 is the most"},
        {"max_payload: -1", "F:1:1: max_payload value is too small: 0 is the least"},
        {"max_control_line: 3g", "F:1:1: max_control_line value is too big: 2147483647 is the most"},
        {"max_sub_tokens: 256", "F:1:1: max_sub_tokens value is too big: 255 is the most"},
        {"max_sub_tokens: 0", "F:1:1: max_sub_tokens value is too small: 1 is the least"},
        {"ping_max: 1000001", "F:1:1: ping_max value is too big: 1000000 is the most"},
        {"ping_interval: \"5\"",
         "F:1:1: error parsing ping_interval: '5' is no duration (those are written as "
         "\"10s\", \"1h30m\", \"50us\")"},
        {"ping_interval: \"-5s\"",
         "F:1:1: error parsing ping_interval: '-5s' is not from 0s to "
         "2562047h47m16.854775807s"},
        {"ping_interval: 5.5", "F:1:1: ping_interval must be a duration, as \"10s\", not a float"},
        {"lame_duck_duration: \"29s\"", "F:1:1: invalid lame_duck_duration of 29s, minimum is 30 seconds"},
        {"lame_duck_duration: 60", "F:1:1: lame_duck_duration must be a duration, as \"30s\", not an integer"},
        {"write_timeout: retry", "F:1:1: write_timeout: 'retry' is known to nats-server, not supported yet"},
        {"write_timeout: x", "F:1:1: write_timeout must be 'default', 'close' or 'retry'"},
        {"remote_syslog: h", "F:1:1: remote_syslog: 'h' is not of the form udp://host:port"},
        {"client_advertise: \"::1\"",
         "F:1:1: client_advertise: '::1' is not of the form host:port (an IPv6 host needs brackets)"},
        {"connect_error_reports: x", "F:1:1: connect_error_reports must be an integer, not a string"},
        {"shards: 9", "F:1:1: shards value is too big: 8 is the most"},
        {"shards: 0", "F:1:1: shards value is too small: 1 is the least"},
        {"spin: 1", "F:1:1: spin must be a string, not an integer"},
        {"spin: 101ms", "F:1:1: spin: '101ms' is not from 0s to 100ms"},
        {"durable: [a, b..c]", "F:1:14: durable: 'b..c' is not a subject filter"},
        {"durability: memory", "F:1:1: durability: 'memory' is known, not supported yet"},
        {"dump_keep: 10000001", "F:1:1: dump_keep value is too big: 10000000 is the most"},
        {"tree: 1", "F:1:1: tree must be a map, not an integer"},
        {"tree {name: x}", "tree: needs listen or join"},
        {"tree {listen: 1, x: 2}", "F:1:18: unknown field \"x\""},
        {"tree {listen: 1, max_children: 0}", "F:1:18: max_children value is too small: 1 is the least"},
        {"tree {listen: 1, max_children: 257}", "F:1:18: max_children value is too big: 256 is the most"},
        {"tree {listen: 1, compression: lz4}", "F:1:18: compression: 'lz4' is none of auto, off, zstd"},
        {"tree {listen: 1, compression: 3}", "F:1:18: compression must be auto, off or zstd, not an integer"},
        {"tree {listen: 1, advertise: '0.0.0.0:1'}",
         "F:1:18: advertise: '0.0.0.0:1' is no address that others could dial"},
        {"tree {listen: 70000}", "F:1:7: listen: port '70000' is not a number from -1 to 65535"},
        {"tree {join: [a, \"b:0\"]}", "F:1:17: join: port '0' is not a number from 1 to 65535"},
        {"tree {listen: 1, name: ''}", "F:1:18: name: needs a value"},
        {"tree {listen: 1, region: 'a b'}", "F:1:18: region: 'a b' is not one word without commas"},
        {"tree {listen: 1, tags: [a, 'b,c']}", "F:1:28: tags: 'b,c' is not one word without commas"},
        {"tree {listen: 1, queue_policy: turn}",
         "F:1:18: queue_policy: 'turn' is none of local_first, round_robin, weighted, nearest, random"},
        {"tree {listen: 1, queue_policies: [{subject: a}]}",
         "F:1:35: queue_policies: each entry needs a subject and a policy"},
        {"tree {listen: 1, queue_policies: [{subject: a, policy: random, x: 1}]}", "F:1:64: unknown field \"x\""},
        {"max_payload: 2mb\nmax_pending: 1mb", "max_payload (2097152) cannot be higher than max_pending (1048576)"},
        {"lame_duck_duration: 30s\nlame_duck_grace_period: 30s",
         "lame duck grace period (30s) should be strictly lower than lame duck duration (30s)"},
        {"port: 1 2", "F:1:9: a value must end with a new line, ',', ';' or a comment, but here is '2'"},
    }));
    CAPTURE(row.text);
    CHECK(errors(row.text) == std::vector<std::string>{row.error});
}

TEST_CASE("all errors are told at once, in the order of the file", "[gateway][conf]") {
    CHECK(errors("zz: 1\nport: x\naa: 2\nmappings { b: 'c d' }\ndebug: 3").size() == 5);
    const auto lines = errors("zz: 1\nport: x\naa: 2", {"--nonsense"});
    REQUIRE(lines.size() == 4);
    CHECK(lines[0].starts_with("--nonsense"));
    CHECK(lines[1].starts_with("F:1:1"));
    CHECK(lines[2].starts_with("F:2:1"));
    CHECK(lines[3].starts_with("F:3:1"));
}

TEST_CASE("a key that only serves as a variable need not be known", "[gateway][conf]") {
    CHECK(good("where: 5000\nport: $where").client.port == 5000);
    CHECK(errors("where: 5000\nwhat: 1\nport: $where") == std::vector<std::string>{"F:2:1: unknown field \"what\""});
}

TEST_CASE("mappings are read in their order and checked", "[gateway][conf]") {
    const Config config = good(R"(mappings {
        z.*: "y.$1"
        foo: [{destination: foo.v1, weight: 80%}, {dest: foo.v2, weight: 10, cluster: east}]
        a: {destination: b, weight: "50"}
    })");
    REQUIRE(config.mappings.size() == 3);
    CHECK(config.mappings[0] == compat::Mapping{"z.*", {{"y.$1", 100, ""}}});
    CHECK(config.mappings[1] == compat::Mapping{"foo", {{"foo.v1", 80, ""}, {"foo.v2", 10, "east"}}});
    CHECK(config.mappings[2] == compat::Mapping{"a", {{"b", 50, ""}}});

    const auto first = [](const std::string& text) { return errors("maps " + text).at(0); };
    CHECK(first("{a..b: c}") == "F:1:7: Subject \"a..b\" is not a valid subject");
    CHECK(first("{a: {destination: b}}") == "F:1:7: Missing weight for mapping destination \"b\"");
    CHECK(first("{a: {destination: b, weight: 101}}") == "F:1:27: Invalid weight 101 for mapping destination");
    CHECK(first("{a: {destination: b, weight: x}}") == "F:1:27: Invalid weight \"x\" for mapping destination");
    CHECK(first("{a: {x: b, weight: 1}}") == "F:1:11: Unknown field \"x\" for mapping destination");
    CHECK(first("{a: [b]}") == "F:1:11: Expected an entry for the mapping destination");
    CHECK(first("{a: 1}") == "F:1:7: Expected an entry for the mapping destination");
    CHECK(first("{a: \"b.$1\"}").starts_with("F:1:7: Error adding mapping for \"a\" to \"b.$1\" : "));
    CHECK(first("{a: [{destination: b, weight: 60}, {destination: c, weight: 60}]}")
              .starts_with("F:1:7: Error adding mapping for \"a\" : "));
    CHECK(first("[]") == "F:1:1: maps must be a map, not an array");
}

TEST_CASE("-t tells the digest that stock tells for the same file", "[gateway][conf]") {
    const ConfigOutcome outcome = read("port: 4222\n", {"-t"});
    REQUIRE(std::holds_alternative<ConfigText>(outcome));
    const auto& text = std::get<ConfigText>(outcome);
    CHECK(text.to_stderr);
    CHECK(text.text.starts_with("treegate: configuration file "));
    // The same that nats-server 2.15.2 -t printed.
    CHECK(text.text.ends_with(" is valid (sha256:797533ebd0dfba7d34a0f9337ecf147e442871f48ddfd07ed751575a5737267e)\n"));
}

}  // namespace gateway
