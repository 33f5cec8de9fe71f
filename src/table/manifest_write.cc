#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "table/avro_file.h"
#include "table/manifest.h"

namespace k2 {
namespace {

using nlohmann::json;

// --- Avro schemas with Iceberg's field ids ------------------------------------------------------------------------------
json field(const char* name, int id, json type) { return {{"name", name}, {"type", std::move(type)}, {"field-id", id}}; }
json optional_field(const char* name, int id, json type) {
  return {{"name", name}, {"type", json::array({"null", std::move(type)})}, {"default", nullptr}, {"field-id", id}};
}
json map_type(const char* record, int key_id, int value_id, const char* value_type) {
  json items{
      {"type", "record"}, {"name", record}, {"fields", json::array({field("key", key_id, "int"), field("value", value_id, value_type)})}};
  return {{"type", "array"}, {"items", std::move(items)}, {"logicalType", "map"}};
}

json data_file_schema(bool partitioned) {
  json partition_fields = json::array();
  if (partitioned) {
    partition_fields.push_back(optional_field("timestamp_day", kDayFieldId, {{"type", "int"}, {"logicalType", "date"}}));
    partition_fields.push_back(optional_field("exchange", kExchangeFieldId, "string"));
  }
  const json partition{{"type", "record"}, {"name", "r102"}, {"fields", std::move(partition_fields)}};
  return {{"type", "record"},
          {"name", "r2"},
          {"fields", json::array({
                         field("content", 134, "int"),
                         field("file_path", 100, "string"),
                         field("file_format", 101, "string"),
                         field("partition", 102, partition),
                         field("record_count", 103, "long"),
                         field("file_size_in_bytes", 104, "long"),
                         optional_field("column_sizes", 108, map_type("k117_v118", 117, 118, "long")),
                         optional_field("value_counts", 109, map_type("k119_v120", 119, 120, "long")),
                         optional_field("null_value_counts", 110, map_type("k121_v122", 121, 122, "long")),
                         optional_field("lower_bounds", 125, map_type("k126_v127", 126, 127, "bytes")),
                         optional_field("upper_bounds", 128, map_type("k129_v130", 129, 130, "bytes")),
                         optional_field("split_offsets", 132, {{"type", "array"}, {"items", "long"}, {"element-id", 133}}),
                         optional_field("sort_order_id", 140, "int"),
                     })}};
}

json manifest_schema(bool partitioned) {
  return {{"type", "record"},
          {"name", "manifest_entry"},
          {"fields", json::array({
                         field("status", 0, "int"),
                         optional_field("snapshot_id", 1, "long"),
                         optional_field("sequence_number", 3, "long"),
                         optional_field("file_sequence_number", 4, "long"),
                         field("data_file", 2, data_file_schema(partitioned)),
                     })}};
}

json manifest_list_schema() {
  const json summary{{"type", "record"},
                     {"name", "r508"},
                     {"fields", json::array({
                                    field("contains_null", 509, "boolean"),
                                    optional_field("contains_nan", 518, "boolean"),
                                    optional_field("lower_bound", 510, "bytes"),
                                    optional_field("upper_bound", 511, "bytes"),
                                })}};
  const json summaries{{"type", "array"}, {"items", summary}, {"element-id", 508}};
  return {{"type", "record"},
          {"name", "manifest_file"},
          {"fields", json::array({
                         field("manifest_path", 500, "string"),
                         field("manifest_length", 501, "long"),
                         field("partition_spec_id", 502, "int"),
                         field("content", 517, "int"),
                         field("sequence_number", 515, "long"),
                         field("min_sequence_number", 516, "long"),
                         field("added_snapshot_id", 503, "long"),
                         field("added_files_count", 504, "int"),
                         field("existing_files_count", 505, "int"),
                         field("deleted_files_count", 506, "int"),
                         field("added_rows_count", 512, "long"),
                         field("existing_rows_count", 513, "long"),
                         field("deleted_rows_count", 514, "long"),
                         optional_field("partitions", 507, summaries),
                     })}};
}

void put_map(AvroEncoder& out, const std::map<int, int64_t>& map) {
  out.put_optional_array(map, [&](const auto& item) {
    out.put_long(item.first);
    out.put_long(item.second);
  });
}
void put_map(AvroEncoder& out, const std::map<int, std::string>& map) {
  out.put_optional_array(map, [&](const auto& item) {
    out.put_long(item.first);
    out.put_bytes(item.second);
  });
}

void put_data_file(AvroEncoder& out, const DataFile& file, bool partitioned) {
  out.put_long(file.content);
  out.put_bytes(file.file_path);
  out.put_bytes(file.file_format);
  if (partitioned) {
    out.put_optional(file.day, [&](int32_t day) { out.put_long(day); });
    out.put_optional_bytes(file.exchange);
  }
  out.put_long(file.record_count);
  out.put_long(file.file_size_in_bytes);
  put_map(out, file.column_sizes);
  put_map(out, file.value_counts);
  put_map(out, file.null_value_counts);
  put_map(out, file.lower_bounds);
  put_map(out, file.upper_bounds);
  out.put_optional_array(file.split_offsets, [&](int64_t offset) { out.put_long(offset); });
  out.put_optional(file.sort_order_id, [&](int id) { out.put_long(id); });
}

std::string little_endian(uint64_t value, size_t bytes) {
  std::string out;
  for (size_t i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
  return out;
}

constexpr size_t kBoundBytes = 16;

// Cuts at most kBoundBytes off the front, never inside a UTF-8 character.
std::string_view bounded_prefix(std::string_view value) {
  if (value.size() <= kBoundBytes) return value;
  size_t end = kBoundBytes;
  while (end > 0 && (static_cast<unsigned char>(value[end]) & 0xC0) == 0x80) --end;
  return value.substr(0, end);
}

template <class Value>
FieldSummary summarize_field(const std::vector<ManifestEntry>& entries, const std::optional<Value> DataFile::* member,
                             std::string (*bound)(Value)) {
  FieldSummary summary;
  std::optional<Value> low, high;
  for (const ManifestEntry& entry : entries) {
    const auto& value = entry.file.*member;
    if (!value) summary.contains_null = true;
    if (value && (!low || *value < *low)) low = value;
    if (value && (!high || *high < *value)) high = value;
  }
  if (low) summary.lower_bound = bound(*low);
  if (high) summary.upper_bound = bound(*high);
  return summary;
}

}  // namespace

std::string write_manifest(const ManifestHeader& header, const std::vector<ManifestEntry>& entries) {
  AvroEncoder items;
  for (const ManifestEntry& entry : entries) {
    items.put_long(static_cast<int64_t>(entry.status));
    items.put_optional_long(entry.snapshot_id);
    items.put_optional_long(entry.sequence_number);
    items.put_optional_long(entry.file_sequence_number);
    put_data_file(items, entry.file, header.partitioned);
  }
  return write_avro_file(manifest_schema(header.partitioned).dump(),
                         {{"schema", header.schema_json},
                          {"partition-spec", header.partition_fields_json},
                          {"partition-spec-id", std::to_string(header.partition_spec_id)},
                          {"format-version", "2"},
                          {"content", "data"}},
                         entries.size(), items.bytes());
}

std::string write_manifest_list(int64_t snapshot_id, std::optional<int64_t> parent_snapshot_id, int64_t sequence_number,
                                const std::vector<ManifestFile>& manifests) {
  AvroEncoder items;
  for (const ManifestFile& manifest : manifests) {
    items.put_bytes(manifest.manifest_path);
    items.put_long(manifest.manifest_length);
    items.put_long(manifest.partition_spec_id);
    items.put_long(manifest.content);
    items.put_long(manifest.sequence_number);
    items.put_long(manifest.min_sequence_number);
    items.put_long(manifest.added_snapshot_id);
    for (const int count : {manifest.added_files_count, manifest.existing_files_count, manifest.deleted_files_count}) items.put_long(count);
    for (const int64_t count : {manifest.added_rows_count, manifest.existing_rows_count, manifest.deleted_rows_count})
      items.put_long(count);
    items.put_optional_array(manifest.partitions, [&](const FieldSummary& summary) {
      items.put_bool(summary.contains_null);
      items.put_optional(summary.contains_nan, [&](bool value) { items.put_bool(value); });
      items.put_optional_bytes(summary.lower_bound);
      items.put_optional_bytes(summary.upper_bound);
    });
  }
  std::map<std::string, std::string> metadata{
      {"snapshot-id", std::to_string(snapshot_id)}, {"sequence-number", std::to_string(sequence_number)}, {"format-version", "2"}};
  if (parent_snapshot_id) metadata.emplace("parent-snapshot-id", std::to_string(*parent_snapshot_id));
  return write_avro_file(manifest_list_schema().dump(), metadata, manifests.size(), items.bytes());
}

ManifestFile summarize_manifest(const std::vector<ManifestEntry>& entries, int64_t snapshot_id, int64_t sequence_number, bool partitioned) {
  ManifestFile manifest;
  manifest.sequence_number = sequence_number;
  manifest.min_sequence_number = sequence_number;
  manifest.added_snapshot_id = snapshot_id;
  for (const ManifestEntry& entry : entries) {
    const bool added = entry.status == EntryStatus::kAdded;
    const bool deleted = entry.status == EntryStatus::kDeleted;
    (added ? manifest.added_files_count : deleted ? manifest.deleted_files_count : manifest.existing_files_count) += 1;
    (added ? manifest.added_rows_count : deleted ? manifest.deleted_rows_count : manifest.existing_rows_count) += entry.file.record_count;
    if (!deleted) manifest.min_sequence_number = std::min(manifest.min_sequence_number, entry.sequence_number.value_or(sequence_number));
  }
  if (partitioned) {
    manifest.partitions.push_back(summarize_field<int32_t>(entries, &DataFile::day, [](int32_t day) { return int_bound(day); }));
    manifest.partitions.push_back(summarize_field<std::string>(entries, &DataFile::exchange, [](std::string name) { return name; }));
  }
  return manifest;
}

std::string int_bound(int32_t value) { return little_endian(static_cast<uint32_t>(value), 4); }
std::string long_bound(int64_t value) { return little_endian(static_cast<uint64_t>(value), 8); }

std::string decimal_bound(int64_t unscaled) {
  std::string bytes;
  for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(unscaled >> shift);
  const auto redundant = [&](char lead) { return bytes.size() > 1 && bytes[0] == lead && ((bytes[1] ^ lead) & 0x80) == 0; };
  while (redundant('\0') || redundant('\xff')) bytes.erase(0, 1);
  return bytes;
}

std::string string_lower_bound(std::string_view value) { return std::string(bounded_prefix(value)); }

std::optional<std::string> string_upper_bound(std::string_view value) {
  std::string bound(bounded_prefix(value));
  if (bound.size() == value.size()) return bound;
  // The cut prefix sorts before the value: raise its last ASCII character, dropping what follows it.
  while (!bound.empty() && static_cast<unsigned char>(bound.back()) >= 0x7E) bound.pop_back();
  if (bound.empty()) return std::nullopt;
  ++bound.back();
  return bound;
}

std::optional<int64_t> read_long_bound(std::string_view bytes) {
  if (bytes.size() != 8 && bytes.size() != 4) return std::nullopt;
  uint64_t value = 0;
  for (size_t i = 0; i < bytes.size(); ++i) value |= static_cast<uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  return bytes.size() == 8 ? static_cast<int64_t>(value) : static_cast<int32_t>(value);
}

}  // namespace k2
