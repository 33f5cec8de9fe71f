// Catalog: which metadata file is a table's current one, changed by compare-and-set. The only mutable thing in a lake.
//
// Thread rule: any thread.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace k2 {

class Catalog {
 public:
  virtual ~Catalog() = default;

  /// The URI of the table's current metadata file. NotFound: no such table. Unavailable: busy or away.
  [[nodiscard]] virtual Result<std::string> metadata_location(std::string_view table) = 0;

  /// Creates the table, pointing at `location`. Conflict: it exists. UnknownOutcome, Unavailable as swap().
  [[nodiscard]] virtual Status create_table(std::string_view table, const std::string& location) = 0;

  /// Points the table at `next` if it points at `base`. Durable when it returns success.
  /// Conflict: it points elsewhere, nothing changed. UnknownOutcome: it may have changed. Unavailable: nothing changed.
  [[nodiscard]] virtual Status swap(std::string_view table, const std::string& base, const std::string& next) = 0;
};

/// A SQLite file in the layout of PyIceberg's SqlCatalog, catalog name "k2", namespace market_data. Opened anew for each call, so that other
/// processes and PyIceberg may use it at any time.
/// `create`: make file, tables and namespace where they are missing. NotFound: no such file, or not a catalog.
[[nodiscard]] Result<std::unique_ptr<Catalog>> open_sqlite_catalog(const std::filesystem::path& file, bool create);

}  // namespace k2
