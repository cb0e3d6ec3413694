// The simulated network between gateways: connections as TCP gives them, and all that can befall them.
// Leaves to others: what the bytes mean.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "routing/base/bytes.h"
#include "routing/sim/world.h"

namespace routing::sim {

/// A machine of the network.  Its address is address_of(host).
using HostIndex = std::uint32_t;

/// One end of a connection.  0 is none; never reused.
using EndId = std::uint64_t;

/// All that can befall a connection, in one place.
struct NetworkOptions {
    base::Duration delay_min = std::chrono::microseconds(100);  ///< one way, drawn per chunk; order is kept
    base::Duration delay_max = std::chrono::milliseconds(5);
    std::uint32_t chunk_bytes_max = 16384;  ///< a write arrives in pieces of 1 to this many bytes
    /// What the network takes before the writer must wait.  Unit: bytes per direction.
    std::uint32_t window_bytes = 256 * 1024;
    /// A dial into a black hole fails after this time.
    base::Duration dial_timeout = std::chrono::seconds(3);
    std::uint32_t dial_refused_permille = 0;  ///< dials that are refused for no reason
    std::uint32_t reset_per_million = 0;      ///< chunks that reset their connection instead of arriving
};

/// How a pair of hosts is kept apart.
enum class Cut : std::uint8_t {
    none,
    refuse,      ///< connections are reset at once, dials are refused
    black_hole,  ///< bytes vanish until healed (TCP sends them again then), dials time out
};

/// What a host's end of the network tells it.  Every call comes from the event queue, never from within a call of the
/// host into the network.
class NetworkUser {
  public:
    virtual ~NetworkUser() = default;
    virtual void on_accepted(EndId end, const std::string& remote) = 0;
    virtual void on_dialed(EndId end, bool ok, const std::string& remote) = 0;
    virtual void on_bytes(EndId end, base::ByteView bytes) = 0;
    /// The network took `bytes` of what was written.
    virtual void on_written(EndId end, std::size_t bytes) = 0;
    /// The end is gone, by the other side's wish or by a fault; not called after the own close().
    virtual void on_closed(EndId end) = 0;
};

/// Hosts and the connections between them.
/// Threads: one.  Borrows: users until detach().
class Network {
  public:
    Network(World& world, const NetworkOptions& options);

    /// "h3:7522", what others dial.
    static std::string address_of(HostIndex host);

    /// Brings a host up; `listens` false: nobody can dial it.
    void attach(HostIndex host, NetworkUser& user, bool listens);
    /// Takes it down as a power cut does: its connections vanish; the other ends hear of it (a reset) after the usual
    /// delay, or never while a black hole is between.
    void detach(HostIndex host);

    /// Starts a connection; on_dialed follows.
    EndId dial(HostIndex from, const std::string& address);
    /// The host at the other end; nothing if `end` is gone.
    [[nodiscard]] std::optional<HostIndex> peer_of(EndId end) const;
    /// Appends to the stream.  Ignored on an end that is gone.
    void write(EndId end, base::ByteView bytes);
    /// Ends it from this side: the other end gets what was written, then on_closed.
    void close(EndId end);
    void pause_reading(EndId end);
    void resume_reading(EndId end);

    /// From now on all between the two takes `extra` longer, each way.
    void slow(HostIndex a, HostIndex b, base::Duration extra);
    void cut(HostIndex a, HostIndex b, Cut how);
    void heal(HostIndex a, HostIndex b);
    void heal_all();
    /// Hosts of different numbers in `side` are cut from each other.
    void partition(const std::vector<std::uint32_t>& side, Cut how);
    /// Resets one connection between `a` and `b`, if there is any.  `draw` picks which.
    void reset_one(HostIndex a, HostIndex b, std::uint64_t draw);
    /// From now on the network behaves as it should: no refused dials, no resets.
    void stop_faults();

    [[nodiscard]] std::size_t connections() const { return ends_.size() / 2; }

  private:
    struct End {
        EndId other = 0;
        HostIndex host = 0;
        HostIndex peer = 0;
        bool paused = false;
        bool established = false;
        bool close_wanted = false;  // close() was called: finish the stream, then close the other end
        std::deque<base::Bytes> unsent;
        std::size_t unsent_bytes = 0;
        std::size_t in_flight = 0;        // taken by the network, not yet handed to the other end's user
        std::deque<base::Bytes> waiting;  // arrived here while paused or while a black hole was between
        base::Instant last_arrival{};     // of what this end sent: order is kept
        bool broken = false;              // reset: what is in flight is lost
        bool finished = false;            // the other side wrote all it wanted and closed
    };

    void pump(EndId id);
    void arrive(EndId to, base::Bytes bytes);
    void hand_over(EndId to);
    void finish(EndId to);
    void reset(EndId id);
    void drop_end(EndId id);
    void after_cut(HostIndex a, HostIndex b, Cut how);
    [[nodiscard]] Cut between(HostIndex a, HostIndex b) const;
    [[nodiscard]] base::Duration delay();
    [[nodiscard]] base::Duration delay(HostIndex a, HostIndex b);
    void connect(EndId id, HostIndex from, HostIndex to, base::Instant deadline);
    void refuse(EndId id, HostIndex from);

    World& world_;
    NetworkOptions options_;
    base::Prng prng_;
    struct Host {
        NetworkUser* user = nullptr;
        bool listens = false;
    };
    std::map<HostIndex, Host> hosts_;
    std::map<EndId, End> ends_;
    std::set<EndId> dialing_;  // own side of dials that did not end yet
    std::map<std::pair<HostIndex, HostIndex>, Cut> cuts_;
    std::map<std::pair<HostIndex, HostIndex>, base::Duration> slow_;
    EndId next_end_ = 1;
};

}  // namespace routing::sim
