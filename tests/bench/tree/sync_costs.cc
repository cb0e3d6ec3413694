#include <algorithm>
#include <memory>

#include <malloc.h>

#include "routing/router.h"
#include "routing/sim/network.h"
#include "routing/sim/sim_gateway.h"
#include "routing/sim/world.h"
#include "tests/bench/tree/engine_host.h"

namespace bench {
namespace {

using namespace routing;
using namespace std::chrono_literals;

constexpr std::uint32_t children = 10;  // of each gateway, DESIGN 4.6
constexpr std::uint64_t steps_max = 100'000'000;
constexpr base::Duration quiet = 10s;  // more than two comparisons of digests

// What memory malloc has handed out.  Unit: bytes.
double memory() {
    return static_cast<double>(mallinfo2().uordblks) + static_cast<double>(mallinfo2().hblkhd);
}

std::string filter_of(std::uint32_t gateway, std::uint32_t i, std::uint32_t change) {
    return "plant." + std::to_string(gateway) + ".line." + std::to_string(i) + ".state" +
           (change > 0 ? "-" + std::to_string(change) : "");
}

// A Tree on the simulated network; what others want goes to a Router, if there is one.
class Host final : public peer::TreeHost, public peer::TreeEvents, public sim::NetworkUser {
  public:
    Host(sim::World& world, sim::Network& network, sim::HostIndex host, std::vector<std::string> join)
        : world_(world),
          network_(network),
          host_(host),
          registry_(numbered_id(host)),
          signer_(numbered_id(host), world.stream(host)) {
        peer::TreeOptions options;
        options.id = numbered_id(host);
        options.name = "gateway-" + std::to_string(host);
        options.join = std::move(join);
        options.max_children = 1000;  // everybody stays where it joined
        options.compression = peer::Compression::off;
        options.boot = host + 1;
        options.seed = host;
        tree_ =
            std::make_unique<peer::Tree>(options, registry_, sets_, *this, *this, signer_, world.now(), world.wall());
    }

    void start() {
        network_.attach(host_, *this, true);
        tree_->start(world_.now());
        turn();
    }
    void feed_router(Router& router) { router_ = &router; }
    void set_interest(const std::string& filter, std::uint32_t weight) {
        if (!tree_->set_interest("$G", filter, "", weight, world_.now())) throw Broken("a log is full");
    }
    peer::Tree& tree() { return *tree_; }

    // Bytes of the link to `neighbour` since it stands, all lanes, the way that has more; 0: there is none.
    std::uint64_t link_bytes(std::uint32_t neighbour) {
        const auto index = registry_.find(numbered_id(neighbour));
        std::uint64_t in = 0;
        std::uint64_t out = 0;
        for (const peer::LinkStatus& link : tree_->status().links) {
            if (!link.established || link.gateway != index) continue;
            for (const std::uint64_t bytes : link.bytes_in) in += bytes;
            for (const std::uint64_t bytes : link.bytes_out) out += bytes;
        }
        return std::max(in, out);
    }

    // TreeHost
    peer::TransportId dial(std::string_view address) override { return network_.dial(host_, std::string(address)); }
    void close_transport(peer::TransportId transport, base::Bytes last_words) override {
        network_.write(transport, last_words);
        network_.close(transport);
    }
    void pause_reading(peer::TransportId transport) override { network_.pause_reading(transport); }
    void resume_reading(peer::TransportId transport) override { network_.resume_reading(transport); }
    void output_waiting(peer::TransportId transport) override { outputs_.push_back(transport); }

    // TreeEvents
    void remote_interest(GatewayIndex gateway, std::string_view, std::string_view filter, std::string_view queue,
                         std::uint32_t weight) override {
        if (router_) router_->set_gateway_interest(gateway, account_global, filter, queue, weight);
    }
    void durable_filters_changed() override {}
    void reachable(GatewayIndex, bool, std::uint64_t) override {}
    void syncing_changed(bool) override {}
    void deliver(const peer::VolatileDelivery&) override {}
    void deliver_durable(const peer::DurableDelivery&) override {}
    void gateway_message(GatewayIndex, std::uint8_t, base::ByteView) override {}
    void pause_publishers(bool) override {}
    void identity_changed(std::uint64_t, Prime, base::WallMillis) override {}
    void log_changed(GatewayIndex) override {}
    void log(peer::LogLevel, std::string_view) override {}
    void members_known(const std::vector<KnownMember>&) override {}
    void advisory(std::string_view, std::string_view) override {}

    // NetworkUser
    void on_accepted(sim::EndId end, const std::string& remote) override {
        tree_->on_accepted(end, remote, world_.now());
        turn();
    }
    void on_dialed(sim::EndId end, bool ok, const std::string& remote) override {
        tree_->on_dialed(end, ok, remote, world_.now());
        turn();
    }
    void on_bytes(sim::EndId end, base::ByteView bytes) override {
        tree_->on_bytes(end, bytes, world_.now());
        turn();
    }
    void on_written(sim::EndId end, std::size_t bytes) override {
        tree_->on_written(end, bytes, world_.now());
        turn();
    }
    void on_closed(sim::EndId end) override {
        tree_->on_closed(end, world_.now());
        turn();
    }

  private:
    void turn() {
        for (const peer::TransportId transport : std::exchange(outputs_, {})) {
            base::Bytes bytes;
            tree_->take_output(transport, bytes);
            network_.write(transport, bytes);
        }
        const base::Instant next = tree_->next_deadline();
        if (next >= wake_) return;
        wake_ = next;
        world_.at(next, [this, next] {
            if (wake_ != next) return;
            wake_ = base::instant_max;
            tree_->tick(world_.now());
            turn();
        });
    }

    sim::World& world_;
    sim::Network& network_;
    sim::HostIndex host_;
    GatewayRegistry registry_;
    TargetSets sets_;
    sim::SimSigner signer_;
    Router* router_ = nullptr;
    std::vector<peer::TransportId> outputs_;
    base::Instant wake_ = base::instant_max;
    std::unique_ptr<peer::Tree> tree_;
};

class Forest {
  public:
    // What the root's clients and others want goes to `router`.
    Forest(const CostOptions& options, Router& router)
        : options_(options), world_(1), network_(world_, network_options()) {
        for (std::uint32_t i = 0; i < options.gateways; ++i) {
            add(i, i == 0 ? i : (i - 1) / children);
            for (std::uint32_t f = 0; f < options.filters; ++f) hosts_[i]->set_interest(filter_of(i, f, 0), 1);
        }
        hosts_[0]->feed_router(router);
        for (const auto& host : hosts_) host->start();
        wait_one_tree();
        run(quiet);
    }

    Host& operator[](std::uint32_t i) { return *hosts_[i]; }

    void add(std::uint32_t number, std::uint32_t parent) {
        std::vector<std::string> join;
        if (number != parent) join.push_back(sim::Network::address_of(parent));
        hosts_.push_back(std::make_unique<Host>(world_, network_, number, std::move(join)));
    }

    void run(base::Duration time) {
        if (!world_.run_until(world_.now() + time, steps_max)) throw Broken("no progress");
    }

    // Until everybody knows everybody and all that they want.
    void wait_one_tree() {
        for (int seconds = 0; seconds < 600; ++seconds) {
            run(1s);
            const std::uint64_t digest = hosts_[0]->tree().members_digest();
            if (std::all_of(hosts_.begin(), hosts_.end(),
                            [&](const auto& host) {
                                return host->tree().members_digest() == digest && !host->tree().syncing();
                            }) &&
                hosts_[0]->tree().status().members.size() == hosts_.size())
                return;
        }
        throw Broken("no single tree within 10 minutes of virtual time");
    }

    // What the link between the root and its first child carries when it stands again after `meanwhile`.
    template <typename Meanwhile>
    double reconnect_bytes(Meanwhile meanwhile) {
        network_.cut(0, 1, sim::Cut::refuse);
        run(quiet);
        meanwhile();
        run(quiet);
        network_.heal(0, 1);
        wait_one_tree();
        return static_cast<double>((*this)[1].link_bytes(0));
    }

  private:
    static sim::NetworkOptions network_options() {
        sim::NetworkOptions options;
        options.chunk_bytes_max = 1 << 20;
        options.window_bytes = 4 << 20;
        return options;
    }

    CostOptions options_;
    sim::World world_;
    sim::Network network_;
    std::vector<std::unique_ptr<Host>> hosts_;
};

}  // namespace

Figures sync_costs(const CostOptions& wanted) {
    CostOptions options = wanted;
    if (options.small) {
        options.gateways = std::min(options.gateways, 20U);
        options.filters = std::min(options.filters, 50U);
    }
    const double none = memory();
    Router router;
    Forest forest(options, router);
    // One Router is like another; the logs are everywhere.
    const auto router_bytes = static_cast<double>(router.stats().bytes);
    const double gateway_bytes = (memory() - none - router_bytes) / options.gateways + router_bytes;

    const double same = forest.reconnect_bytes([] {});
    const std::uint32_t changed = std::max(options.filters / 100, 1U);
    const double some = forest.reconnect_bytes([&] {
        for (std::uint32_t i = 0; i < options.gateways; ++i) {
            for (std::uint32_t f = 0; f < changed; ++f) {
                forest[i].set_interest(filter_of(i, f, 0), 0);
                forest[i].set_interest(filter_of(i, f, 1), 1);
            }
        }
    });
    forest.add(options.gateways, 0);
    forest[options.gateways].start();
    forest.wait_one_tree();
    const auto first = static_cast<double>(forest[options.gateways].link_bytes(0));
    return {{"tree_mb", gateway_bytes / 1e6},
            {"bytes_each", gateway_bytes / options.gateways / options.filters},
            {"same_bytes", same},
            {"some_bytes", some},
            {"first_bytes", first}};
}

}  // namespace bench
