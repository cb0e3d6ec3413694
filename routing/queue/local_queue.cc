#include "routing/queue/local_queue.h"

#include <algorithm>
#include <utility>

#include "routing/base/check.h"
#include "routing/base/hash.h"
#include "routing/base/subject.h"
#include "routing/queue/rows.h"

// The local log: appending, delivering, walking, trimming.  Interest and lingering are in local_interest.cc.
namespace routing::queue {

namespace {

constexpr AccountId account_unknown = 0xffffffff;

std::uint32_t cost(const MessageView& message) {
    return static_cast<std::uint32_t>(message.subject.size() + message.body.size() + 16);
}

}  // namespace

LocalQueue::LocalQueue(const DurableOptions& options, GatewayRegistry& registry, Outbox& outbox,
                       DurableCounters& counters, CommandId& next_command, const RecoveredState& state,
                       base::Instant now)
    : options_(options),
      registry_(registry),
      outbox_(outbox),
      counters_(counters),
      next_command_(next_command),
      next_(state.local_next),
      committed_last_(state.local_next - 1),
      trimmed_before_(state.local_first),
      tail_(options.tail_bytes) {
    begin_page();
    recover_readers(state, now);
}

AccountId LocalQueue::account_of(const std::string& name) const {
    for (std::size_t i = 0; i < options_.accounts.size(); ++i)
        if (options_.accounts[i] == name) return static_cast<AccountId>(i);
    return account_unknown;
}

// --- the log ---------------------------------------------------------------------------------------------------------

void LocalQueue::begin_page() {
    ++page_serial_;
    serves_.clear();
    page_.begin(next_);
}

std::uint32_t LocalQueue::source_ref(GatewayIndex origin, Run run) {
    if (origin >= sources_.size()) sources_.resize(origin + 1);
    SourceRef& ref = sources_[origin];
    if (ref.serial != page_serial_ || ref.run != run)
        ref = SourceRef{page_serial_, page_.add_source(PageSource{registry_.id(origin), run}), run};
    return ref.ref;
}

std::uint32_t LocalQueue::serve_ref(AccountId account, bool plain, const std::vector<std::string>* groups) {
    std::uint64_t hash = base::mix_bits((std::uint64_t{account} << 1) | (plain ? 1 : 0));
    if (groups != nullptr)
        for (const std::string& group : *groups) hash = base::hash_bytes(group, hash);
    const std::string& name = options_.accounts[account];
    for (;; ++hash) {
        const auto [at, fresh] = serves_.try_emplace(hash, 0);
        if (fresh) {
            PageServe serve{name, plain, {}};
            if (groups != nullptr) serve.groups = *groups;
            at->second = page_.add_serve(std::move(serve));
            return at->second;
        }
        const PageServe& known = page_.serves()[at->second];
        const bool same_groups = groups == nullptr ? known.groups.empty() : known.groups == *groups;
        if (known.plain == plain && same_groups && known.account == name) return at->second;
    }
}

void LocalQueue::append(GatewayIndex origin, Run run, Position position, bool plain,
                        const std::vector<std::string>* groups, const MessageView& message) {
    BASE_CHECK(message.account < options_.accounts.size());
    if (page_.full() || page_.count() >= options_.page_records) close_page();
    const std::uint32_t source = source_ref(origin, run);
    const std::uint32_t serve = serve_ref(message.account, plain, groups);
    page_.append(source, position, serve, message);
    ++next_;
    pending_bytes_ += message.subject.size() + message.body.size();
}

void LocalQueue::close_page() {
    BASE_CHECK(page_.count() > 0);
    PageTail::Entry entry{page_.first(), page_.last(), std::make_shared<const base::Bytes>(page_.finish())};
    if (stretches_.empty() || stretch_pages_ >= local_stretch_pages ||
        bytes_total_ - stretches_.back().bytes_before >= local_stretch_bytes) {
        stretches_.push_back(Stretch{entry.first, bytes_total_});
        stretch_pages_ = 0;
    }
    ++stretch_pages_;
    bytes_total_ += entry.bytes->size();
    closed_.push_back(std::move(entry));
    begin_page();
}

bool LocalQueue::anything_to_sync() const {
    return page_.count() > 0 || !closed_.empty() || !changed_.empty() || !erased_.empty();
}

bool LocalQueue::anything_to_commit(base::Instant now) const {
    return anything_to_sync() || (!moved_.empty() && cursors_at_ <= now);
}

void LocalQueue::close_into(Commit& batch, base::Instant now) {
    BASE_CHECK(in_flight_.empty() && storing_.empty());
    if (page_.count() > 0) close_page();
    for (const PageTail::Entry& entry : closed_)
        batch.pages.push_back(PageWrite{LogId::local, Page{entry.first, entry.bytes}});
    std::swap(in_flight_, closed_);
    in_flight_bytes_ = pending_bytes_;
    for (RowWrite& row : erased_) batch.rows.push_back(std::move(row));
    erased_.clear();
    for (Reader* reader : changed_) {
        RecoveredReader row;
        row.id = reader->id;
        row.account = reader->account_name;
        row.queue = reader->queue;
        row.client = reader->client;
        row.sid = reader->sid;
        for (const Filter& filter : reader->filters) row.filters.push_back(filter.filter);
        batch.rows.push_back(reader_row(row));
        batch.rows.push_back(cursor_row(reader->id, cursor(*reader)));
        reader->row_dirty = false;
    }
    changed_.clear();
    std::swap(storing_, unstored_);
    if (cursors_at_ <= now) {
        for (Reader* reader : moved_) {
            batch.rows.push_back(cursor_row(reader->id, cursor(*reader)));
            reader->cursor_dirty = false;
        }
        moved_.clear();
        cursors_at_ = base::instant_max;
    }
}

void LocalQueue::committed(base::Instant now) {
    std::vector<PageTail::Entry> pages;
    std::swap(pages, in_flight_);
    pending_bytes_ -= in_flight_bytes_;
    in_flight_bytes_ = 0;
    for (const Interest& interest : storing_) stored(interest);
    storing_.clear();
    for (const PageTail::Entry& page : pages) {
        tail_.add(page);
        // Readers that are not behind have seen all up to the page before.
        dispatch(page);
        committed_last_ = page.last;
    }
    static_cast<void>(now);
    if (pages.empty()) return;
    for (auto& [id, reader] : readers_)
        if (reader->behind) {
            reader->walk.at_end = false;
            pump(*reader);
        }
}

Position LocalQueue::cursor(const Reader& reader) const {
    if (!reader.handed.empty()) return reader.handed.front().local - 1;
    return std::max(reader.done, reader.behind ? reader.scanned : committed_last_);
}

Position LocalQueue::trim_before() const {
    Position mark = committed_last_;
    for (const auto& [id, reader] : readers_) mark = std::min(mark, cursor(*reader));
    const Position kept = committed_last_ > options_.dump_keep ? committed_last_ - options_.dump_keep : 0;
    mark = std::min(mark, kept);
    if (mark == committed_last_) return committed_last_ + 1;
    Position before = trimmed_before_;
    const auto after = std::upper_bound(stretches_.begin(), stretches_.end(), mark + 1,
                                        [](Position at, const Stretch& stretch) { return at < stretch.first; });
    if (after != stretches_.begin()) before = std::max(before, std::prev(after)->first);
    // Of pages from before the start only those are known that somebody reads.
    for (const auto& [id, reader] : readers_)
        if (reader->walk.page != nullptr && reader->walk.page_first <= mark + 1)
            before = std::max(before, reader->walk.page_first);
    return before;
}

std::uint64_t LocalQueue::trimmable_bytes() const {
    const Position before = trim_before();
    if (before <= trimmed_before_) return 0;
    std::uint64_t bytes = 1;
    for (const Stretch& stretch : stretches_) {
        if (stretch.first > before) break;
        bytes += stretch.bytes_before > bytes_trimmed_ ? stretch.bytes_before - bytes_trimmed_ : 0;
    }
    return before == committed_last_ + 1 ? 1 + bytes_total_ - bytes_trimmed_ : bytes;
}

void LocalQueue::trim_into(Commit& batch) {
    const Position before = trim_before();
    if (before <= trimmed_before_) return;
    trimmed_before_ = before;
    batch.rows.push_back(trimmed_row(LogId::local, before));
    batch.trims.push_back(Trim{LogId::local, before});
    bool all = true;
    while (!stretches_.empty() && stretches_.front().first < before) {
        bytes_trimmed_ = stretches_.front().bytes_before;
        stretches_.pop_front();
    }
    if (!stretches_.empty()) {
        bytes_trimmed_ = stretches_.front().bytes_before;
        all = false;
    }
    if (all) bytes_trimmed_ = bytes_total_;
    tail_.trim(before);
}

// --- delivering ------------------------------------------------------------------------------------------------------

bool LocalQueue::serves(const Reader& reader, const PageServe& serve) {
    if (reader.plain()) return serve.plain;
    return std::find(serve.groups.begin(), serve.groups.end(), reader.queue) != serve.groups.end();
}

const std::vector<LocalQueue::Reader*>& LocalQueue::takers(AccountId account, std::string_view subject) {
    key_.clear();
    base::append_varint(key_, account);
    key_.append(subject);
    if (const auto found = takers_.find(key_); found != takers_.end()) return found->second;
    if (takers_.size() >= takers_cached_max) takers_.clear();
    std::vector<Reader*> matching;
    if (const auto found = literal_.find(key_); found != literal_.end()) matching = found->second;
    for (Reader* reader : wild_)
        if (reader->account == account && base::matches(reader->filters.front().filter, subject))
            matching.push_back(reader);
    for (Reader* reader : groups_) {
        const bool any = reader->account == account &&
                         std::any_of(reader->filters.begin(), reader->filters.end(),
                                     [&](const Filter& filter) { return base::matches(filter.filter, subject); });
        if (any) matching.push_back(reader);
    }
    std::sort(matching.begin(), matching.end(), [](const Reader* a, const Reader* b) { return a->id < b->id; });
    return takers_.emplace(key_, std::move(matching)).first->second;
}

LocalQueue::Hand LocalQueue::hand(Reader& reader, const MessageView& message, Position local, Handed* again) {
    Member* chosen = nullptr;
    if (reader.plain()) {
        if (!reader.members.empty() && reader.members.front().bytes < options_.reader_window_bytes)
            chosen = &reader.members.front();
    } else {
        const bool one_filter = reader.filters.size() == 1;
        const bool any = std::any_of(reader.filters.begin(), reader.filters.end(), [&](const Filter& filter) {
            return base::matches(filter.filter, message.subject);
        });
        if (!any) return Hand::not_ours;
        for (std::size_t i = 0; i < reader.members.size() && chosen == nullptr; ++i) {
            const std::size_t at = (reader.next_member + i) % reader.members.size();
            Member& member = reader.members[at];
            if (member.bytes >= options_.reader_window_bytes) continue;
            if (!one_filter && !base::matches(member.filter, message.subject)) continue;
            chosen = &member;
            reader.next_member = at + 1;
        }
    }
    if (chosen == nullptr) return Hand::no_room;
    std::uint64_t number = 0;
    if (again != nullptr) {
        again->redo = false;
        --reader.redo;
        ++counters_.redelivered;
        for (std::size_t i = 0; i < reader.handed.size(); ++i)
            if (&reader.handed[i] == again) number = reader.handed_first + i;
    } else {
        if (reader.handed.size() >= handed_max) return Hand::no_room;
        number = reader.handed_first + reader.handed.size();
        reader.handed.push_back(Handed{local, cost(message), false, false});
    }
    chosen->bytes += cost(message);
    chosen->out.push_back(Out{ticket_next_, number});
    Delivery delivery;
    delivery.subscriber = chosen->id;
    delivery.ticket = ticket_next_++;
    delivery.message = message;
    delivery.message.account = reader.account;
    outbox_.deliveries.push_back(delivery);
    ++counters_.delivered;
    return Hand::done;
}

void LocalQueue::dispatch(const PageTail::Entry& page) {
    const bool good = reader_.open(*page.bytes, false);
    BASE_CHECK(good);
    serve_accounts_.clear();
    for (const PageServe& serve : reader_.serves()) serve_accounts_.push_back(account_of(serve.account));
    bool held = false;
    LocalRecord record;
    while (reader_.next(record)) {
        const PageServe& serve = reader_.serves()[record.serve];
        bool any = false;
        for (Reader* reader : takers(serve_accounts_[record.serve], record.message.subject)) {
            if (record.local < reader->start || !serves(*reader, serve)) continue;
            any = true;
            if (reader->behind) continue;
            switch (hand(*reader, record.message, record.local, nullptr)) {
                case Hand::done:
                    held = true;
                    break;
                case Hand::not_ours:
                    break;
                case Hand::no_room:
                    reader->behind = true;
                    reader->scanned = record.local - 1;
                    break;
            }
        }
        if (!any) ++counters_.applied_no_taker;
    }
    BASE_CHECK(!reader_.broken());
    if (held) outbox_.held.push_back(page.bytes);
}

void LocalQueue::taken(SubscriberId subscriber, std::uint64_t ticket, base::Instant now) {
    const auto found = subscribers_.find(subscriber);
    if (found == subscribers_.end()) return;
    Reader& reader = *found->second;
    for (Member& member : reader.members) {
        if (member.id != subscriber) continue;
        while (!member.out.empty() && member.out.front().ticket <= ticket) {
            Handed& handed = reader.handed[static_cast<std::size_t>(member.out.front().number - reader.handed_first)];
            handed.done = true;
            member.bytes -= handed.bytes;
            member.out.pop_front();
        }
        break;
    }
    drop_done(reader);
    if (!reader.cursor_dirty) {
        reader.cursor_dirty = true;
        moved_.push_back(&reader);
        cursors_at_ = std::min(cursors_at_, now + cursor_interval);
    }
    if (reader.behind) pump(reader);
}

void LocalQueue::drop_done(Reader& reader) {
    while (!reader.handed.empty() && reader.handed.front().done) {
        reader.done = reader.handed.front().local;
        reader.handed.pop_front();
        ++reader.handed_first;
    }
}

void LocalQueue::reset_walk(Reader& reader) {
    Walk& walk = reader.walk;
    walk.page.reset();
    walk.has_record = false;
    walk.read.clear();
    walk.reading = 0;
    walk.read_bytes = reader_read_bytes;
    walk.at_end = false;
}

bool LocalQueue::open_page(Walk& walk, const Page& page) {
    if (!walk.reader.open(*page.bytes, true)) {
        outbox_.log.push_back(LogLine{LogLine::Level::error, "durable: the page at " + std::to_string(page.first) +
                                                                 " of the local log is damaged; what it held is lost"});
        return false;
    }
    walk.page = page.bytes;
    walk.page_first = page.first;
    walk.has_record = false;
    return true;
}

bool LocalQueue::fetch(Reader& reader, Position at) {
    Walk& walk = reader.walk;
    if (walk.has_record && walk.record.local >= at) return true;
    while (true) {
        if (walk.page != nullptr) {
            while (walk.reader.next(walk.record)) {
                walk.has_record = walk.record.local >= at;
                if (walk.has_record) return true;
            }
            at = std::max(at, walk.reader.last() + 1);
            walk.has_record = false;
            walk.page.reset();
        }
        if (at > committed_last_) {
            walk.at_end = true;
            return false;
        }
        if (const PageTail::Entry* entry = tail_.find(at); entry != nullptr) {
            walk.read.clear();
            if (!open_page(walk, Page{entry->first, entry->bytes})) at = entry->last + 1;
            continue;
        }
        while (walk.page == nullptr && !walk.read.empty()) {
            const Page page = std::move(walk.read.front());
            walk.read.pop_front();
            static_cast<void>(open_page(walk, page));
        }
        if (walk.page != nullptr) continue;
        if (walk.reading == 0 && !walk.at_end) {
            walk.reading = next_command_++;
            walk.want = at;
            reads_.emplace_back(walk.reading, reader.id);
            outbox_.store.push_back(Read{walk.reading, LogId::local, at, walk.read_bytes});
        }
        return false;
    }
}

void LocalQueue::pump(Reader& reader) {
    Walk& walk = reader.walk;
    while (reader.behind && !reader.members.empty()) {
        if (reader.redo > 0) {
            Handed* first = nullptr;
            for (Handed& handed : reader.handed)
                if (handed.redo) {
                    first = &handed;
                    break;
                }
            BASE_CHECK(first != nullptr);
            const bool found = fetch(reader, first->local);
            if (!found && !walk.at_end) return;
            Hand result = Hand::not_ours;
            if (found && walk.record.local == first->local) {
                result = hand(reader, walk.record.message, first->local, first);
                if (result == Hand::no_room) return;
                hold(walk.page);
            }
            if (result == Hand::not_ours) {
                first->redo = false;
                first->done = true;
                --reader.redo;
                drop_done(reader);
            }
            if (reader.redo == 0) reset_walk(reader);
            continue;
        }
        if (reader.scanned >= committed_last_) {
            reader.behind = false;
            reset_walk(reader);
            return;
        }
        if (!fetch(reader, std::max(reader.scanned + 1, reader.start))) {
            if (!walk.at_end) return;
            reader.scanned = committed_last_;
            continue;
        }
        const LocalRecord& record = walk.record;
        const PageServe& serve = walk.reader.serves()[record.serve];
        const bool ours = account_of(serve.account) == reader.account && serves(reader, serve) &&
                          (!reader.plain() || base::matches(reader.filters.front().filter, record.message.subject));
        if (ours) {
            const Hand result = hand(reader, record.message, record.local, nullptr);
            if (result == Hand::no_room) return;
            if (result == Hand::done) hold(walk.page);
        }
        walk.has_record = false;
        reader.scanned = record.local;
    }
}

void LocalQueue::hold(const PageBytes& page) {
    if (outbox_.held.empty() || outbox_.held.back() != page) outbox_.held.push_back(page);
}

bool LocalQueue::on_read(CommandId id, std::vector<Page>& pages, base::Instant now) {
    static_cast<void>(now);
    for (std::size_t i = 0; i < dumps_.size(); ++i) {
        if (dumps_[i].id != id) continue;
        const DumpRead asked = dumps_[i];
        dumps_.erase(dumps_.begin() + static_cast<std::ptrdiff_t>(i));
        on_dump(asked.token, asked.from, pages);
        return true;
    }
    const auto found = std::find_if(reads_.begin(), reads_.end(), [&](const auto& read) { return read.first == id; });
    if (found == reads_.end()) return false;
    const std::uint64_t reader_id = found->second;
    reads_.erase(found);
    const auto at = readers_.find(reader_id);
    if (at == readers_.end() || at->second->walk.reading != id) return true;
    Walk& walk = at->second->walk;
    walk.reading = 0;
    // As for the origin log: a first page that is damaged or ends too early must not hide the next one.
    std::uint64_t bytes = 0;
    bool useful = pages.size() > 1;
    for (Page& page : pages) {
        bytes += page.bytes->size();
        LocalPageReader reader;
        useful = useful || page.first >= walk.want || (reader.open(*page.bytes, true) && reader.last() >= walk.want);
        walk.read.push_back(std::move(page));
    }
    if (useful) {
        walk.read_bytes = reader_read_bytes;
    } else {
        walk.read.clear();
        walk.at_end = bytes == 0 || walk.read_bytes > reader_read_bytes;
        walk.read_bytes = walk.at_end ? reader_read_bytes : bytes + reader_read_bytes;
    }
    pump(*at->second);
    return true;
}

void LocalQueue::dump(std::uint64_t token, Position from) {
    const Position first = std::max(from, trimmed_before_);
    dumps_.push_back(DumpRead{next_command_, token, first});
    outbox_.store.push_back(Read{next_command_, LogId::local, first, reader_read_bytes});
    ++next_command_;
}

void LocalQueue::on_dump(std::uint64_t token, Position from, const std::vector<Page>& pages) {
    DumpChunk chunk;
    chunk.token = token;
    Position next = from;
    for (const Page& page : pages) {
        LocalPageReader reader;
        if (!reader.open(*page.bytes, true)) {
            next = std::max(next, page.first + page_records_max);
            continue;
        }
        LocalRecord record;
        while (reader.next(record)) {
            if (record.local < from) continue;
            const PageSource& source = reader.sources()[record.source];
            chunk.rows.push_back(DumpRow{source.origin, source.run, record.position, record.local});
        }
        next = std::max(next, reader.last() + 1);
    }
    chunk.next = next > from && next <= committed_last_ ? next : 0;
    outbox_.dumps.push_back(std::move(chunk));
}

}  // namespace routing::queue
