// What this gateway's own subscribers are still to get: applied messages in a paged local log, and readers on it.  A
// durable plain subscription is a reader with a cursor of its own, a durable queue group is one reader with its
// filters. The cursor moves when a socket took the bytes; durable interest is on disk before it is advertised, and
// lingers. Source: DESIGN 5, "Local queues".  Leaves to others: who is a target (router), when to commit (durable).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "routing/base/time.h"
#include "routing/gateway_registry.h"
#include "routing/queue/durable.h"
#include "routing/queue/outbox.h"
#include "routing/queue/page.h"
#include "routing/queue/page_tail.h"
#include "routing/queue/recovery.h"

namespace routing::queue {

/// How long a moved cursor may wait for its row.  What a client gets twice after a crash is what it took in this time.
inline constexpr base::Duration cursor_interval = std::chrono::milliseconds(50);
/// Subjects whose takers are remembered.  Unit: subjects.  Above it the memory is begun anew.
inline constexpr std::size_t takers_cached_max = 8192;
/// Messages of one reader that are handed out, or taken while an older one is not.  Unit: messages.
inline constexpr std::size_t handed_max = 65536;
/// Bytes asked of the store at once for a reader that is behind, or for a dump.  Unit: bytes.
inline constexpr std::uint64_t reader_read_bytes = page_bytes_max;
/// Stretches of the local log that are trimmed at once.  Unit: bytes.
inline constexpr std::uint64_t local_stretch_bytes = 1u << 20;
inline constexpr std::uint32_t local_stretch_pages = 64;

class LocalQueue {
  public:
    /// Borrows everything but `state` for life.
    LocalQueue(const DurableOptions& options, GatewayRegistry& registry, Outbox& outbox, DurableCounters& counters,
               CommandId& next_command, const RecoveredState& state, base::Instant now);

    /// Takes a message in; it is delivered when the commit that holds it is synced.
    void append(GatewayIndex origin, Run run, Position position, bool plain, const std::vector<std::string>* groups,
                const MessageView& message);

    void subscribe(const DurableSubscriber& subscriber, base::Instant now);
    void unsubscribe(SubscriberId subscriber, base::Instant now);
    void connection_lost(SubscriberId subscriber, base::Instant now);
    void taken(SubscriberId subscriber, std::uint64_t ticket, base::Instant now);
    void dump(std::uint64_t token, Position from);

    /// Whether a commit is wanted: `now` at most with what may wait.
    [[nodiscard]] bool anything_to_commit(base::Instant now) const;
    /// Whether what waits must be synced.
    [[nodiscard]] bool anything_to_sync() const;
    void close_into(Commit& batch, base::Instant now);
    void committed(base::Instant now);
    void trim_into(Commit& batch);
    [[nodiscard]] std::uint64_t trimmable_bytes() const;
    /// Cursors that moved wait no longer.
    void cursors_due(base::Instant now) {
        if (!moved_.empty()) cursors_at_ = now;
    }
    bool on_read(CommandId id, std::vector<Page>& pages, base::Instant now);
    void tick(base::Instant now);
    [[nodiscard]] base::Instant linger_deadline() const;
    /// When cursors want to be written.
    [[nodiscard]] base::Instant commit_deadline() const { return cursors_at_; }

    [[nodiscard]] std::uint64_t pending_bytes() const { return pending_bytes_; }
    [[nodiscard]] std::vector<ReaderStatus> status() const;

  private:
    struct Handed {
        Position local = 0;
        std::uint32_t bytes = 0;
        bool done = false;
        bool redo = false;  // its member was lost before the socket took it
    };
    struct Out {
        std::uint64_t ticket = 0;
        std::uint64_t number = 0;  // of the Handed
    };
    struct Member {
        SubscriberId id = 0;
        std::string filter;
        std::uint64_t bytes = 0;
        std::deque<Out> out;
    };
    struct Filter {
        std::string filter;
        std::uint32_t members = 0;
        std::vector<std::uint64_t> lingering;  // serials, oldest first
        bool stored = false;
        [[nodiscard]] std::uint32_t weight() const { return members + static_cast<std::uint32_t>(lingering.size()); }
    };
    struct Walk {
        PageBytes page;
        Position page_first = 0;
        LocalPageReader reader;
        LocalRecord record;
        bool has_record = false;
        std::deque<Page> read;
        CommandId reading = 0;
        Position want = 0;  // what the read is for
        std::uint64_t read_bytes = reader_read_bytes;
        bool at_end = false;
    };
    struct Reader {
        std::uint64_t id = 0;
        AccountId account = account_global;
        std::string account_name;
        std::string queue;
        std::string client;
        std::string sid;
        std::vector<Filter> filters;  // plain: one
        std::vector<Member> members;  // plain: at most one
        std::size_t next_member = 0;
        std::deque<Handed> handed;  // ascending
        std::uint64_t handed_first = 0;
        std::size_t redo = 0;
        Position start = 0;    // nothing below it is for this reader
        Position done = 0;     // all that was handed up to here is taken
        Position scanned = 0;  // while behind: all up to here was looked at
        bool behind = false;
        bool cursor_dirty = false;
        bool row_dirty = false;
        Walk walk;
        [[nodiscard]] bool plain() const { return queue.empty(); }
    };
    struct Linger {
        base::Instant until;
        std::uint64_t reader = 0;
        std::string filter;
        std::uint64_t serial = 0;
    };
    struct SourceRef {
        std::uint32_t serial = 0;
        std::uint32_t ref = 0;
        Run run = 0;
    };
    struct Stretch {
        Position first = 0;
        std::uint64_t bytes_before = 0;
    };
    struct Interest {
        std::uint64_t reader = 0;
        AccountId account = account_global;
        std::string filter;
        std::string queue;
    };

    [[nodiscard]] std::uint32_t source_ref(GatewayIndex origin, Run run);
    [[nodiscard]] std::uint32_t serve_ref(AccountId account, bool plain, const std::vector<std::string>* groups);
    void begin_page();
    void close_page();
    void dispatch(const PageTail::Entry& page);
    const std::vector<Reader*>& takers(AccountId account, std::string_view subject);

    void recover_readers(const RecoveredState& state, base::Instant now);
    [[nodiscard]] Reader& add_reader(std::uint64_t id, AccountId account, std::string account_name, std::string queue);
    void index(Reader& reader);
    void drop_reader(Reader& reader);
    void store_row(Reader& reader);
    [[nodiscard]] Reader* orphan_for(const DurableSubscriber& subscriber);
    [[nodiscard]] Reader* group_reader(AccountId account, const std::string& queue);
    [[nodiscard]] Filter* filter_of(Reader& reader, const std::string& filter);
    void leave(SubscriberId subscriber, bool linger, base::Instant now);
    void detach_member(Reader& reader, std::size_t index);
    void end_filter(Reader& reader, const std::string& filter);
    void add_linger(Reader& reader, Filter& filter, base::Instant now);
    void advertise(AccountId account, const std::string& filter, const std::string& queue);
    void stored(const Interest& interest);

    enum class Hand : std::uint8_t { done, not_ours, no_room };
    Hand hand(Reader& reader, const MessageView& message, Position local, Handed* again);
    void pump(Reader& reader);
    void drop_done(Reader& reader);
    void hold(const PageBytes& page);
    [[nodiscard]] bool fetch(Reader& reader, Position at);
    [[nodiscard]] bool open_page(Walk& walk, const Page& page);
    static void reset_walk(Reader& reader);
    [[nodiscard]] Position cursor(const Reader& reader) const;
    [[nodiscard]] Position trim_before() const;
    [[nodiscard]] static bool serves(const Reader& reader, const PageServe& serve);
    [[nodiscard]] AccountId account_of(const std::string& name) const;
    void on_dump(std::uint64_t token, Position from, const std::vector<Page>& pages);

    const DurableOptions& options_;
    GatewayRegistry& registry_;
    Outbox& outbox_;
    DurableCounters& counters_;
    CommandId& next_command_;

    Position next_;
    Position committed_last_;
    Position trimmed_before_;
    LocalPageWriter page_;
    std::uint32_t page_serial_ = 0;
    std::vector<SourceRef> sources_;  // by gateway index
    std::unordered_map<std::uint64_t, std::uint32_t> serves_;
    std::vector<PageTail::Entry> closed_;
    std::vector<PageTail::Entry> in_flight_;
    std::uint64_t pending_bytes_ = 0;
    std::uint64_t in_flight_bytes_ = 0;
    PageTail tail_;
    std::deque<Stretch> stretches_;
    std::uint64_t bytes_total_ = 0;  // of all pages closed since the start
    std::uint64_t bytes_trimmed_ = 0;
    std::uint32_t stretch_pages_ = 0;

    std::map<std::uint64_t, std::unique_ptr<Reader>> readers_;
    std::unordered_map<std::string, std::vector<Reader*>> literal_;  // plain readers by account and filter
    std::vector<Reader*> wild_;                                      // plain readers with wildcards
    std::vector<Reader*> groups_;
    std::unordered_map<SubscriberId, Reader*> subscribers_;
    std::unordered_map<std::string, std::vector<Reader*>> takers_;  // by account and subject
    std::string key_;                                               // scratch
    std::vector<Reader*> changed_;                                  // row_dirty
    std::vector<Reader*> moved_;                                    // cursor_dirty
    std::vector<RowWrite> erased_;
    std::vector<Interest> unstored_;  // advertised when the next commit is synced
    std::vector<Interest> storing_;   // when the one under way is
    base::Instant cursors_at_ = base::instant_max;
    std::deque<Linger> lingers_;
    std::uint64_t linger_serial_ = 0;
    std::uint64_t reader_next_ = 1;
    std::uint64_t ticket_next_ = 1;
    std::vector<std::pair<CommandId, std::uint64_t>> reads_;  // command -> reader
    struct DumpRead {
        CommandId id = 0;
        std::uint64_t token = 0;
        Position from = 0;
    };
    std::vector<DumpRead> dumps_;
    // scratch of dispatch
    LocalPageReader reader_;
    std::vector<AccountId> serve_accounts_;
};

}  // namespace routing::queue
