// Coverage from the feed's side to the asker's: ingest, log, archive, engine, `k2 gaps`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "app/app_testing.h"
#include "app/archive.h"
#include "app/command.h"
#include "app/ingest.h"
#include "base/uuid.h"
#include "log/local_log.h"
#include "query/engine.h"

namespace k2 {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

class CoveragePathTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "k2-coverage-" + random_uuid();
    std::filesystem::create_directories(dir_);
    log_ = LocalLog::open(dir_ + "/log.db").value();
    ASSERT_TRUE(Lake::init({.data_dir = dir_}));
    lake_ = Lake::open({.data_dir = dir_}).value();
    Ingest::Options options;
    options.origin = Ingest::Origin::kFeed;
    ingest_ = std::make_unique<Ingest>(*log_, *log_, options);
  }
  void TearDown() override {
    ingest_.reset();
    lake_.reset();
    log_.reset();
    std::filesystem::remove_all(dir_);
  }

  /// Trade n happens n seconds after the morning.
  static TimestampUs second(int64_t n) { return {1'610'064'000'000'000 + n * kUsPerSecond}; }

  void take(int64_t first, int64_t last) { put(*ingest_, first, last); }
  void load(int64_t first, int64_t last) {
    Ingest file(*log_, *log_);
    put(file, first, last);
    ASSERT_TRUE(file.flush());
  }
  static void put(Ingest& ingest, int64_t first, int64_t last) {
    for (int64_t id = first; id <= last; ++id) {
      ASSERT_TRUE(ingest.put(test::binance_trade(id, second(id))));
    }
  }
  void say(CoverageStatus status, int64_t first, int64_t last, std::string reason = "") {
    ASSERT_TRUE(ingest_->put(test::binance_coverage(status, first, last, second(first), second(last), std::move(reason))));
  }
  void archive() {
    ASSERT_TRUE(ingest_->flush());
    ASSERT_TRUE(Archive(*log_, *log_, *lake_, {}).catch_up({}));
  }
  std::optional<bool> complete(int64_t from, int64_t to) {
    EXPECT_TRUE(ingest_->flush());
    const auto engine = Engine::open(*lake_, *log_, *log_, {.memory_limit = "256MB", .threads = 1}).value();
    const EventQuery query{.symbols = {"BTCUSDT"}, .start = second(from), .end = second(to)};
    return engine->completeness(query, engine->cut().value()).value().complete;
  }
  void expect_sound() {
    const auto report = lake_->check("");
    ASSERT_TRUE(report) << report.error().message;
    for (const CheckFinding& finding : report->findings) ADD_FAILURE() << finding.path << ": " << finding.what;
  }

  struct Ran {
    int exit_code;
    std::string output;
    std::string talk;
  };
  Ran k2(std::vector<std::string> words) {
    words.insert(words.begin(), "k2");
    words.insert(words.end(), {"--data-dir", dir_});
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int exit_code = CommandLine().run(static_cast<int>(words.size()), arguments.data());
    return {exit_code, testing::internal::GetCapturedStdout(), testing::internal::GetCapturedStderr()};
  }

  std::string dir_;
  std::unique_ptr<LocalLog> log_;
  std::unique_ptr<Lake> lake_;
  std::unique_ptr<Ingest> ingest_;
};

TEST_F(CoveragePathTest, AGapIsSeenUntilItIsFilledWhereverTheStatementsAre) {
  take(1, 50);
  say(CoverageStatus::kObserved, 1, 50);
  take(55, 90);
  say(CoverageStatus::kOpen, 51, 54, "asked for");
  EXPECT_EQ(complete(20, 80), false);
  archive();
  EXPECT_EQ(complete(20, 80), false);
  say(CoverageStatus::kObserved, 55, 90);
  take(51, 54);
  say(CoverageStatus::kBackfilled, 51, 54);
  EXPECT_EQ(complete(20, 80), true);
  archive();
  EXPECT_EQ(complete(20, 80), true);
  EXPECT_EQ(lake_->load("coverage").value()->record_count, 4);
  EXPECT_EQ(lake_->load("trades_v2").value()->record_count, 90);
  expect_sound();
}

TEST_F(CoveragePathTest, GapsSaysWhatIsMissingAndEndsWithThree) {
  take(1, 50);
  take(56, 1'090);
  say(CoverageStatus::kObserved, 1, 50);
  say(CoverageStatus::kOpen, 51, 54, "asked for");
  say(CoverageStatus::kNotIssued, 55, 55);
  say(CoverageStatus::kObserved, 56, 1'090);
  archive();
  const Ran ran = k2({"gaps", "-o", "json"});
  EXPECT_EQ(ran.exit_code, kExitPartial) << ran.talk;
  const Json rows = Json::parse(ran.output);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0]["status"], "open");
  EXPECT_EQ(rows[0]["count"], 4);
  EXPECT_EQ(rows[0]["reason"], "asked for");
  EXPECT_EQ(rows[1]["status"], "not_issued");
  EXPECT_THAT(ran.talk, HasSubstr("binance BTCUSDT trades: 4 missing in 1 gap, ids 1 to 1090"));
  EXPECT_THAT(ran.talk, HasSubstr("1,085 observed, 1 not issued, 4 open"));

  EXPECT_EQ(Json::parse(k2({"gaps", "--all", "-o", "json"}).output).size(), 4u);
  EXPECT_EQ(k2({"gaps", "ETHUSDT", "-o", "csv"}).exit_code, kExitOk);
  EXPECT_EQ(k2({"gaps", "--since", "2021-01-08T00:02:00Z", "-o", "csv"}).exit_code, kExitOk);
  EXPECT_EQ(k2({"gaps", "--since", "nonsense"}).exit_code, kExitUsage);

  take(51, 54);
  say(CoverageStatus::kBackfilled, 51, 54);
  ASSERT_TRUE(ingest_->flush());
  const Ran healed = k2({"gaps", "BTCUSDT", "-o", "json"});
  EXPECT_EQ(healed.exit_code, kExitOk);
  EXPECT_THAT(healed.talk, HasSubstr("binance BTCUSDT trades: complete, ids 1 to 1090"));
  EXPECT_EQ(Json::parse(healed.output).size(), 1u);
}

TEST_F(CoveragePathTest, AHoleThatNobodyStatedIsSeenInThePositions) {
  take(1, 50);
  say(CoverageStatus::kObserved, 1, 50);
  take(55, 90);
  take(100, 110);
  say(CoverageStatus::kNotIssued, 91, 93);
  say(CoverageStatus::kObserved, 55, 90);
  ASSERT_TRUE(ingest_->flush());
  const Ran killed = k2({"gaps", "-o", "csv"});
  EXPECT_EQ(killed.exit_code, kExitPartial);
  EXPECT_THAT(killed.talk, HasSubstr("trades: 10 missing and not stated yet, ids 1 to 93"));
  take(51, 54);
  take(94, 99);
  ASSERT_TRUE(ingest_->flush());
  const Ran healed = k2({"gaps", "-o", "csv"});
  EXPECT_EQ(healed.exit_code, kExitOk);
  EXPECT_THAT(healed.talk, HasSubstr("no gap known"));
  EXPECT_THAT(healed.talk, HasSubstr("4 of which nothing was stated"));
}

TEST_F(CoveragePathTest, AQueryCanSayWhetherItIsComplete) {
  take(1, 50);
  take(55, 90);
  say(CoverageStatus::kObserved, 1, 50);
  say(CoverageStatus::kLost, 51, 54, "gone");
  say(CoverageStatus::kObserved, 55, 90);
  archive();
  const std::vector<std::string> query{"query", "trades", "BTCUSDT", "--complete", "-o", "csv", "--start"};
  const auto ask = [&](const std::string& start, const std::string& end) {
    std::vector<std::string> words = query;
    words.insert(words.end(), {start, "--end", end});
    return k2(words);
  };
  const Ran partial = ask("2021-01-08T00:00:20Z", "2021-01-08T00:01:20Z");
  EXPECT_EQ(partial.exit_code, kExitPartial);
  EXPECT_THAT(partial.talk, HasSubstr("missing: binance BTCUSDT 51 to 54, lost: gone"));
  const Ran whole = ask("2021-01-08T00:00:20Z", "2021-01-08T00:00:40Z");
  EXPECT_EQ(whole.exit_code, kExitOk);
  EXPECT_THAT(whole.talk, HasSubstr("k2: complete"));
  const Ran unknown = ask("2021-01-08T00:01:00Z", "2021-01-09");
  EXPECT_EQ(unknown.exit_code, kExitOk);
  EXPECT_THAT(unknown.talk, HasSubstr("known until 2021-01-08T00:01:30"));
}

TEST_F(CoveragePathTest, GapsSaysHowFarStatementsReach) {
  load(1, 9);
  take(500, 520);
  say(CoverageStatus::kObserved, 500, 520);
  take(521, 1'600);
  load(9'000'000, 9'000'009);
  ASSERT_TRUE(ingest_->flush());
  const Ran ran = k2({"gaps", "-o", "csv"});
  EXPECT_EQ(ran.exit_code, kExitOk) << ran.talk;
  EXPECT_THAT(ran.talk, HasSubstr("complete as far as stated, ids 500 to 520,"));
  EXPECT_THAT(ran.talk, HasSubstr("; 1,080 newer trades are in the log, of which nothing is stated yet"));
}

TEST_F(CoveragePathTest, WhatWasLoadedFromFilesHasNoCoverage) {
  load(1, 50);
  archive();
  EXPECT_EQ(complete(20, 40), std::nullopt);
  const Ran ran = k2({"gaps", "-o", "ndjson"});
  EXPECT_EQ(ran.exit_code, kExitOk);
  EXPECT_EQ(ran.output, "");
  EXPECT_THAT(ran.talk, HasSubstr("nothing is stated yet"));
}

}  // namespace
}  // namespace k2
