#include "routing/peer/frame.h"

#include "routing/base/check.h"
#include "routing/peer/peer_message.h"

namespace routing::peer {

namespace {

void put_little_endian(base::Bytes& out, std::size_t at, std::uint64_t value, std::size_t width) {
    for (std::size_t i = 0; i < width; ++i) out[at + i] = static_cast<char>((value >> (8 * i)) & 0xff);
}

}  // namespace

std::size_t begin_frame(base::Bytes& out, DataKind kind) {
    const std::size_t start = out.size();
    out.append(frame_header_bytes, '\0');
    out[start + 4] = static_cast<char>(kind);
    return start;
}

void end_frame(base::Bytes& out, std::size_t start) {
    BASE_CHECK(start + frame_header_bytes <= out.size());
    const std::size_t length = out.size() - start - frame_header_bytes;
    BASE_CHECK(length <= data_body_bytes_max);
    put_little_endian(out, start, length, 4);
}

void FrameBuffer::open(DataKind kind) {
    batch_ = begin_frame(bytes_, kind);
    kind_ = kind;
    count_ = 0;
}

void FrameBuffer::close() {
    if (batch_ == none) return;
    end_frame(bytes_, batch_);
    put_little_endian(bytes_, batch_ + 6, count_, 2);
    batch_ = none;
}

std::uint64_t FrameBuffer::records() const {
    std::uint64_t records = 0;
    for (std::size_t at = 0; at < bytes_.size();) {
        if (at == batch_) return records + (kind_ == DataKind::volatile_records ? count_ : 0);  // the last frame
        base::ByteView header = base::ByteView{bytes_}.substr(at);
        FrameHeader read;
        BASE_CHECK(base::read_little_endian(header, read.length) && base::read_little_endian(header, read.kind) &&
                   base::read_little_endian(header, read.flags) && base::read_little_endian(header, read.count));
        if (read.kind == static_cast<std::uint8_t>(DataKind::volatile_records)) records += read.count;
        at += frame_header_bytes + read.length;
    }
    return records;
}

void FrameBuffer::take(base::Bytes& out) {
    BASE_CHECK(out.empty());
    close();
    bytes_.swap(out);
}

}  // namespace routing::peer
