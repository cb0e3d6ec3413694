#include "routing/node/node_message.h"

namespace routing::node {

namespace {
constexpr char question_version = 1;
}

base::Bytes encode(const InboxQuestion& question) {
    base::Bytes body;
    body.push_back(question_version);
    base::append_varint(body, question.account.size());
    body.append(question.account);
    base::append_varint(body, question.subject.size());
    body.append(question.subject);
    return body;
}

std::optional<InboxQuestion> decode_question(base::ByteView body) {
    InboxQuestion question;
    std::uint64_t size = 0;
    if (body.empty() || body.front() != question_version) return std::nullopt;
    body.remove_prefix(1);
    if (!base::read_varint(body, size) || !base::read_bytes(body, size, question.account)) return std::nullopt;
    if (!base::read_varint(body, size) || !base::read_bytes(body, size, question.subject)) return std::nullopt;
    if (!body.empty() || question.subject.empty()) return std::nullopt;
    return question;
}

}  // namespace routing::node
