#include "feed/quiet_watch.h"

#include <algorithm>
#include <cmath>

#include "base/assert.h"

namespace k2 {

void QuietWatch::began(int64_t now_us) {
  began_us_ = now_us;
  for (Stream& stream : streams_) stream.is_after_break = true;
}

void QuietWatch::seen(size_t stream, int64_t at_us) {
  K2_ASSERT(stream < streams_.size());
  Stream& known = streams_[stream];
  if (known.last_us != INT64_MIN && !known.is_after_break && at_us > known.last_us) {
    const auto gap_us = static_cast<double>(at_us - known.last_us);
    const double faded_us = known.usual_us * std::exp2(-gap_us / static_cast<double>(policy_.half_life_us));
    known.usual_us = std::min(std::max(gap_us, faded_us), static_cast<double>(policy_.ceiling_us));
    known.gaps = std::min(known.gaps + 1, policy_.gaps_min);
  }
  known.last_us = std::max(known.last_us, at_us);
  known.is_after_break = false;
}

int64_t QuietWatch::threshold_us(size_t stream) const {
  const Stream& known = streams_[stream];
  if (known.gaps < policy_.gaps_min) return INT64_MAX;
  const double wanted_us = std::min(known.usual_us * policy_.multiple, static_cast<double>(policy_.ceiling_us));
  return std::clamp(static_cast<int64_t>(wanted_us), policy_.floor_us, policy_.ceiling_us);
}

int64_t QuietWatch::silence_us(const Stream& stream, int64_t now_us) const { return now_us - std::max(stream.last_us, began_us_); }

std::optional<size_t> QuietWatch::suspect(int64_t now_us) const {
  if (!policy_.enabled || began_us_ == INT64_MAX || now_us < held_until_us_) return std::nullopt;
  std::optional<size_t> worst;
  double worst_excess = 1;
  for (size_t i = 0; i < streams_.size(); ++i) {
    const int64_t threshold = threshold_us(i);
    if (threshold == INT64_MAX) continue;
    const double excess = static_cast<double>(silence_us(streams_[i], now_us)) / static_cast<double>(threshold);
    if (excess < worst_excess) continue;
    worst = i;
    worst_excess = excess;
  }
  return worst;
}

void QuietWatch::replaced(int64_t now_us) {
  held_until_us_ = now_us + policy_.hold_us;
  for (size_t i = 0; i < streams_.size(); ++i) {
    const int64_t silence = silence_us(streams_[i], now_us);
    if (silence >= threshold_us(i)) streams_[i].usual_us = std::min(static_cast<double>(silence), static_cast<double>(policy_.ceiling_us));
  }
}

}  // namespace k2
