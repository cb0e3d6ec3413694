#include "gateway/tree_transports.h"

#include <charconv>
#include <system_error>
#include <utility>

#include "gateway/config.h"
#include "gateway/identity.h"
#include "gateway/io/socket.h"
#include "routing/base/check.h"

namespace gateway {

using routing::peer::TransportId;

/// One connection to another gateway.  `parted`: the Tree has closed it and hears no more of it; it lives until the
/// socket is gone.
class TreeTransports::Transport final : public io::TcpHandler {
  public:
    Transport(TreeTransports& owner, TransportId id) : owner_(owner), id_(id) {}

    void begin_dial(std::string_view address) {
        dial_ = io::TcpDial(owner_.loop_, address, [this](base::Result<io::Socket, io::IoError> outcome) {
            owner_.dialed(id_, std::move(outcome));
        });
    }
    void attach(io::Socket socket) {
        dial_ = io::TcpDial();
        connection_ = io::TcpConnection(owner_.loop_, std::move(socket), *this);
    }

    /// Writes what the Tree has for it, unless a write is under way (then when that has ended).
    void flush() {
        if (!connection_.is_open() || connection_.is_writing() || parted_) return;
        writing_.clear();
        owner_.tree_->take_output(id_, writing_);
        write();
    }

    /// The Tree's last words, after what is on its way already.
    void part(base::Bytes last_words) {
        parted_ = true;
        last_words_ = std::move(last_words);
        if (!connection_.is_open() || connection_.is_writing()) return;
        finish();
    }

    [[nodiscard]] bool has_connection() const { return connection_.is_open(); }
    void pause() { connection_.pause_reading(); }
    void resume() { connection_.resume_reading(); }

  private:
    void write() {
        if (writing_.empty()) return;
        const io::IoSlice all{writing_.data(), writing_.size()};
        written_ = connection_.try_write(&all, 1);
        if (written_ < writing_.size()) {
            const io::IoSlice rest{writing_.data() + written_, writing_.size() - written_};
            connection_.write_rest(&rest, 1);
        }
        if (written_ > 0 && !parted_) owner_.tree_->on_written(id_, written_, owner_.loop_.now());
    }

    void finish() {
        writing_ = std::move(last_words_);
        last_words_.clear();
        write();
        connection_.close(true);
    }

    void on_bytes(base::ByteView bytes) override {
        if (!parted_) owner_.tree_->on_bytes(id_, bytes, owner_.loop_.now());
    }
    void on_written() override {
        if (parted_) {
            finish();
            return;
        }
        owner_.tree_->on_written(id_, writing_.size() - written_, owner_.loop_.now());
        owner_.waiting_.push_back(id_);
    }
    void on_closed(io::CloseReason reason) override {
        const bool tell = !parted_;
        parted_ = true;
        if (tell) owner_.tree_->on_closed(id_, owner_.loop_.now());
        owner_.gone(id_, reason);
    }

    TreeTransports& owner_;
    TransportId id_;
    bool parted_ = false;
    base::Bytes writing_;      // what the socket is being given
    std::size_t written_ = 0;  // of it, at once
    base::Bytes last_words_;
    io::TcpDial dial_;
    io::TcpConnection connection_;
};

TreeTransports::TreeTransports(io::EventLoop& loop) : loop_(loop) {}
TreeTransports::~TreeTransports() = default;

void TreeTransports::accepted(io::Socket socket) {
    const TransportId id = ++last_;
    const std::string remote = socket.remote_address();
    auto transport = std::make_unique<Transport>(*this, id);
    transport->attach(std::move(socket));
    transports_.emplace(id, std::move(transport));
    tree_->on_accepted(id, remote, loop_.now());
}

TransportId TreeTransports::dial(std::string_view address) {
    const TransportId id = ++last_;
    auto transport = std::make_unique<Transport>(*this, id);
    transport->begin_dial(address);
    transports_.emplace(id, std::move(transport));
    return id;
}

void TreeTransports::dialed(TransportId id, base::Result<io::Socket, io::IoError> outcome) {
    const auto found = transports_.find(id);
    if (found == transports_.end()) return;
    if (!outcome.ok()) {
        const std::string why = outcome.error().text;
        transports_.erase(found);
        tree_->on_dialed(id, false, why, loop_.now());
        return;
    }
    const std::string remote = outcome.value().remote_address();
    found->second->attach(std::move(outcome).value());
    tree_->on_dialed(id, true, remote, loop_.now());
}

void TreeTransports::resolve(std::string_view name) {
    io::NameQuery query;
    std::string_view host;
    std::string_view port;
    BASE_CHECK(io::split_address(name, host, port));  // the config has been checked
    query.host = host;
    if (!port.empty()) {
        const auto [end, wrong] = std::from_chars(port.data(), port.data() + port.size(), query.port);
        BASE_CHECK(wrong == std::errc() && end == port.data() + port.size());
    }
    query.service = tree_service;
    query.default_port = tree_port_default;
    query.seed = random_number();
    auto lookup = std::make_unique<io::NameLookup>(
        loop_, std::move(query), [this, wanted = std::string(name)](const io::NameAddresses& found) {
            const auto ended = lookups_.extract(wanted);
            if (found.ok()) {
                tree_->on_resolved(wanted, found.value(), {}, loop_.now());
            } else {
                tree_->on_resolved(wanted, {}, found.error().text, loop_.now());
            }
        });
    lookups_.insert_or_assign(std::string(name), std::move(lookup));
}

void TreeTransports::close_transport(TransportId id, base::Bytes last_words) {
    const auto found = transports_.find(id);
    if (found == transports_.end()) return;
    if (!found->second->has_connection()) {
        transports_.erase(found);  // a dial that is given up
        return;
    }
    found->second->part(std::move(last_words));
}

void TreeTransports::pause_reading(TransportId id) {
    const auto found = transports_.find(id);
    if (found != transports_.end()) found->second->pause();
}

void TreeTransports::resume_reading(TransportId id) {
    const auto found = transports_.find(id);
    if (found != transports_.end()) found->second->resume();
}

void TreeTransports::flush() {
    const auto waiting = std::exchange(waiting_, {});
    for (const TransportId id : waiting) {
        const auto found = transports_.find(id);
        if (found != transports_.end()) found->second->flush();
    }
}

void TreeTransports::gone(TransportId id, io::CloseReason) {
    transports_.erase(id);
}

}  // namespace gateway
