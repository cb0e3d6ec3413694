// Messages as shards send them to each other: records one after another in a DeliveryBatch, each with its MailKind as
// its first byte.  Both ends are in one process, so numbers are as the machine has them, and what is malformed is a bug
// (asserted).
//
//     delivery   DeliveryHead, groups, MessageHead, subject, reply, body      one message, for whomever it says
//     run        RunHead, subject, {body "\r\n"}*                             messages of one subject and one size
//                RunHead, subject, {RunSizes, body "\r\n"}*                   ... of different sizes
//     tree       gateway/tree_mail.h
//
// A run is what the sending shard had as a run; further publishes of the same kind lengthen the last one of the batch.
// The line ends are those of the input, so that the receiving shard copies each body and its end in one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "compat/nats_writer.h"
#include "routing/base/bytes.h"
#include "routing/base/check.h"
#include "routing/types.h"

namespace gateway {

enum class MailKind : std::uint8_t { delivery, run, tree };

/// The kind of the record at the front of `in`.  Errors: false at the end.
[[nodiscard]] inline bool next_kind(base::ByteView in, MailKind& kind) {
    if (in.empty()) return false;
    kind = static_cast<MailKind>(in.front());
    return true;
}

/// A batch that gets larger than the first gets room for the second at once, instead of being moved again and again
/// while it grows.  Unit: bytes.  Source: what a turn of much traffic sends (delivery_batch_bytes and a read's worth);
/// below malloc's own limit for pages of their own (128 KiB).
inline constexpr std::size_t small_batch_bytes = 2 * 1024;
inline constexpr std::size_t large_batch_bytes = 96 * 1024;

/// Lengthens `out` and returns where.  Borrows: until `out` changes.
inline char* grow(base::Bytes& out, std::size_t bytes) {
    const std::size_t size = out.size();
    if (size + bytes > out.capacity() && size + bytes > small_batch_bytes)
        out.reserve(std::max(size + bytes, large_batch_bytes));
    out.resize(size + bytes);
    return out.data() + size;
}

/// Copies bytes to `at` and returns where they end.
inline char* put(char* at, base::ByteView bytes) {
    if (!bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());
    return at + bytes.size();
}

template <typename Head>
[[nodiscard]] Head read_head(base::ByteView& in) {
    Head head;
    BASE_CHECK(in.size() >= sizeof(Head));
    std::memcpy(&head, in.data(), sizeof(Head));
    in.remove_prefix(sizeof(Head));
    return head;
}

/// Borrows: a view into `in`'s bytes.
[[nodiscard]] inline base::ByteView read_view(base::ByteView& in, std::size_t size) {
    base::ByteView view;
    const bool good = base::read_bytes(in, size, view);
    BASE_CHECK(good);
    return view;
}

inline void append_text(base::Bytes& out, std::string_view text) {
    base::append_varint(out, text.size());
    out.append(text);
}

/// Borrows: a view into `in`'s bytes.
inline void read_text(base::ByteView& in, std::string_view& text) {
    std::uint64_t size = 0;
    const bool good = base::read_varint(in, size);
    BASE_CHECK(good);
    text = read_view(in, static_cast<std::size_t>(size));
}

struct MessageHead {
    routing::AccountId account = 0;
    std::uint32_t subject_bytes = 0;
    std::uint32_t reply_bytes = 0;
    std::uint32_t header_bytes = 0;
    std::uint64_t body_bytes = 0;
};

inline void append_message(base::Bytes& out, const routing::MessageView& message) {
    const MessageHead head{message.account, static_cast<std::uint32_t>(message.subject.size()),
                           static_cast<std::uint32_t>(message.reply.size()), message.header_bytes, message.body.size()};
    char* at = grow(out, sizeof(head) + message.subject.size() + message.reply.size() + message.body.size());
    std::memcpy(at, &head, sizeof(head));
    put(put(put(at + sizeof(head), message.subject), message.reply), message.body);
}

/// Borrows: views into `in`'s bytes.
inline void read_message(base::ByteView& in, routing::MessageView& message) {
    const auto head = read_head<MessageHead>(in);
    message.account = head.account;
    message.header_bytes = head.header_bytes;
    message.subject = read_view(in, head.subject_bytes);
    message.reply = read_view(in, head.reply_bytes);
    message.body = read_view(in, static_cast<std::size_t>(head.body_bytes));
}

/// One message for a sibling shard: what it serves there is plain subscribers and one member of each group named.
struct DeliveryMail {
    routing::ConnectionId source = 0;
    bool echo = true;      ///< false: not to `source` itself (it cannot be there, but a bounce may come home)
    bool bounced = false;  ///< its group was picked for a shard that had lost its members; picked again once
    bool plain = false;
    bool trusted = false;  ///< `source` is a client on this machine; told for `$TREE.` subjects only
    std::vector<std::string_view> groups;
    routing::MessageView message;
};

struct DeliveryHead {
    MailKind kind = MailKind::delivery;
    bool echo = true;
    bool bounced = false;
    bool plain = false;
    bool trusted = false;
    std::uint32_t groups = 0;
    routing::ConnectionId source = 0;
};

inline void append_delivery(base::Bytes& out, const DeliveryMail& mail) {
    const DeliveryHead head{.echo = mail.echo,
                            .bounced = mail.bounced,
                            .plain = mail.plain,
                            .trusted = mail.trusted,
                            .groups = static_cast<std::uint32_t>(mail.groups.size()),
                            .source = mail.source};
    std::memcpy(grow(out, sizeof(head)), &head, sizeof(head));
    for (const auto group : mail.groups) append_text(out, group);
    append_message(out, mail.message);
}

/// Reads one delivery off the front of `in`.  Errors: false at the end.  Borrows: views into `in`'s bytes.
[[nodiscard]] inline bool next_delivery(base::ByteView& in, DeliveryMail& mail) {
    if (in.empty()) return false;
    const auto head = read_head<DeliveryHead>(in);
    BASE_CHECK(head.kind == MailKind::delivery);
    mail.source = head.source;
    mail.echo = head.echo;
    mail.bounced = head.bounced;
    mail.plain = head.plain;
    mail.trusted = head.trusted;
    mail.groups.resize(head.groups);
    for (auto& group : mail.groups) read_text(in, group);
    read_message(in, mail.message);
    return true;
}

// --- Runs -----------------------------------------------------------------------------------------------------------

/// One message of a run.  A "\r\n" follows `body` where it lies.
struct RunMessage {
    base::ByteView body;  ///< header block (if any), then payload
    std::uint32_t header_bytes = 0;
};

struct RunSizes {
    std::uint32_t body_bytes = 0;
    std::uint32_t header_bytes = 0;
    bool operator==(const RunSizes&) const = default;
};

[[nodiscard]] inline RunSizes sizes_of(const RunMessage& message) {
    return {static_cast<std::uint32_t>(message.body.size()), message.header_bytes};
}

/// Publishes of one subject by one connection, without reply, for the plain subscribers of a sibling shard.
struct RunHead {
    MailKind kind = MailKind::run;
    bool echo = true;           ///< see DeliveryMail
    bool sizes_differ = false;  ///< each message has its RunSizes before it; else `sizes` are those of all
    std::uint8_t unused = 0;
    routing::AccountId account = 0;
    routing::ConnectionId source = 0;
    std::uint32_t subject_bytes = 0;
    std::uint32_t count = 0;
    RunSizes sizes{};
    std::uint64_t messages_bytes = 0;  ///< of all that follows the subject
};

/// A run as it lies in a batch.  `messages` are walked with MailedRun.
struct RunMail {
    RunHead head;
    std::string_view subject;
    base::ByteView messages;
};

/// Where the run lies that a batch ends with, so that it can be lengthened.
struct OpenRun {
    std::size_t begin = 0;
    std::size_t end = 0;  ///< 0: there is none
};

/// Copies `size` bytes and returns where they end.  Short ones inline: a call costs as much as they do.
inline char* copy_short(char* to, const char* from, std::size_t size) {
    if (size < 8 || size > 64) {
        std::memcpy(to, from, size);
    } else if (size < 16) {
        std::memcpy(to, from, 8);
        std::memcpy(to + size - 8, from + size - 8, 8);
    } else {
        for (std::size_t i = 0; i + 16 < size; i += 16) std::memcpy(to + i, from + i, 16);
        std::memcpy(to + size - 16, from + size - 16, 16);
    }
    return to + size;
}

/// Appends a run to a batch: to the run at its end (`open`, which is kept up to date) if that is of the same kind, else
/// as a record of its own.  `head` says whose and how; what it says of sizes and numbers is found here.
/// `Messages`: empty(), front(), pop(), as MailedRun has; at least one.
template <typename Messages>
void append_run(base::Bytes& out, OpenRun& open, RunHead head, std::string_view subject, const Messages& messages) {
    constexpr std::size_t end_bytes = compat::line_end.size();
    head.sizes = sizes_of(messages.front());
    std::size_t bytes = 0;
    for (Messages left = messages; !left.empty(); left.pop()) {
        const RunMessage message = left.front();
        ++head.count;
        bytes += message.body.size() + end_bytes;
        head.sizes_differ = head.sizes_differ || sizes_of(message) != head.sizes;
    }
    if (head.sizes_differ) {
        head.sizes = {};
        bytes += head.count * sizeof(RunSizes);
    }
    head.subject_bytes = static_cast<std::uint32_t>(subject.size());
    head.messages_bytes = bytes;

    RunHead last;
    bool lengthens = open.end != 0 && open.end == out.size();
    if (lengthens) {
        std::memcpy(&last, out.data() + open.begin, sizeof(last));
        lengthens = last.source == head.source && last.account == head.account && last.echo == head.echo &&
                    last.sizes_differ == head.sizes_differ && last.sizes == head.sizes &&
                    base::ByteView(out).substr(open.begin + sizeof(last), last.subject_bytes) == subject;
    }
    char* at = nullptr;
    if (lengthens) {
        at = grow(out, bytes);
        last.count += head.count;
        last.messages_bytes += bytes;
        std::memcpy(out.data() + open.begin, &last, sizeof(last));
    } else {
        open.begin = out.size();
        at = grow(out, sizeof(head) + subject.size() + bytes);
        std::memcpy(at, &head, sizeof(head));
        at = put(at + sizeof(head), subject);
    }
    for (Messages left = messages; !left.empty(); left.pop()) {
        const RunMessage message = left.front();
        if (head.sizes_differ) {
            const RunSizes sizes = sizes_of(message);
            std::memcpy(at, &sizes, sizeof(sizes));
            at += sizeof(sizes);
        }
        at = copy_short(at, message.body.data(), message.body.size() + end_bytes);
    }
    open.end = out.size();
}

/// Reads a run off the front of `in`.  Borrows: views into `in`'s bytes.
[[nodiscard]] inline RunMail read_run(base::ByteView& in) {
    RunMail run;
    run.head = read_head<RunHead>(in);
    BASE_CHECK(run.head.kind == MailKind::run);
    run.subject = read_view(in, run.head.subject_bytes);
    run.messages = read_view(in, static_cast<std::size_t>(run.head.messages_bytes));
    return run;
}

/// Walks the messages of a run in a batch.  Borrows: the batch.
class MailedRun {
  public:
    explicit MailedRun(const RunMail& run)
        : at_(run.messages.data()),
          left_(run.head.count),
          sizes_(run.head.sizes),
          sizes_differ_(run.head.sizes_differ) {
        if (left_ != 0) find();
    }
    [[nodiscard]] bool empty() const { return left_ == 0; }
    /// How many are left.
    [[nodiscard]] std::uint32_t size() const { return left_; }
    [[nodiscard]] RunMessage front() const { return {{at_, sizes_.body_bytes}, sizes_.header_bytes}; }
    void pop() {
        at_ += sizes_.body_bytes + compat::line_end.size();
        if (--left_ != 0) find();
    }

  private:
    void find() {
        if (!sizes_differ_) return;
        std::memcpy(&sizes_, at_, sizeof(sizes_));
        at_ += sizeof(sizes_);
    }

    const char* at_;
    std::uint32_t left_;
    RunSizes sizes_;
    bool sizes_differ_;
};

}  // namespace gateway
