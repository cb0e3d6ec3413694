#include "routing/peer/pack.h"

#include <catch2/catch.hpp>

#include "routing/base/prng.h"

using base::Bytes;
using routing::peer::PackError;
using routing::peer::PackReader;
using routing::peer::PackWriter;

namespace {

Bytes sample() {
    Bytes out;
    PackWriter(out)
        .array(9)
        .uint(7)
        .uint(UINT64_MAX)
        .sint(-5)
        .boolean(true)
        .str("orders.new")
        .bin(Bytes(300, 'x'))
        .nil()
        .map(1)
        .str("k")
        .array(2)
        .uint(1)
        .uint(2)
        .sint(INT64_MIN);
    return out;
}

// Reads `in` as sample() wrote it; true if all of it was there.
bool read_sample(base::ByteView in) {
    PackReader reader(in);
    bool same = reader.array(9, 9) == 9;
    same &= reader.uint() == 7;
    same &= reader.uint() == UINT64_MAX;
    same &= reader.sint() == -5;
    same &= reader.boolean();
    same &= reader.str(10) == "orders.new";
    same &= reader.bin_exact(300) == Bytes(300, 'x');
    same &= reader.nil();
    same &= reader.map(1, 1) == 1;
    same &= reader.str(1) == "k";
    same &= reader.array(2, 2) == 2;
    same &= reader.uint() == 1;
    same &= reader.uint() == 2;
    same &= reader.sint() == INT64_MIN;
    return reader.finished() && same;
}

}  // namespace

TEST_CASE("what was packed is read back", "[peer][pack]") {
    CHECK(read_sample(sample()));
}

TEST_CASE("packed bytes cut anywhere are refused as truncated and nothing is read beyond the cut", "[peer][pack]") {
    const Bytes whole = sample();
    for (std::size_t cut = 0; cut < whole.size(); ++cut) {
        CAPTURE(cut);
        const std::string exact(whole.data(), cut);  // its own allocation, so that a sanitizer sees an overrun
        CHECK_FALSE(read_sample(exact));
        PackReader skipper(exact);
        skipper.skip();
        CHECK(skipper.error() == PackError::truncated);
    }
    PackReader skipper(whole);
    skipper.skip();
    CHECK(skipper.finished());
}

TEST_CASE("a container that claims more elements than bytes are left is refused at its header", "[peer][pack]") {
    const auto error_of = [](const Bytes& bytes, bool map) {
        PackReader reader(bytes);
        if (map) {
            reader.map(0, UINT32_MAX);
        } else {
            reader.array(0, UINT32_MAX);
        }
        return reader.error();
    };
    CHECK(error_of(Bytes("\xdd\xff\xff\xff\xff", 5), false) == PackError::truncated);
    CHECK(error_of(Bytes("\xdf\xff\xff\xff\xff", 5), true) == PackError::truncated);
    CHECK(error_of(Bytes("\xdc\x00\x03\x01\x01", 5), false) == PackError::truncated);
    CHECK(error_of(Bytes("\xdc\x00\x02\x01\x01", 5), false) == PackError::none);
    CHECK(error_of(Bytes("\x82\x01\x01\x01", 4), true) == PackError::truncated);
    CHECK(error_of(Bytes("\xdb\xff\xff\xff\xff", 5), false) == PackError::wrong_type);

    PackReader text(
        base::ByteView("\xdb\xff\xff\xff\xff"
                       "abc",
                       8));
    text.str(SIZE_MAX);
    CHECK(text.error() == PackError::truncated);
    PackReader skipped(base::ByteView("\xdd\xff\xff\xff\xff\x01", 6));
    skipped.skip();
    CHECK(skipped.error() == PackError::truncated);
}

TEST_CASE("the caller's limits hold and the first error sticks", "[peer][pack]") {
    Bytes out;
    PackWriter(out).uint(70000).str("four").uint(1);
    PackReader number(out);
    CHECK(number.uint(69999) == 0);
    CHECK(number.error() == PackError::too_large);
    CHECK(number.str(99).empty());
    CHECK(number.error() == PackError::too_large);

    PackReader text(out);
    CHECK(text.uint(70000) == 70000);
    CHECK(text.str(3).empty());
    CHECK(text.error() == PackError::too_large);

    PackReader types(out);
    CHECK_FALSE(types.boolean());
    CHECK(types.error() == PackError::wrong_type);

    Bytes array;
    PackWriter(array).array(3).uint(1).uint(1).uint(1);
    PackReader few(array);
    few.array(4, 9);
    CHECK(few.error() == PackError::too_large);
    PackReader many(array);
    many.array(0, 2);
    CHECK(many.error() == PackError::too_large);
}

TEST_CASE("extension types and the unused byte are refused", "[peer][pack]") {
    for (const char* first : {"\xc1", "\xc7", "\xc8", "\xc9", "\xd4", "\xd8"}) {
        const Bytes bytes = Bytes(first, 1) + Bytes(20, '\x01');
        PackReader reader(bytes);
        reader.skip();
        CHECK(reader.error() == PackError::malformed);
        PackReader array(bytes);
        array.array(0, 99);
        CHECK(array.error() == PackError::malformed);
    }
}

TEST_CASE("nesting deeper than the limit is refused without recursion", "[peer][pack]") {
    const auto nested = [](int depth) { return Bytes(static_cast<std::size_t>(depth), '\x91') + Bytes(1, '\x01'); };
    const Bytes deepest = nested(PackReader::skip_depth_max);
    PackReader fits(deepest);
    fits.skip();
    CHECK(fits.finished());
    const Bytes deeper = nested(PackReader::skip_depth_max + 1);
    PackReader refused(deeper);
    refused.skip();
    CHECK(refused.error() == PackError::too_large);
    const Bytes hostile = nested(1'000'000);
    PackReader bomb(hostile);
    bomb.skip();
    CHECK(bomb.error() == PackError::too_large);
}

TEST_CASE("random bytes never crash the reader and skipping always ends", "[peer][pack]") {
    const std::uint64_t seed = GENERATE(1, 2, 3, 4);
    CAPTURE(seed);
    base::Prng prng(seed);
    int whole = 0;
    for (int round = 0; round < 5000; ++round) {
        Bytes bytes;
        const std::uint64_t size = prng.below(40);
        for (std::uint64_t i = 0; i < size; ++i) bytes.push_back(static_cast<char>(prng.next()));
        PackReader reader(bytes);
        while (reader.ok() && !reader.rest().empty()) reader.skip();
        whole += reader.finished() ? 1 : 0;
        read_sample(bytes);
    }
    CHECK(whole > 0);
}
