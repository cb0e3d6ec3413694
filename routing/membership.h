// Which links a gateway holds: who it dials, who becomes its parent, whom it takes as a child.  A state machine over
// proven connections; DESIGN 4.6 has the rules, this file has them in code:
//
//   - A gateway without a parent is a root and has a *claim* (wall-clock ms, id) that never changes while it is one.
//     Smaller is senior.  A *position* is the claim of one's root and all ids up to it.
//   - Whoever dialled: the end in the junior fragment attaches if it is a root, has no other attempt open, and is not
//     among the other's ancestors.  Else the connection stays open as a *sighting*.
//   - Of two connections between a pair, the one that the smaller id dialled stays (an established link always does).
//   - A member that is no root and has sighted a senior fragment for a while leaves its parent and attaches there; the
//     old link stays as a sighting, over which the rest follows.
//   - Who finds its own id among its ancestors lets go of its parent and is a root.
//   - A root dials its `join` addresses for ever; any other member those that do not lead into its own fragment.
//
// A fresh root waits for its first round of dials to end before it attaches to anybody (at most settle_time), so that a
// gateway that restarts between two others finds its parent before it becomes the child of its former child.
// Not here yet: spares, redirects by max_children; `position` has what they need.
// Leaves to others: HELLO and its proofs, lanes, bytes (peer::PeerSession), and everything about interest.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "routing/base/prng.h"
#include "routing/base/time.h"
#include "routing/types.h"

namespace routing {

/// A root's seniority: the smaller one is senior.
struct Claim {
    base::WallMillis made_at = 0;
    GatewayId id;
    auto operator<=>(const Claim&) const = default;
    [[nodiscard]] bool senior_to(const Claim& other) const { return *this < other; }
};

/// Where a gateway stands in its fragment.
struct Position {
    Claim root;
    std::vector<GatewayId> ancestors;  ///< parent first, root last; empty: it is the root
    bool operator==(const Position&) const = default;
    [[nodiscard]] bool has_ancestor(const GatewayId& id) const;
};

/// Deepest place in a tree.  Unit: links.  Source: trees of up to 256 gateways (DESIGN 4.4), were they all in one row.
inline constexpr std::size_t ancestors_max = 256;
/// Open sightings.  Own choice: dials are rare and a parent has at most tens of children.
inline constexpr std::size_t sightings_max = 64;

struct MembershipOptions {
    std::vector<std::string> join;  ///< addresses that lead to members
    /// A root's dials: first pause after a failure, and the longest.  Short, so that a gateway that was restarted is
    /// found again in about a second; a refused connect costs next to nothing.  Jitter of a quarter is added.
    base::Duration redial_min = std::chrono::milliseconds(100);
    base::Duration redial_max = std::chrono::seconds(1);
    /// Dials of a member that is no root, to addresses outside its fragment.  DESIGN 4.6 says 30 s; that is for trees
    /// with spares.  Until then such a dial is the only way by which two fragments meet.
    base::Duration probe_interval = std::chrono::seconds(2);
    base::Duration settle_time = std::chrono::seconds(1);
    /// How long a member looks at a senior fragment before it moves there.  Source: DESIGN 4.6.
    base::Duration patience = std::chrono::seconds(5);
    /// The same while it has had its parent for less than `fresh_time`: who has just come leaves nothing behind.
    base::Duration patience_fresh = std::chrono::milliseconds(300);
    base::Duration fresh_time = std::chrono::seconds(10);
    base::Duration attempt_time = std::chrono::seconds(5);          ///< from Attach to established
    base::Duration refused_pause = std::chrono::milliseconds(500);  ///< before the same peer is asked again
    base::Duration useless_time = std::chrono::seconds(5);  ///< a sighting into the own fragment is closed after this
};

/// A proven connection, as the owner numbers it; never reused within a process.
using PeerHandle = std::uint64_t;
inline constexpr PeerHandle peer_none = 0;

/// Now, by both clocks.
struct Moment {
    base::Instant now;
    base::WallMillis wall = 0;
};

/// What the owner is to do, in order.
struct MembershipAction {
    enum class Kind : std::uint8_t {
        dial,    ///< connect to `address`, say HELLO; then met(), or dial_failed()
        attach,  ///< ask `peer` to take us as its child; then established() or attach_refused()
        detach,  ///< let go of the parent `peer`: its data lanes end, the connection stays as a sighting
        close,   ///< close the connection (no gone() follows); `reason` for the log
        moved,   ///< position() changed: tell every open connection
    };
    Kind kind = Kind::dial;
    PeerHandle peer = peer_none;
    std::string address;
    std::string_view reason;
};

enum class PeerRole : std::uint8_t {
    sighting,   ///< open, proven, no data
    attaching,  ///< we asked it to be our parent
    adopting,   ///< it asked us, we said yes, the lanes are being opened
    parent,
    child,
};

/// See the head of this file.
/// Threads: one.  Deterministic: the same calls and seed give the same actions.
class Membership {
  public:
    Membership(MembershipOptions options, const GatewayId& self, std::uint64_t seed, Moment at);

    /// A connection is open and the other end has proven who it is.  The caller has refused a second live holder of an
    /// id and ourselves.
    /// `address`: what was dialled (empty: it dialled us).
    void met(PeerHandle peer, const GatewayId& id, std::string_view address, Position position, Moment at);
    /// The dial of `address` ended before met().  `is_self`: it leads to ourselves and is not dialled again.
    void dial_failed(std::string_view address, bool is_self, Moment at);
    /// The other end's position changed.
    void told(PeerHandle peer, Position position, Moment at);
    /// It asks to become our child.  Empty: yes, and it is adopting now.  Else why not; it stays as it was.
    [[nodiscard]] std::string_view adopt(PeerHandle peer, Moment at);
    /// Our Attach was refused.
    void attach_refused(PeerHandle peer, Moment at);
    /// The session stands: an attaching peer is our parent now, an adopting one our child.
    void established(PeerHandle peer, Moment at);
    /// Our child let go of us, or either end gave up the data lanes; the connection stays as a sighting.
    void released(PeerHandle peer, Moment at);
    /// The connection is closed.
    void gone(PeerHandle peer, Moment at);
    /// Who is reachable in the tree right now.
    void set_members(std::set<GatewayId> members) { members_ = std::move(members); }

    void tick(Moment at);
    [[nodiscard]] base::Instant next_deadline() const;
    /// A fresh root, whose first round of dials has not ended (for at most settle_time).
    [[nodiscard]] bool settling(base::Instant now) const;
    /// Drains the actions.
    [[nodiscard]] std::vector<MembershipAction> take_actions();

    [[nodiscard]] const Position& position() const { return position_; }
    [[nodiscard]] bool is_root() const { return parent_ == peer_none; }
    [[nodiscard]] PeerHandle parent() const { return parent_; }
    /// Children, ascending by id.
    [[nodiscard]] std::vector<GatewayId> children() const;
    [[nodiscard]] std::optional<GatewayId> parent_id() const;
    [[nodiscard]] std::optional<PeerRole> role(PeerHandle peer) const;

  private:
    struct Peer {
        GatewayId id;
        std::string address;  ///< empty: it dialled us
        Position position;
        PeerRole role = PeerRole::sighting;
        base::Instant since{};                            ///< in this role
        base::Instant senior_since = base::instant_max;   ///< its fragment has been senior to ours since
        base::Instant useless_since = base::instant_max;  ///< it has been in our fragment since
        base::Instant ask_not_before{};
    };
    struct Seed {
        std::string address;
        base::Instant next_dial{};
        base::Duration pause{};
        bool dialling = false;
        bool round_done = false;  ///< the first dial since we are a root has ended
        bool is_self = false;
        PeerHandle open = peer_none;
        std::optional<GatewayId> leads_to;
    };

    void become_root(Moment at);
    void set_position(Position position);
    void follow_parent(Moment at);
    void decide(Moment at);
    void start_attach(PeerHandle handle, Peer& peer, Moment at);
    void leave_parent(std::string_view reason, Moment at);
    void close(PeerHandle handle, std::string_view reason, Moment at);
    void forget(PeerHandle handle, Moment at);
    void dial_seeds(Moment at);
    [[nodiscard]] base::Duration jittered(base::Duration pause);
    [[nodiscard]] bool could_attach_to(const Peer& peer) const;
    [[nodiscard]] base::Duration patience(base::Instant now) const;
    [[nodiscard]] bool wants_dial(const Seed& seed) const;
    void judge(Peer& peer, base::Instant now) const;

    MembershipOptions options_;
    GatewayId self_;
    base::Prng prng_;
    Position position_;
    PeerHandle parent_ = peer_none;
    PeerHandle attempt_ = peer_none;
    base::WallMillis last_claim_ = 0;
    base::Instant settle_until_{};
    std::map<PeerHandle, Peer> peers_;
    std::vector<Seed> seeds_;
    std::set<GatewayId> members_;
    std::vector<MembershipAction> actions_;
};

}  // namespace routing
