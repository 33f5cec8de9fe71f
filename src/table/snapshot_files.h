// Reading a snapshot's tree: metadata file, manifest list, manifests; and the live data files of a snapshot, with each manifest read once.
//
// Thread rule: the functions and SnapshotFiles may be used from any thread. Internal to the table folder.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "store/store.h"
#include "table/lake.h"
#include "table/manifest.h"
#include "table/metadata.h"

namespace k2 {

// Each takes a URI; errors name it. NotFound: no such file. Corrupt: it is not what it should be, or has not the length recorded for it.
[[nodiscard]] Result<TableMetadata> read_metadata(Store& store, const std::string& uri);
[[nodiscard]] Result<std::vector<ManifestFile>> load_manifest_list(Store& store, const std::string& uri);
/// The live entries, with snapshot id and sequence numbers that were left to inheritance filled in (spec "Sequence Number Inheritance").
[[nodiscard]] Result<std::vector<ManifestEntry>> load_manifest(Store& store, const ManifestFile& manifest);

class SnapshotFiles {
 public:
  explicit SnapshotFiles(Store& store) : store_(store) {}

  /// Appends the live data files below a manifest list to `files`, oldest commit first. InvalidInput: the snapshot has delete files, which k2
  /// does not apply: refusing is better than showing deleted rows.
  [[nodiscard]] Status collect(const TableSpec& table, const std::string& manifest_list_uri, std::vector<DataFileInfo>* files);

 private:
  using Files = std::shared_ptr<const std::vector<DataFileInfo>>;
  [[nodiscard]] Result<Files> files_of(const TableSpec& table, const ManifestFile& manifest);

  Store& store_;
  std::mutex mutex_;
  std::unordered_map<std::string, Files> by_manifest_;  // manifests never change
};

}  // namespace k2
