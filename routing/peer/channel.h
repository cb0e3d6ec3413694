// One connection of a link: what came in half, what waits to go out, and how fast it goes.
// Leaves to others: what the frames mean (peer_session, tree), the socket (TreeHost).
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "routing/base/bytes.h"
#include "routing/base/time.h"
#include "routing/peer/frame.h"
#include "routing/peer/lane.h"
#include "routing/peer/peer_codec.h"
#include "routing/peer/tree.h"

namespace routing::peer {

class PeerSession;

/// Unsent bytes of a volatile lane above which publishers are slowed: this, or what goes out in volatile_unsent_time at
/// the measured rate if that is more, but never above volatile_unsent_max.  Unit: bytes.  Source: DESIGN 4.7.
inline constexpr std::size_t volatile_unsent_min = 256 * 1024;
inline constexpr base::Duration volatile_unsent_time = std::chrono::milliseconds(250);
inline constexpr std::size_t volatile_unsent_max = std::size_t{64} * 1024 * 1024;
/// What was read before the publishers stood still goes in all the same; beyond this much of it records are dropped.
/// Unit: bytes.  Source: DESIGN 3 has 4 MiB for the same thing between shards.
inline constexpr std::size_t volatile_slack = std::size_t{4} * 1024 * 1024;
/// Unsent bytes of a durable lane; a record beyond them is dropped, which is only a gap.  Unit: bytes.
inline constexpr std::size_t durable_unsent_max = std::size_t{8} * 1024 * 1024;
/// Unsent bytes of a control lane above which TO_GATEWAY frames (which may be lost) are dropped.  Unit: bytes.
inline constexpr std::size_t control_unsent_max = std::size_t{4} * 1024 * 1024;
/// Unsent bytes, beyond what records may fill, that end the session.  Unit: bytes.  Source: DESIGN 4.7.
inline constexpr std::size_t undroppable_unsent_max = std::size_t{16} * 1024 * 1024;

/// A frame that has begun must be whole after this, and the time that its length takes at frame_rate_min: a length that
/// was spoiled on the way would else swallow all that follows.  Unit of the rate: bytes a second.
inline constexpr base::Duration frame_time_max = std::chrono::seconds(30);
inline constexpr std::uint32_t frame_rate_min = 100'000;

/// How many bytes a second a socket takes while there is something to take.
class RateMeter {
  public:
    /// `bytes` were taken; `backlog`: more waits.
    void taken(std::size_t bytes, bool backlog, base::Instant now) {
        if (window_ == base::Instant{}) window_ = now;
        bytes_ += bytes;
        const base::Duration elapsed = now - window_;
        if (elapsed < std::chrono::milliseconds(50)) return;
        const auto sample = static_cast<double>(bytes_) * 1e9 / static_cast<double>(elapsed.count());
        // Without a backlog it is the publishers' rate that was measured, so it can only raise ours.
        rate_ = std::max(sample, backlog ? rate_ * 7 / 8 : rate_);
        window_ = now;
        bytes_ = 0;
    }
    /// Unit: bytes a second.
    [[nodiscard]] double rate() const { return rate_; }

  private:
    base::Instant window_{};
    std::size_t bytes_ = 0;
    double rate_ = 0;
};

struct Channel {
    Channel(TransportId id, FrameScope scope) : transport(id), reader(scope) {}

    TransportId transport;
    PeerSession* session = nullptr;  ///< null: an accepted connection that has not said what it is, or one that ends
    Lane lane = Lane::control;
    std::string remote;
    FrameReader reader;
    FrameBuffer out;
    std::size_t in_flight = 0;    ///< taken by the host, not yet by the socket
    std::uint64_t bytes_in = 0;   ///< over the life of the connection
    std::uint64_t bytes_out = 0;  ///< taken by the socket
    RateMeter rate;
    base::Bytes held;                            ///< came before the session could read it
    bool holding = false;                        ///< read nothing yet
    bool newcomer = false;                       ///< accepted, has not said what it is
    bool waiting = false;                        ///< the host knows that there is output
    bool ending = false;                         ///< nothing more is read; closed at `deadline`
    bool closed = false;                         ///< gone; the object goes at the end of the turn
    bool pressed = false;                        ///< volatile: over its bound, not yet under half of it
    bool refuses_records = false;                ///< volatile: not all logs are on it yet; records are dropped
    bool paused = false;                         ///< reading is paused for back-pressure
    base::Instant deadline = base::instant_max;  ///< newcomer or ending: closed then; paused: resumed then
    base::Instant pause_not_before{};
    base::Instant frame_deadline = base::instant_max;  ///< of the frame that has begun

    [[nodiscard]] std::size_t unsent() const { return out.size() + in_flight; }
    /// Above this publishers are slowed.  Unit: bytes.
    [[nodiscard]] std::size_t unsent_bound() const {
        const double at_rate = rate.rate() * std::chrono::duration<double>(volatile_unsent_time).count();
        return std::clamp(static_cast<std::size_t>(at_rate), volatile_unsent_min, volatile_unsent_max);
    }
};

}  // namespace routing::peer
