#include "api/params.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace k2 {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr TimestampUs kNow{1'610'064'000'000'000};

auto read(const QueryParams& given) { return read_params(event_params(), given, kNow); }

TEST(ParamsTest, SymbolsMayRepeatOrBeSeparatedByCommas) {
  const auto query = read({{"symbol", "A,B"}, {"symbol", "C"}});
  ASSERT_TRUE(query);
  EXPECT_THAT(query->events.symbols, ElementsAre("A", "B", "C"));
  EXPECT_EQ(*query->events.limit, kLimitDefault);
}

TEST(ParamsTest, AWindowCountsBackFromNow) { EXPECT_EQ(read({{"window_minutes", "15"}})->events.start->us, kNow.us - 900'000'000); }

TEST(ParamsTest, WhatIsUnknownIsRefusedWithWhatIsKnown) {
  const auto query = read({{"symbl", "A"}});
  ASSERT_FALSE(query);
  EXPECT_EQ(query.error().parameter, "symbl");
  EXPECT_THAT(query.error().detail, HasSubstr("known: symbol, exchange, start"));
}

TEST(ParamsTest, EachBadValueNamesItsParameterAndWhatIsAllowed) {
  const std::pair<const char*, const char*> bad[] = {
      {"limit", "-1"},         {"limit", "0"},    {"limit", "1000001"}, {"limit", "1x"},     {"limit", ""},     {"window_minutes", "x"},
      {"window_minutes", "0"}, {"start", "soon"}, {"end", "tomorrow"},  {"format", "table"}, {"format", ""},    {"order", "alphabetic"},
      {"times", "ns"},         {"symbol", ""},    {"symbol", "A,,B"},   {"exchange", ""},    {"read_token", ""}};
  for (const auto& [name, value] : bad) {
    const auto query = read({{name, value}});
    ASSERT_FALSE(query) << name << "=" << value;
    EXPECT_EQ(query.error().parameter, name);
    EXPECT_THAT(query.error().detail, HasSubstr("want ")) << name;
  }
}

TEST(ParamsTest, SingleParametersMayNotRepeatNorContradict) {
  EXPECT_FALSE(read({{"limit", "1"}, {"limit", "2"}}));
  EXPECT_FALSE(read({{"window_minutes", "5"}, {"start", "-5m"}}));
  EXPECT_FALSE(read({{"start", "2021-01-02"}, {"end", "2021-01-01"}}));
}

TEST(ParamsTest, AcceptChoosesTheFormat) {
  EXPECT_EQ(accepted_format(""), Format::kJson);
  EXPECT_EQ(accepted_format("*/*"), Format::kJson);
  EXPECT_EQ(accepted_format("text/html, text/csv;q=0.9"), Format::kCsv);
  EXPECT_EQ(accepted_format("application/vnd.apache.arrow.stream"), Format::kArrow);
  EXPECT_EQ(accepted_format("image/png"), std::nullopt);
}

}  // namespace
}  // namespace k2
