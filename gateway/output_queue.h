// What waits to be written to one connection, as pieces of refcounted chunks: small output is copied into a chunk of
// the connection's own, a frame that many connections get is encoded once in a shared chunk that all of them refer to.
// Leaves to others: sockets (gateway/io), who gets what (gateway/shard).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "routing/base/bytes.h"
#include "routing/base/check.h"

namespace gateway {

class ChunkPool;

/// A block of output bytes.  Bytes once written never change, so readers may share it; only its tail grows.
/// Threads: one (its count is not atomic).  Lifetime: goes back to its pool when the last reference is dropped.
struct Chunk {
    /// Unit: bytes.  Large enough that one system call takes much, small enough that a slow receiver pins little.
    static constexpr std::uint32_t usual_bytes = 64 * 1024;

    ChunkPool* pool = nullptr;
    std::unique_ptr<char[]> data;
    std::uint32_t capacity = 0;
    std::uint32_t used = 0;
    std::uint32_t references = 0;
};

/// Keeps chunks for reuse, so that the steady state allocates nothing and an idle connection holds nothing.
class ChunkPool {
  public:
    /// How many bytes of free chunks are kept, of the usual size and (counted apart) of larger ones.  Unit: bytes.
    static constexpr std::size_t free_bytes_max = 16 * 1024 * 1024;
    /// Larger chunks come in multiples of this, so that messages of about one size use each other's.  Unit: bytes.
    static constexpr std::size_t large_step_bytes = 16 * 1024;

    ChunkPool() = default;
    ChunkPool(const ChunkPool&) = delete;
    ChunkPool& operator=(const ChunkPool&) = delete;
    /// Every chunk must have come back: whoever holds output must go before its pool.
    ~ChunkPool() {
        BASE_CHECK(out_ == 0);
        for (Chunk* chunk : free_) delete chunk;
        for (Chunk* chunk : large_) delete chunk;
    }

    /// A chunk with one reference and room for at least `bytes`.
    Chunk* take(std::size_t bytes) {
        ++out_;
        Chunk* chunk = nullptr;
        if (bytes > Chunk::usual_bytes) {
            chunk = take_large(bytes);
        } else if (!free_.empty()) {
            chunk = free_.back();
            free_.pop_back();
        }
        if (chunk == nullptr) chunk = make(std::max<std::size_t>(bytes, Chunk::usual_bytes));
        chunk->references = 1;
        return chunk;
    }

    /// What is kept for reuse now.  Unit: bytes.
    [[nodiscard]] std::size_t free_bytes() const { return free_.size() * Chunk::usual_bytes + large_bytes_; }

    static void hold(Chunk* chunk) { ++chunk->references; }

    static void drop(Chunk* chunk) {
        if (--chunk->references == 0) chunk->pool->give_back(chunk);
    }

  private:
    /// How many of the large chunks that came back last are looked at for one that fits.
    static constexpr std::size_t large_tries_max = 8;

    Chunk* make(std::size_t bytes) {
        if (bytes > Chunk::usual_bytes) bytes = (bytes + large_step_bytes - 1) / large_step_bytes * large_step_bytes;
        auto* chunk = new Chunk;
        chunk->pool = this;
        chunk->capacity = static_cast<std::uint32_t>(bytes);
        chunk->data = std::make_unique_for_overwrite<char[]>(bytes);
        return chunk;
    }

    /// One that is large enough, but not so large that most of it would lie waste.
    Chunk* take_large(std::size_t bytes) {
        const std::size_t last = large_.size() - std::min(large_.size(), large_tries_max);
        for (std::size_t i = large_.size(); i > last; --i) {
            Chunk* chunk = large_[i - 1];
            if (chunk->capacity < bytes || chunk->capacity / 2 > bytes) continue;
            large_[i - 1] = large_.back();
            large_.pop_back();
            large_bytes_ -= chunk->capacity;
            return chunk;
        }
        return nullptr;
    }

    void give_back(Chunk* chunk) {
        --out_;
        chunk->used = 0;
        if (chunk->capacity == Chunk::usual_bytes) {
            if (free_.size() < free_bytes_max / Chunk::usual_bytes) {
                free_.push_back(chunk);
                return;
            }
        } else if (chunk->capacity <= free_bytes_max) {
            for (; large_bytes_ + chunk->capacity > free_bytes_max; large_.erase(large_.begin())) {
                large_bytes_ -= large_.front()->capacity;
                delete large_.front();
            }
            large_bytes_ += chunk->capacity;
            large_.push_back(chunk);
            return;
        }
        delete chunk;
    }

    std::vector<Chunk*> free_;
    std::vector<Chunk*> large_;
    std::size_t large_bytes_ = 0;
    std::size_t out_ = 0;
};

/// The output of one connection, first in, first out.
/// Threads: one.  Lifetime: must go before its pool.
class OutputQueue {
  public:
    explicit OutputQueue(ChunkPool& pool) : pool_(&pool) {}
    OutputQueue(const OutputQueue&) = delete;
    OutputQueue& operator=(const OutputQueue&) = delete;
    ~OutputQueue() { clear(); }

    /// Bytes appended and not yet consumed.
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }

    /// Room for `bytes` at the end, contiguous; commit(n) then says how many of them were filled.
    /// Borrows: valid until the next call.
    char* reserve(std::size_t bytes) {
        if (own_ == nullptr || own_->capacity - own_->used < bytes) {
            if (own_ != nullptr) ChunkPool::drop(own_);
            own_ = pool_->take(bytes);
        }
        return own_->data.get() + own_->used;
    }
    /// How much room there is after reserve(), which may be more than was asked for.  Unit: bytes.
    [[nodiscard]] std::size_t room() const { return own_->capacity - own_->used; }
    void commit(std::size_t bytes) {
        if (bytes == 0) return;
        const std::uint32_t begin = own_->used;
        own_->used += static_cast<std::uint32_t>(bytes);
        add(own_, begin, own_->used);
    }

    void append(base::ByteView bytes) {
        if (bytes.empty()) return;
        std::memcpy(reserve(bytes.size()), bytes.data(), bytes.size());
        commit(bytes.size());
    }

    /// Refers to [begin, end) of a chunk that others may refer to as well.
    void append_shared(Chunk* chunk, std::uint32_t begin, std::uint32_t end) { add(chunk, begin, end); }

    /// True if append_shared at `begin` would lengthen the last piece instead of adding one.
    [[nodiscard]] bool continues(const Chunk* chunk, std::uint32_t begin) const {
        return pieces_.size() > first_ && pieces_.back().chunk == chunk && pieces_.back().end == begin;
    }

    struct Piece {
        Chunk* chunk;
        std::uint32_t begin;
        std::uint32_t end;
    };

    /// What is to be written, oldest first.  Borrows: until the next call that changes the queue; the bytes themselves
    /// stay until they are consumed.
    [[nodiscard]] const Piece* pieces() const { return pieces_.data() + first_; }
    [[nodiscard]] std::size_t piece_count() const { return pieces_.size() - first_; }

    /// Drops `bytes` from the front: they have been written.
    void consume(std::size_t bytes) {
        BASE_CHECK(bytes <= size_);
        size_ -= bytes;
        while (bytes > 0) {
            Piece& piece = pieces_[first_];
            const std::size_t length = piece.end - piece.begin;
            if (bytes < length) {
                piece.begin += static_cast<std::uint32_t>(bytes);
                break;
            }
            bytes -= length;
            ChunkPool::drop(piece.chunk);
            ++first_;
        }
        if (first_ == pieces_.size()) {
            pieces_.clear();
            first_ = 0;
            rest();
        } else if (first_ > 1024 && first_ * 2 > pieces_.size()) {
            pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<std::ptrdiff_t>(first_));
            first_ = 0;
        }
    }

    void clear() {
        for (std::size_t i = first_; i < pieces_.size(); ++i) ChunkPool::drop(pieces_[i].chunk);
        pieces_.clear();
        first_ = 0;
        size_ = 0;
        rest();
    }

  private:
    /// Room for pieces that an empty queue always keeps.  Above it, room that the last burst used by less than a
    /// quarter is given back: a steady stream allocates nothing, and a burst does not stay in a connection for good.
    static constexpr std::size_t pieces_kept = 16;

    void add(Chunk* chunk, std::uint32_t begin, std::uint32_t end) {
        size_ += end - begin;
        if (continues(chunk, begin)) {
            pieces_.back().end = end;
            return;
        }
        ChunkPool::hold(chunk);
        if (pieces_.capacity() == 0) pieces_.reserve(pieces_kept);
        pieces_.push_back(Piece{chunk, begin, end});
        if (pieces_.size() > pieces_peak_) pieces_peak_ = pieces_.size();
    }

    void rest() {
        if (own_ != nullptr) ChunkPool::drop(own_);
        own_ = nullptr;
        if (pieces_.capacity() > pieces_kept && pieces_peak_ < pieces_.capacity() / 4)
            std::vector<Piece>().swap(pieces_);
        pieces_peak_ = 0;
    }

    ChunkPool* pool_;
    std::vector<Piece> pieces_;
    std::size_t first_ = 0;
    std::size_t pieces_peak_ = 0;  // since the queue was empty last
    std::size_t size_ = 0;
    Chunk* own_ = nullptr;  // where append goes; one reference
};

}  // namespace gateway
