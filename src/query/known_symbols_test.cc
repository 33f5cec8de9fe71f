#include "query/known_symbols.h"

#include <gtest/gtest.h>

namespace k2 {
namespace {

const std::vector<KnownSymbol> kKnown = {{"BHP", "asx"}, {"BTCUSDT", "binance"}, {"BTCUSDT", "binance.us"}, {"ETHUSDT", "binance"}};

std::string why(std::string_view symbol, std::string_view exchange = "") { return why_absent(kKnown, Channel::kTrades, symbol, exchange); }

TEST(KnownSymbolsTest, WhatIsThereNeedsNoWords) {
  EXPECT_EQ(why("BHP"), "");
  EXPECT_EQ(why("BTCUSDT", "binance"), "");
  EXPECT_EQ(why("", "asx"), "");
}

TEST(KnownSymbolsTest, TheNearestIsOffered) {
  EXPECT_EQ(why("bhp"), "no trades of bhp; did you mean BHP?");
  EXPECT_EQ(why("eth"), "no trades of eth; did you mean ETHUSDT?");
  EXPECT_EQ(why("BTCUSD"), "no trades of BTCUSD; did you mean BTCUSDT?");
  EXPECT_EQ(why("ethustd"), "no trades of ethustd; known: BHP, BTCUSDT, ETHUSDT");
  EXPECT_EQ(why("BTCUDT"), "no trades of BTCUDT; did you mean BTCUSDT?");
  EXPECT_EQ(why("BHQ"), "no trades of BHQ; known: BHP, BTCUSDT, ETHUSDT");
  EXPECT_EQ(why("BHP", "Binance"), "no trades of exchange Binance; did you mean binance?");
  EXPECT_EQ(why("BHP", "nyse"), "no trades of exchange nyse; known: asx, binance, binance.us");
}

TEST(KnownSymbolsTest, ASymbolOfAnotherExchangeIsSaid) { EXPECT_EQ(why("BHP", "binance"), "no trades of BHP on binance, but on asx"); }

TEST(KnownSymbolsTest, WhereNothingIsThereThatIsSaid) { EXPECT_EQ(why_absent({}, Channel::kQuotes, "BHP", ""), "no quotes at all yet"); }

}  // namespace
}  // namespace k2
