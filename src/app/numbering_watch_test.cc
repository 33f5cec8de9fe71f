#include "app/numbering_watch.h"

#include <gtest/gtest.h>

namespace k2 {
namespace {

TEST(NumberingWatch, RepeatedAndReorderedTradesAreNotStrange) {
  NumberingWatch watch;
  EXPECT_FALSE(watch.source("a").is_trade_strange(10, {100}));
  EXPECT_FALSE(watch.source("a").is_trade_strange(12, {105}));
  EXPECT_FALSE(watch.source("a").is_trade_strange(11, {105}));  // late
  EXPECT_FALSE(watch.source("a").is_trade_strange(12, {105}));  // by another line
  EXPECT_FALSE(watch.source("b").is_trade_strange(1, {200}));
}

TEST(NumberingWatch, TradesWhoseNumbersBeginAgainAre) {
  NumberingWatch watch;
  EXPECT_FALSE(watch.source("a").is_trade_strange(10, {100}));
  for (const int64_t number : {1, 2, 10}) EXPECT_TRUE(watch.source("a").is_trade_strange(number, {101}));
  EXPECT_FALSE(watch.source("a").is_trade_strange(11, {101}));
}

TEST(NumberingWatch, WhatAnEarlierProcessTookCounts) {
  NumberingWatch watch;
  watch.source("a").seed(1'000, {500});
  EXPECT_FALSE(watch.source("a").is_trade_strange(999, {499}));
  EXPECT_TRUE(watch.source("a").is_trade_strange(1, {501}));
  EXPECT_FALSE(watch.source("a").is_trade_strange(1'001, {501}));
}

TEST(NumberingWatch, QuotesOfASlowerLineAreNotStrangeAndLowNumbersForLongAre) {
  NumberingWatch watch;
  watch.source("q").seed(1'000, {0});
  constexpr int64_t kLater = NumberingWatch::kQuotePatienceUs + 1;
  EXPECT_FALSE(watch.source("q").is_quote_strange(1'000, {kLater}));  // the last one again, on a new line
  EXPECT_FALSE(watch.source("q").is_quote_strange(999, {kLater - 1}));
  EXPECT_TRUE(watch.source("q").is_quote_strange(5, {kLater}));
  EXPECT_FALSE(watch.source("q").is_quote_strange(1'001, {kLater}));
  EXPECT_FALSE(watch.source("q").is_quote_strange(1'000, {kLater + 1}));
}

}  // namespace
}  // namespace k2
