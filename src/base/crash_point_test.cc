#include "base/crash_point.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace k2 {
namespace {

void reach_three_points() {
  for (int round = 0; round < 3; ++round) {
    K2_CRASH("C10");
    K2_CRASH("C12");
  }
  std::_Exit(0);
}

TEST(CrashPoint, KillsAtTheNamedPlaceAtTheStatedTime) {
  EXPECT_EXIT((arm_crash_point("C12", 3), reach_three_points()), testing::KilledBySignal(SIGKILL), "");
}

TEST(CrashPoint, LetsThroughWhatIsNotNamedOrNotReachedOftenEnough) {
  EXPECT_EXIT((arm_crash_point("C14"), reach_three_points()), testing::ExitedWithCode(0), "");
  EXPECT_EXIT((arm_crash_point("C12", 4), reach_three_points()), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(reach_three_points(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace k2
