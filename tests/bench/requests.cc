#include <charconv>

#include "tests/bench/cells.h"

namespace bench {
namespace {

constexpr int idle_wait_ms = 100;
constexpr std::uint64_t window_default = 64;

struct Requester {
    std::unique_ptr<Connection> connection;
    std::string inbox;       // "_INBOX.load0."
    std::uint64_t next = 0;  // of this run
    std::uint64_t target = 0;
    std::uint64_t answered = 0;
    std::vector<std::uint32_t> started;  // micros; per request of this run
    std::vector<bool> done;
};

// Requesters with a window of open requests each, responders in one queue group that send the payload back. Each
// request has a reply subject of its own, as the clients do it.
class Requests : public Cell, public Receiver {
  public:
    explicit Requests(const Options& options) : options_(options), payload_(options.size) {
        if (options_.window == 0) options_.window = window_default;
        requesters_.resize(options.publishers);
        const std::string& far = options.far_server.empty() ? options.server : options.far_server;
        for (std::uint32_t i = 0; i < options.subscribers; ++i) {
            responders_.push_back(std::make_unique<Connection>(far, this, options.publishers + i));
            responders_.back()->out() += "SUB " + options_.subject + " workers 1\r\n";
            responders_.back()->round_trip();
        }
        for (std::uint32_t i = 0; i < options.publishers; ++i) {
            Requester& requester = requesters_[i];
            requester.connection = std::make_unique<Connection>(options.server, this, i);
            requester.inbox = "_INBOX.load" + std::to_string(i) + ".";
            requester.connection->out() += "SUB " + requester.inbox + "* 1\r\n";
            requester.connection->round_trip();
        }
        for (Requester& requester : requesters_) loop_.add(*requester.connection);
        for (auto& responder : responders_) loop_.add(*responder);
        probe();
    }

    Report run(std::uint64_t count) override {
        report_ = Report{};
        const auto began = Clock::now();
        for (std::uint32_t i = 0; i < requesters_.size(); ++i) {
            Requester& requester = requesters_[i];
            const std::uint64_t share = count / requesters_.size() + (i < count % requesters_.size() ? 1 : 0);
            requester.next = requester.answered = 0;
            requester.target = share;
            requester.started.assign(share, 0);
            requester.done.assign(share, false);
        }
        while (report_.delivered < count) {
            for (std::uint32_t i = 0; i < requesters_.size(); ++i) fill(requesters_[i], i);
            loop_.turn(idle_wait_ms);
            check_deadline(began, options_,
                           std::to_string(report_.delivered) + " of " + std::to_string(count) + " requests answered");
        }
        report_.seconds = std::chrono::duration<double>(Clock::now() - began).count();
        if (handled_ != report_.published) throw Failure("responders took " + std::to_string(handled_) + " requests");
        handled_ = 0;
        return std::move(report_);
    }

    void on_message(Connection& from, const Message& message) override {
        if (from.tag() < requesters_.size()) return on_reply(requesters_[from.tag()], from.tag(), message);
        Stamp stamp;
        if (!payload_.read(message.payload, stamp)) throw Failure("a request arrived damaged");
        if (stamp.publisher != probe_publisher) ++handled_;
        std::string& out = from.out();
        out += "PUB ";
        out += message.reply;
        out += ' ';
        char digits[16];
        out.append(digits, std::to_chars(digits, digits + sizeof digits, message.payload.size()).ptr);
        out += "\r\n";
        out += message.payload;
        out += "\r\n";
    }

  private:
    void append(Requester& requester, std::uint32_t stamp, std::uint64_t sequence) {
        std::string& out = requester.connection->out();
        out += "PUB " + options_.subject + ' ';
        out += requester.inbox;
        char digits[32];
        out.append(digits, std::to_chars(digits, digits + sizeof digits, sequence).ptr);
        out += ' ';
        out.append(digits, std::to_chars(digits, digits + sizeof digits, options_.size).ptr);
        out += "\r\n";
        const std::size_t at = out.size();
        out.resize(at + options_.size + 2);
        payload_.write(out.data() + at, stamp, sequence);
        std::memcpy(out.data() + out.size() - 2, "\r\n", 2);
    }

    void fill(Requester& requester, std::uint32_t index) {
        const std::uint32_t now = micros_now();
        while (requester.next < requester.target && requester.next - requester.answered < options_.window) {
            requester.started[requester.next] = now;
            append(requester, index, requester.next++);
            ++report_.published;
        }
    }

    // Requests that do not count, until each requester has an answer.
    void probe() {
        const auto began = Clock::now();
        for (std::uint32_t i = 0; i < requesters_.size(); ++i) {
            probed_ = false;
            while (!probed_) {
                append(requesters_[i], probe_publisher, 0);
                loop_.turn(20);
                check_deadline(began, options_, "no probe was answered");
            }
        }
        // Late answers of probes may still be on their way; they carry the probe's stamp and are passed over.
    }

    void on_reply(Requester& requester, std::uint32_t index, const Message& message) {
        Stamp stamp;
        if (!message.headers.empty()) {
            if (!probed_) return;  // nobody there yet
            throw Failure("a request was refused: " + std::string(message.headers));
        }
        if (!payload_.read(message.payload, stamp)) throw Failure("a reply arrived damaged");
        if (stamp.publisher == probe_publisher) {
            probed_ = true;
            return;
        }
        std::uint64_t asked = 0;
        const std::string_view token = message.subject.substr(requester.inbox.size());
        std::from_chars(token.data(), token.data() + token.size(), asked);
        if (stamp.publisher != index || stamp.sequence != asked || asked >= requester.next)
            throw Failure("a reply to what was not asked");
        if (requester.done[asked]) throw Failure("two replies to one request");
        requester.done[asked] = true;
        ++requester.answered;
        ++report_.delivered;
        report_.digest += stamp.check;
        report_.micros.push_back(micros_now() - requester.started[asked]);
    }

    Options options_;
    Payload payload_;
    std::vector<Requester> requesters_;
    std::vector<std::unique_ptr<Connection>> responders_;
    Loop loop_;
    Report report_;
    std::uint64_t handled_ = 0;
    bool probed_ = false;
};

}  // namespace

std::unique_ptr<Cell> make_requests(const Options& options) {
    return std::make_unique<Requests>(options);
}

}  // namespace bench
