#include "feed/quiet_watch.h"

#include <gtest/gtest.h>

namespace k2 {
namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kMinute = 60 * kSecond;
constexpr int64_t kHour = 60 * kMinute;

// Messages of a stream each `gap` until `end`, starting after `begin`; returns the last one's time.
int64_t feed(QuietWatch& watch, size_t stream, int64_t begin, int64_t end, int64_t gap) {
  int64_t at = begin;
  while (at + gap <= end) watch.seen(stream, at += gap);
  return at;
}

TEST(QuietWatch, SuspectsABusyStreamAfterTheFloorAndAQuietOneNot) {
  QuietWatch watch({}, 2);
  watch.began(0);
  const int64_t busy_last = feed(watch, 0, 0, 2 * kHour, kSecond);
  feed(watch, 1, 0, 2 * kHour, 10 * kMinute);
  EXPECT_FALSE(watch.suspect(busy_last + kMinute - 1));
  EXPECT_EQ(watch.suspect(busy_last + kMinute), 0u);
  feed(watch, 0, 2 * kHour, 3 * kHour, kSecond);
  EXPECT_FALSE(watch.suspect(3 * kHour));  // the quiet one was silent for an hour, which is 6 times its custom
  EXPECT_EQ(watch.threshold_us(1), 80 * kMinute);
}

TEST(QuietWatch, DoesNotJudgeWhatItDoesNotKnow) {
  QuietWatch watch({}, 2);
  watch.began(0);
  feed(watch, 0, 0, 5 * kSecond, kSecond);  // four gaps
  EXPECT_FALSE(watch.suspect(100 * kHour));
  EXPECT_EQ(watch.threshold_us(1), INT64_MAX);
}

TEST(QuietWatch, TheThresholdHasACeiling) {
  QuietWatch watch({}, 1);
  watch.began(0);
  feed(watch, 0, 0, 40 * kHour, 3 * kHour);
  EXPECT_EQ(watch.threshold_us(0), 4 * kHour);
}

TEST(QuietWatch, ForgetsLongSilencesWithTime) {
  QuietWatch watch({}, 1);
  watch.began(0);
  feed(watch, 0, 0, kHour, 5 * kMinute);
  EXPECT_EQ(watch.threshold_us(0), 40 * kMinute);
  feed(watch, 0, kHour, 13 * kHour, kSecond);
  EXPECT_NEAR(static_cast<double>(watch.threshold_us(0)), static_cast<double>(20 * kMinute), static_cast<double>(kSecond));
}

TEST(QuietWatch, ABreakIsNoSilence) {
  QuietWatch watch({}, 1);
  watch.began(0);
  feed(watch, 0, 0, kMinute, kSecond);
  watch.began(kHour);
  EXPECT_FALSE(watch.suspect(kHour + kMinute - 1));
  watch.seen(0, kHour + 30 * kSecond);
  EXPECT_EQ(watch.threshold_us(0), kMinute);  // neither the hour without a line nor the wait after it was learned
  EXPECT_EQ(watch.suspect(kHour + 30 * kSecond + kMinute), 0u);
}

TEST(QuietWatch, AHaltedMarketIsAskedAboutLessAndLess) {
  QuietWatch watch({}, 1);
  watch.began(0);
  int64_t now = feed(watch, 0, 0, kMinute, kSecond);
  std::vector<int64_t> minutes;
  for (const int64_t halt = now; now < halt + 24 * kHour; now += 5 * kSecond) {
    if (!watch.suspect(now)) continue;
    minutes.push_back((now - halt) / kMinute);
    watch.replaced(now);
    watch.began(now);
  }
  ASSERT_GE(minutes.size(), 4u);
  EXPECT_LE(minutes.size(), 9u);
  EXPECT_EQ(minutes[0], 1);
  EXPECT_EQ(minutes[1], 11);  // at least 10 minutes between two
  EXPECT_GE(minutes[2], 80);
}

}  // namespace
}  // namespace k2
