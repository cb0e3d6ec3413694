#include "routing/sim/history.h"

#include <algorithm>
#include <charconv>

#include "routing/base/check.h"
#include "routing/base/hash.h"
#include "routing/base/subject.h"

namespace routing::sim {

namespace {

/// Sentences kept; a broken run produces thousands that say the same.
constexpr std::size_t failures_kept = 20;
/// How often a message may go over a link to one gateway after its first path: for each of the two groups of a subject
/// once back, and once to the member that is picked instead.
constexpr std::uint32_t second_sends_max = 4;

std::string quoted(std::string_view text) {
    return "'" + std::string(text) + "'";
}

}  // namespace

MessageNumber History::number_of(std::string_view payload) {
    MessageNumber number = 0;
    if (payload.size() < 2 || payload[0] != 'm') return 0;
    std::from_chars(payload.data() + 1, payload.data() + payload.size(), number);
    return number;
}

void History::fail(std::string sentence) {
    if (failures_.size() < failures_kept) failures_.push_back(std::move(sentence));
}

SubscriptionNumber History::subscribed(std::uint32_t client, std::string_view filter, std::string_view queue,
                                       bool steady) {
    Subscription subscription;
    subscription.client = client;
    subscription.filter = filter;
    subscription.queue = queue;
    subscription.steady = steady;
    subscription.since = messages_.size();
    subscriptions_.push_back(std::move(subscription));
    return static_cast<SubscriptionNumber>(subscriptions_.size() - 1);
}

void History::unsubscribed(SubscriptionNumber number) {
    subscriptions_[number].live = false;
}

void History::connected(SubscriptionNumber number, bool connected) {
    subscriptions_[number].connected = connected;
}

MessageNumber History::published(std::uint32_t publisher, HostIndex ingress, std::string_view subject, Expect expect,
                                 base::Instant now) {
    Message message;
    message.publisher = publisher;
    message.ingress = ingress;
    message.subject = subject;
    message.expect = expect;
    message.at = now;
    if (expect == Expect::exactly_once) {
        for (SubscriptionNumber i = 0; i < subscriptions_.size(); ++i) {
            const Subscription& subscription = subscriptions_[i];
            if (!subscription.live || !subscription.connected || !base::matches(subscription.filter, subject)) continue;
            if (subscription.queue.empty())
                message.plain_expected.push_back(i);
            else
                message.groups_expected.insert(subscription.queue);
        }
    }
    messages_.push_back(std::move(message));
    return messages_.size();
}

void History::acknowledged(MessageNumber message, const Taken& taken) {
    BASE_CHECK(message >= 1 && message <= messages_.size());
    if (messages_[message - 1].acknowledged) fail("message " + std::to_string(message) + " was acknowledged twice");
    messages_[message - 1].acknowledged = true;
    messages_[message - 1].taken = taken;
    ++acknowledged_;
}

void History::withdrawn(MessageNumber message) {
    messages_[message - 1].withdrawn = true;
}

void History::crashed(SubscriptionNumber number) {
    ++subscriptions_[number].crashes;
}

void History::check_order(Subscription& subscription, SubscriptionNumber number, const Message& message,
                          MessageNumber message_number) {
    MessageNumber& last = subscription.last[{message.publisher, message.subject}];
    if (message_number > last) {
        last = message_number;
        return;
    }
    const bool excused = !subscription.queue.empty() && !order_in_groups_;
    if (!excused)
        fail("order: subscription " + std::to_string(number) + " of client " + std::to_string(subscription.client) +
             " got message " + std::to_string(message_number) + " on " + quoted(message.subject) + " after " +
             std::to_string(last));
}

void History::delivered(SubscriptionNumber number, std::string_view subject, std::string_view payload) {
    ++deliveries_;
    fingerprint_ = base::mix_bits(base::hash_bytes(payload, fingerprint_ ^ number) ^ base::hash_bytes(subject));
    Subscription& subscription = subscriptions_[number];
    const std::string who = "subscription " + std::to_string(number) + " on " + quoted(subscription.filter);
    if (!subscription.live) fail(who + " got " + quoted(subject) + " after it was gone");
    if (!base::matches(subscription.filter, subject))
        fail(who + " got " + quoted(subject) + ", which it does not want");
    const MessageNumber message_number = number_of(payload);
    if (message_number == 0) return;  // not one of the numbered ones
    if (message_number > messages_.size()) {
        fail(who + " got a message that nobody published");
        return;
    }
    Message& message = messages_[message_number - 1];
    if (message.subject != subject) fail("message " + std::to_string(message_number) + " changed its subject");
    if (message.expect == Expect::durable) {
        const auto [got, first] = subscription.durable_got.emplace(message_number, subscription.crashes);
        if (!first) {
            if (got->second == subscription.crashes)
                fail(who + " got durable message " + std::to_string(message_number) + " twice without a crash");
            got->second = subscription.crashes;
            return;
        }
        if (subscription.queue.empty()) {
            message.plain_got.insert(number);
        } else {
            const auto [taker, alone] = message.group_takers.emplace(subscription.queue, number);
            if (!alone) {
                const Subscription& before = subscriptions_[taker->second];
                if (before.durable_got.at(message_number) == before.crashes)
                    fail("group " + quoted(subscription.queue) + " got durable message " +
                         std::to_string(message_number) + " more than once without a crash");
                taker->second = number;
            }
            ++message.groups_got[subscription.queue];
            if (!alone) return;  // again, to another member, who may have got later ones before the crash
        }
        check_order(subscription, number, message, message_number);
        return;
    }
    check_order(subscription, number, message, message_number);
    if (subscription.queue.empty()) {
        if (!message.plain_got.insert(number).second)
            fail(who + " got message " + std::to_string(message_number) + " twice");
    } else if (message.group_takers[subscription.queue] = number; ++message.groups_got[subscription.queue] > 1) {
        fail("group " + quoted(subscription.queue) + " got message " + std::to_string(message_number) + " on " +
             quoted(subject) + " more than once");
    }
}

void History::sent(MessageNumber message, HostIndex to, bool by_first_path) {
    BASE_CHECK(message >= 1 && message <= messages_.size());
    ++sends_;
    auto& [first, second] = messages_[message - 1].sent[to];
    // Each transmission spends its receiver's factor, so a path leads to a gateway once.
    if (++(by_first_path ? first : second) > (by_first_path ? 1 : second_sends_max))
        fail("message " + std::to_string(message) + " was sent to gateway h" + std::to_string(to) +
             " more than once: more sends than its path has factors");
}

std::vector<Probe> History::probes() const {
    std::vector<Probe> probes;
    for (MessageNumber i = 0; i < messages_.size(); ++i) {
        const Message& message = messages_[i];
        if (message.expect != Expect::exactly_once || message.withdrawn) continue;
        Probe probe;
        probe.number = i + 1;
        probe.publisher = message.publisher;
        probe.ingress = message.ingress;
        for (const SubscriptionNumber number : message.plain_got) probe.takers.push_back(subscriptions_[number].client);
        for (const auto& [queue, number] : message.group_takers) probe.takers.push_back(subscriptions_[number].client);
        for (const auto& [to, count] : message.sent) probe.sends += count.first + count.second;
        probes.push_back(std::move(probe));
    }
    return probes;
}

std::size_t History::live_subscriptions(std::uint32_t client, std::string_view but) const {
    return static_cast<std::size_t>(std::count_if(subscriptions_.begin(), subscriptions_.end(), [&](const auto& one) {
        return one.client == client && one.live && !one.filter.starts_with(but);
    }));
}

void History::finish(const Excuse& excuse) {
    for (MessageNumber i = 0; i < messages_.size(); ++i) {
        const Message& message = messages_[i];
        const std::string name = "message " + std::to_string(i + 1) + " on " + quoted(message.subject) + " of client " +
                                 std::to_string(message.publisher);
        if (message.withdrawn) continue;
        if (message.expect == Expect::exactly_once) {
            for (const SubscriptionNumber number : message.plain_expected)
                if (!message.plain_got.contains(number))
                    fail(name + " did not reach subscription " + std::to_string(number) + " of client " +
                         std::to_string(subscriptions_[number].client));
            for (const auto& group : message.groups_expected)
                if (!message.groups_got.contains(group)) fail(name + " reached nobody of group " + quoted(group));
            for (const SubscriptionNumber number : message.plain_got)
                if (std::find(message.plain_expected.begin(), message.plain_expected.end(), number) ==
                    message.plain_expected.end())
                    fail(name + " reached subscription " + std::to_string(number) + ", which was not there");
        }
        if (message.expect == Expect::durable && message.acknowledged) {
            const auto excused = [&](SubscriptionNumber number) {
                return excuse(i + 1, subscriptions_[number].client, message.taken);
            };
            std::map<std::string, bool> groups;  // whether it may be missing
            for (SubscriptionNumber number = 0; number < subscriptions_.size(); ++number) {
                const Subscription& subscription = subscriptions_[number];
                if (!subscription.steady || subscription.since > i ||
                    !base::matches(subscription.filter, message.subject))
                    continue;
                if (!subscription.queue.empty())
                    groups[subscription.queue] |= excused(number);
                else if (!message.plain_got.contains(number) && !excused(number))
                    fail("lost: acknowledged " + name + " did not reach subscription " + std::to_string(number) +
                         " of client " + std::to_string(subscription.client));
            }
            for (const auto& [group, may_be_missing] : groups)
                if (!may_be_missing && !message.groups_got.contains(group))
                    fail("lost: acknowledged " + name + " reached nobody of group " + quoted(group));
        }
    }
}

}  // namespace routing::sim
