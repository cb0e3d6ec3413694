#include "routing/queue/durable.h"

#include <algorithm>
#include <utility>

#include "routing/base/check.h"
#include "routing/queue/local_queue.h"
#include "routing/queue/origin_flow.h"
#include "routing/queue/origin_log.h"
#include "routing/queue/rows.h"
#include "routing/queue/target_flow.h"

namespace routing::queue {

namespace {

/// What can go is looked for this long after something moved, and trimmed when it is this much or this old.
constexpr base::Duration trim_check_interval = std::chrono::milliseconds(100);
constexpr base::Duration trim_interval = std::chrono::seconds(1);
constexpr std::uint64_t trim_bytes = 4u << 20;

}  // namespace

struct Durable::Parts {
    Parts(DurableOptions given, GatewayRegistry& gateways, TargetSets& target_sets, const RecoveredState& state,
          base::Instant now)
        : options(std::move(given)),
          registry(gateways),
          sets(target_sets),
          log(options, registry, sets, state),
          origin(options, log, registry, sets, outbox, counters, next_command),
          target(options.boot, registry, outbox, counters, state),
          local(options, registry, outbox, counters, next_command, state, now),
          trimmed_at(now),
          trim_check_at(now) {}

    const DurableOptions options;
    GatewayRegistry& registry;
    TargetSets& sets;
    Outbox outbox;
    DurableCounters counters;
    CommandId next_command = 1;
    OriginLog log;
    OriginFlow origin;
    TargetFlow target;
    LocalQueue local;
    std::vector<RowWrite> remembered;
    CommandId committing = 0;  // 0: no commit is under way
    bool failed = false;
    bool format_written = false;
    base::Instant trimmed_at;
    base::Instant trim_check_at;

    void arm_trim(base::Instant now) { trim_check_at = std::min(trim_check_at, now + trim_check_interval); }

    [[nodiscard]] bool trim_due(base::Instant now) {
        if (now < trim_check_at) return false;
        trim_check_at = base::instant_max;
        const std::uint64_t bytes = log.trimmable_bytes(origin.trim_mark()) + local.trimmable_bytes();
        if (bytes == 0) return false;
        if (bytes >= trim_bytes || now - trimmed_at >= trim_interval) return true;
        arm_trim(now);
        return false;
    }

    void fail(StoreError error) {
        failed = true;
        outbox.reopen_store = true;
        const char* what = error == StoreError::full      ? "it is full"
                           : error == StoreError::damaged ? "it is damaged"
                           : error == StoreError::closed  ? "it was closed"
                                                          : "a write, sync or read failed";
        outbox.log.push_back(LogLine{LogLine::Level::error, std::string("durable: the store must be opened again: ") +
                                                                what + "; nothing is acknowledged until then"});
    }

    void flush(base::Instant now, bool force_trim) {
        target.answer();
        if (failed || committing != 0) return;
        // Remembered interest too: what is published after a crash must have the targets that it had before.
        const bool sync =
            log.anything_to_commit() || target.anything_to_commit() || local.anything_to_sync() || !remembered.empty();
        const bool trim = trim_due(now) || force_trim;
        if (!sync && !trim && !local.anything_to_commit(now)) return;
        Commit batch;
        log.close_into(batch);
        target.close_into(batch);
        local.close_into(batch, now);
        for (RowWrite& row : remembered) batch.rows.push_back(std::move(row));
        remembered.clear();
        if (trim) {
            log.trim_into(batch, origin.trim_mark());
            local.trim_into(batch);
            trimmed_at = now;
        }
        if (batch.empty()) return;
        if (!format_written) {
            format_written = true;
            batch.rows.push_back(format_row());
        }
        counters.origin_pages += static_cast<std::uint64_t>(std::count_if(
            batch.pages.begin(), batch.pages.end(), [](const PageWrite& write) { return write.log == LogId::origin; }));
        batch.id = next_command++;
        batch.sync = sync;
        committing = batch.id;
        ++counters.commits;
        outbox.store.emplace_back(std::move(batch));
    }

    void committed(base::Instant now) {
        committing = 0;
        std::vector<PageTail::Entry> pages;
        log.committed(pages, outbox.acks);
        origin.on_committed(pages, now);
        target.committed();
        local.committed(now);
        arm_trim(now);
    }
};

std::optional<std::string> refusal(const DurableOptions& options) {
    switch (options.durability) {
        case Durability::fsync:
            break;
        case Durability::interval:
            return "durability: interval is not built yet; use fsync";
        case Durability::memory:
            return "durability: memory is not built yet; use fsync";
    }
    if (options.run == 0 || options.boot == 0) return "durable: run and boot id must be drawn";
    if (options.accounts.empty()) return "durable: there must be an account";
    if (options.linger < base::Duration::zero()) return "durable_linger: must not be negative";
    if (options.target_window_bytes == 0 || options.reader_window_bytes == 0 || options.pending_bytes_max == 0)
        return "durable: windows must be larger than 0";
    if (options.page_records == 0 || options.page_records > page_records_max || options.segment_pages == 0)
        return "durable: pages and segments must hold something, and pages at most 4096 records";
    return std::nullopt;
}

Durable::Durable(DurableOptions options, GatewayRegistry& registry, TargetSets& sets, const RecoveredState& state,
                 base::Instant now) {
    BASE_CHECK(!refusal(options).has_value());
    parts_ = std::make_unique<Parts>(std::move(options), registry, sets, state, now);
    if (state.damaged_pages > 0)
        parts_->outbox.log.push_back(LogLine{LogLine::Level::error, "durable: " + std::to_string(state.damaged_pages) +
                                                                        " damaged pages were found at the start"});
}

Durable::~Durable() = default;

PublishResult Durable::publish(const MessageView& message, TargetSetId targets, AckToken token, base::Instant now) {
    static_cast<void>(now);
    Parts& parts = *parts_;
    if (parts.failed) return PublishResult::failed;
    if (!room_for_publish()) return PublishResult::full;
    const auto position = parts.log.append(message, targets, token);
    if (!position.ok())
        return position.error() == OriginLog::AppendError::full ? PublishResult::full : PublishResult::stale_targets;
    const TargetSet* set = parts.sets.get(targets);
    BASE_CHECK(set != nullptr);
    if (const Target& first = set->front(); first.gateway == gateway_self)
        parts.local.append(gateway_self, parts.log.run(), position.value(), first.plain, &first.groups, message);
    ++parts.counters.published;
    return PublishResult::taken;
}

bool Durable::room_for_publish() const {
    return parts_->log.room() && parts_->local.pending_bytes() < parts_->options.pending_bytes_max;
}

bool Durable::has_room(GatewayIndex target) const {
    return target == gateway_self ? room_for_publish() : parts_->origin.has_room(target);
}

void Durable::set_reachable(GatewayIndex gateway, bool reachable, base::Instant now) {
    if (!parts_->failed) parts_->origin.set_reachable(gateway, reachable, now);
}

void Durable::on_at(GatewayIndex target, base::ByteView body, base::Instant now) {
    if (parts_->failed) return;
    const auto at = decode_at(body);
    if (!at.has_value()) {
        parts_->outbox.log.push_back(LogLine{LogLine::Level::warning, "durable: a malformed AT was ignored"});
        return;
    }
    parts_->origin.on_at(target, *at, now);
    parts_->arm_trim(now);
}

void Durable::give_up(GatewayIndex target, base::Instant now) {
    if (!parts_->failed) parts_->origin.give_up(target, now);
}

void Durable::bar(GatewayIndex target, Position position, Position after) {
    if (!parts_->failed) parts_->origin.bar(target, position, after);
}

void Durable::try_barred(GatewayIndex target, base::Instant now) {
    if (!parts_->failed) parts_->origin.try_barred(target, now);
}

bool Durable::skip_barred(GatewayIndex target, Position position, base::Instant now) {
    return !parts_->failed && parts_->origin.skip_barred(target, position, now);
}

Position Durable::barred(GatewayIndex target) const {
    return parts_->origin.barred(target);
}

bool Durable::is_past(GatewayIndex target, Position position) const {
    return parts_->origin.is_past(target, position);
}

void Durable::remember_interest(GatewayIndex gateway, std::string_view account, std::string_view filter,
                                std::string_view queue, std::uint32_t weight) {
    parts_->remembered.push_back(remembered_row(RememberedInterest{parts_->registry.id(gateway), std::string(account),
                                                                   std::string(filter), std::string(queue), weight}));
}

void Durable::on_head(GatewayIndex origin, base::ByteView body, base::Instant now) {
    if (parts_->failed) return;
    const auto head = decode_head(body);
    if (!head.has_value()) {
        parts_->outbox.log.push_back(LogLine{LogLine::Level::warning, "durable: a malformed HEAD was ignored"});
        return;
    }
    parts_->target.on_head(origin, *head, now);
}

void Durable::on_record(GatewayIndex origin, const DurableRecord& record, base::Instant now) {
    Parts& parts = *parts_;
    if (parts.failed || origin == gateway_self) return;
    if (parts.target.judge(origin, record, now) != TargetFlow::Verdict::apply) return;
    if (parts.local.pending_bytes() >= parts.options.pending_bytes_max) {
        ++parts.counters.refused_full;
        return;
    }
    parts.local.append(origin, record.run, record.position, record.plain, record.groups, record.message);
    parts.target.applied(origin, record);
}

void Durable::subscribe(const DurableSubscriber& subscriber, base::Instant now) {
    parts_->local.subscribe(subscriber, now);
}

void Durable::unsubscribe(SubscriberId subscriber, base::Instant now) {
    parts_->local.unsubscribe(subscriber, now);
    parts_->arm_trim(now);
}

void Durable::connection_lost(SubscriberId subscriber, base::Instant now) {
    parts_->local.connection_lost(subscriber, now);
}

void Durable::taken(SubscriberId subscriber, std::uint64_t ticket, base::Instant now) {
    parts_->local.taken(subscriber, ticket, now);
    parts_->arm_trim(now);
}

void Durable::dump(std::uint64_t token, Position from, base::Instant now) {
    static_cast<void>(now);
    if (!parts_->failed) parts_->local.dump(token, from);
}

void Durable::on_store_done(StoreDone done, base::Instant now) {
    Parts& parts = *parts_;
    if (parts.failed) return;
    if (!done.result.ok()) {
        parts.fail(done.result.error());
        return;
    }
    if (done.id == parts.committing) {
        parts.committed(now);
        parts.flush(now, false);
        return;
    }
    if (!parts.origin.on_read(done.id, done.pages, now)) parts.local.on_read(done.id, done.pages, now);
}

void Durable::flush(base::Instant now) {
    parts_->flush(now, false);
}

void Durable::finish(base::Instant now) {
    parts_->local.cursors_due(now);
    parts_->flush(now, true);
}

void Durable::tick(base::Instant now) {
    if (parts_->failed) return;
    parts_->origin.tick(now);
    parts_->local.tick(now);
    parts_->flush(now, false);
}

base::Instant Durable::next_deadline() const {
    if (parts_->failed) return base::instant_max;
    const base::Instant deadline = std::min(parts_->origin.next_deadline(), parts_->local.linger_deadline());
    // What waits for a commit waits for the end of the one under way, which needs no clock.
    if (parts_->committing != 0) return deadline;
    return std::min({deadline, parts_->local.commit_deadline(), parts_->trim_check_at});
}

Outbox& Durable::outbox() {
    return parts_->outbox;
}

std::vector<TargetStatus> Durable::targets(base::Instant now) const {
    return parts_->origin.status(now);
}
std::vector<OriginStatus> Durable::origins() const {
    return parts_->target.status();
}
std::vector<ReaderStatus> Durable::readers() const {
    return parts_->local.status();
}
std::vector<RecoveredLoss> Durable::losses() const {
    return parts_->target.losses();
}
const DurableCounters& Durable::counters() const {
    return parts_->counters;
}
Run Durable::run() const {
    return parts_->log.run();
}
Position Durable::last() const {
    return parts_->log.committed_last();
}

bool Durable::settled() const {
    const Parts& parts = *parts_;
    return parts.failed || (parts.committing == 0 && !parts.log.anything_to_commit() &&
                            !parts.target.anything_to_commit() && !parts.local.anything_to_sync());
}

}  // namespace routing::queue
