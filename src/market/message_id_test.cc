#include "market/message_id.h"

#include <gtest/gtest.h>

#include "base/sha256.h"

namespace k2 {
namespace {

TEST(MessageId, IsAUuidOfVersionEightAndTheRfcVariant) {
  const std::string text = MessageIdMaker("binance", "BTCUSDT", "trades").make(553287559).to_string();
  EXPECT_EQ(text[14], '8');
  EXPECT_NE(std::string_view("89ab").find(text[19]), std::string_view::npos);
  EXPECT_EQ(MessageId::parse(text).value().to_string(), text);
}

TEST(MessageId, FollowsTheDocumentedLayout) {
  const std::string digest = sha256_hex("binance\nBTCUSDT\ntrades");
  const std::string want = digest.substr(0, 8) + "-" + digest.substr(8, 4) + "-8" + digest.substr(12, 3) + "-8000-000020fa7287";
  EXPECT_EQ(MessageIdMaker("binance", "BTCUSDT", "trades").make(0x20fa7287).to_string(), want);
}

TEST(MessageId, DiffersBySourceAndSequenceAndSortsBySequence) {
  const MessageIdMaker btc("binance", "BTCUSDT", "trades");
  EXPECT_NE(btc.make(1), MessageIdMaker("binance", "ETHUSDT", "trades").make(1));
  EXPECT_NE(btc.make(1), MessageIdMaker("binance", "BTCUSDT", "quotes").make(1));
  EXPECT_LT(btc.make(1), btc.make(2));
  EXPECT_LT(btc.make(2), btc.make(kSequenceMax));
}

TEST(MessageId, OrdinalsOfDifferentDaysNeverMeet) {
  EXPECT_LT(ordinal_sequence(16138, (int64_t{1} << 40) - 1).value(), ordinal_sequence(16139, 0).value());
  EXPECT_FALSE(ordinal_sequence(-1, 0));
  EXPECT_FALSE(ordinal_sequence(0, int64_t{1} << 40));
}

TEST(MessageId, RefusesWhatIsNotAUuid) {
  for (const char* text : {"", "123", "gggggggg-0000-8000-8000-000000000000", "00000000x0000-8000-8000-000000000000"})
    EXPECT_FALSE(MessageId::parse(text)) << text;
}

}  // namespace
}  // namespace k2
