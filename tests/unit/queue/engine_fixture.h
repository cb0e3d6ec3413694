// One gateway's durable engine over a disk in memory, driven by hand: what it emits is looked at and passed on, or not.
#pragma once

#include <catch2/catch.hpp>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "routing/queue/durable.h"
#include "routing/queue/memory_store.h"

namespace routing::queue {

inline GatewayId gateway_id(std::uint8_t number) {
    GatewayId id;
    id.bytes[0] = number;
    return id;
}

struct Got {
    SubscriberId subscriber = 0;
    std::uint64_t ticket = 0;
    std::string subject;
    std::string body;
};

struct Sent {
    TargetSet targets;
    Run run = 0;
    Position position = 0;
    std::vector<Prev> prevs;
    std::string subject;
    std::string body;
};

/// Gateways are numbered as the test likes; index_of(number) is how this process names them.
class Engine {
  public:
    explicit Engine(std::uint8_t number) : self(gateway_id(number)) {}

    /// A process start.  `tune` may change the options first.
    template <typename Tune>
    void start(Tune tune) {
        ++starts_;
        commands.clear();
        store = std::make_unique<MemoryStore>(disk);
        auto state = recover(*store, self);
        REQUIRE(state.ok());
        registry = std::make_unique<GatewayRegistry>(self);
        sets = std::make_unique<TargetSets>();
        DurableOptions options;
        options.run = starts_ * 1000 + self.bytes[0];
        options.boot = starts_ * 1000 + 500 + self.bytes[0];
        tune(options);
        durable = std::make_unique<Durable>(options, *registry, *sets, state.value(), now);
        collect();
    }
    void start() {
        start([](DurableOptions&) {});
    }
    /// kill -9, or loss of power with `power` (what was not synced is gone).
    void crash(bool power) {
        durable.reset();
        store.reset();
        disk.crash(power ? 0 : disk.unsynced());
        sent.clear();
        control.clear();
        acks.clear();
        got.clear();
    }

    GatewayIndex index_of(std::uint8_t number) { return *registry->intern(gateway_id(number)); }
    TargetSetId targets(std::vector<std::pair<std::uint8_t, std::vector<std::string>>> who, bool plain = true) {
        TargetSet set;
        for (auto& [number, groups] : who) set.push_back(Target{index_of(number), plain, groups});
        std::sort(set.begin(), set.end(), [](const Target& a, const Target& b) { return a.gateway < b.gateway; });
        return sets->intern(set);
    }

    PublishResult publish(std::string_view subject, std::string_view body, TargetSetId to, AckToken token = 0) {
        MessageView message;
        message.subject = subject;
        message.body = body;
        const PublishResult result = durable->publish(message, to, token, now);
        collect();
        return result;
    }
    /// End of turn, without the store doing anything.
    void flush() {
        durable->flush(now);
        collect();
    }
    /// Lets the store execute one command and answer; false if there is none.
    bool step() {
        if (commands.empty()) return false;
        const StoreCommand command = std::move(commands.front());
        commands.pop_front();
        durable->on_store_done(execute(*store, command), now);
        collect();
        return true;
    }
    /// Flushes and lets the store work until it has nothing to do.
    void settle() {
        flush();
        while (step()) {
        }
    }
    /// Time passes, deadline by deadline.
    void wait(base::Duration time) {
        const base::Instant until = now + time;
        while (durable->next_deadline() <= until) {
            now = std::max(now, durable->next_deadline());
            durable->tick(now);
            collect();
            settle();
        }
        now = until;
    }
    void reach(std::uint8_t number, bool reachable = true) {
        durable->set_reachable(index_of(number), reachable, now);
        collect();
    }
    void subscribe(SubscriberId id, std::string filter, std::string queue = {}, std::string client = "c",
                   std::string sid = "1") {
        durable->subscribe(DurableSubscriber{id, account_global, std::move(filter), std::move(queue), std::move(client),
                                             std::move(sid)},
                           now);
        collect();
    }
    /// The sockets take all that was handed out.
    std::vector<std::string> take_all() {
        std::vector<std::string> bodies;
        while (!got.empty()) {
            const Got first = got.front();
            got.erase(got.begin());
            bodies.push_back(first.body);
            durable->taken(first.subscriber, first.ticket, now);
            collect();
            settle();
        }
        return bodies;
    }

    void collect() {
        Outbox& out = durable->outbox();
        for (StoreCommand& command : out.store) commands.push_back(std::move(command));
        for (FlowMessage& message : out.control) control.push_back(std::move(message));
        for (const SendRecord& record : out.records) {
            Sent one;
            one.targets = *sets->get(record.targets);
            one.run = record.run;
            one.position = record.position;
            for (std::size_t i = 0; i < one.targets.size(); ++i) one.prevs.push_back(out.prevs[record.prevs_from + i]);
            one.subject = record.message.subject;
            one.body = record.message.body;
            sent.push_back(std::move(one));
        }
        for (const PubAck& ack : out.acks) acks.push_back(ack);
        for (const Delivery& delivery : out.deliveries)
            got.push_back(Got{delivery.subscriber, delivery.ticket, std::string(delivery.message.subject),
                              std::string(delivery.message.body)});
        for (DurableInterest& change : out.interest) interest.push_back(std::move(change));
        for (const Loss& loss : out.losses) losses.push_back(loss);
        for (DumpChunk& chunk : out.dumps) dumps.push_back(std::move(chunk));
        for (LogLine& line : out.log) log.push_back(std::move(line));
        reopen = reopen || out.reopen_store;
        out.clear();
    }

    /// The commits that wait for the store.
    [[nodiscard]] std::size_t commits_waiting() const {
        std::size_t count = 0;
        for (const StoreCommand& command : commands) count += std::holds_alternative<Commit>(command) ? 1 : 0;
        return count;
    }

    GatewayId self;
    MemoryDisk disk;
    base::Instant now{std::chrono::hours(1)};
    std::unique_ptr<MemoryStore> store;
    std::unique_ptr<GatewayRegistry> registry;
    std::unique_ptr<TargetSets> sets;
    std::unique_ptr<Durable> durable;
    std::deque<StoreCommand> commands;
    std::vector<FlowMessage> control;
    std::vector<Sent> sent;
    std::vector<PubAck> acks;
    std::vector<Got> got;
    std::vector<DurableInterest> interest;
    std::vector<Loss> losses;
    std::vector<DumpChunk> dumps;
    std::vector<LogLine> log;
    bool reopen = false;

  private:
    std::uint64_t starts_ = 0;
};

/// Gives `to` everything that `from` sent to it, `passed(i)` says which records arrive.  False if there was nothing.
template <typename Passed>
inline bool pass(Engine& from, Engine& to, Passed passed) {
    const GatewayIndex receiver = from.index_of(to.self.bytes[0]);
    const GatewayIndex sender = to.index_of(from.self.bytes[0]);
    std::vector<FlowMessage> control;
    std::swap(control, from.control);
    bool any = false;
    for (FlowMessage& message : control) {
        if (message.to != receiver) {
            from.control.push_back(std::move(message));
            continue;
        }
        any = true;
        if (message.kind == FlowMessage::Kind::head) {
            to.durable->on_head(sender, message.body, to.now);
        } else {
            to.durable->on_at(sender, message.body, to.now);
        }
    }
    std::vector<Sent> sent;
    std::swap(sent, from.sent);
    for (std::size_t i = 0; i < sent.size(); ++i) {
        for (std::size_t t = 0; t < sent[i].targets.size(); ++t) {
            if (sent[i].targets[t].gateway != receiver) continue;
            any = true;
            if (!passed(i)) continue;
            DurableRecord record;
            record.run = sent[i].run;
            record.position = sent[i].position;
            record.prev = sent[i].prevs[t];
            record.plain = sent[i].targets[t].plain;
            record.groups = &sent[i].targets[t].groups;
            record.message.subject = sent[i].subject;
            record.message.body = sent[i].body;
            to.durable->on_record(sender, record, to.now);
        }
    }
    to.collect();
    to.settle();
    return any;
}
inline bool pass(Engine& from, Engine& to) {
    return pass(from, to, [](std::size_t) { return true; });
}
/// Until neither has anything to say.
inline void converse(Engine& a, Engine& b) {
    for (int i = 0; i < 100; ++i) {
        a.settle();
        b.settle();
        const bool passed_on = pass(a, b);
        if (!pass(b, a) && !passed_on) return;
    }
    FAIL("they never fall silent");
}

}  // namespace routing::queue
