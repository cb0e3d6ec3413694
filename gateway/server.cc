#include "gateway/server.h"

#include <algorithm>
#include <csignal>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <unistd.h>

#include "compat/client_session.h"
#include "gateway/identity.h"
#include "gateway/io/event_loop.h"
#include "gateway/io/mailbox.h"
#include "gateway/io/signal_watcher.h"
#include "gateway/io/tcp_listener.h"
#include "gateway/io/timer.h"
#include "gateway/log.h"
#include "gateway/ports_file.h"
#include "gateway/session_settings.h"
#include "gateway/shard_loop.h"
#include "gateway/shard_mail.h"
#include "gateway/tree_shell.h"

namespace gateway {

namespace {

/// How long SIGTERM waits for clients to take their last bytes and for the store.  Source: nats-server write_deadline.
constexpr base::Duration stop_time_max = std::chrono::seconds(10);

[[nodiscard]] bool has_tree_side(const Config& config) {
    return config.tree.has_value() || !config.durable.filters.empty();
}

routing::ShardIndex shards_of(const Config& config) {
    // Clients of other shards than the tree's cannot reach the tree yet.
    if (has_tree_side(config)) return 1;
    return static_cast<routing::ShardIndex>(shard_count(config, std::thread::hardware_concurrency()));
}

class Server final {
  public:
    Server(const Config& config, Log& log, std::unique_ptr<Identity> identity)
        : config_(config), log_(log), identity_(std::move(identity)), post_(shards_of(config)) {
        settings_.info.server_id = identity_->server_id();
        settings_.info.server_name = config.server_name.empty() ? settings_.info.server_id : config.server_name;
        settings_.info.treegate_version = TREEGATE_VERSION;
        news_ = io::Mailbox(loop_, [this] { go_on_stopping(); });
        stop_timer_ = io::Timer(loop_, [this] { go_on_stopping(); });
        loop_.set_turn_end([this] { wake_shards(); });
    }

    int run() {
        std::optional<io::SignalsBlocked> blocked(std::in_place);  // what is started below has no signals
        announce();
        if (!listen()) return 1;
        make_shards();
        if (has_tree_side(config_) && !start_tree()) return 1;
        PortsFile ports(config_, client_port_, tree_ != nullptr ? tree_->port() : 0, log_);
        signals_ = io::SignalWatcher(loop_, {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2},
                                     [this](int signal) { on_signal(signal); });
        for (auto& shard : shards_) shard->start();
        blocked.reset();
        log_.info("Server is ready");
        loop_.run();
        for (auto& shard : shards_) shard->join();
        shards_.clear();
        log_.info("Server Exiting..");
        return 0;
    }

  private:
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
        apply_config(config_, client_port_, settings_);
        log_.info("Listening for client connections on " + io::join_address(config_.client.host, client_port_));
        return true;
    }

    void make_shards() {
        shards_.reserve(post_.shards());  // each keeps a view of all
        shards_.resize(post_.shards());
        woken_.resize(post_.shards());
        const std::uint64_t seed = random_number();
        for (routing::ShardIndex i = 0; i < post_.shards(); ++i) {
            shards_[i] = std::make_unique<ShardLoop>(
                ShardOptions{.index = i, .pending_bytes_max = config_.limits.max_pending, .hash_seed = seed}, settings_,
                post_, shards_, news_, log_);
        }
    }

    bool start_tree() {
        ShardLoop& home = *shards_.front();
        auto tree = std::make_unique<TreeShell>(config_, settings_.info.server_name, *identity_, home.loop(),
                                                home.shard(), log_);
        tree_ = tree.get();
        home.set_tree(std::move(tree));
        return tree_->start();
    }

    // --- Clients.

    void accept(io::Socket socket) {
        const routing::ConnectionId id = ++last_connection_;
        const bool refused = open_clients() >= config_.limits.max_connections;
        ++(refused ? refused_ : accepted_);
        const auto home = static_cast<std::size_t>((id - 1) % shards_.size());
        shards_[home]->send(AdoptClient{id, std::move(socket), refused});
        woken_[home] = true;
    }

    /// One wake-up for all connections that a turn brought.
    void wake_shards() {
        for (std::size_t i = 0; i < woken_.size(); ++i) {
            if (woken_[i]) shards_[i]->wake();
            woken_[i] = false;
        }
    }

    template <typename Mail>
    void send_all() {
        for (auto& shard : shards_) {
            shard->send(Mail{});
            shard->wake();
        }
    }

    [[nodiscard]] std::uint64_t open_clients() const {
        std::uint64_t gone = 0;
        for (const auto& shard : shards_) gone += shard->clients_gone();
        return accepted_ - gone;
    }

    [[nodiscard]] bool all_gone() const {
        std::uint64_t gone = 0;
        for (const auto& shard : shards_) gone += shard->refused_gone();
        return open_clients() == 0 && gone == refused_;
    }

    // --- The end.

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
        if (stage_ != Stage::serving) return;
        log_.info("Initiating Shutdown...");
        stage_ = Stage::clients;
        stop_deadline_ = loop_.now() + stop_time_max;
        stop_timer_.set_at(stop_deadline_);
        listener_.reset();
        send_all<EndClients>();
    }

    /// In this order: clients have their last bytes, the tree side hears what they took and says goodbye, the store is
    /// quiet.
    void go_on_stopping() {
        const bool late = loop_.now() >= stop_deadline_;
        if (stage_ == Stage::clients && (all_gone() || late)) {
            stage_ = Stage::tree;
            if (tree_ != nullptr) {
                shards_.front()->send(PartTree{});
                shards_.front()->wake();
            }
        }
        if (stage_ == Stage::tree && (tree_ == nullptr || shards_.front()->tree_finished() || late)) {
            stage_ = Stage::over;
            send_all<Leave>();
            loop_.stop();
        }
    }

    enum class Stage : std::uint8_t { serving, clients, tree, over };

    const Config& config_;
    Log& log_;
    std::unique_ptr<Identity> identity_;
    compat::SessionSettings settings_;
    io::EventLoop loop_;
    io::Mailbox news_;  // some shard has what go_on_stopping() waits for
    ShardPost post_;
    std::vector<std::unique_ptr<ShardLoop>> shards_;
    std::vector<bool> woken_;    // shards that got mail in this turn
    TreeShell* tree_ = nullptr;  // of the first shard
    std::optional<io::TcpListener> listener_;
    io::SignalWatcher signals_;
    io::Timer stop_timer_;
    base::Instant stop_deadline_ = base::instant_max;
    std::uint16_t client_port_ = 0;
    routing::ConnectionId last_connection_ = 0;
    std::uint64_t accepted_ = 0;
    std::uint64_t refused_ = 0;
    Stage stage_ = Stage::serving;
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
