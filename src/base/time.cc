#include "base/time.h"

#include "base/time_zone.h"

#include <charconv>
#include <chrono>
#include <cstdio>
#include <optional>

namespace k2 {
namespace {

class SystemClock final : public Clock {
 public:
  TimestampUs now() const override {
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    return {std::chrono::duration_cast<std::chrono::microseconds>(since).count()};
  }
  int64_t monotonic_ns() const override {
    const auto since = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::nanoseconds>(since).count();
  }
};

std::unexpected<Error> not_a_time(std::string_view text) {
  return make_error(ErrorKind::kInvalidInput,
                    "time: cannot read \"" + std::string(text.substr(0, 64)) +
                        "\": want RFC 3339 (2014-03-10T10:00:00Z), a date, a relative time (-15m) or integer microseconds");
}

std::optional<int64_t> unit_us(std::string_view unit) {
  if (unit == "us") return 1;
  if (unit == "ms") return 1000;
  if (unit == "s") return kUsPerSecond;
  if (unit == "m") return 60 * kUsPerSecond;
  if (unit == "h") return 3600 * kUsPerSecond;
  if (unit == "d") return kUsPerDay;
  if (unit == "w") return 7 * kUsPerDay;
  return std::nullopt;
}

// Reads exactly `digits` decimal digits off the front of `text`.
std::optional<int> take_digits(std::string_view& text, size_t digits) {
  if (text.size() < digits) return std::nullopt;
  int value = 0;
  for (size_t i = 0; i < digits; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return value;
}

bool take(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<int64_t> take_date_us(std::string_view& text) {
  const auto year = take_digits(text, 4);
  if (!year || !take(text, "-")) return std::nullopt;
  const auto month = take_digits(text, 2);
  if (!month || !take(text, "-")) return std::nullopt;
  const auto day = take_digits(text, 2);
  if (!day) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{*year}, std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (*year < 1 || !date.ok()) return std::nullopt;
  return std::chrono::sys_days{date}.time_since_epoch().count() * kUsPerDay;
}

// Up to six digits after the point; further ones must be zeros.
std::optional<int64_t> take_fraction_us(std::string_view& text) {
  int64_t us = 0;
  int digits = 0;
  for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1), ++digits) {
    if (digits < 6) us = us * 10 + (text.front() - '0');
    else if (text.front() != '0') return std::nullopt;
  }
  if (digits == 0) return std::nullopt;
  for (; digits < 6; ++digits) us *= 10;
  return us;
}

std::optional<int64_t> take_time_of_day_us(std::string_view& text) {
  const auto hour = take_digits(text, 2);
  if (!hour || *hour > 23 || !take(text, ":")) return std::nullopt;
  const auto minute = take_digits(text, 2);
  if (!minute || *minute > 59) return std::nullopt;
  int second = 0;
  int64_t fraction = 0;
  if (take(text, ":")) {
    const auto read = take_digits(text, 2);
    if (!read || *read > 59) return std::nullopt;
    second = *read;
    if (take(text, ".")) {
      const auto us = take_fraction_us(text);
      if (!us) return std::nullopt;
      fraction = *us;
    }
  }
  return ((*hour * 60 + *minute) * 60 + second) * kUsPerSecond + fraction;
}

std::optional<int64_t> take_zone_us(std::string_view& text) {
  if (text.empty() || take(text, "Zz")) return 0;
  const bool west = text.front() == '-';
  if (!take(text, "+-")) return std::nullopt;
  const auto hour = take_digits(text, 2);
  if (!hour || *hour > 23) return std::nullopt;
  take(text, ":");
  const auto minute = take_digits(text, 2);
  if (!minute || *minute > 59) return std::nullopt;
  const int64_t offset = (*hour * 60 + *minute) * 60 * kUsPerSecond;
  return west ? -offset : offset;
}

// What a text with a date says; without an offset it is a clock's, and the caller knows whose.
struct WrittenTime {
  int64_t us = 0;  // since 1970-01-01T00:00 of that clock, or of UTC
  bool has_offset = false;
  bool is_date = false;  // without a time of day
};

std::optional<WrittenTime> read_written(std::string_view text) {
  const auto date = take_date_us(text);
  if (!date) return std::nullopt;
  if (text.empty()) return WrittenTime{.us = *date, .is_date = true};
  if (!take(text, "Tt ")) return std::nullopt;
  const auto time_of_day = take_time_of_day_us(text);
  if (!time_of_day) return std::nullopt;
  const bool has_offset = !text.empty();
  const auto offset = take_zone_us(text);
  if (!offset || !text.empty()) return std::nullopt;
  return WrittenTime{.us = *date + *time_of_day - *offset, .has_offset = has_offset};
}

}  // namespace

const Clock& system_clock() {
  static const SystemClock clock;
  return clock;
}

std::string format_date(int32_t days) {
  const std::chrono::year_month_day date{std::chrono::sys_days{std::chrono::days{days}}};
  char text[32];
  std::snprintf(text, sizeof text, "%04d-%02u-%02u", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()));
  return text;
}

std::string format_rfc3339(TimestampUs ts) {
  const int32_t days = days_since_epoch(ts);
  const int64_t us = ts.us - days * kUsPerDay;
  const int64_t seconds = us / kUsPerSecond;
  char text[40];
  std::snprintf(text, sizeof text, "T%02d:%02d:%02d.%06dZ", static_cast<int>(seconds / 3600), static_cast<int>(seconds / 60 % 60),
                static_cast<int>(seconds % 60), static_cast<int>(us % kUsPerSecond));
  return format_date(days) + text;
}

Result<int64_t> parse_duration_us(std::string_view text) {
  int64_t count = 0;
  const auto [after, status] = std::from_chars(text.data(), text.data() + text.size(), count);
  const auto unit = unit_us(std::string_view(after, text.data() + text.size()));
  int64_t us = 0;
  if (status != std::errc() || count < 0 || !unit || __builtin_mul_overflow(count, *unit, &us))
    return make_error(ErrorKind::kInvalidInput, "duration: cannot read \"" + std::string(text.substr(0, 64)) +
                                                    "\": want a number and a unit (us ms s m h d w), as 5s or 250ms");
  return us;
}

Result<TimestampUs> parse_time(std::string_view text, TimestampUs now) {
  if (text == "now") return now;
  if (const auto written = read_written(text)) return TimestampUs{written->us};
  if (text.size() > 1 && (text.front() == '-' || text.front() == '+')) {
    if (const auto duration = parse_duration_us(text.substr(1))) {
      int64_t us = 0;
      if (__builtin_add_overflow(now.us, text.front() == '-' ? -*duration : *duration, &us)) return not_a_time(text);
      return TimestampUs{us};
    }
  }
  int64_t us = 0;
  const auto [after, status] = std::from_chars(text.data(), text.data() + text.size(), us);
  if (!text.empty() && status == std::errc() && after == text.data() + text.size()) return TimestampUs{us};
  return not_a_time(text);
}

Result<TimestampUs> parse_time(std::string_view text, TimestampUs now, const TimeZone& zone) {
  const auto written = read_written(text);
  if (!written || written->has_offset) return parse_time(text, now);
  if (written->is_date) return zone.start_of_day(days_since_epoch({written->us}));
  auto time = zone.to_utc(written->us);
  if (!time) return std::unexpected(time.error().with_context("time \"" + std::string(text.substr(0, 64)) + "\""));
  return time;
}

}  // namespace k2
