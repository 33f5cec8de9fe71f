// Data files: rows as sorted Parquet files, one per partition, with the metrics that Iceberg's manifests keep.
//
// Pure: batches in, bytes out; who stores them where is the caller's. Internal to the table folder.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "market/columns.h"
#include "table/manifest.h"

namespace arrow {
class Buffer;
class RecordBatch;
}  // namespace arrow

namespace k2 {

/// A data file ready to be stored: `file` lacks only its file_path.
struct EncodedFile {
  DataFile file;
  std::shared_ptr<arrow::Buffer> bytes;
};

/// Splits the rows by partition (day(timestamp), exchange, where the table has partitions), sorts each by (symbol, timestamp, order given) where
/// the table has those columns, and encodes each as one Parquet file: zstd, field ids, page index, row groups of kRowGroupRows.
/// The batches share one schema, that of the table. InvalidInput: they do not. Unavailable: out of memory.
[[nodiscard]] Result<std::vector<EncodedFile>> encode_data_files(const TableSpec& table,
                                                                 const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches);

inline constexpr int64_t kRowGroupRows = 128 << 10;

/// What a Parquet file says of itself.
struct ParquetFooter {
  int64_t rows = 0;
  std::vector<int> field_ids;  // of its leaf columns
};
/// `path` is a local file. Corrupt: no Parquet file, or cut short. Unavailable: cannot be opened.
[[nodiscard]] Result<ParquetFooter> read_footer(const std::string& path);

/// The log coordinates of a file's rows, in the file's order.
struct LogCoordinates {
  std::vector<std::string> topics;
  std::vector<int32_t> partitions;
  std::vector<int64_t> offsets;
};
[[nodiscard]] Result<LogCoordinates> read_log_coordinates(const std::string& path);

}  // namespace k2
