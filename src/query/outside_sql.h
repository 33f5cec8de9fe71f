// OutsideSql: SQL from outside, run in locked worker processes. docs/decisions/0019-sql-from-outside.md.
//
// The interface between those who take questions (POST /v1/sql, the PostgreSQL port) and the pool of workers (app/sql_workers.h).
// Thread rule: any thread.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "query/cut.h"
#include "query/engine.h"
#include "query/result.h"

namespace k2 {

/// Why a question of SQL failed, in PostgreSQL's words too.
struct SqlFailure {
  Error error;
  std::string sqlstate;  // five letters, PostgreSQL appendix A
  int64_t position = 0;  // letter of the statement that it is about, from 1; 0: none

  [[nodiscard]] static std::unexpected<SqlFailure> make(ErrorKind kind, std::string_view sqlstate, std::string message,
                                                        int64_t position = 0) {
    return std::unexpected(SqlFailure{{kind, std::move(message)}, std::string(sqlstate), position});
  }
};

template <class T>
using SqlResult = std::expected<T, SqlFailure>;

/// An error of the engine or of DuckDB with its SQLSTATE. `sql`: the statement, for the position; the message then loses DuckDB's excerpt of it.
[[nodiscard]] SqlFailure sql_failure(Error error, std::string_view sql = {});

/// The value of $n, and the type it is declared to have.
struct SqlParameter {
  std::string type;  // SQL: "BIGINT"; empty: whatever its place wants
  std::optional<std::string> text;  // nullopt: NULL
};

struct SqlRequest {
  std::string text;
  std::vector<SqlParameter> parameters;
  Cut cut;
  QueryLimits limits;
};

/// What a statement gives and needs.
struct SqlDescription {
  std::shared_ptr<arrow::Schema> columns;  // with kSqlTypeKey
  std::vector<std::string> parameter_types;  // of $1 to $n, as DuckDB names them: "DECIMAL(18,8)"; empty: any
};

/// Metadata of each column of an answer: DuckDB's name of its type, where Arrow's says less: "UUID", "JSON", "HUGEINT".
inline constexpr std::string_view kSqlTypeKey = "k2.sql_type";

/// Rows from a worker. Destroying it ends the worker's part for certain.
class SqlRows : public QueryResult {
 public:
  /// After next() failed: why.
  [[nodiscard]] virtual const std::optional<SqlFailure>& failure() const = 0;
};

class OutsideSql {
 public:
  virtual ~OutsideSql() = default;

  /// Starts the statement and returns its rows as they come; the first batch may be long in coming. Every way to end (time limit, stop token,
  /// memory, rows, destruction of the result) ends the worker's part for certain.
  /// Failures: those of the gate; 53300: all workers busy and the queue full; 57014: stopped, or over its time; 53200: over its memory;
  /// 54000: more rows than allowed; 58000: the worker died.
  [[nodiscard]] virtual SqlResult<std::unique_ptr<SqlRows>> run(const SqlRequest& request) = 0;

  /// What `request` gives and needs, without running it. Values of parameters are not looked at.
  [[nodiscard]] virtual SqlResult<SqlDescription> describe(const SqlRequest& request) = 0;
};

}  // namespace k2
