// MessagePack for control and definition frames: a writer that appends and a reader that is pulled.
// Made for hostile input: nothing is allocated while reading, a container that claims more elements than bytes are left
// is refused at its header, and the first error sticks, so that a caller reads a whole struct and asks once.
//
//     PackWriter(out).array(2).uint(7).str("a");
//     PackReader in(body);
//     if (in.array(2, 2) ...; const auto n = in.uint(); const auto s = in.str(64); if (!in.ok()) return error;
//
// Scalars are packed and unpacked by msgpack-c; container headers are read here, since msgpack-c would allocate a whole
// container by its declared size.  Leaves to others: what the frames mean.
#pragma once

#include <cstdint>
#include <string_view>

#include "routing/base/bytes.h"

namespace routing::peer {

/// Appends MessagePack values to `out`, which must outlive the writer.  Errors: none.
class PackWriter {
  public:
    explicit PackWriter(base::Bytes& out) : out_(&out) {}

    PackWriter& array(std::size_t elements);  ///< as many values must follow
    PackWriter& map(std::size_t pairs);       ///< as many keys, each with its value, must follow
    PackWriter& uint(std::uint64_t value);
    PackWriter& sint(std::int64_t value);
    PackWriter& boolean(bool value);
    PackWriter& str(std::string_view text);
    PackWriter& bin(base::ByteView bytes);
    PackWriter& nil();

  private:
    base::Bytes* out_;
};

enum class PackError : std::uint8_t {
    none,
    truncated,   ///< the bytes end within a value, or a container claims more elements than bytes are left
    wrong_type,  ///< another type than the one asked for
    too_large,   ///< a number, string or container above the caller's limit, or nesting above skip_depth_max
    malformed,   ///< no MessagePack, or an extension type
};
[[nodiscard]] std::string_view describe(PackError error);

/// Reads MessagePack values off a view, front to back.  After the first error every call gives 0, false or an empty
/// view, and ok() is false.  Borrows: views returned point into the input.
class PackReader {
  public:
    /// Deepest nesting that skip() walks.  Unit: containers.
    static constexpr int skip_depth_max = 16;

    explicit PackReader(base::ByteView in) : in_(in) {}

    /// An array's header: how many elements follow.  Error: fewer than `least` or more than `most`.
    std::uint32_t array(std::uint32_t least, std::uint32_t most);
    /// A map's header: how many pairs follow.
    std::uint32_t map(std::uint32_t least, std::uint32_t most);
    std::uint64_t uint(std::uint64_t most = UINT64_MAX);
    std::int64_t sint();
    bool boolean();
    std::string_view str(std::size_t bytes_max);
    base::ByteView bin(std::size_t bytes_max);
    /// As bin, of exactly `bytes` bytes.
    base::ByteView bin_exact(std::size_t bytes);
    /// True, and the value is consumed, if the next value is nil.
    bool nil();
    /// Passes over `values` whole values of any kind (what a newer version added).
    void skip(std::uint32_t values = 1);

    [[nodiscard]] bool ok() const { return error_ == PackError::none; }
    [[nodiscard]] PackError error() const { return error_; }
    /// ok, and nothing is left.
    [[nodiscard]] bool finished() const { return ok() && in_.empty(); }
    [[nodiscard]] base::ByteView rest() const { return in_; }
    /// Ends the reading with an error of the caller's finding (a value out of its range).
    void fail(PackError error) {
        if (error_ == PackError::none) error_ = error;
    }

  private:
    struct Scalar;
    bool scalar(Scalar& out);
    std::uint32_t container(std::uint8_t fix, std::uint8_t fix_mask, std::uint8_t wide, std::uint32_t per_element,
                            std::uint32_t least, std::uint32_t most);

    base::ByteView in_;
    PackError error_ = PackError::none;
};

}  // namespace routing::peer
