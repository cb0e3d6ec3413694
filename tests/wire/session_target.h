// The smallest server that can be made of compat alone: sessions and a naive matcher.  No socket, no clock.
// It shows that what compat says is right before any shard or router is there.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "compat/client_session.h"
#include "compat/nats_writer.h"
#include "tests/wire/transcript.h"

namespace wire {

class SessionTarget : public WireTarget {
  public:
    /// `options` are the transcript's; what is sent arrives in pieces of at most `piece_bytes`.
    SessionTarget(const WireOptions& options, std::size_t piece_bytes);

    bool connect(const std::string& client) override;
    void send(const std::string& client, std::string_view bytes) override;
    Received receive(const std::string& client, std::string& buffer) override;
    void hang_up(const std::string& client) override;

  private:
    struct Connection {
        std::unique_ptr<compat::ClientSession> session;
        std::string out;
        bool closed = false;
    };
    struct Subscriber {
        Connection* connection;
        compat::SubscriptionIndex index;
    };

    void feed(Connection& connection, base::ByteView in);
    void publish(Connection& from);
    bool deliver(std::uint64_t handle, const std::string& subject, const compat::OutgoingMessage& message,
                 const Connection& from);
    void close(Connection& connection);

    compat::SessionSettings settings_;
    std::size_t piece_bytes_;
    bool time_passes_;
    base::Instant now_{};
    base::Prng prng_{1};
    std::uint64_t next_handle_ = 1;
    std::uint64_t next_client_id_ = 1;
    std::map<std::uint64_t, Subscriber> subscribers_;  // by handle, so in the order of their SUBs
    std::map<std::string, std::unique_ptr<Connection>> connections_;
};

}  // namespace wire
