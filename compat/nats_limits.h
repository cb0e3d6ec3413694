// Every number of the NATS client protocol that an outsider can reach, with its unit and source.
// Leaves to others: what an operator may configure (gateway/config); these are the defaults and the hard ends.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace compat {

/// Longest argument part of a client's control line: from the first byte after the blanks that follow the verb, up to
/// the line's end, without the closing "\r\n".  Unit: bytes.
/// Source: nats-server server/const.go MAX_CONTROL_LINE_SIZE; parser.go measures the arguments alone.
inline constexpr std::size_t control_line_bytes_max = 4096;

/// Largest message, header block included.  Unit: bytes.  Source: nats-server server/const.go MAX_PAYLOAD_SIZE.
inline constexpr std::size_t payload_bytes_max = std::size_t{1024} * 1024;

/// Longest decimal number in a control line.  Unit: digits.  Source: nats-server server/util.go parseSize.
inline constexpr std::size_t size_digits_max = 9;

/// Subscriptions of one connection; 0 is no limit, the default.  Source: nats-server opts.go max_subscriptions.
inline constexpr std::uint32_t subscriptions_max = 0;

/// Tokens in the subject of one SUB; 0 is no limit, the default.  Source: nats-server opts.go max_sub_tokens.
inline constexpr std::uint32_t subscription_tokens_max = 0;

/// Between two looks at a client's liveness.  Source: nats-server server/const.go DEFAULT_PING_INTERVAL.
inline constexpr std::chrono::nanoseconds ping_interval = std::chrono::minutes(2);

/// Unanswered PINGs that a client may have before it is stale.  Source: nats-server server/const.go
/// DEFAULT_PING_MAX_OUT.
inline constexpr std::uint32_t ping_out_max = 2;

/// First PING to a client, counted from its CONNECT (or from its connection, while there was none); up to a fifth is
/// added at random.  Source: nats-server server/const.go firstClientPingInterval, client.go setFirstPingTimer.
inline constexpr std::chrono::nanoseconds first_ping_interval = std::chrono::seconds(2);

/// A PING goes out even to a busy client when the last one is older than this.
/// Source: nats-server server/const.go DEFAULT_RTT_MEASUREMENT_INTERVAL.
inline constexpr std::chrono::nanoseconds round_trip_interval = std::chrono::hours(1);

/// The highest `protocol` in a CONNECT.  Source: nats-server server/client.go ClientProtoInfo.
inline constexpr int client_protocol_max = 1;

/// A parser keeps its tail buffer up to this size between messages and gives larger ones back.  Unit: bytes.
/// Source: ours; bounds what an idle connection holds.
inline constexpr std::size_t parser_kept_bytes_max = 512;

/// Longest text that append_number writes.  Unit: bytes (2^64-1 has 20 digits).
inline constexpr std::size_t number_digits_max = 20;

}  // namespace compat
