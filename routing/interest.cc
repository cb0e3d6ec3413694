#include "routing/interest.h"

#include <utility>

#include "routing/base/check.h"
#include "routing/base/hash.h"

namespace routing {

namespace {

base::Bytes kind_byte(LogEntryKind kind) {
    return base::Bytes(1, static_cast<char>(kind));
}

void append_part(base::Bytes& out, std::string_view part) {
    base::append_varint(out, part.size());
    out.append(part);
}

bool read_part(base::ByteView& in, std::string_view& part) {
    std::uint64_t size = 0;
    return base::read_varint(in, size) && base::read_bytes(in, size, part);
}

/// Drops the kind off the front of `key`.  False: another kind.
bool take_kind(base::ByteView& key, LogEntryKind kind) {
    if (key.empty() || key.front() != static_cast<char>(kind)) return false;
    key.remove_prefix(1);
    return true;
}

std::uint64_t entry_hash(base::ByteView key, base::ByteView value) {
    return base::hash_bytes(key, base::hash_bytes(value, 0x746c6f67));
}

bool fits(const base::Bytes& key, const base::Bytes& value) {
    return !key.empty() && key.size() <= log_key_bytes_max && value.size() <= log_value_bytes_max;
}

}  // namespace

base::Bytes interest_key(std::string_view account, std::string_view filter, std::string_view queue) {
    base::Bytes key = kind_byte(LogEntryKind::interest);
    append_part(key, account);
    append_part(key, filter);
    key.append(queue);
    return key;
}

base::Bytes durable_key(std::string_view filter) {
    return kind_byte(LogEntryKind::durable).append(filter);
}

base::Bytes link_key(const GatewayId& neighbour) {
    return kind_byte(LogEntryKind::link).append(neighbour.view());
}

base::Bytes forgotten_key(const GatewayId& gateway) {
    return kind_byte(LogEntryKind::forgotten).append(gateway.view());
}

base::Bytes tag_key(std::string_view tag) {
    return kind_byte(LogEntryKind::tag).append(tag);
}

base::Bytes single_key(LogEntryKind kind) {
    return kind_byte(kind);
}

base::Bytes number_value(std::uint64_t number) {
    base::Bytes value;
    base::append_varint(value, number);
    return value;
}

base::Bytes prime_value(const PrimeEntry& claim) {
    base::Bytes value;
    base::append_varint(value, claim.prime);
    base::append_varint(value, static_cast<std::uint64_t>(claim.claimed_at));
    return value;
}

std::optional<LogEntryKind> key_kind(base::ByteView key) {
    if (key.empty()) return std::nullopt;
    return static_cast<LogEntryKind>(static_cast<std::uint8_t>(key.front()));
}

std::optional<InterestEntry> read_interest_key(base::ByteView key) {
    InterestEntry entry;
    if (!take_kind(key, LogEntryKind::interest) || !read_part(key, entry.account) || !read_part(key, entry.filter))
        return std::nullopt;
    entry.queue = key;
    return entry;
}

std::optional<std::string_view> read_durable_key(base::ByteView key) {
    if (!take_kind(key, LogEntryKind::durable) || key.empty()) return std::nullopt;
    return key;
}

std::optional<GatewayId> read_forgotten_key(base::ByteView key) {
    if (!take_kind(key, LogEntryKind::forgotten) || key.size() != GatewayId{}.bytes.size()) return std::nullopt;
    return GatewayId::from(key);
}

std::optional<std::string_view> read_tag_key(base::ByteView key) {
    if (!take_kind(key, LogEntryKind::tag) || key.empty()) return std::nullopt;
    return key;
}

std::optional<GatewayId> read_link_key(base::ByteView key) {
    if (!take_kind(key, LogEntryKind::link) || key.size() != GatewayId{}.bytes.size()) return std::nullopt;
    return GatewayId::from(key);
}

std::optional<std::uint64_t> read_number_value(base::ByteView value) {
    std::uint64_t number = 0;
    if (!base::read_varint(value, number) || !value.empty()) return std::nullopt;
    return number;
}

std::optional<PrimeEntry> read_prime_value(base::ByteView value) {
    std::uint64_t prime = 0;
    std::uint64_t claimed_at = 0;
    if (!base::read_varint(value, prime) || !base::read_varint(value, claimed_at) || !value.empty())
        return std::nullopt;
    return PrimeEntry{prime, static_cast<base::WallMillis>(claimed_at)};
}

// ---- one log ------------------------------------------------------------------------------------------------------

base::ByteView GatewayLog::find(const base::Bytes& key) const {
    const auto found = entries_.find(key);
    return found == entries_.end() ? base::ByteView{} : base::ByteView{found->second};
}

void GatewayLog::start(std::uint64_t incarnation, std::uint64_t boot) {
    version_.incarnation = incarnation;
    version_.boot = boot;
    journal_.clear();
    journal_bytes_ = 0;
}

bool GatewayLog::set(const base::Bytes& key, const base::Bytes& value) {
    if (!fits(key, value)) return false;
    if (find(key) == base::ByteView{value}) return true;
    return change(key, value);
}

/// One change, one version.  False: a limit; then nothing changed.
bool GatewayLog::change(const base::Bytes& key, const base::Bytes& value) {
    const auto found = entries_.find(key);
    if (value.empty()) {
        if (found != entries_.end()) {
            digest_ -= entry_hash(key, found->second);
            bytes_ -= key.size() + found->second.size();
            entries_.erase(found);
        }
    } else if (found != entries_.end()) {
        if (bytes_ - found->second.size() + value.size() > log_bytes_max) return false;
        digest_ += entry_hash(key, value) - entry_hash(key, found->second);
        bytes_ = bytes_ - found->second.size() + value.size();
        found->second = value;
    } else {
        if (entries_.size() >= log_entries_max || bytes_ + key.size() + value.size() > log_bytes_max) return false;
        digest_ += entry_hash(key, value);
        bytes_ += key.size() + value.size();
        entries_.emplace(key, value);
    }
    ++version_.version;
    journal_bytes_ += key.size() + value.size();
    journal_.push_back(LogChange{key, value});
    while (journal_.size() > journal_changes_max || journal_bytes_ > journal_bytes_max) {
        journal_bytes_ -= journal_.front().key.size() + journal_.front().value.size();
        journal_.pop_front();
    }
    return true;
}

Applied GatewayLog::apply(const LogUpdate& update, const OnChange& on_change) {
    for (const LogChange& change : update.changes)
        if (!fits(change.key, change.value)) return Applied::refused;
    return update.full ? apply_full(update, on_change) : apply_delta(update, on_change);
}

Applied GatewayLog::apply_delta(const LogUpdate& update, const OnChange& on_change) {
    if (update.to < update.from || update.to - update.from != update.changes.size()) return Applied::refused;
    if (update.after() <= version_) return Applied::nothing;
    if (!version_.same_life(update.after()) || update.from > version_.version) return Applied::gap;
    for (std::size_t i = version_.version - update.from; i < update.changes.size(); ++i) {
        const LogChange& next = update.changes[i];
        const base::Bytes before{find(next.key)};
        if (!change(next.key, next.value)) return Applied::refused;
        if (before != next.value) on_change(next.key, before, next.value);
    }
    return Applied::changed;
}

Applied GatewayLog::apply_full(const LogUpdate& update, const OnChange& on_change) {
    const LogVersion after = update.after();
    if (after < version_ || (after == version_ && !update.repair)) return Applied::nothing;
    if (update.from == 0) {
        parts_ = std::make_unique<Parts>();
        parts_->version = after;
    }
    if (!parts_ || parts_->version != after || parts_->next < update.from) return Applied::gap;
    if (parts_->next > update.from) return Applied::nothing;
    ++parts_->next;
    for (const LogChange& entry : update.changes) {
        if (entry.value.empty()) return Applied::refused;
        if (!parts_->entries.emplace(entry.key, entry.value).second) return Applied::refused;
        parts_->bytes += entry.key.size() + entry.value.size();
        if (parts_->entries.size() > log_entries_max || parts_->bytes > log_bytes_max) return Applied::refused;
    }
    if (!update.last) return Applied::partly;
    take_over(std::move(*parts_), on_change);
    return Applied::changed;
}

/// Replaces all entries and tells what that changed.  Who is told may read this log: it stands at the new version.
void GatewayLog::take_over(Parts&& parts, const OnChange& on_change) {
    const Parts taken = std::move(parts);
    parts_.reset();
    const std::map<base::Bytes, base::Bytes> before = std::exchange(entries_, taken.entries);
    version_ = taken.version;
    bytes_ = taken.bytes;
    journal_.clear();
    journal_bytes_ = 0;
    digest_ = 0;
    for (const auto& [key, value] : entries_) digest_ += entry_hash(key, value);
    // Both ascend by key: what is gone first, then what is new or different, so that a moved entry never counts twice.
    for (const auto& [key, value] : before)
        if (!entries_.contains(key)) on_change(key, value, {});
    for (const auto& [key, value] : taken.entries) {
        const auto was = before.find(key);
        if (was == before.end()) {
            on_change(key, {}, value);
        } else if (was->second != value) {
            on_change(key, was->second, value);
        }
    }
}

LogUpdate GatewayLog::blank_update() const {
    LogUpdate update;
    update.gateway = gateway_;
    update.incarnation = version_.incarnation;
    update.boot = version_.boot;
    return update;
}

void GatewayLog::diff(const std::optional<LogVersion>& held, bool repair, std::vector<LogUpdate>& out) const {
    if (repair || !held) return diff_full(repair, out);
    if (*held >= version_) return;
    const std::uint64_t behind = version_.version - held->version;
    if (!held->same_life(version_) || behind > journal_.size()) return diff_full(false, out);
    LogUpdate update = blank_update();
    update.from = held->version;
    std::size_t bytes = 0;
    for (std::size_t i = journal_.size() - behind; i < journal_.size(); ++i) {
        update.changes.push_back(journal_[i]);
        bytes += journal_[i].key.size() + journal_[i].value.size();
        if (bytes < update_part_bytes && update.changes.size() < update_part_changes) continue;
        update.to = update.from + update.changes.size();
        out.push_back(std::move(update));
        update = blank_update();
        update.from = out.back().to;
        bytes = 0;
    }
    if (update.changes.empty()) return;
    update.to = update.from + update.changes.size();
    out.push_back(std::move(update));
}

void GatewayLog::diff_full(bool repair, std::vector<LogUpdate>& out) const {
    LogUpdate update = blank_update();
    std::uint64_t part = 0;
    std::size_t bytes = 0;
    const auto close_part = [&](bool last) {
        update.full = true;
        update.repair = repair;
        update.last = last;
        update.from = part++;
        update.to = version_.version;
        out.push_back(std::move(update));
        update = blank_update();
        bytes = 0;
    };
    for (const auto& [key, value] : entries_) {
        if (bytes >= update_part_bytes || update.changes.size() >= update_part_changes) close_part(false);
        update.changes.push_back(LogChange{key, value});
        bytes += key.size() + value.size();
    }
    close_part(true);
}

// ---- all logs -----------------------------------------------------------------------------------------------------

GatewayLog* LogBook::find(const GatewayId& gateway) {
    const auto found = logs_.find(gateway);
    return found == logs_.end() ? nullptr : &found->second;
}

const GatewayLog* LogBook::find(const GatewayId& gateway) const {
    const auto found = logs_.find(gateway);
    return found == logs_.end() ? nullptr : &found->second;
}

GatewayLog* LogBook::at(const GatewayId& gateway) {
    if (GatewayLog* held = find(gateway)) return held;
    if (logs_.size() >= logs_max) return nullptr;
    return &logs_.emplace(gateway, GatewayLog(gateway)).first->second;
}

void LogBook::forget(const GatewayId& gateway) {
    BASE_CHECK(gateway != own_->gateway());
    logs_.erase(gateway);
}

Applied LogBook::apply(const LogUpdate& update, const GatewayLog::OnChange& on_change) {
    BASE_CHECK(update.gateway != own_->gateway());
    GatewayLog* log = find(update.gateway);
    if (!log && !update.full) return Applied::gap;
    if (!log) log = at(update.gateway);
    if (!log) return Applied::refused;
    std::size_t bytes = 0;
    for (const LogChange& change : update.changes) bytes += change.key.size() + change.value.size();
    // An update that removes entries is small; so the check may take every byte for a new one.
    if (!update.changes.empty() && this->bytes() + bytes > book_bytes_max) return Applied::refused;
    return log->apply(update, on_change);
}

std::size_t LogBook::bytes() const {
    std::size_t sum = 0;
    for (const auto& [id, log] : logs_) sum += log.bytes();
    return sum;
}

std::vector<LogStand> LogBook::summary() const {
    std::vector<LogStand> stands;
    stands.reserve(logs_.size());
    for (const auto& [id, log] : logs_) stands.push_back(LogStand{id, log.version(), log.digest()});
    return stands;
}

std::uint64_t LogBook::digest() const {
    std::uint64_t sum = 0;
    for (const auto& [id, log] : logs_) sum += stand_hash(LogStand{id, log.version(), log.digest()});
    return sum;
}

std::optional<std::uint64_t> LogBook::incarnation_above(const LogVersion& heard) const {
    const LogVersion& ours = own_->version();
    if (heard.incarnation < ours.incarnation) return std::nullopt;
    // Our own words come back, unless somebody has more of them than were said.
    if (heard.same_life(ours) && heard.version <= ours.version) return std::nullopt;
    return heard.incarnation + 1;
}

std::uint64_t stand_hash(const LogStand& stand) {
    std::uint64_t hash = base::hash_bytes(stand.gateway.view(), stand.digest);
    hash = base::mix_bits(hash ^ stand.version.incarnation);
    hash = base::mix_bits(hash ^ stand.version.boot);
    return base::mix_bits(hash ^ stand.version.version);
}

}  // namespace routing
