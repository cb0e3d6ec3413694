#include "gateway/io/name_lookup.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <sys/socket.h>

#include "gateway/io/socket.h"
#include "gateway/io/srv_record.h"
#include "routing/base/check.h"

namespace gateway::io {

namespace {

void use_server(struct __res_state& resolver, const std::string& address) {
    std::string_view host;
    std::string_view port;
    BASE_CHECK(split_address(address, host, port));
    sockaddr_in& server = resolver.nsaddr_list[0];
    server = {};
    server.sin_family = AF_INET;
    server.sin_port = htons(static_cast<std::uint16_t>(std::stoi(std::string(port))));
    BASE_CHECK(inet_pton(AF_INET, std::string(host).c_str(), &server.sin_addr) == 1);
    resolver.nscount = 1;
}

std::vector<SrvRecord> ask_for_srv(const NameQuery& query) {
    struct __res_state resolver {};
    if (res_ninit(&resolver) != 0) return {};
    resolver.retrans = srv_try_seconds;
    resolver.retry = srv_tries;
    if (!query.server_for_test.empty()) use_server(resolver, query.server_for_test);
    std::vector<unsigned char> answer(NS_MAXMSG);
    const std::string name = query.service + "." + query.host;
    const int size =
        res_nsearch(&resolver, name.c_str(), ns_c_in, ns_t_srv, answer.data(), static_cast<int>(answer.size()));
    res_nclose(&resolver);
    if (size <= 0) return {};
    const auto used = std::min(static_cast<std::size_t>(size), answer.size());
    std::vector<SrvRecord> records = read_srv_answer({reinterpret_cast<const char*>(answer.data()), used});
    base::Prng prng(query.seed);
    put_in_order(records, prng);
    return records;
}

/// Adds the addresses of `host`.  Returns why there are none.
std::string add_addresses(const std::string& host, std::uint16_t port, std::vector<std::string>& addresses) {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (const int status = getaddrinfo(host.c_str(), nullptr, &hints, &found); status != 0) return gai_strerror(status);
    for (const addrinfo* each = found; each != nullptr && addresses.size() < name_addresses_max; each = each->ai_next) {
        char text[NI_MAXHOST] = {};
        if (getnameinfo(each->ai_addr, each->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST) != 0) continue;
        std::string address = join_address(text, port);
        if (std::find(addresses.begin(), addresses.end(), address) == addresses.end())
            addresses.push_back(std::move(address));
    }
    freeaddrinfo(found);
    return {};
}

}  // namespace

NameAddresses look_up(const NameQuery& query) {
    std::vector<std::string> addresses;
    std::string why;
    // RFC 6761: no name server is asked for localhost.
    if (query.port == 0 && !query.service.empty() && query.host != "localhost") {
        for (const SrvRecord& record : ask_for_srv(query)) {
            const std::string wrong = add_addresses(record.target, record.port, addresses);
            if (!wrong.empty()) why = record.target + ", a server of it: " + wrong;
        }
    }
    if (addresses.empty()) {
        const std::string wrong =
            add_addresses(query.host, query.port != 0 ? query.port : query.default_port, addresses);
        if (why.empty()) why = wrong;
    }
    if (!addresses.empty()) return addresses;
    return base::failure(IoError{.failure = IoFailure::not_found, .text = why.empty() ? "it has no address" : why});
}

struct NameLookup::Shared {
    std::mutex mutex;
    Mailbox* mailbox = nullptr;  // null: given up
    std::optional<NameAddresses> answer;
};

NameLookup::NameLookup(EventLoop& loop, NameQuery query, Done done)
    : done_(std::move(done)), shared_(std::make_shared<Shared>()), mailbox_(loop, [this] { take(); }) {
    shared_->mailbox = &mailbox_;
    const auto tell = [shared = shared_](NameAddresses answer) {
        const std::lock_guard lock(shared->mutex);
        shared->answer.emplace(std::move(answer));
        if (shared->mailbox != nullptr) shared->mailbox->wake();
    };
    try {
        std::thread([tell, query = std::move(query)] { tell(look_up(query)); }).detach();
    } catch (const std::system_error& error) {
        tell(base::failure(IoError{.failure = IoFailure::other, .text = error.what()}));
    }
}

NameLookup::~NameLookup() {
    const std::lock_guard lock(shared_->mutex);
    shared_->mailbox = nullptr;
}

void NameLookup::take() {
    std::optional<NameAddresses> answer;
    {
        const std::lock_guard lock(shared_->mutex);
        if (!shared_->answer) return;
        answer = std::move(shared_->answer);
        shared_->answer.reset();
    }
    const Done call = std::move(done_);
    call(std::move(*answer));  // may destroy this
}

}  // namespace gateway::io
