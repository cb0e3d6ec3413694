#include "gateway/config.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <utility>

#include <fmt/format.h>

#include "compat/connect_info.h"
#include "gateway/conf/duration.h"
#include "gateway/config_draft.h"
#include "gateway/config_file.h"
#include "gateway/flags.h"

namespace gateway {

namespace {

// ---- what only shows when all is read ------------------------------------------------------------------------

void check_name(const Config& config, std::vector<std::string>& errors) {
    const std::string& name = config.server_name;
    if (name.size() > name_bytes_max)
        errors.push_back("server name: longer than " + std::to_string(name_bytes_max) + " bytes");
    // Source: nats-server opts.go, "server name cannot contain spaces".
    if (std::any_of(name.begin(), name.end(), [](unsigned char c) { return c <= ' ' || c == 0x7f; })) {
        errors.emplace_back("server name: must not contain blanks");
    }
    if ((config.tree || !config.durable.filters.empty()) && name.find_first_of(".*>") != std::string::npos) {
        errors.emplace_back(
            "server name: must not contain '.', '*' or '>' in a tree or with durable subjects: it is one token of the "
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
    if (draft.client_port == port_random) {
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

/// What limits say together.  Source: nats-server server.go validateOptions, and the warning of its start.
void check_limits(Config& config, std::vector<std::string>& errors) {
    const LimitsConfig& limits = config.limits;
    if (limits.max_payload > limits.max_pending) {
        errors.push_back(fmt::format("max_payload ({}) cannot be higher than max_pending ({})", limits.max_payload,
                                     limits.max_pending));
    }
    if (config.lame_duck.grace >= config.lame_duck.duration) {
        errors.push_back(
            fmt::format("lame duck grace period ({}) should be strictly lower than lame duck duration ({})",
                        conf::duration_text(config.lame_duck.grace), conf::duration_text(config.lame_duck.duration)));
    }
    if (limits.max_payload > payload_bytes_advised) {
        config.warnings.emplace_back(
            "Maximum payloads over 8.00 MB are generally discouraged and could lead to poor performance");
    }
}

/// Draws the parts together and checks what concerns more than one of them.
Config finish(Draft draft, const Environment& environment, std::vector<std::string>& errors) {
    Config config = std::move(draft.config);
    config.client.port = draft.client_port == 0 ? client_port_default : static_cast<std::uint16_t>(draft.client_port);
    if (draft.client_port == port_random) config.client.port = 0;
    if (draft.tree_listen_given || !draft.tree.join.empty()) {
        if (!draft.tree_listen_given)
            draft.tree.listen = {.host = "0.0.0.0", .port = tree_port_default, .port_is_default = true};
        if (!draft.secret_file.empty()) read_secret(draft.secret_file, draft.tree.secret, errors);
        config.tree = draft.tree;
    } else {
        for (const std::string& what : draft.tree_only) {
            errors.push_back(what + (what == "tree" ? ": needs listen or join" : ": needs --tree-listen or --join"));
        }
    }
    check_name(config, errors);
    check_limits(config, errors);
    choose_data_dir(draft, config, environment, errors);
    return config;
}

/// Under the name of stock what stock says, which clients and their tests read.
std::string version_text(std::string_view program) {
    if (program == "nats-server") return fmt::format("nats-server: v{}\n", compat::protocol_version_announced);
    return "treegate: v" TREEGATE_VERSION "\n";
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

std::string_view base_name(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string advertised_address(const TreeConfig& tree, std::uint16_t port) {
    if (tree.advertise.empty()) return {};
    return with_port(tree.advertise, port);
}

ConfigOutcome read_config(std::span<const char* const> arguments, const Environment& environment,
                          std::string_view program) {
    Draft draft;
    FlagOutcome flags = read_flags(arguments, gateway_flags(draft));
    // Source: nats-server opts.go, where both are commands as well.
    const auto is_word = [&flags](std::string_view word) { return flags.words.size() == 1 && flags.words[0] == word; };
    if (draft.help || is_word("help")) return ConfigText{help_text()};
    if (draft.version || is_word("version")) return ConfigText{version_text(base_name(program))};

    std::vector<std::string> errors = std::move(flags.errors);
    for (const std::string_view word : flags.words)
        errors.push_back("unrecognized command: '" + std::string(word) + "'");
    const bool flags_fine = errors.empty();
    if (draft.signal_given && flags_fine) return SignalRequest{draft.signal};

    const std::string file = draft.config.config_file;
    FileReport report;
    if (!file.empty()) {
        // First the file, then the flags once more over it.
        Draft whole;
        report = read_config_file(file, system_sources(environment), whole);
        (void)read_flags(arguments, gateway_flags(whole));  // its errors are those above
        draft = std::move(whole);
        errors.insert(errors.end(), report.errors.begin(), report.errors.end());
        if (draft.check) errors.insert(errors.end(), report.warnings.begin(), report.warnings.end());
    } else if (draft.check) {
        errors.emplace_back("must specify [-c, --config] option to check configuration file syntax");
    }

    const bool check = draft.check;
    Config config = finish(std::move(draft), environment, errors);
    if (!errors.empty()) return ConfigError{std::move(errors), !flags_fine};
    config.program = base_name(program);
    config.config_digest = report.digest;
    config.warnings.insert(config.warnings.begin(), report.warnings.begin(), report.warnings.end());
    if (check) {
        return ConfigText{fmt::format("{}: configuration file {} is valid ({})\n", config.program, file, report.digest),
                          true};
    }
    return config;
}

std::string help_text() {
    Draft draft;
    return "treegate: a NATS server that links up with others into a tree\n"
           "\n"
           "Usage:\n"
           "  treegate [flags]                          run a gateway; plain `treegate` is a NATS server on port 4222\n"
           "  treegate tree status|map|forget [flags]   who is linked to whom; giving an absent gateway up\n"
           "  treegate path show <subject> [flags]      the event path that a message on this subject would take\n"
           "  treegate path explain <number> [flags]    the gateways behind the number of an event path\n"
           "  treegate path verify [flags]              read a traced message's headers and multiply its hops again\n"
           "  treegate queue ls|where|dump [flags]      durable messages: what is kept, for whom, who has it\n"
           "  treegate sim [flags]                      simulated trees with faults, under seeds\n"
           "  treegate tree|path|queue|sim --help       the flags of these\n"
           "\n"
           "Examples:\n"
           "  treegate                                              a NATS server\n"
           "  treegate -c /etc/nats.conf                            the same with the config file of nats-server\n"
           "  treegate --tree-listen :7522 --name a                 the first gateway of a tree\n"
           "  treegate --join a.example:7522 --name b               another one, on another machine\n"
           "  treegate --join a.example --durable 'orders.>'        orders survive cut links and crashes\n" +
           flags_text(gateway_flags(draft)) +
           "\n"
           "Flags take one dash or two. Signals: INT and TERM flush and end, USR1 opens the log file anew, USR2 sends "
           "the\n"
           "clients away first (lame duck), HUP reads the config file again.\n";
}

}  // namespace gateway
