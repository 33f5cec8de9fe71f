#include "log/batch_format.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/bytes.h"

namespace k2 {
namespace {

constexpr size_t kAll = std::numeric_limits<size_t>::max();
constexpr Offset kEnd{std::numeric_limits<int64_t>::max()};

std::string worked_example() {
  BatchBuilder builder(1, Offset{7});
  builder.add("BTCUSDT", "hi", {1'700'000'000'000'000});
  builder.add("ETHUSDT", "", {1'699'999'999'999'995});
  return std::move(builder).finish();
}

TEST(BatchFormat, IsTheWorkedExampleOfItsDocument) {
  EXPECT_EQ(to_hex(worked_example()),
            "4b324231"
            "ab2b4738"
            "01000000"
            "02000000"
            "0700000000000000"
            "00401e18240a0600"
            "070200"
            "42544355534454"
            "6869"
            "070009"
            "45544855534454");
}

TEST(BatchFormat, GivesBackWhatWasAdded) {
  const std::string blob = worked_example();
  ASSERT_TRUE(check_batch(blob, {1, {7}, {9}}));
  std::vector<LogRecord> records;
  EXPECT_EQ(decode_batch(blob, {0}, kEnd, kAll, records).value(), 2u);
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].offset, Offset{7});
  EXPECT_EQ(records[0].key, "BTCUSDT");
  EXPECT_EQ(records[0].value, "hi");
  EXPECT_EQ(records[0].timestamp.us, 1'700'000'000'000'000);
  EXPECT_EQ(records[1].offset, Offset{8});
  EXPECT_EQ(records[1].value, "");
  EXPECT_EQ(records[1].timestamp.us, 1'699'999'999'999'995);
}

TEST(BatchFormat, KeepsTimestampsThatLieAnyDistanceApart) {
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  BatchBuilder builder(1, Offset{0});
  for (const int64_t us : {kMin, kMax, int64_t{0}, int64_t{-1}, kMin}) builder.add("", "", {us});
  EXPECT_EQ(builder.timestamp_max().us, kMax);
  const std::string blob = std::move(builder).finish();
  std::vector<LogRecord> records;
  ASSERT_TRUE(decode_batch(blob, {0}, kEnd, kAll, records));
  EXPECT_EQ(records[1].timestamp.us, kMax);
  EXPECT_EQ(records[4].timestamp.us, kMin);
}

TEST(BatchFormat, ReadsARangeAndStopsWhenItHasEnoughBytes) {
  BatchBuilder builder(3, Offset{100});
  for (int i = 0; i < 10; ++i) builder.add("k", "0123456789", {i});
  const std::string blob = std::move(builder).finish();
  const auto offsets = [&](int64_t from, int64_t end, size_t bytes) {
    std::vector<LogRecord> records;
    EXPECT_TRUE(decode_batch(blob, {from}, {end}, bytes, records));
    std::vector<int64_t> found;
    for (const LogRecord& record : records) found.push_back(record.offset.value);
    return found;
  };
  EXPECT_EQ(offsets(103, 106, kAll), (std::vector<int64_t>{103, 104, 105}));
  EXPECT_EQ(offsets(108, 200, kAll), (std::vector<int64_t>{108, 109}));
  EXPECT_EQ(offsets(102, 200, 11), (std::vector<int64_t>{102, 103}));
  EXPECT_EQ(offsets(102, 200, 0), (std::vector<int64_t>{102}));
  EXPECT_TRUE(offsets(103, 103, kAll).empty());
}

TEST(BatchFormat, FindsEveryFlippedBitAndEveryCut) {
  const std::string blob = worked_example();
  for (size_t i = 0; i < blob.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = blob;
      bad[i] = static_cast<char>(bad[i] ^ (1 << bit));
      EXPECT_EQ(check_batch(bad, {1, {7}, {9}}).error().kind, ErrorKind::kCorrupt) << i;
    }
    EXPECT_FALSE(check_batch(blob.substr(0, i), {1, {7}, {9}})) << i;
  }
}

TEST(BatchFormat, RefusesABlobThatBelongsToAnotherRow) {
  const std::string blob = worked_example();
  EXPECT_TRUE(check_batch(blob, {1, {7}, {9}}));
  EXPECT_FALSE(check_batch(blob, {2, {7}, {9}}));
  EXPECT_FALSE(check_batch(blob, {1, {8}, {10}}));
  EXPECT_FALSE(check_batch(blob, {1, {7}, {10}}));
}

// A checksum protects from decay, not from a builder's bug: decoding stays inside the blob whatever it holds.
TEST(BatchFormat, DecodingNeverLeavesTheBlob) {
  const std::string blob = worked_example();
  for (size_t i = 12; i < blob.size(); ++i) {
    for (int byte = 0; byte < 256; byte += 5) {
      std::string bad = blob;
      bad[i] = static_cast<char>(byte);
      std::vector<LogRecord> records;
      const auto decoded = decode_batch(bad, {0}, kEnd, kAll, records);
      for (const LogRecord& record : records) {
        EXPECT_GE(record.key.data(), bad.data());
        EXPECT_LE(record.value.data() + record.value.size(), bad.data() + bad.size());
      }
      EXPECT_TRUE(decoded || decoded.error().kind == ErrorKind::kCorrupt);
    }
  }
}

}  // namespace
}  // namespace k2
