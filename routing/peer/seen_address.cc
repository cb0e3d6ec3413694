#include "routing/peer/seen_address.h"

#include <algorithm>

namespace routing::peer {

namespace {

struct Parts {
    std::string_view host;  // an IPv6 one without its brackets
    std::string_view port;
    bool bracketed = false;
};

bool split(std::string_view address, Parts& parts) {
    parts.bracketed = address.starts_with('[');
    const std::size_t end = parts.bracketed ? address.rfind("]:") : address.rfind(':');
    if (end == std::string_view::npos) return false;
    parts.host = parts.bracketed ? address.substr(1, end - 1) : address.substr(0, end);
    parts.port = address.substr(end + (parts.bracketed ? 2 : 1));
    return !parts.host.empty() && !parts.port.empty();
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_numeric(const Parts& parts) {
    const auto fits = [&](char c) {
        if (!parts.bracketed) return is_digit(c) || c == '.';
        return is_digit(c) || (c >= 'a' && c <= 'f') || c == ':' || c == '.';
    };
    return (parts.bracketed || is_digit(parts.host.back())) && std::all_of(parts.host.begin(), parts.host.end(), fits);
}

}  // namespace

AddressReach reach_of(std::string_view address) {
    Parts parts;
    if (!split(address, parts)) return AddressReach::none;
    const std::string_view host = parts.host;
    if (parts.bracketed) {
        if (host == "::") return AddressReach::none;
        if (host == "::1" || host.starts_with("::ffff:127.")) return AddressReach::loopback;
        return host.starts_with("fe80:") ? AddressReach::local_net : AddressReach::anywhere;
    }
    if (host == "localhost") return AddressReach::loopback;
    if (!is_numeric(parts)) return AddressReach::anywhere;
    if (host.starts_with("127.")) return AddressReach::loopback;
    if (host.starts_with("0.")) return AddressReach::none;
    return host.starts_with("169.254.") ? AddressReach::local_net : AddressReach::anywhere;
}

std::string dialable(std::string_view seen, bool they_dialled, std::uint16_t listen_port) {
    Parts parts;
    if (!split(seen, parts) || !is_numeric(parts) || parts.port.size() > 5 ||
        !std::all_of(parts.port.begin(), parts.port.end(), is_digit))
        return {};
    if (they_dialled) return std::string(seen);
    return std::string(seen.substr(0, seen.size() - parts.port.size())) + std::to_string(listen_port);
}

}  // namespace routing::peer
