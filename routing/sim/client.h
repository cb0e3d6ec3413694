// The simulated clients: NATS applications that subscribe, publish, request and answer, and that connect again when
// their gateway is back.
// Leaves to others: which of this happens when (simulation), judging it (history).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "routing/sim/history.h"
#include "routing/types.h"

namespace routing::sim {

class SimGateway;
class World;

/// One subscription of a client, over all its connections.
struct ClientSubscription {
    SubscriptionNumber number = 0;
    std::string filter;
    std::string queue;
    std::string sid;
    bool live = true;
};

/// Subject roots that the clients give a meaning to.
inline constexpr std::string_view service_root = "svc.";  ///< requests; a subscriber answers to the reply subject
inline constexpr std::string_view slow_service = "slow.service";  ///< the same, after a second
inline constexpr std::string_view ask_root = "ask.";              ///< the payload names a subject to answer on

/// Threads: one.
class Client {
  public:
    Client(World& world, History& history, SimGateway& gateway, std::uint32_t id);

    [[nodiscard]] std::uint32_t id() const { return id_; }
    [[nodiscard]] SimGateway& gateway() { return *gateway_; }
    [[nodiscard]] bool connected() const { return connection_ != 0; }
    [[nodiscard]] ConnectionId connection() const { return connection_; }
    [[nodiscard]] const std::vector<ClientSubscription>& subscriptions() const { return subscriptions_; }

    /// The gateway is up: connect and subscribe again.
    void connect();
    /// It is gone.
    void disconnected();
    /// Its gateway or that one's store crashed: durable messages may come again, and what is open may stay so.
    void may_get_again();
    /// Leaves its gateway for another one, with all its subscriptions and open requests.
    void move(SimGateway& to);

    void subscribe(std::string_view filter, std::string_view queue, bool steady);
    void unsubscribe(std::size_t at);

    /// Publishes a numbered message.
    void publish(std::string_view subject, Expect expect);
    /// A request to a service; `certain`: exactly one answer must come, or (`nobody`) exactly one 503 and no answer.
    void request(std::string_view subject, bool certain, bool nobody = false);
    /// Subscribes to a fresh subject and asks all who listen on `subject` to answer there.  `certain`: `answers` come.
    void ask(std::string_view subject, std::uint32_t answers, bool certain);

    /// A message for the subscription at `at`.
    void on_message(std::size_t at, std::string_view subject, std::string_view reply, std::string_view payload);
    /// 503 for what was published with this reply subject (or with none: then nothing happens).
    void on_no_responders(std::string_view reply, std::string_view payload);

    /// Judges requests and asks that were certain.
    void finish();

  private:
    struct Request {
        std::string subject;
        bool certain = false;
        std::uint32_t wanted = 1;
        std::uint32_t answers = 0;
        std::uint32_t refusals = 0;
        MessageNumber durable = 0;  ///< a durable publish that waits for its PubAck
        bool lost = false;          ///< the connection was lost meanwhile
    };
    [[nodiscard]] std::string next_inbox();

    World& world_;
    History& history_;
    SimGateway* gateway_;
    std::uint32_t id_;
    ConnectionId connection_ = 0;
    std::vector<ClientSubscription> subscriptions_;
    std::map<std::string, Request> requests_;  // by reply subject
    std::uint64_t inbox_ = 0;
    std::uint64_t sid_ = 0;
};

}  // namespace routing::sim
