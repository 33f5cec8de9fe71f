#include "base/decimal.h"

#include <gtest/gtest.h>

namespace k2 {
namespace {

int64_t units(std::string_view text) { return Decimal18_8::parse(text).value().units(); }
bool refused(std::string_view text) {
  const auto parsed = Decimal18_8::parse(text);
  return !parsed && parsed.error().kind == ErrorKind::kInvalidInput;
}

TEST(Decimal, ReadsPlainAndSignedNumbers) {
  EXPECT_EQ(units("0"), 0);
  EXPECT_EQ(units("1"), 100'000'000);
  EXPECT_EQ(units("-1.5"), -150'000'000);
  EXPECT_EQ(units("+0.00000001"), 1);
  EXPECT_EQ(units("39432.48000000"), 3'943'248'000'000);
  EXPECT_EQ(units(".5"), 50'000'000);
  EXPECT_EQ(units("5."), 500'000'000);
}

TEST(Decimal, HoldsItsLargestValueAndNoLarger) {
  EXPECT_EQ(units("9999999999.99999999"), Decimal18_8::kUnitsMax);
  EXPECT_EQ(units("-9999999999.99999999"), -Decimal18_8::kUnitsMax);
  EXPECT_TRUE(refused("10000000000"));
  EXPECT_TRUE(refused("99999999999999999999999999"));
}

TEST(Decimal, NeverRounds) {
  EXPECT_TRUE(refused("0.000000001"));
  EXPECT_TRUE(refused("1.123456789"));
  EXPECT_EQ(units("1.12345678000000000000000000"), 112'345'678);
}

TEST(Decimal, ReadsExponents) {
  EXPECT_EQ(units("1e-8"), 1);
  EXPECT_EQ(units("1.5E3"), 150'000'000'000);
  EXPECT_EQ(units("100e-2"), 100'000'000);
  EXPECT_EQ(units("0e999999999999999999999"), 0);
  EXPECT_TRUE(refused("1e-9"));
  EXPECT_TRUE(refused("1e10"));
  EXPECT_TRUE(refused("1e99999999999999999999"));
}

TEST(Decimal, RefusesWhatIsNotANumber) {
  for (const char* text : {"", "-", "+", ".", "e5", "1e", "1e+", "1 ", " 1", "1,5", "NaN", "inf", "0x10", "1..2", "--1", "1-"})
    EXPECT_TRUE(refused(text)) << text;
}

TEST(Decimal, WritesEightFractionalDigits) {
  EXPECT_EQ(Decimal18_8::parse("-0.00000001")->to_string(), "-0.00000001");
  EXPECT_EQ(Decimal18_8::parse("7")->to_string(), "7.00000000");
  EXPECT_EQ(Decimal18_8::parse("-9999999999.99999999")->to_string(), "-9999999999.99999999");
}

TEST(Decimal, UnitsOutOfRangeAreRefused) {
  EXPECT_TRUE(Decimal18_8::from_units(Decimal18_8::kUnitsMax));
  EXPECT_FALSE(Decimal18_8::from_units(Decimal18_8::kUnitsMax + 1));
  EXPECT_FALSE(Decimal18_8::from_units(INT64_MIN));
}

}  // namespace
}  // namespace k2
