#include "gateway/conf/digest.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string_view>

namespace gateway::conf {

namespace {

void append_escaped(std::string& out, unsigned code) {
    constexpr std::string_view digits = "0123456789abcdef";
    out += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) out += digits[code >> shift & 0xF];
}

/// How many bytes of well-formed UTF-8 begin here; 0: none.
std::size_t sequence(std::string_view text) {
    const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned first = byte(0);
    std::size_t size = 1;
    if (first >= 0x80) size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first >= 0x80 && (first < 0xC2 || first > 0xF4)) return 0;
    if (text.size() < size) return 0;
    for (std::size_t i = 1; i < size; ++i) {
        if ((byte(i) & 0xC0) != 0x80) return 0;
    }
    const bool overlong = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xF0 && byte(1) < 0x90);
    const bool outside = (first == 0xED && byte(1) > 0x9F) || (first == 0xF4 && byte(1) > 0x8F);
    return overlong || outside ? 0 : size;
}

void append_text(std::string& out, std::string_view text) {
    constexpr std::string_view named = "\"\\\b\f\n\r\t";
    constexpr std::string_view names = "\"\\bfnrt";
    out += '"';
    while (!text.empty()) {
        const char c = text[0];
        const std::size_t size = sequence(text);
        if (const std::size_t which = named.find(c); which != std::string_view::npos) {
            out += '\\';
            out += names[which];
        } else if (static_cast<unsigned char>(c) < 0x20 || c == '<' || c == '>' || c == '&') {
            append_escaped(out, static_cast<unsigned char>(c));
        } else if (size == 0) {
            append_escaped(out, 0xFFFD);
        } else if (text.starts_with("\xe2\x80\xa8") || text.starts_with("\xe2\x80\xa9")) {
            append_escaped(out, text[2] == '\xa8' ? 0x2028 : 0x2029);
        } else {
            out += text.substr(0, size);
        }
        text.remove_prefix(size == 0 ? 1 : size);
    }
    out += '"';
}

void append_float(std::string& out, double number) {
    // 310 digits before the point at most; behind it the shortest that tells the number from its neighbours.
    std::array<char, 512> buffer{};
    const double size = std::fabs(number);
    const bool exponent = number != 0 && (size < 1e-6 || size >= 1e21);
    const auto format = exponent ? std::chars_format::scientific : std::chars_format::fixed;
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number, format).ptr;
    std::string text(buffer.data(), end);
    if (const std::size_t zero = text.find("e-0"); zero != std::string::npos) text.erase(zero + 2, 1);
    out += text;
}

void append_map(std::string& out, const Map& map);

void append_value(std::string& out, const Value& value) {
    struct Visitor {
        std::string& out;
        void operator()(bool on) const { out += on ? "true" : "false"; }
        void operator()(std::int64_t number) const { out += std::to_string(number); }
        void operator()(double number) const { append_float(out, number); }
        void operator()(const std::string& text) const { append_text(out, text); }
        void operator()(const Date& date) const { append_text(out, date.text); }
        void operator()(const Array& array) const {
            out += '[';
            for (const Value& each : array) {
                if (&each != &array.front()) out += ',';
                append_value(out, each);
            }
            out += ']';
        }
        void operator()(const Map& map) const { append_map(out, map); }
    };
    std::visit(Visitor{out}, value.data);
}

void append_map(std::string& out, const Map& map) {
    out += '{';
    for (const auto& [key, value] : map) {
        if (out.back() != '{') out += ',';
        append_text(out, key);
        out += ':';
        append_value(out, value);
    }
    out += '}';
}

}  // namespace

std::string digest_text(const Map& root) {
    std::string out;
    append_map(out, root);
    return out + "\n";
}

}  // namespace gateway::conf
