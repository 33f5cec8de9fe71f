#include "codec/asx_csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unordered_set>

#include "codec/test_data.h"

namespace k2 {
namespace {

using testing::HasSubstr;

constexpr TimestampUs kReceived{1'700'000'000'000'000};
const AsxCompany kBhp{.company_id = "7078", .symbol = "BHP", .name = "BHP BILLITON LTD", .isin = "AU000000BHP4"};

Result<Trade> trade_of(std::string_view line) {
  AsxTradeParser parser(kBhp);
  Trade trade;
  K2_RETURN_IF_ERROR(parser.parse(line, kReceived, trade));
  return trade;
}
Result<Quote> quote_of(std::string_view line) {
  AsxQuoteParser parser(kBhp);
  Quote quote;
  K2_RETURN_IF_ERROR(parser.parse(line, kReceived, quote));
  return quote;
}
std::string refusal(std::string_view line) {
  const auto trade = trade_of(line);
  EXPECT_FALSE(trade) << line;
  return trade ? "" : trade.error().message;
}

TEST(AsxCsv, TheFirstBhpTradeIsAtItsUtcTime) {
  const Trade trade = trade_of("03/10/2014,07:57:14.754,36.667,20000,3,X,").value();
  EXPECT_EQ(format_rfc3339(trade.timestamp), "2014-03-09T20:57:14.754000Z");
  EXPECT_EQ(trade.trade_id, "BHP-2014-03-10-0");
  EXPECT_EQ(trade.source_sequence, ordinal_sequence(16139, 0).value());
  EXPECT_EQ(trade.message_id, MessageIdMaker("asx", "BHP", "trades").make(*trade.source_sequence));
  EXPECT_EQ(trade.symbol, "BHP");
  EXPECT_EQ(trade.exchange, "asx");
  EXPECT_EQ(trade.asset_class, AssetClass::kEquities);
  EXPECT_EQ(trade.price.to_string(), "36.66700000");
  EXPECT_EQ(trade.quantity.to_string(), "20000.00000000");
  EXPECT_EQ(trade.currency, "AUD");
  EXPECT_EQ(trade.side, Side::kUnknown);
  EXPECT_EQ(trade.trade_conditions, std::vector<std::string>{"3"});
  EXPECT_EQ(trade.ingestion_timestamp, kReceived);
  EXPECT_EQ(trade.vendor_data, (VendorData{{"company_id", "7078"}, {"qualifiers", "3"}, {"venue", "X"}}));
}

TEST(AsxCsv, EmptyMeansAbsent) {
  const Trade trade = trade_of("03/10/2014,10:00:00.000,1.5,10,,,").value();
  EXPECT_TRUE(trade.trade_conditions.empty());
  EXPECT_EQ(trade.vendor_data, (VendorData{{"company_id", "7078"}}));
  EXPECT_EQ(trade_of("03/10/2014,10:00:00.000,1.5,10,0,,42")->vendor_data,
            (VendorData{{"buyer_id", "42"}, {"company_id", "7078"}, {"qualifiers", "0"}}));
}

TEST(AsxCsv, AQuoteMayHaveAnEmptySideOrBeCrossed) {
  const Quote quote = quote_of("03/10/2014,05:43:45.676,37.7,0.0,300,0").value();
  EXPECT_EQ(quote.quote_id, "BHP-2014-03-10-0");
  EXPECT_EQ(quote.bid_price.to_string(), "37.70000000");
  EXPECT_EQ(quote.bid_quantity.to_string(), "300.00000000");
  EXPECT_EQ(quote.ask_price.units(), 0);
  EXPECT_EQ(quote.message_id, MessageIdMaker("asx", "BHP", "quotes").make(*quote.source_sequence));
  EXPECT_TRUE(quote_of("03/10/2014,07:00:01.846,64.9,61.7,800,2782"));
}

TEST(AsxCsv, EveryRowTakesAnOrdinalOfItsDaySoThatRepairingOneMovesNoOther) {
  AsxTradeParser parser(kBhp);
  Trade trade;
  const auto parse = [&](std::string_view line) { return parser.parse(line, kReceived, trade).has_value(); };
  EXPECT_FALSE(parse("Date,Time,Price,Volume,Qualifiers,Venue,BuyerID"));  // the first: of no day
  EXPECT_TRUE(parse("03/10/2014,10:00:00.000,1.5,10,0,,"));
  EXPECT_EQ(trade.trade_id, "BHP-2014-03-10-0");
  EXPECT_FALSE(parse("03/10/2014,10:00:00.000,broken,10,0,,"));
  EXPECT_FALSE(parse("03/10/2014,25:00:00.000,1.5,10,0,,"));
  EXPECT_FALSE(parse("03/10/2014"));
  EXPECT_FALSE(parse("13/10/2014,10:00:00.000,1.5,10,0,,"));  // no date: of the day before it
  EXPECT_FALSE(parse(""));                                    // no row
  EXPECT_TRUE(parse("03/10/2014,10:00:00.000,1.5,10,0,,"));
  EXPECT_EQ(trade.trade_id, "BHP-2014-03-10-5");
  EXPECT_TRUE(parse("03/11/2014,10:00:00.000,1.5,10,0,,"));
  EXPECT_EQ(trade.trade_id, "BHP-2014-03-11-0");
  EXPECT_TRUE(parse("03/10/2014,10:00:00.000,1.5,10,0,,"));
  EXPECT_EQ(trade.trade_id, "BHP-2014-03-10-6");
}

TEST(AsxCsv, LocalTimesFollowSydneysSummerTime) {
  EXPECT_EQ(format_rfc3339(trade_of("07/01/2014,10:00:00,1,1,,,")->timestamp), "2014-07-01T00:00:00.000000Z");  // UTC+10
  // 2014-04-06 03:00 summer time became 02:00: 02:30 happened twice, 01:30 and 03:30 once.
  EXPECT_EQ(format_rfc3339(trade_of("04/06/2014,01:30:00,1,1,,,")->timestamp), "2014-04-05T14:30:00.000000Z");
  EXPECT_EQ(format_rfc3339(trade_of("04/06/2014,03:30:00,1,1,,,")->timestamp), "2014-04-05T17:30:00.000000Z");
  EXPECT_THAT(refusal("04/06/2014,02:30:00,1,1,,,"), HasSubstr("occurs twice"));
  // 2014-10-05 02:00 became 03:00: 02:30 never happened.
  EXPECT_THAT(refusal("10/05/2014,02:30:00,1,1,,,"), HasSubstr("does not exist"));
  EXPECT_EQ(format_rfc3339(trade_of("10/05/2014,03:00:00,1,1,,,")->timestamp), "2014-10-04T16:00:00.000000Z");
}

TEST(AsxCsv, AnUnreadableRowIsRefusedWithItsReason) {
  EXPECT_THAT(refusal("2014-03-10,10:00:00,1,1,,,"), HasSubstr("Date"));
  EXPECT_THAT(refusal("02/30/2014,10:00:00,1,1,,,"), HasSubstr("Date"));
  EXPECT_THAT(refusal("03/10/1969,10:00:00,1,1,,,"), HasSubstr("out of range"));
  EXPECT_THAT(refusal("03/10/2014,10:00,1,1,,,"), HasSubstr("Time"));
  EXPECT_THAT(refusal("03/10/2014,10:00:00.,1,1,,,"), HasSubstr("Time"));
  EXPECT_THAT(refusal("03/10/2014,10:00:00.1234567,1,1,,,"), HasSubstr("Time"));
  EXPECT_THAT(refusal("03/10/2014,10:00:00,,1,,,"), HasSubstr("Price"));
  EXPECT_THAT(refusal("03/10/2014,10:00:00,NaN,1,,,"), HasSubstr("Price"));
  EXPECT_THAT(refusal("03/10/2014,10:00:00,-1,1,,,"), HasSubstr("Price"));
  EXPECT_THAT(refusal("03/10/2014,10:00:00,0.123456789,1,,,"), HasSubstr("more than 8 fractional digits"));
  EXPECT_THAT(refusal("03/10/2014,10:00:00,1,10000000000,,,"), HasSubstr("Volume"));
  EXPECT_THAT(refusal("03/10/2014,10:00:00,1,1,,"), HasSubstr("6 fields, not 7"));
  EXPECT_THAT(refusal("03/10/2014,10:00:00,1,1,,,,"), HasSubstr("8 fields, not 7"));
  EXPECT_THAT(refusal("03/10/2014,10:00:00,1,1,\xff,,"), HasSubstr("UTF-8"));
  EXPECT_THAT(refusal(std::string_view("\0\0\0", 3)), HasSubstr("\\x00"));
}

TEST(AsxCsv, TheReferenceFileGivesCompaniesTheirSymbols) {
  const auto reference = AsxReference::parse(
      "company_id,symbol,company_name,ISIN,start_date,end_date\r\n"
      "7078,BHP,BHP BILLITON LTD,AU000000BHP4,05/07/2008,03/31/2014\r\n"
      "1,X,\"A, \"\"B\"\" LTD\",,05/07/2008,03/31/2014");
  ASSERT_TRUE(reference) << reference.error().message;
  EXPECT_EQ(reference->size(), 2u);
  EXPECT_EQ(reference->find("7078")->symbol, "BHP");
  EXPECT_EQ(format_date(reference->find("7078")->start_day), "2008-05-07");
  EXPECT_EQ(reference->find("1")->name, "A, \"B\" LTD");
  EXPECT_EQ(reference->find("2"), nullptr);
}

TEST(AsxCsv, AReferenceFileIsRefusedWithItsLine) {
  const std::string header = "company_id,symbol,company_name,ISIN,start_date,end_date\n";
  const auto message = [](const std::string& csv) { return AsxReference::parse(csv).error().message; };
  EXPECT_THAT(message(""), HasSubstr("line 1"));
  EXPECT_THAT(message("7078,BHP,B,I,05/07/2008,03/31/2014\n"), HasSubstr("line 1"));
  EXPECT_THAT(message(header + "7078,BHP,B,I,05/07/2008\n"), HasSubstr("line 2"));
  EXPECT_THAT(message(header + "7078,BHP,B,I,05/07/2008,31/03/2014\n"), HasSubstr("date"));
  EXPECT_THAT(message(header + "7078,,B,I,05/07/2008,03/31/2014\n"), HasSubstr("empty"));
  EXPECT_THAT(message(header + "7078,\"BHP,B,I,05/07/2008,03/31/2014\n"), HasSubstr("6 fields"));
  EXPECT_THAT(message(header + "1,A,,,05/07/2008,03/31/2014\n1,B,,,05/07/2008,03/31/2014\n"),
              HasSubstr("line 3: company_id \"1\" occurs twice"));
}

TEST(AsxCsv, TheFileNamesTheCompany) {
  EXPECT_EQ(asx_company_id("a.b/trades/7078.csv"), "7078");
  EXPECT_EQ(asx_company_id("7078.csv.zip"), "7078");
  EXPECT_EQ(asx_company_id("7078"), "7078");
}

TEST(AsxCsv, AllRecordedRowsParseWithDistinctIds) {
  const auto dir = test::data_dir() / "asx";
  if (!std::filesystem::exists(dir)) GTEST_SKIP() << "recorded data is not at " << dir;
  const auto reference = AsxReference::parse(test::read_file(dir / "reference" / "company_info.csv"));
  ASSERT_TRUE(reference) << reference.error().message;
  std::unordered_set<std::string> ids;
  size_t trades = 0;
  size_t quotes = 0;
  for (const char* id : {"3153", "7078", "7181", "7458"}) {
    AsxTradeParser trade_parser(*reference->find(id));
    Trade trade;
    for (const std::string& line : test::read_lines(dir / "trades" / (std::string(id) + ".csv"))) {
      const Status status = trade_parser.parse(line, kReceived, trade);
      ASSERT_TRUE(status) << status.error().message;
      ids.emplace(reinterpret_cast<const char*>(trade.message_id.bytes.data()), 16);
      ++trades;
    }
    AsxQuoteParser quote_parser(*reference->find(id));
    Quote quote;
    for (const std::string& line : test::read_lines(dir / "quotes" / (std::string(id) + ".csv"))) {
      const Status status = quote_parser.parse(line, kReceived, quote);
      ASSERT_TRUE(status) << status.error().message;
      ids.emplace(reinterpret_cast<const char*>(quote.message_id.bytes.data()), 16);
      ++quotes;
    }
  }
  EXPECT_EQ(trades, 200'545u);
  EXPECT_EQ(quotes, 169'629u);
  EXPECT_EQ(ids.size(), trades + quotes);
}

}  // namespace
}  // namespace k2
