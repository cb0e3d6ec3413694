#include "gateway/config.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <utility>

#include "gateway/flags.h"
#include "gateway/io/socket.h"
#include "routing/base/subject.h"

namespace gateway {

namespace {

/// What the flags say, before it is checked as a whole.
struct Draft {
    Config config;
    TreeConfig tree;
    bool client_port_random = false;
    bool tree_listen_given = false;
    std::string secret_file;
    std::vector<std::string> tree_only;  // flags that mean nothing without a tree
    bool help = false;
    bool version = false;
};

constexpr std::string_view not_yet = "known, not supported yet";
constexpr std::string_view stock_not_yet = "known to nats-server, not supported yet";

/// The fields of a list: commas and blanks part them, as in nats-server's --routes.
std::vector<std::string> split_list(std::string_view text) {
    std::vector<std::string> fields;
    while (!text.empty()) {
        const std::size_t end = text.find_first_of(", ");
        if (end != 0) fields.emplace_back(text.substr(0, end));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return fields;
}

std::string read_tree_listen(std::string_view text, ListenAddress& listen) {
    std::string_view host;
    std::string_view port;
    if (!io::split_address(text, host, port)) {
        return "'" + std::string(text) + "' is not of the form [host]:port (an IPv6 host needs brackets)";
    }
    if (!host.empty()) listen.host = host;
    listen.port_is_default = port.empty();
    if (port.empty()) {
        listen.port = tree_port_default;
        return {};
    }
    long number = 0;
    if (std::string wrong = read_number(port, -1, 65535, number); !wrong.empty()) return "port " + wrong;
    listen.port = static_cast<std::uint16_t>(std::max(number, 0L));
    return {};
}

/// "host" or "host:port", the port 1 to 65535.
std::string check_address(std::string_view text) {
    std::string_view host;
    std::string_view port;
    if (!io::split_address(text, host, port) || host.empty()) {
        return "'" + std::string(text) + "' is not of the form host:port (an IPv6 host needs brackets)";
    }
    long number = 0;
    if (!port.empty()) {
        if (std::string wrong = read_number(port, 1, 65535, number); !wrong.empty()) return "port " + wrong;
    }
    return {};
}

std::string with_port(std::string_view address, std::uint16_t port) {
    std::string_view host;
    std::string_view given;
    if (!io::split_address(address, host, given) || !given.empty()) return std::string(address);
    return io::join_address(host, port);
}

std::string add_joins(std::string_view text, std::vector<std::string>& joins) {
    for (const std::string& address : split_list(text)) {
        if (std::string wrong = check_address(address); !wrong.empty()) return wrong;
        if (joins.size() == join_addresses_max) return "more than " + std::to_string(join_addresses_max) + " addresses";
        joins.push_back(with_port(address, tree_port_default));
    }
    return {};
}

std::string add_filters(std::string_view text, std::vector<std::string>& filters) {
    for (std::string& filter : split_list(text)) {
        if (!base::is_valid_filter(filter)) return "'" + filter + "' is not a subject filter";
        if (filter.starts_with("$") || filter.starts_with("_INBOX.") || filter == ">" || filter.starts_with("*")) {
            return "'" + filter + "' would make the system's own subjects or inboxes durable; name your subjects";
        }
        if (std::find(filters.begin(), filters.end(), filter) != filters.end()) continue;
        if (filters.size() == durable_filters_max)
            return "more than " + std::to_string(durable_filters_max) + " filters";
        filters.push_back(std::move(filter));
    }
    return {};
}

Flag text_flag(std::vector<std::string_view> names, std::string_view value, std::string_view help,
               std::string& target) {
    return {std::move(names), value, help, [&target](std::string_view text) {
                if (text.empty()) return std::string("needs a value");
                target = text;
                return std::string();
            }};
}

Flag switch_flag(std::vector<std::string_view> names, std::string_view help, bool& target) {
    return {std::move(names), "", help, [&target](std::string_view text) {
                target = text == "true";
                return std::string();
            }};
}

Flag refused(std::vector<std::string_view> names, std::string_view value, std::string_view why) {
    return {std::move(names), value, "", [why](std::string_view) { return std::string(why); }};
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
    return {"NATS server (as in nats-server)",
            {
                text_flag({"a", "addr", "net"}, "HOST", "listen for clients here (default: 0.0.0.0, every address)",
                          config.client.host),
                {{"p", "port"},
                 "PORT",
                 "client port (default: 4222; -1: any free one)",
                 [&draft](std::string_view text) {
                     long port = 0;
                     std::string wrong = read_number(text, -1, 65535, port);
                     // Source: nats-server opts.go, where port 0 is "not given".
                     draft.client_port_random = port == -1;
                     draft.config.client.port =
                         port == 0 ? client_port_default : static_cast<std::uint16_t>(std::max(port, 0L));
                     return wrong;
                 }},
                text_flag({"n", "name", "server_name"}, "NAME", "name of this gateway (default: its server id)",
                          config.server_name),
                text_flag({"P", "pid"}, "FILE", "write the process id there", config.pid_file),
                text_flag({"ports_file_dir"}, "DIR", "write treegate_<pid>.ports there: the ports in use, as JSON",
                          config.ports_file_dir),
                text_flag({"l", "log"}, "FILE", "log to this file (default: stderr); SIGUSR1 opens it anew",
                          config.log.file),
                switch_flag({"D", "debug"}, "log what helps to find a fault", config.log.debug),
                {{"shards"},
                 "N",
                 "event loops, each a thread of its own (default: cores - 1, 1 to 8)",
                 [&config](std::string_view text) {
                     long shards = 0;
                     std::string wrong = read_number(text, 1, 8, shards);
                     config.shards = static_cast<std::uint32_t>(shards);
                     return wrong;
                 }},
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
                 "join the tree of this gateway: any member will do (default port: 7522)",
                 [&tree](std::string_view text) { return add_joins(text, tree.join); }},
                of_tree(draft, {{"tree-advertise"},
                                "HOST[:PORT]",
                                "address for other gateways (default: the one that they see)",
                                [&tree](std::string_view text) {
                                    tree.advertise = text;
                                    return check_address(text);
                                }}),
                of_tree(draft, text_flag({"tree-name"}, "NAME",
                                         "name of the tree; others are refused (default: treegate)", tree.name)),
                of_tree(draft, text_flag({"secret-file"}, "FILE", "the tree's secret, the same at every member",
                                         draft.secret_file)),
                refused({"secret", "tree-secret"}, "SECRET",
                        "a secret on the command line is seen by every user of the machine: use --secret-file"),
                refused({"max-children"}, "N", not_yet),
            }};
}

FlagGroup durable_flags(Draft& draft) {
    Config& config = draft.config;
    return {"Durable subjects",
            {
                {{"durable"},
                 "FILTER,...",
                 "messages on these subjects survive cut links and crashes, tree-wide;\nmay be given several times",
                 [&config](std::string_view text) { return add_filters(text, config.durable.filters); }},
                {{"durability"},
                 "LEVEL",
                 "fsync (default): on disk before it is acknowledged",
                 [](std::string_view text) -> std::string {
                     if (text == "fsync") return {};
                     if (text == "interval" || text == "memory")
                         return "'" + std::string(text) + "' is " + std::string(not_yet);
                     return "'" + std::string(text) + "' is none of fsync, interval, memory";
                 }},
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
                switch_flag({"h", "help"}, "this text", draft.help),
                switch_flag({"v", "version"}, "the version", draft.version),
            }};
}

/// Source: nats-server main.go usage and opts.go ConfigureOptions.
FlagGroup refused_flags() {
    FlagGroup group{"", {}};
    group.flags.push_back(refused({"c", "config"}, "FILE", not_yet));
    group.flags.push_back(refused({"t"}, "", stock_not_yet));
    for (const std::string_view name : {"V", "trace", "VV", "DV", "DVV", "T", "logtime", "logtime_utc", "s", "syslog",
                                        "js", "jetstream", "tls", "tlsverify", "no_advertise", "help_tls"}) {
        group.flags.push_back(refused({name}, "", stock_not_yet));
    }
    for (const std::string_view name : {"m",
                                        "http_port",
                                        "ms",
                                        "https_port",
                                        "sl",
                                        "signal",
                                        "r",
                                        "remote_syslog",
                                        "user",
                                        "pass",
                                        "auth",
                                        "sd",
                                        "store_dir",
                                        "cluster",
                                        "cluster_name",
                                        "cluster_listen",
                                        "routes",
                                        "cluster_advertise",
                                        "tlscert",
                                        "tlskey",
                                        "tlscacert",
                                        "connect_retries",
                                        "profile",
                                        "max_traced_msg_len",
                                        "log_size_limit",
                                        "client_advertise"}) {
        group.flags.push_back(refused({name}, "VALUE", stock_not_yet));
    }
    return group;
}

std::vector<FlagGroup> all_flags(Draft& draft) {
    return {server_flags(draft), tree_flags(draft), durable_flags(draft), other_flags(draft), refused_flags()};
}

// ---- what only shows when all flags are read ------------------------------------------------------------------------

void check_name(const Config& config, std::vector<std::string>& errors) {
    const std::string& name = config.server_name;
    if (name.size() > name_bytes_max)
        errors.push_back("--name: longer than " + std::to_string(name_bytes_max) + " bytes");
    // Source: nats-server opts.go, "server name cannot contain spaces".
    if (std::any_of(name.begin(), name.end(), [](unsigned char c) { return c <= ' ' || c == 0x7f; })) {
        errors.emplace_back("--name: must not contain blanks");
    }
    if ((config.tree || !config.durable.filters.empty()) && name.find_first_of(".*>") != std::string::npos) {
        errors.emplace_back(
            "--name: must not contain '.', '*' or '>' in a tree or with durable subjects: it is one token of the "
            "subjects $TREE.REQ.<name>.>");
    }
}

void read_secret(const std::string& path, std::string& secret, std::vector<std::string>& errors) {
    std::ifstream file(path, std::ios::binary);
    std::string text(secret_bytes_max + 1, '\0');
    if (file) {
        file.read(text.data(), static_cast<std::streamsize>(text.size()));
        text.resize(static_cast<std::size_t>(std::max<std::streamsize>(file.gcount(), 0)));
    }
    if (!file.is_open() || file.bad()) {
        errors.push_back("--secret-file: cannot read " + path);
        return;
    }
    if (text.size() > secret_bytes_max) {
        errors.push_back("--secret-file: " + path + " is longer than " + std::to_string(secret_bytes_max) + " bytes");
        return;
    }
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    if (text.empty()) errors.push_back("--secret-file: " + path + " is empty");
    secret = std::move(text);
}

/// Source: DESIGN 3, "State on disk".
void choose_data_dir(const Draft& draft, Config& config, const Environment& environment,
                     std::vector<std::string>& errors) {
    const bool needed = config.tree || !config.durable.filters.empty();
    if (!config.data_dir.empty() || !needed) return;
    if (const auto state = environment("STATE_DIRECTORY"); state && !state->empty()) {
        config.data_dir = state->substr(0, state->find(':'));  // systemd lists several with colons
        return;
    }
    if (draft.client_port_random) {
        errors.emplace_back(
            "--port: a random client port needs --data-dir in a tree or with durable subjects, or the next start would "
            "not find its state again");
        return;
    }
    const auto home = environment("HOME");
    if (!home || home->empty()) {
        errors.emplace_back("--data-dir: is needed, as neither STATE_DIRECTORY nor HOME is set");
        return;
    }
    config.data_dir = *home + "/.local/state/treegate/" + std::to_string(config.client.port);
}

}  // namespace

std::optional<std::string> process_environment(const char* name) {
    const char* value = std::getenv(name);
    if (value == nullptr) return std::nullopt;
    return value;
}

std::uint32_t shard_count(const Config& config, std::uint32_t cores) {
    if (config.shards != 0) return config.shards;
    return std::clamp(cores, 2U, shards_max + 1) - 1;
}

std::string advertised_address(const TreeConfig& tree, std::uint16_t port) {
    if (tree.advertise.empty()) return {};
    return with_port(tree.advertise, port);
}

ConfigOutcome read_config(std::span<const char* const> arguments, const Environment& environment) {
    Draft draft;
    const std::vector<FlagGroup> groups = all_flags(draft);
    FlagOutcome flags = read_flags(arguments, groups);
    // Source: nats-server opts.go, where both are commands as well.
    const auto is_word = [&flags](std::string_view word) { return flags.words.size() == 1 && flags.words[0] == word; };
    if (draft.help || is_word("help")) return ConfigText{help_text()};
    if (draft.version || is_word("version")) return ConfigText{"treegate: v" TREEGATE_VERSION "\n"};

    std::vector<std::string> errors = std::move(flags.errors);
    for (const std::string_view word : flags.words)
        errors.push_back("unrecognized command: '" + std::string(word) + "'");

    Config config = std::move(draft.config);
    if (draft.client_port_random) config.client.port = 0;
    if (draft.tree_listen_given || !draft.tree.join.empty()) {
        if (!draft.tree_listen_given)
            draft.tree.listen = {.host = "0.0.0.0", .port = tree_port_default, .port_is_default = true};
        if (!draft.secret_file.empty()) read_secret(draft.secret_file, draft.tree.secret, errors);
        config.tree = std::move(draft.tree);
    } else {
        for (const std::string& flag : draft.tree_only) errors.push_back(flag + ": needs --tree-listen or --join");
    }
    check_name(config, errors);
    choose_data_dir(draft, config, environment, errors);
    if (!errors.empty()) return ConfigError{std::move(errors)};
    return config;
}

std::string help_text() {
    Draft draft;
    return "treegate: a NATS server that links up with others into a tree\n"
           "\n"
           "Usage:\n"
           "  treegate [flags]                          run a gateway; plain `treegate` is a NATS server on port 4222\n"
           "  treegate tree status|map [flags]          who is linked to whom\n"
           "  treegate path show <subject> [flags]      the event path that a message on this subject would take\n"
           "  treegate path explain <number> [flags]    the gateways behind the number of an event path\n"
           "  treegate path verify [flags]              read a traced message's headers and multiply its hops again\n"
           "  treegate queue ls|where|dump [flags]      durable messages: what is kept, for whom, who has it\n"
           "  treegate sim [flags]                      simulated trees with faults, under seeds\n"
           "  treegate tree|path|queue|sim --help       the flags of these\n"
           "\n"
           "Examples:\n"
           "  treegate                                              a NATS server\n"
           "  treegate --tree-listen :7522 --name a                 the first gateway of a tree\n"
           "  treegate --join a.example:7522 --name b               another one, on another machine\n"
           "  treegate --join a.example --durable 'orders.>'        orders survive cut links and crashes\n" +
           flags_text(all_flags(draft)) +
           "\n"
           "Flags take one dash or two. Signals: INT and TERM flush and end, USR1 opens the log file anew.\n";
}

}  // namespace gateway
