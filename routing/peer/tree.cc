#include "routing/peer/tree.h"

#include <algorithm>
#include <utility>

#include "routing/base/check.h"
#include "routing/peer/peer_codec.h"
#include "routing/peer/tree_core.h"

namespace routing::peer {

namespace {

MembershipOptions membership_options(const TreeOptions& options) {
    MembershipOptions result;
    result.join = options.join;
    result.join_names = options.join_names;
    result.max_children = std::max<std::size_t>(options.max_children, 1);
    if (options.fast_timers) {
        for (base::Duration* time :
             {&result.contacts.redial_min, &result.contacts.redial_max, &result.contacts.member_redial_min,
              &result.contacts.member_redial_max, &result.contacts.probe_min, &result.contacts.probe_max})
            *time /= 10;
        result.patience /= 10;
        result.patience_fresh /= 10;
    }
    return result;
}

std::vector<std::string_view> tags_of(const GatewayLog& log) {
    std::vector<std::string_view> tags;
    for (auto entry = log.entries().lower_bound(tag_key({})); entry != log.entries().end(); ++entry) {
        const auto tag = read_tag_key(entry->first);
        if (!tag) break;
        tags.push_back(*tag);
    }
    return tags;
}

std::string_view state_name(const PeerSession& session, const std::optional<PeerRole>& role) {
    if (!session.proven() || !role) return "handshake";
    switch (*role) {
        case PeerRole::sighting:
            return "sighting";
        case PeerRole::attaching:
            return "attaching";
        case PeerRole::adopting:
            return "adopting";
        case PeerRole::parent:
            return "parent";
        case PeerRole::child:
            return "child";
    }
    return "handshake";
}

}  // namespace

Tree::Core::Core(TreeOptions options, GatewayRegistry& registry, TargetSets& target_sets, TreeHost& host,
                 TreeEvents& events, Signer& signer, base::Instant now, base::WallMillis wall)
    : options_(std::move(options)),
      registry_(registry),
      host_(host),
      events_(events),
      signer_(signer),
      engine_(registry, target_sets, *this),
      book_(options_.id),
      now_(now),
      started_(now),
      wall_started_(wall),
      membership_(membership_options(options_), options_.id, options_.seed, Moment{now, wall}),
      next_digest_(now + digest_interval),
      last_tick_(now) {
    BASE_CHECK(registry_.id(gateway_self) == options_.id);
    book_.own().start(options_.incarnation, options_.boot);
    set_own(single_key(LogEntryKind::name), options_.name);
    advertise_given_ = !options_.advertise.empty();
    if (advertise_given_) set_own(single_key(LogEntryKind::advertise), options_.advertise);
    if (!options_.region.empty()) set_own(single_key(LogEntryKind::region), options_.region);
    for (const std::string& tag : options_.tags) set_own(tag_key(tag), number_value(1));
}

Tree::Core::~Core() = default;

Moment Tree::Core::at() const {
    const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(now_ - started_);
    return Moment{now_, wall_started_ + since.count()};
}

void Tree::Core::set_now(base::Instant now) {
    now_ = std::max(now, now_);
}

void Tree::Core::start() {
    running_ = true;
    claim_prime_at_start();
    refresh_topology();
    tick();
}

void Tree::Core::close_all() {
    running_ = false;
    const Refuse farewell{RefuseReason::shutdown, options_.name + " ends", {}};
    std::vector<PeerSession*> open;
    for (const auto& [handle, session] : sessions_) open.push_back(session.get());
    for (PeerSession* session : open) end_session(*session, farewell, true);
    for (const auto& [transport, channel] : channels_)
        if (!channel->closed) close_channel(*channel);
    for (const auto& [transport, pending] : dials_) host_.close_transport(transport, {});
    dials_.clear();
}

// ---- bytes ----------------------------------------------------------------------------------------------------------

void Tree::Core::on_accepted(TransportId transport, std::string_view remote) {
    auto made = std::make_unique<Channel>(transport, FrameScope::first);
    Channel& channel = *made;
    channel.remote = remote;
    channel.newcomer = true;
    channel.deadline = now_ + newcomer_time_max;
    channels_.emplace(transport, std::move(made));
    ++newcomers_;
    if (!running_) {
        refuse_channel(channel, RefuseReason::shutdown, "this gateway ends");
    } else if (newcomers_ > newcomers_max || sessions_.size() >= sessions_max) {
        refuse_channel(channel, RefuseReason::limit, "too many connections are waiting here");
    }
}

void Tree::Core::on_bytes(TransportId transport, base::ByteView bytes) {
    const auto found = channels_.find(transport);
    if (found == channels_.end()) return;
    Channel& channel = *found->second;
    if (channel.closed || channel.ending) return;
    if (channel.session && !channel.session->awake(now_)) return;
    channel.bytes_in += bytes.size();
    if (channel.session) channel.session->heard(now_);
    if (channel.holding) {
        channel.held.append(bytes);
        if (!channel.paused) {
            channel.paused = true;
            host_.pause_reading(transport);
        }
        return;
    }
    read_frames(channel, bytes);
}

void Tree::Core::read_frames(Channel& channel, base::ByteView bytes) {
    Channel* const outer = std::exchange(reading_, &channel);
    bool any = false;
    while (!channel.closed && !channel.ending) {
        if (channel.holding) {  // since the last frame: a lane that waits for its session
            channel.held.append(bytes);
            break;
        }
        const FrameReader::Step step = channel.reader.step(bytes);
        if (step == FrameReader::Step::need_more) break;
        if (step == FrameReader::Step::broken) {
            std::string text{describe(channel.reader.error())};
            text += " (kind " + std::to_string(channel.reader.header().kind) + ", " +
                    std::to_string(channel.reader.header().length) + " bytes, " + std::string{lane_name(channel.lane)} +
                    " lane)";
            if (channel.session) {
                end_session(*channel.session, Refuse{RefuseReason::protocol, text, {}}, true);
            } else {
                ++counters_.protocol_errors;
                refuse_channel(channel, RefuseReason::protocol, text);
            }
            break;
        }
        any = true;
        if (!on_frame(channel)) break;
    }
    reading_ = outer;
    if (channel.reader.kept_bytes() == 0) {
        channel.frame_deadline = base::instant_max;
    } else if (any || channel.frame_deadline == base::instant_max) {
        channel.frame_deadline =
            now_ + frame_time_max + std::chrono::seconds(channel.reader.declared_bytes() / frame_rate_min);
    }
}

bool Tree::Core::on_frame(Channel& channel) {
    if (channel.reader.scope() == FrameScope::first) {
        first_frame(channel);
        return !channel.closed;
    }
    FrameHeader header = channel.reader.header();
    base::ByteView body = channel.reader.body();
    PeerSession* session = channel.session;
    if (!session) return false;
    if ((header.flags & compressed_flag) != 0) {
        if (const PeerError error = unpack(channel, header, body); error != PeerError::none) {
            end_session(*session,
                        Refuse{RefuseReason::protocol, "a compressed frame: " + std::string{describe(error)}, {}},
                        true);
            return false;
        }
        body = unpacked_;
    }
    if (is_data_kind(header.kind)) {
        const auto done = engine_.on_frame(session->link, channel.lane, header, body, *this);
        if (done) return true;
        end_session(*session, Refuse{RefuseReason::protocol, std::string{describe(done.error())}, {}}, true);
        return false;
    }
    const auto kind = static_cast<FrameKind>(header.kind);
    if (channel.reader.scope() == FrameScope::joining) {
        if (kind == FrameKind::lane_ok) {
            if (!session->lane_waiting(channel.lane)) {
                session->lane_up(channel.lane, channel, now_);
            } else {
                lane_back(*session, channel.lane, channel);
            }
            return true;
        }
    } else if (channel.lane == Lane::volatile_ && kind != FrameKind::refuse && kind != FrameKind::goodbye) {
        on_sync_frame(*session, header, body);
        return true;
    }
    session->on_control(header, body, now_);
    return true;
}

void Tree::Core::on_written(TransportId transport, std::size_t bytes) {
    const auto found = channels_.find(transport);
    if (found == channels_.end()) return;
    Channel& channel = *found->second;
    channel.in_flight -= std::min(bytes, channel.in_flight);
    channel.bytes_out += bytes;
    channel.rate.taken(bytes, channel.unsent() > 0, now_);
    if (channel.pressed && channel.unsent() < channel.unsent_bound() / 2) {
        channel.pressed = false;
        press_changed_ = true;
    }
}

void Tree::Core::take_output(TransportId transport, base::Bytes& out) {
    BASE_CHECK(out.empty());
    flush_own();
    const auto found = channels_.find(transport);
    if (found == channels_.end() || found->second->closed) return;
    Channel& channel = *found->second;
    channel.waiting = false;
    channel.out.take(out);
    if (const PeerSession* session = channel.session; session && channel.lane != Lane::control) {
        const bool worth =
            options_.compression == Compression::on ||
            (options_.compression == Compression::automatic && session->least_round_trip() > compress_round_trip);
        if (worth && session->established() && session->can_compress()) compress(out);
    }
    channel.in_flight += out.size();
}

void Tree::Core::announce(Channel& channel) {
    if (!channel.waiting && !channel.closed) {
        channel.waiting = true;
        host_.output_waiting(channel.transport);
    }
    if (overfull(channel) && channel.session) doomed_.push_back(channel.session->handle());
}

bool Tree::Core::overfull(const Channel& channel) const {
    const std::size_t records = channel.lane == Lane::volatile_ ? channel.unsent_bound() + volatile_slack
                                : channel.lane == Lane::durable ? durable_unsent_max
                                                                : control_unsent_max;
    if (channel.unsent() <= records + undroppable_unsent_max) return false;
    // A first sync may be larger: all logs, and again as much for what changes meanwhile.
    return channel.lane != Lane::volatile_ || channel.unsent() > records + undroppable_unsent_max + 2 * book_.bytes();
}

// ---- time -----------------------------------------------------------------------------------------------------------

void Tree::Core::tick() {
    // A process that was stopped has heard nothing because it did not listen; its neighbours have waited for a while.
    constexpr base::Duration expected = std::chrono::seconds(2);
    const base::Duration gap = now_ - last_tick_;
    last_tick_ = now_;
    std::vector<PeerSession*> open;
    for (const auto& [handle, session] : sessions_) open.push_back(session.get());
    for (PeerSession* session : open) {
        if (!session->awake(now_)) continue;
        if (gap > expected) session->forgive(gap);
        session->tick(now_);
    }
    tick_channels();
    tick_weights();
    tick_digests();
    if (running_) {
        if (membership_.over_full() || membership_.leaving()) set_facts();
        membership_.tick(at());
    }
}

base::Instant Tree::Core::next_deadline() const {
    // No later than this, so that tick() can tell a stopped process from a quiet one.
    base::Instant deadline = last_tick_ + std::chrono::seconds(1);
    if (running_) deadline = std::min(deadline, membership_.next_deadline());
    for (const auto& [handle, session] : sessions_) deadline = std::min(deadline, session->next_deadline());
    for (const auto& [transport, channel] : channels_)
        if (!channel->closed) deadline = std::min({deadline, channel->deadline, channel->frame_deadline});
    for (const auto& [transport, pending] : dials_) deadline = std::min(deadline, pending.deadline);
    for (const auto& [key, wait] : weights_)
        if (wait.pending) deadline = std::min(deadline, wait.due);
    if (known_dirty_) deadline = std::min(deadline, next_known_);
    return std::min(deadline, next_digest_);
}

/// Does what was put off during a call.
void Tree::Core::settle() {
    ++depth_;  // what events call meanwhile does not settle by itself
    for (int round = 0; round < 64; ++round) {
        for (const PeerHandle handle : std::exchange(doomed_, {}))
            if (PeerSession* session = session_of(handle))
                end_session(*session, Refuse{RefuseReason::limit, "more waits for it than is kept", {}}, false);
        for (const PeerHandle handle : std::exchange(leaving_, {}))
            if (PeerSession* session = session_of(handle)) end_session(*session, leaving_for_, true);
        read_held();
        flush_own();
        refresh_topology();
        refresh_known();
        if (forgotten_dirty_) apply_forgotten();
        if (primes_dirty_) resolve_prime_clash();
        const std::size_t before = sessions_.size() + dials_.size();
        run_membership();
        if (before == sessions_.size() + dials_.size() && !own_dirty_ && !topology_dirty_ && doomed_.empty() &&
            leaving_.empty())
            break;
    }
    release_press();
    if (std::exchange(durable_dirty_, false)) events_.durable_filters_changed();
    sync_changed();
    for (const TransportId transport : std::exchange(closed_, {})) channels_.erase(transport);
    ended_.clear();
    --depth_;
}

// ---- status ---------------------------------------------------------------------------------------------------------

std::size_t Tree::Core::unsent_most() const {
    std::size_t most = 0;
    for (const auto& [handle, session] : sessions_) {
        std::size_t unsent = 0;
        for (std::size_t i = 0; i < lanes; ++i)
            if (const Channel* channel = session->channel(static_cast<Lane>(i))) unsent += channel->unsent();
        most = std::max(most, unsent);
    }
    return most;
}

TreeStatus Tree::Core::status() const {
    TreeStatus status;
    status.name = options_.name;
    status.tree = options_.tree;
    status.advertise = options_.advertise;
    status.id = options_.id;
    status.incarnation = book_.own().version().incarnation;
    status.boot = options_.boot;
    status.root = membership_.is_root();
    status.root_id = membership_.position().root.id;
    if (const auto parent = membership_.parent_id()) status.parent = registry_.find(*parent).value_or(gateway_none);
    for (const GatewayId& child : membership_.children())
        if (const auto index = registry_.find(child)) status.children.push_back(*index);
    std::sort(status.children.begin(), status.children.end());
    status.members = topology_.members();
    for (const auto& [id, log] : book_.all()) {
        const auto index = registry_.find(id);
        if (!index) continue;
        GatewayStatus gateway;
        gateway.index = *index;
        gateway.id = id;
        gateway.name = log.find(single_key(LogEntryKind::name));
        gateway.advertise = log.find(single_key(LogEntryKind::advertise));
        gateway.region = log.find(single_key(LogEntryKind::region));
        for (const std::string_view tag : tags_of(log)) gateway.tags.emplace_back(tag);
        if (const auto prime = read_prime_value(log.find(single_key(LogEntryKind::prime)))) {
            gateway.prime = prime->prime;
            gateway.prime_claimed_at = prime->claimed_at;
        }
        gateway.neighbours = topology_.neighbours(*index);
        gateway.incarnation = log.version().incarnation;
        gateway.boot = log.version().boot;
        gateway.version = log.version().version;
        gateway.digest = log.digest();
        gateway.entries = log.entries().size();
        gateway.reachable = topology_.reachable(*index);
        gateway.distance = topology_.distance(*index);
        gateway.next_hop = topology_.next_hop(*index);
        if (*index == gateway_self) status.prime = gateway.prime;
        status.gateways.push_back(std::move(gateway));
    }
    std::sort(status.gateways.begin(), status.gateways.end(),
              [](const GatewayStatus& a, const GatewayStatus& b) { return a.index < b.index; });
    for (const auto& [handle, session] : sessions_) {
        LinkStatus link;
        link.gateway = session->gateway;
        const Channel* control = session->channel(Lane::control);
        link.address = session->we_dialled() ? session->address() : control->remote;
        link.role = state_name(*session, membership_.role(handle));
        link.established = session->established();
        link.synced = session->sync_sent && session->sync_heard;
        link.round_trip = session->round_trip();
        for (std::size_t i = 0; i < lanes; ++i) {
            const Channel* channel = session->channel(static_cast<Lane>(i));
            if (!channel) continue;
            link.bytes_in[i] = channel->bytes_in;
            link.bytes_out[i] = channel->bytes_out;
            link.unsent[i] = channel->unsent();
        }
        status.links.push_back(std::move(link));
    }
    status.synced = !syncing();
    status.digest = members_digest();
    status.topology_generation = topology_.generation();
    status.counters = counters_;
    return status;
}

// ---- the public face ------------------------------------------------------------------------------------------------

namespace {

/// One call from outside: takes the time along, and settles at its end.
template <typename CoreType>
class Turn {
  public:
    Turn(CoreType& core, base::Instant now) : core_(core) {
        core.set_now(now);
        ++core.depth_;
    }
    ~Turn() {
        if (--core_.depth_ == 0) core_.settle();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

  private:
    CoreType& core_;
};

}  // namespace

Tree::Tree(TreeOptions options, GatewayRegistry& registry, TargetSets& target_sets, TreeHost& host, TreeEvents& events,
           Signer& signer, base::Instant now, base::WallMillis wall)
    : core_(std::make_unique<Core>(std::move(options), registry, target_sets, host, events, signer, now, wall)) {}

Tree::~Tree() = default;

void Tree::start(base::Instant now) {
    const Turn turn(*core_, now);
    core_->start();
}

void Tree::close_all(base::Instant now) {
    const Turn turn(*core_, now);
    core_->close_all();
}

void Tree::on_accepted(TransportId transport, std::string_view remote, base::Instant now) {
    const Turn turn(*core_, now);
    core_->on_accepted(transport, remote);
}

void Tree::on_dialed(TransportId transport, bool connected, std::string_view remote, base::Instant now) {
    const Turn turn(*core_, now);
    core_->on_dialed(transport, connected, remote);
}

void Tree::on_resolved(std::string_view name, const std::vector<std::string>& addresses, std::string_view why,
                       base::Instant now) {
    const Turn turn(*core_, now);
    core_->on_resolved(name, addresses, why);
}

void Tree::on_bytes(TransportId transport, base::ByteView bytes, base::Instant now) {
    const Turn turn(*core_, now);
    core_->on_bytes(transport, bytes);
}

void Tree::on_closed(TransportId transport, base::Instant now) {
    const Turn turn(*core_, now);
    core_->on_closed(transport);
}

void Tree::on_written(TransportId transport, std::size_t bytes, base::Instant now) {
    const Turn turn(*core_, now);
    core_->on_written(transport, bytes);
}

void Tree::take_output(TransportId transport, base::Bytes& out) {
    core_->take_output(transport, out);
}

void Tree::tick(base::Instant now) {
    const Turn turn(*core_, now);
    core_->tick();
}

base::Instant Tree::next_deadline() const {
    return core_->next_deadline();
}

bool Tree::set_interest(std::string_view account, std::string_view filter, std::string_view queue, std::uint32_t weight,
                        base::Instant now) {
    core_->set_now(now);
    return core_->set_interest(account, filter, queue, weight);
}

void Tree::set_durable_filters(const std::vector<DurableFilter>& filters) {
    core_->set_durable_filters(filters);
}

void Tree::set_advertise(std::string_view address) {
    core_->advertise_given_ = !address.empty();
    core_->options_.advertise = address;
    core_->set_own(single_key(LogEntryKind::advertise), base::Bytes{address});
}

void Tree::set_listener(std::uint16_t port, bool loopback_only) {
    core_->listen_port_ = port;
    core_->loopback_only_ = loopback_only;
}

void Tree::set_description(const std::string& region, const std::vector<std::string>& tags) {
    core_->set_description(region, tags);
}

void Tree::set_max_children(std::size_t max_children) {
    core_->membership().set_max_children(max_children);
}

void Tree::leave(base::Instant now) {
    const Turn turn(*core_, now);
    core_->leave();
}

bool Tree::left_alone() const {
    return core_->membership().left_alone();
}

void Tree::set_compression(Compression compression) {
    core_->options_.compression = compression;
}

bool Tree::is_propagated(std::string_view filter) const {
    return core_->is_propagated(filter);
}

std::vector<Tree::DurableFilter> Tree::durable_filters() const {
    return core_->durable_filters();
}

std::vector<Tree::DurableFilter> Tree::durable_filters(GatewayIndex gateway) const {
    return core_->durable_filters(gateway);
}

base::Bytes Tree::log_snapshot(GatewayIndex gateway) const {
    return core_->log_snapshot(gateway);
}

bool Tree::restore_log(base::ByteView snapshot) {
    return core_->restore_log(snapshot);
}

bool Tree::is_reachable(GatewayIndex gateway) const {
    return core_->topology_.reachable(gateway);
}

std::uint32_t Tree::distance(GatewayIndex gateway) const {
    return core_->topology_.distance(gateway);
}

std::uint64_t Tree::boot(GatewayIndex gateway) const {
    const GatewayLog* log = core_->log_of(gateway);
    return log ? log->version().boot : 0;
}

std::string_view Tree::name(GatewayIndex gateway) const {
    const GatewayLog* log = core_->log_of(gateway);
    return log ? log->find(single_key(LogEntryKind::name)) : std::string_view{};
}

std::string_view Tree::region(GatewayIndex gateway) const {
    const GatewayLog* log = core_->log_of(gateway);
    return log ? log->find(single_key(LogEntryKind::region)) : std::string_view{};
}

std::vector<std::string_view> Tree::tags(GatewayIndex gateway) const {
    const GatewayLog* log = core_->log_of(gateway);
    return log ? tags_of(*log) : std::vector<std::string_view>{};
}

std::optional<GatewayIndex> Tree::find(std::string_view name) const {
    std::optional<GatewayIndex> found;
    for (const auto& [id, log] : core_->book_.all()) {
        if (log.find(single_key(LogEntryKind::name)) != name) continue;
        const auto index = core_->registry_.find(id);
        if (!index) continue;
        if (core_->topology_.reachable(*index)) return index;
        if (!found) found = index;
    }
    return found;
}

bool Tree::syncing() const {
    return core_->syncing();
}

bool Tree::forget(GatewayIndex gateway, base::Instant now) {
    const Turn turn(*core_, now);
    return core_->forget(gateway);
}

SendResult Tree::send_volatile(TargetSetId targets, std::string_view account, const MessageView& message,
                               std::uint8_t flags, base::Instant now) {
    core_->set_now(now);
    RecordView record;
    record.message = message;
    record.flags = flags;
    return core_->send(targets, account, record, Lane::volatile_);
}

SendResult Tree::send_volatile_once(const TargetSet& targets, std::string_view account, const MessageView& message,
                                    std::uint8_t flags, base::Instant now) {
    core_->set_now(now);
    RecordView record;
    record.message = message;
    record.flags = flags;
    return core_->send_once(targets, account, record);
}

SendResult Tree::send_durable(TargetSetId targets, std::string_view account, const RecordView& record,
                              base::Instant now) {
    core_->set_now(now);
    return core_->send(targets, account, record, Lane::durable);
}

bool Tree::send_to_gateway(GatewayIndex gateway, std::uint8_t kind, base::ByteView body, base::Instant now) {
    core_->set_now(now);
    return core_->send_to_gateway(gateway, kind, body);
}

PathEngine& Tree::paths() {
    return core_->engine_;
}
const PathEngine& Tree::paths() const {
    return core_->engine_;
}
TreeStatus Tree::status() const {
    return core_->status();
}
std::size_t Tree::unsent_most() const {
    return core_->unsent_most();
}
const TreeCounters& Tree::counters() const {
    return core_->counters_;
}
std::uint64_t Tree::members_digest() const {
    return core_->members_digest();
}

}  // namespace routing::peer
