// TimeZone: a place's clock, by its name in the IANA database (the machine's): local dates and times of day to moments.
//
// Thread rule: values; any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace k2 {

class TimeZone {
 public:
  /// "Australia/Sydney", "UTC". InvalidInput: no such zone. Unavailable: the machine has no time zone data.
  [[nodiscard]] static Result<TimeZone> find(const std::string& name);

  [[nodiscard]] const std::string& name() const { return name_; }

  /// The moment at which a clock there shows `local_us`, microseconds since 1970-01-01T00:00 by that clock. InvalidInput where it never does, or
  /// does so twice, because the clocks change.
  [[nodiscard]] Result<TimestampUs> to_utc(int64_t local_us) const;

  /// The first moment of that local date, days since 1970-01-01.
  [[nodiscard]] TimestampUs start_of_day(int32_t day) const;

 private:
  TimeZone(std::string name, const void* zone) : name_(std::move(name)), zone_(zone) {}

  std::string name_;
  const void* zone_;  // lives as long as the program
};

/// parse_time() of base/time.h, except that a date and a time without an offset are of `zone`'s clock.
[[nodiscard]] Result<TimestampUs> parse_time(std::string_view text, TimestampUs now, const TimeZone& zone);

}  // namespace k2
