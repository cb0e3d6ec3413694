#include "routing/base/bytes.h"

#include <catch2/catch.hpp>
#include <limits>

using namespace base;

TEST_CASE("a varint comes back as it went in, whatever its size", "[base][bytes]") {
    const std::uint64_t value = GENERATE(as<std::uint64_t>{}, 0, 1, 127, 128, 300, 16383, 16384, 0xffffffffULL,
                                         std::numeric_limits<std::uint64_t>::max());
    CAPTURE(value);
    Bytes out;
    append_varint(out, value);
    REQUIRE(out.size() == varint_size(value));
    ByteView in = out;
    std::uint64_t read = 1;
    REQUIRE(read_varint(in, read));
    CHECK(read == value);
    CHECK(in.empty());
    for (std::size_t cut = 0; cut < out.size(); ++cut) {
        ByteView part = ByteView(out).substr(0, cut);
        CHECK_FALSE(read_varint(part, read));
    }
}

TEST_CASE("a varint that does not fit 64 bits is refused", "[base][bytes]") {
    const Bytes too_long(11, '\x80');
    Bytes too_large(9, '\xff');
    too_large.push_back('\x02');
    std::uint64_t value = 0;
    ByteView in = too_long;
    CHECK_FALSE(read_varint(in, value));
    in = too_large;
    CHECK_FALSE(read_varint(in, value));
}

TEST_CASE("big-endian numbers sort as their bytes do", "[base][bytes]") {
    Bytes small;
    Bytes large;
    append_big_endian_64(small, 255);
    append_big_endian_64(large, 256);
    CHECK(small < large);
    ByteView in = large;
    std::uint64_t value = 0;
    REQUIRE(read_big_endian_64(in, value));
    CHECK(value == 256);
}
