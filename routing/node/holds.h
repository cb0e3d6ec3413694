// Publishers that were told to wait: their connections are not parsed until it is known what they need, or time is up.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "routing/base/time.h"
#include "routing/types.h"

namespace routing::node {

/// Threads: one.  Limit: one entry per connection.
class Holds {
  public:
    /// What a connection waits for.
    enum class For : std::uint8_t {
        interest,  ///< that it is known who wants its message; ends by itself when its patience is over
        store,     ///< that the store has room or is open; no end
    };

    /// Holds `connection`.  Errors: false if it waited for interest before, in vain, and its `patience` is over: it
    /// must be answered by what is known.  (That is said once; the next message may wait again.)
    [[nodiscard]] bool hold(ConnectionId connection, For what, base::Duration patience, base::Instant now) {
        const auto [found, fresh] = entries_.try_emplace(connection);
        Entry& entry = found->second;
        if (fresh) entry.until = base::instant_max;
        if (what == For::interest) {
            if (entry.until == base::instant_max) entry.until = now + patience;
            if (now >= entry.until) {
                entries_.erase(found);
                return false;
            }
        }
        entry.waiting = true;
        entry.what = what;
        return true;
    }

    /// Its message was taken or answered: patience begins anew with the next one.
    void done(ConnectionId connection) {
        if (!entries_.empty()) entries_.erase(connection);
    }

    /// Those that may try again, ascending: interest changed or is known, the store can be used, or their time is up.
    [[nodiscard]] std::vector<ConnectionId> take_ready(bool interest, bool store, base::Instant now) {
        std::vector<ConnectionId> ready;
        for (auto& [connection, entry] : entries_) {
            if (!entry.waiting) continue;
            const bool over = entry.what == For::interest ? interest || now >= entry.until : store;
            if (!over) continue;
            entry.waiting = false;
            ready.push_back(connection);
        }
        return ready;
    }

    [[nodiscard]] base::Instant next_deadline() const {
        base::Instant next = base::instant_max;
        for (const auto& [connection, entry] : entries_)
            if (entry.waiting && entry.what == For::interest && entry.until < next) next = entry.until;
        return next;
    }
    [[nodiscard]] bool empty() const { return entries_.empty(); }

  private:
    struct Entry {
        base::Instant until = base::instant_max;  // of the wait for interest
        For what = For::interest;
        bool waiting = false;
    };
    std::map<ConnectionId, Entry> entries_;
};

}  // namespace routing::node
