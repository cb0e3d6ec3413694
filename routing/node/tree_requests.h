// What a gateway answers about itself: `$TREE.REQ.<name>.<verb>` (this one) and `$TREE.PING.<verb>` (everyone), and the
// advisories that it publishes on `$TREE.ADV.<kind>`.  Requests and answers are ordinary messages, so any NATS client
// anywhere in the tree can ask.
//
//     verb            request                                    answer
//     tree.status     -                                          who and where this gateway is, links, counters
//     tree.map        -                                          all gateways that it knows, and the links between them
//     path.show       {"subject":"orders.new"}                   who gets it, and the event path from here
//     path.explain    {"number":"2310"}                          the factors, with the gateways they stand for
//     path.verify     {"path":"75 = 3·5²","hops":"a 2 0\nb 3 1\nc 5 2"}   re-multiplied: is it what the hops recorded?
//     queue.ls        -                                          targets, origins and readers of the durable engine
//     queue.dump      {"from":"0"}                               what the local queue took; again from "next"
//     queue.where     {"record":"<origin>:<position>"}           who has it and who is still to get it
//
// An answer is one JSON object; {"error":"..."} if the verb or the request is not understood.
// Leaves to others: routing requests and answers (the shard, Node), showing them to people (gateway/cli).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "routing/node/lookups.h"
#include "routing/queue/outbox.h"
#include "routing/types.h"

namespace routing::node {

class JsonWriter;
class Node;

/// Requests and advisories that wait for the end of the turn; more are dropped.
inline constexpr std::size_t requests_waiting_max = 1024;
/// Rows of one queue.dump answer, so that it fits the usual max_payload of 1 MiB.
inline constexpr std::size_t dump_rows_max = 4096;

/// Threads: the tree shard's.  Borrows: its Node.
class TreeRequests {
  public:
    explicit TreeRequests(Node& node) : node_(node) {}

    /// Subscribes in the Node's Router, as node_connection, to what is answered here.
    void subscribe();
    /// A message on one of these subscriptions; answered at the end of the turn.
    void on_request(const MessageView& message);
    /// Publishes `json` on `$TREE.ADV.<kind>` at the end of the turn.
    void advise(std::string_view kind, std::string_view json);
    /// The durable engine's answer to a queue.dump.
    void on_dump(const queue::DumpChunk& chunk);
    /// Publishes what waits.  True if anything did.
    bool answer();

  private:
    struct Reply {
        AccountId account = account_global;
        std::string subject;
        std::string body;
    };
    void handle(const HeldMessage& request);
    void reply(const HeldMessage& request, std::string body);
    [[nodiscard]] std::string name_of(GatewayIndex gateway) const;

    [[nodiscard]] std::string tree_status() const;
    [[nodiscard]] std::string tree_map() const;
    [[nodiscard]] std::string path_show(std::string_view subject);
    [[nodiscard]] std::string path_explain(std::string_view number) const;
    [[nodiscard]] std::string path_verify(std::string_view path, std::string_view hops) const;
    [[nodiscard]] std::string queue_ls() const;
    [[nodiscard]] std::string queue_where(std::string_view record) const;

    Node& node_;
    std::vector<HeldMessage> requests_;
    std::vector<Reply> replies_;
    std::map<std::uint64_t, HeldMessage> dumps_;  // by token
    std::uint64_t next_dump_ = 1;
};

}  // namespace routing::node
