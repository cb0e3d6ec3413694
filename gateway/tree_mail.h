// What a shard and the tree shard tell each other about the tree side: records of their delivery queues, so that they
// keep their place among the messages and count against the same bound.
//
//     shard -> tree shard   publish, scope, publish_durable, request_waits, closed, subscribe, unsubscribe, lost, taken
//     tree shard -> shard   deliver_queued, publish_again, hold, resume, refuse, refuse_held
//
// Leaves to others: what is to be done (gateway/tree_by_mail there, gateway/shard_tree on the tree shard).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/delivery_mail.h"
#include "routing/base/bytes.h"
#include "routing/base/check.h"
#include "routing/queue/durable.h"
#include "routing/types.h"

namespace gateway {

enum class TreeMailKind : std::uint8_t {
    // To the tree shard.
    publish,  ///< `message` of `connection` for other gateways: `picks`, and whoever else there wants it plainly
    scope,    ///< `connection` holds a message whose headers name gateways, in the lines that are `message`'s body: say
              ///< in TreeNews where it may go, and resume it
    publish_durable,  ///< `message` of `connection`
    request_waits,    ///< a request of `connection` found nobody while syncing: resume or refuse_held it
    closed,           ///< `connection` is gone
    subscribe,        ///< see append_subscriber
    unsubscribe,      ///< `subscriber`
    lost,             ///< `subscriber` lost its connection
    taken,            ///< `subscriber`'s socket took all up to `ticket`
    // From the tree shard.
    deliver_queued,  ///< `message` for `subscriber`; taken with `ticket` is to come back
    publish_again,   ///< what class `message` of `connection` is of is known now
    hold,            ///< a durable publish of `connection` waits: parse no more of it until resume
    resume,          ///< `connection`
    refuse,          ///< nobody took the request `message` of `connection` (its body is left out)
    refuse_held,     ///< nor the one that it holds
};

/// One record.  Only the fields that its kind names mean something.
struct TreeMail {
    struct Pick {
        std::string_view group;
        routing::GatewayIndex gateway = routing::gateway_none;
    };
    TreeMailKind kind = TreeMailKind::publish;
    routing::ConnectionId connection = 0;
    bool alone = false;  ///< publish: nobody took it yet, so it is to be refused if no gateway does
    routing::queue::SubscriberId subscriber = 0;
    std::uint64_t ticket = 0;
    std::vector<Pick> picks;
    routing::MessageView message;
};

inline void append_tree_mail(base::Bytes& out, const TreeMail& mail) {
    out.push_back(static_cast<char>(MailKind::tree));
    out.push_back(static_cast<char>(mail.kind));
    out.push_back(mail.alone ? '\1' : '\0');
    base::append_varint(out, mail.connection);
    base::append_varint(out, mail.subscriber);
    base::append_varint(out, mail.ticket);
    base::append_varint(out, mail.picks.size());
    for (const auto& pick : mail.picks) {
        append_text(out, pick.group);
        base::append_varint(out, pick.gateway);
    }
    append_message(out, mail.message);
}

/// Reads what append_tree_mail wrote.  Borrows: views into `in`'s bytes.
inline void read_tree_mail(base::ByteView& in, TreeMail& mail) {
    BASE_CHECK(in.size() > 3 && static_cast<MailKind>(in[0]) == MailKind::tree);
    mail.kind = static_cast<TreeMailKind>(in[1]);
    mail.alone = in[2] != 0;
    in.remove_prefix(3);
    std::uint64_t picks = 0;
    bool good = base::read_varint(in, mail.connection) && base::read_varint(in, mail.subscriber) &&
                base::read_varint(in, mail.ticket) && base::read_varint(in, picks);
    BASE_CHECK(good);
    mail.picks.resize(static_cast<std::size_t>(picks));
    for (auto& pick : mail.picks) {
        std::uint64_t gateway = 0;
        read_text(in, pick.group);
        good = base::read_varint(in, gateway);
        BASE_CHECK(good);
        pick.gateway = static_cast<routing::GatewayIndex>(gateway);
    }
    read_message(in, mail.message);
}

/// TreeMailKind::subscribe: follows its record.
inline void append_subscriber(base::Bytes& out, const routing::queue::DurableSubscriber& subscriber) {
    TreeMail mail;
    mail.kind = TreeMailKind::subscribe;
    mail.subscriber = subscriber.id;
    mail.message.account = subscriber.account;
    append_tree_mail(out, mail);
    for (const std::string* text : {&subscriber.filter, &subscriber.queue, &subscriber.client, &subscriber.sid})
        append_text(out, *text);
}

[[nodiscard]] inline routing::queue::DurableSubscriber read_subscriber(base::ByteView& in, const TreeMail& mail) {
    routing::queue::DurableSubscriber subscriber;
    subscriber.id = mail.subscriber;
    subscriber.account = mail.message.account;
    for (std::string* text : {&subscriber.filter, &subscriber.queue, &subscriber.client, &subscriber.sid}) {
        std::string_view read;
        read_text(in, read);
        text->assign(read);
    }
    return subscriber;
}

}  // namespace gateway
