#include "base/time_zone.h"

#include <date/tz.h>

#include <exception>

namespace k2 {
namespace {

const date::time_zone& zone_of(const void* zone) { return *static_cast<const date::time_zone*>(zone); }

date::local_info info_at(const void* zone, int64_t local_us) {
  const int64_t seconds = local_us / kUsPerSecond - (local_us % kUsPerSecond < 0 ? 1 : 0);
  return zone_of(zone).get_info(date::local_seconds{std::chrono::seconds{seconds}});
}

int64_t offset_us(const date::sys_info& info) { return info.offset.count() * kUsPerSecond; }

}  // namespace

Result<TimeZone> TimeZone::find(const std::string& name) {
  try {
    static_cast<void>(date::get_tzdb());
  } catch (const std::exception& error) {
    return make_error(ErrorKind::kUnavailable, "time zones: " + std::string(error.what()));
  }
  try {
    return TimeZone(name, date::locate_zone(name));
  } catch (const std::exception&) {
    return make_error(ErrorKind::kInvalidInput, "time zone \"" + name + "\" is not known: want a name as Australia/Sydney or UTC");
  }
}

Result<TimestampUs> TimeZone::to_utc(int64_t local_us) const {
  const date::local_info info = info_at(zone_, local_us);
  if (info.result == date::local_info::nonexistent)
    return make_error(ErrorKind::kInvalidInput, "this time does not exist in " + name_ + ": clocks were put forward over it");
  if (info.result == date::local_info::ambiguous)
    return make_error(ErrorKind::kInvalidInput,
                      "this time occurs twice in " + name_ + ", as clocks were put back over it: give its offset");
  return TimestampUs{local_us - offset_us(info.first)};
}

TimestampUs TimeZone::start_of_day(int32_t day) const {
  const int64_t local_us = day * kUsPerDay;
  const date::local_info info = info_at(zone_, local_us);
  if (info.result == date::local_info::nonexistent) return {info.second.begin.time_since_epoch().count() * kUsPerSecond};
  return {local_us - offset_us(info.first)};  // of two, the earlier
}

}  // namespace k2
