// Definitions and labels: a path is told once on a lane and then named by a small number.  One LabelSender and one
// LabelReceiver per link, lane and session; what the one appends, in order, the other reads.
//
//     define_gateways 0x40   [[number, id (32 bytes), prime] ..]                prime 0: only named, no factor
//     define_path     0x41   [label, account, origin, run, [factor ..]]         label 0: for the next record alone
//         factor             [gateway, exponent]                                exponent 1
//                            [gateway, exponent, ordinal, plain, [group ..]]    exponent 2
//     forget_paths    0x42   [label ..]
//
// Gateways stand by the number that define_gateways gave them.  Factors ascend by prime.  Bodies are MessagePack
// arrays. The table is the sender's: defining overwrites a slot, in order with the records, so a label that the
// receiver does not know is a protocol error.  A slot's generation changes with its content and counts over the life of
// the process, so that whoever remembers (label, generation) sees that it is out of date, also across sessions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "routing/base/bytes.h"
#include "routing/event_path.h"
#include "routing/gateway_registry.h"
#include "routing/peer/frame.h"
#include "routing/peer/peer_error.h"
#include "routing/types.h"

namespace routing::peer {

class PackReader;  // pack.h

/// Slots of a label table; label 0 is for one use.  Unit: slots.  Source: DESIGN 4.3; a label has at most two bytes.
inline constexpr std::uint32_t label_slots = 16384;
/// All definitions that a table holds at a time, as they were on the wire.  Above it the sender makes it forget some.
/// Unit: bytes.  Source: 16,384 of 512 bytes, or 5,000 that deliver at all of 256 gateways.
inline constexpr std::size_t label_table_bytes_max = 8 * 1024 * 1024;
/// Longest definition.  Unit: bytes.  Source: path_factors_max factors with 250 bytes of groups each.
inline constexpr std::size_t definition_bytes_max = 1024 * 1024;
/// Gateway numbers of a lane; then numbering begins again.  Source: four longest paths.
inline constexpr std::uint32_t gateway_numbers_max = 16384;
/// Longest name of an account.  Unit: bytes.  Source: a public NKey has 56; names in configurations are free.
inline constexpr std::size_t account_bytes_max = 256;
/// Longest name of a queue group.  Unit: bytes.  Source: a control line of stock NATS, MAX_CONTROL_LINE_SIZE.
inline constexpr std::size_t group_bytes_max = 4096;
/// Most groups picked for one target.
inline constexpr std::uint32_t groups_per_target_max = 4096;

/// The groups picked for one target of a path; never empty.
struct FactorGroups {
    GatewayIndex gateway = gateway_none;
    std::vector<std::string> groups;  ///< sorted, no two equal
    bool operator==(const FactorGroups&) const = default;
};

/// What a label stands for.
struct PathDefinition {
    std::string account;
    GatewayIndex origin = gateway_none;
    std::uint64_t run = 0;  ///< durable lane: of the records that go by it
    Factors factors;
    std::vector<FactorGroups> groups;  ///< any order, each target at most once
    bool operator==(const PathDefinition&) const = default;
    [[nodiscard]] const std::vector<std::string>& groups_of(GatewayIndex gateway) const;
};

/// Where a record goes on: a link, and its label there.
struct OutHop {
    std::uint64_t generation = 0;  ///< of the slot
    LinkIndex link = link_none;
    std::uint16_t label = 0;
    std::uint16_t targets = 0;  ///< how many are behind that link
};

/// The sender's half.
class LabelSender {
  public:
    /// `generations`: the process's counter, borrowed for life.
    explicit LabelSender(std::uint64_t& generations) : generations_(&generations) {}

    struct Label {
        std::uint16_t label = 0;
        std::uint64_t generation = 0;
        bool sent = false;  ///< a definition was appended; false: an equal one is there
    };
    /// The label of `path` on this lane; appends what the receiver must be told first to `out`.
    /// Errors: nothing if the definition would be longer than definition_bytes_max, or a name in it than its limit.
    std::optional<Label> define(const PathDefinition& path, const GatewayRegistry& registry, FrameBuffer& out);
    /// Appends a definition for the next record alone, which goes under label 0.  Errors: false as above.
    bool define_once(const PathDefinition& path, const GatewayRegistry& registry, FrameBuffer& out);

    /// True if `label` still means what it did when `generation` was given; marks it as used.
    bool use(std::uint16_t label, std::uint64_t generation) {
        if (label >= hot_.size() || hot_[label].generation != generation) return false;
        hot_[label].used = true;
        return true;
    }

    [[nodiscard]] std::size_t defined() const { return index_.size(); }
    [[nodiscard]] std::size_t bytes() const { return bytes_; }

  private:
    struct Hot {  // what a record touches
        std::uint64_t generation = 0;
        bool used = false;
    };
    struct Cold {
        base::Bytes key;  ///< the path in our own numbers; equal keys are equal paths
        std::uint64_t hash = 0;
        std::uint32_t wire_bytes = 0;
    };
    void encode(std::uint32_t label, const PathDefinition& path, const GatewayRegistry& registry);
    void append_frames(FrameBuffer& buffer);
    [[nodiscard]] std::uint32_t number_of(GatewayIndex gateway, Prime prime, const GatewayRegistry& registry);
    [[nodiscard]] std::uint32_t take_slot();
    [[nodiscard]] std::uint32_t next_victim();
    void make_room(std::size_t wire_bytes, FrameBuffer& out);
    void release(std::uint32_t label);

    std::uint64_t* generations_;
    std::vector<Hot> hot_{1};
    std::vector<Cold> cold_{1};
    std::unordered_multimap<std::uint64_t, std::uint32_t> index_;  ///< hash of the key -> label
    std::vector<std::uint32_t> free_;                              ///< forgotten labels
    std::uint32_t hand_ = 1;
    std::size_t bytes_ = 0;
    std::unordered_map<std::uint64_t, std::uint32_t> numbers_;  ///< gateway << 32 | prime -> number
    // Scratch: a definition's body, the numbers that it needs first (and how many), and a key.
    base::Bytes body_;
    base::Bytes gateways_body_;
    std::uint32_t gateways_new_ = 0;
    base::Bytes key_;
};

/// A path that a neighbour defined, and where its records go on from here.
struct ReceivedPath {
    std::uint64_t route_generation = 0;  ///< the topology that `hops` were made under; 0: not split yet
    std::vector<OutHop> hops;
    bool defined = false;
    bool deliver = false;  ///< this gateway is a target
    bool plain = false;
    std::uint8_t exponent = 0;  ///< of this gateway's factor
    std::uint16_t ordinal = 0;
    std::uint16_t targets_dropped = 0;  ///< that no way on was found to
    std::uint32_t wire_bytes = 0;
    Prime prime = 0;                           ///< of this gateway in this path
    std::uint32_t groups_place = groups_none;  ///< of this gateway's groups in path.groups
    PathDefinition path;

    static constexpr std::uint32_t groups_none = 0xffffffff;
    [[nodiscard]] const std::vector<std::string>& own_groups() const;
};

/// The receiver's half.
class LabelReceiver {
  public:
    /// Reads a define_gateways body; ids that are new get an index in `registry`.
    [[nodiscard]] PeerError on_gateways(base::ByteView body, GatewayRegistry& registry);
    /// Reads a define_path body that came from `sender`; checks the law as far as a receiver can (check_share).
    [[nodiscard]] PeerError on_path(base::ByteView body, GatewayIndex sender);
    /// Reads a forget_paths body.
    [[nodiscard]] PeerError on_forget(base::ByteView body);

    /// What `label` stands for; null: unknown.  Label 0 is known once after each definition of it.
    /// Borrowed until the next call of on_path or on_forget.
    ReceivedPath* find(std::uint64_t label) {
        if (label == 0) return take_once();
        if (label >= table_.size() || !table_[label].defined) return nullptr;
        return &table_[label];
    }

    [[nodiscard]] std::size_t bytes() const { return bytes_; }

  private:
    struct Number {
        GatewayIndex gateway = gateway_none;
        Prime prime = 0;
    };
    ReceivedPath* take_once();
    [[nodiscard]] PeerError read_path(base::ByteView body, GatewayIndex sender, std::uint32_t& label);
    [[nodiscard]] PeerError read_factor(PackReader& in);

    std::vector<ReceivedPath> table_{1};
    bool once_ = false;  ///< table_[0] waits for its record
    std::vector<Number> numbers_;
    std::size_t bytes_ = 0;
    ReceivedPath incoming_;  // scratch
};

}  // namespace routing::peer
