// TimestampUs: a moment as microseconds since 1970-01-01T00:00:00Z; its text forms; and the clock, which is an interface.
//
// Thread rule: values; SystemClock may be used from any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace k2 {

struct TimestampUs {
  int64_t us = 0;  // microseconds since the Unix epoch, UTC; leap seconds as POSIX has them

  constexpr auto operator<=>(const TimestampUs&) const = default;
};

inline constexpr int64_t kUsPerSecond = 1'000'000;
inline constexpr int64_t kUsPerDay = 86'400 * kUsPerSecond;

/// Days since the Unix epoch, rounded down (Iceberg's day transform, spec "Partition Transforms").
[[nodiscard]] constexpr int32_t days_since_epoch(TimestampUs ts) {
  const int64_t day = ts.us / kUsPerDay - (ts.us % kUsPerDay < 0 ? 1 : 0);
  return static_cast<int32_t>(day);
}

/// RFC 3339 in UTC with six fractional digits: "2014-03-09T20:57:14.754000Z".
[[nodiscard]] std::string format_rfc3339(TimestampUs ts);

/// "2014-03-09" of a day counted from the epoch.
[[nodiscard]] std::string format_date(int32_t days);

/// A point in time as users write it: RFC 3339 ("2014-03-09T20:57:14.754Z", offsets allowed, "T" may be a space, no zone means UTC),
/// a date ("2014-03-09", its start), relative to `now` ("-15m", "-1h", "-2d", "now"; units us ms s m h d w), or integer microseconds.
/// InvalidInput otherwise, and for fractions finer than a microsecond or years outside 0001..9999.
[[nodiscard]] Result<TimestampUs> parse_time(std::string_view text, TimestampUs now);

/// A length of time as users write it: "5s", "250ms", "15m", "1h", "1d", "2w"; not negative. In microseconds. InvalidInput otherwise.
[[nodiscard]] Result<int64_t> parse_duration_us(std::string_view text);

/// Where the time comes from, so that tests and simulations can own it.
class Clock {
 public:
  virtual ~Clock() = default;
  /// Wall clock, UTC. May step in either direction: never used to decide order or what was read.
  [[nodiscard]] virtual TimestampUs now() const = 0;
  /// Monotonic nanoseconds from an arbitrary start, for intervals.
  [[nodiscard]] virtual int64_t monotonic_ns() const = 0;
  /// The same in microseconds, the unit of our intervals.
  [[nodiscard]] int64_t monotonic_us() const { return monotonic_ns() / 1000; }
};

/// The machine's clock.
[[nodiscard]] const Clock& system_clock();

/// A clock that stands still until it is told otherwise. Not for several threads.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(TimestampUs start = {}) : now_(start) {}
  [[nodiscard]] TimestampUs now() const override { return now_; }
  [[nodiscard]] int64_t monotonic_ns() const override { return monotonic_ns_; }
  void advance_us(int64_t us) {
    now_.us += us;
    monotonic_ns_ += us * 1000;
  }
  /// Steps the wall clock alone, as an administrator or NTP would.
  void set_wall(TimestampUs ts) { now_ = ts; }

 private:
  TimestampUs now_;
  int64_t monotonic_ns_ = 0;
};

}  // namespace k2
