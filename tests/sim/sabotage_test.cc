// Each check of the simulator can fail: a fault that it is there for is planted, and it must be found and named.
#include <catch2/catch.hpp>
#include <string>

#include "routing/sim/simulation.h"

using namespace routing::sim;
using namespace std::chrono_literals;

namespace {

/// Runs seeds until one says a sentence with `words`, within few of them.
bool found(SimulationOptions options, const std::string& words) {
    for (options.seed = 1; options.seed <= 12; ++options.seed)
        for (const std::string& failure : simulate(options).failures)
            if (failure.find(words) != std::string::npos) return true;
    return false;
}

bool found(Sabotage sabotage, const std::string& words) {
    SimulationOptions options;
    options.sabotage = sabotage;
    return found(options, words);
}

}  // namespace

TEST_CASE("the simulator finds a message that is delivered twice", "[sim][sabotage]") {
    CHECK(found(Sabotage::deliver_twice, "twice"));
}

TEST_CASE("the simulator finds a message that is not delivered", "[sim][sabotage]") {
    CHECK(found(Sabotage::lose_some, "did not reach subscription"));
}

TEST_CASE("the simulator finds a message that nobody wanted", "[sim][sabotage]") {
    CHECK(found(Sabotage::wrong_receiver, "which it does not want"));
}

TEST_CASE("the simulator finds a queue group with two takers", "[sim][sabotage]") {
    CHECK(found(Sabotage::two_takers, "more than once"));
}

TEST_CASE("the simulator finds a publisher's messages out of order", "[sim][sabotage]") {
    CHECK(found(Sabotage::newest_first, "order: "));
}

TEST_CASE("the simulator finds a question that comes before the interest in its answer", "[sim][sabotage]") {
    CHECK(found(Sabotage::late_interest, "before the interest in its answer"));
}

TEST_CASE("the simulator finds an acknowledged message that a crash took", "[sim][sabotage]") {
    CHECK(found(Sabotage::forgetful_disk, "lost: acknowledged"));
}

TEST_CASE("the simulator finds a durable message that is applied twice", "[sim][sabotage]") {
    CHECK(found(Sabotage::no_watermarks, "was applied twice"));
}

TEST_CASE("the simulator finds more sends than a path has factors", "[sim][sabotage]") {
    CHECK(found(Sabotage::send_twice, "more sends than its path has factors"));
}

TEST_CASE("the simulator finds logs that stay different", "[sim][sabotage]") {
    CHECK(found(Sabotage::swallow_logs, "another digest"));
}

TEST_CASE("the simulator finds factors that are dropped in a quiet tree", "[sim][sabotage]") {
    CHECK(found(Sabotage::cut_in_the_quiet, "dropped in a quiet tree"));
}

TEST_CASE("the simulator finds a tree that takes too long to be one", "[sim][sabotage]") {
    SimulationOptions options;
    options.tree_recovery_max = 1ms;
    CHECK(found(options, "one tree only"));
    options.tree_recovery_max = 30s;
    options.recovery_max = 1ms;
    CHECK(found(options, "no quiet after"));
}

TEST_CASE("the simulator finds tables, logs and buffers above their bounds", "[sim][sabotage]") {
    SimulationOptions options;
    SECTION("bytes for a link") {
        options.bounds.unsent_bytes_max = 10;
        CHECK(found(options, "bytes waiting for one link"));
    }
    SECTION("labels") {
        options.bounds.labels_max = 1;
        CHECK(found(options, "paths in a label table"));
    }
    SECTION("definitions") {
        options.bounds.definition_bytes_max = 1;
        CHECK(found(options, "bytes of definitions"));
    }
    SECTION("logs") {
        options.bounds.log_entries_of_gateway = 0;
        options.clients_per_gateway = 1;
        options.actions = 0;
        CHECK(found(options, "'s log has "));
    }
    SECTION("pages") {
        options.sabotage = Sabotage::keep_pages;
        CHECK(found(options, "pages of messages that all targets have"));
    }
}
