// BatchBuilder and decode_batch: the blob that holds the records of one commit for one partition. Grammar and worked example:
// docs/formats/local-log.md, "Batch blob".
//
// Thread rule: values; decoding is pure.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "log/log.h"

namespace k2 {

/// Collects records into one blob.
class BatchBuilder {
 public:
  BatchBuilder(int64_t partition_id, Offset first_offset);

  void add(std::string_view key, std::string_view value, TimestampUs timestamp);
  [[nodiscard]] size_t size_bytes() const { return blob_.size(); }
  [[nodiscard]] int64_t count() const { return count_; }
  [[nodiscard]] Offset first_offset() const { return first_offset_; }
  [[nodiscard]] Offset next_offset() const { return Offset{first_offset_.value + count_}; }
  [[nodiscard]] TimestampUs timestamp_max() const { return timestamp_max_; }

  /// Writes the header and gives the blob away; the builder holds at least one record and is not used afterwards.
  [[nodiscard]] std::string finish() &&;

 private:
  std::string blob_;
  int64_t partition_id_;
  Offset first_offset_;
  int64_t count_ = 0;
  TimestampUs base_timestamp_;
  TimestampUs timestamp_max_;
};

/// What the row of a batch says about its blob.
struct BatchRow {
  int64_t partition_id = 0;
  Offset first_offset;
  Offset next_offset;
};

/// Checks header and checksum of `blob` against its row. Corrupt where they contradict each other.
[[nodiscard]] Status check_batch(std::string_view blob, const BatchRow& row);

/// Appends to `records` those with offsets in [from, end), until their values make up at least `bytes_wanted` bytes (at least one record
/// if there is one); returns the bytes of values added. The views point into `blob`. Corrupt if the blob's records do not fill it exactly.
[[nodiscard]] Result<size_t> decode_batch(std::string_view blob, Offset from, Offset end, size_t bytes_wanted,
                                          std::vector<LogRecord>& records);

}  // namespace k2
