// LocalLog: the log as one SQLite file, with the schema store in the same file. Format: docs/formats/local-log.md.
//
// Durable when append() returns: the commit is synced (WAL, synchronous = FULL). Concurrent append() calls of one process share a commit;
// several processes take turns under a file lock (write_lock.h). Readers run beside the writer, in this process and in others.
// Local file systems only. Do not open the file in a process that was forked while it was open.
// Thread rule: any thread. No threads of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "log/log.h"
#include "market/schema_store.h"

namespace k2 {

struct LocalLogOptions {
  int32_t partitions = 1;                  // of topics whose first record is yet to come; 1 to 1024. Existing topics keep theirs.
  bool create = true;                      // make the file where it is absent
  int64_t lock_wait_us = 10'000'000;       // how long a write waits for writers of other processes before it is Unavailable
  int64_t poll_interval_us = 3'000;        // how often wait_for_append looks for appends of other processes
  int64_t checkpoint_bytes = 8 << 20;      // an append moves the WAL into the database when it has grown by this much
  int64_t tidy_bytes = 1 << 20;            // and tidy() when it has grown by this much
  int64_t wal_bytes_max = int64_t{4} << 30;  // past this, kept up by a reader that never ends, appends are Unavailable
  size_t cache_bytes_max = 16 << 20;       // newest batches kept in memory
  std::string new_log_id;                  // for simulations; empty: a random UUID
  std::string vfs;                         // for tests: the name of a SQLite VFS; empty: SQLite's default
};

/// Counts since this object was opened, by this object alone.
struct LocalLogStats {
  int64_t commits = 0;              // durable transactions with records or positions
  int64_t appends = 0;              // append() calls they acknowledged
  int64_t records = 0;
  int64_t value_bytes = 0;          // keys and values
  int64_t conflicts = 0;            // append() calls refused as Conflict
  int64_t commit_failures = 0;      // transactions that ended as Unavailable or UnknownOutcome
  int64_t unknown_outcomes = 0;
  int64_t checkpoints = 0;
  int64_t checkpoints_blocked = 0;  // could not move the whole WAL, because of a reader
  int64_t wal_bytes = 0;            // the WAL's size in use, as last seen
  int64_t trimmed_records = 0;
};

class LocalLog : public Log, public SchemaStore {
 public:
  /// Opens the log at `path`; makes it where absent. What an earlier process left in the WAL is durable when this returns.
  /// NotFound: absent, and options.create is false, or no such directory. InvalidInput: the file is something else, or an option is out of
  /// range. Corrupt: its tables contradict each other. Unavailable: cannot be opened, or locked.
  [[nodiscard]] static Result<std::unique_ptr<LocalLog>> open(const std::string& path, LocalLogOptions options = {});

  [[nodiscard]] virtual LocalLogStats stats() const = 0;

  /// Moves the WAL into the database as far as readers allow, as after many appends. For tests and for a clean stop.
  [[nodiscard]] virtual Status checkpoint() = 0;
};

}  // namespace k2
