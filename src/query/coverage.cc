#include "query/coverage.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "base/assert.h"

namespace k2 {
namespace {

/// Whether `time`, of the statement's first or last event, tells where the rest of `old` ends or begins: times of received events are exact,
/// others reach from some event before to some after. Not at the very ends of `old`: there the statement may have had no times but those.
bool is_bound(TimestampUs time, const CoverageRange& statement, const CoverageRange& old) {
  return is_received(statement.status) && time > old.timestamp && time < old.end_timestamp;
}

/// What of `old` lies before `statement`; `old` begins before it.
CoverageRange part_before(const CoverageRange& old, const CoverageRange& statement) {
  CoverageRange part = old;
  part.last = statement.first - 1;
  if (is_bound(statement.timestamp, statement, old)) part.end_timestamp = statement.timestamp;
  return part;
}

CoverageRange part_after(const CoverageRange& old, const CoverageRange& statement) {
  CoverageRange part = old;
  part.first = statement.last + 1;
  if (is_bound(statement.end_timestamp, statement, old)) part.timestamp = statement.end_timestamp;
  return part;
}

bool continues(const CoverageRange& range, const CoverageRange& next) {
  return range.last + 1 == next.first && range.status == next.status && range.reason == next.reason;
}

using Ranges = std::map<int64_t, CoverageRange>;

/// Makes room for `statement`: cuts or removes what says something else of its sequence numbers.
void clear_range(Ranges& ranges, const CoverageRange& statement) {
  auto at = ranges.upper_bound(statement.first);
  if (at != ranges.begin() && std::prev(at)->second.last >= statement.first) --at;
  while (at != ranges.end() && at->first <= statement.last) {
    const CoverageRange old = at->second;
    at = ranges.erase(at);
    if (old.first < statement.first) ranges.emplace(old.first, part_before(old, statement));
    if (old.last > statement.last) at = ranges.emplace(statement.last + 1, part_after(old, statement)).first;
  }
}

/// What of `statement` holds beside those of higher rank, ascending.
std::vector<CoverageRange> parts_that_hold(const Ranges& ranges, const CoverageRange& statement) {
  std::vector<CoverageRange> parts;
  CoverageRange rest = statement;
  auto at = ranges.upper_bound(statement.first);
  if (at != ranges.begin() && std::prev(at)->second.last >= statement.first) --at;
  for (; at != ranges.end() && at->first <= statement.last; ++at) {
    const CoverageRange& better = at->second;
    if (coverage_rank(better.status) <= coverage_rank(statement.status)) continue;
    if (rest.first < better.first) parts.push_back(part_before(rest, better));
    if (rest.last <= better.last) return parts;
    rest = part_after(rest, better);
  }
  parts.push_back(rest);
  return parts;
}

/// Joins the range at `at` with the one after it, if they say the same.
void join_next(Ranges& ranges, Ranges::iterator at) {
  const auto next = std::next(at);
  if (next == ranges.end() || !continues(at->second, next->second)) return;
  at->second.last = next->second.last;
  at->second.timestamp = std::min(at->second.timestamp, next->second.timestamp);
  at->second.end_timestamp = std::max(at->second.end_timestamp, next->second.end_timestamp);
  ranges.erase(next);
}

/// Up to when statements without a break reach from `start` on; nullopt where none reaches back to it.
std::optional<TimestampUs> known_until(const std::vector<CoverageRange>& ranges, TimestampUs start) {
  std::optional<TimestampUs> until;
  for (size_t i = 0; i < ranges.size();) {
    // Of what was not received, the times reach over events of which perhaps nothing was stated.
    if (!is_received(ranges[i].status)) {
      ++i;
      continue;
    }
    const TimestampUs begin = ranges[i].timestamp;
    TimestampUs end = ranges[i].end_timestamp;
    for (++i; i < ranges.size() && ranges[i - 1].last + 1 == ranges[i].first; ++i) end = std::max(end, ranges[i].end_timestamp);
    // At the first and the last moment of a break there may be further events that nothing was stated of: venues' clocks tick in milliseconds.
    if (begin < start && start <= end) until = std::max(until.value_or(end), end);
  }
  return until;
}

void note_gaps(const CoverageSource& source, const std::vector<CoverageRange>& ranges, const CoverageWindow& window, Completeness& found) {
  for (const CoverageRange& range : ranges) {
    if (!range.is_gap() || !overlaps(range, window)) continue;
    ++found.gap_count;
    if (found.gaps.size() < kCompletenessGapsMax) found.gaps.push_back({source, range});
  }
}

}  // namespace

void CoverageResolver::state(const CoverageSource& source, const CoverageRange& statement) {
  K2_ASSERT(statement.first <= statement.last);
  Source& own = sources_[source];
  own.changed = true;
  for (const CoverageRange& part : parts_that_hold(own.ranges, statement)) {
    clear_range(own.ranges, part);
    const auto [at, added] = own.ranges.emplace(part.first, part);
    K2_ASSERT(added);
    join_next(own.ranges, at);
    if (at != own.ranges.begin()) join_next(own.ranges, std::prev(at));
  }
}

void CoverageResolver::forget(const CoverageSource& source, int64_t first, int64_t last) {
  Source& own = sources_[source];
  own.changed = true;
  clear_range(own.ranges, {.first = first, .last = last, .status = CoverageStatus::kOpen});
}

CoverageState CoverageResolver::resolved() {
  for (auto& [name, source] : sources_) {
    if (!std::exchange(source.changed, false)) continue;
    auto ranges = std::make_shared<std::vector<CoverageRange>>();
    ranges->reserve(source.ranges.size());
    for (const auto& [first, range] : source.ranges) ranges->push_back(range);
    last_[name] = std::move(ranges);
  }
  return last_;
}

bool matches(const CoverageSource& source, const CoverageWindow& window) {
  if (!window.exchange.empty() && source.exchange != window.exchange) return false;
  if (!window.channel.empty() && source.channel != window.channel) return false;
  return window.symbols.empty() || std::ranges::find(window.symbols, source.symbol) != window.symbols.end();
}

bool overlaps(const CoverageRange& range, const CoverageWindow& window) {
  if (window.end && range.timestamp >= *window.end) return false;
  return !window.start || range.end_timestamp >= *window.start;
}

Completeness completeness(const CoverageState& state, const CoverageWindow& window) {
  Completeness found;
  std::optional<TimestampUs> until;
  std::set<std::string_view> known_symbols;
  bool all_known = window.start.has_value() && !window.symbols.empty();
  for (const auto& [source, ranges] : state) {
    if (!matches(source, window)) continue;
    note_gaps(source, *ranges, window, found);
    known_symbols.insert(source.symbol);
    if (!all_known) continue;
    const auto reach = known_until(*ranges, *window.start);
    all_known = reach.has_value();
    if (reach) until = std::min(until.value_or(*reach), *reach);
  }
  for (const std::string& symbol : window.symbols) all_known = all_known && known_symbols.contains(symbol);
  if (all_known) found.known_until = until;
  if (found.gap_count > 0) found.complete = false;
  else if (found.known_until && window.end && *window.end <= *found.known_until) found.complete = true;
  return found;
}

}  // namespace k2
