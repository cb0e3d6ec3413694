// Questions to the whole tree: "who has this inbox?", for replies whose way is not known.
// One question per inbox at a time; replies wait for its answer, in order and bounded.
// Leaves to others: sending the questions and the replies (node).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "routing/base/bytes.h"
#include "routing/base/time.h"
#include "routing/types.h"

namespace routing::node {

/// How long a question stands.  Then the answer is "nowhere".  Source: several round trips of a satellite link are 2 s;
/// a requester's usual timeout is 2 to 5 s, so a longer wait helps nobody.
inline constexpr base::Duration lookup_timeout = std::chrono::seconds(2);
/// A question is repeated this often, since the control lane may lose it.
inline constexpr base::Duration lookup_repeat = std::chrono::milliseconds(500);
/// Questions open at once; more are refused.
inline constexpr std::size_t lookups_open_max = 1024;
/// Replies that wait for one answer, and bytes of all that wait; more are dropped and counted.
inline constexpr std::size_t lookup_waiting_max = 256;
inline constexpr std::size_t lookup_waiting_bytes_max = 4 * 1024 * 1024;
/// New questions that one asker (a connection, or another gateway) may cause: this many at once, then this many a
/// second.  Source: DESIGN 4.4 (rate-limited per connection).
inline constexpr std::uint32_t lookup_burst = 64;
inline constexpr std::uint32_t lookups_per_second = 64;
/// Askers whose rate is remembered; when there are more, all start afresh.
inline constexpr std::size_t lookup_askers_max = 4096;

/// A message that owns its bytes, for those that wait.
struct HeldMessage {
    AccountId account = account_global;
    std::string subject;
    std::string reply;
    base::Bytes body;
    std::uint32_t header_bytes = 0;
    bool forwarded = false;  ///< came from another gateway; those who want it beside the inbox have it

    explicit HeldMessage(const MessageView& view)
        : account(view.account),
          subject(view.subject),
          reply(view.reply),
          body(view.body),
          header_bytes(view.header_bytes) {}
    [[nodiscard]] MessageView view() const { return MessageView{account, subject, reply, body, header_bytes}; }
    [[nodiscard]] std::size_t bytes() const { return subject.size() + reply.size() + body.size(); }
};

/// The open questions.  Threads: one.
class Lookups {
  public:
    enum class Asked : std::uint8_t {
        started,  ///< the caller must ask now
        joined,   ///< the message waits for the answer to a question that is open
        refused,  ///< over a limit; the message is dropped
    };

    /// One who causes questions: a connection of this gateway, or asker_of(gateway).
    using Asker = std::uint64_t;
    static constexpr Asker asker_of(GatewayIndex gateway) { return (std::uint64_t{1} << 63) | gateway; }

    /// Lets `message` wait for the home of its subject's inbox prefix.
    Asked wait(Asker asker, const MessageView& message, base::Instant now, bool forwarded = false);

    /// The answer came: takes the messages that waited, in order.
    [[nodiscard]] std::vector<HeldMessage> answered(AccountId account, std::string_view prefix);

    struct Question {
        AccountId account = account_global;
        std::string prefix;
        std::string subject;  ///< of the first reply that waits; what is asked for
    };
    struct Due {
        std::vector<Question> repeat;       ///< ask again
        std::vector<Question> gave_up;      ///< nobody answered in time
        std::vector<HeldMessage> given_up;  ///< ... and this is what waited
    };
    [[nodiscard]] Due tick(base::Instant now);
    [[nodiscard]] base::Instant next_deadline() const;

    [[nodiscard]] std::size_t open() const { return open_.size(); }

  private:
    struct Open {
        Question question;
        base::Instant asked;
        base::Instant deadline;
        std::vector<HeldMessage> waiting;
    };
    struct Rate {
        std::uint64_t tokens = lookup_burst;
        base::Instant since;
    };

    bool allowed(Asker asker, base::Instant now);

    std::map<std::pair<AccountId, std::string>, Open> open_;
    std::map<Asker, Rate> rates_;
    std::size_t waiting_bytes_ = 0;
};

}  // namespace routing::node
