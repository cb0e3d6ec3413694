#include "gateway/output_queue.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "routing/base/prng.h"

using gateway::Chunk;
using gateway::ChunkPool;
using gateway::OutputQueue;

namespace {

std::string waiting(const OutputQueue& queue) {
    std::string all;
    for (std::size_t i = 0; i < queue.piece_count(); ++i) {
        const auto& piece = queue.pieces()[i];
        all.append(piece.chunk->data.get() + piece.begin, piece.end - piece.begin);
    }
    return all;
}

}  // namespace

TEST_CASE("an output queue gives back what was put in, in order, however it is consumed", "[gateway][output]") {
    const std::uint64_t seed = GENERATE(range(0, 50));
    CAPTURE(seed);
    base::Prng prng(seed);
    ChunkPool pool;
    OutputQueue queue(pool);
    std::string expected;
    Chunk* shared = pool.take(1);
    for (int step = 0; step < 300; ++step) {
        const std::string text(prng.below(prng.chance(1, 50) ? 200'000 : 300), static_cast<char>('a' + prng.below(26)));
        if (prng.chance(1, 3) && text.size() <= shared->capacity - shared->used) {
            const auto begin = shared->used;
            std::copy(text.begin(), text.end(), shared->data.get() + begin);
            shared->used += static_cast<std::uint32_t>(text.size());
            if (!text.empty()) queue.append_shared(shared, begin, shared->used);
        } else {
            queue.append(text);
        }
        expected += text;
        REQUIRE(queue.size() == expected.size());
        if (prng.chance(1, 2)) {
            const auto written = prng.chance(1, 4) ? queue.size() : prng.below(queue.size() + 1);
            queue.consume(written);
            expected.erase(0, written);
        }
        REQUIRE(waiting(queue) == expected);
    }
    ChunkPool::drop(shared);
}

TEST_CASE("what is shared contiguously becomes one piece", "[gateway][output]") {
    ChunkPool pool;
    OutputQueue queue(pool);
    Chunk* shared = pool.take(1);
    shared->used = 30;
    queue.append_shared(shared, 0, 10);
    CHECK(queue.continues(shared, 10));
    queue.append_shared(shared, 10, 20);
    CHECK(queue.piece_count() == 1);
    queue.append_shared(shared, 25, 30);
    CHECK(queue.piece_count() == 2);
    CHECK(queue.size() == 25);
    ChunkPool::drop(shared);
}

TEST_CASE("an emptied queue holds no chunk, and the pool hands the same one out again", "[gateway][output]") {
    ChunkPool pool;
    OutputQueue queue(pool);
    queue.append("hello");
    Chunk* first = queue.pieces()[0].chunk;
    queue.consume(5);
    CHECK(queue.piece_count() == 0);
    Chunk* again = pool.take(10);
    CHECK(again == first);
    CHECK(again->used == 0);
    ChunkPool::drop(again);
}

TEST_CASE("a large chunk is used again for what is as large, and not for what is much smaller", "[gateway][output]") {
    ChunkPool pool;
    Chunk* first = pool.take(65'600);
    REQUIRE(first->capacity >= 65'600);
    ChunkPool::drop(first);
    Chunk* again = pool.take(65'700);
    CHECK(again == first);
    CHECK(again->used == 0);
    Chunk* larger = pool.take(1'000'000);
    ChunkPool::drop(larger);
    Chunk* other = pool.take(70'000);
    CHECK(other != larger);
    ChunkPool::drop(other);
    ChunkPool::drop(again);
}

TEST_CASE("free large chunks are bounded; the oldest go first", "[gateway][output]") {
    ChunkPool pool;
    std::vector<Chunk*> taken;
    for (std::size_t bytes = 0; bytes <= 2 * ChunkPool::free_bytes_max; bytes += 1 << 20)
        taken.push_back(pool.take(1 << 20));
    for (Chunk* chunk : taken) ChunkPool::drop(chunk);
    CHECK(pool.free_bytes() == ChunkPool::free_bytes_max);
    ChunkPool::drop(pool.take(ChunkPool::free_bytes_max + 1));  // too large to be kept
    CHECK(pool.free_bytes() == ChunkPool::free_bytes_max);
}
