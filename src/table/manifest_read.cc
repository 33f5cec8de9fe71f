#include <avro.h>
#include <stdio.h>

#include <memory>

#include "table/manifest.h"

namespace k2 {
namespace {

std::unexpected<Error> corrupt(const std::string& path, const std::string& what) {
  return make_error(ErrorKind::kCorrupt, path + ": " + what);
}

// The value behind a ["null", T] union, or the value itself where the writer's schema has no union. False: null or no such field.
bool present(const avro_value_t& record, const char* name, avro_value_t* out) {
  avro_value_t value;
  if (avro_value_get_by_name(&record, name, &value, nullptr) != 0) return false;
  if (avro_value_get_type(&value) == AVRO_UNION) {
    avro_value_t branch;
    if (avro_value_get_current_branch(&value, &branch) != 0) return false;
    value = branch;
  }
  if (avro_value_get_type(&value) == AVRO_NULL) return false;
  *out = value;
  return true;
}

std::optional<int64_t> as_long(const avro_value_t& value) {
  if (avro_value_get_type(&value) == AVRO_INT32) {
    int32_t number = 0;
    avro_value_get_int(&value, &number);
    return number;
  }
  if (avro_value_get_type(&value) != AVRO_INT64) return std::nullopt;
  int64_t number = 0;
  avro_value_get_long(&value, &number);
  return number;
}

std::optional<std::string> as_text(const avro_value_t& value) {
  const void* data = nullptr;
  size_t size = 0;
  if (avro_value_get_type(&value) == AVRO_STRING) {
    const char* text = nullptr;
    avro_value_get_string(&value, &text, &size);
    return std::string(text, size - 1);  // avro-c counts the terminating zero
  }
  if (avro_value_get_type(&value) != AVRO_BYTES) return std::nullopt;
  avro_value_get_bytes(&value, &data, &size);
  return std::string(static_cast<const char*>(data), size);
}

std::optional<int64_t> get_long(const avro_value_t& record, const char* name) {
  avro_value_t value;
  return present(record, name, &value) ? as_long(value) : std::nullopt;
}
std::optional<std::string> get_text(const avro_value_t& record, const char* name) {
  avro_value_t value;
  return present(record, name, &value) ? as_text(value) : std::nullopt;
}

template <class Visit>
void for_each(const avro_value_t& array, Visit visit) {
  size_t count = 0;
  if (avro_value_get_type(&array) != AVRO_ARRAY || avro_value_get_size(&array, &count) != 0) return;
  for (size_t i = 0; i < count; ++i) {
    avro_value_t item;
    if (avro_value_get_by_index(&array, i, &item, nullptr) == 0) visit(item);
  }
}

std::map<int, int64_t> get_long_map(const avro_value_t& record, const char* name) {
  std::map<int, int64_t> map;
  avro_value_t array;
  if (present(record, name, &array))
    for_each(array, [&](const avro_value_t& item) { map[static_cast<int>(get_long(item, "key").value_or(0))] = get_long(item, "value").value_or(0); });
  return map;
}
std::map<int, std::string> get_text_map(const avro_value_t& record, const char* name) {
  std::map<int, std::string> map;
  avro_value_t array;
  if (present(record, name, &array))
    for_each(array, [&](const avro_value_t& item) { map[static_cast<int>(get_long(item, "key").value_or(0))] = get_text(item, "value").value_or(""); });
  return map;
}

// Reads every record of an object container file and hands it to `visit`, which returns a Status.
template <class Visit>
Status for_each_record(const std::string& bytes, const std::string& path, Visit visit) {
  const std::unique_ptr<FILE, int (*)(FILE*)> stream(fmemopen(const_cast<char*>(bytes.data()), bytes.size(), "rb"), &fclose);
  if (!stream) return corrupt(path, "is empty");
  avro_file_reader_t raw_reader = nullptr;
  if (avro_file_reader_fp(stream.get(), path.c_str(), 0, &raw_reader) != 0)
    return corrupt(path, std::string("is not an Avro file: ") + avro_strerror());
  const std::unique_ptr<std::remove_pointer_t<avro_file_reader_t>, int (*)(avro_file_reader_t)> reader(raw_reader, &avro_file_reader_close);
  const auto schema = avro_file_reader_get_writer_schema(reader.get());
  avro_value_iface_t* const value_class = avro_generic_class_from_schema(schema);
  avro_value_t record;
  avro_generic_value_new(value_class, &record);
  Status status;
  int read = 0;
  while (status && (read = avro_file_reader_read_value(reader.get(), &record)) == 0) {
    status = visit(record);
    avro_value_reset(&record);
  }
  avro_value_decref(&record);
  avro_value_iface_decref(value_class);
  avro_schema_decref(schema);
  if (status && read != EOF) return corrupt(path, std::string("is cut short or damaged: ") + avro_strerror());
  return status;
}

Result<DataFile> read_data_file(const avro_value_t& record, const std::string& path) {
  DataFile file;
  const auto file_path = get_text(record, "file_path");
  const auto records = get_long(record, "record_count");
  const auto size = get_long(record, "file_size_in_bytes");
  if (!file_path || !records || !size) return corrupt(path, "has an entry without file_path, record_count or file_size_in_bytes");
  file.content = static_cast<int>(get_long(record, "content").value_or(0));
  file.file_path = *file_path;
  file.file_format = get_text(record, "file_format").value_or("PARQUET");
  file.record_count = *records;
  file.file_size_in_bytes = *size;
  avro_value_t partition;
  if (present(record, "partition", &partition)) {
    if (const auto day = get_long(partition, "timestamp_day")) file.day = static_cast<int32_t>(*day);
    file.exchange = get_text(partition, "exchange");
  }
  file.column_sizes = get_long_map(record, "column_sizes");
  file.value_counts = get_long_map(record, "value_counts");
  file.null_value_counts = get_long_map(record, "null_value_counts");
  file.lower_bounds = get_text_map(record, "lower_bounds");
  file.upper_bounds = get_text_map(record, "upper_bounds");
  avro_value_t splits;
  if (present(record, "split_offsets", &splits))
    for_each(splits, [&](const avro_value_t& item) { file.split_offsets.push_back(as_long(item).value_or(0)); });
  if (const auto order = get_long(record, "sort_order_id")) file.sort_order_id = static_cast<int>(*order);
  return file;
}

FieldSummary read_field_summary(const avro_value_t& item) {
  FieldSummary summary;
  avro_value_t value;
  int flag = 0;
  if (present(item, "contains_null", &value) && avro_value_get_boolean(&value, &flag) == 0) summary.contains_null = flag != 0;
  if (present(item, "contains_nan", &value) && avro_value_get_boolean(&value, &flag) == 0) summary.contains_nan = flag != 0;
  summary.lower_bound = get_text(item, "lower_bound");
  summary.upper_bound = get_text(item, "upper_bound");
  return summary;
}

}  // namespace

Result<std::vector<ManifestEntry>> read_manifest(const std::string& bytes, const std::string& path) {
  std::vector<ManifestEntry> entries;
  K2_RETURN_IF_ERROR(for_each_record(bytes, path, [&](const avro_value_t& record) -> Status {
    const auto status = get_long(record, "status");
    avro_value_t data_file;
    if (!status || *status < 0 || *status > 2 || !present(record, "data_file", &data_file)) return corrupt(path, "has an entry without status or data_file");
    K2_TRY(DataFile file, read_data_file(data_file, path));
    entries.push_back({static_cast<EntryStatus>(*status), get_long(record, "snapshot_id"), get_long(record, "sequence_number"),
                       get_long(record, "file_sequence_number"), std::move(file)});
    return {};
  }));
  return entries;
}

Result<std::vector<ManifestFile>> read_manifest_list(const std::string& bytes, const std::string& path) {
  std::vector<ManifestFile> manifests;
  K2_RETURN_IF_ERROR(for_each_record(bytes, path, [&](const avro_value_t& record) -> Status {
    ManifestFile manifest;
    const auto manifest_path = get_text(record, "manifest_path");
    const auto length = get_long(record, "manifest_length");
    if (!manifest_path || !length) return corrupt(path, "has an entry without manifest_path or manifest_length");
    const auto number = [&](const char* name) { return get_long(record, name).value_or(0); };
    const auto count = [&](const char* name, const char* old_name) { return static_cast<int>(get_long(record, name).value_or(number(old_name))); };
    manifest.manifest_path = *manifest_path;
    manifest.manifest_length = *length;
    manifest.partition_spec_id = static_cast<int>(number("partition_spec_id"));
    manifest.content = static_cast<int>(number("content"));
    manifest.sequence_number = number("sequence_number");
    manifest.min_sequence_number = number("min_sequence_number");
    manifest.added_snapshot_id = number("added_snapshot_id");
    // Some writers use the names of the spec's first version.
    manifest.added_files_count = count("added_files_count", "added_data_files_count");
    manifest.existing_files_count = count("existing_files_count", "existing_data_files_count");
    manifest.deleted_files_count = count("deleted_files_count", "deleted_data_files_count");
    manifest.added_rows_count = number("added_rows_count");
    manifest.existing_rows_count = number("existing_rows_count");
    manifest.deleted_rows_count = number("deleted_rows_count");
    avro_value_t partitions;
    if (present(record, "partitions", &partitions))
      for_each(partitions, [&](const avro_value_t& item) { manifest.partitions.push_back(read_field_summary(item)); });
    manifests.push_back(std::move(manifest));
    return {};
  }));
  return manifests;
}

}  // namespace k2
