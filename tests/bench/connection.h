// One client connection of the load generator: a raw socket that speaks just enough NATS to be fast, and that fails
// loudly at anything it did not expect. One thread, non-blocking, driven by Loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

/// The run is void: lost connection, -ERR, wrong content, wrong order, or too late.
struct Failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Message {
    std::string_view subject;
    std::string_view sid;
    std::string_view reply;    // empty: none
    std::string_view headers;  // empty: none
    std::string_view payload;
};

class Connection;

/// Takes what a connection received. The views are valid during the call.
class Receiver {
  public:
    virtual ~Receiver() = default;
    virtual void on_message(Connection& from, const Message& message) = 0;
};

/// Bytes asked for in one read; a connection begins with the least and doubles while reads fill it, so that thousands
/// of idle ones cost little.
inline constexpr std::size_t read_bytes_least = 4 << 10;
inline constexpr std::size_t read_bytes_max = 1 << 20;
/// Most bytes that a publisher gathers for one write.
inline constexpr std::size_t write_bytes_max = 256 << 10;

class Connection {
  public:
    /// Connects to "host:port", sends CONNECT and waits for the PONG. `tag` is the owner's. Throws Failure.
    Connection(const std::string& address, Receiver* receiver, std::uint32_t tag);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// Sends PING and waits for the PONG; messages that come meanwhile are handed on. Throws Failure after 10 s.
    void round_trip();
    /// Bytes to send: append, then flush().
    std::string& out() { return out_; }
    /// Writes what the socket takes; false when bytes are left.
    bool flush();
    std::size_t unsent() const { return out_.size() - sent_; }
    /// Reads once and hands on all whole messages. Throws Failure when the server closed or complained.
    void read();
    int fd() const { return fd_; }
    std::uint32_t tag() const { return tag_; }
    /// The server's number for this connection, of its INFO.
    std::uint64_t client_id() const { return client_id_; }

    /// Heads that most messages will have ("MSG bench.0 1 128\r\n"), with that many bytes of headers (0: a MSG) and
    /// payload: taken without parsing. The subscription's sid is 1.
    void expect_head(std::string subject, std::uint32_t header_bytes, std::uint32_t payload_bytes);

  private:
    struct Head {
        std::string subject;
        std::string text;
        std::uint32_t header_bytes = 0;
        std::uint32_t payload_bytes = 0;
    };
    std::size_t take(std::string_view in);
    std::size_t take_line(std::string_view in);

    int fd_ = -1;
    Receiver* receiver_;
    std::uint32_t tag_;
    std::string out_;
    std::size_t sent_ = 0;
    std::vector<char> in_;
    std::size_t filled_ = 0;
    std::vector<Head> heads_;
    std::size_t head_last_ = 0;
    std::uint64_t pongs_ = 0;
    std::uint64_t client_id_ = 0;
};

/// Opens connections until one has a client number that lives on loop `shard` of `shards` (treegate deals them out in
/// turn), and closes the others. With `shards` up to 1 the first one will do.
std::unique_ptr<Connection> connect_on_shard(const std::string& address, Receiver* receiver, std::uint32_t tag,
                                             std::uint32_t shards, std::uint32_t shard);

/// epoll over a fixed set of connections.
class Loop {
  public:
    Loop();
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    void add(Connection& connection);
    /// Waits at most so long, reads what can be read and writes what is left over.
    void turn(std::chrono::nanoseconds wait);
    void turn(int wait_ms) { turn(std::chrono::milliseconds(wait_ms)); }

  private:
    int fd_;
    std::vector<Connection*> connections_;
    std::vector<std::uint32_t> interest_;
};

}  // namespace bench
