// JSON as the stock server (Go's encoding/json) reads and writes it: the same texts are refused, the same bytes come
// out. Small on purpose: tokens one at a time, nothing is built in memory, nesting costs no stack.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "routing/base/bytes.h"

namespace compat {

/// How deep arrays and objects may be nested.  Source: Go encoding/json maxNestingDepth.
inline constexpr std::size_t json_depth_max = 10000;

/// Walks the tokens of one JSON text and checks its grammar on the way.
///
///     JsonTokens tokens(text);
///     for (auto token = tokens.next(); token != JsonTokens::Token::end; token = tokens.next()) {
///         if (token == JsonTokens::Token::wrong) ... not JSON; it stays so
///     }
///
/// Borrows: the text for life.  Threads: one at a time.
class JsonTokens {
  public:
    enum class Token : std::uint8_t {
        wrong,         ///< not JSON
        end,           ///< the text is used up, and was JSON
        null,          //
        boolean,       ///< see boolean()
        number,        ///< see number()
        text,          ///< see text()
        key,           ///< of an object's member, see text(); its value follows
        open_object,   //
        close_object,  //
        open_array,    //
        close_array,   //
    };

    explicit JsonTokens(std::string_view text) : rest_(text) {}

    [[nodiscard]] Token next();
    /// Goes past the value that begins with `token`, which next() has just returned.  False: it is not JSON.
    [[nodiscard]] bool skip(Token token);

    [[nodiscard]] bool boolean() const { return boolean_; }
    /// As written, for instance "-1.5e3".
    [[nodiscard]] std::string_view number() const { return number_; }
    /// Without escapes.  Bytes that are not UTF-8, and halves of surrogate pairs, have become U+FFFD.
    /// Valid until the next next().
    [[nodiscard]] std::string_view text() const { return text_; }

  private:
    enum class Expect : std::uint8_t { value, value_or_close, key, key_or_close, colon, comma_or_close, nothing };

    Token value(char c);
    Token open(char c);
    Token close(char c);
    Token fail();
    bool word(std::string_view word);
    bool read_number();
    bool read_text();
    bool read_escape();

    std::string_view rest_;
    std::string_view number_;
    std::string text_;
    std::vector<bool> objects_;  // what is open: true for an object
    Expect expect_ = Expect::value;
    bool boolean_ = false;
};

/// Appends `text` as a JSON string, quotes included, in the spelling of Go: `<`, `>`, `&` and what is not printable as
/// \u escapes, what is not UTF-8 as \ufffd.
void append_json_text(base::Bytes& out, std::string_view text);

}  // namespace compat
