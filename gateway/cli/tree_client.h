// A NATS client (nats.c) that asks the gateway it is connected to.
//
// A request goes to `$TREE.REQ.<id>.<verb>`, where the id is the one that the server's INFO names: so the gateway at
// the other end of this very connection answers, not just any member of the tree.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "routing/base/result.h"

namespace gateway::cli {

/// Threads: one.  Every call blocks for `timeout` at most.
class TreeClient {
  public:
    /// Errors: a sentence for the user.
    [[nodiscard]] static base::Result<TreeClient, std::string> connect(const std::string& url,
                                                                       std::chrono::milliseconds timeout);
    ~TreeClient();
    TreeClient(TreeClient&&) noexcept;
    TreeClient& operator=(TreeClient&&) noexcept;

    /// Sends `body` (JSON) to the verb and returns the answer's payload.  Errors: a sentence for the user.
    [[nodiscard]] base::Result<std::string, std::string> ask(const std::string& verb, const std::string& body);
    /// Asks all gateways of the tree; waits until `count` have answered, or two seconds.  Who did not is left out.
    [[nodiscard]] std::vector<std::string> ask_all(const std::string& verb, std::size_t count);

  private:
    struct State;
    explicit TreeClient(std::unique_ptr<State> state);

    std::unique_ptr<State> state_;
};

}  // namespace gateway::cli
