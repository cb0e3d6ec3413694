// N talks to N-1: what a gateway of an earlier protocol version wrote is kept in recordings/, and today's code must get
// along with it.  A recording is text, one event a line:
//
//     <ms> accept <lane>          the recorded gateway dialled us
//     <ms> connect <lane>         we dialled it: our oldest dial that is not answered
//     <ms> < <lane> <hex>         what it wrote
//
// Both ends' keys, nonces and clocks are fixed, so that its proofs fit ours whatever else has changed.  A new protocol
// version adds files, made by `TREE_RECORD=<folder> peer_test "a session is recorded"`; no file is ever changed.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "routing/base/hash.h"
#include "routing/gateway_registry.h"
#include "routing/peer/path_engine.h"
#include "routing/peer/peer_codec.h"
#include "routing/peer/tree.h"
#include "routing/target_sets.h"

using namespace routing;
using namespace routing::peer;
using std::chrono::milliseconds;

namespace {

constexpr std::uint8_t our_number = 1;
constexpr std::uint8_t their_number = 2;
constexpr base::WallMillis wall_start = 1'700'000'000'000;

GatewayId id_of(std::uint8_t number) {
    GatewayId id;
    id.bytes.fill(number);
    return id;
}

/// Draws the same bytes each time, so that a recorded gateway's proofs and tokens fit every replay.
class FixedSigner final : public Signer {
  public:
    explicit FixedSigner(std::uint8_t number) : number_(number) {}
    base::Bytes sign(base::ByteView text) override { return signature(id_of(number_), text); }
    bool verify(const GatewayId& id, base::ByteView text, base::ByteView given) override {
        return given == signature(id, text);
    }
    base::Bytes mac(base::ByteView) override { return {}; }
    bool verify_mac(base::ByteView, base::ByteView given) override { return given.empty(); }
    base::Bytes random(std::size_t size) override { return base::Bytes(size, static_cast<char>(0x50 + number_)); }

  private:
    static base::Bytes signature(const GatewayId& id, base::ByteView text) {
        base::Bytes out;
        base::append_little_endian(out, base::hash_bytes(text, base::hash_bytes(id.view())));
        return out;
    }
    std::uint8_t number_;
};

/// A gateway whose connections the test moves by hand.
class Gateway final : public TreeHost, public TreeEvents {
  public:
    Gateway(std::uint8_t number, base::WallMillis born, std::vector<std::string> join)
        : registry(id_of(number)), signer(number) {
        TreeOptions options;
        options.id = id_of(number);
        options.name = "g" + std::to_string(number);
        options.advertise = "g" + std::to_string(number) + ":7522";
        options.join = std::move(join);
        options.boot = number;
        options.prime = number == our_number ? 3 : 5;
        options.prime_claimed_at = wall_start;
        tree = std::make_unique<Tree>(options, registry, sets, *this, *this, signer, now, born);
    }

    TransportId dial(std::string_view) override {
        dials.push_back(++transports);
        return transports;
    }
    void close_transport(TransportId transport, base::Bytes last_words) override {
        closed.insert(transport);
        written[transport] += last_words;
    }
    void pause_reading(TransportId) override {}
    void resume_reading(TransportId) override {}
    void output_waiting(TransportId transport) override { waiting.push_back(transport); }

    void remote_interest(GatewayIndex, std::string_view, std::string_view filter, std::string_view queue,
                         std::uint32_t weight) override {
        interest[std::string(filter) + " " + std::string(queue)] = weight;
    }
    void durable_filters_changed() override {}
    void reachable(GatewayIndex, bool is, std::uint64_t) override { others += is ? 1 : -1; }
    void syncing_changed(bool) override {}
    void deliver(const VolatileDelivery& delivery) override {
        received.push_back(std::string(delivery.message.subject) + " " + std::string(delivery.message.payload()));
    }
    void deliver_durable(const DurableDelivery& delivery) override {
        received.push_back("durable " + std::string(delivery.message.subject));
    }
    void gateway_message(GatewayIndex, std::uint8_t kind, base::ByteView body) override {
        received.push_back(std::to_string(kind) + " " + std::string(body));
    }
    void pause_publishers(bool) override {}
    void identity_changed(std::uint64_t, Prime, base::WallMillis) override {}
    void log_changed(GatewayIndex) override {}
    void log(LogLevel, std::string_view text) override { lines += std::string(text) + "\n"; }
    void members_known(const std::vector<KnownMember>&) override {}
    void advisory(std::string_view, std::string_view) override {}

    /// Takes what the tree wants to write.
    void collect() {
        for (const TransportId transport : std::exchange(waiting, {})) {
            base::Bytes out;
            tree->take_output(transport, out);
            if (out.empty()) continue;
            written[transport] += out;
            tree->on_written(transport, out.size(), now);
        }
    }
    /// Moves time on, deadline by deadline.
    void run_to(base::Instant when) {
        for (;;) {
            const base::Instant next = std::max(now, tree->next_deadline());
            if (next > when) break;
            now = next;
            tree->tick(now);
            collect();
            if (next == when) break;
        }
        now = std::max(now, when);
    }
    /// Sends one volatile and one durable message and one for the gateway alone to the other.
    void say_everything() {
        const auto other =
            registry.find(id_of(registry.id(gateway_self) == id_of(our_number) ? their_number : our_number));
        REQUIRE(other);
        TargetSet targets(1);
        targets[0].gateway = *other;
        targets[0].plain = true;
        MessageView message;
        message.subject = "orders.new";
        message.body = "hello";
        CHECK(tree->send_volatile(sets.intern(targets), "$G", message, 0, now).targets_missed == 0);
        targets[0].groups = {"q"};
        CHECK(tree->send_volatile_once(targets, "$G", message, 0, now).targets_missed == 0);
        const PrevPosition prev{7, 0};
        RecordView record;
        record.message = message;
        record.run = 7;
        record.position = 1;
        record.prevs = &prev;
        record.prev_count = 1;
        CHECK(tree->send_durable(sets.intern(targets), "$G", record, now).targets_missed == 0);
        CHECK(tree->send_to_gateway(*other, 9, "to you", now));
        collect();
    }

    GatewayRegistry registry;
    TargetSets sets;
    FixedSigner signer;
    base::Instant now = base::Instant{} + std::chrono::seconds(100);
    std::deque<TransportId> dials;
    std::vector<TransportId> waiting;
    std::map<TransportId, base::Bytes> written;
    std::set<TransportId> closed;
    std::map<std::string, std::uint32_t> interest;
    std::vector<std::string> received;
    std::string lines;
    int others = 0;
    TransportId transports = 0;
    std::unique_ptr<Tree> tree;  // last: its destructor may call back
};

/// What both ends do during a recording and its replay: (ms, whose turn, what).
struct Script {
    static constexpr int end_ms = 12'000;
    /// After a second both want something, after two they say everything, after ten the recorded one says goodbye.
    static void act(Gateway& gateway, int ms, bool recorded) {
        if (ms == 1000) {
            gateway.tree->set_interest("$G", recorded ? "theirs.*" : "ours.*", "", 1, gateway.now);
            gateway.tree->set_interest("$G", "work", "q", 3, gateway.now);
            gateway.tree->set_durable_filters({{"orders.>", 0}});
        }
        if (ms == 2000) gateway.say_everything();
        if (ms == 10'000 && recorded) gateway.tree->close_all(gateway.now);
        gateway.collect();
    }
};

const char* const lane_words[] = {"control", "volatile", "durable"};

/// Runs both ends and writes down what the one wrote that is to be recorded.
void record(const std::string& path, bool they_dial, bool they_are_senior) {
    Gateway ours(our_number, wall_start + (they_are_senior ? 1 : 0),
                 they_dial ? std::vector<std::string>{} : std::vector<std::string>{"g2:7522"});
    Gateway theirs(their_number, wall_start + (they_are_senior ? 0 : 1),
                   they_dial ? std::vector<std::string>{"g1:7522"} : std::vector<std::string>{});
    std::ofstream out(path);
    out << "# protocol version " << protocol_version << (they_dial ? ", it dials" : ", it is dialled")
        << (they_are_senior ? ", it is the parent\n" : ", it is a child\n");
    struct Pipe {
        TransportId ours, theirs;
    };
    std::vector<Pipe> pipes;
    Gateway& dialler = they_dial ? theirs : ours;
    Gateway& listener = they_dial ? ours : theirs;
    for (int ms = 0; ms <= Script::end_ms; ms += 10) {
        const base::Instant when = base::Instant{} + std::chrono::seconds(100) + milliseconds(ms);
        if (ms == 0) {
            ours.tree->start(ours.now);
            theirs.tree->start(theirs.now);
        }
        for (Gateway* gateway : {&ours, &theirs}) gateway->run_to(when);
        Script::act(ours, ms, false);
        Script::act(theirs, ms, true);
        for (bool busy = true; busy;) {
            busy = false;
            while (!dialler.dials.empty() && pipes.size() < 3) {
                const TransportId near = dialler.dials.front();
                dialler.dials.pop_front();
                const TransportId far = ++listener.transports;
                pipes.push_back(they_dial ? Pipe{far, near} : Pipe{near, far});
                out << ms << (they_dial ? " accept " : " connect ") << lane_words[pipes.size() - 1] << "\n";
                listener.tree->on_accepted(far, "dialler", when);
                dialler.tree->on_dialed(near, true, "listener", when);
                dialler.collect();
            }
            for (std::size_t i = 0; i < pipes.size(); ++i) {
                if (const base::Bytes bytes = std::exchange(theirs.written[pipes[i].theirs], {}); !bytes.empty()) {
                    out << ms << " < " << lane_words[i] << " " << base::to_hex(bytes) << "\n";
                    ours.tree->on_bytes(pipes[i].ours, bytes, when);
                    ours.collect();
                    busy = true;
                }
                if (const base::Bytes bytes = std::exchange(ours.written[pipes[i].ours], {}); !bytes.empty()) {
                    theirs.tree->on_bytes(pipes[i].theirs, bytes, when);
                    theirs.collect();
                    busy = true;
                }
            }
        }
    }
}

base::Bytes from_hex(const std::string& text) {
    base::Bytes bytes;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2)
        bytes.push_back(static_cast<char>(std::stoul(text.substr(i, 2), nullptr, 16)));
    return bytes;
}

/// Frames that we wrote must be of kinds that version 1 knows, where it awaits them.
void check_for_version_1(base::ByteView bytes, std::size_t lane) {
    const std::set<int> known[] = {
        {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a},
        {0x05, 0x0a, 0x10, 0x11, 0x20, 0x21, 0x22, 0x23, 0x24, 0x40, 0x41, 0x42, 0x43},
        {0x05, 0x0a, 0x10, 0x11, 0x40, 0x41, 0x42, 0x44},
    };
    while (!bytes.empty()) {
        FrameHeader header;
        REQUIRE(base::read_little_endian(bytes, header.length));
        REQUIRE(base::read_little_endian(bytes, header.kind));
        REQUIRE(base::read_little_endian(bytes, header.flags));
        REQUIRE(base::read_little_endian(bytes, header.count));
        CHECK(known[lane].contains(header.kind));
        CHECK(header.flags <= repair_flag);
        REQUIRE(bytes.size() >= header.length);
        bytes.remove_prefix(header.length);
    }
}

/// Plays a recording to today's code.
void replay(const std::string& name, bool they_dial, bool they_are_senior) {
    CAPTURE(name);
    std::ifstream file(std::string(PEER_RECORDINGS) + "/" + name);
    REQUIRE(file);
    Gateway ours(our_number, wall_start + (they_are_senior ? 1 : 0),
                 they_dial ? std::vector<std::string>{} : std::vector<std::string>{"g2:7522"});
    ours.tree->start(ours.now);
    ours.collect();
    std::map<std::string, TransportId> lanes_by_word;
    int acted = 0;
    std::string during;
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("#")) continue;
        std::istringstream words(line);
        int ms = 0;
        std::string verb, lane, hex;
        words >> ms >> verb >> lane >> hex;
        const base::Instant start = base::Instant{} + std::chrono::seconds(100);
        for (const int due : {1000, 2000}) {
            if (acted >= due || ms < due) continue;
            ours.run_to(start + milliseconds(due));
            Script::act(ours, due, false);
            acted = due;
        }
        ours.run_to(start + milliseconds(ms));
        if (verb == "accept") {
            lanes_by_word[lane] = ++ours.transports;
            ours.tree->on_accepted(ours.transports, "recorded", ours.now);
        } else if (verb == "connect") {
            INFO(line);
            REQUIRE_FALSE(ours.dials.empty());
            lanes_by_word[lane] = ours.dials.front();
            ours.dials.pop_front();
            ours.tree->on_dialed(lanes_by_word[lane], true, "recorded", ours.now);
        } else {
            REQUIRE(verb == "<");
            ours.tree->on_bytes(lanes_by_word.at(lane), from_hex(hex), ours.now);
        }
        ours.collect();
        if (ms == 9000) {
            const TreeStatus status = ours.tree->status();
            REQUIRE(status.links.size() == 1);
            CHECK(status.links[0].role == (they_are_senior ? "parent" : "child"));
            CHECK(status.links[0].synced);
            CHECK(status.members.size() == 2);
        }
    }
    INFO(ours.lines);
    CHECK(ours.interest == std::map<std::string, std::uint32_t>{{"theirs.* ", 1}, {"work q", 3}});
    // The lanes are read one after the other.
    std::sort(ours.received.begin(), ours.received.end());
    CHECK(ours.received ==
          std::vector<std::string>{"9 to you", "durable orders.new", "orders.new hello", "orders.new hello"});
    CHECK(ours.lines.find("g2 ends") != std::string::npos);
    CHECK(ours.tree->counters().protocol_errors == 0);
    CHECK(ours.tree->counters().links_established == 1);
    for (std::size_t lane = 0; lane < lanes; ++lane)
        check_for_version_1(ours.written[lanes_by_word.at(lane_words[lane])], lane);
}

}  // namespace

TEST_CASE("a gateway of protocol version 1 that dials and becomes a child is understood", "[peer][recorded]") {
    replay("version_1_child_dials.session", true, false);
}

TEST_CASE("a gateway of protocol version 1 that is dialled and becomes the parent is understood", "[peer][recorded]") {
    replay("version_1_parent_is_dialled.session", false, true);
}

TEST_CASE("a session is recorded", "[.record]") {
    const char* folder = std::getenv("TREE_RECORD");
    REQUIRE(folder);
    const std::string version = "/version_" + std::to_string(protocol_version);
    record(folder + version + "_child_dials.session", true, false);
    record(folder + version + "_parent_is_dialled.session", false, true);
}
