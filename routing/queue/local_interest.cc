#include <algorithm>
#include <utility>

#include "routing/base/check.h"
#include "routing/base/subject.h"
#include "routing/queue/local_queue.h"
#include "routing/queue/rows.h"

// Who reads the local log: durable interest, who takes over whose reader, lingering.
namespace routing::queue {

namespace {

std::string key_of(AccountId account, std::string_view filter) {
    std::string key;
    base::append_varint(key, account);
    key.append(filter);
    return key;
}

template <typename Value>
void erase_value(std::vector<Value>& values, const Value& value) {
    values.erase(std::remove(values.begin(), values.end(), value), values.end());
}

}  // namespace

void LocalQueue::recover_readers(const RecoveredState& state, base::Instant now) {
    for (const RecoveredReader& row : state.readers) {
        Reader& reader = add_reader(row.id, account_of(row.account), row.account, row.queue);
        reader.client = row.client;
        reader.sid = row.sid;
        for (const std::string& filter : row.filters) reader.filters.push_back(Filter{filter, 0, {}, true});
        reader.scanned = reader.done = std::min(std::max(row.cursor, state.local_first - 1), committed_last_);
        reader.start = reader.scanned + 1;
        reader.behind = reader.scanned < committed_last_;
        index(reader);
        for (Filter& filter : reader.filters) add_linger(reader, filter, now);
    }
    for (const auto& [id, reader] : readers_)
        for (const Filter& filter : reader->filters) advertise(reader->account, filter.filter, reader->queue);
}

LocalQueue::Reader& LocalQueue::add_reader(std::uint64_t id, AccountId account, std::string account_name,
                                           std::string queue) {
    reader_next_ = std::max(reader_next_, id + 1);
    auto reader = std::make_unique<Reader>();
    reader->id = id;
    reader->account = account;
    reader->account_name = std::move(account_name);
    reader->queue = std::move(queue);
    reader->start = next_;
    reader->done = next_ - 1;
    Reader& added = *reader;
    readers_.emplace(id, std::move(reader));
    return added;
}

void LocalQueue::index(Reader& reader) {
    takers_.clear();
    if (!reader.plain()) {
        groups_.push_back(&reader);
    } else if (const std::string& filter = reader.filters.front().filter; base::has_wildcard(filter)) {
        wild_.push_back(&reader);
    } else {
        literal_[key_of(reader.account, filter)].push_back(&reader);
    }
}

void LocalQueue::drop_reader(Reader& reader) {
    takers_.clear();
    if (!reader.plain()) {
        erase_value(groups_, &reader);
    } else if (const std::string& filter = reader.filters.front().filter; base::has_wildcard(filter)) {
        erase_value(wild_, &reader);
    } else {
        const auto found = literal_.find(key_of(reader.account, filter));
        BASE_CHECK(found != literal_.end());
        erase_value(found->second, &reader);
        if (found->second.empty()) literal_.erase(found);
    }
    erase_value(changed_, &reader);
    erase_value(moved_, &reader);
    for (const Member& member : reader.members) subscribers_.erase(member.id);
    RecoveredReader row;
    row.id = reader.id;
    erased_.push_back(erased(reader_row(row)));
    erased_.push_back(erased(cursor_row(reader.id, 0)));
    readers_.erase(reader.id);
}

void LocalQueue::store_row(Reader& reader) {
    if (reader.row_dirty) return;
    reader.row_dirty = true;
    changed_.push_back(&reader);
}

LocalQueue::Reader* LocalQueue::orphan_for(const DurableSubscriber& subscriber) {
    Reader* best = nullptr;
    int best_score = -1;
    for (const auto& [id, reader] : readers_) {
        if (!reader->plain() || !reader->members.empty() || reader->account != subscriber.account ||
            reader->filters.front().filter != subscriber.filter)
            continue;
        const bool client = reader->client == subscriber.client;
        const int score = client && reader->sid == subscriber.sid ? 2 : client ? 1 : 0;
        if (score > best_score) {
            best = reader.get();
            best_score = score;
        }
    }
    return best;
}

LocalQueue::Reader* LocalQueue::group_reader(AccountId account, const std::string& queue) {
    for (Reader* reader : groups_)
        if (reader->account == account && reader->queue == queue) return reader;
    return nullptr;
}

LocalQueue::Filter* LocalQueue::filter_of(Reader& reader, const std::string& filter) {
    for (Filter& known : reader.filters)
        if (known.filter == filter) return &known;
    return nullptr;
}

void LocalQueue::advertise(AccountId account, const std::string& filter, const std::string& queue) {
    std::uint32_t weight = 0;
    if (!queue.empty()) {
        Reader* reader = group_reader(account, queue);
        const Filter* known = reader == nullptr ? nullptr : filter_of(*reader, filter);
        weight = known == nullptr ? 0 : known->weight();
    } else if (base::has_wildcard(filter)) {
        for (const Reader* reader : wild_)
            if (reader->account == account && reader->filters.front().filter == filter) ++weight;
    } else if (const auto found = literal_.find(key_of(account, filter)); found != literal_.end()) {
        weight = static_cast<std::uint32_t>(found->second.size());
    }
    outbox_.interest.push_back(DurableInterest{account, filter, queue, weight});
}

void LocalQueue::subscribe(const DurableSubscriber& subscriber, base::Instant now) {
    BASE_CHECK(subscriber.account < options_.accounts.size());
    BASE_CHECK(subscribers_.find(subscriber.id) == subscribers_.end());
    static_cast<void>(now);
    const std::string& account_name = options_.accounts[subscriber.account];
    Reader* reader = nullptr;
    bool stored = true;
    if (subscriber.queue.empty()) {
        reader = orphan_for(subscriber);
        if (reader == nullptr) {
            reader = &add_reader(reader_next_, subscriber.account, account_name, {});
            reader->filters.push_back(Filter{subscriber.filter, 0, {}, false});
            index(*reader);
        }
        if (reader->client != subscriber.client || reader->sid != subscriber.sid || !reader->filters.front().stored) {
            reader->client = subscriber.client;
            reader->sid = subscriber.sid;
            store_row(*reader);
        }
        stored = reader->filters.front().stored;
        reader->filters.front().lingering.clear();
        reader->filters.front().members = 1;
    } else {
        reader = group_reader(subscriber.account, subscriber.queue);
        if (reader == nullptr) {
            reader = &add_reader(reader_next_, subscriber.account, account_name, subscriber.queue);
            index(*reader);
        }
        Filter* filter = filter_of(*reader, subscriber.filter);
        if (filter == nullptr) {
            reader->filters.push_back(Filter{subscriber.filter, 0, {}, false});
            filter = &reader->filters.back();
            takers_.clear();
            store_row(*reader);
        }
        stored = filter->stored;
        if (!filter->lingering.empty()) filter->lingering.erase(filter->lingering.begin());
        ++filter->members;
    }
    Member member;
    member.id = subscriber.id;
    member.filter = subscriber.filter;
    reader->members.push_back(std::move(member));
    subscribers_[subscriber.id] = reader;
    if (stored) {
        advertise(subscriber.account, subscriber.filter, subscriber.queue);
    } else {
        unstored_.push_back(Interest{reader->id, subscriber.account, subscriber.filter, subscriber.queue});
    }
    if (reader->behind) pump(*reader);
}

void LocalQueue::stored(const Interest& interest) {
    const auto found = readers_.find(interest.reader);
    if (found == readers_.end()) return;  // it ended meanwhile, which was told
    if (Filter* filter = filter_of(*found->second, interest.filter); filter != nullptr) filter->stored = true;
    advertise(interest.account, interest.filter, interest.queue);
}

void LocalQueue::detach_member(Reader& reader, std::size_t index) {
    Member& member = reader.members[index];
    if (reader.plain()) {
        const Position from = cursor(reader);
        reader.handed.clear();
        reader.scanned = reader.done = from;
        reader.behind = from < committed_last_;
    } else {
        if (!reader.behind) {
            reader.behind = true;
            reader.scanned = committed_last_;
        }
        for (const Out& out : member.out) {
            reader.handed[static_cast<std::size_t>(out.number - reader.handed_first)].redo = true;
            ++reader.redo;
        }
    }
    reset_walk(reader);
    subscribers_.erase(member.id);
    reader.members.erase(reader.members.begin() + static_cast<std::ptrdiff_t>(index));
}

void LocalQueue::end_filter(Reader& reader, const std::string& filter) {
    const AccountId account = reader.account;
    const std::string queue = reader.queue;
    const std::string ended = filter;  // `filter` may be the reader's own
    if (reader.plain() || reader.filters.size() == 1) {
        drop_reader(reader);
    } else {
        takers_.clear();
        reader.filters.erase(std::find_if(reader.filters.begin(), reader.filters.end(),
                                          [&](const Filter& known) { return known.filter == ended; }));
        store_row(reader);
        if (reader.behind) pump(reader);  // what only this filter wanted is nobody's now
    }
    advertise(account, ended, queue);
}

void LocalQueue::add_linger(Reader& reader, Filter& filter, base::Instant now) {
    const std::uint64_t serial = ++linger_serial_;
    filter.lingering.push_back(serial);
    lingers_.push_back(Linger{now + options_.linger, reader.id, filter.filter, serial});
}

void LocalQueue::leave(SubscriberId subscriber, bool linger, base::Instant now) {
    const auto found = subscribers_.find(subscriber);
    if (found == subscribers_.end()) return;
    Reader& reader = *found->second;
    std::size_t at = 0;
    while (reader.members[at].id != subscriber) ++at;
    const std::string filter = reader.members[at].filter;
    detach_member(reader, at);
    Filter* known = filter_of(reader, filter);
    BASE_CHECK(known != nullptr && known->members > 0);
    --known->members;
    if (linger) {
        add_linger(reader, *known, now);
    } else if (known->weight() == 0) {
        end_filter(reader, filter);
        return;
    } else {
        advertise(reader.account, filter, reader.queue);
    }
    if (reader.behind) pump(reader);
}

void LocalQueue::unsubscribe(SubscriberId subscriber, base::Instant now) {
    leave(subscriber, false, now);
}

void LocalQueue::connection_lost(SubscriberId subscriber, base::Instant now) {
    leave(subscriber, true, now);
}

void LocalQueue::tick(base::Instant now) {
    while (!lingers_.empty() && lingers_.front().until <= now) {
        const Linger over = std::move(lingers_.front());
        lingers_.pop_front();
        const auto found = readers_.find(over.reader);
        if (found == readers_.end()) continue;
        Reader& reader = *found->second;
        Filter* filter = filter_of(reader, over.filter);
        if (filter == nullptr) continue;
        const auto serial = std::find(filter->lingering.begin(), filter->lingering.end(), over.serial);
        if (serial == filter->lingering.end()) continue;  // somebody took over
        filter->lingering.erase(serial);
        if (filter->weight() == 0) {
            end_filter(reader, over.filter);
        } else {
            advertise(reader.account, over.filter, reader.queue);
        }
    }
}

base::Instant LocalQueue::linger_deadline() const {
    return lingers_.empty() ? base::instant_max : lingers_.front().until;
}

std::vector<ReaderStatus> LocalQueue::status() const {
    std::vector<ReaderStatus> out;
    for (const auto& [id, reader] : readers_) {
        ReaderStatus status;
        status.id = id;
        status.account = reader->account_name;
        status.queue = reader->queue;
        for (const Filter& filter : reader->filters) status.filters.push_back(filter.filter);
        status.members = static_cast<std::uint32_t>(reader->members.size());
        status.cursor = cursor(*reader);
        status.backlog_positions_max = committed_last_ > status.cursor ? committed_last_ - status.cursor : 0;
        out.push_back(std::move(status));
    }
    return out;
}

}  // namespace routing::queue
