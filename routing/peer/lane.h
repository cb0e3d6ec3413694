// The three connections of a link.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace routing::peer {

/// What one of a link's connections carries.  Source: DESIGN 4.7.
enum class Lane : std::uint8_t {
    volatile_ = 0,  ///< interest, topology, definitions and messages, in one order
    durable = 1,    ///< durable records, with definitions of their own
    control = 2,    ///< hello, heartbeats, and what is addressed to a gateway by id
};
inline constexpr std::size_t lanes = 3;

[[nodiscard]] constexpr std::string_view lane_name(Lane lane) {
    return lane == Lane::volatile_ ? "volatile" : lane == Lane::durable ? "durable" : "control";
}

}  // namespace routing::peer
