#include "log/blob_cache.h"

#include <utility>

namespace k2 {
namespace {
// Bounds the bookkeeping where batches are tiny.
constexpr size_t kBlobsMax = 16'384;
}  // namespace

void BlobCache::put(const TopicPartition& partition, CachedBlob blob) {
  const std::lock_guard lock(mutex_);
  const size_t size = blob.blob->size();
  if (size > bytes_max_) return;
  const Offset first = blob.first_offset;
  if (!blobs_[partition].emplace(first, std::move(blob)).second) return;
  order_.emplace_back(partition, first);
  bytes_ += size;
  while (bytes_ > bytes_max_ || order_.size() > kBlobsMax) drop_oldest();
}

std::optional<CachedBlob> BlobCache::find(const TopicPartition& partition, Offset offset) const {
  const std::lock_guard lock(mutex_);
  const auto of_partition = blobs_.find(partition);
  if (of_partition == blobs_.end()) return std::nullopt;
  auto after = of_partition->second.upper_bound(offset);
  if (after == of_partition->second.begin()) return std::nullopt;
  const CachedBlob& candidate = std::prev(after)->second;
  if (offset >= candidate.next_offset) return std::nullopt;
  return candidate;
}

void BlobCache::drop_below(const TopicPartition& partition, Offset offset) {
  const std::lock_guard lock(mutex_);
  const auto of_partition = blobs_.find(partition);
  if (of_partition == blobs_.end()) return;
  ByOffset& blobs = of_partition->second;
  while (!blobs.empty() && blobs.begin()->second.next_offset <= offset) {
    bytes_ -= blobs.begin()->second.blob->size();
    blobs.erase(blobs.begin());
  }
}

void BlobCache::drop_oldest() {
  const auto [partition, first] = std::move(order_.front());
  order_.pop_front();
  ByOffset& blobs = blobs_[partition];
  const auto found = blobs.find(first);
  if (found == blobs.end()) return;  // Dropped by drop_below.
  bytes_ -= found->second.blob->size();
  blobs.erase(found);
}

}  // namespace k2
