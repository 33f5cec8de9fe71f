#include "market/instrument.h"

#include <gtest/gtest.h>

namespace k2 {
namespace {

TEST(Instrument, TheDefaultsAreQuotedInUsdt) {
  const InstrumentTable table = InstrumentTable::binance_defaults();
  EXPECT_EQ(table.size(), 2u);
  EXPECT_EQ(table.find("BTCUSDT")->quote_currency, "USDT");
  EXPECT_EQ(table.find("ETHUSDT")->base_currency, "ETH");
}

TEST(Instrument, AnUnknownSymbolHasNoCurrency) { EXPECT_EQ(InstrumentTable::binance_defaults().find("BTCUSDC"), nullptr); }

TEST(Instrument, NewerKnowledgeReplacesOlder) {
  InstrumentTable table = InstrumentTable::binance_defaults();
  InstrumentTable newer;
  ASSERT_TRUE(newer.set({"BTCUSDT", "BTC", "USDT", "BREAK"}));
  ASSERT_TRUE(newer.set({"BTCEUR", "BTC", "EUR", "TRADING"}));
  table.merge(newer);
  EXPECT_EQ(table.size(), 3u);
  EXPECT_EQ(table.find("BTCUSDT")->status, "BREAK");
  EXPECT_EQ(table.all().front().symbol, "BTCEUR");
}

TEST(Instrument, KnowsWhatIsOffItsGridWhereItsTicksAreKnown) {
  const auto decimal = [](const char* text) { return Decimal18_8::parse(text).value(); };
  const Instrument known{"BTCUSDT", "BTC", "USDT", "TRADING", decimal("0.01"), decimal("0.00001")};
  EXPECT_TRUE(known.is_on_grid(decimal("39432.48"), decimal("0.00026")));
  EXPECT_FALSE(known.is_on_grid(decimal("39432.485"), decimal("0.00026")));
  EXPECT_FALSE(known.is_on_grid(decimal("39432.48"), decimal("0.000263")));
  const Instrument unknown{"BTCUSDT", "BTC", "USDT", "TRADING"};
  EXPECT_TRUE(unknown.is_on_grid(decimal("39432.48000001"), decimal("0.00000001")));
}

TEST(Instrument, ConfiguredEntriesNameBothCurrencies) {
  EXPECT_EQ(InstrumentTable::parse_entry("BTCEUR=BTC/EUR").value(), (Instrument{"BTCEUR", "BTC", "EUR", ""}));
  for (const char* entry : {"", "BTCEUR", "BTCEUR=", "BTCEUR=BTC", "BTCEUR=/EUR", "BTCEUR=BTC/", "=BTC/EUR", "A/B=C", "A=B/C/D"})
    EXPECT_FALSE(InstrumentTable::parse_entry(entry)) << entry;
  InstrumentTable table;
  EXPECT_FALSE(table.set({"", "BTC", "EUR", ""}));
  EXPECT_FALSE(table.set({"BTCEUR", "BTC", "", ""}));
}

}  // namespace
}  // namespace k2
