#include "gateway/tree_shell.h"

#include <filesystem>
#include <utility>

#include "gateway/interest_mail.h"

namespace gateway {

namespace {

std::string store_folder(const Config& config) {
    return config.data_dir + "/store";
}

bool is_loopback_host(std::string_view host) {
    return host == "localhost" || host == "::1" || host.starts_with("127.");
}

}  // namespace

TreeShell::TreeShell(const Config& config, const std::string& name, Identity& identity, io::EventLoop& loop,
                     Shard& shard, Log& log)
    : config_(config),
      identity_(identity),
      loop_(loop),
      shard_(shard),
      log_(log),
      transports_(loop),
      signer_(make_signer(identity, config.tree ? config.tree->secret : std::string())) {
    store_mail_ = io::Mailbox(loop_, [this] { take_store_answers(); });
    routing::node::NodeOptions options;
    options.tree.id = identity_.id();
    options.tree.name = name;
    if (config.tree) {
        options.tree.tree = config.tree->name;
        options.tree.advertise = config.tree->advertise;
        for (const std::string& address : config.tree->join)
            (io::is_numeric(address) ? options.tree.join : options.tree.join_names).push_back(address);
        options.tree.region = config.tree->region;
        options.tree.tags = config.tree->tags;
        options.tree.max_children = config.tree->max_children;
        options.tree.compression = config.tree->compression;
    }
    options.tree.boot = random_number();
    const auto wall = io::EventLoop::wall_millis();
    const TreeClaim& claim = identity_.claim();
    options.tree.incarnation = claim.incarnation == 0 ? static_cast<std::uint64_t>(wall) : claim.incarnation + 1;
    options.tree.prime = claim.prime;
    options.tree.prime_claimed_at = claim.claimed_at;
    options.tree.known_members = identity_.members();
    options.queue.dump_keep = config.durable.dump_keep;
    options.tree.seed = random_number();
    options.durable = config.durable.filters;
    options.store_exists = std::filesystem::exists(store_folder(config));
    options.version = TREEGATE_VERSION;
    options.seed = random_number();
    node_ =
        std::make_unique<routing::node::Node>(std::move(options), shard_.router(), *this, *signer_, loop_.now(), wall);
    transports_.set_tree(&node_->tree());
    shard_.set_node(node_.get());
}

TreeShell::~TreeShell() {
    shard_.set_node(nullptr);
}

bool TreeShell::start() {
    if (config_.tree) {
        const auto& wanted = config_.tree->listen;
        const auto open = [&](std::uint16_t port) {
            io::ListenEvents events;
            events.accepted = [this](io::Socket socket) { transports_.accepted(std::move(socket)); };
            events.failed = [this](const io::IoError& error) {
                log_.error("Error accepting a tree connection: " + error.text);
            };
            return io::TcpListener::open(loop_, wanted.host, port, std::move(events));
        };
        auto listener = open(wanted.port);
        if (!listener.ok() && wanted.port_is_default && listener.error().failure == io::IoFailure::address_in_use) {
            log_.warning("Tree port " + std::to_string(wanted.port) + " is taken; listening on a free one instead");
            listener = open(0);
        }
        if (!listener.ok()) {
            log_.fatal("Error listening for tree connections on " + io::join_address(wanted.host, wanted.port) + ": " +
                       listener.error().text);
            return false;
        }
        listener_.emplace(std::move(listener).value());
        log_.info("Listening for tree connections on " + io::join_address(wanted.host, listener_->port()));
        const bool loopback_only = is_loopback_host(wanted.host);
        if (!loopback_only && config_.tree->secret.empty()) {
            log_.warning("The tree has no secret: whoever reaches port " + std::to_string(listener_->port()) +
                         " can join it and read its messages (set tree.secret or --secret-file, the same at every "
                         "member)");
        }
        if (const std::string said = advertised_address(*config_.tree, listener_->port()); !said.empty()) {
            node_->tree().set_advertise(said);
        } else {
            node_->tree().set_listener(listener_->port(), loopback_only);
        }
    }
    node_->start(loop_.now());
    return true;
}

void TreeShell::change(const TreeConfig& wanted) {
    auto& tree = node_->tree();
    tree.set_description(wanted.region, wanted.tags);
    tree.set_max_children(wanted.max_children);
    tree.set_compression(wanted.compression);
}

void TreeShell::tick(base::Instant now) {
    node_->tick(now);
}

base::Instant TreeShell::next_deadline() const {
    return transports_.has_output() ? loop_.now() : node_->next_deadline();
}

void TreeShell::end_turn() {
    transports_.flush();
    if (waiting_.empty() || !store_) return;
    std::size_t done = 0;
    while (done < waiting_.size() && store_->try_execute(waiting_[done])) ++done;
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(done));
}

void TreeShell::part() {
    node_->close_all(loop_.now());
    transports_.flush();
}

bool TreeShell::finished() const {
    return node_->settled();
}

void TreeShell::stop() {
    if (store_) store_->stop();
}

// --- NodeHost -------------------------------------------------------------------------------------------------------

void TreeShell::deliver_local(const routing::MessageView& message, const routing::node::Serve& serve,
                              routing::node::Served& served) {
    shard_.deliver_local(message, serve, served);
}
void TreeShell::deliver_queued(const routing::queue::Delivery& delivery) {
    shard_.deliver_queued(delivery);
}
void TreeShell::publish(const routing::MessageView& message) {
    shard_.publish_of_node(message);
}
void TreeShell::resume(routing::ConnectionId connection) {
    shard_.resume(connection);
}
void TreeShell::durable_filters_changed() {
    shard_.durable_filters_changed();
}
void TreeShell::gateway_interest(routing::GatewayIndex gateway, routing::AccountId account, std::string_view filter,
                                 std::string_view queue, std::uint32_t weight) {
    if (auto* news = shard_.news()) append_gateway_interest(news->interest, gateway, {account, filter, queue, weight});
}
void TreeShell::gateway_reachable(routing::GatewayIndex gateway, bool reachable) {
    if (auto* news = shard_.news()) news->reachable.emplace_back(gateway, reachable);
}
void TreeShell::gateway_distance(routing::GatewayIndex gateway, std::uint16_t distance) {
    if (auto* news = shard_.news()) news->distances.emplace_back(gateway, distance);
}
void TreeShell::scopes_changed() {
    if (auto* news = shard_.news()) {
        news->scopes_changed = true;
        news->scopes.clear();  // who waits for one asks again
    }
}
void TreeShell::syncing(bool syncing) {
    if (auto* news = shard_.news()) news->syncing = syncing;
}
void TreeShell::pause_publishers(bool pause) {
    shard_.set_links_full(pause);
}

void TreeShell::identity_changed(std::uint64_t incarnation, routing::Prime prime, base::WallMillis claimed_at) {
    if (const auto failed = identity_.keep({incarnation, prime, claimed_at}); !failed.ok()) {
        log_.error("Cannot keep this gateway's prime and incarnation in " + config_.data_dir + ": " + failed.error());
    }
}

void TreeShell::members_known(const std::vector<routing::KnownMember>& members) {
    if (const auto failed = identity_.keep_members(members); !failed.ok()) {
        log_.warning("Cannot keep the addresses of the tree's members in " + config_.data_dir + ": " + failed.error());
    }
}

void TreeShell::log(routing::peer::LogLevel level, std::string_view text) {
    const std::string line = "tree: " + std::string(text);
    switch (level) {
        case routing::peer::LogLevel::debug:
            log_.debug(line);
            break;
        case routing::peer::LogLevel::info:
            log_.info(line);
            break;
        case routing::peer::LogLevel::warning:
            log_.warning(line);
            break;
        case routing::peer::LogLevel::error:
            log_.error(line);
            break;
    }
}

std::uint64_t TreeShell::matches() const {
    return shard_.router().stats().matches;
}

void TreeShell::open_store() {
    if (!store_) {
        store_ = std::make_unique<store::StoreThread>(identity_.id(), store::open_rocksdb(store_folder(config_)),
                                                      [this] { store_mail_.wake(); });
    }
    waiting_.clear();
    store_->open();
}

void TreeShell::execute(routing::queue::StoreCommand command) {
    if (waiting_.empty() && store_->try_execute(command)) return;
    waiting_.push_back(std::move(command));
}

void TreeShell::take_store_answers() {
    answers_.clear();
    store_->take_answers(answers_);
    for (auto& answer : answers_) {
        if (auto* done = std::get_if<routing::queue::StoreDone>(&answer)) {
            node_->on_store_done(std::move(*done), loop_.now());
            continue;
        }
        auto& opened = std::get<store::StoreOpened>(answer);
        if (opened.result.ok()) {
            node_->on_store_opened(std::move(opened.result).value(), loop_.now());
        } else {
            node_->on_store_failed(opened.result.error().text, loop_.now());
        }
    }
}

}  // namespace gateway
