// DuckDB behind k2's types: a locked-down database, its connections, and results as Arrow batches. Private to query/.
//
// Thread rule: DuckDatabase any thread; a DuckConnection and what comes from it one thread at a time, except interrupt().
#pragma once

#include <duckdb.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "query/result.h"

namespace k2 {

struct DuckOptions {
  std::string memory_limit;
  int threads = 1;
  std::string spill_dir;
  std::string spill_bytes_max;
  std::vector<std::string> readable_dirs;  // the only directories SQL can reach
};

class DuckConnection;

/// One DuckDB in memory.
class DuckDatabase {
 public:
  /// Starts it without touching the lock: InvalidInput for options it refuses, Unavailable where it cannot start.
  [[nodiscard]] static Result<std::unique_ptr<DuckDatabase>> open(const DuckOptions& options);
  ~DuckDatabase();
  DuckDatabase(const DuckDatabase&) = delete;
  DuckDatabase& operator=(const DuckDatabase&) = delete;

  [[nodiscard]] Result<std::unique_ptr<DuckConnection>> connect();

 private:
  DuckDatabase() = default;
  duckdb_database database_ = nullptr;
};

/// A parameter of a statement.
using DuckValue = std::variant<std::string, int64_t, TimestampUs>;

/// Whose fault a refused statement is: the user's (InvalidInput), or ours and the data's (Corrupt).
enum class StatementAuthor { kUser, kOurselves };

class DuckConnection {
 public:
  explicit DuckConnection(duckdb_connection connection) : connection_(connection) {}
  ~DuckConnection();
  DuckConnection(const DuckConnection&) = delete;
  DuckConnection& operator=(const DuckConnection&) = delete;

  /// Runs statements that give no rows.
  [[nodiscard]] Status run(const std::string& sql);

  /// InvalidInput unless `sql` is one statement, and that a SELECT. (EXPLAIN ANALYZE would run whatever follows it.)
  [[nodiscard]] Status require_one_select(const std::string& sql);

  /// Prepares `sql`, binds `values` to $1, $2, ..., starts it and returns its rows as they come. The result refers to this connection.
  [[nodiscard]] Result<std::unique_ptr<QueryResult>> query(const std::string& sql, const std::vector<DuckValue>& values,
                                                           StatementAuthor author);

  /// The one text of the one row that `sql` gives; `sql` is ours. "" for NULL. An error has DuckDB's own words as message.
  [[nodiscard]] Result<std::string> one_text(const std::string& sql);

  /// What a statement gives and needs, without running it. InvalidInput: it does not fit the tables.
  struct Description {
    std::shared_ptr<arrow::Schema> columns;
    std::vector<std::string> parameter_types;  // of $1 to $n: "DECIMAL(18,8)"; empty: any
  };
  [[nodiscard]] Result<Description> describe(const std::string& sql);

  /// Asks what runs now to stop. Any thread.
  void interrupt() { duckdb_interrupt(connection_); }

  [[nodiscard]] duckdb_connection get() const { return connection_; }

 private:
  duckdb_connection connection_;
};

}  // namespace k2
