#include "exchange/faults.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "exchange/ledger.h"

namespace k2 {
namespace {

constexpr int64_t kS = 1'000'000;

FaultRule rule(std::string_view text) { return parse_fault_rule(text).value(); }

/// Trades 1 to `trades` of BTCUSDT, one a second from second 1 on; those at which something fires.
std::vector<int64_t> firing_at(FaultPlan& plan, int64_t trades) {
  std::vector<int64_t> out;
  for (int64_t n = 1; n <= trades; ++n) {
    plan.trade_happens("BTCUSDT", n, n * kS);
    if (!plan.fire(FaultSite::kTrade, {.symbol = "BTCUSDT"}, n * kS).empty()) out.push_back(n);
  }
  return out;
}

TEST(Faults, AreReadFromOneWord) {
  const FaultRule hole = rule("hole:symbol=BTCUSDT,at_trade=500,count=20,clients=1,probability=0.5,duration=2s");
  EXPECT_EQ(hole.kind, FaultKind::kHole);
  EXPECT_EQ(hole.symbol, "BTCUSDT");
  EXPECT_EQ(hole.at_trade, 500);
  EXPECT_EQ(hole.count, 20);
  EXPECT_EQ(hole.clients_max, 1);
  EXPECT_EQ(hole.probability, 0.5);
  EXPECT_EQ(hole.duration_us, 2 * kS);
  EXPECT_EQ(rule("cut").count, 1);
  EXPECT_EQ(rule("rest_429:duration=1s").count, 0);
  EXPECT_EQ(rule("server_shutdown:delay=50ms").delay_us, 50'000);
  EXPECT_EQ(rule("rest_lag").value, 100);
  for (const char* wrong : {"", "no_such", "cut:count", "cut:count=-1", "cut:colour=red", "cut:probability=0", "cut:duration=x"})
    EXPECT_EQ(parse_fault_rule(wrong).error().kind, ErrorKind::kInvalidInput) << wrong;
}

TEST(Faults, EveryKindHasItsRowInTheTable) {
  for (const FaultInfo& info : fault_table()) {
    EXPECT_EQ(fault_info(info.kind).name, info.name);
    EXPECT_EQ(rule(info.name).kind, info.kind);
  }
}

TEST(Faults, FireFromTheTradeOnAsOftenAsAsked) {
  FaultPlan plan(1);
  plan.add(rule("hole:at_trade=5,count=3"), 0);
  EXPECT_THAT(firing_at(plan, 20), testing::ElementsAre(5, 6, 7));
  EXPECT_TRUE(plan.is_idle());
  EXPECT_EQ(plan.fired(FaultKind::kHole), 3u);
}

TEST(Faults, FireAsLongAsTheyLast) {
  FaultPlan plan(1);
  plan.add(rule("hole:at_trade=5,duration=4s"), 0);
  EXPECT_THAT(firing_at(plan, 20), testing::ElementsAre(5, 6, 7, 8));
}

TEST(Faults, ConcernTheirOwnSymbolSiteAndPath) {
  FaultPlan plan(1);
  plan.add(rule("hole:symbol=ETHUSDT"), 0);
  plan.add(rule("rest_429:path=historicalTrades,symbol=ETHUSDT"), 0);
  EXPECT_TRUE(firing_at(plan, 5).empty());
  EXPECT_TRUE(plan.fire(FaultSite::kRest, {.symbol = "ETHUSDT", .path = "/api/v3/time"}, 0).empty());
  EXPECT_TRUE(plan.fire(FaultSite::kRest, {.symbol = "BTCUSDT", .path = "/api/v3/historicalTrades"}, 0).empty());
  EXPECT_EQ(plan.fire(FaultSite::kRest, {.symbol = "ETHUSDT", .path = "/api/v3/historicalTrades"}, 0).size(), 1u);
}

TEST(Faults, WithAProbabilityFireNowAndThenTheSameWithTheSameSeed) {
  FaultPlan plan(7);
  FaultPlan again(7);
  plan.add(rule("cut:probability=0.2,count=0"), 0);
  again.add(rule("cut:probability=0.2,count=0"), 0);
  const auto at = firing_at(plan, 1000);
  EXPECT_GT(at.size(), 150u);
  EXPECT_LT(at.size(), 250u);
  EXPECT_EQ(at, firing_at(again, 1000));
}

TEST(Faults, ADayIsOverWhenAConnectionIsOldEnough) {
  FaultPlan plan(1);
  plan.add(rule("day_cut:delay=3s,count=0"), 0);
  EXPECT_TRUE(plan.fire(FaultSite::kAge, {.age_us = 2 * kS}, 0).empty());
  EXPECT_EQ(plan.fire(FaultSite::kAge, {.age_us = 3 * kS}, 0).size(), 1u);
}

std::vector<int64_t> ids(const std::vector<SimTrade>& trades) {
  std::vector<int64_t> out;
  for (const SimTrade& trade : trades) out.push_back(trade.id);
  return out;
}

TEST(Ledger, KnowsItsTradesByIdAndAfterAnewBeginningOnlyTheNewOnes) {
  using testing::ElementsAre;
  Ledger ledger(6);
  for (const int64_t id : {1, 2, 3, 7, 8}) ledger.add({.id = id});
  EXPECT_THAT(ids(ledger.from_id(3, 2)), ElementsAre(3, 7));
  EXPECT_THAT(ids(ledger.from_id(4, 10)), ElementsAre(7, 8));
  EXPECT_THAT(ids(ledger.from_id(1, 10, 2)), ElementsAre(1, 2, 3));
  EXPECT_THAT(ids(ledger.recent(2, 1)), ElementsAre(3, 7));
  EXPECT_TRUE(ledger.recent(2, 9).empty());
  ledger.begin_ids_anew();
  EXPECT_TRUE(ledger.empty());
  for (const int64_t id : {1, 2}) ledger.add({.id = id});
  EXPECT_THAT(ids(ledger.from_id(1, 10)), ElementsAre(1, 2));
  EXPECT_THAT(ids(ledger.recent(10)), ElementsAre(1, 2));
  EXPECT_THAT(ids(ledger.all()), ElementsAre(2, 3, 7, 8, 1, 2));
  size_t first = 1;
  EXPECT_THAT(ids(ledger.from_ordinal(first, 3)), ElementsAre(2, 3, 7));  // the first is forgotten
  EXPECT_EQ(first, 2u);
  first = 7;
  EXPECT_THAT(ids(ledger.from_ordinal(first, 3)), ElementsAre(2));
  first = 8;
  EXPECT_TRUE(ledger.from_ordinal(first, 3).empty());
}

}  // namespace
}  // namespace k2
