#include "routing/sim/sim_gateway.h"

#include <algorithm>
#include <utility>

#include "routing/peer/frame.h"
#include "routing/peer/peer_message.h"
#include "routing/queue/recovery.h"
#include "routing/sim/client.h"
#include "routing/sim/wire_tap.h"

namespace routing::sim {

namespace {

/// Log lines kept per gateway, for a failure's report.
constexpr std::size_t log_lines_kept = 200;
/// Longest time between a message's delivery and the client's reaction.
constexpr base::Duration reaction_max = std::chrono::milliseconds(2);
/// How long a restarted gateway's store takes to open, at most.
constexpr base::Duration open_max = std::chrono::milliseconds(300);
/// A client is back this long after its gateway, at most.
constexpr base::Duration reconnect_max = std::chrono::seconds(2);
// Of Sabotage.
constexpr base::Duration interest_late = std::chrono::milliseconds(200);
constexpr base::Duration logs_until = std::chrono::seconds(25);

GatewayId id_of(const World& world, HostIndex host) {
    base::Prng prng = world.stream(0x1d000000 + host);
    GatewayId id;
    for (auto& byte : id.bytes) byte = static_cast<std::uint8_t>(prng.next());
    return id;
}

base::Duration up_to(base::Prng& prng, base::Duration most) {
    return base::Duration(prng.between(0, static_cast<std::uint64_t>(most.count())));
}

}  // namespace

base::Bytes SimSigner::sign(base::ByteView text) {
    base::Bytes signature;
    base::append_big_endian_64(signature, base::hash_bytes(text, base::hash_bytes(id_.view())));
    return signature;
}

bool SimSigner::verify(const GatewayId& id, base::ByteView text, base::ByteView signature) {
    return SimSigner(id, prng_).sign(text) == signature;
}

base::Bytes SimSigner::random(std::size_t size) {
    base::Bytes bytes;
    while (bytes.size() < size) bytes.push_back(static_cast<char>(prng_.next()));
    return bytes;
}

SimGateway::SimGateway(World& world, Network& network, GatewaySetup setup)
    : world_(world),
      network_(network),
      setup_(std::move(setup)),
      id_(id_of(world, setup_.host)),
      prng_(world.stream(0x9a7e0000 + setup_.host)) {}

SimGateway::~SimGateway() = default;

// --- Life ------------------------------------------------------------------------------------------------------------

void SimGateway::start() {
    BASE_CHECK(!up());
    ++starts_;
    log(peer::LogLevel::info, "start " + std::to_string(starts_));
    if (setup_.sabotage == Sabotage::forgetful_disk) at_start_ = disk_.backup();
    if (setup_.sabotage == Sabotage::no_watermarks) {
        queue::MemoryImage image = disk_.backup();
        image.tables[static_cast<std::size_t>(queue::Table::watermarks)].clear();
        disk_.restore(image);
    }
    signer_ = std::make_unique<SimSigner>(id_, prng_.fork(starts_));
    RouterOptions router_options;
    router_options.hash_seed = prng_.next();
    router_options.cache_entries = 256;
    router_options.queue_policies = setup_.queue_policies;
    router_ = std::make_unique<Router>(router_options);
    node::NodeOptions options;
    options.tree.id = id_;
    options.tree.name = setup_.name;
    options.tree.region = setup_.region;
    options.tree.tags = setup_.tags;
    options.tree.join = setup_.join;
    options.tree.incarnation = kept_.incarnation + 1;
    options.tree.prime = kept_.prime;
    options.tree.prime_claimed_at = kept_.prime_claimed_at;
    options.tree.max_children = setup_.max_children;
    options.tree.known_members = kept_.known_members;
    options.tree.seed = prng_.next();
    if (setup_.listens) options.tree.advertise = Network::address_of(setup_.host);
    options.durable = setup_.durable;
    options.queue.dump_keep = 1u << 20;
    options.store_exists = kept_.store_exists;
    options.seed = prng_.next();
    node_ = std::make_unique<node::Node>(std::move(options), *router_, *this, *signer_, world_.now(), world_.wall());
    network_.attach(setup_.host, *this, setup_.listens);
    turn([this] {
        tell_interest();
        node_->start(world_.now());
    });
    for (Client* client : clients_) {
        world_.after(up_to(prng_, prng_.chance(1, 3) ? reaction_max : reconnect_max), [this, client, start = starts_] {
            if (!up() || starts_ != start || client->connected() || &client->gateway() != this) return;
            turn([client] { client->connect(); });
        });
    }
}

void SimGateway::crash(std::size_t kept) {
    BASE_CHECK(up() && !in_turn_);
    log(peer::LogLevel::info, "crash");
    network_.detach(setup_.host);
    store_.reset();
    disk_.crash(kept);
    if (setup_.sabotage == Sabotage::forgetful_disk) disk_.restore(at_start_);
    node_.reset();
    router_.reset();
    signer_.reset();
    for (auto& [connection, session] : sessions_)
        if (session.client->connection() == connection && &session.client->gateway() == this)
            session.client->disconnected();  // else it moved away while this gateway was paused
    sessions_.clear();
    subscribers_.clear();
    durable_subscribers_.clear();
    outputs_.clear();
    deliveries_.clear();
    paused_ = false;
    postponed_.clear();
    tick_at_ = base::instant_max;
}

void SimGateway::back_up() {
    backup_ = std::make_unique<Backup>(Backup{disk_.backup(), kept_});
}

void SimGateway::restore_backup() {
    BASE_CHECK(!up() && has_backup());
    ++restores_;
    log(peer::LogLevel::info, "an old backup is restored");
    disk_.restore(backup_->disk);
    kept_ = backup_->kept;
}

void SimGateway::pause(base::Duration time) {
    if (!up() || paused_) return;
    paused_ = true;
    world_.after(time, [this, start = starts_] {
        if (!up() || starts_ != start) return;
        paused_ = false;
        for (const auto& action : std::exchange(postponed_, {})) turn(action);
    });
}

void SimGateway::turn(std::function<void()> action) {
    if (!up()) return;
    if (in_turn_) {  // a client that reacts within a turn of its own gateway
        action();
        return;
    }
    if (paused_) {
        postponed_.push_back(std::move(action));
        return;
    }
    in_turn_ = true;
    action();
    end_turn();
    in_turn_ = false;
    schedule_tick();
}

void SimGateway::end_turn() {
    tell_interest();
    for (;;) {
        node_->end_turn(world_.now());
        tell_interest();
        if (deliveries_.empty()) break;
        flush_deliveries();
    }
    const std::vector<EndId> outputs = std::exchange(outputs_, {});
    base::Bytes bytes;
    for (const EndId end : outputs) {
        bytes.clear();
        node_->tree().take_output(end, bytes);
        if (setup_.sabotage != Sabotage::none) sabotage_output(bytes);
        if (const auto peer = network_.peer_of(end); peer && setup_.tap != nullptr) setup_.tap->on_output(*peer, bytes);
        network_.write(end, bytes);
    }
}

void SimGateway::flush_deliveries() {
    while (!deliveries_.empty()) {
        if (setup_.sabotage == Sabotage::newest_first) std::swap(deliveries_.front(), deliveries_.back());
        const Delivery delivery = std::move(deliveries_.front());
        deliveries_.pop_front();
        if (delivery.durable != 0) node_->taken(delivery.durable, delivery.ticket, world_.now());
        const auto session = sessions_.find(delivery.connection);
        if (session == sessions_.end()) continue;
        Client& client = *session->second.client;
        if (!client.subscriptions()[delivery.at].live) continue;  // UNSUB overtook it in this turn
        client.on_message(delivery.at, delivery.subject, delivery.reply, delivery.payload);
    }
}

void SimGateway::schedule_tick() {
    const base::Instant next = std::max(node_->next_deadline(), world_.now());
    if (next >= tick_at_ || next == base::instant_max) return;
    tick_at_ = next;
    world_.at(next, [this, next, start = starts_] {
        if (!up() || starts_ != start || tick_at_ != next) return;
        tick_at_ = base::instant_max;
        turn([this] { node_->tick(world_.now()); });
    });
}

void SimGateway::tell_interest() {
    if (!router_->has_changes()) return;
    if (setup_.sabotage == Sabotage::late_interest) {
        world_.after(interest_late, [this, start = starts_] {
            if (up() && starts_ == start) node_->on_interest(0, router_->take_changes(), world_.now());
        });
        return;
    }
    node_->on_interest(0, router_->take_changes(), world_.now());
}

/// Changes the frames that a lane's connection is to write.
void SimGateway::sabotage_output(base::Bytes& frames) const {
    const bool twice = setup_.sabotage == Sabotage::send_twice;
    const bool swallow = setup_.sabotage == Sabotage::swallow_logs && setup_.host == 0 &&
                         world_.now() > base::Instant(std::chrono::hours(1) + logs_until);
    if (!twice && !swallow) return;
    base::Bytes changed;
    for (base::ByteView rest = frames; !rest.empty();) {
        base::ByteView header = rest;
        std::uint32_t length = 0;
        BASE_CHECK(base::read_little_endian(header, length));
        const auto kind = static_cast<std::uint8_t>(rest[4]);
        const base::ByteView frame = rest.substr(0, peer::frame_header_bytes + length);
        rest.remove_prefix(frame.size());
        if (swallow && kind == static_cast<std::uint8_t>(peer::FrameKind::log)) continue;
        changed.append(frame);
        if (twice && kind == static_cast<std::uint8_t>(peer::DataKind::volatile_records)) changed.append(frame);
    }
    frames = std::move(changed);
}

void SimGateway::log(peer::LogLevel, std::string_view text) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(world_.now().time_since_epoch()).count();
    log_.push_back(std::to_string(ms % 3'600'000) + " ms " + setup_.name + ": " + std::string(text));
    if (log_.size() > log_lines_kept) log_.pop_front();
}

void SimGateway::identity_changed(std::uint64_t incarnation, Prime prime, base::WallMillis claimed_at) {
    kept_.incarnation = incarnation;
    kept_.prime = prime;
    kept_.prime_claimed_at = claimed_at;
}

// --- The store -------------------------------------------------------------------------------------------------------

void SimGateway::open_store() {
    if (store_ != nullptr) {  // it failed: to those it serves, a crash of the store
        for (const auto& [connection, session] : sessions_) session.client->may_get_again();
    }
    kept_.store_exists = true;
    store_ =
        std::make_unique<SimStore>(world_, disk_, setup_.store, prng_.fork(starts_), [this](queue::StoreDone done) {
            turn([this, done = std::move(done)]() mutable { node_->on_store_done(std::move(done), world_.now()); });
        });
    world_.after(up_to(prng_, open_max), [this, start = starts_] {
        if (!up() || starts_ != start) return;
        turn([this] {
            auto state = queue::recover(store_->store(), id_);
            if (state.ok())
                node_->on_store_opened(std::move(state).value(), world_.now());
            else
                node_->on_store_failed("damaged", world_.now());
        });
    });
}

void SimGateway::execute(queue::StoreCommand command) {
    if (auto* commit = std::get_if<queue::Commit>(&command);
        commit != nullptr && setup_.sabotage == Sabotage::keep_pages)
        commit->trims.clear();
    store_->execute(std::move(command));
}

// --- Clients ---------------------------------------------------------------------------------------------------------

ConnectionId SimGateway::connect(Client& client) {
    const ConnectionId connection = next_connection_++;
    sessions_[connection].client = &client;
    return connection;
}

void SimGateway::disconnect(ConnectionId connection) {
    turn([this, connection] {
        const auto found = sessions_.find(connection);
        if (found == sessions_.end()) return;
        for (const auto& [at, id] : found->second.subscriptions) router_->unsubscribe(id);
        for (const auto& [at, id] : found->second.durable) {
            node_->subscriber_lost(id, world_.now());
            durable_subscribers_.erase(id);
        }
        node_->connection_closed(connection);
        sessions_.erase(found);
        tell_interest();
    });
}

void SimGateway::subscribe(ConnectionId connection, std::size_t at) {
    turn([this, connection, at] {
        const auto found = sessions_.find(connection);
        if (found == sessions_.end()) return;
        const ClientSubscription& subscription = found->second.client->subscriptions()[at];
        if (!subscription.live) return;
        const SubscriptionId id =
            router_->subscribe(account_global, subscription.filter, subscription.queue, connection);
        found->second.subscriptions[at] = id;
        if (subscribers_.size() <= id.slot) subscribers_.resize(id.slot + 1);
        subscribers_[id.slot] = Subscriber{connection, at};
        tell_interest();
        register_durable(found->second, connection, at);
    });
}

void SimGateway::register_durable(Session& session, ConnectionId connection, std::size_t at) {
    const ClientSubscription& subscription = session.client->subscriptions()[at];
    if (!subscription.live || !node_->subject_class().overlaps_durable(account_global, subscription.filter)) return;
    auto [known, fresh] = session.durable.try_emplace(at, next_subscriber_);
    if (fresh) durable_subscribers_[next_subscriber_++] = Subscriber{connection, at};
    queue::DurableSubscriber subscriber;
    subscriber.id = known->second;
    subscriber.filter = subscription.filter;
    subscriber.queue = subscription.queue;
    subscriber.client = "client" + std::to_string(session.client->id());
    subscriber.sid = subscription.sid;
    node_->subscribe_durable(subscriber, world_.now());
}

void SimGateway::durable_filters_changed() {
    for (auto& [connection, session] : sessions_) {
        std::vector<std::size_t> all;
        for (const auto& [at, id] : session.subscriptions) all.push_back(at);
        for (const std::size_t at : all) register_durable(session, connection, at);
    }
}

void SimGateway::unsubscribe(ConnectionId connection, std::size_t at) {
    turn([this, connection, at] {
        const auto found = sessions_.find(connection);
        if (found == sessions_.end()) return;
        if (const auto known = found->second.subscriptions.find(at); known != found->second.subscriptions.end()) {
            router_->unsubscribe(known->second);
            found->second.subscriptions.erase(known);
        }
        if (const auto known = found->second.durable.find(at); known != found->second.durable.end()) {
            node_->unsubscribe_durable(known->second, world_.now());
            durable_subscribers_.erase(known->second);
            found->second.durable.erase(known);
        }
        tell_interest();
    });
}

void SimGateway::publish(ConnectionId connection, std::string_view subject, std::string_view reply,
                         std::string_view payload, std::string_view headers) {
    Publish publish;
    publish.subject = subject;
    publish.reply = reply;
    publish.body = headers;
    publish.body += payload;
    publish.header_bytes = static_cast<std::uint32_t>(headers.size());
    // Never within the turn that made the client act: it is another process.  What one client sends stays in order.
    const auto session = sessions_.find(connection);
    if (session == sessions_.end()) return;
    base::Instant& when = session->second.next_publish;
    when = std::max(when, world_.now() + up_to(prng_, reaction_max));
    world_.at(when, [this, connection, publish = std::move(publish), start = starts_]() mutable {
        if (!up() || starts_ != start) return;
        turn([this, connection, publish = std::move(publish)]() mutable {
            const auto found = sessions_.find(connection);
            if (found == sessions_.end()) return;
            found->second.waiting.push_back(std::move(publish));
            drain(found->second, connection);
        });
    });
}

void SimGateway::drain(Session& session, ConnectionId connection) {
    while (!session.held && !session.waiting.empty()) {
        if (!route(connection, session.waiting.front())) {
            session.held = true;
            return;
        }
        session.waiting.pop_front();
    }
}

void SimGateway::resume(ConnectionId connection) {
    const auto found = sessions_.find(connection);
    if (found == sessions_.end()) return;
    found->second.held = false;
    drain(found->second, connection);
}

std::size_t SimGateway::held() const {
    std::size_t count = 0;
    for (const auto& [connection, session] : sessions_) count += session.waiting.size();
    return count;
}

bool SimGateway::knows_interest(std::string_view subject) {
    const Route& route = router_->route(account_global, subject);
    return !route.plain.empty() || !route.gateways.empty() || !route.remembered.empty() || !route.groups.empty();
}

void SimGateway::deliver_to(const LocalReceiver& receiver, const MessageView& message) {
    if (receiver.connection == node::node_connection) {
        node_->on_local(message, true, world_.now());
        return;
    }
    if (observer_) observer_(message);
    const Subscriber& subscriber = subscribers_[receiver.slot];
    Delivery delivery;
    delivery.connection = subscriber.connection;
    delivery.at = setup_.sabotage == Sabotage::wrong_receiver ? 0 : subscriber.at;
    delivery.subject = message.subject;
    delivery.reply = message.reply;
    delivery.payload = message.payload();
    deliveries_.push_back(std::move(delivery));
}

bool SimGateway::route(ConnectionId connection, const Publish& publish) {
    MessageView message;
    message.subject = publish.subject;
    message.reply = publish.reply;
    message.body = publish.body;
    message.header_bytes = publish.header_bytes;
    const auto refuse = [&] {
        if (refusals_) refusals_(publish.reply);
        const auto session = sessions_.find(connection);
        if (session != sessions_.end()) session->second.client->on_no_responders(publish.reply, message.payload());
    };
    if (node_->subject_class().is_durable(account_global, message.subject)) {
        switch (node_->publish_durable(message, connection, world_.now())) {
            case node::DurablePublish::taken:
                return true;
            case node::DurablePublish::held:
                return false;
            case node::DurablePublish::no_taker:
            case node::DurablePublish::failed:
                refuse();
                return true;
        }
    }
    const node::Scope* within = message.header_bytes == 0 ? nullptr : node_->scope(message.headers());
    Route& route = router_->route(account_global, message.subject);
    std::uint32_t takers = 0;
    for (const LocalReceiver& receiver : route.plain) {
        if (within != nullptr && !within->here()) break;
        deliver_to(receiver, message);
        ++takers;
    }
    PickRequest request;
    if (within != nullptr) within->narrow(request);
    std::vector<node::GroupPick> picks;
    for (std::uint32_t i = 0; i < route.groups.size(); ++i) {
        const Pick pick = routing::pick(route.groups[i], request, prng_);
        if (pick.kind == Pick::Kind::local) {
            deliver_to(route.groups[i].local[pick.at], message);
            ++takers;
            if (setup_.sabotage == Sabotage::two_takers && !route.groups[i].remote.empty())
                picks.push_back(node::GroupPick{i, 0});
        } else if (pick.kind == Pick::Kind::gateway) {
            picks.push_back(node::GroupPick{i, pick.at});
        }
    }
    node::Remote remote = node::Remote::nobody;
    if (!route.gateways.empty() || !picks.empty() || node_->may_be_reply(message.subject))
        remote = within == nullptr ? node_->publish_volatile(message, route, picks, connection, world_.now())
                                   : node_->publish_within(*within, message, route, picks, connection, world_.now());
    if (takers != 0 || remote != node::Remote::nobody || message.reply.empty()) return true;
    if (connection != node::node_connection && node_->hold_request(connection, world_.now())) return false;
    refuse();
    return true;
}

void SimGateway::publish(const MessageView& message) {
    Publish publish;
    publish.subject = message.subject;
    publish.reply = message.reply;
    publish.body = message.body;
    publish.header_bytes = message.header_bytes;
    (void)route(node::node_connection, publish);
}

void SimGateway::deliver_local(const MessageView& message, const node::Serve& serve, node::Served& served) {
    const Route& route = router_->route(account_global, message.subject);
    if (serve.plain) {
        for (const LocalReceiver& receiver : route.plain) {
            ++served.takers;
            if (setup_.sabotage == Sabotage::lose_some && prng_.chance(1, 20)) continue;
            deliver_to(receiver, message);
            if (setup_.sabotage == Sabotage::deliver_twice) deliver_to(receiver, message);
        }
    }
    PickRequest local;
    local.gateways = false;
    const auto serve_group = [&](const RouteGroup* group) {
        const Pick pick = group == nullptr ? Pick{} : routing::pick(*group, local, prng_);
        if (pick.kind != Pick::Kind::local) return false;
        deliver_to(group->local[pick.at], message);
        ++served.takers;
        return true;
    };
    if (serve.every_group)
        for (const RouteGroup& group : route.groups) serve_group(&group);
    else
        for (std::uint32_t i = 0; i < serve.groups.size(); ++i)
            if (!serve_group(route.find_group(serve.groups[i]))) served.lost.push_back(i);
}

void SimGateway::deliver_queued(const queue::Delivery& delivery) {
    if (observer_) observer_(delivery.message);
    const auto found = durable_subscribers_.find(delivery.subscriber);
    Delivery out;
    if (found != durable_subscribers_.end()) {
        out.connection = found->second.connection;
        out.at = found->second.at;
    }
    out.subject = delivery.message.subject;
    out.payload = delivery.message.payload();
    out.durable = delivery.subscriber;
    out.ticket = delivery.ticket;
    deliveries_.push_back(std::move(out));
}

// --- Transports ------------------------------------------------------------------------------------------------------

peer::TransportId SimGateway::dial(std::string_view address) {
    return network_.dial(setup_.host, std::string(address));
}

void SimGateway::close_transport(peer::TransportId transport, base::Bytes last_words) {
    network_.write(transport, last_words);
    network_.close(transport);
}

void SimGateway::on_accepted(EndId end, const std::string& remote) {
    turn([this, end, remote] { node_->tree().on_accepted(end, remote, world_.now()); });
}

void SimGateway::on_dialed(EndId end, bool ok, const std::string& remote) {
    turn([this, end, ok, remote] { node_->tree().on_dialed(end, ok, remote, world_.now()); });
}

void SimGateway::on_bytes(EndId end, base::ByteView bytes) {
    turn([this, end, copy = base::Bytes(bytes)] { node_->tree().on_bytes(end, copy, world_.now()); });
}

void SimGateway::on_written(EndId end, std::size_t bytes) {
    turn([this, end, bytes] { node_->tree().on_written(end, bytes, world_.now()); });
}

void SimGateway::on_closed(EndId end) {
    turn([this, end] { node_->tree().on_closed(end, world_.now()); });
}

}  // namespace routing::sim
