// Cut: what one read sees. One snapshot per table and the log's end offsets, taken once, before anything is read.
//
// The rows of a cut are, exactly: every record of the table's channel whose log offset lies below the cut's end offset of its
// partition. That is a statement about the log alone, so it stays true whatever the tables do afterwards. The snapshots only say where
// the rows lie: the table gives those below the snapshot's committed offsets, the log those from there to the end.
//
// Taking one (Engine::cut) loads the snapshots first and asks the log for its end last. The order matters:
//   - A commit only takes records that are durable, and the log's end never goes back. So an end that is read after the snapshot is at
//     or above the snapshot's offsets in every partition, and the tail [offsets, end) is never negative.
//   - The end offsets are taken at one moment over all topics, so the tables of one cut agree with each other however far apart their
//     last commits are.
//   - The log is trimmed only below what the tables have committed by then, which may be more than this snapshot's offsets if a commit came
//     between. Reading the tail then says NotFound, and never skips. The same rows are then read through a newer snapshot, restricted
//     to offsets below the cut's end.
// A read token is a cut as text; docs/formats/read-token.md. It holds for as long as the log's id does and the rows are in a snapshot or in the log.
// Thread rule: values and pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "log/log.h"
#include "market/event.h"
#include "market/offsets.h"
#include "table/lake.h"

namespace k2 {

/// The snapshot of one table that a cut was taken on.
struct TableCut {
  std::string table;  // "trades_v2"
  std::optional<SnapshotId> snapshot;  // none: the table had no snapshot yet

  bool operator==(const TableCut&) const = default;
};

struct Cut {
  LogId log_id;
  Offsets end;  // next offset of every partition of the log; an absent one stands at 0
  std::vector<TableCut> tables;  // trades_v2, quotes_v2, coverage

  bool operator==(const Cut&) const = default;

  /// nullptr where the cut does not have that table.
  [[nodiscard]] const TableCut* find(std::string_view table) const;
};

/// The cut as an opaque text of [A-Za-z0-9_-]; the same text for equal cuts.
[[nodiscard]] std::string read_token(const Cut& cut);
inline constexpr size_t kReadTokenBytesMax = 64 << 10;

/// Reads that text. InvalidInput for anything that read_token() does not write: other letters, a wrong checksum, another version.
[[nodiscard]] Result<Cut> parse_read_token(std::string_view token);

/// The part of `offsets` that belongs to topics of `channel` (market/event.h, topic_channel).
[[nodiscard]] Offsets offsets_of_channel(const Offsets& offsets, Channel channel);

}  // namespace k2
