// The flags of a gateway: one table for reading and for --help.
// Source of those that stock has: nats-server main.go usage, opts.go ConfigureOptions.
#include <algorithm>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/config_draft.h"

namespace gateway {

namespace {

Flag text_flag(std::vector<std::string_view> names, std::string_view value, std::string_view help,
               std::string& target) {
    return {std::move(names), value, help, [&target](std::string_view text) {
                if (text.empty()) return std::string("needs a value");
                target = text;
                return std::string();
            }};
}

/// One that stock has: there an empty value is "not given", and scripts rely on it (`-P "$PIDFILE"`).
Flag stock_text_flag(std::vector<std::string_view> names, std::string_view value, std::string_view help,
                     std::string& target, std::string (*check)(std::string_view) = nullptr) {
    return {std::move(names), value, help, [&target, check](std::string_view text) {
                std::string wrong = text.empty() || check == nullptr ? std::string() : check(text);
                if (!text.empty()) target = text;
                return wrong;
            }};
}

Flag switch_flag(std::vector<std::string_view> names, std::string_view help, std::vector<bool*> targets) {
    return {std::move(names), "", help, [targets = std::move(targets)](std::string_view text) {
                for (bool* const target : targets) *target = text == "true";
                return std::string();
            }};
}

/// A count from 1 to `most`; what is wrong with it.
std::string read_count(std::string_view text, long most, std::uint32_t& count) {
    long number = 0;
    std::string wrong = read_number(text, 1, most, number);
    count = static_cast<std::uint32_t>(number);
    return wrong;
}

/// A number from 0 to what fits.
template <typename T>
Flag number_flag(std::vector<std::string_view> names, std::string_view value, std::string_view help, T& target) {
    return {std::move(names), value, help, [&target](std::string_view text) {
                long number = 0;
                constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<T>::max());
                constexpr auto fits = static_cast<std::uint64_t>(std::numeric_limits<long>::max());
                std::string wrong = read_number(text, 0, static_cast<long>(std::min(most, fits)), number);
                target = static_cast<T>(number);
                return wrong;
            }};
}

Flag refused(std::vector<std::string_view> names, std::string_view value, std::string_view why) {
    const bool is_switch = value.empty();
    return {std::move(names), value, "", [why, is_switch](std::string_view text) {
                if (is_switch && text == "false") return std::string();  // off is what it is
                return std::string(why);
            }};
}

/// A flag that means nothing without a tree.
Flag of_tree(Draft& draft, Flag flag) {
    std::string name = "--" + std::string(flag.names.front());
    flag.apply = [&draft, name = std::move(name), apply = std::move(flag.apply)](std::string_view text) {
        draft.tree_only.push_back(name);
        return apply(text);
    };
    return flag;
}

FlagGroup server_flags(Draft& draft) {
    Config& config = draft.config;
    return {
        "NATS server (as in nats-server)",
        {
            stock_text_flag({"a", "addr", "net"}, "HOST", "listen for clients here (default: 0.0.0.0, every address)",
                            config.client.host),
            {{"p", "port"},
             "PORT",
             "client port (default: 4222; -1: any free one)",
             [&draft](std::string_view text) {
                 long port = 0;
                 std::string wrong = read_number(text, port_random, 65535, port);
                 if (port != 0) draft.client_port = port;  // in nats-server 0 is "not given"
                 return wrong;
             }},
            stock_text_flag({"n", "name", "server_name"}, "NAME", "name of this gateway (default: its server id)",
                            config.server_name),
            stock_text_flag({"client_advertise"}, "HOST[:PORT]",
                            "address that clients are told (default: where we listen)", config.client_advertise,
                            [](std::string_view text) { return check_address(text, port_random); }),
            stock_text_flag({"c", "config"}, "FILE", "read this config file; flags override it", config.config_file),
            switch_flag({"t"}, "test the config file and end", {&draft.check}),
            {{"sl", "signal"},
             "SIGNAL[=PID]",
             "tell a running gateway: stop, quit, term, reopen, reload or ldm;\nPID is a number or the file of "
             "--pid",
             [&draft](std::string_view text) {
                 draft.signal_given = true;
                 draft.signal = text;
                 return std::string();
             }},
            stock_text_flag({"P", "pid"}, "FILE", "write the process id there", config.pid_file),
            stock_text_flag({"ports_file_dir"}, "DIR", "write <program>_<pid>.ports there: the ports in use, as JSON",
                            config.ports_file_dir),
        }};
}

FlagGroup log_flags(Draft& draft) {
    LogConfig& log = draft.config.log;
    return {"Log (as in nats-server)",
            {
                stock_text_flag({"l", "log"}, "FILE", "log to this file (default: stderr); SIGUSR1 opens it anew",
                                log.file),
                number_flag({"log_size_limit"}, "BYTES", "begin a new log file above this size (default: never)",
                            log.size_limit),
                switch_flag({"T", "logtime"}, "begin each line with the time (default: true)", {&log.time}),
                switch_flag({"logtime_utc"}, "... in UTC", {&log.time_utc}),
                switch_flag({"s", "syslog"}, "log to syslog", {&log.syslog}),
                stock_text_flag({"r", "remote_syslog"}, "ADDRESS", "log to this syslog server: udp://host:port",
                                log.remote_syslog, check_remote_syslog),
                switch_flag({"D", "debug"}, "log what helps to find a fault", {&log.debug}),
                switch_flag({"V", "trace"}, "log the protocol", {&log.trace}),
                switch_flag({"VV"}, "... of the system as well", {&log.trace, &log.trace_verbose}),
                switch_flag({"DV"}, "-D and -V", {&log.debug, &log.trace}),
                switch_flag({"DVV"}, "-D and -VV", {&log.debug, &log.trace, &log.trace_verbose}),
                number_flag({"max_traced_msg_len"}, "BYTES", "... of a message at most (default: all)",
                            log.traced_bytes_max),
            }};
}

FlagGroup loop_flags(Draft& draft) {
    Config& config = draft.config;
    return {"Event loops",
            {
                {{"shards"},
                 "N",
                 "event loops, each a thread of its own (default: cores - 1, 1 to 8)",
                 [&config](std::string_view text) { return read_count(text, shards_max, config.shards); }},
                {{"spin"},
                 "TIME",
                 "look for work this long before sleeping, for latency (default: 0)",
                 [&config](std::string_view text) { return read_duration(text, spin_max, config.spin); }},
            }};
}

FlagGroup tree_flags(Draft& draft) {
    TreeConfig& tree = draft.tree;
    return {"Tree of gateways",
            {
                {{"tree-listen"},
                 "[HOST]:PORT",
                 "take links of other gateways here (default with --join: port 7522, or a\nfree one if that is taken; "
                 "0: any "
                 "free one)",
                 [&draft](std::string_view text) {
                     draft.tree_listen_given = true;
                     return read_tree_listen(text, draft.tree.listen);
                 }},
                {{"join"},
                 "HOST[:PORT],...",
                 "join the tree of this gateway: any member will do. Of a name all addresses are\n"
                 "tried; without a port it may have SRV records _treegate._tcp.NAME (default port:\n7522)",
                 [&draft](std::string_view text) {
                     if (!std::exchange(draft.joins_by_flag, true)) draft.tree.join.clear();
                     for (const std::string& address : split_list(text)) {
                         if (std::string wrong = add_join(address, draft.tree.join); !wrong.empty()) return wrong;
                     }
                     return std::string();
                 }},
                of_tree(draft, {{"tree-advertise"},
                                "HOST[:PORT]",
                                "address for other gateways (default: the one that they see)",
                                [&tree](std::string_view text) {
                                    tree.advertise = text;
                                    return check_advertise(text);
                                }}),
                of_tree(draft, text_flag({"tree-name"}, "NAME",
                                         "name of the tree; others are refused (default: treegate)", tree.name)),
                of_tree(draft, {{"region"},
                                "NAME",
                                "where this gateway stands: messages may ask for it (header Tree-To)",
                                [&tree](std::string_view text) {
                                    tree.region = text;
                                    return check_tag(text);
                                }}),
                of_tree(draft, {{"tags"},
                                "TAG,...",
                                "what else messages may call it (headers Tree-To, Tree-Forbid)",
                                [&draft](std::string_view text) {
                                    if (!std::exchange(draft.tags_by_flag, true)) draft.tree.tags.clear();
                                    for (const std::string& tag : split_list(text)) {
                                        if (std::string wrong = add_tag(tag, draft.tree.tags); !wrong.empty())
                                            return wrong;
                                    }
                                    return std::string();
                                }}),
                of_tree(draft, {{"queue-policy"},
                                "[FILTER=]POLICY",
                                "who of a queue group takes a message published here: local_first (default),\n"
                                "round_robin, weighted, nearest, random; may be given several times, the first\n"
                                "FILTER that matches the subject counts",
                                [&draft](std::string_view text) {
                                    auto& policies = draft.tree.queue_policies;
                                    if (!std::exchange(draft.policies_by_flag, true)) policies = {};
                                    const std::size_t equals = text.rfind('=');
                                    if (equals == std::string_view::npos) return add_queue_policy({}, text, policies);
                                    if (equals == 0) return std::string("needs a filter before '='");
                                    return add_queue_policy(text.substr(0, equals), text.substr(equals + 1), policies);
                                }}),
                of_tree(draft, text_flag({"secret-file"}, "FILE", "the tree's secret, the same at every member",
                                         draft.secret_file)),
                refused({"secret", "tree-secret"}, "SECRET",
                        "a secret on the command line is seen by every user of the machine: use --secret-file"),
                of_tree(draft, {{"max-children"},
                                "N",
                                "links to children; further gateways are sent on to these (default: 10)",
                                [&tree](std::string_view text) {
                                    return read_count(text, children_most, tree.max_children);
                                }}),
                of_tree(draft, {{"tree-compression"},
                                "MODE",
                                "of links: auto (default: where the round trip is above 10 ms), off, zstd",
                                [&tree](std::string_view text) { return read_compression(text, tree.compression); }}),
            }};
}

FlagGroup durable_flags(Draft& draft) {
    Config& config = draft.config;
    return {"Durable subjects",
            {
                {{"durable"},
                 "FILTER,...",
                 "messages on these subjects survive cut links and crashes, tree-wide;\nmay be given several times",
                 [&draft](std::string_view text) {
                     auto& filters = draft.config.durable.filters;
                     if (!std::exchange(draft.filters_by_flag, true)) filters.clear();
                     for (const std::string& filter : split_list(text)) {
                         if (std::string wrong = add_filter(filter, filters); !wrong.empty()) return wrong;
                     }
                     return std::string();
                 }},
                {{"durability"}, "LEVEL", "fsync (default): on disk before it is acknowledged", check_durability},
                text_flag({"data-dir"}, "DIR",
                          "identity and store (default: $STATE_DIRECTORY, else\n~/.local/state/treegate/<client port>)",
                          config.data_dir),
                {{"dump-keep"},
                 "N",
                 "records that `queue dump` still shows after everybody has them\n(default: 1000)",
                 [&config](std::string_view text) {
                     long keep = 0;
                     std::string wrong = read_number(text, 0, static_cast<long>(dump_keep_max), keep);
                     config.durable.dump_keep = static_cast<std::uint64_t>(keep);
                     return wrong;
                 }},
            }};
}

FlagGroup other_flags(Draft& draft) {
    return {"Other",
            {
                switch_flag({"h", "help"}, "this text", {&draft.help}),
                switch_flag({"v", "version"}, "the version", {&draft.version}),
            }};
}

FlagGroup refused_flags() {
    FlagGroup group{"", {}};
    for (const std::string_view name : {"js", "jetstream", "tls", "tlsverify", "no_advertise", "help_tls"}) {
        group.flags.push_back(refused({name}, "", stock_not_yet));
    }
    for (const std::string_view name : {"m", "http_port", "ms", "https_port", "user", "pass", "auth", "sd", "store_dir",
                                        "cluster", "cluster_name", "cluster_listen", "routes", "cluster_advertise",
                                        "tlscert", "tlskey", "tlscacert", "connect_retries", "profile"}) {
        group.flags.push_back(refused({name}, "VALUE", stock_not_yet));
    }
    return group;
}

}  // namespace

std::vector<FlagGroup> gateway_flags(Draft& draft) {
    return {server_flags(draft),  log_flags(draft),   loop_flags(draft), tree_flags(draft),
            durable_flags(draft), other_flags(draft), refused_flags()};
}

}  // namespace gateway
