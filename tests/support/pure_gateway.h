// A gateway's client side without sockets: one or more shards whose loops are turned by hand, so that a test (or a
// seed) decides in which order they run.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gateway/shard.h"
#include "gateway/shard_mail.h"

namespace support {

class PureGateway {
  public:
    explicit PureGateway(routing::ShardIndex shards, std::uint64_t seed = 1,
                         std::size_t pending_bytes_max = 64 * 1024 * 1024)
        : post_(shards) {
        settings.info.server_id = "NPURE";
        settings.info.server_name = "pure";
        settings.info.host = "127.0.0.1";
        settings.info.port = 4222;
        settings.info.max_payload = 1024 * 1024;
        for (routing::ShardIndex i = 0; i < shards; ++i) {
            hosts_.push_back(std::make_unique<Host>(*this));
            gateway::ShardOptions options;
            options.index = i;
            options.pending_bytes_max = pending_bytes_max;
            options.hash_seed = seed;
            shards_.push_back(
                std::make_unique<gateway::Shard>(options, settings, post_, *hosts_[i], base::Prng(seed + i)));
        }
    }

    /// A connected client as the other end of the wire sees it.
    struct Remote {
        gateway::Client* client = nullptr;
        routing::ShardIndex shard = 0;
        std::string received;  ///< all that the gateway wrote and nobody took yet
        bool closed = false;   ///< by the gateway
        bool paused = false;   ///< the gateway does not read
        bool reads = true;     ///< false: its socket is full
        std::string unread;    ///< sent while the gateway did not read
    };

    /// Connects; connection k lives on shard (k - 1) mod N.
    Remote& connect() {
        const auto id = ++connections_;
        remotes_.push_back(std::make_unique<Remote>());
        Remote& remote = *remotes_.back();
        remote.shard = static_cast<routing::ShardIndex>((id - 1) % shards_.size());
        remote.client = &shards_[remote.shard]->open(id, "127.0.0.1", now);
        remote.client->socket = &remote;
        return remote;
    }

    /// Gives bytes to the gateway (they wait while it does not read).
    void send(Remote& remote, std::string_view bytes) {
        if (remote.client == nullptr) return;
        if (remote.paused) {
            remote.unread.append(bytes);
            return;
        }
        shards_[remote.shard]->bytes(*remote.client, bytes, now);
    }

    /// The remote end hangs up.
    void hang_up(Remote& remote) {
        if (remote.client == nullptr) return;
        shards_[remote.shard]->closed(*remote.client, now);
        remote.client = nullptr;
    }

    /// One turn of one shard's loop: its mail if it was woken, then the end of the turn.
    void turn(routing::ShardIndex shard) {
        if (awake_.erase(shard) != 0) shards_[shard]->drain_mail(now);
        if (shards_[shard]->next_deadline() <= now) shards_[shard]->tick(now);
        for (auto& remote : remotes_) {
            if (remote->shard != shard || remote->client == nullptr || remote->paused || remote->unread.empty())
                continue;
            const std::string bytes = std::exchange(remote->unread, {});
            shards_[shard]->bytes(*remote->client, bytes, now);
        }
        for (auto& remote : remotes_) {
            if (remote->shard != shard || remote->client == nullptr || !remote->client->writing || !remote->reads)
                continue;
            remote->client->writing = false;
            shards_[shard]->written(*remote->client, copy_output(*remote), now);
        }
        shards_[shard]->end_turn(now);
        for (auto& remote : remotes_) {
            if (remote->shard == shard && remote->client != nullptr && remote->closed) hang_up(*remote);
        }
    }

    /// Turns all shards until nothing moves.
    void settle() {
        for (int quiet = 0; quiet < 3;) {
            const bool before = !awake_.empty();
            for (routing::ShardIndex i = 0; i < shards_.size(); ++i) turn(i);
            quiet = before || !awake_.empty() ? 0 : quiet + 1;
        }
    }

    /// Takes what was received so far.
    static std::string take(Remote& remote) { return std::exchange(remote.received, {}); }

    gateway::Shard& shard(routing::ShardIndex index) { return *shards_[index]; }

    compat::SessionSettings settings;
    base::Instant now{};
    std::vector<std::string> log;  ///< what was said of clients

  private:
    class Host final : public gateway::ShardHost {
      public:
        explicit Host(PureGateway& gateway) : gateway_(gateway) {}
        void pause_reading(gateway::Client& client) override { remote(client).paused = true; }
        void resume_reading(gateway::Client& client) override { remote(client).paused = false; }
        std::size_t flush(gateway::Client& client) override {
            client.writing = !remote(client).reads;
            return client.writing ? 0 : copy_output(remote(client));
        }
        [[nodiscard]] std::size_t unwritten(const gateway::Client& client) const override {
            return client.output.size();
        }
        void close(gateway::Client& client, bool) override { remote(client).closed = true; }
        void log(const gateway::Client& client, gateway::LogLevel level, std::string_view text) override {
            constexpr std::string_view labels[] = {"TRC", "DBG", "INF", "WRN", "ERR", "FTL"};
            gateway_.log.push_back("[" + std::string(labels[static_cast<int>(level)]) + "] " +
                                   gateway::client_log_prefix("remote", client.session, "$G") + std::string(text));
        }
        void wake(routing::ShardIndex shard) override { gateway_.awake_.insert(shard); }

      private:
        static Remote& remote(const gateway::Client& client) { return *static_cast<Remote*>(client.socket); }
        PureGateway& gateway_;
    };

    /// What the socket takes: all.  Returns how much that is.
    static std::size_t copy_output(Remote& remote) {
        const auto& output = remote.client->output;
        for (std::size_t i = 0; i < output.piece_count(); ++i) {
            const auto& piece = output.pieces()[i];
            remote.received.append(piece.chunk->data.get() + piece.begin, piece.end - piece.begin);
        }
        return output.size();
    }

    std::vector<std::unique_ptr<Remote>> remotes_;
    gateway::ShardPost post_;
    std::vector<std::unique_ptr<Host>> hosts_;
    std::vector<std::unique_ptr<gateway::Shard>> shards_;
    std::set<routing::ShardIndex> awake_;
    routing::ConnectionId connections_ = 0;
};

}  // namespace support
