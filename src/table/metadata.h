// TableMetadata: an Iceberg v2 table metadata file (spec "Table Metadata"). Fields that k2 does not know are kept as they are, so that what another
// engine added survives our commits.
//
// Pure values; internal to the table folder. Thread rule: values.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "market/columns.h"
#include "table/lake.h"

namespace k2 {

// Keys that k2 writes into snapshot summaries and table properties (docs/formats/table.md).
inline constexpr std::string_view kSummaryOffsets = "k2.offsets";
inline constexpr std::string_view kSummaryOffsetStart = "k2.offset-start";
inline constexpr std::string_view kSummaryLogId = "k2.log-id";
inline constexpr std::string_view kSummaryCommitId = "k2.commit-id";
inline constexpr std::string_view kPropertyReadOnly = "k2.read-only";
inline constexpr std::string_view kPropertySnapshotsKept = "k2.snapshots-kept";

/// A snapshot with its place. Shared between the metadata of successive commits, which differ by few of them.
struct StoredSnapshot {
  SnapshotInfo info;
  std::string manifest_list;  // URI
  std::string json;  // as it stands in the metadata file, unknown fields included
};

class TableMetadata {
 public:
  /// Metadata of a new, empty table at `location` (a URI).
  [[nodiscard]] static TableMetadata create(const TableSpec& spec, const std::string& location, const std::string& uuid, TimestampUs now);

  /// Reads a metadata file. Corrupt names the field that is missing or contradicts another.
  [[nodiscard]] static Result<TableMetadata> parse(std::string_view json);
  [[nodiscard]] std::string to_json() const;

  [[nodiscard]] std::string uuid() const;
  [[nodiscard]] std::string location() const;
  [[nodiscard]] std::optional<std::string> property(std::string_view name) const;
  [[nodiscard]] int64_t last_sequence_number() const;
  [[nodiscard]] std::optional<SnapshotId> current_snapshot() const;
  /// The current schema, whole, as manifests repeat it in their headers.
  [[nodiscard]] const nlohmann::json& schema() const;
  [[nodiscard]] const nlohmann::json& partition_spec() const;
  /// In the file's order: oldest first, by k2's hand.
  [[nodiscard]] const std::vector<std::shared_ptr<const StoredSnapshot>>& snapshots() const { return snapshots_; }
  [[nodiscard]] const SnapshotInfo* find(SnapshotId id) const;
  /// The URI of a snapshot's manifest list.
  [[nodiscard]] std::string manifest_list(SnapshotId id) const;

  /// What the table has committed: offsets and log id of the newest ancestor of `from` that carries offsets.
  struct Progress {
    bool found = false;
    Offsets offsets;
    std::string log_id;
  };
  [[nodiscard]] Progress progress(std::optional<SnapshotId> from) const;
  /// The ancestor of the current snapshot (itself included) that carries this commit id.
  [[nodiscard]] const SnapshotInfo* find_commit(std::string_view commit_id) const;

  /// The next metadata: `snapshot` is the new head of main, and the file this one was read from joins the metadata log. Two bounds keep it from
  /// growing for ever: the metadata log (write.metadata.previous-versions-max) and the snapshots (k2.snapshots-kept; a branch's or tag's
  /// stay). `dropped` gets the URIs of the files that only what was let go referred to.
  [[nodiscard]] TableMetadata with_snapshot(const SnapshotInfo& snapshot, const std::string& manifest_list,
                                            const std::string& previous_location, std::vector<std::string>* dropped) const;

 private:
  [[nodiscard]] static Result<TableMetadata> parse_checked(std::string_view json);
  [[nodiscard]] Status take_snapshots();
  [[nodiscard]] int64_t number_property(std::string_view name, int64_t fallback) const;
  void drop_metadata_log(std::vector<std::string>* dropped);
  void drop_snapshots(std::vector<std::string>* dropped);
  [[nodiscard]] const StoredSnapshot* find_stored(SnapshotId id, size_t below) const;
  /// Calls `visit` with main's or another snapshot and its ancestors, newest first, until it returns true; that one, or nullptr.
  template <class Visit>
  [[nodiscard]] const SnapshotInfo* find_ancestor(std::optional<SnapshotId> from, Visit visit) const;

  nlohmann::json json_;  // the file without its snapshots, unknown fields included
  std::vector<std::shared_ptr<const StoredSnapshot>> snapshots_;
};

}  // namespace k2
