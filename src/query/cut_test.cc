#include "query/cut.h"

#include <gtest/gtest.h>

#include <limits>

namespace k2 {
namespace {

Cut some_cut() {
  Cut cut;
  cut.log_id = {"6f0d8b1e-0000-4000-8000-000000000001"};
  cut.tables = {{"trades_v2", SnapshotId{8123456789012345678}}, {"quotes_v2", std::nullopt}, {"coverage", SnapshotId{5}}};
  cut.end[{"market.crypto.trades.binance", 0}] = Offset{123456};
  cut.end[{"market.crypto.trades.binance", 1}] = Offset{std::numeric_limits<int64_t>::max()};
  cut.end[{"market.equities.quotes.asx", 0}] = Offset{0};
  return cut;
}

TEST(ReadToken, ComesBackAsTheSameCut) {
  const auto parsed = parse_read_token(read_token(some_cut()));
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(*parsed, some_cut());
  EXPECT_EQ(*parse_read_token(read_token(Cut{})), Cut{});
}

TEST(ReadToken, IsSafeInUrls) {
  EXPECT_EQ(read_token(some_cut()).find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
            std::string::npos);
}

TEST(ReadToken, IsTheTextOfTheDocument) {
  Cut cut;
  cut.log_id = {"L"};
  cut.tables = {{"trades_v2", SnapshotId{258}}};
  cut.end[{"t", 0}] = Offset{300};
  EXPECT_EQ(read_token(cut), "AQFMAQl0cmFkZXNfdjIBAAAAAAAAAQIBAXQBAKwCCD1m6A");
}

TEST(ReadToken, RefusesEveryCutShortOrAlteredText) {
  const std::string token = read_token(some_cut());
  for (size_t size = 0; size < token.size(); ++size) {
    const auto parsed = parse_read_token(token.substr(0, size));
    ASSERT_FALSE(parsed) << size;
    EXPECT_EQ(parsed.error().kind, ErrorKind::kInvalidInput);
  }
  for (size_t i = 0; i < token.size(); ++i) {
    std::string altered = token;
    altered[i] = altered[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(parse_read_token(altered)) << i;
  }
  EXPECT_FALSE(parse_read_token(token + "A"));
  EXPECT_FALSE(parse_read_token("not a token!"));
  EXPECT_FALSE(parse_read_token(std::string(kReadTokenBytesMax + 1, 'A')));
}

TEST(OffsetsOfChannel, KeepsOnlyItsTopics) {
  Offsets offsets = some_cut().end;
  offsets[{std::string(kDeadLetterTopic), 0}] = Offset{9};
  EXPECT_EQ(offsets_of_channel(offsets, Channel::kTrades).size(), 2u);
  EXPECT_EQ(offsets_of_channel(offsets, Channel::kQuotes).size(), 1u);
}

}  // namespace
}  // namespace k2
