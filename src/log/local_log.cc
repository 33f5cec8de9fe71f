#include "log/local_log.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <utility>

#include "base/assert.h"
#include "log/batch_format.h"
#include "log/blob_cache.h"
#include "log/local_log_reader.h"
#include "log/local_log_writer.h"

namespace k2 {
namespace {

using log_db::AppendRequest;
using log_db::Reader;
using log_db::StoredBatch;
using log_db::Writer;
using SteadyClock = std::chrono::steady_clock;

constexpr int32_t kPartitionsMax = 1024;
// What one commit takes in, if several append() calls wait; a single larger call is a commit of its own.
constexpr size_t kGroupBytesMax = 32 << 20;
constexpr size_t kIdleReadersMax = 8;

bool is_topic_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= Log::kTopicBytesMax && name != "." && name != ".." && std::ranges::all_of(name, allowed);
}

Status check_topic(std::string_view name) {
  if (is_topic_name(name)) return {};
  return make_error(ErrorKind::kInvalidInput,
                    "append: \"" + std::string(name.substr(0, 300)) + "\" is no topic name (1 to 249 of a-z A-Z 0-9 . _ -)");
}

Result<size_t> check_records(const std::vector<NewRecord>& records) {
  size_t bytes = 0;
  std::string_view checked;  // records come in runs of one topic
  for (const NewRecord& record : records) {
    if (record.topic.data() != checked.data() || record.topic.size() != checked.size()) {
      K2_RETURN_IF_ERROR(check_topic(record.topic));
      checked = record.topic;
    }
    const size_t size = record.key.size() + record.value.size();
    if (size > Log::kRecordBytesMax)
      return make_error(ErrorKind::kInvalidInput, "append: a record for " + std::string(record.topic) + " has " + std::to_string(size) +
                                                      " bytes, more than " + std::to_string(Log::kRecordBytesMax));
    bytes += size;
  }
  return bytes;
}

Status check_positions(const std::vector<PositionUpdate>& positions) {
  std::set<std::string_view> sources;
  for (const PositionUpdate& update : positions) {
    if (update.source.empty() || !sources.insert(update.source).second)
      return make_error(ErrorKind::kInvalidInput, "append: the position of \"" + update.source + "\" is named twice, or has no name");
  }
  return {};
}

Status check_options(const LocalLogOptions& options) {
  if (options.partitions < 1 || options.partitions > kPartitionsMax)
    return make_error(ErrorKind::kInvalidInput, "open log: " + std::to_string(options.partitions) + " partitions; 1 to " +
                                                    std::to_string(kPartitionsMax) + " are allowed");
  if (options.lock_wait_us < 0 || options.poll_interval_us < 1 || options.checkpoint_bytes < 1 || options.tidy_bytes < 1 ||
      options.wal_bytes_max < options.checkpoint_bytes)
    return make_error(ErrorKind::kInvalidInput, "open log: a wait, interval or size is out of range");
  return {};
}

bool any_past(const Offsets& ends, const Offsets& seen) {
  return std::ranges::any_of(ends, [&](const auto& entry) { return entry.second > offset_of(seen, entry.first); });
}

/// Reading connections that nobody uses at the moment.
class ReaderPool {
 public:
  ReaderPool(std::string path, LocalLogOptions options) : path_(std::move(path)), options_(std::move(options)) {}

  /// Runs `use` with a reader; one that met an error other than NotFound is not used again.
  template <class Use>
  auto with_reader(Use use) -> decltype(use(std::declval<Reader&>())) {
    K2_TRY(std::unique_ptr<Reader> reader, take());
    auto result = use(*reader);
    if (result || result.error().kind == ErrorKind::kNotFound) give_back(std::move(reader));
    return result;
  }

 private:
  Result<std::unique_ptr<Reader>> take() {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        auto reader = std::move(idle_.back());
        idle_.pop_back();
        return reader;
      }
    }
    return Reader::open(path_, options_);
  }

  void give_back(std::unique_ptr<Reader> reader) {
    const std::lock_guard lock(mutex_);
    if (idle_.size() < kIdleReadersMax) idle_.push_back(std::move(reader));
  }

  const std::string path_;
  const LocalLogOptions options_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Reader>> idle_;
};

class LocalLogFile final : public LocalLog {
 public:
  LocalLogFile(std::string path, LocalLogOptions options, std::unique_ptr<Writer> writer, std::unique_ptr<Reader> watch, LogId id)
      : path_(std::move(path)),
        options_(options),
        id_(std::move(id)),
        cache_(options.cache_bytes_max),
        readers_(path_, options),
        writer_(std::move(writer)),
        stats_(writer_->stats()),
        watch_(std::move(watch)) {}

  const LogId& id() const override { return id_; }
  Result<std::vector<Offset>> append(const std::vector<NewRecord>& records, const std::vector<PositionUpdate>& positions) override;
  Result<LogBatch> read(const TopicPartition& partition, Offset from, Offset end, size_t bytes_max) const override;
  Result<Offsets> end_offsets() const override {
    return readers_.with_reader([](Reader& reader) { return reader.end_offsets(); });
  }
  Result<Offsets> begin_offsets() const override {
    return readers_.with_reader([](Reader& reader) { return reader.begin_offsets(); });
  }
  Result<std::vector<Position>> positions(const std::vector<std::string>& sources) const override {
    return readers_.with_reader([&](Reader& reader) { return reader.positions(sources); });
  }
  void wait_for_append(const Offsets& seen, int64_t timeout_us) const override;
  void tidy() override;
  Status trim(const Offsets& offsets, TimestampUs older_than) override;
  Result<int32_t> register_schema(std::string_view subject, std::string_view schema) override;
  Result<std::string> schema(int32_t id) const override;
  LocalLogStats stats() const override {
    const std::lock_guard lock(stats_mutex_);
    return stats_;
  }
  Status checkpoint() override {
    const std::lock_guard lock(writer_mutex_);
    const Status done = writer_->checkpoint();
    publish_stats();
    return done;
  }

 private:
  std::vector<AppendRequest*> take_group();
  void commit(const std::vector<AppendRequest*>& group);
  void publish_stats();
  std::optional<LogBatch> read_cached(const TopicPartition& partition, Offset from, Offset end, size_t bytes_max) const;
  void announce_growth() const;
  bool grown_past(const Offsets& seen) const;

  const std::string path_;
  const LocalLogOptions options_;
  const LogId id_;
  mutable BlobCache cache_;
  mutable ReaderPool readers_;

  std::mutex writer_mutex_;  // held over each use of writer_; taken before every other mutex here
  std::unique_ptr<Writer> writer_;

  // Group commit: append() calls queue up; one of those waiting leads, commits all that queue, and wakes them.
  std::mutex queue_mutex_;
  std::condition_variable queue_moved_;
  std::vector<AppendRequest*> queue_;
  bool leading_ = false;

  mutable std::mutex stats_mutex_;
  LocalLogStats stats_;

  // wait_for_append: of all who wait, one polls for other processes' commits; our own commits bump the generation at once.
  mutable std::mutex growth_mutex_;
  mutable std::condition_variable grown_;
  mutable uint64_t growth_generation_ = 0;
  mutable bool polling_ = false;
  mutable std::unique_ptr<Reader> watch_;  // used by the one who polls
  mutable int64_t watched_version_ = 0;
};

// --- append -------------------------------------------------------------------------------------------------------------------

Result<std::vector<Offset>> LocalLogFile::append(const std::vector<NewRecord>& records, const std::vector<PositionUpdate>& positions) {
  K2_TRY(const size_t bytes, check_records(records));
  K2_RETURN_IF_ERROR(check_positions(positions));
  if (records.empty() && positions.empty()) return std::vector<Offset>();
  AppendRequest request{.records = records, .positions = positions, .bytes = bytes};
  std::unique_lock lock(queue_mutex_);
  queue_.push_back(&request);
  queue_moved_.wait(lock, [&] { return request.done || !leading_; });
  while (!request.done) {
    // Everybody before us in the queue is in our group or in an earlier one, so this ends after a bounded number of commits.
    leading_ = true;
    const std::vector<AppendRequest*> group = take_group();
    lock.unlock();
    commit(group);
    lock.lock();
    leading_ = false;
  }
  lock.unlock();
  queue_moved_.notify_all();
  return std::move(request.result);
}

/// The oldest requests of the queue, at least one. The queue's lock is held.
std::vector<AppendRequest*> LocalLogFile::take_group() {
  size_t bytes = 0;
  auto end = queue_.begin();
  while (end != queue_.end() && (end == queue_.begin() || bytes + (*end)->bytes <= kGroupBytesMax)) bytes += (*end++)->bytes;
  std::vector<AppendRequest*> group(queue_.begin(), end);
  queue_.erase(queue_.begin(), end);
  return group;
}

void LocalLogFile::commit(const std::vector<AppendRequest*>& group) {
  const std::lock_guard lock(writer_mutex_);
  const auto cache = [&](std::vector<StoredBatch> batches) {
    for (StoredBatch& batch : batches) cache_.put(batch.partition, std::move(batch.blob));
    announce_growth();
  };
  const auto wake = [&] {
    publish_stats();
    {
      const std::lock_guard queue_lock(queue_mutex_);
      for (AppendRequest* request : group) request->done = true;  // From here on the request may be gone.
    }
    queue_moved_.notify_all();
  };
  writer_->commit(group, cache, wake);
  publish_stats();
}

void LocalLogFile::publish_stats() {
  const std::lock_guard lock(stats_mutex_);
  stats_ = writer_->stats();
}

// --- read ---------------------------------------------------------------------------------------------------------------------

Result<LogBatch> LocalLogFile::read(const TopicPartition& partition, Offset from, Offset end, size_t bytes_max) const {
  if (from.value < 0)
    return make_error(ErrorKind::kNotFound, "read " + partition.topic + "/" + std::to_string(partition.partition) + " from offset " +
                                                std::to_string(from.value) + ": offsets count from 0");
  if (auto cached = read_cached(partition, from, end, bytes_max)) return *std::move(cached);
  CachedBlob partly_read;
  auto batch = readers_.with_reader([&](Reader& reader) { return reader.read(partition, from, end, bytes_max, partly_read); });
  // Who reads a large blob in small bites will ask for its rest next.
  if (batch && partly_read.blob != nullptr) cache_.put(partition, std::move(partly_read));
  return batch;
}

/// What the cache holds from `from` on without a gap; nothing if `from` itself is not there. Cached batches are committed, so no
/// look at the file is needed.
std::optional<LogBatch> LocalLogFile::read_cached(const TopicPartition& partition, Offset from, Offset end, size_t bytes_max) const {
  std::vector<LogRecord> records;
  std::vector<std::shared_ptr<const std::string>> storage;
  Offset next = from;
  size_t bytes = 0;
  while (next < end && (bytes < bytes_max || records.empty())) {
    const auto cached = cache_.find(partition, next);
    if (!cached) break;
    const auto added = decode_batch(*cached->blob, next, end, bytes_max - std::min(bytes, bytes_max), records);
    K2_ASSERT(added && !records.empty());  // We made the blob, or checked it when it was read.
    bytes += *added;
    next = Offset{records.back().offset.value + 1};
    storage.push_back(cached->blob);
  }
  if (records.empty()) return std::nullopt;
  return LogBatch(std::move(records), next, std::move(storage));
}

void LocalLogFile::tidy() {
  const std::lock_guard lock(writer_mutex_);
  writer_->tidy();
  publish_stats();
}

// --- wait ---------------------------------------------------------------------------------------------------------------------

void LocalLogFile::announce_growth() const {
  {
    const std::lock_guard lock(growth_mutex_);
    ++growth_generation_;
  }
  grown_.notify_all();
}

/// True also where it cannot be found out: the caller's own read will then say why.
bool LocalLogFile::grown_past(const Offsets& seen) const {
  const auto ends = end_offsets();
  return !ends || any_past(*ends, seen);
}

void LocalLogFile::wait_for_append(const Offsets& seen, int64_t timeout_us) const {
  const auto deadline = SteadyClock::now() + std::chrono::microseconds(std::max<int64_t>(timeout_us, 0));
  const auto interval = std::chrono::microseconds(options_.poll_interval_us);
  std::unique_lock lock(growth_mutex_);
  for (;;) {
    const uint64_t generation = growth_generation_;
    lock.unlock();
    if (grown_past(seen)) return;
    lock.lock();
    while (growth_generation_ == generation) {
      if (SteadyClock::now() >= deadline) {
        if (!polling_) grown_.notify_one();  // Another takes over the polling.
        return;
      }
      if (polling_) {
        grown_.wait_until(lock, deadline);
        continue;
      }
      polling_ = true;
      grown_.wait_until(lock, std::min(deadline, SteadyClock::now() + interval));
      polling_ = false;
      const auto version = watch_->data_version();
      if (version && *version == watched_version_) continue;
      // Where it cannot be asked, everybody looks for himself.
      watched_version_ = version.value_or(watched_version_);
      ++growth_generation_;
      grown_.notify_all();
    }
  }
}

// --- trim and schemas ---------------------------------------------------------------------------------------------------------

Status LocalLogFile::trim(const Offsets& offsets, TimestampUs older_than) {
  for (const auto& [partition, below] : offsets) {
    for (bool more = true; more;) {
      const std::lock_guard lock(writer_mutex_);
      const auto trimmed = writer_->trim(partition, below, older_than);
      publish_stats();
      if (!trimmed) return std::unexpected(trimmed.error());
      cache_.drop_below(partition, trimmed->begin_offset);
      more = trimmed->more;
    }
  }
  return {};
}

Result<int32_t> LocalLogFile::register_schema(std::string_view subject, std::string_view schema) {
  if (subject.empty() || schema.empty()) return make_error(ErrorKind::kInvalidInput, "register a schema: subject or schema is empty");
  K2_TRY(const int32_t known, readers_.with_reader([&](Reader& reader) { return reader.schema_id(subject, schema); }));
  if (known != 0) return known;
  const std::lock_guard lock(writer_mutex_);
  return writer_->register_schema(subject, schema);
}

Result<std::string> LocalLogFile::schema(int32_t id) const {
  return readers_.with_reader([&](Reader& reader) { return reader.schema(id); });
}

}  // namespace

Result<std::unique_ptr<LocalLog>> LocalLog::open(const std::string& path, LocalLogOptions options) {
  K2_RETURN_IF_ERROR(check_options(options));
  K2_TRY(std::unique_ptr<Writer> writer, Writer::open(path, options));
  K2_TRY(std::unique_ptr<Reader> watch, Reader::open(path, options));
  K2_TRY(LogId id, watch->log_id());
  return std::make_unique<LocalLogFile>(path, options, std::move(writer), std::move(watch), std::move(id));
}

}  // namespace k2
