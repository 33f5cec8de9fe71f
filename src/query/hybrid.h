// HybridReader: takes cuts, and finds for each table where the rows of a cut lie now. Private to query/.
//
// Thread rule: any thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "market/columns.h"
#include "query/cut.h"
#include "query/tail.h"
#include "table/lake.h"

namespace k2 {

/// The rows of one table in a cut: those of the snapshot's files that pass `condition`, and the pieces.
struct TableView {
  std::shared_ptr<const TableState> state;
  std::string condition;          // SQL; empty: all rows of the files
  std::vector<TailPiece> pieces;  // rows of the log that the snapshot lacks
  HotTail* tail = nullptr;        // loads the pieces
  int64_t table_rows = 0;         // of the files, that are in the cut
  int64_t log_rows = 0;           // of the pieces
};

class HybridReader {
 public:
  HybridReader(Lake& lake, const Log& log, const SchemaStore& schemas, const HotTailOptions& options);

  /// Engine::cut().
  [[nodiscard]] Result<Cut> take();
  /// Engine::cut_of().
  [[nodiscard]] Result<Cut> cut_of(std::string_view token) const;

  /// NotFound: the rows are neither in a snapshot nor in the log any more, or the cut does not have the table.
  [[nodiscard]] Result<TableView> view(const Cut& cut, const TableSpec& table);

  /// Of a table that a channel goes into.
  [[nodiscard]] HotTail& tail_of(const TableSpec& table);

 private:
  [[nodiscard]] Result<std::shared_ptr<const TableState>> state_of(const TableCut& cut);
  [[nodiscard]] Result<std::shared_ptr<const TableState>> current(std::string_view table);
  [[nodiscard]] Result<TableView> view_through(std::shared_ptr<const TableState> state, const Cut& cut, const TableSpec& table);
  void remember(const std::shared_ptr<const TableState>& state);

  Lake& lake_;
  const Log& log_;
  std::vector<std::unique_ptr<HotTail>> tails_;  // by channel
  std::mutex mutex_;
  std::map<std::pair<std::string, SnapshotId>, std::shared_ptr<const TableState>> states_;  // the newest kStatesMax looked at
  std::vector<std::pair<std::string, SnapshotId>> states_order_;
};

}  // namespace k2
