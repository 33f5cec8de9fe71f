// BlobCache: the newest batch blobs of this process in memory, so that reading the log's end costs no I/O. Holds committed batches only.
//
// Bounded by the bytes of its blobs and by their number; the one put in first goes first. Thread rule: any thread.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "market/offsets.h"

namespace k2 {

struct CachedBlob {
  Offset first_offset;
  Offset next_offset;
  std::shared_ptr<const std::string> blob;
};

class BlobCache {
 public:
  explicit BlobCache(size_t bytes_max) : bytes_max_(bytes_max) {}

  void put(const TopicPartition& partition, CachedBlob blob);
  /// The blob that holds `offset`, if it is here.
  [[nodiscard]] std::optional<CachedBlob> find(const TopicPartition& partition, Offset offset) const;
  /// Lets go of the blobs that end at or below `offset`.
  void drop_below(const TopicPartition& partition, Offset offset);

 private:
  using ByOffset = std::map<Offset, CachedBlob>;
  void drop_oldest();

  const size_t bytes_max_;
  mutable std::mutex mutex_;
  size_t bytes_ = 0;
  std::map<TopicPartition, ByOffset> blobs_;
  std::deque<std::pair<TopicPartition, Offset>> order_;  // as put in; may name blobs that are gone
};

}  // namespace k2
