#include "routing/peer/compress.h"

#include <catch2/catch.hpp>

#include "routing/base/prng.h"
#include "routing/peer/peer_codec.h"
#include "tree_world.h"

using namespace tree_world;

namespace {

/// Text that a compressor halves, no two parts alike.
base::Bytes some_text(std::size_t size, std::uint64_t seed) {
    base::Prng prng(seed);
    base::Bytes text;
    while (text.size() < size) text += "{\"order\":" + std::to_string(prng.next()) + ",\"state\":\"new\"}";
    text.resize(size);
    return text;
}

base::Bytes noise(std::size_t size) {
    base::Prng prng(7);
    base::Bytes bytes;
    while (bytes.size() < size) bytes.push_back(static_cast<char>(prng.next()));
    return bytes;
}

void start_pair(World& world, Compression first, Compression second) {
    World::Setup setup;
    setup.compression = first;
    world.start(0, setup);
    setup.compression = second;
    setup.join = {"g0"};
    world.start(1, setup);
    world.run(seconds(5));
    REQUIRE(world.why_not_one_tree() == "");
}

}  // namespace

TEST_CASE("what is compressed comes out as it was", "[peer][compress]") {
    Compressor compressor;
    for (const std::size_t size : {std::size_t{512}, std::size_t{16'000}, std::size_t{3'000'000}}) {
        CAPTURE(size);
        const base::Bytes text = some_text(size, size);
        base::Bytes packed = "before";
        REQUIRE(compressor.compress(text, packed));
        CHECK(packed.size() < text.size() * 7 / 8 + 10);
        const base::ByteView body = base::ByteView{packed}.substr(6);
        CHECK(Compressor::raw_bytes(body) == size);
        base::Bytes out;
        REQUIRE(compressor.decompress(body, out));
        CHECK(out == text);
    }
}

TEST_CASE("what is short, does not shrink, or shrinks beyond belief goes as it is", "[peer][compress]") {
    Compressor compressor;
    base::Bytes packed;
    CHECK_FALSE(compressor.compress(some_text(compress_bytes_min - 1, 1), packed));
    CHECK_FALSE(compressor.compress(noise(100'000), packed));
    CHECK_FALSE(compressor.compress(base::Bytes(10'000'000, 'x'), packed));
    CHECK(packed.empty());
}

TEST_CASE("a compressed body that lies is refused, and never makes us allocate what it claims", "[peer][compress]") {
    Compressor compressor;
    base::Bytes packed;
    REQUIRE(compressor.compress(some_text(10'000, 1), packed));
    base::Bytes out;
    const auto claiming = [&](std::uint32_t size) {
        base::Bytes lie;
        base::append_little_endian(lie, size);
        return lie + packed.substr(4);
    };
    CHECK_FALSE(compressor.decompress(claiming(9'999), out));
    CHECK_FALSE(compressor.decompress(claiming(10'001), out));
    CHECK(Compressor::raw_bytes(claiming(UINT32_MAX)) == 0);
    CHECK_FALSE(compressor.decompress(claiming(0), out));
    CHECK(Compressor::raw_bytes("") == 0);
    CHECK(Compressor::raw_bytes("abcd") == 0);
    for (std::size_t size = 0; size < packed.size(); ++size)
        CHECK_FALSE(compressor.decompress(base::ByteView{packed}.substr(0, size), out));
    base::Prng prng(3);
    for (int i = 0; i < 3000; ++i) {
        base::Bytes spoiled = packed;
        spoiled[prng.below(spoiled.size())] = static_cast<char>(prng.next());
        if (compressor.decompress(spoiled, out)) CHECK(out.size() == 10'000);
        CHECK(out.capacity() < 2'000'000);
    }
}

TEST_CASE("a link compresses where both ends can and it is wanted, or far", "[peer][compress]") {
    World world(1);
    bool expected = true;
    SECTION("on at one end is enough, if the other can") {
        start_pair(world, Compression::on, Compression::automatic);
    }
    SECTION("far away") {
        world.delay_min = world.delay_max = milliseconds(8);
        start_pair(world, Compression::automatic, Compression::automatic);
    }
    SECTION("not near") {
        start_pair(world, Compression::automatic, Compression::automatic);
        expected = false;
    }
    SECTION("not if the other end does not") {
        start_pair(world, Compression::on, Compression::off);
        expected = false;
    }
    for (int i = 0; i < 20; ++i) world.interest(0, some_text(100, static_cast<std::uint64_t>(i)), "", 1);
    std::vector<Received> sent;
    for (int i = 0; i < 20; ++i) {
        sent.push_back({World::id_of(1), "s" + std::to_string(i), some_text(3000, static_cast<std::uint64_t>(i))});
        REQUIRE(world.send(0, {1}, sent.back().subject, sent.back().payload).targets_missed == 0);
    }
    world.chunk_max = 100'000;
    world.run(seconds(5));
    CHECK(world.gateways[1]->received == sent);
    const TreeCounters& counters = world.gateways[0]->tree->counters();
    CHECK((counters.frames_compressed > 0) == expected);
    CHECK((counters.bytes_saved > 20'000) == expected);
    CHECK(world.why_not_one_tree() == "");
    CHECK(counters.links_lost == 0);
}

TEST_CASE("a compressed frame without leave, or one that lies, costs the link", "[peer][compress]") {
    World world(2);
    const bool may = GENERATE(false, true);
    start_pair(world, may ? Compression::on : Compression::off, Compression::on);
    const World::Pipe& pipe = world.pipes[world.connections(0, 1)[1]];
    const World::End& end = pipe.ends[0].place == 0 ? pipe.ends[0] : pipe.ends[1];
    base::Bytes frame;
    append_header(frame, FrameHeader{9, 0x43, compressed_flag, 1});
    frame += base::Bytes("\x10\x00\x00\x00 junk", 9);
    world.gateways[0]->tree->on_bytes(end.transport, frame, world.now);
    world.pump(*world.gateways[0]);
    CHECK(world.gateways[0]->logged("link to n1 (from-g1) ends: a compressed frame: "));
    CHECK(world.gateways[0]->tree->counters().protocol_errors == 1);
    world.run(seconds(10));
    CHECK(world.why_not_one_tree() == "");
}
