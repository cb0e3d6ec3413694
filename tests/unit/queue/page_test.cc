#include "routing/queue/page.h"

#include <catch2/catch.hpp>
#include <map>

#include "routing/base/prng.h"
#include "tests/unit/queue/engine_fixture.h"

using namespace routing;
using namespace routing::queue;

namespace {

struct Made {
    std::string subject;
    std::string reply;
    std::string body;
    std::uint32_t header_bytes = 0;
    std::uint32_t route = 0;
    Position source_position = 0;
    [[nodiscard]] MessageView view() const {
        MessageView message;
        message.subject = subject;
        message.reply = reply;
        message.body = body;
        message.header_bytes = header_bytes;
        return message;
    }
};

Made make(base::Prng& prng) {
    Made made;
    made.subject = "s." + std::to_string(prng.below(100));
    if (prng.chance(1, 2)) made.reply = "_INBOX." + std::to_string(prng.below(100));
    made.body.assign(prng.below(300), static_cast<char>(prng.below(256)));
    made.header_bytes = static_cast<std::uint32_t>(prng.below(made.body.size() + 1));
    return made;
}

void same(const MessageView& message, const Made& made) {
    CHECK(message.subject == made.subject);
    CHECK(message.reply == made.reply);
    CHECK(message.body == made.body);
    CHECK(message.header_bytes == made.header_bytes);
}

struct OriginPage {
    base::Bytes bytes;
    std::vector<Made> records;
    std::vector<PageGateway> gateways;
    std::vector<PageRoute> routes;
};

OriginPage make_origin_page(base::Prng& prng) {
    OriginPage page;
    OriginPageWriter writer;
    writer.begin(99, 500);
    const std::uint64_t gateways = prng.between(1, 5);
    for (std::uint64_t i = 0; i < gateways; ++i) {
        page.gateways.push_back(PageGateway{gateway_id(static_cast<std::uint8_t>(i)), prng.below(500)});
        writer.add_gateway(page.gateways.back().id, page.gateways.back().prev);
    }
    const std::uint64_t routes = prng.between(1, 4);
    for (std::uint64_t i = 0; i < routes; ++i) {
        PageRoute route;
        route.account = i % 2 == 0 ? "$G" : "other";
        for (std::uint32_t g = 0; g < gateways; ++g)
            if (prng.chance(1, 2)) {
                PageTarget target{g, prng.chance(1, 2), {}};
                for (std::uint64_t n = prng.below(3); n > 0; --n) target.groups.push_back("g" + std::to_string(n));
                route.targets.push_back(target);
            }
        page.routes.push_back(route);
        writer.add_route(route);
    }
    for (std::uint64_t i = prng.between(1, 30); i > 0; --i) {
        Made made = make(prng);
        made.route = static_cast<std::uint32_t>(prng.below(routes));
        writer.append(made.route, made.view());
        page.records.push_back(made);
    }
    page.bytes = writer.finish();
    return page;
}

}  // namespace

TEST_CASE("an origin page says again what was put in, and each target's record before each", "[queue][page]") {
    const std::uint64_t seed = GENERATE(range(1, 100));
    CAPTURE(seed);
    base::Prng prng(seed);
    const OriginPage page = make_origin_page(prng);
    OriginPageReader reader;
    REQUIRE(reader.open(page.bytes, true));
    CHECK(reader.run() == 99);
    CHECK(reader.first() == 500);
    CHECK(reader.count() == page.records.size());
    CHECK(reader.routes() == page.routes);
    CHECK(reader.gateways() == page.gateways);
    std::vector<Position> prev;
    for (const PageGateway& gateway : page.gateways) prev.push_back(gateway.prev);
    OriginRecord record;
    for (std::size_t i = 0; i < page.records.size(); ++i) {
        REQUIRE(reader.next(record));
        CHECK(record.position == 500 + i);
        CHECK(record.route == page.records[i].route);
        same(record.message, page.records[i]);
        for (const PageTarget& target : page.routes[record.route].targets) {
            CHECK(reader.gateways()[target.gateway].prev == prev[target.gateway]);
            prev[target.gateway] = record.position;
        }
    }
    CHECK_FALSE(reader.next(record));
    CHECK_FALSE(reader.broken());
}

TEST_CASE("a local page says again what was put in", "[queue][page]") {
    const std::uint64_t seed = GENERATE(range(1, 100));
    CAPTURE(seed);
    base::Prng prng(seed);
    LocalPageWriter writer;
    writer.begin(7);
    const std::vector<PageSource> sources{{gateway_id(1), 11}, {gateway_id(2), 12}};
    const std::vector<PageServe> serves{{"$G", true, {}}, {"$G", false, {"a", "b"}}};
    for (const PageSource& source : sources) writer.add_source(source);
    for (const PageServe& serve : serves) writer.add_serve(serve);
    std::vector<Made> made;
    for (std::uint64_t i = prng.between(1, 30); i > 0; --i) {
        made.push_back(make(prng));
        made.back().route = static_cast<std::uint32_t>(prng.below(2));
        made.back().source_position = prng.next();
        writer.append(1 - made.back().route, made.back().source_position, made.back().route, made.back().view());
    }
    const base::Bytes bytes = writer.finish();
    LocalPageReader reader;
    REQUIRE(reader.open(bytes, true));
    CHECK(reader.sources() == sources);
    CHECK(reader.serves() == serves);
    CHECK(reader.last() == 7 + made.size() - 1);
    LocalRecord record;
    for (std::size_t i = 0; i < made.size(); ++i) {
        REQUIRE(reader.next(record));
        CHECK(record.local == 7 + i);
        CHECK(record.position == made[i].source_position);
        CHECK(record.serve == made[i].route);
        CHECK(record.source == 1 - made[i].route);
        same(record.message, made[i]);
    }
    CHECK_FALSE(reader.next(record));
    CHECK_FALSE(reader.broken());
}

TEST_CASE("a page that was cut or changed anywhere is refused", "[queue][page]") {
    const std::uint64_t seed = GENERATE(range(1, 10));
    CAPTURE(seed);
    base::Prng prng(seed);
    const base::Bytes bytes = make_origin_page(prng).bytes;
    OriginPageReader reader;
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) CHECK_FALSE(reader.open(bytes.substr(0, cut), true));
    CHECK_FALSE(reader.open(bytes + "x", true));
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        base::Bytes changed = bytes;
        changed[at] = static_cast<char>(changed[at] ^ static_cast<char>(1u << prng.below(8)));
        CHECK_FALSE(reader.open(changed, true));
    }
}

TEST_CASE("a damaged page whose check nobody looks at does no harm", "[queue][page]") {
    const std::uint64_t seed = GENERATE(range(1, 20));
    CAPTURE(seed);
    base::Prng prng(seed);
    const base::Bytes bytes = make_origin_page(prng).bytes;
    std::uint64_t read = 0;
    for (int round = 0; round < 500; ++round) {
        base::Bytes changed = bytes;
        for (std::uint64_t n = prng.between(1, 4); n > 0; --n)
            changed[prng.below(changed.size())] = static_cast<char>(prng.below(256));
        changed.resize(prng.chance(1, 2) ? changed.size() : prng.below(changed.size()));
        OriginPageReader reader;
        OriginRecord record;
        if (reader.open(changed, false))
            while (reader.next(record)) {
                REQUIRE(record.route < reader.routes().size());
                read += record.message.body.size();
            }
        LocalPageReader local;
        LocalRecord one;
        if (local.open(changed, false))
            while (local.next(one)) read += one.message.body.size();
    }
    CHECK(read > 0);
}

TEST_CASE("a page is full at its bytes or its records, whichever comes first", "[queue][page]") {
    OriginPageWriter writer;
    writer.begin(1, 1);
    writer.add_gateway(gateway_id(1), 0);
    writer.add_route(PageRoute{"$G", {PageTarget{0, true, {}}}});
    MessageView message;
    message.subject = "a";
    for (std::uint32_t i = 0; i < page_records_max; ++i) {
        REQUIRE_FALSE(writer.full());
        writer.append(0, message);
    }
    CHECK(writer.full());
    OriginPageReader reader;
    CHECK(reader.open(writer.finish(), true));
    writer.begin(1, 1);
    writer.add_gateway(gateway_id(1), 0);
    writer.add_route(PageRoute{"$G", {PageTarget{0, true, {}}}});
    const std::string large(page_bytes_max, 'x');
    message.body = large;
    writer.append(0, message);
    CHECK(writer.full());
}
