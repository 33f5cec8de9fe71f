// Manifests and manifest lists: the Avro files between a snapshot and its data files (Iceberg spec, "Manifests" and "Manifest Lists", v2).
//
// Written and read by avro_file.h, because Iceberg's fields are known by ids in the Avro schema, which avro-c drops; read by those ids, whoever wrote
// them. Pure functions over bytes; internal to the table folder.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace k2 {

/// Field ids of the partition tuple: day(timestamp), identity(exchange).
inline constexpr int kDayFieldId = 1000;
inline constexpr int kExchangeFieldId = 1001;

enum class EntryStatus : int { kExisting = 0, kAdded = 1, kDeleted = 2 };

/// Iceberg's data_file: one Parquet file and what is known of it. Maps are by field id; bounds are in the spec's single-value serialization.
struct DataFile {
  int content = 0;  // 0 data, 1 position deletes, 2 equality deletes
  std::string file_path;  // URI
  std::string file_format = "PARQUET";
  std::optional<int32_t> day;  // partition tuple (timestamp_day, exchange); absent in tables without partitions
  std::optional<std::string> exchange;
  int64_t record_count = 0;
  int64_t file_size_in_bytes = 0;
  std::map<int, int64_t> column_sizes;
  std::map<int, int64_t> value_counts;
  std::map<int, int64_t> null_value_counts;
  std::map<int, std::string> lower_bounds;
  std::map<int, std::string> upper_bounds;
  std::vector<int64_t> split_offsets;
  std::optional<int> sort_order_id;
};

struct ManifestEntry {
  EntryStatus status = EntryStatus::kAdded;
  std::optional<int64_t> snapshot_id;  // absent: inherited from the manifest list's entry
  std::optional<int64_t> sequence_number;  // likewise
  std::optional<int64_t> file_sequence_number;
  DataFile file;
};

struct FieldSummary {
  bool contains_null = false;
  std::optional<bool> contains_nan;
  std::optional<std::string> lower_bound;
  std::optional<std::string> upper_bound;
};

/// One line of a manifest list.
struct ManifestFile {
  std::string manifest_path;  // URI
  int64_t manifest_length = 0;
  int partition_spec_id = 0;
  int content = 0;  // 0 data, 1 deletes
  int64_t sequence_number = 0;
  int64_t min_sequence_number = 0;
  int64_t added_snapshot_id = 0;
  int added_files_count = 0, existing_files_count = 0, deleted_files_count = 0;
  int64_t added_rows_count = 0, existing_rows_count = 0, deleted_rows_count = 0;
  std::vector<FieldSummary> partitions;
};

/// What a manifest's header repeats of its table.
struct ManifestHeader {
  std::string schema_json;
  std::string partition_fields_json;  // the spec's "fields" list
  int partition_spec_id = 0;
  bool partitioned = true;  // by (timestamp_day, exchange)
};

[[nodiscard]] std::string write_manifest(const ManifestHeader& header, const std::vector<ManifestEntry>& entries);
/// `path` is for messages. Corrupt: not a manifest, or cut short.
[[nodiscard]] Result<std::vector<ManifestEntry>> read_manifest(const std::string& bytes, const std::string& path);

[[nodiscard]] std::string write_manifest_list(int64_t snapshot_id, std::optional<int64_t> parent_snapshot_id, int64_t sequence_number,
                                              const std::vector<ManifestFile>& manifests);
[[nodiscard]] Result<std::vector<ManifestFile>> read_manifest_list(const std::string& bytes, const std::string& path);

/// The manifest list's line for a manifest of these entries; path and length are the caller's.
[[nodiscard]] ManifestFile summarize_manifest(const std::vector<ManifestEntry>& entries, int64_t snapshot_id, int64_t sequence_number,
                                              bool partitioned);

// Single-value serialization (spec Appendix D).
[[nodiscard]] std::string int_bound(int32_t value);
[[nodiscard]] std::string long_bound(int64_t value);  // long, timestamptz
[[nodiscard]] std::string decimal_bound(int64_t unscaled);  // big-endian two's complement, as few bytes as hold it
[[nodiscard]] std::string string_lower_bound(std::string_view value);
/// nullopt where no short string is known to be at or above `value`.
[[nodiscard]] std::optional<std::string> string_upper_bound(std::string_view value);
[[nodiscard]] std::optional<int64_t> read_long_bound(std::string_view bytes);

}  // namespace k2
