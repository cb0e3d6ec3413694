#include "gateway/server.h"

#include <csignal>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

#include "compat/client_session.h"
#include "gateway/client_socket.h"
#include "gateway/identity.h"
#include "gateway/io/event_loop.h"
#include "gateway/io/signal_watcher.h"
#include "gateway/io/tcp_listener.h"
#include "gateway/io/timer.h"
#include "gateway/log.h"
#include "gateway/ports_file.h"
#include "gateway/shard.h"
#include "gateway/tree_shell.h"

namespace gateway {

namespace {

/// How long SIGTERM waits for clients to take their last bytes and for the store.  Source: nats-server write_deadline.
constexpr base::Duration stop_time_max = std::chrono::seconds(10);

class Server final : public ShardHost {
  public:
    Server(const Config& config, Log& log, std::unique_ptr<Identity> identity)
        : config_(config),
          log_(log),
          identity_(std::move(identity)),
          post_(1),
          shard_({.index = 0, .hash_seed = random_number()}, settings_, post_, *this, base::Prng(random_number())) {
        settings_.info.server_id = identity_->server_id();
        settings_.info.server_name = config.server_name.empty() ? settings_.info.server_id : config.server_name;
        settings_.info.host = config.client.host;
        settings_.info.max_payload = config.limits.max_payload;
        settings_.info.treegate_version = TREEGATE_VERSION;
        timer_ = io::Timer(loop_, [this] { tick(); });
        loop_.set_turn_end([this] { end_turn(); });
    }

    int run() {
        announce();
        if (!listen()) return 1;
        if (config_.tree || !config_.durable.filters.empty()) {
            tree_ = std::make_unique<TreeShell>(config_, settings_.info.server_name, *identity_, loop_, shard_, log_);
            if (!tree_->start()) return 1;
        }
        PortsFile ports(config_, client_port_, tree_ ? tree_->port() : 0, log_);
        signals_ = io::SignalWatcher(loop_, {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2},
                                     [this](int signal) { on_signal(signal); });
        log_.info("Server is ready");
        loop_.run();
        if (tree_) tree_->stop();
        log_.info("Server Exiting..");
        return 0;
    }

    // --- ShardHost.

    void pause_reading(Client& client) override { socket_of(client).pause_reading(); }
    void resume_reading(Client& client) override { socket_of(client).resume_reading(); }
    std::size_t flush(Client& client) override { return socket_of(client).flush(); }
    void close(Client& client, bool after_flush, std::string_view reason) override {
        log_.debug(socket_of(client).remote_address() + " - cid:" + std::to_string(client.connection) +
                   " - Client connection closed: " + std::string(reason));
        if (reason.substr(0, 13) == "Slow Consumer") {
            log_.warning(socket_of(client).remote_address() + " - cid:" + std::to_string(client.connection) + " - " +
                         std::string(reason));
        }
        closing_.push_back({&socket_of(client), after_flush});
    }
    void wake(routing::ShardIndex) override {}

  private:
    static ClientSocket& socket_of(Client& client) { return *static_cast<ClientSocket*>(client.socket); }

    void announce() {
        log_.info("Starting treegate");
        log_.info("  Version:  " TREEGATE_VERSION " (NATS " + std::string(compat::protocol_version_announced) + ")");
        log_.info("  Name:     " + settings_.info.server_name);
        log_.info("  ID:       " + settings_.info.server_id);
    }

    bool listen() {
        io::ListenEvents events;
        events.accepted = [this](io::Socket socket) { accept(std::move(socket)); };
        events.failed = [this](const io::IoError& error) {
            log_.error("Error accepting a client connection: " + error.text);
        };
        auto listener = io::TcpListener::open(loop_, config_.client.host, config_.client.port, std::move(events));
        if (!listener.ok()) {
            log_.fatal("Error listening on port: " + config_.client.host + ", " + std::to_string(config_.client.port) +
                       ": " + listener.error().text);
            return false;
        }
        listener_ = std::move(listener).value();
        client_port_ = listener_->port();
        settings_.info.port = client_port_;
        log_.info("Listening for client connections on " + io::join_address(config_.client.host, client_port_));
        return true;
    }

    void accept(io::Socket socket) {
        const routing::ConnectionId id = ++last_connection_;
        log_.debug(socket.remote_address() + " - cid:" + std::to_string(id) + " - Client connection created");
        sockets_.emplace_back();
        const auto place = std::prev(sockets_.end());
        *place = std::make_unique<ClientSocket>(
            loop_, std::move(socket), shard_, id, [this, place](ClientSocket& gone, io::CloseReason) {
                std::erase_if(closing_, [&](const Closing& closing) { return closing.socket == &gone; });
                sockets_.erase(place);
                if (stopping_) stop_if_done();
            });
        if (sockets_.size() > config_.limits.max_connections)
            shard_.end((*place)->client(), compat::NatsError::too_many_connections);
    }

    void tick() {
        const auto now = loop_.now();
        if (shard_.next_deadline() <= now) shard_.tick(now);
        if (tree_ && tree_->next_deadline() <= now) tree_->tick(now);
    }

    void end_turn() {
        const auto now = loop_.now();
        shard_.end_turn(now);
        for (const auto& [socket, after_flush] : std::exchange(closing_, {})) socket->close(after_flush);
        auto deadline = shard_.next_deadline();
        if (tree_) {
            tree_->end_turn();
            deadline = std::min(deadline, tree_->next_deadline());
        }
        if (stopping_) {
            stop_if_done();
            deadline = std::min(deadline, stop_deadline_);
        }
        if (deadline == timer_deadline_ && timer_.is_set()) return;
        timer_deadline_ = deadline;
        timer_.set_at(deadline);
    }

    void on_signal(int signal) {
        switch (signal) {
            case SIGHUP:
                log_.warning("Reload is not supported yet; nothing was changed");
                break;
            case SIGUSR1:
                log_.reopen();
                break;
            case SIGUSR2:
                log_.warning("Lame duck mode is not supported yet; use SIGTERM");
                break;
            default:
                stop();
        }
    }

    /// What was accepted is delivered and stored; nothing new comes in.
    void stop() {
        if (stopping_) return;
        stopping_ = true;
        log_.info("Initiating Shutdown...");
        stop_deadline_ = loop_.now() + stop_time_max;
        listener_.reset();
        if (tree_) tree_->close_listener();
        shard_.end_all(compat::NatsError::server_shutdown);
    }

    /// In this order: clients have their last bytes, the tree side hears what they took and says goodbye, the store is
    /// quiet.
    void stop_if_done() {
        const bool late = loop_.now() >= stop_deadline_;
        if (!sockets_.empty() && !late) return;
        if (tree_ && !tree_parting_) {
            tree_parting_ = true;
            shard_.end_turn(loop_.now());
            tree_->part();
            shard_.end_turn(loop_.now());
        }
        if (!tree_ || tree_->finished() || late) loop_.stop();
    }

    struct Closing {
        ClientSocket* socket;
        bool after_flush;
    };

    const Config& config_;
    Log& log_;
    std::unique_ptr<Identity> identity_;
    compat::SessionSettings settings_;
    io::EventLoop loop_;
    ShardPost post_;
    Shard shard_;
    std::list<std::unique_ptr<ClientSocket>> sockets_;
    std::vector<Closing> closing_;
    std::unique_ptr<TreeShell> tree_;
    std::optional<io::TcpListener> listener_;
    io::SignalWatcher signals_;
    io::Timer timer_;
    base::Instant timer_deadline_ = base::instant_max;
    base::Instant stop_deadline_ = base::instant_max;
    std::uint16_t client_port_ = 0;
    routing::ConnectionId last_connection_ = 0;
    bool stopping_ = false;
    bool tree_parting_ = false;
};

}  // namespace

int run_gateway(const Config& config) {
    Log log;
    log.set_levels(config.log.debug, false);
    if (!config.log.file.empty()) {
        if (const auto opened = log.open(config.log.file); !opened.ok()) {
            log.fatal(opened.error());
            return 1;
        }
    }
    std::unique_ptr<Identity> identity;
    if (config.data_dir.empty()) {
        identity = Identity::ephemeral();
    } else {
        auto opened = Identity::open(config.data_dir);
        if (!opened.ok()) {
            log.fatal(opened.error());
            return 1;
        }
        identity = std::move(opened).value();
    }
    Server server(config, log, std::move(identity));
    return server.run();
}

}  // namespace gateway
