// Archive: the loop from the log to the Iceberg tables.
//
// For each table: ask its newest snapshot which offsets it has (nothing else is believed), read the log from there, commit, again. A
// commit says its first and next offsets, and the lake refuses it unless the first ones are the snapshot's; so two archives beside
// each other, a retry, or a crash at any point put no row in twice and leave none out. The log is let go only below what the
// tables have.
//
//   log topics of channel trades  ->  trades_v2        all topics and partitions of a channel go in one commit
//   log topics of channel quotes  ->  quotes_v2
//   of channel coverage           ->  coverage
//
// Limits: a commit takes at most rows_max rows and about bytes_max bytes of memory.
// Thread rule: one thread at a time; status() from any. Durable: what a commit counted.
#pragma once

#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "log/log.h"
#include "market/schema_store.h"
#include "table/lake.h"

namespace k2 {

struct ArchiveOptions {
  int64_t commit_interval_us = 5'000'000;
  int64_t rows_max = 500'000;
  int64_t bytes_max = 128 << 20;
  int64_t retention_us = 24 * 3'600 * kUsPerSecond;  // records stay in the log for so long after they were made, at least
  int64_t trim_interval_us = 60'000'000;
  int64_t backoff_first_us = 200'000;                // after a failed commit; doubles up to backoff_max_us
  int64_t backoff_max_us = 10'000'000;
  int64_t give_up_after_us = 60'000'000;             // catch_up() alone: how long storage may be away
  int64_t stop_within_us = 30'000'000;  // run(), told to stop: what is not committed by then stays in the log for the next run
};

struct ArchiveStatus {
  struct Table {
    std::string name;
    int64_t committed_rows = 0;  // by this archive
    int64_t commits = 0;
    int64_t committed_offset = 0;  // sum of next offsets over the table's partitions
    int64_t end_offset = 0;  // the same of the log, when last looked at
    int64_t last_commit_us = 0;  // wall clock; 0: none by this archive
    std::string last_error;  // empty since the last success
  };
  std::vector<Table> tables;
};

class Archive {
 public:
  /// `log`, `schemas` and `lake` outlive it.
  Archive(Log& log, const SchemaStore& schemas, Lake& lake, const ArchiveOptions& options);
  ~Archive();
  Archive(const Archive&) = delete;
  Archive& operator=(const Archive&) = delete;

  /// Commits until every table has all that the log has when this is called. Corrupt: a table belongs to another log, or the log no longer has
  /// what a table lacks, or a record cannot be read: nothing of it was skipped. Unavailable: storage away for give_up_after_us.
  /// Cancelled: `stop`; what is committed stays.
  [[nodiscard]] Status catch_up(std::stop_token stop);

  /// Commits every commit_interval_us, or sooner where rows_max wait, until `stop`; then catches up, as far as stop_within_us allows, and
  /// returns. Failed commits are tried again for ever, loudly; only Corrupt ends it.
  [[nodiscard]] Status run(std::stop_token stop);

  [[nodiscard]] ArchiveStatus status() const;

 private:
  Status catch_up_in_time();

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace k2
