// Subscriptions that come and go on a connection of their own while a cell's messages flow, at a steady rate by the
// clock. None of them matches the cell's messages; one in four is a wildcard in the same branch of the subject tree.
#pragma once

#include <cstdint>

#include "tests/bench/cells.h"

namespace bench {

class Churn : public Receiver {
  public:
    explicit Churn(const Options& options);
    void add_to(Loop& loop) {
        if (connection_) loop.add(*connection_);
    }
    /// The clock starts now.
    void begin();
    /// Makes what is due by now, and ends as many of the oldest.
    void turn();
    /// How many were made since begin(); waits until the server has read them all. Throws Failure.
    std::uint64_t end();
    void on_message(Connection& from, const Message& message) override;

  private:
    const Options& options_;
    std::unique_ptr<Connection> connection_;  // none without churn
    Clock::time_point began_;
    std::uint64_t made_ = 0;
    std::uint64_t made_before_ = 0;
};

}  // namespace bench
