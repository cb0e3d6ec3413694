#include "routing/peer/compress.h"

#include <zstd.h>

#include "routing/base/check.h"

namespace routing::peer {

struct Compressor::Contexts {
    ZSTD_CCtx* in = nullptr;
    ZSTD_DCtx* out = nullptr;
    Contexts() = default;
    Contexts(const Contexts&) = delete;
    Contexts& operator=(const Contexts&) = delete;
    ~Contexts() {
        ZSTD_freeCCtx(in);
        ZSTD_freeDCtx(out);
    }
};

Compressor::Compressor() : contexts_(std::make_unique<Contexts>()) {}

Compressor::~Compressor() = default;

bool Compressor::compress(base::ByteView body, base::Bytes& out) {
    if (body.size() < compress_bytes_min || body.size() > UINT32_MAX) return false;
    if (!contexts_->in) contexts_->in = ZSTD_createCCtx();
    BASE_CHECK(contexts_->in != nullptr);
    const std::size_t start = out.size();
    base::append_little_endian(out, static_cast<std::uint32_t>(body.size()));
    const std::size_t head = out.size();
    // No larger than what is worth it: zstd stops there.
    const std::size_t room = body.size() - body.size() / 8;
    out.resize(head + room);
    const std::size_t size =
        ZSTD_compressCCtx(contexts_->in, out.data() + head, room, body.data(), body.size(), compress_level);
    if (ZSTD_isError(size) != 0 || body.size() / compress_ratio_max >= size) {
        out.resize(start);
        return false;
    }
    out.resize(head + size);
    return true;
}

std::uint32_t Compressor::raw_bytes(base::ByteView compressed) {
    std::uint32_t size = 0;
    if (!base::read_little_endian(compressed, size) || compressed.empty()) return 0;
    return size / compress_ratio_max > compressed.size() ? 0 : size;
}

bool Compressor::decompress(base::ByteView compressed, base::Bytes& out) {
    const std::uint32_t size = raw_bytes(compressed);
    if (size == 0) return false;
    if (!contexts_->out) contexts_->out = ZSTD_createDCtx();
    BASE_CHECK(contexts_->out != nullptr);
    compressed.remove_prefix(sizeof size);
    out.resize(size);
    return ZSTD_decompressDCtx(contexts_->out, out.data(), out.size(), compressed.data(), compressed.size()) == size;
}

}  // namespace routing::peer
