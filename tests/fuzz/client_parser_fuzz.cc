// Client bytes, cut in pieces that the input itself chooses, into the parser and into a session: neither may notice.
//
//   input:  options (1 byte) | how many piece sizes (1 byte, at most 15 count) | piece sizes | what the client sends
#include <cstddef>
#include <cstdint>
#include <string>

#include "routing/base/check.h"
#include "tests/fuzz/client_parser_check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    base::ByteView input(reinterpret_cast<const char*>(data), size);
    if (input.size() < 2) return 0;
    const auto flags = static_cast<std::uint8_t>(input[0]);
    const std::size_t sizes = static_cast<std::uint8_t>(input[1]) & 15U;
    input.remove_prefix(2);
    const base::ByteView pieces = input.substr(0, sizes);
    input.remove_prefix(pieces.size());

    compat::ParserCheckOptions options;
    options.headers_allowed = (flags & 1) != 0;
    if ((flags & 2) != 0) options.payload_bytes_max = 64;
    if ((flags & 4) != 0) options.control_line_bytes_max = 32;
    options.pedantic = (flags & 8) != 0;
    options.mappings = (flags & 16) != 0;

    const auto whole = [](std::size_t left) { return left; };
    std::size_t next = 0;
    const auto cut = [&](std::size_t) -> std::size_t {
        if (pieces.empty()) return 1;
        return static_cast<std::uint8_t>(pieces[next++ % pieces.size()]);
    };
    const auto parsed = compat::parser_trace(input, options, whole);
    const auto session = compat::session_trace(input, options, whole);
    BASE_CHECK(compat::parser_trace(input, options, cut) == parsed);
    next = 0;
    BASE_CHECK(compat::session_trace(input, options, cut) == session);

    options.look_ahead = 1 + sizes;
    options.look_ahead_take = 1 + sizes / 2;
    BASE_CHECK(compat::parser_trace(input, options, whole) == parsed);
    BASE_CHECK(compat::session_trace(input, options, whole) == session);
    next = 0;
    BASE_CHECK(compat::parser_trace(input, options, cut) == parsed);
    next = 0;
    BASE_CHECK(compat::session_trace(input, options, cut) == session);
    return 0;
}
