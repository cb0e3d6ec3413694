// Which links a gateway holds: who it dials, who becomes its parent, whom it takes as a child.  A state machine over
// proven connections; DESIGN 4.6 has the rules, this file has them in code:
//
//   - A gateway without a parent is a root and has a *claim* (wall-clock ms, id) that never changes while it is one.
//     Smaller is senior.  A *position* is the claim of one's root and all ids up to it.
//   - Whoever dialled: the end in the junior fragment attaches if it is a root, has no other attempt open, and is not
//     among the other's ancestors.  Else the connection stays open as a *sighting*.
//   - Of two connections between a pair, the one that the smaller id dialled stays (an established link always does).
//   - A member that is no root and has sighted a senior fragment for a while leaves its parent and attaches there; the
//     old link stays as a sighting, over which the rest follows, without waiting as long again.
//   - Who finds its own id among its ancestors lets go of its parent and is a root.
//   - A root looks for a parent for ever, any other member for fragments beyond its own: contacts.h.
//   - A parent with max_children sends others on to a child, chosen by region, round trip and how many are behind it.
//     Who was sent on dials there and asks; if that comes to nothing it comes back and *insists*, and is taken.  So is
//     who was sent on redirects_max times.  A parent that has more children than it wants sends the youngest on, one a
//     minute: that one looks whether it can get there before it leaves.
//   - Who is about to end (leave()) takes no children and sends its own on: to its parent, or, as a root, to one of
//   them,
//     the heir, which stays until the end and is a root then.
//
// A fresh root waits for its first round of dials to end before it attaches to anybody (at most settle_time), so that a
// gateway that restarts between two others finds its parent before it becomes the child of its former child.  Who sees
// the fragment again that was its own a moment ago does not wait.
// Leaves to others: HELLO and its proofs, lanes, bytes (peer::PeerSession), and everything about interest.
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "routing/base/time.h"
#include "routing/contacts.h"
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
/// Open sightings.  Source: all of a tree of 256 gateways may knock at one door when it opens.
inline constexpr std::size_t sightings_max = 256;
/// Who was sent on so often is taken above the limit.  Source: DESIGN 4.6.
inline constexpr std::uint32_t redirects_max = 8;

struct MembershipOptions {
    std::vector<std::string> join;        ///< addresses that lead to members
    std::vector<std::string> join_names;  ///< names that are resolved into such
    ContactOptions contacts;
    /// Above it others are sent on.  Source: DESIGN 4.6.
    std::size_t max_children = 10;
    base::Duration settle_time = std::chrono::seconds(1);
    /// How long a member looks at a senior fragment before it moves there.  Source: DESIGN 4.6.
    base::Duration patience = std::chrono::seconds(5);
    /// The same while it has had its parent for less than `fresh_time` (who has just come leaves nothing behind), and
    /// where a former neighbour has gone ahead (it has waited already).
    base::Duration patience_fresh = std::chrono::milliseconds(300);
    base::Duration fresh_time = std::chrono::seconds(10);
    base::Duration attempt_time = std::chrono::seconds(5);          ///< from Attach to established
    base::Duration refused_pause = std::chrono::milliseconds(500);  ///< before the same peer is asked again
    base::Duration useless_time = std::chrono::seconds(5);   ///< a sighting into the own fragment is closed after this
    base::Duration redirect_time = std::chrono::seconds(6);  ///< to get where one was sent: a dial and a handshake
    base::Duration shed_interval = std::chrono::minutes(1);  ///< between children that are sent on.  Source: DESIGN 4.6
    base::Duration leave_interval = std::chrono::seconds(3);  ///< before a child of who ends is told again
};

/// Now, by both clocks.
struct Moment {
    base::Instant now;
    base::WallMillis wall = 0;
};

/// What is known of the other end beside its position; decides where others are sent.
struct PeerFacts {
    std::string region;
    std::string address;            ///< where others can dial it; empty: nowhere
    base::Duration round_trip{};    ///< 0: not measured
    std::size_t behind = 0;         ///< gateways that are reached by this link
    bool can_be_sent = false;       ///< it understands redirects
    bool on_this_machine = false;   ///< the connection does not leave it
    bool address_is_local = false;  ///< `address` means something on its machine only
};

/// What the owner is to do, in order.
struct MembershipAction {
    enum class Kind : std::uint8_t {
        dial,      ///< connect to `address`, say HELLO; then met(), or dial_failed()
        resolve,   ///< find what the name `address` leads to; then resolved(), or dial_failed()
        attach,    ///< ask `peer` to take us as its child; then established(), attach_refused() or redirected()
        detach,    ///< let go of the parent `peer`: its data lanes end, the connection stays as a sighting
        redirect,  ///< tell the child `peer` to go to `address`
        close,     ///< close the connection (no gone() follows); `reason` for the log
        moved,     ///< position() changed: tell every open connection
    };
    Kind kind = Kind::dial;
    PeerHandle peer = peer_none;
    std::string address;
    std::string_view reason;
    std::uint32_t redirects = 0;  ///< attach: how often we were sent on
    bool insists = false;         ///< attach: we were sent on from there, and came back
};

/// The answer to who asks to become a child.
struct Adoption {
    std::string_view refused;  ///< why not; empty: yes, or
    std::string redirect;      ///< go there instead
    [[nodiscard]] bool taken() const { return refused.empty() && redirect.empty(); }
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
    /// The dial of `address` ended before met().
    void dial_failed(std::string_view address, DialEnd how, Moment at);
    /// What a name leads to.
    void resolved(std::string_view name, const std::vector<std::string>& addresses, Moment at);
    /// The other end's position changed.
    void told(PeerHandle peer, Position position, Moment at);
    /// It asks to become our child, and is adopting now if it is taken; else it stays as it was.
    /// `redirects`, `insists`: see MembershipAction.
    [[nodiscard]] Adoption adopt(PeerHandle peer, std::uint32_t redirects, bool insists, Moment at);
    /// Our Attach was refused.
    void attach_refused(PeerHandle peer, Moment at);
    /// It sends us on to `address`: in answer to our Attach, or because it has too many children.
    void redirected(PeerHandle peer, std::string_view address, Moment at);
    /// The session stands: an attaching peer is our parent now, an adopting one our child.
    void established(PeerHandle peer, Moment at);
    /// Our child let go of us, or either end gave up the data lanes; the connection stays as a sighting.
    void released(PeerHandle peer, Moment at);
    /// The connection is closed.
    void gone(PeerHandle peer, Moment at);
    /// Who is reachable in the tree right now.
    void set_members(std::set<GatewayId> members, Moment at) { contacts_.set_members(std::move(members), at.now); }
    /// While we have a parent: who could take its place, best first.
    void set_spares(std::vector<GatewayId> spares) { contacts_.set_spares(std::move(spares)); }
    /// All members whose address is known; this gateway not among them.
    void set_known(const std::vector<KnownMember>& known, Moment at) { contacts_.set_known(known, at.now); }
    void set_facts(PeerHandle peer, PeerFacts facts);
    /// From now on; who is too many is sent on, one by one.  At least 1.
    void set_max_children(std::size_t max_children) { options_.max_children = std::max<std::size_t>(max_children, 1); }

    /// This gateway is about to end: its children are to be elsewhere before.  Set the facts of all peers first, here
    /// and before each tick() from then on.
    void leave(Moment at);
    [[nodiscard]] bool leaving() const { return leaving_; }
    /// After leave(): the children have moved, but for the heir, as long as one is needed.
    [[nodiscard]] bool left_alone() const;

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
    /// As many children as are wanted, or about to be.
    [[nodiscard]] bool full() const { return children_and_coming() >= options_.max_children; }
    [[nodiscard]] bool over_full() const { return children_and_coming() > options_.max_children; }
    [[nodiscard]] std::optional<GatewayId> parent_id() const;
    [[nodiscard]] std::optional<PeerRole> role(PeerHandle peer) const;

  private:
    struct Peer {
        GatewayId id;
        std::string address;  ///< empty: it dialled us
        Position position;
        PeerFacts facts;
        PeerRole role = PeerRole::sighting;
        bool was_linked = false;                          ///< it was our parent or child
        bool insists = false;                             ///< it sent us on, and that came to nothing
        std::uint32_t redirects = 0;                      ///< how often we were sent on, up to this one
        base::Instant since{};                            ///< in this role
        base::Instant senior_since = base::instant_max;   ///< its fragment has been senior to ours since
        base::Instant useless_since = base::instant_max;  ///< it has been in our fragment since
        base::Instant ask_not_before{};
        base::Instant sent_on_at{};  ///< a child: when it was last told to go elsewhere
        std::size_t sent_there = 0;  ///< a child: how many were sent to it since its facts were set
    };
    /// Where we were sent.
    struct Redirect {
        PeerHandle from = peer_none;
        Claim root;  ///< of its fragment
        std::string address;
        std::uint32_t count = 0;
        base::Instant deadline;
        std::optional<GatewayId> target;  ///< who is there
    };

    void become_root(Moment at);
    void set_position(Position position);
    void follow_parent(Moment at);
    void decide(Moment at);
    void decide_redirect(Moment at);
    void give_up_redirect(Moment at);
    void start_attach(PeerHandle handle, Peer& peer, Moment at);
    void leave_parent(std::string_view reason, Moment at);
    void lose_parent(const GatewayId& parent, Moment at);
    void close(PeerHandle handle, std::string_view reason, Moment at);
    void forget(PeerHandle handle, Moment at);
    void make_sighting(Peer& peer, Moment at);
    void shed(Moment at);
    void send_children_on(Moment at);
    [[nodiscard]] const Peer* heir() const;
    [[nodiscard]] const Peer* place_beyond(const Peer& asker) const;
    [[nodiscard]] std::size_t children_and_coming() const;
    [[nodiscard]] Peer* place_for(const Peer& asker);
    [[nodiscard]] Peer* find(PeerHandle handle);
    [[nodiscard]] PeerHandle handle_of(const GatewayId& id) const;
    /// A root that was sent on asks nobody else of that fragment meanwhile.
    [[nodiscard]] bool waits_for_redirect(const Peer& peer) const {
        return redirect_ && is_root() && peer.position.root == redirect_->root;
    }
    [[nodiscard]] bool could_attach_to(const Peer& peer) const;
    [[nodiscard]] base::Duration patience(const Peer& peer, base::Instant now) const;
    void judge(Peer& peer, base::Instant now) const;
    void act(MembershipAction::Kind kind, PeerHandle peer, std::string_view reason = {});

    MembershipOptions options_;
    GatewayId self_;
    Contacts contacts_;
    base::Prng prng_;
    Position position_;
    PeerHandle parent_ = peer_none;
    PeerHandle attempt_ = peer_none;
    base::WallMillis last_claim_ = 0;
    base::Instant settle_until_{};
    std::optional<Claim> lost_root_;  ///< of the fragment that was ours until our parent was lost
    GatewayId lost_parent_;
    std::optional<Redirect> redirect_;
    base::Instant next_shed_ = base::instant_max;
    bool leaving_ = false;
    base::Instant next_leave_ = base::instant_max;  ///< when those children that are still there are told again
    std::map<PeerHandle, Peer> peers_;
    std::vector<MembershipAction> actions_;
};

}  // namespace routing
