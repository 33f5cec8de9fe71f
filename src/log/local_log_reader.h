// Reader: one reading connection of a LocalLog with its statements. For this folder only.
//
// Each call sees one committed state of the file. Thread rule: one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "log/blob_cache.h"
#include "log/database.h"
#include "log/local_log.h"
#include "log/log.h"

namespace k2::log_db {

class Reader {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Reader>> open(const std::string& path, const LocalLogOptions& options);

  /// As Log::read. `partly_read` gets the last blob if it was not read to its end.
  [[nodiscard]] Result<LogBatch> read(const TopicPartition& partition, Offset from, Offset end, size_t bytes_max, CachedBlob& partly_read);
  [[nodiscard]] Result<Offsets> end_offsets();
  [[nodiscard]] Result<Offsets> begin_offsets();
  [[nodiscard]] Result<std::vector<Position>> positions(const std::vector<std::string>& sources);
  /// NotFound: no such id.
  [[nodiscard]] Result<std::string> schema(int32_t id);
  /// The id of `text` if it is registered under `subject`, else 0.
  [[nodiscard]] Result<int32_t> schema_id(std::string_view subject, std::string_view text);
  /// Changes when another connection, of any process, committed.
  [[nodiscard]] Result<int64_t> data_version();
  [[nodiscard]] Result<LogId> log_id();

 private:
  Reader() = default;
  Result<Offsets> offsets(const Statement& select);
  Result<LogBatch> read_in_transaction(const TopicPartition& partition, Offset from, Offset end, size_t bytes_max, CachedBlob& partly_read);

  Database database_;
  Statement begin_, end_, data_version_, select_partition_, select_batches_, select_begins_, select_ends_, select_position_, select_schema_,
      select_schema_id_;
};

}  // namespace k2::log_db
