#include "routing/peer/path_engine.h"

#include <algorithm>

#include "routing/base/check.h"
#include "routing/peer/peer_message.h"

namespace routing::peer {

namespace {

std::size_t place_of(Lane lane) {
    BASE_CHECK(lane == Lane::volatile_ || lane == Lane::durable);
    return static_cast<std::size_t>(lane);
}

DataKind records_of(Lane lane) {
    return lane == Lane::durable ? DataKind::durable_records : DataKind::volatile_records;
}

std::uint32_t count_targets(const Factors& factors) {
    return static_cast<std::uint32_t>(
        std::count_if(factors.begin(), factors.end(), [](const Factor& f) { return f.exponent == exponent_deliver; }));
}

}  // namespace

PathEngine::PathEngine(GatewayRegistry& registry, const TargetSets& sets, LaneSink& sink)
    : registry_(registry), sets_(sets), sink_(sink) {}

// ---- links and topology -------------------------------------------------------------------------------------------

void PathEngine::routes_changed() {
    ++route_generation_;
    ++path_generation_;
    primes_stale_ = true;
}

void PathEngine::link_up(LinkIndex link, GatewayIndex neighbour) {
    BASE_CHECK(link < links_max && neighbour != gateway_self && neighbour != gateway_none);
    if (link >= neighbours_.size()) {
        neighbours_.resize(link + 1, gateway_none);
        tables_.resize(link + 1);
    }
    BASE_CHECK(neighbours_[link] == gateway_none);
    neighbours_[link] = neighbour;
    for (std::unique_ptr<Tables>& lane : tables_[link]) lane = std::make_unique<Tables>(slot_generations_);
    routes_changed();
}

void PathEngine::link_down(LinkIndex link) {
    BASE_CHECK(link < neighbours_.size() && neighbours_[link] != gateway_none);
    neighbours_[link] = gateway_none;
    for (std::unique_ptr<Tables>& lane : tables_[link]) lane.reset();
    routes_changed();
}

void PathEngine::lane_reset(LinkIndex link, Lane lane) {
    BASE_CHECK(link < neighbours_.size() && neighbours_[link] != gateway_none);
    tables_[link][place_of(lane)] = std::make_unique<Tables>(slot_generations_);
}

void PathEngine::set_topology(RouteTree routes) {
    if (routes == routes_) return;
    routes_ = std::move(routes);
    routes_changed();
}

void PathEngine::set_prime(GatewayIndex gateway, Prime prime, std::int64_t claimed_at) {
    BASE_CHECK(gateway < registry_.size());
    if (gateway >= claims_.size()) claims_.resize(gateway + 1);
    Claim& claim = claims_[gateway];
    if (claim.prime == prime && claim.claimed_at == claimed_at) return;
    claim = Claim{prime, claimed_at};
    primes_stale_ = true;
    ++path_generation_;
}

// Who claims something, and who can be reached without: all that may stand in a path made here.
void PathEngine::refresh_primes() {
    if (!primes_stale_) return;
    std::vector<PrimeClaim> claims;
    std::vector<GatewayIndex> gateways;
    for (GatewayIndex g = 0; g < registry_.size(); ++g) {
        const Claim claim = g < claims_.size() ? claims_[g] : Claim{};
        if (claim.prime == 0 && g != gateway_self && routes_.link_to(g) == link_none) continue;
        claims.push_back(PrimeClaim{registry_.id(g), claim.prime, claim.claimed_at});
        gateways.push_back(g);
    }
    const std::vector<Prime> effective = effective_primes(claims);
    primes_.assign(registry_.size(), 0);
    for (std::size_t i = 0; i < gateways.size(); ++i) primes_[gateways[i]] = effective[i];
    own_hop_ = TraceHop{registry_.id(gateway_self), primes_[gateway_self], 0};
    primes_stale_ = false;
}

PathEngine::TableUse PathEngine::fullest_tables() const {
    TableUse use;
    for (const auto& of_link : tables_)
        for (const auto& table : of_link) {
            if (table == nullptr) continue;
            use.labels = std::max(use.labels, table->out.defined());
            use.bytes = std::max({use.bytes, table->out.bytes(), table->in.bytes()});
        }
    return use;
}

PathEngine::Tables& PathEngine::tables(LinkIndex link, Lane lane) {
    return *tables_[link][static_cast<std::size_t>(lane)];
}

// ---- splitting ----------------------------------------------------------------------------------------------------

// Computes the path from here into `path_`, and what has no place in it into `unplaced_`.
void PathEngine::fill_path(const TargetSet& targets, std::string_view account, const RecordView& record, Lane lane) {
    refresh_primes();
    PathFromHere computed = compute_path(targets, routes_, primes_);
    unplaced_ = std::move(computed.unplaced);
    path_.factors = std::move(computed.factors);
    path_.account.assign(account);
    path_.origin = gateway_self;
    path_.run = lane == Lane::durable ? record.run : 0;
    path_.groups.clear();
    for (Factor& factor : path_.factors) {
        if (factor.exponent != exponent_deliver) continue;
        const std::vector<std::string>& groups = targets[factor.ordinal].groups;
        if (!groups.empty()) path_.groups.push_back(FactorGroups{factor.gateway, groups});
        // Only durable records say something per target; without it more paths have equal rests and share a label.
        if (lane == Lane::volatile_) factor.ordinal = 0;
    }
}

// Takes `path` apart here and makes sure that every share has a label on its lane (`once`: is told under label 0, and
// the record must follow).
void PathEngine::split_out(const PathDefinition& path, LinkIndex arrived_on, Lane lane, bool once,
                           std::vector<OutHop>& hops, std::uint32_t& targets_missed) {
    hops.clear();
    const Split split = split_path(path.factors, gateway_self, routes_, neighbours_, arrived_on);
    BASE_CHECK(check_split(path.factors, gateway_self, split) == LawError::none);
    ++counters_.splits;
    counters_.dropped_factors += split.dropped.size();
    targets_missed = count_targets(split.dropped);
    share_.account = path.account;
    share_.origin = path.origin;
    share_.run = path.run;
    for (const Share& share : split.shares) {
        share_.factors = share.factors;
        share_.groups.clear();
        for (const FactorGroups& of : path.groups) {
            const bool here = std::any_of(share.factors.begin(), share.factors.end(),
                                          [&](const Factor& f) { return f.gateway == of.gateway; });
            if (here) share_.groups.push_back(of);
        }
        OutHop hop;
        hop.link = share.link;
        hop.targets = static_cast<std::uint16_t>(count_targets(share.factors));
        FrameBuffer& buffer = sink_.lane(share.link, lane);
        LabelSender& labels = tables(share.link, lane).out;
        bool sent = once && labels.define_once(share_, registry_, buffer);
        bool defined = sent;
        if (!once) {
            const std::optional<LabelSender::Label> label = labels.define(share_, registry_, buffer);
            defined = label.has_value();
            if (defined) {
                hop.label = label->label;
                hop.generation = label->generation;
                sent = label->sent;
            }
        }
        counters_.definitions_sent += sent ? 1 : 0;
        if (defined) {
            hops.push_back(hop);
        } else {
            targets_missed += hop.targets;
            counters_.dropped_factors += share.factors.size();
        }
    }
}

// True if all labels still mean what they did.
bool PathEngine::current(const std::vector<OutHop>& hops, Lane lane) {
    for (const OutHop& hop : hops)
        if (!tables(hop.link, lane).out.use(hop.label, hop.generation)) return false;
    return true;
}

// ---- sending ------------------------------------------------------------------------------------------------------

SendResult PathEngine::send(TargetSetId targets, std::string_view account, const RecordView& record, Lane lane) {
    SendResult result;
    std::vector<Ingress>& cache = ingress_[place_of(lane)];
    if (targets.slot >= cache.size()) {
        if (sets_.get(targets) == nullptr) {
            result.stale = true;
            return result;
        }
        cache.resize(targets.slot + 1);
    }
    const std::uint64_t run = lane == Lane::durable ? record.run : 0;
    Ingress& entry = cache[targets.slot];
    if (entry.set_generation != targets.generation || entry.path_generation != path_generation_ || entry.run != run ||
        !current(entry.hops, lane)) {
        const TargetSet* set = sets_.get(targets);
        if (set == nullptr) {
            result.stale = true;
            return result;
        }
        fill_path(*set, account, record, lane);
        split_out(path_, link_none, lane, false, entry.hops, entry.targets_missed);
        entry.targets_missed += static_cast<std::uint32_t>(unplaced_.size());
        entry.set_generation = targets.generation;
        entry.path_generation = path_generation_;
        entry.run = run;
        entry.targets = set->size();
    }
    BASE_CHECK(lane != Lane::durable || record.prev_count == entry.targets);
    result.targets_missed = entry.targets_missed;
    if (encoder_.prepare(record, lane, own_hop_)) {
        send_prepared(entry.hops, lane, result);
    } else {
        for (const OutHop& hop : entry.hops) result.targets_missed += hop.targets;
        counters_.records_refused += entry.hops.size();
    }
    counters_.targets_missed += result.targets_missed;
    ++counters_.records_sent;
    return result;
}

SendResult PathEngine::send_once(const TargetSet& targets, std::string_view account, const RecordView& record,
                                 Lane lane) {
    SendResult result;
    BASE_CHECK(lane != Lane::durable || record.prev_count == targets.size());
    fill_path(targets, account, record, lane);
    if (encoder_.prepare(record, lane, own_hop_)) {
        split_out(path_, link_none, lane, true, once_hops_, result.targets_missed);
        result.targets_missed += static_cast<std::uint32_t>(unplaced_.size());
        send_prepared(once_hops_, lane, result);
    } else {
        result.targets_missed = count_targets(path_.factors) + static_cast<std::uint32_t>(unplaced_.size());
        ++counters_.records_refused;
    }
    counters_.targets_missed += result.targets_missed;
    ++counters_.records_sent;
    return result;
}

void PathEngine::send_prepared(const std::vector<OutHop>& hops, Lane lane, SendResult& result) {
    for (const OutHop& hop : hops) {
        FrameBuffer* buffer = sink_.lane_for_record(hop.link, lane, encoder_.bytes());
        if (buffer == nullptr) {
            ++counters_.records_refused;
            result.targets_missed += hop.targets;
            continue;
        }
        encoder_.append(buffer->record(records_of(lane), encoder_.bytes()), hop.label);
        ++result.links;
    }
}

// ---- what comes in ------------------------------------------------------------------------------------------------

base::Result<void, PeerError> PathEngine::on_frame(LinkIndex link, Lane lane, const FrameHeader& header,
                                                   base::ByteView body, DeliverySink& sink) {
    if (link >= neighbours_.size() || neighbours_[link] == gateway_none || lane == Lane::control)
        return base::failure(PeerError::out_of_place);
    LabelReceiver& labels = tables(link, lane).in;
    PeerError error = PeerError::unknown_kind;
    switch (static_cast<DataKind>(header.kind)) {
        case DataKind::define_gateways:
            error = labels.on_gateways(body, registry_);
            break;
        case DataKind::define_path:
            error = labels.on_path(body, neighbours_[link]);
            if (error == PeerError::none) ++counters_.definitions_received;
            if (error == PeerError::law_violated) ++counters_.law_violations;
            break;
        case DataKind::forget_paths:
            error = labels.on_forget(body);
            break;
        case DataKind::volatile_records:
        case DataKind::durable_records:
            error = header.kind == static_cast<std::uint8_t>(records_of(lane))
                        ? on_records(link, lane, header.count, body, sink)
                        : PeerError::out_of_place;
            break;
    }
    if (error != PeerError::none) return base::failure(error);
    return {};
}

PeerError PathEngine::on_records(LinkIndex link, Lane lane, std::uint16_t count, base::ByteView body,
                                 DeliverySink& sink) {
    LabelReceiver& labels = tables(link, lane).in;
    std::uint32_t read = 0;
    for (; !body.empty(); ++read) {
        std::uint64_t label = 0;
        std::uint64_t size = 0;
        base::ByteView rest;
        if (!base::read_varint(body, label)) return PeerError::truncated;
        const base::ByteView sized = body;
        if (!base::read_varint(body, size)) return PeerError::truncated;
        if (size > record_bytes_max) return PeerError::limit;
        if (!base::read_bytes(body, size, rest)) return PeerError::truncated;
        if (rest.empty()) return PeerError::malformed;
        ReceivedPath* path = labels.find(label);
        if (path == nullptr) return PeerError::unknown_label;
        const PeerError error =
            on_record(link, lane, *path, label == 0, sized.substr(0, sized.size() - body.size()), rest, sink);
        if (error != PeerError::none) return error;
    }
    return read == count && read > 0 ? PeerError::none : PeerError::malformed;
}

// What is wrong within a record is its origin's fault: the neighbour that only carried it stays, the record is dropped.
PeerError PathEngine::blame(LinkIndex link, const ReceivedPath& path, PeerError error) {
    if (error == PeerError::none || path.path.origin == neighbours_[link]) return error;
    ++counters_.malformed_records;
    return PeerError::none;
}

// `sized`: the record after its label, `rest` is the end of it.
PeerError PathEngine::on_record(LinkIndex link, Lane lane, ReceivedPath& path, bool once, base::ByteView sized,
                                base::ByteView rest, DeliverySink& sink) {
    // What was still on the way when its origin moved could arrive after what the origin sent since, by its new way. It
    // is lost with the link that it was on, as DESIGN 4.6 says.  Durable records have positions instead.
    if (lane == Lane::volatile_) {
        const LinkIndex way = routes_.link_to(path.path.origin);
        if (way != link && way != link_none) {
            ++counters_.astray_records;
            return PeerError::none;
        }
    }
    if ((static_cast<std::uint8_t>(rest.front()) & record_flag_trace) != 0) {
        const TraceHop self{registry_.id(gateway_self), path.prime, path.exponent};
        base::Bytes with_hop;
        if (const PeerError error = append_with_hop(with_hop, rest, self); error != PeerError::none)
            return blame(link, path, error);
        traced_.clear();
        base::append_varint(traced_, with_hop.size());
        traced_ += with_hop;
        sized = traced_;
        rest = sized.substr(sized.size() - with_hop.size());
    }
    if (path.route_generation != route_generation_ || !current(path.hops, lane)) {
        std::uint32_t missed = 0;
        split_out(path.path, link, lane, once, path.hops, missed);
        path.targets_dropped = static_cast<std::uint16_t>(std::min<std::uint32_t>(missed, UINT16_MAX));
        path.route_generation = route_generation_;
    }
    if (!path.hops.empty()) forward(path.hops, lane, sized);
    counters_.targets_missed += path.targets_dropped;
    return path.deliver ? blame(link, path, deliver(link, lane, path, rest, sink)) : PeerError::none;
}

void PathEngine::forward(const std::vector<OutHop>& hops, Lane lane, base::ByteView sized) {
    ++counters_.transit_records;
    const std::size_t bytes = sized.size() + base::varint_bytes_max;
    for (const OutHop& hop : hops) {
        FrameBuffer* buffer = sink_.lane_for_record(hop.link, lane, bytes);
        if (buffer == nullptr) {
            ++counters_.records_refused;
            counters_.targets_missed += hop.targets;
            continue;
        }
        base::Bytes& out = buffer->record(records_of(lane), bytes);
        base::append_varint(out, hop.label);
        out.append(sized);
    }
}

PeerError PathEngine::deliver(LinkIndex link, Lane lane, const ReceivedPath& path, base::ByteView rest,
                              DeliverySink& sink) {
    RecordFields fields;
    if (const PeerError error = parse_record(rest, lane, fields); error != PeerError::none) return error;
    const auto fill = [&](auto& delivery) {
        delivery.origin = path.path.origin;
        delivery.link = link;
        delivery.account = path.path.account;
        delivery.plain = path.plain;
        delivery.groups = &path.own_groups();
        delivery.flags = fields.flags & (record_flag_trace | record_flags_sender);
        delivery.trace = fields.trace;
        delivery.message.subject = fields.subject;
        delivery.message.reply = fields.reply;
        delivery.message.body = fields.body;
        delivery.message.header_bytes = fields.header_bytes;
    };
    if (lane == Lane::volatile_) {
        VolatileDelivery delivery;
        fill(delivery);
        ++counters_.delivered_records;
        sink.deliver(delivery);
        return PeerError::none;
    }
    DurableDelivery delivery;
    fill(delivery);
    delivery.run = path.path.run;
    delivery.position = fields.position;
    if (const PeerError error = find_prev(fields, path.path.run, path.ordinal, delivery.prev); error != PeerError::none)
        return error;
    ++counters_.delivered_records;
    sink.deliver_durable(delivery);
    return PeerError::none;
}

// ---- seeing it ----------------------------------------------------------------------------------------------------

Explanation PathEngine::explain(const TargetSet& targets) {
    refresh_primes();
    PathFromHere path = compute_path(targets, routes_, primes_);
    Explanation explanation;
    explanation.number = multiply_out(path.factors);
    explanation.factors = std::move(path.factors);
    explanation.unplaced = std::move(path.unplaced);
    return explanation;
}

Prime PathEngine::prime_of(GatewayIndex gateway) {
    refresh_primes();
    return gateway < primes_.size() ? primes_[gateway] : 0;
}

std::vector<std::pair<Prime, GatewayIndex>> PathEngine::known_primes() {
    refresh_primes();
    std::vector<std::pair<Prime, GatewayIndex>> known;
    for (GatewayIndex g = 0; g < primes_.size(); ++g)
        if (primes_[g] != 0) known.emplace_back(primes_[g], g);
    std::sort(known.begin(), known.end());
    return known;
}

}  // namespace routing::peer
