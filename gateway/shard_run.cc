// A shard: publishes of one read, taken together.  Messages of one subject in a row go out in one go; what the lookups
// of different subjects will touch is loaded while others are still being looked at.
#include <algorithm>
#include <cstring>

#include "compat/nats_writer.h"
#include "gateway/shard.h"
#include "gateway/shard_internal.h"

namespace gateway {

using compat::PublishAhead;
using routing::Route;

namespace {

/// From so many different subjects on it pays to look at all of them first.
constexpr std::size_t glance_subjects_min = 4;

/// Copies `size` bytes.  Short ones inline: a call costs as much as they do.
inline char* copy(char* to, const char* from, std::size_t size) {
    if (size < 16 || size > 64) {
        std::memcpy(to, from, size);
        return to + size;
    }
    for (std::size_t i = 0; i + 16 < size; i += 16) std::memcpy(to + i, from + i, 16);
    std::memcpy(to + size - 16, from + size - 16, 16);
    return to + size;
}

}  // namespace

/// Takes the publishes at the front of `in`.  False if there is none that can be taken so.
bool Shard::publish_ahead(Client& from, base::ByteView& in) {
    if (changeable_.log.trace) return false;
    const std::size_t count = from.session.look_ahead(in, now_, ahead_.data(), ahead_.size());
    if (count == 0) return false;
    const bool glanced = router_.glances_pay() && glance_ahead(count);
    std::size_t done = 0;
    while (done < count && !from.closing && (from.pauses & Client::blocks_parsing) == 0) {
        std::size_t run = 1;
        while (done + run < count && ahead_[done + run].repeats) ++run;
        const std::size_t taken = run > 1 ? publish_run(from, &ahead_[done], run) : 0;
        if (taken == 0) {
            publish_one(from, ahead_[done].publish, glanced ? &glances_[done] : nullptr);
            ++done;
        }
        done += taken;
    }
    in.remove_prefix(ahead_[done - 1].end);
    return true;
}

/// Has the memory loaded that the lookups of ahead_ will touch, for all of them at the same time.  False: they have too
/// few subjects for that.
bool Shard::glance_ahead(std::size_t count) {
    std::size_t subjects = 0;
    for (std::size_t i = 0; i < count; ++i) subjects += ahead_[i].repeats ? 0 : 1;
    if (subjects < glance_subjects_min) return false;
    for (int step = 0; step < routing::Router::glance_steps; ++step) {
        for (std::size_t i = 0; i < count; ++i)
            router_.glance(routing::account_global, ahead_[i].publish.subject, step, glances_[i]);
    }
    for (std::size_t i = 0; i < count; ++i) {
        if (glances_[i].slot < subscribers_.size()) __builtin_prefetch(&subscribers_[glances_[i].slot]);
    }
    for (int step = 0; step < 2; ++step) {
        for (std::size_t i = 0; i < count; ++i) {
            if (glances_[i].slot >= subscribers_.size()) continue;
            const Subscriber& subscriber = subscribers_[glances_[i].slot];
            if (subscriber.client == nullptr) continue;
            const auto& table = subscriber.client->session.subscriptions();
            if (subscriber.index >= table.end()) continue;
            if (step == 0) {
                __builtin_prefetch(&table.at(subscriber.index));
            } else if (glances_[i].kept == nullptr) {
                __builtin_prefetch(table.at(subscriber.index).sid().data());
            }
        }
    }
    return true;
}

/// At most how many bytes one message of the run is for a receiver with this head ("HMSG ...").
std::size_t Shard::run_frame_bytes(std::string_view head, const PublishAhead& message) {
    return head.size() + 2 * compat::number_digits_max + 1 + message.publish.body.size() + 2 * compat::line_end.size();
}

/// Publishes a run of one subject to subscribers of this shard alone.  Returns how many it took; 0: they are to be
/// published one by one.
std::size_t Shard::publish_run(Client& from, const PublishAhead* run, std::size_t count) {
    const std::string_view subject = run->publish.subject;
    Route& route = router_.route(routing::account_global, subject);
    if (!route.local_only || !route.cached) return 0;
    if (tree_ != nullptr) {
        if (tree_->may_be_reply(subject) ||
            tree_->subject_class().is_durable(route, routing::account_global, subject)) {
            return 0;
        }
        // Headers may say which gateways it is for.
        if (std::any_of(run, run + count, [](const PublishAhead& one) { return one.publish.header_bytes != 0; }))
            return 0;
    }
    if (!route.plain.empty()) {
        if ((route.flags & heads_rendered) == 0) render_heads(route, subject);
        if ((route.flags & runs_allowed) == 0) return 0;
    }
    for (const auto& receiver : route.plain) {
        const Subscriber& subscriber = subscribers_[receiver.slot];
        if (!subscriber.client->session.counts_alone(subscriber.index)) return 0;
    }
    counters_.in_messages += count;
    from.in_messages += count;
    if ((route.flags & heads_equal) != 0 && route.plain.size() >= share_receivers_min) {
        share_run(route, run, count, from);
    } else {
        for (const auto& receiver : route.plain) {
            const Subscriber& subscriber = subscribers_[receiver.slot];
            Client& to = *subscriber.client;
            if (to.closing || (&to == &from && !to.session.echo())) continue;
            to.session.on_deliveries(subscriber.index, static_cast<std::uint32_t>(count));
            append_run(to, receiver.head, run, count, from);
        }
    }
    finish_deliveries();
    return count;
}

/// Writes as many of the run's frames as fit in [at, end) and returns where they end.
char* Shard::write_run(char* at, const char* end, const Client& to, std::string_view head, const PublishAhead*& run,
                       const PublishAhead* run_end) {
    const bool headers = to.session.headers();
    for (; run != run_end; ++run) {
        const compat::OutgoingMessage message{{}, run->publish.body, run->publish.header_bytes};
        const bool with_headers = compat::delivered_with_headers(message, headers);
        if (message.body.size() != run_tail_.body_bytes || message.header_bytes != run_tail_.header_bytes ||
            with_headers != run_tail_.with_headers) {
            run_tail_.text.clear();
            compat::append_delivery_tail(run_tail_.text, message, with_headers);
            run_tail_.body_bytes = message.body.size();
            run_tail_.header_bytes = message.header_bytes;
            run_tail_.with_headers = with_headers;
        }
        const std::size_t size = compat::delivery_bytes(head, with_headers, run_tail_.text, message);
        if (static_cast<std::size_t>(end - at) < size) break;
        const std::size_t head_from = with_headers ? 0 : 1;
        const std::size_t body_from = with_headers ? 0 : message.header_bytes;
        at = copy(at, head.data() + head_from, head.size() - head_from);
        at = copy(at, run_tail_.text.data(), run_tail_.text.size());
        // The line end follows in the input too.
        at = copy(at, message.body.data() + body_from, message.body.size() - body_from + compat::line_end.size());
    }
    return at;
}

void Shard::append_run(Client& to, std::string_view head, const PublishAhead* run, std::size_t count, Client& from) {
    const PublishAhead* const end = run + count;
    while (run != end && !to.closing) {
        const PublishAhead* const first = run;
        char* const begin = to.output.reserve(run_frame_bytes(head, *run));
        const char* const written = write_run(begin, begin + to.output.room(), to, head, run, end);
        to.output.commit(static_cast<std::size_t>(written - begin));
        after_append(to, &from, static_cast<std::uint64_t>(run - first));
    }
}

void Shard::share_run(Route& route, const PublishAhead* run, std::size_t count, Client& from) {
    const std::string_view head = route.plain.front().head;
    const Client& any = *subscribers_[route.plain.front().slot].client;  // all take headers alike
    const PublishAhead* const end = run + count;
    while (run != end) {
        const PublishAhead* const first = run;
        char* const begin = reserve_shared(run_frame_bytes(head, *run));
        const std::uint32_t begin_at = shared_->used;
        const char* const written = write_run(begin, shared_->data.get() + shared_->capacity, any, head, run, end);
        shared_->used += static_cast<std::uint32_t>(written - begin);
        const auto messages = static_cast<std::uint32_t>(run - first);
        for (const auto& receiver : route.plain) {
            const Subscriber& subscriber = subscribers_[receiver.slot];
            Client& to = *subscriber.client;
            if (to.closing || (&to == &from && !to.session.echo())) continue;
            to.session.on_deliveries(subscriber.index, messages);
            to.output.append_shared(shared_, begin_at, shared_->used);
            after_append(to, &from, messages);
        }
    }
}

}  // namespace gateway
