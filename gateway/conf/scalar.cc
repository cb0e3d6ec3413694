#include "gateway/conf/scalar.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

namespace gateway::conf {

namespace {

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return out;
}

/// A character as an error shows it.
std::string shown(const Cursor& cursor) {
    if (cursor.at_end()) return "the end";
    const char c = cursor.peek();
    if (c == '\n' || c == '\r') return "the line's end";
    return "'" + std::string(1, c) + "'";
}

/// What ends a word without quotes.
bool ends_word(const Cursor& cursor) {
    const char c = cursor.peek();
    return cursor.at_end() || is_line_end(c) || is_blank(c) || c == ';' || c == ',' || c == ']' || c == '}';
}

int hex_digit(char c) {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/// What a backslash here says, appended to `out`.
std::optional<Flaw> read_escape(Cursor& cursor, std::string& out) {
    cursor.advance();
    const char c = cursor.peek();
    constexpr std::string_view names = "tnr\"\\";
    constexpr std::string_view meanings = "\t\n\r\"\\";
    if (const std::size_t which = names.find(c); which != std::string_view::npos && !cursor.at_end()) {
        out += meanings[which];
        cursor.advance();
        return std::nullopt;
    }
    if (c != 'x') {
        return Flaw{cursor.place(),
                    "a backslash and " + shown(cursor) + R"(: only \xHH, \t, \n, \r, \" and \\ mean something)"};
    }
    const int high = hex_digit(cursor.peek(1));
    const int low = hex_digit(cursor.peek(2));
    if (high < 0 || low < 0) return Flaw{cursor.place(), R"(two hexadecimal digits must follow \x)"};
    out += static_cast<char>(high * 16 + low);
    cursor.advance(3);
    return std::nullopt;
}

Scalar read_double_quoted(Cursor& cursor) {
    const Place begin = cursor.place();
    cursor.advance();
    std::string out;
    while (!cursor.at_end()) {
        const char c = cursor.peek();
        if (c == '\\') {
            if (auto flaw = read_escape(cursor, out)) return *std::move(flaw);
            continue;
        }
        cursor.advance();
        if (c == '"') return out;
        out += c;
    }
    return Flaw{begin, "this string does not end"};
}

/// From '(' up to a ')' that stands at a line's beginning and is all of that line.
Scalar read_block(Cursor& cursor) {
    const Place begin = cursor.place();
    cursor.advance();
    const std::size_t from = cursor.position();
    for (char before = '('; !cursor.at_end(); before = cursor.peek(), cursor.advance()) {
        if (before != '\n' || cursor.peek() != ')') continue;
        const std::string_view block = cursor.since(from);
        const char after = cursor.peek(1);
        if (after != '\n' && after != '\0') continue;
        cursor.advance();
        return std::string(block);
    }
    return Flaw{begin, "this block does not end: its ')' must stand alone on a line"};
}

/// Goes on to the end of a word that `out` is the beginning of.
Scalar read_word(Cursor& cursor, std::string out, bool plain) {
    while (!ends_word(cursor)) {
        const char c = cursor.peek();
        if (c == '\\') {
            plain = false;
            if (auto flaw = read_escape(cursor, out)) return *std::move(flaw);
            continue;
        }
        cursor.advance();
        if (c == '\'') return out;  // as in stock: a quote ends a word, and is not part of it
        out += c;
    }
    if (!plain) return out;
    const std::string word = lower(out);
    if (word == "true" || word == "yes" || word == "on") return true;
    if (word == "false" || word == "no" || word == "off") return false;
    if (out.starts_with("$")) return Variable{out.substr(1)};
    return out;
}

/// The number of a unit: k 1000, kb, ki and kib 1024, and so on up to e.
std::optional<std::int64_t> unit_factor(std::string_view unit) {
    if (unit.empty()) return 1;
    const std::size_t power = std::string_view("kmgtpe").find(unit[0]);
    if (power == std::string_view::npos) return std::nullopt;
    unit.remove_prefix(1);
    if (!unit.empty() && unit != "b" && unit != "i" && unit != "ib") return std::nullopt;
    std::int64_t factor = 1;
    for (std::size_t i = 0; i <= power; ++i) factor *= unit.empty() ? 1000 : 1024;
    return factor;
}

Scalar integer_of(const Place& place, std::string_view digits, std::string_view unit) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    const auto factor = unit_factor(lower(unit));
    if (!factor) return Flaw{place, "'" + std::string(unit) + "' is no unit: k is 1000, kb, ki and kib are 1024, ..."};
    const std::int64_t most = std::numeric_limits<std::int64_t>::max() / *factor;
    if (error != std::errc() || (*factor != 1 && (number > most || number < -most))) {
        return Flaw{place, "integer '" + std::string(digits) + std::string(unit) + "' is out of the range"};
    }
    return number * *factor;
}

/// Days of a month, 1 to 12.
int month_days(int year, int month) {
    if (month == 2) return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

bool is_date(std::string_view text) {
    constexpr std::string_view form = "0000-00-00T00:00:00Z";
    if (text.size() != form.size()) return false;
    for (std::size_t i = 0; i < form.size(); ++i) {
        if (form[i] == '0' ? !is_digit(text[i]) : text[i] != form[i]) return false;
    }
    const auto number = [text](std::size_t from, std::size_t count) {
        int value = 0;
        for (const char c : text.substr(from, count)) value = value * 10 + (c - '0');
        return value;
    };
    const int month = number(5, 2);
    return month >= 1 && month <= 12 && number(8, 2) >= 1 && number(8, 2) <= month_days(number(0, 4), month) &&
           number(11, 2) < 24 && number(14, 2) < 60 && number(17, 2) < 60;
}

Scalar read_date(Cursor& cursor, std::size_t from, const Place& begin) {
    constexpr std::size_t rest = std::string_view("-00-00T00:00:00Z").size();
    for (std::size_t i = 0; i < rest && !cursor.at_end(); ++i) cursor.advance();
    const std::string_view text = cursor.since(from);
    if (!is_date(text)) {
        return Flaw{begin, "'" + std::string(text) + "' is no date: those are written as 2006-01-02T15:04:05Z"};
    }
    return Date{std::string(text)};
}

void skip_digits(Cursor& cursor) {
    while (is_digit(cursor.peek())) cursor.advance();
}

/// Behind the digits, at a point: a float, or an IP address if there is another point.
Scalar read_fraction(Cursor& cursor, std::size_t from, const Place& begin) {
    cursor.advance();
    if (!is_digit(cursor.peek())) {
        return Flaw{cursor.place(), "floats must have a digit after the '.', but here is " + shown(cursor)};
    }
    skip_digits(cursor);
    if (cursor.peek() == '.') {
        while (is_digit(cursor.peek()) || cursor.peek() == '.' || cursor.peek() == ':' || cursor.peek() == '-') {
            cursor.advance();
        }
        return std::string(cursor.since(from));
    }
    const std::string_view text = cursor.since(from);
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) return Flaw{begin, "float '" + std::string(text) + "' is out of the range"};
    return number;
}

Scalar read_number(Cursor& cursor) {
    const Place begin = cursor.place();
    const std::size_t from = cursor.position();
    const bool negative = cursor.peek() == '-';
    if (negative) {
        cursor.advance();
        if (!is_digit(cursor.peek())) return Flaw{cursor.place(), "here should be a digit, not " + shown(cursor)};
    }
    skip_digits(cursor);
    const std::string_view digits = cursor.since(from);
    if (cursor.peek() == '.') return read_fraction(cursor, from, begin);
    if (!negative && cursor.peek() == '-') {
        if (digits.size() != 4) return Flaw{begin, "dates must be in full Zulu form: 2006-01-02T15:04:05Z"};
        return read_date(cursor, from, begin);
    }
    const std::size_t unit_from = cursor.position();
    if (std::string_view("kKmMgGtTpPeE").find(cursor.peek()) != std::string_view::npos && !cursor.at_end()) {
        cursor.advance();
        while (cursor.peek() == 'b' || cursor.peek() == 'B' || cursor.peek() == 'i' || cursor.peek() == 'I') {
            cursor.advance();
        }
    }
    const std::string_view unit = cursor.since(unit_from);
    // As in stock: after a negative number without unit the statement must end; other digits may begin a word.
    if (ends_word(cursor) || (negative && unit.empty())) return integer_of(begin, digits, unit);
    return read_word(cursor, std::string(cursor.since(from)), false);
}

}  // namespace

std::variant<std::string, Flaw> read_quoted(Cursor& cursor) {
    const Place begin = cursor.place();
    const char quote = cursor.peek();
    cursor.advance();
    const std::size_t from = cursor.position();
    while (!cursor.at_end() && cursor.peek() != quote) cursor.advance();
    if (cursor.at_end()) return Flaw{begin, "this string does not end"};
    std::string text(cursor.since(from));
    cursor.advance();
    return text;
}

Scalar read_scalar(Cursor& cursor) {
    switch (cursor.peek()) {
        case '"':
            return read_double_quoted(cursor);
        case '\'': {
            auto text = read_quoted(cursor);
            if (auto* flaw = std::get_if<Flaw>(&text)) return std::move(*flaw);
            return std::get<std::string>(std::move(text));
        }
        case '(':
            return read_block(cursor);
        case '.':
            return Flaw{cursor.place(), "floats must start with a digit"};
        case '-':
            return read_number(cursor);
        default:
            return is_digit(cursor.peek()) ? read_number(cursor) : read_word(cursor, {}, true);
    }
}

}  // namespace gateway::conf
