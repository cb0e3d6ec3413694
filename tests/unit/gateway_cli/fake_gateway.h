// The least of a NATS server that nats.c talks to, on a thread of its own: it answers requests by a function.
#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "gateway/io/event_loop.h"
#include "gateway/io/mailbox.h"
#include "gateway/io/tcp_connection.h"
#include "gateway/io/tcp_listener.h"

namespace gateway::cli {

/// What it does with a request.
struct FakeAnswer {
    enum Kind { reply, no_responders, silence } kind = silence;
    std::string text;
};
using FakeRequest = std::function<FakeAnswer(const std::string& subject, const std::string& body)>;

class FakeGateway : io::TcpHandler {
  public:
    FakeGateway(std::string server_id, FakeRequest answer) : id_(std::move(server_id)), answer_(std::move(answer)) {
        auto opened = io::TcpListener::open(
            loop_, "127.0.0.1", 0,
            {.accepted = [this](io::Socket socket) { accept(std::move(socket)); }, .failed = nullptr});
        REQUIRE(opened.ok());
        listener_.emplace(std::move(opened).value());
        url_ = "127.0.0.1:" + std::to_string(listener_->port());
        stop_ = io::Mailbox(loop_, [this] { loop_.stop(); });
        thread_ = std::thread([this] { loop_.run(); });
    }
    ~FakeGateway() override {
        stop_.wake();
        thread_.join();
    }

    [[nodiscard]] const std::string& url() const { return url_; }

  private:
    void accept(io::Socket socket) {
        connection_ = io::TcpConnection(loop_, std::move(socket), *this);
        send("INFO {\"server_id\":\"" + id_ +
             "\",\"version\":\"2.10.0\",\"proto\":1,\"headers\":true,\"max_payload\":1048576}\r\n");
    }

    void on_bytes(base::ByteView bytes) override {
        input_ += bytes;
        for (std::size_t end = input_.find("\r\n"); end != std::string::npos; end = input_.find("\r\n")) {
            const std::string line = input_.substr(0, end);
            std::size_t used = end + 2;
            if (line == "PING") send("PONG\r\n");
            if (line.starts_with("SUB ")) sid_ = line.substr(line.rfind(' ') + 1);
            if (line.starts_with("PUB ")) {
                const std::size_t size = std::stoul(line.substr(line.rfind(' ') + 1));
                if (input_.size() < used + size + 2) return;
                request(line, input_.substr(used, size));
                used += size + 2;
            }
            input_.erase(0, used);
        }
    }

    void request(const std::string& line, const std::string& body) {
        const std::size_t subject = 4;
        const std::size_t reply = line.find(' ', subject) + 1;
        const std::string inbox = line.substr(reply, line.find(' ', reply) - reply);
        const FakeAnswer answer = answer_(line.substr(subject, reply - 1 - subject), body);
        if (answer.kind == FakeAnswer::reply) {
            send("MSG " + inbox + " " + sid_ + " " + std::to_string(answer.text.size()) + "\r\n" + answer.text +
                 "\r\n");
        } else if (answer.kind == FakeAnswer::no_responders) {
            send("HMSG " + inbox + " " + sid_ + " 16 16\r\nNATS/1.0 503\r\n\r\n\r\n");
        }
    }

    void send(const std::string& text) {
        const io::IoSlice slice{text.data(), text.size()};
        connection_.try_write(&slice, 1) == text.size() ? void() : loop_.stop();
    }
    void on_written() override {}
    void on_closed(io::CloseReason) override {}

    std::string id_;
    FakeRequest answer_;
    std::string url_;
    std::string input_;
    std::string sid_;
    io::EventLoop loop_;
    std::optional<io::TcpListener> listener_;
    io::TcpConnection connection_;
    io::Mailbox stop_;
    std::thread thread_;
};

}  // namespace gateway::cli
