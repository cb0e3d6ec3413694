#include "routing/queue/rows.h"

#include <algorithm>
#include <string>
#include <unordered_map>
#include <utility>

namespace routing::queue {

namespace {

constexpr std::string_view key_format = "format";
constexpr std::string_view key_origin_trimmed = "origin_trimmed";
constexpr std::string_view key_local_trimmed = "local_trimmed";
constexpr std::size_t id_bytes = 32;

base::Bytes big_endian(std::uint64_t value) {
    base::Bytes out;
    base::append_big_endian_64(out, value);
    return out;
}

base::Bytes varint(std::uint64_t value) {
    base::Bytes out;
    base::append_varint(out, value);
    return out;
}

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

bool read_id(base::ByteView& in, GatewayId& id) {
    base::ByteView bytes;
    if (!base::read_bytes(in, id_bytes, bytes)) return false;
    id = GatewayId::from(bytes);
    return true;
}

bool read_only_varint(base::ByteView in, std::uint64_t& value) {
    return base::read_varint(in, value) && in.empty();
}

bool read_segment(const Row& row, Segment& segment) {
    base::ByteView key = row.key;
    base::ByteView in = row.value;
    std::uint64_t count = 0;
    if (!base::read_big_endian_64(key, segment.first) || !key.empty() || !base::read_varint(in, segment.last) ||
        !base::read_varint(in, segment.bytes) || !base::read_varint(in, segment.pages) ||
        !base::read_varint(in, count) || count > in.size() / id_bytes || segment.last < segment.first)
        return false;
    segment.shares.resize(static_cast<std::size_t>(count));
    for (SegmentShare& share : segment.shares)
        if (!read_id(in, share.target) || !base::read_varint(in, share.newest) || !base::read_varint(in, share.records))
            return false;
    return in.empty();
}

bool read_reader(const Row& row, RecoveredReader& reader) {
    base::ByteView key = row.key;
    base::ByteView in = row.value;
    std::uint64_t count = 0;
    if (!base::read_big_endian_64(key, reader.id) || !key.empty() || !read_text(in, reader.account) ||
        !read_text(in, reader.queue) || !read_text(in, reader.client) || !read_text(in, reader.sid) ||
        !base::read_varint(in, count) || count == 0 || count > in.size())
        return false;
    reader.filters.resize(static_cast<std::size_t>(count));
    for (std::string& filter : reader.filters)
        if (!read_text(in, filter)) return false;
    return in.empty();
}

bool read_remembered(const Row& row, RememberedInterest& interest) {
    base::ByteView key = row.key;
    std::uint64_t weight = 0;
    if (!read_id(key, interest.gateway) || !read_text(key, interest.account) || !read_text(key, interest.filter) ||
        !read_text(key, interest.queue) || !key.empty() || !read_only_varint(row.value, weight) || weight > 0xffffffff)
        return false;
    interest.weight = static_cast<std::uint32_t>(weight);
    return true;
}

bool read_meta(const Row& row, RecoveredState& state) {
    std::uint64_t value = 0;
    if (!read_only_varint(row.value, value)) return false;
    if (row.key == key_format) return value == format_version;
    if (row.key == key_origin_trimmed) {
        state.origin_next = std::max<Position>(1, value);
        return true;
    }
    if (row.key == key_local_trimmed) {
        state.local_first = state.local_next = std::max<Position>(1, value);
        return true;
    }
    return false;
}

bool read_run(const Row& row, RunStart& start) {
    base::ByteView key = row.key;
    base::ByteView in = row.value;
    return base::read_big_endian_64(key, start.first) && key.empty() && base::read_little_endian(in, start.run) &&
           in.empty() && start.run != 0 && start.first != 0;
}

bool read_target(const Row& row, RecoveredTarget& target) {
    base::ByteView key = row.key;
    base::ByteView in = row.value;
    return read_id(key, target.id) && key.empty() && base::read_varint(in, target.last) &&
           base::read_varint(in, target.floor) && in.empty() && target.floor <= target.last;
}

bool read_watermark(const Row& row, RecoveredWatermark& mark) {
    base::ByteView key = row.key;
    base::ByteView in = row.value;
    return read_id(key, mark.origin) && base::read_big_endian_64(key, mark.run) && key.empty() &&
           base::read_varint(in, mark.position) && base::read_varint(in, mark.order) && in.empty();
}

bool read_loss(const Row& row, RecoveredLoss& loss) {
    base::ByteView key = row.key;
    base::ByteView in = row.value;
    return base::read_big_endian_64(key, loss.number) && key.empty() && read_id(in, loss.origin) &&
           base::read_varint(in, loss.after) && base::read_varint(in, loss.up_to) && in.empty();
}

template <typename Value>
bool read_table(const std::vector<Row>& rows, std::vector<Value>& out, bool (*read)(const Row&, Value&)) {
    out.reserve(rows.size());
    for (const Row& row : rows) {
        Value value;
        if (!read(row, value)) return false;
        out.push_back(std::move(value));
    }
    return true;
}

}  // namespace

RowWrite format_row() {
    return {Table::meta, base::Bytes(key_format), varint(format_version), false};
}

RowWrite trimmed_row(LogId log, Position before) {
    const std::string_view key = log == LogId::origin ? key_origin_trimmed : key_local_trimmed;
    return {Table::meta, base::Bytes(key), varint(before), false};
}

RowWrite run_row(const RunStart& start) {
    base::Bytes value;
    base::append_little_endian(value, start.run);
    return {Table::runs, big_endian(start.first), std::move(value), false};
}

RowWrite target_row(const RecoveredTarget& target) {
    base::Bytes value = varint(target.last);
    base::append_varint(value, target.floor);
    return {Table::targets, base::Bytes(target.id.view()), std::move(value), false};
}

RowWrite segment_row(const Segment& segment) {
    base::Bytes value = varint(segment.last);
    base::append_varint(value, segment.bytes);
    base::append_varint(value, segment.pages);
    base::append_varint(value, segment.shares.size());
    for (const SegmentShare& share : segment.shares) {
        value.append(share.target.view());
        base::append_varint(value, share.newest);
        base::append_varint(value, share.records);
    }
    return {Table::segments, big_endian(segment.first), std::move(value), false};
}

RowWrite watermark_row(const RecoveredWatermark& watermark) {
    base::Bytes key(watermark.origin.view());
    base::append_big_endian_64(key, watermark.run);
    base::Bytes value = varint(watermark.position);
    base::append_varint(value, watermark.order);
    return {Table::watermarks, std::move(key), std::move(value), false};
}

RowWrite loss_row(const RecoveredLoss& loss) {
    base::Bytes value(loss.origin.view());
    base::append_varint(value, loss.after);
    base::append_varint(value, loss.up_to);
    return {Table::losses, big_endian(loss.number), std::move(value), false};
}

RowWrite reader_row(const RecoveredReader& reader) {
    base::Bytes value;
    append_text(value, reader.account);
    append_text(value, reader.queue);
    append_text(value, reader.client);
    append_text(value, reader.sid);
    base::append_varint(value, reader.filters.size());
    for (const std::string& filter : reader.filters) append_text(value, filter);
    return {Table::readers, big_endian(reader.id), std::move(value), false};
}

RowWrite cursor_row(std::uint64_t reader, Position cursor) {
    return {Table::cursors, big_endian(reader), varint(cursor), false};
}

RowWrite remembered_row(const RememberedInterest& interest) {
    base::Bytes key(interest.gateway.view());
    append_text(key, interest.account);
    append_text(key, interest.filter);
    append_text(key, interest.queue);
    return {Table::remembered, std::move(key), varint(interest.weight), interest.weight == 0};
}

RowWrite erased(RowWrite row) {
    row.value.clear();
    row.erase = true;
    return row;
}

bool read_rows(const StoredRows& rows, RecoveredState& state) {
    for (const Row& row : rows.of(Table::meta))
        if (!read_meta(row, state)) return false;
    if (!read_table(rows.of(Table::runs), state.runs, read_run) ||
        !read_table(rows.of(Table::targets), state.targets, read_target) ||
        !read_table(rows.of(Table::segments), state.segments, read_segment) ||
        !read_table(rows.of(Table::watermarks), state.watermarks, read_watermark) ||
        !read_table(rows.of(Table::losses), state.losses, read_loss) ||
        !read_table(rows.of(Table::readers), state.readers, read_reader) ||
        !read_table(rows.of(Table::remembered), state.remembered, read_remembered))
        return false;
    std::unordered_map<std::uint64_t, Position> cursors;
    for (const Row& row : rows.of(Table::cursors)) {
        base::ByteView key = row.key;
        std::uint64_t reader = 0;
        Position cursor = 0;
        if (!base::read_big_endian_64(key, reader) || !key.empty() || !read_only_varint(row.value, cursor))
            return false;
        cursors[reader] = cursor;
    }
    for (RecoveredReader& reader : state.readers)
        if (const auto found = cursors.find(reader.id); found != cursors.end()) reader.cursor = found->second;
    return true;
}

}  // namespace routing::queue
