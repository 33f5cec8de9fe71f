#include <utility>

#include "table/avro_file.h"
#include "table/manifest.h"

namespace k2 {
namespace {

std::unexpected<Error> corrupt(const std::string& path, const std::string& what) {
  return make_error(ErrorKind::kCorrupt, path + ": " + what);
}

std::optional<int64_t> get_long(const AvroValue& record, int id) {
  const AvroValue* const value = record.field(id);
  if (!value || (value->kind != AvroValue::Kind::kInteger && value->kind != AvroValue::Kind::kBoolean)) return std::nullopt;
  return value->integer;
}

std::optional<std::string> get_text(const AvroValue& record, int id) {
  const AvroValue* const value = record.field(id);
  if (!value || value->kind != AvroValue::Kind::kBytes) return std::nullopt;
  return value->bytes;
}

// A map by field id: a list of (key, value) records.
template <class Value>
std::map<int, Value> get_map(const AvroValue& record, int id, Value AvroValue::* member) {
  std::map<int, Value> map;
  const AvroValue* const list = record.field(id);
  if (!list) return map;
  for (const AvroValue& item : list->items)
    if (item.items.size() == 2) map[static_cast<int>(item.items[0].integer)] = item.items[1].*member;
  return map;
}

// Field ids of the specification's tables "Manifest entry fields" and "data_file".
Result<DataFile> read_data_file(const AvroValue& record, const std::string& path) {
  DataFile file;
  const auto file_path = get_text(record, 100);
  const auto records = get_long(record, 103);
  const auto size = get_long(record, 104);
  if (!file_path || !records || !size || *records < 0 || *size < 0)
    return corrupt(path, "has an entry without file_path, record_count or file_size_in_bytes");
  file.content = static_cast<int>(get_long(record, 134).value_or(0));
  file.file_path = *file_path;
  file.file_format = get_text(record, 101).value_or("PARQUET");
  file.record_count = *records;
  file.file_size_in_bytes = *size;
  if (const AvroValue* const partition = record.field(102)) {
    if (const auto day = get_long(*partition, kDayFieldId)) file.day = static_cast<int32_t>(*day);
    file.exchange = get_text(*partition, kExchangeFieldId);
  }
  file.column_sizes = get_map(record, 108, &AvroValue::integer);
  file.value_counts = get_map(record, 109, &AvroValue::integer);
  file.null_value_counts = get_map(record, 110, &AvroValue::integer);
  file.lower_bounds = get_map(record, 125, &AvroValue::bytes);
  file.upper_bounds = get_map(record, 128, &AvroValue::bytes);
  if (const AvroValue* const splits = record.field(132))
    for (const AvroValue& split : splits->items) file.split_offsets.push_back(split.integer);
  if (const auto order = get_long(record, 140)) file.sort_order_id = static_cast<int>(*order);
  return file;
}

// "Manifest list", fields 500 to 519.
Result<ManifestFile> read_manifest_file(const AvroValue& record, const std::string& path) {
  ManifestFile manifest;
  const auto manifest_path = get_text(record, 500);
  const auto length = get_long(record, 501);
  if (!manifest_path || !length) return corrupt(path, "has an entry without manifest_path or manifest_length");
  const auto number = [&](int id) { return get_long(record, id).value_or(0); };
  manifest.manifest_path = *manifest_path;
  manifest.manifest_length = *length;
  manifest.partition_spec_id = static_cast<int>(number(502));
  manifest.content = static_cast<int>(number(517));
  manifest.sequence_number = number(515);
  manifest.min_sequence_number = number(516);
  manifest.added_snapshot_id = number(503);
  manifest.added_files_count = static_cast<int>(number(504));
  manifest.existing_files_count = static_cast<int>(number(505));
  manifest.deleted_files_count = static_cast<int>(number(506));
  manifest.added_rows_count = number(512);
  manifest.existing_rows_count = number(513);
  manifest.deleted_rows_count = number(514);
  if (const AvroValue* const partitions = record.field(507)) {
    for (const AvroValue& item : partitions->items) {
      FieldSummary summary;
      summary.contains_null = get_long(item, 509).value_or(0) != 0;
      if (const auto nan = get_long(item, 518)) summary.contains_nan = *nan != 0;
      summary.lower_bound = get_text(item, 510);
      summary.upper_bound = get_text(item, 511);
      manifest.partitions.push_back(std::move(summary));
    }
  }
  return manifest;
}

Result<AvroFile> read_named(const std::string& bytes, const std::string& path) {
  auto file = read_avro_file(bytes);
  if (!file) return std::unexpected(file.error().with_context(path));
  return file;
}

}  // namespace

Result<std::vector<ManifestEntry>> read_manifest(const std::string& bytes, const std::string& path) {
  K2_TRY(const AvroFile file, read_named(bytes, path));
  std::vector<ManifestEntry> entries;
  entries.reserve(file.records.size());
  for (const AvroValue& record : file.records) {
    const auto status = get_long(record, 0);
    const AvroValue* const data_file = record.field(2);
    if (!status || *status < 0 || *status > 2 || !data_file) return corrupt(path, "has an entry without status or data_file");
    K2_TRY(DataFile read, read_data_file(*data_file, path));
    entries.push_back({static_cast<EntryStatus>(*status), get_long(record, 1), get_long(record, 3), get_long(record, 4), std::move(read)});
  }
  return entries;
}

Result<std::vector<ManifestFile>> read_manifest_list(const std::string& bytes, const std::string& path) {
  K2_TRY(const AvroFile file, read_named(bytes, path));
  std::vector<ManifestFile> manifests;
  for (const AvroValue& record : file.records) {
    K2_TRY(ManifestFile manifest, read_manifest_file(record, path));
    manifests.push_back(std::move(manifest));
  }
  return manifests;
}

}  // namespace k2
