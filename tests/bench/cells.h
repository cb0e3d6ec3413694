// The cells of the benchmark: what is sent, and what must come back. Every message is verified; what does not fit ends
// the run with a Failure.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/bench/connection.h"
#include "tests/bench/payload.h"

namespace bench {

struct Options {
    std::string cell = "pubsub";            // see make_cell
    std::string server = "127.0.0.1:4222";  // where publishers and requesters connect
    std::string far_server;                 // where subscribers and responders connect; empty: the same
    std::string subject = "bench";          // messages go to <subject>.<publisher>
    std::uint32_t publishers = 1;           // or requesters
    std::uint32_t subscribers = 1;          // or responders; 0: publish only
    bool paired = false;                    // subscriber k takes publisher k alone; else all take all
    bool queue = false;                     // the subscribers are one queue group on one subject
    bool acks = false;                      // each message has a reply subject and must get a PubAck there
    std::uint32_t subjects = 10'000;        // subjects: how many, each with a subscription of its own
    std::uint32_t wildcards = 0;            // of 100 of these subscriptions
    std::uint32_t drawn = 0;                // how many of the subjects get messages; 0: all
    std::uint32_t tails = 0;                // pubsub: subjects of each publisher, <subject>.<publisher>.<tail>; 0: one
    bool once = false;                      // pubsub: each message has a subject of its own, with such a tail
    std::uint32_t churn = 0;                // subscriptions made and ended per second meanwhile
    bool churn_far = false;                 // these at the far server
    std::uint32_t rate = 0;                 // pubsub: messages per second of all publishers; 0: as fast as it goes
    std::uint32_t shards = 0;               // loops of the server, when it matters who is on which
    bool across = false;                    // subscriber k is on another loop than publisher k; else on the same
    std::uint32_t size = 128;               // bytes of payload
    std::uint32_t headers = 0;              // bytes of headers before it; 0: none
    std::uint64_t count = 1'000'000;        // messages (requests, connections) of all publishers together
    std::uint64_t warm = 20'000;            // the same before the measured ones
    std::uint64_t window = 0;               // messages in flight per publisher; 0: as many as in_flight_bytes_max holds
    std::uint32_t seconds_max = 60;         // a run that takes longer has failed
};

/// Bytes between publisher and slowest subscriber when no window is given: deep enough for full batches everywhere, far
/// below the 64 MiB at which a stock server drops a subscriber.
inline constexpr std::uint64_t in_flight_bytes_max = 4 << 20;

/// Characters of a subject's tail (Options::tails).
inline constexpr std::uint32_t tail_bytes = 32;

struct Report {
    std::uint64_t published = 0;  // or requests
    std::uint64_t delivered = 0;  // or replies
    std::uint64_t acked = 0;
    std::uint64_t churned = 0;  // subscriptions made and ended meanwhile
    double seconds = 0;
    std::uint64_t digest = 0;           // of all that was verified
    std::vector<std::uint32_t> micros;  // publish to ack, due to delivery (with a rate), request to reply; unsorted
};

/// A cell that is connected and subscribed, and knows that its messages arrive. Runs on one thread.
class Cell {
  public:
    virtual ~Cell() = default;
    /// Sends `count` more messages in all and returns when everything has arrived. Throws Failure.
    virtual Report run(std::uint64_t count) = 0;
    /// What remains to be verified after all runs. Throws Failure.
    virtual void finish() {}
};

std::unique_ptr<Cell> make_pubsub(const Options& options);
std::unique_ptr<Cell> make_requests(const Options& options);
/// Each message on a random one of many subjects.
std::unique_ptr<Cell> make_subjects(const Options& options);
/// A run makes that many subscriptions; finish() asks whether they work.
std::unique_ptr<Cell> make_subscriptions(const Options& options);
/// A run opens that many connections, one after another; finish() asks whether all live.
std::unique_ptr<Cell> make_connections(const Options& options);

using Clock = std::chrono::steady_clock;

/// Throws Failure("... too late: what") when `since` is more than seconds_max ago.
void check_deadline(Clock::time_point since, const Options& options, const std::string& what);

/// How far a publisher may run ahead of its slowest subscriber, in messages.
std::uint64_t window_of(const Options& options);

/// Microseconds since the process began to count; wraps after an hour, differences hold.
std::uint32_t micros_now();

}  // namespace bench
