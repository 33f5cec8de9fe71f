#include "table/metadata.h"

#include <algorithm>
#include <unordered_set>

#include "base/assert.h"
#include "table/schema.h"

namespace k2 {
namespace {

using nlohmann::json;

constexpr int kFormatVersion = 2;
constexpr int64_t kPreviousVersionsMax = 100;
constexpr int64_t kSnapshotsKept = 1000;

std::unexpected<Error> corrupt(std::string what) { return make_error(ErrorKind::kCorrupt, "table metadata: " + std::move(what)); }

int64_t summary_number(const std::map<std::string, std::string>& summary, const char* key) {
  const auto found = summary.find(key);
  return found == summary.end() ? 0 : std::strtoll(found->second.c_str(), nullptr, 10);
}

Result<SnapshotInfo> parse_snapshot(const json& snapshot) {
  if (!snapshot.is_object() || !snapshot.value("snapshot-id", json()).is_number_integer()) return corrupt("a snapshot without snapshot-id");
  SnapshotInfo info;
  info.id = {snapshot["snapshot-id"].get<int64_t>()};
  const std::string name = "snapshot " + std::to_string(info.id.value);
  if (!snapshot.value("manifest-list", json()).is_string()) return corrupt(name + " has no manifest-list");
  if (const auto parent = snapshot.find("parent-snapshot-id"); parent != snapshot.end() && parent->is_number_integer())
    info.parent = SnapshotId{parent->get<int64_t>()};
  info.sequence_number = snapshot.value("sequence-number", int64_t{0});
  info.committed = {snapshot.value("timestamp-ms", int64_t{0}) * 1000};
  if (const auto summary = snapshot.find("summary"); summary != snapshot.end() && summary->is_object())
    for (const auto& [key, value] : summary->items())
      if (value.is_string()) info.summary[key] = value.get<std::string>();
  if (const auto operation = info.summary.find("operation"); operation != info.summary.end()) info.operation = operation->second;
  info.added_records = summary_number(info.summary, "added-records");
  info.total_records = summary_number(info.summary, "total-records");
  info.total_data_files = summary_number(info.summary, "total-data-files");
  info.total_files_size_bytes = summary_number(info.summary, "total-files-size");
  if (const auto offsets = info.summary.find(std::string(kSummaryOffsets)); offsets != info.summary.end()) {
    auto parsed = parse_offsets_json(offsets->second);
    if (!parsed) return std::unexpected(parsed.error().with_context(name));
    info.offsets = *std::move(parsed);
  }
  return info;
}

const json* by_id(const json& list, const char* key, const json& id) {
  if (!list.is_array()) return nullptr;
  const auto found =
      std::find_if(list.begin(), list.end(), [&](const json& item) { return item.is_object() && item.value(key, json()) == id; });
  return found == list.end() ? nullptr : &*found;
}

}  // namespace

TableMetadata TableMetadata::create(const TableSpec& spec, const std::string& location, const std::string& uuid, TimestampUs now) {
  json properties{{"write.parquet.compression-codec", "zstd"},
                  {"write.metadata.delete-after-commit.enabled", "true"},
                  {"write.metadata.previous-versions-max", std::to_string(kPreviousVersionsMax)},
                  {std::string(kPropertySnapshotsKept), std::to_string(kSnapshotsKept)}};
  if (spec.read_only) properties[std::string(kPropertyReadOnly)] = "true";
  const json sort_orders = sort_orders_json(spec);
  TableMetadata metadata;
  metadata.json_ = {{"format-version", kFormatVersion},
                    {"table-uuid", uuid},
                    {"location", location},
                    {"last-sequence-number", 0},
                    {"last-updated-ms", now.us / 1000},
                    {"last-column-id", last_column_id(spec)},
                    {"schemas", json::array({schema_json(spec)})},
                    {"current-schema-id", 0},
                    {"partition-specs", json::array({partition_spec_json(spec)})},
                    {"default-spec-id", 0},
                    {"last-partition-id", kFirstPartitionFieldId + (spec.partitioned_by_day_and_exchange ? 1 : -1)},
                    {"sort-orders", sort_orders},
                    {"default-sort-order-id", sort_orders.back()["order-id"]},
                    {"properties", std::move(properties)},
                    {"snapshot-log", json::array()},
                    {"metadata-log", json::array()},
                    {"refs", json::object()}};
  return metadata;
}

Result<TableMetadata> TableMetadata::parse(std::string_view text) {
  try {
    return parse_checked(text);
  } catch (const json::exception& error) {  // a field of another type than it should have
    return corrupt(error.what());
  }
}

Result<TableMetadata> TableMetadata::parse_checked(std::string_view text) {
  TableMetadata metadata;
  metadata.json_ = json::parse(text, nullptr, /*allow_exceptions=*/false);
  const json& j = metadata.json_;
  if (!j.is_object()) return corrupt("not a JSON object");
  if (j.value("format-version", json()) != kFormatVersion)
    return corrupt("format-version is " + j.value("format-version", json()).dump() + ", want 2");
  for (const char* name : {"table-uuid", "location"})
    if (!j.value(name, json()).is_string()) return corrupt(std::string(name) + " is missing or not a string");
  for (const char* name : {"last-sequence-number", "current-schema-id", "default-spec-id"})
    if (!j.value(name, json()).is_number_integer()) return corrupt(std::string(name) + " is missing or not an integer");
  if (!by_id(j.value("schemas", json()), "schema-id", j["current-schema-id"])) return corrupt("current-schema-id names no schema");
  if (!by_id(j.value("partition-specs", json()), "spec-id", j["default-spec-id"]))
    return corrupt("default-spec-id names no partition spec");
  // What a commit will add to must be of the right shape, or not there.
  for (const char* name : {"snapshots", "snapshot-log", "metadata-log"})
    if (j.contains(name) && !j[name].is_array() && !j[name].is_null()) return corrupt(std::string(name) + " is not a list");
  if (j.contains("last-updated-ms") && !j["last-updated-ms"].is_number_integer()) return corrupt("last-updated-ms is not an integer");
  K2_RETURN_IF_ERROR(metadata.take_snapshots());
  if (const auto current = metadata.current_snapshot(); current && !metadata.find(*current))
    return corrupt("current-snapshot-id " + std::to_string(current->value) + " names no snapshot");
  const auto refs = j.find("refs");
  if (refs == j.end() || refs->is_null()) return metadata;
  if (!refs->is_object()) return corrupt("refs is not an object");
  for (const auto& [name, reference] : refs->items())
    if (!reference.is_object()) return corrupt("ref " + name + " is not an object");
  if (refs->contains("main") && (*refs)["main"].value("snapshot-id", json()) != j.value("current-snapshot-id", json()))
    return corrupt("current-snapshot-id " + j.value("current-snapshot-id", json()).dump() + " is not the head of branch main, " +
                   (*refs)["main"].dump());
  return metadata;
}

Status TableMetadata::take_snapshots() {
  const auto found = json_.find("snapshots");
  if (found == json_.end()) return {};
  for (const json& snapshot : *found) {
    K2_TRY(SnapshotInfo info, parse_snapshot(snapshot));
    snapshots_.push_back(std::make_shared<StoredSnapshot>(std::move(info), snapshot["manifest-list"].get<std::string>(), snapshot.dump()));
  }
  json_.erase(found);
  return {};
}

std::string TableMetadata::to_json() const {
  std::string text = json_.dump();
  text.pop_back();
  text += R"(,"snapshots":[)";
  for (const auto& snapshot : snapshots_) {
    if (text.back() != '[') text += ',';
    text += snapshot->json;
  }
  return text + "]}";
}

std::string TableMetadata::uuid() const { return json_["table-uuid"]; }
std::string TableMetadata::location() const { return json_["location"]; }
int64_t TableMetadata::last_sequence_number() const { return json_["last-sequence-number"]; }

std::optional<std::string> TableMetadata::property(std::string_view name) const {
  const auto properties = json_.find("properties");
  if (properties == json_.end() || !properties->is_object()) return std::nullopt;
  const auto found = properties->find(std::string(name));
  if (found == properties->end() || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

std::optional<SnapshotId> TableMetadata::current_snapshot() const {
  const auto found = json_.find("current-snapshot-id");
  if (found == json_.end() || !found->is_number_integer() || found->get<int64_t>() < 0) return std::nullopt;  // -1: none, in older writers
  return SnapshotId{found->get<int64_t>()};
}

const json& TableMetadata::schema() const { return *by_id(json_["schemas"], "schema-id", json_["current-schema-id"]); }
const json& TableMetadata::partition_spec() const { return *by_id(json_["partition-specs"], "spec-id", json_["default-spec-id"]); }

// A parent is mostly the one just before its child, and the newest are asked for most: the search goes back from `below`, and then over the rest.
const StoredSnapshot* TableMetadata::find_stored(SnapshotId id, size_t below) const {
  for (size_t i = below; i-- > 0;)
    if (snapshots_[i]->info.id == id) return snapshots_[i].get();
  for (size_t i = below; i < snapshots_.size(); ++i)
    if (snapshots_[i]->info.id == id) return snapshots_[i].get();
  return nullptr;
}

template <class Visit>
const SnapshotInfo* TableMetadata::find_ancestor(std::optional<SnapshotId> from, Visit visit) const {
  size_t below = snapshots_.size();
  for (size_t steps = 0; from && steps < snapshots_.size(); ++steps) {  // bounded: a damaged chain may bite its tail
    const StoredSnapshot* const at = find_stored(*from, below);
    if (!at) return nullptr;
    if (visit(at->info)) return &at->info;
    from = at->info.parent;
    if (below > 0) --below;
  }
  return nullptr;
}

const SnapshotInfo* TableMetadata::find(SnapshotId id) const {
  const StoredSnapshot* const found = find_stored(id, snapshots_.size());
  return found ? &found->info : nullptr;
}

std::string TableMetadata::manifest_list(SnapshotId id) const {
  const StoredSnapshot* const snapshot = find_stored(id, snapshots_.size());
  K2_ASSERT(snapshot);
  return snapshot->manifest_list;
}

TableMetadata::Progress TableMetadata::progress(std::optional<SnapshotId> from) const {
  const SnapshotInfo* const at = find_ancestor(from, [](const SnapshotInfo& snapshot) { return snapshot.offsets.has_value(); });
  if (!at) return {};
  const auto log_id = at->summary.find(std::string(kSummaryLogId));
  return {true, *at->offsets, log_id == at->summary.end() ? "" : log_id->second};
}

const SnapshotInfo* TableMetadata::find_commit(std::string_view commit_id) const {
  const std::string key(kSummaryCommitId);
  return find_ancestor(current_snapshot(), [&](const SnapshotInfo& snapshot) {
    const auto found = snapshot.summary.find(key);
    return found != snapshot.summary.end() && found->second == commit_id;
  });
}

TableMetadata TableMetadata::with_snapshot(const SnapshotInfo& snapshot, const std::string& manifest_list,
                                           const std::string& previous_location, std::vector<std::string>* dropped) const {
  TableMetadata next = *this;
  json& j = next.json_;
  const int64_t committed_ms =
      std::max(snapshot.committed.us / 1000, j.value("last-updated-ms", int64_t{0}));  // a clock that stepped back never shows
  json entry{{"snapshot-id", snapshot.id.value}, {"sequence-number", snapshot.sequence_number},
             {"timestamp-ms", committed_ms},     {"manifest-list", manifest_list},
             {"summary", snapshot.summary},      {"schema-id", j["current-schema-id"]}};
  if (snapshot.parent) entry["parent-snapshot-id"] = snapshot.parent->value;
  j["metadata-log"].push_back({{"metadata-file", previous_location}, {"timestamp-ms", j.value("last-updated-ms", int64_t{0})}});
  j["snapshot-log"].push_back({{"snapshot-id", snapshot.id.value}, {"timestamp-ms", committed_ms}});
  j["current-snapshot-id"] = snapshot.id.value;
  j["refs"]["main"]["snapshot-id"] = snapshot.id.value;
  j["refs"]["main"]["type"] = "branch";
  j["last-sequence-number"] = snapshot.sequence_number;
  j["last-updated-ms"] = committed_ms;

  SnapshotInfo info = snapshot;
  info.committed = {committed_ms * 1000};
  next.snapshots_.push_back(std::make_shared<StoredSnapshot>(std::move(info), manifest_list, entry.dump()));
  next.drop_metadata_log(dropped);
  next.drop_snapshots(dropped);
  return next;
}

int64_t TableMetadata::number_property(std::string_view name, int64_t fallback) const {
  const auto text = property(name);
  return text ? std::max<int64_t>(1, std::strtoll(text->c_str(), nullptr, 10)) : fallback;
}

void TableMetadata::drop_metadata_log(std::vector<std::string>* dropped) {
  json& log = json_["metadata-log"];
  const bool deletes = property("write.metadata.delete-after-commit.enabled") == "true";
  const auto surplus = std::max<int64_t>(
      0, static_cast<int64_t>(log.size()) - number_property("write.metadata.previous-versions-max", kPreviousVersionsMax));
  for (int64_t i = 0; i < surplus && deletes; ++i) dropped->push_back(log[static_cast<size_t>(i)].value("metadata-file", ""));
  log.erase(log.begin(), log.begin() + surplus);
}

void TableMetadata::drop_snapshots(std::vector<std::string>* dropped) {
  const auto surplus =
      std::max<int64_t>(0, static_cast<int64_t>(snapshots_.size()) - number_property(kPropertySnapshotsKept, kSnapshotsKept));
  if (surplus == 0) return;
  std::unordered_set<int64_t> referenced;
  for (const auto& [name, reference] : json_["refs"].items()) referenced.insert(reference.value("snapshot-id", int64_t{-1}));
  std::unordered_set<int64_t> gone;
  for (int64_t i = 0; i < surplus; ++i) {
    const StoredSnapshot& snapshot = *snapshots_[static_cast<size_t>(i)];
    if (referenced.contains(snapshot.info.id.value)) continue;
    gone.insert(snapshot.info.id.value);
    dropped->push_back(snapshot.manifest_list);
  }
  std::erase_if(snapshots_, [&](const auto& snapshot) { return gone.contains(snapshot->info.id.value); });
  json kept = json::array();
  for (json& item : json_["snapshot-log"])
    if (!gone.contains(item.value("snapshot-id", int64_t{-1}))) kept.push_back(std::move(item));
  json_["snapshot-log"] = std::move(kept);
}

}  // namespace k2
