#include "compat/nats_error.h"

#include <catch2/catch.hpp>
#include <string>

using namespace compat;

namespace {

std::string quoted(std::string_view text) {
    std::string out;
    append_quoted(out, text);
    return out;
}

}  // namespace

TEST_CASE("every closing error has a reason and the silent ones no text", "[compat][error]") {
    for (int i = static_cast<int>(NatsError::unknown_operation);
         i <= static_cast<int>(NatsError::too_many_subscriptions); ++i) {
        const auto error = static_cast<NatsError>(i);
        CAPTURE(i);
        std::string out;
        append_error(out, error);
        CHECK(out.empty() == error_text(error).empty());
        CHECK(error_closes(error) == !closed_reason(error).empty());
        CHECK((error_closes(error) || !error_text(error).empty()));  // an error that nobody notices is none
    }
}

TEST_CASE("the -ERR lines have stock's texts, letter by letter", "[compat][error]") {
    const auto line = [](NatsError error) {
        std::string out;
        append_error(out, error);
        return out;
    };
    CHECK(line(NatsError::unknown_operation) == "-ERR 'Unknown Protocol Operation'\r\n");
    CHECK(line(NatsError::payload_too_large) == "-ERR 'Maximum Payload Violation'\r\n");
    CHECK(line(NatsError::control_line_too_long) == "-ERR 'maximum control line exceeded'\r\n");
    CHECK(line(NatsError::stale_connection) == "-ERR 'Stale Connection'\r\n");
    CHECK(line(NatsError::bad_arguments).empty());
    CHECK(closed_reason(NatsError::client_said_error) == "Parse Error");
    CHECK(closed_reason(NatsError::unknown_operation) == "Protocol Violation");
}

TEST_CASE("permission violations quote subjects as Go does", "[compat][error]") {
    std::string out;
    append_publish_violation(out, "_GR_.a\"b");
    CHECK(out == "-ERR 'Permissions Violation for Publish to \"_GR_.a\\\"b\"'\r\n");
    out.clear();
    append_reply_violation(out, "_R_.x");
    CHECK(out == "-ERR 'Permissions Violation for Publish with Reply of \"_R_.x\"'\r\n");
    out.clear();
    append_subscription_violation(out, "foo", "");
    CHECK(out == "-ERR 'Permissions Violation for Subscription to \"foo\"'\r\n");
    out.clear();
    append_subscription_violation(out, "foo", "_sys_");
    CHECK(out == "-ERR 'Permissions Violation for Subscription to \"foo\" using queue \"_sys_\"'\r\n");
}

TEST_CASE("quoting escapes what is not plain text", "[compat][error]") {
    CHECK(quoted("") == "\"\"");
    CHECK(quoted("a\\b") == "\"a\\\\b\"");
    CHECK(quoted("\a\b\f\n\r\t\v") == "\"\\a\\b\\f\\n\\r\\t\\v\"");
    CHECK(quoted(std::string_view("\0\x7f", 2)) == "\"\\x00\\x7f\"");
    CHECK(quoted("\xff") == "\"\\xff\"");
    CHECK(quoted("\xc3\xa9") == "\"\xc3\xa9\"");                  // e with an accent
    CHECK(quoted("\xc2\xa0") == "\"\\u00a0\"");                   // a blank that is not seen
    CHECK(quoted("\xf0\x9f\x8c\xb3") == "\"\xf0\x9f\x8c\xb3\"");  // a tree
    CHECK(quoted("\xf3\xa0\x80\x81") == "\"\\U000e0001\"");
    CHECK(quoted("\xc0\x80") == "\"\\xc0\\x80\"");           // overlong
    CHECK(quoted("\xed\xa0\x80") == "\"\\xed\\xa0\\x80\"");  // a surrogate
    CHECK(quoted("\xe2\x82") == "\"\\xe2\\x82\"");           // cut off
}
