// PgRows: rows of an answer in PostgreSQL's formats, text and binary. docs/formats/pgwire.md has the types.
//
// Thread rule: pure functions.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace k2 {

/// A column as PostgreSQL describes it.
struct PgColumn {
  std::string name;
  int32_t oid = 25;  // of pg_type: text
  int16_t size = -1;  // bytes; -1: varies
  int32_t modifier = -1;  // numeric: ((precision << 16) | scale) + 4
};

enum class PgFormat : int16_t { kText = 0, kBinary = 1 };

[[nodiscard]] std::vector<PgColumn> pg_columns(const arrow::Schema& schema);

[[nodiscard]] int64_t pg_row_count(const arrow::RecordBatch& batch);

/// Appends DataRow messages ("D", length, number of columns, each with its length and bytes) for the rows [from, to) of `batch`. `formats`: one for each column.
void append_pg_rows(const arrow::RecordBatch& batch, int64_t from, int64_t to, std::span<const PgFormat> formats, std::string& out);

/// PostgreSQL's oid of a type that DuckDB calls so ("DECIMAL(18,8)"); 25 (text) where there is none like it.
[[nodiscard]] int32_t pg_oid_of(std::string_view sql_type);

/// A parameter as its client sent it, as text that DuckDB reads: binary is decoded by `oid`. InvalidInput: of a type that has no binary form here, or of the
/// wrong length.
[[nodiscard]] Result<std::string> pg_parameter_text(int32_t oid, PgFormat format, std::string_view bytes);

/// The type that a parameter of this oid, with that text, is declared as in SQL; empty: whatever its place wants.
[[nodiscard]] std::string pg_parameter_type(int32_t oid, std::string_view text);

}  // namespace k2
