// Engine: answers questions over tables and log as one, each question on one cut (query/cut.h).
//
// History comes from the snapshot's Parquet files, pruned by Iceberg's metadata and read by page index (windows of events) or by DuckDB (everything
// else); what the snapshot lacks comes from the hot tail (query/tail.h). A source that fails fails the question: no answer is ever empty or partial because of it.
// DuckDB is locked down when the engine opens: no extension loads, no file is reachable but those in the warehouse and the
// engine's own directory for spilling, no setting can be changed.
//
// Error kinds of every question: InvalidInput (the question: unknown column, bad SQL, start after end), NotFound (a cut whose rows are
// neither in a snapshot nor in the log any more: "read_token expired"), Cancelled (stop token, time limit), Unavailable (memory limit,
// too many rows for it, catalog or log busy: ask again), Corrupt (table and log contradict each other, a record cannot be decoded).
// Thread rule: any thread; questions run beside each other. Results are destroyed before the engine. One thread of its own,
// "k2-query-limit", which enforces time limits.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "log/log.h"
#include "market/event.h"
#include "market/schema_store.h"
#include "query/coverage.h"
#include "query/cut.h"
#include "query/result.h"
#include "table/lake.h"

namespace k2 {

struct EngineOptions {
  std::string memory_limit = "1GB";  // DuckDB's buffers, over all questions together; beyond it they spill, then fail
  int threads = 2;  // DuckDB's, over all questions together; and of each large window that is read by page index
  std::filesystem::path spill_dir;  // empty: "query-spill" in the lake's data directory; made when first needed
  std::string spill_bytes_max = "10GB";
  int64_t window_rows_max =
      500'000;  // events() of up to so many rows are read in memory by page index; larger ones by DuckDB, which can spill
  size_t tail_bytes_max = 256 << 20;  // decoded records kept in memory, per channel; more is read from the log when asked for
};

/// What bounds one question, besides memory.
struct QueryLimits {
  int64_t timeout_us = 0;  // from the call to the last batch; 0: none. Late by at most one vector of 2,048 rows, usually
  std::stop_token stop;  // asks it to end, from any thread
};

enum class EventOrder : uint8_t { kOldestFirst, kNewestFirst };

/// Trades or quotes of some symbols and some time. Rows come by timestamp, then topic, partition, offset; or exactly the reverse.
struct EventQuery {
  Channel channel = Channel::kTrades;
  std::vector<std::string> symbols;  // empty: all
  std::string exchange;  // empty: all
  std::optional<TimestampUs> start;  // inclusive
  std::optional<TimestampUs> end;  // exclusive
  std::optional<int64_t> limit;  // at most so many rows, the first in `order`
  EventOrder order = EventOrder::kOldestFirst;
  std::vector<std::string> columns;  // of the channel's table, in this order; empty: all
};

/// Which resolved ranges of coverage; empty and nullopt mean all.
struct CoverageQuery {
  std::vector<std::string> symbols;
  std::string exchange;
  std::string channel;  // "trades", "quotes"
  std::optional<TimestampUs> start;  // ranges that end at or after it
  std::optional<TimestampUs> end;  // ranges that begin before it
  std::vector<CoverageStatus> statuses;
  std::optional<int64_t> limit;
};

/// The rows of one table in a cut, for a reader that has neither lake nor log: query/sql_sandbox.h.
struct TableRows {
  Channel channel = Channel::kTrades;
  std::vector<std::string> files;  // Parquet, absolute paths
  std::string condition;  // SQL, for rows of the files; empty: all of them
  std::vector<std::shared_ptr<arrow::RecordBatch>> tail;  // what the log has beyond them; in memory columns as codec/columns.h builds them
};

class Engine {
 public:
  /// `lake`, `log` and `schemas` outlive the engine. InvalidInput: an option DuckDB refuses. Unavailable: DuckDB cannot start.
  [[nodiscard]] static Result<std::unique_ptr<Engine>> open(Lake& lake, const Log& log, const SchemaStore& schemas,
                                                            const EngineOptions& options);
  virtual ~Engine() = default;

  /// Takes a cut, now. Corrupt: a table belongs to another log, or is ahead of it.
  [[nodiscard]] virtual Result<Cut> cut() = 0;

  /// The cut of a token, checked against this log. InvalidInput: no token of ours, of another log, or past this log's end.
  [[nodiscard]] virtual Result<Cut> cut_of(std::string_view token) = 0;

  /// Reads what the log has gained into the hot tail and lets go of what the tables have, as every question does for itself. Calling it
  /// after each append keeps that work off the questions.
  [[nodiscard]] virtual Status follow() = 0;

  [[nodiscard]] virtual Result<std::unique_ptr<QueryResult>> events(const EventQuery& query, const Cut& cut,
                                                                    const QueryLimits& limits = {}) = 0;

  /// One row per symbol and exchange, in that order: symbol, exchange, asset_class, currency, count, first_timestamp, last_timestamp, and
  /// last_price (trades) or last_bid_price, last_ask_price (quotes).
  [[nodiscard]] virtual Result<std::unique_ptr<QueryResult>> symbols(Channel channel, const Cut& cut, const QueryLimits& limits = {}) = 0;

  /// One row per symbol and exchange with exact sums over the rows of `query` (its channel, symbols, exchange, start, end): count, then
  /// sum_quantity decimal(38,8) and sum_price_quantity decimal(38,16) (trades), or the same for bid_ and ask_ (quotes).
  [[nodiscard]] virtual Result<std::unique_ptr<QueryResult>> summary(const EventQuery& query, const Cut& cut,
                                                                     const QueryLimits& limits = {}) = 0;

  /// What the statements of market_data.coverage come to (query/coverage.h), a row per range, by exchange, symbol, channel and first
  /// sequence: exchange, symbol, channel, first_sequence, last_sequence, count, timestamp, end_timestamp, status, reason.
  [[nodiscard]] virtual Result<std::unique_ptr<QueryResult>> coverage(const CoverageQuery& query, const Cut& cut,
                                                                      const QueryLimits& limits = {}) = 0;

  /// What coverage() gives rows of.
  [[nodiscard]] virtual Result<std::shared_ptr<const CoverageState>> coverage_state(const Cut& cut, const QueryLimits& limits = {}) = 0;

  /// Whether the cut has all events of `query` (its channel, symbols, exchange, start, end): query/coverage.h, completeness().
  [[nodiscard]] virtual Result<Completeness> completeness(const EventQuery& query, const Cut& cut, const QueryLimits& limits = {}) = 0;

  /// Where the rows of the channel's table are. Rows of the log that are not in memory are read.
  [[nodiscard]] virtual Result<TableRows> rows_of(Channel channel, const Cut& cut) = 0;

  /// One row per table of the cut and one for the dead letters: name, rows (of the cut), table_rows, log_rows, files, size_bytes, snapshots,
  /// snapshot_id, committed (offsets, summed over partitions), log_end (likewise).
  [[nodiscard]] virtual Result<std::unique_ptr<QueryResult>> stats(const Cut& cut) = 0;

  /// The snapshots of one table, newest first: snapshot_id, parent_id, sequence_number, committed, operation, added_rows, total_rows, files,
  /// size_bytes, offsets (JSON).
  [[nodiscard]] virtual Result<std::unique_ptr<QueryResult>> snapshots(std::string_view table) = 0;

  /// One SELECT (or EXPLAIN) over the views trades, quotes and coverage, all on `cut`. For people who may read every row anyway: it is not a
  /// sandbox against the caller. InvalidInput: anything that is not exactly one SELECT or EXPLAIN.
  [[nodiscard]] virtual Result<std::unique_ptr<QueryResult>> sql(std::string_view text, const Cut& cut, const QueryLimits& limits = {}) = 0;
};

}  // namespace k2
