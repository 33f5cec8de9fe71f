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

TEST(ParamsTest, MembersOfABodyAreReadAsParametersAre) {
  const auto members = read_members(event_params(), R"({"symbol":["A","B"],"limit":5,"start":1610064000000000,"order":"oldest"})");
  ASSERT_TRUE(members);
  const auto query = read(*members);
  ASSERT_TRUE(query);
  EXPECT_THAT(query->events.symbols, ElementsAre("A", "B"));
  EXPECT_EQ(query->events.limit, 5);
  EXPECT_EQ(query->events.start->us, kNow.us);
}

TEST(ParamsTest, ABodyThatIsNoObjectIsNoMembersFault) {
  for (const std::string& body : {std::string(""), std::string("[]"), std::string("{"), std::string("1"), std::string(100, '[')}) {
    const auto members = read_members(event_params(), body);
    ASSERT_FALSE(members) << body;
    EXPECT_EQ(members.error().parameter, "") << body;
  }
}

TEST(ParamsTest, AMemberOfAnotherTypeIsRefusedByName) {
  for (const char* body : {R"({"limit":"5"})", R"({"limit":1.5})", R"({"limit":true})", R"({"limit":null})", R"({"limit":[5]})",
                           R"({"limit":{}})", R"({"limit":1,"limit":2})"}) {
    const auto members = read_members(event_params(), body);
    ASSERT_FALSE(members) << body;
    EXPECT_EQ(members.error().parameter, "limit") << body;
  }
  EXPECT_EQ(read_members(event_params(), R"({"symbol":"A"})").error().parameter, "symbol");
  EXPECT_FALSE(read(read_members(event_params(), R"({"nosuch":1})").value()));
}

}  // namespace
}  // namespace k2
