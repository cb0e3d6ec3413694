#include "gateway/conf/cursor.h"

#include <array>

namespace gateway::conf {

std::size_t Cursor::space() const {
    const char c = peek();
    if (c == ' ' || (c >= '\t' && c <= '\r')) return 1;
    if (static_cast<unsigned char>(c) < 0x80) return 0;
    // Source: Unicode's White_Space, as Go's unicode.IsSpace has it.
    constexpr std::array<std::string_view, 19> wide{
        "\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x81", "\xe2\x80\x82", "\xe2\x80\x83",
        "\xe2\x80\x84", "\xe2\x80\x85", "\xe2\x80\x86", "\xe2\x80\x87", "\xe2\x80\x88", "\xe2\x80\x89", "\xe2\x80\x8a",
        "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80"};
    for (const std::string_view space : wide) {
        if (looks_at(space)) return space.size();
    }
    return 0;
}

}  // namespace gateway::conf
