// Transcripts over plain sockets, against whatever listens there.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include "tests/wire/transcript.h"

namespace wire {

/// How long a server may take for an answer.  Only a wrong server makes anybody wait so long.
inline constexpr std::chrono::milliseconds answer_wait_max{15000};

class TcpTarget : public WireTarget {
  public:
    /// Connects to a numeric IPv4 address or "localhost".
    TcpTarget(std::string host, std::uint16_t port) : host_(std::move(host)), port_(port) {}
    ~TcpTarget() override;
    TcpTarget(const TcpTarget&) = delete;
    TcpTarget& operator=(const TcpTarget&) = delete;

    bool connect(const std::string& client) override;
    void send(const std::string& client, std::string_view bytes) override;
    Received receive(const std::string& client, std::string& buffer) override;
    void hang_up(const std::string& client) override;
    [[nodiscard]] bool may_be_pinged(const std::string& client) const override;

  private:
    struct Connection {
        int socket = -1;
        std::chrono::steady_clock::time_point since;
    };

    std::string host_;
    std::uint16_t port_;
    std::map<std::string, Connection> connections_;
};

}  // namespace wire
