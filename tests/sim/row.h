// Gateways in a row under virtual time, for tests of one thing at a time.
#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "routing/sim/client.h"
#include "routing/sim/sim_gateway.h"

namespace routing::sim {

/// The values of all header lines that begin with `name`, in order.
inline std::vector<std::string> lines_with(const std::string& headers, const std::string& name) {
    std::vector<std::string> found;
    for (std::size_t at = headers.find(name); at != std::string::npos; at = headers.find(name, at + 1)) {
        const std::size_t value = at + name.size();
        found.push_back(headers.substr(value, headers.find("\r\n", value) - value));
    }
    return found;
}

/// Gateways in a row, g0 - g1 - ..., each with one client that has nothing but its inbox.
struct Row {
    using Adjust = std::function<void(GatewaySetup&)>;

    /// `durable`: filters of g0.  `adjust`: may change the setup of each gateway before it is made.
    explicit Row(std::uint32_t count, std::vector<std::string> durable = {}, QueuePolicies policies = {},
                 const Adjust& adjust = {})
        : world(1), network(world, {}) {
        for (HostIndex host = 0; host < count; ++host) {
            GatewaySetup setup;
            setup.queue_policies = policies;
            setup.host = host;
            setup.name = "g" + std::to_string(host);
            if (host != 0) setup.join.push_back(Network::address_of(host - 1));
            if (host == 0) setup.durable = durable;
            if (adjust) adjust(setup);
            gateways.push_back(std::make_unique<SimGateway>(world, network, setup));
            clients.push_back(std::make_unique<Client>(world, history, *gateways.back(), host));
        }
        for (auto& gateway : gateways) gateway->start();
        run(std::chrono::seconds(20));
        for (auto& gateway : gateways) REQUIRE(gateway->node().tree().status().members.size() == count);
    }
    void run(base::Duration time) { REQUIRE(world.run_until(world.now() + time, 10'000'000)); }
    /// Asks as a client of g0 does and gives the answers.
    std::vector<std::string> ask(const std::string& subject, const std::string& payload = {}) {
        std::vector<std::string> answers;
        gateways[0]->observe_for_test([&](const MessageView& message) {
            if (message.subject.starts_with("_INBOX.")) answers.emplace_back(message.payload());
        });
        gateways[0]->publish(clients[0]->connection(), subject, "_INBOX.c0.ask", payload);
        run(std::chrono::seconds(1));
        gateways[0]->observe_for_test({});
        return answers;
    }
    std::string ask_one(const std::string& subject, const std::string& payload = {}) {
        const auto answers = ask(subject, payload);
        REQUIRE(answers.size() == 1);
        return answers[0];
    }
    /// Which gateways hand out messages of `subject` from now on, and how often.
    std::vector<int>& watch(const std::string& subject) {
        seen.assign(gateways.size(), 0);
        for (std::size_t i = 0; i < gateways.size(); ++i)
            gateways[i]->observe_for_test([this, i, subject](const MessageView& message) {
                if (message.subject == subject) ++seen[i];
            });
        return seen;
    }
    node::NodeCounters sum() {
        node::NodeCounters sum;
        for (auto& gateway : gateways) {
            const node::NodeCounters& one = gateway->node().counters();
            sum.bounced_back += one.bounced_back;
            sum.picked_again += one.picked_again;
            sum.bounce_dropped += one.bounce_dropped;
            sum.inbox_forwarded += one.inbox_forwarded;
            sum.lookups_asked += one.lookups_asked;
            sum.lookups_dropped += one.lookups_dropped;
            sum.durable_held += one.durable_held;
            sum.targeting_malformed += one.targeting_malformed;
        }
        return sum;
    }
    void require_well() {
        for (auto& client : clients) client->finish();
        history.finish([](MessageNumber, std::uint32_t, const Taken&) { return false; });
        for (const auto& failure : history.failures()) FAIL_CHECK(failure);
    }

    World world;
    Network network;
    History history;
    std::vector<std::unique_ptr<SimGateway>> gateways;
    std::vector<std::unique_ptr<Client>> clients;
    std::vector<int> seen;  ///< see watch()
};

}  // namespace routing::sim
