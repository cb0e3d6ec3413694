#include "gateway/identity.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include "gateway/data_file.h"
#include "routing/base/check.h"
#include "routing/base/hash.h"

namespace gateway {

namespace {

/// Both files are one short line.  Unit: bytes.
constexpr std::size_t identity_file_bytes_max = 256;
/// Source: RFC 8032.
constexpr std::size_t signature_bytes = 64;
constexpr std::size_t mac_bytes = 32;

struct KeyDeleter {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct DigestDeleter {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using KeyPointer = std::unique_ptr<EVP_PKEY, KeyDeleter>;
using DigestPointer = std::unique_ptr<EVP_MD_CTX, DigestDeleter>;

const unsigned char* raw(base::ByteView bytes) {
    return reinterpret_cast<const unsigned char*>(bytes.data());
}

KeyPointer private_key(const Key32& seed) {
    KeyPointer key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size()));
    BASE_CHECK(key != nullptr);
    return key;
}

void fill_random(void* target, std::size_t size) {
    // From the kernel, not OpenSSL, which takes a megabyte to wake: a gateway on its own never needs it.
    auto* at = static_cast<char*>(target);
    while (size > 0) {
        const ssize_t got = getrandom(at, size, 0);
        if (got < 0 && errno == EINTR) continue;
        BASE_CHECK(got > 0);
        at += got;
        size -= static_cast<std::size_t>(got);
    }
}

class OpensslSigner final : public routing::peer::Signer {
  public:
    OpensslSigner(const Key32& seed, std::string secret) : key_(private_key(seed)), secret_(std::move(secret)) {}

    base::Bytes sign(base::ByteView text) override {
        const DigestPointer context(EVP_MD_CTX_new());
        BASE_CHECK(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1);
        base::Bytes signature(signature_bytes, '\0');
        std::size_t size = signature.size();
        BASE_CHECK(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size, raw(text),
                                  text.size()) == 1);
        BASE_CHECK(size == signature_bytes);
        return signature;
    }

    bool verify(const routing::GatewayId& id, base::ByteView text, base::ByteView signature) override {
        if (signature.size() != signature_bytes) return false;
        const KeyPointer key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, id.bytes.data(), id.bytes.size()));
        const DigestPointer context(EVP_MD_CTX_new());
        return key != nullptr && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
               EVP_DigestVerify(context.get(), raw(signature), signature.size(), raw(text), text.size()) == 1;
    }

    base::Bytes mac(base::ByteView text) override {
        if (secret_.empty()) return {};
        base::Bytes result(mac_bytes, '\0');
        unsigned size = 0;
        BASE_CHECK(HMAC(EVP_sha256(), secret_.data(), static_cast<int>(secret_.size()), raw(text), text.size(),
                        reinterpret_cast<unsigned char*>(result.data()), &size) != nullptr);
        BASE_CHECK(size == mac_bytes);
        return result;
    }

    bool verify_mac(base::ByteView text, base::ByteView given) override {
        const base::Bytes right = mac(text);
        return given.size() == right.size() && CRYPTO_memcmp(given.data(), right.data(), right.size()) == 0;
    }

    base::Bytes random(std::size_t size) override {
        base::Bytes bytes(size, '\0');
        fill_random(bytes.data(), bytes.size());
        return bytes;
    }

  private:
    KeyPointer key_;
    std::string secret_;
};

// ---- the claim file -------------------------------------------------------------------------------------------------

std::string claim_text(const TreeClaim& claim) {
    std::string text =
        std::to_string(claim.incarnation) + " " + std::to_string(claim.prime) + " " + std::to_string(claim.claimed_at);
    return text + " " + std::to_string(base::hash_bytes(text)) + "\n";
}

template <typename Integer>
bool read_field(std::string_view& text, Integer& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc()) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (!text.empty()) text.remove_prefix(1);
    return true;
}

std::optional<TreeClaim> read_claim(const std::string& text) {
    TreeClaim claim;
    std::string_view rest = text;
    if (!read_field(rest, claim.incarnation) || !read_field(rest, claim.prime) || !read_field(rest, claim.claimed_at)) {
        return std::nullopt;
    }
    if (claim_text(claim) != text) return std::nullopt;  // a wrong checksum, or anything else than what we write
    return claim;
}

// ---- the members file -----------------------------------------------------------------------------------------------

/// Unit: bytes.  Source: routing::known_members_max lines of an id and peer::address_bytes_max.
constexpr std::size_t members_file_bytes_max = 512 * 1024;

std::string checksum_line(std::string_view text) {
    return std::to_string(base::hash_bytes(text)) + "\n";
}

std::string members_text(const std::vector<routing::KnownMember>& members) {
    std::string text;
    for (const routing::KnownMember& member : members)
        text += base::to_hex(member.id.view()) + " " + member.address + "\n";
    return text + checksum_line(text);
}

std::vector<routing::KnownMember> read_members(const std::string& text) {
    std::vector<routing::KnownMember> members;
    std::string_view rest = text;
    while (rest.find('\n') + 1 < rest.size()) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(line.size() + 1);
        routing::KnownMember member;
        constexpr std::size_t hex = 2 * sizeof member.id.bytes;
        if (line.size() < hex + 2) return {};
        for (std::size_t i = 0; i < member.id.bytes.size(); ++i)
            std::from_chars(line.data() + 2 * i, line.data() + 2 * i + 2, member.id.bytes[i], 16);
        member.address = line.substr(hex + 1);
        members.push_back(std::move(member));
    }
    if (members_text(members) != text) return {};  // a wrong checksum, or anything else than what we write
    return members;
}

// ---- the lock -------------------------------------------------------------------------------------------------------

base::Result<int, std::string> lock_folder(const std::string& data_dir) {
    const std::string path = data_dir + "/lock";
    const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0) return base::failure("cannot open " + path + ": " + std::strerror(errno));
    if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
        const int error = errno;
        char holder[32] = {};
        const ssize_t size = read(descriptor, holder, sizeof holder - 1);
        close(descriptor);
        if (error != EWOULDBLOCK) return base::failure("cannot lock " + path + ": " + std::strerror(error));
        std::string text = "the data dir " + data_dir + " is in use by another process";
        if (size > 1) text += " (pid " + std::string(holder, static_cast<std::size_t>(size - 1)) + ")";
        return base::failure(text);
    }
    const std::string pid = std::to_string(getpid()) + "\n";
    if (ftruncate(descriptor, 0) != 0 || pwrite(descriptor, pid.data(), pid.size(), 0) < 0) {
        const int error = errno;
        close(descriptor);
        return base::failure("cannot write " + path + ": " + std::strerror(error));
    }
    return descriptor;
}

}  // namespace

base::Result<std::unique_ptr<Identity>, std::string> Identity::open(const std::string& data_dir) {
    if (auto made = make_folder(data_dir); !made.ok()) return base::failure(made.error());
    auto lock = lock_folder(data_dir);
    if (!lock.ok()) return base::failure(lock.error());
    std::unique_ptr<Identity> identity(new Identity);
    identity->lock_ = lock.value();
    identity->data_dir_ = data_dir;

    const std::string seed_path = data_dir + "/identity";
    auto seed_file = read_file(seed_path, identity_file_bytes_max);
    if (!seed_file.ok()) return base::failure(seed_file.error());
    const std::string claim_path = data_dir + "/claim";
    auto claim_file = read_file(claim_path, identity_file_bytes_max);
    if (!claim_file.ok()) return base::failure(claim_file.error());

    if (!seed_file.value().exists) {
        if (claim_file.value().exists) {
            return base::failure(seed_path +
                                 " is missing although this data dir was in use: restore it from a backup, or start "
                                 "with an empty --data-dir as a new gateway");
        }
        Key32 seed;
        fill_random(seed.data(), seed.size());
        if (auto kept = replace_file(seed_path, encode_server_seed(seed) + "\n"); !kept.ok()) {
            return base::failure(kept.error());
        }
        identity->set_seed(seed);
        return identity;
    }
    const std::string& text = seed_file.value().bytes;
    const auto seed =
        text.ends_with('\n') ? decode_server_seed(std::string_view(text).substr(0, text.size() - 1)) : std::nullopt;
    if (!seed) {
        return base::failure(
            seed_path + " is damaged: restore it from a backup, or start with an empty --data-dir as a new gateway");
    }
    identity->set_seed(*seed);
    if (claim_file.value().exists) {
        const auto claim = read_claim(claim_file.value().bytes);
        if (!claim)
            return base::failure(
                claim_path +
                " is damaged: restore it from a backup, or delete it (this gateway then takes a new prime)");
        identity->claim_ = *claim;
    }
    return identity;
}

std::unique_ptr<Identity> Identity::ephemeral() {
    std::unique_ptr<Identity> identity(new Identity);
    Key32 seed;
    fill_random(seed.data(), seed.size());
    identity->set_seed(seed);
    return identity;
}

std::unique_ptr<Identity> Identity::keyless() {
    std::unique_ptr<Identity> identity(new Identity);
    Key32 name;
    fill_random(name.data(), name.size());
    identity->id_.bytes = name;
    identity->server_id_ = encode_server_key(name);
    return identity;
}

Identity::~Identity() {
    OPENSSL_cleanse(seed_.data(), seed_.size());
    if (lock_ >= 0) close(lock_);
}

void Identity::set_seed(const Key32& seed) {
    seed_ = seed;
    Key32 public_key;
    std::size_t size = public_key.size();
    BASE_CHECK(EVP_PKEY_get_raw_public_key(private_key(seed).get(), public_key.data(), &size) == 1);
    BASE_CHECK(size == public_key.size());
    id_.bytes = public_key;
    server_id_ = encode_server_key(public_key);
}

base::Result<void, std::string> Identity::keep(const TreeClaim& claim) {
    if (!data_dir_.empty() && claim != claim_) {
        if (auto kept = replace_file(data_dir_ + "/claim", claim_text(claim)); !kept.ok()) return kept;
    }
    claim_ = claim;
    return {};
}

std::vector<routing::KnownMember> Identity::members() const {
    if (data_dir_.empty()) return {};
    const auto file = read_file(data_dir_ + "/members", members_file_bytes_max);
    return file.ok() && file.value().exists ? read_members(file.value().bytes) : std::vector<routing::KnownMember>();
}

base::Result<void, std::string> Identity::keep_members(const std::vector<routing::KnownMember>& members) {
    if (data_dir_.empty()) return {};
    return replace_file(data_dir_ + "/members", members_text(members));
}

std::unique_ptr<routing::peer::Signer> make_signer(const Identity& identity, std::string secret) {
    return std::make_unique<OpensslSigner>(identity.seed(), std::move(secret));
}

std::uint64_t random_number() {
    std::uint64_t number = 0;
    while (number == 0) fill_random(&number, sizeof number);
    return number;
}

}  // namespace gateway
