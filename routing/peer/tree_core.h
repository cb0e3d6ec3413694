// The inside of Tree: what its three parts share.
//   tree.cc        calls from outside: transports, time, status
//   tree_flow.cc   messages on their way, and what happens where a lane is full
//   tree_links.cc  connections and sessions: dials, lanes, membership's wishes, ends
//   tree_logs.cc   logs, sync, topology, primes
// Every call from outside ends with settle(), where what was put off is done: membership's actions, our own log's
// changes, deferred events, dead objects.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "routing/interest.h"
#include "routing/membership.h"
#include "routing/peer/channel.h"
#include "routing/peer/path_engine.h"
#include "routing/peer/peer_session.h"
#include "routing/peer/tree.h"
#include "routing/topology.h"

namespace routing::peer {

/// Accepted connections that have not yet said what they are, and lanes whose session is not known yet.
inline constexpr std::size_t newcomers_max = 128;
/// Connections that were dialled or have proven themselves, or are about to.
inline constexpr std::size_t sessions_max = 512;
/// How long a newcomer may wait.
inline constexpr base::Duration newcomer_time_max = std::chrono::seconds(3);
/// How long a connect may take.
inline constexpr base::Duration dial_time_max = std::chrono::seconds(5);
/// Our lanes after DETACH wait so long for the other end to close them.
inline constexpr base::Duration ending_time = std::chrono::seconds(2);
/// Digests are compared this often.  Source: DESIGN 4.4, every few seconds.
inline constexpr base::Duration digest_interval = std::chrono::seconds(3);
/// Digests that differ once may be on their way; so often in a row, summaries are exchanged.
inline constexpr int digests_differ_max = 2;
/// A life of our own log that went above ours so often, answering ours each time, is no memory of a dead one: another
/// live gateway has our id.  Own choice: stale copies of one life would have to differ as often.
inline constexpr int rival_answers_max = 3;
/// ... within this time.  Who gave way stays out of the tree as long.
inline constexpr base::Duration rival_time = std::chrono::seconds(30);
/// Who is met with an id that is in use may be its holder, started again before all had noticed the end of its former
/// life (silence_max, and the way of the news); it is taken for a copy after this.
inline constexpr base::Duration former_life_time = std::chrono::seconds(6);
/// The same warning about the same peer is logged once in this time, and so many of them are remembered.
inline constexpr base::Duration told_again_time = std::chrono::minutes(1);
inline constexpr std::size_t told_max = 256;
/// Interest changes weights at most this often per group.  Source: DESIGN 4.4 (10 a second).
inline constexpr base::Duration weight_interval = std::chrono::milliseconds(100);
/// Reading of a neighbour's volatile lane stands still for so long at most, then not again for a while, so that one
/// slow way holds up the others only a quarter of the time.
inline constexpr base::Duration reading_pause_max = std::chrono::milliseconds(250);
inline constexpr base::Duration reading_pause_interval = std::chrono::seconds(1);

class Tree::Core final : public SessionOwner, private LaneSink, private DeliverySink {
  public:
    Core(TreeOptions options, GatewayRegistry& registry, TargetSets& target_sets, TreeHost& host, TreeEvents& events,
         Signer& signer, base::Instant now, base::WallMillis wall);
    ~Core() override;

    // tree.cc
    void start();
    void close_all();
    void on_accepted(TransportId transport, std::string_view remote);
    void on_bytes(TransportId transport, base::ByteView bytes);
    void on_written(TransportId transport, std::size_t bytes);
    void take_output(TransportId transport, base::Bytes& out);
    void tick();
    [[nodiscard]] base::Instant next_deadline() const;
    [[nodiscard]] TreeStatus status() const;
    [[nodiscard]] std::size_t unsent_most() const;
    void settle();
    void set_now(base::Instant now);

    // tree_flow.cc
    SendResult send(TargetSetId targets, std::string_view account, const RecordView& record, Lane lane);
    SendResult send_once(const TargetSet& targets, std::string_view account, const RecordView& record);
    bool send_to_gateway(GatewayIndex gateway, std::uint8_t kind, base::ByteView body);

    // tree_links.cc
    void on_dialed(TransportId transport, bool connected, std::string_view remote);
    void on_resolved(std::string_view name, const std::vector<std::string>& addresses, std::string_view why);
    void on_closed(TransportId transport);
    [[nodiscard]] bool syncing() const;
    void leave();
    [[nodiscard]] Membership& membership() { return membership_; }

    // tree_logs.cc
    bool set_interest(std::string_view account, std::string_view filter, std::string_view queue, std::uint32_t weight);
    void set_durable_filters(const std::vector<DurableFilter>& filters);
    void set_description(const std::string& region, const std::vector<std::string>& tags);
    void set_own(const base::Bytes& key, const base::Bytes& value);
    [[nodiscard]] bool is_propagated(std::string_view filter) const;
    [[nodiscard]] std::vector<DurableFilter> durable_filters() const;
    [[nodiscard]] std::vector<DurableFilter> durable_filters(GatewayIndex gateway) const;
    [[nodiscard]] base::Bytes log_snapshot(GatewayIndex gateway) const;
    bool restore_log(base::ByteView snapshot);
    [[nodiscard]] const GatewayLog* log_of(GatewayIndex gateway) const;
    [[nodiscard]] std::uint64_t members_digest() const;
    bool forget(GatewayIndex gateway);
    void flush_own();
    void claim_prime_at_start();

    // SessionOwner (tree_links.cc)
    Hello make_hello(const Channel& control) override;
    Signer& signer() override { return signer_; }
    void announce(Channel& channel) override;
    void on_proven(PeerSession& session) override;
    void on_told(PeerSession& session) override;
    void on_attach(PeerSession& session, const Attach& attach) override;
    void on_attach_refused(PeerSession& session) override;
    void on_redirected(PeerSession& session, std::string_view address) override;
    void on_joining(PeerSession& session) override;
    void on_established(PeerSession& session) override;
    void on_lane_stuck(PeerSession& session, Lane lane) override;
    void on_lane_gone(PeerSession& session, Lane lane) override { break_lane(session, lane); }
    void on_detached(PeerSession& session) override;
    void on_to_gateway(const ToGateway& message) override;
    void end_session(PeerSession& session, const Refuse& why, bool tell) override;
    void log_line(LogLevel level, std::string_view text) override { events_.log(level, text); }

    TreeOptions options_;
    GatewayRegistry& registry_;
    TreeHost& host_;
    TreeEvents& events_;
    Signer& signer_;
    PathEngine engine_;
    LogBook book_;
    Topology topology_;
    TreeCounters counters_;
    Compressor compressor_;
    base::Bytes unpacked_;  ///< body of a compressed frame
    bool publishers_paused_ = false;
    int depth_ = 0;                 ///< calls from outside that have not ended
    bool advertise_given_ = false;  ///< options_.advertise is what the operator said, not what others see
    std::uint16_t listen_port_ = 0;
    bool loopback_only_ = false;  ///< the listener

  private:
    struct Dial {
        std::string address;
        PeerHandle session = peer_none;  ///< none: a new control lane
        LinkSession joining = 0;         ///< which joining of that session
        Lane lane = Lane::control;
        base::Instant deadline{};
    };
    struct WaitingLane {
        TransportId transport = 0;
        LaneHello hello;
    };
    struct WeightWait {
        std::uint32_t weight = 0;  ///< to be told at `due`
        bool pending = false;
        base::Instant due{};
    };

    void read_frames(Channel& channel, base::ByteView bytes);
    /// False: the channel is not to be read further.
    bool on_frame(Channel& channel);
    [[nodiscard]] bool overfull(const Channel& channel) const;
    void compress(base::Bytes& frames);
    /// The body of a compressed frame, into unpacked_; sets the header's length.
    [[nodiscard]] PeerError unpack(const Channel& channel, FrameHeader& header, base::ByteView body);

    // tree_flow.cc: LaneSink and DeliverySink
    FrameBuffer& lane(LinkIndex link, Lane lane) override;
    FrameBuffer* lane_for_record(LinkIndex link, Lane lane, std::size_t bytes) override;
    void deliver(const VolatileDelivery& delivery) override { events_.deliver(delivery); }
    void deliver_durable(const DurableDelivery& delivery) override { events_.deliver_durable(delivery); }
    void on_press(Channel& channel);
    void release_press();
    void pause_reading(Channel& channel);
    void forward(const ToGateway& message);

    // tree_links.cc
    void run_membership();
    void dial(const std::string& address);
    void dial_failed(const std::string& address, std::string_view reason, DialEnd how);
    void set_facts();
    void see_ourselves();
    void first_frame(Channel& channel);
    void place_lane(Channel& channel, const LaneHello& hello);
    void place_waiting_lanes(PeerSession& session);
    void dial_lane(PeerSession& session, Lane lane);
    void break_lane(PeerSession& session, Lane lane);
    void lane_back(PeerSession& session, Lane lane, Channel& channel);
    void leave(PeerSession& session, std::string_view reason);
    void close_lanes(PeerSession& session, bool at_once);
    void read_held();
    void drop_dial(std::map<TransportId, Dial>::iterator pending, std::string_view reason);
    void close_channel(Channel& channel);
    [[nodiscard]] bool told_lately(const std::string& text);
    [[nodiscard]] bool may_be_former_life(const std::string& said, std::uint64_t boot);
    void refuse_channel(Channel& channel, RefuseReason reason, std::string_view text);
    void end_link(PeerSession& session);
    [[nodiscard]] PeerSession* session_of(PeerHandle handle);
    void sync_changed();
    void tick_channels();
    void advise(std::string_view kind, const PeerSession& session, std::string_view text);
    [[nodiscard]] Moment at() const;

    // tree_logs.cc
    void on_sync_frame(PeerSession& session, const FrameHeader& header, base::ByteView body);
    void on_summary(PeerSession& session, const Summary& summary, bool repair);
    void on_log(PeerSession& session, const LogUpdate& update);
    void begin_sync(PeerSession& session);
    void send_diff(PeerSession& session, const GatewayLog& log, bool repair);
    void flood(const GatewayLog& log);
    void entry_changed(GatewayIndex gateway, base::ByteView key, base::ByteView after);
    void log_applied(GatewayIndex gateway, const GatewayLog& log, const LogVersion& before);
    void make_room();
    void refresh_topology();
    void apply_forgotten();
    void drop_log(GatewayIndex gateway, const GatewayId& id);
    [[nodiscard]] std::vector<KnownMember> known_members() const;
    void refresh_known();
    [[nodiscard]] std::vector<GatewayId> spares() const;
    void resolve_prime_clash();
    void hear_of_myself(const LogVersion& heard);
    [[nodiscard]] bool give_way(const LogVersion& heard);
    void broken_sync(PeerSession& session, PeerError error, std::string_view frame);
    void tick_weights();
    void tick_digests();

    base::Instant now_;
    base::Instant started_;
    base::WallMillis wall_started_;
    Membership membership_;

    std::map<TransportId, std::unique_ptr<Channel>> channels_;
    std::map<TransportId, Dial> dials_;
    std::map<PeerHandle, std::unique_ptr<PeerSession>> sessions_;
    std::vector<WaitingLane> waiting_lanes_;
    std::vector<std::unique_ptr<PeerSession>> ended_;  ///< until the end of the turn
    std::vector<TransportId> closed_;                  ///< until the end of the turn
    std::vector<PeerHandle> doomed_;                   ///< sessions whose buffers grew beyond all bounds
    std::vector<PeerSession*> links_;                  ///< by LinkIndex; null: free
    Channel* reading_ = nullptr;                       ///< whose frame is being handled
    PeerHandle next_handle_ = 1;
    std::size_t newcomers_ = 0;
    bool running_ = false;

    /// Who else seems to have our id.
    struct Rival {
        LogVersion heard;
        base::Instant since{};
        int answers = 0;
    };
    Rival rival_;
    base::Instant gave_way_until_{};
    std::vector<PeerHandle> leaving_;  ///< sessions that end with leaving_for_, at the end of the turn
    Refuse leaving_for_;
    std::map<std::string, base::Instant> told_;  ///< warnings -> when they were logged
    /// (what was said of an id in use, boot id of its second holder) -> when first; at most told_max.
    std::map<std::pair<std::string, std::uint64_t>, base::Instant> met_twice_;

    bool own_dirty_ = false;
    std::size_t own_unflushed_ = 0;  ///< changes since own_dirty_
    bool full_told_ = false;
    bool topology_dirty_ = false;
    bool primes_dirty_ = false;
    bool forgotten_dirty_ = false;
    std::map<GatewayId, std::uint64_t> forgotten_;  ///< as all logs together say; -> incarnation
    bool known_dirty_ = true;
    base::Instant next_known_{};
    std::vector<KnownMember> known_;  ///< as told last
    bool durable_dirty_ = false;
    bool syncing_told_ = false;
    bool press_changed_ = false;
    std::map<base::Bytes, WeightWait> weights_;  ///< groups whose weight was told a moment ago
    std::map<GatewayIndex, std::uint64_t> reachable_boots_;
    std::map<GatewayIndex, base::Instant> left_;  ///< when a gateway was last seen to go
    base::Instant next_digest_{};
    base::Instant last_tick_;
};

}  // namespace routing::peer
