#include "api/watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace k2 {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

Decimal18_8 decimal(const char* text) { return *Decimal18_8::parse(text); }

WatchTrade trade(const char* price, Side side = Side::kBuy) {
  return {"BTCUSDT", "binance", TimestampUs{1'610'064'000'278'000}, decimal(price), decimal("0.000263"), side};
}

constexpr WatchView::Style kPlain{.color = false, .columns = 100, .lines = 10};

TEST(WatchTest, DecimalsAreShortAndGrouped) {
  EXPECT_EQ(decimal_text(decimal("39432.48"), 2), "39,432.48");
  EXPECT_EQ(decimal_text(decimal("1234567"), 2), "1,234,567.00");
  EXPECT_EQ(decimal_text(decimal("0.000263"), 0), "0.000263");
  EXPECT_EQ(decimal_text(decimal("5"), 0), "5");
  EXPECT_EQ(decimal_text(decimal("-1234.5"), 2), "-1,234.50");
}

TEST(WatchTest, APlainLineHasTimeVenueSymbolSidePriceQuantity) {
  EXPECT_EQ(watch_line(trade("39432.48")), "2021-01-08T00:00:00.278000Z binance BTCUSDT BUY 39432.48000000 0.00026300");
}

TEST(WatchTest, NewestTradesComeFirstUnderTheirSymbolsHeader) {
  WatchView view("k2");
  view.add(trade("100"), 0);
  view.add(trade("101", Side::kSell), 0);
  const auto lines = view.render(kPlain, {}, 0);
  EXPECT_THAT(lines[2], testing::AllOf(HasSubstr("BTCUSDT"), HasSubstr("101.00 ▲   +1.00%"), HasSubstr("0.2/s"), HasSubstr("2 trades")));
  EXPECT_THAT(lines[4], testing::AllOf(HasSubstr("SELL"), HasSubstr("101.00"), HasSubstr("00:00:00.278")));
  EXPECT_THAT(lines[5], HasSubstr("100.00"));
}

TEST(WatchTest, NeverMoreLinesThanTheTerminalHas) {
  WatchView view("k2");
  for (int i = 0; i < 500; ++i) view.add(trade("100"), 0);
  for (size_t lines = 2; lines < 30; ++lines) EXPECT_LE(view.render({.color = true, .columns = 40, .lines = lines}, {}, 0).size(), lines);
}

TEST(WatchTest, WithoutColourThereIsNoEscape) {
  WatchView view("k2");
  view.add(trade("100"), 0);
  EXPECT_THAT(view.render(kPlain, {}, 0), Not(Contains(HasSubstr("\033"))));
}

TEST(WatchTest, ASymbolCannotMoveTheCursor) {
  WatchView view("k2");
  WatchTrade evil = trade("1");
  evil.symbol = "A\033[2J";
  view.add(evil, 0);
  EXPECT_THAT(view.render(kPlain, {}, 0), Not(Contains(HasSubstr("\033"))));
}

TEST(WatchTest, RatesForgetOldTrades) {
  WatchView view("k2");
  view.add(trade("100"), 0);
  EXPECT_THAT(view.render(kPlain, {}, 60'000'000'000)[2], HasSubstr("0.0/s"));
}

}  // namespace
}  // namespace k2
