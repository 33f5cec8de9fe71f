#include "log/local_log_reader.h"

#include <algorithm>
#include <utility>

#include "log/batch_format.h"
#include "log/local_log_file.h"

namespace k2::log_db {
namespace {

std::string name_of(const TopicPartition& partition) { return partition.topic + "/" + std::to_string(partition.partition); }

/// A read transaction: everything in it sees one committed state. Ends with its life; an end cannot fail to let go.
class Snapshot {
 public:
  static Result<Snapshot> begin(const Statement& begin, const Statement& end) {
    K2_RETURN_IF_ERROR(Query(begin).run());
    return Snapshot(end);
  }
  ~Snapshot() {
    if (end_ != nullptr) (void)Query(*end_).run();
  }
  Snapshot(Snapshot&& other) noexcept : end_(std::exchange(other.end_, nullptr)) {}
  Snapshot& operator=(Snapshot&&) = delete;

 private:
  explicit Snapshot(const Statement& end) : end_(&end) {}
  const Statement* end_;
};

}  // namespace

Result<std::unique_ptr<Reader>> Reader::open(const std::string& path, const LocalLogOptions& options) {
  std::unique_ptr<Reader> reader(new Reader());
  K2_TRY(reader->database_, open_for_reading(path, options));
  struct Entry {
    Statement* statement;
    const char* sql;
  };
  const Entry entries[] = {
      {&reader->begin_, "BEGIN"},
      {&reader->end_, "COMMIT"},
      {&reader->data_version_, "PRAGMA data_version"},
      {&reader->select_partition_,
       "SELECT p.partition_id, p.begin_offset, p.end_offset FROM partitions p JOIN topics t USING (topic_id) WHERE t.name = ?1 AND "
       "p.partition = ?2"},
      {&reader->select_batches_,
       "SELECT first_offset, next_offset, data FROM batches INDEXED BY batches_by_offset WHERE partition_id = ?1 AND first_offset >= "
       "(SELECT max(first_offset) FROM batches WHERE partition_id = ?1 AND first_offset <= ?2) ORDER BY first_offset"},
      {&reader->select_begins_, "SELECT t.name, p.partition, p.begin_offset FROM partitions p JOIN topics t USING (topic_id)"},
      {&reader->select_ends_, "SELECT t.name, p.partition, p.end_offset FROM partitions p JOIN topics t USING (topic_id)"},
      {&reader->select_position_, "SELECT version, value FROM positions WHERE source = ?1"},
      {&reader->select_schema_, "SELECT text FROM schemas WHERE schema_id = ?1"},
      {&reader->select_schema_id_, "SELECT schema_id FROM schemas JOIN subjects USING (schema_id) WHERE subject = ?1 AND text = ?2"},
  };
  for (const Entry& entry : entries) {
    K2_TRY(*entry.statement, Statement::prepare(reader->database_, entry.sql));
  }
  return reader;
}

Result<LogBatch> Reader::read(const TopicPartition& partition, Offset from, Offset end, size_t bytes_max, CachedBlob& partly_read) {
  auto batch = read_in_transaction(partition, from, end, bytes_max, partly_read);
  if (!batch)
    return std::unexpected(batch.error().with_context("read " + name_of(partition) + " from offset " + std::to_string(from.value)));
  return batch;
}

Result<LogBatch> Reader::read_in_transaction(const TopicPartition& partition, Offset from, Offset end, size_t bytes_max,
                                             CachedBlob& partly_read) {
  K2_TRY(const Snapshot snapshot, Snapshot::begin(begin_, end_));
  int64_t partition_id = 0;
  Offset log_begin;
  Offset log_end;
  {
    Query query(select_partition_, std::string_view(partition.topic), int64_t{partition.partition});
    K2_TRY(const bool stored, query.step());
    if (stored) {
      partition_id = query.integer(0);
      log_begin = Offset{query.integer(1)};
      log_end = Offset{query.integer(2)};
    }
  }
  if (from < log_begin || from > log_end)
    return make_error(ErrorKind::kNotFound,
                      "the log holds offsets " + std::to_string(log_begin.value) + " to " + std::to_string(log_end.value));
  const Offset last = std::min(end, log_end);
  if (from >= last) return LogBatch({}, from, {});

  std::vector<LogRecord> records;
  std::vector<std::shared_ptr<const std::string>> storage;
  Offset next = from;
  size_t bytes = 0;
  Query query(select_batches_, partition_id, from.value);
  while (next < last && (bytes < bytes_max || records.empty())) {
    K2_TRY(const bool found, query.step());
    if (!found) return make_error(ErrorKind::kCorrupt, "no batch holds offset " + std::to_string(next.value));
    const BatchRow row{partition_id, Offset{query.integer(0)}, Offset{query.integer(1)}};
    if (storage.empty() ? (row.first_offset > next || row.next_offset <= next) : row.first_offset != next)
      return make_error(ErrorKind::kCorrupt, "offset " + std::to_string(next.value) + " expected, but the batch goes from " +
                                                 std::to_string(row.first_offset.value) + " to " + std::to_string(row.next_offset.value));
    auto blob = std::make_shared<const std::string>(query.bytes(2));
    const auto in_batch = [&](const Error& error) {
      return std::unexpected(error.with_context("batch at offset " + std::to_string(row.first_offset.value)));
    };
    if (const Status checked = check_batch(*blob, row); !checked) return in_batch(checked.error());
    const auto added = decode_batch(*blob, next, last, bytes_max - std::min(bytes, bytes_max), records);
    if (!added) return in_batch(added.error());
    bytes += *added;
    next = Offset{records.back().offset.value + 1};
    if (next < row.next_offset) partly_read = {row.first_offset, row.next_offset, blob};
    storage.push_back(std::move(blob));
  }
  return LogBatch(std::move(records), next, std::move(storage));
}

Result<Offsets> Reader::offsets(const Statement& select) {
  Offsets offsets;
  Query query(select);
  for (;;) {
    K2_TRY(const bool found, query.step());
    if (!found) return offsets;
    offsets[{std::string(query.bytes(0)), static_cast<int32_t>(query.integer(1))}] = Offset{query.integer(2)};
  }
}

Result<Offsets> Reader::end_offsets() { return offsets(select_ends_); }
Result<Offsets> Reader::begin_offsets() { return offsets(select_begins_); }

Result<std::vector<Position>> Reader::positions(const std::vector<std::string>& sources) {
  K2_TRY(const Snapshot snapshot, Snapshot::begin(begin_, end_));
  std::vector<Position> positions;
  positions.reserve(sources.size());
  for (const std::string& source : sources) {
    Query query(select_position_, std::string_view(source));
    K2_TRY(const bool stored, query.step());
    positions.push_back(stored ? Position{query.integer(0), std::string(query.bytes(1))} : Position{});
  }
  return positions;
}

Result<std::string> Reader::schema(int32_t id) {
  Query query(select_schema_, int64_t{id});
  K2_TRY(const bool stored, query.step());
  if (!stored) return make_error(ErrorKind::kNotFound, "schema " + std::to_string(id) + ": no such id");
  return std::string(query.bytes(0));
}

Result<int32_t> Reader::schema_id(std::string_view subject, std::string_view text) {
  Query query(select_schema_id_, subject, text);
  K2_TRY(const bool stored, query.step());
  return stored ? static_cast<int32_t>(query.integer(0)) : 0;
}

Result<int64_t> Reader::data_version() {
  Query query(data_version_);
  K2_TRY(const bool found, query.step());
  return found ? query.integer(0) : 0;
}

Result<LogId> Reader::log_id() { return read_log_id(database_); }

}  // namespace k2::log_db
