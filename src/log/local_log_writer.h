// Writer: the one connection of a LocalLog that writes; turns a group of append() calls into one durable transaction. For this folder only.
//
// Every transaction runs under the write lock of the file. Thread rule: one thread at a time; LocalLog sees to it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "log/batch_format.h"
#include "log/blob_cache.h"
#include "log/database.h"
#include "log/local_log.h"
#include "log/log.h"
#include "log/write_lock.h"

namespace k2::log_db {

/// One append() call waiting for its commit.
struct AppendRequest {
  const std::vector<NewRecord>& records;
  const std::vector<PositionUpdate>& positions;
  size_t bytes = 0;  // keys and values
  Result<std::vector<Offset>> result{};
  bool done = false;
};

/// A batch that was committed.
struct StoredBatch {
  TopicPartition partition;
  CachedBlob blob;
};

class Writer {
 public:
  /// Takes the write lock, opens or makes the file, makes durable what the WAL holds, checks the tables. Errors as LocalLog::open.
  [[nodiscard]] static Result<std::unique_ptr<Writer>> open(std::string path, LocalLogOptions options);

  /// Commits the requests as one transaction, except those in conflict, and sets every request's result. `on_done` is called once the results
  /// stand and before a checkpoint that may be due. Gives the committed batches to `on_stored` before that.
  void commit(const std::vector<AppendRequest*>& group, const std::function<void(std::vector<StoredBatch>)>& on_stored,
              const std::function<void()>& on_done);

  struct Trimmed {
    Offset begin_offset;
    bool more = false;  // stopped at the transaction's bound
  };
  /// One bounded transaction of Log::trim for one partition.
  [[nodiscard]] Result<Trimmed> trim(const TopicPartition& partition, Offset below, TimestampUs older_than);

  [[nodiscard]] Result<int32_t> register_schema(std::string_view subject, std::string_view text);

  [[nodiscard]] Status checkpoint();

  /// A checkpoint, if tidy_bytes are there for it and no other process writes at the moment.
  void tidy();

  [[nodiscard]] const LocalLogStats& stats() const { return stats_; }

 private:
  struct PartitionState;
  struct TopicState;
  struct PositionState {
    int64_t version = 0;
    std::string_view value;  // points into a request
  };
  /// What a group is about to write.
  struct Group;

  Writer(std::string path, LocalLogOptions options, WriteLock lock)
      : path_(std::move(path)), options_(std::move(options)), lock_(std::move(lock)) {}

  Status connect(bool create);
  void disconnect();
  Status prepare();

  /// Runs `body` in a transaction and commits it; the lock is held. `landed` tells, on a new connection after a failed COMMIT, whether it is there.
  Status transact(const std::function<Status()>& body, const std::function<Result<bool>()>& landed);
  Status after_failed_commit(const Error& error, int code, const std::function<Result<bool>()>& landed);
  Result<bool> reconnect_and_fence(const std::function<Result<bool>()>& landed);
  Status make_usable();
  void roll_back();
  Status refuse_if_wal_is_full();
  Status checkpoint_locked(bool wait_for_readers);
  void checkpoint_if_due();

  Status write_group(const std::vector<AppendRequest*>& group, Group& state);
  Result<bool> positions_match(AppendRequest& request, Group& state);
  Status stage(AppendRequest& request, Group& state);
  Result<TopicState*> topic_state(std::string_view name, Group& state);
  Result<PartitionState*> partition_state(TopicState& topic, int32_t partition);
  Status flush(PartitionState& partition, Group& state);
  Status flush_all(Group& state);
  Result<bool> group_landed(const Group& state);

  std::string path_;
  LocalLogOptions options_;
  WriteLock lock_;
  LocalLogStats stats_;
  Database anchor_;  // a reading connection that stays open, so that the WAL index stays and no recovery runs while the writer reconnects

  bool usable_ = false;  // false: reconnect before the next transaction
  bool fence_needed_ = false;  // frames of a failed commit may be in the WAL
  int64_t wal_frames_ = 0;  // as of the last commit or checkpoint
  int64_t frames_at_checkpoint_ = 0;  // how many the WAL had at the last checkpoint, if it did not start anew since

  struct Statements {
    Statement begin, commit, rollback, fence;
    Statement select_topic, insert_topic, select_partition, insert_partition, update_partition_end, update_partition_begin;
    Statement insert_batch, select_batch, select_oldest_batches, delete_batch;
    Statement select_position, upsert_position;
    Statement select_schema, insert_schema, select_subject, insert_subject;
  };
  Database database_;
  Statements sql_;  // after the database: destroyed before it
};

}  // namespace k2::log_db
