// Coverage resolved: what the statements of market_data.coverage, taken together, say now about each source's sequence numbers.
// docs/formats/coverage.md.
//
// Statements are applied in the log's order. Of two about the same sequence number the one of higher rank holds (market/coverage.h), and of
// the same rank the later one: "open" followed by "backfilled" is a gap that was closed, and "open" after it changes nothing. What is left are
// disjoint ranges; neighbours that say the same are one range.
// Time goes with it as near as known: where a statement about received events cuts a gap, the rest of the gap ends or begins at those
// events' times. Where it cannot be told which times the rest has, it keeps those of the whole: a gap is never made too narrow.
// Thread rule: a CoverageResolver one thread at a time; what it gives out is immutable.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "market/coverage.h"

namespace k2 {

/// Whose sequence numbers.
struct CoverageSource {
  std::string exchange;
  std::string symbol;
  std::string channel;  // "trades", "quotes"; perhaps a later program's
  auto operator<=>(const CoverageSource&) const = default;
};

struct CoverageRange {
  int64_t first = 0;  // inclusive
  int64_t last = 0;  // inclusive
  TimestampUs timestamp;
  TimestampUs end_timestamp;
  CoverageStatus status = CoverageStatus::kObserved;
  std::string reason;

  [[nodiscard]] int64_t count() const { return last - first + 1; }
  /// Events are missing: open or lost.
  [[nodiscard]] bool is_gap() const { return status == CoverageStatus::kOpen || status == CoverageStatus::kLost; }
  bool operator==(const CoverageRange&) const = default;
};

/// Every source's ranges, disjoint, ascending.
using CoverageState = std::map<CoverageSource, std::shared_ptr<const std::vector<CoverageRange>>>;

class CoverageResolver {
 public:
  /// The next statement. `statement.first` is at most `statement.last`. Takes a logarithmic search, and the ranges it replaces.
  void state(const CoverageSource& source, const CoverageRange& statement);
  /// A statement that cannot be understood: nothing is known of first..last from here on, until the next one.
  void forget(const CoverageSource& source, int64_t first, int64_t last);

  /// What holds after all of them. Sources untouched since the last call are shared with what that gave.
  [[nodiscard]] CoverageState resolved();

 private:
  struct Source {
    std::map<int64_t, CoverageRange> ranges;  // by first
    bool changed = false;
  };
  std::map<CoverageSource, Source> sources_;
  CoverageState last_;
};

/// A gap and whose it is.
struct CoverageGap {
  CoverageSource source;
  CoverageRange range;
};

/// Whether all of a source's events of some time are there.
struct Completeness {
  std::optional<bool> complete;  // nullopt: unknown
  std::optional<TimestampUs> known_until;  // statements reach from the start asked for without a break to here; nullopt: not even the start
  int64_t gap_count = 0;  // open or lost, that overlap the time asked for
  std::vector<CoverageGap> gaps;  // the first of them, by source and sequence
};
inline constexpr size_t kCompletenessGapsMax = 10;

/// Which sources, and when: empty and nullopt mean all.
struct CoverageWindow {
  std::span<const std::string> symbols;
  std::string_view exchange;
  std::string_view channel;
  std::optional<TimestampUs> start;  // inclusive
  std::optional<TimestampUs> end;  // exclusive
};

[[nodiscard]] bool matches(const CoverageSource& source, const CoverageWindow& window);
/// Whether a range has a moment in common with the window.
[[nodiscard]] bool overlaps(const CoverageRange& range, const CoverageWindow& window);

/// False: a gap overlaps the window. True: statements without a break say of every sequence number in it that its event was received, or
/// never issued. Unknown: anything else; in particular a window without symbols, start or end, one that begins with the first statement or
/// goes past the newest, or a symbol of which nothing was stated (files that were loaded). Without an exchange, the venues that
/// something was stated of are judged.
[[nodiscard]] Completeness completeness(const CoverageState& state, const CoverageWindow& window);

}  // namespace k2
