#include "gateway/io/name_lookup.h"

#include <atomic>
#include <map>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/io/srv_record.h"
#include "tests/unit/gateway_io/io_fixture.h"

namespace gateway::io {

namespace {

void append_16(std::string& out, unsigned value) {
    out += static_cast<char>(value >> 8);
    out += static_cast<char>(value & 0xff);
}

/// "a.b" as DNS has it.
std::string wire_name(const std::string& name) {
    std::string out;
    std::size_t from = 0;
    while (from < name.size()) {
        const std::size_t dot = std::min(name.find('.', from), name.size());
        out += static_cast<char>(dot - from);
        out += name.substr(from, dot - from);
        from = dot + 1;
    }
    return out + '\0';
}

/// An answer to `question` (header and question of the query) with these records.
std::string answer_to(std::string question, const std::vector<SrvRecord>& records) {
    question[2] = static_cast<char>(0x81);  // an answer, recursion desired
    question[3] = static_cast<char>(0x80);
    question[6] = 0;
    question[7] = static_cast<char>(records.size());
    for (int i = 8; i < 12; ++i) question[static_cast<std::size_t>(i)] = 0;
    for (const SrvRecord& record : records) {
        append_16(question, 0xc00c);  // the name of the question
        append_16(question, 33);
        append_16(question, 1);
        append_16(question, 0);
        append_16(question, 60);
        const std::string target = wire_name(record.target);
        append_16(question, static_cast<unsigned>(6 + target.size()));
        append_16(question, record.priority);
        append_16(question, record.weight);
        append_16(question, record.port);
        question += target;
    }
    return question;
}

std::string query_for(const std::string& name) {
    std::string query(12, '\0');
    query[5] = 1;
    query += wire_name(name);
    append_16(query, 33);
    append_16(query, 1);
    return query;
}

/// A name server on loopback that knows one name.
class NameServer {
  public:
    NameServer(std::string name, std::vector<SrvRecord> records)
        : name_(wire_name(name)), records_(std::move(records)) {
        descriptor_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        REQUIRE(bind(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        socklen_t size = sizeof address;
        REQUIRE(getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
        port_ = ntohs(address.sin_port);
        thread_ = std::thread([this] { serve(); });
    }
    ~NameServer() {
        over_ = true;
        thread_.join();
        close(descriptor_);
    }
    std::string address() const { return join_address("127.0.0.1", port_); }

  private:
    void serve() {
        while (!over_) {
            pollfd waiting{descriptor_, POLLIN, 0};
            if (poll(&waiting, 1, 20) <= 0) continue;
            char bytes[1500];
            sockaddr_in from{};
            socklen_t size = sizeof from;
            const ssize_t count =
                recvfrom(descriptor_, bytes, sizeof bytes, 0, reinterpret_cast<sockaddr*>(&from), &size);
            if (count < 12) continue;
            std::string query(bytes, static_cast<std::size_t>(count));
            const bool known = query.compare(12, name_.size(), name_) == 0;
            query.resize(std::min(query.size(), query.find('\0', 12) + 5));
            std::string answer = answer_to(query, known ? records_ : std::vector<SrvRecord>{});
            if (!known) answer[3] = static_cast<char>(0x83);  // no such name
            (void)sendto(descriptor_, answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
        }
    }

    std::string name_;
    std::vector<SrvRecord> records_;
    int descriptor_ = -1;
    std::uint16_t port_ = 0;
    std::atomic<bool> over_{false};
    std::thread thread_;
};

/// Runs one look-up to its end.
NameAddresses find(NameQuery query) {
    EventLoop loop;
    std::optional<NameAddresses> found;
    {
        const NameLookup lookup(loop, std::move(query), [&](NameAddresses answer) { found = std::move(answer); });
        CHECK_FALSE(found);
        run_until(loop, [&] { return found.has_value(); });
    }
    return std::move(*found);
}

bool has(const std::vector<std::string>& all, const std::string& one) {
    return std::find(all.begin(), all.end(), one) != all.end();
}

}  // namespace

TEST_CASE("SRV records are read from an answer, and nothing else is", "[gateway_io][srv]") {
    const std::string query = query_for("_treegate._tcp.example");
    const std::vector<SrvRecord> records = {{10, 5, 7522, "a.example"}, {20, 0, 1, "b.example"}};
    CHECK(read_srv_answer(answer_to(query, records)) == records);
    CHECK(read_srv_answer(answer_to(query, {{0, 0, 0, "a.example"}, {0, 0, 7, ""}})).empty());
    CHECK(read_srv_answer(query).empty());
    CHECK(read_srv_answer({}).empty());
    CHECK(read_srv_answer("garbage that is long enough for a header").empty());
    // Cut anywhere it is no error of ours.
    const std::string whole = answer_to(query, records);
    for (std::size_t size = 0; size < whole.size(); ++size) CHECK(read_srv_answer({whole.data(), size}).size() <= 1);
    // Spoiled anywhere it ends.
    for (std::size_t at = 0; at < whole.size(); ++at) {
        std::string spoiled = whole;
        spoiled[at] = static_cast<char>(0xff);
        (void)read_srv_answer(spoiled);
    }
    std::vector<SrvRecord> many(srv_records_max + 3, SrvRecord{1, 1, 1, "a.example"});
    CHECK(read_srv_answer(answer_to(query, many)).size() == srv_records_max);
}

TEST_CASE("servers are tried by priority, and among equals by weight", "[gateway_io][srv]") {
    base::Prng prng(1);
    std::map<std::string, int> first;
    constexpr int rounds = 4000;
    for (int i = 0; i < rounds; ++i) {
        std::vector<SrvRecord> records = {
            {20, 100, 1, "late"}, {10, 30, 1, "heavy"}, {10, 10, 1, "light"}, {10, 0, 1, "spare"}};
        put_in_order(records, prng);
        REQUIRE(records.size() == 4);
        CHECK(records.back().target == "late");
        ++first[records.front().target];
    }
    CHECK(first["heavy"] > rounds * 65 / 100);
    CHECK(first["light"] > rounds * 20 / 100);
    CHECK(first["light"] < rounds * 30 / 100);
    CHECK(first["spare"] > 0);
    CHECK(first["spare"] < rounds * 6 / 100);
    std::vector<SrvRecord> none;
    put_in_order(none, prng);
    CHECK(none.empty());
}

TEST_CASE("a name without a port leads to the servers of its SRV records", "[gateway_io][srv]") {
    const NameServer server("_treegate._tcp.tree.example",
                            {{10, 0, 4001, "localhost"}, {20, 0, 4002, "localhost"}, {30, 0, 4003, "nobody.invalid"}});
    const auto found = find({.host = "tree.example",
                             .service = "_treegate._tcp",
                             .default_port = 7522,
                             .server_for_test = server.address()});
    REQUIRE(found.ok());
    CHECK(has(found.value(), "127.0.0.1:4001"));
    CHECK(has(found.value(), "127.0.0.1:4002"));
    CHECK_FALSE(has(found.value(), "127.0.0.1:7522"));
    CHECK(found.value().front().ends_with(":4001"));
}

TEST_CASE("a name without SRV records leads to its addresses, with the default port or its own", "[gateway_io][srv]") {
    const NameServer server("_treegate._tcp.else.example", {{1, 0, 4001, "localhost"}});
    // An address will do as a name: it is asked for like any other.
    const auto found = find(
        {.host = "127.0.0.1", .service = "_treegate._tcp", .default_port = 7522, .server_for_test = server.address()});
    REQUIRE(found.ok());
    CHECK(has(found.value(), "127.0.0.1:7522"));
    const auto with_port = find({.host = "localhost", .port = 9, .service = "_treegate._tcp", .default_port = 7522});
    REQUIRE(with_port.ok());
    CHECK(has(with_port.value(), "127.0.0.1:9"));
    CHECK(find({.host = "127.0.0.1", .default_port = 5}).value() == std::vector<std::string>{"127.0.0.1:5"});
}

TEST_CASE("a name that leads nowhere is told why", "[gateway_io][srv]") {
    const NameServer server("_treegate._tcp.tree.example", {{10, 0, 4001, "nobody.invalid"}});
    const auto found = find({.host = "tree.example.invalid",
                             .service = "_treegate._tcp",
                             .default_port = 7522,
                             .server_for_test = server.address()});
    REQUIRE_FALSE(found.ok());
    CHECK(found.error().failure == IoFailure::not_found);
    CHECK_FALSE(found.error().text.empty());
}

TEST_CASE("a look-up that is given up says nothing more, and nobody waits for it", "[gateway_io][srv]") {
    EventLoop loop;
    int calls = 0;
    for (int i = 0; i < 20; ++i) {
        const NameLookup lookup(loop, {.host = "localhost", .port = 1}, [&](const NameAddresses&) { ++calls; });
    }
    loop.run();
    CHECK(calls == 0);
}

}  // namespace gateway::io
