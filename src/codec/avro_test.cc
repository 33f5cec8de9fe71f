#include "codec/avro.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/bytes.h"
#include "codec/test_data.h"

namespace k2 {
namespace {

using testing::HasSubstr;

std::string encoded(const Trade& trade) {
  std::string message;
  encode_trade(trade, 7, message);
  return message;
}
std::string encoded(const Quote& quote) {
  std::string message;
  encode_quote(quote, 7, message);
  return message;
}
Result<Trade> decoded_trade(std::string_view message) {
  K2_TRY(const Frame frame, read_frame(message));
  Trade trade;
  K2_RETURN_IF_ERROR(decode_trade(frame.body, trade));
  return trade;
}
Result<Quote> decoded_quote(std::string_view message) {
  K2_TRY(const Frame frame, read_frame(message));
  Quote quote;
  K2_RETURN_IF_ERROR(decode_quote(frame.body, quote));
  return quote;
}

TEST(Avro, ATradeComesBackEqual) { EXPECT_EQ(decoded_trade(encoded(test::full_trade())).value(), test::full_trade()); }
TEST(Avro, AQuoteComesBackEqual) { EXPECT_EQ(decoded_quote(encoded(test::full_quote())).value(), test::full_quote()); }

TEST(Avro, ADeadLetterComesBackWithItsRawBytes) {
  const DeadLetter letter{"asx/trades/7078.csv:17", "field Price: is empty", std::string("\x00\xff\n\x80 any", 8), {1610064000300123}};
  std::string message;
  encode_dead_letter(letter, 3, message);
  DeadLetter back;
  ASSERT_TRUE(decode_dead_letter(read_frame(message)->body, back));
  EXPECT_EQ(back, letter);
}

TEST(Avro, CoverageComesBackEqualForEveryStatus) {
  for (uint8_t i = 0; i < kCoverageStatusCount; ++i) {
    Coverage coverage = test::full_coverage();
    coverage.status = static_cast<CoverageStatus>(i);
    if (i == 0) coverage.reason.clear();
    std::string message;
    encode_coverage(coverage, 3, message);
    Coverage back;
    ASSERT_TRUE(decode_coverage(read_frame(message)->body, back));
    EXPECT_EQ(back, coverage);
    for (size_t cut = kFrameHeaderBytes; cut < message.size(); ++cut)
      EXPECT_FALSE(decode_coverage(std::string_view(message).substr(kFrameHeaderBytes, cut - kFrameHeaderBytes), back)) << cut;
  }
}

TEST(Avro, AbsentAndEmptyAreDifferent) {
  Trade trade = test::full_trade();
  trade.source_sequence.reset();
  trade.vendor_data.reset();
  trade.trade_conditions.clear();
  EXPECT_EQ(decoded_trade(encoded(trade)).value(), trade);
  trade.source_sequence = 0;
  trade.vendor_data.emplace();
  trade.trade_conditions = {""};
  EXPECT_EQ(decoded_trade(encoded(trade)).value(), trade);
}

TEST(Avro, ADecodedObjectKeepsNothingOfItsFormerContent) {
  Trade trade = test::full_trade();
  Trade other = test::full_trade();
  other.vendor_data.reset();
  other.trade_conditions.clear();
  other.source_sequence.reset();
  const std::string message = encoded(other);
  ASSERT_TRUE(decode_trade(read_frame(message)->body, trade));
  EXPECT_EQ(trade, other);
}

TEST(Avro, EncodingAppendsAndLeavesWhatIsThereAlone) {
  std::string messages = "before";
  encode_trade(test::full_trade(), 7, messages);
  const size_t first = messages.size();
  encode_trade(test::full_trade(), 7, messages);
  EXPECT_EQ(messages.substr(0, 6), "before");
  EXPECT_EQ(messages.substr(6, first - 6), encoded(test::full_trade()));
  EXPECT_EQ(messages.substr(first), encoded(test::full_trade()));
}

TEST(Avro, TheFrameIsAZeroAndTheBigEndianSchemaId) {
  std::string message;
  encode_trade(test::full_trade(), 0x01020304, message);
  EXPECT_EQ(to_hex(message.substr(0, 5)), "0001020304");
  EXPECT_EQ(read_frame(message)->schema_id, 0x01020304);
  for (const std::string_view bytes :
       {std::string_view(""), std::string_view("\0\0\0\0", 4), std::string_view("\1\0\0\0\1abc", 8), std::string_view("\0\xff\0\0\1", 5)})
    EXPECT_EQ(read_frame(bytes).error().kind, ErrorKind::kCorrupt);
}

TEST(Avro, TheBytesAreThoseOfTheDocumentedExample) {
  const std::string hex = to_hex(encoded(test::full_trade()));
  EXPECT_TRUE(
      hex.starts_with("0000000007"
                      "48"));
  EXPECT_NE(hex.find("12353533323837353539"
                     "0e42544355534454"
                     "0e62696e616e6365"
                     "02"),
            std::string::npos);
  EXPECT_NE(hex.find("0466bc"), std::string::npos);
  EXPECT_EQ(test::full_trade().message_id.to_string(), "387c5a1d-a7c2-8b9b-8000-000020fa7f87");
}

// Avro 1.11 specification, "Decimal": big-endian two's complement of the unscaled value, here with as few bytes as Java writes.
TEST(Avro, DecimalsAreMinimalTwosComplement) {
  const auto price_bytes = [](int64_t units) {
    Trade trade;
    trade.price = Decimal18_8::from_units(units).value();
    // id text (37), empty trade_id, symbol and exchange (3), asset_class (1), timestamp 0 (1)
    const std::string body = encoded(trade).substr(kFrameHeaderBytes + 37 + 3 + 1 + 1);
    return to_hex(body.substr(1, static_cast<size_t>(body[0]) / 2));
  };
  EXPECT_EQ(price_bytes(0), "00");
  EXPECT_EQ(price_bytes(127), "7f");
  EXPECT_EQ(price_bytes(128), "0080");
  EXPECT_EQ(price_bytes(-1), "ff");
  EXPECT_EQ(price_bytes(-128), "80");
  EXPECT_EQ(price_bytes(-129), "ff7f");
  EXPECT_EQ(price_bytes(Decimal18_8::kUnitsMax), "0de0b6b3a763ffff");
  EXPECT_EQ(price_bytes(-Decimal18_8::kUnitsMax), "f21f494c589c0001");
}

TEST(Avro, EveryDecimalComesBack) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20'000; ++i) {
    Trade trade = test::full_trade();
    const int64_t units = static_cast<int64_t>(random() >> (random() % 64)) % (Decimal18_8::kUnitsMax + 1);
    trade.price = Decimal18_8::from_units(i % 2 == 0 ? units : -units).value();
    trade.timestamp.us = static_cast<int64_t>(random());
    trade.source_sequence = static_cast<int64_t>(random());
    ASSERT_EQ(decoded_trade(encoded(trade)).value(), trade);
  }
}

// A body with the given price bytes in place of a trade's.
std::string body_with_price(std::string_view price) {
  Trade trade = test::full_trade();
  trade.price = Decimal18_8();
  const std::string body = encoded(trade).substr(kFrameHeaderBytes);
  const size_t at = 37 + 10 + 8 + 8 + 1 + 8;  // id, trade_id, symbol, exchange, asset_class, timestamp (8 bytes as a varint)
  EXPECT_EQ(to_hex(body.substr(at, 2)), "0200");
  std::string changed = body.substr(0, at);
  changed += static_cast<char>(price.size() * 2);
  changed += price;
  return changed + body.substr(at + 2);
}

TEST(Avro, DecimalsOfOtherWritersMayBeSignExtended) {
  Trade trade;
  ASSERT_TRUE(decode_trade(body_with_price(std::string(15, '\0') + "\x7f"), trade));
  EXPECT_EQ(trade.price.units(), 127);
  ASSERT_TRUE(decode_trade(body_with_price(std::string(15, '\xff') + "\x80"), trade));
  EXPECT_EQ(trade.price.units(), -128);
}

TEST(Avro, DecimalsOutOfRangeAreCorrupt) {
  for (const std::string& price : {std::string(), std::string(17, '\0'), std::string("\x0d\xe0\xb6\xb3\xa7\x64\x00\x00", 8),
                                   std::string("\x7f") + std::string(7, '\xff'), std::string("\x01") + std::string(8, '\0'),
                                   std::string("\x00\x80", 2) + std::string(7, '\0'), std::string("\xfe") + std::string(8, '\xff')}) {
    Trade trade;
    const Status status = decode_trade(body_with_price(price), trade);
    ASSERT_FALSE(status) << to_hex(price);
    EXPECT_EQ(status.error().kind, ErrorKind::kCorrupt);
    EXPECT_THAT(status.error().message, HasSubstr("price"));
  }
}

TEST(Avro, EveryCutMessageIsCorrupt) {
  for (const std::string& message : {encoded(test::full_trade())})
    for (size_t length = 0; length < message.size(); ++length)
      EXPECT_EQ(decoded_trade(message.substr(0, length)).error().kind, ErrorKind::kCorrupt) << length;
  const std::string quote = encoded(test::full_quote());
  for (size_t length = 0; length < quote.size(); ++length)
    EXPECT_EQ(decoded_quote(quote.substr(0, length)).error().kind, ErrorKind::kCorrupt) << length;
}

TEST(Avro, BytesLeftOverAreCorrupt) {
  EXPECT_THAT(decoded_trade(encoded(test::full_trade()) + 'x').error().message, HasSubstr("1 bytes left over"));
}

TEST(Avro, DamagedMessagesNeverCrash) {
  std::mt19937_64 random(11);
  const std::string message = encoded(test::full_trade());
  Trade trade;
  for (int i = 0; i < 200'000; ++i) {
    std::string damaged = message;
    for (int n = 1 + static_cast<int>(random() % 4); n > 0; --n) damaged[random() % damaged.size()] = static_cast<char>(random());
    if (const auto frame = read_frame(damaged)) static_cast<void>(decode_trade(frame->body, trade).has_value());
  }
}

TEST(Avro, VendorDataComesBackSortedAndRefusesARepeatedKey) {
  Trade trade = test::full_trade();
  trade.vendor_data = VendorData{{"b", "2"}, {"a", "1"}};
  EXPECT_EQ(decoded_trade(encoded(trade))->vendor_data, (VendorData{{"a", "1"}, {"b", "2"}}));
  trade.vendor_data = VendorData{{"b", "2"}, {"a", "1"}, {"b", "3"}};
  EXPECT_THAT(decoded_trade(encoded(trade)).error().message, HasSubstr("vendor_data"));
}

TEST(Avro, BlocksWithANegativeCountAndTheirSizeAreRead) {
  Trade trade = test::full_trade();
  trade.vendor_data = VendorData{{"a", "1"}};
  std::string message = encoded(trade);
  // ... 02 (one entry) 02 'a' 02 '1' 00 becomes 01 (minus one) 08 (four bytes) 02 'a' 02 '1' 00
  const std::string tail = message.substr(message.size() - 6);
  ASSERT_EQ(to_hex(tail), "020261023100");
  message.replace(message.size() - 6, 1, "\x01\x08");
  EXPECT_EQ(decoded_trade(message).value(), trade);
}

TEST(Avro, UnknownEnumIndexesAndIdsThatAreNoUuidAreCorrupt) {
  std::string message = encoded(test::full_trade());
  std::string bad_id = message;
  bad_id[kFrameHeaderBytes + 1] = 'g';
  EXPECT_THAT(decoded_trade(bad_id).error().message, HasSubstr("message_id"));
  std::string bad_class = message;
  bad_class[kFrameHeaderBytes + 37 + 10 + 8 + 8] = 8;  // index 4
  EXPECT_THAT(decoded_trade(bad_class).error().message, HasSubstr("asset_class"));
}

}  // namespace
}  // namespace k2
