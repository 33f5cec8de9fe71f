#include "feed/binance_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "feed/binance_feed.h"

namespace k2 {
namespace {

using testing::ElementsAre;

BinanceShard only_shard(const BinanceFeedOptions& options) {
  std::vector<BinanceShard> shards = plan_binance_shards(options).value();
  EXPECT_EQ(shards.size(), 1u);
  return std::move(shards.front());
}

TEST(BinancePlan, FewStreamsGoIntoTheUrl) {
  BinanceFeedOptions options;
  options.endpoints = {"wss://stream.binance.com:9443", "wss://stream.binance.us:9443"};
  const BinanceShard plan = only_shard(options);
  EXPECT_THAT(plan.urls, ElementsAre("wss://stream.binance.com:9443/stream?streams=btcusdt@trade/ethusdt@trade&timeUnit=MICROSECOND",
                                     "wss://stream.binance.us:9443/stream?streams=btcusdt@trade/ethusdt@trade"));
  EXPECT_TRUE(plan.subscribe_messages.empty());
}

TEST(BinancePlan, ManyStreamsAreSubscribedToInMessages) {
  BinanceFeedOptions options;
  options.symbols = {"A", "B", "C"};
  options.endpoints = {"ws://a:1"};
  options.streams_in_url_max = 2;
  options.streams_per_message = 2;
  const BinanceShard plan = only_shard(options);
  EXPECT_THAT(plan.urls, ElementsAre("ws://a:1/stream?timeUnit=MICROSECOND"));
  EXPECT_THAT(plan.subscribe_messages, ElementsAre(R"({"method":"SUBSCRIBE","params":["a@trade","b@trade"],"id":1})",
                                                   R"({"method":"SUBSCRIBE","params":["c@trade"],"id":2})"));
}

TEST(BinancePlan, SymbolsOutsideAsciiArePercentEncodedAndOddOnesRefused) {
  BinanceFeedOptions options;
  options.symbols = {"１２３４５６"};
  options.endpoints = {"ws://a:1"};
  options.microseconds = false;
  EXPECT_EQ(only_shard(options).urls.front(), "ws://a:1/stream?streams=%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96@trade");
  for (const char* symbol : {"", "a/b", "a b", "a\"b", "a@b"}) {
    options.symbols = {symbol};
    EXPECT_EQ(plan_binance_shards(options).error().kind, ErrorKind::kInvalidInput) << symbol;
  }
  options.symbols = {"A", "a"};
  EXPECT_EQ(plan_binance_shards(options).error().kind, ErrorKind::kInvalidInput);
  EXPECT_EQ(plan_binance_shards({.streams_per_connection = 1025}).error().kind, ErrorKind::kInvalidInput);
  EXPECT_EQ(plan_binance_shards({.channels = {"trade", "bookTicker"}, .streams_per_connection = 1}).error().kind, ErrorKind::kInvalidInput);
  EXPECT_EQ(plan_binance_shards({.endpoints = {"https://a"}}).error().kind, ErrorKind::kInvalidInput);
  EXPECT_EQ(plan_binance_shards({.endpoints = {}}).error().kind, ErrorKind::kInvalidInput);
}

TEST(BinancePlan, ManySymbolsAreSpreadEvenlyAndASymbolsStreamsStayTogether) {
  BinanceFeedOptions options;
  options.symbols.clear();
  for (int i = 0; i < 500; ++i) options.symbols.push_back("S" + std::to_string(i));
  options.channels = {"trade", "bookTicker"};
  options.streams_per_connection = 151;  // 75 symbols
  const std::vector<BinanceShard> shards = plan_binance_shards(options).value();
  ASSERT_EQ(shards.size(), 7u);
  std::vector<std::string> symbols;
  for (const BinanceShard& shard : shards) {
    EXPECT_GE(shard.symbols.size(), 71u);
    EXPECT_LE(shard.symbols.size(), 72u);
    EXPECT_EQ(shard.streams.size(), 2 * shard.symbols.size());
    EXPECT_EQ(shard.subscribe_messages.size(), 2u);
    symbols.insert(symbols.end(), shard.symbols.begin(), shard.symbols.end());
  }
  EXPECT_EQ(symbols, options.symbols);
  EXPECT_EQ(shards[1].streams[1], "s71@bookTicker");
}

}  // namespace
}  // namespace k2
