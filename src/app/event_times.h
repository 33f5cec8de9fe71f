// EventTimes: when some of a source's events happened, by sequence number: enough to say about when any range of them begins and ends.
//
// Thread rule: one thread at a time.
#pragma once

#include <cstdint>
#include <iterator>
#include <map>
#include <optional>

#include "base/time.h"

namespace k2 {

class EventTimes {
 public:
  static constexpr size_t kKnownMax = 4096;  // beyond it the smallest number is forgotten

  void note(int64_t sequence, TimestampUs happened) {
    known_[sequence] = happened;
    if (known_.size() > kKnownMax) known_.erase(known_.begin());
  }

  /// Of the nearest known event at or before `sequence`.
  [[nodiscard]] std::optional<TimestampUs> at_or_before(int64_t sequence) const {
    const auto above = known_.upper_bound(sequence);
    if (above == known_.begin()) return std::nullopt;
    return std::prev(above)->second;
  }
  /// Of the nearest known event at or after it.
  [[nodiscard]] std::optional<TimestampUs> at_or_after(int64_t sequence) const {
    const auto found = known_.lower_bound(sequence);
    if (found == known_.end()) return std::nullopt;
    return found->second;
  }

 private:
  std::map<int64_t, TimestampUs> known_;
};

}  // namespace k2
