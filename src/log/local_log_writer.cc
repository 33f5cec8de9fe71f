#include "log/local_log_writer.h"

#include <sqlite3.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <utility>

#include "base/assert.h"
#include "base/crash_point.h"
#include "log/local_log_file.h"
#include "log/partitioner.h"

namespace k2::log_db {
namespace {

// A blob is closed when it has grown past this: large enough that rows cost nothing, small enough that a reader who wants its last record
// decodes little.
constexpr size_t kBlobBytesTarget = 1 << 20;

// What one transaction of trim deletes, so that appends are not kept waiting.
constexpr int64_t kTrimBytesMax = 16 << 20;
constexpr int64_t kTrimBatchesMax = 2'000;

// How long a checkpoint that must restart the WAL waits for readers.
constexpr int kCheckpointWaitMs = 100;
constexpr int kBusyTimeoutMs = 1000;
// A WAL this many times its target makes the writer wait for readers.
constexpr int64_t kCheckpointPatience = 4;

bool is_io_error(int code) { return (code & 0xff) == SQLITE_IOERR; }

}  // namespace

struct Writer::PartitionState {
  int64_t partition_id = 0;
  TopicPartition name;
  Offset next_offset;                    // of the next record to be staged
  std::optional<BatchBuilder> builder;   // records not yet in the transaction
};

struct Writer::TopicState {
  int64_t topic_id = 0;
  std::string name;
  std::vector<std::unique_ptr<PartitionState>> partitions;  // by number; null until used
};

struct Writer::Group {
  std::map<std::string, PositionState, std::less<>> positions;  // updated by the group so far
  std::map<std::string, TopicState, std::less<>> topics;
  std::vector<StoredBatch> stored;
  std::vector<int64_t> stored_partition_ids;
  std::vector<AppendRequest*> included;
  int64_t records = 0;
  TopicState* last_topic = nullptr;  // records come in runs of one topic
};

// --- opening ------------------------------------------------------------------------------------------------------------------

Result<std::unique_ptr<Writer>> Writer::open(std::string path, LocalLogOptions options) {
  std::error_code ignored;
  const auto directory = std::filesystem::path(path).parent_path();
  if (!directory.empty() && !std::filesystem::is_directory(directory, ignored))
    return make_error(ErrorKind::kNotFound, "open log " + path + ": no such directory");
  if (!options.create && !std::filesystem::exists(path, ignored))
    return make_error(ErrorKind::kNotFound, "open log " + path + ": no such file");
  K2_TRY(WriteLock lock, WriteLock::open(path));
  std::unique_ptr<Writer> writer(new Writer(std::move(path), std::move(options), std::move(lock)));
  K2_TRY(const auto held, writer->lock_.acquire(writer->options_.lock_wait_us));
  const Status connected = writer->connect(writer->options_.create);
  if (!connected) return std::unexpected(connected.error().with_context("open log " + writer->path_));
  return writer;
}

Status Writer::connect(bool create) {
  disconnect();
  K2_TRY(database_, open_for_writing(path_, options_, create));
  K2_RETURN_IF_ERROR(check_partitions(database_));
  if (anchor_.handle() == nullptr) {
    K2_TRY(anchor_, open_for_reading(path_, options_));
    K2_RETURN_IF_ERROR(anchor_.integer("SELECT count(*) FROM meta"));  // Opens the WAL index.
  }
  K2_RETURN_IF_ERROR(prepare());
  // A process killed between writing and syncing leaves a commit that a recovery shows to everybody though a power cut may still take it.
  K2_RETURN_IF_ERROR(checkpoint_locked(/*wait_for_readers=*/false));
  usable_ = true;
  return {};
}

void Writer::disconnect() {
  usable_ = false;
  sql_ = Statements();
  database_ = Database();
}

Status Writer::prepare() {
  struct Entry {
    Statement* statement;
    const char* sql;
  };
  const Entry entries[] = {
      {&sql_.begin, "BEGIN IMMEDIATE"},
      {&sql_.commit, "COMMIT"},
      {&sql_.rollback, "ROLLBACK"},
      {&sql_.fence, "UPDATE meta SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT) WHERE key = 'fence'"},
      {&sql_.select_topic, "SELECT topic_id, partitions FROM topics WHERE name = ?1"},
      {&sql_.insert_topic, "INSERT INTO topics(name, partitions) VALUES (?1, ?2)"},
      {&sql_.select_partition, "SELECT partition_id, end_offset, begin_offset FROM partitions WHERE topic_id = ?1 AND partition = ?2"},
      {&sql_.insert_partition, "INSERT INTO partitions(topic_id, partition, begin_offset, end_offset) VALUES (?1, ?2, 0, 0)"},
      {&sql_.update_partition_end, "UPDATE partitions SET end_offset = ?2 WHERE partition_id = ?1"},
      {&sql_.update_partition_begin, "UPDATE partitions SET begin_offset = ?2 WHERE partition_id = ?1"},
      {&sql_.insert_batch, "INSERT INTO batches(partition_id, first_offset, next_offset, timestamp_max, data) VALUES (?1, ?2, ?3, ?4, ?5)"},
      {&sql_.select_batch, "SELECT next_offset FROM batches WHERE partition_id = ?1 AND first_offset = ?2"},
      {&sql_.select_oldest_batches,
       "SELECT batch_id, next_offset, timestamp_max, length(data) FROM batches WHERE partition_id = ?1 ORDER BY first_offset LIMIT ?2"},
      {&sql_.delete_batch, "DELETE FROM batches WHERE batch_id = ?1"},
      {&sql_.select_position, "SELECT version FROM positions WHERE source = ?1"},
      {&sql_.upsert_position,
       "INSERT INTO positions(source, version, value) VALUES (?1, ?2, ?3) "
       "ON CONFLICT(source) DO UPDATE SET version = excluded.version, value = excluded.value"},
      {&sql_.select_schema, "SELECT schema_id FROM schemas WHERE text = ?1"},
      {&sql_.insert_schema, "INSERT INTO schemas(text) VALUES (?1)"},
      {&sql_.select_subject, "SELECT 1 FROM subjects WHERE subject = ?1 AND schema_id = ?2"},
      {&sql_.insert_subject,
       "INSERT INTO subjects(subject, version, schema_id) VALUES (?1, 1 + (SELECT coalesce(max(version), 0) FROM subjects WHERE subject = "
       "?1), ?2)"},
  };
  for (const Entry& entry : entries) {
    K2_TRY(*entry.statement, Statement::prepare(database_, entry.sql));
  }
  // The hook takes the place of SQLite's automatic checkpoint and tells the WAL's length after every commit.
  sqlite3_wal_hook(
      database_.handle(),
      [](void* frames, sqlite3*, const char*, int pages) {
        *static_cast<int64_t*>(frames) = pages;
        return SQLITE_OK;
      },
      &wal_frames_);
  return {};
}

// --- transactions -------------------------------------------------------------------------------------------------------------

Status Writer::transact(const std::function<Status()>& body, const std::function<Result<bool>()>& landed) {
  K2_RETURN_IF_ERROR(make_usable());
  K2_CRASH("C10");
  {
    Query begin(sql_.begin);
    if (const Status begun = begin.run(); !begun) {
      usable_ = !is_io_error(begin.code());
      return begun;
    }
  }
  if (const Status done = body(); !done) {
    roll_back();
    return done;
  }
  K2_CRASH("C12");
  int code = SQLITE_OK;
  Status committed;
  {
    Query commit(sql_.commit);
    committed = commit.run();
    code = commit.code();
  }
  if (!committed) return after_failed_commit(committed.error(), code, landed);
  K2_CRASH("C14");
  return {};
}

/// An error inside a transaction leaves nothing behind; the connection is renewed in case its file is what failed.
void Writer::roll_back() {
  const int code = sqlite3_extended_errcode(database_.handle());
  if (sqlite3_get_autocommit(database_.handle()) == 0) (void)Query(sql_.rollback).run();
  usable_ = sqlite3_get_autocommit(database_.handle()) != 0 && !is_io_error(code);
}

Status Writer::after_failed_commit(const Error& error, int code, const std::function<Result<bool>()>& landed) {
  roll_back();
  usable_ = false;
  fence_needed_ = true;
  const Result<bool> visible = reconnect_and_fence(landed);
  if (visible && *visible) return {};
  if (visible) return make_error(ErrorKind::kUnavailable, error.message + "; nothing was written");
  // The mark of a commit is in its last frame, and frames are written in order: a commit that found no room has no mark.
  if ((code & 0xff) == SQLITE_FULL) return make_error(ErrorKind::kUnavailable, error.message + "; nothing was written");
  return make_error(ErrorKind::kUnknownOutcome,
                    error.message + "; and it cannot be seen whether it was written: " + visible.error().message);
}

/// Reconnects and looks whether the failed commit is there; if not, overwrites its frames by a commit of the fence. True: it is there.
Result<bool> Writer::reconnect_and_fence(const std::function<Result<bool>()>& landed) {
  K2_RETURN_IF_ERROR(connect(/*create=*/false));
  K2_RETURN_IF_ERROR(Query(sql_.begin).run());
  const auto look_and_fence = [&]() -> Result<bool> {
    if (landed) {
      K2_TRY(const bool found, landed());
      if (found) return true;
    }
    K2_RETURN_IF_ERROR(Query(sql_.fence).run());
    return false;
  };
  const Result<bool> visible = look_and_fence();
  const Status committed = visible ? Query(sql_.commit).run() : Status();
  if (!visible || !committed) {
    roll_back();
    usable_ = false;
    return std::unexpected(visible ? committed.error() : visible.error());
  }
  fence_needed_ = false;
  return *visible;
}

Status Writer::make_usable() {
  if (fence_needed_) {
    K2_RETURN_IF_ERROR(reconnect_and_fence(nullptr));
  } else if (!usable_) {
    K2_RETURN_IF_ERROR(connect(/*create=*/false));
  }
  return {};
}

// --- append -------------------------------------------------------------------------------------------------------------------

void Writer::commit(const std::vector<AppendRequest*>& group, const std::function<void(std::vector<StoredBatch>)>& on_stored,
                    const std::function<void()>& on_done) {
  const auto fail_all = [&](const Error& error) {
    for (AppendRequest* request : group) request->result = std::unexpected(error);
    ++stats_.commit_failures;
    if (error.kind == ErrorKind::kUnknownOutcome) ++stats_.unknown_outcomes;
  };
  const auto held = lock_.acquire(options_.lock_wait_us);
  Group state;
  const Status committed = !held ? Status(std::unexpected(held.error())) : [&]() -> Status {
    K2_RETURN_IF_ERROR(refuse_if_wal_is_full());
    return transact([&] { return write_group(group, state); }, [&] { return group_landed(state); });
  }();
  if (!committed) {
    fail_all(committed.error().with_context("append to log " + path_));
    on_done();
    return;
  }
  if (!state.included.empty()) ++stats_.commits;
  stats_.records += state.records;
  for (const AppendRequest* request : state.included) {
    ++stats_.appends;
    stats_.value_bytes += static_cast<int64_t>(request->bytes);
  }
  on_stored(std::move(state.stored));
  on_done();
  checkpoint_if_due();
}

Status Writer::write_group(const std::vector<AppendRequest*>& group, Group& state) {
  for (AppendRequest* request : group) {
    K2_TRY(const bool match, positions_match(*request, state));
    if (!match) {
      ++stats_.conflicts;
      continue;
    }
    K2_RETURN_IF_ERROR(stage(*request, state));
    state.included.push_back(request);
  }
  K2_RETURN_IF_ERROR(flush_all(state));
  for (const auto& [source, position] : state.positions)
    K2_RETURN_IF_ERROR(Query(sql_.upsert_position, std::string_view(source), position.version, Blob{position.value}).run());
  return {};
}

/// Compares the request's positions with what is stored and what the group did before; takes its updates over if all match. Otherwise
/// sets the request's result to Conflict and changes nothing.
Result<bool> Writer::positions_match(AppendRequest& request, Group& state) {
  for (const PositionUpdate& update : request.positions) {
    int64_t version = 0;
    if (const auto found = state.positions.find(update.source); found != state.positions.end()) {
      version = found->second.version;
    } else {
      Query query(sql_.select_position, std::string_view(update.source));
      K2_TRY(const bool stored, query.step());
      if (stored) version = query.integer(0);
    }
    if (version == update.expected_version) continue;
    request.result =
        make_error(ErrorKind::kConflict, "append to log " + path_ + ": position of " + update.source + " has version " +
                                             std::to_string(version) + ", expected " + std::to_string(update.expected_version));
    return false;
  }
  for (const PositionUpdate& update : request.positions)
    state.positions.insert_or_assign(update.source, PositionState{update.expected_version + 1, update.value});
  return true;
}

/// Gives the request's records their offsets and puts them into their partitions' blobs.
Status Writer::stage(AppendRequest& request, Group& state) {
  std::vector<Offset> offsets;
  offsets.reserve(request.records.size());
  for (const NewRecord& record : request.records) {
    if (state.last_topic == nullptr || state.last_topic->name != record.topic) {
      K2_TRY(state.last_topic, topic_state(record.topic, state));
    }
    TopicState& topic = *state.last_topic;
    const int32_t number = partition_for_key(record.key, static_cast<int32_t>(topic.partitions.size()));
    PartitionState* partition = topic.partitions[static_cast<size_t>(number)].get();
    if (partition == nullptr) {
      K2_TRY(partition, partition_state(topic, number));
    }
    if (!partition->builder) partition->builder.emplace(partition->partition_id, partition->next_offset);
    partition->builder->add(record.key, record.value, record.timestamp);
    offsets.push_back(partition->next_offset);
    ++partition->next_offset.value;
    ++state.records;
    if (partition->builder->size_bytes() >= kBlobBytesTarget) K2_RETURN_IF_ERROR(flush(*partition, state));
  }
  request.result = std::move(offsets);
  return {};
}

Result<Writer::TopicState*> Writer::topic_state(std::string_view name, Group& state) {
  if (const auto found = state.topics.find(name); found != state.topics.end()) return &found->second;
  TopicState topic;
  topic.name = std::string(name);
  {
    Query query(sql_.select_topic, name);
    K2_TRY(const bool stored, query.step());
    if (stored) {
      topic.topic_id = query.integer(0);
      topic.partitions.resize(static_cast<size_t>(query.integer(1)));
    }
  }
  if (topic.partitions.empty()) {
    K2_RETURN_IF_ERROR(Query(sql_.insert_topic, name, int64_t{options_.partitions}).run());
    topic.topic_id = sqlite3_last_insert_rowid(database_.handle());
    topic.partitions.resize(static_cast<size_t>(options_.partitions));
  }
  return &state.topics.emplace(topic.name, std::move(topic)).first->second;
}

Result<Writer::PartitionState*> Writer::partition_state(TopicState& topic, int32_t number) {
  auto partition = std::make_unique<PartitionState>();
  partition->name = {topic.name, number};
  {
    Query query(sql_.select_partition, topic.topic_id, int64_t{number});
    K2_TRY(const bool stored, query.step());
    if (stored) {
      partition->partition_id = query.integer(0);
      partition->next_offset = Offset{query.integer(1)};
    }
  }
  if (partition->partition_id == 0) {
    K2_RETURN_IF_ERROR(Query(sql_.insert_partition, topic.topic_id, int64_t{number}).run());
    partition->partition_id = sqlite3_last_insert_rowid(database_.handle());
  }
  auto& slot = topic.partitions[static_cast<size_t>(number)];
  slot = std::move(partition);
  return slot.get();
}

Status Writer::flush(PartitionState& partition, Group& state) {
  if (!partition.builder) return {};
  const Offset first = partition.builder->first_offset();
  const Offset next = partition.builder->next_offset();
  const TimestampUs timestamp_max = partition.builder->timestamp_max();
  K2_ASSERT(next == partition.next_offset);
  auto blob = std::make_shared<const std::string>(std::move(*partition.builder).finish());
  partition.builder.reset();
  K2_RETURN_IF_ERROR(Query(sql_.insert_batch, partition.partition_id, first.value, next.value, timestamp_max.us, Blob{*blob}).run());
  K2_CRASH("C11");
  state.stored.push_back({partition.name, {first, next, std::move(blob)}});
  state.stored_partition_ids.push_back(partition.partition_id);
  return {};
}

Status Writer::flush_all(Group& state) {
  for (auto& [name, topic] : state.topics) {
    for (const auto& partition : topic.partitions) {
      if (partition == nullptr) continue;
      K2_RETURN_IF_ERROR(flush(*partition, state));
      K2_RETURN_IF_ERROR(Query(sql_.update_partition_end, partition->partition_id, partition->next_offset.value).run());
    }
  }
  return {};
}

/// A transaction is there as a whole or not at all, so one of its rows tells. The lock was held all the while: nobody else wrote since.
Result<bool> Writer::group_landed(const Group& state) {
  if (!state.stored.empty()) {
    Query query(sql_.select_batch, state.stored_partition_ids.front(), state.stored.front().blob.first_offset.value);
    return query.step();
  }
  if (!state.positions.empty()) {
    const auto& [source, position] = *state.positions.begin();
    Query query(sql_.select_position, std::string_view(source));
    K2_TRY(const bool stored, query.step());
    return stored && query.integer(0) == position.version;
  }
  return true;
}

// --- trim and schemas ---------------------------------------------------------------------------------------------------------

Result<Writer::Trimmed> Writer::trim(const TopicPartition& partition, Offset below, TimestampUs older_than) {
  K2_TRY(const auto held, lock_.acquire(options_.lock_wait_us));
  Trimmed trimmed;
  int64_t partition_id = 0;
  int64_t deleted_records = 0;
  const auto delete_oldest = [&]() -> Status {
    {
      Query topic(sql_.select_topic, std::string_view(partition.topic));
      K2_TRY(const bool known, topic.step());
      if (!known) return {};
      Query query(sql_.select_partition, topic.integer(0), int64_t{partition.partition});
      K2_TRY(const bool stored, query.step());
      if (!stored) return {};
      partition_id = query.integer(0);
      trimmed.begin_offset = Offset{query.integer(2)};
    }
    const Offset begin_before = trimmed.begin_offset;
    std::vector<int64_t> batch_ids;
    {
      int64_t bytes = 0;
      Query oldest(sql_.select_oldest_batches, partition_id, kTrimBatchesMax);
      for (;;) {
        K2_TRY(const bool found, oldest.step());
        if (!found) break;
        if (oldest.integer(1) > below.value || oldest.integer(2) >= older_than.us) break;
        trimmed.begin_offset = Offset{oldest.integer(1)};
        batch_ids.push_back(oldest.integer(0));
        bytes += oldest.integer(3);
        trimmed.more = bytes >= kTrimBytesMax || std::ssize(batch_ids) == kTrimBatchesMax;
        if (trimmed.more) break;
      }
    }
    for (const int64_t batch_id : batch_ids) K2_RETURN_IF_ERROR(Query(sql_.delete_batch, batch_id).run());
    K2_CRASH("C16");
    deleted_records = trimmed.begin_offset.value - begin_before.value;
    if (deleted_records == 0) return {};
    return Query(sql_.update_partition_begin, partition_id, trimmed.begin_offset.value).run();
  };
  const auto landed = [&]() -> Result<bool> {
    Query topic(sql_.select_topic, std::string_view(partition.topic));
    K2_TRY(const bool known, topic.step());
    if (!known) return false;
    Query query(sql_.select_partition, topic.integer(0), int64_t{partition.partition});
    K2_TRY(const bool stored, query.step());
    return stored && query.integer(2) == trimmed.begin_offset.value;
  };
  const Status done = transact(delete_oldest, landed);
  if (!done)
    return std::unexpected(
        done.error().with_context("trim " + partition.topic + "/" + std::to_string(partition.partition) + " of log " + path_));
  stats_.trimmed_records += deleted_records;
  checkpoint_if_due();
  return trimmed;
}

Result<int32_t> Writer::register_schema(std::string_view subject, std::string_view text) {
  K2_TRY(const auto held, lock_.acquire(options_.lock_wait_us));
  int64_t id = 0;
  const auto find = [&]() -> Result<int64_t> {
    Query query(sql_.select_schema, text);
    K2_TRY(const bool found, query.step());
    return found ? query.integer(0) : 0;
  };
  const auto subject_has = [&]() -> Result<bool> {
    Query query(sql_.select_subject, subject, id);
    return query.step();
  };
  const auto insert_where_new = [&]() -> Status {
    K2_TRY(id, find());
    if (id == 0) {
      K2_RETURN_IF_ERROR(Query(sql_.insert_schema, text).run());
      id = sqlite3_last_insert_rowid(database_.handle());
    }
    K2_TRY(const bool registered, subject_has());
    if (registered) return {};
    return Query(sql_.insert_subject, subject, id).run();
  };
  const auto landed = [&]() -> Result<bool> {
    K2_TRY(const int64_t found, find());
    if (found == 0) return false;
    id = found;
    return subject_has();
  };
  const Status done = transact(insert_where_new, landed);
  if (!done) return std::unexpected(done.error().with_context("register a schema for " + std::string(subject) + " in log " + path_));
  return static_cast<int32_t>(id);
}

// --- checkpoints --------------------------------------------------------------------------------------------------------------

Status Writer::checkpoint() {
  K2_TRY(const auto held, lock_.acquire(options_.lock_wait_us));
  K2_RETURN_IF_ERROR(make_usable());
  return checkpoint_locked(/*wait_for_readers=*/false);
}

void Writer::tidy() {
  if (!usable_ || (wal_frames_ - frames_at_checkpoint_) * kFrameBytes < options_.tidy_bytes) return;
  const auto held = lock_.acquire(/*wait_us=*/0);
  if (held && !checkpoint_locked(/*wait_for_readers=*/false)) ++stats_.checkpoints_blocked;
}

Status Writer::checkpoint_locked(bool wait_for_readers) {
  K2_CRASH("C15");
  sqlite3* handle = database_.handle();
  if (wait_for_readers) sqlite3_busy_timeout(handle, kCheckpointWaitMs);
  int frames = 0;
  int moved = 0;
  const int code =
      sqlite3_wal_checkpoint_v2(handle, nullptr, wait_for_readers ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE, &frames, &moved);
  if (wait_for_readers) sqlite3_busy_timeout(handle, kBusyTimeoutMs);
  const bool blocked = code == SQLITE_BUSY || (code == SQLITE_OK && moved < frames);
  if (code != SQLITE_OK && code != SQLITE_BUSY) {
    usable_ = usable_ && !is_io_error(code);
    return database_.error(code, "checkpoint of log " + path_);
  }
  wal_frames_ = std::max(frames, 0);
  if (blocked) ++stats_.checkpoints_blocked;
  else ++stats_.checkpoints;
  if (!blocked && wait_for_readers) wal_frames_ = 0;  // The next commit starts the WAL anew.
  frames_at_checkpoint_ = wal_frames_;
  stats_.wal_bytes = wal_frames_ * kFrameBytes;
  return {};
}

void Writer::checkpoint_if_due() {
  stats_.wal_bytes = wal_frames_ * kFrameBytes;
  // After a checkpoint the WAL starts anew, unless a reader still looks into it; then it grows, and only its growth counts.
  if (wal_frames_ < frames_at_checkpoint_) frames_at_checkpoint_ = 0;
  if ((wal_frames_ - frames_at_checkpoint_) * kFrameBytes < options_.checkpoint_bytes) return;
  const bool patience_is_over = wal_frames_ * kFrameBytes >= kCheckpointPatience * options_.checkpoint_bytes;
  // The commits are durable in the WAL whether or not it can be moved now; a failure shows in the WAL's size and is tried again.
  if (!checkpoint_locked(patience_is_over)) ++stats_.checkpoints_blocked;
}

Status Writer::refuse_if_wal_is_full() {
  if (wal_frames_ * kFrameBytes < options_.wal_bytes_max) return {};
  K2_RETURN_IF_ERROR(make_usable());
  K2_RETURN_IF_ERROR(checkpoint_locked(/*wait_for_readers=*/true));
  if (wal_frames_ * kFrameBytes < options_.wal_bytes_max) return {};
  return make_error(ErrorKind::kUnavailable, "the write-ahead log has " + std::to_string(wal_frames_ * kFrameBytes) +
                                                 " bytes and cannot be moved into the database: a reader keeps an old state open");
}

}  // namespace k2::log_db
