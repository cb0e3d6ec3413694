// Everybody's logs: our own, what neighbours lack, what follows for interest, topology and primes.
#include <algorithm>
#include <utility>

#include "routing/base/check.h"
#include "routing/base/subject.h"
#include "routing/peer/peer_codec.h"
#include "routing/peer/seen_address.h"
#include "routing/peer/tree_core.h"

namespace routing::peer {

// ---- our own log ----------------------------------------------------------------------------------------------------

bool Tree::Core::is_propagated(std::string_view filter) const {
    std::string_view first;
    base::Tokens tokens(filter);
    if (!tokens.next(first)) return false;
    return std::find(options_.inbox_prefixes.begin(), options_.inbox_prefixes.end(), first) ==
           options_.inbox_prefixes.end();
}

/// Sets an entry of our own log; it is told before the next message goes out, at the latest at the end of the turn.
void Tree::Core::set_own(const base::Bytes& key, const base::Bytes& value) {
    GatewayLog& own = book_.own();
    if (own.find(key) == base::ByteView{value}) return;
    if (!own.set(key, value)) {
        if (std::exchange(full_told_, true)) return;
        log_line(LogLevel::error, "this gateway's log is full (" + std::to_string(own.entries().size()) +
                                      " entries): others will not know all that is wanted here");
        return;
    }
    own_dirty_ = true;
    entry_changed(gateway_self, key, value);
    // A burst is told while the journal still holds all of it.
    if (++own_unflushed_ >= update_part_changes) return flush_own();
    for (const auto& [handle, session] : sessions_)
        if (session->sync_sent) announce(*session->channel(Lane::volatile_));
}

void Tree::Core::flush_own() {
    if (!std::exchange(own_dirty_, false)) return;
    own_unflushed_ = 0;
    flood(book_.own());
}

bool Tree::Core::set_interest(std::string_view account, std::string_view filter, std::string_view queue,
                              std::uint32_t weight) {
    if (!is_propagated(filter)) return true;
    if (queue.empty()) weight = std::min(weight, 1u);  // who has one plain subscriber gets what two would get
    const base::Bytes key = interest_key(account, filter, queue);
    const std::uint64_t told = read_number_value(book_.own().find(key)).value_or(0);
    const auto waiting = weights_.find(key);
    if (told == weight) {
        if (waiting != weights_.end()) waiting->second.pending = false;
        return true;
    }
    const bool at_once = told == 0 || weight == 0;
    if (!at_once && waiting != weights_.end() && now_ < waiting->second.due) {
        waiting->second.weight = weight;
        waiting->second.pending = true;
        return true;
    }
    set_own(key, weight == 0 ? base::Bytes() : number_value(weight));
    if (read_number_value(book_.own().find(key)).value_or(0) != weight) return false;
    if (queue.empty() || weight == 0) {
        weights_.erase(key);
    } else {
        weights_[key] = WeightWait{weight, false, now_ + weight_interval};
    }
    return true;
}

void Tree::Core::tick_weights() {
    for (auto wait = weights_.begin(); wait != weights_.end();) {
        if (wait->second.due > now_) {
            ++wait;
            continue;
        }
        if (!wait->second.pending) {
            wait = weights_.erase(wait);
            continue;
        }
        set_own(wait->first, number_value(wait->second.weight));
        wait->second.pending = false;
        wait->second.due = now_ + weight_interval;
        ++wait;
    }
}

void Tree::Core::set_durable_filters(const std::vector<DurableFilter>& filters) {
    std::map<base::Bytes, base::Bytes> wanted;
    for (const DurableFilter& filter : filters) {
        base::Bytes value = number_value(filter.flags);
        wanted.emplace(durable_key(filter.filter), std::move(value));
    }
    std::vector<base::Bytes> gone;
    for (const auto& [key, value] : book_.own().entries())
        if (key_kind(key) == LogEntryKind::durable && !wanted.contains(key)) gone.push_back(key);
    for (const base::Bytes& key : gone) set_own(key, {});
    for (const auto& [key, value] : wanted) set_own(key, value);
}

void Tree::Core::set_description(const std::string& region, const std::vector<std::string>& tags) {
    options_.region = region;
    options_.tags = tags;
    set_own(single_key(LogEntryKind::region), region);
    std::vector<base::Bytes> gone;
    for (const auto& [key, value] : book_.own().entries()) {
        const auto tag = read_tag_key(key);
        if (tag && std::find(tags.begin(), tags.end(), *tag) == tags.end()) gone.push_back(key);
    }
    for (const base::Bytes& key : gone) set_own(key, {});
    for (const std::string& tag : tags) set_own(tag_key(tag), number_value(1));
}

/// Somebody holds a life of our own log that is not ours: begin one above it, so that ours is believed.
void Tree::Core::hear_of_myself(const LogVersion& heard) {
    const auto above = book_.incarnation_above(heard);
    if (!above) return;
    if (give_way(heard)) return;
    book_.own().start(*above, options_.boot);
    own_dirty_ = true;
    log_line(LogLevel::info,
             "another incarnation of this gateway's log is known: this one is " + std::to_string(*above) + " now");
    const auto prime = read_prime_value(book_.own().find(single_key(LogEntryKind::prime))).value_or(PrimeEntry{});
    events_.identity_changed(*above, prime.prime, prime.claimed_at);
}

/// True if `heard` is the log of another live gateway with our id (two halves of a tree met, with a copied data dir in
/// each), and it is for us to leave: one must, or each would go above the other for ever.  A dead one does not answer.
bool Tree::Core::give_way(const LogVersion& heard) {
    if (heard.boot != rival_.heard.boot || now_ - rival_.since > rival_time) rival_ = Rival{heard, now_, 0};
    if (rival_.answers == 0 || heard.incarnation > rival_.heard.incarnation) ++rival_.answers;
    rival_.heard = std::max(rival_.heard, heard);
    if (rival_.answers < rival_answers_max) return false;
    const bool leave = options_.boot > heard.boot;
    const std::string text = "id " + base::to_hex(options_.id.view()) + " of this gateway, '" + options_.name +
                             "', is in use by another live gateway of this tree; is its data dir a copy?";
    if (!told_lately(text))
        log_line(LogLevel::error, text + (leave ? " This one leaves the tree" : " The other one must leave the tree"));
    if (!leave) return false;
    gave_way_until_ = now_ + rival_time;
    rival_.answers = 0;
    const Refuse why{
        RefuseReason::id_in_use, "another live gateway of this tree has the id of '" + options_.name + "'", {}};
    for (const auto& [handle, session] : sessions_) leaving_.push_back(handle);
    leaving_for_ = why;
    return true;
}

// ---- what neighbours lack -------------------------------------------------------------------------------------------

void Tree::Core::begin_sync(PeerSession& session) {
    Channel& lane = *session.channel(Lane::volatile_);
    encode(lane.out.frames(), Summary{book_.summary()}, false);
    announce(lane);
}

void Tree::Core::send_diff(PeerSession& session, const GatewayLog& log, bool repair) {
    const auto held = session.held.find(log.gateway());
    std::vector<LogUpdate> updates;
    log.diff(held == session.held.end() ? std::nullopt : std::optional<LogVersion>(held->second), repair, updates);
    if (updates.empty()) return;
    Channel& lane = *session.channel(Lane::volatile_);
    for (const LogUpdate& update : updates) encode(lane.out.frames(), update);
    counters_.log_updates_out += updates.size();
    session.held[log.gateway()] = log.version();
    announce(lane);
}

/// Tells every neighbour that lags; the one that it came from does not.
void Tree::Core::flood(const GatewayLog& log) {
    for (const auto& [handle, session] : sessions_)
        if (session->established() && session->sync_sent) send_diff(*session, log, false);
}

void Tree::Core::broken_sync(PeerSession& session, PeerError error, std::string_view frame) {
    end_session(session, Refuse{RefuseReason::protocol, std::string{frame} + ": " + std::string{describe(error)}, {}},
                true);
}

void Tree::Core::on_sync_frame(PeerSession& session, const FrameHeader& header, base::ByteView body) {
    Channel& lane = *session.channel(Lane::volatile_);
    switch (static_cast<FrameKind>(header.kind)) {
        case FrameKind::summary: {
            const auto summary = decode_summary(body);
            if (!summary) return broken_sync(session, summary.error(), "SUMMARY");
            return on_summary(session, summary.value(), (header.flags & repair_flag) != 0);
        }
        case FrameKind::log: {
            const auto update = decode_log(body);
            if (!update) return broken_sync(session, update.error(), "LOG");
            return on_log(session, update.value());
        }
        case FrameKind::log_request: {
            const auto gateway = decode_log_request(body);
            if (!gateway) return broken_sync(session, gateway.error(), "LOG_REQUEST");
            session.held.erase(gateway.value());
            if (const GatewayLog* log = book_.find(gateway.value())) send_diff(session, *log, false);
            return;
        }
        case FrameKind::sync_done:
            session.sync_heard = true;
            return;
        case FrameKind::digest: {
            const auto digest = decode_digest(body);
            if (!digest) return broken_sync(session, digest.error(), "DIGEST");
            if (digest.value() == book_.digest()) {
                session.digests_differ = 0;
            } else if (++session.digests_differ >= digests_differ_max) {
                session.digests_differ = 0;
                ++counters_.repairs;
                encode(lane.out.frames(), Summary{book_.summary()}, true);
                announce(lane);
            }
            return;
        }
        default:
            return broken_sync(session, PeerError::out_of_place, "a frame");
    }
}

void Tree::Core::on_summary(PeerSession& session, const Summary& summary, bool repair) {
    std::map<GatewayId, std::uint64_t> digests;
    session.held.clear();
    for (const LogStand& stand : summary.stands) {
        if (stand.gateway == options_.id) hear_of_myself(stand.version);
        session.held[stand.gateway] = stand.version;
        digests[stand.gateway] = stand.digest;
    }
    for (const auto& [id, log] : book_.all()) {
        const auto held = session.held.find(id);
        bool differs = false;
        if (held != session.held.end() && held->second == log.version() && digests[id] != log.digest()) {
            // Whoever is nearer to the owner has the right one; if neither is, both must only agree.
            const auto index = registry_.find(id);
            if (!index) continue;
            differs = topology_.reachable(*index) ? topology_.next_hop(*index) != session.gateway
                                                  : digests[id] < log.digest();
        }
        send_diff(session, log, differs);
    }
    if (repair || session.sync_sent) return;
    Channel& lane = *session.channel(Lane::volatile_);
    encode_empty(lane.out.frames(), FrameKind::sync_done);
    announce(lane);
    session.sync_sent = true;
    lane.refuses_records = false;
    if (std::exchange(lane.pressed, false)) press_changed_ = true;
}

void Tree::Core::on_log(PeerSession& session, const LogUpdate& update) {
    ++counters_.log_updates_in;
    if (update.gateway == options_.id) return hear_of_myself(update.after());
    const auto index = registry_.intern(update.gateway);
    if (!index) return broken_sync(session, PeerError::limit, "LOG");
    const GatewayLog* known = book_.find(update.gateway);
    if (const auto gone = forgotten_.find(update.gateway);
        known == nullptr && gone != forgotten_.end() && update.incarnation <= gone->second) {
        // A copy of somebody who has not heard yet that it was given up.
        session.held[update.gateway] = update.after();
        return;
    }
    const LogVersion before = known ? known->version() : LogVersion{};
    if (!known && book_.all().size() >= logs_max) make_room();
    const Applied applied = book_.apply(
        update, [&](base::ByteView key, base::ByteView, base::ByteView is) { entry_changed(*index, key, is); });
    switch (applied) {
        case Applied::refused:
            return broken_sync(session, PeerError::limit, "LOG");
        case Applied::gap: {
            Channel& lane = *session.channel(Lane::volatile_);
            encode_log_request(lane.out.frames(), update.gateway);
            return announce(lane);
        }
        case Applied::partly:
            return;
        case Applied::nothing:
        case Applied::changed:
            break;
    }
    if (!update.full || update.last) {
        const auto held = session.held.find(update.gateway);
        if (held == session.held.end() || held->second < update.after()) session.held[update.gateway] = update.after();
    }
    if (applied == Applied::changed) log_applied(*index, *book_.find(update.gateway), before);
}

/// Forgets the gateway that has been away for longest, as there is no room for the log of another.
void Tree::Core::make_room() {
    const GatewayLog* oldest = nullptr;
    base::Instant oldest_left = base::instant_max;
    for (const auto& [id, log] : book_.all()) {
        const auto index = registry_.find(id);
        if (id == options_.id || !index || topology_.reachable(*index)) continue;
        const auto left = left_.find(*index);
        const base::Instant when = left == left_.end() ? base::Instant{} : left->second;
        if (oldest && when >= oldest_left) continue;
        oldest = &log;
        oldest_left = when;
    }
    if (!oldest) return;
    const GatewayId id = oldest->gateway();
    log_line(LogLevel::warning, "forgetting gateway " + base::to_hex(id.view()) + ": more than " +
                                    std::to_string(logs_max) + " are known");
    drop_log(*registry_.find(id), id);
}

/// What a log said is withdrawn, and the log dropped.
void Tree::Core::drop_log(GatewayIndex gateway, const GatewayId& id) {
    const std::map<base::Bytes, base::Bytes> entries = book_.find(id)->entries();
    for (const auto& [key, value] : entries) entry_changed(gateway, key, {});
    book_.forget(id);
}

// ---- who was given up -----------------------------------------------------------------------------------------------

/// An entry of our own log says who was given up, and whoever hears of it says so too: thus it outlives us, and reaches
/// those who are cut off now.  Each takes its entry away when that gateway is back.
bool Tree::Core::forget(GatewayIndex gateway) {
    if (gateway == gateway_self || gateway >= registry_.size() || topology_.reachable(gateway)) return false;
    const GatewayId id = registry_.id(gateway);
    const GatewayLog* log = book_.find(id);
    if (forgotten_.size() >= forgotten_max || (log == nullptr && forgotten_.contains(id))) return false;
    // Of a gateway without a log here the incarnation is not known; it began as a wall clock (see TreeOptions).
    const std::uint64_t incarnation = log != nullptr
                                          ? log->version().incarnation
                                          : static_cast<std::uint64_t>(std::max<base::WallMillis>(at().wall, 1));
    set_own(forgotten_key(id), number_value(incarnation));
    return true;
}

void Tree::Core::apply_forgotten() {
    forgotten_dirty_ = false;
    std::map<GatewayId, std::uint64_t> all;
    for (const auto& [owner, log] : book_.all()) {
        for (auto entry = log.entries().lower_bound(single_key(LogEntryKind::forgotten)); entry != log.entries().end();
             ++entry) {
            const auto id = read_forgotten_key(entry->first);
            if (!id) break;
            if (all.size() >= forgotten_max && !all.contains(*id)) continue;
            std::uint64_t& incarnation = all[*id];
            incarnation = std::max(incarnation, read_number_value(entry->second).value_or(0));
        }
    }
    for (const auto& [id, incarnation] : all) {
        if (id == options_.id) {
            // Of us: what was given up is gone, and we are believed again as another life.
            LogVersion heard = book_.own().version();
            heard.incarnation = incarnation;
            heard.boot = 0;
            hear_of_myself(heard);
            continue;
        }
        const auto index = registry_.intern(id);
        if (!index || topology_.reachable(*index)) continue;
        const GatewayLog* log = book_.find(id);
        if (log != nullptr && log->version().incarnation > incarnation) continue;
        if (log == nullptr && forgotten_.contains(id)) continue;
        events_.forgotten(*index);
        if (log != nullptr) drop_log(*index, id);
        set_own(forgotten_key(id), number_value(incarnation));
        log_line(LogLevel::warning, "gateway " + base::to_hex(id.view()) + ", which is away, is forgotten");
    }
    forgotten_ = std::move(all);
}

// ---- what follows ---------------------------------------------------------------------------------------------------

void Tree::Core::entry_changed(GatewayIndex gateway, base::ByteView key, base::ByteView after) {
    const auto kind = key_kind(key);
    if (!kind) return;
    switch (*kind) {
        case LogEntryKind::interest: {
            const auto entry = read_interest_key(key);
            if (!entry || gateway == gateway_self) return;
            const std::uint64_t weight = read_number_value(after).value_or(0);
            events_.remote_interest(gateway, entry->account, entry->filter, entry->queue,
                                    static_cast<std::uint32_t>(std::min<std::uint64_t>(weight, UINT32_MAX)));
            return;
        }
        case LogEntryKind::durable:
            durable_dirty_ = true;
            return;
        case LogEntryKind::advertise:
            known_dirty_ = true;
            return;
        case LogEntryKind::forgotten:
            forgotten_dirty_ = true;
            return;
        case LogEntryKind::name:
        case LogEntryKind::region:
        case LogEntryKind::tag:
            events_.described(gateway);
            return;
        case LogEntryKind::prime: {
            const PrimeEntry prime = read_prime_value(after).value_or(PrimeEntry{});
            engine_.set_prime(gateway, prime.prime, prime.claimed_at);
            primes_dirty_ = true;
            return;
        }
        case LogEntryKind::link: {
            const auto neighbour = read_link_key(key);
            const auto index = neighbour ? registry_.intern(*neighbour) : std::nullopt;
            if (!index) return;
            topology_.set_link(gateway, *index, read_number_value(after).value_or(0));
            topology_dirty_ = true;
            return;
        }
        default:
            return;
    }
}

/// A copy stands at a newer version: others are told, and the ways are computed before the next message is read.
void Tree::Core::log_applied(GatewayIndex gateway, const GatewayLog& log, const LogVersion& before) {
    flood(log);
    refresh_topology();
    if (before.boot != log.version().boot && topology_.reachable(gateway)) {
        std::uint64_t& told = reachable_boots_[gateway];
        if (told != log.version().boot) {
            told = log.version().boot;
            events_.reachable(gateway, true, told);
        }
    }
    events_.log_changed(gateway);
}

void Tree::Core::refresh_topology() {
    if (!std::exchange(topology_dirty_, false)) return;
    std::vector<GatewayIndex> changed;
    if (!topology_.update(changed)) return;

    RouteTree routes;
    routes.previous.assign(registry_.size(), gateway_none);
    routes.link.assign(registry_.size(), link_none);
    std::set<GatewayId> members;
    for (const GatewayIndex gateway : topology_.members()) {
        members.insert(registry_.id(gateway));
        if (gateway == gateway_self) continue;
        routes.previous[gateway] = topology_.previous(gateway);
        for (LinkIndex link = 0; link < links_.size(); ++link)
            if (links_[link] && links_[link]->gateway == topology_.next_hop(gateway)) routes.link[gateway] = link;
    }
    engine_.set_topology(std::move(routes));
    membership_.set_members(std::move(members), at());
    if (!membership_.is_root()) membership_.set_spares(spares());

    events_.ways_changed();
    for (const GatewayIndex gateway : changed) {
        const GatewayLog* log = book_.find(registry_.id(gateway));
        const bool reachable = topology_.reachable(gateway);
        const std::uint64_t boot = log ? log->version().boot : 0;
        reachable_boots_[gateway] = reachable ? boot : 0;
        if (reachable) set_own(forgotten_key(registry_.id(gateway)), {});
        if (!reachable) left_[gateway] = now_;
        events_.reachable(gateway, reachable, boot);
    }
}

/// Who could take the parent's place: its own parent, then its other children.
std::vector<GatewayId> Tree::Core::spares() const {
    std::vector<GatewayId> spares;
    const std::vector<GatewayId>& ancestors = membership_.position().ancestors;
    if (ancestors.empty()) return spares;
    if (ancestors.size() > 1) spares.push_back(ancestors[1]);
    const auto parent = registry_.find(ancestors[0]);
    if (!parent) return spares;
    for (const GatewayIndex sibling : topology_.neighbours(*parent)) {
        const GatewayId& id = registry_.id(sibling);
        if (sibling != gateway_self && (ancestors.size() < 2 || id != ancestors[1])) spares.push_back(id);
    }
    return spares;
}

/// Where all members can be dialled, as their logs say; of whom no log is held, as an earlier run kept it.
std::vector<KnownMember> Tree::Core::known_members() const {
    std::map<GatewayId, std::string> addresses;
    for (const KnownMember& member : options_.known_members)
        if (!book_.find(member.id)) addresses[member.id] = member.address;
    for (const auto& [id, log] : book_.all()) {
        const base::ByteView address = log.find(single_key(LogEntryKind::advertise));
        if (!address.empty() && address.size() <= address_bytes_max) addresses[id] = address;
    }
    addresses.erase(options_.id);
    // A loopback address means ourselves to whoever is on another machine than its owner.
    if (reach_of(options_.advertise) > AddressReach::loopback)
        std::erase_if(addresses, [](const auto& entry) { return reach_of(entry.second) == AddressReach::loopback; });
    std::vector<KnownMember> known;
    known.reserve(addresses.size());
    for (auto& [id, address] : addresses) known.push_back(KnownMember{id, std::move(address)});
    return known;
}

void Tree::Core::refresh_known() {
    if (!known_dirty_ || now_ < next_known_) return;
    known_dirty_ = false;
    next_known_ = now_ + known_members_interval;
    std::vector<KnownMember> known = known_members();
    if (known == known_) return;
    known_ = std::move(known);
    membership_.set_known(known_, at());
    events_.members_known(known_);
}

// ---- primes ---------------------------------------------------------------------------------------------------------

void Tree::Core::claim_prime_at_start() {
    PrimeEntry own{options_.prime, options_.prime_claimed_at};
    if (!is_prime(own.prime) || own.prime >= claimed_primes_end) {
        std::vector<Prime> taken;
        for (const auto& [id, log] : book_.all())
            if (const auto prime = read_prime_value(log.find(single_key(LogEntryKind::prime))))
                taken.push_back(prime->prime);
        own = PrimeEntry{claim_prime(options_.id, book_.all().size(), taken), at().wall};
    }
    set_own(single_key(LogEntryKind::prime), prime_value(own));
    events_.identity_changed(book_.own().version().incarnation, own.prime, own.claimed_at);
}

/// Two gateways hold one prime: the junior (later claim, then larger id) claims another.  Source: DESIGN 4.1.
void Tree::Core::resolve_prime_clash() {
    primes_dirty_ = false;
    const base::Bytes key = single_key(LogEntryKind::prime);
    const auto own = read_prime_value(book_.own().find(key));
    if (!own) return;
    const GatewayLog* senior = nullptr;
    std::vector<Prime> taken;
    for (const auto& [id, log] : book_.all()) {
        if (id == options_.id) continue;
        const auto other = read_prime_value(log.find(key));
        if (!other) continue;
        taken.push_back(other->prime);
        if (other->prime != own->prime) continue;
        if (other->claimed_at < own->claimed_at || (other->claimed_at == own->claimed_at && id < options_.id))
            senior = &log;
    }
    if (!senior) return;
    const PrimeEntry next{claim_prime(options_.id, topology_.members().size(), taken), at().wall};
    const std::string name(senior->find(single_key(LogEntryKind::name)));
    log_line(LogLevel::info, "prime " + std::to_string(own->prime) + " belongs to " +
                                 (name.empty() ? base::to_hex(senior->gateway().view()) : name) +
                                 ", which claimed it first: this gateway claims " + std::to_string(next.prime));
    set_own(key, prime_value(next));
    events_.identity_changed(book_.own().version().incarnation, next.prime, next.claimed_at);
    events_.advisory("clash", "\"prime\":" + std::to_string(own->prime) + ",\"claimed\":" + std::to_string(next.prime));
    primes_dirty_ = false;
}

// ---- asked from outside ---------------------------------------------------------------------------------------------

const GatewayLog* Tree::Core::log_of(GatewayIndex gateway) const {
    return gateway < registry_.size() ? book_.find(registry_.id(gateway)) : nullptr;
}

namespace {

using FilterFlags = std::map<std::string, std::uint8_t>;

void add_durable_filters(const GatewayLog& log, FilterFlags& out) {
    for (auto entry = log.entries().lower_bound(durable_key({})); entry != log.entries().end(); ++entry) {
        const auto filter = read_durable_key(entry->first);
        if (!filter) break;
        const std::uint64_t flags = read_number_value(entry->second).value_or(0);
        out[std::string{*filter}] |= static_cast<std::uint8_t>(flags);
    }
}

std::vector<Tree::DurableFilter> as_list(const FilterFlags& filters) {
    std::vector<Tree::DurableFilter> result;
    for (const auto& [filter, flags] : filters) {
        Tree::DurableFilter entry;
        entry.filter = filter;
        entry.flags = flags;
        result.push_back(std::move(entry));
    }
    return result;
}

}  // namespace

std::vector<Tree::DurableFilter> Tree::Core::durable_filters() const {
    FilterFlags all;
    for (const auto& [id, log] : book_.all()) add_durable_filters(log, all);
    return as_list(all);
}

std::vector<Tree::DurableFilter> Tree::Core::durable_filters(GatewayIndex gateway) const {
    FilterFlags filters;
    if (const GatewayLog* log = log_of(gateway)) add_durable_filters(*log, filters);
    return as_list(filters);
}

base::Bytes Tree::Core::log_snapshot(GatewayIndex gateway) const {
    base::Bytes snapshot;
    const GatewayLog* log = log_of(gateway);
    if (!log) return snapshot;
    std::vector<LogUpdate> updates;
    log->diff(std::nullopt, false, updates);
    for (const LogUpdate& update : updates) encode(snapshot, update);
    return snapshot;
}

bool Tree::Core::restore_log(base::ByteView snapshot) {
    BASE_CHECK(!running_);
    FrameReader reader(FrameScope::volatile_);
    for (;;) {
        const FrameReader::Step step = reader.step(snapshot);
        if (step == FrameReader::Step::broken) return false;
        if (step == FrameReader::Step::need_more) break;
        if (static_cast<FrameKind>(reader.header().kind) != FrameKind::log) return false;
        const auto update = decode_log(reader.body());
        if (!update) return false;
        if (update.value().gateway == options_.id) continue;
        const auto index = registry_.intern(update.value().gateway);
        if (!index) return false;
        const Applied applied = book_.apply(update.value(), [&](base::ByteView key, base::ByteView, base::ByteView is) {
            entry_changed(*index, key, is);
        });
        if (applied == Applied::refused || applied == Applied::gap) return false;
    }
    return reader.kept_bytes() == 0;
}

std::uint64_t Tree::Core::members_digest() const {
    std::uint64_t sum = 0;
    for (const GatewayIndex gateway : topology_.members())
        if (const GatewayLog* log = log_of(gateway))
            sum += stand_hash(LogStand{log->gateway(), log->version(), log->digest()});
    return sum;
}

void Tree::Core::tick_digests() {
    if (now_ < next_digest_) return;
    next_digest_ = now_ + digest_interval;
    const std::uint64_t digest = book_.digest();
    for (const auto& [handle, session] : sessions_) {
        if (session->proven()) session->tell_position(membership_.position());
        if (!session->established() || !session->sync_sent || !session->sync_heard) continue;
        Channel& lane = *session->channel(Lane::volatile_);
        encode_digest(lane.out.frames(), digest);
        announce(lane);
    }
}

}  // namespace routing::peer
