#include "query/bars.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <optional>
#include <string>

#include "query/query_testing.h"

namespace k2 {
namespace {

using namespace k2::testing;  // NOLINT: the words of this folder's tests
using Int128 = __int128;

constexpr int64_t kMinuteUs = 60 * kUsPerSecond;
constexpr int64_t kStepUs = 300'000;  // every nth_trade() is at a multiple of it

int64_t half(int64_t lag) { return lag / 2; }

Int128 units(const arrow::RecordBatch& batch, const std::string& name, int64_t row) {
  Int128 value = 0;
  std::memcpy(&value, column<arrow::Decimal128Array>(batch, name).GetValue(row), sizeof value);
  return value;
}

int64_t time_of(const arrow::RecordBatch& batch, const std::string& name, int64_t row) {
  return column<arrow::TimestampArray>(batch, name).Value(row);
}

std::string symbol_of(const arrow::RecordBatch& batch, int64_t row) {
  return std::string(column<arrow::StringArray>(batch, "symbol").GetView(row));
}

// Whether `rounded` is dividend / divisor to the nearest, halves to even. All are positive.
bool is_nearest(Int128 rounded, Int128 dividend, Int128 divisor) {
  const Int128 twice = 2 * (rounded * divisor - dividend);
  if (twice == divisor || twice == -divisor) return rounded % 2 == 0;
  return twice < divisor && twice > -divisor;
}

// 1,500 trades, some in the table, some in the log alone.
class Bars : public ::testing::Test {
 protected:
  void SetUp() override {
    world_.trades(1'000);
    world_.archive(Channel::kTrades, half);
    world_.trades(500);
    cut_ = must(world_.engine().cut());
  }
  [[nodiscard]] std::shared_ptr<arrow::RecordBatch> ask(const BarQuery& query) { return rows_of(bars(world_.engine(), query, cut_)); }

  World world_;
  Cut cut_;
};

TEST_F(Bars, EqualDuckDbsOwnGroups) {
  for (const int64_t interval_us : {kUsPerSecond, kMinuteUs, 60 * kMinuteUs, kUsPerDay}) {
    const auto found = ask({.interval_us = interval_us});
    const std::string order = " ORDER BY timestamp, log_topic, log_partition, log_offset)";
    const auto expected = rows_of(world_.engine().sql(
        "SELECT symbol, exchange, first(price" + order + " AS open, max(price) AS high, min(price) AS low, last(price" + order +
            " AS close, sum(quantity) AS quantity, sum(price::DECIMAL(20,8) * quantity) AS notional, count(*) AS trade_count, "
            "sum(CASE WHEN side = 'BUY' THEN quantity ELSE 0 END) AS buy_quantity, epoch_us(min(timestamp)) AS first_timestamp, "
            "epoch_us(max(timestamp)) AS last_timestamp, epoch_us(timestamp) // " +
            std::to_string(interval_us) + " AS bar FROM trades GROUP BY bar, exchange, symbol ORDER BY bar, exchange, symbol",
        cut_));
    ASSERT_EQ(found->num_rows(), expected->num_rows());
    ASSERT_GT(found->num_rows(), 5);
    for (const char* name : {"symbol", "exchange", "trade_count"})
      EXPECT_TRUE(found->GetColumnByName(name)->Equals(expected->GetColumnByName(name))) << name;
    for (int64_t row = 0; row < found->num_rows(); ++row) {
      for (const char* name : {"open", "high", "low", "close", "quantity", "notional", "buy_quantity"})
        EXPECT_EQ(column<arrow::Decimal128Array>(*found, name).FormatValue(row),
                  column<arrow::Decimal128Array>(*expected, name).FormatValue(row))
            << name;
      for (const char* name : {"first_timestamp", "last_timestamp"})
        EXPECT_EQ(time_of(*found, name, row), column<arrow::Int64Array>(*expected, name).Value(row)) << name;
      EXPECT_EQ(time_of(*found, "timestamp", row), column<arrow::Int64Array>(*expected, "bar").Value(row) * interval_us);
    }
  }
}

TEST_F(Bars, HaveTheNearestMeanByQuantity) {
  const auto found = ask({});
  for (int64_t row = 0; row < found->num_rows(); ++row)
    EXPECT_TRUE(is_nearest(units(*found, "vwap", row), units(*found, "notional", row), units(*found, "quantity", row))) << row;
}

// The price in force, looked at every 300 ms.
TEST_F(Bars, HaveTheNearestMeanByTime) {
  const TimestampUs end{kMorningUs + 5 * kMinuteUs + 100 * kStepUs};  // inside a bar
  const auto trades = rows_of(world_.engine().events({.end = end}, cut_));
  const auto found = ask({.end = end});
  ASSERT_GT(found->num_rows(), 20);
  for (int64_t row = 0; row < found->num_rows(); ++row) {
    const int64_t begin = time_of(*found, "timestamp", row);
    Int128 sum = 0, steps = 0;
    for (int64_t us = begin; us < std::min(begin + kMinuteUs, end.us); us += kStepUs) {
      std::optional<Int128> price;
      for (int64_t i = 0; i < trades->num_rows() && time_of(*trades, "timestamp", i) <= us; ++i)
        if (symbol_of(*trades, i) == symbol_of(*found, row)) price = units(*trades, "price", i);
      if (!price) continue;
      sum += *price;
      ++steps;
    }
    EXPECT_TRUE(is_nearest(units(*found, "twap", row), sum, steps)) << row;
  }
}

TEST_F(Bars, OfAFewSymbolsAndALimitAreThoseOfAll) {
  const auto all = ask({.symbols = {"ETHUSDT"}});
  ASSERT_GT(all->num_rows(), 3);
  for (int64_t row = 0; row < all->num_rows(); ++row) EXPECT_EQ(symbol_of(*all, row), "ETHUSDT");
  EXPECT_TRUE(ask({.symbols = {"ETHUSDT"}, .limit = 3})->Equals(*all->Slice(0, 3)));
  EXPECT_EQ(ask({.limit = 0})->num_rows(), 0);
}

TEST_F(Bars, AreTheSameWhereverTheRowsAre) {
  const auto before = ask({});
  world_.archive(Channel::kTrades);
  EXPECT_TRUE(ask({})->Equals(*before));
  EXPECT_EQ(must(world_.engine().cut()).end, cut_.end);
  cut_ = must(world_.engine().cut());
  EXPECT_TRUE(ask({})->Equals(*before));
}

TEST_F(Bars, OfNothingAreNone) { EXPECT_EQ(ask({.symbols = {"NONE"}})->num_rows(), 0); }

TEST(BarInterval, IsOneOfTheNamed) {
  EXPECT_EQ(must(parse_bar_interval("1s")), kUsPerSecond);
  EXPECT_EQ(must(parse_bar_interval("4h")), 240 * kMinuteUs);
  EXPECT_EQ(must(parse_bar_interval("1d")), kUsPerDay);
  for (const char* text : {"", "2m", "60s", "1M", "1m ", "-1m"}) EXPECT_FALSE(parse_bar_interval(text)) << text;
}

}  // namespace
}  // namespace k2
