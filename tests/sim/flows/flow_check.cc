#include <algorithm>
#include <utility>

#include "routing/queue/page.h"
#include "tests/sim/flows/flow_state.h"
#include "tests/sim/flows/flow_world.h"

namespace flows {

std::uint64_t message_number(base::ByteView body) {
    std::uint64_t number = 0;
    if (!base::read_little_endian(body, number)) number = ~std::uint64_t{0};
    return number;
}

void note_applied(Gateway& gateway) {
    for (const auto& [first, bytes] : gateway.disk.live().logs[static_cast<std::size_t>(LogId::local)]) {
        LocalPageReader reader;
        if (!reader.open(*bytes, true)) continue;
        LocalRecord record;
        while (reader.next(record)) gateway.ever_applied.insert(message_number(record.message.body));
    }
}

std::optional<std::string> check(std::vector<Gateway>& gateways, const std::vector<Message>& messages) {
    std::vector<RecoveredState> states;
    for (Gateway& gateway : gateways) {
        auto state = recover(*gateway.store, gateway.id);
        if (!state.ok()) return "a state does not open again";
        states.push_back(std::move(state).value());
    }
    // What each gateway took, as its disk says.
    std::map<std::pair<std::uint64_t, std::string>, std::uint32_t> group_taker;
    for (std::uint32_t number = 0; number < gateways.size(); ++number) {
        Gateway& gateway = gateways[number];
        note_applied(gateway);
        const std::string where = "gateway " + std::to_string(number) + ": ";
        const RecoveredState& state = states[number];
        std::map<GatewayId, std::uint64_t> newest;  // per origin: message number + 1
        std::set<std::uint64_t> applied;
        std::set<std::uint64_t> plain;
        for (const auto& [first, bytes] : gateway.disk.backup().logs[static_cast<std::size_t>(LogId::local)]) {
            LocalPageReader reader;
            if (!reader.open(*bytes, true)) return where + "a damaged page";
            LocalRecord record;
            while (reader.next(record)) {
                const std::uint64_t message = message_number(record.message.body);
                const std::string what = where + "message " + std::to_string(message) + " ";
                const PageSource& source = reader.sources()[record.source];
                if (gateways[messages[message].origin].id != source.origin) return what + "has another origin";
                if (!applied.insert(message).second) return what + "was applied twice";
                if (newest[source.origin] > message && !gateways[messages[message].origin].forked)
                    return what + "was applied out of order";
                newest[source.origin] = message + 1;
                const auto wanted = messages[message].targets.find(number);
                if (wanted == messages[message].targets.end()) return what + "was not for it";
                const PageServe& serve = reader.serves()[record.serve];
                if (serve.plain != wanted->second.plain || serve.groups != wanted->second.groups)
                    return what + "is served to others than the origin chose";
                for (const std::string& group : serve.groups)
                    if (!group_taker.emplace(std::pair{message, group}, number).second)
                        return what + "has two takers in group " + group;
                if (serve.plain) plain.insert(message);
                ++totals().applied;
            }
        }
        if (gateway.restores == 0 && !state.losses.empty()) return where + "a LOSS without a cause";
        // Acknowledged: applied, or in a LOSS of what it once had.
        for (std::uint64_t i = 0; i < messages.size(); ++i) {
            const Message& message = messages[i];
            if (!message.acked || message.targets.count(number) == 0) continue;
            const RecoveredState& origin = states[message.origin];
            // Gone with the origin's disk?
            if (message.position >= origin.origin_next || run_of(origin.runs, message.position) != message.run)
                continue;
            const std::string what = where + "message " + std::to_string(i) + " (position " +
                                     std::to_string(message.position) + " of gateway " +
                                     std::to_string(message.origin) + ") ";
            bool lost = false;
            for (const RecoveredLoss& loss : state.losses)
                lost = lost || (loss.origin == gateways[message.origin].id && loss.after < message.position &&
                                message.position <= loss.up_to);
            if (applied.count(i) > 0) {
                if (lost && gateways[message.origin].restores == 0) return what + "is in a LOSS, but was applied";
                continue;
            }
            if (!lost) {
                std::string more;
                for (const RunStart& start : origin.runs)
                    more += " H " + std::to_string(start.run % 1000) + "@" + std::to_string(start.first);
                for (const RecoveredTarget& target : origin.targets)
                    if (target.id == gateway.id)
                        more += " last " + std::to_string(target.last) + " floor " + std::to_string(target.floor);
                for (const RecoveredWatermark& mark : state.watermarks)
                    if (mark.origin == gateways[message.origin].id)
                        more += " W " + std::to_string(mark.run % 1000) + ":" + std::to_string(mark.position);
                for (const RecoveredLoss& loss : state.losses)
                    if (loss.origin == gateways[message.origin].id)
                        more += " LOSS " + std::to_string(loss.after) + "-" + std::to_string(loss.up_to);
                return what + "was acknowledged and is lost:" + more + "; restores here " +
                       std::to_string(gateway.restores) + ", there " +
                       std::to_string(gateways[message.origin].restores);
            }
            if (gateway.ever_applied.count(i) == 0) return what + "is in a LOSS, but was never there";
        }
        // Clients: all of it, in order, again only after a crash.
        for (const Gateway::Client& client : gateway.clients) {
            if (!client.queue.empty()) continue;
            const std::vector<std::uint64_t>& received = gateway.received[client.name];
            const std::set<std::uint64_t> unique(received.begin(), received.end());
            for (const std::uint64_t message : plain)
                if (unique.count(message) == 0)
                    return where + "client " + client.name + " never got message " + std::to_string(message);
            if (gateway.starts == 1 && unique.size() != received.size())
                return where + "client " + client.name + " got a message twice without a crash";
            std::set<std::uint64_t> seen;
            std::map<std::uint32_t, std::uint64_t> last;
            for (const std::uint64_t message : received) {
                if (!seen.insert(message).second) continue;
                std::uint64_t& before = last[messages[message].origin];
                if (before > message && !gateways[messages[message].origin].forked)
                    return where + "client " + client.name + " got messages out of order";
                before = message;
            }
        }
        // The group: every message of it that this gateway took went to some member.
        std::set<std::uint64_t> group;
        for (const Gateway::Client& client : gateway.clients)
            if (!client.queue.empty())
                group.insert(gateway.received[client.name].begin(), gateway.received[client.name].end());
        for (const std::uint64_t message : applied)
            if (!messages[message].targets.at(number).groups.empty() && group.count(message) == 0)
                return where + "no member of the group got message " + std::to_string(message);
    }
    return std::nullopt;
}

}  // namespace flows
