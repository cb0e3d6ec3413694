#include "gateway/session_settings.h"

#include <charconv>
#include <string_view>
#include <utility>

#include "gateway/io/socket.h"
#include "routing/base/check.h"

namespace gateway {

namespace {

void advertise(const std::string& address, compat::ServerInfo& info) {
    std::string_view host;
    std::string_view port;
    if (!io::split_address(address, host, port)) {
        info.host = address;  // without a port
        return;
    }
    info.host = host;
    std::uint16_t number = 0;
    const auto read = std::from_chars(port.data(), port.data() + port.size(), number);
    // 0 and -1 are stock's way to write "the one that is listened on", too.
    if (read.ec == std::errc() && number != 0) info.port = number;
}

}  // namespace

void apply_config(const Config& config, std::uint16_t port, compat::SessionSettings& settings) {
    settings.info.host = config.client.host;
    settings.info.port = port;
    if (!config.client_advertise.empty()) advertise(config.client_advertise, settings.info);
    settings.info.headers = !config.limits.no_header_support;
    settings.info.max_payload = config.limits.max_payload;
    settings.control_line_bytes_max = config.limits.max_control_line;
    settings.subscriptions_max = config.limits.max_subscriptions;
    settings.subscription_tokens_max = config.limits.max_sub_tokens;
    settings.ping_interval = config.limits.ping_interval;
    settings.ping_out_max = config.limits.ping_max;
    auto mappings = compat::SubjectMappings::compile(config.mappings);
    BASE_CHECK(mappings.ok());
    settings.mappings = std::move(mappings).value();
}

}  // namespace gateway
