// UTF-8 for what is quoted to people: one character at a time, as Go reads it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "routing/base/bytes.h"

namespace compat {

/// Reads one character off the front of `text`, which is not empty.
/// Returns its length in bytes, 0 if no valid UTF-8 is there (then one byte is to be skipped).
[[nodiscard]] std::size_t decode_utf8(std::string_view text, std::uint32_t& rune);

/// Appends `rune`, which is a valid one.
void append_utf8(base::Bytes& out, std::uint32_t rune);

/// What stands for bytes that are not UTF-8.
inline constexpr std::uint32_t replacement_rune = 0xfffd;

}  // namespace compat
