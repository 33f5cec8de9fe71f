// The Iceberg schema, partition spec and sort order of each table (Iceberg specification v2, "Schemas and Data Types", "Partitioning", "Sorting"),
// as JSON in table metadata; made from market/columns.h.
//
// Thread rule: pure functions. Internal to the table folder.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "base/result.h"
#include "market/columns.h"

namespace k2 {

/// Field ids of partition fields begin here; day(timestamp) has it, identity(exchange) the next.
inline constexpr int32_t kFirstPartitionFieldId = 1000;
/// The sort order symbol, timestamp; 0 is Iceberg's "unsorted".
inline constexpr int32_t kSortOrderId = 1;

/// The column of that name, or nullptr.
[[nodiscard]] const Column* find_column(const TableSpec& spec, std::string_view name);

[[nodiscard]] nlohmann::json schema_json(const TableSpec& spec);
/// timestamp_day and exchange where the table is partitioned; no fields otherwise.
[[nodiscard]] nlohmann::json partition_spec_json(const TableSpec& spec);
/// Order 0, and order 1 (symbol, timestamp) where the table has those columns; the last one is the default.
[[nodiscard]] nlohmann::json sort_orders_json(const TableSpec& spec);
[[nodiscard]] int32_t last_column_id(const TableSpec& spec);

/// Whether rows of `spec` fit a table that now has this schema and partition spec: other engines may add optional columns and rename ours, but not
/// drop ours, retype them, demand more, or partition otherwise. InvalidInput says which.
[[nodiscard]] Status check_layout(const TableSpec& spec, const nlohmann::json& schema, const nlohmann::json& partition_spec);

}  // namespace k2
