// Query results as bytes: JSON, NDJSON, CSV, a table for terminals, an Arrow IPC stream, Parquet.
//
//   json     one array of objects, a line each; "[]" and a newline where there are none
//   ndjson   an object a line
//   csv      RFC 4180 with a header line and LF ends; null is empty, an empty string is ""
//   table    aligned columns for people; widths are those of the first rows
//   arrow    IPC streaming format, the columns as they are
//   parquet  zstd; uuid as text
//
// In the text forms decimals keep their full scale and are strings in JSON ("39432.48000000"); times are RFC 3339 with microseconds, or
// integers; uuid is its 36-character text. A column called vendor_data goes into JSON as the object it holds, not as a string of JSON.
// Not a number and infinities, which SQL can make, are null in JSON.
// Thread rule: pure functions; one result one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "base/result.h"
#include "query/result.h"

namespace k2 {

enum class Format : uint8_t { kJson, kNdjson, kCsv, kTable, kArrow, kParquet };

/// "json", "ndjson", "csv", "table", "arrow", "parquet".
[[nodiscard]] std::string_view format_name(Format format);
/// InvalidInput with the names that are allowed.
[[nodiscard]] Result<Format> parse_format(std::string_view name);
/// The media type of an HTTP answer: "application/json", "application/vnd.apache.arrow.stream", ...
[[nodiscard]] std::string_view media_type(Format format);

/// Takes the next bytes of the output, some tens of KiB at a time. An error of it ends the writing and is passed on.
using Sink = std::function<Status(std::string_view bytes)>;

struct FormatOptions {
  bool integer_times = false;      // microseconds since the epoch in place of RFC 3339 (text forms)
  bool header = true;              // csv, table
  int64_t table_width_rows = 500;  // table: rows that are looked at for the widths
  int64_t table_cell_max = 0;      // table: longer cells are cut, which an ellipsis shows; 0: none is
};

/// Writes all of `result` to `sink`; returns the number of rows. On an error the output is incomplete: JSON then lacks its closing bracket, Arrow
/// its end mark, Parquet its footer, so that a reader notices; the caller must make it known for ndjson and csv.
[[nodiscard]] Result<int64_t> write(QueryResult& result, Format format, const FormatOptions& options, const Sink& sink);

}  // namespace k2
