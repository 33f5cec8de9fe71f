#include "app/health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace k2 {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr TimestampUs kNow{1'800'000'000 * kUsPerSecond};

HealthFacts well() {
  HealthFacts facts{.now = kNow};
  facts.feed.emplace().connected = true;
  facts.gaps.emplace();
  facts.quotes.emplace();
  facts.ingest.emplace();
  return facts;
}

void expect(const HealthFacts& facts, std::string_view word, const std::string& problem) {
  EXPECT_EQ(health_word(facts), word);
  EXPECT_THAT(health_problems(facts), ElementsAre(problem));
}

TEST(Health, IsOkWhereNothingIsWrongAndWhereNothingRuns) {
  EXPECT_EQ(health_word(well()), "ok");
  EXPECT_THAT(health_problems(well()), IsEmpty());
  EXPECT_EQ(health_word({}), "ok");
}

TEST(Health, OpenGapsAreSaidWithTheirSymbols) {
  HealthFacts facts = well();
  facts.gaps->open = 2;
  facts.gaps->missing = 1'234;
  facts.gaps->symbols = {{"binance", "BTCUSDT", 2, 1'234}};
  expect(facts, "degraded", "2 gaps open: 1,234 trades of BTCUSDT missing; see /v1/coverage or `k2 gaps`");
  facts.gaps->symbols = {{"binance", "BTCUSDT", 1, 1}, {"binance", "ETHUSDT", 1, 1'233}};
  facts.gaps->last_error = "no endpoint answers";
  expect(facts, "degraded",
         "2 gaps open: 1 trade of BTCUSDT, 1,233 of ETHUSDT missing; see /v1/coverage or `k2 gaps`; last error: no endpoint answers");
}

TEST(Health, WhatWasLostIsSaidForAnHour) {
  HealthFacts facts = well();
  facts.gaps->lost = 1;
  facts.gaps->last_lost_us = kNow.us - kLossRememberedUs + 1;
  expect(facts, "degraded",
         "1 trade lost for good since the start, last known at 2027-01-15T07:00:00.000001Z; see /v1/coverage?status=lost");
  --facts.gaps->last_lost_us;
  EXPECT_EQ(health_word(facts), "ok");
}

TEST(Health, OutagesOfQuotesAreSaidForAnHour) {
  HealthFacts facts = well();
  *facts.quotes = {.outages = 2, .last_us = kNow.us - kUsPerSecond, .last_symbol = "ETHUSDT"};
  expect(facts, "degraded",
         "2 outages of quotes since the start, the last of ETHUSDT until 2027-01-15T07:59:59.000000Z; see "
         "/v1/coverage?channel=quotes&status=lost");
}

TEST(Health, ALostConnectionIsDegradedAndWithoutAnyEndpointItFails) {
  HealthFacts facts = well();
  facts.feed->connected = false;
  facts.feed->endpoint = "wss://a";
  facts.feed->last_error = "refused";
  expect(facts, "degraded", "not connected to Binance (wss://a, backing_off); last error: refused");
  facts.not_ready = "all endpoints were tried in vain";
  EXPECT_EQ(health_word(facts), "failing");
  EXPECT_EQ(health_problems(facts).front(), "all endpoints were tried in vain");
}

TEST(Health, ALogThatIsAwayAndWhatWasLeftOutAreSaid) {
  HealthFacts facts = well();
  facts.ingest->breaker = CircuitBreaker::State::kOpen;
  facts.ingest->pending = 12;
  expect(facts, "degraded", "the log does not take what comes: 12 records wait in memory");
  facts.ingest->breaker = CircuitBreaker::State::kClosed;
  facts.ingest->trades_shed = 1'000;
  facts.ingest->quotes_shed = 1;
  facts.ingest->last_shed_us = kNow.us;
  expect(facts, "degraded",
         "1,000 trades (asked for again) and 1 quote left out because too much waited for the log, last at 2027-01-15T08:00:00.000000Z");
}

TEST(Health, ATableWhoseCommitsFailIsSaid) {
  HealthFacts facts = well();
  facts.tables = {{"quotes_v2", 0, ""}, {"trades_v2", 7, "disk full"}};
  expect(facts, "degraded", "trades_v2: 7 rows wait: disk full");
}

}  // namespace
}  // namespace k2
