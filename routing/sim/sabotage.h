// Faults that no gateway of ours may have, planted in the simulated shell around it: they prove that the simulator's
// checks can fail.  tests/sim/sabotage_test.cc has one test for each.
#pragma once

#include <cstdint>

namespace routing::sim {

enum class Sabotage : std::uint8_t {
    none,
    deliver_twice,     ///< a message from another gateway is handed out twice
    lose_some,         ///< one of 20 messages from other gateways is not handed out
    wrong_receiver,    ///< a message is handed to another subscription of the connection
    two_takers,        ///< a group's message goes to a member here and to another gateway's
    newest_first,      ///< what a turn hands out is handed out backwards
    late_interest,     ///< the tree hears of new interest 200 ms late
    forgetful_disk,    ///< a crash takes what was synced, too
    no_watermarks,     ///< a restart forgets what was applied, not the records
    send_twice,        ///< records are put on the volatile lane twice
    swallow_logs,      ///< from some time on the first gateway's log goes nowhere
    keep_pages,        ///< the store does not do away with pages that are done with
    cut_in_the_quiet,  ///< a gateway is cut off while the quiet tree is judged
};

}  // namespace routing::sim
