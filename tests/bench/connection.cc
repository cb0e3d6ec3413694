#include "tests/bench/connection.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace bench {
namespace {

constexpr int answer_ms_max = 10'000;
constexpr std::string_view connect_line =
    "CONNECT "
    "{\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true,\"protocol\":1,\"lang\":\"load\","
    "\"version\":\"1\",\"name\":\"treegate load generator\"}\r\n";

std::size_t number(std::string_view text) {
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) throw Failure("no number: " + std::string(text));
    return value;
}

// Splits a control line at spaces into at most 6 words; returns how many.
std::size_t split(std::string_view line, std::array<std::string_view, 6>& words) {
    std::size_t count = 0;
    std::size_t begin = 0;
    for (std::size_t i = 0; i <= line.size() && count < words.size(); ++i) {
        if (i < line.size() && line[i] != ' ') continue;
        if (i > begin) words[count++] = line.substr(begin, i - begin);
        begin = i + 1;
    }
    return count;
}

// The number after "client_id": of an INFO; 0 without one.
std::uint64_t client_id_of(std::string_view info) {
    constexpr std::string_view key = "\"client_id\":";
    const std::size_t at = info.find(key);
    if (at == std::string_view::npos) return 0;
    info.remove_prefix(at + key.size());
    std::uint64_t id = 0;
    std::from_chars(info.data(), info.data() + info.size(), id);
    return id;
}

}  // namespace

Connection::Connection(const std::string& address, Receiver* receiver, std::uint32_t tag)
    : receiver_(receiver), tag_(tag), in_(read_bytes_least) {
    const std::size_t colon = address.rfind(':');
    if (colon == std::string::npos) throw Failure("an address is host:port, not " + address);
    sockaddr_in peer{};
    peer.sin_family = AF_INET;
    peer.sin_port = htons(static_cast<std::uint16_t>(number(std::string_view(address).substr(colon + 1))));
    if (inet_pton(AF_INET, address.substr(0, colon).c_str(), &peer.sin_addr) != 1)
        throw Failure("not an IPv4 address: " + address);
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd_ < 0 || connect(fd_, reinterpret_cast<const sockaddr*>(&peer), sizeof peer) != 0) {
        throw Failure("connect to " + address + ": " + std::strerror(errno));
    }
    const int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(fd_, F_SETFL, fcntl(fd_, F_GETFL) | O_NONBLOCK);
    out_ = connect_line;
    round_trip();
}

Connection::~Connection() {
    if (fd_ >= 0) close(fd_);
}

void Connection::round_trip() {
    out_ += "PING\r\n";
    const std::uint64_t wanted = pongs_ + 1;
    while (pongs_ < wanted) {
        const bool all = flush();
        pollfd poller{fd_, static_cast<short>(all ? POLLIN : POLLIN | POLLOUT), 0};
        if (poll(&poller, 1, answer_ms_max) <= 0) throw Failure("no PONG within 10 s");
        if (poller.revents & ~POLLOUT) read();
    }
}

bool Connection::flush() {
    while (sent_ < out_.size()) {
        const ssize_t n = send(fd_, out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EAGAIN || errno == EINTR) return false;
            throw Failure(std::string("write: ") + std::strerror(errno));
        }
        sent_ += static_cast<std::size_t>(n);
    }
    out_.clear();
    sent_ = 0;
    return true;
}

void Connection::read() {
    const ssize_t n = recv(fd_, in_.data() + filled_, in_.size() - filled_, 0);
    if (n == 0) throw Failure("the server closed the connection");
    if (n < 0) {
        if (errno == EAGAIN || errno == EINTR) return;
        throw Failure(std::string("read: ") + std::strerror(errno));
    }
    filled_ += static_cast<std::size_t>(n);
    std::size_t used = 0;
    while (used < filled_) {
        const std::size_t taken = take(std::string_view(in_.data() + used, filled_ - used));
        if (taken == 0) break;
        used += taken;
    }
    const bool was_full = filled_ == in_.size();
    std::memmove(in_.data(), in_.data() + used, filled_ - used);
    filled_ -= used;
    if (was_full && (in_.size() < read_bytes_max || filled_ > in_.size() / 2)) in_.resize(in_.size() * 2);
}

void Connection::expect_head(std::string subject, std::uint32_t header_bytes, std::uint32_t payload_bytes) {
    std::string text = header_bytes > 0 ? "HMSG " : "MSG ";
    text += subject + " 1 ";
    if (header_bytes > 0) text += std::to_string(header_bytes) + " ";
    text += std::to_string(header_bytes + payload_bytes) + "\r\n";
    heads_.push_back(Head{std::move(subject), std::move(text), header_bytes, payload_bytes});
}

// Takes one message or line from the front; 0 when it is not whole yet.
std::size_t Connection::take(std::string_view in) {
    for (std::size_t i = 0; i < heads_.size(); ++i) {
        const Head& head = heads_[(head_last_ + i) % heads_.size()];
        if (in.size() < head.text.size() || std::memcmp(in.data(), head.text.data(), head.text.size()) != 0) continue;
        const std::size_t body = head.text.size() + head.header_bytes;
        const std::size_t end = body + head.payload_bytes;
        if (in.size() < end + 2) return 0;
        head_last_ = (head_last_ + i) % heads_.size();
        receiver_->on_message(*this, Message{head.subject,
                                             "1",
                                             {},
                                             in.substr(head.text.size(), head.header_bytes),
                                             in.substr(body, head.payload_bytes)});
        return end + 2;
    }
    return take_line(in);
}

std::size_t Connection::take_line(std::string_view in) {
    const std::size_t end = in.find("\r\n");
    if (end == std::string_view::npos) return 0;
    std::array<std::string_view, 6> words;
    const std::size_t count = split(in.substr(0, end), words);
    const std::string_view verb = count > 0 ? words[0] : std::string_view{};
    if (verb == "MSG" && (count == 4 || count == 5)) {
        const std::size_t size = number(words[count - 1]);
        if (in.size() < end + 2 + size + 2) return 0;
        receiver_->on_message(
            *this,
            Message{words[1], words[2], count == 5 ? words[3] : std::string_view{}, {}, in.substr(end + 2, size)});
        return end + 2 + size + 2;
    }
    if (verb == "HMSG" && (count == 5 || count == 6)) {
        const std::size_t head = number(words[count - 2]);
        const std::size_t size = number(words[count - 1]);
        if (in.size() < end + 2 + size + 2) return 0;
        receiver_->on_message(*this, Message{words[1], words[2], count == 6 ? words[3] : std::string_view{},
                                             in.substr(end + 2, head), in.substr(end + 2 + head, size - head)});
        return end + 2 + size + 2;
    }
    if (verb == "PING") {
        out_ += "PONG\r\n";
    } else if (verb == "PONG") {
        ++pongs_;
    } else if (verb == "INFO") {
        client_id_ = client_id_of(in.substr(0, end));
    } else if (verb != "+OK") {
        throw Failure("the server says: " + std::string(in.substr(0, end)));
    }
    return end + 2;
}

std::unique_ptr<Connection> connect_on_shard(const std::string& address, Receiver* receiver, std::uint32_t tag,
                                             std::uint32_t shards, std::uint32_t shard) {
    constexpr std::uint32_t rounds_max = 8;  // others may connect meanwhile and take the number that was due
    std::vector<std::unique_ptr<Connection>> others;
    for (std::uint32_t i = 0; i < rounds_max * std::max(shards, 1U); ++i) {
        auto connection = std::make_unique<Connection>(address, receiver, tag);
        if (shards <= 1 || (connection->client_id() + shards - 1) % shards == shard % shards) return connection;
        others.push_back(std::move(connection));
    }
    throw Failure("no connection came to lie on shard " + std::to_string(shard));
}

Loop::Loop() : fd_(epoll_create1(EPOLL_CLOEXEC)) {
    if (fd_ < 0) throw Failure("epoll_create1 failed");
}

Loop::~Loop() {
    close(fd_);
}

void Loop::add(Connection& connection) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = connections_.size();
    if (epoll_ctl(fd_, EPOLL_CTL_ADD, connection.fd(), &event) != 0) throw Failure("epoll_ctl failed");
    connections_.push_back(&connection);
    interest_.push_back(EPOLLIN);
}

void Loop::turn(std::chrono::nanoseconds wait) {
    for (std::size_t i = 0; i < connections_.size(); ++i) {
        const std::uint32_t wanted = connections_[i]->flush() ? EPOLLIN : EPOLLIN | EPOLLOUT;
        if (wanted == interest_[i]) continue;
        if (wanted == EPOLLIN) wait = {};  // what was left over is out: the owner can go on at once
        epoll_event event{};
        event.events = interest_[i] = wanted;
        event.data.u64 = i;
        epoll_ctl(fd_, EPOLL_CTL_MOD, connections_[i]->fd(), &event);
    }
    std::array<epoll_event, 64> events;
    const auto seconds = std::chrono::floor<std::chrono::seconds>(wait);
    const timespec longest{seconds.count(), (wait - seconds).count()};
    const int count = epoll_pwait2(fd_, events.data(), static_cast<int>(events.size()), &longest, nullptr);
    for (int i = 0; i < count; ++i) {
        Connection& connection = *connections_[events[static_cast<std::size_t>(i)].data.u64];
        if (events[static_cast<std::size_t>(i)].events & EPOLLOUT) connection.flush();
        if (events[static_cast<std::size_t>(i)].events & ~EPOLLOUT) connection.read();
    }
}

}  // namespace bench
