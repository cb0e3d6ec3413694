// What each gateway says of itself: a versioned log of entries (interest, durable filters, name, prime, address, live
// links).  Every gateway holds every other's log; a neighbour that lags is sent what it lacks, nothing more.
//
//   log of one gateway = (id, incarnation, boot, version) + entries { key -> value }
//   key   = kind byte, then the parts of the entry's name        (see the *_key functions)
//   value = what it says; empty means: no such entry             (see the *_value functions)
//   version counts single changes; digest = sum of the entries' hashes, so it does not depend on order
//
// The owner alone writes its log.  A copy changes by updates: a *delta* (from version x to y: the changes in between)
// or a *full* one (all entries, in one or more parts, taken over as a whole when the last part is there).  Kinds that
// this version does not know are kept and passed on all the same. Leaves to others: which neighbour gets what when
// (peer::Tree), what follows from it (Router, Topology, PathEngine).
#pragma once

#include <compare>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "routing/base/bytes.h"
#include "routing/base/time.h"
#include "routing/types.h"

namespace routing {

/// Longest key of an entry: an account's name, a filter and a queue group.  Unit: bytes.
/// Source: a filter and a queue name fit one control line (compat nats_limits.h: 4,096), an account's name the rest.
inline constexpr std::size_t log_key_bytes_max = 8192;
/// Longest value.  Unit: bytes.  Own choice: an address or a name with room.
inline constexpr std::size_t log_value_bytes_max = 4096;
/// Entries of one gateway.  Own choice: a million filters per gateway.
inline constexpr std::size_t log_entries_max = 1u << 20;
/// Keys and values of one gateway's log.  Unit: bytes.
inline constexpr std::size_t log_bytes_max = std::size_t{256} << 20;
/// Logs that are kept.  Own choice: DESIGN 4.4 measures trees of 256; four times as many may have come and gone.
inline constexpr std::size_t logs_max = 1024;
/// Gateways that are remembered as forgotten.  Own choice: as many as there may be logs; further ones are not given up.
inline constexpr std::size_t forgotten_max = logs_max;
/// Keys and values of all logs together.  Unit: bytes.  Own choice: a quarter of a small machine's memory.
inline constexpr std::size_t book_bytes_max = std::size_t{1} << 30;
/// Single changes kept per log, so that a neighbour which lags by no more is sent a delta.
inline constexpr std::size_t journal_changes_max = 4096;
/// Their keys and values.  Unit: bytes.
inline constexpr std::size_t journal_bytes_max = 1024 * 1024;
/// A part of an update is closed when its keys and values pass this.  Unit: bytes.
inline constexpr std::size_t update_part_bytes = 128 * 1024;
/// ... or when it holds so many changes; well below journal_changes_max, so that who passes a delta on has it in his
/// journal.
inline constexpr std::size_t update_part_changes = 1024;
static_assert(update_part_changes < journal_changes_max && update_part_bytes * 2 < journal_bytes_max);

enum class LogEntryKind : std::uint8_t {
    interest = 'I',   ///< (account, filter, queue) -> weight
    durable = 'D',    ///< durable filter -> flags
    name = 'N',       ///< -> the gateway's name
    prime = 'P',      ///< -> prime, time of its claim
    advertise = 'A',  ///< -> the address that others dial
    link = 'L',       ///< neighbour's id -> session
    region = 'R',     ///< -> the region that it stands in
    tag = 'T',        ///< tag -> 1
    forgotten = 'F',  ///< id of a gateway that was given up -> its lives up to this incarnation
};

/// Interest of a gateway's clients.  Borrows: from the key that it was read from.
struct InterestEntry {
    std::string_view account;
    std::string_view filter;
    std::string_view queue;  ///< empty: plain subscribers
};
/// A gateway's prime and when it claimed it (see event_path.h for what that decides).
struct PrimeEntry {
    Prime prime = 0;
    base::WallMillis claimed_at = 0;
    bool operator==(const PrimeEntry&) const = default;
};

[[nodiscard]] base::Bytes interest_key(std::string_view account, std::string_view filter, std::string_view queue);
[[nodiscard]] base::Bytes durable_key(std::string_view filter);
[[nodiscard]] base::Bytes link_key(const GatewayId& neighbour);
[[nodiscard]] base::Bytes forgotten_key(const GatewayId& gateway);
[[nodiscard]] base::Bytes tag_key(std::string_view tag);
/// The key of a kind of which there is one entry: name, prime, advertise, region.
[[nodiscard]] base::Bytes single_key(LogEntryKind kind);
[[nodiscard]] base::Bytes number_value(std::uint64_t number);
[[nodiscard]] base::Bytes prime_value(const PrimeEntry& claim);

/// The kind of a key.  Errors: nothing if it is empty.
[[nodiscard]] std::optional<LogEntryKind> key_kind(base::ByteView key);
/// Errors: nothing if `key` is not of that kind or is malformed (the entry is then kept, but means nothing).
[[nodiscard]] std::optional<InterestEntry> read_interest_key(base::ByteView key);
[[nodiscard]] std::optional<std::string_view> read_durable_key(base::ByteView key);
[[nodiscard]] std::optional<GatewayId> read_forgotten_key(base::ByteView key);
[[nodiscard]] std::optional<std::string_view> read_tag_key(base::ByteView key);
[[nodiscard]] std::optional<GatewayId> read_link_key(base::ByteView key);
[[nodiscard]] std::optional<std::uint64_t> read_number_value(base::ByteView value);
[[nodiscard]] std::optional<PrimeEntry> read_prime_value(base::ByteView value);

/// Where a log stands.  A later incarnation supersedes an earlier one whatever their versions; `boot` (drawn at each
/// start) tells two holders of one incarnation apart.
struct LogVersion {
    std::uint64_t incarnation = 0;
    std::uint64_t boot = 0;
    std::uint64_t version = 0;
    auto operator<=>(const LogVersion&) const = default;
    [[nodiscard]] bool same_life(const LogVersion& other) const {
        return incarnation == other.incarnation && boot == other.boot;
    }
};

struct LogChange {
    base::Bytes key;
    base::Bytes value;  ///< empty: the entry is gone
    bool operator==(const LogChange&) const = default;
};

/// A delta or one part of a full update.
struct LogUpdate {
    GatewayId gateway;
    std::uint64_t incarnation = 0;
    std::uint64_t boot = 0;
    std::uint64_t from = 0;  ///< delta: the version that it applies to; full: which part this is, from 0
    std::uint64_t to = 0;    ///< the version after it (full: after its last part)
    bool full = false;
    bool last = true;     ///< full: no part follows
    bool repair = false;  ///< full: take it even if the version is the one that you have (digests differed)
    std::vector<LogChange> changes;
    [[nodiscard]] LogVersion after() const { return {incarnation, boot, to}; }
};

/// What apply() made of an update.
enum class Applied : std::uint8_t {
    nothing,  ///< older than what is held, or equal
    partly,   ///< a part was put aside, more must follow
    changed,  ///< the log stands at a newer version now
    gap,      ///< changes before it are missing: ask for a full one
    refused,  ///< over a limit: the sender is at fault
};

/// One gateway's log: the owner's own or a copy.
/// Threads: one.  Cost: O(log entries) per change.
class GatewayLog {
  public:
    explicit GatewayLog(const GatewayId& gateway) : gateway_(gateway) {}

    [[nodiscard]] const GatewayId& gateway() const { return gateway_; }
    [[nodiscard]] const LogVersion& version() const { return version_; }
    /// Equal logs have equal digests, whatever the order of their changes.
    [[nodiscard]] std::uint64_t digest() const { return digest_; }
    [[nodiscard]] const std::map<base::Bytes, base::Bytes>& entries() const { return entries_; }
    [[nodiscard]] base::ByteView find(const base::Bytes& key) const;
    /// Keys and values.  Unit: bytes.
    [[nodiscard]] std::size_t bytes() const { return bytes_; }

    // --- The owner --------------------------------------------------------------------------------------------------

    /// Begins (or begins again) a life of this log; the entries stay.
    void start(std::uint64_t incarnation, std::uint64_t boot);
    /// Sets an entry, or removes it if `value` is empty.  Errors: false, and nothing changed, if a limit would be
    /// passed. True also if it stood so already (the version then stays).
    bool set(const base::Bytes& key, const base::Bytes& value);

    // --- A copy -----------------------------------------------------------------------------------------------------

    /// Called for each entry that an update changed: key, value before, value after (empty: none).
    using OnChange = std::function<void(base::ByteView key, base::ByteView before, base::ByteView after)>;
    /// Takes an update over.  A full one changes nothing until its last part.
    Applied apply(const LogUpdate& update, const OnChange& on_change);

    /// Appends the updates that bring a copy at `held` (nothing: none held) to this version; none if it is there
    /// already. `repair`: a full one even if the versions are equal.
    void diff(const std::optional<LogVersion>& held, bool repair, std::vector<LogUpdate>& out) const;

  private:
    struct Parts {
        LogVersion version;
        std::uint64_t next = 0;  ///< the part that must come next
        std::map<base::Bytes, base::Bytes> entries;
        std::size_t bytes = 0;
    };

    bool change(const base::Bytes& key, const base::Bytes& value);
    Applied apply_full(const LogUpdate& update, const OnChange& on_change);
    Applied apply_delta(const LogUpdate& update, const OnChange& on_change);
    void take_over(Parts&& parts, const OnChange& on_change);
    void diff_full(bool repair, std::vector<LogUpdate>& out) const;
    [[nodiscard]] LogUpdate blank_update() const;

    GatewayId gateway_;
    LogVersion version_;
    std::uint64_t digest_ = 0;
    std::size_t bytes_ = 0;
    std::map<base::Bytes, base::Bytes> entries_;
    std::deque<LogChange> journal_;  ///< the last changes; the newest made version_.version
    std::size_t journal_bytes_ = 0;
    std::unique_ptr<Parts> parts_;  ///< of a full update whose last part has not come
};

/// One line of a summary: where somebody's copy of a log stands.
struct LogStand {
    GatewayId gateway;
    LogVersion version;
    std::uint64_t digest = 0;
    bool operator==(const LogStand&) const = default;
};

/// A number for one stand; sums of these are compared between gateways.
[[nodiscard]] std::uint64_t stand_hash(const LogStand& stand);

/// All logs that a gateway holds, its own among them, ascending by id.
class LogBook {
  public:
    explicit LogBook(const GatewayId& self) { own_ = &logs_.emplace(self, GatewayLog(self)).first->second; }
    LogBook(const LogBook&) = delete;
    LogBook& operator=(const LogBook&) = delete;

    [[nodiscard]] GatewayLog& own() { return *own_; }
    [[nodiscard]] const GatewayLog& own() const { return *own_; }
    [[nodiscard]] GatewayLog* find(const GatewayId& gateway);
    [[nodiscard]] const GatewayLog* find(const GatewayId& gateway) const;
    /// The log of `gateway`, made empty if there is none.  Errors: null when logs_max are held.
    GatewayLog* at(const GatewayId& gateway);
    /// Drops a log.  Not our own.
    void forget(const GatewayId& gateway);
    /// Takes an update over (not of our own log).
    Applied apply(const LogUpdate& update, const GatewayLog::OnChange& on_change);
    /// Keys and values of all logs.  Unit: bytes.
    [[nodiscard]] std::size_t bytes() const;
    [[nodiscard]] const std::map<GatewayId, GatewayLog>& all() const { return logs_; }

    [[nodiscard]] std::vector<LogStand> summary() const;
    /// One number for all logs, equal where all logs are.
    [[nodiscard]] std::uint64_t digest() const;

    /// If `heard` tells of a life of our own log that is not below ours and is not ours (or of a version of ours that
    /// we never reached): the incarnation to start above it.  Source: DESIGN 4.4.
    [[nodiscard]] std::optional<std::uint64_t> incarnation_above(const LogVersion& heard) const;

  private:
    std::map<GatewayId, GatewayLog> logs_;
    GatewayLog* own_;
};

}  // namespace routing
