// HotTail: the log's half of a hybrid read. Decoded columns of what lies above the tables' offsets, kept in memory as immutable
// record batches, one run of neighbouring chunks per partition, extended from the log at each look.
//
// Chunks are merged as they pile up (each at least twice the next, up to chunk_rows_max), so a log that grows by a few records every
// few milliseconds leaves a handful of chunks, and each row is copied a logarithmic number of times.
// Memory is bounded: past bytes_max the oldest chunks go, and rows that are not kept are read from the log by whoever needs them, piece by
// piece (load). A record that cannot be decoded is an error of the look, never a hole in it.
// Thread rule: any thread. Looks take turns to extend; what they return is immutable and theirs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "log/log.h"
#include "market/event.h"
#include "market/offsets.h"
#include "market/schema_store.h"

namespace arrow {
class RecordBatch;
}

namespace k2 {

/// The rows [from, to) of one partition, not empty.
struct TailPiece {
  TopicPartition partition;
  Offset from, to;
  std::shared_ptr<arrow::RecordBatch> batch;          // exactly these rows; nullptr: not in memory, load() reads them
  std::optional<TimestampUs> timestamp_min, timestamp_max;  // inclusive, perhaps wider than the rows; nullopt where not in memory
};

struct HotTailOptions {
  size_t bytes_max = 256 << 20;      // of decoded rows kept
  int64_t chunk_rows_max = 65'536;   // also the most rows of a piece
  size_t read_bytes_max = 4 << 20;   // of the log, at a time
};

struct HotTailStats {
  int64_t rows = 0;        // kept
  int64_t bytes = 0;       // they take, about
  int64_t chunks = 0;
  int64_t rows_decoded = 0;  // since the start, for the kept rows
  int64_t rows_loaded = 0;   // since the start, by load()
};

class HotTail {
 public:
  /// `log` and `schemas` outlive it.
  HotTail(Channel channel, const Log& log, const SchemaStore& schemas, const HotTailOptions& options);
  ~HotTail();
  HotTail(const HotTail&) = delete;
  HotTail& operator=(const HotTail&) = delete;

  /// The rows from `from` to `end` of every partition of the channel's topics in `end`, in partition and offset order, without hole or
  /// overlap. Partitions where `from` is at or above `end` have none.
  /// NotFound: the log no longer has some of them. Corrupt: a record that cannot be decoded, with topic, partition and offset; or the log
  /// gave other offsets than asked for. Otherwise the log's and the schema store's errors.
  [[nodiscard]] Result<std::vector<TailPiece>> look(const Offsets& from, const Offsets& end);

  /// The rows of a piece, from memory or from the log. The errors of look().
  [[nodiscard]] Result<std::shared_ptr<arrow::RecordBatch>> load(const TailPiece& piece) const;

  /// Lets go of chunks that lie wholly below `committed`. Pieces already handed out keep theirs.
  void release_below(const Offsets& committed);

  [[nodiscard]] HotTailStats stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace k2
