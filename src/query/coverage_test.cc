#include "query/coverage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <random>

namespace k2 {
namespace {

using testing::ElementsAre;
using enum CoverageStatus;

const CoverageSource kBtc{"binance", "BTCUSDT", "trades"};
const CoverageSource kEth{"binance", "ETHUSDT", "trades"};

/// Sequence n happens at second n, unless told otherwise.
CoverageRange says(CoverageStatus status, int64_t first, int64_t last, std::string reason = "") {
  return {first, last, TimestampUs{first * kUsPerSecond}, TimestampUs{last * kUsPerSecond}, status, std::move(reason)};
}
CoverageRange at(CoverageRange range, int64_t from_second, int64_t to_second) {
  range.timestamp = {from_second * kUsPerSecond};
  range.end_timestamp = {to_second * kUsPerSecond};
  return range;
}

std::vector<CoverageRange> resolve(const std::vector<CoverageRange>& statements) {
  CoverageResolver resolver;
  for (const CoverageRange& statement : statements) resolver.state(kBtc, statement);
  return *resolver.resolved().at(kBtc);
}

TEST(Coverage, OfStatementsThatKnowAsMuchTheLaterOneHolds) {
  EXPECT_THAT(resolve({says(kOpen, 5, 9), says(kBackfilled, 5, 9)}), ElementsAre(says(kBackfilled, 5, 9)));
  EXPECT_THAT(resolve({says(kBackfilled, 5, 9), says(kObserved, 5, 9)}), ElementsAre(says(kObserved, 5, 9)));
  EXPECT_THAT(resolve({says(kNotIssued, 5, 9), says(kLost, 5, 9)}), ElementsAre(says(kLost, 5, 9)));
  EXPECT_THAT(resolve({says(kOpen, 5, 9, "a"), says(kOpen, 5, 9, "b")}), ElementsAre(says(kOpen, 5, 9, "b")));
}

TEST(Coverage, WhoKnowsLessChangesNothing) {
  EXPECT_THAT(resolve({says(kBackfilled, 5, 9), says(kOpen, 5, 9)}), ElementsAre(says(kBackfilled, 5, 9)));
  EXPECT_THAT(resolve({says(kNotIssued, 5, 9), says(kOpen, 6, 7)}), ElementsAre(says(kNotIssued, 5, 9)));
  EXPECT_THAT(resolve({says(kObserved, 5, 9), says(kLost, 4, 7)}), ElementsAre(at(says(kLost, 4, 4), 4, 5), says(kObserved, 5, 9)));
  EXPECT_THAT(resolve({says(kObserved, 5, 6), says(kObserved, 8, 9), at(says(kOpen, 1, 20), 0, 21)}),
              ElementsAre(at(says(kOpen, 1, 4), 0, 5), says(kObserved, 5, 6), at(says(kOpen, 7, 7), 6, 8), says(kObserved, 8, 9),
                          at(says(kOpen, 10, 20), 9, 21)));
}

TEST(Coverage, WhatCannotBeUnderstoodIsUnknown) {
  CoverageResolver resolver;
  resolver.state(kBtc, says(kObserved, 1, 20));
  resolver.forget(kBtc, 5, 9);
  const auto ranges = *resolver.resolved().at(kBtc);
  ASSERT_EQ(ranges.size(), 2u);
  EXPECT_EQ(ranges[0].last, 4);
  EXPECT_EQ(ranges[1].first, 10);
}

TEST(Coverage, AStatementReplacesOnlyWhatItSpeaksOf) {
  EXPECT_THAT(resolve({says(kOpen, 1, 10), says(kLost, 4, 6, "why")}),
              ElementsAre(at(says(kOpen, 1, 3), 1, 10), says(kLost, 4, 6, "why"), at(says(kOpen, 7, 10), 1, 10)));
  EXPECT_THAT(resolve({says(kOpen, 3, 5), says(kOpen, 8, 9), says(kObserved, 1, 20)}), ElementsAre(says(kObserved, 1, 20)));
}

TEST(Coverage, NeighboursThatSayTheSameAreOneRange) {
  EXPECT_THAT(resolve({says(kObserved, 1, 3), says(kObserved, 7, 9), says(kObserved, 4, 6)}), ElementsAre(says(kObserved, 1, 9)));
  EXPECT_EQ(resolve({says(kLost, 1, 3, "a"), says(kLost, 4, 6, "b")}).size(), 2u);
  EXPECT_EQ(resolve({says(kObserved, 1, 3), says(kBackfilled, 4, 6)}).size(), 2u);
  EXPECT_EQ(resolve({says(kObserved, 1, 3), says(kObserved, 5, 6)}).size(), 2u);
}

TEST(Coverage, WhatWasReceivedTellsWhenTheRestOfAGapWas) {
  const auto ranges = resolve({at(says(kOpen, 10, 20), 100, 200), at(says(kBackfilled, 14, 16), 140, 160)});
  EXPECT_THAT(ranges,
              ElementsAre(at(says(kOpen, 10, 13), 100, 140), at(says(kBackfilled, 14, 16), 140, 160), at(says(kOpen, 17, 20), 160, 200)));
}

TEST(Coverage, AGapIsNeverMadeTooNarrow) {
  // A statement that nothing was issued knows no times but those of the whole gap.
  const auto ranges = resolve({at(says(kOpen, 10, 20), 100, 200), at(says(kNotIssued, 14, 16), 100, 200)});
  EXPECT_EQ(ranges[0], at(says(kOpen, 10, 13), 100, 200));
  EXPECT_EQ(ranges[2], at(says(kOpen, 17, 20), 100, 200));
  // Times that lie outside the gap are not believed.
  const auto wrong = resolve({at(says(kOpen, 10, 20), 100, 200), at(says(kBackfilled, 14, 16), 300, 50)});
  EXPECT_EQ(wrong[0], at(says(kOpen, 10, 13), 100, 200));
  EXPECT_EQ(wrong[2], at(says(kOpen, 17, 20), 100, 200));
}

TEST(Coverage, AGapsOwnEndsAreNoTimesOfWhatWasReceivedInIt) {
  const auto ranges = resolve({at(says(kOpen, 10, 20), 100, 200), at(says(kBackfilled, 10, 14), 200, 200)});
  EXPECT_EQ(ranges[1], at(says(kOpen, 15, 20), 100, 200));
}

/// One status per sequence number: what the resolved ranges have to come to, whatever the statements.
TEST(Coverage, RandomStatementsComeToTheLastOfTheBestOfEachNumber) {
  constexpr int64_t kNumbers = 80;
  for (uint32_t seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    std::array<std::string, kNumbers> model;  // "" where nothing was stated
    CoverageResolver resolver;
    CoverageState state;
    for (int statement = 0; statement < 60; ++statement) {
      const int64_t first = static_cast<int64_t>(random() % kNumbers);
      const int64_t last = std::min<int64_t>(kNumbers - 1, first + static_cast<int64_t>(random() % (seed % 2 == 0 ? 4 : 30)));
      const auto status = static_cast<CoverageStatus>(random() % kCoverageStatusCount);
      const std::string reason = random() % 3 == 0 ? "r" : "";
      for (int64_t n = first; n <= last; ++n) {
        std::string& said = model[static_cast<size_t>(n)];
        const auto rank = said.empty() ? 0 : coverage_rank(parse_coverage_status(said.substr(0, said.find('/'))).value());
        if (coverage_rank(status) >= rank) said = std::string(coverage_status_name(status)) + "/" + reason;
      }
      resolver.state(kBtc, says(status, first, last, reason));
      if (random() % 5 != 0) continue;
      state = resolver.resolved();

      std::array<std::string, kNumbers> got;
      int64_t next = 0;
      const CoverageRange* before = nullptr;
      for (const CoverageRange& range : *state.at(kBtc)) {
        ASSERT_GE(range.first, next) << "seed " << seed;
        ASSERT_LE(range.first, range.last) << "seed " << seed;
        ASSERT_LE(range.timestamp, range.end_timestamp) << "seed " << seed;
        const bool is_next = before != nullptr && before->last + 1 == range.first;
        ASSERT_FALSE(is_next && before->status == range.status && before->reason == range.reason) << "seed " << seed;
        for (int64_t n = range.first; n <= range.last; ++n)
          got[static_cast<size_t>(n)] = std::string(coverage_status_name(range.status)) + "/" + range.reason;
        next = range.last + 1;
        before = &range;
      }
      ASSERT_EQ(got, model) << "seed " << seed;
    }
  }
}

/// With exact times, a missing number's own time always lies in the range that says so.
TEST(Coverage, RandomGapsReachOverTheTimesOfWhatIsMissing) {
  constexpr int64_t kNumbers = 60;
  for (uint32_t seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    std::vector<CoverageRange> statements;
    for (int statement = 0; statement < 40; ++statement) {
      const int64_t first = 1 + static_cast<int64_t>(random() % kNumbers);
      const int64_t last = first + static_cast<int64_t>(random() % 12);
      CoverageRange range = says(static_cast<CoverageStatus>(random() % kCoverageStatusCount), first, last);
      // Of what was not received, at most the neighbours' times are known, or something wider.
      if (range.status != kObserved && range.status != kBackfilled)
        range = at(range, first - 1 - static_cast<int64_t>(random() % 3), last + 1 + static_cast<int64_t>(random() % 3));
      statements.push_back(range);
    }
    for (const CoverageRange& range : resolve(statements)) {
      EXPECT_LE(range.timestamp.us, range.first * kUsPerSecond) << "seed " << seed;
      EXPECT_GE(range.end_timestamp.us, range.last * kUsPerSecond) << "seed " << seed;
    }
  }
}

TEST(Coverage, UntouchedSourcesAreShared) {
  CoverageResolver resolver;
  resolver.state(kBtc, says(kObserved, 1, 2));
  resolver.state(kEth, says(kObserved, 1, 2));
  const CoverageState first = resolver.resolved();
  resolver.state(kEth, says(kObserved, 3, 4));
  const CoverageState second = resolver.resolved();
  EXPECT_EQ(first.at(kBtc), second.at(kBtc));
  EXPECT_EQ(first.at(kEth)->front().last, 2);
  EXPECT_EQ(second.at(kEth)->front().last, 4);
}

// --- completeness --------------------------------------------------------------------------------------------------------------------

struct Complete : testing::Test {
  CoverageResolver resolver;
  std::vector<std::string> symbols{"BTCUSDT"};
  std::string exchange;

  void state(const CoverageRange& range, const CoverageSource& source = kBtc) { resolver.state(source, range); }
  Completeness judge(std::optional<int64_t> from_second, std::optional<int64_t> to_second) {
    CoverageWindow window{symbols, exchange, "trades", std::nullopt, std::nullopt};
    if (from_second) window.start = TimestampUs{*from_second * kUsPerSecond};
    if (to_second) window.end = TimestampUs{*to_second * kUsPerSecond};
    return completeness(resolver.resolved(), window);
  }
  std::optional<bool> complete(std::optional<int64_t> from, std::optional<int64_t> to) { return judge(from, to).complete; }
};

TEST_F(Complete, WhatWasReceivedWithoutABreakIsComplete) {
  state(says(kObserved, 10, 50));
  state(says(kBackfilled, 51, 60));
  state(says(kNotIssued, 61, 62));
  state(says(kObserved, 63, 90));
  EXPECT_EQ(complete(20, 80), true);
  EXPECT_EQ(complete(20, 90), true);
  EXPECT_EQ(judge(20, 80).known_until, TimestampUs{90 * kUsPerSecond});
}

TEST_F(Complete, NothingStatedIsUnknown) {
  EXPECT_EQ(complete(20, 80), std::nullopt);
  state(says(kObserved, 10, 50), kEth);
  EXPECT_EQ(complete(20, 40), std::nullopt) << "of another symbol";
  symbols = {"ETHUSDT", "BTCUSDT"};
  EXPECT_EQ(complete(20, 40), std::nullopt) << "of one of them";
  symbols = {"ETHUSDT"};
  EXPECT_EQ(complete(20, 40), true);
  exchange = "elsewhere";
  EXPECT_EQ(complete(20, 40), std::nullopt);
}

TEST_F(Complete, PastTheStatementsIsUnknown) {
  state(says(kObserved, 10, 50));
  EXPECT_EQ(complete(5, 40), std::nullopt);
  EXPECT_EQ(complete(10, 40), std::nullopt) << "an earlier event may have the same time";
  EXPECT_EQ(complete(20, 51), std::nullopt);
  EXPECT_EQ(complete(60, 70), std::nullopt);
  EXPECT_EQ(complete(std::nullopt, 40), std::nullopt);
  EXPECT_EQ(complete(20, std::nullopt), std::nullopt);
  EXPECT_EQ(judge(20, std::nullopt).known_until, TimestampUs{50 * kUsPerSecond});
  symbols = {};
  EXPECT_EQ(complete(20, 40), std::nullopt) << "of all symbols, some may come from files";
}

TEST_F(Complete, ABreakBetweenStatementsIsUnknown) {
  state(says(kObserved, 10, 50));
  state(says(kObserved, 60, 90));
  EXPECT_EQ(complete(20, 80), std::nullopt);
  EXPECT_EQ(complete(20, 45), true);
  EXPECT_EQ(complete(65, 80), true);
}

TEST_F(Complete, AGapMakesItIncompleteWhereItOverlaps) {
  state(says(kObserved, 10, 50));
  state(at(says(kOpen, 51, 54, "asked for"), 50, 55));
  state(says(kObserved, 55, 90));
  const Completeness judged = judge(20, 80);
  EXPECT_EQ(judged.complete, false);
  EXPECT_EQ(judged.gap_count, 1);
  ASSERT_EQ(judged.gaps.size(), 1u);
  EXPECT_EQ(judged.gaps[0].source, kBtc);
  EXPECT_EQ(judged.gaps[0].range.first, 51);
  EXPECT_EQ(complete(20, 50), true);
  EXPECT_EQ(complete(20, 51), false);
  EXPECT_EQ(complete(55, 80), false) << "the gap's end may be as late as this";
  EXPECT_EQ(complete(56, 80), true);
  EXPECT_EQ(complete(std::nullopt, std::nullopt), false);
  state(says(kBackfilled, 52, 54));
  state(says(kLost, 51, 51, "never to be had"));
  EXPECT_EQ(complete(20, 80), false);
  state(says(kBackfilled, 51, 51));
  EXPECT_EQ(complete(20, 80), true) << "it was to be had after all";
}

TEST_F(Complete, AChainBeginsWithWhatWasReceived) {
  state(at(says(kNotIssued, 48, 49), 0, 50));
  state(says(kObserved, 50, 90));
  EXPECT_EQ(complete(20, 45), std::nullopt) << "not issued says nothing of what was before it";
  EXPECT_EQ(complete(20, 80), std::nullopt);
  EXPECT_EQ(complete(60, 80), true);
}

TEST_F(Complete, ManyGapsAreCountedAndTheFirstAreNamed) {
  for (int64_t n = 0; n < 100; ++n) state(says(kLost, 10 + 2 * n, 10 + 2 * n));
  const Completeness judged = judge(std::nullopt, std::nullopt);
  EXPECT_EQ(judged.gap_count, 100);
  ASSERT_EQ(judged.gaps.size(), kCompletenessGapsMax);
  EXPECT_EQ(judged.gaps[0].range.first, 10);
}

}  // namespace
}  // namespace k2
