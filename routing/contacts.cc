#include "routing/contacts.h"

#include <algorithm>
#include <utility>

namespace routing {

Contacts::Contacts(ContactOptions options, const std::vector<std::string>& join, const std::vector<std::string>& names,
                   std::uint64_t seed)
    : options_(options), prng_(seed) {
    for (const auto* list : {&join, &names}) {
        for (const std::string& address : *list) {
            Contact& contact = contacts_[address];
            contact.given = contact.join = true;
            contact.is_name = list == &names;
        }
    }
}

base::Duration Contacts::jittered(base::Duration pause) {
    const auto quarter = static_cast<std::uint64_t>(pause.count()) / 4;
    return pause + base::Duration(static_cast<std::int64_t>(quarter == 0 ? 0 : prng_.below(quarter)));
}

base::Duration Contacts::pause_of(const Contact& contact) const {
    const auto doubled = [&](base::Duration least, base::Duration most) {
        return std::min(least * (std::int64_t{1} << std::min(contact.failures, 16u)), most);
    };
    if (contact.is_name) return root_ ? doubled(options_.resolve_min, options_.resolve_max) : options_.resolve_member;
    const bool first = contact.first_rank();
    const base::Duration least = !root_ ? options_.probe_min : first ? options_.redial_min : options_.member_redial_min;
    const base::Duration most = !root_ ? options_.probe_max : first ? options_.redial_max : options_.member_redial_max;
    return doubled(least, most);
}

void Contacts::set_root(bool root) {
    root_ = root;
    stale_ = true;
}

void Contacts::set_known(const std::vector<KnownMember>& known, base::Instant now) {
    stale_ = true;
    for (auto& [address, contact] : contacts_) contact.known.reset();
    const std::size_t count = std::min(known.size(), known_members_max);
    // Many that were told of at once are not dialled at once.
    const base::Duration spread = options_.member_redial_min * static_cast<std::int64_t>(1 + count / 16);
    for (std::size_t i = 0; i < count; ++i) {
        const auto [place, fresh] = contacts_.try_emplace(known[i].address);
        Contact& contact = place->second;
        contact.known = known[i].id;
        if (!contact.join && contact.leads_to != contact.known) contact.leads_to.reset();
        if (fresh) contact.next_dial = now + base::Duration(prng_.below(static_cast<std::uint64_t>(spread.count())));
    }
    drop_needless();
    mark_spares();
}

void Contacts::drop_needless() {
    std::erase_if(contacts_, [](const auto& entry) {
        const Contact& contact = entry.second;
        return !contact.join && !contact.known && !contact.dialling && contact.open == peer_none;
    });
}

void Contacts::resolved(std::string_view name, const std::vector<std::string>& addresses, base::Instant now) {
    const auto found = contacts_.find(name);
    if (found == contacts_.end() || !found->second.is_name) return;
    stale_ = true;
    const bool in_round = root_ && !found->second.round_done;
    end_dial(found->second);
    found->second.next_dial = now + jittered(pause_of(found->second));
    ++found->second.failures;

    std::vector<std::string>& behind = behind_[found->first];
    behind.assign(addresses.begin(),
                  addresses.begin() + static_cast<std::ptrdiff_t>(std::min(addresses.size(), name_addresses_max)));
    for (std::size_t i = 0; i < behind.size(); ++i) {
        Contact& contact = contacts_[behind[i]];
        const auto paced = now + options_.name_pace * static_cast<std::int64_t>(i);
        if (!contact.join) {
            contact.next_dial = paced;
            contact.round_done = !in_round;
        } else if (in_round && !contact.dialling) {
            contact.next_dial = std::min(contact.next_dial, paced);
        }
    }
    for (auto& [address, contact] : contacts_) {
        contact.join = contact.given;
        for (const auto& [each, list] : behind_)
            contact.join = contact.join || std::find(list.begin(), list.end(), address) != list.end();
    }
    drop_needless();
}

void Contacts::set_spares(std::vector<GatewayId> spares) {
    if (spares.size() > spares_max) spares.resize(spares_max);
    if (spares == spares_) return;
    spares_ = std::move(spares);
    mark_spares();
}

void Contacts::mark_spares() {
    stale_ = true;
    for (auto& [address, contact] : contacts_) {
        const auto& who = contact.who();
        const bool spare = who && std::find(spares_.begin(), spares_.end(), *who) != spares_.end();
        if (spare == contact.spare) continue;
        contact.spare = spare;
        if (spare) contact.round_done = true;  // it is in no round that is open
    }
}

void Contacts::set_members(std::set<GatewayId> members, base::Instant now) {
    stale_ = true;
    for (auto& [address, contact] : contacts_) {
        const auto& who = contact.who();
        if (!who || !members_.contains(*who) || members.contains(*who)) continue;
        // It has just left our fragment.  All who lost it will look for it, so not all at the same moment.
        contact.failures = 0;
        const base::Duration most = root_ ? options_.redial_min : options_.probe_min;
        const auto later = now + base::Duration(prng_.below(static_cast<std::uint64_t>(most.count())));
        contact.next_dial = root_ && contact.first_rank() ? std::min(contact.next_dial, later) : later;
    }
    members_ = std::move(members);
}

void Contacts::set_connected(const GatewayId& id, bool connected) {
    stale_ = true;
    if (connected) {
        ++connected_[id];
        return;
    }
    const auto found = connected_.find(id);
    if (found != connected_.end() && --found->second == 0) connected_.erase(found);
}

void Contacts::begin_round(base::Instant now) {
    set_root(true);
    for (auto& [address, contact] : contacts_) {
        contact.failures = 0;
        contact.round_done = !contact.first_rank() || contact.open != peer_none || contact.is_self;
        if (contact.dialling) continue;
        contact.next_dial = contact.first_rank() ? now : now + jittered(options_.redial_min);
    }
}

bool Contacts::round_open() const {
    return std::any_of(contacts_.begin(), contacts_.end(),
                       [](const auto& entry) { return !entry.second.round_done && entry.second.first_rank(); });
}

bool Contacts::wanted(const Contact& contact) const {
    if (contact.dialling || contact.is_self || contact.open != peer_none) return false;
    if (!root_ && !contact.join) return false;
    const auto& who = contact.who();
    return !who || (!members_.contains(*who) && !connected_.contains(*who));
}

std::vector<Contacts::Due> Contacts::due(base::Instant now) {
    std::vector<Due> addresses;
    if (next_due() > now) return addresses;
    stale_ = true;
    for (auto& [address, contact] : contacts_) {
        if (!wanted(contact)) {
            // What leads into our own fragment need not be waited for.
            if (!contact.dialling) contact.round_done = true;
            continue;
        }
        if (contact.next_dial > now) continue;
        if (!contact.first_rank()) {
            if (member_dials_ >= options_.member_dials_max) {
                // Others first; its turn comes.
                contact.next_dial = now + jittered(options_.member_redial_min);
                continue;
            }
            ++member_dials_;
            contact.counted = true;
        }
        contact.dialling = true;
        addresses.push_back(Due{address, contact.is_name});
    }
    return addresses;
}

base::Instant Contacts::next_due() const {
    if (!stale_) return next_due_;
    stale_ = false;
    next_due_ = base::instant_max;
    for (const auto& [address, contact] : contacts_) {
        if (wanted(contact)) {
            next_due_ = std::min(next_due_, contact.next_dial);
        } else if (!contact.dialling && !contact.round_done) {
            next_due_ = base::Instant{};  // due() closes its round
        }
    }
    return next_due_;
}

void Contacts::end_dial(Contact& contact) {
    contact.dialling = false;
    contact.round_done = true;
    if (std::exchange(contact.counted, false)) --member_dials_;
}

void Contacts::met(std::string_view address, const GatewayId& id, base::Instant now) {
    const auto found = contacts_.find(address);
    if (found == contacts_.end()) return;
    stale_ = true;
    Contact& contact = found->second;
    end_dial(contact);
    contact.leads_to = id;
    contact.failures = 0;
    contact.next_dial = now + jittered(options_.probe_min);
}

void Contacts::failed(std::string_view address, DialEnd how, base::Instant now) {
    const auto found = contacts_.find(address);
    if (found == contacts_.end()) return;
    stale_ = true;
    Contact& contact = found->second;
    end_dial(contact);
    if (how == DialEnd::myself) contact.is_self = true;
    const base::Duration pause = pause_of(contact);
    contact.next_dial = now + jittered(how == DialEnd::refused ? std::max(pause, options_.refused_pause) : pause);
    ++contact.failures;
}

void Contacts::opened(std::string_view address, PeerHandle handle) {
    const auto found = contacts_.find(address);
    if (found == contacts_.end()) return;
    stale_ = true;
    found->second.open = handle;
}

void Contacts::closed(PeerHandle handle, bool at_once, base::Instant now) {
    for (auto& [address, contact] : contacts_) {
        if (contact.open != handle) continue;
        stale_ = true;
        contact.open = peer_none;
        contact.next_dial = at_once ? now : now + jittered(pause_of(contact));
    }
}

std::optional<GatewayId> Contacts::who(std::string_view address) const {
    const auto found = contacts_.find(address);
    return found == contacts_.end() ? std::nullopt : found->second.who();
}

}  // namespace routing
