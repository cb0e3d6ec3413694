#include "routing/peer/pack.h"

#include <msgpack.h>

#include "routing/base/check.h"

namespace routing::peer {

namespace {

int append_to(void* out, const char* data, std::size_t size) {
    static_cast<base::Bytes*>(out)->append(data, size);
    return 0;
}

msgpack_packer packer_for(base::Bytes* out) {
    msgpack_packer packer;
    msgpack_packer_init(&packer, out, &append_to);
    return packer;
}

constexpr std::uint8_t fix_array = 0x90;
constexpr std::uint8_t fix_map = 0x80;
constexpr std::uint8_t array_16 = 0xdc;  // array_32 is the next
constexpr std::uint8_t map_16 = 0xde;    // map_32 is the next
constexpr std::uint8_t nil_byte = 0xc0;

std::uint8_t byte_at(base::ByteView in, std::size_t at) {
    return static_cast<std::uint8_t>(in[at]);
}

bool is_container(std::uint8_t first) {
    return (first >= fix_map && first < 0xa0) || (first >= array_16 && first <= map_16 + 1);
}

// ext 8/16/32, fixext 1..16 and the byte that MessagePack never uses.
bool is_refused(std::uint8_t first) {
    return first == 0xc1 || (first >= 0xc7 && first <= 0xc9) || (first >= 0xd4 && first <= 0xd8);
}

}  // namespace

PackWriter& PackWriter::array(std::size_t elements) {
    msgpack_packer packer = packer_for(out_);
    msgpack_pack_array(&packer, elements);
    return *this;
}

PackWriter& PackWriter::map(std::size_t pairs) {
    msgpack_packer packer = packer_for(out_);
    msgpack_pack_map(&packer, pairs);
    return *this;
}

PackWriter& PackWriter::uint(std::uint64_t value) {
    msgpack_packer packer = packer_for(out_);
    msgpack_pack_uint64(&packer, value);
    return *this;
}

PackWriter& PackWriter::sint(std::int64_t value) {
    msgpack_packer packer = packer_for(out_);
    msgpack_pack_int64(&packer, value);
    return *this;
}

PackWriter& PackWriter::boolean(bool value) {
    msgpack_packer packer = packer_for(out_);
    if (value) {
        msgpack_pack_true(&packer);
    } else {
        msgpack_pack_false(&packer);
    }
    return *this;
}

PackWriter& PackWriter::str(std::string_view text) {
    msgpack_packer packer = packer_for(out_);
    msgpack_pack_str(&packer, text.size());
    msgpack_pack_str_body(&packer, text.data(), text.size());
    return *this;
}

PackWriter& PackWriter::bin(base::ByteView bytes) {
    msgpack_packer packer = packer_for(out_);
    msgpack_pack_bin(&packer, bytes.size());
    msgpack_pack_bin_body(&packer, bytes.data(), bytes.size());
    return *this;
}

PackWriter& PackWriter::nil() {
    msgpack_packer packer = packer_for(out_);
    msgpack_pack_nil(&packer);
    return *this;
}

std::string_view describe(PackError error) {
    switch (error) {
        case PackError::none:
            return "no error";
        case PackError::truncated:
            return "ends within a value";
        case PackError::wrong_type:
            return "value of another type";
        case PackError::too_large:
            return "value above its limit";
        case PackError::malformed:
            return "not MessagePack";
    }
    return "unknown error";
}

struct PackReader::Scalar {
    msgpack_object object;
};

// One value that is no container: msgpack-c decodes it without allocating (strings point into the input).
bool PackReader::scalar(Scalar& out) {
    if (!ok()) return false;
    if (in_.empty()) {
        fail(PackError::truncated);
        return false;
    }
    const std::uint8_t first = byte_at(in_, 0);
    if (is_refused(first)) {
        fail(PackError::malformed);
        return false;
    }
    if (is_container(first)) {
        fail(PackError::wrong_type);
        return false;
    }
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    std::size_t used = 0;
    const msgpack_unpack_return code = msgpack_unpack_next(&unpacked, in_.data(), in_.size(), &used);
    if (code == MSGPACK_UNPACK_CONTINUE) fail(PackError::truncated);
    if (code == MSGPACK_UNPACK_PARSE_ERROR || code == MSGPACK_UNPACK_NOMEM_ERROR) fail(PackError::malformed);
    if (ok()) {
        out.object = unpacked.data;
        in_.remove_prefix(used);
    }
    msgpack_unpacked_destroy(&unpacked);
    return ok();
}

std::uint32_t PackReader::container(std::uint8_t fix, std::uint8_t fix_mask, std::uint8_t wide,
                                    std::uint32_t per_element, std::uint32_t least, std::uint32_t most) {
    if (!ok()) return 0;
    if (in_.empty()) {
        fail(PackError::truncated);
        return 0;
    }
    const std::uint8_t first = byte_at(in_, 0);
    std::uint32_t elements = 0;
    std::size_t header = 1;
    if ((first & fix_mask) == fix) {
        elements = first & static_cast<std::uint8_t>(~fix_mask);
    } else if (first == wide || first == wide + 1) {
        const std::size_t width = first == wide ? 2 : 4;
        if (in_.size() < 1 + width) {
            fail(PackError::truncated);
            return 0;
        }
        for (std::size_t i = 0; i < width; ++i) elements = (elements << 8) | byte_at(in_, 1 + i);
        header += width;
    } else {
        fail(is_refused(first) ? PackError::malformed : PackError::wrong_type);
        return 0;
    }
    if (elements < least || elements > most) {
        fail(PackError::too_large);
        return 0;
    }
    if (static_cast<std::uint64_t>(elements) * per_element > in_.size() - header) {
        fail(PackError::truncated);
        return 0;
    }
    in_.remove_prefix(header);
    return elements;
}

std::uint32_t PackReader::array(std::uint32_t least, std::uint32_t most) {
    return container(fix_array, 0xf0, array_16, 1, least, most);
}

std::uint32_t PackReader::map(std::uint32_t least, std::uint32_t most) {
    return container(fix_map, 0xf0, map_16, 2, least, most);
}

std::uint64_t PackReader::uint(std::uint64_t most) {
    Scalar value;
    if (!scalar(value)) return 0;
    if (value.object.type != MSGPACK_OBJECT_POSITIVE_INTEGER) {
        fail(PackError::wrong_type);
        return 0;
    }
    if (value.object.via.u64 > most) {
        fail(PackError::too_large);
        return 0;
    }
    return value.object.via.u64;
}

std::int64_t PackReader::sint() {
    Scalar value;
    if (!scalar(value)) return 0;
    if (value.object.type == MSGPACK_OBJECT_NEGATIVE_INTEGER) return value.object.via.i64;
    if (value.object.type != MSGPACK_OBJECT_POSITIVE_INTEGER) {
        fail(PackError::wrong_type);
        return 0;
    }
    if (value.object.via.u64 > static_cast<std::uint64_t>(INT64_MAX)) {
        fail(PackError::too_large);
        return 0;
    }
    return static_cast<std::int64_t>(value.object.via.u64);
}

bool PackReader::boolean() {
    Scalar value;
    if (!scalar(value)) return false;
    if (value.object.type != MSGPACK_OBJECT_BOOLEAN) {
        fail(PackError::wrong_type);
        return false;
    }
    return value.object.via.boolean;
}

std::string_view PackReader::str(std::size_t bytes_max) {
    Scalar value;
    if (!scalar(value)) return {};
    if (value.object.type != MSGPACK_OBJECT_STR) {
        fail(PackError::wrong_type);
        return {};
    }
    if (value.object.via.str.size > bytes_max) {
        fail(PackError::too_large);
        return {};
    }
    return {value.object.via.str.ptr, value.object.via.str.size};
}

base::ByteView PackReader::bin(std::size_t bytes_max) {
    Scalar value;
    if (!scalar(value)) return {};
    if (value.object.type != MSGPACK_OBJECT_BIN) {
        fail(PackError::wrong_type);
        return {};
    }
    if (value.object.via.bin.size > bytes_max) {
        fail(PackError::too_large);
        return {};
    }
    return {value.object.via.bin.ptr, value.object.via.bin.size};
}

base::ByteView PackReader::bin_exact(std::size_t bytes) {
    const base::ByteView view = bin(bytes);
    if (ok() && view.size() != bytes) fail(PackError::truncated);
    return ok() ? view : base::ByteView{};
}

bool PackReader::nil() {
    if (!ok() || in_.empty() || byte_at(in_, 0) != nil_byte) return false;
    in_.remove_prefix(1);
    return true;
}

// Iterative: `open[d]` is how many values are left at depth d.
void PackReader::skip(std::uint32_t values) {
    std::uint64_t open[skip_depth_max + 1] = {values};
    int depth = 0;
    while (ok() && depth >= 0) {
        if (open[depth] == 0) {
            --depth;
            continue;
        }
        --open[depth];
        if (in_.empty()) return fail(PackError::truncated);
        const std::uint8_t first = byte_at(in_, 0);
        if (!is_container(first)) {
            Scalar ignored;
            scalar(ignored);
            continue;
        }
        const bool is_map = (first & 0xf0) == fix_map || first >= map_16;
        const std::uint64_t inside = is_map ? 2ULL * map(0, UINT32_MAX) : array(0, UINT32_MAX);
        if (!ok()) return;
        if (depth == skip_depth_max) return fail(PackError::too_large);
        open[++depth] = inside;
    }
}

}  // namespace routing::peer
