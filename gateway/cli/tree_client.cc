#include "gateway/cli/tree_client.h"

#include <algorithm>
#include <utility>

#include <nats/nats.h>

#include "gateway/nkey.h"
#include "routing/base/bytes.h"

namespace gateway::cli {

namespace {

struct OptionsDeleter {
    void operator()(natsOptions* options) const { natsOptions_Destroy(options); }
};
struct ConnectionDeleter {
    void operator()(natsConnection* connection) const { natsConnection_Destroy(connection); }
};
struct MessageDeleter {
    void operator()(natsMsg* message) const { natsMsg_Destroy(message); }
};
struct SubscriptionDeleter {
    void operator()(natsSubscription* subscription) const { natsSubscription_Destroy(subscription); }
};
struct InboxDeleter {
    void operator()(natsInbox* inbox) const { natsInbox_Destroy(inbox); }
};

/// Source: a server id is an nkey of 56 characters; room for the foreign ones of other servers.
constexpr std::size_t server_id_bytes_max = 256;
/// How long all gateways are waited for; who is slower is left out.  Own choice: what a person bears to wait.
constexpr std::chrono::milliseconds all_time_max{2000};

}  // namespace

struct TreeClient::State {
    std::unique_ptr<natsConnection, ConnectionDeleter> connection;
    std::string url;
    std::string target;  // what stands for the gateway in a request's subject
    std::chrono::milliseconds timeout{};
};

TreeClient::TreeClient(std::unique_ptr<State> state) : state_(std::move(state)) {}
TreeClient::~TreeClient() = default;
TreeClient::TreeClient(TreeClient&&) noexcept = default;
TreeClient& TreeClient::operator=(TreeClient&&) noexcept = default;

base::Result<TreeClient, std::string> TreeClient::connect(const std::string& url, std::chrono::milliseconds timeout) {
    auto state = std::make_unique<State>();
    state->url = url.find("://") == std::string::npos ? "nats://" + url : url;
    state->timeout = timeout;

    natsOptions* raw_options = nullptr;
    natsStatus status = natsOptions_Create(&raw_options);
    const std::unique_ptr<natsOptions, OptionsDeleter> options(raw_options);
    if (status == NATS_OK) status = natsOptions_SetURL(raw_options, state->url.c_str());
    if (status == NATS_OK) status = natsOptions_SetName(raw_options, "treegate cli");
    if (status == NATS_OK) status = natsOptions_SetTimeout(raw_options, timeout.count());
    if (status == NATS_OK) status = natsOptions_SetAllowReconnect(raw_options, false);
    natsConnection* connection = nullptr;
    if (status == NATS_OK) status = natsConnection_Connect(&connection, raw_options);
    state->connection.reset(connection);
    if (status != NATS_OK) {
        return base::failure("cannot reach a gateway at " + state->url + ": " + natsStatus_GetText(status) +
                             " (another address: -s nats://host:port)");
    }
    char id[server_id_bytes_max] = {};
    status = natsConnection_GetConnectedServerId(connection, id, sizeof id);
    const auto key = status == NATS_OK ? decode_server_key(id) : std::nullopt;
    if (!key) return base::failure("the server at " + state->url + " is not a treegate (its id is no server key)");
    state->target = base::to_hex({reinterpret_cast<const char*>(key->data()), key->size()});
    return TreeClient(std::move(state));
}

base::Result<std::string, std::string> TreeClient::ask(const std::string& verb, const std::string& body) {
    const std::string subject = "$TREE.REQ." + state_->target + "." + verb;
    natsMsg* raw_answer = nullptr;
    const natsStatus status =
        natsConnection_Request(&raw_answer, state_->connection.get(), subject.c_str(), body.data(),
                               static_cast<int>(body.size()), state_->timeout.count());
    const std::unique_ptr<natsMsg, MessageDeleter> answer(raw_answer);
    if (status == NATS_NO_RESPONDERS) {
        return base::failure("the server at " + state_->url +
                             " has no tree and no durable subjects (no --tree-listen, --join or --durable), or is a "
                             "stock nats-server: there is nothing to show");
    }
    if (status == NATS_TIMEOUT) {
        return base::failure("the gateway at " + state_->url + " did not answer within " +
                             std::to_string(state_->timeout.count()) + " ms (--timeout)");
    }
    if (status != NATS_OK) {
        return base::failure("asking the gateway at " + state_->url + " failed: " + natsStatus_GetText(status));
    }
    return std::string(natsMsg_GetData(raw_answer), static_cast<std::size_t>(natsMsg_GetDataLength(raw_answer)));
}

std::vector<std::string> TreeClient::ask_all(const std::string& verb, std::size_t count) {
    std::vector<std::string> answers;
    natsInbox* raw_inbox = nullptr;
    if (natsInbox_Create(&raw_inbox) != NATS_OK) return answers;
    const std::unique_ptr<natsInbox, InboxDeleter> inbox(raw_inbox);
    natsSubscription* raw_subscription = nullptr;
    if (natsConnection_SubscribeSync(&raw_subscription, state_->connection.get(), raw_inbox) != NATS_OK) return answers;
    const std::unique_ptr<natsSubscription, SubscriptionDeleter> subscription(raw_subscription);
    const std::string subject = "$TREE.PING." + verb;
    if (natsConnection_PublishRequest(state_->connection.get(), subject.c_str(), raw_inbox, "", 0) != NATS_OK)
        return answers;
    const auto end = std::chrono::steady_clock::now() + std::min(state_->timeout, all_time_max);
    while (answers.size() < count) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
        natsMsg* raw_answer = nullptr;
        if (left <= 0 || natsSubscription_NextMsg(&raw_answer, raw_subscription, left) != NATS_OK) break;
        const std::unique_ptr<natsMsg, MessageDeleter> answer(raw_answer);
        if (natsMsg_GetDataLength(raw_answer) == 0) break;  // 503
        answers.emplace_back(natsMsg_GetData(raw_answer), static_cast<std::size_t>(natsMsg_GetDataLength(raw_answer)));
    }
    return answers;
}

}  // namespace gateway::cli
