// The simulated network keeps what TCP keeps, and breaks what it is told to.
#include "routing/sim/network.h"

#include <catch2/catch.hpp>
#include <map>
#include <string>

#include "routing/sim/history.h"
#include "routing/sim/world.h"

using namespace routing::sim;
using namespace std::chrono_literals;

namespace {

/// Remembers all that it is told.
struct Ear final : NetworkUser {
    void on_accepted(EndId end, const std::string&) override { accepted.push_back(end); }
    void on_dialed(EndId end, bool ok, const std::string&) override { dialed[end] = ok; }
    void on_bytes(EndId end, base::ByteView bytes) override { heard[end] += bytes; }
    void on_written(EndId end, std::size_t bytes) override { written[end] += bytes; }
    void on_closed(EndId end) override { closed.push_back(end); }
    std::vector<EndId> accepted;
    std::vector<EndId> closed;
    std::map<EndId, bool> dialed;
    std::map<EndId, std::string> heard;
    std::map<EndId, std::size_t> written;
};

struct Pair {
    explicit Pair(std::uint64_t seed, NetworkOptions options = {}) : world(seed), network(world, options) {
        network.attach(0, a, true);
        network.attach(1, b, true);
        near = network.dial(0, Network::address_of(1));
        run();
        REQUIRE(a.dialed.at(near));
        REQUIRE(b.accepted.size() == 1);
        far = b.accepted[0];
    }
    void run(base::Duration time = 60s) { REQUIRE(world.run_until(world.now() + time, 1'000'000)); }
    World world;
    Network network;
    Ear a, b;
    EndId near = 0, far = 0;
};

std::string long_text(std::size_t size) {
    std::string text;
    while (text.size() < size) text += std::to_string(text.size()) + " ";
    return text;
}

}  // namespace

TEST_CASE("a stream arrives whole and in order, in pieces", "[sim][network]") {
    const std::uint64_t seed = GENERATE(1, 2, 3, 4, 5);
    CAPTURE(seed);
    Pair pair(seed);
    const std::string text = long_text(1'000'000);
    pair.network.write(pair.near, text);
    pair.network.write(pair.far, "hello");
    pair.run();
    CHECK(pair.b.heard[pair.far] == text);
    CHECK(pair.a.written[pair.near] == text.size());
    CHECK(pair.a.heard[pair.near] == "hello");
    pair.network.write(pair.near, "last words");
    pair.network.close(pair.near);
    pair.run();
    CHECK(pair.b.heard[pair.far] == text + "last words");
    CHECK(pair.b.closed == std::vector<EndId>{pair.far});
    CHECK(pair.a.closed.empty());
    CHECK(pair.network.connections() == 0);
}

TEST_CASE("who does not read makes the writer wait, within the window", "[sim][network]") {
    Pair pair(1);
    pair.network.pause_reading(pair.far);
    const std::string text = long_text(2'000'000);
    pair.network.write(pair.near, text);
    pair.run();
    CHECK(pair.b.heard[pair.far].empty());
    CHECK(pair.a.written[pair.near] < 300'000);
    pair.network.resume_reading(pair.far);
    pair.run();
    CHECK(pair.b.heard[pair.far] == text);
}

TEST_CASE("a black hole keeps bytes until it is healed, and dials into it time out", "[sim][network]") {
    Pair pair(2);
    pair.network.cut(0, 1, Cut::black_hole);
    pair.network.write(pair.near, "late");
    const EndId second = pair.network.dial(0, Network::address_of(1));
    pair.run();
    CHECK(pair.b.heard[pair.far].empty());
    CHECK_FALSE(pair.a.dialed.at(second));
    CHECK(pair.a.closed.empty());
    pair.network.heal(0, 1);
    pair.run();
    CHECK(pair.b.heard[pair.far] == "late");
}

TEST_CASE("a cut resets what is open and refuses what is dialled", "[sim][network]") {
    Pair pair(3);
    pair.network.cut(0, 1, Cut::refuse);
    const EndId second = pair.network.dial(0, Network::address_of(1));
    pair.run();
    CHECK(pair.a.closed == std::vector<EndId>{pair.near});
    CHECK(pair.b.closed == std::vector<EndId>{pair.far});
    CHECK_FALSE(pair.a.dialed.at(second));
    pair.network.heal(0, 1);
    const EndId third = pair.network.dial(0, Network::address_of(1));
    pair.run();
    CHECK(pair.a.dialed.at(third));
}

TEST_CASE("a reset loses the end of a stream, never its middle", "[sim][network]") {
    const std::uint64_t seed = GENERATE(range(1, 20));
    CAPTURE(seed);
    Pair pair(seed);
    const std::string text = long_text(100'000);
    pair.network.write(pair.near, text);
    pair.run(2ms);
    pair.network.reset_one(0, 1, seed);
    pair.run();
    const std::string& heard = pair.b.heard[pair.far];
    CHECK(heard == text.substr(0, heard.size()));
    CHECK(pair.b.closed.size() == 1);
}

TEST_CASE("a host that vanishes is missed, behind a black hole only when that is healed", "[sim][network]") {
    Pair pair(4);
    SECTION("at once") {
        pair.network.detach(0);
        pair.run();
        CHECK(pair.b.closed.size() == 1);
    }
    SECTION("later") {
        pair.network.cut(0, 1, Cut::black_hole);
        pair.network.detach(0);
        pair.run();
        CHECK(pair.b.closed.empty());
        pair.network.heal(0, 1);
        pair.run();
        CHECK(pair.b.closed.size() == 1);
    }
}

// --- The judge itself ------------------------------------------------------------------------------------------------

namespace {
const base::Instant noon = base::Instant(12h);
const History::Excuse no_excuse = [](MessageNumber, std::uint32_t, const Taken&) { return false; };
std::string first_failure(const History& history) {
    return history.failures().empty() ? "" : history.failures()[0];
}
}  // namespace

TEST_CASE("the judge sees what is twice, out of order, unwanted, lost or late", "[sim][history]") {
    History history;
    const auto plain = history.subscribed(1, "a.*", "", false);
    const auto one = history.subscribed(2, "a.*", "q", false);
    const auto two = history.subscribed(3, "a.>", "q", false);
    const auto first = history.published(9, 0, "a.b", Expect::exactly_once, noon);
    const auto second = history.published(9, 0, "a.b", Expect::exactly_once, noon);
    history.delivered(plain, "a.b", History::payload_of(first));
    history.delivered(one, "a.b", History::payload_of(first));
    REQUIRE(history.failures().empty());

    SECTION("all is well") {
        history.delivered(plain, "a.b", History::payload_of(second));
        history.delivered(two, "a.b", History::payload_of(second));
        history.finish(no_excuse);
        CHECK(history.failures().empty());
    }
    SECTION("twice to a plain subscription") {
        history.delivered(plain, "a.b", History::payload_of(first));
        CHECK_FALSE(history.failures().empty());
    }
    SECTION("to two members of a group") {
        history.delivered(two, "a.b", History::payload_of(first));
        CHECK(first_failure(history).find("more than once") != std::string::npos);
    }
    SECTION("out of order") {
        const auto other = history.subscribed(4, "a.b", "", false);
        history.delivered(other, "a.b", History::payload_of(second));
        history.delivered(other, "a.b", History::payload_of(first));
        CHECK(first_failure(history).find("order") != std::string::npos);
    }
    SECTION("what nobody asked for") {
        history.delivered(plain, "b.c", History::payload_of(second));
        CHECK(first_failure(history).find("does not want") != std::string::npos);
    }
    SECTION("after UNSUB") {
        history.unsubscribed(plain);
        history.delivered(plain, "a.b", History::payload_of(second));
        CHECK(first_failure(history).find("after it was gone") != std::string::npos);
    }
    SECTION("not at all") {
        history.delivered(one, "a.b", History::payload_of(second));
        history.finish(no_excuse);
        CHECK(first_failure(history).find("did not reach") != std::string::npos);
    }
    SECTION("by nobody of a group") {
        history.delivered(plain, "a.b", History::payload_of(second));
        history.finish(no_excuse);
        CHECK(first_failure(history).find("reached nobody of group") != std::string::npos);
    }
}

TEST_CASE("the judge allows a group's message again after a crash, to a member that got later ones", "[sim][history]") {
    History history;
    const auto one = history.subscribed(1, "orders.*", "q", true);
    const auto two = history.subscribed(2, "orders.*", "q", true);
    const auto first = history.published(9, 0, "orders.1", Expect::durable, noon);
    const auto second = history.published(9, 0, "orders.1", Expect::durable, noon);
    history.delivered(one, "orders.1", History::payload_of(first));
    history.delivered(two, "orders.1", History::payload_of(second));
    SECTION("after a crash") {
        history.crashed(one);
        history.crashed(two);
        history.delivered(two, "orders.1", History::payload_of(first));
        CHECK(history.failures().empty());
    }
    SECTION("without one") {
        history.delivered(two, "orders.1", History::payload_of(first));
        CHECK(first_failure(history).find("more than once without a crash") != std::string::npos);
    }
}

TEST_CASE("the judge counts what goes over links: a path leads to each gateway once", "[sim][history]") {
    History history;
    const auto message = history.published(9, 0, "a.b", Expect::exactly_once, noon);
    history.sent(message, 1, true);
    history.sent(message, 2, true);
    for (int i = 0; i < 4; ++i) history.sent(message, 2, false);  // picked again, there and back
    CHECK(history.failures().empty());
    REQUIRE(history.probes().size() == 1);
    CHECK(history.probes()[0].sends == 6);
    SECTION("twice by its path") {
        history.sent(message, 2, true);
        CHECK(first_failure(history).find("more sends than its path has factors") != std::string::npos);
    }
    SECTION("again and again") {
        history.sent(message, 2, false);
        CHECK(first_failure(history).find("more sends than its path has factors") != std::string::npos);
    }
}

TEST_CASE("the judge holds every acknowledged durable message against every steady subscription", "[sim][history]") {
    History history;
    const auto steady = history.subscribed(1, "orders.*", "", true);
    const auto message = history.published(9, 0, "orders.1", Expect::durable, noon);
    SECTION("not acknowledged: nothing is promised") {
        history.finish(no_excuse);
        CHECK(history.failures().empty());
    }
    SECTION("acknowledged and lost") {
        history.acknowledged(message, {0, 1, 1});
        history.finish(no_excuse);
        CHECK(first_failure(history).find("lost") != std::string::npos);
    }
    SECTION("acknowledged and lost with a disk") {
        history.acknowledged(message, {3, 7, 12});
        history.finish([&](MessageNumber number, std::uint32_t client, const Taken& taken) {
            CHECK(number == message);
            CHECK(client == 1);
            CHECK(taken.origin == 3);
            CHECK(taken.position == 12);
            return true;
        });
        CHECK(history.failures().empty());
    }
    SECTION("again after a crash is allowed, without one it is not") {
        history.acknowledged(message, {0, 1, 1});
        history.delivered(steady, "orders.1", History::payload_of(message));
        SECTION("crash") {
            history.crashed(steady);
            history.delivered(steady, "orders.1", History::payload_of(message));
            history.finish(no_excuse);
            CHECK(history.failures().empty());
        }
        SECTION("none") {
            history.delivered(steady, "orders.1", History::payload_of(message));
            CHECK(first_failure(history).find("twice without a crash") != std::string::npos);
        }
    }
    SECTION("acknowledged twice") {
        history.acknowledged(message, {0, 1, 1});
        history.acknowledged(message, {0, 1, 1});
        CHECK(first_failure(history).find("acknowledged twice") != std::string::npos);
    }
}
