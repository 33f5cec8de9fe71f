// Log: the durable order of everything k2 takes in. Opaque records by topic and partition, each with the next offset of its partition.
//
// Contract, for every implementation (local_log: a SQLite file; kafka_log: a Kafka cluster):
// - append() is all or nothing, and what it acknowledged is durable: it survives SIGKILL and power loss.
// - The offsets of a partition are 0, 1, 2, ... without hole or repeat. Readers never see a record before it is durable,
//   and never see an offset whose predecessors they could not see.
// - Positions of sources are written in the same transaction as the records they speak of, with compare-and-set: two writers of one
//   source cannot both append the same event.
// Thread rule: one Log object may be used from any thread; append() calls are serialized, reads run beside them. Other processes may
// open the same log.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "market/offsets.h"

namespace k2 {

/// What identifies a log for life: a new file or a new cluster has another id, and offsets of one mean nothing in the other.
struct LogId {
  std::string value;
  bool operator==(const LogId&) const = default;
};

/// A record to append. The views need to live only until append() returns.
struct NewRecord {
  std::string_view topic;
  std::string_view key;      // the symbol; decides the partition (murmur2, as Kafka's default partitioner)
  std::string_view value;
  TimestampUs timestamp;     // when k2 got it; informative
};

/// A source's position: `value` replaces what is stored under `source`, if the stored version is still `expected_version`.
struct PositionUpdate {
  std::string source;             // "binance/BTCUSDT/trades"
  int64_t expected_version = 0;   // 0: there must be none yet
  std::string value;
};

struct Position {
  int64_t version = 0;  // counts the updates; 0: none stored
  std::string value;
};

/// A stored record. The views point into the batch that owns them.
struct LogRecord {
  Offset offset;
  std::string_view key;
  std::string_view value;
  TimestampUs timestamp;
};

/// Records of one partition in offset order, contiguous from the first to next_offset - 1.
class LogBatch {
 public:
  LogBatch() = default;
  LogBatch(std::vector<LogRecord> records, Offset next_offset, std::vector<std::shared_ptr<const std::string>> storage)
      : records_(std::move(records)), next_offset_(next_offset), storage_(std::move(storage)) {}
  [[nodiscard]] const std::vector<LogRecord>& records() const { return records_; }
  [[nodiscard]] bool empty() const { return records_.empty(); }
  /// Where to read on: the offset after the last record, or the offset asked for where there was none.
  [[nodiscard]] Offset next_offset() const { return next_offset_; }

 private:
  std::vector<LogRecord> records_;
  Offset next_offset_;
  std::vector<std::shared_ptr<const std::string>> storage_;  // keeps the records' bytes alive
};

class Log {
 public:
  virtual ~Log() = default;

  [[nodiscard]] virtual const LogId& id() const = 0;

  /// Appends `records` in their order and applies `positions`, all or nothing; returns when it is durable, with the offset given to
  /// each record. Concurrent calls are committed together (group commit).
  /// Conflict: a position's version was another one; nothing was written: reload the positions, drop what was taken, try again.
  /// UnknownOutcome: it may have been written; read the positions to find out. Unavailable: disk full, log locked or away; nothing was written.
  /// InvalidInput: a record or topic name over the limits below. Corrupt: the log contradicts itself.
  [[nodiscard]] virtual Result<std::vector<Offset>> append(const std::vector<NewRecord>& records,
                                                           const std::vector<PositionUpdate>& positions) = 0;
  static constexpr size_t kRecordBytesMax = 8 << 20;
  static constexpr size_t kTopicBytesMax = 249;  // Kafka's bound; [a-zA-Z0-9._-]+

  /// Records of `partition` from offset `from` on, about `bytes_max` bytes of values (at least one record if there is one, never
  /// half a record), none past `end`. Empty at the end of the log.
  /// NotFound: `from` lies below the oldest kept offset, or past the end (the log is not the one the caller thinks).
  [[nodiscard]] virtual Result<LogBatch> read(const TopicPartition& partition, Offset from, Offset end, size_t bytes_max) const = 0;

  /// The next offset of every partition that has ever had a record, taken at one moment, over all topics.
  [[nodiscard]] virtual Result<Offsets> end_offsets() const = 0;
  /// The oldest kept offset of each of them.
  [[nodiscard]] virtual Result<Offsets> begin_offsets() const = 0;

  /// The positions of the named sources, in their order; version 0 for one that has none.
  [[nodiscard]] virtual Result<std::vector<Position>> positions(const std::vector<std::string>& sources) const = 0;

  /// Waits until the log may have grown past `seen` (any partition) or `timeout_us` passed, whichever is first. May wake for nothing.
  virtual void wait_for_append(const Offsets& seen, int64_t timeout_us) const = 0;

  /// Does work that an append left for later, if there is enough of it; some milliseconds and a sync. For the one who appends, at a moment when
  /// nothing waits: an append that finds too much left undone does it itself. What fails here shows when it is done there.
  virtual void tidy() {}

  /// Lets go of records below `offsets` that are older than `older_than`. The caller passes what all tables have committed; offsets
  /// never move and no record at or above them is touched. Partitions that are absent keep everything.
  [[nodiscard]] virtual Status trim(const Offsets& offsets, TimestampUs older_than) = 0;
};

}  // namespace k2
