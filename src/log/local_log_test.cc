#include "log/local_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "log/local_log_testing.h"
#include "log/partitioner.h"
#include "log/write_lock.h"

namespace k2 {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class LocalLogTest : public testing::Test {
 protected:
  std::unique_ptr<LocalLog> open(LocalLogOptions options = {}) { return open_log(path_, std::move(options)); }
  /// Runs SQL on the file, as no well-behaved program would.
  void tamper(const std::string& sql) {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &db), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
    sqlite3_close(db);
  }

  TemporaryDirectory directory_;
  std::string path_ = directory_.file("log.db");
};

// --- append and read ---

TEST_F(LocalLogTest, GivesOffsetsFromZeroWithoutHoleAndReadsBackWhatWasAppended) {
  const auto log = open();
  EXPECT_THAT(append(*log, {"a", "b"}).value(), ElementsAre(Offset{0}, Offset{1}));
  EXPECT_THAT(append(*log, {"c"}).value(), ElementsAre(Offset{2}));
  EXPECT_THAT(read_all(*log), ElementsAre("a", "b", "c"));
  EXPECT_EQ(log->end_offsets().value(), (Offsets{{kTrades, {3}}}));
  EXPECT_EQ(log->begin_offsets().value(), (Offsets{{kTrades, {0}}}));
  const auto batch = log->read(kTrades, {1}, kNoEnd, kAnyBytes).value();
  EXPECT_EQ(batch.records().front().key, "BTCUSDT");
  EXPECT_EQ(batch.records().front().timestamp.us, 1'700'000'000'000'000);
  expect_sound(path_);
}

TEST_F(LocalLogTest, KeepsEverythingOverARestart) {
  const LogId id = [&] {
    const auto log = open();
    EXPECT_TRUE(append_at(*log, 0, "p1", {"a", "b"}));
    return log->id();
  }();
  const auto log = open();
  EXPECT_EQ(log->id(), id);
  EXPECT_THAT(read_all(*log), ElementsAre("a", "b"));
  EXPECT_EQ(log->positions({"source"})->front().value, "p1");
  EXPECT_THAT(append(*log, {"c"}).value(), ElementsAre(Offset{2}));
}

TEST_F(LocalLogTest, HasAnIdOfItsOwn) {
  const auto log = open();
  const auto other = open_log(directory_.file("other.db"));
  EXPECT_THAT(log->id().value, SizeIs(36));
  EXPECT_EQ(log->id().value[14], '4');
  EXPECT_NE(log->id(), other->id());
}

TEST_F(LocalLogTest, PutsKeysIntoPartitionsAsKafkaDoesAndNeverMovesThem) {
  const auto two_symbols = [](Log& log) {
    return log.append({{"t", "BTCUSDT", "b", {}}, {"t", "ETHUSDT", "e", {}}, {"t", "BTCUSDT", "b2", {}}}, {}).has_value();
  };
  {
    const auto log = open({.partitions = 16});
    EXPECT_TRUE(two_symbols(*log));
  }
  const auto log = open({.partitions = 3});
  EXPECT_TRUE(two_symbols(*log));
  const TopicPartition btc{"t", partition_for_key("BTCUSDT", 16)};
  const TopicPartition eth{"t", partition_for_key("ETHUSDT", 16)};
  ASSERT_NE(btc, eth);
  EXPECT_THAT(read_all(*log, btc), ElementsAre("b", "b2", "b", "b2"));
  EXPECT_THAT(read_all(*log, eth), ElementsAre("e", "e"));
  EXPECT_EQ(log->end_offsets().value(), (Offsets{{btc, {4}}, {eth, {2}}}));
  EXPECT_TRUE(log->append({{"u", "BTCUSDT", "x", {}}}, {}));
  EXPECT_THAT(read_all(*log, {"u", partition_for_key("BTCUSDT", 3)}), ElementsAre("x"));
  expect_sound(path_);
}

TEST_F(LocalLogTest, ReadsAnEmptyBatchAtTheEndAndNotFoundPastIt) {
  const auto log = open();
  EXPECT_TRUE(log->read(kTrades, {0}, kNoEnd, kAnyBytes)->empty());
  EXPECT_EQ(kind_of_error(log->read(kTrades, {1}, kNoEnd, kAnyBytes)), ErrorKind::kNotFound);
  EXPECT_TRUE(append(*log, {"a", "b"}));
  EXPECT_EQ(log->read(kTrades, {2}, kNoEnd, kAnyBytes)->next_offset(), Offset{2});
  EXPECT_EQ(kind_of_error(log->read(kTrades, {3}, kNoEnd, kAnyBytes)), ErrorKind::kNotFound);
  EXPECT_EQ(kind_of_error(log->read(kTrades, {-1}, kNoEnd, kAnyBytes)), ErrorKind::kNotFound);
}

// Every combination of start, end and bytes gives the same records, from memory and from the file.
TEST_F(LocalLogTest, ReadsAnyRangeAlikeFromMemoryAndFromTheFile) {
  std::vector<std::string> all;
  for (int i = 0; i < 12; ++i) all.push_back(std::string(static_cast<size_t>(i), 'x') + std::to_string(i));
  const auto from_memory = open();
  for (size_t i = 0; i < all.size(); i += 3) ASSERT_TRUE(append(*from_memory, {all[i], all[i + 1], all[i + 2]}));
  const auto from_file = open({.cache_bytes_max = 0});
  for (const auto* log : {from_memory.get(), from_file.get()}) {
    for (int64_t from = 0; from <= 12; ++from) {
      for (int64_t end = 0; end <= 13; ++end) {
        const auto batch = log->read(kTrades, {from}, {end}, kAnyBytes).value();
        const int64_t last = std::max(from, std::min<int64_t>(end, 12));
        EXPECT_EQ(values_of(batch), std::vector<std::string>(all.begin() + from, all.begin() + last)) << from << " " << end;
        EXPECT_EQ(batch.next_offset(), Offset{last});
      }
      for (const size_t bytes : {0, 1, 7, 30})
        EXPECT_EQ(read_all(*log, kTrades, {from}, bytes), std::vector<std::string>(all.begin() + from, all.end()));
    }
  }
}

TEST_F(LocalLogTest, StopsReadingNearTheBytesAskedFor) {
  const auto log = open({.cache_bytes_max = 0});
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(append(*log, std::vector<std::string>(10, std::string(100, 'v'))));
  EXPECT_THAT(log->read(kTrades, {0}, kNoEnd, 1)->records(), SizeIs(1));
  EXPECT_THAT(log->read(kTrades, {0}, kNoEnd, 1000)->records(), SizeIs(10));
  EXPECT_THAT(log->read(kTrades, {5}, kNoEnd, 1001)->records(), SizeIs(11));
}

TEST_F(LocalLogTest, TakesRecordsUpToItsLimitsAndRefusesMore) {
  const auto log = open();
  const std::string largest(Log::kRecordBytesMax - 1, 'v');
  EXPECT_TRUE(log->append({{"t", "k", largest, {}}, {"t", "k", "", {}}, {"t", "", "", {}}}, {}));
  EXPECT_THAT(read_all(*log, {"t", 0}), ElementsAre(largest, "", ""));
  EXPECT_EQ(kind_of_error(log->append({{"t", "kk", largest, {}}}, {})), ErrorKind::kInvalidInput);
  for (const std::string& topic :
       {std::string(), std::string("a/b"), std::string("a b"), std::string(".."), std::string(250, 't'), std::string("t\0", 2)})
    EXPECT_EQ(kind_of_error(log->append({{"t", "k", "v", {}}, {topic, "k", "v", {}}}, {})), ErrorKind::kInvalidInput) << topic;
  EXPECT_TRUE(log->append({{std::string(249, 't'), "k", "v", {}}}, {}));
  EXPECT_EQ(offset_of(log->end_offsets().value(), {"t", 0}), Offset{3});
}

TEST_F(LocalLogTest, SplitsALargeAppendIntoSeveralBatchesOfOneCommit) {
  const auto log = open();
  std::vector<std::string> values;
  for (int i = 0; i < 50; ++i) values.push_back(std::to_string(i) + std::string(100'000, 'v'));
  ASSERT_TRUE(append(*log, values));
  EXPECT_EQ(log->stats().commits, 1);
  EXPECT_EQ(read_all(*log), values);
  EXPECT_EQ(read_all(*open({.cache_bytes_max = 0})), values);
  expect_sound(path_);
}

// --- positions ---

TEST_F(LocalLogTest, MovesAPositionOnlyFromTheVersionExpected) {
  const auto log = open();
  EXPECT_EQ(log->positions({"source"})->front().version, 0);
  EXPECT_TRUE(append_at(*log, 0, "p1", {"a"}));
  EXPECT_EQ(kind_of_error(append_at(*log, 0, "p1", {"a"})), ErrorKind::kConflict);
  EXPECT_EQ(kind_of_error(append_at(*log, 2, "p3", {"c"})), ErrorKind::kConflict);
  EXPECT_TRUE(append_at(*log, 1, std::string("p\0two", 5), {"b"}));
  const auto positions = log->positions({"other", "source"}).value();
  EXPECT_EQ(positions[0].version, 0);
  EXPECT_EQ(positions[1].version, 2);
  EXPECT_EQ(positions[1].value, std::string("p\0two", 5));
  EXPECT_THAT(read_all(*log), ElementsAre("a", "b"));
}

TEST_F(LocalLogTest, WritesNothingIfOneOfSeveralPositionsIsInConflict) {
  const auto log = open();
  ASSERT_TRUE(append(*log, {"a"}, {{"one", 0, "1"}}));
  EXPECT_EQ(kind_of_error(append(*log, {"b"}, {{"two", 0, "1"}, {"one", 0, "2"}})), ErrorKind::kConflict);
  EXPECT_EQ(log->positions({"two"})->front().version, 0);
  EXPECT_THAT(read_all(*log), ElementsAre("a"));
}

TEST_F(LocalLogTest, MovesPositionsWithoutRecords) {
  const auto log = open();
  EXPECT_THAT(append(*log, {}, {{"one", 0, "1"}}).value(), IsEmpty());
  EXPECT_EQ(log->positions({"one"})->front().value, "1");
  EXPECT_THAT(log->end_offsets().value(), IsEmpty());
}

TEST_F(LocalLogTest, RefusesAPositionNamedTwice) {
  EXPECT_EQ(kind_of_error(append(*open(), {"a"}, {{"one", 0, "1"}, {"one", 1, "2"}})), ErrorKind::kInvalidInput);
}

// --- threads ---

TEST_F(LocalLogTest, GivesEightThreadsContiguousOffsetsInFewerCommits) {
  constexpr int kThreads = 8;
  constexpr int kAppends = 40;
  const auto log = open();
  std::vector<std::vector<Offset>> offsets(kThreads);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kAppends; ++i) {
          const std::string value = std::to_string(t) + ":" + std::to_string(i);
          const auto appended = append(*log, {value, value + "b"}).value();
          offsets[static_cast<size_t>(t)].insert(offsets[static_cast<size_t>(t)].end(), appended.begin(), appended.end());
        }
      });
    }
  }
  const auto values = read_all(*log);
  ASSERT_EQ(values.size(), size_t{kThreads * kAppends * 2});
  for (int t = 0; t < kThreads; ++t) {
    for (int i = 0; i < kAppends; ++i) {
      const std::string value = std::to_string(t) + ":" + std::to_string(i);
      const size_t at = static_cast<size_t>(offsets[static_cast<size_t>(t)][static_cast<size_t>(2 * i)].value);
      EXPECT_EQ(values[at], value);
      EXPECT_EQ(values[at + 1], value + "b");
    }
  }
  EXPECT_EQ(log->stats().appends, kThreads * kAppends);
  EXPECT_LT(log->stats().commits, kThreads * kAppends);
  expect_sound(path_);
}

// Threads race for the same source; each event is taken once, and who loses does not harm those committed with him.
TEST_F(LocalLogTest, LetsOneOfManyWritersOfASourceWinEachTime) {
  constexpr int kThreads = 6;
  constexpr int kEvents = 30;
  const auto log = open();
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        const std::string own = "own" + std::to_string(t);
        for (int64_t event = 0; event < kEvents; ++event) {
          const auto shared = append_at(*log, event, std::to_string(event + 1), {std::to_string(event)});
          EXPECT_TRUE(shared || shared.error().kind == ErrorKind::kConflict);
          EXPECT_TRUE(append(*log, {}, {{own, event, ""}}));
        }
      });
    }
  }
  std::vector<std::string> expected;
  for (int event = 0; event < kEvents; ++event) expected.push_back(std::to_string(event));
  EXPECT_EQ(read_all(*log), expected);
  EXPECT_EQ(log->positions({"source"})->front().version, kEvents);
  EXPECT_GT(log->stats().conflicts, 0);
}

// --- waiting ---

TEST_F(LocalLogTest, WakesAWaiterWhenItsOwnProcessAppends) {
  const auto log = open();
  ASSERT_TRUE(append(*log, {"a"}));
  const Offsets seen = log->end_offsets().value();
  std::jthread writer([&] { EXPECT_TRUE(append(*log, {"b"})); });
  while (log->end_offsets().value() == seen) log->wait_for_append(seen, 10'000'000);
  log->wait_for_append({}, 10'000'000);  // Grown already: returns at once.
}

TEST_F(LocalLogTest, WakesAWaiterWhenAnotherOpenerAppends) {
  const auto log = open();
  const auto other = open();
  std::jthread writer([&] { EXPECT_TRUE(append(*other, {"b"})); });
  while (log->end_offsets()->empty()) log->wait_for_append({}, 10'000'000);
  EXPECT_THAT(read_all(*log), ElementsAre("b"));
}

TEST_F(LocalLogTest, WakesAllWaitersAndEndsAWaitByItsTimeout) {
  const auto log = open();
  const auto other = open();
  std::vector<std::jthread> waiters;
  for (int i = 0; i < 4; ++i) {
    waiters.emplace_back([&, i] {
      if (i % 2 == 0) log->wait_for_append({}, 1'000);
      while (log->end_offsets()->empty()) log->wait_for_append({}, 10'000'000);
    });
  }
  EXPECT_TRUE(append(*other, {"b"}));
}

// --- trim ---

class LocalLogTrim : public LocalLogTest {
 protected:
  /// Three batches of two records; their timestamps are 10, 20 and 30.
  void SetUp() override {
    log_ = open();
    for (int64_t us : {10, 20, 30}) {
      Messages messages{{"x" + std::to_string(us), "y" + std::to_string(us)}};
      messages.timestamp = {us};
      ASSERT_TRUE(log_->append(messages.records(), {}));
    }
  }
  int64_t begin_after_trim(int64_t below, int64_t older_than_us) {
    EXPECT_TRUE(log_->trim({{kTrades, {below}}}, {older_than_us}));
    return offset_of(log_->begin_offsets().value(), kTrades).value;
  }

  std::unique_ptr<LocalLog> log_;
};

TEST_F(LocalLogTrim, LetsGoOfWholeBatchesBelowTheOffsetsAndOlderThanTheTime) {
  EXPECT_EQ(begin_after_trim(6, 10), 0);
  EXPECT_EQ(begin_after_trim(1, 100), 0);
  EXPECT_EQ(begin_after_trim(3, 100), 2);
  EXPECT_EQ(begin_after_trim(6, 21), 4);
  EXPECT_THAT(read_all(*log_, kTrades, {4}), ElementsAre("x30", "y30"));
  EXPECT_EQ(kind_of_error(log_->read(kTrades, {3}, kNoEnd, kAnyBytes)), ErrorKind::kNotFound);
  EXPECT_EQ(offset_of(log_->end_offsets().value(), kTrades), Offset{6});
  expect_sound(path_);
}

TEST_F(LocalLogTrim, NeverMovesOffsetsEvenWhenEverythingIsGone) {
  EXPECT_EQ(begin_after_trim(1'000, 100), 6);
  EXPECT_EQ(log_->read(kTrades, {6}, kNoEnd, kAnyBytes)->next_offset(), Offset{6});
  log_.reset();
  log_ = open();
  EXPECT_THAT(append(*log_, {"z"}).value(), ElementsAre(Offset{6}));
  expect_sound(path_);
}

TEST_F(LocalLogTrim, KeepsPartitionsThatAreNotNamedOrNotThere) {
  EXPECT_TRUE(log_->append({{"other", "k", "v", {10}}}, {}));
  EXPECT_TRUE(log_->trim({{{"other", 0}, {1}}, {{"never", 0}, {5}}, {{"other", 7}, {5}}}, {100}));
  EXPECT_EQ(log_->begin_offsets().value(), (Offsets{{kTrades, {0}}, {{"other", 0}, {1}}}));
  EXPECT_THAT(read_all(*log_), SizeIs(6));
}

TEST_F(LocalLogTrim, GivesItsSpaceToLaterAppends) {
  const auto size_after = [&](int rounds) {
    for (int i = 0; i < rounds; ++i) {
      EXPECT_TRUE(append(*log_, {std::string(300'000, 'v')}));
      EXPECT_TRUE(log_->trim({{kTrades, kNoEnd}}, {std::numeric_limits<int64_t>::max()}));
    }
    EXPECT_TRUE(log_->checkpoint());
    return std::filesystem::file_size(path_);
  };
  const auto before = size_after(4);
  EXPECT_EQ(size_after(12), before);
}

TEST_F(LocalLogTrim, GoesOnUntilEverythingItMayTakeIsGone) {
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(append(*log_, {std::string(1 << 20, 'v')}));
  EXPECT_EQ(begin_after_trim(45, std::numeric_limits<int64_t>::max()), 45);
  EXPECT_EQ(log_->stats().trimmed_records, 45);
  expect_sound(path_);
}

// --- schemas ---

TEST_F(LocalLogTest, GivesTheSameSchemaTheSameIdUnderEverySubject) {
  {
    const auto log = open();
    EXPECT_EQ(log->register_schema("a-value", "{\"A\"}").value(), 1);
    EXPECT_EQ(log->register_schema("b-value", "{\"B\"}").value(), 2);
    EXPECT_EQ(log->register_schema("b-value", "{\"A\"}").value(), 1);
    EXPECT_EQ(log->register_schema("a-value", "{\"A\"}").value(), 1);
  }
  const auto log = open();
  EXPECT_EQ(log->register_schema("b-value", "{\"B\"}").value(), 2);
  EXPECT_EQ(log->schema(1).value(), "{\"A\"}");
  EXPECT_EQ(log->schema(2).value(), "{\"B\"}");
  EXPECT_EQ(kind_of_error(log->schema(3)), ErrorKind::kNotFound);
  EXPECT_EQ(kind_of_error(log->register_schema("", "x")), ErrorKind::kInvalidInput);
}

// --- files ---

TEST_F(LocalLogTest, SaysWhatIsWrongWithAFileItCannotOpen) {
  EXPECT_EQ(kind_of_error(LocalLog::open(directory_.file("no/log.db"))), ErrorKind::kNotFound);
  EXPECT_EQ(kind_of_error(LocalLog::open(path_, {.create = false})), ErrorKind::kNotFound);
  EXPECT_EQ(kind_of_error(LocalLog::open(path_, {.partitions = 0})), ErrorKind::kInvalidInput);
  std::ofstream(directory_.file("text")) << std::string(5000, 'x');
  EXPECT_EQ(kind_of_error(LocalLog::open(directory_.file("text"))), ErrorKind::kCorrupt);
  tamper("CREATE TABLE other(x)");
  EXPECT_EQ(kind_of_error(LocalLog::open(path_)), ErrorKind::kInvalidInput);
}

TEST_F(LocalLogTest, RefusesALogOfALaterFormat) {
  open();
  tamper("PRAGMA user_version = 2");
  EXPECT_THAT(LocalLog::open(path_).error().message, HasSubstr("format 2"));
}

TEST_F(LocalLogTest, NamesTheBatchWhoseBytesDecayed) {
  open();
  ASSERT_TRUE(append(*open(), {"a", "b"}));
  ASSERT_TRUE(append(*open(), {"c", "d"}));
  tamper("UPDATE batches SET data = CAST(substr(data, 1, length(data) - 1) || x'21' AS BLOB) WHERE first_offset = 2");
  const auto log = open();
  EXPECT_THAT(values_of(log->read(kTrades, {0}, {2}, kAnyBytes).value()), ElementsAre("a", "b"));
  const auto bad = log->read(kTrades, {3}, kNoEnd, kAnyBytes);
  EXPECT_EQ(kind_of_error(bad), ErrorKind::kCorrupt);
  EXPECT_THAT(bad.error().message, HasSubstr("market.crypto.trades.binance/0 from offset 3: batch at offset 2: checksum"));
  EXPECT_FALSE(log_verifier::verify(path_).faults.empty());
}

TEST_F(LocalLogTest, FindsAMissingBatch) {
  for (const char* value : {"a", "b", "c"}) ASSERT_TRUE(append(*open(), {value}));
  tamper("DELETE FROM batches WHERE first_offset = 1");
  const auto log = open();
  EXPECT_EQ(kind_of_error(log->read(kTrades, {0}, kNoEnd, kAnyBytes)), ErrorKind::kCorrupt);
  EXPECT_EQ(kind_of_error(log->read(kTrades, {1}, kNoEnd, kAnyBytes)), ErrorKind::kCorrupt);
  EXPECT_FALSE(log_verifier::verify(path_).faults.empty());
  tamper("DELETE FROM batches WHERE first_offset = 2");
  EXPECT_EQ(kind_of_error(LocalLog::open(path_)), ErrorKind::kCorrupt);
}

// --- the write-ahead log ---

TEST_F(LocalLogTest, KeepsTheWalSmallWhileReadersComeAndGo) {
  const auto log = open({.checkpoint_bytes = 100'000});
  const auto reader = open({.cache_bytes_max = 0});
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(append(*log, {std::string(20'000, 'v')}));
    ASSERT_TRUE(reader->read(kTrades, {0}, kNoEnd, 1));
  }
  EXPECT_GT(log->stats().checkpoints, 10);
  EXPECT_LT(std::filesystem::file_size(path_ + "-wal"), 500'000u);
}

TEST_F(LocalLogTest, TidiesTheWalBetweenAppendsOnceThereIsEnoughOfIt) {
  const auto log = open({.tidy_bytes = 50'000});
  const auto before = log->stats().checkpoints;
  ASSERT_TRUE(append(*log, {std::string(10'000, 'a')}));
  log->tidy();
  EXPECT_EQ(log->stats().checkpoints, before);
  ASSERT_TRUE(append(*log, {std::string(60'000, 'b')}));
  EXPECT_EQ(log->stats().checkpoints, before);
  log->tidy();
  EXPECT_EQ(log->stats().checkpoints, before + 1);
  log->tidy();
  EXPECT_EQ(log->stats().checkpoints, before + 1);
  EXPECT_EQ(read_all(*log).size(), 2u);
}

TEST_F(LocalLogTest, RefusesAppendsRatherThanLetAStuckReaderFillTheDisk) {
  const auto log = open({.checkpoint_bytes = 50'000, .wal_bytes_max = 300'000});
  ASSERT_TRUE(append(*log, {"a"}));
  sqlite3* reader = nullptr;
  ASSERT_EQ(sqlite3_open_v2(path_.c_str(), &reader, SQLITE_OPEN_READONLY, nullptr), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM batches", nullptr, nullptr, nullptr), SQLITE_OK);
  Result<std::vector<Offset>> last;
  for (int i = 0; i < 40 && last; ++i) last = append(*log, {std::string(20'000, 'v')});
  EXPECT_EQ(kind_of_error(last), ErrorKind::kUnavailable);
  EXPECT_THAT(last.error().message, HasSubstr("a reader keeps an old state open"));
  EXPECT_GT(log->stats().checkpoints_blocked, 0);
  EXPECT_LT(std::filesystem::file_size(path_ + "-wal"), 400'000u);
  sqlite3_db_config(reader, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_close(reader);
  EXPECT_TRUE(append(*log, {"after"}));
  expect_sound(path_);
}

TEST_F(LocalLogTest, GivesUpWhenAnotherWriterKeepsTheLock) {
  const auto log = open({.lock_wait_us = 20'000});
  auto lock = WriteLock::open(path_).value();
  {
    const auto held = lock.acquire(0).value();
    EXPECT_EQ(kind_of_error(append(*log, {"a"})), ErrorKind::kUnavailable);
    EXPECT_EQ(kind_of_error(LocalLog::open(path_, {.lock_wait_us = 20'000})), ErrorKind::kUnavailable);
    EXPECT_TRUE(log->end_offsets());
  }
  EXPECT_TRUE(append(*log, {"a"}));
}

}  // namespace
}  // namespace k2
