// Where a gateway dials, and when: its `join` addresses, the spares of its last parent, and the advertised addresses of
// all members that it remembers.
//
// A name among them stands for all addresses that are behind it: it is resolved anew for each round of dials, and each
// address is dialled as if it had been given itself.  What it no longer leads to is forgotten.
//
//     who dials         whom                                            how often
//     a root            join, spares (grandparent, siblings)            redial_min .. redial_max, doubling
//     a root            any member that it remembers, outside its       member_redial_min .. member_redial_max, at most
//                       fragment                                        member_dials_max at a time
//     any other member  join addresses outside its fragment             probe_min .. probe_max, doubling
//     a root            resolves names                                  resolve_min .. resolve_max, doubling
//     any other member  resolves names                                  resolve_member
//
// Everything has jitter, and goes on for ever.  Leaves to others: what follows from a connection (membership).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "routing/base/prng.h"
#include "routing/base/time.h"
#include "routing/types.h"

namespace routing {

/// A proven connection, as the owner numbers it; never reused within a process.
using PeerHandle = std::uint64_t;
inline constexpr PeerHandle peer_none = 0;

/// A member of the tree and where it can be dialled, as its log says or as an earlier run of this gateway kept it.
struct KnownMember {
    GatewayId id;
    std::string address;
    bool operator==(const KnownMember&) const = default;
};

/// Remembered addresses.  Source: as many as logs are kept (interest.h, logs_max).
inline constexpr std::size_t known_members_max = 1024;
/// Spares that are dialled as fast as join addresses.  Own choice: a full set of siblings (max_children 10) and more.
inline constexpr std::size_t spares_max = 16;

/// Addresses of one name.  Own choice: a tree needs one member that answers.
inline constexpr std::size_t name_addresses_max = 32;

struct ContactOptions {
    /// A root's dials to join addresses and spares: first pause after a failure, and the longest.  Short, so that a
    /// gateway that was restarted is found again in about a second; a refused connect costs next to nothing.
    base::Duration redial_min = std::chrono::milliseconds(100);
    base::Duration redial_max = std::chrono::seconds(1);
    /// A root's dials to other members that it remembers.
    base::Duration member_redial_min = std::chrono::milliseconds(500);
    base::Duration member_redial_max = std::chrono::seconds(5);
    std::size_t member_dials_max = 16;
    /// A member's dials to join addresses outside its fragment.  DESIGN 4.6 says 30 s, which is longer than a tree may
    /// take to become one again (30 s after the last fault) where no root can dial into the other fragment: then such a
    /// dial is the only way by which they meet.  So it starts at once and slows down.
    base::Duration probe_min = std::chrono::seconds(2);
    base::Duration probe_max = std::chrono::seconds(10);
    /// A name server is asked more slowly than a gateway.
    base::Duration resolve_min = std::chrono::milliseconds(500);
    base::Duration resolve_max = std::chrono::seconds(10);
    base::Duration resolve_member = std::chrono::seconds(30);  ///< Source: DESIGN 4.6
    /// Between the first dials to the addresses of one name, so that those that stand first are met first.
    base::Duration name_pace = std::chrono::milliseconds(50);
    /// After a refusal that only a person can mend (another tree, another secret).
    base::Duration refused_pause = std::chrono::seconds(10);
};

/// How a dial came to nothing.
enum class DialEnd : std::uint8_t {
    failed,
    refused,  ///< for a reason that will not pass by itself
    myself,   ///< it leads to this gateway: never dialled again
};

/// See the head of this file.  Threads: one.  Deterministic.
class Contacts {
  public:
    /// `join` are addresses that are dialled as they are, `names` those that are resolved first.
    Contacts(ContactOptions options, const std::vector<std::string>& join, const std::vector<std::string>& names,
             std::uint64_t seed);

    /// All members whose address is known, this gateway not among them.  More than known_members_max are cut off.
    void set_known(const std::vector<KnownMember>& known, base::Instant now);
    /// Who takes the place of the parent, should it be lost; remembered until the next call.
    void set_spares(std::vector<GatewayId> spares);
    /// Who is in our fragment.
    void set_members(std::set<GatewayId> members, base::Instant now);
    /// Somebody with whom a connection is open.
    void set_connected(const GatewayId& id, bool connected);

    /// We are a root from now on: a first round of dials begins.
    void begin_round(base::Instant now);
    void end_round() { set_root(false); }
    /// The first round of dials to join addresses and spares has not ended.
    [[nodiscard]] bool round_open() const;

    struct Due {
        std::string address;
        bool is_name = false;
        bool operator==(const Due&) const = default;
    };
    /// The addresses to dial now; each waits for met() or failed() from then on; names for resolved() or failed().
    [[nodiscard]] std::vector<Due> due(base::Instant now);
    /// When due() has the next one.
    [[nodiscard]] base::Instant next_due() const;
    /// A dial of `address` led to `id`.
    void met(std::string_view address, const GatewayId& id, base::Instant now);
    void failed(std::string_view address, DialEnd how, base::Instant now);
    /// What `name` leads to now, the best first; name_addresses_max are taken.
    void resolved(std::string_view name, const std::vector<std::string>& addresses, base::Instant now);
    /// That connection is kept, as `handle`.
    void opened(std::string_view address, PeerHandle handle);
    /// It is gone.  `at_once`: dial again without a pause.
    void closed(PeerHandle handle, bool at_once, base::Instant now);
    /// Who was found at `address`, or is said to be there.
    [[nodiscard]] std::optional<GatewayId> who(std::string_view address) const;

  private:
    struct Contact {
        bool given = false;  ///< by the operator
        bool is_name = false;
        bool join = false;  ///< given, or what a name leads to
        bool spare = false;
        std::optional<GatewayId> known;     ///< whose advertised address it is
        std::optional<GatewayId> leads_to;  ///< who was found there
        base::Instant next_dial{};
        unsigned failures = 0;  ///< in a row
        bool dialling = false;
        bool counted = false;     ///< that dial is one of member_dials_
        bool round_done = false;  ///< its first dial since we are a root has ended
        bool is_self = false;
        PeerHandle open = peer_none;
        [[nodiscard]] bool first_rank() const { return join || spare; }
        [[nodiscard]] const std::optional<GatewayId>& who() const { return leads_to ? leads_to : known; }
    };

    void set_root(bool root);
    void mark_spares();
    void drop_needless();
    void end_dial(Contact& contact);
    [[nodiscard]] base::Duration jittered(base::Duration pause);
    [[nodiscard]] base::Duration pause_of(const Contact& contact) const;
    [[nodiscard]] bool wanted(const Contact& contact) const;

    ContactOptions options_;
    base::Prng prng_;
    std::map<std::string, Contact, std::less<>> contacts_;
    std::map<std::string, std::vector<std::string>, std::less<>> behind_;  ///< a name -> its addresses
    std::vector<GatewayId> spares_;
    std::set<GatewayId> members_;
    std::map<GatewayId, std::size_t> connected_;  ///< -> connections
    bool root_ = false;
    std::size_t member_dials_ = 0;  ///< open dials that are not of the first rank
    mutable bool stale_ = true;     ///< next_due_ must be computed anew: it is asked for once per turn
    mutable base::Instant next_due_{};
};

}  // namespace routing
