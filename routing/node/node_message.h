// What Nodes tell each other by id (Tree::send_to_gateway, control lane): it may be lost, so all of it is repeated or
// harmless.  The kinds and the bodies, with their layout.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "routing/base/bytes.h"

namespace routing::node {

/// The kind byte of a TO_GATEWAY frame.
enum class GatewayMessage : std::uint8_t {
    head = 1,         ///< body: queue::Head, origin -> target
    at = 2,           ///< body: queue::At, target -> origin
    lookup = 3,       ///< body: InboxQuestion: do your clients want this inbox?
    lookup_here = 4,  ///< body: InboxQuestion, unchanged: yes
};

/// LOOKUP and its answer.
///
///     version u8 = 1 | account length varint, bytes | subject length varint, bytes
///
/// `subject` is that of a reply that waits; its first two tokens are the inbox that is looked for.
struct InboxQuestion {
    std::string_view account;  ///< by name
    std::string_view subject;
};

[[nodiscard]] base::Bytes encode(const InboxQuestion& question);
/// Errors: nothing if `body` is not exactly one well-formed question with a subject.  Borrows: views into `body`.
[[nodiscard]] std::optional<InboxQuestion> decode_question(base::ByteView body);

}  // namespace routing::node
