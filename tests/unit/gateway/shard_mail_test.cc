#include "gateway/shard_mail.h"

#include <catch2/catch.hpp>
#include <thread>

#include "routing/base/prng.h"

using namespace gateway;

TEST_CASE("a mail queue hands everything over once and in order between two threads", "[gateway][mail]") {
    constexpr std::uint64_t count = 200'000;
    MailQueue<std::uint64_t> queue;
    std::thread sender([&] {
        for (std::uint64_t i = 0; i < count; ++i) queue.send(std::uint64_t{i}, 3);
    });
    std::uint64_t next = 0;
    bool in_order = true;
    while (next < count) {
        if (auto value = queue.receive()) {
            in_order = in_order && *value == next;
            ++next;
        } else {
            std::this_thread::yield();
        }
    }
    sender.join();
    CHECK(in_order);
    CHECK_FALSE(queue.receive().has_value());
    CHECK(queue.outstanding() == 0);
    CHECK(queue.sent() == count);
    CHECK(queue.received() == count);
}

TEST_CASE("a burst through a mail queue comes out in order, and what it held is used again", "[gateway][mail]") {
    MailQueue<std::string> queue;
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
    for (const std::uint64_t burst : {1, 5, 1000, 3, 200, 1, 1, 700}) {
        for (std::uint64_t i = 0; i < burst; ++i, ++sent) queue.send(std::to_string(sent), 10);
        CHECK(queue.outstanding() == burst * 10);
        CHECK(queue.waiting());
        while (auto value = queue.receive()) CHECK(*value == std::to_string(received++));
        CHECK(received == sent);
        CHECK_FALSE(queue.waiting());
        CHECK(queue.outstanding() == 0);
    }
}

TEST_CASE("deliveries come out of a batch as they went in", "[gateway][mail]") {
    base::Bytes batch;
    const std::string body = "NATS/1.0\r\nA: b\r\n\r\npayload";
    for (unsigned i = 0; i < 8; ++i) {
        DeliveryMail mail;
        mail.source = 1000 + i;
        mail.plain = (i & 1) != 0;
        mail.echo = (i & 2) != 0;
        mail.bounced = (i & 4) != 0;
        if (i > 3) mail.groups = {"workers", ""};
        mail.message = {i, "orders.new", i == 2 ? "" : "_INBOX.x", body, 18};
        append_delivery(batch, mail);
    }
    base::ByteView in = batch;
    DeliveryMail mail;
    for (unsigned i = 0; i < 8; ++i) {
        REQUIRE(next_delivery(in, mail));
        CHECK(mail.source == 1000 + i);
        CHECK(mail.plain == ((i & 1) != 0));
        CHECK(mail.echo == ((i & 2) != 0));
        CHECK(mail.bounced == ((i & 4) != 0));
        CHECK(mail.groups.size() == (i > 3 ? 2 : 0));
        CHECK(mail.message.account == i);
        CHECK(mail.message.subject == "orders.new");
        CHECK(mail.message.reply == (i == 2 ? "" : "_INBOX.x"));
        CHECK(mail.message.body == body);
        CHECK(mail.message.headers().size() == 18);
        CHECK(mail.message.payload() == "payload");
    }
    CHECK_FALSE(next_delivery(in, mail));
}

namespace {

struct Sent {
    std::uint64_t source;
    bool echo;
    std::string subject;
    std::string body;
    std::uint32_t header_bytes;
    bool operator==(const Sent&) const = default;
};

/// Messages beside each other, as append_run wants them.
class SentRun {
  public:
    SentRun(const Sent* at, std::size_t count) : at_(at), end_(at + count) {}
    [[nodiscard]] bool empty() const { return at_ == end_; }
    [[nodiscard]] RunMessage front() const {
        return {base::ByteView(at_->body).substr(0, at_->body.size() - 2), at_->header_bytes};
    }
    void pop() { ++at_; }

  private:
    const Sent* at_;
    const Sent* end_;
};

}  // namespace

TEST_CASE("messages come out of runs as they went in, whatever they were put together with", "[gateway][mail]") {
    const auto seed = GENERATE(range<std::uint64_t>(1, 50));
    CAPTURE(seed);
    base::Prng prng(seed);
    std::vector<Sent> sent;
    while (sent.size() < 300) {
        Sent like{prng.between(1, 2), prng.chance(3, 4), prng.chance(1, 2) ? "a" : "bc", "", 0};
        const bool one_size = prng.chance(2, 3);
        std::size_t size = prng.below(100);
        for (std::uint64_t n = prng.between(1, 40); n > 0; --n) {
            if (!one_size) size = prng.below(100);
            like.header_bytes = static_cast<std::uint32_t>(one_size ? size / 2 : prng.below(size + 1));
            like.body = std::string(size, static_cast<char>('a' + sent.size() % 26)) + "\r\n";
            sent.push_back(like);
        }
    }
    base::Bytes batch;
    OpenRun open;
    std::size_t records = 0;
    std::vector<std::size_t> deliveries;  // before which message
    for (std::size_t at = 0; at < sent.size();) {
        std::size_t count = 1;
        const std::uint64_t most = prng.between(1, 32);
        while (count < most && at + count < sent.size() && sent[at + count].source == sent[at].source &&
               sent[at + count].subject == sent[at].subject && sent[at + count].echo == sent[at].echo)
            ++count;
        append_run(batch, open, RunHead{.echo = sent[at].echo, .account = 5, .source = sent[at].source},
                   sent[at].subject, SentRun(&sent[at], count));
        ++records;
        at += count;
        if (prng.chance(1, 5)) {
            append_delivery(batch, {});
            deliveries.push_back(at);
        }
    }
    std::vector<Sent> got;
    std::size_t runs = 0;
    std::vector<std::size_t> got_deliveries;
    base::ByteView in = batch;
    for (MailKind kind{}; next_kind(in, kind);) {
        if (kind == MailKind::delivery) {
            DeliveryMail mail;
            REQUIRE(next_delivery(in, mail));
            got_deliveries.push_back(got.size());
            continue;
        }
        REQUIRE(kind == MailKind::run);
        const RunMail mail = read_run(in);
        CHECK(mail.head.account == 5);
        ++runs;
        for (MailedRun run(mail); !run.empty(); run.pop()) {
            const RunMessage message = run.front();
            // The line end follows where the body lies.
            got.push_back({mail.head.source, mail.head.echo, std::string(mail.subject),
                           std::string(message.body.data(), message.body.size() + 2), message.header_bytes});
        }
    }
    CHECK((got == sent));
    CHECK(got_deliveries == deliveries);
    CHECK(runs < records);  // some were lengthened
}
