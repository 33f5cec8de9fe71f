#include "query/pg_rows.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "query/decimal_text.h"
#include "query/pg_bytes.h"

namespace k2 {
namespace {

std::shared_ptr<arrow::RecordBatch> one_decimal(int64_t units, int32_t scale) {
  const auto type = arrow::decimal128(38, scale);
  arrow::Decimal128Builder builder(type);
  EXPECT_TRUE(builder.Append(arrow::Decimal128(units)).ok());
  return arrow::RecordBatch::Make(arrow::schema({arrow::field("d", type)}), 1, {*builder.Finish()});
}

/// The one cell of a DataRow: behind 'D', length, count of columns, and the cell's own length.
std::string cell(int64_t units, int32_t scale, PgFormat format) {
  std::string row;
  append_pg_rows(*one_decimal(units, scale), 0, 1, {&format, 1}, row);
  return row.substr(11);
}

/// PostgreSQL's binary numeric, read by its definition (src/backend/utils/adt/numeric.c, numeric_recv), as the value times 10^scale.
int64_t units_of(const std::string& bytes, int32_t scale) {
  const auto at = [&](size_t i) { return load_network<int16_t>(bytes.data() + 2 * i); };
  EXPECT_EQ(bytes.size(), 8 + 2 * static_cast<size_t>(at(0)));
  EXPECT_EQ(at(3), scale);
  __int128 value = 0;  // times 10^20
  for (int i = 0; i < at(0); ++i) {
    __int128 part = at(4 + static_cast<size_t>(i));
    for (int power = 4 * (at(1) - i) + 20; power > 0; --power) part *= 10;
    value += part;
  }
  for (int drop = 20 - scale; drop > 0; --drop) value /= 10;
  return static_cast<int64_t>(at(2) == 0 ? value : -value);
}

TEST(PgRowsTest, DecimalsAreWholeInBothFormatsHoweverSmall) {
  for (const int32_t scale : {0, 1, 2, 8, 10, 16}) {
    for (const int64_t units : {int64_t{0}, int64_t{1}, int64_t{-1}, int64_t{15}, int64_t{-15}, int64_t{81}, int64_t{9'999},
                                int64_t{10'000}, int64_t{-12'345'678}, int64_t{4'000'000'000'000'001}}) {
      EXPECT_EQ(units_of(cell(units, scale, PgFormat::kBinary), scale), units) << scale;
      EXPECT_EQ(cell(units, scale, PgFormat::kText), decimal_text(arrow::Decimal128(units), scale));
    }
  }
}

TEST(DecimalTextTest, HasAllDigitsAfterThePoint) {
  EXPECT_EQ(decimal_text(arrow::Decimal128(1), 8), "0.00000001");
  EXPECT_EQ(decimal_text(arrow::Decimal128(-15), 8), "-0.00000015");
  EXPECT_EQ(decimal_text(arrow::Decimal128(0), 16), "0.0000000000000000");
  EXPECT_EQ(decimal_text(arrow::Decimal128(-123), 2), "-1.23");
  EXPECT_EQ(decimal_text(arrow::Decimal128(-123), 0), "-123");
}

}  // namespace
}  // namespace k2
