// The order of rows in data files: which file each row goes to, sorted by symbol and time within; and batches in that order.
//
// Thread rule: order_rows() is pure; a RowPicker one thread at a time. Internal to the table folder.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "market/columns.h"

namespace arrow {
class RecordBatch;
}

namespace k2 {

/// Rows of one data file: a range of RowOrder::rows.
struct Part {
  std::optional<int32_t> day;           // nullopt where the table has no partitions
  std::optional<std::string> exchange;
  size_t begin = 0, end = 0;
};

/// Positions in the input, in the order in which the rows will be stored, and how they fall into files: by (day, exchange), then by symbol,
/// timestamp, and the order given. Tables without those columns keep the order given.
struct RowOrder {
  std::vector<int32_t> rows;
  std::vector<Part> parts;
};

/// At most 2^31 - 1 rows, in the table's columns.
[[nodiscard]] RowOrder order_rows(const TableSpec& table, const arrow::RecordBatch& rows);

/// Picks rows of a batch. Memory is used again from one pick to the next: fresh pages would cost more than the copying.
class RowPicker {
 public:
  explicit RowPicker(std::shared_ptr<arrow::RecordBatch> batch);
  ~RowPicker();
  RowPicker(const RowPicker&) = delete;
  RowPicker& operator=(const RowPicker&) = delete;

  /// The rows at these positions (at least one), in this order; valid until the next pick. Unavailable: out of memory.
  [[nodiscard]] Result<std::shared_ptr<arrow::RecordBatch>> pick(std::span<const int32_t> rows);

 private:
  struct Column;

  std::shared_ptr<arrow::RecordBatch> batch_;
  std::vector<Column> columns_;
};

}  // namespace k2
