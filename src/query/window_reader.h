// WindowReader: reads the few rows of a data file that a filter wants, by Parquet's page index, without reading the rest.
//
// Our files are sorted by symbol and time, so a window of one symbol is one run of rows: the pages of that run are read and decoded, and
// nothing else. Files of other writers are read as well where their columns have the same physical types and a page index; where not, or where the window is
// too large to be held in memory, the reader says so and the caller asks DuckDB.
// Footers and indexes of the newest kFilesMax files stay in memory; data files never change.
// Private to query/. Thread rule: any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "market/columns.h"
#include "query/engine.h"
#include "query/tail_scan.h"
#include "table/lake.h"

namespace k2 {

/// Rows of one source: those listed of a batch, ascending; nullopt: all of them. The batch has at least the columns asked for, by the table's names and types.
struct SelectedRows {
  std::shared_ptr<arrow::RecordBatch> batch;
  std::optional<std::vector<int32_t>> rows;
};

/// Only so many rows are wanted, the first in an order by timestamp. A reader may leave out whatever cannot be among them; of rows with the
/// last wanted timestamp it leaves out none.
struct FirstRows {
  int64_t limit = 0;
  EventOrder order = EventOrder::kOldestFirst;
};

struct WindowRequest {
  const TableSpec& table;
  std::vector<std::string_view> columns;  // of the table; symbol, exchange and timestamp are read anyway
  RowFilter filter;
  int64_t rows_max = 0;  // of the pages to be read, over all files
  std::optional<FirstRows> first = std::nullopt;
  int threads = 1;  // that decode, at most
};

class WindowReader {
 public:
  static constexpr size_t kFilesMax = 256;  // each holds a file descriptor

  WindowReader();
  ~WindowReader();
  WindowReader(const WindowReader&) = delete;
  WindowReader& operator=(const WindowReader&) = delete;

  /// The rows of `files` that pass. nullopt: not for this reader (more than rows_max, another physical layout, or anything it does not understand).
  /// With request.first: those that can be among the first rows of `files` and `others` together; `others` have been read already.
  /// `check` is asked now and then, perhaps from several threads; its error ends the reading and is passed on.
  [[nodiscard]] Result<std::optional<std::vector<SelectedRows>>> read(std::span<const DataFileInfo> files, const WindowRequest& request,
                                                                      const std::function<Status()>& check,
                                                                      std::span<const SelectedRows> others = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace k2
