// Dead letters as rows: what stands in the log's topic market.dead_letter.
//
// Thread rule: a pure function over the log.
#pragma once

#include <cstdint>
#include <memory>

#include "base/result.h"
#include "log/log.h"
#include "market/schema_store.h"
#include "query/result.h"

namespace k2 {

/// The newest `limit` dead letters (negative: all), oldest first: ingestion_timestamp, source, reason, raw, log_partition, log_offset.
/// Bytes of raw that are not UTF-8 are shown as U+FFFD. Corrupt: a record cannot be decoded. Errors of the log's read().
[[nodiscard]] Result<std::unique_ptr<QueryResult>> dead_letters(const Log& log, const SchemaStore& schemas, int64_t limit);

}  // namespace k2
