#include "gateway/config_file.h"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <openssl/evp.h>

#include "gateway/conf/digest.h"
#include "gateway/conf/duration.h"
#include "gateway/config_reader.h"
#include "gateway/data_file.h"
#include "gateway/io/socket.h"

namespace gateway {

using namespace file_keys;

namespace {

/// Unanswered PINGs that may be asked for.  Source: ours; above it the interval times it is past any use.
constexpr std::int64_t pings_most = 1'000'000;

void read_port(Reader& reader, Name key, const Value& value) {
    reader.number(value, key, reader.draft.client_port, 65535, port_random);
}

/// Source: nats-server opts.go parseListen.
void read_listen(Reader& reader, Name key, const Value& value) {
    if (std::holds_alternative<std::int64_t>(value.data)) return read_port(reader, key, value);
    const auto* address = reader.take<std::string>(value, key, "a port or host:port");
    if (address == nullptr) return;
    std::string_view host;
    std::string_view port;
    if (!io::split_address(*address, host, port) || (port.empty() && !address->ends_with(':'))) {
        return reader.error(value, "could not parse address string " + quoted(*address));
    }
    long number = 0;
    if (!read_number(port, port_random, 65535, number).empty()) {
        return reader.error(value, "could not parse port " + quoted(port));
    }
    reader.draft.client_port = number;
    reader.draft.config.client.host = host.empty() ? ListenAddress().host : std::string(host);
}

/// Source: nats-server opts.go, which takes text alone for these two.
void read_lame_duck(Reader& reader, std::string_view key, const Value& value, base::Duration& out, base::Duration least,
                    base::Duration zero) {
    const auto* text = reader.take<std::string>(value, key, "a duration, as \"30s\"");
    if (text == nullptr) return;
    base::Duration read{};
    if (const std::string wrong = read_duration(*text, duration_most, read); !wrong.empty()) {
        return reader.error(value, fmt::format("error parsing {}: {}", key, wrong));
    }
    if (read < least) {
        return reader.error(value, fmt::format("invalid {} of {}, minimum is {} seconds", key,
                                               conf::duration_text(read), least / std::chrono::seconds(1)));
    }
    out = read == base::Duration{} ? zero : read;
}

/// Source: jwt's TagList.Add: lower case, without blanks around, each once.
void add_tag(std::vector<std::string>& tags, std::string_view text) {
    const std::size_t begin = text.find_first_not_of(" \t\r\n");
    if (begin == std::string_view::npos) return;
    const std::size_t end = text.find_last_not_of(" \t\r\n");
    std::string tag = lower(text.substr(begin, end - begin + 1));
    if (std::find(tags.begin(), tags.end(), tag) == tags.end()) tags.push_back(std::move(tag));
}

void read_metadata(Reader& reader, Name key, const Value& value) {
    const auto* map = reader.take<conf::Map>(value, key, "a map");
    if (map == nullptr) return;
    for (const auto& [name, field] : *map) {
        if (const auto* text = reader.text(field, name)) reader.draft.config.server_metadata[name] = *text;
    }
}

void read_max_sub_tokens(Reader& reader, Name key, const Value& value) {
    reader.number(value, key, reader.draft.config.limits.max_sub_tokens, sub_tokens_most, 1);
}

void read_server_name(Reader& reader, Name key, const Value& value) {
    reader.text(value, key, reader.config().server_name);
    if (reader.config().server_name.find(' ') == std::string::npos) return;
    reader.error(value, "server name cannot contain spaces");
    reader.config().server_name.clear();
}

void read_client_advertise(Reader& reader, Name key, const Value& value) {
    std::string& address = reader.config().client_advertise;
    reader.text(value, key, address);
    if (!address.empty()) reader.check(value, key, check_address(address, port_random));
}

void read_remote_syslog(Reader& reader, Name key, const Value& value) {
    std::string& address = reader.log().remote_syslog;
    reader.text(value, key, address);
    if (!address.empty()) reader.check(value, key, check_remote_syslog(address));
}

void read_tags(Reader& reader, Name key, const Value& value) {
    reader.texts(value, key, [&](const std::string& tag, const Value&) { add_tag(reader.config().server_tags, tag); });
}

void read_durable(Reader& reader, Name key, const Value& value) {
    auto& filters = reader.config().durable.filters;
    filters.clear();
    reader.texts(value, key, [&](const std::string& filter, const Value& place) {
        reader.check(place, key, add_filter(filter, filters));
    });
}

void check_integer(Reader& reader, Name key, const Value& value) {
    (void)reader.take<std::int64_t>(value, key, "an integer");
}

void check_boolean(Reader& reader, Name key, const Value& value) {
    (void)reader.take<bool>(value, key, "true or false");
}

void read_write_timeout(Reader& reader, Name key, const Value& value) {
    const auto* text = reader.text(value, key);
    if (text == nullptr || *text == "default" || *text == "close") return;  // what clients have anyway
    if (*text == "retry") return reader.error(value, "write_timeout: 'retry' is " + std::string(stock_not_yet));
    reader.error(value, "write_timeout must be 'default', 'close' or 'retry'");
}

/// Source: nats-server opts.go processConfigFileLine.
constexpr std::array keys{
    // --- Where, who, and what tells of it.
    Key{"listen", read_listen},
    Key{"port", read_port},
    Key{"host", [](Reader& r, Name key, const Value& v) { r.text(v, key, r.config().client.host); }},
    Key{"net", [](Reader& r, Name key, const Value& v) { r.text(v, key, r.config().client.host); }},
    Key{"server_name", read_server_name},
    Key{"client_advertise", read_client_advertise},
    Key{"pidfile", [](Reader& r, Name key, const Value& v) { r.text(v, key, r.config().pid_file); }},
    Key{"pid_file", [](Reader& r, Name key, const Value& v) { r.text(v, key, r.config().pid_file); }},
    Key{"ports_file_dir", [](Reader& r, Name key, const Value& v) { r.text(v, key, r.config().ports_file_dir); }},
    Key{"server_tags", read_tags},
    Key{"server_metadata", read_metadata},
    Key{"mappings", read_mappings},
    Key{"maps", read_mappings},
    // --- The log.
    Key{"debug", [](Reader& r, Name key, const Value& v) { r.boolean(v, key, r.log().debug); }},
    Key{"trace", [](Reader& r, Name key, const Value& v) { r.boolean(v, key, r.log().trace); }},
    Key{"trace_verbose",
        [](Reader& r, Name key, const Value& v) {
            r.boolean(v, key, r.log().trace_verbose);
            r.log().trace = r.log().trace_verbose;
        }},
    Key{"trace_headers",
        [](Reader& r, Name key, const Value& v) {
            r.boolean(v, key, r.log().trace_headers);
            r.log().trace = r.log().trace_headers;
        }},
    Key{"max_traced_msg_len", [](Reader& r, Name key, const Value& v) { r.size(v, key, r.log().traced_bytes_max); }},
    Key{"logtime", [](Reader& r, Name key, const Value& v) { r.boolean(v, key, r.log().time); }},
    Key{"logtime_utc", [](Reader& r, Name key, const Value& v) { r.boolean(v, key, r.log().time_utc); }},
    Key{"logfile", [](Reader& r, Name key, const Value& v) { r.text(v, key, r.log().file); }},
    Key{"log_file", [](Reader& r, Name key, const Value& v) { r.text(v, key, r.log().file); }},
    Key{"logfile_size_limit", [](Reader& r, Name key, const Value& v) { r.size(v, key, r.log().size_limit); }},
    Key{"log_size_limit", [](Reader& r, Name key, const Value& v) { r.size(v, key, r.log().size_limit); }},
    Key{"logfile_max_num", [](Reader& r, Name key, const Value& v) { r.size(v, key, r.log().max_files); }},
    Key{"log_max_num", [](Reader& r, Name key, const Value& v) { r.size(v, key, r.log().max_files); }},
    Key{"syslog", [](Reader& r, Name key, const Value& v) { r.boolean(v, key, r.log().syslog); }},
    Key{"remote_syslog", read_remote_syslog},
    // --- Limits.
    Key{"max_payload",
        [](Reader& r, Name key, const Value& v) {
            r.number(v, key, r.limits().max_payload, payload_bytes_most, 0, LimitsConfig().max_payload);
        }},
    Key{"max_control_line",
        [](Reader& r, Name key, const Value& v) {
            r.number(v, key, r.limits().max_control_line, payload_bytes_most, 0, LimitsConfig().max_control_line);
        }},
    Key{"max_pending",
        [](Reader& r, Name key, const Value& v) {
            r.number(v, key, r.limits().max_pending, integer_most, 0, LimitsConfig().max_pending);
        }},
    // An explicit 0 is no default here: nobody may connect.
    Key{"max_connections", [](Reader& r, Name key, const Value& v) { r.size(v, key, r.limits().max_connections); }},
    Key{"max_conn", [](Reader& r, Name key, const Value& v) { r.size(v, key, r.limits().max_connections); }},
    Key{"max_subscriptions", [](Reader& r, Name key, const Value& v) { r.size(v, key, r.limits().max_subscriptions); }},
    Key{"max_subs", [](Reader& r, Name key, const Value& v) { r.size(v, key, r.limits().max_subscriptions); }},
    Key{"max_sub_tokens", read_max_sub_tokens},
    Key{"max_subscription_tokens", read_max_sub_tokens},
    Key{"ping_interval",
        [](Reader& r, Name key, const Value& v) {
            r.span(v, key, r.limits().ping_interval, LimitsConfig().ping_interval);
        }},
    Key{"ping_max",
        [](Reader& r, Name key, const Value& v) {
            r.number(v, key, r.limits().ping_max, pings_most, 0, LimitsConfig().ping_max);
        }},
    Key{"write_deadline",
        [](Reader& r, Name key, const Value& v) {
            r.span(v, key, r.limits().write_deadline, LimitsConfig().write_deadline);
        }},
    Key{"write_timeout", read_write_timeout},
    Key{"no_header_support",
        [](Reader& r, Name key, const Value& v) { r.boolean(v, key, r.limits().no_header_support); }},
    Key{"no_fast_producer_stall",
        [](Reader& r, Name key, const Value& v) { r.boolean(v, key, r.limits().no_fast_producer_stall); }},
    Key{"lame_duck_duration",
        [](Reader& r, Name key, const Value& v) {
            read_lame_duck(r, key, v, r.config().lame_duck.duration, lame_duck_duration_least,
                           LameDuckConfig().duration);
        }},
    Key{"lame_duck_grace_period",
        [](Reader& r, Name key, const Value& v) {
            read_lame_duck(r, key, v, r.config().lame_duck.grace, {}, LameDuckConfig().grace);
        }},
    // --- No effect here, nor in stock on a server without routes, leafnodes and monitoring.
    Key{"connect_error_reports", check_integer},
    Key{"reconnect_error_reports", check_integer},
    Key{"max_closed_clients", check_integer},
    // A cache that cannot be switched off here; what clients see of it is nothing.
    Key{"disable_sublist_cache", check_boolean},
    Key{"no_sublist_cache", check_boolean},
    // --- Ours.
    Key{"shards", [](Reader& r, Name key, const Value& v) { r.number(v, key, r.config().shards, shards_max, 1, 0U); }},
    Key{"spin",
        [](Reader& r, Name key, const Value& v) {
            if (const auto* text = r.text(v, key)) r.check(v, key, read_duration(*text, spin_max, r.config().spin));
        }},
    Key{"data_dir", [](Reader& r, Name key, const Value& v) { r.text(v, key, r.config().data_dir); }},
    Key{"durable", read_durable},
    Key{"durability",
        [](Reader& r, Name key, const Value& v) {
            if (const auto* text = r.text(v, key)) r.check(v, key, check_durability(*text));
        }},
    Key{"dump_keep",
        [](Reader& r, Name key, const Value& v) {
            r.number(v, key, r.config().durable.dump_keep, static_cast<std::int64_t>(dump_keep_max));
        }},
    Key{"tree", read_tree},
};

/// Known to stock, not built here.  Source: nats-server opts.go processConfigFileLine.
constexpr std::array<std::string_view, 49> stock_keys{"accounts",
                                                      "default_sentinel",
                                                      "authorization",
                                                      "http",
                                                      "https",
                                                      "http_port",
                                                      "monitor_port",
                                                      "https_port",
                                                      "http_base_path",
                                                      "cluster",
                                                      "gateway",
                                                      "leaf",
                                                      "leafnodes",
                                                      "store_dir",
                                                      "storedir",
                                                      "jetstream",
                                                      "prof_port",
                                                      "prof_block_rate",
                                                      "proxy_protocol",
                                                      "tls",
                                                      "ocsp",
                                                      "allow_non_tls",
                                                      "operator",
                                                      "operators",
                                                      "roots",
                                                      "root",
                                                      "root_operators",
                                                      "root_operator",
                                                      "resolver",
                                                      "account_resolver",
                                                      "accounts_resolver",
                                                      "resolver_tls",
                                                      "resolver_preload",
                                                      "resolver_pinned_accounts",
                                                      "no_auth_user",
                                                      "system_account",
                                                      "system",
                                                      "no_system_account",
                                                      "no_system",
                                                      "no_sys_acc",
                                                      "trusted",
                                                      "trusted_keys",
                                                      "websocket",
                                                      "ws",
                                                      "mqtt",
                                                      "feature_flags",
                                                      "default_js_domain",
                                                      "ocsp_cache",
                                                      "proxies"};

/// Whether a key that is not built says "off", which is what it is.
bool is_off(Name key, const Value& value) {
    constexpr std::array<std::string_view, 8> switches{"jetstream", "proxy_protocol", "ocsp",       "allow_non_tls",
                                                       "http_port", "monitor_port",   "https_port", "prof_port"};
    if (std::find(switches.begin(), switches.end(), key) == switches.end()) return false;
    if (const auto* on = std::get_if<bool>(&value.data)) return !*on;
    if (const auto* number = std::get_if<std::int64_t>(&value.data)) return *number == 0;
    const auto* text = std::get_if<std::string>(&value.data);
    return text != nullptr && (lower(*text) == "disabled" || lower(*text) == "disable");
}

void read_key(Reader& reader, std::string_view name, const Value& value) {
    const std::string key = lower(name);
    for (const Key& known : keys) {
        if (known.name == key) return known.apply(reader, known.name, value);
    }
    if (std::find(stock_keys.begin(), stock_keys.end(), key) != stock_keys.end()) {
        if (!is_off(key, value)) reader.error(value, quoted(name) + " is " + std::string(stock_not_yet));
    } else if (!value.used) {
        reader.error(value, "unknown field " + quoted(name));
    }
}

std::string sha256(std::string_view text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> hash{};
    unsigned size = 0;
    EVP_Digest(text.data(), text.size(), hash.data(), &size, EVP_sha256(), nullptr);
    std::string out = "sha256:";
    for (const unsigned char byte : std::span(hash).first(size))
        fmt::format_to(std::back_inserter(out), "{:02x}", byte);
    return out;
}

std::vector<std::string> lines_of(std::vector<Remark>& remarks, const conf::Document& document) {
    std::stable_sort(remarks.begin(), remarks.end(),
                     [](const Remark& a, const Remark& b) { return a.place < b.place; });
    std::vector<std::string> lines;
    lines.reserve(remarks.size());
    for (const Remark& remark : remarks) lines.push_back(document.at(remark.place) + ": " + remark.text);
    return lines;
}

}  // namespace

FileReport read_config_file(const std::string& path, const conf::Sources& sources, Draft& draft) {
    FileReport report;
    auto parsed = conf::parse_config(path, sources);
    if (!parsed.ok()) {
        report.errors.push_back(parsed.error());
        return report;
    }
    const conf::Document& document = parsed.value();
    Reader reader{draft, {}, {}};
    for (const auto& [key, value] : in_order(document.root)) read_key(reader, key, *value);
    report.errors = lines_of(reader.errors, document);
    report.warnings = lines_of(reader.warnings, document);
    if (document.root.empty()) report.warnings.push_back(path + ": config has no values or is empty");
    report.digest = sha256(conf::digest_text(document.root));
    return report;
}

conf::Sources system_sources(const Environment& environment) {
    conf::Sources sources;
    sources.file = [](const std::string& path, std::size_t bytes_max) -> base::Result<std::string, std::string> {
        auto bytes = read_file(path, bytes_max);
        if (!bytes.ok()) return base::failure(bytes.error());
        if (!bytes.value().exists) return base::failure("open " + path + ": no such file or directory");
        return std::move(bytes).value().bytes;
    };
    sources.variable = [environment](const std::string& name) { return environment(name.c_str()); };
    return sources;
}

}  // namespace gateway
