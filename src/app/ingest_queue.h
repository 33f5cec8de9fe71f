// IngestQueue: what waits to be appended, in batches, in the order it was put; and what is left out when too much waits.
//
// One who can wait (a file) is told whether there is room: for one batch beside the one being appended. One who cannot (a socket) is told
// whether a record of its kind is admitted: quotes are left out from half of queue_bytes_max on until a quarter is left, then trades and
// everything else at all of it until three quarters are left. The distance between the marks keeps it from going to and fro with each batch.
// Thread rule: its owner's lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"

namespace k2 {

/// A batch of encoded records in the order they were put. Source is what the owner knows a record's source by.
template <class Source>
struct IngestBatch {
  struct Item {
    Source* source;
    uint64_t key;  // sequence or hash
    uint64_t key_last;  // of a range of sequences; else equal to key
    size_t offset;  // into bytes
    size_t size;
    TimestampUs timestamp;
  };
  std::string bytes;
  std::vector<Item> items;

  [[nodiscard]] size_t memory() const { return bytes.size() + items.size() * sizeof(Item); }
  void clear() {
    bytes.clear();
    items.clear();
  }
};

/// Quotes go first: each is superseded by the next, and a trade is not.
enum class ShedClass : uint8_t { kQuotes, kOthers };

/// On and off with a distance between.
class Watermark {
 public:
  Watermark(size_t on_from, size_t off_below) : on_from_(on_from), off_below_(off_below) {}
  bool update(size_t level) {
    if (level >= on_from_) is_on_ = true;
    else if (level < off_below_) is_on_ = false;
    return is_on_;
  }
  [[nodiscard]] bool is_on() const { return is_on_; }

 private:
  size_t on_from_, off_below_;
  bool is_on_ = false;
};

template <class Source>
class IngestQueue {
 public:
  using Batch = IngestBatch<Source>;

  IngestQueue(size_t batch_records_max, size_t batch_bytes_max, size_t queue_bytes_max)
      : batch_records_max_(batch_records_max),
        batch_bytes_max_(batch_bytes_max),
        quotes_(queue_bytes_max / 2, queue_bytes_max / 4),
        others_(queue_bytes_max, queue_bytes_max / 4 * 3) {}

  [[nodiscard]] bool empty() const { return batches_.empty(); }
  /// A whole batch, or more, waits.
  [[nodiscard]] bool has_full_batch() const { return batches_.size() > 1 || (!batches_.empty() && is_full(batches_.back())); }
  [[nodiscard]] size_t front_items() const { return batches_.empty() ? 0 : batches_.front().items.size(); }
  [[nodiscard]] size_t front_bytes() const { return batches_.empty() ? 0 : batches_.front().bytes.size(); }
  /// Bytes of all that waits.
  [[nodiscard]] size_t memory() const { return full_memory_ + (batches_.empty() ? 0 : batches_.back().memory()); }

  [[nodiscard]] bool admits(ShedClass kind) {
    quotes_.update(memory());
    others_.update(memory());
    return !(kind == ShedClass::kQuotes ? quotes_ : others_).is_on();
  }
  [[nodiscard]] bool is_shedding() const { return quotes_.is_on() || others_.is_on(); }

  /// The batch to add the next record to.
  [[nodiscard]] Batch& back() {
    if (batches_.empty() || is_full(batches_.back())) {
      if (!batches_.empty()) full_memory_ += batches_.back().memory();
      batches_.push_back(std::exchange(spare_, {}));
    }
    return batches_.back();
  }

  /// Moves the oldest batch into `batch`, whose own memory is kept for later.
  void take(Batch& batch) {
    batch.clear();
    std::swap(spare_, batch);
    batch = std::move(batches_.front());
    batches_.pop_front();
    if (!batches_.empty()) full_memory_ -= batch.memory();
  }

 private:
  [[nodiscard]] bool is_full(const Batch& batch) const {
    return batch.items.size() >= batch_records_max_ || batch.bytes.size() >= batch_bytes_max_;
  }

  const size_t batch_records_max_;
  const size_t batch_bytes_max_;
  Watermark quotes_;
  Watermark others_;
  std::deque<Batch> batches_;  // the last one is being filled
  size_t full_memory_ = 0;  // of all but the last
  Batch spare_;  // empty, with memory
};

}  // namespace k2
