#include "gateway/identity.h"

#include <catch2/catch.hpp>
#include <filesystem>

#include <sys/stat.h>

#include "gateway/data_file.h"
#include "routing/base/prng.h"
#include "tests/unit/gateway_shell/scratch_folder.h"

namespace gateway {

namespace {

std::unique_ptr<Identity> open_good(const std::string& path) {
    auto opened = Identity::open(path);
    if (!opened.ok()) UNSCOPED_INFO(opened.error());
    REQUIRE(opened.ok());
    return std::move(opened).value();
}

std::string open_error(const std::string& path) {
    auto opened = Identity::open(path);
    REQUIRE_FALSE(opened.ok());
    return opened.error();
}

unsigned mode_of(const std::string& path) {
    struct stat status {};
    REQUIRE(stat(path.c_str(), &status) == 0);
    return status.st_mode & 0777;
}

}  // namespace

TEST_CASE("nkeys are those of NATS", "[gateway]") {
    // CRC-16/XMODEM's published check value.
    CHECK(nkey_crc("123456789") == 0x31c3);
    base::Prng prng(7);
    for (int round = 0; round < 200; ++round) {
        Key32 key;
        for (auto& byte : key) byte = static_cast<std::uint8_t>(prng.next());
        const std::string text = encode_server_key(key);
        CHECK(text.size() == 56);
        CHECK(text[0] == 'N');
        CHECK(decode_server_key(text) == key);
        const std::string seed = encode_server_seed(key);
        CHECK(seed.size() == 58);
        CHECK(seed.starts_with("SN"));
        CHECK(decode_server_seed(seed) == key);
        CHECK_FALSE(decode_server_key(seed));
        CHECK_FALSE(decode_server_seed(text));
    }
}

TEST_CASE("a wrong character anywhere in an nkey is noticed", "[gateway]") {
    Key32 key{};
    key[3] = 77;
    const std::string text = encode_server_seed(key);
    for (std::size_t i = 0; i < text.size(); ++i) {
        for (const char c : {'A', 'Q', '7', '1', 'a'}) {
            std::string wrong = text;
            if (wrong[i] == c) continue;
            wrong[i] = c;
            CAPTURE(i, c);
            CHECK_FALSE(decode_server_seed(wrong));
        }
    }
    CHECK_FALSE(decode_server_seed(text.substr(0, 57)));
    CHECK_FALSE(decode_server_seed(text + "A"));
    CHECK_FALSE(decode_server_seed(""));
}

TEST_CASE("an identity is made once and found again", "[gateway]") {
    const ScratchFolder folder;
    const std::string data_dir = folder.file("a/b");
    routing::GatewayId id;
    std::string server_id;
    {
        const auto identity = open_good(data_dir);
        id = identity->id();
        server_id = identity->server_id();
        CHECK(server_id.size() == 56);
        CHECK(identity->claim() == TreeClaim{});
        CHECK(mode_of(data_dir + "/identity") == 0600);
        CHECK(mode_of(data_dir) == 0700);
    }
    const auto again = open_good(data_dir);
    CHECK(again->id() == id);
    CHECK(again->server_id() == server_id);
    CHECK(open_good(folder.file("c"))->id() != id);
}

TEST_CASE("what was claimed in the tree is kept", "[gateway]") {
    const ScratchFolder folder;
    const TreeClaim claim{.incarnation = 41, .prime = 4294967311, .claimed_at = 1767366245000};
    {
        const auto identity = open_good(folder.path());
        REQUIRE(identity->keep({.incarnation = 40, .prime = 2, .claimed_at = -1}).ok());
        REQUIRE(identity->keep(claim).ok());
        CHECK(identity->claim() == claim);
    }
    CHECK(open_good(folder.path())->claim() == claim);
}

TEST_CASE("a data dir belongs to one process at a time", "[gateway]") {
    const ScratchFolder folder;
    {
        const auto first = open_good(folder.path());
        const std::string error = open_error(folder.path());
        CHECK(error.find("in use by another process (pid " + std::to_string(getpid()) + ")") != std::string::npos);
    }
    open_good(folder.path());  // free again
}

TEST_CASE("a damaged identity is refused, never replaced", "[gateway]") {
    const ScratchFolder folder;
    open_good(folder.path());
    const std::string before = folder.read("identity");
    const std::string damaged = GENERATE_COPY(std::string(), before.substr(0, 30), before + "x",
                                              before.substr(0, before.size() - 1), "SNAAA\n", std::string(1000, 'A'));
    CAPTURE(damaged);
    folder.write("identity", damaged);
    CHECK(open_error(folder.path()).find(folder.file("identity")) != std::string::npos);
    CHECK(folder.read("identity") == damaged);
}

TEST_CASE("a missing identity in a data dir that was in use is refused", "[gateway]") {
    const ScratchFolder folder;
    REQUIRE(open_good(folder.path())->keep({.incarnation = 1, .prime = 2, .claimed_at = 3}).ok());
    std::filesystem::remove(folder.file("identity"));
    CHECK(open_error(folder.path()).find("is missing") != std::string::npos);
}

TEST_CASE("a damaged claim is refused", "[gateway]") {
    const ScratchFolder folder;
    REQUIRE(open_good(folder.path())->keep({.incarnation = 123, .prime = 2, .claimed_at = 3}).ok());
    std::string text = folder.read("claim");
    text[0] = '9';
    folder.write("claim", text);
    CHECK(open_error(folder.path()).find("claim is damaged") != std::string::npos);
    folder.write("claim", "");
    CHECK(open_error(folder.path()).find("claim is damaged") != std::string::npos);
}

TEST_CASE("a data dir that cannot be made is an error that names it", "[gateway]") {
    const ScratchFolder folder;
    folder.write("file", "x");
    CHECK(open_error(folder.file("file")).find("is not a folder") != std::string::npos);
    CHECK(open_error(folder.file("file/below")).find(folder.file("file/below")) != std::string::npos);
}

TEST_CASE("a data dir that goes away while it is used is an error that names the file, and what was kept stays known",
          "[gateway]") {
    const ScratchFolder folder;
    const std::string data_dir = folder.file("data");
    const auto identity = open_good(data_dir);
    const TreeClaim before{.incarnation = 7, .prime = 11, .claimed_at = 3};
    REQUIRE(identity->keep(before).ok());
    // Whatever the reason, nothing can be written there any more: a file stands in its place.
    std::filesystem::remove_all(data_dir);
    folder.write("data", "no folder");
    const auto kept = identity->keep({.incarnation = 7, .prime = 13, .claimed_at = 4});
    REQUIRE_FALSE(kept.ok());
    CHECK(kept.error().find(data_dir + "/claim") != std::string::npos);
    CHECK(identity->claim() == before);
    const auto members = identity->keep_members({});
    REQUIRE_FALSE(members.ok());
    CHECK(members.error().find(data_dir + "/members") != std::string::npos);
    CHECK(identity->keep(before).ok());  // nothing new to write
}

TEST_CASE("a half-written file beside does no harm", "[gateway]") {
    const ScratchFolder folder;
    folder.write("identity.new", "garbage of a crash");
    const auto id = open_good(folder.path())->id();
    folder.write("identity.new", "garbage of a crash");
    CHECK(open_good(folder.path())->id() == id);
}

TEST_CASE("files are read whole up to their limit", "[gateway]") {
    const ScratchFolder folder;
    REQUIRE(replace_file(folder.file("f"), std::string(100, 'x')).ok());
    CHECK(read_file(folder.file("f"), 100).value().bytes.size() == 100);
    CHECK_FALSE(read_file(folder.file("f"), 99).ok());
    CHECK_FALSE(read_file(folder.file("none"), 99).value().exists);
}

TEST_CASE("a signature fits its text and key, and nothing else", "[gateway]") {
    const auto a = Identity::ephemeral();
    const auto b = Identity::ephemeral();
    const auto signer = make_signer(*a, "");
    const base::Bytes signature = signer->sign("text");
    CHECK(signature.size() == 64);
    const auto other = make_signer(*b, "");
    CHECK(other->verify(a->id(), "text", signature));
    CHECK_FALSE(other->verify(a->id(), "texT", signature));
    CHECK_FALSE(other->verify(b->id(), "text", signature));
    CHECK_FALSE(other->verify(a->id(), "text", ""));
    CHECK_FALSE(other->verify(a->id(), "text", signature + "x"));
    CHECK_FALSE(other->verify(routing::GatewayId{}, "text", signature));
    for (std::size_t i = 0; i < signature.size(); ++i) {
        base::Bytes wrong = signature;
        wrong[i] = static_cast<char>(wrong[i] ^ 1);
        CHECK_FALSE(other->verify(a->id(), "text", wrong));
    }
}

TEST_CASE("Ed25519 and HMAC are the standard ones", "[gateway]") {
    // RFC 8032, 7.1, TEST 1: this seed has this public key.
    const ScratchFolder folder;
    Key32 seed{};
    const char* seed_hex = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    for (std::size_t i = 0; i < seed.size(); ++i)
        seed[i] = static_cast<std::uint8_t>(std::stoul(std::string(seed_hex + 2 * i, 2), nullptr, 16));
    folder.write("identity", encode_server_seed(seed) + "\n");
    const auto identity = open_good(folder.path());
    CHECK(base::to_hex(identity->id().view()) == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    const auto signer = make_signer(*identity, "Jefe");
    CHECK(base::to_hex(signer->sign("")) ==
          "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595b"
          "be24655141438e7a100b");
    // RFC 4231, test case 2.
    CHECK(base::to_hex(signer->mac("what do ya want for nothing?")) ==
          "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST_CASE("a MAC needs the same secret on both sides, or none on both", "[gateway]") {
    const auto identity = Identity::ephemeral();
    const auto with = make_signer(*identity, "s");
    const auto same = make_signer(*Identity::ephemeral(), "s");
    const auto other = make_signer(*identity, "t");
    const auto without = make_signer(*identity, "");
    CHECK(same->verify_mac("x", with->mac("x")));
    CHECK_FALSE(same->verify_mac("y", with->mac("x")));
    CHECK_FALSE(other->verify_mac("x", with->mac("x")));
    CHECK_FALSE(without->verify_mac("x", with->mac("x")));
    CHECK_FALSE(with->verify_mac("x", without->mac("x")));
    CHECK(without->mac("x").empty());
    CHECK(without->verify_mac("x", ""));
}

TEST_CASE("random bytes and numbers differ", "[gateway]") {
    const auto signer = make_signer(*Identity::ephemeral(), "");
    CHECK(signer->random(16).size() == 16);
    CHECK(signer->random(16) != signer->random(16));
    CHECK(random_number() != random_number());
}

TEST_CASE("the addresses of members are kept over a start, and a damaged file is as good as none", "[gateway]") {
    const ScratchFolder folder;
    std::vector<routing::KnownMember> members(3);
    for (std::size_t i = 0; i < members.size(); ++i) {
        members[i].id.bytes.fill(static_cast<std::uint8_t>(0xa0 + i));
        members[i].address = "gateway-" + std::to_string(i) + ".example:7522";
    }
    {
        const auto identity = open_good(folder.path());
        CHECK(identity->members().empty());
        REQUIRE(identity->keep_members(members).ok());
    }
    CHECK(open_good(folder.path())->members() == members);
    const std::string path = folder.path() + "/members";
    std::string bytes = read_file(path, 10'000).value().bytes;
    bytes[70] = 'X';
    REQUIRE(replace_file(path, bytes).ok());
    CHECK(open_good(folder.path())->members().empty());
    REQUIRE(replace_file(path, "nonsense").ok());
    CHECK(open_good(folder.path())->members().empty());
    CHECK(Identity::ephemeral()->members().empty());
    CHECK(Identity::ephemeral()->keep_members(members).ok());
}

}  // namespace gateway
