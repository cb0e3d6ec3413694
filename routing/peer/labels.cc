#include "routing/peer/labels.h"

#include <algorithm>

#include "routing/base/check.h"
#include "routing/base/hash.h"
#include "routing/peer/pack.h"
#include "routing/peer/peer_message.h"

namespace routing::peer {

static_assert(label_slots <= UINT16_MAX + 1, "OutHop keeps a label in 16 bits");
static_assert(definition_bytes_max < label_table_bytes_max && definition_bytes_max < data_body_bytes_max);
static_assert(path_factors_max + 1 <= gateway_numbers_max, "all gateways of a path have a number at a time");

namespace {

constexpr std::size_t id_bytes = 32;

/// Room is made for no more than the bytes that are there can hold.
constexpr std::size_t group_wire_bytes_min = 2;
constexpr std::size_t factor_wire_bytes_min = 3;

PeerError error_of(const PackReader& in) {
    return in.error() == PackError::truncated ? PeerError::truncated : PeerError::malformed;
}

// The path in this process's own numbers: what makes two definitions equal.
void append_key(base::Bytes& key, const PathDefinition& path) {
    base::append_varint(key, path.account.size());
    key += path.account;
    base::append_varint(key, path.origin);
    base::append_varint(key, path.run);
    for (const Factor& factor : path.factors) {
        base::append_varint(key, factor.gateway);
        base::append_varint(key, factor.prime);
        key.push_back(static_cast<char>(factor.exponent));
        if (factor.exponent == exponent_pass) continue;
        base::append_varint(key, static_cast<std::uint64_t>(factor.ordinal) << 1 | (factor.plain ? 1 : 0));
        const std::vector<std::string>& groups = path.groups_of(factor.gateway);
        base::append_varint(key, groups.size());
        for (const std::string& group : groups) {
            base::append_varint(key, group.size());
            key += group;
        }
    }
}

// True if a receiver takes a definition of `path`.  Sizes are judged by the widest forms of all numbers and headers.
bool is_definable(const PathDefinition& path) {
    if (path.account.size() > account_bytes_max || path.factors.size() > path_factors_max) return false;
    std::size_t bytes = 64 + path.account.size() + path.factors.size() * 32;
    for (const FactorGroups& of : path.groups) {
        if (of.groups.size() > groups_per_target_max) return false;
        for (const std::string& group : of.groups) {
            if (group.empty() || group.size() > group_bytes_max) return false;
            bytes += group.size() + 5;
        }
    }
    return bytes <= definition_bytes_max;
}

const std::vector<std::string> no_groups;

}  // namespace

const std::vector<std::string>& PathDefinition::groups_of(GatewayIndex gateway) const {
    for (const FactorGroups& of : groups)
        if (of.gateway == gateway) return of.groups;
    return no_groups;
}

const std::vector<std::string>& ReceivedPath::own_groups() const {
    return groups_place == groups_none ? no_groups : path.groups[groups_place].groups;
}

// ---- sender -------------------------------------------------------------------------------------------------------

std::uint32_t LabelSender::number_of(GatewayIndex gateway, Prime prime, const GatewayRegistry& registry) {
    const auto next = static_cast<std::uint32_t>(numbers_.size());
    const auto [found, added] = numbers_.emplace(static_cast<std::uint64_t>(gateway) << 32 | prime, next);
    if (added) {
        PackWriter(gateways_body_).array(3).uint(next).bin(registry.id(gateway).view()).uint(prime);
        ++gateways_new_;
    }
    return found->second;
}

// Fills `body_` with the definition, and `gateways_body_` with the numbers that it needs and the receiver lacks.
void LabelSender::encode(std::uint32_t label, const PathDefinition& path, const GatewayRegistry& registry) {
    // Numbers already given stay valid while the definition is read, so numbering may only begin again before it.
    if (numbers_.size() + path.factors.size() + 1 > gateway_numbers_max) numbers_.clear();
    body_.clear();
    gateways_body_.clear();
    gateways_new_ = 0;
    PackWriter body(body_);
    const std::uint32_t origin = number_of(path.origin, 0, registry);
    body.array(5).uint(label).str(path.account).uint(origin).uint(path.run).array(path.factors.size());
    for (const Factor& factor : path.factors) {
        BASE_CHECK(factor.prime <= prime_max);
        const std::uint32_t number = number_of(factor.gateway, factor.prime, registry);
        if (factor.exponent == exponent_pass) {
            body.array(2).uint(number).uint(factor.exponent);
            continue;
        }
        const std::vector<std::string>& groups = path.groups_of(factor.gateway);
        body.array(5).uint(number).uint(factor.exponent).uint(factor.ordinal).boolean(factor.plain);
        body.array(groups.size());
        for (const std::string& group : groups) body.str(group);
    }
}

void LabelSender::append_frames(FrameBuffer& buffer) {
    base::Bytes& out = buffer.frames();
    if (gateways_new_ > 0) {
        const std::size_t start = begin_frame(out, DataKind::define_gateways);
        PackWriter(out).array(gateways_new_);
        out += gateways_body_;
        end_frame(out, start);
    }
    const std::size_t start = begin_frame(out, DataKind::define_path);
    out += body_;
    end_frame(out, start);
}

void LabelSender::release(std::uint32_t label) {
    const auto [first, last] = index_.equal_range(cold_[label].hash);
    for (auto it = first; it != last; ++it) {
        if (it->second != label) continue;
        index_.erase(it);
        break;
    }
    bytes_ -= cold_[label].wire_bytes;
    hot_[label] = Hot{};
    cold_[label] = Cold{};
}

// The next defined label that was not used since the hand last passed it.  There is a defined one.
std::uint32_t LabelSender::next_victim() {
    for (;;) {
        if (hand_ >= hot_.size()) hand_ = 1;
        Hot& hot = hot_[hand_];
        const std::uint32_t label = hand_++;
        if (hot.generation == 0) continue;
        if (!hot.used) return label;
        hot.used = false;
    }
}

std::uint32_t LabelSender::take_slot() {
    if (!free_.empty()) {
        const std::uint32_t label = free_.back();
        free_.pop_back();
        return label;
    }
    if (hot_.size() < label_slots) {
        hot_.emplace_back();
        cold_.emplace_back();
        return static_cast<std::uint32_t>(hot_.size() - 1);
    }
    const std::uint32_t label = next_victim();
    release(label);
    return label;
}

// Makes the receiver forget paths until `wire_bytes` more fit its table.
void LabelSender::make_room(std::size_t wire_bytes, FrameBuffer& buffer) {
    if (bytes_ + wire_bytes <= label_table_bytes_max) return;
    const std::size_t from = free_.size();
    while (bytes_ + wire_bytes > label_table_bytes_max) {
        const std::uint32_t label = next_victim();
        release(label);
        free_.push_back(label);
    }
    base::Bytes& out = buffer.frames();
    const std::size_t start = begin_frame(out, DataKind::forget_paths);
    PackWriter body(out);
    body.array(free_.size() - from);
    for (std::size_t i = from; i < free_.size(); ++i) body.uint(free_[i]);
    end_frame(out, start);
}

std::optional<LabelSender::Label> LabelSender::define(const PathDefinition& path, const GatewayRegistry& registry,
                                                      FrameBuffer& out) {
    key_.clear();
    append_key(key_, path);
    const std::uint64_t hash = base::hash_bytes(key_);
    const auto [first, last] = index_.equal_range(hash);
    for (auto it = first; it != last; ++it) {
        const std::uint32_t label = it->second;
        if (cold_[label].key != key_) continue;
        hot_[label].used = true;
        return Label{static_cast<std::uint16_t>(label), hot_[label].generation, false};
    }
    if (!is_definable(path)) return std::nullopt;
    const std::uint32_t label = take_slot();
    encode(label, path, registry);
    make_room(body_.size(), out);
    append_frames(out);

    Hot& hot = hot_[label];
    Cold& cold = cold_[label];
    hot.generation = ++*generations_;
    hot.used = false;  // until it is used again: a path that served one record goes before those that serve many
    cold.key = key_;
    cold.hash = hash;
    cold.wire_bytes = static_cast<std::uint32_t>(body_.size());
    bytes_ += body_.size();
    index_.emplace(hash, label);
    return Label{static_cast<std::uint16_t>(label), hot.generation, true};
}

bool LabelSender::define_once(const PathDefinition& path, const GatewayRegistry& registry, FrameBuffer& out) {
    if (!is_definable(path)) return false;
    encode(0, path, registry);
    append_frames(out);
    return true;
}

// ---- receiver -----------------------------------------------------------------------------------------------------

PeerError LabelReceiver::on_gateways(base::ByteView body, GatewayRegistry& registry) {
    PackReader in(body);
    const std::uint32_t count = in.array(0, gateway_numbers_max);
    for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
        const std::uint32_t fields = in.array(3, 16);
        const auto number = static_cast<std::uint32_t>(in.uint(gateway_numbers_max - 1));
        const base::ByteView id = in.bin_exact(id_bytes);
        const Prime prime = in.uint();
        in.skip(fields - 3);
        if (!in.ok()) break;
        if (prime != 0 && (prime > prime_max || !is_prime(prime))) return PeerError::bad_factor;
        const std::optional<GatewayIndex> gateway = registry.intern(GatewayId::from(id));
        if (!gateway) return PeerError::limit;
        if (number >= numbers_.size()) numbers_.resize(number + 1);
        numbers_[number] = Number{*gateway, prime};
    }
    return in.finished() ? PeerError::none : error_of(in);
}

// One factor, appended to `incoming_`.
PeerError LabelReceiver::read_factor(PackReader& in) {
    const std::uint32_t fields = in.array(2, 16);
    const std::uint64_t number = in.uint();
    const std::uint64_t exponent = in.uint();
    if (!in.ok()) return error_of(in);
    if (exponent == exponent_hand_over) return PeerError::no_custodian;
    if (exponent == 0 || exponent > exponent_hand_over) return PeerError::bad_factor;
    if (number >= numbers_.size() || numbers_[number].gateway == gateway_none) return PeerError::unknown_gateway;
    Factor factor;
    factor.gateway = numbers_[number].gateway;
    factor.prime = numbers_[number].prime;
    factor.exponent = static_cast<std::uint8_t>(exponent);
    if (factor.prime == 0) return PeerError::bad_factor;
    std::uint32_t read = 2;
    if (exponent == exponent_deliver) {
        read = 5;
        if (fields < read) return PeerError::malformed;
        factor.ordinal = static_cast<std::uint16_t>(in.uint(UINT16_MAX));
        factor.plain = in.boolean();
        const std::uint32_t count = in.array(0, groups_per_target_max);
        if (count > 0) {
            FactorGroups of;
            of.gateway = factor.gateway;
            of.groups.reserve(std::min<std::size_t>(count, in.rest().size() / group_wire_bytes_min));
            for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
                const std::string_view group = in.str(group_bytes_max);
                if (in.ok() && (group.empty() || (!of.groups.empty() && of.groups.back() >= group)))
                    return PeerError::malformed;
                of.groups.emplace_back(group);
            }
            incoming_.path.groups.push_back(std::move(of));
        }
    }
    in.skip(fields - read);
    incoming_.path.factors.push_back(factor);
    return in.ok() ? PeerError::none : error_of(in);
}

// Reads a definition into `incoming_`.
PeerError LabelReceiver::read_path(base::ByteView body, GatewayIndex sender, std::uint32_t& label) {
    if (body.size() > definition_bytes_max) return PeerError::limit;
    PathDefinition& path = incoming_.path;
    path.factors.clear();
    path.groups.clear();
    PackReader in(body);
    const std::uint32_t fields = in.array(5, 16);
    label = static_cast<std::uint32_t>(in.uint(label_slots - 1));
    path.account.assign(in.str(account_bytes_max));
    const std::uint64_t origin = in.uint();
    path.run = in.uint();
    const std::uint32_t count = in.array(1, path_factors_max);
    if (!in.ok()) return error_of(in);
    if (origin >= numbers_.size() || numbers_[origin].gateway == gateway_none) return PeerError::unknown_gateway;
    path.origin = numbers_[origin].gateway;
    path.factors.reserve(std::min<std::size_t>(count, in.rest().size() / factor_wire_bytes_min));
    for (std::uint32_t i = 0; i < count; ++i)
        if (const PeerError error = read_factor(in); error != PeerError::none) return error;
    in.skip(fields - 5);
    if (!in.finished()) return error_of(in);

    if (path.origin == gateway_self || check_share(path.factors, gateway_self, sender, path.origin) != LawError::none)
        return PeerError::law_violated;
    std::uint32_t targets = 0;
    for (const Factor& factor : path.factors) {
        if (factor.exponent == exponent_deliver) ++targets;
        if (factor.gateway != gateway_self) continue;
        incoming_.deliver = factor.exponent == exponent_deliver;
        incoming_.plain = factor.plain;
        incoming_.exponent = factor.exponent;
        incoming_.ordinal = factor.ordinal;
        incoming_.prime = factor.prime;
    }
    if (targets == 0) return PeerError::malformed;
    incoming_.groups_place = ReceivedPath::groups_none;
    for (std::size_t i = 0; i < path.groups.size(); ++i)
        if (path.groups[i].gateway == gateway_self) incoming_.groups_place = static_cast<std::uint32_t>(i);
    incoming_.route_generation = 0;
    incoming_.hops.clear();
    incoming_.targets_dropped = 0;
    incoming_.defined = true;
    incoming_.wire_bytes = static_cast<std::uint32_t>(body.size());
    return PeerError::none;
}

PeerError LabelReceiver::on_path(base::ByteView body, GatewayIndex sender) {
    std::uint32_t label = 0;
    if (const PeerError error = read_path(body, sender, label); error != PeerError::none) return error;
    if (label == 0) {
        std::swap(table_[0], incoming_);
        once_ = true;
        return PeerError::none;
    }
    if (label >= table_.size()) table_.resize(label + 1);
    const std::size_t before = table_[label].defined ? table_[label].wire_bytes : 0;
    if (bytes_ - before + incoming_.wire_bytes > label_table_bytes_max) return PeerError::limit;
    bytes_ = bytes_ - before + incoming_.wire_bytes;
    std::swap(table_[label], incoming_);
    return PeerError::none;
}

PeerError LabelReceiver::on_forget(base::ByteView body) {
    PackReader in(body);
    const std::uint32_t count = in.array(0, label_slots);
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint64_t label = in.uint();
        if (!in.ok()) break;
        if (label == 0 || label >= table_.size() || !table_[label].defined) return PeerError::unknown_label;
        bytes_ -= table_[label].wire_bytes;
        table_[label] = ReceivedPath{};
    }
    return in.finished() ? PeerError::none : error_of(in);
}

ReceivedPath* LabelReceiver::take_once() {
    if (!once_) return nullptr;
    once_ = false;
    return &table_[0];
}

}  // namespace routing::peer
