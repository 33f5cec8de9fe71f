#include "table/row_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "table/lake_testing.h"

namespace k2 {
namespace {

using testing::kMorning;
using testing::Row;
using testing::trades;

std::vector<Row> random_rows(int count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<Row> rows;
  for (int i = 0; i < count; ++i)
    rows.push_back({.symbol = "S" + std::string(random() % 20, 'x') + std::to_string(random() % 30),
                    .timestamp_us = kMorning + static_cast<int64_t>(random() % 5) * kUsPerDay / 2 + static_cast<int64_t>(random() % 50),
                    .offset = i,
                    .exchange = random() % 3 ? "binance" : "asx"});
  return rows;
}

TEST(RowOrder, IsByFileThenSymbolThenTimeThenTheOrderGiven) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    const auto rows = random_rows(500, seed);
    const auto key = [&](int32_t i) {
      const Row& row = rows[static_cast<size_t>(i)];
      return std::tuple(days_since_epoch({row.timestamp_us}), row.exchange, row.symbol, row.timestamp_us, i);
    };
    std::vector<int32_t> want(rows.size());
    for (size_t i = 0; i < want.size(); ++i) want[i] = static_cast<int32_t>(i);
    std::sort(want.begin(), want.end(), [&](int32_t a, int32_t b) { return key(a) < key(b); });
    const RowOrder order = order_rows(kTradesV2, *trades(rows));
    ASSERT_EQ(order.rows, want) << seed;
    size_t end = 0;
    for (const Part& part : order.parts) {
      ASSERT_EQ(part.begin, end);
      end = part.end;
      for (size_t i = part.begin; i < part.end; ++i) {
        ASSERT_EQ(part.day, std::get<0>(key(order.rows[i])));
        ASSERT_EQ(part.exchange, std::get<1>(key(order.rows[i])));
      }
    }
    ASSERT_EQ(end, rows.size());
  }
}

TEST(RowPicker, GivesTheRowsAskedForAgainAndAgain) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    const auto rows = random_rows(300, seed);
    std::shared_ptr<arrow::RecordBatch> batch = trades(rows);
    int32_t first = 0;
    if (seed % 2) batch = batch->Slice(first = 7, 200);  // arrays may begin anywhere in their buffers
    RowPicker picker(batch);
    std::mt19937 random(seed);
    for (const int count : {1, 200, 3, 100}) {
      std::vector<int32_t> positions;
      std::vector<Row> want;
      for (int i = 0; i < count; ++i) {
        positions.push_back(static_cast<int32_t>(random() % 200));
        want.push_back(rows[static_cast<size_t>(first + positions.back())]);
      }
      const auto picked = picker.pick(positions);
      ASSERT_TRUE(picked) << picked.error().message;
      ASSERT_TRUE((*picked)->ValidateFull().ok());
      ASSERT_TRUE((*picked)->Equals(*trades(want))) << seed << ": " << (*picked)->ToString();
    }
  }
}

}  // namespace
}  // namespace k2
