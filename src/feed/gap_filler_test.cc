#include "feed/gap_filler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

namespace k2 {
namespace {

using Range = SequenceRanges::Range;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kMinute = 60 * kSecond;

SequenceRanges ranges(std::string_view text) { return *SequenceRanges::parse(text); }

/// "opened 5-9", in the order told.
std::vector<std::string> texts(const std::vector<GapEvent>& events) {
  constexpr const char* kNames[] = {"opened", "too_large", "stuck", "backfilled", "arrived", "not_issued", "forgotten", "unreadable"};
  std::vector<std::string> out;
  for (const GapEvent& event : events)
    out.push_back(std::string(kNames[static_cast<size_t>(event.kind)]) + " " + std::to_string(event.range.first) + "-" +
                  std::to_string(event.range.last));
  return out;
}

/// One source with holes, and what the log has of it.
struct OneSource {
  explicit OneSource(std::string_view taken_text, const GapPolicy& policy = {}) : filler(policy), taken(ranges(taken_text)) {
    filler.add_source("binance", "BTCUSDT");
    look();
  }

  void look() { filler.observe(0, {taken, taken.without(loaded), settled}, now); }
  std::optional<GapRequest> ask() {
    const GapAction action = filler.next(now);
    if (const auto* request = std::get_if<GapRequest>(&action)) return *request;
    return std::nullopt;
  }
  int64_t wait_until() { return std::get<GapWait>(filler.next(now)).until_us; }
  /// Moves the clock on, asks, and answers with those of `issued` that the request reaches.
  GapRequest ask_and_answer(int64_t after_us, const std::vector<int64_t>& issued) {
    now += after_us;
    const auto request = ask();
    if (!request) {
      ADD_FAILURE() << "nothing is asked at " << now;
      return {};
    }
    GapAnswer answer;
    for (const int64_t id : issued)
      if (id >= request->from_id && answer.ids.size() < static_cast<size_t>(request->limit)) answer.ids.push_back(id);
    for (const int64_t id : answer.ids)
      if (log_takes && id >= request->wanted.first && id <= request->wanted.last) taken.insert(id);
    filler.answered(answer, now);
    look();
    return *request;
  }
  std::vector<std::string> told() { return texts(filler.take_events()); }

  GapFiller filler;
  SequenceRanges taken;
  SequenceRanges settled;
  SequenceRanges loaded;  // of those taken, from files alone
  int64_t now = 0;
  bool log_takes = true;  // what is handed over
};

TEST(GapFiller, LeavesAYoungHoleAloneThenAsksForItWithItsNeighbours) {
  OneSource source("1-4,8-9");
  EXPECT_EQ(source.wait_until(), 2 * kSecond);
  EXPECT_THAT(source.told(), IsEmpty());
  const GapRequest request = source.ask_and_answer(2 * kSecond, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  EXPECT_EQ(request.from_id, 4);
  EXPECT_EQ(request.limit, 5);
  EXPECT_EQ(request.wanted, (Range{5, 7}));
  EXPECT_THAT(source.told(), ElementsAre("opened 5-7", "backfilled 5-7"));
  EXPECT_EQ(source.filler.totals("binance").open, 0);
  EXPECT_EQ(source.wait_until(), INT64_MAX);
  EXPECT_THAT(source.told(), IsEmpty());
}

TEST(GapFiller, AsksAgainForWhatTheLogDoesNotShow) {
  OneSource source("1-4,8-9");
  source.log_takes = false;
  source.ask_and_answer(2 * kSecond, {4, 5, 6, 7, 8});
  EXPECT_THAT(source.told(), ElementsAre("opened 5-7"));
  EXPECT_EQ(source.filler.totals("binance").open, 1);
  EXPECT_EQ(source.wait_until(), 62 * kSecond);
  source.log_takes = true;
  source.ask_and_answer(kMinute, {4, 5, 6, 7, 8});
  EXPECT_THAT(source.told(), ElementsAre("backfilled 5-7"));
}

TEST(GapFiller, AHoleThatClosesByItselfWasNoGap) {
  OneSource source("1-4,8-9");
  source.now = kSecond;
  source.taken = ranges("1-9");
  source.look();
  EXPECT_EQ(source.wait_until(), INT64_MAX);
  EXPECT_THAT(source.told(), IsEmpty());
}

TEST(GapFiller, AnOpenHoleThatFillsFromElsewhereHasArrived) {
  OneSource source("1-4,8-9");
  source.now = 2 * kSecond;
  ASSERT_TRUE(source.ask());
  source.filler.failed(GapFailure::kUnreachable, "down", 0, source.now);
  source.taken = ranges("1-5,7-9");
  source.look();
  EXPECT_THAT(source.told(), ElementsAre("opened 5-7", "arrived 5-5", "arrived 7-7"));
  EXPECT_EQ(source.filler.totals("binance").missing, 1);
}

TEST(GapFiller, BelievesThatIdsWereNotIssuedWhenTwoAnswersAgree) {
  OneSource source("1-4,8-9");
  source.ask_and_answer(2 * kSecond, {4, 6, 8});
  EXPECT_THAT(source.told(), ElementsAre("opened 5-7", "backfilled 6-6"));
  source.taken.insert(6);
  source.look();
  EXPECT_EQ(source.wait_until(), 32 * kSecond);
  const GapRequest request = source.ask_and_answer(30 * kSecond, {4, 6, 8});
  EXPECT_EQ(request.wanted, (Range{5, 7})) << "both holes in one request";
  EXPECT_THAT(source.told(), ElementsAre("not_issued 5-5", "not_issued 7-7"));
  source.settled = ranges("5,7");
  source.look();
  EXPECT_EQ(source.wait_until(), INT64_MAX);
}

TEST(GapFiller, AnAnswerThatComesLaterAfterAllIsTaken) {
  OneSource source("1-4,8-9");
  source.ask_and_answer(2 * kSecond, {4, 8});
  source.ask_and_answer(30 * kSecond, {4, 5, 6, 7, 8});
  EXPECT_THAT(source.told(), ElementsAre("opened 5-7", "backfilled 5-7"));
}

TEST(GapFiller, WhatWasSettledAndIsReturnedAfterAllIsBackfilled) {
  OneSource source("1-4,9-10");
  source.settled = ranges("6");
  source.look();
  source.log_takes = false;
  const GapRequest request = source.ask_and_answer(2 * kSecond, {4, 5, 6, 7, 8, 9});
  EXPECT_EQ(request.wanted, (Range{5, 8}));
  EXPECT_THAT(source.told(), ElementsAre("opened 5-5", "opened 7-8")) << "the log has not got it yet";
  source.taken = ranges("1-10");
  source.look();
  EXPECT_THAT(source.told(), ElementsAre("backfilled 5-5", "backfilled 7-8", "backfilled 6-6"));
}

TEST(GapFiller, DoesNotBelieveAnAnswerThatLacksWhatWeHave) {
  OneSource source("1-4,7,9-10");
  source.ask_and_answer(2 * kSecond, {4, 10});  // a replica without 7 and 9
  for (int i = 0; i < 10; ++i) source.ask_and_answer(10 * kMinute, {4, 10});
  EXPECT_THAT(source.told(), ElementsAre("opened 5-6", "opened 8-8", "stuck 5-6", "stuck 8-8"));
  EXPECT_EQ(source.filler.totals("binance").open, 2);
}

TEST(GapFiller, IdsBeyondTheVenuesNewestAreNeverCalledNotIssued) {
  OneSource source("1-4,8-9");
  source.ask_and_answer(2 * kSecond, {4, 5});
  EXPECT_THAT(source.told(), ElementsAre("opened 5-7", "backfilled 5-5"));
  source.taken.insert(5);
  source.look();
  for (int i = 0; i < 10; ++i) source.ask_and_answer(10 * kMinute, {4, 5});
  EXPECT_THAT(source.told(), ElementsAre("stuck 6-7"));
  source.ask_and_answer(10 * kMinute, {5, 6, 7, 8, 9});
  EXPECT_THAT(source.told(), ElementsAre("backfilled 6-7"));
}

TEST(GapFiller, AnEmptyAnswerProvesNothing) {
  OneSource source("1-4,8-9");
  for (int i = 0; i < 5; ++i) source.ask_and_answer(10 * kMinute, {});
  EXPECT_THAT(source.told(), ElementsAre("opened 5-7", "stuck 5-7"));
}

TEST(GapFiller, WhatTheVenueHasForgottenIsLost) {
  OneSource source("1-4,8-9");
  source.ask_and_answer(2 * kSecond, {7, 8, 9});
  source.taken.insert(7);
  source.look();
  source.ask_and_answer(9 * kMinute + 59 * kSecond + kSecond, {7, 8, 9});
  EXPECT_THAT(source.told(), ElementsAre("opened 5-7", "backfilled 7-7", "forgotten 5-6"));
}

TEST(GapFiller, ARowThatCannotBeReadIsLost) {
  OneSource source("1-4,8-9");
  source.now = 2 * kSecond;
  ASSERT_TRUE(source.ask());
  source.filler.answered({.ids = {4, 5, 6, 7, 8}, .unreadable = {6}}, source.now);
  source.taken = ranges("1-5,7-9");
  source.settled = ranges("6");
  source.look();
  EXPECT_THAT(source.told(), ElementsAre("opened 5-7", "unreadable 6-6", "backfilled 5-5", "backfilled 7-7"));
  EXPECT_EQ(source.wait_until(), INT64_MAX);
}

TEST(GapFiller, FetchesALongHoleInPagesUpwards) {
  OneSource source("1-4,2505-2600");
  std::vector<int64_t> all(2600);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i) + 1;
  EXPECT_EQ(source.ask_and_answer(2 * kSecond, all).from_id, 4);
  EXPECT_EQ(source.ask_and_answer(0, all).from_id, 1003);
  const GapRequest third = source.ask_and_answer(0, all);
  EXPECT_EQ(third.from_id, 2002);
  EXPECT_EQ(third.limit, 504);
  EXPECT_THAT(source.told(), ElementsAre("opened 5-2504", "backfilled 5-1003", "backfilled 1004-2002", "backfilled 2003-2504"));
}

TEST(GapFiller, ATooLargeHoleIsToldOnceAndFetchedWhenItHasShrunk) {
  OneSource source("1-4,2000-2600", {.trades_max = 1000});
  source.now = 2 * kSecond;
  EXPECT_EQ(source.wait_until(), INT64_MAX);
  EXPECT_EQ(source.wait_until(), INT64_MAX);
  EXPECT_THAT(source.told(), ElementsAre("too_large 5-1999"));
  source.taken = ranges("1-1900,2000-2600");  // a dump was loaded
  source.now += kMinute;
  source.look();
  EXPECT_EQ(source.ask()->wanted, (Range{1901, 1999}));
  EXPECT_THAT(source.told(), ElementsAre("arrived 5-1900", "opened 1901-1999"));
}

TEST(GapFiller, TheNewestHoleComesFirst) {
  OneSource source("1-4,8-9,5000-5001,5005-5006");
  EXPECT_EQ(source.ask_and_answer(2 * kSecond, {5001, 5002, 5003, 5004, 5005}).wanted, (Range{5002, 5004}));
}

TEST(GapFiller, SymbolsTakeTurns) {
  GapFiller filler({});
  const SequenceRanges taken = ranges("1-4,100000-100001");
  for (const char* symbol : {"A", "B", "C"}) filler.observe(filler.add_source("binance", symbol), {taken, taken, {}}, 0);
  std::string order;
  for (int i = 0; i < 6; ++i) {
    const auto request = std::get<GapRequest>(filler.next(2 * kSecond));
    order += filler.symbol_of(request.source);
    GapAnswer answer;
    for (int64_t id = request.from_id; id < request.from_id + request.limit; ++id) answer.ids.push_back(id);
    filler.answered(answer, 2 * kSecond);
  }
  EXPECT_EQ(order, "ABCABC");
}

TEST(GapFiller, SpendsNoMoreThanItsWeightInAnyMinute) {
  OneSource source("1-4,200000-200001", {.weight_per_minute = 100});
  std::vector<int64_t> asked_at;
  for (int i = 0; i < 40; ++i) {
    const GapAction action = source.filler.next(source.now);
    if (const auto* wait = std::get_if<GapWait>(&action)) {
      source.now = wait->until_us;
      continue;
    }
    asked_at.push_back(source.now);
    GapAnswer answer;
    for (int64_t n = 0; n < 1000; ++n) answer.ids.push_back(std::get<GapRequest>(action).from_id + n);
    source.filler.answered(answer, source.now);
  }
  ASSERT_GT(asked_at.size(), 12u);
  for (size_t i = 4; i < asked_at.size(); ++i) EXPECT_GE(asked_at[i] - asked_at[i - 4], kMinute);
  EXPECT_LE(source.filler.weight_spent("binance", source.now), 100);
}

TEST(GapFiller, WaitsWhereTheVenueCountsMoreThanWeDid) {
  OneSource source("1-4,8-9,5000-5001,5005-5006");
  source.now = 2 * kSecond;
  ASSERT_TRUE(source.ask());
  source.filler.answered({.ids = {5001, 5002, 5003, 5004, 5005}, .used_weight = 4'990}, source.now);
  EXPECT_EQ(source.wait_until(), 62 * kSecond);
}

TEST(GapFiller, HonoursRetryAfterForTheWholeExchangeAndNoOther) {
  GapFiller filler({});
  const SequenceRanges taken = ranges("1-4,8-9");
  for (const char* exchange : {"binance", "binance", "binance_us"}) filler.observe(filler.add_source(exchange, "A"), {taken, taken, {}}, 0);
  ASSERT_EQ(std::get<GapRequest>(filler.next(2 * kSecond)).source, 0u);
  filler.failed(GapFailure::kBanned, "418", 300 * kSecond, 2 * kSecond);
  ASSERT_EQ(std::get<GapRequest>(filler.next(2 * kSecond)).source, 2u);
  filler.failed(GapFailure::kRateLimited, "429", 7 * kSecond, 2 * kSecond);
  EXPECT_EQ(std::get<GapWait>(filler.next(2 * kSecond)).until_us, 9 * kSecond);
  EXPECT_EQ(std::get<GapRequest>(filler.next(9 * kSecond)).source, 2u);
  filler.failed(GapFailure::kKeyNeeded, "key", 0, 9 * kSecond);
  EXPECT_EQ(std::get<GapWait>(filler.next(9 * kSecond)).until_us, 302 * kSecond);
  EXPECT_THAT(texts(filler.take_events()), testing::Contains("stuck 5-7"));
}

TEST(GapFiller, BacksOffFromAnUnreachableVenueFrom1SecondTo60) {
  OneSource source("1-4,8-9");
  source.now = 2 * kSecond;
  for (const int64_t wait : {1, 2, 4, 8, 16, 32, 60, 60}) {
    ASSERT_TRUE(source.ask());
    source.filler.failed(GapFailure::kUnreachable, "down", 0, source.now);
    EXPECT_EQ(source.wait_until(), source.now + wait * kSecond);
    source.now += wait * kSecond;
  }
  source.ask_and_answer(0, {4, 8});
  source.ask_and_answer(kMinute, {4, 5, 8});
}

TEST(GapFiller, AnAnswerThatDoesNotRiseFromTheIdAskedForIsNone) {
  for (const std::vector<int64_t>& ids : std::vector<std::vector<int64_t>>{{3, 4, 5}, {4, 4}, {6, 5}, {4, 5, 6, 7, 8, 9}}) {
    OneSource source("1-4,8-9");
    source.now = 2 * kSecond;
    ASSERT_TRUE(source.ask());
    source.filler.answered({.ids = ids}, source.now);
    EXPECT_THAT(source.told(), ElementsAre("opened 5-7"));
    EXPECT_EQ(source.wait_until(), 3 * kSecond);
  }
}

TEST(GapFiller, ChecksTheTailAfterAReconnectUntilTwoAnswersHaveNothingNew) {
  OneSource source("1-4");
  source.filler.check_tail(0, source.now);
  GapRequest request = source.ask_and_answer(2 * kSecond, {1, 2, 3, 4, 5, 6});
  EXPECT_TRUE(request.is_tail);
  EXPECT_EQ(request.from_id, 5);
  EXPECT_THAT(source.told(), ElementsAre("backfilled 5-6"));
  source.taken = ranges("1-6");
  source.look();
  EXPECT_EQ(source.ask_and_answer(30 * kSecond, {1, 2, 3, 4, 5, 6}).from_id, 7);
  EXPECT_EQ(source.wait_until(), INT64_MAX);
}

TEST(GapFiller, TheTailOfASymbolThatNeverRestsEndsAsWell) {
  OneSource source("1-4");
  source.filler.check_tail(0, source.now);
  source.ask_and_answer(2 * kSecond, {5, 6});
  source.ask_and_answer(30 * kSecond, {7, 8});
  EXPECT_EQ(source.wait_until(), INT64_MAX);
}

TEST(GapFiller, ATailEndsWhenTheLogHasWhatTheLastAnswerBrought) {
  OneSource source("1-4");
  source.filler.check_tail(0, source.now);
  source.ask_and_answer(2 * kSecond, {5, 6});
  source.log_takes = false;
  source.ask_and_answer(30 * kSecond, {7, 8});
  source.log_takes = true;
  EXPECT_EQ(source.ask_and_answer(30 * kSecond, {7, 8}).from_id, 7);
  EXPECT_EQ(source.wait_until(), INT64_MAX);
}

TEST(GapFiller, AnUnreadableNewestTradeIsLostOnce) {
  OneSource source("1-4");
  source.filler.check_tail(0, source.now);
  for (int i = 0; i < 2; ++i) {
    source.now += i == 0 ? 2 * kSecond : 30 * kSecond;
    ASSERT_TRUE(source.ask());
    source.filler.answered({.ids = {5}, .unreadable = {5}}, source.now);
    source.settled = ranges("5");
    source.look();
  }
  EXPECT_THAT(source.told(), ElementsAre("unreadable 5-5"));
  EXPECT_EQ(source.wait_until(), INT64_MAX);
}

TEST(GapFiller, WhatIsAboutToCloseIsNotStuck) {
  OneSource source("1-4,8-9");
  source.log_takes = false;
  source.ask_and_answer(2 * kSecond, {4, 8});
  source.ask_and_answer(30 * kSecond, {4, 6, 8});
  EXPECT_THAT(source.told(), ElementsAre("opened 5-7", "not_issued 5-5", "not_issued 7-7"));
  source.taken = ranges("1-4,8-9,11");
  source.look();
  source.now += 2 * kSecond;
  ASSERT_TRUE(source.ask());
  source.filler.failed(GapFailure::kForbidden, "forbidden", 0, source.now);
  EXPECT_THAT(source.told(), ElementsAre("opened 10-10", "stuck 10-10")) << "6 was returned, 5 and 7 are settled";
}

TEST(GapFiller, ATailLetsHolesHaveTheirTurn) {
  OneSource source("1-4,6", {.confirm_after_us = 0});
  source.filler.check_tail(0, source.now);
  EXPECT_TRUE(source.ask_and_answer(2 * kSecond, {}).is_tail);
  source.filler.check_tail(0, source.now - 2 * kSecond);
  EXPECT_FALSE(source.ask_and_answer(0, {4, 6}).is_tail);
  EXPECT_TRUE(source.ask_and_answer(0, {}).is_tail);
}

TEST(GapFiller, AFirstTradeToldBeforeItsLineCounts) {
  OneSource source("1-4");
  source.filler.arrived(0, 5);
  source.filler.check_tail(0, source.now);
  source.taken = ranges("1-5");
  source.look();
  EXPECT_EQ(source.wait_until(), INT64_MAX);
  source.filler.arrived(0, 6);
  source.taken = ranges("1-6");
  source.look();
  source.filler.check_tail(0, source.now);
  source.look();
  EXPECT_EQ(source.wait_until(), 2 * kSecond) << "of a line before this one";
  source.filler.arrived(0, 7);
  source.filler.shed(0, source.now);
  source.taken = ranges("1-7");
  source.look();
  EXPECT_EQ(source.wait_until(), 2 * kSecond) << "8 may have been shed";
}

TEST(GapFiller, ATailThatDidNotReachTheLogIsAskedForAgain) {
  OneSource source("1-4");
  source.log_takes = false;
  source.filler.check_tail(0, source.now);
  source.ask_and_answer(2 * kSecond, {5, 6});
  EXPECT_EQ(source.ask_and_answer(30 * kSecond, {5, 6}).from_id, 5);
}

TEST(GapFiller, ALineThatDeliversNeedsNoTail) {
  OneSource source("1-4");
  source.filler.check_tail(0, source.now);
  source.filler.arrived(0, 9);
  source.look();
  EXPECT_EQ(source.wait_until(), 2 * kSecond) << "the log has not got it yet";
  source.taken = ranges("1-4,9");
  source.now = kSecond;
  source.look();
  EXPECT_EQ(source.wait_until(), 3 * kSecond) << "the hole";
}

TEST(GapFiller, WhatWasStatedAsOpenBeforeARestartIsClosedAfterIt) {
  GapFiller filler({});
  filler.add_source("binance", "BTCUSDT");
  filler.adopt(0, {5, 7}, false, 0);
  filler.adopt(0, {10, 12}, false, 0);
  filler.observe(0, {ranges("1-9,13"), ranges("1-9,13"), {}}, 0);
  (void)filler.next(2 * kSecond);
  EXPECT_THAT(texts(filler.take_events()), ElementsAre("arrived 5-7")) << "10-12 is known to be open";
  EXPECT_EQ(filler.totals("binance").missing, 3);
}

TEST(GapFiller, WhatWasStatedAsTooLargeOrStuckBeforeARestartIsNotToldAgain) {
  GapFiller filler({.trades_max = 100});
  filler.add_source("binance", "BTCUSDT");
  filler.adopt(0, {5, 204}, true, 0);
  filler.adopt(0, {206, 207}, true, 0);
  filler.adopt(0, {209, 209}, false, 0);
  filler.observe(0, {ranges("1-4,205,208,210"), ranges("1-4,205,208,210"), {}}, 0);
  ASSERT_TRUE(std::holds_alternative<GapRequest>(filler.next(2 * kSecond)));
  filler.failed(GapFailure::kForbidden, "forbidden", 0, 2 * kSecond);
  EXPECT_THAT(texts(filler.take_events()), ElementsAre("stuck 209-209"));
  EXPECT_EQ(filler.totals("binance").missing, 203);
}

TEST(GapFiller, WhatLiesBetweenAFileAndTheFeedIsNobodysLoss) {
  OneSource source("");
  source.loaded = ranges("1-9,15-19,900-910");
  source.taken = ranges("1-9,15-19,21-40,900-910");
  source.look();
  EXPECT_EQ(source.wait_until(), INT64_MAX);
  source.taken = ranges("1-9,15-19,21-40,43-50,900-910");
  source.look();
  EXPECT_EQ(source.ask_and_answer(2 * kSecond, {40, 41, 42, 43}).wanted, (Range{41, 42})) << "that is the feed's own";
  EXPECT_THAT(source.told(), ElementsAre("opened 41-42", "backfilled 41-42"));
  EXPECT_EQ(source.wait_until(), INT64_MAX);
}

TEST(GapFiller, TheTailFollowsTheFeedNotAFileOfHigherIds) {
  OneSource source("");
  source.loaded = ranges("30-39");
  source.taken = ranges("1-9,30-39");
  source.look();
  source.filler.check_tail(0, 0);
  source.filler.arrived(0, 13);
  source.look();
  EXPECT_EQ(source.ask_and_answer(2 * kSecond, {}).from_id, 10) << "the log has a higher id, and not 13";
  source.taken = ranges("1-9,13,30-39");
  source.look();
  EXPECT_EQ(source.ask_and_answer(2 * kSecond, {9, 10, 11, 12, 13}).wanted, (Range{10, 12}));
  EXPECT_EQ(source.wait_until(), INT64_MAX);
}

TEST(GapFiller, AFilesIdsProveNothingAgainstTheVenue) {
  OneSource source("");
  source.loaded = ranges("6");
  source.taken = ranges("1-4,6,8-9");
  source.look();
  source.ask_and_answer(2 * kSecond, {4, 8});
  source.ask_and_answer(30 * kSecond, {4, 8});
  EXPECT_THAT(source.told(), ElementsAre("opened 5-5", "opened 7-7", "not_issued 5-5", "not_issued 7-7"));
}

TEST(GapFiller, WithoutAFeedNothingIsMissing) {
  OneSource source("");
  source.loaded = source.taken = ranges("1-4,8-9");
  source.look();
  source.filler.check_tail(0, 0);
  EXPECT_EQ(source.wait_until(), INT64_MAX);
}

TEST(GapFiller, TracksTheNewestHolesWhereThereAreTooMany) {
  OneSource source("1,3,5,7,9", {.holes_max = 2});
  source.now = 2 * kSecond;
  ASSERT_TRUE(source.ask());
  EXPECT_THAT(source.told(), ElementsAre("opened 6-6", "opened 8-8"));
}

// --- A model exchange: what it issued, what its REST API says of it, and the log ------------------------------------------------------

struct ModelFaults {
  bool rest_lags = true;        // its newest trades are not there yet, by up to 20 s
  bool rest_omits = true;       // for up to 20 s an answer lacks some trade
  bool rest_fails = true;       // 429, 418, 5xx
  bool log_drops = true;        // what was handed over does not arrive
  bool crashes = true;          // the filler forgets everything
};

class ModelExchange {
 public:
  ModelExchange(uint64_t seed, const GapPolicy& policy, const ModelFaults& faults)
      : random_(seed), policy_(policy), faults_(faults), filler_(std::make_unique<GapFiller>(policy)) {
    for (const char* symbol : {"A", "B", "C"}) {
      books_.emplace_back();
      filler_->add_source("binance", symbol);
    }
  }

  /// Half an hour of trading with trouble, then quiet hours.
  void run() {
    for (; now_ < 30 * kMinute; step()) trade();
    quiet_ = true;
    for (Book& book : books_) deliver(book, issue(book));  // so that every hole has an end
    for (const int64_t end = now_ + 3 * 60 * kMinute; now_ < end;) step();
  }

  /// What is wrong, by looking at the ledgers alone.
  [[nodiscard]] std::vector<std::string> verify() const {
    std::vector<std::string> wrong;
    for (size_t i = 0; i < books_.size(); ++i) {
      const Book& book = books_[i];
      for (int64_t id = book.taken.ranges().front().first; id <= book.next_id; ++id) {
        const bool was_issued = book.issued.contains(id);
        const bool taken = book.taken.contains(id);
        if (was_issued && !taken) wrong.push_back("issued and not taken: " + std::to_string(id));
        if (!was_issued && taken) wrong.push_back("taken and never issued: " + std::to_string(id));
        if (was_issued && book.settled.contains(id)) wrong.push_back("called not issued: " + std::to_string(id));
        if (!was_issued && id < *book.taken.last() && !book.settled.contains(id)) wrong.push_back("left open: " + std::to_string(id));
      }
    }
    return wrong;
  }
  [[nodiscard]] int64_t requests() const { return requests_; }

 private:
  struct Book {
    std::map<int64_t, int64_t> issued;  // id to time
    std::map<int64_t, int64_t> hidden_until;
    int64_t next_id = 100;
    SequenceRanges taken;
    SequenceRanges settled;
    bool is_connected = true;
  };

  bool chance(double p) { return std::uniform_real_distribution<>(0, 1)(random_) < p; }
  int64_t up_to(int64_t n) { return std::uniform_int_distribution<int64_t>(0, n)(random_); }

  int64_t issue(Book& book) {
    if (chance(0.01)) book.next_id += 1 + up_to(5);  // the venue skips ids
    const int64_t id = book.next_id++;
    book.issued[id] = now_;
    if (faults_.rest_omits && chance(0.02)) book.hidden_until[id] = now_ + up_to(20 * kSecond);
    return id;
  }

  void deliver(Book& book, int64_t id) { book.taken.insert(id); }

  void trade() {
    for (size_t i = 0; i < books_.size(); ++i) {
      Book& book = books_[i];
      if (book.is_connected && chance(0.02)) book.is_connected = false;
      else if (!book.is_connected && chance(0.1)) {
        book.is_connected = true;
        filler_->check_tail(i, now_);
      }
      for (int64_t n = up_to(3); n > 0; --n) {
        const int64_t id = issue(book);
        if (book.is_connected && !chance(0.01)) deliver(book, id);
        else if (book.taken.empty()) deliver(book, id);
      }
    }
    if (faults_.crashes && chance(0.005)) crash();
  }

  void crash() {
    filler_ = std::make_unique<GapFiller>(policy_);
    for (size_t i = 0; i < books_.size(); ++i) {
      filler_->add_source("binance", std::string(1, static_cast<char>('A' + i)));
      filler_->check_tail(i, now_);
    }
  }

  void step() {
    for (size_t i = 0; i < books_.size(); ++i) filler_->observe(i, {books_[i].taken, books_[i].taken, books_[i].settled}, now_);
    const int64_t until = now_ + kSecond;
    while (now_ < until) {
      const GapAction action = filler_->next(now_);
      if (const auto* wait = std::get_if<GapWait>(&action)) now_ = std::min(until, std::max(now_ + 1, wait->until_us));
      else answer(std::get<GapRequest>(action));
      for (const GapEvent& event : filler_->take_events())
        if (event.kind >= GapEventKind::kNotIssued) books_[event.source].settled.insert(event.range);
    }
  }

  void answer(const GapRequest& request) {
    ++requests_;
    now_ += 1 + up_to(kSecond);
    const bool is_bad = !quiet_ || chance(0.1);
    if (faults_.rest_fails && is_bad && chance(0.1)) return filler_->failed(GapFailure::kRateLimited, "429", up_to(30 * kSecond), now_);
    if (faults_.rest_fails && is_bad && chance(0.02)) return filler_->failed(GapFailure::kBanned, "418", 120 * kSecond, now_);
    if (faults_.rest_fails && is_bad && chance(0.1)) return filler_->failed(GapFailure::kUnreachable, "down", 0, now_);
    Book& book = books_[request.source];
    const int64_t newest = faults_.rest_lags ? now_ - up_to(20 * kSecond) : now_;
    GapAnswer answer;
    for (auto at = book.issued.lower_bound(request.from_id); at != book.issued.end(); ++at) {
      if (answer.ids.size() == static_cast<size_t>(request.limit) || at->second > newest) break;
      const auto hidden = book.hidden_until.find(at->first);
      if (hidden != book.hidden_until.end() && now_ < hidden->second) continue;
      answer.ids.push_back(at->first);
    }
    for (const int64_t id : answer.ids)
      if (id >= request.wanted.first && id <= request.wanted.last && !(faults_.log_drops && chance(0.02))) book.taken.insert(id);
    filler_->answered(answer, now_);
  }

  std::mt19937_64 random_;
  GapPolicy policy_;
  ModelFaults faults_;
  std::unique_ptr<GapFiller> filler_;
  std::vector<Book> books_;
  int64_t now_ = 0;
  bool quiet_ = false;
  int64_t requests_ = 0;
};

class GapFillerModel : public testing::TestWithParam<uint64_t> {};

TEST_P(GapFillerModel, EveryIdIsTakenOrTrulyWasNotIssued) {
  ModelExchange exchange(GetParam(), {}, {});
  exchange.run();
  EXPECT_THAT(exchange.verify(), IsEmpty());
  EXPECT_GT(exchange.requests(), 50);
}

INSTANTIATE_TEST_SUITE_P(Seeds, GapFillerModel, testing::Range<uint64_t>(1, 31));

TEST(GapFiller, TheVerifierCatchesAFillerThatBelievesTheFirstAnswer) {
  size_t wrong = 0;
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    ModelExchange exchange(seed, {.confirm_after_us = 0}, {});
    exchange.run();
    wrong += exchange.verify().size();
  }
  EXPECT_GT(wrong, 0u);
}

}  // namespace
}  // namespace k2
