#include <algorithm>
#include <charconv>

#include "tests/bench/cells.h"

namespace bench {
namespace {

constexpr int idle_wait_ms = 100;
constexpr int probe_wait_ms = 20;

std::uint64_t last_number(std::string_view text) {
    const std::size_t dot = text.rfind('.');
    std::uint64_t value = 0;
    std::from_chars(text.data() + dot + 1, text.data() + text.size(), value);
    return value;
}

struct Publisher {
    std::unique_ptr<Connection> connection;
    std::vector<std::string> subjects;
    std::vector<std::string> heads;       // "PUB bench.0 128\r\n" per subject
    std::string inbox;                    // "_INBOX.load0.", when acks are wanted
    std::uint64_t next = 0;               // sequence number of the next message
    std::uint64_t target = 0;             // where this run ends
    std::uint64_t acked = 0;              // how many acks came
    std::vector<std::uint32_t> started;   // micros, per message of this run, when acks are wanted
    std::vector<std::uint64_t> position;  // the ack's seq, the same way; 0: not yet
    std::uint64_t base = 0;               // first sequence number of this run
    std::uint64_t position_last = 0;      // of the last run
};

struct Subscriber {
    std::unique_ptr<Connection> connection;
    std::vector<std::uint64_t> next;  // per publisher: the sequence number that must come next
    bool reached = false;             // a probe arrived
};

class PubSub : public Cell, public Receiver {
  public:
    explicit PubSub(const Options& options) : options_(options), payload_(options.size) {
        const std::string& far = options.far_server.empty() ? options.server : options.far_server;
        publishers_.resize(options.publishers);
        subscribers_.resize(options.subscribers);
        for (std::uint32_t i = 0; i < options.subscribers; ++i) subscribe(subscribers_[i], i, far);
        for (std::uint32_t i = 0; i < options.publishers; ++i) prepare(publishers_[i], i);
        for (Publisher& publisher : publishers_) loop_.add(*publisher.connection);
        for (Subscriber& subscriber : subscribers_) loop_.add(*subscriber.connection);
        probe();
    }

    Report run(std::uint64_t count) override {
        report_ = Report{};
        const auto began = Clock::now();
        for (std::uint32_t i = 0; i < publishers_.size(); ++i) {
            Publisher& publisher = publishers_[i];
            const std::uint64_t share = count / publishers_.size() + (i < count % publishers_.size() ? 1 : 0);
            publisher.base = publisher.next;
            publisher.target = publisher.next + share;
            publisher.acked = publisher.next;
            if (options_.acks) {
                publisher.started.assign(share, 0);
                publisher.position.assign(share, 0);
            }
        }
        while (!sent_all() || !arrived_all()) {
            bool room = false;
            for (std::uint32_t i = 0; i < publishers_.size(); ++i) room |= fill(publishers_[i], i);
            loop_.turn(room ? 0 : idle_wait_ms);
            check_deadline(began, options_,
                           "published " + std::to_string(report_.published) + ", delivered " +
                               std::to_string(report_.delivered) + ", acked " + std::to_string(report_.acked));
        }
        // With no subscriber the PONG says that the server has read everything.
        for (Publisher& publisher : publishers_) publisher.connection->round_trip();
        report_.seconds = std::chrono::duration<double>(Clock::now() - began).count();
        for (Publisher& publisher : publishers_) check_positions(publisher);
        return std::move(report_);
    }

    void on_message(Connection& from, const Message& message) override {
        if (from.tag() < publishers_.size()) return on_ack(publishers_[from.tag()], message);
        on_delivery(subscribers_[from.tag() - publishers_.size()], message);
    }

  private:
    std::string subject_of(std::uint32_t publisher) const { return options_.subject + "." + std::to_string(publisher); }

    void subscribe(Subscriber& subscriber, std::uint32_t index, const std::string& address) {
        subscriber.connection = std::make_unique<Connection>(address, this, options_.publishers + index);
        subscriber.next.assign(options_.publishers, 0);
        const bool one = options_.paired || options_.publishers == 1;
        const std::string subject = subject_of(options_.paired ? index % options_.publishers : 0);
        std::string filter = options_.subject + ".>";
        if (one) filter = options_.subjects == 1 ? subject : subject + ".*";
        if (options_.subjects == 1 && !options_.acks) {
            for (std::uint32_t i = 0; i < options_.publishers; ++i) {
                if (!options_.paired || i == index % options_.publishers)
                    subscriber.connection->expect_head(subject_of(i), options_.size);
            }
        }
        subscriber.connection->out() += "SUB " + filter + " 1\r\n";
        subscriber.connection->round_trip();
    }

    void prepare(Publisher& publisher, std::uint32_t index) {
        publisher.connection = std::make_unique<Connection>(options_.server, this, index);
        for (std::uint32_t i = 0; i < options_.subjects; ++i) {
            publisher.subjects.push_back(subject_of(index) + (options_.subjects == 1 ? "" : "." + std::to_string(i)));
            publisher.heads.push_back("PUB " + publisher.subjects.back() + " " + std::to_string(options_.size) +
                                      "\r\n");
        }
        if (!options_.acks) return;
        publisher.inbox = "_INBOX.load" + std::to_string(index) + ".";
        publisher.connection->out() += "SUB " + publisher.inbox + "* 1\r\n";
        publisher.connection->round_trip();
    }

    // Sends messages that do not count until every subscriber has seen one: then the interest is known everywhere.
    void probe() {
        const auto began = Clock::now();
        const auto waiting = [this] {
            return std::any_of(subscribers_.begin(), subscribers_.end(),
                               [](const Subscriber& s) { return !s.reached; });
        };
        while (waiting()) {
            for (Publisher& publisher : publishers_) append(publisher, publisher.heads[0], probe_publisher, 0);
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
        const std::uint64_t bound = std::min(publisher.target, slowest(publisher, index) + window());
        const std::uint32_t now = options_.acks ? micros_now() : 0;
        while (publisher.next < bound && publisher.connection->unsent() < write_bytes_max) {
            const std::uint64_t which = options_.subjects == 1 ? 0 : publisher.next * 2654435761U % options_.subjects;
            if (options_.acks) {
                publisher.started[publisher.next - publisher.base] = now;
                append(publisher, acked_head(publisher, publisher.subjects[which]), index, publisher.next);
            } else {
                append(publisher, publisher.heads[which], index, publisher.next);
            }
            ++publisher.next;
            ++report_.published;
        }
        publisher.connection->flush();
        return publisher.next < bound;
    }

    // "PUB orders.0 _INBOX.load0.17 128\r\n"; valid until the next call.
    const std::string& acked_head(const Publisher& publisher, const std::string& subject) {
        char digits[24];
        head_.assign("PUB ").append(subject).append(" ").append(publisher.inbox);
        head_.append(digits, std::to_chars(digits, digits + sizeof digits, publisher.next).ptr).append(" ");
        head_.append(digits, std::to_chars(digits, digits + sizeof digits, options_.size).ptr).append("\r\n");
        return head_;
    }

    std::uint64_t window() const {
        if (options_.window > 0) return options_.window;
        return std::max<std::uint64_t>(64, in_flight_bytes_max / (options_.size + 32));
    }

    // Up to where this publisher's messages have arrived everywhere (with acks: how many were acknowledged).
    std::uint64_t slowest(const Publisher& publisher, std::uint32_t index) const {
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
        if (stamp.publisher == probe_publisher) {
            subscriber.reached = true;
            return;
        }
        if (stamp.publisher >= subscriber.next.size()) throw Failure("a message of an unknown publisher arrived");
        std::uint64_t& next = subscriber.next[stamp.publisher];
        if (stamp.sequence != next) {
            throw Failure("publisher " + std::to_string(stamp.publisher) + ": message " +
                          std::to_string(stamp.sequence) + " arrived where " + std::to_string(next) + " was due");
        }
        ++next;
        ++report_.delivered;
        report_.digest = report_.digest * 31 + stamp.check;
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
    std::string head_;
};

}  // namespace

std::unique_ptr<Cell> make_pubsub(const Options& options) {
    return std::make_unique<PubSub>(options);
}

}  // namespace bench
