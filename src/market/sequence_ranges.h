// SequenceRanges: which sequence numbers of one source have been taken, as sorted disjoint closed ranges.
//
// This is what makes "each trade once" exact whatever order its copies come in: live stream, dump of an older day, backfill, second
// load. A source that counts without holes costs one range. Its text is what the log keeps as the source's position.
// Thread rule: a value type.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace k2 {

class SequenceRanges {
 public:
  struct Range {
    int64_t first;
    int64_t last;  // inclusive
    bool operator==(const Range&) const = default;
  };

  /// "5-9,12" is 5..9 and 12; "" is empty. InvalidInput unless it is exactly what to_string() writes.
  [[nodiscard]] static Result<SequenceRanges> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;

  /// Takes `sequence` (>= 0); false if it was taken already. Constant time next to the newest range, else logarithmic search.
  bool insert(int64_t sequence);
  /// Takes all of `range` (0 <= first <= last); false if all of it was taken already.
  bool insert(const Range& range);
  /// Takes all that `others` has.
  void insert(const SequenceRanges& others);
  [[nodiscard]] bool contains(int64_t sequence) const;
  /// The parts of `range` that were taken, ascending; none where its first lies behind its last.
  [[nodiscard]] std::vector<Range> overlap(const Range& range) const;
  /// What was taken here and not in `others`.
  [[nodiscard]] SequenceRanges without(const SequenceRanges& others) const;

  /// The largest one taken.
  [[nodiscard]] std::optional<int64_t> last() const;
  [[nodiscard]] const std::vector<Range>& ranges() const { return ranges_; }
  [[nodiscard]] bool empty() const { return ranges_.empty(); }

  bool operator==(const SequenceRanges&) const = default;

 private:
  std::vector<Range> ranges_;
};

}  // namespace k2
