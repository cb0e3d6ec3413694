#include "gateway/config_draft.h"

#include <algorithm>
#include <utility>

#include "gateway/conf/duration.h"
#include "gateway/io/socket.h"
#include "routing/base/subject.h"

namespace gateway {

namespace {

std::string quoted(std::string_view text) {
    return "'" + std::string(text) + "'";
}

}  // namespace

std::vector<std::string> split_list(std::string_view text) {
    std::vector<std::string> fields;
    while (!text.empty()) {
        const std::size_t end = text.find_first_of(", ");
        if (end != 0) fields.emplace_back(text.substr(0, end));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return fields;
}

std::string with_port(std::string_view address, std::uint16_t port) {
    std::string_view host;
    std::string_view given;
    if (!io::split_address(address, host, given) || !given.empty()) return std::string(address);
    return io::join_address(host, port);
}

std::string read_tree_listen(std::string_view text, ListenAddress& listen) {
    std::string_view host;
    std::string_view port;
    if (!io::split_address(text, host, port)) {
        return quoted(text) + " is not of the form [host]:port (an IPv6 host needs brackets)";
    }
    if (!host.empty()) listen.host = host;
    listen.port_is_default = port.empty();
    if (port.empty()) {
        listen.port = tree_port_default;
        return {};
    }
    long number = 0;
    if (std::string wrong = read_number(port, port_random, 65535, number); !wrong.empty()) return "port " + wrong;
    listen.port = static_cast<std::uint16_t>(std::max(number, 0L));
    return {};
}

std::string check_address(std::string_view text, long port_least) {
    std::string_view host;
    std::string_view port;
    if (!io::split_address(text, host, port) || host.empty()) {
        return quoted(text) + " is not of the form host:port (an IPv6 host needs brackets)";
    }
    long number = 0;
    if (!port.empty()) {
        if (std::string wrong = read_number(port, port_least, 65535, number); !wrong.empty()) return "port " + wrong;
    }
    return {};
}

std::string check_advertise(std::string_view text) {
    if (std::string wrong = check_address(text); !wrong.empty()) return wrong;
    std::string_view host;
    std::string_view port;
    (void)io::split_address(text, host, port);
    if (host == "0.0.0.0" || host == "::") return quoted(text) + " is no address that others could dial";
    return {};
}

std::string_view name_of(routing::peer::Compression compression) {
    switch (compression) {
        case routing::peer::Compression::automatic:
            return "auto";
        case routing::peer::Compression::off:
            return "off";
        case routing::peer::Compression::on:
            return "zstd";
    }
    return "auto";
}

std::string read_compression(std::string_view text, routing::peer::Compression& compression) {
    using routing::peer::Compression;
    for (const Compression each : {Compression::automatic, Compression::off, Compression::on}) {
        if (text != name_of(each)) continue;
        compression = each;
        return {};
    }
    return quoted(text) + " is none of auto, off, zstd";
}

std::string add_join(std::string_view text, std::vector<std::string>& joins) {
    if (std::string wrong = check_address(text); !wrong.empty()) return wrong;
    if (joins.size() == join_addresses_max) return "more than " + std::to_string(join_addresses_max) + " addresses";
    // A name without a port may have SRV records, which say it.
    joins.push_back(io::is_numeric(text) ? with_port(text, tree_port_default) : std::string(text));
    return {};
}

std::string add_filter(std::string_view text, std::vector<std::string>& filters) {
    if (!base::is_valid_filter(text)) return quoted(text) + " is not a subject filter";
    if (text.starts_with("$") || text.starts_with("_INBOX.") || text == ">" || text.starts_with("*")) {
        return quoted(text) + " would make the system's own subjects or inboxes durable; name your subjects";
    }
    if (std::find(filters.begin(), filters.end(), text) != filters.end()) return {};
    if (filters.size() == durable_filters_max) return "more than " + std::to_string(durable_filters_max) + " filters";
    filters.emplace_back(text);
    return {};
}

std::string check_tag(std::string_view text) {
    if (text.size() > tag_bytes_max) return "longer than " + std::to_string(tag_bytes_max) + " bytes";
    const auto wrong = [](unsigned char c) { return c <= ' ' || c == ',' || c == 0x7f; };
    if (text.empty() || std::any_of(text.begin(), text.end(), wrong))
        return quoted(text) + " is not one word without commas";
    return {};
}

std::string add_tag(std::string_view text, std::vector<std::string>& tags) {
    if (std::string wrong = check_tag(text); !wrong.empty()) return wrong;
    if (std::find(tags.begin(), tags.end(), text) != tags.end()) return {};
    if (tags.size() == tags_max) return "more than " + std::to_string(tags_max) + " tags";
    tags.emplace_back(text);
    return {};
}

std::string add_queue_policy(std::string_view filter, std::string_view policy, routing::QueuePolicies& policies) {
    const auto known = routing::read_queue_policy(policy);
    if (!known) return quoted(policy) + " is none of local_first, round_robin, weighted, nearest, random";
    if (filter.empty()) {
        policies.standard = *known;
        return {};
    }
    if (!base::is_valid_filter(filter)) return quoted(filter) + " is not a subject filter";
    if (policies.by_subject.size() == queue_policies_max)
        return "more than " + std::to_string(queue_policies_max) + " filters";
    policies.by_subject.push_back({std::string(filter), *known});
    return {};
}

std::string check_durability(std::string_view text) {
    if (text == "fsync") return {};
    if (text == "interval" || text == "memory") return quoted(text) + " is " + std::string(not_yet);
    return quoted(text) + " is none of fsync, interval, memory";
}

std::string check_remote_syslog(std::string_view text) {
    if (text.starts_with("tcp://") || text.starts_with("unix://")) {
        return quoted(text) + ": only udp:// is supported yet";
    }
    constexpr std::string_view scheme = "udp://";
    if (!text.starts_with(scheme)) return quoted(text) + " is not of the form udp://host:port";
    return check_address(text.substr(scheme.size()));
}

std::string read_duration(std::string_view text, base::Duration most, base::Duration& duration) {
    const auto read = conf::parse_duration(text);
    if (!read) return quoted(text) + " is no duration (those are written as \"10s\", \"1h30m\", \"50us\")";
    if (*read < base::Duration{} || *read > most) {
        return quoted(text) + " is not from 0s to " + conf::duration_text(most);
    }
    duration = *read;
    return {};
}

}  // namespace gateway
