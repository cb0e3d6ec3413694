#include "compat/utf8.h"

namespace compat {

std::size_t decode_utf8(std::string_view text, std::uint32_t& rune) {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
    const std::uint8_t first = byte(0);
    std::size_t length = 0;
    std::uint32_t least = 0;
    if (first < 0x80) {
        rune = first;
        return 1;
    }
    if (first >= 0xc2 && first <= 0xdf) {
        length = 2, least = 0x80, rune = first & 0x1fU;
    } else if (first >= 0xe0 && first <= 0xef) {
        length = 3, least = 0x800, rune = first & 0x0fU;
    } else if (first >= 0xf0 && first <= 0xf4) {
        length = 4, least = 0x10000, rune = first & 0x07U;
    }
    if (length == 0 || text.size() < length) return 0;
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0U) != 0x80) return 0;
        rune = (rune << 6) | (byte(i) & 0x3fU);
    }
    if (rune < least || rune > 0x10ffff || (rune >= 0xd800 && rune <= 0xdfff)) return 0;
    return length;
}

void append_utf8(base::Bytes& out, std::uint32_t rune) {
    const auto put = [&](std::uint32_t value) { out.push_back(static_cast<char>(value)); };
    if (rune < 0x80) {
        put(rune);
    } else if (rune < 0x800) {
        put(0xc0 | (rune >> 6));
        put(0x80 | (rune & 0x3f));
    } else if (rune < 0x10000) {
        put(0xe0 | (rune >> 12));
        put(0x80 | ((rune >> 6) & 0x3f));
        put(0x80 | (rune & 0x3f));
    } else {
        put(0xf0 | (rune >> 18));
        put(0x80 | ((rune >> 12) & 0x3f));
        put(0x80 | ((rune >> 6) & 0x3f));
        put(0x80 | (rune & 0x3f));
    }
}

}  // namespace compat
