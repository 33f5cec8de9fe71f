// ordered_rows(): rows from several places as one answer in the order of rows: timestamp, then topic, partition, offset.
//
// Private to query/. Thread rule: a pure function; its result as every QueryResult.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "market/columns.h"
#include "query/engine.h"
#include "query/window_reader.h"

namespace k2 {

/// The Arrow schema of an answer with these columns of `table`: the table's types, uuid as text.
[[nodiscard]] std::shared_ptr<arrow::Schema> answer_schema(const TableSpec& table, const std::vector<std::string_view>& columns);

/// The first `limit` rows of all parts, in `order`. Every part's batch has `columns` and those of the order. `check` is asked before each batch.
[[nodiscard]] Result<std::unique_ptr<QueryResult>> ordered_rows(const TableSpec& table, std::vector<SelectedRows> parts,
                                                                std::vector<std::string_view> columns, EventOrder order,
                                                                std::optional<int64_t> limit, std::function<Status()> check);

}  // namespace k2
