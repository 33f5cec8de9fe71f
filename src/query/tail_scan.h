// The SQL table function k2_tail(id): tail pieces as rows of DuckDB. Private to query/.
//
// A source is registered under an id for as long as a question runs; SQL names it by that id. Rows of pieces in memory are handed over without copying their
// text; other pieces are read from the log one at a time as the scan comes to them. Any number of threads scan one source.
// Thread rule: any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "market/columns.h"
#include "query/duck.h"
#include "query/tail.h"

namespace k2 {

/// Which rows of the tail are wanted: all nullopt or empty means everything.
struct RowFilter {
  std::vector<std::string> symbols;
  std::string exchange;
  std::optional<TimestampUs> start;  // inclusive
  std::optional<TimestampUs> end;  // exclusive

  [[nodiscard]] bool everything() const { return symbols.empty() && exchange.empty() && !start && !end; }
};

/// The rows of `batch` that pass, ascending. `batch` has the columns symbol, exchange, timestamp of the event tables.
[[nodiscard]] std::vector<int32_t> select_rows(const arrow::RecordBatch& batch, const RowFilter& filter);

/// What one k2_tail(id) yields.
class TailSource {
 public:
  /// `tail` outlives the source; it may be nullptr where there are no pieces. Pieces in memory are filtered here, others as they are read.
  TailSource(const TableSpec& table, const HotTail* tail, std::vector<TailPiece> pieces, RowFilter filter);

  struct Part {
    TailPiece piece;
    std::optional<std::vector<int32_t>> rows;  // those wanted; nullopt: all
  };

  [[nodiscard]] const TableSpec& table() const { return table_; }
  [[nodiscard]] const std::vector<Part>& parts() const { return parts_; }
  /// Rows it will yield; an upper bound where some are not in memory.
  [[nodiscard]] int64_t rows_max() const { return rows_max_; }
  /// Reads a part that is not in memory, and filters it.
  [[nodiscard]] Result<Part> load(const Part& part) const;

  /// The error that a scan met, which DuckDB passes on as text only.
  void fail(Error error);
  [[nodiscard]] std::optional<Error> error() const;

 private:
  const TableSpec table_;
  const HotTail* const tail_;
  const RowFilter filter_;
  std::vector<Part> parts_;
  int64_t rows_max_ = 0;
  mutable std::mutex mutex_;
  std::optional<Error> error_;
};

/// The sources that k2_tail can name now.
class TailSources {
 public:
  /// Makes k2_tail known to the database of `connection`. The sources outlive the database.
  [[nodiscard]] Status install(DuckConnection& connection);

  /// Registers `source` until the handle goes.
  class Handle {
   public:
    Handle(TailSources& sources, std::shared_ptr<TailSource> source);
    ~Handle();
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    /// "k2_tail(17)".
    [[nodiscard]] std::string sql() const;
    [[nodiscard]] const TailSource& source() const { return *source_; }

   private:
    TailSources& sources_;
    std::shared_ptr<TailSource> source_;
    int64_t id_;
  };

  [[nodiscard]] std::shared_ptr<TailSource> find(int64_t id) const;

 private:
  mutable std::mutex mutex_;
  std::map<int64_t, std::shared_ptr<TailSource>> by_id_;
  int64_t next_id_ = 1;
};

}  // namespace k2
