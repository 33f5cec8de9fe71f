// event_page(): a window of events in pages, each found by where the one before it ended.
//
// A page begins by timestamp, as every window does, and leaves out the rows of that timestamp that were given already: on one cut the order of rows is
// always the same. It costs what the page and those rows cost, wherever it lies.
// Thread rule: pure functions.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "query/cut.h"
#include "query/engine.h"
#include "query/result.h"

namespace k2 {

/// Where a page ended: its last row's place in the order of rows.
struct PageEnd {
  TimestampUs timestamp;
  std::string topic;
  int32_t partition = 0;
  int64_t offset = 0;
  int64_t rows_at_timestamp = 0;  // rows of that timestamp that were given, the last one included

  bool operator==(const PageEnd&) const = default;
};

struct EventPage {
  std::unique_ptr<QueryResult> rows;
  std::optional<PageEnd> end;  // none: there are no more rows
};

/// At most `size` rows of `query` (whose limit is not looked at), those after `after`. InvalidInput: `after` is no row of this query on this cut.
/// Other errors as Engine::events().
[[nodiscard]] Result<EventPage> event_page(Engine& engine, EventQuery query, int64_t size, const std::optional<PageEnd>& after,
                                           const Cut& cut, const QueryLimits& limits);

/// What a snapshot holds, as a cut of one table: the log up to the snapshot's offsets.
struct SnapshotCut {
  Channel channel = Channel::kTrades;
  Cut cut;
};

/// Looks for the snapshot among those of trades and quotes. nullopt: it is in neither. InvalidInput: it carries no offsets (another engine wrote it).
[[nodiscard]] Result<std::optional<SnapshotCut>> snapshot_cut(Engine& engine, SnapshotId id);

}  // namespace k2
