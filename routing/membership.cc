#include "routing/membership.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "routing/base/check.h"

namespace routing {

namespace {

/// Round trips of one bucket are called alike: within a rack or site, a region, a continent, beyond.
int distance_bucket(base::Duration round_trip) {
    int bucket = 0;
    for (base::Duration limit = std::chrono::milliseconds(5); bucket < 3 && round_trip >= limit; limit *= 4) ++bucket;
    return bucket;
}

}  // namespace

bool Position::has_ancestor(const GatewayId& id) const {
    return std::find(ancestors.begin(), ancestors.end(), id) != ancestors.end();
}

Membership::Membership(MembershipOptions options, const GatewayId& self, std::uint64_t seed, Moment at)
    : options_(std::move(options)),
      self_(self),
      contacts_(options_.contacts, options_.join, options_.join_names, seed),
      prng_(seed + 1) {
    become_root(at);
    actions_.clear();  // nobody is there to be told
}

void Membership::act(MembershipAction::Kind kind, PeerHandle peer, std::string_view reason) {
    MembershipAction action;
    action.kind = kind;
    action.peer = peer;
    action.reason = reason;
    actions_.push_back(std::move(action));
}

Membership::Peer* Membership::find(PeerHandle handle) {
    const auto found = peers_.find(handle);
    return found == peers_.end() ? nullptr : &found->second;
}

PeerHandle Membership::handle_of(const GatewayId& id) const {
    for (const auto& [handle, peer] : peers_)
        if (peer.id == id) return handle;
    return peer_none;
}

// ---- our place ------------------------------------------------------------------------------------------------------

void Membership::set_position(Position position) {
    if (position == position_) return;
    position_ = std::move(position);
    act(MembershipAction::Kind::moved, peer_none);
}

/// A new claim each time: an old one may still be believed somewhere.  It is junior to that of the fragment we come
/// from, whatever our clock says: who leaves it for a moment must not pull it after itself.
void Membership::become_root(Moment at) {
    parent_ = peer_none;
    base::WallMillis made_at = std::max(at.wall, last_claim_ + 1);
    if (!position_.ancestors.empty() && position_.root.made_at < std::numeric_limits<base::WallMillis>::max())
        made_at = std::max(made_at, position_.root.made_at + 1);
    last_claim_ = made_at;
    set_position(Position{Claim{made_at, self_}, {}});
    settle_until_ = at.now + options_.settle_time;
    contacts_.begin_round(at.now);
}

void Membership::follow_parent(Moment at) {
    const Peer& peer = peers_.at(parent_);
    if (peer.position.has_ancestor(self_)) return leave_parent("it has this gateway among its ancestors", at);
    if (peer.position.ancestors.size() + 1 > ancestors_max) return leave_parent("the tree is too deep", at);
    Position position;
    position.root = peer.position.root;
    position.ancestors.reserve(peer.position.ancestors.size() + 1);
    position.ancestors.push_back(peer.id);
    position.ancestors.insert(position.ancestors.end(), peer.position.ancestors.begin(), peer.position.ancestors.end());
    set_position(std::move(position));
}

void Membership::make_sighting(Peer& peer, Moment at) {
    peer.was_linked = peer.was_linked || peer.role == PeerRole::parent || peer.role == PeerRole::child;
    peer.role = PeerRole::sighting;
    peer.since = at.now;
}

void Membership::leave_parent(std::string_view reason, Moment at) {
    BASE_CHECK(parent_ != peer_none);
    make_sighting(peers_.at(parent_), at);
    act(MembershipAction::Kind::detach, parent_, reason);
    lost_root_.reset();
    become_root(at);
}

/// Our parent is gone: its fragment may well have room for us elsewhere.
void Membership::lose_parent(const GatewayId& parent, Moment at) {
    lost_root_ = position_.root;
    lost_parent_ = parent;
    become_root(at);
}

// ---- connections ----------------------------------------------------------------------------------------------------

void Membership::close(PeerHandle handle, std::string_view reason, Moment at) {
    act(MembershipAction::Kind::close, handle, reason);
    forget(handle, at);
}

/// Drops a connection from all that names it; the parent's loss makes us a root.
void Membership::forget(PeerHandle handle, Moment at) {
    const auto found = peers_.find(handle);
    if (found == peers_.end()) return;
    const GatewayId id = found->second.id;
    const bool was_parent = handle == parent_;
    if (attempt_ == handle) attempt_ = peer_none;
    peers_.erase(found);
    contacts_.set_connected(id, false);
    contacts_.closed(handle, was_parent, at.now);
    if (was_parent) lose_parent(id, at);
    if (redirect_ && redirect_->target == id && handle_of(id) == peer_none) give_up_redirect(at);
}

void Membership::met(PeerHandle handle, const GatewayId& id, std::string_view address, Position position, Moment at) {
    if (!address.empty()) {
        contacts_.met(address, id, at.now);
        if (redirect_ && redirect_->address == address) redirect_->target = id;
    }
    std::size_t sightings = 0;
    for (const auto& [other_handle, other] : peers_) {
        if (other.role == PeerRole::sighting) ++sightings;
        if (other.id != id) continue;
        const bool stands = other.role == PeerRole::parent || other.role == PeerRole::child;
        const bool we_dialled_new = !address.empty();
        const bool we_dialled_old = !other.address.empty();
        // Two that they dialled: they decide which one stays.
        if (!we_dialled_new && !we_dialled_old && !stands) continue;
        const bool smaller_is_us = self_ < id;
        const bool new_stays = !stands && we_dialled_new != we_dialled_old && we_dialled_new == smaller_is_us;
        if (new_stays) {
            const std::optional<Redirect> sent = redirect_;  // it goes on over the one that stays
            close(other_handle, "another connection between the two stays", at);
            redirect_ = sent;
            break;
        }
        act(MembershipAction::Kind::close, handle, "another connection between the two stays");
        return decide(at);
    }
    if (sightings >= sightings_max) return act(MembershipAction::Kind::close, handle, "too many open sightings");

    if (!address.empty()) contacts_.opened(address, handle);
    contacts_.set_connected(id, true);
    Peer peer;
    peer.id = id;
    peer.address = address;
    peer.position = std::move(position);
    peer.since = at.now;
    peers_.emplace(handle, std::move(peer));
    decide(at);
}

void Membership::dial_failed(std::string_view address, DialEnd how, Moment at) {
    contacts_.failed(address, how, at.now);
    if (redirect_ && redirect_->address == address && !redirect_->target) give_up_redirect(at);
    decide(at);
}

void Membership::resolved(std::string_view name, const std::vector<std::string>& addresses, Moment at) {
    contacts_.resolved(name, addresses, at.now);
    decide(at);
}

void Membership::told(PeerHandle handle, Position position, Moment at) {
    Peer* peer = find(handle);
    if (!peer) return;
    peer->position = std::move(position);
    if (handle == parent_) follow_parent(at);
    decide(at);
}

void Membership::established(PeerHandle handle, Moment at) {
    Peer* peer = find(handle);
    if (!peer) return;
    peer->since = at.now;
    if (peer->role == PeerRole::attaching) {
        BASE_CHECK(attempt_ == handle && parent_ == peer_none);
        attempt_ = peer_none;
        peer->role = PeerRole::parent;
        parent_ = handle;
        lost_root_.reset();
        redirect_.reset();
        for (auto& [other_handle, other] : peers_) {
            other.redirects = 0;
            other.insists = false;
        }
        contacts_.end_round();
        follow_parent(at);
    } else if (peer->role == PeerRole::adopting) {
        peer->role = PeerRole::child;
        peer->sent_there = 0;
        peer->sent_on_at = {};
    }
    decide(at);
}

void Membership::released(PeerHandle handle, Moment at) {
    Peer* peer = find(handle);
    if (!peer) return;
    if (attempt_ == handle) attempt_ = peer_none;
    make_sighting(*peer, at);
    if (parent_ == handle) lose_parent(peer->id, at);
    decide(at);
}

void Membership::gone(PeerHandle handle, Moment at) {
    forget(handle, at);
    decide(at);
}

void Membership::set_facts(PeerHandle handle, PeerFacts facts) {
    Peer* peer = find(handle);
    if (!peer) return;
    if (peer->facts.behind != facts.behind) peer->sent_there = 0;  // those who were sent have arrived
    peer->facts = std::move(facts);
}

// ---- children -------------------------------------------------------------------------------------------------------

std::size_t Membership::children_and_coming() const {
    return static_cast<std::size_t>(std::count_if(peers_.begin(), peers_.end(), [](const auto& entry) {
        return entry.second.role == PeerRole::child || entry.second.role == PeerRole::adopting;
    }));
}

/// The child that `asker` is sent on to: of its region, as far away from here, with the fewest behind it.
Membership::Peer* Membership::place_for(const Peer& asker) {
    const int away = distance_bucket(asker.facts.round_trip);
    const auto rank = [&](const Peer& child) {
        const bool near = !asker.facts.region.empty() && child.facts.region == asker.facts.region;
        return std::make_tuple(near ? 0 : 1, std::abs(distance_bucket(child.facts.round_trip) - away),
                               child.facts.behind + child.sent_there, child.id);
    };
    Peer* best = nullptr;
    for (auto& [handle, child] : peers_) {
        if (child.role != PeerRole::child || child.id == asker.id || child.facts.address.empty()) continue;
        if (child.facts.address_is_local && !asker.facts.on_this_machine) continue;
        if (!best || rank(child) < rank(*best)) best = &child;
    }
    return best;
}

Adoption Membership::adopt(PeerHandle handle, std::uint32_t redirects, bool insists, Moment at) {
    Peer* peer = find(handle);
    if (!peer) return {"the connection is not known", {}};
    if (peer->role != PeerRole::sighting) return {"the connection is in use", {}};
    if (!peer->position.ancestors.empty()) return {"it is not a root", {}};
    if (!position_.root.senior_to(peer->position.root)) return {"its claim is senior", {}};
    if (position_.has_ancestor(peer->id)) return {"it is an ancestor of its parent to be", {}};
    if (position_.ancestors.size() + 1 >= ancestors_max) return {"the tree is too deep", {}};
    if (leaving_) {
        const Peer* place = redirects < redirects_max ? place_beyond(*peer) : nullptr;
        if (place) return {{}, place->facts.address};
        return {"this gateway is about to end", {}};
    }
    if (full() && !insists && redirects < redirects_max) {
        if (Peer* place = place_for(*peer)) {
            ++place->sent_there;
            return {{}, place->facts.address};
        }
        const bool coming = std::any_of(peers_.begin(), peers_.end(),
                                        [](const auto& entry) { return entry.second.role == PeerRole::adopting; });
        if (coming) return {"there is no room, and it is not known yet who could take it", {}};
    }
    peer->role = PeerRole::adopting;
    peer->since = at.now;
    return {};
}

// ---- before the end -------------------------------------------------------------------------------------------------

void Membership::leave(Moment at) {
    leaving_ = true;
    next_leave_ = at.now;
    send_children_on(at);
}

/// The child that takes a root's place: the one with the most behind it that others can dial.
const Membership::Peer* Membership::heir() const {
    const Peer* best = nullptr;
    for (const auto& [handle, peer] : peers_) {
        if (peer.role != PeerRole::child || peer.facts.address.empty()) continue;
        const auto rank = [](const Peer& one) {
            return std::make_tuple(one.facts.address_is_local,
                                   std::numeric_limits<std::size_t>::max() - one.facts.behind, one.id);
        };
        if (best == nullptr || rank(peer) < rank(*best)) best = &peer;
    }
    return best;
}

/// Where `asker` goes instead of here: our parent, else the heir.
const Membership::Peer* Membership::place_beyond(const Peer& asker) const {
    const auto fits = [&](const Peer& place) {
        return place.id != asker.id && !place.facts.address.empty() &&
               (!place.facts.address_is_local || asker.facts.on_this_machine);
    };
    const auto parent = peers_.find(parent_);
    if (parent != peers_.end() && fits(parent->second)) return &parent->second;
    const Peer* chosen = heir();
    return chosen != nullptr && fits(*chosen) ? chosen : nullptr;
}

void Membership::send_children_on(Moment at) {
    if (at.now < next_leave_) return;
    next_leave_ = at.now + options_.leave_interval;
    for (auto& [handle, peer] : peers_) {
        if (peer.role != PeerRole::child || !peer.facts.can_be_sent) continue;
        const Peer* place = place_beyond(peer);
        if (place == nullptr) continue;
        act(MembershipAction::Kind::redirect, handle, "this gateway is about to end");
        actions_.back().address = place->facts.address;
    }
}

bool Membership::left_alone() const {
    return std::none_of(peers_.begin(), peers_.end(), [&](const auto& entry) {
        const Peer& peer = entry.second;
        return peer.role == PeerRole::adopting || (peer.role == PeerRole::child && place_beyond(peer) != nullptr);
    });
}

/// Above the limit the youngest child is sent on, one at a time; who was told before comes after those who were not.
void Membership::shed(Moment at) {
    if (leaving_) return send_children_on(at);
    const auto children = static_cast<std::size_t>(std::count_if(
        peers_.begin(), peers_.end(), [](const auto& entry) { return entry.second.role == PeerRole::child; }));
    if (children <= options_.max_children) {
        next_shed_ = base::instant_max;
        return;
    }
    if (next_shed_ == base::instant_max) next_shed_ = at.now + options_.shed_interval;
    if (at.now < next_shed_) return;
    next_shed_ = at.now + options_.shed_interval;
    PeerHandle youngest = peer_none;
    for (const auto& [handle, peer] : peers_) {
        if (peer.role != PeerRole::child || !peer.facts.can_be_sent) continue;
        if (youngest != peer_none) {
            const Peer& other = peers_.at(youngest);
            if (peer.sent_on_at > other.sent_on_at) continue;
            if (peer.sent_on_at == other.sent_on_at && peer.since <= other.since) continue;
        }
        youngest = handle;
    }
    if (youngest == peer_none) return;
    Peer& peer = peers_.at(youngest);
    Peer* place = place_for(peer);
    if (!place) return;
    ++place->sent_there;
    peer.sent_on_at = at.now;
    act(MembershipAction::Kind::redirect, youngest, "there are more children here than are wanted");
    actions_.back().address = place->facts.address;
}

// ---- being sent on --------------------------------------------------------------------------------------------------

void Membership::redirected(PeerHandle handle, std::string_view address, Moment at) {
    Peer* peer = find(handle);
    if (!peer || (handle != parent_ && handle != attempt_)) return;
    redirect_.reset();
    Redirect sent;
    sent.from = handle;
    sent.root = peer->position.root;
    sent.address = address;
    sent.count = 1;
    sent.deadline = at.now + options_.redirect_time;
    if (attempt_ == handle) {
        attempt_ = peer_none;
        make_sighting(*peer, at);
        sent.count = peer->redirects + 1;
        peer->ask_not_before = sent.deadline;
    }
    // Perhaps a connection leads there already.
    const std::optional<GatewayId> who = contacts_.who(address);
    for (const auto& [other_handle, other] : peers_)
        if (other_handle != handle && (other.address == address || other.id == who)) sent.target = other.id;
    redirect_ = std::move(sent);
    if (address.empty()) {
        give_up_redirect(at);
    } else if (!redirect_->target) {
        act(MembershipAction::Kind::dial, peer_none);
        actions_.back().address = address;
    }
    decide(at);
}

/// What we were sent to cannot be reached or does not take us: back to who sent us, which takes us now.
void Membership::give_up_redirect(Moment at) {
    const PeerHandle from = std::exchange(redirect_, std::nullopt)->from;
    Peer* peer = find(from);
    if (!peer || peer->role != PeerRole::sighting) return;  // it is our parent still, or gone
    peer->insists = true;
    peer->ask_not_before = at.now;
}

void Membership::decide_redirect(Moment at) {
    if (!redirect_ || attempt_ != peer_none) return;
    const bool moving = parent_ != peer_none;
    if (moving && redirect_->from != parent_) return redirect_.reset();  // we have found a place since
    if (at.now >= redirect_->deadline) return give_up_redirect(at);
    if (!redirect_->target) return;
    const PeerHandle handle = handle_of(*redirect_->target);
    Peer* peer = find(handle);
    if (!peer || peer->role != PeerRole::sighting || peer->position.root != redirect_->root ||
        peer->position.has_ancestor(self_))
        return give_up_redirect(at);
    if (peer->ask_not_before > at.now) return;  // it has refused once; its own children may be coming
    if (moving) leave_parent("it has no room", at);
    if (!could_attach_to(*peer)) return give_up_redirect(at);
    peer->redirects = redirect_->count;
    start_attach(handle, *peer, at);
}

// ---- deciding -------------------------------------------------------------------------------------------------------

void Membership::attach_refused(PeerHandle handle, Moment at) {
    Peer* peer = find(handle);
    if (!peer || attempt_ != handle) return;
    attempt_ = peer_none;
    make_sighting(*peer, at);
    const auto quarter = static_cast<std::uint64_t>(options_.refused_pause.count()) / 4 + 1;
    peer->ask_not_before = at.now + options_.refused_pause + base::Duration(prng_.below(quarter));
    decide(at);
}

bool Membership::settling(base::Instant now) const {
    return now < settle_until_ && contacts_.round_open();
}

bool Membership::could_attach_to(const Peer& peer) const {
    return peer.role == PeerRole::sighting && peer.position.root.senior_to(position_.root) && peer.id != self_ &&
           !peer.position.has_ancestor(self_) && peer.position.ancestors.size() + 1 < ancestors_max;
}

base::Duration Membership::patience(const Peer& peer, base::Instant now) const {
    const auto parent = peers_.find(parent_);
    const bool fresh = parent != peers_.end() && now - parent->second.since < options_.fresh_time;
    return fresh || peer.was_linked ? options_.patience_fresh : options_.patience;
}

/// Notes since when a sighting is of use to us, or of none.
void Membership::judge(Peer& peer, base::Instant now) const {
    if (!could_attach_to(peer)) {
        peer.senior_since = base::instant_max;
    } else if (peer.senior_since == base::instant_max) {
        peer.senior_since = now;
    }
    if (peer.role != PeerRole::sighting || peer.position.root != position_.root) {
        peer.useless_since = base::instant_max;
    } else if (peer.useless_since == base::instant_max) {
        peer.useless_since = now;
    }
}

void Membership::start_attach(PeerHandle handle, Peer& peer, Moment at) {
    peer.role = PeerRole::attaching;
    peer.since = at.now;
    attempt_ = handle;
    act(MembershipAction::Kind::attach, handle);
    actions_.back().redirects = peer.redirects;
    actions_.back().insists = peer.insists;
}

/// Attaches to the best sighting if it is time to.
void Membership::decide(Moment at) {
    for (auto& [handle, peer] : peers_) judge(peer, at.now);
    decide_redirect(at);
    if (attempt_ != peer_none || (leaving_ && is_root())) return;
    const bool settled = !is_root() || !settling(at.now);
    PeerHandle best = peer_none;
    for (const auto& [handle, peer] : peers_) {
        if (!could_attach_to(peer) || peer.ask_not_before > at.now || waits_for_redirect(peer)) continue;
        // Back to where we were, if not by the one that was lost: there is nothing better to wait for.
        const bool back = lost_root_ == peer.position.root && !peer.position.has_ancestor(lost_parent_);
        if (!settled && !back) continue;
        if (!is_root() && at.now - peer.senior_since < patience(peer, at.now)) continue;
        if (best != peer_none) {
            const Position& other = peers_.at(best).position;
            const auto order = peer.position.root <=> other.root;
            if (order > 0 || (order == 0 && peer.position.ancestors.size() >= other.ancestors.size())) continue;
        }
        best = handle;
    }
    if (best == peer_none) return;
    if (!is_root()) leave_parent("a senior fragment is in sight", at);
    start_attach(best, peers_.at(best), at);
}

void Membership::tick(Moment at) {
    for (Contacts::Due& due : contacts_.due(at.now)) {
        act(due.is_name ? MembershipAction::Kind::resolve : MembershipAction::Kind::dial, peer_none);
        actions_.back().address = std::move(due.address);
    }
    std::vector<std::pair<PeerHandle, std::string_view>> over;
    for (const auto& [handle, peer] : peers_) {
        const bool opening = peer.role == PeerRole::attaching || peer.role == PeerRole::adopting;
        if (opening && at.now - peer.since >= options_.attempt_time) {
            over.emplace_back(handle, "the link did not stand in time");
        } else if (peer.useless_since != base::instant_max && at.now - peer.useless_since >= options_.useless_time) {
            over.emplace_back(handle, "both ends are in one fragment");
        }
    }
    for (const auto& [handle, reason] : over) close(handle, reason, at);
    shed(at);
    decide(at);
}

base::Instant Membership::next_deadline() const {
    base::Instant deadline = std::min({contacts_.next_due(), next_shed_, next_leave_});
    const auto at_most = [&](base::Instant instant) { deadline = std::min(deadline, instant); };
    const bool waiting = is_root() && contacts_.round_open();
    if (redirect_ && attempt_ == peer_none) at_most(redirect_->deadline);
    for (const auto& [handle, peer] : peers_) {
        if (peer.role == PeerRole::attaching || peer.role == PeerRole::adopting)
            at_most(peer.since + options_.attempt_time);
        if (peer.useless_since != base::instant_max) at_most(peer.useless_since + options_.useless_time);
        if (attempt_ != peer_none) continue;
        if (redirect_ && redirect_->target == peer.id) at_most(std::max(peer.ask_not_before, peer.since));
        if (peer.senior_since == base::instant_max || waits_for_redirect(peer)) continue;
        if (is_root()) {
            at_most(waiting ? std::max(peer.ask_not_before, settle_until_) : peer.ask_not_before);
        } else {
            const auto parent = peers_.find(parent_);
            // Whether we are fresh may change meanwhile; then the next deadline is later.
            const bool fresh =
                peer.was_linked || (parent != peers_.end() && peer.senior_since + options_.patience_fresh <
                                                                  parent->second.since + options_.fresh_time);
            at_most(std::max(peer.ask_not_before,
                             peer.senior_since + (fresh ? options_.patience_fresh : options_.patience)));
        }
    }
    return deadline;
}

std::vector<MembershipAction> Membership::take_actions() {
    return std::exchange(actions_, {});
}

// ---- what it is -----------------------------------------------------------------------------------------------------

std::vector<GatewayId> Membership::children() const {
    std::vector<GatewayId> ids;
    for (const auto& [handle, peer] : peers_)
        if (peer.role == PeerRole::child) ids.push_back(peer.id);
    std::sort(ids.begin(), ids.end());
    return ids;
}

std::optional<GatewayId> Membership::parent_id() const {
    const auto found = peers_.find(parent_);
    if (found == peers_.end()) return std::nullopt;
    return found->second.id;
}

std::optional<PeerRole> Membership::role(PeerHandle handle) const {
    const auto found = peers_.find(handle);
    if (found == peers_.end()) return std::nullopt;
    return found->second.role;
}

}  // namespace routing
