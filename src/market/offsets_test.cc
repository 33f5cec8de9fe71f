#include "market/offsets.h"

#include <gtest/gtest.h>

namespace k2 {
namespace {

TEST(Offsets, RoundTripThroughTheSnapshotSummaryText) {
  const Offsets offsets{{{"market.crypto.trades.binance", 0}, {123}},
                        {{"market.crypto.trades.binance", 11}, {7}},
                        {{"market.equities.trades.asx", 0}, {200545}}};
  EXPECT_EQ(parse_offsets_json(offsets_json(offsets)).value(), offsets);
  EXPECT_EQ(offsets_json({{{"t", 0}, {5}}}), R"({"t":{"0":5}})");
  EXPECT_TRUE(parse_offsets_json("{}")->empty());
}

TEST(Offsets, RefuseAnyOtherText) {
  for (const char* text :
       {"", "[]", "{\"t\":5}", "{\"t\":{\"x\":5}}", "{\"t\":{\"0\":-1}}", "{\"t\":{\"-1\":1}}", "{\"t\":{\"0\":\"5\"}}", "{\"t\""})
    EXPECT_FALSE(parse_offsets_json(text)) << text;
}

TEST(Offsets, AnAbsentPartitionStandsAtZero) { EXPECT_EQ(offset_of({}, {"t", 3}), Offset{0}); }

}  // namespace
}  // namespace k2
