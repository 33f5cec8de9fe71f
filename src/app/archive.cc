#include "app/archive.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "base/crash_point.h"
#include "base/logging.h"
#include "base/metrics.h"
#include "base/uuid.h"
#include "codec/columns.h"
#include "codec/resolve.h"

namespace k2 {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr size_t kReadBytes = 4 << 20;
constexpr int kConflictsMax = 100;  // in a row, on one table
constexpr auto kPendingLook = std::chrono::milliseconds(100);

/// What of the log goes into the channel's table.
Offsets of_channel(const Offsets& all, Channel channel) {
  Offsets own;
  for (const auto& [partition, offset] : all)
    if (topic_channel(partition.topic) == channel) own.emplace(partition, offset);
  return own;
}

int64_t sum(const Offsets& offsets) {
  int64_t total = 0;
  for (const auto& [partition, offset] : offsets) total += offset.value;
  return total;
}

/// How many records lie between.
int64_t distance(const Offsets& from, const Offsets& to) {
  int64_t records = 0;
  for (const auto& [partition, end] : to) records += std::max<int64_t>(0, end.value - offset_of(from, partition).value);
  return records;
}

struct TableMetrics {
  Counter& commits;
  Counter& rows;
  Counter& files;
  Gauge& last_commit;
  Gauge& committed_offset;
  Gauge& end_offset;
  Histogram& seconds;

  explicit TableMetrics(const std::string& table)
      : commits(metrics().counter("k2_lake_commits_total", "Commits to Iceberg tables.", {{"table", table}})),
        rows(metrics().counter("k2_lake_committed_rows_total", "Rows committed.", {{"table", table}})),
        files(metrics().counter("k2_lake_committed_files_total", "Data files committed.", {{"table", table}})),
        last_commit(metrics().gauge("k2_lake_last_commit_timestamp_seconds", "When the last commit was made.", {{"table", table}})),
        committed_offset(metrics().gauge("k2_lake_committed_offset", "Next log offset that the table lacks, summed over partitions.",
                                         {{"table", table}})),
        end_offset(
            metrics().gauge("k2_log_end_offset", "The log's end, summed over the partitions that go into the table.", {{"table", table}})),
        seconds(metrics().histogram("k2_lake_commit_duration_seconds", "From reading the log to the commit's end.",
                                    latency_bounds_seconds(), {{"table", table}})) {}
};

void count_failure(std::string_view table, ErrorKind kind) {
  metrics()
      .counter("k2_lake_commit_failures_total", "Commits that failed, by what is to be done about it.",
               {{"table", std::string(table)}, {"kind", std::string(error_kind_name(kind))}})
      .add();
}

}  // namespace

/// The archive of one table.
class TableArchive {
 public:
  TableArchive(Channel channel, Log& log, const SchemaStore& schemas, Lake& lake, const ArchiveOptions& options)
      : channel_(channel),
        name_(table_of(channel).name),
        log_(log),
        lake_(lake),
        options_(options),
        resolver_(schemas),
        builder_(channel, resolver_),
        metrics_(name_) {
    status_.name = name_;
  }

  /// One commit of what is below `end`, as far as the limits allow. True if there was something.
  Result<bool> commit(const Offsets& log_end);
  /// Commits until the table has all below `log_end`.
  Status commit_all(const Offsets& log_end, std::stop_token stop);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] Offsets committed() const {
    const std::scoped_lock lock(mutex_);
    return committed_;
  }
  [[nodiscard]] int64_t waiting(const Offsets& log_end) const { return distance(committed(), of_channel(log_end, channel_)); }
  [[nodiscard]] ArchiveStatus::Table status() const {
    const std::scoped_lock lock(mutex_);
    return status_;
  }
  void note(const std::optional<Error>& error) {
    const std::scoped_lock lock(mutex_);
    status_.last_error = error ? error->message : "";
  }

 private:
  Status learn(const TableState& state, const Offsets& end);
  std::unexpected<Error> judge_missing(const Error& error, const TableState& state);
  Result<AppendRequest> read(const Offsets& end);
  Status read_partition(const TopicPartition& partition, Offset from, Offset end, AppendRequest& request);
  [[nodiscard]] bool is_full() const { return builder_.rows() >= options_.rows_max || builder_.size_bytes() >= options_.bytes_max; }
  void count(const AppendRequest& request, const AppendResult& result, SteadyClock::time_point started);

  const Channel channel_;
  const std::string name_;
  Log& log_;
  Lake& lake_;
  const ArchiveOptions options_;
  SchemaResolver resolver_;
  ColumnsBuilder builder_;
  TableMetrics metrics_;

  mutable std::mutex mutex_;  // what follows is read by status() and the trimmer
  Offsets committed_;
  ArchiveStatus::Table status_;
};

/// Takes over what the snapshot says; refuses a table of another log.
Status TableArchive::learn(const TableState& state, const Offsets& end) {
  if (!state.log_id.empty() && state.log_id != log_.id().value)
    return make_error(ErrorKind::kCorrupt, name_ + " was filled from the log " + state.log_id + ", this one is " + log_.id().value +
                                               ": their offsets mean different things; nothing was written");
  for (const auto& [partition, offset] : state.offsets)
    if (offset > offset_of(end, partition))
      return make_error(ErrorKind::kCorrupt, name_ + " has " + partition.topic + "/" + std::to_string(partition.partition) +
                                                 " up to offset " + std::to_string(offset.value) + ", the log ends at " +
                                                 std::to_string(offset_of(end, partition).value));
  metrics_.committed_offset.set(static_cast<double>(sum(state.offsets)));
  metrics_.end_offset.set(static_cast<double>(sum(end)));
  const std::scoped_lock lock(mutex_);
  committed_ = state.offsets;
  status_.committed_offset = sum(state.offsets);
  status_.end_offset = sum(end);
  return {};
}

Status TableArchive::read_partition(const TopicPartition& partition, Offset from, Offset end, AppendRequest& request) {
  Offset next = from;
  while (next < end && !is_full()) {
    auto batch = log_.read(partition, next, end, kReadBytes);
    K2_CRASH("C24");
    if (!batch)
      return std::unexpected(
          batch.error().with_context(name_ + " needs " + partition.topic + " from offset " + std::to_string(next.value)));
    if (batch->empty()) break;
    for (const LogRecord& record : batch->records()) {
      if (is_full()) break;
      K2_RETURN_IF_ERROR(builder_.append(record.value, partition.topic, partition.partition, record.offset.value));
      next = {record.offset.value + 1};
    }
    K2_CRASH("C25");
  }
  if (next == from) return {};
  request.start[partition] = from;
  request.end[partition] = next;
  return {};
}

Result<AppendRequest> TableArchive::read(const Offsets& end) {
  AppendRequest request;
  request.table = name_;
  request.log_id = log_.id().value;
  request.commit_id = random_uuid();
  const Offsets from = committed();
  for (const auto& [partition, partition_end] : end) {
    if (is_full()) break;
    if (const Status read = read_partition(partition, offset_of(from, partition), partition_end, request); !read) {
      (void)builder_.finish();  // half a batch must not leak into the next one
      return std::unexpected(read.error());
    }
  }
  if (builder_.rows() == 0) return request;
  K2_TRY(auto batch, builder_.finish());
  request.batches.push_back(std::move(batch));
  return request;
}

/// The log no longer has what `state` lacks. Another archive may have committed it since, and let the log go; if the table has not moved,
/// the gap can't be closed by trying again.
std::unexpected<Error> TableArchive::judge_missing(const Error& error, const TableState& state) {
  const auto now = lake_.load(name_);
  if (!now) return std::unexpected(now.error());
  return make_error((*now)->offsets != state.offsets ? ErrorKind::kConflict : ErrorKind::kCorrupt, error.message);
}

Result<bool> TableArchive::commit(const Offsets& log_end) {
  const auto started = SteadyClock::now();
  const Offsets end = of_channel(log_end, channel_);
  K2_TRY(const std::shared_ptr<const TableState> state, lake_.load(name_));
  // The end was taken before the state: another archive may have committed what was logged since. Only an end taken after it can convict.
  K2_TRY(const Offsets end_now, log_.end_offsets());
  K2_RETURN_IF_ERROR(learn(*state, of_channel(end_now, channel_)));
  const Result<AppendRequest> request = read(end);
  if (!request && request.error().kind == ErrorKind::kNotFound) return judge_missing(request.error(), *state);
  if (!request) return std::unexpected(request.error());
  if (request->batches.empty()) return false;
  K2_TRY(const AppendResult result, lake_.append(*request));
  count(*request, result, started);
  return true;
}

void TableArchive::count(const AppendRequest& request, const AppendResult& result, SteadyClock::time_point started) {
  const double seconds = std::chrono::duration<double>(SteadyClock::now() - started).count();
  const TimestampUs now = system_clock().now();
  metrics_.commits.add();
  metrics_.rows.add(static_cast<uint64_t>(result.record_count));
  metrics_.files.add(static_cast<uint64_t>(result.file_count));
  metrics_.last_commit.set(static_cast<double>(now.us) / 1e6);
  metrics_.seconds.observe(seconds);
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& [partition, offset] : request.end) committed_[partition] = offset;
    status_.committed_rows += result.record_count;
    ++status_.commits;
    status_.committed_offset = sum(committed_);
    status_.last_commit_us = now.us;
    metrics_.committed_offset.set(static_cast<double>(status_.committed_offset));
  }
  log_debug("lake_committed", {{"table", name_},
                               {"snapshot", result.snapshot.value},
                               {"rows", result.record_count},
                               {"files", result.file_count},
                               {"attempts", result.attempts},
                               {"seconds", seconds}});
}

Status TableArchive::commit_all(const Offsets& log_end, std::stop_token stop) {
  int conflicts = 0;
  while (true) {
    if (stop.stop_requested()) return make_error(ErrorKind::kCancelled, name_ + ": told to stop");
    const Result<bool> committed_some = commit(log_end);
    if (committed_some && !*committed_some) return {};
    if (committed_some) {
      conflicts = 0;
      continue;
    }
    count_failure(name_, committed_some.error().kind);
    // Another archive was first: its snapshot says where to go on.
    if (committed_some.error().kind == ErrorKind::kConflict && ++conflicts <= kConflictsMax) continue;
    return std::unexpected(committed_some.error());
  }
}

struct Archive::Impl {
  Impl(Log& log_in, const SchemaStore& schemas, Lake& lake, const ArchiveOptions& options_in) : log(log_in), options(options_in) {
    for (const Channel channel : kChannels) tables.push_back(std::make_unique<TableArchive>(channel, log_in, schemas, lake, options_in));
  }

  Log& log;
  const ArchiveOptions options;
  std::vector<std::unique_ptr<TableArchive>> tables;
  std::optional<SteadyClock::time_point> last_trim;

  Status commit_once(std::stop_token stop);
  void trim(bool now);
  bool wait(std::stop_token stop, int64_t us, bool until_full) const;
};

/// All tables up to the log's end as it is now. Every table is tried, also after one has failed; the worst error is returned.
Status Archive::Impl::commit_once(std::stop_token stop) {
  K2_TRY(const Offsets end, log.end_offsets());
  Status worst;
  for (const auto& table : tables) {
    const Status done = table->commit_all(end, stop);
    table->note(done ? std::nullopt : std::optional(done.error()));
    if (!done && (worst || done.error().kind == ErrorKind::kCorrupt)) worst = done;
  }
  return worst;
}

/// Lets the log go below what the tables have. Only offsets that a snapshot was seen to have are passed.
void Archive::Impl::trim(bool now) {
  const auto moment = SteadyClock::now();
  if (!now && last_trim && moment - *last_trim < std::chrono::microseconds(options.trim_interval_us)) return;
  last_trim = moment;
  Offsets committed;
  for (const auto& table : tables) committed.merge(table->committed());
  K2_CRASH("C38");
  if (const Status trimmed = log.trim(committed, TimestampUs{system_clock().now().us - options.retention_us}); !trimmed)
    log_warning("log_trim_failed", {{"kind", error_kind_name(trimmed.error().kind)}, {"error", trimmed.error().message}});
}

/// Waits `us`, or shorter when told to stop, or with `until_full` when a whole commit's rows wait. False when told to stop.
bool Archive::Impl::wait(std::stop_token stop, int64_t us, bool until_full) const {
  std::mutex mutex;
  std::condition_variable_any changed;
  const auto until = SteadyClock::now() + std::chrono::microseconds(us);
  std::unique_lock lock(mutex);
  while (!stop.stop_requested() && SteadyClock::now() < until) {
    if (until_full) {
      const auto end = log.end_offsets();
      const auto is_full = [&](const auto& table) { return table->waiting(*end) >= options.rows_max; };
      if (end && std::ranges::any_of(tables, is_full)) return true;
    }
    changed.wait_until(lock, stop, std::min(until, SteadyClock::now() + kPendingLook), [] { return false; });
  }
  return !stop.stop_requested();
}

Archive::Archive(Log& log, const SchemaStore& schemas, Lake& lake, const ArchiveOptions& options)
    : impl_(std::make_unique<Impl>(log, schemas, lake, options)) {}

Archive::~Archive() = default;

Status Archive::catch_up(std::stop_token stop) {
  int64_t wait_us = impl_->options.backoff_first_us;
  const auto deadline = SteadyClock::now() + std::chrono::microseconds(impl_->options.give_up_after_us);
  while (true) {
    const Status done = impl_->commit_once(stop);
    if (done) break;
    const bool may_pass = done.error().kind == ErrorKind::kUnavailable || done.error().kind == ErrorKind::kUnknownOutcome;
    if (!may_pass || SteadyClock::now() >= deadline) return done;
    log_warning("lake_commit_failed", {{"kind", error_kind_name(done.error().kind)}, {"error", done.error().message}});
    if (!impl_->wait(stop, wait_us, false)) return make_error(ErrorKind::kCancelled, "archive: told to stop");
    wait_us = std::min(wait_us * 2, impl_->options.backoff_max_us);
  }
  impl_->trim(true);
  return {};
}

Status Archive::run(std::stop_token stop) {
  int64_t backoff_us = impl_->options.backoff_first_us;
  int64_t next_wait_us = 0;
  while (impl_->wait(stop, next_wait_us, backoff_us == impl_->options.backoff_first_us)) {
    const Status done = impl_->commit_once(stop);
    if (done) {
      backoff_us = impl_->options.backoff_first_us;
      next_wait_us = impl_->options.commit_interval_us;
      impl_->trim(false);
      continue;
    }
    if (done.error().kind == ErrorKind::kCancelled) break;
    log_error("lake_commit_failed",
              {{"kind", error_kind_name(done.error().kind)}, {"error", done.error().message}, {"again_in_us", backoff_us}});
    if (done.error().kind == ErrorKind::kCorrupt) return done;
    next_wait_us = backoff_us;
    backoff_us = std::min(backoff_us * 2, impl_->options.backoff_max_us);
  }
  return catch_up_in_time();
}

Status Archive::catch_up_in_time() {
  std::stop_source enough;
  const std::jthread timer([&](std::stop_token caught_up) {
    std::mutex mutex;
    std::condition_variable_any over;
    std::unique_lock lock(mutex);
    over.wait_for(lock, caught_up, std::chrono::microseconds(impl_->options.stop_within_us), [] { return false; });
    enough.request_stop();
  });
  const Status done = catch_up(enough.get_token());
  if (done || done.error().kind != ErrorKind::kCancelled) return done;
  log_warning("archive_stopped_behind", {{"reason", "the backlog is longer than a stop may take; the log keeps it for the next run"}});
  return {};
}

ArchiveStatus Archive::status() const {
  ArchiveStatus status;
  for (const auto& table : impl_->tables) status.tables.push_back(table->status());
  return status;
}

}  // namespace k2
