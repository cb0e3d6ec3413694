// A shard: publishes of one read, taken together.  Messages of one subject in a row go out in one go, here and (as one
// record of mail) at the siblings; what the lookups of different subjects will touch is loaded while others are still
// being looked at.
#include <algorithm>

#include "compat/nats_writer.h"
#include "gateway/shard.h"
#include "gateway/shard_internal.h"

namespace gateway {

using compat::PublishAhead;
using routing::Route;

namespace {

/// From so many different subjects on it pays to look at all of them first.
constexpr std::size_t glance_subjects_min = 4;

/// The messages of a run as they lie in the input.  Borrows: both.
class AheadRun {
  public:
    AheadRun(const PublishAhead* at, std::size_t count) : at_(at), end_(at + count) {}
    [[nodiscard]] bool empty() const { return at_ == end_; }
    [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(end_ - at_); }
    [[nodiscard]] RunMessage front() const { return {at_->publish.body, at_->publish.header_bytes}; }
    void pop() { ++at_; }

  private:
    const PublishAhead* at_;
    const PublishAhead* end_;
};

/// At most how many bytes one message of a run is for a receiver with this head ("HMSG ...").
std::size_t run_frame_bytes(std::string_view head, const RunMessage& message) {
    return head.size() + 2 * compat::number_digits_max + 1 + message.body.size() + 2 * compat::line_end.size();
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

/// Publishes a run of one subject to plain subscribers, here and at the siblings.  Returns how many it took; 0: they
/// are to be published one by one.
std::size_t Shard::publish_run(Client& from, const PublishAhead* run, std::size_t count) {
    const std::string_view subject = run->publish.subject;
    Route& route = router_.route(routing::account_global, subject);
    if (!route.gateways.empty() || !route.groups.empty() || !takes_runs(route, subject)) return 0;
    if (!route.shards.empty() && subject.starts_with('$')) return 0;  // Node may listen there, and asks who it was
    if (tree_ != nullptr) {
        if (tree_->may_be_reply(subject) ||
            tree_->subject_class().is_durable(route, routing::account_global, subject)) {
            return 0;
        }
        // Headers may say which gateways it is for.
        if (std::any_of(run, run + count, [](const PublishAhead& one) { return one.publish.header_bytes != 0; }))
            return 0;
    }
    counters_.in_messages += count;
    from.in_messages += count;
    // The siblings first: what is written here may be flushed at once.
    for (const auto sibling : route.shards) {
        const RunHead head{.echo = from.session.echo(), .account = routing::account_global, .source = from.connection};
        append_run(deliveries_out_[sibling], open_runs_[sibling], head, subject, AheadRun(run, count));
        mail_sent(sibling);
    }
    serve_run(route, AheadRun(run, count), &from);
    finish_deliveries();
    return count;
}

/// A run that a sibling has published.
void Shard::on_run(const RunMail& mail) {
    for (MailedRun run(mail); !run.empty(); run.pop()) {
        Route& route = router_.route(mail.head.account, mail.subject);
        mail_source_ = mail.head.source;
        const bool together = takes_runs(route, mail.subject);
        if (together) {
            serve_run(route, run, nullptr);
        } else {
            const RunMessage message = run.front();
            tails_ready_ = false;
            deliver_plain(route, {mail.head.account, mail.subject, {}, message.body, message.header_bytes}, nullptr);
        }
        mail_source_ = 0;
        finish_deliveries();
        if (together) return;
    }
}

/// Whether the plain subscribers of this shard may get the messages of a run before each other.
bool Shard::takes_runs(Route& route, std::string_view subject) {
    if (!route.cached || changeable_.log.trace) return false;
    if (route.plain.empty()) return true;
    if ((route.flags & heads_rendered) == 0) render_heads(route, subject);
    if ((route.flags & runs_allowed) == 0) return false;
    return std::all_of(route.plain.begin(), route.plain.end(), [this](const routing::LocalReceiver& receiver) {
        const Subscriber& subscriber = subscribers_[receiver.slot];
        return subscriber.client->session.counts_alone(subscriber.index);
    });
}

/// Gives a run to the plain subscribers of this shard, one after another or once for all.
template <typename Run>
void Shard::serve_run(Route& route, Run run, Client* from) {
    if ((route.flags & heads_equal) != 0 && route.plain.size() >= share_receivers_min) {
        share_run(route, run, from);
        return;
    }
    for (const auto& receiver : route.plain) {
        const Subscriber& subscriber = subscribers_[receiver.slot];
        Client& to = *subscriber.client;
        if (to.closing || (&to == from && !to.session.echo()) || drops_for(to, from)) continue;
        to.session.on_deliveries(subscriber.index, run.size());
        append_run_to(to, receiver.head, run, from);
    }
}

/// Writes as many of the run's frames as fit in [at, end), takes them off its front and returns where they end.
template <typename Run>
char* Shard::write_run(char* at, const char* end, bool headers, std::string_view head, Run& run) {
    // What is before the bodies, for messages of these sizes; in locals, as what is written may be anything.
    RunSizes sizes;
    const char* line = nullptr;
    std::size_t line_bytes = 0;
    std::size_t cut = 0;  // of the body, where the receiver takes no headers
    for (; !run.empty(); run.pop()) {
        const RunMessage message = run.front();
        if (line == nullptr || sizes_of(message) != sizes) {
            const compat::OutgoingMessage said{{}, message.body, message.header_bytes};
            const bool with_headers = compat::delivered_with_headers(said, headers);
            run_line_.assign(head.substr(with_headers ? 0 : 1));
            compat::append_delivery_tail(run_line_, said, with_headers);
            sizes = sizes_of(message);
            line = run_line_.data();
            line_bytes = run_line_.size();
            cut = with_headers ? 0 : message.header_bytes;
        }
        const std::size_t body_bytes = message.body.size() - cut + compat::line_end.size();
        if (static_cast<std::size_t>(end - at) < line_bytes + body_bytes) break;
        at = copy_short(at, line, line_bytes);
        at = copy_short(at, message.body.data() + cut, body_bytes);
    }
    return at;
}

template <typename Run>
void Shard::append_run_to(Client& to, std::string_view head, Run run, Client* from) {
    while (!run.empty() && !to.closing) {
        const std::uint32_t before = run.size();
        char* const begin = to.output.reserve(run_frame_bytes(head, run.front()));
        const char* const written = write_run(begin, begin + to.output.room(), to.session.headers(), head, run);
        to.output.commit(static_cast<std::size_t>(written - begin));
        after_append(to, from, before - run.size());
    }
}

template <typename Run>
void Shard::share_run(Route& route, Run run, Client* from) {
    const std::string_view head = route.plain.front().head;
    const bool headers = subscribers_[route.plain.front().slot].client->session.headers();  // of all
    while (!run.empty()) {
        const std::uint32_t before = run.size();
        char* const begin = reserve_shared(run_frame_bytes(head, run.front()));
        const std::uint32_t begin_at = shared_->used;
        const char* const written = write_run(begin, shared_->data.get() + shared_->capacity, headers, head, run);
        shared_->used += static_cast<std::uint32_t>(written - begin);
        const std::uint32_t messages = before - run.size();
        for (const auto& receiver : route.plain) {
            const Subscriber& subscriber = subscribers_[receiver.slot];
            Client& to = *subscriber.client;
            if (to.closing || (&to == from && !to.session.echo()) || drops_for(to, from)) continue;
            to.session.on_deliveries(subscriber.index, messages);
            to.output.append_shared(shared_, begin_at, shared_->used);
            after_append(to, from, messages);
        }
    }
}

}  // namespace gateway
