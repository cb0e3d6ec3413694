#include "routing/sim/network.h"

#include <algorithm>

namespace routing::sim {

namespace {

/// Salt of the network's random stream.
constexpr std::uint64_t network_salt = 0x6e657477;

std::pair<HostIndex, HostIndex> pair_of(HostIndex a, HostIndex b) {
    return {std::min(a, b), std::max(a, b)};
}

}  // namespace

Network::Network(World& world, const NetworkOptions& options)
    : world_(world), options_(options), prng_(world.stream(network_salt)) {}

std::string Network::address_of(HostIndex host) {
    return "h" + std::to_string(host) + ":7522";
}

void Network::attach(HostIndex host, NetworkUser& user, bool listens) {
    hosts_[host] = Host{&user, listens};
}

void Network::detach(HostIndex host) {
    hosts_.erase(host);
    std::vector<EndId> own;
    for (const auto& [id, end] : ends_)
        if (end.host == host) own.push_back(id);
    for (const EndId id : own) {
        const EndId other = ends_.at(id).other;
        drop_end(id);
        if (ends_.contains(other)) world_.after(delay(), [this, other] { finish(other); });
    }
    std::erase_if(dialing_, [&](EndId id) { return !ends_.contains(id); });
}

EndId Network::dial(HostIndex from, const std::string& address) {
    const EndId id = next_end_++;
    End end;
    end.host = from;
    end.peer = from;
    HostIndex to = from;
    bool known = false;
    for (const auto& [host, state] : hosts_) {
        if (state.listens && address_of(host) == address) {
            to = host;
            known = true;
        }
    }
    end.peer = to;
    ends_.emplace(id, std::move(end));
    dialing_.insert(id);
    const bool refused = !known || prng_.chance(options_.dial_refused_permille, 1000);
    const base::Instant deadline = world_.now() + options_.dial_timeout;
    world_.after(delay(from, to), [this, id, from, to, refused, deadline] {
        if (refused)
            refuse(id, from);
        else
            connect(id, from, to, deadline);
    });
    return id;
}

void Network::refuse(EndId id, HostIndex from) {
    if (!dialing_.erase(id)) return;
    const HostIndex to = ends_.at(id).peer;
    ends_.erase(id);
    if (const auto host = hosts_.find(from); host != hosts_.end())
        host->second.user->on_dialed(id, false, address_of(to));
}

void Network::connect(EndId id, HostIndex from, HostIndex to, base::Instant deadline) {
    if (!dialing_.contains(id)) return;  // closed meanwhile
    const Cut how = between(from, to);
    const auto target = hosts_.find(to);
    if (how == Cut::black_hole) {
        if (world_.now() >= deadline) {
            refuse(id, from);
        } else {  // SYN again
            world_.after(std::chrono::milliseconds(200),
                         [this, id, from, to, deadline] { connect(id, from, to, deadline); });
        }
        return;
    }
    if (how == Cut::refuse || target == hosts_.end() || !target->second.listens) {
        refuse(id, from);
        return;
    }
    const EndId far = next_end_++;
    End end;
    end.host = to;
    end.peer = from;
    end.other = id;
    end.established = true;
    ends_.emplace(far, std::move(end));
    ends_.at(id).other = far;
    world_.after(delay(from, to), [this, id, from, to] {
        if (!dialing_.erase(id)) return;
        const auto own = ends_.find(id);
        if (own == ends_.end()) return;
        own->second.established = true;
        if (const auto host = hosts_.find(from); host != hosts_.end())
            host->second.user->on_dialed(id, true, address_of(to));
        hand_over(id);
        pump(id);
    });
    target->second.user->on_accepted(far, "h" + std::to_string(from) + ":" + std::to_string(40000 + id % 20000));
}

std::optional<HostIndex> Network::peer_of(EndId end) const {
    const auto found = ends_.find(end);
    return found == ends_.end() ? std::nullopt : std::optional(found->second.peer);
}

void Network::write(EndId end, base::ByteView bytes) {
    const auto found = ends_.find(end);
    if (found == ends_.end() || found->second.close_wanted || bytes.empty()) return;
    found->second.unsent.emplace_back(bytes);
    found->second.unsent_bytes += bytes.size();
    world_.after({}, [this, end] { pump(end); });
}

void Network::pump(EndId id) {
    const auto found = ends_.find(id);
    if (found == ends_.end() || !found->second.established) return;
    End& end = found->second;
    std::size_t taken = 0;
    while (!end.unsent.empty() && end.in_flight < options_.window_bytes) {
        base::Bytes& front = end.unsent.front();
        const std::size_t size =
            std::min<std::size_t>(front.size(), prng_.between(1, std::max<std::uint32_t>(1, options_.chunk_bytes_max)));
        base::Bytes chunk = front.substr(0, size);
        if (size == front.size())
            end.unsent.pop_front();
        else
            front.erase(0, size);
        end.unsent_bytes -= size;
        end.in_flight += size;
        taken += size;
        if (options_.reset_per_million != 0 && prng_.chance(options_.reset_per_million, 1'000'000)) {
            reset(id);
            return;
        }
        const base::Instant when = std::max(world_.now() + delay(end.host, end.peer), end.last_arrival);
        end.last_arrival = when;
        const EndId to = end.other;
        world_.at(when, [this, to, bytes = std::move(chunk)]() mutable { arrive(to, std::move(bytes)); });
    }
    if (end.unsent.empty() && end.close_wanted) {
        const EndId to = end.other;
        const base::Instant when = std::max(world_.now() + delay(end.host, end.peer), end.last_arrival);
        drop_end(id);
        world_.at(when, [this, to] { finish(to); });
        return;
    }
    if (taken != 0 && !end.close_wanted) {
        const HostIndex host = end.host;
        if (const auto user = hosts_.find(host); user != hosts_.end()) user->second.user->on_written(id, taken);
    }
}

void Network::arrive(EndId to, base::Bytes bytes) {
    const auto found = ends_.find(to);
    if (found == ends_.end() || found->second.broken) return;
    found->second.waiting.push_back(std::move(bytes));
    hand_over(to);
}

void Network::hand_over(EndId to) {
    for (;;) {
        const auto found = ends_.find(to);
        if (found == ends_.end()) return;
        End& end = found->second;
        if (end.close_wanted) end.waiting.clear();
        if (end.paused || !end.established || between(end.host, end.peer) == Cut::black_hole) return;
        if (end.waiting.empty()) {
            if (end.finished) {
                const HostIndex host = end.host;
                const bool told = !end.close_wanted;
                drop_end(to);
                if (const auto user = hosts_.find(host); told && user != hosts_.end()) user->second.user->on_closed(to);
            }
            return;
        }
        const base::Bytes bytes = std::move(end.waiting.front());
        end.waiting.pop_front();
        if (const auto sender = ends_.find(end.other); sender != ends_.end()) {
            sender->second.in_flight -= std::min(sender->second.in_flight, bytes.size());
            if (!sender->second.unsent.empty()) world_.after(delay(), [this, other = end.other] { pump(other); });
        }
        const HostIndex host = end.host;
        if (const auto user = hosts_.find(host); user != hosts_.end()) user->second.user->on_bytes(to, bytes);
    }
}

void Network::finish(EndId to) {
    const auto found = ends_.find(to);
    if (found == ends_.end()) return;
    found->second.finished = true;
    if (!found->second.established) {  // a dial that was accepted and closed before the dialler knew
        found->second.established = true;
        if (dialing_.erase(to)) {
            const HostIndex from = found->second.host;
            const HostIndex far = found->second.peer;
            if (const auto user = hosts_.find(from); user != hosts_.end())
                user->second.user->on_dialed(to, true, address_of(far));
        }
    }
    hand_over(to);
}

void Network::close(EndId end) {
    const auto found = ends_.find(end);
    if (found == ends_.end()) return;
    if (dialing_.erase(end)) {
        const EndId other = found->second.other;
        ends_.erase(end);
        if (other != 0) world_.after(delay(), [this, other] { finish(other); });
        return;
    }
    found->second.close_wanted = true;
    world_.after({}, [this, end] {
        pump(end);
        if (const auto still = ends_.find(end); still != ends_.end() && still->second.finished) drop_end(end);
    });
}

void Network::reset(EndId id) {
    const auto found = ends_.find(id);
    if (found == ends_.end()) return;
    const EndId other = found->second.other;
    for (const EndId one : {id, other}) {
        const auto end = ends_.find(one);
        if (end == ends_.end()) continue;
        end->second.broken = true;
        end->second.waiting.clear();
        end->second.unsent.clear();
        world_.after(delay(), [this, one] { finish(one); });
    }
}

void Network::drop_end(EndId id) {
    dialing_.erase(id);
    ends_.erase(id);
}

void Network::pause_reading(EndId end) {
    if (const auto found = ends_.find(end); found != ends_.end()) found->second.paused = true;
}

void Network::resume_reading(EndId end) {
    const auto found = ends_.find(end);
    if (found == ends_.end() || !found->second.paused) return;
    found->second.paused = false;
    world_.after({}, [this, end] { hand_over(end); });
}

Cut Network::between(HostIndex a, HostIndex b) const {
    const auto found = cuts_.find(pair_of(a, b));
    return found == cuts_.end() ? Cut::none : found->second;
}

void Network::slow(HostIndex a, HostIndex b, base::Duration extra) {
    slow_[pair_of(a, b)] = extra;
}

void Network::cut(HostIndex a, HostIndex b, Cut how) {
    cuts_[pair_of(a, b)] = how;
    if (how != Cut::refuse) return;
    std::vector<EndId> hit;
    for (const auto& [id, end] : ends_)
        if (end.host == a && end.peer == b && end.established) hit.push_back(id);
    for (const EndId id : hit) reset(id);
}

void Network::heal(HostIndex a, HostIndex b) {
    if (cuts_.erase(pair_of(a, b)) == 0) return;
    for (const auto& [id, end] : ends_) {
        if (pair_of(end.host, end.peer) == pair_of(a, b)) world_.after(delay(), [this, one = id] { hand_over(one); });
    }
}

void Network::heal_all() {
    while (!cuts_.empty()) {
        const auto pair = cuts_.begin()->first;
        heal(pair.first, pair.second);
    }
}

void Network::partition(const std::vector<std::uint32_t>& side, Cut how) {
    for (HostIndex a = 0; a < side.size(); ++a)
        for (HostIndex b = a + 1; b < side.size(); ++b)
            if (side[a] != side[b]) cut(a, b, how);
}

void Network::reset_one(HostIndex a, HostIndex b, std::uint64_t draw) {
    std::vector<EndId> candidates;
    for (const auto& [id, end] : ends_)
        if (end.host == a && end.peer == b && end.established) candidates.push_back(id);
    if (!candidates.empty()) reset(candidates[draw % candidates.size()]);
}

void Network::stop_faults() {
    options_.dial_refused_permille = 0;
    options_.reset_per_million = 0;
}

base::Duration Network::delay() {
    const auto span = static_cast<std::uint64_t>((options_.delay_max - options_.delay_min).count());
    return options_.delay_min + base::Duration(prng_.between(0, span));
}

base::Duration Network::delay(HostIndex a, HostIndex b) {
    const auto found = slow_.find(pair_of(a, b));
    return delay() + (found == slow_.end() ? base::Duration{} : found->second);
}

}  // namespace routing::sim
