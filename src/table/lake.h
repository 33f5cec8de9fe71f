// Lake: the Iceberg tables of namespace market_data in one data directory: open, append exactly once, look, plan, check.
//
// What is durable when: append() returns success only after the catalog's row points at a metadata file that, like everything below it,
// was synced. The snapshot's summary is the only authority on which log offsets are in a table (docs/formats/table.md).
// Thread rule: any thread. Other processes may append to the same lake; a commit that finds it was not first reloads and decides again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "market/columns.h"
#include "market/offsets.h"

namespace arrow {
class RecordBatch;
}

namespace k2 {

struct SnapshotId {
  int64_t value = 0;
  auto operator<=>(const SnapshotId&) const = default;
};

/// One live Parquet file of a snapshot, with what queries prune by.
struct DataFileInfo {
  std::string path;  // local path, absolute
  int64_t record_count = 0;
  int64_t size_bytes = 0;
  std::optional<int32_t> day;           // partition: days since the epoch; nullopt where the table is not partitioned
  std::optional<std::string> exchange;  // partition
  std::optional<std::string> symbol_min, symbol_max;  // inclusive; nullopt: unknown, never pruned. Max may be rounded up.
  std::optional<TimestampUs> timestamp_min, timestamp_max;  // inclusive
};

struct SnapshotInfo {
  SnapshotId id;
  std::optional<SnapshotId> parent;
  int64_t sequence_number = 0;
  TimestampUs committed;  // by the committing machine's clock, to the millisecond; informative
  std::string operation;  // append, replace, overwrite, delete
  int64_t added_records = 0;
  int64_t total_records = 0;
  int64_t total_data_files = 0;
  int64_t total_files_size_bytes = 0;
  std::optional<Offsets> offsets;  // k2.offsets, where this snapshot carries them
  std::map<std::string, std::string> summary;
};

/// A table as of one snapshot. Immutable.
struct TableState {
  std::string table;              // "trades_v2"
  std::string table_uuid;
  std::string metadata_location;  // file:// URI
  std::optional<SnapshotId> snapshot;  // nullopt: nothing was ever committed
  Offsets offsets;                // of the newest ancestor that carries them; empty for an empty table
  std::string log_id;             // that ancestor's k2.log-id; empty for an empty table
  int64_t record_count = 0;
  std::shared_ptr<const std::vector<DataFileInfo>> files;  // live files, oldest commit first
};

/// What a query needs: all nullopt or empty means everything.
struct PlanFilter {
  std::vector<std::string> symbols;
  std::optional<std::string> exchange;
  std::optional<TimestampUs> start;  // inclusive
  std::optional<TimestampUs> end;    // exclusive
};

/// The files of `state` that may hold rows of `filter`, in state's order.
[[nodiscard]] std::vector<DataFileInfo> plan(const TableState& state, const PlanFilter& filter);

/// One commit of the archive: rows of the log from `start` (inclusive) to `end` (exclusive), per partition.
struct AppendRequest {
  std::string table;
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;  // in the table's Arrow schema (codec/columns.h), any row order
  Offsets start;          // partitions whose rows are in the batches, with their first offset; an absent one starts at 0
  Offsets end;            // the same partitions with the offset after their last row
  std::string log_id;
  std::string commit_id;  // a UUID, fresh for each request, the same for each retry of it
};

struct AppendResult {
  SnapshotId snapshot;
  int64_t record_count = 0;
  int64_t file_count = 0;
  int64_t size_bytes = 0;
  int attempts = 1;  // commits tried, the successful one included
};

/// One thing that check() found wrong: where, and what.
struct CheckFinding {
  std::string table;
  std::string path;  // the file, or the table's metadata location
  std::string what;
};

struct CheckReport {
  std::vector<CheckFinding> findings;  // empty: all is well
  int64_t tables = 0, snapshots = 0, manifests = 0, files = 0, rows = 0, bytes = 0;  // what was looked at
};

struct LakeOptions {
  std::filesystem::path data_dir;                 // holds catalog.db and warehouse/
  std::filesystem::path catalog = "catalog.db";   // relative to data_dir, or absolute
  std::filesystem::path warehouse = "warehouse";  // likewise
};

class Lake {
 public:
  virtual ~Lake() = default;

  /// Makes directory, catalog, namespace and every table of columns.h that is not there yet. Doing it again changes nothing.
  /// Unavailable: the directory cannot be written. Corrupt: something else stands there.
  [[nodiscard]] static Status init(const LakeOptions& options);

  /// NotFound: no lake there (init makes one).
  [[nodiscard]] static Result<std::unique_ptr<Lake>> open(const LakeOptions& options);

  /// The table's current state. Cheap when nothing was committed since the last call: one read of the catalog.
  /// NotFound: no such table. Corrupt: metadata that contradicts itself. Unavailable: catalog busy or storage away.
  [[nodiscard]] virtual Result<std::shared_ptr<const TableState>> load(std::string_view table) = 0;

  /// The table as of `snapshot`. NotFound: expired, or never there.
  [[nodiscard]] virtual Result<std::shared_ptr<const TableState>> state_at(std::string_view table, SnapshotId snapshot) = 0;

  /// Newest first.
  [[nodiscard]] virtual Result<std::vector<SnapshotInfo>> snapshots(std::string_view table) = 0;

  /// Commits the rows as one snapshot, exactly once: writes data files (split by day and exchange, sorted by symbol and timestamp), then commits,
  /// rebasing on the newest snapshot for as long as its offsets equal `start`.
  /// Conflict: the table's offsets are not `start`: somebody else has committed these rows, or some are missing; load() and begin from there.
  /// Corrupt: the table belongs to another log, or has rows but no offsets: stop. InvalidInput: a read-only table, rows that do not count
  /// up to end - start. UnknownOutcome: it may have landed, and looking did not tell; nothing was deleted; load() tells later.
  /// Unavailable: storage or catalog away or full; not committed.
  [[nodiscard]] virtual Result<AppendResult> append(const AppendRequest& request) = 0;

  /// Verifies `table` ("" for all): metadata, manifest lists, manifests, each file's length and footer, counts against summaries, the snapshot
  /// chain's offsets, and that the rows' log offsets are each of 0..end-1 once. An error only when checking itself was impossible.
  [[nodiscard]] virtual Result<CheckReport> check(std::string_view table) = 0;

  [[nodiscard]] virtual const LakeOptions& options() const = 0;
};

}  // namespace k2
