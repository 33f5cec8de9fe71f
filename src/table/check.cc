#include "table/check.h"

#include <algorithm>
#include <set>
#include <unordered_set>

#include "table/data_file.h"
#include "table/snapshot_files.h"

namespace k2 {
namespace {

constexpr int64_t kOffsetsCheckedMax = int64_t{1} << 36;  // 8 GiB of bits

// Which offsets of one partition were seen, and how often more than once.
struct Seen {
  std::vector<bool> offsets;
  int64_t repeated = 0, beyond = 0;
  std::string first_wrong_file;
};

class Checker {
 public:
  Checker(const TableSpec& spec, Store& store, CheckReport* report) : spec_(spec), store_(store), report_(report) {}

  void check(const std::string& metadata_location) {
    auto metadata = read_metadata(store_, metadata_location);
    if (!metadata) return find(metadata_location, metadata.error().message);
    check_schema(*metadata, metadata_location);
    for (const auto& snapshot : metadata->snapshots())
      check_snapshot(*metadata, snapshot->info, metadata->current_snapshot() == snapshot->info.id);
    if (const auto current = metadata->current_snapshot()) check_offsets(*metadata, *current, metadata_location);
  }

 private:
  void find(const std::string& path, std::string what) { report_->findings.push_back({std::string(spec_.name), path, std::move(what)}); }

  void check_schema(const TableMetadata& metadata, const std::string& location) {
    for (const Column& column : spec_.columns) {
      const auto& fields = metadata.schema()["fields"];
      const bool there = std::any_of(fields.begin(), fields.end(), [&](const auto& field) {
        return field.value("id", -1) == column.field_id && field.value("name", "") == column.name;
      });
      if (!there)
        find(location, "the schema has no column " + std::string(column.name) + " with field id " + std::to_string(column.field_id));
    }
  }

  // The newest snapshot's files are opened; those of older ones only counted.
  void check_snapshot(const TableMetadata& metadata, const SnapshotInfo& snapshot, bool is_current) {
    ++report_->snapshots;
    const std::string list_uri = metadata.manifest_list(snapshot.id);
    check_chain(metadata, snapshot, list_uri);
    const auto manifests = load_manifest_list(store_, list_uri);
    if (!manifests) return find(list_uri, manifests.error().message);
    int64_t rows = 0, files = 0;
    for (const ManifestFile& manifest : *manifests) {
      rows += manifest.added_rows_count + manifest.existing_rows_count;
      files += manifest.added_files_count + manifest.existing_files_count;
      if (checked_manifests_.insert(manifest.manifest_path).second) check_manifest(manifest);
      if (is_current) collect_files(manifest);
    }
    if (snapshot.summary.contains("total-records") && rows != snapshot.total_records)
      find(list_uri, "its manifests count " + std::to_string(rows) + " rows, snapshot " + std::to_string(snapshot.id.value) + " says " +
                         std::to_string(snapshot.total_records));
    if (snapshot.summary.contains("total-data-files") && files != snapshot.total_data_files)
      find(list_uri, "its manifests count " + std::to_string(files) + " files, snapshot " + std::to_string(snapshot.id.value) + " says " +
                         std::to_string(snapshot.total_data_files));
  }

  // Each append starts where the snapshot below it ended, and adds as many rows as it adds offsets.
  void check_chain(const TableMetadata& metadata, const SnapshotInfo& snapshot, const std::string& list_uri) {
    const auto start_text = snapshot.summary.find(std::string(kSummaryOffsetStart));
    if (!snapshot.offsets || start_text == snapshot.summary.end()) return;
    const std::string name = "snapshot " + std::to_string(snapshot.id.value);
    const auto start = parse_offsets_json(start_text->second);
    if (!start) return find(list_uri, name + ": " + start.error().message);
    if (snapshot.parent && metadata.find(*snapshot.parent)) {
      const auto below = metadata.progress(snapshot.parent);
      if (below.offsets != *start)
        find(list_uri, name + " starts at " + start_text->second + ", the snapshot below it ends at " + offsets_json(below.offsets));
    }
    int64_t added = 0;
    for (const auto& [partition, end] : *snapshot.offsets) {
      const int64_t step = end.value - offset_of(*start, partition).value;
      if (step < 0) find(list_uri, name + ": offsets of " + partition.topic + " go backwards");
      added += step;
    }
    if (snapshot.operation == "append" && added != snapshot.added_records)
      find(list_uri, name + " adds " + std::to_string(snapshot.added_records) + " rows for " + std::to_string(added) + " offsets");
  }

  void check_manifest(const ManifestFile& manifest) {
    ++report_->manifests;
    const auto entries = load_manifest(store_, manifest);
    if (!entries) return find(manifest.manifest_path, entries.error().message);
    int64_t rows = 0;
    for (const ManifestEntry& entry : *entries) rows += entry.file.record_count;
    if (rows != manifest.added_rows_count + manifest.existing_rows_count)
      find(manifest.manifest_path, "its entries count " + std::to_string(rows) + " rows, its manifest list says " +
                                       std::to_string(manifest.added_rows_count + manifest.existing_rows_count));
  }

  void collect_files(const ManifestFile& manifest) {
    const auto entries = load_manifest(store_, manifest);
    if (!entries) return;  // found already
    for (const ManifestEntry& entry : *entries) {
      if (!live_files_.insert(entry.file.file_path).second)
        find(manifest.manifest_path, "lists " + entry.file.file_path + " a second time");
      else check_file(entry.file);
    }
  }

  void check_file(const DataFile& file) {
    ++report_->files;
    const auto path = uri_to_path(file.file_path);
    if (!path) return find(file.file_path, path.error().message);
    const auto size = store_.size(*path);
    if (!size) return find(*path, size.error().message);
    report_->bytes += *size;
    if (*size != file.file_size_in_bytes)
      return find(*path, "has " + std::to_string(*size) + " bytes, its manifest says " + std::to_string(file.file_size_in_bytes));
    const auto footer = read_footer(*path);
    if (!footer) return find(*path, footer.error().message);
    report_->rows += footer->rows;
    if (footer->rows != file.record_count)
      find(*path, "has " + std::to_string(footer->rows) + " rows, its manifest says " + std::to_string(file.record_count));
    for (const Column& column : spec_.columns) {
      const int id = column.element_id ? column.element_id : column.field_id;
      if (std::find(footer->field_ids.begin(), footer->field_ids.end(), id) == footer->field_ids.end())
        find(*path, "has no column with field id " + std::to_string(id) + " (" + std::string(column.name) + ")");
    }
    if (!spec_.read_only) note_offsets(*path);
  }

  void note_offsets(const std::string& path) {
    const auto rows = read_log_coordinates(path);
    if (!rows) return find(path, rows.error().message);
    for (size_t row = 0; row < rows->offsets.size(); ++row) {
      Seen& seen = seen_[{rows->topics[row], rows->partitions[row]}];
      const int64_t offset = rows->offsets[row];
      if (offset < 0 || offset >= kOffsetsCheckedMax) {  // a damaged file must not ask for endless memory
        find(path, "has the log offset " + std::to_string(offset));
        return;
      }
      if (static_cast<size_t>(offset) >= seen.offsets.size())
        seen.offsets.resize(std::max<size_t>(static_cast<size_t>(offset) + 1, seen.offsets.size() * 2));
      if (seen.offsets[static_cast<size_t>(offset)] && seen.repeated++ == 0) seen.first_wrong_file = path;
      seen.offsets[static_cast<size_t>(offset)] = true;
    }
  }

  // The rows are those of the log offsets that the newest snapshot claims: each once, no other.
  void check_offsets(const TableMetadata& metadata, SnapshotId current, const std::string& location) {
    const auto progress = metadata.progress(current);
    if (!progress.found && report_->rows > 0 && !live_files_.empty())
      return find(location, "the table has rows, but no snapshot carries " + std::string(kSummaryOffsets));
    std::set<TopicPartition> partitions;
    for (const auto& [partition, offset] : progress.offsets) partitions.insert(partition);
    for (const auto& [partition, seen] : seen_) partitions.insert(partition);
    for (const TopicPartition& partition : partitions) check_partition(partition, offset_of(progress.offsets, partition).value, location);
  }

  void check_partition(const TopicPartition& partition, int64_t end, const std::string& location) {
    const Seen& seen = seen_[partition];
    const std::string name = partition.topic + "/" + std::to_string(partition.partition);
    int64_t missing = 0, beyond = 0, first_missing = -1;
    for (int64_t offset = 0; offset < std::max<int64_t>(end, static_cast<int64_t>(seen.offsets.size())); ++offset) {
      const bool there = static_cast<size_t>(offset) < seen.offsets.size() && seen.offsets[static_cast<size_t>(offset)];
      if (there && offset >= end) ++beyond;
      if (!there && offset < end && missing++ == 0) first_missing = offset;
    }
    if (seen.repeated > 0)
      find(seen.first_wrong_file,
           name + ": " + std::to_string(seen.repeated) + " log offsets are there more than once, the first found in this file");
    if (missing > 0)
      find(location, name + ": " + std::to_string(missing) + " log offsets below " + std::to_string(end) + " are missing, the first is " +
                         std::to_string(first_missing));
    if (beyond > 0)
      find(location, name + ": " + std::to_string(beyond) + " log offsets at or above " + std::to_string(end) +
                         ", where the snapshot says the table ends");
  }

  const TableSpec& spec_;
  Store& store_;
  CheckReport* report_;
  std::unordered_set<std::string> checked_manifests_;
  std::unordered_set<std::string> live_files_;
  std::map<TopicPartition, Seen> seen_;
};

}  // namespace

Status check_table(const TableSpec& spec, Store& store, Catalog& catalog, CheckReport* report) {
  K2_TRY(const std::string location, catalog.metadata_location(spec.name));
  ++report->tables;
  Checker(spec, store, report).check(location);
  return {};
}

}  // namespace k2
