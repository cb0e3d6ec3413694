// Pages: what one group commit holds of one log, as one value.  Pure bytes; both stores hold them opaque.
//
// Origin page (all integers varint unless said; "text" is length, bytes):
//
//     kind u8 = 'O' | version u8 = 1 | run u64 LE | first | record count
//     gateways: count, each: id (32 bytes) | prev = its newest record before this page, 0: none
//     routes:   count, each: account text | target count, each: gateway ref | flags u8 (1: plain) | group count, texts
//     records:  each: skip (position - position expected) | route ref | flags u8 = 0 |
//                     subject size | reply size | header size | body size | subject, reply, body
//     check u64 LE: base::hash_bytes of all before it
//
// A record's prev for a target is not stored: it is that target's newest record before it in the page, else the gateway
// table's prev.  So a page is always read from its front, and costs 32 bytes per target a page, not per record.
//
// Local page:
//
//     kind u8 = 'L' | version u8 = 1 | first | record count
//     sources:  count, each: origin id (32 bytes) | run u64 LE
//     serves:   count, each: account text | flags u8 (1: plain) | group count, texts
//     records:  each: source ref | origin's position | serve ref | flags u8 = 0 | sizes and bytes as above
//     check u64 LE
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "routing/base/bytes.h"
#include "routing/queue/flow_message.h"
#include "routing/queue/queue_store.h"
#include "routing/types.h"

namespace routing::queue {

/// A page is closed when its messages reach this.  Unit: bytes.  A larger message makes a page of its own.
/// Source: one read of a target that catches up; at 128 B it is 1,500 messages, and gains end at some hundreds
/// (reference/performance.md, "Paging the queue pays").
inline constexpr std::size_t page_bytes_max = 256u << 10;
/// Records in a page.  Unit: records.
inline constexpr std::uint32_t page_records_max = 4096;
/// Most entries in a page's tables; decoding refuses more.  A page never has more routes than records.
inline constexpr std::uint64_t page_gateways_max = 65536;

struct PageTarget {
    std::uint32_t gateway = 0;  ///< index into the page's gateways
    bool plain = false;
    std::vector<std::string> groups;
    bool operator==(const PageTarget&) const = default;
};

struct PageGateway {
    GatewayId id;
    Position prev = 0;
    bool operator==(const PageGateway&) const = default;
};

struct PageRoute {
    std::string account;
    std::vector<PageTarget> targets;
    bool operator==(const PageRoute&) const = default;
};

/// Builds one origin page.  Reused page after page, so that its buffers stay.
class OriginPageWriter {
  public:
    /// Throws away what is there and begins a page.
    void begin(Run run, Position first);
    std::uint32_t add_gateway(const GatewayId& id, Position prev);
    std::uint32_t add_route(PageRoute route);
    /// Appends a record at the position after the last; `message.account` is not looked at (the route says it).
    void append(std::uint32_t route, const MessageView& message);
    [[nodiscard]] Position first() const { return first_; }
    [[nodiscard]] std::uint32_t count() const { return count_; }
    [[nodiscard]] Position last() const { return first_ + count_ - 1; }
    /// Bytes of records so far.
    [[nodiscard]] std::size_t bytes() const { return records_.size(); }
    [[nodiscard]] bool full() const { return count_ >= page_records_max || records_.size() >= page_bytes_max; }
    [[nodiscard]] const std::vector<PageGateway>& gateways() const { return gateways_; }
    [[nodiscard]] const std::vector<PageRoute>& routes() const { return routes_; }
    [[nodiscard]] base::Bytes finish() const;

  private:
    Run run_ = 0;
    Position first_ = 0;
    std::uint32_t count_ = 0;
    std::vector<PageGateway> gateways_;
    std::vector<PageRoute> routes_;
    base::Bytes records_;
};

struct OriginRecord {
    Position position = 0;
    std::uint32_t route = 0;
    MessageView message;  ///< account is not set
};

/// Reads one origin page from its front.  Borrows the bytes.
class OriginPageReader {
  public:
    /// Errors: false if the bytes are not a whole page of this kind.  `verify` looks at the check sum too.
    [[nodiscard]] bool open(base::ByteView bytes, bool verify);
    [[nodiscard]] Run run() const { return run_; }
    [[nodiscard]] Position first() const { return first_; }
    [[nodiscard]] std::uint32_t count() const { return count_; }
    /// The next record; false at the end, or if the page is broken (then broken() is true).
    [[nodiscard]] bool next(OriginRecord& record);
    [[nodiscard]] bool broken() const { return broken_; }
    /// After next(): `prev` of each gateway is that of the record just read, if it is one of its targets.
    [[nodiscard]] const std::vector<PageGateway>& gateways() const { return gateways_; }
    [[nodiscard]] const std::vector<PageRoute>& routes() const { return routes_; }

  private:
    Run run_ = 0;
    Position first_ = 0;
    Position expected_ = 0;
    std::uint32_t count_ = 0;
    std::uint32_t left_ = 0;
    bool broken_ = false;
    std::uint32_t last_route_ = 0;
    Position last_position_ = 0;  // 0: no record was read yet
    base::ByteView rest_;
    std::vector<PageGateway> gateways_;
    std::vector<PageRoute> routes_;
};

struct PageSource {
    GatewayId origin;
    Run run = 0;
    bool operator==(const PageSource&) const = default;
};

struct PageServe {
    std::string account;
    bool plain = false;
    std::vector<std::string> groups;
    bool operator==(const PageServe&) const = default;
};

/// Builds one page of the local log.
class LocalPageWriter {
  public:
    void begin(Position first);
    std::uint32_t add_source(const PageSource& source);
    std::uint32_t add_serve(PageServe serve);
    void append(std::uint32_t source, Position origin_position, std::uint32_t serve, const MessageView& message);
    [[nodiscard]] Position first() const { return first_; }
    [[nodiscard]] std::uint32_t count() const { return count_; }
    [[nodiscard]] Position last() const { return first_ + count_ - 1; }
    [[nodiscard]] std::size_t bytes() const { return records_.size(); }
    [[nodiscard]] bool full() const { return count_ >= page_records_max || records_.size() >= page_bytes_max; }
    [[nodiscard]] const std::vector<PageSource>& sources() const { return sources_; }
    [[nodiscard]] const std::vector<PageServe>& serves() const { return serves_; }
    [[nodiscard]] base::Bytes finish() const;

  private:
    Position first_ = 0;
    std::uint32_t count_ = 0;
    std::vector<PageSource> sources_;
    std::vector<PageServe> serves_;
    base::Bytes records_;
};

struct LocalRecord {
    Position local = 0;
    std::uint32_t source = 0;
    Position position = 0;  ///< in the origin's log
    std::uint32_t serve = 0;
    MessageView message;  ///< account is not set
};

class LocalPageReader {
  public:
    [[nodiscard]] bool open(base::ByteView bytes, bool verify);
    [[nodiscard]] Position first() const { return first_; }
    [[nodiscard]] std::uint32_t count() const { return count_; }
    [[nodiscard]] Position last() const { return first_ + count_ - 1; }
    [[nodiscard]] bool next(LocalRecord& record);
    [[nodiscard]] bool broken() const { return broken_; }
    [[nodiscard]] const std::vector<PageSource>& sources() const { return sources_; }
    [[nodiscard]] const std::vector<PageServe>& serves() const { return serves_; }

  private:
    Position first_ = 0;
    Position next_ = 0;
    std::uint32_t count_ = 0;
    std::uint32_t left_ = 0;
    bool broken_ = false;
    base::ByteView rest_;
    std::vector<PageSource> sources_;
    std::vector<PageServe> serves_;
};

}  // namespace routing::queue
