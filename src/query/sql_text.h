// Pieces of SQL text. Private to query/. Thread rule: pure functions.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "market/columns.h"
#include "market/offsets.h"
#include "table/lake.h"

namespace k2 {

/// 'text' with its quotes doubled: a SQL string literal. NUL has no literal and must not be in it.
[[nodiscard]] std::string quote_text(std::string_view text);

/// ['a', 'b'].
[[nodiscard]] std::string text_list(const std::vector<std::string>& texts);

/// "a", "b": column names as a select list.
[[nodiscard]] std::string select_list(const std::vector<std::string_view>& columns);

/// Every column's name, in order.
[[nodiscard]] std::vector<std::string_view> column_names(const TableSpec& table);

/// read_parquet over exactly these files (at least one).
[[nodiscard]] std::string parquet_scan(std::span<const DataFileInfo> files);

/// A condition that holds for rows below `end`, given that the rows of a partition reach up to `have`; empty where all rows do.
[[nodiscard]] std::string below_end_condition(const Offsets& have, const Offsets& end);

}  // namespace k2
