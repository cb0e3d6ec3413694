// Many distinct subscriptions of one connection, some with wildcards: messages on random ones of them, or what it costs
// to make them.

#include <algorithm>
#include <charconv>

#include "tests/bench/cells.h"
#include "tests/bench/churn.h"

namespace bench {
namespace {

// Messages are sent in this many precomputed random draws, over and over.
constexpr std::uint32_t draws = 1'000'000;
constexpr std::uint32_t areas = 97;
// Subjects are asked one by one whether they are known, up to so many; of more the last.
constexpr std::uint32_t probed_max = 1000;
constexpr int probe_wait_ms = 20;
// SUB lines between two looks at the socket, and messages that ask whether subscriptions work.
constexpr std::uint32_t subscribe_batch = 1000;
constexpr std::uint32_t samples = 1000;
constexpr int idle_wait_ms = 100;

std::uint64_t next_random(std::uint64_t& state) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

// The i-th subject, "bench.<area>.device-<i>.<value>".
void append_subject(std::string& out, const std::string& root, std::uint32_t i) {
    out.append(root).append(".").append(std::to_string(i % areas)).append(".device-").append(std::to_string(i));
    out += i % 2 == 0 ? ".state" : ".level";
}

// The filter of the i-th subscription, which takes the i-th subject and no other.
void append_filter(std::string& out, const Options& options, std::uint32_t i) {
    if (i % 100 >= options.wildcards) return append_subject(out, options.subject, i);
    const std::string device = "device-" + std::to_string(i);
    switch (i % 3) {
        case 0:
            out += options.subject + "." + std::to_string(i % areas) + "." + device + ".*";
            break;
        case 1:
            out += options.subject + ".*." + device + (i % 2 == 0 ? ".state" : ".level");
            break;
        default:
            out += options.subject + "." + std::to_string(i % areas) + "." + device + ".>";
            break;
    }
}

// A connection with all the subscriptions; sid i + 1 is the i-th.
void subscribe(Connection& connection, const Options& options, std::uint32_t from, std::uint32_t to) {
    for (std::uint32_t i = from; i < to; ++i) {
        std::string& out = connection.out();
        out += "SUB ";
        append_filter(out, options, i);
        out.append(" ").append(std::to_string(i + 1)).append("\r\n");
        if (i % subscribe_batch == 0) connection.flush();
    }
    connection.round_trip();
}

std::uint32_t number(std::string_view text) {
    std::uint32_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

class Subjects : public Cell, public Receiver {
  public:
    explicit Subjects(const Options& options)
        : options_(options),
          payload_(options.size),
          publisher_(options.server, this, 0),
          subscriber_(options.far_server.empty() ? options.server : options.far_server, this, 1),
          churn_(options_) {
        subscribe(subscriber_, options, 0, options.subjects);
        draw();
        loop_.add(publisher_);
        loop_.add(subscriber_);
        churn_.add_to(loop_);
        if (!options.far_server.empty()) probe();
    }

    Report run(std::uint64_t count) override {
        report_ = Report{};
        const auto began = Clock::now();
        const std::uint64_t target = next_ + count;
        churn_.begin();
        while (arrived_ < target || publisher_.unsent() > 0) {
            const std::uint64_t bound = std::min(target, arrived_ + window_of(options_));
            const bool could_send = publisher_.unsent() == 0;
            while (could_send && next_ < bound && publisher_.unsent() < write_bytes_max) append();
            churn_.turn();
            loop_.turn(could_send && next_ < bound ? 0 : options_.churn > 0 ? 1 : idle_wait_ms);
            check_deadline(began, options_, "arrived " + std::to_string(arrived_) + " of " + std::to_string(target));
        }
        report_.published = count;
        report_.seconds = std::chrono::duration<double>(Clock::now() - began).count();
        report_.churned = churn_.end();
        return report_;
    }

    void on_message(Connection&, const Message& message) override {
        Stamp stamp;
        if (!payload_.read(message.payload, stamp))
            throw Failure("a message arrived damaged on " + std::string(message.subject));
        if (stamp.publisher == probe_publisher) {
            probe_arrived_ = stamp.sequence;
            return;
        }
        if (stamp.sequence != arrived_) {
            throw Failure("message " + std::to_string(stamp.sequence) + " arrived where " + std::to_string(arrived_) +
                          " was due");
        }
        const std::uint32_t at = static_cast<std::uint32_t>(arrived_ % draws);
        const std::string_view head = head_of(at);
        if (head.compare(4, message.subject.size(), message.subject) != 0 || head[4 + message.subject.size()] != ' ' ||
            number(message.sid) != drawn_[at] + 1) {
            throw Failure(std::string(message.subject) + " arrived at subscription " + std::string(message.sid));
        }
        ++arrived_;
        ++report_.delivered;
        report_.digest = report_.digest * 31 + stamp.check;
    }

  private:
    // The subject of the i-th of those that get messages; the last one is the last subscription.
    std::uint32_t drawn(std::uint32_t i) const {
        const std::uint32_t count = options_.drawn == 0 ? options_.subjects : options_.drawn;
        return static_cast<std::uint32_t>(std::uint64_t{i + 1} * options_.subjects / count - 1);
    }

    // Messages that do not count until each of these subjects is known at the publisher's server.
    void probe() {
        const auto began = Clock::now();
        const std::uint32_t count = options_.drawn == 0 ? options_.subjects : options_.drawn;
        for (std::uint32_t i = count > probed_max ? count - 1 : 0; i < count; ++i) {
            std::string line = "PUB ";
            append_subject(line, options_.subject, drawn(i));
            line += " " + std::to_string(options_.size) + "\r\n";
            const std::size_t at = line.size();
            line.resize(at + options_.size);
            payload_.write(line.data() + at, probe_publisher, i);
            line += "\r\n";
            while (probe_arrived_ != i) {
                publisher_.out() += line;
                loop_.turn(probe_wait_ms);
                check_deadline(began, options_, "subject " + std::to_string(drawn(i)) + " is not known everywhere");
            }
        }
        publisher_.round_trip();
    }

    // Who gets each message, and the lines to send, in the order of sending: then the load reads its memory in order.
    void draw() {
        std::uint64_t state = 0x853c49e6748fea9bULL;
        const std::string end = " " + std::to_string(options_.size) + "\r\n";
        ends_.push_back(0);
        for (std::uint32_t i = 0; i < draws; ++i) {
            const std::uint64_t random = next_random(state);
            drawn_.push_back(options_.drawn == 0 ? static_cast<std::uint32_t>(random % options_.subjects)
                                                 : drawn(static_cast<std::uint32_t>(random % options_.drawn)));
            heads_ += "PUB ";
            append_subject(heads_, options_.subject, drawn_.back());
            heads_ += end;
            ends_.push_back(heads_.size());
        }
    }

    std::string_view head_of(std::uint32_t draw) const {
        return std::string_view(heads_).substr(ends_[draw], ends_[draw + 1] - ends_[draw]);
    }

    void append() {
        const std::string_view head = head_of(static_cast<std::uint32_t>(next_ % draws));
        std::string& out = publisher_.out();
        const std::size_t at = out.size();
        out.resize(at + head.size() + options_.size + 2);
        std::memcpy(out.data() + at, head.data(), head.size());
        payload_.write(out.data() + at + head.size(), 0, next_++);
        std::memcpy(out.data() + out.size() - 2, "\r\n", 2);
    }

    Options options_;
    Payload payload_;
    Connection publisher_;
    Connection subscriber_;
    Churn churn_;
    Loop loop_;
    Report report_;
    std::vector<std::uint32_t> drawn_;
    std::string heads_;
    std::vector<std::size_t> ends_;
    std::uint64_t next_ = 0;
    std::uint64_t arrived_ = 0;
    std::uint64_t probe_arrived_ = UINT64_MAX;  // which one did last
};

class Subscriptions : public Cell, public Receiver {
  public:
    explicit Subscriptions(const Options& options)
        : options_(options), payload_(options.size), connection_(options.server, this, 0) {}

    Report run(std::uint64_t count) override {
        const auto began = Clock::now();
        const std::uint32_t to = made_ + static_cast<std::uint32_t>(count);
        subscribe(connection_, options_, made_, to);
        made_ = to;
        Report report;
        report.published = count;
        report.seconds = std::chrono::duration<double>(Clock::now() - began).count();
        return report;
    }

    // Messages on some of the subjects: each arrives once, at its own subscription.
    void finish() override {
        std::uint64_t state = 0x2545f4914f6cdd1dULL;
        const std::uint32_t wanted = std::min(samples, made_);
        std::vector<char> text(options_.size);
        for (std::uint32_t i = 0; i < wanted; ++i) {
            asked_ = static_cast<std::uint32_t>(next_random(state) % made_);
            std::string subject;
            append_subject(subject, options_.subject, asked_);
            payload_.write(text.data(), 0, i);
            connection_.out().append("PUB ").append(subject).append(" ").append(std::to_string(text.size()));
            connection_.out().append("\r\n").append(text.data(), text.size()).append("\r\n");
            connection_.round_trip();
            if (arrived_ != i + 1) throw Failure("subscription " + std::to_string(asked_ + 1) + " does not work");
        }
    }

    void on_message(Connection&, const Message& message) override {
        Stamp stamp;
        if (!payload_.read(message.payload, stamp) || stamp.sequence != arrived_ || number(message.sid) != asked_ + 1)
            throw Failure("a message on " + std::string(message.subject) + " went wrong");
        ++arrived_;
    }

  private:
    Options options_;
    Payload payload_;
    Connection connection_;
    std::uint32_t made_ = 0;
    std::uint32_t asked_ = 0;
    std::uint64_t arrived_ = 0;
};

}  // namespace

std::unique_ptr<Cell> make_subjects(const Options& options) {
    return std::make_unique<Subjects>(options);
}

std::unique_ptr<Cell> make_subscriptions(const Options& options) {
    return std::make_unique<Subscriptions>(options);
}

}  // namespace bench
