#include <algorithm>
#include <charconv>

#include <sys/prctl.h>

#include "tests/bench/cells.h"
#include "tests/bench/churn.h"

namespace bench {
namespace {

constexpr int idle_wait_ms = 100;
constexpr int probe_wait_ms = 20;
// With a rate, what is due is sent this often.
constexpr std::chrono::microseconds pace{20};

std::uint64_t last_number(std::string_view text) {
    const std::size_t dot = text.rfind('.');
    std::uint64_t value = 0;
    std::from_chars(text.data() + dot + 1, text.data() + text.size(), value);
    return value;
}

struct Publisher {
    std::unique_ptr<Connection> connection;
    std::string subject;
    std::string head;                     // "PUB bench.0 128\r\n"
    std::size_t tail_at = 0;              // in it, of the subject's tail
    std::string inbox;                    // "_INBOX.load0.", when acks are wanted
    std::uint64_t next = 0;               // sequence number of the next message
    std::uint64_t target = 0;             // where this run ends
    std::uint64_t acked = 0;              // how many acks came
    std::vector<std::uint32_t> started;   // micros, per message of this run, when acks are wanted
    std::vector<std::uint64_t> position;  // the ack's seq, the same way; 0: not yet
    std::uint64_t base = 0;               // first sequence number of this run
    std::uint64_t position_last = 0;      // of the last run
    std::vector<bool> taken;              // queue group: which of this run's messages a member got
    std::uint64_t taken_count = 0;        // of all runs
};

struct Subscriber {
    std::unique_ptr<Connection> connection;
    std::vector<std::uint64_t> next;  // per publisher: the sequence number that must come next (queue group: the least)
    bool reached = false;             // a probe arrived
};

// A block of that many bytes: the version line, one header whose value fills it, the empty line.
std::string header_block(std::uint32_t bytes) {
    const std::string begin = "NATS/1.0\r\nTrace: ";
    const std::string end = "\r\n\r\n";
    std::string value;
    while (begin.size() + value.size() + end.size() < bytes) value += static_cast<char>('a' + value.size() % 26);
    return begin + value + end;
}

// 64 bits that look random, another for each number.
std::uint64_t mixed(std::uint64_t number) {
    number = (number + 0x9e3779b97f4a7c15ULL) * 0xbf58476d1ce4e5b9ULL;
    number = (number ^ (number >> 29)) * 0x94d049bb133111ebULL;
    return number ^ (number >> 32);
}

// Writes tail_bytes characters.
void write_tail(char* out, std::uint64_t number) {
    constexpr char digits[] = "0123456789abcdef";
    for (std::uint64_t bits : {mixed(number), mixed(~number)})
        for (int i = 0; i < 16; ++i, bits >>= 4) *out++ = digits[bits & 15];
}

class PubSub : public Cell, public Receiver {
  public:
    explicit PubSub(const Options& options) : options_(options), payload_(options.size), churn_(options_) {
        if (options.headers > 0) headers_ = header_block(options.headers);
        const std::string& far = options.far_server.empty() ? options.server : options.far_server;
        publishers_.resize(options.publishers);
        subscribers_.resize(options.subscribers);
        for (std::uint32_t i = 0; i < options.subscribers; ++i) subscribe(subscribers_[i], i, far);
        for (std::uint32_t i = 0; i < options.publishers; ++i) prepare(publishers_[i], i);
        for (Publisher& publisher : publishers_) loop_.add(*publisher.connection);
        for (Subscriber& subscriber : subscribers_) loop_.add(*subscriber.connection);
        churn_.add_to(loop_);
        // Waits end when they are due, not up to 50 us later.
        if (options.rate > 0) prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
        probe();
    }

    Report run(std::uint64_t count) override {
        report_ = Report{};
        const auto began = Clock::now();
        began_micros_ = micros_now();
        for (std::uint32_t i = 0; i < publishers_.size(); ++i) {
            Publisher& publisher = publishers_[i];
            const std::uint64_t share = count / publishers_.size() + (i < count % publishers_.size() ? 1 : 0);
            publisher.base = publisher.next;
            publisher.target = publisher.next + share;
            publisher.acked = publisher.next;
            if (options_.queue) publisher.taken.assign(share, false);
            if (options_.acks) {
                publisher.started.assign(share, 0);
                publisher.position.assign(share, 0);
            }
        }
        churn_.begin();
        while (!sent_all() || !arrived_all()) {
            bool room = false;
            for (std::uint32_t i = 0; i < publishers_.size(); ++i) room |= fill(publishers_[i], i);
            churn_.turn();
            loop_.turn(longest_wait(room));
            check_deadline(began, options_,
                           "published " + std::to_string(report_.published) + ", delivered " +
                               std::to_string(report_.delivered) + ", acked " + std::to_string(report_.acked));
        }
        // With no subscriber the PONG says that the server has read everything.
        for (Publisher& publisher : publishers_) publisher.connection->round_trip();
        report_.seconds = std::chrono::duration<double>(Clock::now() - began).count();
        report_.churned = churn_.end();
        for (Publisher& publisher : publishers_) check_positions(publisher);
        return std::move(report_);
    }

    void on_message(Connection& from, const Message& message) override {
        if (from.tag() < publishers_.size()) return on_ack(publishers_[from.tag()], message);
        on_delivery(subscribers_[from.tag() - publishers_.size()], message);
    }

  private:
    std::string subject_of(std::uint32_t publisher) const {
        return options_.subject + "." + std::to_string(options_.queue ? 0 : publisher);
    }

    std::chrono::nanoseconds longest_wait(bool room) const {
        if (options_.rate > 0) return pace;
        return std::chrono::milliseconds(room ? 0 : options_.churn > 0 ? 1 : idle_wait_ms);
    }

    bool has_tails() const { return options_.tails > 0 || options_.once; }

    std::uint64_t tail_of(std::uint64_t sequence) const {
        return options_.once ? sequence : mixed(sequence) % options_.tails;
    }

    // When a publisher's message of this run is to be sent, in microseconds since the run began.
    std::uint64_t due_micros(const Publisher& publisher, std::uint64_t sequence) const {
        return (sequence - publisher.base) * publishers_.size() * 1'000'000 / options_.rate;
    }

    // Up to which sequence number a publisher's messages are due.
    std::uint64_t due(const Publisher& publisher) const {
        if (options_.rate == 0) return publisher.target;
        const std::uint64_t elapsed = micros_now() - began_micros_;
        return publisher.base + elapsed * options_.rate / 1'000'000 / publishers_.size() + 1;
    }

    // On one loop with its publisher, or on the next one.
    std::uint32_t shard_of(std::uint32_t subscriber) const {
        return subscriber % options_.publishers + (options_.across ? 1 : 0);
    }

    void subscribe(Subscriber& subscriber, std::uint32_t index, const std::string& address) {
        subscriber.connection =
            connect_on_shard(address, this, options_.publishers + index, options_.shards, shard_of(index));
        subscriber.next.assign(options_.publishers, 0);
        const bool one = options_.paired || options_.queue || options_.publishers == 1;
        std::string filter =
            one ? subject_of(options_.paired ? index % options_.publishers : 0) : options_.subject + ".>";
        if (one && has_tails()) filter += ".*";
        if (!options_.acks && !has_tails()) {
            for (std::uint32_t i = 0; i < (options_.queue ? 1 : options_.publishers); ++i) {
                if (takes(index, i)) subscriber.connection->expect_head(subject_of(i), options_.headers, options_.size);
            }
        }
        subscriber.connection->out() += "SUB " + filter + (options_.queue ? " group 1\r\n" : " 1\r\n");
        subscriber.connection->round_trip();
    }

    void prepare(Publisher& publisher, std::uint32_t index) {
        publisher.connection = connect_on_shard(options_.server, this, index, options_.shards, index);
        publisher.subject = subject_of(index);
        if (has_tails()) publisher.subject += "." + std::string(tail_bytes, '-');
        publisher.head = head(publisher, "");
        publisher.tail_at = publisher.head.find(publisher.subject) + publisher.subject.size() - tail_bytes;
        if (!options_.acks) return;
        publisher.inbox = "_INBOX.load" + std::to_string(index) + ".";
        publisher.connection->out() += "SUB " + publisher.inbox + "* 1\r\n";
        publisher.connection->round_trip();
    }

    // "PUB orders.0 _INBOX.load0.17 128\r\n" or the HPUB with its headers.
    std::string head(const Publisher& publisher, const std::string& reply) const {
        std::string text = options_.headers > 0 ? "HPUB " : "PUB ";
        text += publisher.subject + reply;
        if (options_.headers > 0) text += " " + std::to_string(options_.headers);
        return text + " " + std::to_string(options_.headers + options_.size) + "\r\n" + headers_;
    }

    // Sends messages that do not count until every subscriber has seen one: then the interest is known everywhere.
    void probe() {
        const auto began = Clock::now();
        const auto waiting = [this] {
            return std::any_of(subscribers_.begin(), subscribers_.end(),
                               [](const Subscriber& s) { return !s.reached; });
        };
        while (waiting()) {
            for (Publisher& publisher : publishers_) append(publisher, publisher.head, probe_publisher, 0);
            loop_.turn(probe_wait_ms);
            check_deadline(began, options_, "no probe has reached every subscriber");
        }
        for (Publisher& publisher : publishers_) publisher.connection->round_trip();
    }

    void append(Publisher& publisher, std::string_view head, std::uint32_t stamp, std::uint64_t sequence) {
        std::string& out = publisher.connection->out();
        const std::size_t at = out.size();
        out.resize(at + head.size() + options_.size + 2);
        std::memcpy(out.data() + at, head.data(), head.size());
        payload_.write(out.data() + at + head.size(), stamp, sequence);
        std::memcpy(out.data() + out.size() - 2, "\r\n", 2);
    }

    // Appends what the window and one write allow; true when more could be sent at once.
    bool fill(Publisher& publisher, std::uint32_t index) {
        if (publisher.next == publisher.target || publisher.connection->unsent() > 0) return false;
        const std::uint64_t bound =
            std::min({publisher.target, slowest(publisher, index) + window_of(options_), due(publisher)});
        const std::uint32_t now = options_.acks ? micros_now() : 0;
        while (publisher.next < bound && publisher.connection->unsent() < write_bytes_max) {
            if (options_.acks) {
                publisher.started[publisher.next - publisher.base] = now;
                append(publisher, head(publisher, " " + publisher.inbox + std::to_string(publisher.next)), index,
                       publisher.next);
            } else {
                if (has_tails()) write_tail(publisher.head.data() + publisher.tail_at, tail_of(publisher.next));
                append(publisher, publisher.head, index, publisher.next);
            }
            ++publisher.next;
            ++report_.published;
        }
        publisher.connection->flush();
        return publisher.next < bound;
    }

    // Up to where this publisher's messages have arrived everywhere (with acks: how many were acknowledged).
    std::uint64_t slowest(const Publisher& publisher, std::uint32_t index) const {
        if (options_.queue) return publisher.taken_count;
        std::uint64_t least = options_.acks ? publisher.acked : publisher.next;
        for (std::uint32_t i = 0; i < subscribers_.size(); ++i) {
            if (takes(i, index)) least = std::min(least, subscribers_[i].next[index]);
        }
        return least;
    }

    bool takes(std::uint32_t subscriber, std::uint32_t publisher) const {
        return !options_.paired || subscriber % options_.publishers == publisher;
    }

    bool sent_all() const {
        return std::all_of(publishers_.begin(), publishers_.end(),
                           [](const Publisher& p) { return p.next == p.target && p.connection->unsent() == 0; });
    }

    bool arrived_all() const {
        for (std::uint32_t i = 0; i < publishers_.size(); ++i) {
            if (slowest(publishers_[i], i) < publishers_[i].target) return false;
        }
        return true;
    }

    void on_delivery(Subscriber& subscriber, const Message& message) {
        Stamp stamp;
        if (!payload_.read(message.payload, stamp))
            throw Failure("a message arrived damaged on " + std::string(message.subject));
        if (message.headers != headers_) throw Failure("headers arrived damaged: " + std::string(message.headers));
        if (stamp.publisher == probe_publisher) {
            subscriber.reached = true;
            return;
        }
        if (stamp.publisher >= subscriber.next.size()) throw Failure("a message of an unknown publisher arrived");
        std::uint64_t& next = subscriber.next[stamp.publisher];
        if (options_.queue) {
            take_once(publishers_[stamp.publisher], stamp, next);
        } else if (stamp.sequence != next) {
            throw Failure("publisher " + std::to_string(stamp.publisher) + ": message " +
                          std::to_string(stamp.sequence) + " arrived where " + std::to_string(next) + " was due");
        }
        next = stamp.sequence + 1;
        ++report_.delivered;
        if (has_tails()) check_tail(message.subject, stamp);
        if (options_.rate > 0) {
            const std::uint64_t since = micros_now() - began_micros_;
            const std::uint64_t due = due_micros(publishers_[stamp.publisher], stamp.sequence);
            report_.micros.push_back(static_cast<std::uint32_t>(since - std::min(since, due)));
        }
        report_.digest = report_.digest * 31 + stamp.check;
    }

    void check_tail(std::string_view subject, const Stamp& stamp) const {
        char tail[tail_bytes];
        write_tail(tail, tail_of(stamp.sequence));
        if (!subject.starts_with(subject_of(stamp.publisher)) || !subject.ends_with(std::string_view(tail, tail_bytes)))
            throw Failure("message " + std::to_string(stamp.sequence) + " arrived on " + std::string(subject));
    }

    // A member of a queue group gets some of a publisher's messages, in order; no other member gets the same.
    static void take_once(Publisher& publisher, const Stamp& stamp, std::uint64_t least) {
        if (stamp.sequence < least || stamp.sequence < publisher.base || stamp.sequence >= publisher.next)
            throw Failure("message " + std::to_string(stamp.sequence) + " arrived out of order in the queue group");
        auto&& taken = publisher.taken[stamp.sequence - publisher.base];
        if (taken) throw Failure("message " + std::to_string(stamp.sequence) + " arrived twice in the queue group");
        taken = true;
        ++publisher.taken_count;
    }

    void on_ack(Publisher& publisher, const Message& message) {
        const std::uint64_t sequence = last_number(message.subject);
        const std::size_t at = message.payload.find("\"seq\":");
        if (!message.headers.empty() || at == std::string_view::npos ||
            message.payload.find("error") != std::string_view::npos) {
            throw Failure("not acknowledged: " + std::string(message.headers) + std::string(message.payload));
        }
        std::uint64_t position = 0;
        std::string_view digits = message.payload.substr(at + 6);
        digits.remove_prefix(std::min(digits.find_first_not_of(' '), digits.size()));
        std::from_chars(digits.data(), digits.data() + digits.size(), position);
        if (sequence < publisher.base || sequence >= publisher.next) throw Failure("an ack for what was not sent");
        std::uint64_t& slot = publisher.position[sequence - publisher.base];
        if (position == 0 || slot != 0) throw Failure("two acks for one message, or one without a position");
        slot = position;
        ++publisher.acked;
        ++report_.acked;
        report_.micros.push_back(micros_now() - publisher.started[sequence - publisher.base]);
    }

    // What one publisher sent in order has positions in that order.
    static void check_positions(Publisher& publisher) {
        for (const std::uint64_t position : publisher.position) {
            if (position <= publisher.position_last) throw Failure("positions of one publisher's messages do not rise");
            publisher.position_last = position;
        }
    }

    Options options_;
    Payload payload_;
    std::vector<Publisher> publishers_;
    std::vector<Subscriber> subscribers_;
    Loop loop_;
    Report report_;
    std::uint32_t began_micros_ = 0;  // of this run, as micros_now() has it
    Churn churn_;
    std::string headers_;
};

}  // namespace

std::unique_ptr<Cell> make_pubsub(const Options& options) {
    return std::make_unique<PubSub>(options);
}

}  // namespace bench
