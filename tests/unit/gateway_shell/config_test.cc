#include "gateway/config.h"

#include <catch2/catch.hpp>
#include <map>

#include "compat/connect_info.h"
#include "gateway/flags.h"
#include "tests/unit/gateway_shell/scratch_folder.h"

namespace gateway {

namespace {

using Variables = std::map<std::string, std::string>;

ConfigOutcome read(const std::vector<const char*>& arguments, const Variables& variables = {{"HOME", "/home/u"}}) {
    return read_config(arguments, [&variables](const char* name) -> std::optional<std::string> {
        const auto found = variables.find(name);
        if (found == variables.end()) return std::nullopt;
        return found->second;
    });
}

Config good(const std::vector<const char*>& arguments, const Variables& variables = {{"HOME", "/home/u"}}) {
    const ConfigOutcome outcome = read(arguments, variables);
    if (const auto* error = std::get_if<ConfigError>(&outcome)) {
        for (const std::string& line : error->lines) UNSCOPED_INFO(line);
    }
    REQUIRE(std::holds_alternative<Config>(outcome));
    return std::get<Config>(outcome);
}

std::vector<std::string> errors(const std::vector<const char*>& arguments,
                                const Variables& variables = {{"HOME", "/home/u"}}) {
    const ConfigOutcome outcome = read(arguments, variables);
    REQUIRE(std::holds_alternative<ConfigError>(outcome));
    return std::get<ConfigError>(outcome).lines;
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("without flags it is a NATS server on 4222 that keeps nothing", "[gateway]") {
    const Config config = good({});
    CHECK(config.client.host == "0.0.0.0");
    CHECK(config.client.port == 4222);
    CHECK(shard_count(config, 1) == 1);
    CHECK(shard_count(config, 2) == 1);
    CHECK(shard_count(config, 4) == 3);
    CHECK(shard_count(config, 64) == shards_max);
    CHECK(shard_count(good({"--shards", "1"}), 64) == 1);
    CHECK(config.limits.max_payload == 1048576);
    CHECK(config.limits.max_connections == 65536);
    CHECK(config.limits.max_pending == 67108864);
    CHECK(config.lame_duck.duration == std::chrono::minutes(2));
    CHECK_FALSE(config.tree);
    CHECK(config.durable.filters.empty());
    CHECK(config.data_dir.empty());
    CHECK(config.server_name.empty());
}

TEST_CASE("flags are written as in Go: one dash or two, a blank or an equals sign", "[gateway]") {
    const auto arguments = GENERATE(values<std::vector<const char*>>(
        {{"-p", "5000"}, {"--p", "5000"}, {"-p=5000"}, {"--port", "5000"}, {"--port=5000"}, {"-port=5000"}}));
    CAPTURE(arguments);
    CHECK(good(arguments).client.port == 5000);
}

TEST_CASE("the flags of nats-server do what they do there", "[gateway]") {
    const Config config = good(
        {"-a", "127.0.0.1", "-n", "east", "-P", "/run/x.pid", "-l", "/tmp/x.log", "-D", "--ports_file_dir", "/tmp"});
    CHECK(config.client.host == "127.0.0.1");
    CHECK(config.server_name == "east");
    CHECK(config.pid_file == "/run/x.pid");
    CHECK(config.log.file == "/tmp/x.log");
    CHECK(config.ports_file_dir == "/tmp");
    CHECK(config.log.debug);
    CHECK_FALSE(good({"-D", "-D=false"}).log.debug);
    CHECK(good({"--server_name", "x"}).server_name == "x");
    CHECK(good({"-p", "0"}).client.port == 4222);  // "not given", as in nats-server
    CHECK(good({"-p", "-1"}).client.port == 0);    // any free one
}

TEST_CASE("the log's flags do what they do in nats-server", "[gateway]") {
    const LogConfig plain = good({}).log;
    CHECK(plain == LogConfig());
    CHECK(plain.time);
    const auto is = [](const LogConfig& log, bool debug, bool trace, bool verbose) {
        return log.debug == debug && log.trace == trace && log.trace_verbose == verbose;
    };
    CHECK(is(good({"-V"}).log, false, true, false));
    CHECK(is(good({"--trace"}).log, false, true, false));
    CHECK(is(good({"-VV"}).log, false, true, true));
    CHECK(is(good({"-DV"}).log, true, true, false));
    CHECK(is(good({"-DVV"}).log, true, true, true));
    CHECK(is(good({"-DV", "-DV=false"}).log, false, false, false));
    CHECK_FALSE(good({"-T=false"}).log.time);
    CHECK(good({"--logtime", "--logtime_utc"}).log.time_utc);
    const LogConfig syslog = good({"-s", "-r", "udp://127.0.0.1:514"}).log;
    CHECK(syslog.syslog);
    CHECK(syslog.remote_syslog == "udp://127.0.0.1:514");
    const LogConfig sizes = good({"--log_size_limit", "5000000000", "--max_traced_msg_len=10"}).log;
    CHECK(sizes.size_limit == 5'000'000'000);
    CHECK(sizes.traced_bytes_max == 10);
}

TEST_CASE("what is not built may be switched off", "[gateway]") {
    CHECK(good({"-js=false", "-tls=false", "--no_advertise=false"}).shards == 0);
}

TEST_CASE("our own flags of loops", "[gateway]") {
    CHECK(good({"--shards", "8", "--spin", "50us"}).shards == 8);
    CHECK(good({"--spin", "50us"}).spin == std::chrono::microseconds(50));
    CHECK(good({"--client_advertise", "a.example:-1"}).client_advertise == "a.example:-1");
}

TEST_CASE("a signal is asked for instead of a start", "[gateway]") {
    const ConfigOutcome outcome = read({"--signal", "ldm=4711"});
    REQUIRE(std::holds_alternative<SignalRequest>(outcome));
    CHECK(std::get<SignalRequest>(outcome).request == "ldm=4711");
}

TEST_CASE("a tree listens on 7522 by default, and only then may the port give way", "[gateway]") {
    const Config joined = good({"--join", "a.example,b.example:9000", "--join=[::1]:1"});
    REQUIRE(joined.tree);
    CHECK(joined.tree->join == std::vector<std::string>{"a.example", "b.example:9000", "[::1]:1"});
    CHECK(good({"--join", "10.0.0.1,[::1]"}).tree->join == std::vector<std::string>{"10.0.0.1:7522", "[::1]:7522"});
    CHECK(joined.tree->listen.port == 7522);
    CHECK(joined.tree->listen.port_is_default);
    CHECK(joined.tree->name == "treegate");

    const Config asked = good({"--tree-listen", ":7522"});
    REQUIRE(asked.tree);
    CHECK(asked.tree->listen.host == "0.0.0.0");
    CHECK_FALSE(asked.tree->listen.port_is_default);

    const Config host_only = good({"--tree_listen", "10.0.0.1"});
    CHECK(host_only.tree->listen.host == "10.0.0.1");
    CHECK(host_only.tree->listen.port_is_default);

    CHECK(good({"--tree-listen", "127.0.0.1:0"}).tree->listen.port == 0);
    CHECK(good({"--tree-listen", "127.0.0.1:-1"}).tree->listen.port == 0);
    CHECK_FALSE(good({"--tree-listen", "127.0.0.1:-1"}).tree->listen.port_is_default);
}

TEST_CASE("an advertised address without a port takes the one that is listened on", "[gateway]") {
    TreeConfig tree;
    CHECK(advertised_address(tree, 7000).empty());
    tree.advertise = "a.example";
    CHECK(advertised_address(tree, 7000) == "a.example:7000");
    tree.advertise = "a.example:1";
    CHECK(advertised_address(tree, 7000) == "a.example:1");
}

TEST_CASE("region, tags and queue policies are the tree's", "[gateway]") {
    const Config config =
        good({"--join", "a", "--region", "eu", "--tags", "ssd,zone=1", "--tags", "ssd", "--queue-policy", "nearest",
              "--queue-policy", "jobs.>=round_robin", "--queue-policy", "jobs.a=random"});
    CHECK(config.tree->region == "eu");
    CHECK(config.tree->tags == std::vector<std::string>{"ssd", "zone=1"});
    CHECK(config.tree->queue_policies.standard == routing::QueuePolicy::nearest);
    CHECK(config.tree->queue_policies.of("jobs.a") == routing::QueuePolicy::round_robin);
    CHECK(good({"--join", "a"}).tree->queue_policies == routing::QueuePolicies{});
}

TEST_CASE("a tree has ten children at most, and links compress by themselves, unless it is said otherwise",
          "[gateway]") {
    using routing::peer::Compression;
    const Config config = good({"--join", "a"});
    CHECK(config.tree->max_children == 10);
    CHECK(config.tree->compression == Compression::automatic);
    CHECK(good({"--join", "a", "--max-children", "256"}).tree->max_children == 256);
    CHECK(good({"--join", "a", "--tree-compression", "off"}).tree->compression == Compression::off);
    CHECK(good({"--join", "a", "--tree-compression", "zstd"}).tree->compression == Compression::on);
    CHECK(good({"--join", "a", "--tree-compression=auto"}).tree->compression == Compression::automatic);
}

TEST_CASE("durable filters are collected, each once", "[gateway]") {
    const Config config = good({"--durable", "orders.>,bills.*", "--durable", "orders.>", "--durability", "fsync"});
    CHECK(config.durable.filters == std::vector<std::string>{"orders.>", "bills.*"});
    CHECK(config.data_dir == "/home/u/.local/state/treegate/4222");
    CHECK(good({"--durable", "a", "--dump-keep", "5"}).durable.dump_keep == 5);
}

TEST_CASE("the data dir is the one given, else systemd's, else one per client port below home", "[gateway]") {
    CHECK(good({"--join", "a", "--data-dir", "/d"}, {{"STATE_DIRECTORY", "/s"}}).data_dir == "/d");
    CHECK(good({"--join", "a"}, {{"STATE_DIRECTORY", "/s:/t"}, {"HOME", "/h"}}).data_dir == "/s");
    CHECK(good({"--join", "a", "-p", "4223"}, {{"HOME", "/h"}}).data_dir == "/h/.local/state/treegate/4223");
    CHECK(good({"-p", "-1", "--join", "a", "--data-dir", "/d"}).data_dir == "/d");
    CHECK(has(errors({"-p", "-1", "--join", "a"}).at(0), "random client port needs --data-dir"));
    CHECK(has(errors({"-p", "-1", "--durable", "a"}).at(0), "random client port needs --data-dir"));
    CHECK(has(errors({"--join", "a"}, {}).at(0), "--data-dir: is needed"));
}

TEST_CASE("what is wrong is said by name", "[gateway]") {
    struct Row {
        std::vector<const char*> arguments;
        const char* error;
    };
    const auto row = GENERATE(values<Row>({
        {{"--port", "70000"}, "--port"},
        {{"--port", "4222x"}, "not a number"},
        {{"--port"}, "needs a value"},
        {{"--nonsense"}, "--nonsense: there is no such flag"},
        {{"--por=1"}, "--por: there is no such flag"},
        {{"-p4222"}, "-p4222: there is no such flag"},
        {{"-D=maybe"}, "neither true nor false"},
        {{"word"}, "unrecognized command: 'word'"},
        {{"--config", "/nonexistent"}, "open /nonexistent: no such file or directory"},
        {{"-c", "/"}, "cannot read /"},
        {{"-t"}, "must specify [-c, --config]"},
        {{"-sl"}, "-sl: needs a value"},
        {{"--client_advertise", "a:b"}, "port 'b' is not a number"},
        {{"--client_advertise", "::1"}, "not of the form host:port"},
        {{"--spin", "1"}, "'1' is no duration"},
        {{"--spin", "101ms"}, "is not from 0s to 100ms"},
        {{"--log_size_limit", "1k"}, "not a number"},
        {{"-r", "h:514"}, "not of the form udp://host:port"},
        {{"-r", "tcp://h:514"}, "only udp:// is supported yet"},
        {{"-r", "udp://"}, "not of the form host:port"},
        {{"-js"}, "-js: known to nats-server, not supported yet"},
        {{"-sd", "/x"}, "-sd: known to nats-server, not supported yet"},
        {{"--routes=nats://a"}, "known to nats-server, not supported yet"},
        {{"--secret", "s"}, "use --secret-file"},
        {{"--shards", "9"}, "--shards"},
        {{"--shards", "0"}, "--shards"},
        {{"--durability", "interval"}, "'interval' is known, not supported yet"},
        {{"--durability", "memory"}, "'memory' is known, not supported yet"},
        {{"--durability", "often"}, "'often' is none of"},
        {{"--durable", "a..b"}, "'a..b' is not a subject filter"},
        {{"--durable", ">"}, "system's own subjects"},
        {{"--durable", "$SYS.>"}, "system's own subjects"},
        {{"--join", "::1"}, "not of the form"},
        {{"--join", "a:0"}, "port"},
        {{"--join", ":7522"}, "not of the form"},
        {{"--tree-listen", "::1"}, "not of the form"},
        {{"--tree-listen", ":x"}, "port 'x'"},
        {{"--tree-name", "x"}, "--tree-name: needs --tree-listen or --join"},
        {{"--region", "eu"}, "--region: needs --tree-listen or --join"},
        {{"--join", "a", "--region", "a,b"}, "--region: 'a,b' is not one word without commas"},
        {{"--join", "a", "--tags", "\x7f"}, "is not one word without commas"},
        {{"--join", "a", "--queue-policy", "turn"},
         "--queue-policy: 'turn' is none of local_first, round_robin, weighted, nearest, random"},
        {{"--join", "a", "--queue-policy", "=random"}, "--queue-policy: needs a filter before '='"},
        {{"--join", "a", "--queue-policy", "a..b=random"}, "--queue-policy: 'a..b' is not a subject filter"},
        {{"--max-children", "5"}, "--max-children: needs --tree-listen or --join"},
        {{"--max-children", "0", "--join", "a"}, "--max-children: '0' is not a number from 1 to 256"},
        {{"--max-children", "257", "--join", "a"}, "--max-children: '257' is not a number from 1 to 256"},
        {{"--tree-compression", "lz4", "--join", "a"}, "--tree-compression: 'lz4' is none of auto, off, zstd"},
        {{"--tree-advertise", "0.0.0.0", "--join", "a"}, "'0.0.0.0' is no address that others could dial"},
        {{"--tree-advertise", "[::]:7", "--join", "a"}, "'[::]:7' is no address that others could dial"},
        {{"--tls"}, "--tls: known to nats-server, not supported yet"},
        {{"--user", "u"}, "--user: known to nats-server, not supported yet"},
        {{"-m", "8222"}, "-m: known to nats-server, not supported yet"},
        {{"--secret-file", "/nonexistent", "--join", "a"}, "cannot read /nonexistent"},
        {{"--name", "a b"}, "must not contain blanks"},
        {{"--name", "a.b", "--join", "a"}, "must not contain '.'"},
        {{"--data-dir="}, "--data-dir: needs a value"},
        {{"--join", "a", "--secret-file", ""}, "--secret-file: needs a value"},
    }));
    CAPTURE(row.arguments, row.error);
    const std::vector<std::string> lines = errors(row.arguments);
    CAPTURE(lines);
    CHECK(has(lines.at(0), row.error));
    CHECK(lines.size() == 1);
}

TEST_CASE("an empty value of a flag that stock has is as if it were not given", "[gateway]") {
    const Config config = good({"-a", "", "-n", "x", "--name=", "-c", "", "-P", "", "--ports_file_dir=", "-l", "", "-r",
                                "", "--client_advertise", ""});
    CHECK(config.client.host == "0.0.0.0");
    CHECK(config.server_name == "x");
    CHECK(config.pid_file.empty());
    CHECK(config.log.file.empty());
    CHECK(config.log.remote_syslog.empty());
    CHECK(config.client_advertise.empty());
}

TEST_CASE("all errors of a command line are listed, not the first alone", "[gateway]") {
    CHECK(errors({"--port", "x", "--shards", "x", "--durable", "a..b", "--config", "f", "oops"}).size() == 5);
}

TEST_CASE("limits of lists are kept", "[gateway]") {
    std::string joins;
    for (std::size_t i = 0; i < join_addresses_max; ++i) joins += "h" + std::to_string(i) + ",";
    CHECK(good({"--join", joins.c_str()}).tree->join.size() == join_addresses_max);
    CHECK(has(errors({"--join", (joins + "x").c_str()}).at(0), "more than 64 addresses"));

    std::string filters;
    for (std::size_t i = 0; i < durable_filters_max; ++i) filters += "f" + std::to_string(i) + ",";
    CHECK(good({"--durable", filters.c_str()}).durable.filters.size() == durable_filters_max);
    CHECK(has(errors({"--durable", (filters + "x").c_str()}).at(0), "more than 256 filters"));

    const std::string name(name_bytes_max, 'n');
    CHECK(good({"--name", name.c_str()}).server_name == name);
    CHECK(has(errors({"--name", (name + "n").c_str()}).at(0), "longer than 128 bytes"));
}

TEST_CASE("the secret is read from its file without the line's end", "[gateway]") {
    const ScratchFolder folder;
    folder.write("secret", "open sesame\n");
    const std::string path = folder.file("secret");
    CHECK(good({"--join", "a", "--secret-file", path.c_str()}).tree->secret == "open sesame");
    folder.write("secret", "\n");
    CHECK(has(errors({"--join", "a", "--secret-file", path.c_str()}).at(0), "is empty"));
    folder.write("secret", std::string(secret_bytes_max + 1, 's'));
    CHECK(has(errors({"--join", "a", "--secret-file", path.c_str()}).at(0), "longer than 1024 bytes"));
    folder.write("secret", std::string(secret_bytes_max, 's'));
    CHECK(good({"--join", "a", "--secret-file", path.c_str()}).tree->secret.size() == secret_bytes_max);
}

TEST_CASE("help and version are texts, as flags and as words", "[gateway]") {
    for (const char* argument : {"-h", "--help", "help"}) {
        const ConfigOutcome outcome = read({argument});
        REQUIRE(std::holds_alternative<ConfigText>(outcome));
        const std::string& text = std::get<ConfigText>(outcome).text;
        for (const char* expected :
             {"--port PORT", "--join HOST", "--durable FILTER", "--data-dir DIR", "treegate tree status"}) {
            CHECK(has(text, expected));
        }
        CHECK_FALSE(has(text, "tlscert"));  // what is refused is not offered
    }
    for (const char* argument : {"-v", "--version", "version"}) {
        const ConfigOutcome outcome = read({argument});
        REQUIRE(std::holds_alternative<ConfigText>(outcome));
        CHECK(std::get<ConfigText>(outcome).text.starts_with("treegate: v"));
        CHECK_FALSE(std::get<ConfigText>(outcome).to_stderr);
    }
    const std::vector<const char*> arguments{"-v"};
    const ConfigOutcome stock = read_config(arguments, process_environment, "/usr/bin/nats-server");
    REQUIRE(std::holds_alternative<ConfigText>(stock));
    CHECK(std::get<ConfigText>(stock).text ==
          "nats-server: v" + std::string(compat::protocol_version_announced) + "\n");
}

TEST_CASE("words may stand between flags, and two dashes end the flags", "[gateway]") {
    std::string url;
    bool json = false;
    const std::vector<FlagGroup> groups = {{"",
                                            {{{"s"},
                                              "URL",
                                              "",
                                              [&](std::string_view text) {
                                                  url = text;
                                                  return std::string();
                                              }},
                                             {{"json"}, "", "", [&](std::string_view text) {
                                                  json = text == "true";
                                                  return std::string();
                                              }}}}};
    const std::vector<const char*> arguments = {"path", "--json", "show", "-s", "-x", "a", "--", "--json=false", "-"};
    const FlagOutcome outcome = read_flags(arguments, groups);
    CHECK(outcome.errors.empty());
    CHECK(outcome.words == std::vector<std::string_view>{"path", "show", "a", "--json=false", "-"});
    CHECK(json);
    CHECK(url == "-x");
}

}  // namespace gateway
