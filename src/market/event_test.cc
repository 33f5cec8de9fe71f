#include "market/event.h"

#include <gtest/gtest.h>

namespace k2 {
namespace {

TEST(Event, TopicsNameAssetClassChannelAndExchange) {
  EXPECT_EQ(topic_name(AssetClass::kCrypto, Channel::kTrades, "binance"), "market.crypto.trades.binance");
  EXPECT_EQ(topic_name(AssetClass::kEquities, Channel::kQuotes, "asx"), "market.equities.quotes.asx");
  EXPECT_EQ(topic_channel("market.crypto.trades.binance"), Channel::kTrades);
  EXPECT_EQ(topic_channel("market.equities.quotes.asx"), Channel::kQuotes);
  EXPECT_EQ(topic_name(AssetClass::kCrypto, Channel::kCoverage, "binance"), "market.crypto.coverage.binance");
  EXPECT_EQ(topic_channel("market.crypto.coverage.binance"), Channel::kCoverage);
  for (const char* topic : {"market.dead_letter", "market.crypto.trades.", "market.crypto.trades", "market.crypto.coverage.",
                            "market.cheese.trades.x", "x", ""})
    EXPECT_EQ(topic_channel(topic), std::nullopt) << topic;
}

TEST(Event, EnumNamesRoundTrip) {
  for (const char* name : {"BUY", "SELL", "SELL_SHORT", "UNKNOWN"}) EXPECT_EQ(side_name(parse_side(name).value()), name);
  for (const char* name : {"equities", "crypto", "futures", "options"}) EXPECT_EQ(asset_class_name(parse_asset_class(name).value()), name);
  EXPECT_FALSE(parse_side("buy"));
  for (const Channel channel : kChannels) EXPECT_EQ(parse_channel(channel_name(channel)), channel);
  EXPECT_FALSE(parse_channel("Trades"));
}

TEST(Event, VendorDataIsAnEscapedJsonObject) {
  EXPECT_EQ(vendor_data_json({}), "{}");
  EXPECT_EQ(vendor_data_json({{"company_id", "7078"}, {"venue", "X"}}), R"({"company_id":"7078","venue":"X"})");
  EXPECT_EQ(vendor_data_json({{"q", "a\"b\\c\n\x01"}}), R"({"q":"a\"b\\c\n\u0001"})");
}

}  // namespace
}  // namespace k2
