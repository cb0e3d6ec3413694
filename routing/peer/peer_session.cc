#include "routing/peer/peer_session.h"

#include <algorithm>
#include <utility>

#include "routing/base/check.h"
#include "routing/peer/peer_codec.h"

namespace routing::peer {

namespace {

std::uint64_t stamp(base::Instant now) {
    return static_cast<std::uint64_t>(now.time_since_epoch().count());
}

template <std::size_t size>
void fill(std::array<std::uint8_t, size>& out, const base::Bytes& bytes) {
    BASE_CHECK(bytes.size() == size);
    for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::uint8_t>(bytes[i]);
}

}  // namespace

PeerSession::PeerSession(SessionOwner& owner, PeerHandle handle, std::string address, Channel& control,
                         base::Instant now)
    : owner_(owner), handle_(handle), address_(std::move(address)), started_(now), last_heard_(now) {
    channels_[static_cast<std::size_t>(Lane::control)] = &control;
    control.session = this;
    control.lane = Lane::control;
    control.reader.set_scope(FrameScope::handshake);
    ours_ = owner_.make_hello(control);
}

template <typename Message>
void PeerSession::say(const Message& message) {
    Channel& control = *channel(Lane::control);
    encode(control.out.frames(), message);
    owner_.announce(control);
}

std::string PeerSession::describe_other() const {
    const Channel* control = channel(Lane::control);
    const std::string where = we_dialled() ? address_ : control ? control->remote : std::string();
    if (theirs_.name.empty()) return where.empty() ? "a gateway" : where;
    return where.empty() ? theirs_.name : theirs_.name + " (" + where + ")";
}

void PeerSession::greet() {
    say(ours_);
}

void PeerSession::end(RefuseReason reason, std::string_view text, bool tell) {
    if (state_ == SessionState::ended) return;
    owner_.end_session(*this, Refuse{reason, std::string{text}, {}}, tell);
}

void PeerSession::broken(PeerError error, std::string_view frame) {
    end(RefuseReason::protocol, std::string{frame} + ": " + std::string{describe(error)}, true);
}

void PeerSession::on_control(const FrameHeader& header, base::ByteView body, base::Instant now) {
    const auto kind = static_cast<FrameKind>(header.kind);
    switch (kind) {
        case FrameKind::hello:
            return on_hello(body, now);
        case FrameKind::proof:
            return on_proof(body);
        case FrameKind::welcome:
            return on_welcome(body);
        case FrameKind::heartbeat:
            return on_heartbeat(body, now);
        case FrameKind::refuse:
        case FrameKind::goodbye:
            return on_refuse(kind, body);
        case FrameKind::attach: {
            const auto attach = decode_attach(body);
            if (!attach) return broken(attach.error(), "ATTACH");
            // In the same order as its ANCESTORS, so a claim that differs is nonsense.
            if (attach.value().claim != theirs_.position.root || state_ != SessionState::sighting)
                return refuse_attach("it asked with a claim that is not its own, or a link stands already");
            return owner_.on_attach(*this, attach.value());
        }
        case FrameKind::ancestors: {
            auto ancestors = decode_ancestors(body);
            if (!ancestors) return broken(ancestors.error(), "ANCESTORS");
            theirs_.position = std::move(ancestors).value().position;
            return owner_.on_told(*this);
        }
        case FrameKind::to_gateway: {
            const auto message = decode_to_gateway(body);
            if (!message) return broken(message.error(), "TO_GATEWAY");
            if (established()) owner_.on_to_gateway(message.value());
            return;
        }
        case FrameKind::detach: {
            if (state_ == SessionState::joining || established()) owner_.on_detached(*this);
            return;
        }
        default:
            return broken(PeerError::out_of_place, "a frame");
    }
}

void PeerSession::on_hello(base::ByteView body, base::Instant now) {
    if (state_ != SessionState::greeting) return broken(PeerError::out_of_place, "a second HELLO");
    auto hello = decode_hello(body);
    if (!hello) return broken(hello.error(), "HELLO");
    theirs_ = std::move(hello).value();
    can_compress_ = can(capability_zstd);
    last_heard_ = now;
    if (theirs_.version_min > ours_.version_max || theirs_.version_max < ours_.version_min)
        return end(RefuseReason::version,
                   "this gateway speaks versions " + std::to_string(ours_.version_min) + " to " +
                       std::to_string(ours_.version_max) + ", the other " + std::to_string(theirs_.version_min) +
                       " to " + std::to_string(theirs_.version_max),
                   true);
    if (theirs_.tree != ours_.tree)
        return end(RefuseReason::tree_name,
                   "this gateway belongs to tree '" + ours_.tree + "', the other to '" + theirs_.tree + "'", true);
    if (theirs_.id == ours_.id && theirs_.boot == ours_.boot)
        return end(RefuseReason::myself, "this address leads to the gateway itself", true);
    state_ = SessionState::proving;
    if (!we_dialled()) say(ours_);
    prove();
}

void PeerSession::prove() {
    const base::Bytes text = proof_text(ours_, theirs_, we_dialled());
    say(Proof{owner_.signer().sign(text), owner_.signer().mac(text)});
}

void PeerSession::on_proof(base::ByteView body) {
    if (state_ != SessionState::proving) return broken(PeerError::out_of_place, "PROOF");
    const auto proof = decode_proof(body);
    if (!proof) return broken(proof.error(), "PROOF");
    const base::Bytes text = proof_text(theirs_, ours_, !we_dialled());
    if (!owner_.signer().verify_mac(text, proof.value().mac))
        return end(RefuseReason::secret, "the tree's secret is missing or differs", true);
    if (!owner_.signer().verify(theirs_.id, text, proof.value().signature))
        return end(RefuseReason::proof, "the signature does not fit the id", true);
    state_ = SessionState::sighting;
    channel(Lane::control)->reader.set_scope(FrameScope::control);
    next_beat_ = last_heard_;
    owner_.on_proven(*this);
}

void PeerSession::on_refuse(FrameKind kind, base::ByteView body) {
    auto decoded = decode_refuse(body);
    if (!decoded) return broken(decoded.error(), kind == FrameKind::refuse ? "REFUSE" : "GOODBYE");
    Refuse refuse = std::move(decoded).value();
    if (kind == FrameKind::refuse && refuse.reason == RefuseReason::attach) {
        // A refusal that crossed with our own change of mind means nothing any more.
        if (!asked_ || state_ != SessionState::sighting) return;
        asked_ = false;
        owner_.log_line(LogLevel::debug, describe_other() + " does not take this gateway as a child: " + refuse.text);
        return owner_.on_attach_refused(*this);
    }
    if (kind == FrameKind::refuse && refuse.reason == RefuseReason::redirect && proven()) {
        const bool answer = std::exchange(asked_, false) && state_ == SessionState::sighting;
        if (!answer && !established()) return;  // it crossed with a change of ours
        owner_.log_line(LogLevel::info,
                        describe_other() + " sends this gateway on to " + refuse.address + ": " + refuse.text);
        return owner_.on_redirected(*this, refuse.address);
    }
    refuse.text = "it says: " + refuse.text;
    owner_.end_session(*this, refuse, false);
}

void PeerSession::ask(const Attach& attach) {
    asked_ = true;
    say(attach);
}

void PeerSession::welcome(std::string_view lane_address) {
    BASE_CHECK(state_ == SessionState::sighting);
    welcome_ = Welcome{};
    const base::Bytes drawn = owner_.signer().random(8);
    base::ByteView bits{drawn};
    BASE_CHECK(base::read_little_endian(bits, welcome_.session));
    welcome_.session |= 1;  // 0 is none
    fill(welcome_.token, owner_.signer().random(token_bytes));
    welcome_.lane_address = lane_address;
    say(welcome_);
    state_ = SessionState::joining;
    owner_.on_joining(*this);
}

void PeerSession::on_welcome(base::ByteView body) {
    auto decoded = decode_welcome(body);
    if (!decoded) return broken(decoded.error(), "WELCOME");
    if (!asked_ || state_ != SessionState::sighting) return broken(PeerError::out_of_place, "WELCOME");
    asked_ = false;
    welcome_ = std::move(decoded).value();
    state_ = SessionState::joining;
    owner_.on_joining(*this);
}

void PeerSession::refuse_attach(std::string_view why) {
    Channel& control = *channel(Lane::control);
    encode(control.out.frames(), FrameKind::refuse, Refuse{RefuseReason::attach, std::string{why}, {}});
    owner_.announce(control);
}

void PeerSession::redirect(std::string_view why, std::string_view address) {
    Channel& control = *channel(Lane::control);
    encode(control.out.frames(), FrameKind::refuse,
           Refuse{RefuseReason::redirect, std::string{why}, std::string{address}});
    owner_.announce(control);
}

bool PeerSession::can(std::string_view capability) const {
    const auto has = [&](const Hello& hello) {
        return std::find(hello.capabilities.begin(), hello.capabilities.end(), capability) != hello.capabilities.end();
    };
    return has(ours_) && has(theirs_);
}

void PeerSession::tell_position(const Position& position) {
    say(Ancestors{position});
}

void PeerSession::detach() {
    Channel& control = *channel(Lane::control);
    encode_empty(control.out.frames(), FrameKind::detach);
    owner_.announce(control);
}

void PeerSession::lane_up(Lane lane, Channel& channel, base::Instant now) {
    BASE_CHECK(state_ == SessionState::joining && lane != Lane::control);
    channels_[static_cast<std::size_t>(lane)] = &channel;
    channel.session = this;
    channel.lane = lane;
    channel.reader.set_scope(lane == Lane::volatile_ ? FrameScope::volatile_ : FrameScope::durable);
    channel.holding = true;  // until the session stands
    channel.deadline = base::instant_max;
    if (!this->channel(Lane::volatile_) || !this->channel(Lane::durable)) return;
    state_ = SessionState::established;
    this->channel(Lane::volatile_)->holding = false;
    this->channel(Lane::durable)->holding = false;
    last_heard_ = now;
    arrived_ = {};
    lane_since_.fill(now);
    stuck_since_.fill(base::instant_max);
    owner_.on_established(*this);
}

void PeerSession::lane_broke(Lane lane, base::Instant now) {
    BASE_CHECK(established() && lane != Lane::control && !lane_waiting(lane));
    const auto i = static_cast<std::size_t>(lane);
    auto stand_in = std::make_unique<Channel>(TransportId{0}, FrameScope::joining);
    stand_in->session = this;
    stand_in->lane = lane;
    stand_in->waiting = true;  // the host knows nothing of it
    stand_in->refuses_records = lane == Lane::volatile_;
    channels_[i] = stand_in.get();
    stand_ins_[i] = std::move(stand_in);
    back_by_[i] = now + lane_back_time + lane_back_round_trips * round_trip_;
    stuck_since_[i] = base::instant_max;
    if (!we_dialled()) beat(now);
}

void PeerSession::lane_back(Lane lane, Channel& channel, base::Instant now) {
    const auto i = static_cast<std::size_t>(lane);
    BASE_CHECK(lane_waiting(lane));
    const std::unique_ptr<Channel> stand_in = std::move(stand_ins_[i]);
    channels_[i] = &channel;
    channel.session = this;
    channel.lane = lane;
    channel.reader.set_scope(lane == Lane::volatile_ ? FrameScope::volatile_ : FrameScope::durable);
    channel.deadline = base::instant_max;
    channel.refuses_records = stand_in->refuses_records;
    channel.pressed = stand_in->pressed;
    channel.out.frames().append(stand_in->out.frames());
    arrived_[i] = 0;
    lane_since_[i] = now;
    owner_.announce(channel);
}

bool PeerSession::awake(base::Instant now) {
    // The other end waits for silence_max since the last heartbeat at least; the next one is due an interval after it.
    if (next_beat_ == base::instant_max || now - next_beat_ < silence_max - heartbeat_interval)
        return state_ != SessionState::ended;
    end(RefuseReason::timeout, "this gateway stood still for longer than the other waits", true);
    return false;
}

void PeerSession::forgive(base::Duration gap) {
    last_heard_ += gap;
    for (std::size_t i = 0; i < lanes; ++i)
        if (stand_ins_[i]) back_by_[i] += gap;
}

void PeerSession::drop_lanes() {
    channels_[static_cast<std::size_t>(Lane::volatile_)] = nullptr;
    channels_[static_cast<std::size_t>(Lane::durable)] = nullptr;
    for (std::unique_ptr<Channel>& stand_in : stand_ins_) stand_in.reset();
    stuck_since_.fill(base::instant_max);
    welcome_ = Welcome{};
    asked_ = false;
    sync_sent = sync_heard = false;
    digests_differ = 0;
    held.clear();
    if (state_ != SessionState::ended) state_ = SessionState::sighting;
}

void PeerSession::beat(base::Instant now) {
    Heartbeat heartbeat;
    heartbeat.sent = stamp(now);
    heartbeat.echo = their_sent_;
    heartbeat.held = their_sent_ == 0 ? 0 : stamp(now) - stamp(their_sent_at_);
    for (std::size_t i = 0; i < lanes; ++i) {
        if (!channels_[i]) continue;
        heartbeat.arrived[i] = channels_[i]->bytes_in;
        if (channels_[i]->paused || channels_[i]->holding || stand_ins_[i])
            heartbeat.paused = static_cast<std::uint8_t>(heartbeat.paused | (1u << i));
    }
    say(heartbeat);
    next_beat_ = now + heartbeat_interval;
}

void PeerSession::on_heartbeat(base::ByteView body, base::Instant now) {
    const auto decoded = decode_heartbeat(body);
    if (!decoded) return broken(decoded.error(), "HEARTBEAT");
    const Heartbeat& heartbeat = decoded.value();
    their_sent_ = heartbeat.sent;
    their_sent_at_ = now;
    const std::uint64_t away = stamp(now) - heartbeat.echo;
    constexpr auto plausible = static_cast<std::uint64_t>(base::Duration(std::chrono::minutes(1)).count());
    if (heartbeat.echo != 0 && heartbeat.echo <= stamp(now) && heartbeat.held <= away && away < plausible) {
        const base::Duration sample(static_cast<std::int64_t>(away - heartbeat.held));
        least_round_trip_ = round_trip_ == base::Duration{} ? sample : std::min(least_round_trip_, sample);
        round_trip_ = round_trip_ == base::Duration{} ? sample : (round_trip_ * 3 + sample) / 4;
    }
    if (established()) watch_lanes(heartbeat, now);
}

/// A data lane on which we sent and nothing arrives, although the other end reads, is a black hole.
void PeerSession::watch_lanes(const Heartbeat& heartbeat, base::Instant now) {
    for (const Lane lane : {Lane::volatile_, Lane::durable}) {
        const auto i = static_cast<std::size_t>(lane);
        if (stand_ins_[i]) continue;
        const bool moved = heartbeat.arrived[i] != arrived_[i];
        const bool all_there = heartbeat.arrived[i] >= channels_[i]->bytes_out;
        const bool paused = (heartbeat.paused >> i & 1) != 0;
        arrived_[i] = heartbeat.arrived[i];
        // It has a stand-in there, and has had it since it heard from us over this connection's lifetime.
        if (paused && heartbeat.arrived[i] == 0 && !all_there && heartbeat.echo >= stamp(lane_since_[i]) &&
            we_dialled() && can(capability_lane)) {
            owner_.on_lane_gone(*this, lane);
            continue;
        }
        if (moved || all_there || paused) {
            stuck_since_[i] = base::instant_max;
        } else if (stuck_since_[i] == base::instant_max) {
            stuck_since_[i] = now;
        }
    }
}

void PeerSession::tick(base::Instant now) {
    if (state_ == SessionState::ended) return;
    if (!proven()) {
        if (now - started_ >= handshake_time_max)
            end(RefuseReason::timeout, "it did not introduce and prove itself in time", true);
        return;
    }
    if (now - last_heard_ >= patience()) return end(RefuseReason::timeout, "nothing was heard for too long", true);
    for (const Lane lane : {Lane::volatile_, Lane::durable}) {
        const auto i = static_cast<std::size_t>(lane);
        if (stand_ins_[i] && now >= back_by_[i])
            return end(RefuseReason::lane,
                       "its " + std::string{lane_name(lane)} + " lane broke and was not back in time", true);
        if (stuck_since_[i] == base::instant_max || now - stuck_since_[i] < patience()) continue;
        const bool again = stuck_reopened_[i] != base::Instant{} && now - stuck_reopened_[i] < stuck_again_time;
        if (again || !can(capability_lane))
            return end(RefuseReason::timeout, "nothing arrives on its " + std::string{lane_name(lane)} + " lane", true);
        stuck_reopened_[i] = now;
        owner_.on_lane_stuck(*this, lane);
    }
    if (now >= next_beat_) beat(now);
}

base::Instant PeerSession::next_deadline() const {
    if (state_ == SessionState::ended) return base::instant_max;
    if (!proven()) return started_ + handshake_time_max;
    base::Instant deadline = std::min(next_beat_, last_heard_ + patience());
    for (std::size_t i = 0; i < lanes; ++i) {
        if (stuck_since_[i] != base::instant_max) deadline = std::min(deadline, stuck_since_[i] + patience());
        if (stand_ins_[i]) deadline = std::min(deadline, back_by_[i]);
    }
    return deadline;
}

}  // namespace routing::peer
