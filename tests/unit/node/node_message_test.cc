#include "routing/node/node_message.h"

#include <catch2/catch.hpp>

using namespace routing::node;

TEST_CASE("a question comes back as it was, and no piece of it is taken for a question", "[node][message]") {
    const auto body = encode(InboxQuestion{"$G", "_INBOX.abc.1"});
    const auto question = decode_question(body);
    REQUIRE(question);
    CHECK(question->account == "$G");
    CHECK(question->subject == "_INBOX.abc.1");
    for (std::size_t size = 0; size < body.size(); ++size) {
        CAPTURE(size);
        CHECK_FALSE(decode_question(std::string_view(body).substr(0, size)));
    }
    CHECK_FALSE(decode_question(body + "x"));
    CHECK_FALSE(decode_question(encode(InboxQuestion{"$G", ""})));
    CHECK_FALSE(decode_question("\x02" + body.substr(1)));
}
