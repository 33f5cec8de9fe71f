#include "exchange/market.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "exchange/frames.h"

namespace k2 {
namespace {

class TempFile {
 public:
  explicit TempFile(const std::string& text)
      : path_(std::filesystem::temp_directory_path() / ("k2-market-" + std::to_string(::getpid()) + ".csv")) {
    std::ofstream(path_) << text;
  }
  ~TempFile() { std::filesystem::remove(path_); }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

std::vector<SimTrade> drain(Market& market, size_t max = 100) {
  std::vector<SimTrade> trades;
  while (trades.size() < max) {
    const auto step = market.next();
    if (!step) break;
    trades.push_back(step->trade);
  }
  return trades;
}

TEST(Market, ReadsARowInBothTimeUnits) {
  const SimTrade trade = parse_dump_row("553287559,39432.48000000,0.00026300,10.37074224,1610064000278,True,False").value();
  EXPECT_EQ(trade.id, 553287559);
  EXPECT_EQ(trade.price.to_string(), "39432.48000000");
  EXPECT_EQ(trade.time.us, 1610064000278000);
  EXPECT_TRUE(trade.buyer_is_maker);
  EXPECT_FALSE(trade.is_best_match);
  EXPECT_EQ(quote_quantity(trade), "10.37074224");
  EXPECT_EQ(parse_dump_row("1,1,1,1,1735689600000001,False,True").value().time.us, 1735689600000001);
  for (const char* row : {"", "1,2", "x,1,1,1,1,True,True", "1,1,1,1,1,True,True,1", "1,1,1,1,1,yes,True", "1,1.123456789,1,1,1,True,True"})
    EXPECT_FALSE(parse_dump_row(row)) << row;
}

TEST(Market, PlaysAFileOnceOrInALoopWithIdsAndTimesGoingOn) {
  const TempFile file(
      "id,price,qty,quoteQty,time,isBuyerMaker,isBestMatch\n10,1.0,2.0,2.0,1000,True,True\n12,1.1,2.0,2.2,1500,False,True\n");
  const auto once = make_played_market({file.path()}).value();
  EXPECT_EQ(once->next()->wait_us, 0);
  EXPECT_EQ(once->next()->wait_us, 500'000);
  EXPECT_FALSE(once->next());
  const auto loop = make_played_market({file.path(), true, 1000, 5}).value();
  const auto trades = drain(*loop);
  ASSERT_EQ(trades.size(), 5u);
  EXPECT_EQ(trades[2].id, 13);
  EXPECT_EQ(trades[4].id, 16);
  EXPECT_EQ(trades[2].time.us, trades[0].time.us + 501'000);
}

TEST(Market, SaysWhichLineCannotBeRead) {
  EXPECT_NE(make_played_market({TempFile("1,1,1,1,1,True,True\nbad\n").path()}).error().message.find("line 2"), std::string::npos);
  EXPECT_FALSE(make_played_market({TempFile("2,1,1,1,1,True,True\n1,1,1,1,1,True,True\n").path()}));
  EXPECT_FALSE(make_played_market({TempFile("").path()}));
  EXPECT_EQ(make_played_market({"/dev/null/nothing"}).error().kind, ErrorKind::kNotFound);
}

TEST(Market, ARandomMarketIsTheSameForASeed) {
  const RandomMarketOptions options{"BTCUSDT", 7, 100, {1'700'000'000'000'000}, 50};
  const auto first = drain(*make_random_market(options));
  EXPECT_EQ(first, drain(*make_random_market(options)));
  ASSERT_EQ(first.size(), 50u);
  for (size_t i = 0; i < first.size(); ++i) EXPECT_EQ(first[i].id, static_cast<int64_t>(i) + 1);
  RandomMarketOptions other = options;
  other.seed = 8;
  EXPECT_NE(first, drain(*make_random_market(other)));
  const double mean_us = static_cast<double>(first.back().time.us - options.start.us) / 50;
  EXPECT_NEAR(mean_us, 10'000, 5'000);
}

TEST(Frames, LookAsDocumented) {
  const SimTrade trade = parse_dump_row("553287559,39432.48000000,0.00026300,10.37074224,1610064000278,True,True").value();
  std::string now;
  append_trade_frame(now, "BTCUSDT", trade, trade.time, TimeUnit::kMilliseconds, false);
  EXPECT_EQ(
      now,
      R"({"e":"trade","E":1610064000278,"s":"BTCUSDT","t":553287559,"p":"39432.48000000","q":"0.00026300","T":1610064000278,"m":true,"M":true})");
  std::string old;
  append_trade_frame(old, "BTCUSDT", trade, trade.time, TimeUnit::kMicroseconds, true);
  EXPECT_EQ(
      old,
      R"({"e":"trade","E":1610064000278000,"s":"BTCUSDT","t":553287559,"p":"39432.48000000","q":"0.00026300","b":1106575118,"a":1106575119,"T":1610064000278000,"m":true,"M":true})");
  std::string combined;
  append_combined(combined, "btcusdt@trade", "{}");
  EXPECT_EQ(combined, R"({"stream":"btcusdt@trade","data":{}})");
  std::string ticker;
  append_book_ticker_frame(ticker, "BTCUSDT", trade);
  EXPECT_EQ(ticker, R"({"u":553287559,"s":"BTCUSDT","b":"39432.47000000","B":"0.00026300","a":"39432.49000000","A":"0.00026300"})");
}

}  // namespace
}  // namespace k2
