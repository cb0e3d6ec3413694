#include "tests/bench/churn.h"

namespace bench {
namespace {

// How many are subscribed at a time.
constexpr std::uint64_t live = 100;

}  // namespace

Churn::Churn(const Options& options) : options_(options) {
    const bool far = options.churn_far && !options.far_server.empty();
    if (options.churn > 0)
        connection_ = std::make_unique<Connection>(far ? options.far_server : options.server, this, 0);
}

void Churn::begin() {
    began_ = Clock::now();
    made_before_ = made_;
}

void Churn::turn() {
    if (!connection_) return;
    const double seconds = std::chrono::duration<double>(Clock::now() - began_).count();
    const std::uint64_t due = made_before_ + static_cast<std::uint64_t>(seconds * options_.churn);
    for (; made_ < due; ++made_) {
        const std::string number = std::to_string(made_ + 1);
        std::string& out = connection_->out();
        out += "SUB " + (made_ % 4 == 0 ? options_.subject + ".*.churn." : std::string("churn.")) + number + ' ' +
               number + "\r\n";
        if (made_ >= live) out += "UNSUB " + std::to_string(made_ + 1 - live) + "\r\n";
    }
}

std::uint64_t Churn::end() {
    if (connection_) connection_->round_trip();
    return made_ - made_before_;
}

void Churn::on_message(Connection&, const Message& message) {
    throw Failure("a message of nobody: " + std::string(message.subject));
}

}  // namespace bench
