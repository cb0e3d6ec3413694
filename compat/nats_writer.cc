#include "compat/nats_writer.h"

namespace compat {

namespace {

// "00" to "99": two digits a division.
struct DigitPairs {
    char text[200];
    constexpr DigitPairs() : text() {
        for (int i = 0; i < 100; ++i) {
            text[2 * i] = static_cast<char>('0' + i / 10);
            text[2 * i + 1] = static_cast<char>('0' + i % 10);
        }
    }
};
constexpr DigitPairs digit_pairs;

}  // namespace

char* write_number(char* at, std::uint64_t value) {
    char digits[number_digits_max];
    char* first = digits + sizeof(digits);
    while (value >= 100) {
        first -= 2;
        std::memcpy(first, digit_pairs.text + 2 * (value % 100), 2);
        value /= 100;
    }
    if (value >= 10) {
        first -= 2;
        std::memcpy(first, digit_pairs.text + 2 * value, 2);
    } else {
        *--first = static_cast<char>('0' + value);
    }
    const auto length = static_cast<std::size_t>(digits + sizeof(digits) - first);
    std::memcpy(at, first, length);
    return at + length;
}

void append_number(base::Bytes& out, std::uint64_t value) {
    char digits[number_digits_max];
    out.append(digits, write_number(digits, value));
}

void append_message_head(base::Bytes& out, std::string_view subject, std::string_view sid) {
    out.append("HMSG ").append(subject).append(" ").append(sid).append(" ");
}

void append_delivery_tail(base::Bytes& out, const OutgoingMessage& message, bool with_headers) {
    if (!message.reply.empty()) {
        out.append(message.reply);
        out.push_back(' ');
    }
    char text[2 * number_digits_max + 3];
    char* at = text;
    if (with_headers) {
        at = write_number(at, message.header_bytes);
        *at++ = ' ';
        at = write_number(at, message.body.size());
    } else {
        at = write_number(at, message.body.size() - message.header_bytes);
    }
    *at++ = '\r';
    *at++ = '\n';
    out.append(text, at);
}

void append_delivery(base::Bytes& out, std::string_view head, bool headers_ok, const OutgoingMessage& message) {
    const bool with_headers = delivered_with_headers(message, headers_ok);
    if (!with_headers) head.remove_prefix(1);
    out.append(head);
    append_delivery_tail(out, message, with_headers);
    out.append(with_headers ? message.body : message.body.substr(message.header_bytes));
    out.append(line_end);
}

void append_no_responders(base::Bytes& out, std::string_view reply, std::string_view sid, std::string_view subject) {
    constexpr std::string_view before = "NATS/1.0 503\r\nNats-Subject: ";
    constexpr std::string_view after = "\r\n\r\n";
    const std::size_t header_bytes = before.size() + subject.size() + after.size();
    append_message_head(out, reply, sid);
    append_number(out, header_bytes);
    out.push_back(' ');
    append_number(out, header_bytes);
    out.append(line_end).append(before).append(subject).append(after).append(line_end);
}

}  // namespace compat
