// The newest pages of a log, kept in memory for those who are only a little behind.  What is older is read from the
// store.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <utility>

#include "routing/queue/queue_store.h"

namespace routing::queue {

/// Bounded by bytes; the oldest page goes first.  Holds consecutive pages up to the newest committed one.
class PageTail {
  public:
    struct Entry {
        Position first = 0;
        Position last = 0;
        PageBytes bytes;
    };

    explicit PageTail(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}

    /// Adds the page after the newest.
    void add(Entry entry) {
        bytes_ += entry.bytes->size();
        entries_.push_back(std::move(entry));
        while (bytes_ > bytes_max_ && entries_.size() > 1) drop_front();
    }

    /// The page that holds `position` (or the first one after it), if the tail reaches back that far.  Borrowed until
    /// the next call of add() or trim().
    [[nodiscard]] const Entry* find(Position position) const {
        if (entries_.empty() || position < entries_.front().first) return nullptr;
        const auto after = std::lower_bound(entries_.begin(), entries_.end(), position,
                                            [](const Entry& entry, Position at) { return entry.last < at; });
        return after == entries_.end() ? nullptr : &*after;
    }

    /// Forgets pages that are wholly below `before`.
    void trim(Position before) {
        while (!entries_.empty() && entries_.front().last < before) drop_front();
    }

    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
    [[nodiscard]] std::size_t size() const { return entries_.size(); }

  private:
    void drop_front() {
        bytes_ -= entries_.front().bytes->size();
        entries_.pop_front();
    }

    std::uint64_t bytes_max_;
    std::uint64_t bytes_ = 0;
    std::deque<Entry> entries_;
};

}  // namespace routing::queue
