// Who this gateway is: its Ed25519 key pair, and what of its place in the tree must outlive the process.
//
//     <data dir>/lock      held as long as a process uses this folder; says which one
//     <data dir>/identity  the seed as an nkey ("SN..."), one line; written once
//     <data dir>/claim     "<incarnation> <prime> <claimed at, ms> <checksum>", one line; replaced when one changes
//
//     <data dir>/members   "<id, hex> <address>" lines and a checksum: where members of the tree were dialled; best
//                          effort, a damaged one is as good as none
// Leaves to others: what an incarnation and a prime are for (routing/peer), the store (gateway/store).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gateway/nkey.h"
#include "routing/base/result.h"
#include "routing/base/time.h"
#include "routing/peer/tree.h"
#include "routing/types.h"

namespace gateway {

/// What of the tree is kept between starts; see peer::TreeOptions, where it comes from and goes to.
struct TreeClaim {
    std::uint64_t incarnation = 0;  ///< of the last start; 0: never started
    routing::Prime prime = 0;       ///< 0: none claimed yet
    base::WallMillis claimed_at = 0;
    bool operator==(const TreeClaim&) const = default;
};

/// Threads: one.
class Identity {
  public:
    /// Opens the identity in `data_dir` and locks the folder until destroyed; makes both at the first time.  Blocks for
    /// a few syncs.  Errors: one clear sentence, when another process uses the folder, a file is damaged (it is never
    /// replaced by a new one: that would be another gateway), or the system refuses.
    [[nodiscard]] static base::Result<std::unique_ptr<Identity>, std::string> open(const std::string& data_dir);
    /// A new identity that nobody keeps.
    [[nodiscard]] static std::unique_ptr<Identity> ephemeral();
    /// The same for a NATS server on its own, which signs nothing: a server id, and no key behind it.
    [[nodiscard]] static std::unique_ptr<Identity> keyless();
    ~Identity();
    Identity(const Identity&) = delete;
    Identity& operator=(const Identity&) = delete;

    [[nodiscard]] const routing::GatewayId& id() const { return id_; }
    /// The same as stock shows a server's id: an nkey, "N...", 56 characters.
    [[nodiscard]] const std::string& server_id() const { return server_id_; }
    [[nodiscard]] const Key32& seed() const { return seed_; }

    /// What was kept last.
    [[nodiscard]] const TreeClaim& claim() const { return claim_; }
    /// Keeps `claim`; on disk before it returns (never, if ephemeral).  Errors: a sentence.
    [[nodiscard]] base::Result<void, std::string> keep(const TreeClaim& claim);

    /// Where members of the tree can be dialled, as kept last; none if there is no file, or a damaged one.
    [[nodiscard]] std::vector<routing::KnownMember> members() const;
    /// Keeps `members` (never, if ephemeral).  Blocks for a sync.  Errors: a sentence.
    [[nodiscard]] base::Result<void, std::string> keep_members(const std::vector<routing::KnownMember>& members);

  private:
    Identity() = default;
    void set_seed(const Key32& seed);

    std::string data_dir_;  // empty: ephemeral
    int lock_ = -1;
    Key32 seed_{};
    routing::GatewayId id_;
    std::string server_id_;
    TreeClaim claim_;
};

/// Signs with `identity`'s key (copied) through OpenSSL; MACs are HMAC-SHA-256 keyed by `secret` (empty: none).
/// Threads: one.
[[nodiscard]] std::unique_ptr<routing::peer::Signer> make_signer(const Identity& identity, std::string secret);

/// A number that nobody can guess, for boot ids, runs and seeds.  Never 0.
[[nodiscard]] std::uint64_t random_number();

}  // namespace gateway
