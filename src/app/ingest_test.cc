#include "app/ingest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <mutex>
#include <set>
#include <thread>

#include "app/app_testing.h"
#include "app/ingest_queue.h"
#include "app/taken.h"
#include "base/logging.h"

namespace k2 {
namespace {

using testing::ElementsAre;

/// A log in memory that obeys its contract, and fails as told: before() runs ahead of each append with its number from 1.
class FakeLog final : public Log {
 public:
  enum class Fault { kNone, kUnavailable, kLostBefore, kLostAfter, kCorrupt };
  std::function<Fault(int)> fault = [](int) { return Fault::kNone; };
  std::function<void(int)> before = [](int) {};

  const LogId& id() const override { return id_; }
  Result<std::vector<Offset>> append(const std::vector<NewRecord>& records, const std::vector<PositionUpdate>& updates) override {
    before(++appends_);
    const Fault kind = fault(appends_);
    if (kind == Fault::kUnavailable) return make_error(ErrorKind::kUnavailable, "disk full");
    if (kind == Fault::kCorrupt) return make_error(ErrorKind::kCorrupt, "broken");
    if (kind == Fault::kLostBefore) return make_error(ErrorKind::kUnknownOutcome, "lost");
    auto offsets = store(records, updates);
    if (offsets && kind == Fault::kLostAfter) return make_error(ErrorKind::kUnknownOutcome, "lost");
    return offsets;
  }
  Result<std::vector<Offset>> store(const std::vector<NewRecord>& records, const std::vector<PositionUpdate>& updates) {
    const std::scoped_lock lock(mutex_);
    for (const PositionUpdate& update : updates)
      if (positions_[update.source].version != update.expected_version) return make_error(ErrorKind::kConflict, update.source);
    std::vector<Offset> offsets;
    for (const NewRecord& record : records) {
      values[std::string(record.topic)].emplace_back(record.value);
      offsets.push_back({static_cast<int64_t>(values[std::string(record.topic)].size()) - 1});
    }
    for (const PositionUpdate& update : updates) positions_[update.source] = {update.expected_version + 1, update.value};
    return offsets;
  }
  Result<LogBatch> read(const TopicPartition&, Offset, Offset, size_t) const override { return LogBatch(); }
  Result<Offsets> end_offsets() const override { return Offsets(); }
  Result<Offsets> begin_offsets() const override { return Offsets(); }
  Result<std::vector<Position>> positions(const std::vector<std::string>& sources) const override {
    const std::scoped_lock lock(mutex_);
    std::vector<Position> found;
    for (const std::string& source : sources) {
      const auto at = positions_.find(source);
      found.push_back(at == positions_.end() ? Position() : at->second);
    }
    return found;
  }
  void wait_for_append(const Offsets&, int64_t) const override {}
  Status trim(const Offsets&, TimestampUs) override { return {}; }

  std::map<std::string, std::vector<std::string>> values;
  int appends() const { return appends_; }
  Position position(const std::string& source) const { return (*positions({source})).front(); }

 private:
  mutable std::mutex mutex_;
  LogId id_{"fake"};
  std::map<std::string, Position> positions_;
  int appends_ = 0;
};

class FakeSchemas final : public SchemaStore {
 public:
  Result<int32_t> register_schema(std::string_view subject, std::string_view) override {
    if (failures > 0) {
      --failures;
      return make_error(ErrorKind::kUnavailable, "log locked");
    }
    subjects.insert(std::string(subject));
    return 7;
  }
  Result<std::string> schema(int32_t) const override { return make_error(ErrorKind::kNotFound, ""); }
  std::set<std::string> subjects;
  int failures = 0;  // before the first success
};

constexpr const char* kSource = "binance/BTCUSDT/trades";
constexpr const char* kTopic = "market.crypto.trades.binance";

Trade trade(int64_t id) { return test::binance_trade(id); }

class IngestTest : public testing::Test {
 protected:
  void SetUp() override { set_log_level(LogLevel::kOff); }  // the failures are ours
  void TearDown() override { set_log_level(LogLevel::kInfo); }
  Ingest& ingest() {
    if (!ingest_) ingest_ = std::make_unique<Ingest>(log_, schemas_, options_);
    return *ingest_;
  }
  void put(int64_t first, int64_t last) {
    for (int64_t id = first; id <= last; ++id) ASSERT_TRUE(ingest().put(trade(id)));
  }
  void restart() { ingest_.reset(); }
  size_t stored() { return log_.values[kTopic].size(); }
  size_t distinct() { return std::set<std::string>(log_.values[kTopic].begin(), log_.values[kTopic].end()).size(); }

  FakeLog log_;
  FakeSchemas schemas_;
  Ingest::Options options_{
      .linger_us = 100, .retry_for_us = 200'000, .retry_closing_us = 1000, .backoff_first_us = 100, .backoff_max_us = 1000};
  std::unique_ptr<Ingest> ingest_;
};

TEST_F(IngestTest, TheFirstEventWaitsForSchemasThatAreAway) {
  schemas_.failures = 3;
  put(1, 2);
  ASSERT_TRUE(ingest().flush());
  EXPECT_EQ(stored(), 2u);
}

TEST_F(IngestTest, WhoStopsWaitsNotForEverForALogThatStaysAway) {
  options_.retry_for_us = 3'600'000'000;
  options_.records_max = 1;
  log_.fault = [](int) { return FakeLog::Fault::kUnavailable; };
  ingest();
  Status last;
  {
    const std::jthread feed([&] {
      while (last) last = ingest_->put(trade(1));
    });
    ingest_->stop_waiting();
  }
  EXPECT_EQ(last.error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(ingest_->flush().error().kind, ErrorKind::kUnavailable);
}

TEST_F(IngestTest, EverySequenceGoesInOnce) {
  put(5, 10);
  put(8, 12);
  ASSERT_TRUE(ingest().flush());
  EXPECT_EQ(stored(), 8u);
  EXPECT_EQ(distinct(), 8u);
  EXPECT_EQ(log_.position(kSource).value, "5-12");
  EXPECT_EQ(ingest().counts().events_appended, 8);
  EXPECT_EQ(ingest().counts().events_duplicate, 3);
  EXPECT_EQ(ingest().counts().pending, 0);
}

TEST_F(IngestTest, ARestartKnowsWhatTheLogHas) {
  put(1, 5);
  ASSERT_TRUE(ingest().flush());
  restart();
  put(1, 7);
  ASSERT_TRUE(ingest().flush());
  EXPECT_EQ(stored(), 7u);
}

TEST_F(IngestTest, ClosingAppendsWhatIsPending) {
  put(1, 100);
  restart();
  EXPECT_EQ(stored(), 100u);
}

TEST_F(IngestTest, OnConflictItTakesOnlyWhatTheOtherWriterDidNot) {
  put(1, 1);
  ASSERT_TRUE(ingest().flush());
  log_.before = [this](int n) {  // between our look at the positions and our append, somebody takes 2 and 3
    if (n != 2) return;
    ASSERT_TRUE(log_.store({{kTopic, "BTCUSDT", "other 2", {}}, {kTopic, "BTCUSDT", "other 3", {}}}, {{kSource, 1, "1-3"}}));
  };
  put(2, 6);
  ASSERT_TRUE(ingest().flush());
  EXPECT_EQ(log_.position(kSource).value, "1-6");
  EXPECT_EQ(stored(), 6u);
  EXPECT_EQ(distinct(), 6u);
  EXPECT_GE(ingest().counts().conflicts, 1);
}

TEST_F(IngestTest, AnAppendThatLandedUnseenIsNotRepeated) {
  log_.fault = [](int n) { return n == 1 ? FakeLog::Fault::kLostAfter : FakeLog::Fault::kNone; };
  put(1, 50);
  ASSERT_TRUE(ingest().flush());
  put(51, 60);
  ASSERT_TRUE(ingest().flush());
  EXPECT_EQ(stored(), 60u);
  EXPECT_EQ(distinct(), 60u);
  EXPECT_EQ(ingest().counts().events_appended, 60);
  EXPECT_EQ(ingest().counts().events_duplicate, 0);
}

TEST_F(IngestTest, AnAppendThatDidNotLandIsRepeated) {
  log_.fault = [](int n) { return n <= 2 ? FakeLog::Fault::kLostBefore : FakeLog::Fault::kNone; };
  put(1, 50);
  ASSERT_TRUE(ingest().flush());
  EXPECT_EQ(stored(), 50u);
}

TEST_F(IngestTest, EveryMixOfLostAnswersLeavesEachOnce) {
  for (int mask = 0; mask < 81; ++mask) {
    FakeLog log;
    log.fault = [mask](int n) {
      int digits = mask;
      for (int i = 1; i < n; ++i) digits /= 3;
      const int digit = n > 4 ? 0 : digits % 3;
      return digit == 1 ? FakeLog::Fault::kLostBefore : digit == 2 ? FakeLog::Fault::kLostAfter : FakeLog::Fault::kNone;
    };
    Ingest ingest(log, schemas_, options_);
    for (int64_t id = 0; id < 6; ++id) {
      ASSERT_TRUE(ingest.put(trade(id)));
      ASSERT_TRUE(ingest.flush());
    }
    EXPECT_EQ(log.values[kTopic].size(), 6u) << mask;
    EXPECT_EQ(log.position(kSource).value, "0-5") << mask;
  }
}

TEST_F(IngestTest, AnUnavailableLogIsTriedAgain) {
  log_.fault = [](int n) { return n <= 3 ? FakeLog::Fault::kUnavailable : FakeLog::Fault::kNone; };
  put(1, 10);
  ASSERT_TRUE(ingest().flush());
  EXPECT_EQ(stored(), 10u);
  EXPECT_EQ(ingest().counts().retries, 3);
}

TEST_F(IngestTest, ALogThatStaysAwayIsAnErrorToAll) {
  log_.fault = [](int) { return FakeLog::Fault::kUnavailable; };
  put(1, 10);
  const Status flushed = ingest().flush();
  ASSERT_FALSE(flushed);
  EXPECT_EQ(flushed.error().kind, ErrorKind::kUnavailable);
  EXPECT_FALSE(ingest().put(trade(11)));
  EXPECT_FALSE(ingest().health());
}

TEST_F(IngestTest, ACorruptLogStopsAtOnce) {
  log_.fault = [](int) { return FakeLog::Fault::kCorrupt; };
  put(1, 1);
  EXPECT_EQ(ingest().flush().error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(log_.appends(), 1);
}

TEST_F(IngestTest, ABrokenPositionStopsBeforeAnythingIsWritten) {
  ASSERT_TRUE(log_.store({}, {{kSource, 0, "9-1"}}));
  put(1, 1);
  EXPECT_EQ(ingest().flush().error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(stored(), 0u);
}

TEST_F(IngestTest, PutWaitsWhileTheBatchIsFull) {
  options_.records_max = 4;
  put(1, 1000);
  ASSERT_TRUE(ingest().flush());
  EXPECT_EQ(stored(), 1000u);
  EXPECT_GE(log_.appends(), 250);
}

TEST_F(IngestTest, AnEventWithoutASequenceIsRefused) {
  Trade without = trade(1);
  without.source_sequence.reset();
  EXPECT_EQ(ingest().put(without).error().kind, ErrorKind::kInvalidInput);
}

TEST_F(IngestTest, SchemasAreRegisteredUnderTheTopic) {
  put(1, 1);
  ASSERT_TRUE(ingest().flush());
  EXPECT_THAT(schemas_.subjects, ElementsAre("market.crypto.trades.binance-value"));
  EXPECT_EQ(log_.values[kTopic].front().substr(0, 5), std::string("\0\0\0\0\7", 5));
}

TEST_F(IngestTest, TheSameFilesDeadLettersGoInOnce) {
  const DeadLetterIdentity identity{"dead_letter/asx/7078.csv", dead_letter_hash(3, "bad"), true};
  for (int load = 0; load < 2; ++load) {
    ASSERT_TRUE(ingest().put(DeadLetter{"7078.csv:3", "no price", "bad", {}}, identity));
    ASSERT_TRUE(ingest().flush());
    restart();
  }
  EXPECT_EQ(log_.values["market.dead_letter"].size(), 1u);
}

TEST_F(IngestTest, AStreamsDeadLettersAreToldApartOnlyForRetries) {
  log_.fault = [](int n) { return n == 1 ? FakeLog::Fault::kLostAfter : FakeLog::Fault::kNone; };
  for (uint64_t n = 1; n <= 3; ++n) {
    ASSERT_TRUE(ingest().put(DeadLetter{"wss", "not JSON", "{", {}}, {"dead_letter/feed/binance", n, false}));
    ASSERT_TRUE(ingest().flush());
  }
  EXPECT_EQ(log_.values["market.dead_letter"].size(), 3u);
  EXPECT_EQ(log_.position("dead_letter/feed/binance").value, "0000000000000003");
}

Quote quote(int64_t id) {
  Quote out;
  out.symbol = "BTCUSDT";
  out.exchange = "binance";
  out.asset_class = AssetClass::kCrypto;
  out.source_sequence = id;
  return out;
}

Coverage coverage(CoverageStatus status, int64_t first, int64_t last) { return test::binance_coverage(status, first, last); }

TEST_F(IngestTest, RisingNumbersNeedOneNumberHoweverManyHoles) {
  for (const int64_t id : {10, 20, 15, 20, 21}) ASSERT_TRUE(ingest().put(quote(id), Numbering::kRising));
  ASSERT_TRUE(ingest().flush());
  EXPECT_EQ(log_.values["market.crypto.quotes.binance"].size(), 3u);
  EXPECT_EQ(log_.position("binance/BTCUSDT/quotes").value, "<=21");
  restart();
  for (const int64_t id : {21, 19, 30}) ASSERT_TRUE(ingest().put(quote(id), Numbering::kRising));
  ASSERT_TRUE(ingest().flush());
  EXPECT_EQ(log_.values["market.crypto.quotes.binance"].size(), 4u);
}

TEST_F(IngestTest, ANumberingMayBecomeRisingAndNotBack) {
  ASSERT_TRUE(ingest().put(quote(10)));
  ASSERT_TRUE(ingest().flush());
  EXPECT_EQ(ingest().put(quote(11), Numbering::kRising).error().kind, ErrorKind::kInvalidInput);
  restart();
  for (const int64_t id : {9, 12}) ASSERT_TRUE(ingest().put(quote(id), Numbering::kRising));
  ASSERT_TRUE(ingest().flush());
  EXPECT_EQ(log_.position("binance/BTCUSDT/quotes").value, "<=12");
  restart();
  ASSERT_TRUE(ingest().put(quote(13)));
  EXPECT_EQ(ingest().flush().error().kind, ErrorKind::kCorrupt);
}

TEST_F(IngestTest, WhatWillNotComeIsSettledWithItsRow) {
  ASSERT_TRUE(ingest().put(coverage(CoverageStatus::kNotIssued, 5, 9)));
  ASSERT_TRUE(ingest().put(coverage(CoverageStatus::kLost, 20, 20)));
  ASSERT_TRUE(ingest().put(coverage(CoverageStatus::kNotIssued, 6, 8)));  // said already
  ASSERT_TRUE(ingest().flush());
  EXPECT_EQ(log_.position("settled/binance/BTCUSDT/trades").value, "5-9,20");
  EXPECT_EQ(log_.values["market.crypto.coverage.binance"].size(), 2u);
  EXPECT_EQ(ingest().put(coverage(CoverageStatus::kLost, 9, 8)).error().kind, ErrorKind::kInvalidInput);
}

TEST_F(IngestTest, AStatementIsMadeOnceWhateverBecomesOfItsAppend) {
  log_.fault = [](int n) { return n == 1 ? FakeLog::Fault::kLostAfter : FakeLog::Fault::kNone; };
  ASSERT_TRUE(ingest().put(coverage(CoverageStatus::kObserved, 5, 9)));
  ASSERT_TRUE(ingest().flush());
  EXPECT_EQ(log_.values["market.crypto.coverage.binance"].size(), 1u);
}

// A log that is away for long: quotes are left out before trades, no more is kept than the queue may hold, nothing blocks, and the log's
// return brings what was kept and a row for the quotes.
TEST_F(IngestTest, WhatAFeedTookIsKeptBesideWhatTheLogHas) {
  Ingest::Options options;
  options.origin = Ingest::Origin::kFeed;
  const auto put = [](Ingest& ingest, int64_t first, int64_t last) {
    for (int64_t id = first; id <= last; ++id) {
      ASSERT_TRUE(ingest.put(test::binance_trade(id)));
    }
    ASSERT_TRUE(ingest.flush());
  };
  Ingest file(log_, schemas_);
  put(file, 1, 5);
  EXPECT_EQ(log_.position("feed/binance/BTCUSDT/trades").version, 0);
  Ingest feed(log_, schemas_, options);
  put(feed, 10, 12);
  put(file, 11, 14);
  put(feed, 14, 15);  // 14 is there already: the feed has seen it all the same
  log_.fault = [](int append) { return append % 2 == 1 ? FakeLog::Fault::kLostAfter : FakeLog::Fault::kNone; };
  put(feed, 5, 5);
  put(feed, 13, 13);
  EXPECT_EQ(log_.position("binance/BTCUSDT/trades").value, "1-5,10-15");
  EXPECT_EQ(log_.position("feed/binance/BTCUSDT/trades").value, "5,10-15");
  EXPECT_EQ(log_.values["market.crypto.trades.binance"].size(), 11u);
  EXPECT_EQ(feed.counts().events_duplicate, 3);
}

TEST_F(IngestTest, ALiveFeedLeavesOutQuotesThenTrades) {
  std::atomic<bool> away = true;
  log_.fault = [&](int) { return away ? FakeLog::Fault::kUnavailable : FakeLog::Fault::kNone; };
  options_.when_full = Ingest::WhenFull::kShed;
  options_.queue_bytes_max = 100'000;
  options_.records_max = 64;
  options_.retry_for_us = 3'600'000'000;
  options_.breaker = {.failures_to_open = 2, .successes_to_close = 1, .open_first_us = 1'000, .open_max_us = 2'000};
  int64_t trades_before_quotes_were_shed = 0;
  for (int64_t id = 0; id < 5'000; ++id) {
    ASSERT_TRUE(ingest().put(trade(id)));
    ASSERT_TRUE(ingest().put(quote(id), Numbering::kRising));
    if (ingest().counts().quotes_shed == 0) trades_before_quotes_were_shed = id + 1;
    EXPECT_LT(ingest().counts().queue_bytes, 101'000);
  }
  const Ingest::Counts full = ingest().counts();
  EXPECT_GT(full.trades_shed, 0);
  EXPECT_GT(full.quotes_shed, full.trades_shed);
  EXPECT_LT(trades_before_quotes_were_shed, 5'000 - full.trades_shed);
  while (ingest().counts().breaker == CircuitBreaker::State::kClosed) std::this_thread::yield();
  away = false;
  ASSERT_TRUE(ingest().flush());
  ASSERT_TRUE(ingest().flush());  // and the rows about what was left out
  const auto trades_kept = static_cast<int64_t>(stored());
  EXPECT_EQ(trades_kept + full.trades_shed, 5'000);
  EXPECT_EQ(static_cast<int64_t>(log_.values["market.crypto.quotes.binance"].size()) + full.quotes_shed, 5'000);
  EXPECT_EQ(log_.values["market.crypto.coverage.binance"].size(), 1u);
  EXPECT_EQ(log_.position("settled/binance/BTCUSDT/quotes").value, std::to_string(trades_before_quotes_were_shed) + "-4999");
  EXPECT_EQ(ingest().counts().breaker, CircuitBreaker::State::kClosed);
}

TEST(IngestQueue, TheMarksKeepADistance) {
  Watermark mark(100, 50);
  EXPECT_FALSE(mark.update(99));
  EXPECT_TRUE(mark.update(100));
  EXPECT_TRUE(mark.update(50));
  EXPECT_FALSE(mark.update(49));
  EXPECT_FALSE(mark.update(99));
}

TEST(TakenTest, TheHighestNumberIsReadExactlyAsWritten) {
  for (const char* text : {"", "<=0", "<=9000"}) EXPECT_EQ(Taken::parse(Taken::Kind::kHighest, text)->to_string(), text);
  EXPECT_EQ(Taken::parse(Taken::Kind::kHighest, "5-9,12")->to_string(), "<=12");
  for (const char* text : {"9-5", "<=", "<=-1", "<=09", "<=1,2", "<=99999999999999999999"})
    EXPECT_FALSE(Taken::parse(Taken::Kind::kHighest, text)) << text;
}

TEST(TakenTest, HashesAreReadExactlyAsWritten) {
  const auto taken = Taken::parse(Taken::Kind::kHashes, "00000000000000ff,0000000000000100");
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->to_string(), "00000000000000ff,0000000000000100");
  for (const char* text :
       {"ff", "00000000000000ff,", "00000000000000FF", "0000000000000100,00000000000000ff", "00000000000000ff,00000000000000ff", "x"})
    EXPECT_FALSE(Taken::parse(Taken::Kind::kHashes, text)) << text;
}

}  // namespace
}  // namespace k2
