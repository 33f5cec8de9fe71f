// The live feed and what it missed, over real sockets: the simulated exchange's ledger against the log.
#include "app/backfill.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <thread>

#include "app/app_testing.h"
#include "app/config.h"
#include "app/feed_binance.h"
#include "base/logging.h"
#include "base/uuid.h"
#include "codec/avro.h"
#include "exchange/faults.h"
#include "exchange/sim.h"
#include "log/local_log.h"
#include "market/coverage.h"

namespace k2 {
namespace {

using testing::Contains;
using testing::IsEmpty;

constexpr const char* kTrades = "market.crypto.trades.binance";
constexpr const char* kCoverage = "market.crypto.coverage.binance";

class BackfillTest : public testing::Test {
 protected:
  void SetUp() override {
    set_log_level(LogLevel::kOff);
    dir_ = testing::TempDir() + "k2-backfill-" + random_uuid();
    std::filesystem::create_directories(dir_);
    log_ = LocalLog::open(dir_ + "/log.db").value();
  }
  void TearDown() override {
    stop_feed();
    sim_.reset();
    log_.reset();
    std::filesystem::remove_all(dir_);
    set_log_level(LogLevel::kInfo);
  }

  /// 30 trades from the 50th on happen and are not sent.
  static SimOptions with_a_hole() {
    SimOptions options;
    options.faults = {parse_fault_rule("hole:at_trade=50,count=30").value()};
    return options;
  }
  void start_exchange(SimOptions options = {}) {
    options.symbols = {"BTCUSDT"};
    options.trades_per_second = 500;
    sim_ = SimExchange::start(options).value();
    config_.data_dir = dir_;
    config_.binance.symbols = {"BTCUSDT"};
    config_.binance.endpoints = {sim_->ws_url()};
    config_.binance.rest_endpoints = {sim_->rest_url()};
  }
  static Ingest::Options as_feed() {
    Ingest::Options options;
    options.origin = Ingest::Origin::kFeed;
    return options;
  }
  void start_feed() {
    ingest_ = std::make_unique<Ingest>(*log_, *log_, as_feed());
    auto source = BinanceSource::start(
        config_, *ingest_, {.log = log_.get(), .gap_policy = {.grace_us = 200'000, .confirm_after_us = 500'000}, .gap_poll_us = 50'000});
    ASSERT_TRUE(source) << source.error().message;
    source_ = *std::move(source);
  }
  /// A feed that is past the hole and may not ask for it.
  void leave_a_hole_open() {
    start_exchange(with_a_hole());
    config_.binance.backfill = false;
    start_feed();
    let_trade(150);
  }
  void stop_feed() {
    if (source_) source_->stop();
    source_.reset();
    ingest_.reset();
  }

  /// Looks until `is_so`, for 20 s at most.
  template <class Condition>
  ::testing::AssertionResult soon(Condition is_so) {
    for (int i = 0; i < 1000; ++i) {
      if (is_so()) return ::testing::AssertionSuccess();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return ::testing::AssertionFailure() << "not within 20 s";
  }
  void let_trade(uint64_t trades) {
    const uint64_t until = sim_->counts().trades + trades;
    ASSERT_TRUE(soon([&] { return sim_->counts().trades >= until; }));
  }

  template <class Record>
  std::vector<Record> records(const std::string& topic, Status (*decode)(std::string_view, Record&)) {
    std::vector<Record> out;
    const Offsets ends = log_->end_offsets().value();
    for (const auto& [partition, end] : ends) {
      if (partition.topic != topic) continue;
      for (Offset at{0}; at < end;) {
        const LogBatch batch = log_->read(partition, at, end, 1 << 20).value();
        for (const LogRecord& record : batch.records()) {
          Record event;
          EXPECT_TRUE(decode(read_frame(record.value)->body, event));
          out.push_back(event);
        }
        at = batch.next_offset();
      }
    }
    return out;
  }
  std::vector<int64_t> logged() {
    std::vector<int64_t> ids;
    for (const Trade& trade : records<Trade>(kTrades, decode_trade)) ids.push_back(*trade.source_sequence);
    return ids;
  }
  /// What the exchange has, from the first that was taken on, is in the log exactly once, and nothing else.
  bool log_is_ledger() {
    std::vector<int64_t> have = logged();
    std::ranges::sort(have);
    std::vector<int64_t> want;
    const std::vector<SimTrade> ledger = sim_->trades("BTCUSDT").value();
    for (const SimTrade& trade : ledger)
      if (!have.empty() && trade.id >= have.front()) want.push_back(trade.id);
    return have == want;
  }
  SequenceRanges position(const std::string& source) { return SequenceRanges::parse(log_->positions({source})->front().value).value(); }
  std::vector<CoverageStatus> statuses() {
    std::vector<CoverageStatus> out;
    for (const Coverage& row : records<Coverage>(kCoverage, decode_coverage)) out.push_back(row.status);
    return out;
  }

  // Without an exchange: what earlier lives left, and a life that finds it. Trade n happens at second n.
  static void take(Ingest& ingest, int64_t first, int64_t last) {
    for (int64_t id = first; id <= last; ++id) {
      ASSERT_TRUE(ingest.put(test::binance_trade(id, {id * kUsPerSecond})));
    }
    ASSERT_TRUE(ingest.flush());
  }
  static void say(Ingest& ingest, CoverageStatus status, int64_t first, int64_t last, std::string reason = "") {
    ASSERT_TRUE(ingest.put(test::binance_coverage(status, first, last, {first * kUsPerSecond}, {last * kUsPerSecond}, std::move(reason))));
    ASSERT_TRUE(ingest.flush());
  }
  std::unique_ptr<Backfill> next_life(Ingest& ingest) {
    return std::make_unique<Backfill>(*log_, ingest,
                                      Backfill::Options{.symbols = {"BTCUSDT"},
                                                        .is_wanted = false,
                                                        .lock_file = dir_ + "/feed.lock",
                                                        .policy = {.grace_us = 50'000},
                                                        .poll_us = 20'000});
  }
  /// "observed 5-9 why", of the rows from `from` on.
  std::vector<std::string> stated(size_t from) {
    std::vector<std::string> out;
    for (const Coverage& row : records<Coverage>(kCoverage, decode_coverage))
      if (from > 0) --from;
      else
        out.push_back(std::string(coverage_status_name(row.status)) + " " + std::to_string(row.first_sequence) + "-" +
                      std::to_string(row.last_sequence) + " " + row.reason);
    return out;
  }

  std::string dir_;
  Config config_;
  std::unique_ptr<LocalLog> log_;
  std::unique_ptr<SimExchange> sim_;
  std::unique_ptr<Ingest> ingest_;
  std::unique_ptr<BinanceSource> source_;
};

TEST_F(BackfillTest, FramesThatTheExchangeDidNotSendAreFetched) {
  start_exchange(with_a_hole());
  start_feed();
  let_trade(150);
  sim_->pause();
  EXPECT_TRUE(soon([&] { return log_is_ledger(); }));
  EXPECT_TRUE(soon([&] { return source_->gaps().open == 0 && source_->gaps().backfilled >= 30; }));
  stop_feed();
  EXPECT_THAT(statuses(), Contains(CoverageStatus::kOpen));
  EXPECT_THAT(statuses(), Contains(CoverageStatus::kBackfilled));
  EXPECT_THAT(statuses(), Contains(CoverageStatus::kObserved));
  int64_t marked = 0;
  for (const Trade& trade : records<Trade>(kTrades, decode_trade))
    if (std::ranges::count(*trade.vendor_data, std::pair<std::string, std::string>("backfilled", "true")) > 0) ++marked;
  EXPECT_GE(marked, 30);
}

TEST_F(BackfillTest, SeveralGapsThatOneAnswerFillsEachHaveTheirOwnTimes) {
  SimOptions options;
  for (const char* rule : {"hole:at_trade=50,count=10", "hole:at_trade=80,count=10", "hole:at_trade=110,count=10",
                           "rest_429:path=historicalTrades,count=1,delay=1s"})
    options.faults.push_back(parse_fault_rule(rule).value());
  start_exchange(options);
  start_feed();
  let_trade(200);
  sim_->pause();
  EXPECT_TRUE(soon([&] { return source_->gaps().open == 0 && source_->gaps().backfilled >= 30; }));
  stop_feed();
  std::map<int64_t, TimestampUs> happened;
  const std::vector<SimTrade> ledger = sim_->trades("BTCUSDT").value();
  for (const SimTrade& trade : ledger) happened[trade.id] = trade.time;
  int64_t backfilled = 0;
  for (const Coverage& row : records<Coverage>(kCoverage, decode_coverage)) {
    if (row.status != CoverageStatus::kBackfilled) continue;
    backfilled += row.last_sequence - row.first_sequence + 1;
    EXPECT_EQ(row.timestamp, happened[row.first_sequence]) << row.first_sequence;
    EXPECT_EQ(row.end_timestamp, happened[row.last_sequence]) << row.last_sequence;
  }
  EXPECT_GE(backfilled, 30);
}

TEST_F(BackfillTest, AHoleAcrossARestartIsFilled) {
  start_exchange();
  start_feed();
  let_trade(50);
  stop_feed();
  let_trade(100);
  start_feed();
  let_trade(50);
  sim_->pause();
  EXPECT_TRUE(soon([&] { return log_is_ledger(); }));
}

TEST_F(BackfillTest, WhatHappenedBetweenTwoLivesIsFetchedThoughNothingFollows) {
  start_exchange();
  start_feed();
  let_trade(50);
  stop_feed();
  let_trade(20);
  sim_->pause();
  start_feed();
  EXPECT_TRUE(soon([&] { return log_is_ledger(); }));
}

TEST_F(BackfillTest, RateLimitsAreHonouredAndTheHoleIsFilledAfterwards) {
  SimOptions options = with_a_hole();
  options.faults.push_back(parse_fault_rule("rest_429:path=historicalTrades,count=2,delay=1s").value());
  start_exchange(options);
  start_feed();
  let_trade(150);
  sim_->pause();
  EXPECT_TRUE(soon([&] { return log_is_ledger(); }));
  EXPECT_EQ(sim_->counts().rest_by_status[429], 2u);
}

TEST_F(BackfillTest, WhereItIsOffTheGapIsStatedWithTheReason) {
  leave_a_hole_open();
  EXPECT_TRUE(soon([&] { return source_->gaps().open == 1 && source_->gaps().missing == 30; }));
  stop_feed();
  std::vector<std::string> reasons;
  for (const Coverage& row : records<Coverage>(kCoverage, decode_coverage)) reasons.push_back(row.reason);
  EXPECT_THAT(reasons, Contains("binance.backfill is off"));
}

TEST_F(BackfillTest, AGapThatStaysOpenIsNotStatedAnewByTheNextLife) {
  leave_a_hole_open();
  const auto stuck = [&] {
    auto rows = records<Coverage>(kCoverage, decode_coverage);
    std::erase_if(rows, [](const Coverage& row) { return row.reason != "binance.backfill is off"; });
    return rows;
  };
  ASSERT_TRUE(soon([&] { return stuck().size() == 1; }));
  stop_feed();
  start_feed();
  let_trade(50);
  ASSERT_TRUE(soon([&] { return source_->gaps().open > 0; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(500));  // twice the grace time
  stop_feed();
  const int64_t first = stuck().front().first_sequence;
  for (const Coverage& row : records<Coverage>(kCoverage, decode_coverage)) {
    EXPECT_GT(row.timestamp.us, 0) << row.reason;
    EXPECT_LE(row.timestamp, row.end_timestamp);
  }
  EXPECT_EQ(std::ranges::count(stuck(), first, &Coverage::first_sequence), 1);
}

TEST_F(BackfillTest, AGapStatedAsOpenIsClosedByTheNextLife) {
  leave_a_hole_open();
  sim_->pause();
  ASSERT_TRUE(soon([&] { return source_->gaps().open == 1; }));
  stop_feed();
  config_.binance.backfill = true;
  start_feed();
  EXPECT_TRUE(soon([&] { return log_is_ledger() && source_->gaps().open == 0; }));
  stop_feed();
  EXPECT_EQ(std::ranges::count_if(records<Coverage>(kCoverage, decode_coverage),
                                  [](const Coverage& row) { return row.reason == "not received"; }),
            1);
}

TEST_F(BackfillTest, WhatWasSettledAndIsReturnedAfterAllIsTaken) {
  leave_a_hole_open();
  sim_->pause();
  ASSERT_TRUE(soon([&] { return source_->gaps().open == 1; }));
  stop_feed();
  const std::vector<SequenceRanges::Range> taken = position("binance/BTCUSDT/trades").ranges();
  ASSERT_EQ(taken.size(), 2u);
  const int64_t settled = taken[0].last + 5;
  {
    Ingest other(*log_, *log_);
    ASSERT_TRUE(other.put(test::binance_coverage(CoverageStatus::kNotIssued, settled, settled + 1, {}, {}, "a server lagged")));
    ASSERT_TRUE(other.flush());
  }
  config_.binance.backfill = true;
  start_feed();
  EXPECT_TRUE(soon([&] { return log_is_ledger() && source_->gaps().open == 0; }));
  EXPECT_TRUE(soon([&] {
    return std::ranges::any_of(records<Coverage>(kCoverage, decode_coverage), [&](const Coverage& row) {
      return row.status == CoverageStatus::kBackfilled && row.first_sequence <= settled && row.last_sequence >= settled + 1;
    });
  }));
}

TEST_F(BackfillTest, WhatALifeTookBetweenItsStatementsIsStatedByTheNext) {
  Ingest ingest(*log_, *log_, as_feed());
  take(ingest, 1, 9);
  take(ingest, 11, 20);
  say(ingest, CoverageStatus::kObserved, 3, 5);
  say(ingest, CoverageStatus::kOpen, 10, 10, "not received");
  say(ingest, CoverageStatus::kNotIssued, 15, 15, "and it came after all");
  const auto life = next_life(ingest);
  EXPECT_TRUE(soon([&] { return stated(3).size() >= 4; }));
  life->stop();
  EXPECT_THAT(stated(3),
              testing::UnorderedElementsAre("observed 1-2 ", "observed 6-9 ", "observed 11-20 ", "open 10-10 binance.backfill is off"));
}

TEST_F(BackfillTest, WhatAnEarlierLifeTookBeforeItsFirstStatementIsStatedWithItsTimes) {
  Ingest feed(*log_, *log_, as_feed());
  take(feed, 1, 9);
  const auto life = next_life(feed);
  EXPECT_TRUE(soon([&] { return !stated(0).empty(); }));
  life->stop();
  ASSERT_THAT(stated(0), testing::ElementsAre("observed 1-9 "));
  const Coverage row = records<Coverage>(kCoverage, decode_coverage).front();
  EXPECT_EQ(row.timestamp.us, 1 * kUsPerSecond);
  EXPECT_EQ(row.end_timestamp.us, 9 * kUsPerSecond);
}

TEST_F(BackfillTest, OfAStretchThatReachedTheLogInPartsEachHasItsOwnTimes) {
  Ingest feed(*log_, *log_, as_feed());
  const auto life = next_life(feed);
  take(feed, 1, 9);
  take(feed, 12, 15);
  take(feed, 19, 20);
  life->line_up("binance", {"BTCUSDT"});
  life->received("binance", "BTCUSDT", {1, 20}, {1 * kUsPerSecond}, {20 * kUsPerSecond});
  EXPECT_TRUE(soon([&] {
    const std::vector<std::string> said = stated(0);
    return std::ranges::all_of(std::vector<std::string>{"observed 1-9 ", "observed 12-15 ", "observed 19-20 "},
                               [&](const std::string& row) { return std::ranges::count(said, row) > 0; });
  }));
  life->stop();
  for (const Coverage& row : records<Coverage>(kCoverage, decode_coverage)) {
    if (row.status != CoverageStatus::kObserved) continue;
    EXPECT_EQ(row.timestamp.us, row.first_sequence * kUsPerSecond);
    EXPECT_EQ(row.end_timestamp.us, row.last_sequence * kUsPerSecond);
  }
}

TEST_F(BackfillTest, WhatLiesBetweenALoadedFileAndTheFeedIsNotSpokenOf) {
  Ingest file(*log_, *log_);
  Ingest feed(*log_, *log_, as_feed());
  take(file, 1, 9);
  take(feed, 500, 520);
  take(file, 900'000, 900'009);
  take(feed, 530, 540);
  const auto life = next_life(feed);
  EXPECT_TRUE(soon([&] { return stated(0).size() >= 4; }));
  EXPECT_EQ(life->status().missing, 9);
  life->stop();
  EXPECT_THAT(stated(0), testing::UnorderedElementsAre("observed 500-520 ", "observed 530-540 ", "open 521-529 not received",
                                                       "open 521-529 binance.backfill is off"));
}

TEST_F(BackfillTest, WhatAFileBringsIntoAGapIsBackfilledWithItsTimes) {
  Ingest file(*log_, *log_);
  Ingest feed(*log_, *log_, as_feed());
  take(feed, 1, 9);
  take(feed, 30, 39);
  const auto life = next_life(feed);
  ASSERT_TRUE(soon([&] { return stated(0).size() >= 4; }));
  take(file, 5, 24);
  EXPECT_TRUE(soon([&] { return stated(0).size() >= 5; }));
  EXPECT_TRUE(soon([&] { return life->status().missing == 5; }));
  life->stop();
  ASSERT_THAT(stated(4), testing::ElementsAre("backfilled 10-24 loaded from a file"));
  const Coverage row = records<Coverage>(kCoverage, decode_coverage).back();
  EXPECT_EQ(row.timestamp.us, 10 * kUsPerSecond);
  EXPECT_EQ(row.end_timestamp.us, 24 * kUsPerSecond);
  const auto again = next_life(feed);
  take(feed, 40, 40);
  again->received("binance", "BTCUSDT", {40, 40}, {40 * kUsPerSecond}, {40 * kUsPerSecond});
  ASSERT_TRUE(soon([&] { return stated(5).size() >= 1; }));
  again->stop();
  EXPECT_THAT(stated(5), testing::ElementsAre("observed 40-40 ")) << "and nothing anew";
}

TEST_F(BackfillTest, WhatAFileBroughtWhileNoFeedRanIsBackfilledByTheNextLife) {
  Ingest file(*log_, *log_);
  Ingest feed(*log_, *log_, as_feed());
  take(feed, 1, 9);
  take(feed, 30, 39);
  next_life(feed)->stop();
  ASSERT_TRUE(feed.flush());
  const size_t said = stated(0).size();
  take(file, 10, 29);
  const auto life = next_life(feed);
  EXPECT_TRUE(soon([&] { return stated(said).size() >= 1; }));
  life->stop();
  EXPECT_THAT(stated(said), testing::ElementsAre("backfilled 10-29 loaded from a file"));
}

TEST_F(BackfillTest, WhatAnotherProcessThatLivesTookIsItsOwnToState) {
  Ingest feed(*log_, *log_, as_feed());
  auto first = next_life(feed);
  ASSERT_TRUE(soon([&] { return std::filesystem::exists(dir_ + "/feed.lock"); }));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // a few polls: it holds its sources
  take(feed, 1, 9);
  Ingest other(*log_, *log_, as_feed());
  auto second = next_life(other);
  take(other, 8, 12);
  second->received("binance", "BTCUSDT", {8, 12}, {8 * kUsPerSecond}, {12 * kUsPerSecond});
  EXPECT_TRUE(soon([&] { return stated(0).size() >= 1; }));
  second->stop();
  EXPECT_THAT(stated(0), testing::ElementsAre("observed 8-12 "));
  first.reset();
  const auto third = next_life(other);
  EXPECT_TRUE(soon([&] { return stated(1).size() >= 1; }));
  third->stop();
  EXPECT_THAT(stated(1), testing::ElementsAre("observed 1-7 "));
}

TEST_F(BackfillTest, InALogFromBeforeFeedsHadAPositionStatementsSayWhatTheyTook) {
  Ingest before(*log_, *log_);
  take(before, 1, 5);  // a file's
  take(before, 100, 120);
  say(before, CoverageStatus::kOpen, 6, 99, "too many");  // as it was stated then
  say(before, CoverageStatus::kObserved, 100, 110);
  Ingest feed(*log_, *log_, as_feed());
  take(feed, 130, 131);
  const auto life = next_life(feed);
  EXPECT_TRUE(soon([&] { return stated(2).size() >= 4; }));
  EXPECT_EQ(life->status().missing, 9);
  life->stop();
  EXPECT_THAT(stated(2), testing::UnorderedElementsAre("observed 130-131 ", "backfilled 111-120 loaded from a file",
                                                       "open 121-129 not received", "open 121-129 binance.backfill is off"));
}

TEST_F(BackfillTest, WhatALifeTookAndHadNoTimeToStateIsStatedByTheNext) {
  start_exchange();
  start_feed();
  let_trade(50);
  stop_feed();
  {
    Ingest dying(*log_, *log_, as_feed());  // takes three more, and ends without a word
    const int64_t next = *position("binance/BTCUSDT/trades").last() + 1;
    for (int64_t id = next; id < next + 3; ++id) {
      Trade trade = records<Trade>(kTrades, decode_trade).back();
      trade.message_id = MessageIdMaker("binance", "BTCUSDT", "trades").make(id);
      trade.trade_id = std::to_string(id);
      trade.source_sequence = id;
      ASSERT_TRUE(dying.put(trade));
      ASSERT_TRUE(dying.flush());
    }
  }
  const int64_t last = *position("binance/BTCUSDT/trades").last();
  start_feed();
  EXPECT_TRUE(soon([&] {
    return std::ranges::any_of(records<Coverage>(kCoverage, decode_coverage), [&](const Coverage& row) {
      return row.status == CoverageStatus::kObserved && row.first_sequence <= last - 2 && row.last_sequence >= last;
    });
  }));
}

}  // namespace
}  // namespace k2
