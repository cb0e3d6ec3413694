// A place in a text that knows its line.
// Leaves to others: what the text means (parser, scalar).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "gateway/conf/value.h"

namespace gateway::conf {

/// Borrows the text.
class Cursor {
  public:
    Cursor(std::string_view text, std::uint32_t file) : text_(text), file_(file) {}

    [[nodiscard]] bool at_end() const { return position_ == text_.size(); }
    /// The byte `ahead` of here; '\0' behind the end (there is none within: the parser refuses it).
    [[nodiscard]] char peek(std::size_t ahead = 0) const {
        return position_ + ahead < text_.size() ? text_[position_ + ahead] : '\0';
    }
    [[nodiscard]] bool looks_at(std::string_view text) const { return text_.substr(position_).starts_with(text); }
    /// One byte on.  Not at the end.
    void advance() {
        if (text_[position_] == '\n') {
            ++line_;
            line_start_ = position_ + 1;
        }
        ++position_;
    }
    void advance(std::size_t bytes) {
        while (bytes-- > 0) advance();
    }
    [[nodiscard]] std::size_t position() const { return position_; }
    /// From `begin` to here.
    [[nodiscard]] std::string_view since(std::size_t begin) const { return text_.substr(begin, position_ - begin); }
    [[nodiscard]] Place place() const {
        return {file_, line_, static_cast<std::uint32_t>(position_ - line_start_ + 1)};
    }
    /// How many bytes of blank there are here: what Unicode calls a space, line ends included; 0: none.
    [[nodiscard]] std::size_t space() const;

  private:
    std::string_view text_;
    std::size_t position_ = 0;
    std::size_t line_start_ = 0;
    std::uint32_t file_;
    std::uint32_t line_ = 1;
};

inline bool is_blank(char c) {
    return c == ' ' || c == '\t';
}
inline bool is_line_end(char c) {
    return c == '\n' || c == '\r';
}
inline bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

}  // namespace gateway::conf
