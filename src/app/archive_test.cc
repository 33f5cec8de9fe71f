#include "app/archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "app/app_testing.h"
#include "app/ingest.h"
#include "base/logging.h"
#include "base/uuid.h"
#include "codec/avro.h"
#include "codec/schemas.h"
#include "log/local_log.h"

namespace k2 {
namespace {

using testing::HasSubstr;

/// A lake that fails as told, in front of the real one.
class FaultyLake final : public Lake {
 public:
  explicit FaultyLake(Lake& real) : real_(real) {}
  std::function<std::optional<Error>(bool after)> fault = [](bool) { return std::nullopt; };

  std::function<void()> after_load = [] {};

  Result<std::shared_ptr<const TableState>> load(std::string_view table) override {
    auto state = real_.load(table);
    after_load();
    return state;
  }
  Result<std::shared_ptr<const TableState>> state_at(std::string_view table, SnapshotId id) override { return real_.state_at(table, id); }
  Result<std::vector<SnapshotInfo>> snapshots(std::string_view table) override { return real_.snapshots(table); }
  Result<AppendResult> append(const AppendRequest& request) override {
    if (const auto error = fault(false)) return std::unexpected(*error);
    auto result = real_.append(request);
    if (const auto error = fault(true)) return std::unexpected(*error);
    return result;
  }
  Result<CheckReport> check(std::string_view table) override { return real_.check(table); }
  const LakeOptions& options() const override { return real_.options(); }

 private:
  Lake& real_;
};

class ArchiveTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "k2-archive-" + random_uuid();
    std::filesystem::create_directories(dir_);
    log_ = LocalLog::open(dir_ + "/log.db").value();
    ASSERT_TRUE(Lake::init({.data_dir = dir_}));
    lake_ = Lake::open({.data_dir = dir_}).value();
  }
  void TearDown() override {
    lake_.reset();
    log_.reset();
    std::filesystem::remove_all(dir_);
  }

  void put(int64_t first, int64_t last, const std::string& symbol = "BTCUSDT") {
    Ingest ingest(*log_, *log_);
    for (int64_t id = first; id <= last; ++id) {
      ASSERT_TRUE(ingest.put(test::binance_trade(id, {1'610'064'000'000'000 + id}, symbol)));
    }
    ASSERT_TRUE(ingest.flush());
  }
  /// Statements about the sequences from `first` to `last`, one each.
  void put_coverage(int64_t first, int64_t last) {
    const std::string topic = topic_name(AssetClass::kCrypto, Channel::kCoverage, "binance");
    const int32_t schema = log_->register_schema(topic + "-value", coverage_schema()).value();
    for (int64_t id = first; id <= last; ++id) {
      Coverage coverage{.exchange = "binance", .symbol = "BTCUSDT", .first_sequence = id, .last_sequence = id};
      coverage.timestamp = coverage.end_timestamp = {1'610'064'000'000'000 + id};
      if (id % 2 == 0) coverage.reason = "even";
      std::string message;
      encode_coverage(coverage, schema, message);
      ASSERT_TRUE(log_->append({{topic, coverage.symbol, message, {}}}, {}));
    }
  }
  Status catch_up(Lake& lake) { return Archive(*log_, *log_, lake, options_).catch_up({}); }
  Status catch_up() { return catch_up(*lake_); }
  int64_t rows() { return lake_->load("trades_v2").value()->record_count; }
  void expect_sound() {
    const auto report = lake_->check("");
    ASSERT_TRUE(report) << report.error().message;
    for (const CheckFinding& finding : report->findings) ADD_FAILURE() << finding.path << ": " << finding.what;
  }

  std::string dir_;
  std::unique_ptr<LocalLog> log_;
  std::unique_ptr<Lake> lake_;
  ArchiveOptions options_{.commit_interval_us = 10'000, .backoff_first_us = 1'000, .backoff_max_us = 2'000, .give_up_after_us = 300'000};
};

TEST_F(ArchiveTest, TablesGetAllTheLogHasOnce) {
  put(1, 100);
  ASSERT_TRUE(catch_up());
  EXPECT_EQ(rows(), 100);
  ASSERT_TRUE(catch_up());
  EXPECT_EQ(rows(), 100);
  EXPECT_EQ(lake_->snapshots("trades_v2")->size(), 1u) << "nothing new, yet a commit";
  put(101, 150);
  ASSERT_TRUE(catch_up());
  EXPECT_EQ(rows(), 150);
  expect_sound();
}

TEST_F(ArchiveTest, CoverageIsATableLikeTheOthers) {
  put(1, 10);
  put_coverage(1, 20);
  ASSERT_TRUE(catch_up());
  put_coverage(21, 25);
  ASSERT_TRUE(catch_up());
  EXPECT_EQ(rows(), 10);
  const auto state = lake_->load("coverage").value();
  EXPECT_EQ(state->record_count, 25);
  EXPECT_EQ(offsets_json(state->offsets), R"({"market.crypto.coverage.binance":{"0":25}})");
  EXPECT_EQ(lake_->snapshots("coverage")->size(), 2u);
  expect_sound();
}

TEST_F(ArchiveTest, ACommitOfCoverageThatLandedUnseenIsNotRepeated) {
  put_coverage(1, 20);
  FaultyLake faulty(*lake_);
  int losses = 2;
  faulty.fault = [&](bool after) -> std::optional<Error> {
    return after && losses-- > 0 ? std::optional(Error{ErrorKind::kUnknownOutcome, "timed out"}) : std::nullopt;
  };
  ASSERT_TRUE(catch_up(faulty));
  EXPECT_EQ(lake_->load("coverage").value()->record_count, 20);
  expect_sound();
}

TEST_F(ArchiveTest, ALimitOnRowsMakesSeveralCommits) {
  options_.rows_max = 30;
  put(1, 100);
  put(1, 100, "ETHUSDT");
  ASSERT_TRUE(catch_up());
  EXPECT_EQ(rows(), 200);
  EXPECT_EQ(lake_->snapshots("trades_v2")->size(), 7u);
  expect_sound();
}

TEST_F(ArchiveTest, StorageThatComesBackLosesNothing) {
  put(1, 50);
  FaultyLake faulty(*lake_);
  int failures = 3;
  faulty.fault = [&](bool after) -> std::optional<Error> {
    return !after && failures-- > 0 ? std::optional(Error{ErrorKind::kUnavailable, "disk full"}) : std::nullopt;
  };
  ASSERT_TRUE(catch_up(faulty));
  EXPECT_EQ(rows(), 50);
}

TEST_F(ArchiveTest, StorageThatStaysAwayIsAnError) {
  put(1, 50);
  FaultyLake faulty(*lake_);
  faulty.fault = [](bool) { return Error{ErrorKind::kUnavailable, "disk full"}; };
  EXPECT_EQ(catch_up(faulty).error().kind, ErrorKind::kUnavailable);
}

TEST_F(ArchiveTest, ACommitThatLandedUnseenIsNotRepeated) {
  put(1, 50);
  FaultyLake faulty(*lake_);
  int losses = 2;
  faulty.fault = [&](bool after) -> std::optional<Error> {
    return after && losses-- > 0 ? std::optional(Error{ErrorKind::kUnknownOutcome, "timed out"}) : std::nullopt;
  };
  ASSERT_TRUE(catch_up(faulty));
  EXPECT_EQ(rows(), 50);
  expect_sound();
}

TEST_F(ArchiveTest, TwoArchivesBesideEachOtherCommitEachRowOnce) {
  options_.rows_max = 20;
  put(1, 400);
  const auto other_lake = Lake::open({.data_dir = dir_}).value();
  Status one;
  Status two;
  {
    const std::jthread first([&] { one = catch_up(*lake_); });
    const std::jthread second([&] { two = catch_up(*other_lake); });
  }
  EXPECT_TRUE(one) << one.error().message;
  EXPECT_TRUE(two) << two.error().message;
  EXPECT_EQ(rows(), 400);
  expect_sound();
}

TEST_F(ArchiveTest, WhatAnotherArchiveCommittedAndTrimmedMeanwhileIsNotMissed) {
  options_.retention_us = 0;
  put(1, 100);
  FaultyLake slow(*lake_);
  bool overtaken = false;
  slow.after_load = [&] {
    if (std::exchange(overtaken, true)) return;
    EXPECT_TRUE(catch_up());
  };
  const Status done = catch_up(slow);
  EXPECT_TRUE(done) << done.error().message;
  EXPECT_EQ(log_->begin_offsets()->begin()->second.value, 100) << "the log was to be trimmed";
  EXPECT_EQ(rows(), 100);
  expect_sound();
}

TEST_F(ArchiveTest, RowsThatLeftTheLogUncommittedStopTheArchive) {
  put(1, 100);
  ASSERT_TRUE(log_->trim({{{"market.crypto.trades.binance", 0}, {100}}}, system_clock().now()));
  EXPECT_EQ(catch_up().error().kind, ErrorKind::kCorrupt);
}

TEST_F(ArchiveTest, ATableOfAnotherLogIsRefused) {
  put(1, 10);
  ASSERT_TRUE(catch_up());
  log_.reset();
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(dir_ + "/log.db" + suffix);
  log_ = LocalLog::open(dir_ + "/log.db").value();
  put(1, 20);
  const Status done = catch_up();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::kCorrupt);
  EXPECT_THAT(done.error().message, HasSubstr("was filled from the log"));
  EXPECT_EQ(rows(), 10);
}

TEST_F(ArchiveTest, TheLoopGoesOnUntilStoppedAndThenCatchesUp) {
  Archive archive(*log_, *log_, *lake_, options_);
  std::stop_source stop;
  Status end;
  {
    const std::jthread loop([&] { end = archive.run(stop.get_token()); });
    for (int64_t first = 1; first <= 91; first += 10) put(first, first + 9);
    stop.request_stop();
  }
  EXPECT_TRUE(end);
  EXPECT_EQ(rows(), 100);
  EXPECT_EQ(archive.status().tables.front().committed_offset, 100);
  expect_sound();
}

TEST_F(ArchiveTest, ABacklogTooLongForAStopIsLeftForTheNextRun) {
  set_log_level(LogLevel::kOff);
  put(1, 200);
  options_.rows_max = 1;
  options_.stop_within_us = 1;
  std::stop_source stop;
  stop.request_stop();
  ASSERT_TRUE(Archive(*log_, *log_, *lake_, options_).run(stop.get_token()));
  EXPECT_LT(lake_->load("trades_v2").value()->record_count, 200);
  options_.rows_max = 500;
  ASSERT_TRUE(Archive(*log_, *log_, *lake_, options_).catch_up({}));
  EXPECT_EQ(lake_->load("trades_v2").value()->record_count, 200);
  set_log_level(LogLevel::kInfo);
}

TEST_F(ArchiveTest, TheLogIsTrimmedOnlyBelowWhatTheTablesHave) {
  options_.retention_us = 0;
  put(1, 100);
  ASSERT_TRUE(catch_up());
  put(101, 120);
  ASSERT_TRUE(catch_up());
  EXPECT_EQ(rows(), 120);
  expect_sound();
}

}  // namespace
}  // namespace k2
