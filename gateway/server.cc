#include "gateway/server.h"

#include <algorithm>
#include <csignal>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <unistd.h>

#include "compat/client_session.h"
#include "gateway/identity.h"
#include "gateway/io/event_loop.h"
#include "gateway/io/mailbox.h"
#include "gateway/io/process_limits.h"
#include "gateway/io/signal_watcher.h"
#include "gateway/io/tcp_listener.h"
#include "gateway/io/timer.h"
#include "gateway/lame_duck.h"
#include "gateway/log.h"
#include "gateway/ports_file.h"
#include "gateway/reload.h"
#include "gateway/session_settings.h"
#include "gateway/shard_loop.h"
#include "gateway/shard_mail.h"
#include "gateway/start_pages.h"
#include "gateway/tree_shell.h"

namespace gateway {

namespace {

/// How long SIGTERM waits for clients to take their last bytes and for the store.  Source: nats-server write_deadline.
constexpr base::Duration stop_time_max = std::chrono::seconds(10);

[[nodiscard]] bool has_tree_side(const Config& config) {
    return config.tree.has_value() || !config.durable.filters.empty();
}

static_assert(shards_max <= routing::router_shards_max);

routing::ShardIndex shards_of(const Config& config) {
    return static_cast<routing::ShardIndex>(shard_count(config, std::thread::hardware_concurrency()));
}

/// As Go names them, whose names tools look for.
std::string_view signal_name(int signal) {
    switch (signal) {
        case SIGINT:
            return "interrupt";
        case SIGTERM:
            return "terminated";
        case SIGHUP:
            return "hangup";
        case SIGUSR1:
            return "user defined signal 1";
        case SIGUSR2:
            return "user defined signal 2";
        default:
            return "unknown";
    }
}

ShardSettings shard_settings(const Config& config) {
    ShardSettings settings;
    settings.write_deadline = config.limits.write_deadline;
    settings.no_producer_stall = config.limits.no_fast_producer_stall;
    settings.log = {config.log.debug, config.log.trace, config.log.trace_headers, config.log.traced_bytes_max};
    return settings;
}

/// Open files that a gateway needs beside those of its clients: itself, each loop, RocksDB.  Source: twice what was
/// counted.
constexpr std::uint64_t own_files = 32;
constexpr std::uint64_t files_of_loop = 8;
constexpr std::uint64_t files_of_store = 64;

std::uint64_t files_needed(const Config& config) {
    return own_files + files_of_loop * shards_of(config) + (has_tree_side(config) ? files_of_store : 0);
}

/// A lack of descriptors is logged again only after so long a time without one.
constexpr base::Duration accept_quiet_time = std::chrono::seconds(10);

class Server final {
  public:
    Server(const Config& config, const ConfigReader& reread, Log& log, std::unique_ptr<Identity> identity)
        : started_with_(config),
          config_(config),
          reread_(reread),
          log_(log),
          identity_(std::move(identity)),
          prng_(random_number()),
          post_(shards_of(config)),
          accepted_by_(post_.shards()) {
        settings_.info.server_id = identity_->server_id();
        settings_.info.server_name = config.server_name.empty() ? settings_.info.server_id : config.server_name;
        settings_.info.treegate_version = TREEGATE_VERSION;
        news_ = io::Mailbox(loop_, [this] { go_on_ending(); });
        end_timer_ = io::Timer(loop_, [this] { go_on_ending(); });
        loop_.set_turn_end([this] { wake_shards(); });
    }

    int run() {
        std::optional<io::SignalsBlocked> blocked(std::in_place);  // what is started below has no signals
        announce();
        if (!listen()) return 1;
        make_shards();
        try {
            if (has_tree_side(config_) && !start_tree()) return 1;
            write_ports();
            signals_ = io::SignalWatcher(loop_, {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2},
                                         [this](int signal) { on_signal(signal); });
            for (; shards_started_ < shards_.size(); ++shards_started_) shards_[shards_started_]->start();
        } catch (const std::system_error& error) {
            log_.fatal("Error starting a thread: " + std::string(error.what()) +
                       "; how many there may be is limited (ulimit -u, pids.max of a container)");
            end_started();
            return 1;
        }
        blocked.reset();
        log_.info("Server is ready");
        drop_start_pages();
        loop_.run();
        for (auto& shard : shards_) shard->join();
        shards_.clear();
        log_.info("Server Exiting..");
        return 0;
    }

  private:
    /// Ends the shards that run when not all could be started.
    void end_started() {
        for (std::size_t i = 0; i < shards_started_; ++i) {
            shards_[i]->send(Leave{});
            shards_[i]->wake();
            shards_[i]->join();
        }
    }

    void announce() {
        log_.info("Starting " + config_.program);
        log_.info("  Version:  " TREEGATE_VERSION " (NATS " + std::string(compat::protocol_version_announced) + ")");
        log_.info("  Name:     " + settings_.info.server_name);
        log_.info("  ID:       " + settings_.info.server_id);
        if (!config_.config_file.empty())
            log_.info("Using configuration file: " + config_.config_file + " (" + config_.config_digest + ")");
        for (const auto& warning : config_.warnings) log_.warning(warning);
    }

    bool listen() {
        io::ListenEvents events;
        events.accepted = [this](io::Socket socket) { accept(std::move(socket)); };
        events.failed = [this](const io::IoError& error) {
            const auto now = loop_.now();
            const bool same_burst = accept_failed_at_ && now - *accept_failed_at_ < accept_quiet_time;
            accept_failed_at_ = now;
            if (same_burst) return;
            log_.error("Client Accept Error(" + error.text + "); new connections wait until others are closed");
        };
        auto listener = io::TcpListener::open(loop_, config_.client.host, config_.client.port, std::move(events));
        if (!listener.ok()) {
            log_.fatal("Error listening on port: " + io::join_address(config_.client.host, config_.client.port) +
                       ", \"" + listener.error().text + "\"");
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
            ShardOptions options{.index = i,
                                 .pending_bytes_max = config_.limits.max_pending,
                                 .hash_seed = seed,
                                 .has_tree = has_tree_side(config_)};
            if (config_.tree) options.queue_policies = config_.tree->queue_policies;
            shards_[i] = std::make_unique<ShardLoop>(std::move(options), settings_, post_, shards_, news_, log_);
            shards_[i]->shard().change(shard_settings(config_));
            shards_[i]->loop().set_spin(config_.spin);
        }
    }

    bool start_tree() {
        ShardLoop& home = *shards_.front();
        auto tree = std::make_unique<TreeShell>(started_with_, settings_.info.server_name, *identity_, home.loop(),
                                                home.shard(), log_);
        tree_ = tree.get();
        home.set_tree(std::move(tree));
        if (!tree_->start()) return false;
        home.shard().end_turn(home.loop().now());  // the other shards begin with what the tree side knows
        return true;
    }

    // --- Clients.

    void accept(io::Socket socket) {
        const routing::ConnectionId id = ++last_connection_;
        const bool refused = open_clients() >= config_.limits.max_connections;
        const auto home = static_cast<std::size_t>((id - 1) % shards_.size());
        ++(refused ? refused_ : accepted_by_[home]);
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
    void send_all(const Mail& mail) {
        for (auto& shard : shards_) {
            shard->send(Mail(mail));
            shard->wake();
        }
    }

    [[nodiscard]] std::uint64_t open_at(std::size_t shard) const {
        return accepted_by_[shard] - shards_[shard]->clients_gone();
    }

    [[nodiscard]] std::uint64_t open_clients() const {
        std::uint64_t open = 0;
        for (std::size_t i = 0; i < shards_.size(); ++i) open += open_at(i);
        return open;
    }

    [[nodiscard]] bool all_gone() const {
        std::uint64_t gone = 0;
        for (const auto& shard : shards_) gone += shard->refused_gone();
        return open_clients() == 0 && gone == refused_;
    }

    /// Ends so many clients, whom chance picks.
    void end_some(std::uint64_t count, compat::NatsError reason) {
        std::vector<std::uint64_t> open;
        for (std::size_t i = 0; i < shards_.size(); ++i) open.push_back(open_at(i));
        std::uint64_t all = std::accumulate(open.begin(), open.end(), std::uint64_t{0});
        std::vector<std::uint64_t> picked(open.size());
        for (; count > 0 && all > 0; --count, --all) {
            std::uint64_t at = prng_.below(all);
            std::size_t shard = 0;
            while (at >= open[shard]) at -= open[shard++];
            --open[shard];
            ++picked[shard];
        }
        for (std::size_t i = 0; i < shards_.size(); ++i) {
            if (picked[i] == 0) continue;
            shards_[i]->send(EndSome{picked[i], reason});
            shards_[i]->wake();
        }
    }

    // --- Signals and the end.

    void on_signal(int signal) {
        log_.info("Trapped \"" + std::string(signal_name(signal)) + "\" signal");
        switch (signal) {
            case SIGHUP:
                if (const auto refused = reload(); !refused.empty()) {
                    for (const auto& why : refused) log_.error("Failed to reload server configuration: " + why);
                }
                break;
            case SIGUSR1:
                log_.reopen();
                break;
            case SIGUSR2:
                begin_lame_duck();
                break;
            case SIGTERM:
                if (!lame_duck_) stop();
                break;
            default:
                stop();
        }
    }

    /// The pid file and the ports file; of the latter the one before goes.
    void write_ports() {
        ports_.reset();
        ports_.emplace(config_, client_port_, tree_ != nullptr ? tree_->port() : 0, log_);
    }

    /// Reads the config again and applies it as a whole.  Returns why it did not; empty: it did.
    std::vector<std::string> reload() {
        if (!reread_ || config_.config_file.empty())
            return {"can only reload config when a file is provided using -c or --config"};
        auto outcome = reread_();
        if (auto* error = std::get_if<ConfigError>(&outcome)) return std::move(error->lines);
        if (!std::holds_alternative<Config>(outcome)) return {"the command line asks for something else"};
        Config wanted = std::get<Config>(std::move(outcome));
        auto plan = plan_reload(config_, wanted);
        if (!plan.errors.empty()) return std::move(plan.errors);
        if (config_.log != wanted.log) {
            if (auto opened = log_.configure(wanted.log, wanted.program); !opened.ok()) return {opened.error()};
        }
        const bool says_more = config_.client_advertise != wanted.client_advertise;
        const std::uint64_t open = open_clients();
        if (wanted.limits.max_connections != config_.limits.max_connections && open > wanted.limits.max_connections) {
            const std::uint64_t over = open - wanted.limits.max_connections;
            end_some(over, compat::NatsError::too_many_connections);
            log_.info("Closed " + std::to_string(over) + " connections to fall within max_connections");
        }
        const bool files = config_.pid_file != wanted.pid_file || config_.ports_file_dir != wanted.ports_file_dir;
        config_ = std::move(wanted);
        for (const auto& change : plan.changes) log_.info(change);
        if (files) write_ports();
        apply_config(config_, client_port_, settings_);
        send_all(ChangeSettings{std::make_shared<const compat::SessionSettings>(settings_), shard_settings(config_),
                                says_more, config_.tree ? std::make_shared<const TreeConfig>(*config_.tree) : nullptr});
        for (const auto& warning : config_.warnings) log_.warning(warning);
        log_.info("Reloaded server configuration (" + config_.config_digest + ")");
        return {};
    }

    /// Clients are told to go elsewhere; those that stay are closed one by one; then the gateway ends.
    void begin_lame_duck() {
        if (stage_ != Stage::serving || lame_duck_) return;
        log_.info("Entering lame duck mode, stop accepting new clients");
        listener_.reset();
        lame_duck_.emplace(loop_.now(), open_clients(), config_.lame_duck);
        tree_leaves_by_ = loop_.now() + config_.lame_duck.grace;
        send_all(AnnounceLameDuck{});
        go_on_ending();
    }

    /// What was accepted is delivered and stored; nothing new comes in.
    void stop() {
        if (stage_ != Stage::serving) return;
        log_.info("Initiating Shutdown...");
        stage_ = Stage::clients;
        stop_deadline_ = loop_.now() + stop_time_max;
        end_timer_.set_at(stop_deadline_);
        listener_.reset();
        send_all(EndClients{});
    }

    void go_on_ending() {
        if (stage_ == Stage::serving) {
            if (lame_duck_) go_on_as_lame_duck();
        } else {
            go_on_stopping();
        }
    }

    void go_on_as_lame_duck() {
        const auto now = loop_.now();
        const bool tree_left = tree_ == nullptr || shards_.front()->tree_left() || now >= tree_leaves_by_;
        if (open_clients() == 0 || lame_duck_->over()) {
            if (tree_left) {
                stop();
            } else {
                end_timer_.set_at(tree_leaves_by_);
            }
            return;
        }
        if (lame_duck_->next() <= now) {
            if (!std::exchange(closing_clients_, true)) log_.info("Closing existing clients");
            end_some(lame_duck_->due(now, prng_), compat::NatsError::server_shutdown);
        }
        end_timer_.set_at(lame_duck_->next());
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
            send_all(Leave{});
            loop_.stop();
        }
    }

    enum class Stage : std::uint8_t { serving, clients, tree, over };

    const Config& started_with_;  // what the tree side reads, on its own thread
    Config config_;               // of the last reload
    const ConfigReader& reread_;
    Log& log_;
    std::unique_ptr<Identity> identity_;
    base::Prng prng_;
    compat::SessionSettings settings_;
    io::EventLoop loop_;
    io::Mailbox news_;  // some shard has what go_on_ending() waits for
    ShardPost post_;
    std::vector<std::unique_ptr<ShardLoop>> shards_;
    std::size_t shards_started_ = 0;
    std::vector<bool> woken_;    // shards that got mail in this turn
    TreeShell* tree_ = nullptr;  // of the first shard
    std::optional<io::TcpListener> listener_;
    std::optional<PortsFile> ports_;
    io::SignalWatcher signals_;
    io::Timer end_timer_;
    std::optional<LameDuckClock> lame_duck_;
    base::Instant tree_leaves_by_ = base::instant_max;
    base::Instant stop_deadline_ = base::instant_max;
    std::uint16_t client_port_ = 0;
    routing::ConnectionId last_connection_ = 0;
    std::vector<std::uint64_t> accepted_by_;  // by shard; without those that were refused
    std::uint64_t refused_ = 0;
    Stage stage_ = Stage::serving;
    bool closing_clients_ = false;  // in lame duck mode
    std::optional<base::Instant> accept_failed_at_;
};

}  // namespace

int run_gateway(const Config& config, const ConfigReader& reread) {
    Log log;
    if (const auto opened = log.configure(config.log, config.program); !opened.ok()) {
        log.fatal(opened.error());
        return 1;
    }
    const std::uint64_t files = io::raise_open_files_limit();
    if (const std::uint64_t needed = files_needed(config); files < needed) {
        log.fatal("The limit of open files is " + std::to_string(files) + ", but a gateway of this kind needs " +
                  std::to_string(needed) + " and one for each client (ulimit -n)");
        return 1;
    }
    std::unique_ptr<Identity> identity;
    if (config.data_dir.empty()) {
        identity = config.tree || !config.durable.filters.empty() ? Identity::ephemeral() : Identity::keyless();
    } else {
        auto opened = Identity::open(config.data_dir);
        if (!opened.ok()) {
            log.fatal(opened.error());
            return 1;
        }
        identity = std::move(opened).value();
    }
    Server server(config, reread, log, std::move(identity));
    return server.run();
}

}  // namespace gateway
