// CellTexts: the cells of one record batch as text, by hand, because it runs once per cell. Private to query/.
//
// Thread rule: one thread at a time; the batch outlives it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace arrow {
class Array;
class RecordBatch;
}  // namespace arrow

namespace k2 {

class CellTexts {
 public:
  CellTexts(const arrow::RecordBatch& batch, bool integer_times);
  ~CellTexts();
  CellTexts(const CellTexts&) = delete;
  CellTexts& operator=(const CellTexts&) = delete;

  /// Appends {"name":value,...}. Decimals and times are strings (integer times numbers), text of a vendor_data column goes in as the JSON object it is.
  void append_json_object(int64_t row, std::string& out) const;

  /// Appends the cell as plain text, without quotes; a list or a struct as JSON. False, and nothing appended, where it is null.
  bool append_plain(int column, int64_t row, std::string& out) const;

 private:
  struct Column;
  std::vector<Column> columns_;
};

/// Whether `text` is a JSON object (RFC 8259), so that it may stand in other JSON as it is.
[[nodiscard]] bool is_json_object(std::string_view text);

}  // namespace k2
