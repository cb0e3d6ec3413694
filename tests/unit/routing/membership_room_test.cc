// A parent with as many children as it wants sends others on; who was sent on goes, comes back, or is taken.
#include <algorithm>
#include <catch2/catch.hpp>

#include "routing/membership.h"

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
    explicit Bench(std::size_t max_children = 2) : membership(options(max_children), id_of(50), 1, at()) {}

    static MembershipOptions options(std::size_t max_children) {
        MembershipOptions result;
        result.max_children = max_children;
        return result;
    }
    [[nodiscard]] Moment at() const { return Moment{base::Instant{} + seconds(10) + elapsed, 10'000}; }
    void pass(base::Duration time) {
        elapsed += time;
        membership.tick(at());
    }
    std::vector<MembershipAction> actions() { return membership.take_actions(); }
    /// The only action of `kind` since the last call.
    MembershipAction only(Kind kind) {
        std::vector<MembershipAction> found;
        for (const MembershipAction& action : membership.take_actions())
            if (action.kind == kind) found.push_back(action);
        REQUIRE(found.size() == 1);
        return found[0];
    }
    Adoption asks(PeerHandle handle, std::uint8_t id, std::uint32_t redirects = 0, bool insists = false) {
        if (!membership.role(handle)) membership.met(handle, id_of(id), {}, root_at(20'000, id), at());
        return membership.adopt(handle, redirects, insists, at());
    }
    void take_child(PeerHandle handle, std::uint8_t id, PeerFacts facts) {
        REQUIRE(asks(handle, id, redirects_max).taken());
        membership.established(handle, at());
        membership.set_facts(handle, std::move(facts));
        pass(milliseconds(10));
    }
    void attach_to(PeerHandle handle, std::uint8_t id) {
        pass(seconds(1));
        membership.met(handle, id_of(id), {}, root_at(5'000, id), at());
        CHECK(only(Kind::attach).peer == handle);
    }

    base::Duration elapsed{};
    Membership membership;
};

/// The addresses among what is due; names in angle brackets.
std::vector<std::string> dialled(const std::vector<Contacts::Due>& due) {
    std::vector<std::string> addresses;
    for (const Contacts::Due& each : due) addresses.push_back(each.is_name ? "<" + each.address + ">" : each.address);
    return addresses;
}

PeerFacts facts(std::string address, std::string region = {}, base::Duration round_trip = {}, std::size_t behind = 1) {
    PeerFacts result;
    result.address = std::move(address);
    result.region = std::move(region);
    result.round_trip = round_trip;
    result.behind = behind;
    result.can_be_sent = true;
    return result;
}

}  // namespace

TEST_CASE("who comes too many is sent to the child of its region, as far away, with the fewest behind it",
          "[routing][membership]") {
    Bench bench(4);
    bench.take_child(1, 101, facts("eu-near", "eu", milliseconds(1), 9));
    bench.take_child(2, 102, facts("us-near", "us", milliseconds(1), 1));
    bench.take_child(3, 103, facts("us-far", "us", milliseconds(200), 1));
    bench.take_child(4, 104, facts("", "us", milliseconds(1), 0));  // nobody can dial it
    const auto sent = [&](PeerHandle handle, PeerFacts about) {
        bench.membership.met(handle, id_of(static_cast<std::uint8_t>(100 + handle)), {},
                             root_at(20'000, static_cast<std::uint8_t>(100 + handle)), bench.at());
        bench.membership.set_facts(handle, std::move(about));
        const Adoption answer = bench.membership.adopt(handle, 0, false, bench.at());
        CHECK_FALSE(answer.taken());
        return answer.redirect;
    };
    CHECK(sent(10, facts("", "eu")) == "eu-near");
    CHECK(sent(11, facts("", "us", milliseconds(150))) == "us-far");
    CHECK(sent(12, facts("", "us")) == "us-near");
    CHECK(sent(13, facts("", "ap")) == "us-near");
    // Those who were sent count as if they were there.
    for (int i = 0; i < 6; ++i) (void)sent(static_cast<PeerHandle>(20 + i), facts("", "ap"));
    // 8 of them are with one by now, and 2 with the other.
    CHECK(sent(30, facts("", "ap")) == "us-near");
}

TEST_CASE("nobody is sent to an address that means something on another machine only", "[routing][membership]") {
    Bench bench;
    PeerFacts local = facts("127.0.0.1:1");
    local.address_is_local = true;
    bench.take_child(1, 101, local);
    bench.take_child(2, 102, facts("10.0.0.1:2", {}, {}, 9));
    const auto sent = [&](PeerHandle handle, bool on_this_machine) {
        bench.membership.met(handle, id_of(static_cast<std::uint8_t>(100 + handle)), {},
                             root_at(20'000, static_cast<std::uint8_t>(100 + handle)), bench.at());
        PeerFacts about = facts("");
        about.on_this_machine = on_this_machine;
        bench.membership.set_facts(handle, std::move(about));
        return bench.membership.adopt(handle, 0, false, bench.at()).redirect;
    };
    CHECK(sent(3, false) == "10.0.0.1:2");
    CHECK(sent(4, true) == "127.0.0.1:1");
    bench.membership.set_max_children(3);
    CHECK(bench.asks(5, 105).taken());
}

TEST_CASE("who insists, or was sent on eight times, is taken above the limit", "[routing][membership]") {
    Bench bench;
    bench.take_child(1, 101, facts("one"));
    bench.take_child(2, 102, facts("two"));
    CHECK_FALSE(bench.asks(3, 103, redirects_max - 1).taken());
    CHECK(bench.asks(3, 103, redirects_max).taken());
    CHECK(bench.asks(4, 104, 1, true).taken());
}

TEST_CASE("where nobody could take it, it is taken; while some are still coming it waits", "[routing][membership]") {
    Bench bench;
    CHECK(bench.asks(1, 101).taken());
    CHECK(bench.asks(2, 102).taken());
    CHECK_FALSE(bench.asks(3, 103).refused.empty());
    for (const PeerHandle child : {1, 2}) bench.membership.established(child, bench.at());
    CHECK(bench.asks(3, 103).taken());  // no child has an address
}

TEST_CASE("the youngest of too many children is sent on once a minute, each before one comes twice",
          "[routing][membership]") {
    Bench bench;
    bench.take_child(1, 101, facts("one"));
    bench.take_child(2, 102, facts("two"));
    bench.pass(seconds(600));
    CHECK(bench.actions().empty());
    bench.take_child(3, 103, facts("three"));
    std::vector<PeerHandle> told;
    for (int i = 0; i < 250; ++i) {
        bench.pass(seconds(1));
        for (const MembershipAction& action : bench.actions()) {
            REQUIRE(action.kind == Kind::redirect);
            CHECK_FALSE(action.address.empty());
            told.push_back(action.peer);
        }
    }
    CHECK(told == std::vector<PeerHandle>{3, 2, 1, 3});
    bench.membership.released(3, bench.at());
    bench.pass(seconds(600));
    for (const MembershipAction& action : bench.actions()) CHECK(action.kind != Kind::redirect);
}

TEST_CASE("a root that is sent on asks there, and comes back if that comes to nothing", "[routing][membership]") {
    Bench bench;
    bench.attach_to(1, 20);
    bench.membership.redirected(1, "child", bench.at());
    CHECK(bench.only(Kind::dial).address == "child");
    Position there = root_at(5'000, 20);
    there.ancestors = {id_of(20)};
    SECTION("it is taken there") {
        bench.membership.met(2, id_of(21), "child", there, bench.at());
        const MembershipAction attach = bench.only(Kind::attach);
        CHECK(attach.peer == 2);
        CHECK(attach.redirects == 1);
        CHECK_FALSE(attach.insists);
        SECTION("and sent on again") {
            bench.membership.redirected(2, "grandchild", bench.at());
            CHECK(bench.only(Kind::dial).address == "grandchild");
            there.ancestors.insert(there.ancestors.begin(), id_of(21));
            bench.membership.met(3, id_of(22), "grandchild", there, bench.at());
            CHECK(bench.only(Kind::attach).redirects == 2);
        }
        SECTION("when it has waited") {
            bench.membership.attach_refused(2, bench.at());
            CHECK(bench.actions().empty());
            bench.pass(seconds(1));
            CHECK(bench.only(Kind::attach).peer == 2);
        }
        SECTION("or it breaks") {
            bench.membership.gone(2, bench.at());
            const MembershipAction back = bench.only(Kind::attach);
            CHECK(back.peer == 1);
            CHECK(back.insists);
        }
        return;
    }
    SECTION("nobody answers") {
        bench.membership.dial_failed("child", DialEnd::failed, bench.at());
    }
    SECTION("nothing happens for a while") {
        CHECK(bench.membership.next_deadline() > bench.at().now);
        bench.pass(seconds(7));
    }
    SECTION("it is another tree's") {
        bench.membership.met(2, id_of(21), "child", root_at(90'000, 21), bench.at());
    }
    const MembershipAction back = bench.only(Kind::attach);
    CHECK(back.peer == 1);
    CHECK(back.insists);
}

TEST_CASE("a child that is sent on leaves its parent only when it has met the other", "[routing][membership]") {
    Bench bench;
    bench.attach_to(1, 20);
    bench.membership.established(1, bench.at());
    bench.actions();
    bench.membership.redirected(1, "sibling", bench.at());
    CHECK(bench.only(Kind::dial).address == "sibling");
    SECTION("it cannot be reached") {
        bench.membership.dial_failed("sibling", DialEnd::failed, bench.at());
        CHECK(bench.actions().empty());
        CHECK(bench.membership.parent() == 1);
        return;
    }
    Position there = root_at(5'000, 20);
    there.ancestors = {id_of(20)};
    SECTION("it is below us") {
        there.ancestors.insert(there.ancestors.begin(), id_of(50));
        bench.membership.met(2, id_of(21), "sibling", there, bench.at());
        CHECK(bench.actions().empty());
        CHECK(bench.membership.parent() == 1);
        return;
    }
    bench.membership.met(2, id_of(21), "sibling", there, bench.at());
    std::vector<Kind> kinds;
    for (const MembershipAction& action : bench.actions()) kinds.push_back(action.kind);
    CHECK(kinds == std::vector{Kind::detach, Kind::moved, Kind::attach});
    bench.membership.established(2, bench.at());
    CHECK(bench.membership.parent() == 2);
    CHECK(bench.membership.position().ancestors == std::vector{id_of(21), id_of(20)});
}

TEST_CASE("a lost parent's spares are dialled at once, other members soon, and never too many at a time",
          "[routing][membership]") {
    ContactOptions options;
    Contacts contacts(options, {"join"}, {}, 1);
    std::vector<KnownMember> known;
    for (std::uint8_t i = 1; i <= 100; ++i) known.push_back(KnownMember{id_of(i), "m" + std::to_string(i)});
    base::Instant now{seconds(1)};
    contacts.set_known(known, now);
    CHECK(dialled(contacts.due(now)) == std::vector<std::string>{"join"});  // no root: nobody else
    contacts.failed("join", DialEnd::failed, now);
    contacts.set_spares({id_of(7), id_of(8)});
    contacts.set_members({id_of(9)}, now);
    now += seconds(100);
    contacts.begin_round(now);
    CHECK(contacts.round_open());
    CHECK(dialled(contacts.due(now)) == std::vector<std::string>{"join", "m7", "m8"});
    for (const char* address : {"join", "m7", "m8"}) contacts.failed(address, DialEnd::failed, now);
    CHECK_FALSE(contacts.round_open());
    std::size_t others = 0;
    for (int i = 0; i < 50; ++i) {
        now += milliseconds(100);
        for (const std::string& address : dialled(contacts.due(now))) {
            CHECK(address != "m9");  // it is in our fragment
            if (address == "join" || address == "m7" || address == "m8") {
                contacts.failed(address, DialEnd::failed, now);
            } else {
                ++others;
            }
        }
    }
    CHECK(others == options.member_dials_max);
    contacts.end_round();
    CHECK(contacts.who("m3") == id_of(3));
}

TEST_CASE(
    "a name stands for all its addresses, is resolved anew for each round, and forgets what it no longer leads to",
    "[routing][membership]") {
    using Addresses = std::vector<std::string>;
    Contacts contacts({}, {"10.0.0.1:7522"}, {"tree.example"}, 1);
    base::Instant now{seconds(1)};
    contacts.begin_round(now);
    CHECK(dialled(contacts.due(now)) == Addresses{"10.0.0.1:7522", "<tree.example>"});
    contacts.failed("10.0.0.1:7522", DialEnd::failed, now);
    CHECK(contacts.round_open());
    contacts.resolved("tree.example", {"10.0.0.2:1", "10.0.0.3:1"}, now);
    CHECK(contacts.round_open());  // now these are waited for
    CHECK(dialled(contacts.due(now)) == Addresses{"10.0.0.2:1"});
    CHECK(contacts.due(now).empty());
    now += milliseconds(50);  // the first had a moment to itself
    CHECK(dialled(contacts.due(now)) == Addresses{"10.0.0.3:1"});
    contacts.failed("10.0.0.2:1", DialEnd::myself, now);  // we are behind that name ourselves
    contacts.met("10.0.0.3:1", id_of(3), now);
    contacts.opened("10.0.0.3:1", 1);
    CHECK_FALSE(contacts.round_open());

    // We have found a parent; the name is looked at now and then, in case it leads elsewhere.
    contacts.end_round();
    contacts.set_members({id_of(3)}, now);
    now += seconds(40);
    CHECK(dialled(contacts.due(now)) == Addresses{"10.0.0.1:7522", "<tree.example>"});
    contacts.failed("10.0.0.1:7522", DialEnd::failed, now);
    contacts.resolved("tree.example", {"10.0.0.4:1", "10.0.0.3:1"}, now);
    CHECK(dialled(contacts.due(now)) == Addresses{"10.0.0.4:1"});
    contacts.failed("10.0.0.4:1", DialEnd::failed, now);
    CHECK_FALSE(contacts.who("10.0.0.2:1"));

    // The parent is lost: the next round begins with the name.
    contacts.closed(1, false, now);
    contacts.set_members({}, now);
    contacts.begin_round(now);
    auto due = dialled(contacts.due(now));
    CHECK(due == Addresses{"10.0.0.1:7522", "10.0.0.3:1", "10.0.0.4:1", "<tree.example>"});
    // It cannot be resolved now: what it led to stays.
    contacts.failed("tree.example", DialEnd::failed, now);
    for (const char* address : {"10.0.0.1:7522", "10.0.0.3:1", "10.0.0.4:1"})
        contacts.failed(address, DialEnd::failed, now);
    CHECK_FALSE(contacts.round_open());
    now += milliseconds(200);
    due = dialled(contacts.due(now));
    CHECK(due == Addresses{"10.0.0.1:7522", "10.0.0.3:1", "10.0.0.4:1"});
}

TEST_CASE("a name leads to so many addresses at most, and a name server is asked less and less",
          "[routing][membership]") {
    Contacts contacts({}, {}, {"n"}, 1);
    base::Instant now{seconds(1)};
    contacts.begin_round(now);
    REQUIRE(contacts.due(now).size() == 1);
    std::vector<std::string> many;
    for (std::size_t i = 0; i < name_addresses_max + 5; ++i) many.push_back("10.0.1." + std::to_string(i) + ":1");
    contacts.resolved("n", many, now);
    std::size_t seen = 0;
    std::size_t asked = 0;
    for (int i = 0; i < 600; ++i) {
        now += milliseconds(100);
        for (const Contacts::Due& due : contacts.due(now)) {
            if (due.is_name) {
                ++asked;
                contacts.failed(due.address, DialEnd::failed, now);
            } else {
                ++seen;  // each is dialled once: nobody ends these dials
            }
        }
    }
    CHECK(seen == name_addresses_max);
    CHECK(asked >= 6);  // 0.5 s, doubling up to 10 s, and up to a quarter more
    CHECK(asked <= 11);
}
