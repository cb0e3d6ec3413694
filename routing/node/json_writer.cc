#include "routing/node/json_writer.h"

namespace routing::node {

JsonWriter& JsonWriter::string(std::string_view text) {
    static constexpr char digits[] = "0123456789abcdef";
    separate();
    out_.push_back('"');
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out_.push_back('\\');
            out_.push_back(c);
        } else if (c == '\n') {
            out_ += "\\n";
        } else if (c == '\r') {
            out_ += "\\r";
        } else if (c == '\t') {
            out_ += "\\t";
        } else if (byte < 0x20 || byte == 0x7f) {
            out_ += "\\u00";
            out_.push_back(digits[byte >> 4]);
            out_.push_back(digits[byte & 15]);
        } else {
            out_.push_back(c);
        }
    }
    out_.push_back('"');
    comma_ = true;
    return *this;
}

namespace {

/// Reads the string whose opening quote is at `at`; leaves `at` behind the closing one.  False if it does not end.
bool read_string(std::string_view text, std::size_t& at, std::string& out) {
    out.clear();
    for (++at; at < text.size(); ++at) {
        char c = text[at];
        if (c == '"') {
            ++at;
            return true;
        }
        if (c == '\\') {
            if (++at >= text.size()) return false;
            c = text[at];
            if (c == 'n') c = '\n';
            if (c == 'r') c = '\r';
            if (c == 't') c = '\t';
            if (c == 'u') {
                unsigned value = 0;
                if (at + 4 >= text.size()) return false;
                for (int i = 0; i < 4; ++i) {
                    const char digit = text[++at];
                    value = value * 16 + static_cast<unsigned>(digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
                }
                c = value < 0x100 ? static_cast<char>(value) : '?';
            }
        }
        out.push_back(c);
    }
    return false;
}

}  // namespace

std::string json_string_member(std::string_view object, std::string_view name) {
    std::string text;
    int depth = 0;
    for (std::size_t at = 0; at < object.size();) {
        const char c = object[at];
        if (c != '"') {
            if (c == '{' || c == '[') ++depth;
            if (c == '}' || c == ']') --depth;
            ++at;
            continue;
        }
        if (!read_string(object, at, text)) return {};
        std::size_t next = object.find_first_not_of(" \t\r\n", at);
        if (depth != 1 || text != name || next == std::string_view::npos || object[next] != ':') continue;
        next = object.find_first_not_of(" \t\r\n", next + 1);
        if (next == std::string_view::npos || object[next] != '"') return {};
        if (!read_string(object, next, text)) return {};
        return text;
    }
    return {};
}

}  // namespace routing::node
