#include "routing/membership.h"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace routing;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Kind = MembershipAction::Kind;

namespace {

GatewayId id_of(std::uint8_t number) {
    GatewayId id;
    id.bytes.fill(number);
    return id;
}

Position root_at(base::WallMillis made_at, std::uint8_t id) {
    return Position{Claim{made_at, id_of(id)}, {}};
}

struct Bench {
    explicit Bench(std::vector<std::string> join = {}, std::uint8_t self = 50)
        : membership(options(std::move(join)), id_of(self), 1, at()) {}

    static MembershipOptions options(std::vector<std::string> join) {
        MembershipOptions result;
        result.join = std::move(join);
        return result;
    }
    [[nodiscard]] Moment at() const { return Moment{base::Instant{} + seconds(10) + elapsed, 10'000}; }
    void pass(base::Duration time) {
        elapsed += time;
        membership.tick(at());
    }
    /// Kinds of the actions since the last call; the last attach's or close's peer is kept.
    std::vector<Kind> actions() {
        std::vector<Kind> kinds;
        for (const MembershipAction& action : membership.take_actions()) {
            kinds.push_back(action.kind);
            if (action.peer != peer_none) peer = action.peer;
            if (action.kind == Kind::dial) dialled.push_back(action.address);
        }
        return kinds;
    }
    void become_child_of(PeerHandle handle, std::uint8_t id, base::WallMillis claim) {
        pass(seconds(1));  // no longer fresh
        membership.met(handle, id_of(id), {}, root_at(claim, id), at());
        actions();
        membership.established(handle, at());
        actions();
        REQUIRE(membership.parent() == handle);
    }

    Adoption adopt(PeerHandle handle, std::uint32_t redirects = 0, bool insists = false) {
        return membership.adopt(handle, redirects, insists, at());
    }

    base::Duration elapsed{};
    Membership membership;
    PeerHandle peer = peer_none;
    std::vector<std::string> dialled;
};

}  // namespace

TEST_CASE("the junior root attaches, whoever dialled", "[routing][membership]") {
    Bench bench;
    SECTION("to a senior claim") {
        bench.membership.met(1, id_of(60), {}, root_at(9'999, 60), bench.at());
        CHECK(bench.actions() == std::vector{Kind::attach});
        CHECK(bench.adopt(1).refused == "the connection is in use");
        bench.membership.established(1, bench.at());
        CHECK_FALSE(bench.membership.is_root());
        CHECK(bench.membership.position() == Position{Claim{9'999, id_of(60)}, {id_of(60)}});
    }
    SECTION("to the smaller id at equal claims") {
        bench.membership.met(1, id_of(40), {}, root_at(10'000, 40), bench.at());
        CHECK(bench.actions() == std::vector{Kind::attach});
    }
    SECTION("not to a junior, which it adopts") {
        bench.membership.met(1, id_of(60), {}, root_at(10'000, 60), bench.at());
        CHECK(bench.actions().empty());
        CHECK(bench.adopt(1).taken());
        bench.membership.established(1, bench.at());
        CHECK(bench.membership.is_root());
        CHECK(bench.membership.children() == std::vector{id_of(60)});
    }
    SECTION("not to who has it among its ancestors") {
        Position below = root_at(1, 1);
        below.ancestors = {id_of(50), id_of(1)};
        bench.membership.met(1, id_of(60), {}, below, bench.at());
        CHECK(bench.actions().empty());
    }
}

TEST_CASE("a gateway does not adopt who is senior, no root, or its ancestor", "[routing][membership]") {
    Bench bench;
    bench.become_child_of(1, 20, 9'000);
    Position member = root_at(9'500, 30);
    member.ancestors = {id_of(30)};
    bench.membership.met(2, id_of(31), {}, member, bench.at());
    CHECK(bench.adopt(2).refused == "it is not a root");
    bench.membership.told(2, root_at(8'000, 31), bench.at());
    CHECK(bench.adopt(2).refused == "its claim is senior");
    bench.membership.met(3, id_of(20), {}, root_at(9'900, 20), bench.at());
    CHECK_FALSE(bench.adopt(3).taken());
    CHECK(bench.adopt(99).refused == "the connection is not known");
}

TEST_CASE("one attempt at a time; a refused one is tried again, a hanging one is closed", "[routing][membership]") {
    Bench bench;
    bench.membership.met(1, id_of(1), {}, root_at(5'000, 1), bench.at());
    bench.membership.met(2, id_of(2), {}, root_at(4'000, 2), bench.at());
    CHECK(bench.actions() == std::vector{Kind::attach});
    CHECK(bench.peer == 1);
    bench.membership.attach_refused(1, bench.at());
    CHECK(bench.actions() == std::vector{Kind::attach});
    CHECK(bench.peer == 2);
    bench.pass(seconds(6));
    CHECK(bench.actions() == std::vector{Kind::close, Kind::attach});
    CHECK(bench.peer == 1);
}

TEST_CASE("a fresh root waits for its first dials before it attaches to whoever comes", "[routing][membership]") {
    Bench bench({"seed"});
    CHECK(bench.membership.settling(bench.at().now));
    bench.pass({});
    CHECK(bench.actions() == std::vector{Kind::dial});
    bench.membership.met(1, id_of(1), {}, root_at(5'000, 1), bench.at());
    CHECK(bench.actions().empty());
    SECTION("until they failed") {
        bench.membership.dial_failed("seed", DialEnd::failed, bench.at());
    }
    SECTION("for a while at most") {
        bench.pass(seconds(1));
    }
    SECTION("until they led somewhere else") {
        bench.membership.met(2, id_of(2), "seed", root_at(4'000, 2), bench.at());
        CHECK(bench.actions() == std::vector{Kind::attach});
        CHECK(bench.peer == 2);
        return;
    }
    CHECK(bench.actions() == std::vector{Kind::attach});
    CHECK_FALSE(bench.membership.settling(bench.at().now));
}

TEST_CASE("a root dials for ever, faster at first; never itself, nor where it is linked", "[routing][membership]") {
    Bench bench({"seed", "seed", "self"});
    for (int i = 0; i < 6000; ++i) {
        bench.pass(milliseconds(10));
        for (const MembershipAction& action : bench.membership.take_actions()) {
            if (action.kind != Kind::dial) continue;
            bench.dialled.push_back(action.address);
            bench.membership.dial_failed(action.address, action.address == "self" ? DialEnd::myself : DialEnd::failed,
                                         bench.at());
        }
    }
    const auto count = [&](const char* address) {
        return std::count(bench.dialled.begin(), bench.dialled.end(), std::string(address));
    };
    CHECK(count("self") == 1);
    CHECK(count("seed") > 45);  // in a minute, at a second's pause and a quarter of jitter
    CHECK(count("seed") < 66);
    bench.dialled.clear();
    bench.membership.met(1, id_of(60), "seed", root_at(20'000, 60), bench.at());
    bench.actions();
    bench.pass(seconds(60));
    bench.actions();
    CHECK(bench.dialled.empty());
    bench.membership.gone(1, bench.at());
    bench.pass(seconds(1));
    bench.actions();
    CHECK(bench.dialled == std::vector<std::string>{"seed"});
}

TEST_CASE("a member dials only what does not lead into its own fragment", "[routing][membership]") {
    Bench bench({"seed"});
    bench.become_child_of(1, 20, 9'000);
    bench.pass({});
    bench.actions();
    CHECK(bench.dialled.size() == 1);
    bench.membership.met(2, id_of(21), "seed", Position{Claim{9'000, id_of(20)}, {id_of(20)}}, bench.at());
    bench.membership.set_members({id_of(20), id_of(21), id_of(50)}, bench.at());
    bench.pass(seconds(2));
    CHECK(bench.actions().empty());
    bench.pass(seconds(4));
    CHECK(bench.actions() == std::vector{Kind::close});  // of no use within one fragment
    bench.pass(seconds(60));
    CHECK(bench.actions().empty());
    bench.membership.set_members({id_of(20), id_of(50)}, bench.at());
    bench.pass(seconds(60));
    CHECK(bench.actions() == std::vector{Kind::dial});
}

TEST_CASE("a member moves to a senior fragment that stays in sight", "[routing][membership]") {
    Bench bench;
    bench.become_child_of(1, 20, 9'000);
    SECTION("soon, when it has just come") {
        bench.membership.met(2, id_of(10), {}, root_at(8'000, 10), bench.at());
        bench.pass(milliseconds(200));
        CHECK(bench.actions().empty());
        bench.pass(milliseconds(200));
    }
    SECTION("after a while, when it has been here for long") {
        bench.pass(seconds(60));
        bench.membership.met(2, id_of(10), {}, root_at(8'000, 10), bench.at());
        bench.pass(seconds(4));
        CHECK(bench.actions().empty());
        bench.pass(seconds(2));
    }
    CHECK(bench.actions() == std::vector{Kind::detach, Kind::moved, Kind::attach});
    CHECK(bench.peer == 2);
    bench.membership.established(2, bench.at());
    CHECK(bench.membership.position().root == Claim{8'000, id_of(10)});
    // The old parent is a sighting now, which may follow.
    bench.actions();
    bench.membership.told(1, root_at(9'000, 20), bench.at());
    CHECK(bench.adopt(1).taken());
}

TEST_CASE("whoever finds itself among its ancestors lets go and is a root with a new claim", "[routing][membership]") {
    Bench bench;
    const Claim before = bench.membership.position().root;
    bench.become_child_of(1, 20, 9'000);
    Position circle = root_at(9'000, 20);
    circle.ancestors = {id_of(30), id_of(50), id_of(20)};
    bench.membership.told(1, circle, bench.at());
    CHECK(bench.actions() == std::vector{Kind::detach, Kind::moved});
    CHECK(bench.membership.is_root());
    CHECK(before.senior_to(bench.membership.position().root));
}

TEST_CASE("of two connections between a pair the one that the smaller id dialled stays", "[routing][membership]") {
    const Position junior = root_at(20'000, 60);
    SECTION("ours") {
        Bench bench({"seed"}, 50);
        bench.membership.met(1, id_of(60), {}, junior, bench.at());
        bench.membership.met(2, id_of(60), "seed", junior, bench.at());
        CHECK(bench.actions() == std::vector{Kind::close});
        CHECK(bench.peer == 1);
    }
    SECTION("theirs") {
        Bench bench({"seed"}, 70);
        bench.membership.met(1, id_of(60), {}, junior, bench.at());
        bench.membership.met(2, id_of(60), "seed", junior, bench.at());
        CHECK(bench.actions() == std::vector{Kind::close});
        CHECK(bench.peer == 2);
    }
    SECTION("an established link in any case") {
        Bench bench({"seed"}, 50);
        bench.membership.met(1, id_of(60), {}, junior, bench.at());
        REQUIRE(bench.adopt(1).taken());
        bench.membership.established(1, bench.at());
        bench.membership.met(2, id_of(60), "seed", junior, bench.at());
        CHECK(bench.actions() == std::vector{Kind::close});
        CHECK(bench.peer == 2);
    }
}

TEST_CASE("the loss of the parent makes a root, the loss of a child does not", "[routing][membership]") {
    Bench bench({"seed"});
    bench.membership.met(1, id_of(20), "seed", root_at(9'000, 20), bench.at());
    bench.actions();
    bench.membership.established(1, bench.at());
    bench.membership.met(2, id_of(60), {}, root_at(20'000, 60), bench.at());
    REQUIRE(bench.adopt(2).taken());
    bench.membership.established(2, bench.at());
    bench.actions();
    bench.membership.gone(2, bench.at());
    CHECK(bench.actions().empty());
    CHECK(bench.membership.children().empty());
    bench.membership.gone(1, bench.at());
    CHECK(bench.actions() == std::vector{Kind::moved});
    CHECK(bench.membership.is_root());
    bench.pass({});
    CHECK(bench.actions() == std::vector{Kind::dial});  // at once
}

TEST_CASE("depth and sightings are bounded", "[routing][membership]") {
    Bench bench;
    Position deep = root_at(1, 1);
    for (std::size_t i = 0; i < ancestors_max - 1; ++i) {
        GatewayId id;
        id.bytes[0] = static_cast<std::uint8_t>(i);
        id.bytes[1] = 1;
        deep.ancestors.push_back(id);
    }
    bench.membership.met(1, id_of(60), {}, deep, bench.at());
    CHECK(bench.actions().empty());
    deep.ancestors.pop_back();
    bench.membership.told(1, deep, bench.at());
    CHECK(bench.actions() == std::vector{Kind::attach});

    Bench busy;
    for (std::size_t i = 0; i < sightings_max; ++i)
        busy.membership.met(i + 1, id_of(static_cast<std::uint8_t>(100 + i)), {}, root_at(20'000, 60), busy.at());
    CHECK(busy.actions().empty());
    busy.membership.met(1000, id_of(99), {}, root_at(20'000, 60), busy.at());
    CHECK(busy.actions() == std::vector{Kind::close});
    CHECK(busy.peer == 1000);
}
