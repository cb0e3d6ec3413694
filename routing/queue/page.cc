#include "routing/queue/page.h"

#include <utility>

#include "routing/base/check.h"
#include "routing/base/hash.h"

namespace routing::queue {

namespace {

constexpr char kind_origin = 'O';
constexpr char kind_local = 'L';
constexpr char version = 1;
constexpr char flag_plain = 1;
constexpr std::size_t check_bytes = 8;
constexpr std::size_t id_bytes = 32;

void append_text(base::Bytes& out, std::string_view text) {
    base::append_varint(out, text.size());
    out.append(text);
}

bool read_text(base::ByteView& in, std::string& text) {
    std::uint64_t size = 0;
    base::ByteView bytes;
    if (!base::read_varint(in, size) || !base::read_bytes(in, size, bytes)) return false;
    text.assign(bytes);
    return true;
}

bool read_flags(base::ByteView& in, char allowed, char& flags) {
    if (in.empty()) return false;
    flags = in.front();
    in.remove_prefix(1);
    return (flags & ~allowed) == 0;
}

void append_groups(base::Bytes& out, bool plain, const std::vector<std::string>& groups) {
    out.push_back(plain ? flag_plain : 0);
    base::append_varint(out, groups.size());
    for (const std::string& group : groups) append_text(out, group);
}

bool read_groups(base::ByteView& in, bool& plain, std::vector<std::string>& groups) {
    char flags = 0;
    std::uint64_t count = 0;
    if (!read_flags(in, flag_plain, flags) || !base::read_varint(in, count) || count > in.size()) return false;
    plain = (flags & flag_plain) != 0;
    groups.resize(static_cast<std::size_t>(count));
    for (std::string& group : groups)
        if (!read_text(in, group)) return false;
    return true;
}

void append_message(base::Bytes& out, const MessageView& message) {
    out.push_back(0);
    base::append_varint(out, message.subject.size());
    base::append_varint(out, message.reply.size());
    base::append_varint(out, message.header_bytes);
    base::append_varint(out, message.body.size());
    out.append(message.subject);
    out.append(message.reply);
    out.append(message.body);
}

bool read_message(base::ByteView& in, MessageView& message) {
    char flags = 0;
    std::uint64_t subject = 0;
    std::uint64_t reply = 0;
    std::uint64_t header = 0;
    std::uint64_t body = 0;
    if (!read_flags(in, 0, flags) || !base::read_varint(in, subject) || !base::read_varint(in, reply) ||
        !base::read_varint(in, header) || !base::read_varint(in, body))
        return false;
    if (!base::read_bytes(in, subject, message.subject) || !base::read_bytes(in, reply, message.reply) ||
        !base::read_bytes(in, body, message.body) || header > body)
        return false;
    message.header_bytes = static_cast<std::uint32_t>(header);
    return header <= 0xffffffff;
}

void append_check(base::Bytes& out) {
    base::append_little_endian(out, base::hash_bytes(out));
}

bool strip_check(base::ByteView& bytes, bool verify) {
    if (bytes.size() < check_bytes) return false;
    base::ByteView tail = bytes.substr(bytes.size() - check_bytes);
    bytes.remove_suffix(check_bytes);
    std::uint64_t check = 0;
    return base::read_little_endian(tail, check) && (!verify || check == base::hash_bytes(bytes));
}

bool read_kind(base::ByteView& in, char kind) {
    if (in.size() < 2 || in[0] != kind || in[1] != version) return false;
    in.remove_prefix(2);
    return true;
}

bool read_id(base::ByteView& in, GatewayId& id) {
    base::ByteView bytes;
    if (!base::read_bytes(in, id_bytes, bytes)) return false;
    id = GatewayId::from(bytes);
    return true;
}

/// A count of entries that take at least `bytes_each`: nothing is allocated that is not there.
bool read_count(base::ByteView& in, std::size_t bytes_each, std::uint64_t max, std::size_t& count) {
    std::uint64_t value = 0;
    if (!base::read_varint(in, value) || value > max || value > in.size() / bytes_each) return false;
    count = static_cast<std::size_t>(value);
    return true;
}

bool read_first_and_count(base::ByteView& in, Position& first, std::uint32_t& count) {
    std::uint64_t records = 0;
    if (!base::read_varint(in, first) || !base::read_varint(in, records)) return false;
    if (first == 0 || records == 0 || records > page_records_max || first > position_max - records) return false;
    count = static_cast<std::uint32_t>(records);
    return true;
}

}  // namespace

void OriginPageWriter::begin(Run run, Position first) {
    run_ = run;
    first_ = first;
    count_ = 0;
    gateways_.clear();
    routes_.clear();
    records_.clear();
}

std::uint32_t OriginPageWriter::add_gateway(const GatewayId& id, Position prev) {
    gateways_.push_back(PageGateway{id, prev});
    return static_cast<std::uint32_t>(gateways_.size() - 1);
}

std::uint32_t OriginPageWriter::add_route(PageRoute route) {
    for (const PageTarget& target : route.targets) BASE_CHECK(target.gateway < gateways_.size());
    routes_.push_back(std::move(route));
    return static_cast<std::uint32_t>(routes_.size() - 1);
}

void OriginPageWriter::append(std::uint32_t route, const MessageView& message) {
    BASE_CHECK(route < routes_.size());
    base::append_varint(records_, 0);
    base::append_varint(records_, route);
    append_message(records_, message);
    ++count_;
}

base::Bytes OriginPageWriter::finish() const {
    base::Bytes out;
    out.reserve(records_.size() + 64 + gateways_.size() * (id_bytes + 10) + routes_.size() * 64);
    out.push_back(kind_origin);
    out.push_back(version);
    base::append_little_endian(out, run_);
    base::append_varint(out, first_);
    base::append_varint(out, count_);
    base::append_varint(out, gateways_.size());
    for (const PageGateway& gateway : gateways_) {
        out.append(gateway.id.view());
        base::append_varint(out, gateway.prev);
    }
    base::append_varint(out, routes_.size());
    for (const PageRoute& route : routes_) {
        append_text(out, route.account);
        base::append_varint(out, route.targets.size());
        for (const PageTarget& target : route.targets) {
            base::append_varint(out, target.gateway);
            append_groups(out, target.plain, target.groups);
        }
    }
    out.append(records_);
    append_check(out);
    return out;
}

bool OriginPageReader::open(base::ByteView bytes, bool verify) {
    gateways_.clear();
    routes_.clear();
    broken_ = false;
    last_position_ = 0;
    left_ = 0;
    if (!strip_check(bytes, verify) || !read_kind(bytes, kind_origin) || !base::read_little_endian(bytes, run_) ||
        !read_first_and_count(bytes, first_, count_))
        return false;
    std::size_t count = 0;
    if (!read_count(bytes, id_bytes + 1, page_gateways_max, count)) return false;
    gateways_.resize(count);
    for (PageGateway& gateway : gateways_)
        if (!read_id(bytes, gateway.id) || !base::read_varint(bytes, gateway.prev) || gateway.prev >= first_)
            return false;
    if (!read_count(bytes, 2, page_records_max, count)) return false;
    routes_.resize(count);
    for (PageRoute& route : routes_) {
        if (!read_text(bytes, route.account) || !read_count(bytes, 3, page_gateways_max, count)) return false;
        route.targets.resize(count);
        for (PageTarget& target : route.targets) {
            std::uint64_t ref = 0;
            if (!base::read_varint(bytes, ref) || ref >= gateways_.size()) return false;
            target.gateway = static_cast<std::uint32_t>(ref);
            if (!read_groups(bytes, target.plain, target.groups)) return false;
        }
    }
    expected_ = first_;
    left_ = count_;
    rest_ = bytes;
    return true;
}

bool OriginPageReader::next(OriginRecord& record) {
    if (last_position_ != 0) {
        for (const PageTarget& target : routes_[last_route_].targets) gateways_[target.gateway].prev = last_position_;
        last_position_ = 0;
    }
    if (left_ == 0 || broken_) {
        broken_ = broken_ || !rest_.empty();
        return false;
    }
    std::uint64_t skip = 0;
    std::uint64_t route = 0;
    if (!base::read_varint(rest_, skip) || !base::read_varint(rest_, route) || route >= routes_.size() ||
        skip > position_max - expected_ - 1 || !read_message(rest_, record.message)) {
        broken_ = true;
        return false;
    }
    record.position = expected_ + skip;
    record.route = static_cast<std::uint32_t>(route);
    expected_ = record.position + 1;
    --left_;
    last_route_ = record.route;
    last_position_ = record.position;
    return true;
}

void LocalPageWriter::begin(Position first) {
    first_ = first;
    count_ = 0;
    sources_.clear();
    serves_.clear();
    records_.clear();
}

std::uint32_t LocalPageWriter::add_source(const PageSource& source) {
    sources_.push_back(source);
    return static_cast<std::uint32_t>(sources_.size() - 1);
}

std::uint32_t LocalPageWriter::add_serve(PageServe serve) {
    serves_.push_back(std::move(serve));
    return static_cast<std::uint32_t>(serves_.size() - 1);
}

void LocalPageWriter::append(std::uint32_t source, Position origin_position, std::uint32_t serve,
                             const MessageView& message) {
    BASE_CHECK(source < sources_.size() && serve < serves_.size());
    base::append_varint(records_, source);
    base::append_varint(records_, origin_position);
    base::append_varint(records_, serve);
    append_message(records_, message);
    ++count_;
}

base::Bytes LocalPageWriter::finish() const {
    base::Bytes out;
    out.reserve(records_.size() + 64 + sources_.size() * (id_bytes + 8) + serves_.size() * 32);
    out.push_back(kind_local);
    out.push_back(version);
    base::append_varint(out, first_);
    base::append_varint(out, count_);
    base::append_varint(out, sources_.size());
    for (const PageSource& source : sources_) {
        out.append(source.origin.view());
        base::append_little_endian(out, source.run);
    }
    base::append_varint(out, serves_.size());
    for (const PageServe& serve : serves_) {
        append_text(out, serve.account);
        append_groups(out, serve.plain, serve.groups);
    }
    out.append(records_);
    append_check(out);
    return out;
}

bool LocalPageReader::open(base::ByteView bytes, bool verify) {
    sources_.clear();
    serves_.clear();
    broken_ = false;
    left_ = 0;
    if (!strip_check(bytes, verify) || !read_kind(bytes, kind_local) || !read_first_and_count(bytes, first_, count_))
        return false;
    std::size_t count = 0;
    if (!read_count(bytes, id_bytes + 8, page_gateways_max, count)) return false;
    sources_.resize(count);
    for (PageSource& source : sources_)
        if (!read_id(bytes, source.origin) || !base::read_little_endian(bytes, source.run)) return false;
    if (!read_count(bytes, 3, page_records_max, count)) return false;
    serves_.resize(count);
    for (PageServe& serve : serves_)
        if (!read_text(bytes, serve.account) || !read_groups(bytes, serve.plain, serve.groups)) return false;
    next_ = first_;
    left_ = count_;
    rest_ = bytes;
    return true;
}

bool LocalPageReader::next(LocalRecord& record) {
    if (left_ == 0 || broken_) {
        broken_ = broken_ || !rest_.empty();
        return false;
    }
    std::uint64_t source = 0;
    std::uint64_t serve = 0;
    if (!base::read_varint(rest_, source) || source >= sources_.size() || !base::read_varint(rest_, record.position) ||
        !base::read_varint(rest_, serve) || serve >= serves_.size() || !read_message(rest_, record.message)) {
        broken_ = true;
        return false;
    }
    record.local = next_++;
    record.source = static_cast<std::uint32_t>(source);
    record.serve = static_cast<std::uint32_t>(serve);
    --left_;
    return true;
}

}  // namespace routing::queue
