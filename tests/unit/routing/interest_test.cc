#include "routing/interest.h"

#include <catch2/catch.hpp>

#include "routing/base/prng.h"

using namespace routing;

namespace {

GatewayId id_of(std::uint8_t number) {
    GatewayId id;
    id.bytes.fill(number);
    return id;
}

const GatewayLog::OnChange ignore = [](base::ByteView, base::ByteView, base::ByteView) {};

/// Brings `copy` to where `owner` stands, as a neighbour would.
void catch_up(GatewayLog& copy, const GatewayLog& owner, const GatewayLog::OnChange& on_change = ignore) {
    std::vector<LogUpdate> updates;
    owner.diff(copy.version(), false, updates);
    for (const LogUpdate& update : updates) copy.apply(update, on_change);
}

}  // namespace

TEST_CASE("keys and values of a log's entries are read as they were written", "[routing][interest]") {
    const base::Bytes key = interest_key("$G", "orders.>", "workers");
    const auto entry = read_interest_key(key);
    REQUIRE(entry);
    CHECK(entry->account == "$G");
    CHECK(entry->filter == "orders.>");
    CHECK(entry->queue == "workers");
    CHECK(read_durable_key(durable_key("a.>")) == "a.>");
    CHECK(read_link_key(link_key(id_of(3))) == id_of(3));
    CHECK(read_number_value(number_value(UINT64_MAX)) == UINT64_MAX);
    CHECK(read_prime_value(prime_value({31, 1'700'000'000'000})) == PrimeEntry{31, 1'700'000'000'000});

    CHECK_FALSE(read_interest_key(base::ByteView{key}.substr(0, 5)));
    CHECK_FALSE(read_interest_key(durable_key("a")));
    CHECK_FALSE(read_durable_key("D"));
    CHECK_FALSE(read_link_key("Lshort"));
    CHECK_FALSE(read_number_value(""));
    CHECK_FALSE(read_number_value("\x01\x01"));
    CHECK_FALSE(read_prime_value("\x01"));
    CHECK_FALSE(key_kind(""));
}

TEST_CASE("a copy follows its log through any history, by deltas and by full updates", "[routing][interest]") {
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        CAPTURE(seed);
        base::Prng prng(seed);
        GatewayLog owner(id_of(1));
        owner.start(1, 11);
        GatewayLog near(id_of(1)), far(id_of(1));
        std::map<base::Bytes, base::Bytes> told;  // what `far` was told, replayed
        const GatewayLog::OnChange replay = [&](base::ByteView key, base::ByteView before, base::ByteView after) {
            const auto found = told.find(base::Bytes(key));
            REQUIRE(base::Bytes(before) == (found == told.end() ? base::Bytes() : found->second));
            REQUIRE(before != after);
            if (after.empty()) {
                told.erase(base::Bytes(key));
            } else {
                told[base::Bytes(key)] = after;
            }
        };
        const std::size_t steps = prng.chance(1, 10) ? 6000 : 200;
        for (std::size_t step = 0; step < steps; ++step) {
            const base::Bytes key = interest_key("$G", "f" + std::to_string(prng.below(50)), "");
            owner.set(key, prng.chance(1, 3) ? base::Bytes() : number_value(1 + prng.below(3)));
            if (prng.chance(1, 500)) owner.start(owner.version().incarnation + 1, prng.next());
            if (prng.chance(1, 20)) catch_up(near, owner);
            if (prng.chance(1, 100)) catch_up(far, near, replay);
        }
        catch_up(near, owner);
        catch_up(far, near, replay);
        REQUIRE(far.version() == owner.version());
        REQUIRE(far.entries() == owner.entries());
        REQUIRE(far.digest() == owner.digest());
        REQUIRE(far.bytes() == owner.bytes());
        REQUIRE(told == owner.entries());
        std::vector<LogUpdate> none;
        owner.diff(far.version(), false, none);
        REQUIRE(none.empty());
    }
}

TEST_CASE("a digest does not depend on the order of changes", "[routing][interest]") {
    GatewayLog a(id_of(1)), b(id_of(1));
    a.set(durable_key("x"), number_value(0));
    a.set(durable_key("y"), number_value(1));
    b.set(durable_key("y"), number_value(3));
    b.set(durable_key("z"), number_value(3));
    b.set(durable_key("x"), number_value(0));
    b.set(durable_key("z"), {});
    CHECK(a.digest() != b.digest());
    b.set(durable_key("y"), number_value(1));
    CHECK(a.digest() == b.digest());
    CHECK(GatewayLog(id_of(1)).digest() == 0);
}

TEST_CASE("old, repeated and missing updates are told apart", "[routing][interest]") {
    GatewayLog owner(id_of(1)), copy(id_of(1));
    owner.start(5, 1);
    std::vector<LogUpdate> first, second, third;
    owner.set(durable_key("a"), number_value(0));
    owner.diff(std::nullopt, false, first);
    const LogVersion at_first = owner.version();
    owner.set(durable_key("b"), number_value(0));
    owner.diff(at_first, false, second);
    const LogVersion at_second = owner.version();
    owner.set(durable_key("c"), number_value(0));
    owner.diff(at_second, false, third);
    REQUIRE(first.size() == 1);
    CHECK(copy.apply(second[0], ignore) == Applied::gap);  // of a life that it has never seen
    CHECK(copy.apply(first[0], ignore) == Applied::changed);
    CHECK(copy.apply(first[0], ignore) == Applied::nothing);
    CHECK(copy.apply(third[0], ignore) == Applied::gap);
    CHECK(copy.apply(second[0], ignore) == Applied::changed);
    CHECK(copy.apply(third[0], ignore) == Applied::changed);
    CHECK(copy.apply(second[0], ignore) == Applied::nothing);
    CHECK(copy.digest() == owner.digest());

    LogUpdate earlier = first[0];
    earlier.incarnation = 4;
    CHECK(copy.apply(earlier, ignore) == Applied::nothing);
    LogUpdate later = second[0];
    later.incarnation = 6;
    CHECK(copy.apply(later, ignore) == Applied::gap);
    LogUpdate wrong = second[0];
    wrong.to = wrong.from + 7;
    CHECK(copy.apply(wrong, ignore) == Applied::refused);
}

TEST_CASE("a full update in parts counts when it is whole, and only then", "[routing][interest]") {
    GatewayLog owner(id_of(1)), copy(id_of(1));
    owner.start(1, 1);
    for (int i = 0; i < 3000; ++i) owner.set(durable_key("filter." + std::to_string(i)), number_value(0));
    std::vector<LogUpdate> parts;
    owner.diff(std::nullopt, false, parts);
    REQUIRE(parts.size() == 3);
    CHECK(copy.apply(parts[1], ignore) == Applied::gap);
    CHECK(copy.apply(parts[0], ignore) == Applied::partly);
    CHECK(copy.apply(parts[2], ignore) == Applied::gap);
    CHECK(copy.apply(parts[0], ignore) == Applied::partly);
    CHECK(copy.apply(parts[1], ignore) == Applied::partly);
    CHECK(copy.apply(parts[1], ignore) == Applied::nothing);
    CHECK(copy.entries().empty());
    CHECK(copy.apply(parts[2], ignore) == Applied::changed);
    CHECK(copy.digest() == owner.digest());
    CHECK(copy.apply(parts[0], ignore) == Applied::nothing);
}

TEST_CASE("a copy that differs at the same version is repaired on demand", "[routing][interest]") {
    GatewayLog owner(id_of(1)), copy(id_of(1));
    owner.start(1, 1);
    owner.set(durable_key("a"), number_value(0));
    std::vector<LogUpdate> updates;
    owner.diff(std::nullopt, false, updates);
    updates[0].changes[0].value = number_value(9);  // spoiled on the way
    CHECK(copy.apply(updates[0], ignore) == Applied::changed);
    CHECK(copy.digest() != owner.digest());
    std::vector<LogUpdate> repair;
    owner.diff(copy.version(), true, repair);
    CHECK(copy.apply(repair[0], ignore) == Applied::changed);
    CHECK(copy.digest() == owner.digest());
}

TEST_CASE("more changes than the journal keeps are caught up by a full update", "[routing][interest]") {
    GatewayLog owner(id_of(1));
    owner.start(1, 1);
    const LogVersion start = owner.version();
    for (std::size_t i = 0; i < journal_changes_max; ++i) owner.set(durable_key("a"), number_value(i));
    std::vector<LogUpdate> updates;
    owner.diff(start, false, updates);
    CHECK_FALSE(updates[0].full);
    CHECK(updates.size() == journal_changes_max / update_part_changes);
    owner.set(durable_key("a"), number_value(1'000'000));
    updates.clear();
    owner.diff(start, false, updates);
    REQUIRE(updates.size() == 1);
    CHECK(updates[0].full);
}

TEST_CASE("a log is bounded", "[routing][interest]") {
    GatewayLog log(id_of(1));
    log.start(1, 1);
    CHECK_FALSE(log.set("", "x"));
    CHECK(log.set(base::Bytes(log_key_bytes_max, 'k'), "x"));
    CHECK_FALSE(log.set(base::Bytes(log_key_bytes_max + 1, 'k'), "x"));
    CHECK_FALSE(log.set("k", base::Bytes(log_value_bytes_max + 1, 'v')));
    LogUpdate update;
    update.gateway = id_of(1);
    update.incarnation = 2;
    update.full = true;
    update.changes.push_back(LogChange{base::Bytes(log_key_bytes_max + 1, 'k'), "x"});
    CHECK(log.apply(update, ignore) == Applied::refused);
    update.changes[0].key = "k";
    update.changes[0].value.clear();
    CHECK(log.apply(update, ignore) == Applied::refused);
    update.changes[0].value = "v";
    update.changes.push_back(update.changes[0]);
    CHECK(log.apply(update, ignore) == Applied::refused);
}

TEST_CASE("a log takes a million entries and not one more", "[.slow][routing][interest]") {
    GatewayLog log(id_of(1));
    for (std::size_t i = 0; i < log_entries_max; ++i) REQUIRE(log.set("k" + std::to_string(i), "v"));
    CHECK_FALSE(log.set("one more", "v"));
    CHECK(log.set("k1", "other"));
}

TEST_CASE("a book holds so many logs, and tells its digest", "[routing][interest]") {
    LogBook book(id_of(0));
    for (std::size_t i = 1; i < logs_max; ++i) {
        GatewayId id;
        id.bytes[0] = static_cast<std::uint8_t>(i & 0xff);
        id.bytes[1] = static_cast<std::uint8_t>(i >> 8);
        REQUIRE(book.at(id));
    }
    CHECK(book.at(id_of(77)) == nullptr);
    LogUpdate update;
    update.gateway = id_of(77);
    update.incarnation = 1;
    update.full = true;
    CHECK(book.apply(update, ignore) == Applied::refused);
    update.full = false;
    update.gateway = id_of(78);
    CHECK(book.apply(update, ignore) == Applied::gap);

    LogBook a(id_of(1)), b(id_of(2));
    a.own().start(1, 1);
    b.own().start(1, 2);
    a.own().set(durable_key("x"), number_value(0));
    CHECK(a.digest() != b.digest());
    std::vector<LogUpdate> to_b, to_a;
    a.own().diff(std::nullopt, false, to_b);
    b.own().diff(std::nullopt, false, to_a);
    b.apply(to_b[0], ignore);
    a.apply(to_a[0], ignore);
    CHECK(a.digest() == b.digest());
    CHECK(a.summary() == b.summary());
}

TEST_CASE("a gateway takes the incarnation above any other life of its log", "[routing][interest]") {
    LogBook book(id_of(1));
    book.own().start(5, 50);
    book.own().set(durable_key("x"), number_value(0));
    CHECK_FALSE(book.incarnation_above({5, 50, 1}));
    CHECK_FALSE(book.incarnation_above({4, 99, 1000}));
    CHECK(book.incarnation_above({5, 49, 0}) == 6);
    CHECK(book.incarnation_above({9, 49, 0}) == 10);
    CHECK(book.incarnation_above({5, 50, 2}) == 6);  // never said so much
}
