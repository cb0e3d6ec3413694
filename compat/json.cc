#include "compat/json.h"

#include "compat/utf8.h"

namespace compat {

namespace {

using Token = JsonTokens::Token;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// The value of a hexadecimal digit, or 16.
std::uint32_t hex_value(char c) {
    if (is_digit(c)) return static_cast<std::uint32_t>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<std::uint32_t>(c - 'a' + 10);
    if (c >= 'A' && c <= 'F') return static_cast<std::uint32_t>(c - 'A' + 10);
    return 16;
}

// Reads the four digits of "\uXXXX" at the front of `text`.
bool read_hex4(std::string_view text, std::uint32_t& value) {
    if (text.size() < 4) return false;
    value = 0;
    for (std::size_t i = 0; i < 4; ++i) {
        const std::uint32_t digit = hex_value(text[i]);
        if (digit == 16) return false;
        value = value * 16 + digit;
    }
    return true;
}

constexpr bool is_high_surrogate(std::uint32_t rune) {
    return rune >= 0xd800 && rune < 0xdc00;
}
constexpr bool is_low_surrogate(std::uint32_t rune) {
    return rune >= 0xdc00 && rune < 0xe000;
}

}  // namespace

Token JsonTokens::fail() {
    rest_ = "?";  // so that it stays wrong
    expect_ = Expect::nothing;
    return Token::wrong;
}

Token JsonTokens::next() {
    while (true) {
        const std::size_t at = rest_.find_first_not_of(" \t\r\n");
        if (at == std::string_view::npos) {
            rest_ = {};
            return expect_ == Expect::nothing ? Token::end : fail();
        }
        rest_.remove_prefix(at);
        const char c = rest_.front();
        switch (expect_) {
            case Expect::nothing:
                return fail();
            case Expect::comma_or_close:
                if (c != ',') return close(c);
                rest_.remove_prefix(1);
                expect_ = objects_.back() ? Expect::key : Expect::value;
                continue;
            case Expect::colon:
                if (c != ':') return fail();
                rest_.remove_prefix(1);
                expect_ = Expect::value;
                continue;
            case Expect::key_or_close:
                if (c == '}') return close(c);
                [[fallthrough]];
            case Expect::key:
                if (c != '"' || !read_text()) return fail();
                expect_ = Expect::colon;
                return Token::key;
            case Expect::value_or_close:
                if (c == ']') return close(c);
                [[fallthrough]];
            case Expect::value:
                return value(c);
        }
    }
}

Token JsonTokens::value(char c) {
    if (c == '{' || c == '[') return open(c);
    expect_ = objects_.empty() ? Expect::nothing : Expect::comma_or_close;
    boolean_ = c == 't';
    switch (c) {
        case 'n':
            return word("null") ? Token::null : fail();
        case 't':
            return word("true") ? Token::boolean : fail();
        case 'f':
            return word("false") ? Token::boolean : fail();
        case '"':
            return read_text() ? Token::text : fail();
        default:
            return read_number() ? Token::number : fail();
    }
}

Token JsonTokens::open(char c) {
    if (objects_.size() == json_depth_max) return fail();
    rest_.remove_prefix(1);
    objects_.push_back(c == '{');
    expect_ = c == '{' ? Expect::key_or_close : Expect::value_or_close;
    return c == '{' ? Token::open_object : Token::open_array;
}

Token JsonTokens::close(char c) {
    const bool object = objects_.back();
    if (c != (object ? '}' : ']')) return fail();
    rest_.remove_prefix(1);
    objects_.pop_back();
    expect_ = objects_.empty() ? Expect::nothing : Expect::comma_or_close;
    return object ? Token::close_object : Token::close_array;
}

bool JsonTokens::skip(Token token) {
    if (token != Token::open_object && token != Token::open_array) return token != Token::wrong;
    const std::size_t depth = objects_.size();
    while (objects_.size() >= depth)
        if (next() == Token::wrong) return false;
    return true;
}

bool JsonTokens::word(std::string_view word) {
    if (rest_.substr(0, word.size()) != word) return false;
    rest_.remove_prefix(word.size());
    return true;
}

bool JsonTokens::read_number() {
    std::size_t at = 0;
    const auto digits = [&] {
        const std::size_t from = at;
        while (at < rest_.size() && is_digit(rest_[at])) ++at;
        return at != from;
    };
    if (rest_[at] == '-') ++at;
    if (at < rest_.size() && rest_[at] == '0') {
        ++at;
    } else if (!digits()) {
        return false;
    }
    if (at < rest_.size() && rest_[at] == '.') {
        ++at;
        if (!digits()) return false;
    }
    if (at < rest_.size() && (rest_[at] == 'e' || rest_[at] == 'E')) {
        ++at;
        if (at < rest_.size() && (rest_[at] == '+' || rest_[at] == '-')) ++at;
        if (!digits()) return false;
    }
    number_ = rest_.substr(0, at);
    rest_.remove_prefix(at);
    return true;
}

bool JsonTokens::read_text() {
    text_.clear();
    rest_.remove_prefix(1);
    while (!rest_.empty()) {
        const char c = rest_.front();
        if (c == '"') {
            rest_.remove_prefix(1);
            return true;
        }
        if (static_cast<std::uint8_t>(c) < 0x20) return false;
        if (c == '\\') {
            if (!read_escape()) return false;
            continue;
        }
        std::uint32_t rune = 0;
        const std::size_t bytes = decode_utf8(rest_, rune);
        if (bytes == 0) {
            append_utf8(text_, replacement_rune);
        } else {
            text_.append(rest_.substr(0, bytes));
        }
        rest_.remove_prefix(bytes == 0 ? 1 : bytes);
    }
    return false;
}

bool JsonTokens::read_escape() {
    static constexpr std::string_view letters = "\"\\/bfnrt";
    static constexpr std::string_view meant = "\"\\/\b\f\n\r\t";
    if (rest_.size() < 2) return false;
    const char c = rest_[1];
    rest_.remove_prefix(2);
    if (const std::size_t at = letters.find(c); at != std::string_view::npos) {
        text_.push_back(meant[at]);
        return true;
    }
    std::uint32_t rune = 0;
    if (c != 'u' || !read_hex4(rest_, rune)) return false;
    rest_.remove_prefix(4);
    if (is_high_surrogate(rune)) {
        std::uint32_t low = 0;
        if (rest_.substr(0, 2) == "\\u" && read_hex4(rest_.substr(2), low) && is_low_surrogate(low)) {
            rest_.remove_prefix(6);
            rune = 0x10000 + ((rune - 0xd800) << 10) + (low - 0xdc00);
        } else {
            rune = replacement_rune;
        }
    } else if (is_low_surrogate(rune)) {
        rune = replacement_rune;
    }
    append_utf8(text_, rune);
    return true;
}

void append_json_text(base::Bytes& out, std::string_view text) {
    static constexpr std::string_view digits = "0123456789abcdef";
    out.push_back('"');
    while (!text.empty()) {
        const char c = text.front();
        std::uint32_t rune = 0;
        const std::size_t bytes = decode_utf8(text, rune);
        if (bytes == 0) {
            out.append("\\ufffd");
            text.remove_prefix(1);
            continue;
        }
        if (c == '"' || c == '\\') {
            out.push_back('\\');
            out.push_back(c);
        } else if (rune >= 8 && rune <= 13 && rune != 11) {
            out.push_back('\\');
            out.push_back("btn?fr"[rune - 8]);
        } else if (rune < 0x20 || c == '<' || c == '>' || c == '&') {
            out.append("\\u00");
            out.push_back(digits[rune >> 4]);
            out.push_back(digits[rune & 15]);
        } else if (rune == 0x2028 || rune == 0x2029) {
            out.append(rune == 0x2028 ? "\\u2028" : "\\u2029");
        } else {
            out.append(text.substr(0, bytes));
        }
        text.remove_prefix(bytes);
    }
    out.push_back('"');
}

}  // namespace compat
