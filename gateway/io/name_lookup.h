// Everything that stands behind a name: the servers of its SRV records, else all its A and AAAA records, as numeric
// addresses.  By the system's own resolver (/etc/hosts, nsswitch, resolv.conf; libresolv for SRV), which blocks, so
// each look-up has a thread: there are few, and libuv's pool is for all loops. Leaves to others: who is looked up when
// (routing/contacts), dialling (tcp_dial).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gateway/io/event_loop.h"
#include "gateway/io/io_error.h"
#include "gateway/io/mailbox.h"
#include "routing/base/result.h"

namespace gateway::io {

/// Addresses of one name that are taken.  Own choice: a tree needs one member that answers.
inline constexpr std::size_t name_addresses_max = 32;
/// How long one try of the SRV query waits for a name server, and how many tries each gets.  Own choice: a name server
/// that answers does so in far less, and who has no SRV records should not wait for them.  Unit of the first: seconds.
inline constexpr int srv_try_seconds = 1;
inline constexpr int srv_tries = 2;

struct NameQuery {
    std::string host{};
    std::uint16_t port = 0;  ///< 0: SRV records of `service` say it, else it is `default_port`
    std::string service{};   ///< "_treegate._tcp"; empty: no SRV records are asked for
    std::uint16_t default_port = 0;
    std::uint64_t seed = 0;         ///< of the choice among SRV records of one priority
    std::string server_for_test{};  ///< "127.0.0.1:port" of the name server that SRV queries go to
};

/// "host:port" each, distinct, in the order in which they are to be tried; never empty.
using NameAddresses = base::Result<std::vector<std::string>, IoError>;

/// Blocks: yes, as long as the system's resolver does.  Threads: any.
[[nodiscard]] NameAddresses look_up(const NameQuery& query);

/// One look-up.  Destroyed before it ended: given up, `done` is never called; its thread ends by itself, some time.
/// Threads: the loop's.
class NameLookup {
  public:
    using Done = std::function<void(NameAddresses)>;

    /// Starts at once; `done` is called once, from the loop, never from within this call.  It may destroy this.
    NameLookup(EventLoop& loop, NameQuery query, Done done);
    ~NameLookup();
    NameLookup(NameLookup&&) = delete;
    NameLookup& operator=(NameLookup&&) = delete;

  private:
    struct Shared;
    void take();

    Done done_;
    std::shared_ptr<Shared> shared_;  // with the thread
    Mailbox mailbox_;
};

}  // namespace gateway::io
