#include "app/source_locks.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/uuid.h"

namespace k2 {
namespace {

TEST(SourceLocks, OneHoldsASourceUntilItGoes) {
  const std::string path = testing::TempDir() + "k2-locks-" + random_uuid();
  auto first = SourceLocks::open(path).value();
  {
    auto second = SourceLocks::open(path).value();
    EXPECT_TRUE(first.try_hold("binance/BTCUSDT/trades"));
    EXPECT_TRUE(first.try_hold("binance/BTCUSDT/trades"));
    EXPECT_FALSE(second.try_hold("binance/BTCUSDT/trades"));
    EXPECT_TRUE(second.try_hold("binance/ETHUSDT/trades"));
    EXPECT_FALSE(first.try_hold("binance/ETHUSDT/trades"));
  }
  EXPECT_TRUE(first.try_hold("binance/ETHUSDT/trades"));
  std::filesystem::remove(path);
}

TEST(SourceLocks, WithoutAFileNothingIsHeld) {
  EXPECT_FALSE(SourceLocks().try_hold("binance/BTCUSDT/trades"));
  EXPECT_FALSE(SourceLocks::open("/nowhere/at/all"));
}

}  // namespace
}  // namespace k2
