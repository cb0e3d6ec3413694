// Connections that are opened one after another and then do nothing.

#include "tests/bench/cells.h"

namespace bench {
namespace {

class Connections : public Cell, public Receiver {
  public:
    explicit Connections(const Options& options) : options_(options) {}

    Report run(std::uint64_t count) override {
        const auto began = Clock::now();
        for (std::uint64_t i = 0; i < count; ++i) {
            connections_.push_back(std::make_unique<Connection>(options_.server, this, 0));
            check_deadline(began, options_, std::to_string(connections_.size()) + " connections opened");
        }
        Report report;
        report.published = count;
        report.seconds = std::chrono::duration<double>(Clock::now() - began).count();
        return report;
    }

    void finish() override {
        for (auto& connection : connections_) connection->round_trip();
    }

    void on_message(Connection&, const Message& message) override {
        throw Failure("a message of nobody: " + std::string(message.subject));
    }

  private:
    Options options_;
    std::vector<std::unique_ptr<Connection>> connections_;
};

}  // namespace

std::unique_ptr<Cell> make_connections(const Options& options) {
    return std::make_unique<Connections>(options);
}

}  // namespace bench
