#include "routing/node/tree_watch.h"

#include <catch2/catch.hpp>
#include <vector>

using namespace routing;
using namespace routing::node;
using namespace std::chrono_literals;

namespace {

GatewayId id_of(std::uint8_t number) {
    GatewayId id;
    id.bytes[0] = number;
    return id;
}

struct Watched {
    TreeWatch watch;
    base::Instant now{};

    /// What is told when the tree looks like this; "kind {members}" each.
    std::vector<std::string> see(TreeView view) {
        std::vector<std::string> told;
        watch.compare_for_test(
            std::move(view), now, [](const GatewayId& id) { return "g" + std::to_string(id.bytes[0]); },
            [&](std::string_view kind, std::string_view members) {
                // Ids are long; their first byte will do.
                std::string text(members);
                for (std::size_t at = text.find("00000000"); at != std::string::npos; at = text.find("00000000"))
                    text.erase(at, text.find('"', at) - at);
                told.push_back(std::string(kind) + " " + text);
            });
        return told;
    }
};

TreeView view_of(std::optional<std::uint8_t> parent, std::vector<std::uint8_t> children, std::size_t members,
                 std::uint8_t root) {
    TreeView view;
    if (parent) {
        view.parent = id_of(*parent);
        view.links[id_of(*parent)] = true;
    }
    for (const auto child : children) view.links[id_of(child)] = false;
    view.members = members;
    view.root = id_of(root);
    return view;
}

using Told = std::vector<std::string>;

}  // namespace

TEST_CASE("a parent tells who joins and leaves it", "[node][advisory]") {
    Watched tree;
    CHECK(tree.see(view_of({}, {}, 1, 1)).empty());
    CHECK(tree.see(view_of({}, {2}, 2, 1)) == Told{R"(join "member":"g2","member_id":"02","members":2)"});
    CHECK(tree.see(view_of({}, {2}, 3, 1)).empty());  // somebody joined g2
    CHECK(tree.see(view_of({}, {}, 1, 1)) ==
          Told{R"(leave "member":"g2","member_id":"02","role":"child","members":1)"});
}

TEST_CASE("a lone gateway that finds a parent is told of by that parent only", "[node][advisory]") {
    Watched tree;
    CHECK(tree.see(view_of(2, {}, 5, 1)).empty());
    CHECK(tree.see(view_of({}, {}, 1, 9)) ==
          Told{R"(leave "member":"g2","member_id":"02","role":"parent","members":1)"});
    CHECK(tree.see(view_of(2, {}, 5, 1)).empty());  // back where it was
}

TEST_CASE("another parent than before is a reparent, at once or after a while", "[node][advisory]") {
    Watched tree;
    (void)tree.see(view_of(2, {}, 5, 1));
    CHECK(tree.see(view_of(3, {}, 5, 1)) == Told{R"(leave "member":"g2","member_id":"02","role":"parent","members":5)",
                                                 R"(reparent "parent":"g3","parent_id":"03","was":"g2")"});
    (void)tree.see(view_of({}, {}, 1, 9));
    CHECK(tree.see(view_of(2, {}, 5, 1)) == Told{R"(reparent "parent":"g2","parent_id":"02","was":"g3")"});
}

TEST_CASE("the root of several that finds a parent merges its fragment into another", "[node][advisory]") {
    Watched tree;
    (void)tree.see(view_of({}, {4}, 3, 9));
    CHECK(tree.see(view_of(2, {4}, 8, 1)) ==
          Told{R"(merge "parent":"g2","parent_id":"02","root":"01","was":"09","members":8)"});
}

TEST_CASE("dropped factors are told at most once in ten seconds, and none is forgotten", "[node][advisory]") {
    Watched tree;
    TreeView view;
    view.dropped_factors = 2;
    CHECK(tree.see(view) == Told{R"(dropped_factor "factors":2,"total":2)"});
    CHECK(tree.watch.next_deadline() == base::instant_max);
    tree.now += 1s;
    view.dropped_factors = 5;
    CHECK(tree.see(view).empty());
    view.dropped_factors = 6;
    CHECK(tree.see(view).empty());
    REQUIRE(tree.watch.next_deadline() == base::Instant{} + dropped_factor_interval);
    tree.now = tree.watch.next_deadline();
    CHECK(tree.see(view) == Told{R"(dropped_factor "factors":4,"total":6)"});
}

TEST_CASE("a repair is told by who began it", "[node][advisory]") {
    Watched tree;
    TreeView view;
    view.repairs = 1;
    CHECK(tree.see(view) == Told{R"(repair "total":1)"});
    CHECK(tree.see(view).empty());
}
