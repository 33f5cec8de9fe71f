// Opening and making the log's file: connections with their settings, tables, the checks at open. For this folder only.
//
// Thread rule: as Database.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "log/database.h"
#include "log/local_log.h"
#include "log/log.h"

namespace k2::log_db {

inline constexpr int64_t kPageBytes = 4096;
inline constexpr int64_t kFrameBytes = kPageBytes + 24;  // a page in the WAL with its header

/// A connection that may write; `create` makes file and tables where they are absent. Call it under the write lock.
[[nodiscard]] Result<Database> open_for_writing(const std::string& path, const LocalLogOptions& options, bool create);
/// A connection that cannot write and never checkpoints.
[[nodiscard]] Result<Database> open_for_reading(const std::string& path, const LocalLogOptions& options);

[[nodiscard]] Result<LogId> read_log_id(Database& database);

/// Invariants I1 and I2 of the format. Corrupt, naming topic and partition.
[[nodiscard]] Status check_partitions(Database& database);

}  // namespace k2::log_db
