// One link's life, from the first HELLO to the last word: who the other end is, whether it can prove it, whether it is
// alive, and the three connections.
//
//     greeting ──HELLO──► proving ──PROOF──► sighting ──ATTACH/WELCOME──► joining ──3 lanes up──► established
//                                               ▲────────── DETACH / attach refused ──────────────────┘
//     any state ──refused, silent, broken──► ended
//
// The first connection becomes the control lane.  If a data lane of an established session breaks, or swallows what is
// sent, it alone is opened anew, by who dialled the session, with the same session and token: a *stand-in* takes what
// is written meanwhile.  If it is refused or not back in time, the session ends. Leaves to others: what follows from it
// all (SessionOwner, i.e. Tree), bytes in and out of sockets.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "routing/base/time.h"
#include "routing/event_path.h"
#include "routing/membership.h"
#include "routing/peer/channel.h"
#include "routing/peer/peer_message.h"
#include "routing/peer/tree.h"

namespace routing::peer {

inline constexpr base::Duration heartbeat_interval = std::chrono::seconds(1);
/// Silence that ends a session, to which silence_round_trips are added.  Source: four heartbeats missed.
inline constexpr base::Duration silence_max = std::chrono::seconds(4);
inline constexpr int silence_round_trips = 4;
/// A data lane that broke must be back after this, to which lane_back_round_trips are added.  Source: DESIGN 4.6.
inline constexpr base::Duration lane_back_time = std::chrono::milliseconds(300);
inline constexpr int lane_back_round_trips = 4;
/// A lane that swallows all again so soon after it was opened anew for that costs the session.
inline constexpr base::Duration stuck_again_time = std::chrono::minutes(1);
/// From the first byte to both proven.
inline constexpr base::Duration handshake_time_max = std::chrono::seconds(3);

class PeerSession;

/// What a session needs and tells.  Calls come from within calls into the session.
class SessionOwner {
  public:
    virtual ~SessionOwner() = default;
    /// Our HELLO, with a nonce of its own.
    virtual Hello make_hello(const Channel& control) = 0;
    virtual Signer& signer() = 0;
    /// Something was appended to the channel's buffer.
    virtual void announce(Channel& channel) = 0;
    /// The other end has proven its id.
    virtual void on_proven(PeerSession& session) = 0;
    virtual void on_told(PeerSession& session) = 0;
    /// It asks to be our child.
    virtual void on_attach(PeerSession& session, const Attach& attach) = 0;
    virtual void on_attach_refused(PeerSession& session) = 0;
    /// It has no room for us (any more): `address` may.
    virtual void on_redirected(PeerSession& session, std::string_view address) = 0;
    /// session id and token are known: open (if we dialled) or await the other lanes.
    virtual void on_joining(PeerSession& session) = 0;
    virtual void on_established(PeerSession& session) = 0;
    /// Nothing arrives on this lane although the other end reads it: open it anew.
    virtual void on_lane_stuck(PeerSession& session, Lane lane) = 0;
    /// The other end has let go of a data lane's connection; here it looks whole.
    virtual void on_lane_gone(PeerSession& session, Lane lane) = 0;
    /// The other end let go: its data lanes end.
    virtual void on_detached(PeerSession& session) = 0;
    virtual void on_to_gateway(const ToGateway& message) = 0;
    /// The session must end.  `tell`: send `why` to the other end first.
    virtual void end_session(PeerSession& session, const Refuse& why, bool tell) = 0;
    virtual void log_line(LogLevel level, std::string_view text) = 0;
};

enum class SessionState : std::uint8_t { greeting, proving, sighting, joining, established, ended };

/// See the head of this file.  Threads: one.
class PeerSession {
  public:
    /// `address`: what was dialled to get here; empty: the other end dialled.  Borrows `control`, until the owner
    /// detaches or ends the session.
    PeerSession(SessionOwner& owner, PeerHandle handle, std::string address, Channel& control, base::Instant now);

    /// The dialling end says HELLO first.
    void greet();
    /// A control frame (TO_GATEWAY included).
    void on_control(const FrameHeader& header, base::ByteView body, base::Instant now);
    /// Bytes came in on any lane: it is alive.
    void heard(base::Instant now) { last_heard_ = now; }
    /// To be called before anything of the other end is read.  Ends the session, and is false, if this gateway has
    /// stood still for so long that the other end may have given it up.  What lies unread here is then older than what
    /// has come from there by another way meanwhile.
    [[nodiscard]] bool awake(base::Instant now);
    /// We were not run for `gap`: silence of that time was ours.
    void forgive(base::Duration gap);

    /// Asks the other end to be our parent.
    void ask(const Attach& attach);
    /// Takes the other end as a child: draws session and token.
    void welcome(std::string_view lane_address);
    void refuse_attach(std::string_view why);
    /// Sends the other end on, whether it asked or is a child.
    void redirect(std::string_view why, std::string_view address);
    void tell_position(const Position& position);
    /// Lets go: DETACH, then this is a sighting.  The owner takes the data lanes away.
    void detach();
    /// A data lane is connected at both ends.
    void lane_up(Lane lane, Channel& channel, base::Instant now);
    /// An established session's lane has lost its connection: a stand-in takes its place, until lane_back.  Who did not
    /// dial tells who did, which may have heard nothing (a black hole swallows a reset, too).
    void lane_broke(Lane lane, base::Instant now);
    /// It has a new one: what was written meanwhile goes out on it.
    void lane_back(Lane lane, Channel& channel, base::Instant now);
    /// Broken and not yet back.
    [[nodiscard]] bool lane_waiting(Lane lane) const { return stand_ins_[static_cast<std::size_t>(lane)] != nullptr; }
    /// The data lanes are gone; back to a sighting.
    void drop_lanes();
    void set_ended() { state_ = SessionState::ended; }

    void tick(base::Instant now);
    [[nodiscard]] base::Instant next_deadline() const;

    [[nodiscard]] SessionState state() const { return state_; }
    [[nodiscard]] bool established() const { return state_ == SessionState::established; }
    [[nodiscard]] bool proven() const { return state_ != SessionState::greeting && state_ != SessionState::proving; }
    [[nodiscard]] PeerHandle handle() const { return handle_; }
    [[nodiscard]] const std::string& address() const { return address_; }
    [[nodiscard]] bool we_dialled() const { return !address_.empty(); }
    /// The other end as it introduced itself; before that empty.
    [[nodiscard]] const Hello& other() const { return theirs_; }
    [[nodiscard]] const GatewayId& id() const { return theirs_.id; }
    [[nodiscard]] const Hello& ours() const { return ours_; }
    /// For log lines: name and address, as far as known.
    [[nodiscard]] std::string describe_other() const;
    [[nodiscard]] Channel* channel(Lane lane) const { return channels_[static_cast<std::size_t>(lane)]; }
    [[nodiscard]] LinkSession session() const { return welcome_.session; }
    [[nodiscard]] const Welcome& joining_by() const { return welcome_; }
    [[nodiscard]] base::Duration round_trip() const { return round_trip_; }
    /// The shortest one measured: what the way costs, without what waits.  0: not yet.
    [[nodiscard]] base::Duration least_round_trip() const { return least_round_trip_; }
    /// Both ends know of capability_zstd.
    [[nodiscard]] bool can_compress() const { return can_compress_; }
    /// Both ends know of `capability`.
    [[nodiscard]] bool can(std::string_view capability) const;

    // --- Kept here for the Tree -------------------------------------------------------------------------------------
    LinkIndex link = link_none;            ///< of an established session
    GatewayIndex gateway = gateway_none;   ///< of a proven one
    bool met = false;                      ///< membership knows of it
    bool sync_sent = false;                ///< it has all that we had: messages may go
    bool sync_heard = false;               ///< we have all that it had
    int digests_differ = 0;                ///< how often in a row
    std::map<GatewayId, LogVersion> held;  ///< where its copies of the logs stand

  private:
    void on_hello(base::ByteView body, base::Instant now);
    void on_proof(base::ByteView body);
    void on_welcome(base::ByteView body);
    void on_heartbeat(base::ByteView body, base::Instant now);
    void on_refuse(FrameKind kind, base::ByteView body);
    void prove();
    void beat(base::Instant now);
    void watch_lanes(const Heartbeat& heartbeat, base::Instant now);
    [[nodiscard]] base::Duration patience() const { return silence_max + silence_round_trips * round_trip_; }
    /// Ends the session for a broken rule of the protocol.
    void broken(PeerError error, std::string_view frame);
    void end(RefuseReason reason, std::string_view text, bool tell);
    /// Appends to the control lane.
    template <typename Message>
    void say(const Message& message);

    SessionOwner& owner_;
    PeerHandle handle_;
    std::string address_;
    std::array<Channel*, lanes> channels_{};  ///< a stand-in while a lane is broken
    std::array<std::unique_ptr<Channel>, lanes> stand_ins_;
    std::array<base::Instant, lanes> back_by_{};         ///< of lanes with a stand-in
    std::array<base::Instant, lanes> stuck_reopened_{};  ///< when it was last opened anew because nothing arrived
    SessionState state_ = SessionState::greeting;
    Hello ours_;
    Hello theirs_;
    Welcome welcome_;
    bool asked_ = false;  ///< ATTACH is out
    base::Instant started_;
    base::Instant last_heard_;
    base::Instant next_beat_ = base::instant_max;
    base::Duration round_trip_{};
    base::Duration least_round_trip_{};
    bool can_compress_ = false;
    std::uint64_t their_sent_ = 0;  ///< newest heartbeat heard
    base::Instant their_sent_at_{};
    std::array<std::uint64_t, lanes> arrived_{};     ///< at the other end, as it said last
    std::array<base::Instant, lanes> lane_since_{};  ///< when its connection was opened
    std::array<base::Instant, lanes> stuck_since_{base::instant_max, base::instant_max, base::instant_max};
};

}  // namespace routing::peer
