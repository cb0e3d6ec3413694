// What the clients' sessions are to know of the config: the one place where Config becomes compat::SessionSettings.
#pragma once

#include <cstdint>

#include "compat/client_session.h"
#include "gateway/config.h"

namespace gateway {

/// Sets in `settings` all that clients are told and held to: limits, timers, mappings, and the host and port of INFO.
/// For the start and for a reload; who the gateway is (server_id, server_name, versions) stays as it is.
/// `port` is where clients are listened for, really.  `config` was checked: its mappings compile.
/// Source of host and port: nats-server server/server.go setInfoHostPort (client_advertise goes before host and port;
/// one without a port means the port that is listened on).
void apply_config(const Config& config, std::uint16_t port, compat::SessionSettings& settings);

}  // namespace gateway
