// Opens a TCP connection to an address: looks the name up on libuv's thread pool, then tries its addresses in order,
// each a little after the one before, and takes the first that answers (as RFC 8305 does), so that an address that
// swallows packets holds up none that works.
// Leaves to others: when to dial and whom (routing/peer/tree), names that stand for several gateways (name_lookup).
#pragma once

#include <functional>
#include <string_view>

#include "gateway/io/event_loop.h"
#include "gateway/io/io_error.h"
#include "gateway/io/socket.h"
#include "routing/base/result.h"

namespace gateway::io {

/// How long a dial may take in all.  Source: DESIGN 4.6 dials other candidates meanwhile; stock's route dial waits 1 s,
/// which is short for a far datacenter that drops the first SYN (retried after 1 s, then 2 s).
inline constexpr base::Duration dial_time_max = std::chrono::seconds(4);
/// An address gets so long before the next one is tried as well.  Source: RFC 8305, Connection Attempt Delay.
inline constexpr base::Duration dial_pace = std::chrono::milliseconds(250);
/// How many addresses of one name are tried.
inline constexpr int dial_addresses_max = 16;

/// One attempt.  Destroyed before it ended: given up, `done` is never called.  Threads: the loop's.
class TcpDial {
  public:
    using Done = std::function<void(base::Result<Socket, IoError>)>;

    TcpDial() = default;
    /// Starts at once; `done` is called once, from the loop, never from within this call.  It may destroy this TcpDial.
    /// `address` is "host:port"; an error in it arrives through `done` (address_invalid).
    TcpDial(EventLoop& loop, std::string_view address, Done done, base::Duration time_max = dial_time_max);
    ~TcpDial();
    TcpDial(TcpDial&&) noexcept;
    TcpDial& operator=(TcpDial&&) noexcept;

    struct State;

  private:
    State* state_ = nullptr;  // frees itself when the last request of libuv has ended
};

}  // namespace gateway::io
