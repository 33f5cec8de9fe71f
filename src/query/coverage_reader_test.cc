// Coverage through the engine: statements in the log and in the table, as one.
#include "query/coverage_reader.h"

#include <arrow/json/from_string.h>

#include <chrono>

#include "base/logging.h"
#include "query/query_testing.h"

namespace k2::testing {
namespace {

using enum CoverageStatus;

/// Sequence n happens n seconds after the morning.
TimestampUs second(int64_t n) { return {kMorningUs + n * kUsPerSecond}; }

Coverage says(CoverageStatus status, int64_t first, int64_t last, const std::string& symbol = "BTCUSDT", std::string reason = "") {
  return {.exchange = "binance",
          .symbol = symbol,
          .first_sequence = first,
          .last_sequence = last,
          .timestamp = second(first),
          .end_timestamp = second(last),
          .status = status,
          .reason = std::move(reason),
          .ingestion_timestamp = second(last)};
}

/// "BTCUSDT observed 1-5;" for each row.
std::string text_of(const arrow::RecordBatch& rows) {
  std::string text;
  for (int64_t row = 0; row < rows.num_rows(); ++row) {
    text += std::string(column<arrow::StringArray>(rows, "symbol").GetView(row)) + " " +
            std::string(column<arrow::StringArray>(rows, "status").GetView(row)) + " " +
            std::to_string(column<arrow::Int64Array>(rows, "first_sequence").Value(row)) + "-" +
            std::to_string(column<arrow::Int64Array>(rows, "last_sequence").Value(row)) + ";";
  }
  return text;
}

struct CoverageEngine : ::testing::Test {
  World world;
  std::string resolved(const Cut& cut, const CoverageQuery& query = {}) { return text_of(*rows_of(world.engine().coverage(query, cut))); }
  std::string resolved(const CoverageQuery& query = {}) { return resolved(must(world.engine().cut()), query); }
};

TEST_F(CoverageEngine, NothingStatedIsNoRowsOfTheSameShape) {
  const auto rows = rows_of(world.engine().coverage({}, must(world.engine().cut())));
  EXPECT_EQ(rows->num_rows(), 0);
  EXPECT_EQ(rows->schema()->field_names(), (std::vector<std::string>{"exchange", "symbol", "channel", "first_sequence", "last_sequence",
                                                                     "count", "timestamp", "end_timestamp", "status", "reason"}));
}

TEST_F(CoverageEngine, StatementsCountFromTheMomentTheyAreInTheLog) {
  world.coverage({says(kObserved, 1, 5)});
  EXPECT_EQ(resolved(), "BTCUSDT observed 1-5;");
  world.coverage({says(kOpen, 6, 9, "BTCUSDT", "asked for"), says(kObserved, 10, 12)});
  EXPECT_EQ(resolved(), "BTCUSDT observed 1-5;BTCUSDT open 6-9;BTCUSDT observed 10-12;");
  world.archive(Channel::kCoverage);
  world.coverage({says(kBackfilled, 6, 9)});
  EXPECT_EQ(resolved(), "BTCUSDT observed 1-5;BTCUSDT backfilled 6-9;BTCUSDT observed 10-12;");
}

TEST_F(CoverageEngine, AnotherEngineAndEveryStateOfTheTableSayTheSame) {
  std::mt19937_64 random(7);
  for (int step = 0; step < 40; ++step) {
    std::vector<Coverage> statements;
    for (uint64_t i = random() % 5; i > 0; --i) {
      const int64_t first = static_cast<int64_t>(random() % 200);
      statements.push_back(says(static_cast<CoverageStatus>(random() % kCoverageStatusCount), first,
                                first + static_cast<int64_t>(random() % 30), random() % 3 == 0 ? "ETHUSDT" : "BTCUSDT"));
    }
    if (!statements.empty()) world.coverage(statements);
    if (random() % 3 == 0)
      world.archive(Channel::kCoverage, [&](int64_t lag) { return static_cast<int64_t>(random() % static_cast<uint64_t>(lag + 1)); });
    if (random() % 3 != 0) continue;
    const std::string carried_on = resolved();
    if (random() % 4 != 0) continue;
    world.restart_engine();
    ASSERT_EQ(resolved(), carried_on) << "step " << step;
  }
}

TEST_F(CoverageEngine, AReadTokenKeepsWhatWasSaidThen) {
  world.coverage({says(kOpen, 1, 5)});
  const Cut before = must(world.engine().cut());
  const std::string token = read_token(before);
  world.coverage({says(kBackfilled, 1, 5)});
  world.archive(Channel::kCoverage);
  EXPECT_EQ(resolved(), "BTCUSDT backfilled 1-5;");
  EXPECT_EQ(resolved(before), "BTCUSDT open 1-5;");
  world.restart_engine();
  EXPECT_EQ(resolved(must(world.engine().cut_of(token))), "BTCUSDT open 1-5;");
  EXPECT_EQ(resolved(), "BTCUSDT backfilled 1-5;");
  world.coverage({says(kObserved, 6, 7)});
  EXPECT_EQ(resolved(), "BTCUSDT backfilled 1-5;BTCUSDT observed 6-7;");
}

TEST_F(CoverageEngine, AQueryPicksSourcesTimesAndStatuses) {
  world.coverage({says(kObserved, 1, 5), says(kLost, 6, 8), says(kObserved, 9, 20), says(kObserved, 1, 3, "ETHUSDT")});
  EXPECT_EQ(resolved({.symbols = {"ETHUSDT"}}), "ETHUSDT observed 1-3;");
  EXPECT_EQ(resolved({.exchange = "asx"}), "");
  EXPECT_EQ(resolved({.channel = "quotes"}), "");
  EXPECT_EQ(resolved({.statuses = {kLost, kOpen}}), "BTCUSDT lost 6-8;");
  EXPECT_EQ(resolved({.start = second(8), .end = second(9)}), "BTCUSDT lost 6-8;");
  EXPECT_EQ(resolved({.limit = 2}), "BTCUSDT observed 1-5;BTCUSDT lost 6-8;");
}

TEST(CoverageRows, AStatusOfALaterProgramMakesUnknownWhatItSpeaksOf) {
  const auto time = arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
  const auto type = arrow::struct_(
      {arrow::field("exchange", arrow::utf8()), arrow::field("symbol", arrow::utf8()), arrow::field("channel", arrow::utf8()),
       arrow::field("first_sequence", arrow::int64()), arrow::field("last_sequence", arrow::int64()), arrow::field("timestamp", time),
       arrow::field("end_timestamp", time), arrow::field("status", arrow::utf8()), arrow::field("reason", arrow::utf8())});
  const auto rows = arrow::json::ArrayFromJSONString(type, R"([["binance", "A", "trades", 1, 20, 1, 20, "observed", null],
                                                               ["binance", "A", "trades", 5, 9, 5, 9, "retracted", "later"],
                                                               ["binance", "A", "trades", 7, 7, 7, 7, "open", null]])")
                        .ValueOrDie();
  set_log_level(LogLevel::kOff);
  CoverageResolver resolver;
  EXPECT_TRUE(apply(**arrow::RecordBatch::FromStructArray(rows), resolver));
  set_log_level(LogLevel::kInfo);
  std::string text;
  for (const CoverageRange& range : *resolver.resolved().begin()->second)
    text += std::string(coverage_status_name(range.status)) + " " + std::to_string(range.first) + "-" + std::to_string(range.last) + ";";
  EXPECT_EQ(text, "observed 1-4;open 7-7;observed 10-20;");
}

TEST_F(CoverageEngine, SqlSeesTheStatementsAsTheyWereMade) {
  world.coverage({says(kOpen, 1, 5)});
  world.archive(Channel::kCoverage);
  world.coverage({says(kBackfilled, 1, 5)});
  const auto rows = rows_of(world.engine().sql("SELECT symbol, status, first_sequence, last_sequence FROM coverage ORDER BY log_offset",
                                               must(world.engine().cut())));
  EXPECT_EQ(text_of(*rows), "BTCUSDT open 1-5;BTCUSDT backfilled 1-5;");
}

TEST_F(CoverageEngine, CompletenessIsThatOfTheCut) {
  world.coverage({says(kObserved, 1, 50), says(kOpen, 51, 54), says(kObserved, 55, 90)});
  const EventQuery query{.symbols = {"BTCUSDT"}, .start = second(20), .end = second(80)};
  const Cut open = must(world.engine().cut());
  const Completeness found = must(world.engine().completeness(query, open));
  EXPECT_EQ(found.complete, false);
  EXPECT_EQ(found.gaps.at(0).range.first, 51);
  world.coverage({says(kBackfilled, 51, 54)});
  EXPECT_EQ(must(world.engine().completeness(query, must(world.engine().cut()))).complete, true);
  EXPECT_EQ(must(world.engine().completeness(query, open)).complete, false);
  EventQuery quotes = query;
  quotes.channel = Channel::kQuotes;
  EXPECT_EQ(must(world.engine().completeness(quotes, open)).complete, std::nullopt);
}

TEST_F(CoverageEngine, AskingAgainCostsLittle) {
  std::vector<Coverage> statements;
  for (int64_t n = 0; n < 4'000; ++n) statements.push_back(says(n % 2 == 0 ? kObserved : kBackfilled, n * 10, n * 10 + 9));
  world.coverage(statements);
  const EventQuery query{.symbols = {"BTCUSDT"}, .start = second(20), .end = second(30'000)};
  const Cut cut = must(world.engine().cut());
  EXPECT_EQ(must(world.engine().completeness(query, cut)).complete, true);
  const auto started = std::chrono::steady_clock::now();
  for (int i = 0; i < 100; ++i) static_cast<void>(must(world.engine().completeness(query, cut)));
  const double us = std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - started).count() / 100;
  RecordProperty("microseconds", static_cast<int>(us));
  EXPECT_LT(us, 5'000) << "resolved again each time?";  // measured: see the property; the bound only tells a cache from none
}

}  // namespace
}  // namespace k2::testing
