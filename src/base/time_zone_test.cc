#include "base/time_zone.h"

#include <gtest/gtest.h>

namespace k2 {
namespace {

constexpr TimestampUs kNow{1'700'000'000'000'000};

std::string in(const char* zone, std::string_view text) {
  const auto found = TimeZone::find(zone);
  if (!found) return found.error().message;
  const auto time = parse_time(text, kNow, *found);
  return time ? format_rfc3339(*time) : time.error().message;
}

TEST(TimeZoneTest, DatesAndTimesWithoutAnOffsetAreOfTheZone) {
  EXPECT_EQ(in("Australia/Sydney", "2014-03-10"), "2014-03-09T13:00:00.000000Z");
  EXPECT_EQ(in("Australia/Sydney", "2014-03-10T10:00"), "2014-03-09T23:00:00.000000Z");
  EXPECT_EQ(in("Australia/Sydney", "2014-07-10 10:00:00.5"), "2014-07-10T00:00:00.500000Z");
  EXPECT_EQ(in("UTC", "2014-03-10T10:00"), "2014-03-10T10:00:00.000000Z");
}

TEST(TimeZoneTest, EverythingElseIsAsWithoutAZone) {
  EXPECT_EQ(in("Australia/Sydney", "2014-03-10T10:00Z"), "2014-03-10T10:00:00.000000Z");
  EXPECT_EQ(in("Australia/Sydney", "2014-03-10T10:00+01:00"), "2014-03-10T09:00:00.000000Z");
  EXPECT_EQ(in("Australia/Sydney", "1000000"), "1970-01-01T00:00:01.000000Z");
  EXPECT_EQ(in("Australia/Sydney", "-15m"), format_rfc3339({kNow.us - 900'000'000}));
  EXPECT_NE(in("Australia/Sydney", "yesterday").find("cannot read"), std::string::npos);
}

TEST(TimeZoneTest, TimesThatTheClockShowsTwiceOrNeverAreNotGuessed) {
  EXPECT_NE(in("Australia/Sydney", "2014-04-06T02:30").find("occurs twice"), std::string::npos);
  EXPECT_NE(in("Australia/Sydney", "2014-10-05T02:30").find("does not exist"), std::string::npos);
}

TEST(TimeZoneTest, ADayBeginsWhereItsMidnightDoesNotExist) {
  EXPECT_EQ(in("America/Sao_Paulo", "2018-11-04"), "2018-11-04T03:00:00.000000Z");  // the day's first moment is 01:00
}

TEST(TimeZoneTest, AnUnknownZoneIsRefused) {
  const auto zone = TimeZone::find("Sydney");
  ASSERT_FALSE(zone);
  EXPECT_EQ(zone.error().kind, ErrorKind::kInvalidInput);
}

}  // namespace
}  // namespace k2
