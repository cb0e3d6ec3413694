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
