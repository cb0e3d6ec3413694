#include "routing/peer/labels.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>

#include "routing/base/prng.h"
#include "routing/peer/pack.h"
#include "routing/peer/peer_message.h"

using namespace routing;
using namespace routing::peer;
using base::Bytes;
using base::ByteView;

namespace {

GatewayId id_of(std::uint32_t n) {
    GatewayId id;
    for (std::size_t i = 0; i < 4; ++i) id.bytes[i] = static_cast<std::uint8_t>(n >> (8 * i));
    id.bytes[31] = 1;
    return id;
}

// Two gateways, `a` and its neighbour `b`, each with its own numbering of everybody, and the lane from a to b.
struct Pair {
    GatewayRegistry a{id_of(0)};
    GatewayRegistry b{id_of(1)};
    std::uint64_t generations = 0;
    LabelSender sender{generations};
    LabelReceiver receiver;
    FrameBuffer lane;
    std::size_t frames = 0;

    GatewayIndex in_a(std::uint32_t gateway) { return a.intern(id_of(gateway)).value(); }
    GatewayIndex in_b(std::uint32_t gateway) { return b.intern(id_of(gateway)).value(); }

    // A path from `a`: b delivers, with `more` gateways behind it.
    PathDefinition path(const std::vector<std::uint32_t>& more, const std::vector<std::string>& groups = {}) {
        PathDefinition path;
        path.account = "$G";
        path.origin = gateway_self;
        path.factors.push_back(Factor{nth_prime(1), in_a(1), 0, exponent_deliver, true});
        for (const std::uint32_t gateway : more)
            path.factors.push_back(Factor{nth_prime(gateway), in_a(gateway), 0, exponent_pass, false});
        std::sort(path.factors.begin(), path.factors.end(),
                  [](const Factor& x, const Factor& y) { return x.prime < y.prime; });
        if (!groups.empty()) path.groups.push_back(FactorGroups{in_a(1), groups});
        return path;
    }

    PeerError read_frame(std::uint8_t kind, ByteView body) {
        switch (static_cast<DataKind>(kind)) {
            case DataKind::define_gateways:
                return receiver.on_gateways(body, b);
            case DataKind::define_path:
                return receiver.on_path(body, in_b(0));
            case DataKind::forget_paths:
                return receiver.on_forget(body);
            default:
                return PeerError::unknown_kind;
        }
    }

    // Moves what waits from a to b.
    PeerError flush() {
        Bytes out;
        lane.take(out);
        ByteView rest = out;
        while (!rest.empty()) {
            FrameHeader header;
            ByteView body;
            REQUIRE(base::read_little_endian(rest, header.length));
            REQUIRE(base::read_little_endian(rest, header.kind));
            rest.remove_prefix(3);
            REQUIRE(base::read_bytes(rest, header.length, body));
            ++frames;
            if (const PeerError error = read_frame(header.kind, body); error != PeerError::none) return error;
        }
        return PeerError::none;
    }

    // What b understood of `label` is what `path` means.
    bool means(std::uint32_t label, const PathDefinition& path) {
        const ReceivedPath* found = receiver.find(label);
        if (found == nullptr || found->path.account != path.account || found->path.run != path.run) return false;
        if (b.id(found->path.origin) != a.id(path.origin)) return false;
        if (found->path.factors.size() != path.factors.size()) return false;
        for (std::size_t i = 0; i < path.factors.size(); ++i) {
            const Factor& mine = path.factors[i];
            const Factor& theirs = found->path.factors[i];
            if (a.id(mine.gateway) != b.id(theirs.gateway) || mine.prime != theirs.prime ||
                mine.exponent != theirs.exponent || mine.plain != theirs.plain || mine.ordinal != theirs.ordinal ||
                path.groups_of(mine.gateway) != found->path.groups_of(theirs.gateway))
                return false;
        }
        return true;
    }
};

Bytes gateways_body(std::uint32_t number, const GatewayId& id, Prime prime) {
    Bytes body;
    PackWriter(body).array(1).array(3).uint(number).bin(id.view()).uint(prime);
    return body;
}

}  // namespace

TEST_CASE("a definition says to the neighbour what it says here", "[peer][labels]") {
    Pair pair;
    PathDefinition path = pair.path({5, 9, 12}, {"g", "workers"});
    path.account = "account of an application";
    path.run = UINT64_MAX;
    path.factors[0].ordinal = UINT16_MAX;
    path.factors[2].exponent = exponent_deliver;
    path.groups.push_back(FactorGroups{path.factors[2].gateway, {"h"}});
    const auto label = pair.sender.define(path, pair.a, pair.lane);
    REQUIRE(label);
    CHECK(label->sent);
    CHECK(label->label == 1);
    REQUIRE(pair.flush() == PeerError::none);
    CHECK(pair.means(1, path));
    const ReceivedPath* received = pair.receiver.find(1);
    CHECK(received->deliver);
    CHECK(received->plain);
    CHECK(received->ordinal == UINT16_MAX);
    CHECK(received->prime == 3);
    CHECK(received->own_groups() == std::vector<std::string>{"g", "workers"});
    CHECK(pair.receiver.bytes() == pair.sender.bytes());
}

TEST_CASE("equal paths share a label, gateways are named once, and other paths get other labels", "[peer][labels]") {
    Pair pair;
    const PathDefinition path = pair.path({5, 9}, {"g"});
    const auto first = pair.sender.define(path, pair.a, pair.lane);
    REQUIRE(pair.flush() == PeerError::none);
    CHECK(pair.frames == 2);  // gateways, path
    const auto again = pair.sender.define(path, pair.a, pair.lane);
    CHECK(pair.lane.empty());
    CHECK_FALSE(again->sent);
    CHECK(again->label == first->label);
    CHECK(again->generation == first->generation);

    std::vector<PathDefinition> others(8, path);
    others[0].account = "other";
    others[1].run = 1;
    others[2].factors[0].ordinal = 1;
    others[3].factors[0].plain = false;
    others[4].groups[0].groups = {"h"};
    others[5].groups.clear();
    others[6].factors.pop_back();
    others[7].origin = pair.in_a(77);
    std::map<std::uint32_t, std::uint64_t> labels{{first->label, first->generation}};
    for (const PathDefinition& other : others) {
        const auto label = pair.sender.define(other, pair.a, pair.lane);
        REQUIRE(label);
        CHECK(label->sent);
        CHECK(labels.emplace(label->label, label->generation).second);
        REQUIRE(pair.flush() == PeerError::none);
        CHECK(pair.means(label->label, other));
    }
    CHECK(pair.means(first->label, path));
    CHECK(pair.frames == 2 + 8 + 1);  // only gateway 77 had to be named
}

TEST_CASE("a gateway that changes its prime is named again and older labels keep theirs", "[peer][labels]") {
    Pair pair;
    const PathDefinition before = pair.path({5});
    PathDefinition after = before;
    after.factors[1].prime = 1009;
    const auto first = pair.sender.define(before, pair.a, pair.lane);
    const auto second = pair.sender.define(after, pair.a, pair.lane);
    REQUIRE(pair.flush() == PeerError::none);
    CHECK(pair.means(first->label, before));
    CHECK(pair.means(second->label, after));
}

TEST_CASE("the table overwrites what was not used for long, and whoever remembers sees it", "[peer][labels]") {
    Pair pair;
    const PathDefinition busy = pair.path({3});
    const auto kept = pair.sender.define(busy, pair.a, pair.lane);
    std::map<std::uint32_t, PathDefinition> meaning{{kept->label, busy}};
    std::map<std::uint32_t, std::uint64_t> generation{{kept->label, kept->generation}};
    std::size_t stale = 0;
    PathDefinition path = pair.path({4});
    for (std::uint64_t i = 0; i < 40000; ++i) {
        path.run = i;
        const auto label = pair.sender.define(path, pair.a, pair.lane);
        REQUIRE(label);
        REQUIRE(label->sent);
        REQUIRE(label->label > 0);
        REQUIRE(label->label < label_slots);
        if (meaning.count(label->label) > 0) {
            ++stale;
            REQUIRE_FALSE(pair.sender.use(label->label, generation[label->label]));
        }
        meaning[label->label] = path;
        generation[label->label] = label->generation;
        if (i % 100 == 0) REQUIRE(pair.sender.use(kept->label, kept->generation));
        if (i % 1000 == 0) REQUIRE(pair.flush() == PeerError::none);
    }
    REQUIRE(pair.flush() == PeerError::none);
    CHECK(stale == 40000 - (label_slots - 2));
    CHECK(pair.sender.defined() == label_slots - 1);
    CHECK(meaning[kept->label] == busy);
    for (const auto& [label, of] : meaning) {
        if (!pair.means(label, of)) FAIL("label " << label << " means something else at the receiver");
        if (!pair.sender.use(static_cast<std::uint16_t>(label), generation[label])) FAIL("generation of " << label);
    }
    CHECK(pair.receiver.bytes() == pair.sender.bytes());
}

TEST_CASE("a new session knows no label of the one before it", "[peer][labels]") {
    Pair pair;
    const PathDefinition path = pair.path({3});
    const auto before = pair.sender.define(path, pair.a, pair.lane);
    LabelSender next(pair.generations);
    CHECK_FALSE(next.use(before->label, before->generation));
    FrameBuffer lane;
    const auto after = next.define(path, pair.a, lane);
    CHECK(after->sent);
    CHECK(after->label == before->label);
    CHECK_FALSE(next.use(before->label, before->generation));
    CHECK(next.use(after->label, after->generation));
}

TEST_CASE("definitions above the table's bytes make it forget others, at both ends alike", "[peer][labels]") {
    Pair pair;
    const std::string long_group(group_bytes_max, 'g');
    std::map<std::uint32_t, PathDefinition> meaning;
    bool forgot = false;
    for (std::uint64_t i = 0; i < 3000; ++i) {
        PathDefinition path = pair.path({4}, {long_group});
        path.run = i;
        const std::size_t before = pair.sender.defined();
        const auto label = pair.sender.define(path, pair.a, pair.lane);
        REQUIRE(label);
        forgot |= pair.sender.defined() <= before;
        meaning[label->label] = path;
        REQUIRE(pair.flush() == PeerError::none);
        REQUIRE(pair.receiver.bytes() == pair.sender.bytes());
        REQUIRE(pair.sender.bytes() <= label_table_bytes_max);
        REQUIRE(pair.means(label->label, path));
    }
    CHECK(forgot);
    CHECK(pair.sender.defined() < 3000);
    CHECK(meaning.size() < 3000);  // forgotten labels were given again
}

TEST_CASE("a definition above a limit is not made", "[peer][labels]") {
    Pair pair;
    PathDefinition account = pair.path({3});
    account.account = std::string(account_bytes_max, 'a');
    CHECK(pair.sender.define(account, pair.a, pair.lane));
    account.account += 'a';
    CHECK_FALSE(pair.sender.define(account, pair.a, pair.lane));
    CHECK_FALSE(pair.sender.define_once(account, pair.a, pair.lane));
    CHECK_FALSE(pair.sender.define(pair.path({3}, {std::string(group_bytes_max + 1, 'g')}), pair.a, pair.lane));
    CHECK(pair.sender.define(pair.path({3}, {std::string(group_bytes_max, 'g')}), pair.a, pair.lane));
    std::vector<std::string> groups;
    for (std::uint32_t i = 0; i < groups_per_target_max; ++i) groups.push_back("g" + std::to_string(100000 + i));
    CHECK(pair.sender.define(pair.path({3}, groups), pair.a, pair.lane));
    groups.push_back("h");
    CHECK_FALSE(pair.sender.define(pair.path({3}, groups), pair.a, pair.lane));
    groups.clear();
    for (int i = 0; i < 300; ++i) groups.push_back(std::to_string(100 + i) + std::string(4000, 'g'));
    CHECK_FALSE(pair.sender.define(pair.path({3}, groups), pair.a, pair.lane));  // definition_bytes_max
    CHECK(pair.flush() == PeerError::none);
}

TEST_CASE("gateway numbers begin again when they are used up, without a wrong name", "[peer][labels]") {
    Pair pair;
    base::Prng prng(3);
    for (int round = 0; round < 40; ++round) {
        PathDefinition path = pair.path({});
        std::uint64_t prime = 1'000'000;
        for (int i = 0; i < 1000; ++i) {
            prime += 1 + prng.below(50);
            while (!is_prime(prime)) ++prime;
            path.factors.push_back(
                Factor{prime, pair.in_a(2 + static_cast<std::uint32_t>(i)), 0, exponent_pass, false});
        }
        const auto label = pair.sender.define(path, pair.a, pair.lane);
        REQUIRE(label);
        REQUIRE(pair.flush() == PeerError::none);
        REQUIRE(pair.means(label->label, path));
    }
}

TEST_CASE("label 0 is known for one record after each definition of it", "[peer][labels]") {
    Pair pair;
    CHECK(pair.receiver.find(0) == nullptr);
    const PathDefinition path = pair.path({3});
    REQUIRE(pair.sender.define_once(path, pair.a, pair.lane));
    REQUIRE(pair.flush() == PeerError::none);
    CHECK(pair.sender.defined() == 0);
    CHECK(pair.means(0, path));
    CHECK(pair.receiver.find(0) == nullptr);
    CHECK(pair.receiver.find(1) == nullptr);
    CHECK(pair.receiver.find(label_slots) == nullptr);
    CHECK(pair.receiver.find(UINT64_MAX) == nullptr);
}

TEST_CASE("definitions that break a rule are refused with its name", "[peer][labels]") {
    Pair pair;
    const GatewayIndex sender = pair.in_b(0);
    REQUIRE(pair.receiver.on_gateways(gateways_body(0, id_of(0), 0), pair.b) == PeerError::none);  // origin
    REQUIRE(pair.receiver.on_gateways(gateways_body(1, id_of(1), 3), pair.b) == PeerError::none);  // self
    REQUIRE(pair.receiver.on_gateways(gateways_body(2, id_of(2), 5), pair.b) == PeerError::none);
    REQUIRE(pair.receiver.on_gateways(gateways_body(3, id_of(2), 7), pair.b) == PeerError::none);   // 2 again
    REQUIRE(pair.receiver.on_gateways(gateways_body(4, id_of(0), 11), pair.b) == PeerError::none);  // the sender

    struct F {
        std::uint32_t number;
        std::uint32_t exponent;
        std::vector<std::string> groups = {};
    };
    const auto define = [&](std::uint32_t label, std::uint32_t origin, const std::vector<F>& factors) {
        Bytes body;
        PackWriter out(body);
        out.array(5).uint(label).str("$G").uint(origin).uint(0).array(factors.size());
        for (const F& factor : factors) {
            if (factor.exponent != exponent_deliver) {
                out.array(2).uint(factor.number).uint(factor.exponent);
                continue;
            }
            out.array(5).uint(factor.number).uint(factor.exponent).uint(0).boolean(true).array(factor.groups.size());
            for (const std::string& group : factor.groups) out.str(group);
        }
        return pair.receiver.on_path(body, sender);
    };
    CHECK(define(1, 0, {{1, 2}}) == PeerError::none);
    CHECK(define(1, 0, {{1, 1}, {2, 2, {"a", "b"}}}) == PeerError::none);
    CHECK(define(label_slots - 1, 0, {{1, 2}}) == PeerError::none);
    CHECK(define(label_slots, 0, {{1, 2}}) == PeerError::malformed);
    CHECK(define(1, 9, {{1, 2}}) == PeerError::unknown_gateway);
    CHECK(define(1, 0, {{9, 2}}) == PeerError::unknown_gateway);
    CHECK(define(1, 0, {}) == PeerError::malformed);
    CHECK(define(1, 0, {{1, 1}}) == PeerError::malformed);  // nobody is to get it
    CHECK(define(1, 0, {{1, 0}}) == PeerError::bad_factor);
    CHECK(define(1, 0, {{1, 3}}) == PeerError::no_custodian);
    CHECK(define(1, 0, {{1, 1}, {2, 3}}) == PeerError::no_custodian);  // nor on the way to somebody else
    CHECK(define(1, 0, {{1, 4}}) == PeerError::bad_factor);
    CHECK(define(1, 0, {{0, 2}}) == PeerError::bad_factor);  // a name without a prime
    CHECK(define(1, 0, {{1, 2, {"b", "a"}}}) == PeerError::malformed);
    CHECK(define(1, 0, {{1, 2, {"a", "a"}}}) == PeerError::malformed);
    CHECK(define(1, 0, {{1, 2, {""}}}) == PeerError::malformed);
    CHECK(define(1, 0, {{2, 2}}) == PeerError::law_violated);          // not for us
    CHECK(define(1, 0, {{2, 2}, {1, 2}}) == PeerError::law_violated);  // not ascending
    CHECK(define(1, 0, {{1, 2}, {1, 2}}) == PeerError::law_violated);
    CHECK(define(1, 0, {{1, 2}, {2, 2}, {3, 2}}) == PeerError::law_violated);  // one gateway twice
    CHECK(define(1, 2, {{1, 2}, {4, 2}}) == PeerError::law_violated);          // back to the sender
    CHECK(define(1, 2, {{1, 2}, {2, 2}}) == PeerError::law_violated);          // back to the origin
    CHECK(define(1, 1, {{1, 2}}) == PeerError::law_violated);                  // we are the origin

    CHECK(pair.receiver.on_gateways(gateways_body(5, id_of(5), 4), pair.b) == PeerError::bad_factor);
    CHECK(pair.receiver.on_gateways(gateways_body(5, id_of(5), 4294967311), pair.b) == PeerError::bad_factor);
    CHECK(pair.receiver.on_gateways(gateways_body(gateway_numbers_max, id_of(5), 13), pair.b) == PeerError::malformed);
    Bytes short_id;
    PackWriter(short_id).array(1).array(3).uint(5).bin("short").uint(13);
    CHECK(pair.receiver.on_gateways(short_id, pair.b) != PeerError::none);

    Bytes forget;
    PackWriter(forget).array(1).uint(2);
    CHECK(pair.receiver.on_forget(forget) == PeerError::unknown_label);
    forget.clear();
    PackWriter(forget).array(1).uint(0);
    CHECK(pair.receiver.on_forget(forget) == PeerError::unknown_label);
    forget.clear();
    PackWriter(forget).array(1).uint(1);
    CHECK(pair.receiver.on_forget(forget) == PeerError::none);
    CHECK(pair.receiver.find(1) == nullptr);
}

TEST_CASE("a longer definition of a newer version is read as far as it is known", "[peer][labels]") {
    Pair pair;
    Bytes gateways;
    PackWriter(gateways).array(2).array(4).uint(0).bin(id_of(0).view()).uint(0).str("new");
    PackWriter(gateways).array(3).uint(1).bin(id_of(1).view()).uint(3);
    REQUIRE(pair.receiver.on_gateways(gateways, pair.b) == PeerError::none);
    Bytes body;
    PackWriter(body).array(6).uint(1).str("$G").uint(0).uint(0).array(1);
    PackWriter(body).array(6).uint(1).uint(2).uint(0).boolean(true).array(0).nil();
    PackWriter(body).map(1).str("new").uint(1);
    CHECK(pair.receiver.on_path(body, pair.in_b(0)) == PeerError::none);
    CHECK(pair.receiver.find(1) != nullptr);
}

TEST_CASE("a receiver takes no more definitions than its bytes", "[peer][labels]") {
    Pair pair;
    REQUIRE(pair.receiver.on_gateways(gateways_body(0, id_of(0), 0), pair.b) == PeerError::none);
    REQUIRE(pair.receiver.on_gateways(gateways_body(1, id_of(1), 3), pair.b) == PeerError::none);
    PeerError error = PeerError::none;
    std::uint32_t label = 1;
    for (; error == PeerError::none; ++label) {
        Bytes body;
        PackWriter out(body);
        out.array(5).uint(label).str("$G").uint(0).uint(0).array(1).array(5).uint(1).uint(2).uint(0).boolean(true);
        out.array(100);
        for (int i = 0; i < 100; ++i) out.str(std::to_string(100 + i) + std::string(4000, 'g'));
        error = pair.receiver.on_path(body, pair.in_b(0));
    }
    CHECK(error == PeerError::limit);
    CHECK(label > 10);
    CHECK(pair.receiver.bytes() <= label_table_bytes_max);
    CHECK(pair.receiver.bytes() > label_table_bytes_max / 2);
    CHECK(pair.receiver.on_path(Bytes(definition_bytes_max + 1, '\0'), pair.in_b(0)) == PeerError::limit);
}

TEST_CASE("definitions cut anywhere or damaged are refused or understood, and never read beyond their end",
          "[peer][labels]") {
    Pair pair;
    PathDefinition path = pair.path({5, 9}, {"g", "workers"});
    REQUIRE(pair.sender.define(path, pair.a, pair.lane));
    Bytes out;
    pair.lane.take(out);
    std::vector<std::pair<std::uint8_t, Bytes>> frames;
    ByteView rest = out;
    while (!rest.empty()) {
        FrameHeader header;
        ByteView body;
        REQUIRE(base::read_little_endian(rest, header.length));
        REQUIRE(base::read_little_endian(rest, header.kind));
        rest.remove_prefix(3);
        REQUIRE(base::read_bytes(rest, header.length, body));
        frames.emplace_back(header.kind, Bytes(body));
    }
    Bytes forget;
    PackWriter(forget).array(2).uint(1).uint(300);
    frames.emplace_back(static_cast<std::uint8_t>(DataKind::forget_paths), forget);
    const std::uint64_t seed = GENERATE(1, 2, 3);
    CAPTURE(seed);
    base::Prng prng(seed);
    for (const auto& [kind, whole] : frames) {
        for (std::size_t cut = 0; cut < whole.size(); ++cut) {
            const std::vector<char> exact(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(cut));
            CAPTURE(static_cast<int>(kind), cut);
            CHECK(pair.read_frame(kind, ByteView(exact.data(), exact.size())) != PeerError::none);
        }
        for (int round = 0; round < 5000; ++round) {
            std::vector<char> damaged(whole.begin(), whole.end());
            for (std::uint64_t i = 1 + prng.below(4); i > 0; --i)
                damaged[prng.below(damaged.size())] = static_cast<char>(prng.next());
            static_cast<void>(pair.read_frame(kind, ByteView(damaged.data(), damaged.size())));
        }
    }
}
