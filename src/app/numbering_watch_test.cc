#include "app/numbering_watch.h"

#include <gtest/gtest.h>

namespace k2 {
namespace {

TEST(NumberingWatch, RepeatedAndReorderedTradesAreNotStrange) {
  NumberingWatch watch;
  EXPECT_FALSE(watch.is_trade_strange("a", 10, {100}));
  EXPECT_FALSE(watch.is_trade_strange("a", 12, {105}));
  EXPECT_FALSE(watch.is_trade_strange("a", 11, {105}));  // late
  EXPECT_FALSE(watch.is_trade_strange("a", 12, {105}));  // by another line
  EXPECT_FALSE(watch.is_trade_strange("b", 1, {200}));
}

TEST(NumberingWatch, TradesWhoseNumbersBeginAgainAre) {
  NumberingWatch watch;
  EXPECT_FALSE(watch.is_trade_strange("a", 10, {100}));
  for (const int64_t number : {1, 2, 10}) EXPECT_TRUE(watch.is_trade_strange("a", number, {101}));
  EXPECT_FALSE(watch.is_trade_strange("a", 11, {101}));
}

TEST(NumberingWatch, WhatAnEarlierProcessTookCounts) {
  NumberingWatch watch;
  watch.seed("a", 1'000, {500});
  EXPECT_FALSE(watch.is_trade_strange("a", 999, {499}));
  EXPECT_TRUE(watch.is_trade_strange("a", 1, {501}));
  EXPECT_FALSE(watch.is_trade_strange("a", 1'001, {501}));
}

TEST(NumberingWatch, QuotesOfASlowerLineAreNotStrangeAndLowNumbersForLongAre) {
  NumberingWatch watch;
  watch.seed("q", 1'000, {0});
  constexpr int64_t kLater = NumberingWatch::kQuotePatienceUs + 1;
  EXPECT_FALSE(watch.is_quote_strange("q", 1'000, {kLater}));  // the last one again, on a new line
  EXPECT_FALSE(watch.is_quote_strange("q", 999, {kLater - 1}));
  EXPECT_TRUE(watch.is_quote_strange("q", 5, {kLater}));
  EXPECT_FALSE(watch.is_quote_strange("q", 1'001, {kLater}));
  EXPECT_FALSE(watch.is_quote_strange("q", 1'000, {kLater + 1}));
}

}  // namespace
}  // namespace k2
