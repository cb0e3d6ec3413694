// The NATS/1.0 header block: "NATS/1.0[ status[ description]]\r\n", then "Key: value\r\n" lines, then "\r\n".
// Keys are compared byte for byte, as the server does (client libraries differ).  A server passes a client's block on
// unread; these functions are for the headers that a gateway itself reads or adds.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "routing/base/bytes.h"

namespace compat {

inline constexpr std::string_view header_version = "NATS/1.0";

/// Walks the fields of a header block in order without copying: `while (fields.next(field))`.
/// Stops at the first line that is not "Key: value"; valid_headers() tells whether that can happen.
class HeaderFields {
  public:
    struct Field {
        std::string_view key;
        std::string_view value;  ///< without the blanks around it
    };
    /// Borrows: `block` for its own life and that of the fields.
    explicit HeaderFields(base::ByteView block);
    [[nodiscard]] bool next(Field& field);

  private:
    base::ByteView rest_;
};

/// True if `block` is a whole header block: version line, fields with a key without blanks, a closing empty line and
/// nothing after it.
[[nodiscard]] bool valid_headers(base::ByteView block);

/// The value of the first field `key` (byte-exact), or nothing.
/// Borrows: a view into `block`.
[[nodiscard]] std::optional<std::string_view> find_header(base::ByteView block, std::string_view key);

/// The status of a block such as "NATS/1.0 503\r\n\r\n": what follows the version up to the next blank; empty if none.
[[nodiscard]] std::string_view header_status(base::ByteView block);

/// Adds "Key: value" as the last field.  `block` must be valid, or empty: then it becomes a whole block.
/// `key` and `value` must not contain "\r" or "\n" (asserted: they are ours).
void append_header(base::Bytes& block, std::string_view key, std::string_view value);

}  // namespace compat
