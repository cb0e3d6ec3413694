#include "routing/sim/client.h"

#include <charconv>

#include "routing/sim/sim_gateway.h"
#include "routing/sim/world.h"

namespace routing::sim {

namespace {

/// First byte of a payload that names the subject to answer on; the rest is the subject.
constexpr char ask_mark = 'a';
/// How long the slow service takes.
constexpr base::Duration slow_answer = std::chrono::seconds(1);
constexpr std::string_view answer_payload = "answer";
constexpr std::string_view pub_ack_start = R"({"stream":"TREE_)";
constexpr std::string_view pub_ack_seq = R"("seq":)";

}  // namespace

Client::Client(World& world, History& history, SimGateway& gateway, std::uint32_t id)
    : world_(world), history_(history), gateway_(&gateway), id_(id) {
    gateway_->add_client(*this);
    subscribe("_INBOX.c" + std::to_string(id_) + ".*", "", false);
}

void Client::connect() {
    connection_ = gateway_->connect(*this);
    for (std::size_t i = 0; i < subscriptions_.size(); ++i) {
        if (!subscriptions_[i].live) continue;
        history_.connected(subscriptions_[i].number, true);
        gateway_->subscribe(connection_, i);
    }
}

void Client::disconnected() {
    connection_ = 0;
    for (const auto& subscription : subscriptions_) history_.connected(subscription.number, false);
    may_get_again();
}

void Client::may_get_again() {
    for (auto& [inbox, request] : requests_) request.lost = true;
    for (const auto& subscription : subscriptions_) history_.crashed(subscription.number);
}

void Client::move(SimGateway& to) {
    if (!connected() || !to.up()) return;
    gateway_->disconnect(connection_);
    gateway_->remove_client(*this);
    gateway_ = &to;
    gateway_->add_client(*this);
    connect();
}

void Client::subscribe(std::string_view filter, std::string_view queue, bool steady) {
    ClientSubscription subscription;
    subscription.number = history_.subscribed(id_, filter, queue, steady);
    subscription.filter = filter;
    subscription.queue = queue;
    subscription.sid = std::to_string(++sid_);
    subscriptions_.push_back(std::move(subscription));
    history_.connected(subscriptions_.back().number, connected());
    if (connected()) gateway_->subscribe(connection_, subscriptions_.size() - 1);
}

void Client::unsubscribe(std::size_t at) {
    ClientSubscription& subscription = subscriptions_[at];
    if (!subscription.live) return;
    subscription.live = false;
    history_.unsubscribed(subscription.number);
    if (connected()) gateway_->unsubscribe(connection_, at);
}

std::string Client::next_inbox() {
    return "_INBOX.c" + std::to_string(id_) + "." + std::to_string(++inbox_);
}

void Client::publish(std::string_view subject, Expect expect) {
    if (!connected()) return;
    const MessageNumber number = history_.published(id_, gateway_->host(), subject, expect, world_.now());
    std::string reply;
    if (expect == Expect::durable) {
        reply = next_inbox();
        Request request;
        request.subject = subject;
        request.durable = number;
        requests_.emplace(reply, std::move(request));
    }
    gateway_->publish(connection_, subject, reply, History::payload_of(number));
}

void Client::request(std::string_view subject, bool certain, bool nobody) {
    if (!connected()) return;
    const std::string reply = next_inbox();
    Request request;
    request.subject = subject;
    request.certain = certain;
    request.wanted = nobody ? 0 : 1;
    requests_.emplace(reply, std::move(request));
    gateway_->publish(connection_, subject, reply, "request");
}

void Client::ask(std::string_view subject, std::uint32_t answers, bool certain) {
    if (!connected()) return;
    const std::string where = "answers.c" + std::to_string(id_) + "." + std::to_string(++inbox_);
    Request request;
    request.subject = subject;
    request.certain = certain;
    request.wanted = answers;
    requests_.emplace(where, std::move(request));
    subscribe(where, "", false);
    gateway_->publish(connection_, subject, "", ask_mark + where);
}

void Client::on_message(std::size_t at, std::string_view subject, std::string_view reply, std::string_view payload) {
    const ClientSubscription subscription = subscriptions_[at];  // a copy: the reaction may add one
    history_.delivered(subscription.number, subject, payload);
    // What a wide filter sees of other subjects' traffic is only counted.
    const std::string_view filter = subscription.filter;
    if (filter.starts_with("_INBOX.") || filter.starts_with("answers.")) {
        const auto found = requests_.find(std::string(subject));
        if (found == requests_.end()) return;
        Request& request = found->second;
        if (request.durable == 0) {
            ++request.answers;
        } else if (payload.starts_with(pub_ack_start)) {
            // The answer comes within the turn in which the gateway says so: its run is still that one.
            Taken taken{gateway_->host(), gateway_->node().durable()->run(), 0};
            const std::size_t at_seq = payload.find(pub_ack_seq);
            if (at_seq != std::string_view::npos)
                std::from_chars(payload.data() + at_seq + pub_ack_seq.size(), payload.data() + payload.size(),
                                taken.position);
            if (taken.position == 0) history_.fail("a PubAck without a position: " + std::string(payload));
            history_.acknowledged(request.durable, taken);
            requests_.erase(found);
        } else {
            history_.fail("a durable publish on '" + request.subject + "' was answered with " + std::string(payload));
        }
        return;
    }
    if ((filter.starts_with(service_root) || filter == slow_service) && !reply.empty()) {
        const base::Duration wait = filter == slow_service ? slow_answer : base::Duration{};
        world_.after(wait, [this, reply = std::string(reply)] {
            if (connected()) gateway_->publish(connection_, reply, "", answer_payload);
        });
    } else if (filter.starts_with(ask_root) && !payload.empty() && payload.front() == ask_mark) {
        const std::string_view where = payload.substr(1);
        if (!gateway_->knows_interest(where))
            history_.fail("gateway " + gateway_->name() + " got a question before the interest in its answer '" +
                          std::string(where) + "'");
        gateway_->publish(connection_, where, "", answer_payload);
    }
}

void Client::on_no_responders(std::string_view reply, std::string_view) {
    const auto found = requests_.find(std::string(reply));
    if (found == requests_.end()) return;
    if (found->second.durable != 0) {
        history_.withdrawn(found->second.durable);
        requests_.erase(found);
    } else {
        ++found->second.refusals;
    }
}

void Client::finish() {
    for (const auto& [reply, request] : requests_) {
        const std::string name = "request of client " + std::to_string(id_) + " on '" + request.subject + "'";
        if (request.durable != 0) {
            if (!request.lost) history_.fail("durable " + name + " was neither acknowledged nor refused");
            continue;
        }
        if (request.answers > request.wanted && request.certain)
            history_.fail(name + " got " + std::to_string(request.answers) + " answers, not " +
                          std::to_string(request.wanted));
        if (!request.certain || request.lost) continue;
        if (request.answers != request.wanted || request.refusals != (request.wanted == 0 ? 1 : 0))
            history_.fail(name + " got " + std::to_string(request.answers) + " answers (and " +
                          std::to_string(request.refusals) + " x 503), not " + std::to_string(request.wanted));
    }
}

}  // namespace routing::sim
