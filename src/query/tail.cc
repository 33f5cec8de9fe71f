#include "query/tail.h"

#include <arrow/api.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "base/assert.h"
#include "codec/columns.h"
#include "codec/resolve.h"
#include "query/batch_column.h"

namespace k2 {
namespace {

// What a decoded row takes, roughly; decides how far back a tail that starts on a long log begins to keep.
constexpr int64_t kRowBytesTypical = 300;

struct Chunk {
  Offset from, to;
  std::shared_ptr<arrow::RecordBatch> batch;
  int64_t bytes = 0;
  TimestampUs timestamp_min, timestamp_max;

  [[nodiscard]] int64_t rows() const { return to.value - from.value; }
};

// The kept rows of one partition: neighbouring chunks from begin() to end.
struct Run {
  std::deque<Chunk> chunks;
  Offset end;

  [[nodiscard]] Offset begin() const { return chunks.empty() ? end : chunks.front().from; }
};

std::string describe(const TopicPartition& partition, Offset from, Offset to) {
  return partition.topic + "/" + std::to_string(partition.partition) + " offsets " + std::to_string(from.value) + " to " +
         std::to_string(to.value);
}

std::pair<TimestampUs, TimestampUs> timestamp_range(const arrow::RecordBatch& batch) {
  K2_ASSERT(batch.num_rows() > 0);
  const auto& timestamps = column_of<arrow::TimestampArray>(batch, "timestamp");
  const auto [min, max] = std::minmax_element(timestamps.raw_values(), timestamps.raw_values() + timestamps.length());
  return {TimestampUs{*min}, TimestampUs{*max}};
}

Chunk make_chunk(Offset from, std::shared_ptr<arrow::RecordBatch> batch, int64_t bytes) {
  const auto [min, max] = timestamp_range(*batch);
  return Chunk{from, Offset{from.value + batch->num_rows()}, std::move(batch), bytes, min, max};
}

// Two neighbours as one. Arrow can fail here only for lack of memory.
Result<Chunk> merge(const Chunk& first, const Chunk& second) {
  K2_ASSERT(first.to == second.from);
  auto batch = arrow::ConcatenateRecordBatches({first.batch, second.batch});
  if (!batch.ok()) return make_error(ErrorKind::kUnavailable, "hot tail: cannot merge chunks: " + batch.status().ToString());
  return Chunk{first.from,
               second.to,
               *std::move(batch),
               first.bytes + second.bytes,
               std::min(first.timestamp_min, second.timestamp_min),
               std::max(first.timestamp_max, second.timestamp_max)};
}

// Reads and decodes records of one channel. One thread at a time.
class Decoder {
 public:
  Decoder(Channel channel, const Log& log, const SchemaStore& schemas) : log_(log), resolver_(schemas), builder_(channel, resolver_) {}

  /// Records from `from` on, up to `to` and at most about `bytes_max` of them: at least one. `from` is below `to`.
  Result<Chunk> read(const TopicPartition& partition, Offset from, Offset to, size_t bytes_max, int64_t rows_max) {
    const Offset stop{std::min(to.value, from.value + rows_max)};
    K2_TRY(const LogBatch batch, log_.read(partition, from, stop, bytes_max));
    if (batch.empty())
      return make_error(ErrorKind::kNotFound, "log: " + describe(partition, from, to) + " are not there: the log ends before them");
    Status status = append(partition, from, stop, batch);
    const int64_t bytes = builder_.size_bytes();
    auto rows = builder_.finish();  // even after an error, so that the next read starts empty
    if (!status) return std::unexpected(std::move(status).error());
    if (!rows) return std::unexpected(std::move(rows).error());
    return make_chunk(from, *std::move(rows), bytes);
  }

 private:
  Status append(const TopicPartition& partition, Offset from, Offset stop, const LogBatch& batch) {
    builder_.reserve(static_cast<int64_t>(batch.records().size()));
    Offset expected = from;
    for (const LogRecord& record : batch.records()) {
      if (record.offset != expected || record.offset >= stop)
        return make_error(ErrorKind::kCorrupt,
                          "log: asked for " + describe(partition, expected, stop) + ", got offset " + std::to_string(record.offset.value));
      K2_RETURN_IF_ERROR(builder_.append(record.value, partition.topic, partition.partition, record.offset.value));
      ++expected.value;
    }
    return {};
  }

  const Log& log_;
  SchemaResolver resolver_;
  ColumnsBuilder builder_;
};

}  // namespace

struct HotTail::Impl {
  Impl(Channel channel_in, const Log& log_in, const SchemaStore& schemas_in, const HotTailOptions& options_in)
      : channel(channel_in), log(log_in), schemas(schemas_in), options(options_in), decoder(channel_in, log_in, schemas_in) {}

  const Channel channel;
  const Log& log;
  const SchemaStore& schemas;
  const HotTailOptions options;
  mutable std::atomic<int64_t> rows_loaded = 0;

  mutable std::mutex mutex;  // guards everything below
  Decoder decoder;
  std::map<TopicPartition, Run> runs;
  int64_t bytes = 0;
  int64_t rows_decoded = 0;

  void drop_front(Run& run) {
    bytes -= run.chunks.front().bytes;
    run.chunks.pop_front();
  }

  void clear(Run& run, Offset end) {
    while (!run.chunks.empty()) drop_front(run);
    run.end = end;
  }

  // Keeps `chunk` as the run's newest; then merges while the one before is less than twice as long.
  Status add(Run& run, Chunk chunk) {
    K2_ASSERT(chunk.from == run.end);
    run.end = chunk.to;
    bytes += chunk.bytes;
    rows_decoded += chunk.rows();
    run.chunks.push_back(std::move(chunk));
    while (run.chunks.size() >= 2) {
      Chunk& older = run.chunks[run.chunks.size() - 2];
      const Chunk& newer = run.chunks.back();
      if (older.rows() >= 2 * newer.rows() || older.rows() + newer.rows() > options.chunk_rows_max) break;
      K2_TRY(older, merge(older, newer));
      run.chunks.pop_back();
    }
    return {};
  }

  // Extends the run to `end`. It starts at `from` where there is none yet, or nearer to the end where that would be too much to keep.
  Status extend(const TopicPartition& partition, Run& run, Offset from, Offset end) {
    const int64_t rows_max = std::max<int64_t>(1, static_cast<int64_t>(options.bytes_max) / kRowBytesTypical);
    if (run.chunks.empty() || run.end < from) clear(run, from);
    if (end.value - run.end.value > rows_max) clear(run, Offset{end.value - rows_max});
    while (run.end < end) {
      K2_TRY(Chunk chunk, decoder.read(partition, run.end, end, options.read_bytes_max, options.chunk_rows_max));
      K2_RETURN_IF_ERROR(add(run, std::move(chunk)));
      evict();
    }
    return {};
  }

  // Drops the oldest chunk of whichever run has the most of them in rows, until what is kept fits.
  void evict() {
    while (bytes > static_cast<int64_t>(options.bytes_max)) {
      Run* longest = nullptr;
      for (auto& [partition, run] : runs)
        if (!run.chunks.empty() && (longest == nullptr || run.end.value - run.begin().value > longest->end.value - longest->begin().value))
          longest = &run;
      K2_ASSERT(longest != nullptr);
      drop_front(*longest);
    }
  }

  // Pieces of rows that are not kept.
  void add_unkept(const TopicPartition& partition, Offset from, Offset to, std::vector<TailPiece>& pieces) const {
    while (from < to) {
      const Offset next{std::min(to.value, from.value + options.chunk_rows_max)};
      pieces.push_back({partition, from, next, nullptr, std::nullopt, std::nullopt});
      from = next;
    }
  }

  void add_kept(const TopicPartition& partition, const Run& run, Offset from, Offset to, std::vector<TailPiece>& pieces) const {
    for (const Chunk& chunk : run.chunks) {
      const Offset first = std::max(from, chunk.from);
      const Offset last = std::min(to, chunk.to);
      if (first >= last) continue;
      auto rows = first == chunk.from && last == chunk.to ? chunk.batch
                                                          : chunk.batch->Slice(first.value - chunk.from.value, last.value - first.value);
      pieces.push_back({partition, first, last, std::move(rows), chunk.timestamp_min, chunk.timestamp_max});
    }
  }

  Status look_at(const TopicPartition& partition, Offset from, Offset end, std::vector<TailPiece>& pieces) {
    Run& run = runs[partition];
    if (run.end < end) K2_RETURN_IF_ERROR(extend(partition, run, from, end));
    add_unkept(partition, from, std::min(end, std::max(from, run.begin())), pieces);
    add_kept(partition, run, from, end, pieces);
    return {};
  }
};

HotTail::HotTail(Channel channel, const Log& log, const SchemaStore& schemas, const HotTailOptions& options)
    : impl_(std::make_unique<Impl>(channel, log, schemas, options)) {
  K2_ASSERT(options.chunk_rows_max > 0);
}
HotTail::~HotTail() = default;

Result<std::vector<TailPiece>> HotTail::look(const Offsets& from, const Offsets& end) {
  const std::lock_guard lock(impl_->mutex);
  std::vector<TailPiece> pieces;
  bool unkept = false;
  for (const auto& [partition, stop] : end) {
    const Offset start = offset_of(from, partition);
    if (topic_channel(partition.topic) != impl_->channel || start >= stop) continue;
    K2_RETURN_IF_ERROR(impl_->look_at(partition, start, stop, pieces));
  }
  for (const TailPiece& piece : pieces) unkept = unkept || piece.batch == nullptr;
  if (!unkept) return pieces;

  // What is not in memory must at least be in the log, or else the caller should know before it has begun.
  K2_TRY(const Offsets begin, impl_->log.begin_offsets());
  for (const TailPiece& piece : pieces)
    if (piece.batch == nullptr && piece.from < offset_of(begin, piece.partition))
      return make_error(ErrorKind::kNotFound, "log: " + describe(piece.partition, piece.from, piece.to) + " were trimmed; it begins at " +
                                                  std::to_string(offset_of(begin, piece.partition).value));
  return pieces;
}

Result<std::shared_ptr<arrow::RecordBatch>> HotTail::load(const TailPiece& piece) const {
  if (piece.batch) return piece.batch;
  Decoder decoder(impl_->channel, impl_->log, impl_->schemas);
  arrow::RecordBatchVector batches;
  for (Offset next = piece.from; next < piece.to;) {
    K2_TRY(Chunk chunk, decoder.read(piece.partition, next, piece.to, impl_->options.read_bytes_max, impl_->options.chunk_rows_max));
    next = chunk.to;
    batches.push_back(std::move(chunk.batch));
  }
  impl_->rows_loaded += piece.to.value - piece.from.value;
  if (batches.size() == 1) return batches[0];
  auto whole = arrow::ConcatenateRecordBatches(batches);
  if (!whole.ok()) return make_error(ErrorKind::kUnavailable, "hot tail: cannot join batches: " + whole.status().ToString());
  return *std::move(whole);
}

void HotTail::release_below(const Offsets& committed) {
  const std::lock_guard lock(impl_->mutex);
  for (auto& [partition, run] : impl_->runs) {
    const Offset keep_from = offset_of(committed, partition);
    while (!run.chunks.empty() && run.chunks.front().to <= keep_from) impl_->drop_front(run);
  }
}

HotTailStats HotTail::stats() const {
  const std::lock_guard lock(impl_->mutex);
  HotTailStats stats{.bytes = impl_->bytes, .rows_decoded = impl_->rows_decoded, .rows_loaded = impl_->rows_loaded};
  for (const auto& [partition, run] : impl_->runs) {
    stats.rows += run.end.value - run.begin().value;
    stats.chunks += static_cast<int64_t>(run.chunks.size());
  }
  return stats;
}

}  // namespace k2
