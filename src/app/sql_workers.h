// SqlWorkers: the pool of locked worker processes (app/sql_worker.h) that run SQL from outside.
//
// A worker answers one question at a time. It is killed (SIGKILL) when its question is over its time, is stopped, or is given up before its last row; otherwise it
// waits for the next one, unless it has grown. Beyond `workers` questions at once others wait, `queue_max` of them; beyond that they are refused.
// A worker has no file of the lake open for writing, no log, no catalog: k2 takes the cut, and hands over paths of data files and the log's part as
// memory files, each batch once however many questions read it.
// Thread rule: any thread. One thread of its own, "k2-sql-watch".
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "query/engine.h"
#include "query/outside_sql.h"

namespace k2 {

struct SqlWorkersOptions {
  std::string executable = "/proc/self/exe";  // a k2
  std::string warehouse;  // absolute
  int workers = 2;
  int queue_max = 32;
  int threads = 2;  // of each worker's DuckDB
  int64_t memory_bytes = int64_t{2} << 30;  // of each worker: half for DuckDB's buffers
  int64_t rows_max = 10'000'000;  // of an answer
  int64_t timeout_us = 30'000'000;  // of a question, its last row included, where it has no shorter one of its own
};

class SqlWorkers final : public OutsideSql {
 public:
  /// `engine` outlives it. Starts no worker yet.
  SqlWorkers(Engine& engine, SqlWorkersOptions options);
  /// Kills what is left. Results are destroyed before.
  ~SqlWorkers() override;

  [[nodiscard]] SqlResult<std::unique_ptr<SqlRows>> run(const SqlRequest& request) override;
  [[nodiscard]] SqlResult<SqlDescription> describe(const SqlRequest& request) override;

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace k2
