#include "table/snapshot_files.h"

#include <algorithm>

#include "base/assert.h"

namespace k2 {
namespace {

constexpr size_t kManifestsCachedMax = 10'000;

Result<std::string> get_uri(Store& store, const std::string& uri) {
  K2_TRY(const std::string path, uri_to_path(uri));
  return store.get(path);
}

int field_id(const TableSpec& table, std::string_view name) {
  const auto column = std::find_if(table.columns.begin(), table.columns.end(), [&](const Column& c) { return c.name == name; });
  return column == table.columns.end() ? -1 : column->field_id;
}

std::optional<std::string> text_bound(const std::map<int, std::string>& bounds, int id) {
  const auto found = bounds.find(id);
  if (found == bounds.end()) return std::nullopt;
  return found->second;
}

std::optional<TimestampUs> time_bound(const std::map<int, std::string>& bounds, int id) {
  const auto text = text_bound(bounds, id);
  const auto value = text ? read_long_bound(*text) : std::nullopt;
  if (!value) return std::nullopt;
  return TimestampUs{*value};
}

Result<DataFileInfo> info_of(const TableSpec& table, const DataFile& file) {
  DataFileInfo info;
  K2_TRY(info.path, uri_to_path(file.file_path));
  info.record_count = file.record_count;
  info.size_bytes = file.file_size_in_bytes;
  info.day = file.day;
  info.exchange = file.exchange;
  const int symbol = field_id(table, "symbol");
  const int timestamp = field_id(table, "timestamp");
  info.symbol_min = text_bound(file.lower_bounds, symbol);
  info.symbol_max = text_bound(file.upper_bounds, symbol);
  info.timestamp_min = time_bound(file.lower_bounds, timestamp);
  info.timestamp_max = time_bound(file.upper_bounds, timestamp);
  return info;
}

}  // namespace

Result<TableMetadata> read_metadata(Store& store, const std::string& uri) {
  K2_TRY(const std::string bytes, get_uri(store, uri));
  auto metadata = TableMetadata::parse(bytes);
  if (!metadata) return std::unexpected(metadata.error().with_context(uri));
  return metadata;
}

Result<std::vector<ManifestFile>> load_manifest_list(Store& store, const std::string& uri) {
  K2_TRY(const std::string bytes, get_uri(store, uri));
  return read_manifest_list(bytes, uri);
}

Result<std::vector<ManifestEntry>> load_manifest(Store& store, const ManifestFile& manifest) {
  K2_TRY(const std::string bytes, get_uri(store, manifest.manifest_path));
  if (static_cast<int64_t>(bytes.size()) != manifest.manifest_length)
    return make_error(ErrorKind::kCorrupt, manifest.manifest_path + ": has " + std::to_string(bytes.size()) +
                                               " bytes, its manifest list says " + std::to_string(manifest.manifest_length));
  K2_TRY(std::vector<ManifestEntry> entries, read_manifest(bytes, manifest.manifest_path));
  std::erase_if(entries, [](const ManifestEntry& entry) { return entry.status == EntryStatus::kDeleted; });
  for (ManifestEntry& entry : entries) {
    if (!entry.snapshot_id) entry.snapshot_id = manifest.added_snapshot_id;
    if (!entry.sequence_number) entry.sequence_number = manifest.sequence_number;
    if (!entry.file_sequence_number) entry.file_sequence_number = manifest.sequence_number;
  }
  return entries;
}

Result<SnapshotFiles::Files> SnapshotFiles::files_of(const TableSpec& table, const ManifestFile& manifest) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto cached = by_manifest_.find(manifest.manifest_path); cached != by_manifest_.end()) return cached->second;
  }
  K2_TRY(const std::vector<ManifestEntry> entries, load_manifest(store_, manifest));
  auto files = std::make_shared<std::vector<DataFileInfo>>();
  for (const ManifestEntry& entry : entries) {
    K2_TRY(DataFileInfo info, info_of(table, entry.file));
    files->push_back(std::move(info));
  }
  const std::lock_guard lock(mutex_);
  if (by_manifest_.size() >= kManifestsCachedMax) by_manifest_.clear();  // rare, and costs one re-read
  return by_manifest_[manifest.manifest_path] = std::move(files);
}

Status SnapshotFiles::collect(const TableSpec& table, const std::string& manifest_list_uri, std::vector<DataFileInfo>* files) {
  K2_TRY(std::vector<ManifestFile> manifests, load_manifest_list(store_, manifest_list_uri));
  std::stable_sort(manifests.begin(), manifests.end(),
                   [](const ManifestFile& a, const ManifestFile& b) { return a.sequence_number < b.sequence_number; });
  for (const ManifestFile& manifest : manifests) {
    if (manifest.content != 0 && manifest.added_files_count + manifest.existing_files_count > 0)
      return make_error(ErrorKind::kInvalidInput, manifest_list_uri + ": the snapshot has delete files, which k2 does not read");
    if (manifest.content != 0) continue;
    K2_TRY(const Files found, files_of(table, manifest));
    files->insert(files->end(), found->begin(), found->end());
  }
  return {};
}

}  // namespace k2
