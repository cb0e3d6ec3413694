// Connections and sessions: dials, lanes, what membership wishes, and how links end.
#include <algorithm>
#include <cstdio>
#include <utility>

#include "routing/base/check.h"
#include "routing/peer/peer_codec.h"
#include "routing/peer/seen_address.h"
#include "routing/peer/tree_core.h"

namespace routing::peer {

namespace {

/// `text` as a JSON string, with its quotes.
std::string json_string(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out.push_back('\\');
            out.push_back(c);
        } else if (static_cast<unsigned char>(c) < 0x20) {
            char escaped[8];
            std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(static_cast<unsigned char>(c)));
            out += escaped;
        } else {
            out.push_back(c);
        }
    }
    return out + '"';
}

/// Somebody must look into it, rather than wait for the next try.
bool needs_a_person(RefuseReason reason) {
    switch (reason) {
        case RefuseReason::version:
        case RefuseReason::tree_name:
        case RefuseReason::secret:
        case RefuseReason::proof:
        case RefuseReason::id_in_use:
        case RefuseReason::protocol:
        case RefuseReason::limit:
            return true;
        default:
            return false;
    }
}

}  // namespace

Hello Tree::Core::make_hello(const Channel& control) {
    Hello hello;
    hello.tree = options_.tree;
    hello.id = options_.id;
    hello.name = options_.name;
    const base::Bytes nonce = signer_.random(nonce_bytes);
    BASE_CHECK(nonce.size() == nonce_bytes);
    for (std::size_t i = 0; i < nonce_bytes; ++i) hello.nonce[i] = static_cast<std::uint8_t>(nonce[i]);
    hello.boot = options_.boot;
    hello.incarnation = book_.own().version().incarnation;
    hello.position = membership_.position();
    // What we were seen as on this machine means nothing on another.
    const bool far = reach_of(control.remote) > AddressReach::loopback;
    if (advertise_given_ || !far || reach_of(options_.advertise) > AddressReach::loopback)
        hello.advertise = options_.advertise;
    hello.seen = control.remote.substr(0, address_bytes_max);
    hello.region = options_.region;
    hello.capabilities = {std::string{capability_redirect}, std::string{capability_lane}};
    if (options_.compression != Compression::off) hello.capabilities.emplace_back(capability_zstd);
    return hello;
}

PeerSession* Tree::Core::session_of(PeerHandle handle) {
    const auto found = sessions_.find(handle);
    return found == sessions_.end() ? nullptr : found->second.get();
}

void Tree::Core::advise(std::string_view kind, const PeerSession& session, std::string_view text) {
    events_.advisory(kind, "\"member\":" + json_string(session.other().name) + ",\"member_id\":\"" +
                               base::to_hex(session.id().view()) + "\",\"reason\":" + json_string(text));
}

// ---- membership's wishes --------------------------------------------------------------------------------------------

void Tree::Core::run_membership() {
    for (MembershipAction& action : membership_.take_actions()) {
        PeerSession* session = action.peer == peer_none ? nullptr : session_of(action.peer);
        switch (action.kind) {
            case MembershipAction::Kind::dial:
                if (!running_) break;
                if (now_ >= gave_way_until_) {
                    dial(action.address);
                } else {
                    membership_.dial_failed(action.address, DialEnd::failed, at());
                }
                break;
            case MembershipAction::Kind::resolve:
                if (running_) host_.resolve(action.address);
                break;
            case MembershipAction::Kind::moved:
                for (const auto& [handle, other] : sessions_)
                    if (other->proven()) other->tell_position(membership_.position());
                break;
            case MembershipAction::Kind::attach:
                if (session)
                    session->ask(Attach{membership_.position().root, book_.own().version().incarnation,
                                        action.redirects, action.insists});
                break;
            case MembershipAction::Kind::redirect:
                if (!session) break;
                log_line(LogLevel::info, session->describe_other() + ", a child, is sent on to " + action.address +
                                             ": " + std::string{action.reason});
                session->redirect(action.reason, action.address);
                break;
            case MembershipAction::Kind::detach:
                if (session) leave(*session, action.reason);
                break;
            case MembershipAction::Kind::close:
                if (session)
                    end_session(*session, Refuse{RefuseReason::duplicate, std::string{action.reason}, {}}, true);
                break;
        }
    }
}

void Tree::Core::dial(const std::string& address) {
    ++counters_.dials;
    const TransportId transport = host_.dial(address);
    Dial pending;
    pending.address = address;
    pending.deadline = now_ + dial_time_max;
    dials_.emplace(transport, std::move(pending));
}

void Tree::Core::on_dialed(TransportId transport, bool connected, std::string_view remote) {
    const auto found = dials_.find(transport);
    if (found == dials_.end()) {
        if (connected) host_.close_transport(transport, {});
        return;
    }
    if (!connected) return drop_dial(found, remote);
    const Dial pending = found->second;
    dials_.erase(found);

    auto made = std::make_unique<Channel>(transport, FrameScope::handshake);
    Channel& channel = *made;
    channel.remote = remote;
    channels_.emplace(transport, std::move(made));
    if (pending.session == peer_none) {
        const PeerHandle handle = next_handle_++;
        auto session = std::make_unique<PeerSession>(*this, handle, pending.address, channel, now_);
        PeerSession& greeting = *session;
        sessions_.emplace(handle, std::move(session));
        return greeting.greet();
    }
    PeerSession* session = session_of(pending.session);
    if (!session || session->session() != pending.joining ||
        (session->state() != SessionState::joining && !session->lane_waiting(pending.lane)))
        return close_channel(channel);
    channel.session = session;
    channel.lane = pending.lane;
    channel.reader.set_scope(FrameScope::joining);
    encode(channel.out.frames(), LaneHello{session->session(), session->joining_by().token, pending.lane});
    announce(channel);
}

/// A dial that came to nothing.
void Tree::Core::drop_dial(std::map<TransportId, Dial>::iterator found, std::string_view reason) {
    const Dial pending = found->second;
    dials_.erase(found);
    ++counters_.dials_failed;
    if (pending.session == peer_none) return dial_failed(pending.address, reason, DialEnd::failed);
    PeerSession* session = session_of(pending.session);
    if (session && session->session() == pending.joining &&
        (session->state() == SessionState::joining || session->lane_waiting(pending.lane)))
        end_session(*session,
                    Refuse{RefuseReason::lane,
                           "its " + std::string{lane_name(pending.lane)} + " lane at " + pending.address +
                               " could not be opened: " + std::string{reason},
                           {}},
                    true);
}

void Tree::Core::dial_failed(const std::string& address, std::string_view reason, DialEnd how) {
    // Who waits for a gateway that he was told to join is told why, once a minute.
    const std::string text = "no link to " + address + ": " + std::string{reason};
    const bool asked_for = membership_.is_root() && how == DialEnd::failed &&
                           std::find(options_.join.begin(), options_.join.end(), address) != options_.join.end();
    log_line(asked_for && !told_lately(text) ? LogLevel::info : LogLevel::debug, text);
    membership_.dial_failed(address, how, at());
}

void Tree::Core::on_resolved(std::string_view name, const std::vector<std::string>& addresses, std::string_view why) {
    if (addresses.empty()) {
        const std::string text = "cannot find the gateways behind " + std::string{name} + ": " + std::string{why};
        log_line(told_lately(text) ? LogLevel::debug : LogLevel::warning, text);
        return membership_.dial_failed(name, DialEnd::failed, at());
    }
    std::string text = std::string{name} + " leads to";
    for (const std::string& address : addresses) text += " " + address;
    log_line(told_lately(text) ? LogLevel::debug : LogLevel::info, text);
    membership_.resolved(name, addresses, at());
}

// ---- newcomers ------------------------------------------------------------------------------------------------------

/// The first frame of an accepted connection says what it is.
void Tree::Core::first_frame(Channel& channel) {
    const FrameHeader header = channel.reader.header();
    const base::ByteView body = channel.reader.body();
    if (static_cast<FrameKind>(header.kind) == FrameKind::hello) {
        channel.newcomer = false;
        --newcomers_;
        channel.deadline = base::instant_max;
        const PeerHandle handle = next_handle_++;
        auto session = std::make_unique<PeerSession>(*this, handle, std::string(), channel, now_);
        PeerSession& greeted = *session;
        sessions_.emplace(handle, std::move(session));
        return greeted.on_control(header, body, now_);
    }
    if (static_cast<FrameKind>(header.kind) != FrameKind::lane) return close_channel(channel);
    const auto lane = decode_lane(body);
    if (lane) return place_lane(channel, lane.value());
    ++counters_.protocol_errors;
    refuse_channel(channel, RefuseReason::protocol, "LANE: " + std::string{describe(lane.error())});
}

void Tree::Core::place_lane(Channel& channel, const LaneHello& hello) {
    for (const auto& [handle, session] : sessions_) {
        if (session->we_dialled() || session->session() != hello.session) continue;
        const bool joining = session->state() == SessionState::joining;
        if (!joining && !(session->established() && session->can(capability_lane))) continue;
        if (session->joining_by().token != hello.token || (joining && session->channel(hello.lane)))
            return refuse_channel(channel, RefuseReason::lane, describe(RefuseReason::lane));
        channel.newcomer = false;
        --newcomers_;
        encode_empty(channel.out.frames(), FrameKind::lane_ok);
        announce(channel);
        if (joining) return session->lane_up(hello.lane, channel, now_);
        // The other end may have seen first that it broke.
        if (!session->lane_waiting(hello.lane)) break_lane(*session, hello.lane);
        return lane_back(*session, hello.lane, channel);
    }
    // It may have overtaken the WELCOME that announces it.
    channel.holding = true;
    waiting_lanes_.push_back(WaitingLane{channel.transport, hello});
}

void Tree::Core::place_waiting_lanes(PeerSession& session) {
    for (const WaitingLane& waiting : std::exchange(waiting_lanes_, {})) {
        const auto found = channels_.find(waiting.transport);
        if (found == channels_.end() || found->second->closed) continue;
        if (waiting.hello.session != session.session()) {
            waiting_lanes_.push_back(waiting);
            continue;
        }
        place_lane(*found->second, waiting.hello);
    }
}

/// Reads what came on lanes before their session stood.
void Tree::Core::read_held() {
    for (const auto& [transport, channel] : channels_) {
        if (channel->holding || channel->held.empty() || channel->closed) continue;
        const base::Bytes held = std::exchange(channel->held, {});
        if (channel->paused) {
            channel->paused = false;
            host_.resume_reading(transport);
        }
        read_frames(*channel, held);
    }
}

// ---- what sessions tell ---------------------------------------------------------------------------------------------

void Tree::Core::on_proven(PeerSession& session) {
    const auto index = registry_.intern(session.id());
    if (!index)
        return end_session(session, Refuse{RefuseReason::limit, "this gateway has met too many gateways", {}}, true);
    session.gateway = *index;
    bool in_use = *index == gateway_self || now_ < gave_way_until_;
    for (const auto& [handle, other] : sessions_)
        in_use = in_use || (other.get() != &session && other->proven() && other->id() == session.id() &&
                            other->other().boot != session.other().boot);
    const GatewayLog* log = book_.find(session.id());
    in_use = in_use || (topology_.reachable(*index) && log && log->version().boot != session.other().boot);
    if (in_use) {
        const bool own = now_ < gave_way_until_;
        std::string text = "id " + base::to_hex((own ? options_.id : session.id()).view()) + " of '" +
                           (own ? options_.name : session.other().name) +
                           "' is in use by another live gateway of this tree; is its data dir a copy?";
        return end_session(session, Refuse{RefuseReason::id_in_use, std::move(text), {}}, true);
    }
    session.met = true;
    see_ourselves();
    // Whoever is not yet proven is not told of a move; what our HELLO said may be out of date.
    if (session.ours().position != membership_.position()) session.tell_position(membership_.position());
    membership_.met(session.handle(), session.id(), session.address(), session.other().position, at());
}

/// Without an address from the operator, others are told where our peers see us: the furthest that one of them sees,
/// as long as one still does.  What is seen on this machine is withdrawn as soon as somebody else is there.
void Tree::Core::see_ourselves() {
    if (advertise_given_ || listen_port_ == 0) return;
    bool far = false;
    std::string best;
    bool still_seen = false;
    for (const auto& [handle, session] : sessions_) {
        const Channel* control = session->channel(Lane::control);
        if (!session->met || control == nullptr) continue;
        far = far || reach_of(control->remote) > AddressReach::loopback;
        std::string seen = dialable(session->other().seen, !session->we_dialled(), listen_port_);
        const AddressReach reach = reach_of(seen);
        if (reach == AddressReach::none || (loopback_only_ && reach != AddressReach::loopback)) continue;
        still_seen = still_seen || seen == options_.advertise;
        if (reach > reach_of(best)) best = std::move(seen);
    }
    const AddressReach now_told = reach_of(options_.advertise);
    const bool withdraw = far && now_told == AddressReach::loopback;
    if (far && reach_of(best) == AddressReach::loopback) best.clear();
    const AddressReach found = reach_of(best);
    if (!withdraw && (found < now_told || (found == now_told && (still_seen || best.empty())))) return;
    if (best == options_.advertise) return;
    options_.advertise = best;
    set_own(single_key(LogEntryKind::advertise), best);
    known_dirty_ = true;  // whose addresses mean something to us may be others now
    log_line(LogLevel::info, best.empty() ? std::string("no address is known at which others can dial this gateway")
                                          : "others can dial this gateway at " + best);
}

void Tree::Core::on_told(PeerSession& session) {
    if (session.met) membership_.told(session.handle(), session.other().position, at());
}

void Tree::Core::on_attach(PeerSession& session, const Attach& attach) {
    if (membership_.full() || membership_.leaving()) set_facts();
    // Who does not understand a redirect would ask for ever.
    const bool insists = attach.insists || !session.can(capability_redirect);
    const Adoption answer = membership_.adopt(session.handle(), attach.redirects, insists, at());
    if (answer.taken()) return session.welcome(options_.lane_address);
    if (!answer.refused.empty()) return session.refuse_attach(answer.refused);
    log_line(LogLevel::info, session.describe_other() + " is sent on to " + answer.redirect + ": there are " +
                                 std::to_string(membership_.children().size()) + " children here");
    session.redirect("no room for more children", answer.redirect);
}

void Tree::Core::on_redirected(PeerSession& session, std::string_view address) {
    membership_.redirected(session.handle(), address, at());
}

/// What membership must know of neighbours to send others on.
void Tree::Core::set_facts() {
    std::map<GatewayIndex, std::size_t> behind;
    for (const GatewayIndex gateway : topology_.members())
        if (gateway != gateway_self) ++behind[topology_.next_hop(gateway)];
    for (const auto& [handle, session] : sessions_) {
        if (!session->met) continue;
        PeerFacts facts;
        // Its log is newer than its HELLO, once it is a member.
        const GatewayLog* log = topology_.reachable(session->gateway) ? book_.find(session->id()) : nullptr;
        facts.region = log ? std::string(log->find(single_key(LogEntryKind::region))) : session->other().region;
        facts.address = log ? std::string(log->find(single_key(LogEntryKind::advertise))) : session->other().advertise;
        if (facts.address.empty()) facts.address = session->address();
        const Channel* control = session->channel(Lane::control);
        facts.on_this_machine = control && reach_of(control->remote) == AddressReach::loopback;
        facts.address_is_local = reach_of(facts.address) == AddressReach::loopback;
        facts.round_trip = session->round_trip();
        facts.behind = session->established() ? behind[session->gateway] : 0;
        facts.can_be_sent = session->can(capability_redirect);
        membership_.set_facts(handle, std::move(facts));
    }
}

void Tree::Core::leave() {
    set_facts();
    membership_.leave(at());
}

void Tree::Core::on_attach_refused(PeerSession& session) {
    membership_.attach_refused(session.handle(), at());
}

void Tree::Core::on_joining(PeerSession& session) {
    if (!session.we_dialled()) return place_waiting_lanes(session);
    dial_lane(session, Lane::volatile_);
    dial_lane(session, Lane::durable);
}

void Tree::Core::dial_lane(PeerSession& session, Lane lane) {
    const std::string& named = session.joining_by().lane_address;
    Dial pending;
    pending.address = named.empty() ? session.address() : named;
    pending.session = session.handle();
    pending.joining = session.session();
    pending.lane = lane;
    pending.deadline = now_ + dial_time_max;
    ++counters_.dials;
    const TransportId transport = host_.dial(pending.address);
    dials_.emplace(transport, std::move(pending));
}

/// A data lane of a link lost its connection: it begins anew, with fresh label tables.  The volatile one carries
/// nothing but definitions until both ends know again what the other has of the logs, so that interest stays causal;
/// what was in flight is lost.  The durable flows repair theirs.
void Tree::Core::break_lane(PeerSession& session, Lane lane) {
    Channel& old = *session.channel(lane);
    if (lane == Lane::volatile_) counters_.records_cut += old.out.records();
    old.out.clear();
    close_channel(old);
    session.lane_broke(lane, now_);
    engine_.lane_reset(session.link, lane);
    ++counters_.lanes_broken;
    press_changed_ = true;
    if (lane == Lane::volatile_) {
        session.sync_sent = session.sync_heard = false;
        session.digests_differ = 0;
        session.held.clear();
    }
    if (session.we_dialled()) dial_lane(session, lane);
}

void Tree::Core::lane_back(PeerSession& session, Lane lane, Channel& channel) {
    session.lane_back(lane, channel, now_);
    ++counters_.lanes_back;
    log_line(LogLevel::info, "link to " + session.describe_other() + ": its " + std::string{lane_name(lane)} +
                                 " lane broke and was opened anew");
    if (lane == Lane::volatile_) begin_sync(session);
}

void Tree::Core::on_lane_stuck(PeerSession& session, Lane lane) {
    log_line(LogLevel::warning, "link to " + session.describe_other() + ": nothing arrives on its " +
                                    std::string{lane_name(lane)} + " lane, which is opened anew");
    break_lane(session, lane);
}

void Tree::Core::on_established(PeerSession& session) {
    LinkIndex link = 0;
    while (link < links_.size() && links_[link]) ++link;
    if (link == links_.size()) links_.push_back(nullptr);
    links_[link] = &session;
    session.link = link;
    engine_.link_up(link, session.gateway);
    ++counters_.links_established;
    membership_.established(session.handle(), at());
    const bool is_parent = membership_.parent() == session.handle();
    const std::string text = "linked to " + session.describe_other() + (is_parent ? ", the parent" : ", a child");
    log_line(LogLevel::info, text);
    set_own(link_key(session.id()), number_value(session.session()));
    begin_sync(session);
}

void Tree::Core::on_detached(PeerSession& session) {
    log_line(LogLevel::info, session.describe_other() + " let go of the link");
    end_link(session);
    close_lanes(session, true);
    session.drop_lanes();
    membership_.released(session.handle(), at());
}

/// We let go of our parent: the data lanes end, the connection stays.
void Tree::Core::leave(PeerSession& session, std::string_view reason) {
    log_line(LogLevel::info, "letting go of " + session.describe_other() + ": " + std::string{reason});
    session.detach();
    end_link(session);
    close_lanes(session, false);
    session.drop_lanes();
}

// ---- ends -----------------------------------------------------------------------------------------------------------

/// The session carries no messages any more.
void Tree::Core::end_link(PeerSession& session) {
    if (session.link == link_none) return;
    engine_.link_down(session.link);
    links_[session.link] = nullptr;
    session.link = link_none;
    ++counters_.links_lost;
    press_changed_ = true;
    set_own(link_key(session.id()), {});
    // Whoever loses its parent dials at once, and whom it has just met as well.
    if (known_dirty_) membership_.set_known(known_members(), at());
}

/// `at_once`: close them; else wait a little for the other end to do so, which must hear of the DETACH first.
void Tree::Core::close_lanes(PeerSession& session, bool at_once) {
    for (auto pending = dials_.begin(); pending != dials_.end();) {
        if (pending->second.session != session.handle()) {
            ++pending;
            continue;
        }
        host_.close_transport(pending->first, {});
        pending = dials_.erase(pending);
    }
    for (const auto& [transport, channel] : channels_) {
        if (channel->session != &session || channel->lane == Lane::control || channel->closed) continue;
        if (at_once) {
            close_channel(*channel);
            continue;
        }
        channel->session = nullptr;
        channel->ending = true;
        channel->holding = false;
        channel->held.clear();
        channel->pressed = false;
        channel->deadline = now_ + ending_time;
        if (std::exchange(channel->paused, false)) host_.resume_reading(transport);
    }
}

void Tree::Core::close_channel(Channel& channel) {
    if (channel.closed) return;
    base::Bytes last_words;
    channel.out.take(last_words);
    host_.close_transport(channel.transport, std::move(last_words));
    channel.closed = true;
    channel.deadline = base::instant_max;
    if (std::exchange(channel.newcomer, false)) --newcomers_;
    channel.session = nullptr;
    closed_.push_back(channel.transport);
}

/// True if `text` was logged a moment ago; else it is from now on.
bool Tree::Core::told_lately(const std::string& text) {
    std::erase_if(told_, [&](const auto& entry) { return now_ - entry.second >= told_again_time; });
    if (told_.contains(text)) return true;
    if (told_.size() < told_max) told_.emplace(text, now_);
    return false;
}

/// True while this life of somebody with an id that is in use has not come for so long that it must be a copy.
bool Tree::Core::may_be_former_life(const std::string& said, std::uint64_t boot) {
    if (met_twice_.size() >= told_max)
        std::erase_if(met_twice_, [&](const auto& entry) { return now_ - entry.second >= told_again_time; });
    if (met_twice_.size() >= told_max) return false;
    const auto [first, fresh] = met_twice_.try_emplace({said, boot}, now_);
    return now_ - first->second < former_life_time;
}

void Tree::Core::refuse_channel(Channel& channel, RefuseReason reason, std::string_view text) {
    ++counters_.refused;
    log_line(LogLevel::warning, "refused a connection from " + channel.remote + ": " + std::string{text});
    encode(channel.out.frames(), FrameKind::refuse, Refuse{reason, std::string{text}, {}});
    close_channel(channel);
}

void Tree::Core::end_session(PeerSession& session, const Refuse& why, bool tell) {
    if (session.state() == SessionState::ended) return;
    const bool person = needs_a_person(why.reason);
    const bool was_link = session.link != link_none;
    const std::string text =
        std::string{was_link ? "link to " : "connection with "} + session.describe_other() + " ends: " + why.text;
    const bool former_life = why.reason == RefuseReason::id_in_use && !was_link &&
                             may_be_former_life(why.text, tell ? session.other().boot : options_.boot);
    // Who tries again and again is named once a minute.
    const bool again = person && !was_link && !former_life && told_lately(text);
    const LogLevel level = again                                   ? LogLevel::debug
                           : former_life                           ? LogLevel::info
                           : why.reason == RefuseReason::id_in_use ? LogLevel::error
                           : person                                ? LogLevel::warning
                           : was_link                              ? LogLevel::info
                                                                   : LogLevel::debug;
    log_line(level, text);
    if (person) {
        ++counters_.refused;
        if (why.reason == RefuseReason::protocol && tell) ++counters_.protocol_errors;
        if (!again && !former_life) advise("refused", session, why.text);
    }
    end_link(session);
    const SessionState state = session.state();
    session.set_ended();
    Channel* control = session.channel(Lane::control);
    if (tell && control && !control->closed)
        encode(control->out.frames(), why.reason == RefuseReason::shutdown ? FrameKind::goodbye : FrameKind::refuse,
               why);
    close_lanes(session, true);
    if (control) close_channel(*control);
    if (session.met) {
        membership_.gone(session.handle(), at());
    } else if (session.we_dialled() && state != SessionState::ended) {
        const bool lasting = why.reason == RefuseReason::version || why.reason == RefuseReason::tree_name ||
                             why.reason == RefuseReason::secret || why.reason == RefuseReason::proof;
        dial_failed(session.address(), why.text,
                    why.reason == RefuseReason::myself ? DialEnd::myself
                    : lasting                          ? DialEnd::refused
                                                       : DialEnd::failed);
    }
    const auto found = sessions_.find(session.handle());
    ended_.push_back(std::move(found->second));
    sessions_.erase(found);
}

void Tree::Core::on_closed(TransportId transport) {
    if (const auto pending = dials_.find(transport); pending != dials_.end())
        return drop_dial(pending, "the connection closed");
    const auto found = channels_.find(transport);
    if (found == channels_.end() || found->second->closed) return;
    Channel& channel = *found->second;
    PeerSession* session = channel.session;
    channel.closed = true;
    channel.deadline = base::instant_max;
    if (std::exchange(channel.newcomer, false)) --newcomers_;
    closed_.push_back(transport);
    if (!session) return;
    if (channel.lane != Lane::control && session->established() && session->channel(channel.lane) == &channel &&
        session->can(capability_lane))
        return break_lane(*session, channel.lane);
    if (const Channel* volatile_lane = session->channel(Lane::volatile_); volatile_lane && session->established())
        counters_.records_cut += volatile_lane->out.records();
    const std::string text = channel.lane == Lane::control
                                 ? std::string("the connection broke")
                                 : "its " + std::string{lane_name(channel.lane)} + " lane broke";
    end_session(*session, Refuse{RefuseReason::lane, text, {}}, true);
}

// ---- time -----------------------------------------------------------------------------------------------------------

void Tree::Core::tick_channels() {
    for (const auto& [transport, channel] : channels_) {
        if (channel->closed || channel->deadline > now_) continue;
        if (channel->ending) {
            close_channel(*channel);
        } else if (channel->newcomer) {
            refuse_channel(*channel, channel->holding ? RefuseReason::lane : RefuseReason::timeout,
                           channel->holding ? describe(RefuseReason::lane)
                                            : std::string_view{"it did not say what it is in time"});
        } else if (channel->paused && !channel->holding) {
            // Whoever waits behind the slow way waits no longer; what does not fit there is dropped.
            channel->paused = false;
            channel->deadline = base::instant_max;
            host_.resume_reading(transport);
        }
    }
    std::vector<PeerSession*> stuck;
    for (const auto& [transport, channel] : channels_)
        if (channel->session && !channel->closed && channel->frame_deadline <= now_) stuck.push_back(channel->session);
    for (PeerSession* session : stuck)
        end_session(*session, Refuse{RefuseReason::protocol, "a frame that it began does not end", {}}, true);
    std::vector<TransportId> late;
    for (const auto& [transport, pending] : dials_)
        if (pending.deadline <= now_) late.push_back(transport);
    for (const TransportId transport : late) {
        const auto pending = dials_.find(transport);
        if (pending == dials_.end()) continue;
        host_.close_transport(transport, {});
        drop_dial(pending, "no answer in time");
    }
    std::erase_if(waiting_lanes_, [&](const WaitingLane& waiting) {
        const auto found = channels_.find(waiting.transport);
        return found == channels_.end() || found->second->closed;
    });
}

bool Tree::Core::syncing() const {
    if (running_ && membership_.settling(now_)) return true;
    for (const auto& [handle, session] : sessions_) {
        if (session->state() == SessionState::joining) return true;
        if (session->established() && !session->sync_heard) return true;
    }
    return false;
}

void Tree::Core::sync_changed() {
    const bool now_syncing = syncing();
    if (now_syncing == syncing_told_) return;
    syncing_told_ = now_syncing;
    events_.syncing_changed(now_syncing);
}

}  // namespace routing::peer
