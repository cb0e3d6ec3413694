// Records by dense number, in chunks: growing moves nothing and stalls nobody.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "routing/base/check.h"

namespace routing {

/// Gives out numbers 0, 1, 2 ... and takes them back; the one given back last is given out next.
/// References to records stay valid until the record is freed.  A freed record is reset to T{}; what is written to it
/// then is there when its number is given out again.
/// Threads: one.  Limit: 2^32 - 1 records (checked).
template <typename T>
class SlotPool {
  public:
    static constexpr std::uint32_t chunk_records = sizeof(T) <= 64 ? 1024 : 128;

    [[nodiscard]] std::uint32_t allocate() {
        if (!free_.empty()) {
            const std::uint32_t slot = free_.back();
            free_.pop_back();
            return slot;
        }
        BASE_CHECK(end_ != 0xffffffff);
        if (end_ % chunk_records == 0) chunks_.push_back(std::make_unique<T[]>(chunk_records));
        return end_++;
    }

    void free(std::uint32_t slot) {
        (*this)[slot] = T{};
        free_.push_back(slot);
    }

    [[nodiscard]] T& operator[](std::uint32_t slot) { return chunks_[slot / chunk_records][slot % chunk_records]; }
    [[nodiscard]] const T& operator[](std::uint32_t slot) const {
        return chunks_[slot / chunk_records][slot % chunk_records];
    }

    /// One above the largest number ever given out.
    [[nodiscard]] std::uint32_t end() const { return end_; }
    [[nodiscard]] std::size_t used() const { return end_ - free_.size(); }
    [[nodiscard]] std::size_t bytes() const {
        return chunks_.size() * chunk_records * sizeof(T) + free_.capacity() * sizeof(std::uint32_t);
    }

  private:
    std::vector<std::unique_ptr<T[]>> chunks_;
    std::vector<std::uint32_t> free_;
    std::uint32_t end_ = 0;
};

}  // namespace routing
