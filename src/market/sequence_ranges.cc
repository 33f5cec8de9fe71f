#include "market/sequence_ranges.h"

#include <algorithm>
#include <charconv>

#include "base/assert.h"

namespace k2 {

bool SequenceRanges::insert(int64_t sequence) {
  K2_ASSERT(sequence >= 0);
  if (!ranges_.empty() && sequence == ranges_.back().last + 1) {
    ranges_.back().last = sequence;
    return true;
  }
  // The first range that ends at or after sequence - 1 is the only one that may hold it or touch it from below.
  const auto next =
      std::lower_bound(ranges_.begin(), ranges_.end(), sequence - 1, [](const Range& range, int64_t value) { return range.last < value; });
  if (next == ranges_.end()) {
    ranges_.push_back({sequence, sequence});
    return true;
  }
  if (next->first <= sequence && sequence <= next->last) return false;
  if (next->last == sequence - 1) {
    next->last = sequence;
    if (const auto after = next + 1; after != ranges_.end() && after->first == sequence + 1) {
      next->last = after->last;
      ranges_.erase(after);
    }
    return true;
  }
  if (next->first == sequence + 1) next->first = sequence;
  else ranges_.insert(next, {sequence, sequence});
  return true;
}

bool SequenceRanges::insert(const Range& range) {
  K2_ASSERT(range.first >= 0 && range.first <= range.last);
  // Those that overlap it or touch it become one with it.
  const auto first = std::lower_bound(ranges_.begin(), ranges_.end(), range.first - 1,
                                      [](const Range& candidate, int64_t value) { return candidate.last < value; });
  const auto end =
      std::upper_bound(first, ranges_.end(), range.last + 1, [](int64_t value, const Range& candidate) { return value < candidate.first; });
  if (first == end) {
    ranges_.insert(first, range);
    return true;
  }
  if (first->first <= range.first && range.last <= first->last) return false;
  const Range merged = {std::min(range.first, first->first), std::max(range.last, (end - 1)->last)};
  *first = merged;
  ranges_.erase(first + 1, end);
  return true;
}

void SequenceRanges::insert(const SequenceRanges& others) {
  for (const Range& range : others.ranges_) insert(range);
}

std::vector<SequenceRanges::Range> SequenceRanges::overlap(const Range& range) const {
  std::vector<Range> parts;
  if (range.first > range.last) return parts;
  auto at = std::ranges::lower_bound(ranges_, range.first, {}, &Range::last);
  for (; at != ranges_.end() && at->first <= range.last; ++at)
    parts.push_back({std::max(at->first, range.first), std::min(at->last, range.last)});
  return parts;
}

SequenceRanges SequenceRanges::without(const SequenceRanges& others) const {
  SequenceRanges rest;
  for (const Range& range : ranges_) {
    int64_t at = range.first;
    for (const Range& part : others.overlap(range)) {
      if (at < part.first) rest.ranges_.push_back({at, part.first - 1});
      at = part.last + 1;
    }
    if (at <= range.last) rest.ranges_.push_back({at, range.last});
  }
  return rest;
}

bool SequenceRanges::contains(int64_t sequence) const {
  const auto range = std::lower_bound(ranges_.begin(), ranges_.end(), sequence,
                                      [](const Range& candidate, int64_t value) { return candidate.last < value; });
  return range != ranges_.end() && range->first <= sequence;
}

std::optional<int64_t> SequenceRanges::last() const {
  if (ranges_.empty()) return std::nullopt;
  return ranges_.back().last;
}

std::string SequenceRanges::to_string() const {
  std::string text;
  for (const Range& range : ranges_) {
    if (!text.empty()) text += ',';
    text += std::to_string(range.first);
    if (range.last != range.first) text += '-' + std::to_string(range.last);
  }
  return text;
}

Result<SequenceRanges> SequenceRanges::parse(std::string_view text) {
  SequenceRanges parsed;
  const char* p = text.data();
  const char* const end = p + text.size();
  while (p != end) {
    Range range{};
    auto read = std::from_chars(p, end, range.first);
    p = read.ptr;
    range.last = range.first;
    if (read.ec == std::errc() && p != end && *p == '-') {
      read = std::from_chars(p + 1, end, range.last);
      p = read.ptr;
    }
    if (read.ec != std::errc() || (p != end && *p != ',')) break;
    if (p != end) ++p;
    parsed.ranges_.push_back(range);
  }
  // Re-writing is the check: order, disjointness and spelling all in one.
  SequenceRanges rebuilt;
  bool valid = parsed.to_string() == text;
  for (const Range& range : parsed.ranges_) {
    const auto previous = rebuilt.last();
    valid = valid && range.first >= 0 && range.first <= range.last && (!previous || range.first > *previous + 1);
    rebuilt.ranges_.push_back(range);
  }
  if (!valid) return make_error(ErrorKind::kInvalidInput, "sequence ranges: cannot read \"" + std::string(text.substr(0, 64)) + "\"");
  return parsed;
}

}  // namespace k2
