#include "table/lake.h"

#include <arrow/buffer.h>
#include <arrow/record_batch.h>

#include <algorithm>
#include <mutex>
#include <numeric>
#include <random>
#include <set>
#include <thread>
#include <unordered_map>

#include "base/crash_point.h"
#include "base/uuid.h"
#include "store/store.h"
#include "table/check.h"
#include "table/commit.h"
#include "table/data_file.h"
#include "table/lake_parts.h"
#include "table/metadata.h"
#include "table/schema.h"
#include "table/snapshot_files.h"

namespace k2 {
namespace {

namespace fs = std::filesystem;

constexpr int kCommitAttemptsMax = 20;
constexpr int kLoadAttemptsMax = 5;
constexpr int64_t kRetryPauseMaxUs = 500'000;

const TableSpec* find_spec(std::string_view table) {
  const auto found = std::find_if(std::begin(kTables), std::end(kTables), [&](const TableSpec& spec) { return spec.name == table; });
  return found == std::end(kTables) ? nullptr : &*found;
}

fs::path catalog_path(const LakeOptions& options) { return fs::absolute(options.data_dir / options.catalog).lexically_normal(); }
fs::path warehouse_path(const LakeOptions& options) { return fs::absolute(options.data_dir / options.warehouse).lexically_normal(); }

int64_t random_snapshot_id() {
  thread_local std::mt19937_64 random(std::random_device{}());
  return static_cast<int64_t>(random() >> 1) | 1;  // positive, never 0
}

// "/" and what a file name should not have become %XX.
std::string path_safe(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    char escaped[4];
    if (plain) safe += c;
    else std::snprintf(escaped, sizeof escaped, "%%%02X", static_cast<unsigned char>(c)), safe += escaped;
  }
  return safe;
}

// A table's metadata as the catalog has it, and where it was read from.
struct Base {
  std::string location;
  std::shared_ptr<const TableMetadata> metadata;
};

class LocalLake final : public Lake {
 public:
  LocalLake(LakeOptions options, std::unique_ptr<Store> store, std::unique_ptr<Catalog> catalog, int64_t retry_pause_us)
      : options_(std::move(options)),
        store_(std::move(store)),
        catalog_(std::move(catalog)),
        snapshot_files_(*store_),
        retry_pause_us_(retry_pause_us) {}

  Result<std::shared_ptr<const TableState>> load(std::string_view table) override {
    K2_TRY(const Base base, load_base(table));
    {
      const std::lock_guard lock(mutex_);
      if (const auto cached = states_.find(std::string(table));
          cached != states_.end() && cached->second->metadata_location == base.location)
        return cached->second;
    }
    K2_TRY(auto state, make_state(table, base, base.metadata->current_snapshot()));
    const std::lock_guard lock(mutex_);
    states_[std::string(table)] = state;
    return state;
  }

  Result<std::shared_ptr<const TableState>> state_at(std::string_view table, SnapshotId snapshot) override {
    K2_TRY(const Base base, load_base(table));
    if (!base.metadata->find(snapshot))
      return make_error(ErrorKind::kNotFound,
                        std::string(table) + ": no snapshot " + std::to_string(snapshot.value) + ": it expired, or never was");
    return make_state(table, base, snapshot);
  }

  Result<std::vector<SnapshotInfo>> snapshots(std::string_view table) override {
    K2_TRY(const Base base, load_base(table));
    std::vector<SnapshotInfo> newest_first;
    for (const auto& snapshot : base.metadata->snapshots()) newest_first.push_back(snapshot->info);
    std::reverse(newest_first.begin(), newest_first.end());
    return newest_first;
  }

  Result<AppendResult> append(const AppendRequest& request) override;

  Result<CheckReport> check(std::string_view table) override {
    CheckReport report;
    for (const TableSpec& spec : kTables) {
      if (!table.empty() && spec.name != table) continue;
      K2_RETURN_IF_ERROR(check_table(spec, *store_, *catalog_, &report));
    }
    if (report.tables == 0) return make_error(ErrorKind::kNotFound, "check: no table " + std::string(table));
    return report;
  }

  [[nodiscard]] const LakeOptions& options() const override { return options_; }

 private:
  // The metadata file may be deleted between the look into the catalog and the read, once enough commits came after it: then look again.
  Result<Base> load_base(std::string_view table) {
    for (int attempt = 1;; ++attempt) {
      K2_TRY(std::string location, catalog_->metadata_location(table));
      {
        const std::lock_guard lock(mutex_);
        if (const auto cached = bases_.find(std::string(table)); cached != bases_.end() && cached->second.location == location)
          return cached->second;
      }
      auto metadata = read_metadata(*store_, location);
      if (metadata) {
        Base base{std::move(location), std::make_shared<const TableMetadata>(*std::move(metadata))};
        const std::lock_guard lock(mutex_);
        return bases_[std::string(table)] = std::move(base);
      }
      if (metadata.error().kind != ErrorKind::kNotFound || attempt == kLoadAttemptsMax) return std::unexpected(metadata.error());
    }
  }

  Result<std::shared_ptr<const TableState>> make_state(std::string_view table, const Base& base, std::optional<SnapshotId> snapshot) {
    auto state = std::make_shared<TableState>();
    state->table = table;
    state->table_uuid = base.metadata->uuid();
    state->metadata_location = base.location;
    state->snapshot = snapshot;
    const auto progress = base.metadata->progress(snapshot);
    state->offsets = progress.offsets;
    state->log_id = progress.log_id;
    auto files = std::make_shared<std::vector<DataFileInfo>>();
    if (snapshot) K2_RETURN_IF_ERROR(snapshot_files_.collect(*find_spec(table), base.metadata->manifest_list(*snapshot), files.get()));
    for (const DataFileInfo& file : *files) state->record_count += file.record_count;
    state->files = std::move(files);
    return std::shared_ptr<const TableState>(std::move(state));
  }

  Result<std::vector<ManifestEntry>> store_data_files(const TableSpec& spec, const AppendRequest& request, const std::string& location);
  Result<ManifestFile> store_manifest(const TableMetadata& metadata, const std::vector<ManifestEntry>& entries, SnapshotId snapshot,
                                      int64_t sequence_number, const std::string& name);
  Result<std::vector<ManifestFile>> merge_manifests(const TableMetadata& metadata, std::vector<ManifestFile> manifests, SnapshotId snapshot,
                                                    int64_t sequence_number, const std::string& name);
  struct Attempt {
    std::string base_location;
    SnapshotInfo snapshot;
    std::string next_location;
    TableMetadata next;
    std::vector<std::string> dropped;
  };
  Result<Attempt> prepare(const Base& base, const AppendRequest& request, const std::vector<ManifestEntry>& entries,
                          const ManifestFile& manifest, SnapshotId id, int attempt);

  LakeOptions options_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Catalog> catalog_;
  SnapshotFiles snapshot_files_;
  int64_t retry_pause_us_;
  std::mutex mutex_;
  std::unordered_map<std::string, Base> bases_;
  std::unordered_map<std::string, std::shared_ptr<const TableState>> states_;
};

// Text that is the same in JSON and in file names.
bool is_plain(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f' && c != '/' && c != '"' && c != '\\'; });
}

Status check_request(const AppendRequest& request, const TableSpec* spec) {
  const auto refuse = [&](const std::string& why) {
    return make_error(ErrorKind::kInvalidInput, "append to " + request.table + ": " + why);
  };
  if (!spec) return refuse("no such table");
  if (!is_plain(request.log_id) || !is_plain(request.commit_id))
    return refuse("log id and commit id must be given, in visible ASCII without /, \" and \\");
  int64_t wanted = 0;
  for (const auto& [partition, end] : request.end) {
    const Offset start = offset_of(request.start, partition);
    if (end <= start)
      return refuse("partition " + partition.topic + "/" + std::to_string(partition.partition) + " ends at " + std::to_string(end.value) +
                    ", before it begins");
    if (!is_plain(partition.topic)) return refuse("a topic's name must be visible ASCII");
    wanted += end.value - start.value;
  }
  for (const auto& [partition, start] : request.start)
    if (!request.end.contains(partition)) return refuse("partition " + partition.topic + " has a start but no end");
  int64_t rows = 0;
  for (const auto& batch : request.batches) rows += batch->num_rows();
  if (rows == 0 || rows != wanted) return refuse(std::to_string(rows) + " rows for " + std::to_string(wanted) + " offsets");
  return {};
}

// Whether rows of `spec` may be added to the table as it is now: other engines may have changed it.
Status check_table_takes(const TableMetadata& metadata, const TableSpec& spec) {
  if (metadata.property(kPropertyReadOnly) == "true") return make_error(ErrorKind::kInvalidInput, "the table is read-only (k2.read-only)");
  return check_layout(spec, metadata.schema(), metadata.partition_spec());
}

TableView view_of(const TableMetadata& metadata, const AppendRequest& request, bool at_our_base) {
  TableView view;
  const auto current = metadata.current_snapshot();
  // A summary need not say how many rows there are, and rows may have been rolled back: only a table that never had a commit is surely empty.
  view.empty = !current && metadata.last_sequence_number() == 0;
  const auto progress = metadata.progress(current);
  view.has_offsets = progress.found;
  view.offsets = progress.offsets;
  view.log_id = progress.log_id;
  view.has_our_commit = metadata.find_commit(request.commit_id) != nullptr;
  view.is_at_our_base = at_our_base;
  return view;
}

Result<std::vector<ManifestEntry>> LocalLake::store_data_files(const TableSpec& spec, const AppendRequest& request,
                                                               const std::string& location) {
  K2_TRY(std::vector<EncodedFile> encoded, encode_data_files(spec, request.batches));
  K2_CRASH("C27");
  std::vector<ManifestEntry> entries;
  std::vector<std::string> paths;
  for (EncodedFile& file : encoded) {
    std::string directory = location + "/data/";
    if (file.file.day) directory += "timestamp_day=" + format_date(*file.file.day) + "/exchange=" + path_safe(*file.file.exchange) + "/";
    char number[16];
    std::snprintf(number, sizeof number, "%05zu", entries.size());
    file.file.file_path = directory + number + "-" + request.commit_id + "-" + random_uuid().substr(0, 8) + ".parquet";
    K2_TRY(const std::string path, uri_to_path(file.file.file_path));
    paths.push_back(path);
    if (const Status put =
            store_->put_if_absent(path, {reinterpret_cast<const char*>(file.bytes->data()), static_cast<size_t>(file.bytes->size())});
        !put) {
      for (const std::string& written : paths) (void)store_->remove(written);  // no manifest refers to them yet
      return std::unexpected(put.error());
    }
    file.bytes.reset();
    K2_CRASH("C28");
    entries.push_back({.status = EntryStatus::kAdded,
                       .snapshot_id = {},
                       .sequence_number = {},
                       .file_sequence_number = {},
                       .file = std::move(file.file)});
  }
  K2_CRASH("C29");
  return entries;
}

Result<ManifestFile> LocalLake::store_manifest(const TableMetadata& metadata, const std::vector<ManifestEntry>& entries,
                                               SnapshotId snapshot, int64_t sequence_number, const std::string& name) {
  const auto& spec = metadata.partition_spec();
  const bool partitioned = !spec["fields"].empty();
  const std::string bytes = write_manifest({metadata.schema().dump(), spec["fields"].dump(), spec["spec-id"], partitioned}, entries);
  ManifestFile manifest = summarize_manifest(entries, snapshot.value, sequence_number, partitioned);
  manifest.manifest_path = metadata.location() + "/metadata/" + name;
  manifest.manifest_length = static_cast<int64_t>(bytes.size());
  manifest.partition_spec_id = spec["spec-id"];
  K2_TRY(const std::string path, uri_to_path(manifest.manifest_path));
  K2_RETURN_IF_ERROR(store_->put_if_absent(path, bytes));
  return manifest;
}

// A commit adds one small manifest. When many small ones have gathered, they become one, so that a snapshot's manifests stay few.
Result<std::vector<ManifestFile>> LocalLake::merge_manifests(const TableMetadata& metadata, std::vector<ManifestFile> manifests,
                                                             SnapshotId snapshot, int64_t sequence_number, const std::string& name) {
  constexpr size_t kSmallManifestsMax = 100;
  constexpr int kSmallManifestFiles = 1000;
  const int spec_id = metadata.partition_spec()["spec-id"];
  const auto is_small = [&](const ManifestFile& manifest) {
    return manifest.content == 0 && manifest.partition_spec_id == spec_id && manifest.deleted_files_count == 0 &&
           manifest.added_files_count + manifest.existing_files_count < kSmallManifestFiles;
  };
  if (static_cast<size_t>(std::count_if(manifests.begin(), manifests.end(), is_small)) < kSmallManifestsMax) return manifests;
  std::vector<ManifestFile> kept;
  std::vector<ManifestEntry> merged;
  for (ManifestFile& manifest : manifests) {
    if (!is_small(manifest)) {
      kept.push_back(std::move(manifest));
      continue;
    }
    K2_TRY(std::vector<ManifestEntry> entries, load_manifest(*store_, manifest));
    for (ManifestEntry& entry : entries) {
      entry.status = EntryStatus::kExisting;
      merged.push_back(std::move(entry));
    }
  }
  K2_TRY(ManifestFile manifest, store_manifest(metadata, merged, snapshot, sequence_number, name));
  kept.push_back(std::move(manifest));
  return kept;
}

struct Totals {
  int64_t records = 0, data_files = 0, size_bytes = 0;
};

// What the parent snapshot has. Its manifests say; only sizes have to be taken from its summary, where foreign writers may have left them out.
Totals totals_of(const SnapshotInfo* parent, const std::vector<ManifestFile>& manifests) {
  Totals totals;
  for (const ManifestFile& manifest : manifests) {
    if (manifest.content != 0) continue;
    totals.records += manifest.added_rows_count + manifest.existing_rows_count;
    totals.data_files += manifest.added_files_count + manifest.existing_files_count;
  }
  if (parent) totals.size_bytes = parent->total_files_size_bytes;
  return totals;
}

// Writes the manifest list and the metadata file of one try on `base`. Names carry the attempt, so that nothing is ever written over.
Result<LocalLake::Attempt> LocalLake::prepare(const Base& base, const AppendRequest& request, const std::vector<ManifestEntry>& entries,
                                              const ManifestFile& new_manifest, SnapshotId id, int attempt) {
  const TableMetadata& metadata = *base.metadata;
  const std::string suffix = std::to_string(id.value) + "-" + std::to_string(attempt) + "-" + request.commit_id;
  const int64_t sequence_number = metadata.last_sequence_number() + 1;
  const auto parent_id = metadata.current_snapshot();
  const SnapshotInfo* const parent = parent_id ? metadata.find(*parent_id) : nullptr;

  std::vector<ManifestFile> manifests;
  if (parent_id) {
    K2_TRY(manifests, load_manifest_list(*store_, metadata.manifest_list(*parent_id)));
    K2_TRY(manifests, merge_manifests(metadata, std::move(manifests), id, sequence_number, "merged-" + suffix + ".avro"));
  }
  const Totals before = totals_of(parent, manifests);
  manifests.push_back(new_manifest);
  manifests.back().sequence_number = sequence_number;
  manifests.back().min_sequence_number = sequence_number;
  const std::string list_bytes =
      write_manifest_list(id.value, parent_id ? std::optional(parent_id->value) : std::nullopt, sequence_number, manifests);
  const std::string list_location = metadata.location() + "/metadata/snap-" + suffix + ".avro";
  K2_TRY(const std::string list_path, uri_to_path(list_location));
  K2_RETURN_IF_ERROR(store_->put_if_absent(list_path, list_bytes));
  K2_CRASH("C34");

  SnapshotInfo snapshot;
  snapshot.id = id;
  snapshot.parent = parent_id;
  snapshot.sequence_number = sequence_number;
  snapshot.committed = system_clock().now();
  snapshot.operation = "append";
  const auto progress = metadata.progress(parent_id);
  snapshot.offsets = advance(progress.offsets, request.end);
  int64_t records = 0, bytes = 0;
  std::set<std::pair<int32_t, std::string>> partitions;
  for (const ManifestEntry& entry : entries) {
    records += entry.file.record_count;
    bytes += entry.file.file_size_in_bytes;
    partitions.emplace(entry.file.day.value_or(0), entry.file.exchange.value_or(""));
  }
  snapshot.added_records = records;
  snapshot.total_records = before.records + records;
  snapshot.total_data_files = before.data_files + static_cast<int64_t>(entries.size());
  snapshot.total_files_size_bytes = before.size_bytes + bytes;
  snapshot.summary = {{"operation", snapshot.operation},
                      {"added-data-files", std::to_string(entries.size())},
                      {"added-records", std::to_string(records)},
                      {"added-files-size", std::to_string(bytes)},
                      {"changed-partition-count", std::to_string(partitions.size())},
                      {"total-data-files", std::to_string(snapshot.total_data_files)},
                      {"total-records", std::to_string(snapshot.total_records)},
                      {"total-files-size", std::to_string(snapshot.total_files_size_bytes)},
                      {std::string(kSummaryCommitId), request.commit_id},
                      {std::string(kSummaryLogId), request.log_id},
                      {std::string(kSummaryOffsetStart), offsets_json(progress.offsets)},
                      {std::string(kSummaryOffsets), offsets_json(*snapshot.offsets)}};

  for (const char* total : {"total-delete-files", "total-position-deletes", "total-equality-deletes"})
    snapshot.summary[total] = parent && parent->summary.contains(total) ? parent->summary.at(total) : "0";

  std::vector<std::string> dropped;
  TableMetadata next = metadata.with_snapshot(snapshot, list_location, base.location, &dropped);
  char version[24];
  std::snprintf(version, sizeof version, "%05lld", static_cast<long long>(sequence_number));
  const std::string next_location = metadata.location() + "/metadata/" + version + "-" + random_uuid() + ".metadata.json";
  K2_TRY(const std::string next_path, uri_to_path(next_location));
  K2_RETURN_IF_ERROR(store_->put_if_absent(next_path, next.to_json()));
  return Attempt{base.location, std::move(snapshot), next_location, std::move(next), std::move(dropped)};
}

Result<AppendResult> LocalLake::append(const AppendRequest& request) {
  const TableSpec* const spec = find_spec(request.table);
  K2_RETURN_IF_ERROR(check_request(request, spec));
  const CommitIntent intent{request.start, request.end, request.log_id, request.commit_id};
  const SnapshotId id{random_snapshot_id()};
  K2_TRY(Base base, load_base(request.table));
  const std::string table_uuid = base.metadata->uuid();

  std::optional<std::vector<ManifestEntry>> entries;  // the data files are written once, whatever the number of tries
  std::optional<ManifestFile> manifest;
  std::optional<Attempt> attempt;
  bool maybe_landed = false;
  bool sent = false;  // a swap was asked for
  int tries = 0;
  const auto known = [&](Error error) {
    // What no catalog was ever told of, nobody can refer to: on a disk that is nearly full, each retry would leave its share. Once it was told, nothing
    // is deleted.
    if (!sent && entries)
      for (const ManifestEntry& entry : *entries)
        if (const auto path = uri_to_path(entry.file.file_path)) (void)store_->remove(*path);
    // Once a try may have landed, no later failure can say "not committed".
    if (maybe_landed && error.kind == ErrorKind::kUnavailable) error.kind = ErrorKind::kUnknownOutcome;
    return std::unexpected(error.with_context("append to " + request.table));
  };

  while (tries < kCommitAttemptsMax) {
    if (base.metadata->uuid() != table_uuid)
      return known(
          {ErrorKind::kCorrupt, "the table was replaced by another one, uuid " + base.metadata->uuid() + " where there was " + table_uuid});
    // Metadata locations are never used twice: once the catalog has left ours, a request still on its way can't land.
    const bool at_our_base = attempt && base.location == attempt->base_location;
    const Decision decision = decide(intent, view_of(*base.metadata, request, at_our_base), maybe_landed);
    if (decision.step == NextStep::kConflict) return known({ErrorKind::kConflict, decision.why});
    if (decision.step == NextStep::kStop) return known({ErrorKind::kCorrupt, decision.why});
    if (decision.step == NextStep::kDone) {
      const SnapshotInfo* const landed = base.metadata->find_commit(request.commit_id);
      return AppendResult{landed->id, landed->added_records, entries ? static_cast<int64_t>(entries->size()) : 0, 0, std::max(tries, 1)};
    }
    if (decision.step == NextStep::kCommit)
      if (const Status takes = check_table_takes(*base.metadata, *spec); !takes) return known(takes.error());
    if (!entries) {
      auto stored = store_data_files(*spec, request, base.metadata->location());
      if (!stored) return known(stored.error());
      entries = *std::move(stored);
      auto written = store_manifest(*base.metadata, *entries, id, 0, request.commit_id + "-" + random_uuid().substr(0, 8) + "-m0.avro");
      if (!written) return known(written.error());
      manifest = *std::move(written);
      K2_CRASH("C33");
    }
    ++tries;
    if (decision.step == NextStep::kCommit) {
      auto prepared = prepare(base, request, *entries, *manifest, id, tries);
      if (!prepared) return known(prepared.error());
      attempt = *std::move(prepared);
      if (tries > 1) K2_CRASH("C39");
    }
    K2_CRASH("C35");
    sent = true;
    const Status swapped = catalog_->swap(request.table, attempt->base_location, attempt->next_location);
    K2_CRASH("C36");
    if (swapped) {
      for (const std::string& uri : attempt->dropped)
        if (const auto path = uri_to_path(uri)) (void)store_->remove(*path);  // what stays is garbage, not harm
      const std::lock_guard lock(mutex_);
      bases_[request.table] = Base{attempt->next_location, std::make_shared<const TableMetadata>(std::move(attempt->next))};
      K2_CRASH("C37");
      const int64_t bytes = std::accumulate(entries->begin(), entries->end(), int64_t{0},
                                            [](int64_t sum, const ManifestEntry& e) { return sum + e.file.file_size_in_bytes; });
      return AppendResult{id, attempt->snapshot.added_records, static_cast<int64_t>(entries->size()), bytes, tries};
    }
    const ErrorKind kind = swapped.error().kind;
    if (kind == ErrorKind::kUnknownOutcome) maybe_landed = true;
    else if (kind != ErrorKind::kConflict) return known(swapped.error());
    auto reloaded = load_base(request.table);
    if (!reloaded) return known(reloaded.error());
    base = *std::move(reloaded);
    std::this_thread::sleep_for(std::chrono::microseconds(std::min(retry_pause_us_ << std::min(tries - 1, 20), kRetryPauseMaxUs)));
  }
  return known({ErrorKind::kUnavailable, "gave up after " + std::to_string(tries) + " tries: other commits were always first"});
}

}  // namespace

std::unique_ptr<Lake> make_lake(const LakeOptions& options, std::unique_ptr<Store> store, std::unique_ptr<Catalog> catalog,
                                int64_t retry_pause_us) {
  return std::make_unique<LocalLake>(options, std::move(store), std::move(catalog), retry_pause_us);
}

Status Lake::init(const LakeOptions& options) {
  std::error_code error;
  fs::create_directories(options.data_dir, error);
  fs::create_directories(catalog_path(options).parent_path(), error);
  if (error) return make_error(ErrorKind::kUnavailable, "lake: cannot make " + options.data_dir.string() + ": " + error.message());
  const auto store = make_local_store();
  K2_TRY(const auto catalog, open_sqlite_catalog(catalog_path(options), /*create=*/true));
  for (const TableSpec& spec : kTables) {
    const auto there = catalog->metadata_location(spec.name);
    if (there) continue;
    if (there.error().kind != ErrorKind::kNotFound) return std::unexpected(there.error());
    const std::string location = path_to_uri((warehouse_path(options) / kNamespace / spec.name).string());
    const auto metadata = TableMetadata::create(spec, location, random_uuid(), system_clock().now());
    const std::string metadata_location = location + "/metadata/00000-" + random_uuid() + ".metadata.json";
    K2_TRY(const std::string path, uri_to_path(metadata_location));
    K2_RETURN_IF_ERROR(store->put_if_absent(path, metadata.to_json()));
    const Status created = catalog->create_table(spec.name, metadata_location);
    if (!created && created.error().kind != ErrorKind::kConflict) return created;  // Conflict: another init was first, which is as good
  }
  return {};
}

Result<std::unique_ptr<Lake>> Lake::open(const LakeOptions& options) {
  std::error_code error;
  if (!fs::exists(catalog_path(options), error))
    return make_error(ErrorKind::kNotFound, "lake: no catalog at " + catalog_path(options).string() + " (k2 lake init makes one)");
  K2_TRY(auto catalog, open_sqlite_catalog(catalog_path(options), /*create=*/false));
  return make_lake(options, make_local_store(), std::move(catalog));
}

namespace {

bool excludes(const DataFileInfo& file, const PlanFilter& filter) {
  if (filter.exchange && file.exchange && *file.exchange != *filter.exchange) return true;
  if (filter.start && file.timestamp_max && *file.timestamp_max < *filter.start) return true;
  if (filter.end && file.timestamp_min && *file.timestamp_min >= *filter.end) return true;
  if (filter.symbols.empty() || !file.symbol_min || !file.symbol_max) return false;
  return std::none_of(filter.symbols.begin(), filter.symbols.end(),
                      [&](const std::string& symbol) { return *file.symbol_min <= symbol && symbol <= *file.symbol_max; });
}

}  // namespace

std::vector<DataFileInfo> plan(const TableState& state, const PlanFilter& filter) {
  std::vector<DataFileInfo> files;
  for (const DataFileInfo& file : *state.files)
    if (!excludes(file, filter)) files.push_back(file);
  return files;
}

}  // namespace k2
