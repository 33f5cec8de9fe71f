#include "app/dump_name.h"

#include <gtest/gtest.h>

namespace k2 {
namespace {

TEST(DumpNameTest, SaysSymbolAndKind) {
  EXPECT_EQ(dump_name("BTCUSDT-trades-2021-01-08.zip"), (DumpName{"BTCUSDT", "trades"}));
  EXPECT_EQ(dump_name("/data/x/ethusdt-trades-2021-01 (1).csv"), (DumpName{"ETHUSDT", "trades"}));
  EXPECT_EQ(dump_name("BTCUSDT_210326-aggTrades-2021-01.csv"), (DumpName{"BTCUSDT_210326", "aggTrades"}));
  EXPECT_EQ(dump_name("BTCUSDT-1m-2021-01-08.zip"), (DumpName{"BTCUSDT", "1m"}));
  EXPECT_EQ(dump_name("BTCUSDT-trades.csv"), (DumpName{"BTCUSDT", "trades"}));
}

TEST(DumpNameTest, OtherNamesSayNothing) {
  for (const char* name :
       {"", "-", "dump.csv", "7078.csv", "-trades-2021-01-08.csv", "my-notes-2021.csv", "my dump-trades-1.csv", "BTCUSDT"})
    EXPECT_EQ(dump_name(name), std::nullopt) << name;
}

}  // namespace
}  // namespace k2
