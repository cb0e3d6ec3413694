// What the system may refuse, as values.  Std only.
#pragma once

#include <cstdint>
#include <string>

namespace gateway::io {

/// Why something with a socket failed.
enum class IoFailure : std::uint8_t {
    address_in_use,   ///< another process listens there
    address_invalid,  ///< not an address of this machine, or no address at all
    not_permitted,    ///< a port below 1024, or a rule of the system
    too_many_files,   ///< this process or the machine is out of file descriptors
    not_found,        ///< the name does not resolve
    refused,          ///< nobody listens there
    timed_out,        ///< no answer within the time given
    other,            ///< see the text
};

struct IoError {
    IoFailure failure = IoFailure::other;
    std::string text;  ///< for a log line, in the system's words: "connection refused"
};

}  // namespace gateway::io
