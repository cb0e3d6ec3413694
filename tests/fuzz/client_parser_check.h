// The one law of the client parser and session: how the input is cut does not matter, nor whether publishes are looked
// at one by one or several at once.  Used by the fuzz harness, the
// replay and the unit tests.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "compat/nats_parser.h"
#include "routing/base/bytes.h"

namespace compat {

/// Settings that change what a parser accepts.
struct ParserCheckOptions {
    bool headers_allowed = true;  ///< parser_trace only; in a session the CONNECT decides
    bool pedantic = false;        ///< parser_trace only
    bool mappings = false;        ///< session_trace only: some
    std::uint32_t payload_bytes_max = 1 << 20;
    std::uint32_t control_line_bytes_max = 4096;
    std::size_t look_ahead = 0;       ///< before each step, so many publishes are looked at together; 0: never
    std::size_t look_ahead_take = 1;  ///< and at most so many of them taken
};

/// Feeds `input` in pieces and writes down, one line an entry, every event and at last how it ended.
/// `next_piece(left)` says how large the next piece is (1 to left; 0 counts as 1).  Every piece is an allocation of its
/// own and gone before the next, so that a sanitizer sees any view that outlives its bytes.
std::string parser_trace(base::ByteView input, const ParserCheckOptions& options,
                         const std::function<std::size_t(std::size_t left)>& next_piece);

/// The trace of the whole input in one piece.
std::string parser_trace(base::ByteView input, const ParserCheckOptions& options);

/// The same for a whole session: what its shard is told, and every byte that it says to the client.
std::string session_trace(base::ByteView input, const ParserCheckOptions& options,
                          const std::function<std::size_t(std::size_t left)>& next_piece);

}  // namespace compat
