// What a gateway answers about itself: `$TREE.REQ.<name>.<verb>` (this one) and `$TREE.PING.<verb>` (everyone), and the
// advisories that it publishes on `$TREE.ADV.<kind>`.  Requests and answers are ordinary messages, so any NATS client
// anywhere in the tree can ask.
//
//     verb           request                       answer
//     tree.status    -                             who and where this gateway is, links, counters
//     tree.map       -                             all gateways that it knows, and the links between them
//     tree.forget    {"gateway":"b"}               b, which is away, is given up by all members (changes)
//     path.show      {"subject":"orders.new"}      who gets it, by which policy, and the event path from here
//     path.explain   {"number":"2310"}             the factors, with the gateways that they stand for
//     path.verify    {"path":"75 = 3·5²","hops":"a 2 0\nb 3 1\nc 5 2"}     re-multiplied: is it what the hops recorded?
//     queue.ls       -                             targets, origins and readers of the durable engine
//     queue.dump     {"from":"0"}                  what the local queue took; again from "next"
//     queue.where    {"record":"<origin>:<position>"}                     who has it and who is still to get it
//     queue.skip     {"record":"<origin>:<position>"}                     given up for whom it is barred (changes)
//
// An answer is one JSON object; {"error":"..."} if the verb or the request is not understood.  What changes something
// is done only for clients on this machine, until there are accounts to say who may.
//
// Advisories begin with {"kind":"join","gateway":"a","id":"<hex>","time_ms":1700000000000, and go on:
//
//     join             "member":"b","member_id":"..","members":3
//                      b became a child of a; so many can be reached now
//     leave            "member":"b","member_id":"..","role":"child","members":2
//                      the link to b, a child or the parent, ended
//     reparent         "parent":"c","parent_id":"..","was":"b"
//                      a has another parent than before
//     merge            "parent":"c","parent_id":"..","root":"..","was":"..","members":7
//                      a's fragment went into another one
//     clash            "prime":7,"claimed":11
//                      a gave its prime to the senior gateway that holds it too
//     dropped_factor   "factors":2,"total":5
//                      targets had no way behind a link; told once in 10 s at most
//     repair           "total":1
//                      a neighbour's logs differed in quiet and were exchanged
//     loss             "origin":"..","after":3,"up_to":9
//                      durable messages that will never arrive here
//     barred           "record":"a:17","member":"b","member_id":"..","by":"m","subject":"..","headers":".."
//                      a durable message waits, and what follows it for b: its Tree-Forbid names m, on the way there
//     unbarred         "record":"a:17","member":"b","member_id":"..","given_up":false
//                      it went on, or was given up by an operator
//     refused          "member":"b","member_id":"..","reason":".."
//                      a connection that a person should look at
//     forgotten        "member":"b","member_id":".."
//                      a gave up b, which is away, as an operator said
//
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
    /// `trusted`: from a client that may change something.
    void on_request(const MessageView& message, bool trusted);
    /// Publishes an advisory on `$TREE.ADV.<kind>` at the end of the turn.  `members`: what the kind adds, as members
    /// of a JSON object (without braces; may be empty).
    void advise(std::string_view kind, std::string_view members);
    /// The durable engine's answer to a queue.dump.
    void on_dump(const queue::DumpChunk& chunk);
    /// Publishes what waits.  True if anything did.
    bool answer();
    [[nodiscard]] bool waiting() const { return !requests_.empty() || !replies_.empty(); }
    /// What people call a gateway: its name, or its id in hex while no name is known.
    [[nodiscard]] std::string name_of(GatewayIndex gateway) const;

  private:
    struct Reply {
        AccountId account = account_global;
        std::string subject;
        std::string body;
    };
    struct Request {
        HeldMessage message;
        bool trusted = false;
    };
    void handle(const HeldMessage& request, bool trusted);
    void reply(const HeldMessage& request, std::string body);
    void write_barred(JsonWriter& json) const;

    [[nodiscard]] std::string tree_status() const;
    [[nodiscard]] std::string tree_map() const;
    [[nodiscard]] std::string tree_forget(std::string_view gateway, bool trusted);
    [[nodiscard]] std::string path_show(std::string_view subject);
    [[nodiscard]] std::string path_explain(std::string_view number) const;
    [[nodiscard]] std::string path_verify(std::string_view path, std::string_view hops) const;
    [[nodiscard]] std::string queue_ls() const;
    [[nodiscard]] std::string queue_where(std::string_view record) const;
    [[nodiscard]] std::string queue_skip(std::string_view record, bool trusted);

    Node& node_;
    std::vector<Request> requests_;
    std::vector<Reply> replies_;
    std::map<std::uint64_t, HeldMessage> dumps_;  // by token
    std::uint64_t next_dump_ = 1;
};

}  // namespace routing::node
