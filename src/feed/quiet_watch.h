// QuietWatch: learns how long each stream of a line is usually silent, and says when one is silent far beyond its custom.
//
// A socket that still carries bytes may have lost a subscription; a symbol that trades once an hour has not. So a stream is suspected
// only once it was silent for `multiple` times the longest silence known of it, at least `floor_us`, at most `ceiling_us`. The longest
// silence is forgotten by half in each half_life_us, so that a symbol that wakes up is watched more closely. A stream without `gaps_min` silences
// learned is not judged.
// A suspicion is acted upon once: replaced() takes the silence of the suspects for their custom from then on, so that a market that
// is halted is asked about after 1, 8, 64 minutes, and not each minute; and no two suspicions come within hold_us.
// Thread rule: one thread at a time. Times: monotonic microseconds from any start.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace k2 {

struct QuietPolicy {
  bool enabled = true;
  double multiple = 8;
  int64_t floor_us = 60'000'000;
  int64_t ceiling_us = 4 * 3'600'000'000LL;
  int64_t half_life_us = 12 * 3'600'000'000LL;
  int64_t hold_us = 600'000'000;
  int gaps_min = 8;
};

class QuietWatch {
 public:
  QuietWatch(QuietPolicy policy, size_t streams) : policy_(policy), streams_(streams) {}

  /// A line that carries the streams is live from now on: silence counts from here, and none is learned across the break.
  void began(int64_t now_us);
  /// The stream's newest message came at `at_us`. Looking once a second is enough: shorter silences are all the same here.
  void seen(size_t stream, int64_t at_us);

  /// The stream that is silent furthest beyond its threshold, if any.
  [[nodiscard]] std::optional<size_t> suspect(int64_t now_us) const;
  /// The line is being replaced because of suspect().
  void replaced(int64_t now_us);

  /// How long this stream may be silent without being suspected; INT64_MAX: it is not judged yet.
  [[nodiscard]] int64_t threshold_us(size_t stream) const;

 private:
  struct Stream {
    int64_t last_us = INT64_MIN;  // INT64_MIN: nothing yet
    double usual_us = 0;  // the longest silence, fading
    int gaps = 0;  // learned
    bool is_after_break = true;  // the next gap spans a break
  };
  [[nodiscard]] int64_t silence_us(const Stream& stream, int64_t now_us) const;

  QuietPolicy policy_;
  std::vector<Stream> streams_;
  int64_t began_us_ = INT64_MAX;  // INT64_MAX: no line yet
  int64_t held_until_us_ = INT64_MIN;
};

}  // namespace k2
