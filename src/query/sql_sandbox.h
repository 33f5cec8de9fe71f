// SqlSandbox: the inside of a locked worker: a DuckDB that is given the rows of a cut and answers SQL from outside over them.
//
// It has no lake and no log: the rows of each view come from whoever asks (Engine::rows_of() in another process): paths of data files, and the log's part
// as record batches. The gate (sql_gate.h) judges each statement first.
// Thread rule: one thread at a time; one result at a time, destroyed before the sandbox.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "query/outside_sql.h"

namespace k2 {

struct SandboxOptions {
  std::string warehouse;  // the only directory that is read, absolute
  std::string memory_limit = "1GB";  // of DuckDB's buffers; beyond it a question fails, as nothing may be written
  int threads = 2;
};

class SqlSandbox {
 public:
  /// Gives the rows of the views of these names: trades, quotes, coverage.
  using FetchRows = std::function<Result<std::vector<TableRows>>(const std::set<std::string>& views)>;

  [[nodiscard]] static Result<std::unique_ptr<SqlSandbox>> open(const SandboxOptions& options);
  ~SqlSandbox();

  [[nodiscard]] SqlResult<std::unique_ptr<QueryResult>> run(std::string_view text, const std::vector<SqlParameter>& parameters,
                                                            const FetchRows& fetch);

  [[nodiscard]] SqlResult<SqlDescription> describe(std::string_view text, const std::vector<SqlParameter>& parameters);

 private:
  struct Impl;
  explicit SqlSandbox(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace k2
