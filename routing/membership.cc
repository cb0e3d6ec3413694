#include "routing/membership.h"

#include <algorithm>
#include <utility>

#include "routing/base/check.h"

namespace routing {

bool Position::has_ancestor(const GatewayId& id) const {
    return std::find(ancestors.begin(), ancestors.end(), id) != ancestors.end();
}

Membership::Membership(MembershipOptions options, const GatewayId& self, std::uint64_t seed, Moment at)
    : options_(std::move(options)), self_(self), prng_(seed) {
    for (const std::string& address : options_.join) {
        const auto same = [&](const Seed& other) { return other.address == address; };
        if (std::any_of(seeds_.begin(), seeds_.end(), same)) continue;
        Seed entry;
        entry.address = address;
        seeds_.push_back(std::move(entry));
    }
    become_root(at);
    actions_.clear();  // nobody is there to be told
}

base::Duration Membership::jittered(base::Duration pause) {
    const auto quarter = static_cast<std::uint64_t>(pause.count()) / 4;
    return pause + base::Duration(static_cast<std::int64_t>(quarter == 0 ? 0 : prng_.below(quarter)));
}

void Membership::set_position(Position position) {
    if (position == position_) return;
    position_ = std::move(position);
    MembershipAction action;
    action.kind = MembershipAction::Kind::moved;
    actions_.push_back(std::move(action));
}

/// A new claim each time: an old one may still be believed somewhere.
void Membership::become_root(Moment at) {
    parent_ = peer_none;
    const base::WallMillis made_at = std::max(at.wall, last_claim_ + 1);
    last_claim_ = made_at;
    set_position(Position{Claim{made_at, self_}, {}});
    settle_until_ = at.now + options_.settle_time;
    for (Seed& seed : seeds_) {
        seed.pause = options_.redial_min;
        seed.round_done = seed.open != peer_none || seed.is_self;
        if (!seed.dialling) seed.next_dial = at.now;
    }
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

void Membership::leave_parent(std::string_view reason, Moment at) {
    BASE_CHECK(parent_ != peer_none);
    Peer& peer = peers_.at(parent_);
    peer.role = PeerRole::sighting;
    peer.since = at.now;
    MembershipAction action;
    action.kind = MembershipAction::Kind::detach;
    action.peer = parent_;
    action.reason = reason;
    actions_.push_back(std::move(action));
    become_root(at);
}

void Membership::close(PeerHandle handle, std::string_view reason, Moment at) {
    MembershipAction action;
    action.kind = MembershipAction::Kind::close;
    action.peer = handle;
    action.reason = reason;
    actions_.push_back(std::move(action));
    forget(handle, at);
}

/// Drops a connection from all that names it; the parent's loss makes us a root.
void Membership::forget(PeerHandle handle, Moment at) {
    const auto found = peers_.find(handle);
    if (found == peers_.end()) return;
    const bool was_parent = handle == parent_;
    for (Seed& seed : seeds_) {
        if (seed.open != handle) continue;
        seed.open = peer_none;
        seed.next_dial = was_parent ? at.now : at.now + jittered(seed.pause);
    }
    if (attempt_ == handle) attempt_ = peer_none;
    peers_.erase(found);
    if (was_parent) become_root(at);
}

void Membership::met(PeerHandle handle, const GatewayId& id, std::string_view address, Position position, Moment at) {
    const auto seed = std::find_if(seeds_.begin(), seeds_.end(), [&](const Seed& s) { return s.address == address; });
    if (!address.empty() && seed != seeds_.end()) {
        seed->dialling = false;
        seed->round_done = true;
        seed->leads_to = id;
        seed->pause = options_.redial_min;
        seed->next_dial = at.now + jittered(options_.probe_interval);
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
            close(other_handle, "another connection between the two stays", at);
            break;
        }
        MembershipAction action;
        action.kind = MembershipAction::Kind::close;
        action.peer = handle;
        action.reason = "another connection between the two stays";
        actions_.push_back(std::move(action));
        return decide(at);
    }
    if (sightings >= sightings_max) {
        MembershipAction action;
        action.kind = MembershipAction::Kind::close;
        action.peer = handle;
        action.reason = "too many open sightings";
        actions_.push_back(std::move(action));
        return;
    }

    if (!address.empty() && seed != seeds_.end()) seed->open = handle;
    Peer peer;
    peer.id = id;
    peer.address = address;
    peer.position = std::move(position);
    peer.since = at.now;
    peers_.emplace(handle, std::move(peer));
    decide(at);
}

void Membership::dial_failed(std::string_view address, bool is_self, Moment at) {
    for (Seed& seed : seeds_) {
        if (seed.address != address) continue;
        seed.dialling = false;
        seed.round_done = true;
        if (is_self) seed.is_self = true;
        seed.next_dial = at.now + jittered(is_root() ? seed.pause : options_.probe_interval);
        seed.pause = std::min(seed.pause * 2, options_.redial_max);
    }
    decide(at);
}

void Membership::told(PeerHandle handle, Position position, Moment at) {
    const auto found = peers_.find(handle);
    if (found == peers_.end()) return;
    found->second.position = std::move(position);
    if (handle == parent_) follow_parent(at);
    decide(at);
}

std::string_view Membership::adopt(PeerHandle handle, Moment at) {
    const auto found = peers_.find(handle);
    if (found == peers_.end()) return "the connection is not known";
    Peer& peer = found->second;
    if (peer.role != PeerRole::sighting) return "the connection is in use";
    if (!peer.position.ancestors.empty()) return "it is not a root";
    if (!position_.root.senior_to(peer.position.root)) return "its claim is senior";
    if (position_.has_ancestor(peer.id)) return "it is an ancestor of its parent to be";
    if (position_.ancestors.size() + 1 >= ancestors_max) return "the tree is too deep";
    peer.role = PeerRole::adopting;
    peer.since = at.now;
    return {};
}

void Membership::attach_refused(PeerHandle handle, Moment at) {
    const auto found = peers_.find(handle);
    if (found == peers_.end() || attempt_ != handle) return;
    attempt_ = peer_none;
    found->second.role = PeerRole::sighting;
    found->second.since = at.now;
    found->second.ask_not_before = at.now + jittered(options_.refused_pause);
    decide(at);
}

void Membership::established(PeerHandle handle, Moment at) {
    const auto found = peers_.find(handle);
    if (found == peers_.end()) return;
    Peer& peer = found->second;
    peer.since = at.now;
    if (peer.role == PeerRole::attaching) {
        BASE_CHECK(attempt_ == handle && parent_ == peer_none);
        attempt_ = peer_none;
        peer.role = PeerRole::parent;
        parent_ = handle;
        follow_parent(at);
    } else if (peer.role == PeerRole::adopting) {
        peer.role = PeerRole::child;
    }
    decide(at);
}

void Membership::released(PeerHandle handle, Moment at) {
    const auto found = peers_.find(handle);
    if (found == peers_.end()) return;
    if (attempt_ == handle) attempt_ = peer_none;
    found->second.role = PeerRole::sighting;
    found->second.since = at.now;
    if (parent_ == handle) become_root(at);
    decide(at);
}

void Membership::gone(PeerHandle handle, Moment at) {
    forget(handle, at);
    decide(at);
}

bool Membership::settling(base::Instant now) const {
    if (now >= settle_until_) return false;
    return std::any_of(seeds_.begin(), seeds_.end(), [](const Seed& seed) { return !seed.round_done; });
}

bool Membership::could_attach_to(const Peer& peer) const {
    return peer.role == PeerRole::sighting && peer.position.root.senior_to(position_.root) && peer.id != self_ &&
           !peer.position.has_ancestor(self_) && peer.position.ancestors.size() + 1 < ancestors_max;
}

base::Duration Membership::patience(base::Instant now) const {
    const auto parent = peers_.find(parent_);
    const bool fresh = parent != peers_.end() && now - parent->second.since < options_.fresh_time;
    return fresh ? options_.patience_fresh : options_.patience;
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
    MembershipAction action;
    action.kind = MembershipAction::Kind::attach;
    action.peer = handle;
    actions_.push_back(std::move(action));
}

/// Attaches to the best sighting if it is time to.
void Membership::decide(Moment at) {
    for (auto& [handle, peer] : peers_) judge(peer, at.now);
    if (attempt_ != peer_none || (is_root() && settling(at.now))) return;
    PeerHandle best = peer_none;
    for (const auto& [handle, peer] : peers_) {
        if (!could_attach_to(peer) || peer.ask_not_before > at.now) continue;
        if (!is_root() && at.now - peer.senior_since < patience(at.now)) continue;
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

bool Membership::wants_dial(const Seed& seed) const {
    if (seed.dialling || seed.is_self || seed.open != peer_none) return false;
    if (!seed.leads_to) return true;
    if (members_.contains(*seed.leads_to)) return false;
    return std::none_of(peers_.begin(), peers_.end(),
                        [&](const auto& entry) { return entry.second.id == *seed.leads_to; });
}

void Membership::dial_seeds(Moment at) {
    for (Seed& seed : seeds_) {
        if (!wants_dial(seed)) {
            // What leads into our own fragment need not be waited for.
            if (!seed.dialling) seed.round_done = true;
            continue;
        }
        if (seed.next_dial > at.now) continue;
        seed.dialling = true;
        MembershipAction action;
        action.kind = MembershipAction::Kind::dial;
        action.address = seed.address;
        actions_.push_back(std::move(action));
    }
}

void Membership::tick(Moment at) {
    dial_seeds(at);
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
    decide(at);
}

base::Instant Membership::next_deadline() const {
    base::Instant deadline = base::instant_max;
    const auto at_most = [&](base::Instant instant) { deadline = std::min(deadline, instant); };
    bool waiting = false;
    for (const Seed& seed : seeds_) {
        if (wants_dial(seed)) at_most(seed.next_dial);
        if (!seed.round_done) waiting = true;
    }
    for (const auto& [handle, peer] : peers_) {
        if (peer.role == PeerRole::attaching || peer.role == PeerRole::adopting)
            at_most(peer.since + options_.attempt_time);
        if (peer.useless_since != base::instant_max) at_most(peer.useless_since + options_.useless_time);
        if (attempt_ != peer_none || peer.senior_since == base::instant_max) continue;
        if (is_root()) {
            at_most(waiting ? std::max(peer.ask_not_before, settle_until_) : peer.ask_not_before);
        } else {
            const auto parent = peers_.find(parent_);
            // Whether we are fresh may change meanwhile; then the next deadline is later.
            const bool fresh = parent != peers_.end() &&
                               peer.senior_since + options_.patience_fresh < parent->second.since + options_.fresh_time;
            at_most(std::max(peer.ask_not_before,
                             peer.senior_since + (fresh ? options_.patience_fresh : options_.patience)));
        }
    }
    return deadline;
}

std::vector<MembershipAction> Membership::take_actions() {
    return std::exchange(actions_, {});
}

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
