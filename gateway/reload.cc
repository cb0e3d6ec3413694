#include "gateway/reload.h"

#include <string_view>

#include "gateway/conf/duration.h"
#include "gateway/config_draft.h"

namespace gateway {

namespace {

std::string text_of(const std::string& value) {
    return value;
}
std::string text_of(bool value) {
    return value ? "true" : "false";
}
std::string text_of(base::Duration value) {
    return conf::duration_text(value);
}
std::string text_of(std::uint64_t value) {
    return std::to_string(value);
}
std::string text_of(const std::vector<std::string>& values) {
    std::string text = "[";
    for (const std::string& value : values) text += (text.size() > 1 ? " " : "") + value;
    return text + "]";
}

class Comparison {
  public:
    explicit Comparison(ReloadPlan& plan) : plan_(plan) {}

    /// May change; the log says the new value.
    template <typename T>
    void may(std::string_view name, const T& running, const T& wanted) {
        if (running == wanted) return;
        plan_.changes.push_back("Reloaded: " + std::string(name) + " = " + text_of(wanted));
    }
    /// May change; the log says only that it did, or in words of its own.
    void may(bool changed, std::string_view line) {
        if (changed) plan_.changes.emplace_back(line);
    }
    /// Must stay as it is.
    template <typename T>
    void must_stay(std::string_view name, const T& running, const T& wanted) {
        if (running == wanted) return;
        plan_.errors.push_back("config reload not supported for " + std::string(name) + ": old=" + text_of(running) +
                               ", new=" + text_of(wanted));
    }
    /// Must stay as it is, and is not shown.
    void must_stay(bool changed, std::string_view name) {
        if (changed) plan_.errors.push_back("config reload not supported for " + std::string(name));
    }

  private:
    ReloadPlan& plan_;
};

/// Source: nats-server reload.go, in the order of its Options.
void compare_stock(const Config& running, const Config& wanted, Comparison& compare) {
    const LogConfig& log = running.log;
    const LimitsConfig& limits = running.limits;
    compare.must_stay("ServerName", running.server_name, wanted.server_name);
    compare.must_stay("Host", running.client.host, wanted.client.host);
    if (wanted.client.port != 0) {
        compare.must_stay("Port", std::uint64_t{running.client.port}, std::uint64_t{wanted.client.port});
    }
    if (running.client_advertise != wanted.client_advertise) {
        compare.may(true, "Reload: client_advertise = " + wanted.client_advertise);  // sic
    }
    compare.may("trace", log.trace, wanted.log.trace);
    compare.may("debug", log.debug, wanted.log.debug);
    compare.may("trace_verbose", log.trace_verbose, wanted.log.trace_verbose);
    compare.may("trace_headers", log.trace_headers, wanted.log.trace_headers);
    compare.must_stay("NoHeaderSupport", limits.no_header_support, wanted.limits.no_header_support);
    compare.may("logtime", log.time, wanted.log.time);
    compare.may("logtime_utc", log.time_utc, wanted.log.time_utc);
    compare.may("max_connections", std::uint64_t{limits.max_connections}, std::uint64_t{wanted.limits.max_connections});
    compare.must_stay("MaxSubs", std::uint64_t{limits.max_subscriptions},
                      std::uint64_t{wanted.limits.max_subscriptions});
    compare.must_stay("MaxSubTokens", std::uint64_t{limits.max_sub_tokens},
                      std::uint64_t{wanted.limits.max_sub_tokens});
    compare.may("ping_interval", limits.ping_interval, wanted.limits.ping_interval);
    compare.may("ping_max", std::uint64_t{limits.ping_max}, std::uint64_t{wanted.limits.ping_max});
    compare.may("max_control_line", std::uint64_t{limits.max_control_line},
                std::uint64_t{wanted.limits.max_control_line});
    compare.may("max_payload", std::uint64_t{limits.max_payload}, std::uint64_t{wanted.limits.max_payload});
    compare.must_stay("MaxPending", limits.max_pending, wanted.limits.max_pending);
    compare.may(limits.no_fast_producer_stall != wanted.limits.no_fast_producer_stall,
                wanted.limits.no_fast_producer_stall ? "Reloaded: fast producers will not be stalled"
                                                     : "Reloaded: fast producers will be stalled");
    compare.may("pid_file", running.pid_file, wanted.pid_file);
    compare.may("ports_file_dir", running.ports_file_dir, wanted.ports_file_dir);
    compare.may("log_file", log.file, wanted.log.file);
    compare.must_stay("LogSizeLimit", log.size_limit, wanted.log.size_limit);
    compare.must_stay("LogMaxFiles", std::uint64_t{log.max_files}, std::uint64_t{wanted.log.max_files});
    compare.may("syslog", log.syslog, wanted.log.syslog);
    compare.may("remote_syslog", log.remote_syslog, wanted.log.remote_syslog);
    compare.may("write_deadline", limits.write_deadline, wanted.limits.write_deadline);
    compare.must_stay("LameDuckDuration", running.lame_duck.duration, wanted.lame_duck.duration);
    compare.must_stay("LameDuckGracePeriod", running.lame_duck.grace, wanted.lame_duck.grace);
    compare.may("max_traced_msg_len", std::uint64_t{log.traced_bytes_max}, std::uint64_t{wanted.log.traced_bytes_max});
    compare.may(running.mappings != wanted.mappings, "Reloaded: accounts");  // the account that has them, in stock
    compare.may(running.server_tags != wanted.server_tags, "Reloaded: tags");
    compare.may(running.server_metadata != wanted.server_metadata, "Reloaded: metadata");
}

void compare_tree(const TreeConfig& running, const TreeConfig& wanted, Comparison& compare) {
    compare.must_stay("tree.name", running.name, wanted.name);
    compare.must_stay("tree.listen", running.listen.host + ":" + std::to_string(running.listen.port),
                      wanted.listen.host + ":" + std::to_string(wanted.listen.port));
    compare.must_stay("tree.join", running.join, wanted.join);
    compare.must_stay("tree.advertise", running.advertise, wanted.advertise);
    compare.must_stay(running.secret != wanted.secret, "tree.secret");
    compare.may("tree.region", running.region, wanted.region);
    compare.may("tree.tags", running.tags, wanted.tags);
    compare.may("tree.max_children", std::uint64_t{running.max_children}, std::uint64_t{wanted.max_children});
    compare.may("tree.compression", std::string(name_of(running.compression)),
                std::string(name_of(wanted.compression)));
    compare.may("tree.queue_policy", std::string(routing::name_of(running.queue_policies.standard)),
                std::string(routing::name_of(wanted.queue_policies.standard)));
    compare.may(running.queue_policies.by_subject != wanted.queue_policies.by_subject, "Reloaded: tree.queue_policies");
}

}  // namespace

ReloadPlan plan_reload(const Config& running, const Config& wanted) {
    ReloadPlan plan;
    Comparison compare(plan);
    compare_stock(running, wanted, compare);
    compare.must_stay("shards", std::uint64_t{running.shards}, std::uint64_t{wanted.shards});
    compare.must_stay("spin", running.spin, wanted.spin);
    compare.must_stay("data_dir", running.data_dir, wanted.data_dir);
    if (running.tree && wanted.tree) {
        compare_tree(*running.tree, *wanted.tree, compare);
    } else {
        compare.must_stay(running.tree.has_value() != wanted.tree.has_value(), "tree");
    }
    compare.must_stay("durable", running.durable.filters, wanted.durable.filters);
    compare.must_stay("dump_keep", running.durable.dump_keep, wanted.durable.dump_keep);
    if (!plan.errors.empty()) plan.changes.clear();
    return plan;
}

}  // namespace gateway
