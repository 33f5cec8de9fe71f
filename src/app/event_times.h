// EventTimes: when some of a source's events happened, by sequence number: enough to say about when any range of them begins and ends.
//
// Beside exact times it takes bounds, which earlier statements give. Event times rise with the sequence number.
// Thread rule: one thread at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <iterator>
#include <map>
#include <optional>

#include "base/time.h"

namespace k2 {

class EventTimes {
 public:
  static constexpr size_t kKnownMax = 4096;  // exact ones; beyond it the one noted longest ago is forgotten

  void note(int64_t sequence, TimestampUs happened) {
    if (known_.insert_or_assign(sequence, happened).second) noted_.push_back(sequence);
    if (noted_.size() <= kKnownMax) return;
    known_.erase(noted_.front());
    noted_.pop_front();
  }
  /// That event, received or not, happened then or later. Never forgotten.
  void note_not_before(int64_t sequence, TimestampUs bound) { not_before_[sequence] = bound; }
  /// Then or earlier.
  void note_not_after(int64_t sequence, TimestampUs bound) { not_after_[sequence] = bound; }

  /// Whether its own time is known.
  [[nodiscard]] bool knows(int64_t sequence) const { return known_.contains(sequence); }
  /// A time that `sequence` was not before: of the nearest event known at or before it.
  [[nodiscard]] std::optional<TimestampUs> at_or_before(int64_t sequence) const {
    const auto exact = last_up_to(known_, sequence);
    const auto bound = last_up_to(not_before_, sequence);
    return exact && bound ? std::max(*exact, *bound) : (exact ? exact : bound);
  }
  /// A time that it was not after: of the nearest event known at or after it.
  [[nodiscard]] std::optional<TimestampUs> at_or_after(int64_t sequence) const {
    const auto exact = first_from(known_, sequence);
    const auto bound = first_from(not_after_, sequence);
    return exact && bound ? std::min(*exact, *bound) : (exact ? exact : bound);
  }

 private:
  using Times = std::map<int64_t, TimestampUs>;

  static std::optional<TimestampUs> last_up_to(const Times& times, int64_t sequence) {
    const auto above = times.upper_bound(sequence);
    return above == times.begin() ? std::nullopt : std::optional(std::prev(above)->second);
  }
  static std::optional<TimestampUs> first_from(const Times& times, int64_t sequence) {
    const auto found = times.lower_bound(sequence);
    return found == times.end() ? std::nullopt : std::optional(found->second);
  }

  Times known_;
  std::deque<int64_t> noted_;  // their sequence numbers, in the order noted
  Times not_before_;
  Times not_after_;
};

}  // namespace k2
