// Many NATS connections from one thread; README.md says what it is told and what it answers.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;

/// Connections that may be on their way at once.  Unit: connections; below the gateway's listen backlog.
constexpr std::size_t opening_max = 512;
/// Connections from one address of this machine.
constexpr std::size_t clients_per_address = 4000;
/// Nothing takes longer, or it is stuck.
constexpr std::chrono::seconds patience(120);

constexpr std::string_view hello = "CONNECT {\"verbose\":false,\"pedantic\":false,\"protocol\":1}\r\nPING\r\n";

struct Connection {
    int socket = -1;
    bool open = false;           // had its PONG
    std::string in;              // not yet a whole line
    std::string out;             // that the socket did not take
    std::uint32_t expected = 0;  // number of the next message
    bool body_next = false;
};

[[noreturn]] void fail(const std::string& why) {
    std::cerr << "many_clients: " << why << "\n";
    std::exit(1);
}

class Clients {
  public:
    explicit Clients(std::uint16_t port) : port_(port), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
        rlimit files{};
        getrlimit(RLIMIT_NOFILE, &files);
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }

    /// Opens `count`; comes back when all are open, or nothing has happened for a second.
    void open(std::size_t count) {
        connections_.resize(count);
        std::size_t begun = 0;
        auto last = Clock::now();
        while (open_ < count && Clock::now() - last < std::chrono::seconds(1)) {
            const std::size_t before = open_ + begun;
            for (; begun < count && begun - open_ < opening_max; ++begun) connect(begun);
            turn(100);
            if (open_ + begun != before) last = Clock::now();
        }
        for (; begun < count; ++begun) connect(begun);
        std::cout << "open " << open_ << std::endl;
    }

    void wait(std::size_t count) {
        until([&] { return open_ >= count; }, "connections to open");
        std::cout << "open " << open_ << std::endl;
    }

    /// Closes from the back of those that are open.
    void close(std::size_t count) {
        std::size_t closed = 0;
        for (auto at = connections_.rbegin(); at != connections_.rend() && closed < count; ++at) {
            if (!at->open) continue;
            ::close(at->socket);
            *at = Connection{};
            ++closed;
        }
        open_ -= closed;
        std::cout << "closed " << closed << std::endl;
    }

    void chat(std::uint32_t rounds) {
        std::vector<std::size_t> talkers;
        for (std::size_t i = 0; i < connections_.size(); i += 2) {
            if (connections_[i].open) talkers.push_back(i);
        }
        arrived_ = 0;
        pongs_ = 0;
        for (const std::size_t i : talkers) {
            connections_[i].expected = 0;
            if (!chatted_) send(connections_[i], "SUB chat." + std::to_string(i) + " 1\r\n");
            send(connections_[i], "PING\r\n");
        }
        chatted_ = true;
        until([&] { return pongs_ == talkers.size(); }, "PONGs");
        for (std::size_t k = 0; k < talkers.size(); ++k) {
            std::string text;
            const std::string to = std::to_string(talkers[(k + 1) % talkers.size()]);
            for (std::uint32_t n = 0; n < rounds; ++n) {
                const std::string body = "message " + std::to_string(n);
                text += "PUB chat." + to + " " + std::to_string(body.size()) + "\r\n" + body + "\r\n";
            }
            send(connections_[talkers[k]], text);
            if (k % 256 == 0) turn(0);
        }
        const std::uint64_t all = static_cast<std::uint64_t>(rounds) * talkers.size();
        until([&] { return arrived_ == all; }, "messages to arrive");
        for (const std::size_t i : talkers) {
            if (connections_[i].expected != rounds)
                fail("connection " + std::to_string(i) + " got another number of messages");
        }
        std::cout << "chat " << arrived_ << std::endl;
    }

  private:
    void connect(std::size_t index) {
        Connection& connection = connections_[index];
        connection.socket = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (connection.socket < 0) fail(std::string("socket: ") + std::strerror(errno));
        // The kernel searches long for a free port once most are taken, so each address is used for a part of them.
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + static_cast<std::uint32_t>(index / clients_per_address));
        const int on = 1;
        setsockopt(connection.socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        if (bind(connection.socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail("bind");
        address.sin_port = htons(port_);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::connect(connection.socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
            errno != EINPROGRESS)
            fail(std::string("connect: ") + std::strerror(errno));
        epoll_event event{};
        event.events = EPOLLIN | EPOLLOUT | EPOLLET;
        event.data.u64 = index;
        if (epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.socket, &event) != 0) fail("epoll_ctl");
    }

    template <typename Condition>
    void until(Condition condition, const char* what) {
        const auto deadline = Clock::now() + patience;
        while (!condition()) {
            if (Clock::now() > deadline) fail(std::string("waited too long for ") + what);
            turn(100);
        }
    }

    void turn(int milliseconds) {
        epoll_event events[256];
        const int count = epoll_wait(epoll_, events, 256, milliseconds);
        for (int i = 0; i < count; ++i) {
            const std::size_t index = events[i].data.u64;
            Connection& connection = connections_[index];
            if (connection.socket < 0) continue;
            if ((events[i].events & EPOLLOUT) != 0) send(connection, {});
            if ((events[i].events & EPOLLIN) != 0) read(connection, index);
            if (connection.open && (events[i].events & (EPOLLHUP | EPOLLERR)) != 0) fail("a connection broke");
        }
    }

    void send(Connection& connection, std::string_view bytes) {
        connection.out.append(bytes);
        while (!connection.out.empty()) {
            const ssize_t sent = ::send(connection.socket, connection.out.data(), connection.out.size(), MSG_NOSIGNAL);
            if (sent <= 0) return;  // EPOLLOUT comes, or the read tells
            connection.out.erase(0, static_cast<std::size_t>(sent));
        }
        std::string().swap(connection.out);
    }

    void read(Connection& connection, std::size_t index) {
        char bytes[16384];
        while (true) {
            const ssize_t got = recv(connection.socket, bytes, sizeof bytes, 0);
            if (got == 0) fail("connection " + std::to_string(index) + " was closed by the gateway: " + connection.in);
            if (got < 0) break;
            connection.in.append(bytes, static_cast<std::size_t>(got));
        }
        std::size_t from = 0;
        for (std::size_t end = connection.in.find("\r\n"); end != std::string::npos;
             end = connection.in.find("\r\n", from)) {
            on_line(connection, index, std::string_view(connection.in).substr(from, end - from));
            from = end + 2;
        }
        connection.in.erase(0, from);
        if (connection.in.empty()) std::string().swap(connection.in);
    }

    void on_line(Connection& connection, std::size_t index, std::string_view line) {
        if (connection.body_next) {
            connection.body_next = false;
            if (line != "message " + std::to_string(connection.expected))
                fail("wrong content or order: " + std::string(line));
            ++connection.expected;
            ++arrived_;
        } else if (line.starts_with("INFO ")) {
            if (!connection.open) send(connection, hello);
        } else if (line == "PONG") {
            ++(connection.open ? pongs_ : open_);
            connection.open = true;
        } else if (line == "PING") {
            send(connection, "PONG\r\n");
        } else if (line.starts_with("MSG chat." + std::to_string(index) + " 1 ")) {
            connection.body_next = true;
        } else {
            fail("unexpected: " + std::string(line));
        }
    }

    std::uint16_t port_;
    int epoll_;
    std::vector<Connection> connections_;
    std::size_t open_ = 0;
    std::size_t pongs_ = 0;
    std::uint64_t arrived_ = 0;
    bool chatted_ = false;
};

}  // namespace

int main(int count, char** words) {
    if (count != 3) fail("usage: many_clients PORT COUNT");
    Clients clients(static_cast<std::uint16_t>(std::strtoul(words[1], nullptr, 10)));
    clients.open(std::strtoul(words[2], nullptr, 10));
    std::string verb;
    std::size_t number = 0;
    while (std::cin >> verb >> number) {
        if (verb == "chat") {
            clients.chat(static_cast<std::uint32_t>(number));
        } else if (verb == "close") {
            clients.close(number);
        } else if (verb == "wait") {
            clients.wait(number);
        } else {
            fail("what is " + verb + "?");
        }
    }
}
