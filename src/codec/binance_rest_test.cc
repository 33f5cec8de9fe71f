#include "codec/binance_rest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codec/binance.h"
#include "codec/test_data.h"

namespace k2 {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr TimestampUs kReceived{1'700'000'000'000'000};
constexpr BinanceRowsOf kBitcoin{"binance", "BTCUSDT", "USDT"};
constexpr std::string_view kRow =
    R"({"id":553287559,"price":"39432.48000000","qty":"0.00026300","quoteQty":"10.37074224","time":1610064000278,"isBuyerMaker":true,"isBestMatch":true})";

Result<BinanceRestTrades> parsed(const std::string& json) { return parse_binance_rest_trades(json, kBitcoin, kReceived); }
std::string list(std::string_view row) { return "[" + std::string(row) + "]"; }
std::string with(std::string_view from, std::string_view to) {
  std::string row(kRow);
  return row.replace(row.find(from), from.size(), to);
}

TEST(BinanceRestTrades, ARowIsTheTradeOfItsFrameMarkedAsBackfilled) {
  BinanceParser parser(test::default_instruments());
  BinanceFrame frame;
  ASSERT_TRUE(parser.parse(
      R"({"e":"trade","E":1610064000280,"s":"BTCUSDT","t":553287559,"p":"39432.48000000","q":"0.00026300","T":1610064000278,"m":true,"M":true})",
      kReceived, frame));
  const auto rows = parsed(list(kRow));
  ASSERT_TRUE(rows) << rows.error().message;
  ASSERT_EQ(rows->trades.size(), 1u);
  Trade want = frame.trade;
  want.vendor_data = VendorData{{"backfilled", "true"}, {"is_best_match", "true"}, {"is_buyer_maker", "true"}};
  EXPECT_EQ(rows->trades.front(), want);
  EXPECT_THAT(rows->ids, ElementsAre(553287559));
  EXPECT_THAT(rows->unreadable, IsEmpty());
}

TEST(BinanceRestTrades, TheDocumentedExampleIsRead) {
  const auto rows = parsed(R"([
  {
    "id": 28457,
    "price": "4.00000100",
    "qty": "12.00000000",
    "quoteQty": "48.000012",
    "time": 1499865549590,
    "isBuyerMaker": true,
    "isBestMatch": true
  }
])");
  ASSERT_TRUE(rows) << rows.error().message;
  EXPECT_EQ(rows->trades.at(0).timestamp.us, 1'499'865'549'590'000);
  EXPECT_EQ(rows->trades.at(0).side, Side::kSell);
}

TEST(BinanceRestTrades, MicrosecondsAreToldByMagnitude) {
  EXPECT_EQ(parsed(list(with("1610064000278", "1610064000278123")))->trades.at(0).timestamp.us, 1'610'064'000'278'123);
}

TEST(BinanceRestTrades, BestMatchMayBeAbsent) {
  const auto rows = parsed(list(with(",\"isBestMatch\":true", "")));
  EXPECT_EQ(rows->trades.at(0).vendor_data, (VendorData{{"backfilled", "true"}, {"is_buyer_maker", "true"}}));
}

TEST(BinanceRestTrades, NoRowsAreAnAnswer) { EXPECT_THAT(parsed("[]")->ids, IsEmpty()); }

TEST(BinanceRestTrades, ARowThatCannotBeATradeIsNamedWithItsReasonAndTheOthersAreRead) {
  const auto rows = parsed("[" + with("39432.48000000", "0.000000001") + "," + with("553287559", "553287560") + "]");
  ASSERT_TRUE(rows);
  EXPECT_THAT(rows->ids, ElementsAre(553287559, 553287560));
  ASSERT_EQ(rows->trades.size(), 1u);
  EXPECT_EQ(rows->trades.front().source_sequence, 553287560);
  ASSERT_EQ(rows->unreadable.size(), 1u);
  EXPECT_EQ(rows->unreadable.front().id, 553287559);
  EXPECT_THAT(rows->unreadable.front().reason, HasSubstr("field price"));
  EXPECT_EQ(rows->unreadable.front().raw, with("39432.48000000", "0.000000001"));
}

TEST(BinanceRestTrades, EveryFieldIsChecked) {
  for (const auto& [from, to, why] : std::vector<std::tuple<std::string, std::string, std::string>>{
           {"\"39432.48000000\"", "39432.48", "field price"},
           {"\"39432.48000000\"", "\"-1\"", "field price"},
           {"\"qty\"", "\"Qty\"", "field qty: is missing"},
           {"\"qty\"", "\"price\"", "field price: occurs twice"},
           {"1610064000278", "-1", "field time"},
           {"1610064000278", "1.5", "field time"},
           {"1610064000278", "\"1610064000278\"", "field time"},
           {"\"isBuyerMaker\":true", "\"isBuyerMaker\":1", "field isBuyerMaker"},
           {"\"isBestMatch\":true", "\"isBestMatch\":\"true\"", "field isBestMatch"}}) {
    const auto rows = parsed(list(with(from, to)));
    ASSERT_TRUE(rows) << to;
    ASSERT_EQ(rows->unreadable.size(), 1u) << to;
    EXPECT_THAT(rows->unreadable.front().reason, HasSubstr(why));
  }
}

TEST(BinanceRestTrades, WithoutReadableIdsNothingIsKnownOfTheAnswer) {
  for (const std::string& json :
       {std::string("{}"), std::string("{\"code\":-1121,\"msg\":\"Invalid symbol.\"}"), std::string(""), std::string("[1]"),
        std::string("[") + std::string(kRow), list(with("\"id\":553287559,", "")), list(with("553287559", "-1")),
        list(with("553287559", "9223372036854775808")), list(with("553287559", "\"553287559\"")), list(with("\"price\"", "\"id\""))}) {
    const auto rows = parsed(json);
    ASSERT_FALSE(rows) << json;
    EXPECT_EQ(rows.error().kind, ErrorKind::kInvalidInput);
  }
}

TEST(BinanceServerTime, IsReadInEitherUnit) {
  EXPECT_EQ(parse_binance_server_time(R"({"serverTime":1499827319559})")->us, 1'499'827'319'559'000);
  EXPECT_EQ(parse_binance_server_time(R"({"serverTime":1499827319559123})")->us, 1'499'827'319'559'123);
  for (const char* json : {"", "{}", "[]", R"({"serverTime":"1499827319559"})", R"({"serverTime":-1})"})
    EXPECT_FALSE(parse_binance_server_time(json)) << json;
}

}  // namespace
}  // namespace k2
