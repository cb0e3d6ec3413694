// What a simulated history consists of, and what must be true of it when it has ended.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "routing/queue/durable.h"
#include "routing/queue/memory_store.h"

namespace flows {

using namespace routing;
using namespace routing::queue;
using base::Instant;

/// One client alone, and one group.
inline constexpr std::size_t readers_each = 2;

/// A published message; its number is in its body.
struct Message {
    std::uint32_t origin = 0;
    std::map<std::uint32_t, Target> targets;  // gateway number -> what is served there (Target::gateway unused)
    bool acked = false;
    Run run = 0;
    Position position = 0;
    bool given_up = false;
};

/// A gateway with its disk, its process, its clients, and what the test remembers of it.
struct Gateway {
    GatewayId id;
    MemoryDisk disk;
    // of one process start
    std::uint64_t epoch = 0;
    bool up = false;
    std::unique_ptr<MemoryStore> store;
    std::unique_ptr<GatewayRegistry> registry;
    std::unique_ptr<TargetSets> sets;
    std::unique_ptr<Durable> engine;
    std::deque<StoreCommand> commands;
    bool executing = false;
    std::vector<GatewayIndex> index_of;  // gateway number -> index
    Instant wake = base::instant_max;
    // clients
    struct Client {
        std::string name;
        std::string queue;
        SubscriberId subscriber = 0;
        bool connected = false;
    };
    std::vector<Client> clients;
    // what the test remembers
    std::vector<MemoryImage> backups;
    std::size_t restored_newest = 1000;
    std::size_t backups_then = 0;
    bool forked = false;
    std::uint64_t restores = 0;
    std::uint64_t starts = 0;
    std::set<std::uint64_t> ever_applied;
    std::map<std::string, std::vector<std::uint64_t>> received;  // by client
};

[[nodiscard]] std::uint64_t message_number(base::ByteView body);

/// Adds what the local log holds to what was ever applied.
void note_applied(Gateway& gateway);

/// All gateways are up and have nothing more to do.  Gives what is wrong.
[[nodiscard]] std::optional<std::string> check(std::vector<Gateway>& gateways, const std::vector<Message>& messages);

}  // namespace flows
