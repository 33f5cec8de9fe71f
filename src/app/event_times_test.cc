#include "app/event_times.h"

#include <gtest/gtest.h>

namespace k2 {
namespace {

constexpr TimestampUs at(int64_t second) { return {second * kUsPerSecond}; }

TEST(EventTimes, TheNearestKnownEventsBoundARange) {
  EventTimes times;
  times.note(10, at(10));
  times.note(20, at(20));
  EXPECT_EQ(times.at_or_before(9), std::nullopt);
  EXPECT_EQ(times.at_or_before(15), at(10));
  EXPECT_EQ(times.at_or_after(15), at(20));
  EXPECT_EQ(times.at_or_after(20), at(20));
  EXPECT_EQ(times.at_or_after(21), std::nullopt);
}

TEST(EventTimes, AnOldEventThatIsNotedNowIsKnown) {
  EventTimes times;
  const auto many = static_cast<int64_t>(EventTimes::kKnownMax);
  for (int64_t n = 0; n < many; ++n) times.note(1'000 + n, at(1'000 + n));
  times.note(50, at(50));
  EXPECT_EQ(times.at_or_before(60), at(50));
  EXPECT_EQ(times.at_or_after(51), at(1'001)) << "what was noted longest ago is forgotten";
}

TEST(EventTimes, BoundsAreKeptAndBoundOneSideOnly) {
  EventTimes times;
  times.note_not_before(49, at(50));
  times.note_not_after(61, at(61));
  for (int64_t n = 0; n < 10'000; ++n) times.note(1'000 + n, at(1'000 + n));
  EXPECT_EQ(times.at_or_before(55), at(50));
  EXPECT_EQ(times.at_or_after(55), at(61));
  EXPECT_EQ(times.at_or_after(48), at(61)) << "49 may have happened long after 50 s";
  EXPECT_EQ(times.at_or_before(62), at(50));
}

}  // namespace
}  // namespace k2
