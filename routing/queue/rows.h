// The rows of the tables, as bytes.  Pure; the one place that knows keys and values.  (Integers varint unless said,
// "text" is length, bytes; be64 is eight bytes big-endian, so that keys sort as numbers.)
//
//     table       key                                                   value
//     meta        "format"                                              version
//     meta        "origin_trimmed"                                      first position that may still be in the origin
//     log meta        "local_trimmed"                                       the same of the local log runs        first
//     position be64                                   run u64 LE targets     gateway id last | floor segments    first
//     position be64                                   last | bytes | pages | count, (id, newest, records) watermarks
//     origin id, run be64                                   position | order losses      number be64 origin id | after
//     | up to readers     reader id be64                                        account | queue | client | sid | count,
//     filters cursors     reader id be64                                        position remembered  gateway id,
//     account text, filter text, queue text     weight
#pragma once

#include <string_view>

#include "routing/base/bytes.h"
#include "routing/queue/queue_store.h"
#include "routing/queue/recovery.h"

namespace routing::queue {

inline constexpr std::uint64_t format_version = 1;

[[nodiscard]] RowWrite format_row();
[[nodiscard]] RowWrite trimmed_row(LogId log, Position before);
[[nodiscard]] RowWrite run_row(const RunStart& start);
[[nodiscard]] RowWrite target_row(const RecoveredTarget& target);
[[nodiscard]] RowWrite segment_row(const Segment& segment);
[[nodiscard]] RowWrite watermark_row(const RecoveredWatermark& watermark);
[[nodiscard]] RowWrite loss_row(const RecoveredLoss& loss);
/// Without the cursor, which has a row of its own.
[[nodiscard]] RowWrite reader_row(const RecoveredReader& reader);
[[nodiscard]] RowWrite cursor_row(std::uint64_t reader, Position cursor);
/// Weight 0 takes the row away.
[[nodiscard]] RowWrite remembered_row(const RememberedInterest& interest);
/// The row that takes `row` away.
[[nodiscard]] RowWrite erased(RowWrite row);

/// Reads all tables into `state`.  Errors: false if a row is not one of the above, or of another format version.
[[nodiscard]] bool read_rows(const StoredRows& rows, RecoveredState& state);

}  // namespace routing::queue
