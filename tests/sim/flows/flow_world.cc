#include "tests/sim/flows/flow_world.h"

#include <algorithm>
#include <utility>

#include "tests/sim/flows/flow_state.h"

namespace flows {

using namespace routing;
using namespace routing::queue;
using base::Duration;
using base::Instant;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

Totals& totals() {
    static Totals all;
    return all;
}

namespace {

/// A packet is late by a second at most.
constexpr Duration packet_life = seconds(2);
constexpr Duration heal_time_max = seconds(1200);

struct Packet {
    enum class Kind : std::uint8_t { head, at, record };
    Kind kind = Kind::head;
    std::uint32_t from = 0;
    std::uint32_t to = 0;
    base::Bytes body;  // of head, at; of the record's message
    Run run = 0;
    Position position = 0;
    Prev prev;
    bool plain = false;
    std::vector<std::string> groups;
    std::string subject;
};

struct Event {
    Instant at;
    std::uint64_t number = 0;
    enum class Kind : std::uint8_t { packet, execute, wake, step, start, reach, taken } kind = Kind::step;
    std::uint32_t gateway = 0;
    std::uint64_t epoch = 0;
    std::uint64_t value = 0;
    std::uint64_t value2 = 0;
    std::shared_ptr<Packet> packet;
};
struct Later {
    bool operator()(const Event& a, const Event& b) const { return a.at != b.at ? a.at > b.at : a.number > b.number; }
};

class World {
  public:
    explicit World(const Options& options) : options_(options), prng_(options.seed) {}
    std::optional<std::string> run();

  private:
    void at(Instant when, Event event) {
        event.at = when;
        event.number = ++event_number_;
        events_.push(std::move(event));
    }
    Duration between(Duration low, Duration high) {
        return Duration(static_cast<std::int64_t>(
            prng_.between(static_cast<std::uint64_t>(low.count()), static_cast<std::uint64_t>(high.count()))));
    }
    [[nodiscard]] bool chance(std::uint32_t per_mille) { return !healed_ && prng_.below(1000) < per_mille; }
    [[nodiscard]] bool linked(std::uint32_t a, std::uint32_t b) const {
        return cut_.count({std::min(a, b), std::max(a, b)}) == 0;
    }

    void start(std::uint32_t number);
    void stop(std::uint32_t number, bool power);
    void learn_reach(std::uint32_t who, std::uint32_t of);
    void tell_reach(std::uint32_t number);
    void connect(std::uint32_t number, Gateway::Client& client);
    void drain(std::uint32_t number);
    void send(std::shared_ptr<Packet> packet);
    void deliver(const Packet& packet);
    void execute(std::uint32_t number);
    void step();
    void publish();
    [[nodiscard]] bool quiet() const;
    void handle(const Event& event);

    const Options options_;
    base::Prng prng_;
    Instant now_{};
    std::uint64_t event_number_ = 0;
    std::priority_queue<Event, std::vector<Event>, Later> events_;
    std::vector<Gateway> gateways_;
    std::vector<Message> messages_;
    std::set<std::pair<std::uint32_t, std::uint32_t>> cut_;
    std::uint64_t subscriber_next_ = 1;
    std::uint32_t steps_left_ = 0;
    bool healed_ = false;
    std::optional<std::string> wrong_;
};

void World::start(std::uint32_t number) {
    Gateway& gateway = gateways_[number];
    if (gateway.up) return;
    gateway.store = std::make_unique<MemoryStore>(gateway.disk);
    auto state = recover(*gateway.store, gateway.id);
    if (!state.ok()) {
        wrong_ = "recover() failed";
        return;
    }
    gateway.registry = std::make_unique<GatewayRegistry>(gateway.id);
    gateway.sets = std::make_unique<TargetSets>();
    DurableOptions durable;
    durable.run = prng_.next() | 1;
    durable.boot = prng_.next() | 1;
    durable.dump_keep = 1u << 30;
    // Small, so that windows fill, tails are too short and segments close.
    durable.target_window_bytes = prng_.between(60, 2000);
    durable.reader_window_bytes = prng_.between(60, 2000);
    durable.tail_bytes = prng_.between(1, 2000);
    durable.page_records = static_cast<std::uint32_t>(prng_.between(1, 6));
    durable.segment_pages = prng_.between(1, 4);
    gateway.engine = std::make_unique<Durable>(durable, *gateway.registry, *gateway.sets, state.value(), now_);
    // Indexes differ from start to start.
    std::vector<std::uint32_t> order;
    for (std::uint32_t i = 0; i < gateways_.size(); ++i) order.push_back(i);
    prng_.shuffle(order);
    gateway.index_of.assign(gateways_.size(), gateway_self);
    for (const std::uint32_t i : order) gateway.index_of[i] = *gateway.registry->intern(gateways_[i].id);
    gateway.up = true;
    ++gateway.epoch;
    ++gateway.starts;
    gateway.commands.clear();
    gateway.executing = false;
    gateway.wake = base::instant_max;
    for (Gateway::Client& client : gateway.clients) connect(number, client);
    drain(number);
    tell_reach(number);
}

void World::stop(std::uint32_t number, bool power) {
    Gateway& gateway = gateways_[number];
    if (!gateway.up) return;
    const DurableCounters& counters = gateway.engine->counters();
    totals().repeats += counters.repeats;
    totals().gaps += counters.gaps;
    totals().go_backs += counters.go_backs;
    totals().resent += counters.records_resent;
    note_applied(gateway);
    gateway.up = false;
    ++gateway.epoch;
    gateway.engine.reset();
    gateway.store.reset();
    gateway.commands.clear();
    for (Gateway::Client& client : gateway.clients) client.connected = false;
    // The process dies: what was written stays.  The machine dies: what was not synced is gone, all or the last part.
    gateway.disk.crash(power ? prng_.below(gateway.disk.unsynced() + 1) : gateway.disk.unsynced());
    tell_reach(number);
}

void World::tell_reach(std::uint32_t number) {
    for (std::uint32_t other = 0; other < gateways_.size(); ++other) {
        if (other == number) continue;
        for (const auto& [who, of] : {std::pair{number, other}, std::pair{other, number}}) {
            Event event;
            event.kind = Event::Kind::reach;
            event.gateway = who;
            event.value = of;
            at(now_ + between(microseconds(10), milliseconds(50)), event);
        }
    }
}

void World::learn_reach(std::uint32_t who, std::uint32_t of) {
    Gateway& gateway = gateways_[who];
    if (!gateway.up) return;
    gateway.engine->set_reachable(gateway.index_of[of], gateways_[of].up && linked(who, of), now_);
    gateway.engine->flush(now_);
    drain(who);
}

void World::connect(std::uint32_t number, Gateway::Client& client) {
    Gateway& gateway = gateways_[number];
    client.subscriber = subscriber_next_++;
    client.connected = true;
    gateway.engine->subscribe(DurableSubscriber{client.subscriber, account_global, client.queue.empty() ? "d.>" : "d.*",
                                                client.queue, client.name, "1"},
                              now_);
    gateway.engine->flush(now_);
}

void World::send(std::shared_ptr<Packet> packet) {
    if (!linked(packet->from, packet->to)) return;
    if (chance(options_.faults.drop)) return;
    const int copies = chance(options_.faults.repeat) ? 2 : 1;
    for (int i = 0; i < copies; ++i) {
        Event event;
        event.kind = Event::Kind::packet;
        event.packet = packet;
        const Duration longest = chance(options_.faults.late) ? Duration(seconds(1)) : Duration(milliseconds(20));
        at(now_ + between(microseconds(50), longest), event);
    }
}

void World::drain(std::uint32_t number) {
    Gateway& gateway = gateways_[number];
    if (!gateway.up) return;
    Outbox& out = gateway.engine->outbox();
    if (out.reopen_store) {
        ++totals().store_failures;
        stop(number, true);
        Event event;
        event.kind = Event::Kind::start;
        event.gateway = number;
        at(now_ + milliseconds(5), event);
        return;
    }
    for (StoreCommand& command : out.store) gateway.commands.push_back(std::move(command));
    const auto number_of = [&](GatewayIndex index) {
        const GatewayId& id = gateway.registry->id(index);
        for (std::uint32_t i = 0; i < gateways_.size(); ++i)
            if (gateways_[i].id == id) return i;
        return number;
    };
    for (FlowMessage& message : out.control) {
        auto packet = std::make_shared<Packet>();
        packet->kind = message.kind == FlowMessage::Kind::head ? Packet::Kind::head : Packet::Kind::at;
        packet->from = number;
        packet->to = number_of(message.to);
        packet->body = std::move(message.body);
        send(std::move(packet));
    }
    for (const SendRecord& record : out.records) {
        const TargetSet& set = *gateway.sets->get(record.targets);
        for (std::size_t i = 0; i < set.size(); ++i) {
            auto packet = std::make_shared<Packet>();
            packet->kind = Packet::Kind::record;
            packet->from = number;
            packet->to = number_of(set[i].gateway);
            packet->run = record.run;
            packet->position = record.position;
            packet->prev = out.prevs[record.prevs_from + i];
            packet->plain = set[i].plain;
            packet->groups = set[i].groups;
            packet->subject = record.message.subject;
            packet->body = record.message.body;
            send(std::move(packet));
        }
    }
    for (const PubAck& ack : out.acks) {
        Message& message = messages_[ack.token - 1];
        if (message.acked) wrong_ = "acknowledged twice: message " + std::to_string(ack.token - 1);
        message.acked = true;
        message.run = gateway.engine->run();
        message.position = ack.position;
        ++totals().acknowledged;
    }
    for (const Delivery& delivery : out.deliveries) {
        Event event;
        event.kind = Event::Kind::taken;
        event.gateway = number;
        event.epoch = gateway.epoch;
        event.value = delivery.subscriber;
        event.value2 = delivery.ticket;
        auto packet = std::make_shared<Packet>();
        packet->body = delivery.message.body;
        event.packet = std::move(packet);
        // Sockets take in order: never before the one before.
        at(now_ + microseconds(200), event);
    }
    for (const Loss& loss : out.losses) {
        ++totals().losses;
        totals().lost_records += loss.up_to - loss.after;
    }
    out.clear();
    if (!gateway.executing && !gateway.commands.empty()) {
        gateway.executing = true;
        Event event;
        event.kind = Event::Kind::execute;
        event.gateway = number;
        event.epoch = gateway.epoch;
        at(now_ + between(microseconds(20), chance(30) ? Duration(milliseconds(500)) : Duration(milliseconds(3))),
           event);
    }
    const Instant deadline = gateway.engine->next_deadline();
    if (deadline < gateway.wake || gateway.wake <= now_) {
        gateway.wake = deadline;
        if (deadline != base::instant_max) {
            Event event;
            event.kind = Event::Kind::wake;
            event.gateway = number;
            event.epoch = gateway.epoch;
            at(std::max(deadline, now_), event);
        }
    }
}

void World::execute(std::uint32_t number) {
    Gateway& gateway = gateways_[number];
    gateway.executing = false;
    if (gateway.commands.empty()) return;
    const StoreCommand command = std::move(gateway.commands.front());
    gateway.commands.pop_front();
    if (const auto* commit = std::get_if<Commit>(&command)) totals().trims += commit->trims.size();
    StoreDone done = queue::execute(*gateway.store, command);
    // A crash may come between the write and its answer.
    if (options_.faults.crashes && chance(5)) {
        ++totals().crashes;
        stop(number, prng_.chance(1, 2));
        Event event;
        event.kind = Event::Kind::start;
        event.gateway = number;
        at(now_ + between(milliseconds(1), seconds(1)), event);
        return;
    }
    gateway.engine->on_store_done(std::move(done), now_);
    drain(number);
}

void World::deliver(const Packet& packet) {
    Gateway& gateway = gateways_[packet.to];
    if (!gateway.up || !linked(packet.from, packet.to)) return;
    const GatewayIndex from = gateway.index_of[packet.from];
    switch (packet.kind) {
        case Packet::Kind::head:
            gateway.engine->on_head(from, packet.body, now_);
            break;
        case Packet::Kind::at:
            gateway.engine->on_at(from, packet.body, now_);
            break;
        case Packet::Kind::record: {
            DurableRecord record;
            record.run = packet.run;
            record.position = packet.position;
            record.prev = packet.prev;
            record.plain = packet.plain;
            record.groups = &packet.groups;
            record.message.subject = packet.subject;
            record.message.body = packet.body;
            gateway.engine->on_record(from, record, now_);
            break;
        }
    }
    gateway.engine->flush(now_);
    drain(packet.to);
}

void World::publish() {
    const auto origin = static_cast<std::uint32_t>(prng_.below(gateways_.size()));
    Gateway& gateway = gateways_[origin];
    if (!gateway.up) return;
    const std::uint64_t burst = prng_.chance(1, 4) ? prng_.between(1, 20) : 1;
    for (std::uint64_t n = 0; n < burst; ++n) {
        Message message;
        message.origin = origin;
        for (std::uint32_t i = 0; i < gateways_.size(); ++i)
            if (prng_.chance(1, 2)) message.targets[i] = Target{0, prng_.chance(3, 4), {}};
        // Each group has one taker: the origin picks.
        const auto member = static_cast<std::uint32_t>(prng_.below(gateways_.size()));
        if (prng_.chance(1, 2)) message.targets[member].groups = {"g"};
        if (message.targets.empty()) message.targets[member].plain = true;
        TargetSet set;
        for (auto& [number, target] : message.targets) {
            if (!target.plain && target.groups.empty()) target.plain = true;
            Target named = target;
            named.gateway = gateway.index_of[number];
            set.push_back(named);
        }
        std::sort(set.begin(), set.end(), [](const Target& a, const Target& b) { return a.gateway < b.gateway; });
        MessageView view;
        view.subject = prng_.chance(1, 2) ? "d.a" : "d.b";
        base::Bytes body;
        base::append_little_endian(body, static_cast<std::uint64_t>(messages_.size()));
        body.append(prng_.below(40), 'x');
        view.body = body;
        const PublishResult result =
            gateway.engine->publish(view, gateway.sets->intern(set), messages_.size() + 1, now_);
        if (result != PublishResult::taken) break;
        messages_.push_back(std::move(message));
        ++totals().published;
    }
    gateway.engine->flush(now_);
    drain(origin);
}

void World::step() {
    const auto number = static_cast<std::uint32_t>(prng_.below(gateways_.size()));
    Gateway& gateway = gateways_[number];
    const std::uint64_t dice = prng_.below(100);
    const Faults& faults = options_.faults;
    if (dice < 4 && faults.crashes && gateway.up) {
        ++totals().crashes;
        stop(number, prng_.chance(1, 2));
        Event event;
        event.kind = Event::Kind::start;
        event.gateway = number;
        at(now_ + between(milliseconds(1), seconds(3)), event);
    } else if (dice < 9 && faults.backups && gateway.up && gateway.starts > 0) {
        // Only what holds the readers: a client that subscribed after the backup would be another story.
        if (gateway.disk.backup().tables[static_cast<std::size_t>(Table::readers)].size() == readers_each &&
            gateway.backups.size() < 4)
            gateway.backups.push_back(gateway.disk.backup());
    } else if (dice < 11 && faults.backups && !gateway.backups.empty()) {
        ++totals().restores;
        stop(number, true);
        const std::size_t chosen = prng_.below(gateway.backups.size());
        gateway.disk.restore(gateway.backups[chosen]);
        // A newer backup than one that was restored belongs to a history that was left: whoever restores that one has
        // records come back that are older than what was published since.  Once they are applied all the same.
        if (gateway.restored_newest > chosen) gateway.restored_newest = chosen;
        if (chosen > gateway.restored_newest && chosen < gateway.backups_then) gateway.forked = true;
        gateway.backups_then = gateway.backups.size();
        ++gateway.restores;
        // It takes an operator longer than a packet lives.
        Event event;
        event.kind = Event::Kind::start;
        event.gateway = number;
        at(now_ + packet_life, event);
        ++gateway.epoch;
    } else if (dice < 14 && faults.cuts) {
        const auto other = static_cast<std::uint32_t>(prng_.below(gateways_.size()));
        if (other != number) {
            const auto pair = std::pair{std::min(number, other), std::max(number, other)};
            if (cut_.erase(pair) == 0) cut_.insert(pair);
            tell_reach(number);
        }
    } else if (dice < 16 && faults.store_failures) {
        gateway.disk.fail_after(prng_.below(3), prng_.chance(1, 2));
    } else if (dice < 20 && faults.clients_leave && gateway.up) {
        Gateway::Client& client = gateway.clients[prng_.below(gateway.clients.size())];
        if (client.connected) {
            gateway.engine->connection_lost(client.subscriber, now_);
            gateway.engine->flush(now_);
            drain(number);
            client.connected = false;
            if (gateway.up) connect(number, client);
            drain(number);
        }
    } else {
        publish();
    }
    if (--steps_left_ > 0) {
        Event event;
        event.kind = Event::Kind::step;
        at(now_ + (prng_.chance(1, 10) ? between(milliseconds(1), seconds(3))
                                       : between(microseconds(10), milliseconds(30))),
           event);
    }
}

void World::handle(const Event& event) {
    Gateway& gateway = gateways_[event.gateway];
    switch (event.kind) {
        case Event::Kind::packet:
            deliver(*event.packet);
            break;
        case Event::Kind::execute:
            if (gateway.up && gateway.epoch == event.epoch) execute(event.gateway);
            break;
        case Event::Kind::wake:
            if (gateway.up && gateway.epoch == event.epoch && gateway.wake <= now_) {
                gateway.wake = base::instant_max;
                gateway.engine->tick(now_);
                drain(event.gateway);
            }
            break;
        case Event::Kind::step:
            step();
            break;
        case Event::Kind::start:
            start(event.gateway);
            break;
        case Event::Kind::reach:
            learn_reach(event.gateway, static_cast<std::uint32_t>(event.value));
            break;
        case Event::Kind::taken: {
            if (!gateway.up || gateway.epoch != event.epoch) break;
            for (Gateway::Client& client : gateway.clients) {
                if (!client.connected || client.subscriber != event.value) continue;
                const std::uint64_t message = message_number(event.packet->body);
                std::vector<std::uint64_t>& received = gateway.received[client.name];
                ++totals().delivered;
                if (std::find(received.begin(), received.end(), message) != received.end()) ++totals().delivered_again;
                received.push_back(message);
                gateway.engine->taken(event.value, event.value2, now_);
                gateway.engine->flush(now_);
                drain(event.gateway);
                break;
            }
            break;
        }
    }
}

bool World::quiet() const {
    for (const Gateway& gateway : gateways_) {
        if (!gateway.up || !gateway.commands.empty() || !gateway.engine->settled()) return false;
        for (const TargetStatus& target : gateway.engine->targets(now_))
            if (target.synced < target.last || !target.open) return false;
        for (const ReaderStatus& reader : gateway.engine->readers())
            if (reader.backlog_positions_max > 0) return false;
    }
    return true;
}

std::optional<std::string> World::run() {
    gateways_.resize(options_.gateways);
    for (std::uint32_t i = 0; i < gateways_.size(); ++i) {
        const std::uint64_t bits = base::mix_bits(options_.seed * 64 + i);
        for (std::size_t byte = 0; byte < 8; ++byte)
            gateways_[i].id.bytes[byte] = static_cast<std::uint8_t>(bits >> (8 * byte));
        gateways_[i].clients.push_back({"alone", "", 0, false});
        gateways_[i].clients.push_back({"one", "g", 0, false});
        gateways_[i].clients.push_back({"two", "g", 0, false});
    }
    for (std::uint32_t i = 0; i < gateways_.size(); ++i) start(i);
    steps_left_ = options_.steps;
    Event first;
    first.kind = Event::Kind::step;
    at(now_ + milliseconds(100), first);
    Instant healed_at = base::instant_max;
    Instant looked_at = now_;
    while (!events_.empty() && !wrong_.has_value()) {
        const Event event = events_.top();
        events_.pop();
        now_ = event.at;
        handle(event);
        if (steps_left_ == 0 && !healed_) {
            healed_ = true;
            healed_at = now_;
            cut_.clear();
            for (std::uint32_t i = 0; i < gateways_.size(); ++i) {
                gateways_[i].disk.fail_after(1u << 30, false);
                tell_reach(i);
                if (!gateways_[i].up) {
                    Event again;
                    again.kind = Event::Kind::start;
                    again.gateway = i;
                    at(now_ + packet_life, again);
                }
            }
        }
        if (healed_ && now_ - looked_at > milliseconds(100)) {
            looked_at = now_;
            if (now_ - healed_at > packet_life + seconds(1) && quiet()) break;
            if (now_ - healed_at > heal_time_max) {
                std::string text = "no progress after everything was healed:";
                for (std::uint32_t i = 0; i < gateways_.size(); ++i) {
                    text += " [" + std::to_string(i) + (gateways_[i].up ? "" : " down");
                    if (gateways_[i].up) {
                        for (const TargetStatus& target : gateways_[i].engine->targets(now_))
                            text += " target " + std::to_string(target.synced) + "/" + std::to_string(target.accepted) +
                                    "/" + std::to_string(target.sent) + "/" + std::to_string(target.last) +
                                    (target.open ? "" : " asking");
                        for (const ReaderStatus& reader : gateways_[i].engine->readers())
                            text += " reader " + reader.queue + " -" + std::to_string(reader.backlog_positions_max);
                        text += gateways_[i].engine->settled() ? "" : " unsettled";
                    }
                    text += "]";
                }
                return text;
            }
        }
    }
    if (wrong_.has_value()) return wrong_;
    if (!quiet()) return "nothing more to do, but not all is done";
    auto result = check(gateways_, messages_);
    for (std::uint32_t i = 0; i < gateways_.size(); ++i) stop(i, false);
    return result;
}

}  // namespace

std::optional<std::string> run(const Options& options) {
    return World(options).run();
}

}  // namespace flows
